"""CKA, HSIC and kernel alignment with kernels that are not linear, against whole matrices in float64."""

import itertools
import math
import warnings

import kernalign as ka
import numpy as np
import pytest
from kernalign._engines import gram_source, gram_sweep
from kernalign._rows import arrays
from reference import alignment as oracle
from reference import jackknife, null_moments
from samples import orthogonal, related

pytestmark = pytest.mark.numeric

METRICS = ("cka", "hsic", "kernel_alignment")
ESTIMATORS = ("biased", "unbiased")
KERNELS = {
    "rbf median": (ka.RBF(), oracle.rbf),
    "rbf fraction": (ka.RBF(fraction=0.4), lambda x: oracle.rbf(x, fraction=0.4)),
    "rbf offdiag": (ka.RBF("median_offdiag"), lambda x: oracle.rbf(x, bandwidth=oracle.median_distance(x, False))),
    "rbf number": (ka.RBF(5.0), lambda x: oracle.rbf(x, bandwidth=5.0)),
    "laplacian median": (ka.Laplacian(), oracle.laplacian),
    "laplacian number": (ka.Laplacian(3.0, 1.0), lambda x: oracle.laplacian(x, bandwidth=3.0)),
    "quadratic": (ka.Polynomial(2), lambda x: oracle.polynomial(x, 2)),
    "quintic": (ka.Polynomial(5, 20.0), lambda x: oracle.polynomial(x, 5, 20.0)),
    "cosine": (ka.Cosine(), oracle.cosine_similarity),
}
every_metric = pytest.mark.parametrize("name", METRICS)
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
every_kernel = pytest.mark.parametrize("kind", list(KERNELS))

pytestmark = pytest.mark.filterwarnings("ignore:kernel_alignment. the mean holds:kernalign.AlignmentWarning")


def call(name, x, y, kind, **keywords):
    return getattr(ka, name)(x, y, kernel=KERNELS[kind][0], **keywords)


def matrices(x, y, kind):
    return [KERNELS[kind][1](a) for a in (x, y)]


# The value


@every_metric
@every_estimator
@every_kernel
def test_kernels_agree_with_whole_matrices(name, estimator, kind):
    x, y = related(300, 20, 25)
    k, g = matrices(x, y, kind)
    assert call(name, x, y, kind, estimator=estimator) == pytest.approx(
        oracle.METRICS[name, estimator](k, g), rel=1e-10
    )
    x, y = (a.astype(np.float32) for a in (x, y))
    k, g = matrices(x, y, kind)
    size = 1.0 if name != "hsic" else np.sqrt(oracle.hsic_b(k, k) * oracle.hsic_b(g, g))
    score = call(name, x, y, kind, estimator=estimator)
    assert score == pytest.approx(oracle.METRICS[name, estimator](k, g), abs=1e-6 * size)
    assert score.settings["products"] == ("float64" if kind.startswith("laplacian") else "float32")


@pytest.mark.parametrize("n", [2, 3, 4, 5, 63, 64, 128, 129, 513, 800])
@pytest.mark.parametrize("kind", ["rbf median", "laplacian number", "quadratic"])
def test_sizes_around_a_tile_agree(n, kind):
    x, y = related(n, 17, 30, seed=n)
    estimators = ESTIMATORS if n >= 4 else ("biased",)
    for estimator in estimators:
        expected = oracle.METRICS["cka", estimator](*matrices(x, y, kind))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ka.UndefinedScoreWarning)  # of 2 rows, 3 of 4 distances... may be 0
            assert call("cka", x, y, kind, estimator=estimator) == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_published_rbf_value_to_five_digits():
    score = ka.cka(*oracle.golden(), kernel=ka.RBF(fraction=0.5), estimator="biased")
    assert round(score, 5) == 0.65483
    assert score == pytest.approx(oracle.cka_b(*(oracle.rbf(a, 0.5) for a in oracle.golden())), rel=1e-12)


@every_metric
@every_estimator
def test_precomputed_matrices_give_what_the_rows_give(name, estimator, tmp_path):
    x, y = related(200, 6, 9)
    k, g = oracle.rbf(x), oracle.laplacian(y)
    expected = oracle.METRICS[name, estimator](k, g)
    np.save(tmp_path / "k.npy", k)
    for given in (k, np.asfortranarray(k), np.load(tmp_path / "k.npy", mmap_mode="r"), k[::-1, ::-1][::-1, ::-1]):
        score = getattr(ka, name)(given, g, kernel=ka.Precomputed(), estimator=estimator)
        assert score == pytest.approx(expected, rel=1e-10)
    narrow = getattr(ka, name)(k.astype(np.float32), g.astype(np.float32), kernel=ka.Precomputed(), estimator=estimator)
    assert narrow == pytest.approx(expected, abs=1e-6)


