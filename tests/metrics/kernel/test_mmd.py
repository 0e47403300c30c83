"""mmd against naive definitions, enumeration of the null, closed forms, and everything that must not matter."""

import math

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from reference import alignment
from reference import two_samples as oracle
from samples import orthogonal
from scipy import stats

ESTIMATORS = ("unbiased", "biased", "linear-time", "block")
KERNELS = {
    "linear": ka.Linear(),
    "cosine": ka.Cosine(),
    "polynomial": ka.Polynomial(3, 0.5),
    "rbf": ka.RBF(1.7),
    "laplacian": ka.Laplacian(1.7),
}
WHOLE = {"unbiased": oracle.unbiased, "biased": oracle.biased}

every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
every_kernel = pytest.mark.parametrize("kernel", list(KERNELS))
whole = pytest.mark.parametrize("estimator", list(WHOLE))
by_blocks = pytest.mark.parametrize("estimator", ["linear-time", "block"])


def samples(n, m, p, seed=0, dtype=np.float64, shift=0.4):
    rng = np.random.default_rng(seed)
    return (0.7 * rng.normal(size=(n, p))).astype(dtype), (0.8 * rng.normal(size=(m, p)) + shift).astype(dtype)


def block_rows(estimator, n, m):
    return 2 if estimator == "linear-time" else max(2, int(np.sqrt(min(n, m))))


def expected(x, y, estimator, kernel, width=1.7):
    k = oracle.grams(*(alignment.features(z) for z in (x, y)), kernel, width)
    if estimator in WHOLE:
        return WHOLE[estimator](*k)
    return oracle.h_blocks(*k, block_rows(estimator, len(x), len(y))).mean()


# The value


@every_estimator
@every_kernel
@pytest.mark.parametrize("n,m", [(4, 4), (5, 9), (40, 17), (33, 64)])
def test_values_agree_with_the_oracle(estimator, kernel, n, m):
    x, y = samples(n, m, 5, seed=n)
    value = expected(x, y, estimator, kernel)
    scale = np.abs(oracle.grams(x, y, kernel, 1.7)[0]).mean()
    assert ka.mmd(x, y, estimator=estimator, kernel=KERNELS[kernel]) == pytest.approx(
        value, rel=1e-10, abs=1e-13 * scale
    )
    x, y = samples(n, m, 20, seed=n, dtype=np.float32, shift=0.1)
    scale = np.abs(oracle.grams(x.astype(float), y.astype(float), kernel, 1.7)[0]).max()
    score = ka.mmd(x, y, estimator=estimator, kernel=KERNELS[kernel])
    assert score == pytest.approx(expected(x, y, estimator, kernel), abs=1e-6 * scale)


@whole
@every_kernel
@pytest.mark.parametrize("n,m", [(100, 28), (127, 130), (255, 2), (257, 255)])
def test_sizes_around_the_edges_of_tiles(estimator, kernel, n, m):
    x, y = samples(n, m, 18, seed=n, shift=0.2)
    value, scale = expected(x, y, estimator, kernel), np.abs(oracle.grams(x, y, kernel, 1.7)[0]).max()
    score = ka.mmd(x, y, estimator=estimator, kernel=KERNELS[kernel])
    assert score == pytest.approx(value, rel=1e-10, abs=1e-13 * scale)
    single = ka.mmd(x.astype(np.float32), y.astype(np.float32), estimator=estimator, kernel=KERNELS[kernel])
    assert single == pytest.approx(value, abs=1e-6 * scale)


@pytest.mark.parametrize("n,m", [(2, 2), (2, 7), (3, 2)])
@whole
def test_two_rows_of_each_will_do(estimator, n, m):
    x, y = samples(n, m, 3)
    assert ka.mmd(x, y, estimator=estimator, kernel=ka.RBF(1.7)) == pytest.approx(
        expected(x, y, estimator, "rbf"), rel=1e-12
    )


