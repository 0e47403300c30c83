"""Linear CKA, HSIC and kernel alignment against the float64 oracles, on both routes and on every kind of input."""

import warnings
from contextlib import contextmanager

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import alignment as oracle
from samples import orthogonal, related

pytestmark = pytest.mark.numeric

METRICS = ("cka", "hsic", "kernel_alignment")
ESTIMATORS = ("biased", "unbiased")
FEATURE, GRAM = (300, 6, 9), (24, 40, 30)  # n > p + q and n < p + q
ROUTES = {"feature": FEATURE, "gram": GRAM}

every_metric = pytest.mark.parametrize("name", METRICS)
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
every_route = pytest.mark.parametrize("route", list(ROUTES))


def call(name, x, y, **keywords):
    return getattr(ka, name)(x, y, **keywords)


def check(name, estimator, x, y, rel, **keywords):
    score = call(name, x, y, estimator=estimator, **keywords)
    assert score == pytest.approx(oracle.metric(name, estimator, x, y), rel=rel)
    return score


def close(a, b, tolerance):
    assert float(a) == pytest.approx(float(b), abs=tolerance)


# The value


@every_metric
@every_estimator
@pytest.mark.parametrize(
    "shape",
    [(4, 1, 1), (4, 3, 2), (5, 1, 7), (6, 9, 9), (30, 30, 1), (200, 1, 1), (200, 5, 17), (1024, 3, 2), (1025, 8, 4)],
    ids=str,
)
def test_shapes_agree_with_the_oracle(name, estimator, shape):
    x, y = related(*shape, seed=sum(shape))
    with mean_may_dominate():
        check(name, estimator, x, y, 1e-9)
        x, y = (a.astype(np.float32) for a in (x, y))
        score = call(name, x, y, estimator=estimator)
    # An HSIC is a covariance: its error counts against the product of the spreads.
    size = 1.0 if name != "hsic" else np.sqrt(np.prod([oracle.metric("hsic", "biased", a, a) for a in (x, y)]))
    assert score == pytest.approx(oracle.metric(name, estimator, x, y), abs=1e-6 * size)


@every_metric
@every_estimator
@every_route
@pytest.mark.parametrize("dtype,rel", [(np.float64, 1e-12), (np.float32, 1e-6)])
def test_a3_both_routes_agree_with_the_oracle(name, estimator, route, dtype, rel):
    score = check(name, estimator, *related(*ROUTES[route], dtype=dtype), rel)
    assert score.settings["route"] == route


@every_metric
@every_estimator
@pytest.mark.parametrize("dtype,rel", [(np.float64, 1e-9), (np.float32, 1e-6)])
def test_a3_feature_route_equals_gram_route(name, estimator, dtype, rel):
    """Zero columns change nothing but the cost, and so the route."""
    x, y = related(80, 6, 9, dtype=dtype)
    wide = [np.hstack([a, np.zeros((80, 100), dtype)]) for a in (x, y)]
    narrow_score, wide_score = (call(name, *pair, estimator=estimator) for pair in ((x, y), wide))
    assert (narrow_score.settings["route"], wide_score.settings["route"]) == ("feature", "gram")
    assert wide_score == pytest.approx(narrow_score, rel=rel)


@every_metric
@every_estimator
@pytest.mark.parametrize("shape", [(2500, 12, 7), (1100, 900, 800)], ids=["feature", "gram"])
def test_several_blocks_and_tiles_agree_with_the_oracle(name, estimator, shape):
    check(name, estimator, *related(*shape), 1e-9)
    check(name, estimator, *related(*shape, dtype=np.float32), 1e-6)


@pytest.mark.parametrize("n", [2, 3])
@every_metric
def test_biased_estimators_accept_fewer_than_four_items(name, n):
    check(name, "biased", *related(n, 3, 2, seed=n), 1e-9)


def test_published_notebook_values_to_five_digits():
    x, y = oracle.golden()
    assert round(ka.cka(x, y, estimator="biased"), 5) == 0.55761
    assert round(ka.cka(x, y), 5) == 0.51346


def test_unbiased_is_the_default():
    x, y = related(*FEATURE)
    for name in METRICS:
        assert call(name, x, y) == call(name, x, y, estimator="unbiased")
        assert call(name, x, y).estimator == "unbiased"
        assert call(name, x, y, estimator="biased").estimator == "biased"


