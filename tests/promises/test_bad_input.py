"""Bad arrays and arguments: one clear error, or a documented nan with its reason, never a crash or a wrong number."""

import warnings

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from kernalign._rows import on_device
from samples import related
from scipy import sparse

METRICS = ("cka", "hsic", "kernel_alignment")
every_metric = pytest.mark.parametrize("name", METRICS)
both_routes = pytest.mark.parametrize("shape", [(60, 4, 6), (24, 40, 30)], ids=["feature", "gram"])


def call(name, x, y, **keywords):
    return getattr(ka, name)(x, y, **keywords)


# Shape


@every_metric
def test_different_row_counts_are_both_named(name):
    x, y = related(10, 3, 2)
    with pytest.raises(ValueError, match="x and y must have the same number of rows, got 10 and 9"):
        call(name, x, y[:9])


@pytest.mark.parametrize("name", ["cka", "hsic"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_unbiased_estimators_need_four_items(name, n):
    with pytest.raises(ValueError, match=rf"{name}.*at least 4 rows, got {n}"):
        call(name, *related(n, 3, 2))


@every_metric
def test_one_item_has_no_structure(name):
    with pytest.raises(ValueError, match=rf"{name}.*at least 2 rows, got 1"):
        call(name, *related(1, 3, 2), estimator="biased")


@every_metric
@pytest.mark.parametrize("bad", [np.float64(3), np.arange(10.0), np.zeros((10, 3, 2)), [np.zeros((10, 2))] * 3])
def test_only_two_dimensions_are_accepted(name, bad):
    x, _ = related(10, 3, 2)
    shape = rf"got shape \({', '.join(map(str, np.shape(bad)))}"
    with pytest.raises(ValueError, match=rf"x must be 2-D .*{shape}"):
        call(name, bad, x)
    with pytest.raises(ValueError, match=rf"y must be 2-D .*{shape}"):
        call(name, x, bad)


@every_metric
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("shape", [(0, 3), (10, 0), (0, 0)], ids=str)
def test_empty_arrays_are_refused(name, kind, shape):
    with pytest.raises(ValueError, match=rf"x must have at least one row and one column, got shape \({shape[0]}, "):
        call(name, np.zeros(shape, kind), np.zeros((shape[0], 2), kind))


def test_an_empty_second_array_is_named():
    with pytest.raises(ValueError, match="y must have at least one row and one column"):
        ka.cka(np.ones((10, 2)), np.ones((10, 0)))


def test_ragged_lists_are_refused():
    with pytest.raises((TypeError, ValueError), match="x must"):
        ka.cka([[1.0, 2.0], [3.0], [4.0, 5.0], [6.0, 7.0]], np.eye(4))


# Kind


@every_metric
@pytest.mark.parametrize(
    "bad",
    [
        np.array([["a", "b"]] * 10),
        np.array([[b"a", b"b"]] * 10),
        np.array([[1.0, 1j]] * 10, dtype=object),
        np.zeros((10, 2), dtype="datetime64[s]"),
        np.zeros((10, 2), dtype="timedelta64[s]"),
        np.zeros((10, 2), dtype=[("a", "f4")]),
        np.zeros((10, 2), dtype="V4"),
    ],
    ids=["string", "bytes", "object", "time", "duration", "record", "void"],
)
def test_non_numeric_dtypes_are_refused(name, bad):
    y = related(10, 3, 2)[1]
    with pytest.raises(TypeError, match=r"x must (have a float or integer dtype|hold numbers|be a 2-D numeric array)"):
        call(name, bad, y)
    with pytest.raises(TypeError, match=r"y must (have a float or integer dtype|hold numbers|be a 2-D numeric array)"):
        call(name, y, bad)


@every_metric
@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
def test_complex_numbers_are_refused(name, kind):
    x, y = related(10, 3, 2)
    with pytest.raises(TypeError, match="x must be real, got dtype complex"):
        call(name, x.astype(kind), y)


@pytest.mark.parametrize("bad", [None, "x", b"x", {"a": 1}, object(), 3, True], ids=lambda bad: type(bad).__name__)
def test_things_that_are_not_arrays_are_refused(bad):
    with pytest.raises((TypeError, ValueError), match="x must"):
        ka.cka(bad, np.eye(4))
    with pytest.raises((TypeError, ValueError), match="y must"):
        ka.cka(np.eye(4), bad)


def test_a_path_of_no_file_is_named():
    for arguments in (("no.npy", np.eye(4)), (np.eye(4), "no.npy")):
        with pytest.raises(FileNotFoundError, match=r"no\.npy"):
            ka.cka(*arguments)


@every_metric
def test_masked_arrays_are_refused(name):
    x, y = related(10, 3, 2)
    with pytest.raises(TypeError, match="x must not be a masked array"):
        call(name, np.ma.masked_array(x, x > 1), y)


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.coo_matrix, sparse.csc_array, sparse.coo_array])
def test_sparse_arrays_are_refused(kind):
    x, y = related(10, 3, 2)
    with pytest.raises(TypeError, match=r"y must be dense.*toarray"):
        ka.cka(x, kind(y))


