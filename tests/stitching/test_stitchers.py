"""The stitching solvers against naive oracles: closed forms, streams, merges, files, and what must not matter."""

from __future__ import annotations

import pickle
import tracemalloc
import warnings

import kernalign as ka
import numpy as np
import pytest
from kernalign._base import checkpoint
from kernalign.stitching import (
    AffineStitcher,
    LeastSquaresState,
    LinearStitcher,
    LowRankStitcher,
    ProcrustesStitcher,
    RelativeRepresentation,
    RidgeStitcher,
    load_stitcher,
    ridge_path,
)
from kernalign.stitching.estimator import NotFittedError
from reference import stitching as oracle
from samples import orthogonal, related

SHAPES = [(3000, 7, 4), (200, 7, 4), (40, 7, 4), (12, 20, 5), (30, 29, 1), (30, 30, 2), (5, 1, 3)]
EVERY = [AffineStitcher(), RidgeStitcher(2.0), RidgeStitcher(), ProcrustesStitcher(), LowRankStitcher(2)]
ALPHAS = np.logspace(-3, 4, 8)


def shifted(n, p, q, seed=0):
    x, y = related(n, p, q, seed)
    return x + 3, 2 * y - 5


def assert_same_map(a: LinearStitcher, b: LinearStitcher, rtol: float = 1e-9) -> None:
    scale = np.abs(a.coef_).max()
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=rtol, atol=rtol * scale)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize(("n", "p", "q"), SHAPES)
def test_affine_is_least_squares_of_least_norm(n: int, p: int, q: int) -> None:
    x, y = shifted(n, p, q)
    fitted = AffineStitcher().fit(x, y)
    coef, intercept, predicted = oracle.least_squares(x, y)
    np.testing.assert_allclose(fitted.coef_, coef.T, atol=1e-9)
    np.testing.assert_allclose(fitted.intercept_, intercept, atol=1e-8)
    np.testing.assert_allclose(fitted.transform(x), predicted, atol=1e-9)
    assert fitted.rank_ == min(n - 1, p)
    assert fitted.residual_ == pytest.approx(oracle.risk(predicted, y), abs=1e-12)
    whole = fitted.score(x, y, multioutput="variance_weighted")
    assert whole == pytest.approx(1 - oracle.risk(predicted, y) / y.var(axis=0).sum(), abs=1e-12)
    assert (fitted.n_features_in_, fitted.n_samples_seen_) == (p, n)


@pytest.mark.parametrize("alpha", [1e-6, 0.5, 1e5])
@pytest.mark.parametrize(("n", "p", "q"), SHAPES)
def test_ridge_solves_its_normal_equations(n: int, p: int, q: int, alpha: float) -> None:
    x, y = shifted(n, p, q)
    coef, intercept = oracle.ridge(x, y, alpha)
    fitted = RidgeStitcher(alpha).fit(x, y)
    np.testing.assert_allclose(fitted.coef_, coef.T, atol=1e-6 * np.abs(coef).max())
    np.testing.assert_allclose(fitted.intercept_, intercept, atol=1e-5)
    np.testing.assert_allclose(ridge_path(x, y, [alpha]).coef(alpha), fitted.coef_.T, atol=1e-7 * np.abs(coef).max())


@pytest.mark.parametrize("n", [60, 3000])
@pytest.mark.parametrize("alpha", [1e-30, 1e-20, 1e-12])
def test_a_tiny_penalty_does_not_blow_up_what_is_rounding(n: int, alpha: float) -> None:
    x, y = shifted(n, 5, 2)
    x = np.hstack([x, x[:, :1] + x[:, 1:2], np.full((n, 1), 7.0)])
    least = AffineStitcher().fit(x, y)
    assert least.rank_ == 5
    assert_same_map(RidgeStitcher(alpha).fit(x, y), least, 1e-8)
    with pytest.warns(ka.AlignmentWarning, match="moments square it"):
        assert_same_map(RidgeStitcher(alpha).fit_moments(ka.Moments().update(x, y)), least, 1e-8)


def test_ridge_without_penalty_is_least_squares() -> None:
    for n in (200, 12):
        x, y = shifted(n, 20, 4)
        affine = AffineStitcher().fit(x, y)
        assert_same_map(RidgeStitcher(0).fit(x, y), affine)
        assert_same_map(RidgeStitcher(1e-11).fit(x, y), affine, rtol=1e-6)