@every_estimator
def test_precomputed_matrices_need_not_be_definite(estimator):
    x, y = related(60, 6, 9)
    d, e = (-np.sqrt(oracle.squared_distances(a)) for a in (x, y))
    for name in METRICS:
        for k in (d, -d):
            score = getattr(ka, name)(k, e, kernel=ka.Precomputed(), estimator=estimator)
            assert score == pytest.approx(oracle.METRICS[name, estimator](k, e), rel=1e-10)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_precomputed_matrices_of_any_size_and_no_diagonal(size):
    x, y = related(60, 6, 9)
    k, g = (oracle.off_diagonal(oracle.rbf(a)) for a in (x, y))
    assert ka.cka(k * size, g, kernel=ka.Precomputed()) == pytest.approx(oracle.cka_u(k, g), rel=1e-10)


def test_bandwidths_are_each_sides_own_and_reported():
    x, y = related(151, 6, 9)
    score = ka.cka(x, y * 3, kernel=ka.RBF(fraction=0.5))
    expected = [oracle.median_distance(a) / 2 for a in (x, y * 3)]
    assert score.settings["bandwidth"] == pytest.approx(expected, rel=1e-12)
    same = ka.cka(x, y, kernel=ka.RBF(2.0))
    assert same.settings["bandwidth"] == 2.0
    assert same.settings["kernel"] == "rbf"
    settings = ka.cka(x, y, kernel=ka.Polynomial(3, 2.0)).settings
    assert (settings["kernel"], settings["degree"], settings["offset"]) == ("polynomial", 3, 2.0)


@every_estimator
@pytest.mark.parametrize("rho", [0.25, 0.5, 0.9])
def test_a12_gaussian_kernels_on_a_bivariate_normal(estimator, rho):
    """HSIC of a bivariate normal, bandwidth 1 on both sides (mathematics 2.3), within 4 standard errors."""
    expected = {0.25: 0.00240142721906728, 0.5: 0.010763320143793886, 0.9: 0.0511434421853878}[rho]
    rng = np.random.default_rng(12)
    values = []
    for _ in range(40):
        x = rng.normal(size=(400, 1))
        y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=(400, 1))
        values.append(float(ka.hsic(x, y, kernel=ka.RBF(1.0), estimator=estimator)))
    error = 4 * np.std(values) / math.sqrt(len(values))
    bias = 0.0 if estimator == "unbiased" else 1.2 / 400  # at most (1 + mu_x mu_y) / n
    assert abs(np.mean(values) - expected) < error + bias


def test_a42_noise_closed_form():
    """Linear CKA of X and X + E is |S| / |S + s^2 I|, and a wide RBF sees the same."""
    rng = np.random.default_rng(42)
    scales = np.array([3.0, 2.0, 1.0, 0.5])
    s = np.diag(scales**2)
    expected = np.linalg.norm(s) / np.linalg.norm(s + np.eye(4))
    for kernel in (ka.Linear(), ka.RBF(1e4)):
        values = []
        for _ in range(30):
            x = rng.normal(size=(500, 4)) * scales
            values.append(float(ka.cka(x, x + rng.normal(size=x.shape), kernel=kernel)))
        assert abs(np.mean(values) - expected) < 4 * np.std(values) / math.sqrt(len(values)) + 1e-3


@every_estimator
@pytest.mark.parametrize("dtype,abs_error", [(np.float64, 1e-9), (np.float32, 1e-6)])
def test_wide_rbf_kernels_become_linear(estimator, dtype, abs_error):
    x, y = related(200, 20, 25, dtype=dtype)
    linear = oracle.metric("cka", estimator, x, y)
    for sigma in (1e3, 1e5, 1e8, 1e12, 1e40):
        score = ka.cka(x, y, kernel=ka.RBF(sigma), estimator=estimator)
        assert abs(score - linear) < abs_error + 100 / sigma**2, sigma


