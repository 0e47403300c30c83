"""Multidimensional scaling and similarity transforms: exact where they must be, indifferent to what must not matter."""

import csv
from pathlib import Path

import numpy as np
import pytest
from kernalign.embedding import classical_mds, fit_similarity, raw_stress, smacof
from samples import orthogonal
from scipy.spatial.distance import pdist, squareform

COLOURS = Path(__file__).parent / "data" / "xkcd_colors.csv"


def cloud(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) * np.arange(1, d + 1) + 5


def colours():
    with COLOURS.open(newline="", encoding="utf-8") as file:
        return np.array([[int(row[c]) for c in "rgb"] for row in csv.DictReader(file)], dtype=float)


def rotation(d, seed=0):
    q = orthogonal(d, seed)
    q[:, 0] *= np.sign(np.linalg.det(q))
    return q


# Classical scaling


@pytest.mark.parametrize("n,d", [(3, 1), (5, 2), (40, 3), (40, 7)])
def test_euclidean_distances_are_recovered_exactly(n, d):
    x = cloud(n, d)
    points = classical_mds(squareform(pdist(x)), d)
    np.testing.assert_allclose(pdist(points), pdist(x), rtol=1e-10)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-12 * np.abs(points).max())


def test_coordinates_are_principal_components():
    x = cloud(60, 4)
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    points = classical_mds(squareform(pdist(x)), 2)
    np.testing.assert_allclose(np.abs(points), np.abs(u * s)[:, :2], atol=1e-9)
    assert (points[np.abs(points).argmax(axis=0), [0, 1]] > 0).all()


def test_the_diagonal_is_ignored():
    d = squareform(pdist(cloud(12, 3)))
    np.testing.assert_array_equal(classical_mds(d + np.diag(np.arange(12.0) - 3)), classical_mds(d))


def test_missing_dimensions_are_zero_not_noise():
    x = cloud(9, 2)
    points = classical_mds(squareform(pdist(x)), 6)
    assert (points[:, 2:] == 0).all()
    np.testing.assert_allclose(pdist(points), pdist(x))
    np.testing.assert_array_equal(classical_mds([[0, 3.0], [3.0, 0]]), [[1.5, 0], [-1.5, 0]])
    np.testing.assert_array_equal(classical_mds(np.zeros((4, 4))), np.zeros((4, 2)))
    np.testing.assert_array_equal(classical_mds([[7.0]], 1), [[0.0]])


def test_distances_that_no_euclidean_points_have():
    """Four points pairwise 2 apart but for one pair: the star metric embeds in no Euclidean space."""
    star = np.array([[0, 1, 1, 1], [1, 0, 2, 2], [1, 2, 0, 2], [1, 2, 2, 0]], dtype=float)
    h = np.eye(4) - 0.25
    assert np.linalg.eigvalsh(-0.5 * h @ star**2 @ h)[0] < -0.1
    points = classical_mds(star, 3)
    assert np.isfinite(points).all()
    assert raw_stress(points, star) > 0.01


@pytest.mark.parametrize("unit", [1e-150, 1.0, 1e150])
def test_scale_of_the_distances_only_scales(unit):
    d = squareform(pdist(cloud(10, 3)))
    np.testing.assert_allclose(classical_mds(d * unit) / unit, classical_mds(d), rtol=1e-12, atol=1e-12)


def test_dtype_and_strides_do_not_matter_and_the_input_is_not_changed():
    d = np.round(squareform(pdist(cloud(10, 3))))
    before = d.copy()
    expected = classical_mds(d)
    wide = np.zeros((20, 20))
    wide[::2, ::2] = d
    for same in (d.astype(np.float32), d.astype(np.int64), np.asfortranarray(d), wide[::2, ::2], d.tolist()):
        np.testing.assert_array_equal(classical_mds(same), expected)
    np.testing.assert_array_equal(d, before)