@pytest.mark.parametrize(("n", "p", "q"), [(60, 7, 4), (12, 20, 3), (30, 29, 1)])
def test_path_is_gcv_and_explicit_deletion(n: int, p: int, q: int) -> None:
    x, y = shifted(n, p, q)
    path = ridge_path(x, y, ALPHAS, leave_one_out=True)
    assert path.loo is not None
    for row, alpha in enumerate(ALPHAS):
        np.testing.assert_allclose(path.gcv[row], oracle.ridge_gcv(x, y, alpha), rtol=1e-7)
        np.testing.assert_allclose(path.loo[row], oracle.ridge_left_out(x, y, alpha), rtol=1e-6)
    assert path.best == ALPHAS[path.loo.sum(axis=1).argmin()]


def test_gcv_is_kare() -> None:
    """A29 on centred data: the same number but for the one degree of freedom that the mean takes."""
    x, y = shifted(40, 6, 3)
    for alpha, row in zip(ALPHAS, ridge_path(x, y, ALPHAS).gcv, strict=True):
        np.testing.assert_allclose(row, oracle.kare(x, y, alpha), rtol=1e-8)


def test_gcv_chooses_the_best_of_its_grid_and_reports_it() -> None:
    x, y = shifted(60, 40, 4)
    fitted = RidgeStitcher("gcv", alphas=ALPHAS).fit(x, y)
    scores = [oracle.ridge_gcv(x, y, alpha).sum() for alpha in ALPHAS]
    assert fitted.alpha_ == ALPHAS[np.argmin(scores)]
    assert 0 < np.argmin(scores) < len(ALPHAS) - 1, "the sample must ask for a penalty inside the grid"
    np.testing.assert_array_equal(fitted.alphas_, ALPHAS)
    np.testing.assert_allclose(fitted.gcv_.sum(axis=1), scores, rtol=1e-7)
    np.testing.assert_allclose(fitted.coef_, oracle.ridge(x, y, fitted.alpha_)[0].T, atol=1e-9)
    default = RidgeStitcher().fit(x, y)
    assert default.gcv_.sum(axis=1).min() <= min(scores) * 1.01
    assert RidgeStitcher(1.0).fit(x, y).gcv_ is None


def test_saturated_penalties_are_never_chosen() -> None:
    """Without a degree of freedom left, residual and denominator of GCV are both rounding."""
    x, y = shifted(12, 20, 2)
    path = ridge_path(x, y, [0.0, 1e-30, 10.0], leave_one_out=True)
    assert np.isinf(path.gcv[:2]).all()
    assert path.loo is not None
    assert np.isinf(path.loo[:2]).all()
    assert path.best == 10.0


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize(("n", "p", "q"), [(50, 5, 5), (50, 3, 6), (50, 6, 3), (4, 6, 6), (2000, 5, 4)])
def test_procrustes_is_the_padded_orthogonal_map(n: int, p: int, q: int, scale: bool) -> None:
    x, y = shifted(n, p, q)
    size, rotation, xc, yc = oracle.procrustes(x, y, scale)
    fitted = ProcrustesStitcher(scale=scale).fit(x, y)
    assert fitted.scale_ == pytest.approx(size, rel=1e-12)
    if n > p:  # otherwise the best rotation is not unique
        np.testing.assert_allclose(fitted.coef_, size * rotation[:p, :q].T, atol=1e-9)
    found = ((fitted.transform(x) - y) ** 2).sum() / n
    assert fitted.residual_ == pytest.approx(found, rel=1e-9)
    if p <= q:
        assert found == pytest.approx(((size * xc @ rotation - yc) ** 2).sum() / n, rel=1e-9)
    gram = fitted.coef_.T @ fitted.coef_ if p <= q else fitted.coef_ @ fitted.coef_.T
    np.testing.assert_allclose(gram, fitted.scale_**2 * np.eye(min(p, q)), atol=1e-12)


def test_procrustes_finds_a_known_similarity() -> None:
    x = related(60, 5, 2)[0]
    rotation = orthogonal(5, 3)
    fitted = ProcrustesStitcher().fit(x, 2.5 * x @ rotation + [1, 2, 3, 4, 5])
    np.testing.assert_allclose(fitted.coef_, 2.5 * rotation.T, atol=1e-12)
    np.testing.assert_allclose(fitted.intercept_, [1, 2, 3, 4, 5], atol=1e-12)
    assert fitted.residual_ == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("d", [3, 5])