@pytest.mark.parametrize("scale", [1e-150, 1e-5, 1e-3, 1.0, 1e150])
@pytest.mark.parametrize("degree", [1, 2, 16])
def test_polynomials_of_any_scale(scale, degree):
    x, y = related(150, 20, 25)
    score = ka.cka(x * scale, y * scale, kernel=ka.Polynomial(degree))
    if scale < 1e-4 or degree == 1:  # all but linear
        assert score == pytest.approx(oracle.metric("cka", "unbiased", x, y), rel=1e-5 if scale < 1e-4 else 1e-9)
    elif scale > 1:  # all but homogeneous
        assert score == pytest.approx(oracle.cka_u(*(oracle.linear(a / 10) ** degree for a in (x, y))), rel=1e-9)
    else:
        k, g = (oracle.polynomial(a * scale, degree) for a in (x, y))
        assert score == pytest.approx(oracle.cka_u(k, g), rel=1e-7)
        narrow = ka.cka(*(np.float32(a * scale) for a in (x, y)), kernel=ka.Polynomial(degree))
        assert narrow == pytest.approx(score, abs=2e-6)


@pytest.mark.parametrize(
    "kernel", [ka.RBF(), ka.RBF(fraction=0.05), ka.RBF(1e6), ka.Laplacian(), ka.Polynomial(2)], ids=repr
)
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_one_pass_with_a_pilot_equals_two_passes(kernel, offset):
    """The pilot's form of <K^U, L^U> equals U-centring the very entries that the engine computes."""
    x, y = related(200, 5, 7)
    if isinstance(kernel, ka.Polynomial):
        offset /= 1e4  # rows are not centred: a mean square of 1e12 would leave 4 digits to anybody
    made = [gram_source.make_side([arrays.rows(a, "x")], kernel, 1) for a in (x + offset, y)]
    sums = gram_sweep.GramSweep(made, centred=True).sums(0, 1)
    u = [side.u_centred() for side in made]
    norms = math.sqrt(sums.u_centred(0, 0)) * math.sqrt(sums.u_centred(1, 1))
    assert sums.u_centred(0, 1) / norms == pytest.approx(float((u[0] * u[1]).sum()), rel=1e-10)


# One sweep for many


def test_a_sweep_equals_calls_of_one_pair():
    """For any set and order of partners, one of them so wide that tiles are smaller, and any number of threads."""
    n = 260
    data = [related(n, p, p, seed=p)[0] for p in (3, 40, 18_000)]
    data += [related(n, p, p, seed=p)[0].astype(np.float32) for p in (30, 100, 300)]
    kinds = [ka.RBF(), ka.Linear(), ka.Laplacian(), ka.RBF(100.0), ka.RBF(), ka.Linear()]
    made = [gram_source.make_side([arrays.rows(a)], kernel, 1) for a, kernel in zip(data, kinds, strict=True)]
    orders = [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [4, 2, 0], [3, 4, 5]]
    sweeps = [
        (order, gram_sweep.GramSweep([made[i] for i in order], centred=True, threads=threads))
        for order in orders
        for threads in (1, 3)
    ]
    for a, b in itertools.combinations_with_replacement(range(6), 2):
        alone = gram_sweep.GramSweep([made[a], made[b]], centred=True, threads=1).sums(0, 1)
        for order, sweep in sweeps:
            if a in order and b in order:
                sums = sweep.sums(order.index(a), order.index(b))
                assert sums.unbiased_cka() == pytest.approx(alone.unbiased_cka(), rel=1e-10)
                assert sums.centred(0, 1) * sums.unit == pytest.approx(alone.centred(0, 1) * alone.unit, rel=1e-10)


@pytest.mark.parametrize("kind", list(KERNELS))
def test_threads_do_not_change_a_bit(kind):
    x, y = related(600, 40, 30, dtype=np.float32)
    one = call("cka", x, y, kind, threads=1, uncertainty="jackknife")
    for threads in (2, 3, None):
        other = call("cka", x, y, kind, threads=threads, uncertainty="jackknife")
        assert (float(other), other.stderr, other.p_value) == (float(one), one.stderr, one.p_value)


# Invariances


@every_estimator
@pytest.mark.parametrize("kind", ["rbf median", "laplacian median", "rbf offdiag"])
def test_rules_for_bandwidths_ignore_rotation_scale_and_translation(estimator, kind):
    x, y = related(150, 6, 9)
    plain = call("cka", x, y, kind, estimator=estimator)
    for c in (1e-150, -0.1, 1e150):
        moved = (x @ orthogonal(6) + 2.5) * c
        assert call("cka", moved, y, kind, estimator=estimator) == pytest.approx(plain, rel=1e-9)


