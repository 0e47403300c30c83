"""Stitching risk: brute-force oracles, the bound on random and real data, the errata of the published statements."""

from __future__ import annotations

import itertools
import tracemalloc
from dataclasses import replace

import kernalign as ka
import numpy as np
import pytest
from kernalign.demo import representations
from kernalign.stitching import AffineStitcher, LinearHead, MLPHead, misalignment, run_trials, stitching_certificate
from reference import alignment as kernels
from reference import stitching as oracle
from reference.folds import fold_numbers

RANDOM, REAL = 500, 20


def sample(seed, n=60, d1=5, d2=4, d=3, noise=0.5):
    """f1, f2 partly a linear function of it, targets of f2, and the least-squares head of f2."""
    rng = np.random.default_rng(seed)
    f1 = rng.standard_normal((n, d1)) * rng.uniform(0.1, 3, d1) + rng.uniform(-1, 1, d1)
    f2 = f1 @ rng.standard_normal((d1, d2)) + noise * rng.standard_normal((n, d2))
    targets = f2 @ rng.standard_normal((d2, d)) + rng.standard_normal((n, d))
    return f1, f2, targets, np.linalg.lstsq(f2, targets, rcond=None)[0].T


def test_certificate_is_its_definitions() -> None:
    f1, f2, targets, weight = sample(0)
    bias = np.array([0.5, -1.0, 0.25])
    got = stitching_certificate(f1, f2, LinearHead(weight, bias), targets)
    mapped = oracle.least_squares(f1, f2, intercept=False)[2]
    assert got.n == 60
    assert got.risk == pytest.approx(oracle.risk(f2 @ weight.T + bias, targets))
    assert got.stitched_risk == pytest.approx(oracle.risk(mapped @ weight.T + bias, targets))
    assert got.best_risk == pytest.approx(oracle.best_stitched_risk(f1, weight, targets - bias))
    assert got.own_risk == pytest.approx(oracle.own_risk(f1, targets - bias))
    assert got.least_risk == pytest.approx(oracle.own_risk(f2, targets - bias))
    assert got.misalignment == pytest.approx(oracle.misalignment(f1, f2))
    assert got.relative_misalignment == pytest.approx(got.misalignment / ((f2**2).sum() / 60))
    assert (got.lipschitz, got.lipschitz_kind) == (pytest.approx(np.linalg.svd(weight)[1][0]), "exact")
    assert got.bound == pytest.approx((got.risk**0.5 + got.lipschitz * got.misalignment**0.5) ** 2)
    assert got.excess == got.best_risk - got.risk
    assert got.forward == (got.own_risk - got.risk, got.best_risk - got.risk, got.bound - got.risk)
    assert got.holds


@pytest.mark.parametrize("scale", [1e100, 1e-100])
def test_scale_does_not_matter(scale: float) -> None:
    f1, f2, targets, weight = sample(1)
    plain, scaled = (stitching_certificate(f1 * s, f2 * s, weight, targets * s) for s in (1.0, scale))
    assert scaled.holds
    for name in ("risk", "bound", "misalignment", "alignment_bound", "own_risk"):
        assert getattr(scaled, name) / scale**2 == pytest.approx(getattr(plain, name), rel=1e-9)


def test_blocks_are_small_also_beside_a_wide_representation() -> None:
    f1 = np.random.default_rng(0).standard_normal((100_000, 1)).astype(np.float32)
    f2 = np.broadcast_to(f1, (100_000, 200))
    tracemalloc.start()
    try:
        for cv in (None, 2):
            misalignment(f1, f2, cv=cv)
        assert tracemalloc.get_traced_memory()[1] < 110e6 < 8 * f2.size
        tracemalloc.reset_peak()
        run_trials(f1, f2, {"affine": AffineStitcher()}, folds=2)
        assert tracemalloc.get_traced_memory()[1] < 110e6
    finally:
        tracemalloc.stop()


