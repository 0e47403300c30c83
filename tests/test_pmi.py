"""Co-occurrence, PMI kernels and their exact embeddings, by hand, by oracle, and on a walk through real colours."""

import csv
from pathlib import Path

import numpy as np
import pytest
from kernalign import pmi
from kernalign.embedding import classical_mds, fit_similarity
from reference import pmi as oracle

TEXTS = ["abcab", "bca", "aab", "", "c", "cabbage"]
SYMBOLS = tuple("abcge")


def random_counts(n, seed=0):
    table = np.random.default_rng(seed).integers(1, 50, size=(n, n))
    return table + table.T


def embeddable(n, seed=0):
    """A kernel that is positive definite on the vectors that sum to zero, minus a constant that spoils it elsewhere."""
    rng = np.random.default_rng(seed)
    f = rng.normal(size=(n, n + 2)) + 0.5
    return f @ f.T - 3.0 * n


# Counts


@pytest.mark.parametrize("radius", [1, 2, 3, 100, None])
def test_counts_agree_with_a_double_loop(radius):
    found = pmi.cooccurrences(TEXTS, radius)
    assert found.symbols == SYMBOLS
    np.testing.assert_array_equal(found.counts, oracle.counts(TEXTS, SYMBOLS, radius))
    np.testing.assert_array_equal(found.counts, found.counts.T)


def test_any_hashable_symbol_and_any_container_counts():
    numbers = [[ord(c) for c in text] for text in TEXTS]
    expected = pmi.cooccurrences(TEXTS, 2).counts
    for same in (numbers, [np.array(n, dtype=np.int16) for n in numbers], (tuple(n) for n in numbers)):
        np.testing.assert_array_equal(pmi.cooccurrences(same, 2).counts, expected)
    pairs = pmi.cooccurrences([[("a", 1), ("b", 2), ("a", 1)]], 1)
    assert pairs.symbols == (("a", 1), ("b", 2))
    np.testing.assert_array_equal(pairs.counts, [[0, 2], [2, 0]])


@pytest.mark.parametrize(
    "sequences,radius,error,words",
    [
        ("abc", 1, TypeError, "must be a sequence of sequences of symbols, got 'abc'"),
        ([[]], 1, ValueError, "at least one symbol"),
        (["ab"], 0, ValueError, "radius must be at least 1, got 0"),
        (["ab"], 1.0, TypeError, "radius must be an integer"),
        ([[[1], [2]]], 1, TypeError, "unhashable"),
    ],
)
def test_bad_sequences_are_named(sequences, radius, error, words):
    with pytest.raises(error, match=words):
        pmi.cooccurrences(sequences, radius)


# The kernel


def test_kernel_agrees_with_the_oracle():
    table = random_counts(7)
    found = pmi.pmi_kernel(table)
    np.testing.assert_allclose(found.kernel, oracle.pmi(table), atol=1e-12)
    np.testing.assert_array_equal(found.kernel, found.kernel.T)
    np.testing.assert_allclose(pmi.pmi_kernel(table * 1e-9).kernel, found.kernel, atol=1e-12)
    np.testing.assert_allclose(pmi.pmi_kernel(np.triu(table) * 2 - np.diag(np.diag(table))).kernel, found.kernel)
    np.testing.assert_allclose(pmi.pmi_kernel(table, smoothing=0.5).kernel, oracle.pmi(table + 0.5), atol=1e-12)


def test_a38_an_independent_table_has_a_zero_kernel():
    marginal = np.array([1.0, 2, 3, 10])
    np.testing.assert_allclose(pmi.pmi_kernel(np.outer(marginal, marginal)).kernel, 0, atol=1e-14)


def test_symbols_that_never_occur_are_dropped_even_when_smoothed():
    table = np.zeros((4, 4))
    table[np.ix_([0, 3], [0, 3])] = [[4, 1], [1, 2]]
    for smoothing in (0.0, 1.0):
        found = pmi.pmi_kernel(table, smoothing=smoothing)
        np.testing.assert_array_equal(found.kept, [0, 3])
        np.testing.assert_allclose(found.kernel, oracle.pmi(np.array([[4, 1], [1, 2]]) + smoothing), atol=1e-14)