# NaN and infinity


@every_metric
@both_routes
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_the_first_bad_number_is_located(name, shape, value, kind):
    x, y = related(*shape)
    y = y.astype(kind)
    y[7, 3], y[7, 5], y[20, 0] = value, value, value
    with pytest.raises(ValueError, match=r"y\b.*row 7\b.*column 3\b") as caught:
        call(name, x, y)
    assert ("nan" if np.isnan(value) else "inf") in str(caught.value).lower()


@pytest.mark.parametrize("shape", [(5000, 40, 30), (700, 900, 800)], ids=["feature", "gram"])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_first_bad_number_is_found_by_any_number_of_threads(shape, threads):
    x, y = related(*shape, dtype=np.float32)
    for row, column in [(len(x) - 1, 29), (len(x) // 2, 3), (len(x) // 3, 7)]:  # each earlier than the one before
        y[row, column] = np.nan
        with pytest.raises(ValueError, match=rf"y\b.*row {row}\b.*column {column}\b"):
            ka.cka(x, y, threads=threads)


@both_routes
@pytest.mark.parametrize(
    "keywords",
    [{"normalize": "l2"}, {"normalize": "standardize"}, {"clip_quantile": 0.5}, {"uncertainty": "jackknife"}],
)
def test_preprocessing_does_not_hide_a_bad_number(shape, keywords):
    for value in (np.nan, np.inf):
        x, y = related(*shape)
        x[5, 2] = value
        with pytest.raises(ValueError, match=r"x\b.*row 5\b.*column 2\b"):
            ka.cka(x, y, **keywords)


def test_zero_row_dropping_names_the_argument_and_row_that_were_given():
    x, y = related(60, 4, 6)
    x[2], y[9, 1] = 0, np.nan
    with pytest.raises(ValueError, match=r"y\b.*row 9\b.*column 1\b"):
        ka.cka(x, y, normalize="l2", zero_rows="drop_pair")


# Undefined, but valid


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e300, -7e-300, np.pi])
@both_routes
def test_a_constant_representation_has_no_cka(estimator, value, shape):
    x, y = related(*shape)
    x[:] = value
    for a, b, name in [(x, y, "x"), (y, x, "y"), (x, x, "x")]:
        with pytest.warns(ka.UndefinedScoreWarning, match="constant") as caught:
            score = ka.cka(a, b, estimator=estimator)
        assert len(caught) == 1
        assert np.isnan(score)
        assert score.reason == f"{name} is constant"
        assert (score.chance, score.z, score.p_value, score.corrected) == (None,) * 4


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@both_routes
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int32])
def test_repeated_rows_are_constant_in_any_dtype(estimator, shape, kind):
    x, y = related(*shape)
    x = np.broadcast_to((x[0] * 10).astype(kind), x.shape)
    with pytest.warns(ka.UndefinedScoreWarning):
        score = ka.cka(x, y, estimator=estimator)
    assert np.isnan(score)
    assert "constant" in score.reason


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_the_warning_points_at_the_caller(estimator):
    x, y = related(60, 4, 6)
    with pytest.warns(ka.UndefinedScoreWarning) as caught:
        ka.cka(np.ones_like(x), y, estimator=estimator)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@both_routes