def test_reflection_is_the_better_of_two_rotations_in_odd_dimensions(d: int) -> None:
    """A28: running Kabsch on y and on -y, as published, searches all of O(d) because det(-I) = -1."""
    for seed in range(6):
        x, y = shifted(40, d, d, seed)
        y = y @ np.diag([-1.0] + [1.0] * (d - 1)) if seed % 2 else y
        free = ProcrustesStitcher(scale=False).fit(x, y)
        proper = ProcrustesStitcher(scale=False, reflection=False).fit(x, y)
        mirrored = ProcrustesStitcher(scale=False, reflection=False).fit(x, -y)
        np.testing.assert_allclose(proper.coef_, oracle.kabsch_rotation(x, y).T, atol=1e-10)
        assert np.linalg.det(proper.coef_) == pytest.approx(1)
        assert free.residual_ == pytest.approx(min(proper.residual_, mirrored.residual_))


@pytest.mark.parametrize(("n", "p", "q"), [(60, 7, 5), (3000, 4, 6), (12, 20, 5)])
def test_low_rank_curve(n: int, p: int, q: int) -> None:
    """A27: the residual formula at every rank, and full rank is least squares."""
    x, y = shifted(n, p, q)
    top = min(n - 1, p, q)
    for rank in range(1, top + 1):
        fitted = LowRankStitcher(rank).fit(x, y)
        np.testing.assert_allclose(fitted.coef_, oracle.low_rank(x, y, rank).T, atol=1e-9)
        assert fitted.rank_ == np.linalg.matrix_rank(fitted.coef_) == rank
        assert fitted.residual_ == pytest.approx(fitted.residual_curve_[rank], rel=1e-9, abs=1e-12)
        assert fitted.residual_ == pytest.approx(oracle.risk(fitted.transform(x), y), rel=1e-9, abs=1e-12)
    assert len(fitted.residual_curve_) == top + 1
    assert fitted.residual_curve_[0] == pytest.approx(y.var(axis=0).sum())
    assert (np.diff(fitted.residual_curve_) <= 0).all()
    assert_same_map(LowRankStitcher(99).fit(x, y), AffineStitcher().fit(x, y))


@pytest.mark.parametrize("centre", [False, True])
def test_relative_representation_is_the_cosines_with_anchors(centre: bool) -> None:
    """A32: invariant to orthogonal maps and scale, and to translation if and only if it is centred."""
    x = shifted(30, 6, 2)[0]
    got = RelativeRepresentation(x[:8], centred=centre).fit().transform(x)
    np.testing.assert_allclose(got, oracle.relative(x, x[:8], centre), atol=1e-12)
    turned = 7.0 * x @ orthogonal(6)
    other = RelativeRepresentation(turned[:8], centred=centre).fit(turned).transform(turned)
    np.testing.assert_allclose(other, got, atol=1e-12)
    moved = x + 2.0
    other = RelativeRepresentation(moved[:8], centred=centre).fit().transform(moved)
    assert np.allclose(other, got, atol=1e-10) is centre


def test_relative_representation_bears_with_any_scale_and_names_a_zero_row() -> None:
    x = shifted(30, 6, 2)[0]
    plain = RelativeRepresentation(x[:4]).fit().transform(x)
    np.testing.assert_allclose(RelativeRepresentation(x[:4] * 1e-200).fit().transform(x * 1e200), plain, atol=1e-12)
    x[11] = 0
    with pytest.raises(ValueError, match=r"x must have no zero row .* row 11"):
        RelativeRepresentation(x[:4]).fit().transform(x)
    with pytest.raises(ValueError, match=r"anchors must have no zero row .* row 1"):
        RelativeRepresentation(x[10:12]).fit()
    with pytest.raises(ValueError, match="x must have the 6 columns of the anchors, got 5"):
        RelativeRepresentation(x[:4]).fit().transform(x[:, :5])
    with pytest.raises(ValueError, match="x must have the 6 columns of the anchors, got 5"):
        RelativeRepresentation(x[:4]).fit(x[:, :5])
    for use in (lambda one: one.transform(x), lambda one: one.n_features_in_, lambda one: one._n_features_out):
        with pytest.raises(NotFittedError, match="RelativeRepresentation is not fitted yet"):
            use(RelativeRepresentation(x[:4]))


@pytest.mark.parametrize("stitcher", EVERY, ids=repr)
@pytest.mark.parametrize("condition", [1.0, 1e9])
def test_batches_do_not_change_one_bit(stitcher: LinearStitcher, condition: float) -> None:
    """A27; rows are cut into chunks counted from the start, whatever the batches and their layout were."""
    x, y = shifted(5000, 6, 3)
    x[:, 0] += condition * x[:, 1]
    whole = type(stitcher)(**stitcher.get_params()).fit(x, y)
    for sizes in ([1, 17, 982, 4000], [2500, 2500]):
        stream, begin = type(stitcher)(**stitcher.get_params()), 0
        for size in sizes:
            stream.partial_fit(np.asfortranarray(x[begin : begin + size]), y[begin : begin + size])
            stream.transform(x[:1]) if begin else None  # looking at the map must not disturb the stream
            begin += size
        np.testing.assert_array_equal(stream.coef_, whole.coef_)
        np.testing.assert_array_equal(stream.intercept_, whole.intercept_)
        assert stream.solver_ == whole.solver_