@every_kernel
@every_metric
@every_estimator
def test_order_of_items_and_of_arguments_does_not_matter(kind, name, estimator):
    x, y = related(150, 20, 25)
    items = np.random.default_rng(3).permutation(len(x))
    plain = call(name, x, y, kind, estimator=estimator)
    assert call(name, y, x, kind, estimator=estimator) == pytest.approx(plain, rel=1e-11)
    assert call(name, x[items], y[items], kind, estimator=estimator) == pytest.approx(plain, rel=1e-10)


@every_kernel
@every_estimator
def test_cka_of_a_copy_is_one_and_bounded(kind, estimator):
    x, y = related(100, 20, 25)
    assert call("cka", x, x, kind, estimator=estimator) == pytest.approx(1, abs=1e-12)
    assert call("hsic", x, x, kind, estimator=estimator) >= 0
    assert abs(call("cka", x, y, kind, estimator=estimator)) <= 1


def test_float32_layouts_and_dtypes_do_not_matter():
    x, y = related(120, 20, 25, dtype=np.float32)
    plain = ka.cka(x, y, kernel=ka.RBF())
    for variant in (np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x.astype(np.float64)):
        assert ka.cka(variant, y, kernel=ka.RBF()) == pytest.approx(plain, abs=1e-7)
    whole = (x * 3).round().astype(np.int8)
    assert ka.cka(whole, y, kernel=ka.RBF()) == pytest.approx(
        ka.cka(whole.astype(np.float64), y, kernel=ka.RBF()), rel=1e-10
    )


# Chance and sampling


@pytest.mark.parametrize("kind", ["rbf median", "laplacian number", "quadratic"])
def test_nulls_are_those_of_the_matrices(kind):
    x, y = related(40, 20, 25)
    k, g = matrices(x, y, kind)
    biased = call("cka", x, y, kind, estimator="biased")
    norm = np.sqrt(oracle.inner(oracle.centre(k), oracle.centre(k)) * oracle.inner(oracle.centre(g), oracle.centre(g)))
    assert biased.chance == pytest.approx(null_moments.b_mean_cka(k, g), rel=1e-10)
    assert biased.chance_sd == pytest.approx(np.sqrt(null_moments.b_variance(k, g)) / norm, rel=1e-9)
    unbiased = call("cka", x, y, kind)
    assert (unbiased.chance, unbiased.chance_sd) == (0, pytest.approx(math.sqrt(null_moments.u_variance(40))))
    assert unbiased.chance_skew == pytest.approx(null_moments.u_skew(k, g), rel=1e-8)
    if null_moments.concentration(k, g) <= 0.1:
        expected = null_moments.pearson3_tail(unbiased.z, null_moments.u_skew(k, g))
    else:
        expected = null_moments.share(null_moments.drawn_products(oracle.u_centre(k), oracle.u_centre(g)))
    assert unbiased.p_value == pytest.approx(expected, rel=1e-6)
    hsic = call("hsic", x, y, kind)
    assert hsic.z == pytest.approx(unbiased.z, rel=1e-9)


@pytest.mark.parametrize("kind", ["rbf median", "laplacian number", "quadratic"])
@pytest.mark.parametrize("n", [4, 6])
def test_few_items_are_enumerated(kind, n):
    x, y = related(n, 20, 25, seed=n)
    k, g = matrices(x, y, kind)
    values = null_moments.enumerate_products(oracle.u_centre(k), oracle.u_centre(g))
    score = call("cka", x, y, kind)
    assert score.p_value == pytest.approx((values >= values[0] - 1e-12 * np.abs(values).max()).mean())
    assert score.settings["p_method"] == f"all {len(values)} pairings"


@pytest.mark.slow
def test_skew_beyond_5000_items_is_of_sampled_rows():
    x, y = related(5200, 3, 2)
    score = ka.cka(x, y, kernel=ka.RBF())
    assert np.isfinite(score.p_value)
    assert "2000 rows" in score.settings["p_method"]
    index = np.linspace(0, 5199, 2000).astype(int)
    widths = score.settings["bandwidth"]
    k, g = (oracle.rbf(a[index], bandwidth=w) for a, w in zip((x, y), widths, strict=True))
    ratio = [
        np.einsum("ij,jk,ki->", u, u, u, optimize=True) / oracle.inner(u, u) ** 1.5
        for u in map(oracle.u_centre, (k, g))
    ]
    assert score.chance_skew == pytest.approx(math.sqrt(8) * ratio[0] * ratio[1], rel=1e-6)