@every_estimator
@pytest.mark.parametrize("kernel", ["rbf", "laplacian"])
@pytest.mark.parametrize("off_diagonal", [False, True])
def test_a_median_bandwidth_is_that_of_the_pooled_sample(estimator, kernel, off_diagonal):
    x, y = samples(31, 20, 4, shift=2.0)
    make = {"rbf": ka.RBF, "laplacian": ka.Laplacian}[kernel]
    rule = "median_offdiag" if off_diagonal else "median"
    width = 0.5 * oracle.pooled_median(x, y, off_diagonal)
    score = ka.mmd(x, y, estimator=estimator, kernel=make(rule, 0.5))
    assert score == pytest.approx(expected(x, y, estimator, kernel, width), rel=1e-10)
    assert score.settings["bandwidth"] == pytest.approx(width, rel=1e-12)


def test_defaults_are_unbiased_with_an_rbf_kernel():
    x, y = samples(31, 20, 4)
    score = ka.mmd(x, y)
    assert score == ka.mmd(x, y, estimator="unbiased", kernel=ka.RBF("median"))
    assert (score.metric, score.estimator, score.n) == ("mmd", "unbiased", 51)
    assert (score.settings["sizes"], score.settings["kernel"]) == ((31, 20), "rbf")


def test_a12_gaussians_have_a_closed_form():
    """N(0, 1) and N(1, 1), sigma = 1: 0.17726763491986194; within 4 standard errors."""
    assert oracle.gaussian_mmd(1.0) == pytest.approx(0.17726763491986194, rel=1e-14)
    rng = np.random.default_rng(0)
    values = [ka.mmd(rng.normal(size=(150, 1)), rng.normal(size=(100, 1)) + 1, kernel=ka.RBF(1.0)) for _ in range(60)]
    assert abs(np.mean(values) - oracle.gaussian_mmd(1.0)) < 4 * np.std(values, ddof=1) / np.sqrt(60)
    linear = ka.mmd(
        rng.normal(size=(50_000, 1)), rng.normal(size=(50_000, 1)) + 1, kernel=ka.RBF(1.0), estimator="linear-time"
    )
    assert abs(linear - oracle.gaussian_mmd(1.0)) < 4 * linear.stderr


@pytest.mark.parametrize("n", [4, 6, 9])
def test_a11_joint_against_product_points_is_biased_hsic(n):
    """Under a product of RBF kernels, which is one of rows laid side by side."""
    x, y = samples(n, n, 3, seed=n)
    joint = np.hstack([x, y])
    product = np.array([np.concatenate([a, b]) for a in x for b in y])
    score = ka.mmd(joint, product, estimator="biased", kernel=ka.RBF(1.7))
    assert score == pytest.approx(
        alignment.hsic_b(alignment.rbf(x, bandwidth=1.7), alignment.rbf(y, bandwidth=1.7)), rel=1e-9
    )


# Chance


@pytest.mark.parametrize("n,m", [(2, 2), (2, 3), (3, 3), (4, 2), (4, 4), (3, 6)])
@every_kernel
def test_null_moments_are_those_of_all_splits(n, m, kernel):
    x, y = samples(n, m, 4, seed=n * 10 + m)
    both = np.vstack([x, y])
    pooled = oracle.grams(both, both, kernel, 1.7)[0]
    for estimator, definition in WHOLE.items():
        values = oracle.all_splits(pooled, n, definition)
        score = ka.mmd(x, y, estimator=estimator, kernel=KERNELS[kernel])
        spread = values.std()
        assert score.chance == pytest.approx(values.mean(), rel=1e-9, abs=1e-12 * spread)
        assert score.chance_sd == pytest.approx(spread, rel=1e-9)
        assert score.z == pytest.approx((values[0] - values.mean()) / spread, rel=1e-7, abs=1e-9)
        if estimator == "unbiased" and n + m >= 6:
            assert score.chance_skew == pytest.approx(stats.skew(values), rel=1e-7, abs=1e-10)
        if estimator == "unbiased" and n + m <= 8:
            assert score.p_value == pytest.approx((values >= values[0] - 1e-9 * spread).mean(), rel=1e-9)
            assert score.settings["p_method"] == f"all {math.factorial(n + m)} pairings"