@every_metric
def test_linear_kernel_may_be_named(name):
    x, y = related(*FEATURE)
    assert call(name, x, y, kernel=ka.Linear()) == call(name, x, y)


# Invariances


@every_estimator
@every_route
def test_a1_cka_ignores_rotation_scale_and_translation(estimator, route):
    x, y = related(*ROUTES[route])
    p = x.shape[1]
    shift = np.random.default_rng(1).normal(size=p) * 3
    for c in (2.5, -0.1):
        moved = (x @ orthogonal(p)) * c + shift
        assert ka.cka(moved, y, estimator=estimator) == pytest.approx(ka.cka(x, y, estimator=estimator), rel=1e-10)


@every_estimator
@every_route
def test_a1_cka_of_a_copy_is_one(estimator, route):
    x, _ = related(*ROUTES[route])
    close(ka.cka(x, x, estimator=estimator), 1, 1e-12)
    close(ka.cka(x, x @ orthogonal(x.shape[1]), estimator=estimator), 1, 1e-10)


@every_estimator
def test_a2_cka_sees_invertible_maps_that_cca_does_not(estimator):
    x, y = related(*FEATURE)
    stretch = np.diag(np.linspace(0.2, 4, x.shape[1]))
    assert abs(ka.cka(x @ stretch, y, estimator=estimator) - ka.cka(x, y, estimator=estimator)) > 0.01
    centred = [oracle.centred_features(a) for a in (x, x @ stretch, y)]
    assert oracle.r2_cca(centred[1], centred[2]) == pytest.approx(oracle.r2_cca(centred[0], centred[2]), rel=1e-10)


@every_route
def test_a5_unbiased_hsic_ignores_translation(route):
    """A translation adds a_i + a_j + c to the linear kernel."""
    x, y = related(*ROUTES[route])
    t = np.random.default_rng(2).normal(size=x.shape[1]) * 5
    assert ka.hsic(x + t, y) == pytest.approx(ka.hsic(x, y), rel=1e-10)


@settings(max_examples=150)
@given(n=st.integers(4, 40), p=st.integers(1, 30), q=st.integers(1, 30), seed=st.integers(0, 10**6))
def test_a6_self_term_is_not_negative_and_cka_is_bounded(n, p, q, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, p)), rng.normal(size=(n, q))
    assert ka.hsic(x, x) >= 0
    assert abs(ka.cka(x, y)) <= 1
    assert 0 <= ka.cka(x, y, estimator="biased") <= 1
    assert ka.cka(x, y) == pytest.approx(oracle.metric("cka", "unbiased", x, y), abs=1e-10)


@every_metric
@every_estimator
@every_route
def test_a39_order_of_items_of_columns_and_of_arguments_does_not_matter(name, estimator, route):
    x, y = related(*ROUTES[route])
    rng = np.random.default_rng(3)
    items, columns = rng.permutation(len(x)), rng.permutation(x.shape[1])
    plain = call(name, x, y, estimator=estimator)
    for a, b in [(x[items], y[items]), (x[:, columns], y), (y, x)]:
        assert call(name, a, b, estimator=estimator) == pytest.approx(plain, rel=1e-11)


@pytest.mark.parametrize("name", ["cka", "kernel_alignment"])
@every_estimator
@every_route
def test_duplicated_features_only_rescale(name, estimator, route):
    x, y = related(*ROUTES[route])
    twice = call(name, np.hstack([x, x]), y, estimator=estimator)
    assert twice == pytest.approx(call(name, x, y, estimator=estimator), rel=1e-10)


@every_estimator
def test_hsic_scales_with_the_square_of_each_side(estimator):
    x, y = related(*FEATURE)
    assert ka.hsic(x * 1e70, y / 8, estimator=estimator) == pytest.approx(
        ka.hsic(x, y, estimator=estimator) * 1e140 / 64, rel=1e-10
    )


# Independent data


def test_a9_unbiased_hsic_of_independent_data_averages_zero():
    rng = np.random.default_rng(9)
    values = np.array([ka.hsic(rng.normal(size=(16, 2)), rng.normal(size=(16, 3))) for _ in range(2000)])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))


def test_a10_biased_cka_of_independent_gaussians_is_far_from_zero():
    rng = np.random.default_rng(10)
    n, p, q = 64, 32, 32
    values = [ka.cka(rng.normal(size=(n, p)), rng.normal(size=(n, q)), estimator="biased") for _ in range(60)]
    close(np.mean(values), np.sqrt(p * q / ((n + p) * (n + q))), 0.005)