@pytest.mark.parametrize("kind", ["rbf number", "laplacian number", "quintic", "cosine"])
@pytest.mark.parametrize(
    "name,estimator", [(m, e) for m in METRICS for e in ESTIMATORS if (m, e) != ("kernel_alignment", "biased")]
)
def test_a33_jackknife_is_n_deletions(kind, name, estimator):
    x, y = related(40, 20, 25)
    metric = oracle.METRICS[name, estimator]
    k, g = matrices(x, y, kind)
    rest = [np.delete(np.arange(40), i) for i in range(40)]
    values = np.array([metric(k[np.ix_(r, r)], g[np.ix_(r, r)]) for r in rest])
    score = call(name, x, y, kind, estimator=estimator, uncertainty="jackknife")
    assert score.stderr == pytest.approx(jackknife.stderr(values), rel=1e-8)


def test_jackknife_keeps_the_bandwidth_of_all_items():
    x, y = related(60, 6, 9)
    score = ka.cka(x, y, kernel=ka.RBF(), uncertainty="jackknife")
    k, g = oracle.rbf(x), oracle.rbf(y)
    rest = [np.delete(np.arange(60), i) for i in range(60)]
    values = np.array([oracle.cka_u(k[np.ix_(r, r)], g[np.ix_(r, r)]) for r in rest])
    assert score.stderr == pytest.approx(jackknife.stderr(values), rel=1e-8)


# Data for which there is no answer, or a hard one


def undefined(name, x, y, reason, **keywords):
    with pytest.warns(ka.UndefinedScoreWarning, match=name):
        score = getattr(ka, name)(x, y, **keywords)
    assert np.isnan(score)
    assert reason in score.reason
    assert score.p_value is None


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_estimator
def test_constant_rows(dtype, estimator):
    x, y = related(80, 20, 25, dtype=dtype)
    x = np.full_like(x, 0.1)
    for kernel in (
        ka.RBF(2.0),
        ka.RBF(),
        ka.RBF(1e-30),
        ka.RBF(1e30),
        ka.Laplacian(2.0),
        ka.Polynomial(3),
        ka.Polynomial(2, 0.0),
    ):
        undefined("cka", x, y, "x is constant", kernel=kernel, estimator=estimator)
        if kernel != ka.RBF(1e-30):  # to which the other side is the identity
            undefined("cka", y, x, "y is constant", kernel=kernel, estimator=estimator)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_metric
def test_duplicates_give_no_bandwidth(dtype, name):
    x, y = related(100, 20, 25, dtype=dtype)
    x[:80] = x[0]
    for kernel in (ka.RBF(), ka.Laplacian()):
        undefined(name, x, y, "over half of the distances", kernel=kernel)
    number = getattr(ka, name)(x, y, kernel=ka.RBF(5.0))
    k, g = (oracle.rbf(a, bandwidth=5.0) for a in (x, y))
    assert number == pytest.approx(oracle.METRICS[name, "unbiased"](k, g), abs=1e-6)


@pytest.mark.filterwarnings("ignore:.*nearly repeat:kernalign.AlignmentWarning")
def test_nearly_equal_rows_cost_no_digits():
    x, y = related(100, 20, 25)
    x[50:] = x[:50] + 1e-9 * x[50:]
    for kind in ("laplacian number", "rbf number", "rbf median"):
        assert call("cka", x, y, kind) == pytest.approx(oracle.cka_u(*matrices(x, y, kind)), rel=1e-11)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sigma", [1e-200, 1e-10, 1e-3])
def test_kernels_so_narrow_that_all_items_are_alone(dtype, sigma):
    x, y = related(80, 20, 25, dtype=dtype)
    for kernel in (ka.RBF(sigma), ka.Laplacian(sigma)):
        undefined("cka", x, y, "no structure", kernel=kernel)
        assert ka.cka(x, y, kernel=kernel, estimator="biased") == pytest.approx(1)  # both are the identity
        undefined("kernel_alignment", x, y, "orthogonal", kernel=kernel)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equidistant_items_have_no_structure(dtype):
    _, y = related(70, 20, 25, dtype=dtype)
    for kernel in (ka.RBF(), ka.RBF(0.3), ka.RBF(30.0), ka.Laplacian()):
        undefined("cka", np.eye(70, dtype=dtype), y, "no structure", kernel=kernel)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-150, 1e150, 1e200, 1e300])