@pytest.mark.parametrize("stitcher", EVERY, ids=repr)
@pytest.mark.parametrize("sizes", [[2500, 2500], [1, 4999], [20, 30, 4950], [1500, 2, 3498]])
def test_merged_streams_are_one_stream(stitcher: LinearStitcher, sizes: list[int]) -> None:
    x, y = shifted(5000, 6, 3)
    x += np.linspace(0, 50, 5000)[:, None]  # every part has a mean of its own
    whole = type(stitcher)(**stitcher.get_params()).fit(x, y)
    merged, begin = type(stitcher)(**stitcher.get_params()), 0
    for size in sizes:
        part = type(stitcher)().set_params(**stitcher.get_params()) if not stitcher.get_params().get("rank") else None
        part = part or LowRankStitcher(2)
        merged.merge(part.partial_fit(x[begin : begin + size], y[begin : begin + size]))
        begin += size
    assert merged.n_samples_seen_ == 5000
    assert_same_map(merged, whole, rtol=1e-8)
    assert merged.residual_ == pytest.approx(whole.residual_, rel=1e-9)


@pytest.mark.filterwarnings("ignore:.* columns hardly vary")
@pytest.mark.parametrize("kind", ["rotated", "columns", "late"])
@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("exponent", [2, 4, 6, 8, 10, 12])
def test_stream_is_as_good_as_its_condition_allows(kind: str, noise: float, exponent: int) -> None:
    """Condition numbers 1e2 to 1e12 against extended precision; "late": the stream turns bad only after a chunk."""
    rng = np.random.default_rng(exponent)
    n, p, q, condition = 2400, 6, 2, 10.0**exponent
    x = rng.standard_normal((n, p))
    if kind == "late":
        x[1500:] = orthogonal(p)[0] * x[1500:, :1] * condition
    else:
        x *= np.logspace(0, -exponent, p)
        x = x @ orthogonal(p) if kind == "rotated" else x
    y = x @ rng.standard_normal((p, q))
    y += noise * y.std() * rng.standard_normal((n, q))
    stream = AffineStitcher()
    for begin in range(0, n, 700):
        stream.partial_fit(x[begin : begin + 700], y[begin : begin + 700])
    coef, residual = oracle.longdouble_least_squares(x, y)
    error = np.linalg.norm(stream.coef_.T - coef) / np.linalg.norm(coef)
    sensitivity = condition + noise * condition**2 * (np.linalg.norm(y) / np.linalg.norm(x) / np.linalg.norm(coef))
    assert error < max(50 * np.finfo(float).eps * sensitivity, 1e-8)
    assert error < 1e-3, "better than normal equations at 1e8, whatever the bound says"
    assert stream.residual_ == pytest.approx(residual, rel=1e-7, abs=1e-24 * (y**2).sum())
    assert stream.rank_ == p
    if kind == "rotated" and exponent != 4:  # there it is a close thing
        assert stream.solver_ == ("normal equations" if noise and exponent < 4 else "tsqr")
    assert_same_map(AffineStitcher().fit(x, y), stream, rtol=0)


def test_products_that_lost_digits_are_not_merged_into_a_map_that_needs_them() -> None:
    x, y = shifted(3000, 4, 2)
    x = np.hstack([x, x[:, :1] + 1e-7 * np.random.default_rng(0).standard_normal((3000, 1))])
    turned = ProcrustesStitcher().fit(x, y)
    for stitcher in (AffineStitcher(), AffineStitcher().partial_fit(x, y)):
        with pytest.raises(ValueError, match="AffineStitcher must not be merged with a ProcrustesStitcher"):
            stitcher.merge(turned)
    with pytest.raises(ValueError, match="products_only"):
        LeastSquaresState().merge(LeastSquaresState(products_only=True).update(x, y))
    affine = AffineStitcher().fit(x, y)
    assert_same_map(ProcrustesStitcher().merge(affine), turned)


def test_extreme_magnitudes_are_an_error_not_a_map_of_zeros() -> None:
    x, y = shifted(50, 3, 2)
    for stitcher, scale in ((ProcrustesStitcher(), 1e160), (AffineStitcher(), 5e307), (RidgeStitcher(), 5e307)):
        with pytest.raises(ValueError, match="x is too large: its largest magnitude must be between"):
            stitcher.fit(np.sign(x - 3) * 3 * scale, y)