@pytest.mark.parametrize(
    "distances,dims,error,words",
    [
        (np.ones((3, 4)), 2, ValueError, "square"),
        (np.ones(3), 2, ValueError, "2-D"),
        ([[0, 1], [2, 0]], 1, ValueError, "symmetric, got 1.0 at .0, 1. and 2.0"),
        ([[0, -1], [-1, 0]], 1, ValueError, "negative, got -1.0 at row 0, column 1"),
        ([[0, np.nan], [np.nan, 0]], 1, ValueError, "row 0"),
        (np.ones((3, 3)), 4, ValueError, "dims must be between 1 and the number of points 3, got 4"),
        (np.ones((3, 3)), 0, ValueError, "dims must be between 1 and the number of points 3, got 0"),
        (np.ones((3, 3)), 1.5, TypeError, "dims must be an integer"),
        (np.ones((3, 3)), True, TypeError, "dims must be an integer"),
    ],
)
def test_bad_distances_are_named(distances, dims, error, words):
    with pytest.raises(error, match=words):
        classical_mds(distances, dims)


def test_colours_come_back_from_their_distances():
    """Real data: 949 named colours, placed by nothing but their distances in RGB."""
    rgb = colours()
    points = classical_mds(squareform(pdist(rgb)), 3)
    fit = fit_similarity(points, rgb)
    assert fit.scale == pytest.approx(1, abs=1e-10)
    np.testing.assert_allclose(fit.transform(points), rgb, atol=1e-9)


# SMACOF


def test_smacof_finds_points_that_exist():
    pytest.importorskip("sklearn")
    x = cloud(15, 2)
    d = squareform(pdist(x))
    points = smacof(d, 2, max_iter=3000)
    assert raw_stress(points, d) < 1e-4 * (d**2).sum()
    assert fit_similarity(points, x).r2 > 0.999


def test_smacof_has_less_stress_than_classical_scaling():
    pytest.importorskip("sklearn")
    d = squareform(pdist(cloud(20, 6)))
    assert raw_stress(smacof(d, 2), d) < raw_stress(classical_mds(d, 2), d)


def test_smacof_is_reproducible_and_more_starts_never_hurt():
    pytest.importorskip("sklearn")
    d = squareform(pdist(cloud(12, 4)))
    one = smacof(d, 2, starts=1, seed=3)
    np.testing.assert_array_equal(one, smacof(d, 2, starts=1, seed=3))
    np.testing.assert_array_equal(one, smacof(d + 9 * np.eye(12), 2, starts=1, seed=3))
    stresses = [raw_stress(smacof(d, 2, starts=s, seed=3), d) for s in (1, 4, 16)]
    assert stresses == sorted(stresses, reverse=True)
    np.testing.assert_allclose(smacof(d * 1e6, 2, starts=1, seed=3) / 1e6, one, rtol=1e-12)
    assert (smacof(np.zeros((3, 3))) == 0).all()
    with pytest.raises(ValueError, match="starts must be at least 1, got 0"):
        smacof(d, starts=0)


def test_raw_stress_by_hand():
    assert raw_stress([[0.0], [1.0], [3.0]], [[9, 2, 3], [2, 9, 1], [3, 1, 9]]) == pytest.approx(1 + 0 + 1)
    with pytest.raises(ValueError, match="same number of rows, got 2 and 3"):
        raw_stress([[0.0], [1.0]], np.zeros((3, 3)))


# Similarity transforms


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_a_planted_similarity_is_found(d):
    x = cloud(30, d)
    q = rotation(d)
    y = 2.5 * x @ q + np.arange(d)
    fit = fit_similarity(x, y, reflection=False)
    np.testing.assert_allclose(fit.rotation, q, atol=1e-10)
    assert fit.scale == pytest.approx(2.5)
    np.testing.assert_allclose(fit.translation, np.arange(d), atol=1e-9)
    np.testing.assert_allclose(fit.transform(x), y, atol=1e-9)
    assert fit.rmsd == pytest.approx(0, abs=1e-10)
    assert fit.r2 == pytest.approx(1)


def test_reflection_is_a_choice():
    x = cloud(30, 3)
    y = x * [1, 1, -1]
    free, proper = fit_similarity(x, y), fit_similarity(x, y, reflection=False)
    assert np.linalg.det(free.rotation) == pytest.approx(-1)
    assert free.rmsd < 1e-10
    assert np.linalg.det(proper.rotation) == pytest.approx(1)
    assert proper.rmsd > 0.1