def test_hsic_of_a_constant_is_zero(estimator, shape):
    """HSIC is a covariance, not a ratio: with a constant it exists, and is 0."""
    x, y = related(*shape)
    assert ka.hsic(np.full_like(x, 0.1), y, estimator=estimator) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@both_routes
def test_uncentred_alignment_of_zeros_is_undefined(estimator, shape):
    x, y = related(*shape)
    with pytest.warns(ka.UndefinedScoreWarning):
        score = ka.kernel_alignment(np.zeros_like(x), y, estimator=estimator)
    assert np.isnan(score)
    assert score.reason


@pytest.mark.parametrize("n", [4, 9])
def test_equidistant_items_have_no_unbiased_cka(n):
    """A scaled identity has K^U = 0 exactly."""
    y = related(n, 3, 2)[1]
    with pytest.warns(ka.UndefinedScoreWarning):
        score = ka.cka(np.eye(n) * 3, y)
    assert np.isnan(score)
    assert score.reason
    assert 0 < ka.cka(np.eye(n) * 3, y, estimator="biased") < 1


@both_routes
def test_nearly_constant_data_still_has_a_score(shape):
    """Two items apart from the rest are a structure, however small."""
    x, y = related(*shape)
    x[:] = 0
    x[:2, 0] = 1e-30
    assert np.isfinite(ka.cka(x, y))
    assert np.isfinite(ka.cka(x, y, estimator="biased"))


def test_a_dominant_mean_is_a_warning_in_uncentred_alignment():
    x, y = related(60, 4, 6)
    with pytest.warns(ka.AlignmentWarning, match="mean") as caught:
        score = ka.kernel_alignment(x + 50, y)
    assert caught[0].filename == __file__
    assert np.isfinite(score)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ka.cka(x + 50, y)


# Zero rows


@every_metric
@both_routes
@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_zero_rows_have_no_direction(name, shape, kind):
    x, y = (a.astype(kind) for a in related(*shape))
    y[11] = y[17] = 0
    with pytest.raises(ValueError, match=r"y\b.*row 11\b.*zero|y\b.*zero.*row 11\b|zero row.*y\b.*\b11\b"):
        call(name, x, y, normalize="l2")


def test_too_few_items_left_after_dropping_zero_rows():
    x, y = related(6, 3, 2)
    x[:3] = 0
    with pytest.raises(ValueError, match="at least 4 rows, got 3"):
        ka.cka(x, y, normalize="l2", zero_rows="drop_pair")
    x[:] = 0
    with pytest.raises(ValueError, match="rows"):
        ka.cka(x, y, normalize="l2", zero_rows="drop_pair")


def test_rows_that_become_zero_by_underflow_do_not_leak_nan():
    x, y = related(60, 4, 6)
    x[3] *= 1e-200  # its squares underflow, its direction does not
    assert ka.cka(x, y, normalize="l2") == pytest.approx(ka.cka(x / np.abs(x).max(1, keepdims=True), y, normalize="l2"))


# Arguments


@every_metric
@pytest.mark.parametrize("bad", ["debiased", "Unbiased", "", None, 1, True, ["unbiased"]], ids=repr)
def test_unknown_estimators_are_refused(name, bad):
    with pytest.raises((TypeError, ValueError), match=r"estimator must be .*'unbiased'.*'biased'.*got"):
        call(name, *related(10, 3, 2), estimator=bad)


@every_metric
@pytest.mark.parametrize("bad", ["l1", "L2", "", 2, True, np.ones(3)], ids=repr)
def test_unknown_normalisations_are_refused(name, bad):
    with pytest.raises((TypeError, ValueError), match=r"normalize must be None, 'l2' or 'standardize', got"):
        call(name, *related(10, 3, 2), normalize=bad)