def configuration(seed):
    """A random data set and head: any sizes, also more columns than items, heads of any rank and kind."""
    rng = np.random.default_rng(seed)
    n, d1, d2, d = (int(rng.integers(low, high)) for low, high in ((6, 30), (1, 9), (1, 9), (1, 5)))
    f1, f2, targets, weight = sample(seed, n, d1, d2, d, noise=float(rng.choice([0, 1e-3, 1, 30])))
    kind = seed % 5
    if kind == 1:
        weight = np.outer(rng.standard_normal(d), rng.standard_normal(d2))
    if kind == 2:
        weight = rng.standard_normal((d, d2)) * 10.0 ** rng.integers(-3, 3)
    if kind == 3:
        return f1, f2, targets, MLPHead([rng.standard_normal((7, d2)), weight @ rng.standard_normal((d2, 7))]), None
    if kind == 4:
        norm = float(np.linalg.norm(weight, 2))
        return f1, f2, targets, (lambda rows: np.sin(rows @ weight.T)), norm
    return f1, f2, targets, weight, None


def check_bound(f1, f2, targets, head, lipschitz, cv=None):
    """The theorems, from the oracle's own numbers where the head is a matrix."""
    got = stitching_certificate(f1, f2, head, targets, lipschitz, cv=cv)
    power = float((f2**2).sum()) / len(f2)
    slack = 1e-9 * (float((targets**2).sum()) / len(f2) + got.lipschitz**2 * power)
    assert got.holds
    assert got.stitched_risk <= got.bound + slack
    if cv is not None:
        return got
    assert -slack <= got.misalignment <= power * (1 + 1e-9)
    assert got.misalignment <= got.alignment_bound + 1e-9 * power
    if isinstance(head, np.ndarray):
        mapped = oracle.least_squares(f1, f2, intercept=False)[2]
        stitched, best = oracle.risk(mapped @ head.T, targets), oracle.best_stitched_risk(f1, head, targets)
        assert got.stitched_risk == pytest.approx(stitched, rel=1e-6, abs=slack)
        assert got.best_risk == pytest.approx(best, rel=1e-6, abs=slack)
        assert got.own_risk <= got.best_risk + slack
        assert got.best_risk <= got.stitched_risk + slack
        assert got.head_rank == np.linalg.matrix_rank(head)
        assert got.lemma_gap == pytest.approx(oracle.lemma_gap(f1, head, targets), rel=1e-6, abs=slack)
        lacks_rank = any("lemma needs a head of rank" in words for words in got.failed)
        assert lacks_rank == (got.head_rank < len(head))
    else:
        assert (got.best_risk, got.own_risk, got.lemma_gap, got.head_rank) == (None, None, None, None)
        assert any("head is not linear" in words for words in got.failed)
        assert got.excess == got.stitched_risk - got.risk
    return got


def test_bound_holds_on_every_random_configuration() -> None:
    """A25, in-sample, and the same inequality on items that the map has not seen."""
    seen = set()
    for seed in range(RANDOM):
        f1, f2, targets, head, lipschitz = configuration(seed)
        got = check_bound(f1, f2, targets, head, lipschitz)
        seen |= {words.split(":")[0].split(" (")[0] for words in got.failed}
        if seed % 10 == 0:
            check_bound(f1, f2, targets, head, lipschitz, cv=3)
    assert {"saturated", "the head is not linear"} <= seen, "the configurations must reach every kind"


def test_bound_holds_on_real_representations() -> None:
    """Twenty ordered pairs of the demo's arrays; the head reads the emoji's GloVe vectors (5 directions) or HOG."""
    arrays = {name: np.asarray(array[::3], dtype=np.float64) for name, array in representations().items()}
    rng = np.random.default_rng(0)
    narrow = {name: a @ rng.standard_normal((a.shape[1], 12)) / a.shape[1] ** 0.5 for name, a in arrays.items()}
    pairs = list(itertools.permutations(sorted(arrays), 2))[::2][:REAL]
    assert len(pairs) == REAL
    for first, second in pairs:
        f1, f2 = narrow[first], narrow[second]
        targets = arrays["hog" if "glove" in (first, second) else "glove"][:, :5]
        head = np.linalg.lstsq(f2, targets, rcond=None)[0].T
        got = check_bound(f1, f2, targets, head, None)
        assert got.failed == ()
        assert check_bound(f1, f2, targets, head, None, cv="press").misalignment > got.misalignment


