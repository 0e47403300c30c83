"""What mmd does with options, degenerate samples and bad input."""

import kernalign as ka
import numpy as np
import pytest
from reference import alignment
from reference import two_samples as oracle
from test_mmd import ESTIMATORS, KERNELS, every_estimator, every_kernel, expected, samples, whole

# Preprocessing


@every_estimator
@pytest.mark.parametrize("kernel", ["linear", "cosine", "rbf"])
def test_preprocessing_comes_first(estimator, kernel):
    x, y = samples(30, 43, 5)
    together = alignment.standardized(np.vstack([x, y]))
    clip = [alignment.clipped(z, 0.8) for z in (x, y)]
    both = alignment.standardized(np.vstack(clip))
    for keywords, prepared in (
        ({"normalize": "l2"}, [alignment.l2_rows(x), alignment.l2_rows(y)]),
        ({"normalize": "standardize"}, [together[:30], together[30:]]),
        ({"clip_quantile": 0.8}, clip),
        ({"clip_quantile": 0.8, "normalize": "standardize"}, [both[:30], both[30:]]),
    ):
        score = ka.mmd(x, y, estimator=estimator, kernel=KERNELS[kernel], **keywords)
        assert score == pytest.approx(expected(*prepared, estimator, kernel), rel=1e-9, abs=1e-13)


def test_a_constant_column_of_both_samples_stays_out():
    x, y = samples(30, 43, 5)
    wide = [np.hstack([z, np.full((len(z), 1), 0.1)]) for z in (x, y)]
    assert ka.mmd(*wide, normalize="standardize") == pytest.approx(ka.mmd(x, y, normalize="standardize"), rel=1e-10)


# Input without a value, and bad input


@every_estimator
@pytest.mark.parametrize("kernel", [ka.RBF(), ka.Laplacian("median_offdiag")], ids=str)
def test_no_bandwidth_where_most_rows_are_equal(estimator, kernel):
    x, y = np.ones((20, 3)), np.ones((30, 3))
    x[:3] = np.random.default_rng(0).normal(size=(3, 3))
    with pytest.warns(
        ka.UndefinedScoreWarning, match="over half of the distances between rows of both samples"
    ) as caught:
        score = ka.mmd(x, y, estimator=estimator, kernel=kernel)
    assert np.isnan(score)
    assert caught[0].filename == __file__
    assert np.isfinite(ka.mmd(x, y, estimator=estimator, kernel=ka.RBF(1.0)))


@every_estimator
@every_kernel
@pytest.mark.parametrize("value", [0.1, 1e6])
def test_equal_rows_have_no_discrepancy_and_no_p_value(estimator, kernel, value):
    x, y = np.full((12, 3), value), np.full((9, 3), value)
    score = ka.mmd(x, y, estimator=estimator, kernel=KERNELS[kernel])
    size = 1 if kernel in ("cosine", "rbf", "laplacian") else oracle.grams(x, y, kernel)[0].max()
    assert score == pytest.approx(0, abs=1e-13 * size)
    assert score.p_value is None


@whole
@pytest.mark.parametrize("dtype,n", [(np.float64, 5), (np.float64, 60), (np.float32, 60)])
def test_equidistant_rows_have_no_p_value(estimator, dtype, n):
    """However they are dealt, the estimate is the same."""
    rows = np.eye(2 * n, dtype=dtype)
    score = ka.mmd(rows[:n], rows[n:], estimator=estimator, kernel=ka.RBF(1.0))
    if estimator == "unbiased":
        assert score == pytest.approx(0, abs=1e-7)
    assert score.p_value is None


@every_estimator
def test_overflow_has_a_reason(estimator):
    x, y = samples(20, 30, 4)
    with pytest.warns(ka.UndefinedScoreWarning, match="more than float64 can hold"):
        score = ka.mmd(1e200 * x, 1e200 * y, estimator=estimator, kernel=ka.Linear())
    assert np.isnan(score)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_columns_must_be_the_same(kernel):
    with pytest.raises(ValueError, match="x and y must have the same number of columns, got 3 and 4"):
        ka.mmd(np.ones((9, 3)), np.ones((9, 4)), kernel=KERNELS[kernel])


@pytest.mark.parametrize("estimator,least", [("unbiased", 2), ("biased", 2), ("linear-time", 4), ("block", 4)])
def test_too_few_rows_are_named(estimator, least):
    x, y = samples(least - 1, 9, 3)
    with pytest.raises(ValueError, match=rf"mmd \({estimator}\) of x needs at least {least} rows, got {least - 1}"):
        ka.mmd(x, y, estimator=estimator)
    with pytest.raises(ValueError, match=rf"mmd \({estimator}\) of y needs at least {least} rows, got {least - 1}"):
        ka.mmd(y, x, estimator=estimator)


def test_given_matrices_are_refused():
    with pytest.raises(ValueError, match="mmd needs the rows of both samples"):
        ka.mmd(np.eye(5), np.eye(5), kernel=ka.Precomputed())


def test_rows_without_a_direction_are_errors():
    x, y = samples(9, 12, 3)
    y[7] = 0
    with pytest.raises(ValueError, match=r"y must have no zero row .* row 7 is zero"):
        ka.mmd(x, y, kernel=ka.Cosine())
    with pytest.raises(ValueError, match="zero_rows must be 'error' where rows are not paired, got 'drop_pair'"):
        ka.mmd(x, y, kernel=ka.Cosine(), zero_rows="drop_pair")


@pytest.mark.parametrize("bad", ["debiased", "linear", "", None, 1])
def test_unknown_estimators_are_refused(bad):
    with pytest.raises(ValueError, match="estimator must be 'unbiased', 'biased', 'linear-time' or 'block', got"):
        ka.mmd(*samples(9, 9, 3), estimator=bad)


def test_other_bad_arguments_are_named():
    x, y = samples(9, 12, 3)
    with pytest.raises(TypeError, match="kernel must be one of"):
        ka.mmd(x, y, kernel="rbf")
    with pytest.raises(TypeError, match="unknown keyword argument 'bandwidth'"):
        ka.mmd(x, y, bandwidth=1.0)
    y[3, 1] = np.nan
    for estimator in ESTIMATORS:
        with pytest.raises(ValueError, match="y must be finite, got nan at row 3, column 1"):
            ka.mmd(x, y, estimator=estimator)