@pytest.mark.parametrize("scaling", [True, False])
@pytest.mark.parametrize("reflection", [True, False])
@pytest.mark.parametrize("d", [2, 3])
def test_no_small_change_of_the_transform_is_better(d, reflection, scaling):
    rng = np.random.default_rng(d)
    x, y = cloud(20, d), cloud(20, d, 1) @ orthogonal(d) - 2
    fit = fit_similarity(x, y, reflection=reflection, scaling=scaling)
    error = lambda r, s, t: ((s * x @ r + t - y) ** 2).sum()  # noqa: E731
    best = error(fit.rotation, fit.scale, fit.translation)
    assert best == pytest.approx(20 * fit.rmsd**2)
    assert fit.r2 == pytest.approx(1 - best / ((y - y.mean(axis=0)) ** 2).sum())
    for _ in range(200):
        turn = np.linalg.qr(np.eye(d) + 0.05 * rng.normal(size=(d, d)))
        turn = turn[0] * np.sign(np.diag(turn[1]))
        scale = fit.scale * (1 + 0.05 * rng.normal()) if scaling else 1.0
        other = fit.translation + 0.05 * rng.normal(size=d)
        assert error(fit.rotation @ turn, scale, other) > best


@pytest.mark.parametrize("d", [3, 5])
def test_a28_two_proper_runs_on_plus_and_minus_equal_the_fit_over_all_of_o_d_for_odd_d(d):
    for seed in range(20):
        x, y = cloud(10, d, seed), cloud(10, d, seed + 100)
        two = min(fit_similarity(sign * x, y, reflection=False).rmsd for sign in (1, -1))
        assert fit_similarity(x, y).rmsd == pytest.approx(two, rel=1e-10)


@pytest.mark.parametrize("d", [2, 4])
def test_a28_for_even_d_they_do_not(d):
    x = cloud(10, d)
    y = x * np.r_[-1, np.ones(d - 1)]
    assert fit_similarity(x, y).rmsd < 1e-10
    assert min(fit_similarity(sign * x, y, reflection=False).rmsd for sign in (1, -1)) > 0.1


def test_r2_is_the_squared_procrustes_correlation():
    x, y = cloud(25, 3), cloud(25, 3, 1) + cloud(25, 3)
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    nbs = np.linalg.norm(a.T @ b, "nuc") / (np.linalg.norm(a) * np.linalg.norm(b))
    assert fit_similarity(x, y).r2 == pytest.approx(nbs**2)


@pytest.mark.parametrize("scale,offset", [(1e-150, 0), (1e150, 0), (1, 1e9)])
def test_extreme_units_and_offsets(scale, offset):
    x = np.round(cloud(20, 3) * 8) / 8
    fit = fit_similarity(x * scale + offset, x @ rotation(3))
    assert fit.scale * scale == pytest.approx(1, rel=1e-9)
    assert fit.r2 == pytest.approx(1)


@pytest.mark.parametrize(
    "x,y,words",
    [
        (np.ones((4, 2)), np.eye(4)[:, :2], "x must hold at least two different points"),
        (np.eye(4)[:, :2], np.ones((4, 2)), "y must hold at least two different points"),
        (np.eye(4), np.eye(4)[:, :2], r"same shape, got \(4, 4\) and \(4, 2\)"),
        (np.ones((1, 2)), np.ones((1, 2)), "two different points"),
        ([[0, np.inf], [1, 2]], np.eye(2), "x.*row 0, column 1"),
    ],
)
def test_bad_points_are_named(x, y, words):
    with pytest.raises(ValueError, match=words):
        fit_similarity(x, y)


def test_transform_checks_its_points():
    with pytest.raises(ValueError, match="3 columns, got 2"):
        fit_similarity(cloud(5, 3), cloud(5, 3, 1)).transform(np.ones((2, 2)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_the_rounding_of_distances_is_no_coordinate(dtype):
    points = np.random.default_rng(0).normal(size=(40, 2))
    distances = np.linalg.norm(points[:, None] - points, axis=-1).astype(dtype)
    # Of 16 bits in a wider array, distances of like sizes could be whole numbers of a small unit.
    for given in (distances, distances.astype(np.float64 if dtype != np.float16 else dtype)):
        found = classical_mds(given, 8)
        assert found[:, :2].any(axis=0).all()
        assert not found[:, 2:].any()