@pytest.mark.parametrize("n", [32, 256])
def test_unbiased_cka_of_independent_wide_data_averages_zero_and_is_signed(n):
    rng = np.random.default_rng(11)
    pairs = [rng.normal(size=(2, n, 512)).astype(np.float32) for _ in range(60)]
    values = np.array([ka.cka(*pair) for pair in pairs])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert (values < 0).any()


# Kinds of input


DTYPES = {
    "float16": (np.float16, 1e-6),
    "bfloat16": (ml_dtypes.bfloat16, 1e-6),
    "float32": (np.float32, 1e-6),
    "float64": (np.float64, 1e-9),
    "longdouble": (np.longdouble, 1e-9),
    "int8": (np.int8, 1e-9),
    "uint8": (np.uint8, 1e-9),
    "int16": (np.int16, 1e-9),
    "int32": (np.int32, 1e-9),
    "int64": (np.int64, 1e-9),
    "bool": (np.bool_, 1e-9),
}


@pytest.mark.parametrize("dtype", list(DTYPES))
@every_metric
@every_route
def test_dtypes_agree_with_the_oracle_on_the_same_numbers(dtype, name, route):
    kind, rel = DTYPES[dtype]
    x, y = (a * 10 for a in related(*ROUTES[route]))
    if np.dtype(kind).kind == "u":
        x, y = np.abs(x), np.abs(y)
    x, y = (x > 0, y > 0) if dtype == "bool" else (np.clip(a, -127, 127).astype(kind) for a in (x, y))
    for estimator in ESTIMATORS:
        with mean_may_dominate():
            check(name, estimator, x, y, rel)