def test_pairs_never_seen_are_never_minus_infinity():
    found = pmi.cooccurrences(TEXTS, 1)
    exact = oracle.pmi(found.counts)
    zeros = np.isneginf(exact)
    assert zeros.any()
    with pytest.raises(ValueError, match=rf"but {zeros.sum()} of 25 counts are zero; smoothing > 0"):
        pmi.pmi_kernel(found)
    floor = pmi.pmi_kernel(found, zero_cells="floor").kernel
    np.testing.assert_allclose(floor[~zeros], exact[~zeros], atol=1e-12)
    np.testing.assert_allclose(floor[zeros], exact[~zeros].min(), atol=1e-12)
    positive = pmi.pmi_kernel(found, zero_cells="ppmi").kernel
    np.testing.assert_allclose(positive, np.maximum(exact, 0), atol=1e-12)
    np.testing.assert_allclose(pmi.pmi_kernel(found, smoothing=0.1).kernel, oracle.pmi(found.counts + 0.1), atol=1e-12)


@pytest.mark.parametrize(
    "counts,keywords,error,words",
    [
        (np.ones((2, 3)), {}, ValueError, r"square matrix, got shape \(2, 3\)"),
        ([[1, -1], [1, 1]], {}, ValueError, "negative, got -1.0 at row 0, column 1"),
        (np.zeros((2, 2)), {}, ValueError, "all zero"),
        ([[1, np.nan], [1, 1]], {}, ValueError, "counts"),
        (np.ones((2, 2)), {"smoothing": -1}, ValueError, "smoothing must be finite and not negative, got -1"),
        (np.ones((2, 2)), {"smoothing": "1"}, TypeError, "smoothing must be a number"),
        (np.ones((2, 2)), {"zero_cells": "clip"}, ValueError, "zero_cells must be 'error', 'floor' or 'ppmi'"),
    ],
)
def test_bad_counts_are_named(counts, keywords, error, words):
    with pytest.raises(error, match=words):
        pmi.pmi_kernel(counts, **keywords)


# The exact test


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n", [2, 5, 30])
def test_a38_the_least_eigenvalue_changes_sign_exactly_at_the_constant(n, seed):
    kernel = embeddable(n, seed)
    found = pmi.psd_shift(kernel)
    assert found.reason is None
    step = 1e-6 * np.abs(kernel).max()
    assert oracle.least_eigenvalue(kernel, found.constant + step) > 0
    assert oracle.least_eigenvalue(kernel, found.constant - step) < 0
    bisected = oracle.least_shift(kernel, found.constant - 1, found.constant + 1)
    assert found.constant == pytest.approx(bisected, abs=1e-6 * np.abs(kernel).max())


def test_the_constant_follows_what_is_added_to_the_kernel():
    kernel = embeddable(9)
    plain = pmi.psd_shift(kernel).constant
    assert pmi.psd_shift(kernel + 5).constant == pytest.approx(plain - 5)
    order = np.random.default_rng(0).permutation(9)
    assert pmi.psd_shift(kernel[np.ix_(order, order)]).constant == pytest.approx(plain)
    assert pmi.psd_shift([[3.0]]).constant == -3


def test_there_may_be_no_constant():
    negative = np.array([[0.0, 1], [1, 0]])  # (1, -1) has the eigenvalue -1, whatever is added
    found = pmi.psd_shift(negative)
    assert np.isnan(found.constant)
    assert "negative eigenvalue -1" in found.reason
    flat = np.array([[1.0, 0], [0, -1]])  # (1, -1) has the eigenvalue 0, but K 1 is not orthogonal to it
    found = pmi.psd_shift(flat)
    assert np.isnan(found.constant)
    assert "null space" in found.reason
    for constant in (1e3, 1e6):
        assert oracle.least_eigenvalue(flat, constant) < 0


def test_a_singular_kernel_may_have_a_constant():
    f = np.random.default_rng(0).normal(size=(12, 3))
    kernel = f @ f.T - 0.4
    found = pmi.psd_shift(kernel)
    assert found.constant <= 0.4 + 1e-10
    assert oracle.least_eigenvalue(kernel, found.constant) == pytest.approx(0, abs=1e-10)
    assert pmi.psd_shift(np.full((4, 4), -2.0)).constant == pytest.approx(2)


@pytest.mark.parametrize("seed", range(5))
def test_prop_f1_is_sufficient_and_its_constant_is_not_the_least(seed):
    rng = np.random.default_rng(seed)
    off = -2 + 0.1 * rng.uniform(size=(6, 6))
    kernel = (off + off.T) / 2
    np.fill_diagonal(kernel, kernel.min() + 6 * 0.1 + rng.uniform(size=6))
    assert pmi.meets_prop_f1(kernel)
    small = kernel.copy()
    small[2, 2] = kernel[~np.eye(6, dtype=bool)].min() + 0.05  # inside the range of the others is not enough
    assert not pmi.meets_prop_f1(small)
    found = pmi.psd_shift(kernel)
    least = kernel[~np.eye(6, dtype=bool)].min()
    assert oracle.least_eigenvalue(kernel, -least) > 0
    assert found.constant < -least