@pytest.mark.parametrize("kind", ["rbf median", "laplacian median"])
def test_sizes_near_the_limits_of_float64(size, kind):
    x, y = related(80, 6, 9)
    assert call("cka", x * size, y, kind) == pytest.approx(call("cka", x, y, kind), rel=1e-9)


@every_metric
def test_too_few_items(name):
    x, y = related(3, 2, 2)
    if name != "kernel_alignment":
        with pytest.raises(ValueError, match="at least 4 rows, got 3"):
            getattr(ka, name)(x, y, kernel=ka.RBF(1.0))
    assert np.isfinite(getattr(ka, name)(x, y, kernel=ka.RBF(1.0), estimator="biased"))


@pytest.mark.parametrize(
    "make,error,match",
    [
        (lambda: ka.RBF(0), ValueError, "bandwidth must be positive and finite, got 0"),
        (lambda: ka.RBF(-1.0), ValueError, "bandwidth must be positive"),
        (lambda: ka.RBF(math.nan), ValueError, "bandwidth"),
        (lambda: ka.RBF("mean"), ValueError, "'median' or 'median_offdiag', got 'mean'"),
        (lambda: ka.RBF(True), TypeError, "bandwidth must be a number, got True"),
        (lambda: ka.RBF(None), TypeError, "bandwidth must be a number, got None"),
        (lambda: ka.RBF(fraction=0), ValueError, "fraction"),
        (lambda: ka.Laplacian(math.inf), ValueError, "bandwidth"),
        (lambda: ka.Polynomial(0), ValueError, "degree must be between 1 and 16, got 0"),
        (lambda: ka.Polynomial(2.0), TypeError, "degree must be an integer"),
        (lambda: ka.Polynomial(2, math.inf), ValueError, "offset"),
        (lambda: ka.Polynomial(2, "1"), TypeError, "offset"),
    ],
)
def test_kernels_check_their_parameters(make, error, match):
    with pytest.raises(error, match=match):
        make()


@every_metric
def test_what_is_no_kernel_or_no_gram_matrix(name):
    x, y = related(30, 4, 5)
    metric, k = getattr(ka, name), oracle.rbf(x)
    for bad in ("rbf", None, ka.RBF, 3):
        with pytest.raises(TypeError, match="kernel must be one of"):
            metric(x, y, kernel=bad)
    with pytest.raises(ValueError, match=r"x must be a square matrix.*30 x 4"):
        metric(x, k, kernel=ka.Precomputed())
    with pytest.raises(ValueError, match=r"y must be a square matrix"):
        metric(k, y, kernel=ka.Precomputed())
    skewed = k.copy()
    skewed[3, 7] += 0.1
    with pytest.raises(ValueError, match=r"x must be a symmetric matrix.*\(3, 7\)"):
        metric(skewed, k, kernel=ka.Precomputed())
    skewed[7, 3] = skewed[3, 7] = math.nan
    with pytest.raises(ValueError, match="finite, got nan at row 3, column 7"):
        metric(k, skewed, kernel=ka.Precomputed())
    for options in ({"normalize": "l2"}, {"normalize": "standardize"}, {"clip_quantile": 0.9}):
        with pytest.raises(ValueError, match=r"apply to rows, but kernel=Precomputed\(\)"):
            metric(k, k, kernel=ka.Precomputed(), **options)
    x[2] = 0
    with pytest.raises(ValueError, match="zero row"):
        metric(x, y, kernel=ka.Cosine())
    assert metric(x, y, kernel=ka.Cosine(), zero_rows="drop_pair").n == 29


@pytest.mark.parametrize("options", [{"normalize": "l2"}, {"normalize": "standardize"}, {"kernel": ka.Cosine()}])
def test_preprocessed_float32_rows_are_centred_before_they_are_rounded(options):
    """With an offset of 1000, unit rows differ by 1e-3, which rounding to float32 would spoil."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(100, 200)) + 1e3).astype(np.float32)
    y = (x[:, :150] + rng.normal(size=(100, 150))).astype(np.float32)
    wide = ka.cka(x.astype(np.float64), y.astype(np.float64), **options)
    assert float(ka.cka(x, y, **options)) == pytest.approx(float(wide), abs=3e-8)