def test_the_tail_is_pearson_iii_where_no_few_rows_rule_the_score():
    x, y = samples(40, 30, 8)
    score = ka.mmd(x, y)
    assert score.p_value == pytest.approx(stats.pearson3.sf(score.z, score.chance_skew), rel=1e-6)
    assert score.settings["p_method"] == "Pearson III, exact third moment"
    x[:2] *= 1000
    ruled = ka.mmd(x, y, kernel=ka.Linear())
    assert ruled.p_value > 0.05
    assert ruled.settings["p_method"] == "999 random pairings, seed 0"


def test_the_biased_p_value_is_that_of_the_unbiased_estimate():
    x, y = samples(20, 13, 4)
    biased, unbiased = (ka.mmd(x, y, estimator=estimator) for estimator in ("biased", "unbiased"))
    assert biased.p_value == pytest.approx(unbiased.p_value, rel=1e-12)
    assert biased.settings["p_method"].endswith(", of the unbiased estimate")
    assert biased.chance > 0


def test_p_values_of_equal_distributions_are_uniform():
    rng = np.random.default_rng(0)
    p = [ka.mmd(rng.normal(size=(25, 3)), rng.normal(size=(15, 3))).p_value for _ in range(400)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.slow
def test_the_skew_of_many_rows_is_from_a_sample():
    x, y = samples(3000, 2500, 6, shift=0.0)
    score = ka.mmd(x, y, kernel=ka.RBF(2.0))
    assert score.settings.get("p_method") is None
    assert 0 <= score.p_value <= 1
    assert score.settings["p_method"] == "Pearson III, leading term of 2000 rows"
    exact = ka.mmd(x[:2500], y[:2000], kernel=ka.RBF(2.0))
    assert score.chance_skew == pytest.approx(exact.chance_skew, abs=0.15)


# Blocks


@by_blocks
def test_stderr_is_the_spread_of_the_blocks(estimator):
    x, y = samples(50, 43, 4)
    h = oracle.h_blocks(*oracle.grams(x, y, "rbf", 1.7), block_rows(estimator, 50, 43))
    score = ka.mmd(x, y, estimator=estimator, kernel=ka.RBF(1.7))
    assert score.stderr == pytest.approx(h.std(ddof=1) / np.sqrt(len(h)), rel=1e-9)
    assert (score.settings["blocks"], score.settings["block_rows"]) == (len(h), 43 // len(h))
    t = stats.t(len(h) - 1)
    assert score.p_value == pytest.approx(t.sf(score / score.stderr), rel=1e-9)
    assert (score.chance, score.chance_sd) == (0.0, score.stderr)
    low, high = score.interval()
    assert (high - low) / 2 == pytest.approx(t.ppf(0.975) * score.stderr, rel=1e-6)


@pytest.mark.parametrize("draw", ["standard_normal", "standard_cauchy"])
def test_few_blocks_keep_the_level(draw):
    """Of four blocks a normal tail rejected .09 at .05 and .04 at .01."""
    rng = np.random.default_rng(2)
    pairs = (getattr(rng, draw)((2, 8, 3)) for _ in range(500))
    p = np.array([ka.mmd(x, y, estimator="linear-time", kernel=ka.RBF(1.0)).p_value for x, y in pairs])
    assert (p <= 0.05).mean() <= 0.065
    assert (p <= 0.01).mean() <= 0.02


@by_blocks
def test_intervals_cover_the_population_value(estimator):
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        x, y = rng.normal(size=(400, 1)), rng.normal(size=(400, 1)) + 1
        low, high = ka.mmd(x, y, estimator=estimator, kernel=ka.RBF(1.0)).interval()
        covered += low < oracle.gaussian_mmd(1.0) < high
    assert 0.89 <= covered / 200 <= 0.99


@by_blocks
def test_many_blocks_are_taken_in_chunks(estimator, monkeypatch):
    x, y = samples(301, 340, 4)
    score = ka.mmd(x, y, estimator=estimator)
    monkeypatch.setattr("kernalign._rows.blocks._ELEMENTS", 100)
    assert ka.mmd(x, y, estimator=estimator) == pytest.approx(float(score), rel=1e-12)


# What must not matter


@every_estimator
@pytest.mark.parametrize("kernel", [ka.RBF(), ka.Laplacian("median_offdiag", 0.3), ka.Cosine()], ids=str)
def test_scale_and_rotation_do_not_matter(estimator, kernel):
    x, y = samples(40, 33, 6)
    score = ka.mmd(x, y, estimator=estimator, kernel=kernel)
    turn = orthogonal(6)
    for factor in (1e-100, 3.0, 1e100):
        other = ka.mmd(x @ turn * factor, y @ turn * factor, estimator=estimator, kernel=kernel)
        assert other == pytest.approx(float(score), rel=1e-9, abs=1e-14)
        assert other.p_value == pytest.approx(score.p_value, rel=1e-7)


@every_estimator
@pytest.mark.parametrize("kernel", ["linear", "rbf", "laplacian"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_offset_costs_no_digits(estimator, kernel, dtype):
    x, y = (np.asarray(z + 1e6, dtype) for z in samples(80, 43, 20))
    moved = [z.astype(np.float64) - 1e6 for z in (x, y)]  # exact
    scale = np.abs(oracle.grams(*moved, kernel, 1.7)[0]).max()
    score = ka.mmd(x, y, estimator=estimator, kernel=KERNELS[kernel])
    assert score == pytest.approx(
        expected(*moved, estimator, kernel), abs=(1e-9 if dtype == np.float64 else 1e-6) * scale
    )


@every_estimator
def test_linear_values_scale_with_the_square(estimator):
    x, y = samples(40, 33, 6)
    score = ka.mmd(x, y, estimator=estimator, kernel=ka.Linear())
    for factor in (1e-100, 1e100):
        other = ka.mmd(x * factor, y * factor, estimator=estimator, kernel=ka.Linear())
        assert other / factor / factor == pytest.approx(float(score), rel=1e-9)
        assert other.chance_sd / factor / factor == pytest.approx(score.chance_sd, rel=1e-9)


@every_estimator
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.int16, np.uint8])
def test_dtypes_and_strides_do_not_matter(estimator, dtype):
    x, y = (np.abs(np.round(3 * z)).astype(dtype) for z in samples(50, 43, 20, seed=1))
    score = ka.mmd(x, y, estimator=estimator, kernel=ka.RBF(7.0))
    assert score == pytest.approx(expected(x, y, estimator, "rbf", 7.0), abs=1e-6)
    wide = np.zeros((100, 40), dtype)
    wide[::2, ::2] = x
    assert ka.mmd(wide[::2, ::2], np.asfortranarray(y), estimator=estimator, kernel=ka.RBF(7.0)) == float(score)
    mixed = ka.mmd(x.astype(np.float64), y, estimator=estimator, kernel=ka.RBF(7.0))
    assert mixed == pytest.approx(expected(x, y, estimator, "rbf", 7.0), abs=1e-6)


@every_estimator
def test_threads_do_not_matter(estimator):
    x, y = samples(300, 270, 20)
    assert len({float(ka.mmd(x, y, estimator=estimator, threads=t)) for t in (1, 2, 3)}) == 1


@whole
def test_order_of_rows_and_of_samples_does_not_matter(estimator):
    x, y = samples(30, 43, 5)
    score = ka.mmd(x, y, estimator=estimator)
    for other in (ka.mmd(y, x, estimator=estimator), ka.mmd(x[::-1], np.roll(y, 3, axis=0), estimator=estimator)):
        assert other == pytest.approx(float(score), rel=1e-10)
        assert other.p_value == pytest.approx(score.p_value, rel=1e-8)


def test_a_sample_against_itself():
    x = samples(30, 2, 5)[0]
    assert ka.mmd(x, x, estimator="biased") == pytest.approx(0, abs=1e-14)
    assert ka.mmd(x, x) < 0
    assert float(ka.mmd(x, x, estimator="linear-time")) == 0