def test_misalignment_is_the_squared_form_and_not_the_published_one() -> None:
    """E5: without its square, the first norm makes the misalignment negative."""
    for seed in range(20):
        f1, f2, _, _ = sample(seed, noise=0.2)
        corrected, published = oracle.spectral_misalignment(f1, f2)
        got = misalignment(f1, f2)
        residual = oracle.risk(oracle.least_squares(f1, f2, intercept=False)[2], f2)
        assert float(got) == pytest.approx(corrected, rel=1e-8)
        assert float(got) == pytest.approx(residual, rel=1e-8)
        assert abs(published - residual) > 0.5
        assert published < 0 < float(got)


def test_misalignment_closed_forms() -> None:
    """A26: zero for a linear function, all of the power where nothing is shared, whatever solver does the work."""
    f1, f2, _, _ = sample(3, n=3000)
    power = float((f2**2).sum()) / len(f2)
    assert misalignment(f1, f2).settings["solver"] == "normal equations"
    inside = misalignment(f1, f1 @ np.arange(20.0).reshape(5, 4))
    assert float(inside) == pytest.approx(0, abs=1e-20)
    assert inside.settings["solver"] == "tsqr"
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((50, 9)))[0]
    apart = misalignment(basis[:, :5], basis[:, 5:])
    assert float(apart) == pytest.approx(4 / 50)
    assert apart.settings["relative"] == pytest.approx(1)
    hard = f1.copy()
    hard[:, 1] = hard[:, 0] + 1e-7 * hard[:, 1]
    assert misalignment(hard, f2).settings["solver"] == "tsqr"
    for x in (f1, hard):
        got = misalignment(x, f2)
        assert float(got) == pytest.approx(oracle.longdouble_least_squares(x, f2, intercept=False)[1], rel=1e-9)
        assert got.settings["relative"] == pytest.approx(float(got) / power)
    centred = [z - z.mean(axis=0) for z in (f1, f2)]
    assert float(misalignment(*centred)) == pytest.approx(AffineStitcher().fit(f1, f2).residual_, rel=1e-10)
    far = f1 + 1e5
    expected = oracle.longdouble_least_squares(far, f2, intercept=False)[1]
    assert float(misalignment(far, f2)) == pytest.approx(expected, rel=1e-9)


def test_alignment_bounds_misalignment_only_through_the_spectrum() -> None:
    """The link: A2 <= tr S22 - A |eta1| |eta2| / eta1max, with A the uncentred kernel alignment."""
    f1, f2, _, _ = sample(4)
    n = len(f1)
    eta1, eta2 = (np.linalg.svd(f)[1] ** 2 / n for f in (f1, f2))
    a = kernels.ka_v(kernels.linear(f1), kernels.linear(f2))
    link = eta2.sum() - a * np.linalg.norm(eta1) * np.linalg.norm(eta2) / eta1.max()
    got = misalignment(f1, f2)
    assert got.settings["alignment_bound"] == pytest.approx(link)
    assert float(got) < link
    flat = np.linalg.qr(f1)[0]
    assert float(misalignment(flat, f2)) == pytest.approx(misalignment(flat, f2).settings["alignment_bound"])


def test_lemma_needs_a_head_of_full_rank() -> None:
    """E6: the published R_stitch = R1(H1) is wrong for a head of low rank, and right for one of full rank (A24)."""
    f1, f2, targets, weight = sample(5)
    full = stitching_certificate(f1, f2, weight, targets)
    assert full.best_risk == pytest.approx(full.own_risk, rel=1e-10)
    assert full.failed == ()
    weight[2] = weight[0] - weight[1]
    low = stitching_certificate(f1, f2, weight, targets)
    best = oracle.best_stitched_risk(f1, weight, targets)
    published = oracle.own_risk(f1, targets)
    assert best > published + 0.1, "the published lemma must fail here"
    assert low.best_risk == pytest.approx(best)
    assert low.lemma_gap == pytest.approx(oracle.lemma_gap(f1, weight, targets))
    assert low.best_risk == pytest.approx(published + oracle.lemma_gap(f1, weight, targets))
    assert low.head_rank == 2
    assert any(
        "lemma needs a head of rank 3, the number of outputs, but it has rank 2" in words for words in low.failed
    )