def test_a_path_has_no_map_for_a_negative_penalty() -> None:
    with pytest.raises(ValueError, match="alpha must be finite and not negative, got -5"):
        ridge_path(*shifted(20, 3, 2)).coef(-5.0)


@pytest.mark.parametrize("method", ["_flush", "_accepts", "_append"])
def test_an_interrupt_leaves_the_state_as_it_was(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = shifted(5000, 4, 2)
    x[:, 3] = x[:, 0] + 1e-7 * x[:, 3]  # so that triangles are needed
    state = LeastSquaresState().update(x[:700], y[:700])
    other = LeastSquaresState().update(x[3000:], y[3000:])
    real = getattr(LeastSquaresState, method)

    def interrupted(self, *given):
        real(self, *given)
        raise KeyboardInterrupt

    for act in (lambda: state.update(x[700:], y[700:]), lambda: state.merge(other)):
        with monkeypatch.context() as patched:
            patched.setattr(LeastSquaresState, method, interrupted)
            with pytest.raises(KeyboardInterrupt):
                act()
        assert state.n == 700
        np.testing.assert_array_equal(
            state.finish().least_norm, LeastSquaresState().update(x[:700], y[:700]).finish().least_norm
        )


def test_unfitted_stitchers_merge_and_stay_unfitted() -> None:
    merged = AffineStitcher().merge(AffineStitcher())
    assert not merged.__sklearn_is_fitted__()
    assert not hasattr(merged, "coef_")


def test_a_map_without_rows_takes_no_further_ones(tmp_path) -> None:
    x, y = shifted(50, 3, 2)
    AffineStitcher().fit(x, y).save(tmp_path / "map.npz")
    for stitcher in (load_stitcher(tmp_path / "map.npz"), AffineStitcher().fit_moments(ka.Moments().update(x, y))):
        before = stitcher.coef_
        with pytest.raises(ValueError, match="holds no rows to add to"):
            stitcher.partial_fit(x, y)
        np.testing.assert_array_equal(stitcher.coef_, before)


def test_dead_columns_and_rank_deficiency() -> None:
    x, y = shifted(4000, 6, 3)
    plain = AffineStitcher().fit(x, y)
    dead = AffineStitcher().fit(np.insert(x, 2, 7.0, axis=1), y)
    assert (dead.solver_, dead.rank_) == ("normal equations", 6)
    np.testing.assert_allclose(dead.coef_, np.insert(plain.coef_, 2, 0.0, axis=1), atol=1e-12)
    twice = AffineStitcher().fit(np.hstack([x, x[:, :1]]), y)
    assert (twice.solver_, twice.rank_) == ("tsqr", 6)
    np.testing.assert_allclose(twice.coef_, oracle.least_squares(np.hstack([x, x[:, :1]]), y)[0].T, atol=1e-9)
    revived = x.copy()
    revived[:2500, 1] = 0  # a column that wakes up after the first chunks
    np.testing.assert_allclose(AffineStitcher().fit(revived, y).coef_, oracle.least_squares(revived, y)[0].T, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-170, 1e-100, 1e100, 1e150])
def test_scale_of_the_data_does_not_matter(scale: float) -> None:
    """Squares of these under- or overflow or come near it; the triangle never squares."""
    x, y = shifted(3000, 5, 2)
    plain, scaled = AffineStitcher().fit(x, y), AffineStitcher().fit(x * scale, y)
    np.testing.assert_allclose(scaled.coef_ * scale, plain.coef_, rtol=1e-9)
    if scale < 1e-150:
        with pytest.raises(ValueError, match="y is too small: its largest magnitude must be between"):
            AffineStitcher().fit(x, y * scale)  # residual_ would be 0
    else:
        np.testing.assert_allclose(AffineStitcher().fit(x, y * scale).coef_ / scale, plain.coef_, rtol=1e-9)


def test_a_large_mean_costs_nothing() -> None:
    x, y = shifted(3000, 5, 2)
    moved = AffineStitcher().fit(x + 1e8, y)
    np.testing.assert_allclose(moved.coef_, AffineStitcher().fit((x + 1e8) - 1e8, y).coef_, rtol=1e-9)


def test_stream_memory_does_not_grow() -> None:
    x, y = shifted(4000, 16, 8)
    stream = AffineStitcher().partial_fit(x, y)
    tracemalloc.start()
    for _ in range(50):
        stream.partial_fit(x, y)
    grown, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert stream.coef_.shape == (8, 16)
    assert grown < 100_000
    assert peak < 10 * x.nbytes  # 50 batches are 50 x.nbytes and more