def test_minus_the_least_row_mean_does_not_suffice():
    """C = -min_i mean_j K_ij, which has been proposed, leaves this PMI kernel indefinite; the exact one does not."""
    counts = [[39, 2, 10, 9], [2, 36, 10, 12], [10, 10, 19, 8], [9, 12, 8, 21]]
    kernel = pmi.pmi_kernel(counts).kernel
    exact = pmi.psd_shift(kernel).constant
    row_mean = -kernel.mean(axis=1).min()
    assert row_mean < exact - 1
    assert oracle.least_eigenvalue(kernel, row_mean) < -0.4
    assert oracle.least_eigenvalue(kernel, exact) > -1e-9


def test_prop_f1_is_not_necessary():
    """Off-diagonal entries above 0 break the premise of F.1, yet the kernel embeds exactly."""
    kernel = embeddable(6) / 40 + 0.5
    assert kernel[~np.eye(6, dtype=bool)].max() > 0
    assert not pmi.meets_prop_f1(kernel)
    found = pmi.psd_shift(kernel)
    assert found.reason is None
    assert oracle.least_eigenvalue(kernel, found.constant + 1e-9) > 0
    assert pmi.meets_prop_f1([[-4.0]])


def test_features_have_the_kernel_as_their_inner_products():
    kernel = embeddable(9)
    constant = pmi.psd_shift(kernel).constant
    features = pmi.kernel_features(kernel, constant)
    np.testing.assert_allclose(features @ features.T, kernel + constant, atol=1e-9)
    assert features.shape == (9, 8)  # at the least constant one dimension is gone
    with pytest.raises(ValueError, match="must be positive semidefinite, but has the eigenvalue -"):
        pmi.kernel_features(kernel, constant - 0.1)
    with pytest.raises(ValueError, match="kernel must be symmetric"):
        pmi.psd_shift([[1.0, 2], [3, 1]])


def test_dissimilarities_are_least_for_the_closest_pair():
    kernel = embeddable(5)
    d = pmi.dissimilarities(kernel)
    assert d.min() == 0
    np.testing.assert_allclose(d + kernel, kernel.max())


def test_colours_are_found_again_from_what_they_occur_next_to():
    """Real colours, a simulated walk that prefers similar ones: PMI and scaling give back the colour space."""
    with (Path(__file__).parent / "data" / "xkcd_colors.csv").open(newline="", encoding="utf-8") as file:
        rgb = np.array([[int(row[c]) for c in "rgb"] for row in csv.DictReader(file)])[::24] / 255
    rng = np.random.default_rng(0)
    weights = np.exp(-((rgb[:, None] - rgb) ** 2).sum(axis=2) / (2 * 0.45**2))
    cumulative = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    walk = [0]
    for u in rng.uniform(size=60_000):
        walk.append(min(int(np.searchsorted(cumulative[walk[-1]], u)), len(rgb) - 1))
    counts = pmi.cooccurrences([walk], 1)
    kernel = pmi.pmi_kernel(counts, smoothing=0.5).kernel
    points = classical_mds(np.sqrt(pmi.dissimilarities(kernel)), 3)
    truth = rgb[np.array(counts.symbols)]
    fit = fit_similarity(points, truth)
    assert fit.r2 > 0.9
    shuffled = rng.permutation(len(truth))
    assert fit_similarity(points, truth[shuffled]).r2 < 0.4


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_the_shift_scales_with_the_kernel(scale):
    kernel = np.array([[1, -0.5, 0], [-0.5, 2, 0.1], [0, 0.1, 1]])
    assert pmi.psd_shift(kernel * scale).constant == pytest.approx(pmi.psd_shift(kernel).constant * scale, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_the_rounding_of_a_kernel_is_no_direction(dtype):
    """Of a kernel of rank 4 that was rounded, also where it came back as float64."""
    x = np.random.default_rng(0).normal(size=(60, 4))
    kernel = (x @ x.T).astype(dtype)
    for given in (kernel, kernel.astype(np.float64)):
        features = pmi.kernel_features(given)
        assert features.shape == (60, 4)
        np.testing.assert_allclose(features @ features.T, kernel.astype(np.float64), atol=40 * np.finfo(dtype).eps)
        assert pmi.psd_shift(given).reason is None