def test_forward_theorem_needs_the_other_order_of_composition() -> None:
    """E7: with S o G2 in G1, as published, own risk may exceed the stitched one; with G2 o S in G1 it cannot."""
    f1 = np.random.default_rng(6).standard_normal((50, 2))
    head = np.diag([1.0, 0.0])  # G2 = {head}; both published and corrected nesting type-check as d1 = d2 = d
    targets = np.column_stack([f1[:, 1], np.zeros(50)])
    f2 = f1[:, ::-1]
    got = stitching_certificate(f1, f2, head, targets)
    assert got.best_risk == pytest.approx(0, abs=1e-20)  # S swaps the columns
    published = oracle.own_risk(f1 @ head.T, targets)  # the least over G1 = {S head: all S}, which holds S o G2
    assert published > 0.5, "the published hypothesis holds here, its conclusion R(H1) <= R_stitch does not"
    assert got.own_risk <= got.best_risk + 1e-20
    own, best, bound = got.forward
    assert own <= best + 1e-20
    assert best <= bound


def test_held_out_versions_are_explicit_deletion() -> None:
    f1, f2, targets, weight = sample(7)
    n = len(f1)
    assert float(misalignment(f1, f2, cv="press")) == pytest.approx(oracle.left_out_misalignment(f1, f2, n))
    for folds in (2, 7, n):
        assert float(misalignment(f1, f2, cv=folds)) == pytest.approx(oracle.left_out_misalignment(f1, f2, folds))
        got = stitching_certificate(f1, f2, weight, targets, cv=folds)
        mapped, own = np.empty_like(f2), np.empty_like(targets)
        for fold in range(folds):
            out = fold_numbers(n, folds) == fold
            mapped[out] = f1[out] @ oracle.least_squares(f1[~out], f2[~out], intercept=False)[0]
            own[out] = f1[out] @ oracle.least_squares(f1[~out], targets[~out], intercept=False)[0]
        assert got.stitched_risk == pytest.approx(oracle.risk(mapped @ weight.T, targets))
        assert got.own_risk == pytest.approx(oracle.risk(own, targets))
        assert got.misalignment == pytest.approx(oracle.risk(mapped, f2))
        assert got.holds
        assert got.estimate == f"{folds}-fold"
    press = stitching_certificate(f1, f2, weight, targets, cv="press")
    assert (press.estimate, got.estimate) == ("press", "60-fold")
    changed = replace(press, estimate=got.estimate)
    for name, value in vars(changed).items():
        assert value == (pytest.approx(getattr(got, name)) if isinstance(value, float) else getattr(got, name)), name
    assert any("held out" in words for words in press.failed)


def test_in_sample_misalignment_is_low_by_its_columns() -> None:
    """Under independence the in-sample value has mean sigma^2 (1 - d1 / n); PRESS is above sigma^2."""
    rng = np.random.default_rng(8)
    inside, left_out = [], []
    for _ in range(200):
        f1, f2 = rng.standard_normal((40, 10)), rng.standard_normal((40, 1))
        inside.append(float(misalignment(f1, f2)))
        left_out.append(float(misalignment(f1, f2, cv="press")))
    assert np.mean(inside) == pytest.approx(0.75, abs=4 * np.std(inside) / 200**0.5)
    assert np.mean(left_out) > 1.1


def test_lipschitz_constants() -> None:
    """Spectral norms, exact for linear heads; for an MLP their product, which the data's slope never exceeds."""
    rng = np.random.default_rng(9)
    weights = [rng.standard_normal((6, 4)), rng.standard_normal((5, 6)), rng.standard_normal((2, 5))]
    for activation in ("relu", "tanh"):
        head = MLPHead(weights, [None, rng.standard_normal(5), None], activation=activation)
        assert head.lipschitz == pytest.approx(np.prod([np.linalg.svd(w)[1][0] for w in weights]))
        assert head.lipschitz_kind == "upper bound"
        a, b = rng.standard_normal((2, 500, 4))
        slopes = np.linalg.norm(head(a) - head(b), axis=1) / np.linalg.norm(a - b, axis=1)
        assert slopes.max() < head.lipschitz
    rows = rng.standard_normal((3, 4))
    by_hand = np.maximum(np.maximum(rows @ weights[0].T, 0) @ weights[1].T, 0) @ weights[2].T
    np.testing.assert_allclose(MLPHead(weights)(rows), by_hand)
    assert MLPHead(weights[:1]).lipschitz == LinearHead(weights[0]).lipschitz