@pytest.mark.parametrize("stitcher", EVERY, ids=repr)
def test_moments_give_the_same_map(stitcher: LinearStitcher) -> None:
    x, y = shifted(5000, 20, 16)
    rows = type(stitcher)(**stitcher.get_params()).fit(x, y)
    moments = ka.Moments().update(x[:100], y[:100]).update(x[100:], y[100:])
    finished = type(stitcher)(**stitcher.get_params()).fit_moments(moments)
    assert_same_map(finished, rows)
    assert finished.residual_ == pytest.approx(rows.residual_, rel=1e-9)
    assert (finished.solver_, finished.n_samples_seen_) == ("normal equations", 5000)
    single = ka.Moments().update(x.astype(np.float32), y.astype(np.float32))
    assert_same_map(type(stitcher)(**stitcher.get_params()).fit_moments(single), rows, rtol=1e-4)


def test_moments_say_when_they_cost_digits() -> None:
    x, y = shifted(5000, 20, 16)
    x[:, 1] = x[:, 0] + 1e-8 * x[:, 1]
    moments = ka.Moments().update(x, y)
    with pytest.warns(ka.AlignmentWarning, match=r"x has condition number .*partial_fit"):
        AffineStitcher().fit_moments(moments)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ProcrustesStitcher().fit_moments(moments)  # inverts nothing
    with pytest.warns(ka.AlignmentWarning, match="partial_fit"):  # fewer items than columns: the rank is found
        fitted = AffineStitcher().fit_moments(ka.Moments().update(x[:12], y[:12]))
    assert fitted.rank_ == 11
    np.testing.assert_allclose(fitted.transform(x[:12]), y[:12], atol=1e-6)