@contextmanager
def mean_may_dominate():
    """Kernel alignment may warn that a large mean makes everything look aligned; the number is right all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ka.AlignmentWarning)
        yield


def test_sides_may_have_different_dtypes():
    x, y = related(*FEATURE)
    check("cka", "unbiased", x.astype(np.float32), (y * 20).astype(np.int16), 1e-6)
    check("cka", "unbiased", x.astype(ml_dtypes.bfloat16), y, 1e-6)


def test_largest_float16_does_not_overflow():
    x, y = related(*FEATURE)
    x = (x / np.abs(x).max() * 65504).astype(np.float16)
    assert np.abs(x).max() == 65504
    check("cka", "unbiased", x, y.astype(np.float16), 1e-6)


def layouts(a, directory):
    """The same numbers, laid out in memory in every way that NumPy has."""
    n, p = a.shape
    yield "fortran", np.asfortranarray(a)
    yield "reversed", np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1]
    wide = np.full((n, 2 * p + 3), np.nan, a.dtype)
    wide[:, 1 : 2 * p + 1 : 2] = a
    yield "column slice", wide[:, 1 : 2 * p + 1 : 2]
    tall = np.full((3 * n, p), np.nan, a.dtype)
    tall[1::3] = a
    yield "row slice", tall[1::3]
    frozen = a.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen
    np.save(directory / "a.npy", a)
    yield "memory-mapped", np.load(directory / "a.npy", mmap_mode="r")
    raw = np.frombuffer(b"\0" + a.tobytes(), dtype=np.uint8)[1:]
    yield "unaligned", raw.view(a.dtype).reshape(n, p)
    records = np.zeros(n, dtype=[("flag", "u1"), ("row", a.dtype, (p,))])
    records["row"] = a
    yield "field of packed records", records["row"]
    yield "big-endian", a.astype(a.dtype.newbyteorder(">"))
    yield "list of lists", a.astype(np.float64).tolist()
    yield "tuple of arrays", tuple(a)
    yield "object with __array__", Wrapped(a)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        yield "np.matrix", np.matrix(a)


class Wrapped:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


@every_route
@pytest.mark.parametrize("dtype,tolerance", [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_memory_layout_does_not_matter(route, dtype, tolerance, tmp_path):
    x, y = related(*ROUTES[route], dtype=dtype)
    expected = ka.cka(x, y)
    for label, variant in layouts(x, tmp_path):
        before = np.array(variant, copy=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            assert ka.cka(variant, y) == pytest.approx(expected, rel=tolerance), label
            assert ka.cka(y, variant) == pytest.approx(expected, rel=tolerance), label
        assert np.array_equal(np.asarray(variant), before), label


def test_stride_zero_columns_are_read():
    _, y = related(*FEATURE)
    column = np.random.default_rng(0).normal(size=(len(y), 1))
    check("cka", "unbiased", np.broadcast_to(column, (len(y), 5)), y, 1e-9)


def test_one_item_repeated_beside_others_is_read():
    """Overlapping windows: row i + 1 begins one element after row i."""
    stream = np.random.default_rng(0).normal(size=400)
    windows = np.lib.stride_tricks.sliding_window_view(stream, 6)
    check("cka", "unbiased", windows[:300], related(*FEATURE)[1], 1e-9)


@every_metric
@every_route
def test_inputs_are_never_modified(name, route):
    x, y = related(*ROUTES[route])
    x[0, 0] = 0
    before = x.tobytes(), y.tobytes()
    for keywords in ({}, {"normalize": "l2"}, {"normalize": "standardize"}, {"clip_quantile": 0.9}):
        with mean_may_dominate():
            call(name, x, y, **keywords)
    if name == "cka":
        ka.cka(x, y, uncertainty="jackknife")
        assert ka.cka(x, y).p_value is not None
    assert (x.tobytes(), y.tobytes()) == before


# Size and offset of the numbers


@every_estimator
@every_route
def test_scale_does_not_matter_in_float64(estimator, route):
    x, y = related(*ROUTES[route])
    plain = ka.cka(x, y, estimator=estimator)
    for s in (-150, -120, -80, -40, -7, 7, 40, 80, 120, 150):
        assert ka.cka(x * 10.0**s, y, estimator=estimator) == pytest.approx(plain, rel=1e-10), s
        assert ka.cka(x * 10.0**s, y * 10.0**s, estimator=estimator) == pytest.approx(plain, rel=1e-10), s
        assert ka.cka(x * 10.0**s, y * 10.0**-s, estimator=estimator) == pytest.approx(plain, rel=1e-10), s


@every_estimator
@every_route
def test_scale_does_not_matter_in_float32(estimator, route):
    x, y = related(*ROUTES[route], dtype=np.float32)
    plain = ka.cka(x, y, estimator=estimator)
    for s in (-18, -12, -6, -1, 1, 6, 12, 18):
        scaled_x, scaled_y = (a * np.float32(10.0**s) for a in (x, y))
        assert ka.cka(scaled_x, y, estimator=estimator) == pytest.approx(plain, rel=1e-6), s
        assert ka.cka(scaled_x, scaled_y, estimator=estimator) == pytest.approx(plain, rel=1e-6), s


@every_route
@pytest.mark.parametrize("dtype,tiny,tolerance", [(np.float64, 2.0**-1060, 1e-9), (np.float32, 2.0**-140, 1e-6)])
def test_denormal_numbers_count(route, dtype, tiny, tolerance):
    x, y = related(*ROUTES[route])
    x = (x * 1000).round().astype(np.float64)  # integers times a power of two: exact even as denormals
    expected = ka.cka(x, y)
    assert ka.cka((x * tiny).astype(dtype), y) == pytest.approx(expected, rel=tolerance)


@every_estimator
@every_route
@pytest.mark.parametrize("offset", [1.0, 1e2, 1e4, 1e6])
def test_float64_offsets_cost_nothing(estimator, route, offset):
    x, y = related(*ROUTES[route])
    check("cka", estimator, x + offset, y - 2 * offset, 1e-9)


@every_route
@pytest.mark.parametrize("offset", [1, 30, 1000, 10_000])
@pytest.mark.parametrize("n_times", [1, 8])
def test_float32_offsets_stay_under_1e_5(route, offset, n_times):
    n, p, q = ROUTES[route]
    x, y = related(n * n_times, p * (n_times if route == "gram" else 1), q, dtype=np.float32)
    x, y = x + np.float32(offset), y - np.float32(offset)
    close(ka.cka(x, y), oracle.metric("cka", "unbiased", x, y), 1e-5)


@every_route
def test_a41_a_shift_of_1e4_in_float32_is_harmless(route):
    x, y = related(*ROUTES[route])
    shifted = (x + 1e4).astype(np.float32)
    score = ka.cka(shifted, y.astype(np.float32))
    assert np.isfinite(score)
    close(score, oracle.metric("cka", "unbiased", x, y), 1e-3)


@pytest.mark.parametrize("shape", [FEATURE, GRAM, (2100, 64, 64), (500, 400, 300)], ids=str)
@every_estimator
@pytest.mark.parametrize("offset", [0, 30])
def test_float32_first_row_100_times_larger(shape, estimator, offset):
    """One odd row (an attention sink, say) must spoil neither the shift nor the difference of large terms."""
    x, y = related(*shape, dtype=np.float32)
    x, y = x + np.float32(offset), y + np.float32(offset)
    x[0] *= 100
    close(ka.cka(x, y, estimator=estimator), oracle.metric("cka", estimator, x, y), 1e-5)
    y[0] *= 100
    close(ka.cka(x, y, estimator=estimator), oracle.metric("cka", estimator, x, y), 1e-5)


def test_float32_mean_that_drifts_along_the_stream():
    """A shift fixed by the first block must not spoil the last one."""
    n = 3200  # three blocks and a bit
    x, y = related(n, 6, 9, dtype=np.float32)
    drift = np.linspace(0, 300, n, dtype=np.float32)[:, None]
    x, y = x + drift * np.linspace(-1, 1, 6, dtype=np.float32), y + drift[::-1] / 50
    close(ka.cka(x, y), oracle.metric("cka", "unbiased", x, y), 1e-6)


def test_columns_of_very_different_size():
    x, y = related(*FEATURE)
    x = x * 10.0 ** np.arange(-3, 3)
    check("cka", "unbiased", x, y, 1e-9)


# Threads


@every_metric
@every_estimator
@pytest.mark.parametrize("shape", [(3000, 40, 30), (700, 900, 800), (5, 3, 2)], ids=["feature", "gram", "tiny"])
def test_a40_threads_do_not_change_a_bit(name, estimator, shape):
    x, y = related(*shape, dtype=np.float32)
    one = call(name, x, y, estimator=estimator, threads=1)
    for threads in (2, 4, None):
        assert float(call(name, x, y, estimator=estimator, threads=threads)) == float(one)


# Preprocessing


@every_metric
@every_estimator
@every_route
def test_l2_normalisation(name, estimator, route):
    x, y = related(*ROUTES[route])
    score = call(name, x, y, estimator=estimator, normalize="l2")
    assert score == pytest.approx(oracle.metric(name, estimator, oracle.l2_rows(x), oracle.l2_rows(y)), rel=1e-9)
    assert score.settings["normalize"] == "l2"


@every_metric
@every_estimator
@every_route
def test_standardisation_with_a_constant_column(name, estimator, route):
    x, y = related(*ROUTES[route])
    x[:, 2] = 0.1
    score = call(name, x * 5 + 3, y, estimator=estimator, normalize="standardize")
    expected = oracle.metric(name, estimator, oracle.standardized(x), oracle.standardized(y))
    assert score == pytest.approx(expected, rel=1e-9)


@every_route
@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("normalize", [None, "l2"])
def test_clipping_comes_before_normalisation(route, quantile, normalize):
    x, y = related(*ROUTES[route])
    score = ka.cka(x, y, clip_quantile=quantile, normalize=normalize)
    cut = [oracle.clipped(a, quantile) for a in (x, y)]
    if normalize == "l2":
        cut = [oracle.l2_rows(a) for a in cut]
    assert score == pytest.approx(oracle.metric("cka", "unbiased", *cut), rel=1e-9)


def test_clipping_in_float16_uses_one_exact_threshold_per_array():
    x, y = related(*FEATURE, dtype=np.float16)
    cut = [oracle.clipped(a, 0.95) for a in (x, y)]
    assert ka.cka(x, y, clip_quantile=0.95) == pytest.approx(oracle.metric("cka", "unbiased", *cut), rel=1e-6)


@every_route
def test_zero_rows_drop_the_item_on_both_sides(route):
    x, y = related(*ROUTES[route])
    x[3], y[7] = 0, 0
    kept = np.setdiff1d(np.arange(len(x)), [3, 7])
    score = ka.cka(x, y, normalize="l2", zero_rows="drop_pair")
    expected = oracle.metric("cka", "unbiased", oracle.l2_rows(x[kept]), oracle.l2_rows(y[kept]))
    assert score == pytest.approx(expected, rel=1e-9)
    assert score.settings["dropped"] == 2
    assert score.n == len(x) - 2


def test_zero_rows_are_plain_items_without_normalisation():
    x, y = related(*FEATURE)
    x[3] = 0
    check("cka", "unbiased", x, y, 1e-9)