def test_a_lipschitz_constant_that_is_too_small_is_found_out() -> None:
    f1, f2, targets, weight = sample(10, noise=3.0)
    true = float(np.linalg.norm(weight, 2))
    right = stitching_certificate(f1, f2, lambda rows: rows @ weight.T, targets, true)
    assert right.lipschitz_kind == "given"
    assert not any("too small" in words for words in right.failed)
    wrong = stitching_certificate(f1, f2, lambda rows: rows @ weight.T, targets, true / 100)
    assert any("is too small: on these items the head's slope reaches" in words for words in wrong.failed)
    assert not wrong.holds


def test_conditions_are_named() -> None:
    f1, f2, targets, weight = sample(11)
    worse = stitching_certificate(f1, f2, weight + 0.1, targets)
    assert [words for words in worse.failed if "not the best linear one on f2" in words]
    wide = stitching_certificate(np.random.default_rng(0).standard_normal((60, 60)), f2, weight, targets)
    assert any(words.startswith("saturated") for words in wide.failed)
    assert wide.misalignment == pytest.approx(0, abs=1e-20)
    with pytest.raises(ValueError, match=r"cv='press' needs more items .*leverage 1"):
        misalignment(np.eye(60), f2, cv="press")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"lipschitz": 1.0}, ValueError, "lipschitz must be None for a matrix"),
        ({"head": np.tanh}, ValueError, "a callable head needs lipschitz="),
        ({"head": np.tanh, "lipschitz": -1.0}, ValueError, "lipschitz must be finite and not negative, got -1.0"),
        ({"head": np.tanh, "lipschitz": "1"}, TypeError, "lipschitz must be a number, got '1'"),
        ({"head": np.tanh, "lipschitz": 1.0}, ValueError, "head must return the 3 columns of targets, got 4"),
        ({"head": lambda rows: rows[1:, :3], "lipschitz": 1.0}, ValueError, "one row per row, got 59 for 60"),
        (
            {"head": np.ones((2, 4))},
            ValueError,
            "4 columns to 3 targets, got a map of 4 to 2",
        ),
        ({"head": "linear"}, (TypeError, ValueError), "head must be|linear must end in"),
        ({"targets": np.ones((59, 3))}, ValueError, "targets must have the 60 rows of f1 and f2, got 59"),
        ({"targets": np.ones(60)}, ValueError, "targets must be 2-D"),
        ({"cv": 1}, ValueError, "cv must be between 2 and n = 60, got 1"),
        ({"cv": "loo"}, TypeError, "cv must be None, 'press' or a number of folds, got 'loo'"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, object], error: type[Exception], words: str) -> None:
    f1, f2, targets, weight = sample(12)
    arguments = {"head": weight, "targets": targets} | change
    with pytest.raises(error, match=words):
        stitching_certificate(f1, f2, **arguments)


def test_bad_heads_are_named() -> None:
    with pytest.raises(ValueError, match="weights must take what the layer before gives, got 3 outputs and 2 inputs"):
        MLPHead([np.ones((3, 4)), np.ones((2, 2))])
    with pytest.raises(ValueError, match="bias must be a finite number for each of 3 outputs, got"):
        LinearHead(np.ones((3, 4)), [1.0, 2.0])
    with pytest.raises(ValueError, match="weights must hold a layer and biases as many, got 0 and 0"):
        MLPHead([])
    with pytest.raises(ValueError, match="activation must be 'relu' or 'tanh'"):
        MLPHead([np.ones((3, 4))], activation="gelu")
    assert isinstance(misalignment(*sample(0)[:2]), ka.Score)