def test_moments_of_low_rank_are_sure_of_what_is_kept() -> None:
    latent, y = shifted(2000, 6, 4)
    x = (latent @ np.random.default_rng(1).standard_normal((6, 20))).astype(np.float32)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*condition number")
        warnings.filterwarnings("ignore", message=".*are no longer than the rounding of float32")
        fitted = AffineStitcher().fit_moments(ka.Moments().update(x, y))
        rows = AffineStitcher().fit(x, y)
    assert fitted.rank_ == rows.rank_ == 6
    np.testing.assert_allclose(fitted.transform(x), rows.transform(x), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("stitcher", EVERY, ids=repr)
def test_files_and_pickles_keep_the_map(stitcher: LinearStitcher, tmp_path) -> None:
    x, y = shifted(50, 6, 3)
    fitted = type(stitcher)(**stitcher.get_params()).fit(x, y)
    fitted.save(tmp_path / "map.npz")
    for other in (load_stitcher(tmp_path / "map.npz"), pickle.loads(pickle.dumps(fitted))):
        assert type(other) is type(fitted)
        assert other.get_params() == fitted.get_params()
        np.testing.assert_array_equal(other.transform(x), fitted.transform(x))
        names = [n for n in dir(fitted) if n.endswith("_") and not n.startswith("_")]
        assert len(names) >= 6
        for name in names:
            np.testing.assert_array_equal(getattr(other, name), getattr(fitted, name))
    with pytest.raises(FileExistsError):
        fitted.save(tmp_path / "map.npz")
    fitted.save(tmp_path / "map.npz", overwrite=True)
    with pytest.raises(ValueError, match="hold no rows to merge"):
        load_stitcher(tmp_path / "map.npz").merge(fitted)


def test_damaged_stitcher_files_are_one_error(tmp_path) -> None:
    x, y = shifted(50, 6, 3)
    AffineStitcher().fit(x, y).save(tmp_path / "map.npz")
    whole = (tmp_path / "map.npz").read_bytes()
    for number, content in enumerate((b"", whole[:100], whole[:-30], b"PK" + whole[2:90], b"text")):
        path = tmp_path / f"{number}.npz"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"is (not a stitcher file|damaged)"):
            load_stitcher(path)
    for seed in range(300):
        rng, content = np.random.default_rng(seed), bytearray(whole)
        for _ in range(4):
            content[rng.integers(len(content))] = rng.integers(256)
        (tmp_path / "hit.npz").write_bytes(content)
        if bytes(content) != whole:
            with pytest.raises(ValueError, match=r"is (not a stitcher file|damaged)"):
                load_stitcher(tmp_path / "hit.npz")
    np.savez(tmp_path / "other.npz", coef=x)
    with pytest.raises(ValueError, match="is not a stitcher file"):
        load_stitcher(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        load_stitcher(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("parts", "facts"),
    [
        ({"coef": np.full((6, 3), np.nan)}, {}),
        ({"coef": np.full((6, 3), "a")}, {}),
        ({"coef": np.ones((6, 3), complex)}, {}),
        ({"coef": np.ones((6, 4))}, {}),
        ({}, {"n": "many"}),
        ({}, {"residual": None}),
        ({}, {"stitcher": "LowRankStitcher", "parameters": {"rank": 2}}),
        ({}, {"stitcher": "LinearStitcher"}),
        ({}, {"parameters": {"rank": 2}}),
    ],
)
def test_files_with_a_wrong_content_are_one_error(parts, facts, tmp_path) -> None:
    known = {"stitcher": "AffineStitcher", "parameters": {}, "n": 50, "residual": 0.5, "solver": "tsqr"}
    whole = {"coef": np.ones((6, 3)), "intercept": np.zeros(3), "rank": 6}
    checkpoint.write(tmp_path / "right", "stitcher", known, whole, overwrite=False)
    assert load_stitcher(tmp_path / "right").transform(np.ones((1, 6))).tolist() == [[6.0] * 3]
    checkpoint.write(tmp_path / "wrong", "stitcher", known | facts, whole | parts, overwrite=False)
    with pytest.raises(ValueError, match=r"wrong is malformed"):
        load_stitcher(tmp_path / "wrong")


@pytest.mark.parametrize(
    ("stitcher", "error", "words"),
    [
        (RidgeStitcher("best"), ValueError, "alpha must be a number, 'gcv' or 'loo', got 'best'"),
        (RidgeStitcher(-1.0), ValueError, "alpha must be finite and not negative, got -1.0"),
        (RidgeStitcher(np.nan), ValueError, "alpha must be finite"),
        (RidgeStitcher(None), TypeError, "alpha must be a number, got None"),
        (RidgeStitcher(True), TypeError, "alpha must be a number, got True"),
        (RidgeStitcher("gcv", alphas=[]), ValueError, "alphas must be a number or a sequence of at least one"),
        (RidgeStitcher("gcv", alphas=[1.0, -1.0]), ValueError, "alphas must be finite and not negative"),
        (RidgeStitcher("gcv", alphas="many"), TypeError, "alphas must be numbers"),
        (LowRankStitcher(0), ValueError, "rank must be at least 1, got 0"),
        (LowRankStitcher(1.5), TypeError, "rank must be an integer, got 1.5"),
        (ProcrustesStitcher(scale=2.0), TypeError, "scale must be True or False, got 2.0"),
        (ProcrustesStitcher(reflection=None), TypeError, "reflection must be True or False, got None"),
    ],
)
def test_parameters_are_checked_when_fitting(stitcher: LinearStitcher, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        stitcher.fit(*shifted(20, 3, 2))


def test_bad_rows_are_named_and_leave_the_stream_as_it_was() -> None:
    x, y = shifted(50, 6, 3)
    stream = AffineStitcher().partial_fit(x, y)
    before = stream.coef_.copy()
    broken = x.copy()
    broken[40, 2] = np.inf
    with pytest.raises(ValueError, match="x must be finite, got inf at row 40, column 2"):
        stream.partial_fit(broken, y)
    with pytest.raises(ValueError, match="x must have the 6 columns of the rows before, got 5"):
        stream.partial_fit(x[:, :5], y)
    with pytest.raises(ValueError, match="same number of rows, got 50 and 49"):
        stream.partial_fit(x, y[:49])
    with pytest.raises(ValueError, match="x must have the 6 columns of the fit, got 5"):
        stream.transform(x[:, :5])
    with pytest.raises(TypeError, match=r"moments must be a kernalign\.Moments, got ndarray"):
        stream.fit_moments(x)
    with pytest.raises(ValueError, match="AffineStitcher needs at least 2 rows, got 1"):
        AffineStitcher().fit(x[:1], y[:1])
    assert stream.n_samples_seen_ == 50
    np.testing.assert_array_equal(stream.coef_, before)
    with pytest.raises(ValueError, match="same columns"):
        stream.merge(AffineStitcher().partial_fit(x[:, :4], y))
    assert_same_map(stream.merge(AffineStitcher()), AffineStitcher().fit(x, y))


def test_score_of_a_constant_is_undefined() -> None:
    x = shifted(50, 6, 3)[0]
    fitted = AffineStitcher().fit(x, np.ones((50, 1)))
    with pytest.warns(ka.UndefinedScoreWarning, match="R\\^2 is undefined: y is constant"):
        assert np.isnan(fitted.score(x, np.ones((50, 1))))
    assert fitted.residual_ == 0
    with pytest.warns(ka.UndefinedScoreWarning, match="R\\^2 is undefined: squares overflow float64"):
        assert np.isnan(fitted.score(x, 1e200 * x[:, :1]))


def test_a_state_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="other must be a LeastSquaresState, got int"):
        LeastSquaresState().merge(3)
    with pytest.raises(ValueError, match=r"most must be an exponent of x and one of y, got \[1\]"):
        LeastSquaresState().finish(most=[1])


def test_constant_x_maps_to_the_mean() -> None:
    y = shifted(50, 6, 3)[1]
    for stitcher in (AffineStitcher(), RidgeStitcher(), RidgeStitcher(1.0), ProcrustesStitcher(), LowRankStitcher(1)):
        fitted = stitcher.fit(np.full((50, 4), 3.0), y)
        np.testing.assert_allclose(fitted.transform(np.full((1, 4), 3.0))[0], y.mean(axis=0), atol=1e-12)


@pytest.mark.slow
def test_a_million_rows_by_256() -> None:
    """The stream equals the fit in memory, which holds 1.1 GB more."""

    def batch(number: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(number)
        x = rng.standard_normal((10_000, 256), dtype=np.float32)
        return x, x[:, :8] + rng.standard_normal((10_000, 8), dtype=np.float32)

    stream = AffineStitcher()
    for number in range(100):
        stream.partial_fit(*batch(number))
    x, y = np.empty((1_000_000, 256), np.float32), np.empty((1_000_000, 8), np.float32)
    for number in range(100):
        x[number * 10_000 : (number + 1) * 10_000], y[number * 10_000 : (number + 1) * 10_000] = batch(number)
    whole = AffineStitcher().fit(x, y)
    assert_same_map(stream, whole, rtol=1e-8)
    assert stream.solver_ == "normal equations"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f8", np.int16])
def test_dtype_and_layout_do_not_matter(dtype) -> None:
    x, y = shifted(300, 8, 3)
    x = (10 * x).astype(dtype)
    wide = np.repeat(x, 2, axis=1)[:, ::2]
    wide.flags.writeable = False
    plain = AffineStitcher().fit(x.astype(np.float64), y)
    for given in (x, wide, np.asfortranarray(x), x[::-1][::-1]):
        fitted = AffineStitcher().fit(given, y)
        np.testing.assert_array_equal(fitted.coef_, plain.coef_)
        np.testing.assert_array_equal(fitted.transform(given), plain.transform(x.astype(np.float64)))


def test_states_refuse_what_they_cannot_merge() -> None:
    x, y = shifted(50, 6, 3)
    state = LeastSquaresState().update(x, y)
    with pytest.raises(TypeError, match="other must be a LeastSquaresState, got ndarray"):
        state.merge(x)
    with pytest.raises(TypeError, match="other must be a stitcher, got int"):
        AffineStitcher().merge(3)
    with pytest.raises(ValueError, match="needs at least one row, got 0"):
        LeastSquaresState().finish()
    with pytest.raises(ValueError, match="AffineStitcher needs at least 2 rows, got 0"):
        AffineStitcher().fit_moments(ka.Moments())
    twin = state.copy().update(x, y)
    assert (state.n, twin.n) == (50, 100)
    np.testing.assert_allclose(twin.finish().least_squares()[0], state.finish().least_squares()[0], atol=1e-12)


def test_leaving_one_out_is_not_fooled_by_an_item_that_comes_twice():
    """With p >= n and a repeated item the GCV score goes to 0 with alpha; the leave-one-out error does not."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 80)), rng.normal(size=(60, 3))
    x, y = np.vstack([x, x[:1]]), np.vstack([y, y[:1] + 1e-6])
    fooled, chosen = RidgeStitcher("gcv").fit(x, y), RidgeStitcher("loo").fit(x, y)
    fresh, target = rng.normal(size=(500, 80)), rng.normal(size=(500, 3))
    assert chosen.alpha_ > 1e3 * fooled.alpha_
    assert ((chosen.transform(fresh) - target) ** 2).mean() < ((fooled.transform(fresh) - target) ** 2).mean()
    path = ridge_path(x, y, leave_one_out=True)
    assert chosen.alpha_ == path.best
    np.testing.assert_allclose(chosen.coef_, RidgeStitcher(chosen.alpha_).fit(x, y).coef_, rtol=1e-8, atol=1e-10)


def test_leaving_one_out_needs_the_rows():
    x, y = np.random.default_rng(0).normal(size=(2, 20, 3))
    with pytest.raises(ValueError, match="alpha='loo' needs all rows at once: use fit"):
        RidgeStitcher("loo").partial_fit(x, y).transform(x)