@every_metric
@pytest.mark.parametrize("bad", ["cuda", "cuda:0", "gpu", "", 0])
def test_unknown_devices_are_refused(name, bad, monkeypatch):
    monkeypatch.setattr(on_device, "extension", lambda: None)  # as on a machine without CUDA
    with pytest.raises(ValueError, match=r"device must be None or 'cpu'.*got"):
        call(name, *related(10, 3, 2), device=bad)


@every_metric
@pytest.mark.parametrize("bad", [0, -1, 1.5, "2", True, [1], np.float64(2), 2**70], ids=repr)
def test_bad_thread_counts_are_refused(name, bad):
    with pytest.raises((TypeError, ValueError), match=r"threads must be .*got"):
        call(name, *related(10, 3, 2), threads=bad)


@pytest.mark.parametrize("threads", [np.int64(2), 1000])
def test_any_positive_integer_is_a_thread_count(threads):
    x, y = related(10, 3, 2)
    assert float(ka.cka(x, y, threads=threads)) == float(ka.cka(x, y))


@every_metric
@pytest.mark.parametrize("bad", [0, -0.5, 1.5, 95, np.nan, np.inf])
def test_clip_quantiles_are_probabilities(name, bad):
    with pytest.raises(ValueError, match=r"clip_quantile must be in \(0, 1\], got"):
        call(name, *related(10, 3, 2), clip_quantile=bad)


@pytest.mark.parametrize("bad", ["0.95", [0.95], True])
def test_clip_quantiles_are_numbers(bad):
    with pytest.raises((TypeError, ValueError), match="clip_quantile must be"):
        ka.cka(*related(10, 3, 2), clip_quantile=bad)


@every_metric
@pytest.mark.parametrize("bad", ["ignore", None, True])
def test_unknown_zero_row_policies_are_refused(name, bad):
    with pytest.raises((TypeError, ValueError), match=r"zero_rows must be 'error' or 'drop_pair', got"):
        call(name, *related(10, 3, 2), zero_rows=bad)


@every_metric
@pytest.mark.parametrize("bad", ["bayes", "half-sampling", True, 0.95])
def test_unknown_uncertainties_are_refused(name, bad):
    with pytest.raises((TypeError, ValueError), match=r"uncertainty must be None or 'jackknife', got"):
        call(name, *related(10, 3, 2), uncertainty=bad)


@every_metric
@pytest.mark.parametrize("bad", ["rbf", "linear", None, 3, np.dot, type("RBF", (), {})()], ids=lambda bad: str(bad)[:6])
def test_kernels_that_are_not_supported_say_so(name, bad):
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=r"kernel must be .*got"):
        call(name, *related(10, 3, 2), kernel=bad)
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=r"kernel must be .*got"):
        getattr(ka.Moments().update(*related(10, 3, 2)), name)(kernel=bad)


@every_metric
@pytest.mark.parametrize("bad", ["yes", 3, 1, None])
def test_progress_is_a_switch_or_a_callable(name, bad):
    with pytest.raises(TypeError, match="progress must be True, False or callable"):
        call(name, *related(10, 3, 2), progress=bad)


def test_options_are_keywords_only():
    with pytest.raises(TypeError):
        ka.cka(*related(10, 3, 2), "biased")


def test_errors_do_not_spoil_the_next_call():
    x, y = related(60, 4, 6)
    before = float(ka.cka(x, y))
    for bad in (x[:5], x[:, 0], x * np.nan, x.astype(str)):
        with pytest.raises((TypeError, ValueError)):
            ka.cka(bad, y)
        assert float(ka.cka(x, y)) == before


def test_dropping_every_item_is_refused():
    x, y = related(30, 4, 3)
    with pytest.raises(ValueError, match="every item has a zero row"):
        ka.cka(x * 0, y, normalize="l2", zero_rows="drop_pair", clip_quantile=0.9)


@pytest.mark.parametrize("scale", [1e160, 1e-170])
def test_standardised_columns_may_have_any_scale(scale):
    x, y = related(60, 4, 3)
    expected = ka.cka(x, y, normalize="standardize")
    assert ka.cka(x * scale, y, normalize="standardize") == pytest.approx(float(expected), rel=1e-9)
