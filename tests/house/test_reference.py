"""Checks the oracles against brute force, enumeration and published numbers; the package is not involved."""

import ast
from itertools import permutations
from pathlib import Path

import mpmath
import numpy as np
import pytest
from reference import alignment as oracle
from reference import distances, jackknife, null_moments, rsa, two_samples
from scipy import stats
from scipy.spatial.distance import pdist


def random_kernels(n, seed, p=3, q=5):
    rng = np.random.default_rng(seed)
    return oracle.linear(rng.normal(size=(n, p)) + 1), oracle.rbf(rng.normal(size=(n, q)))


def test_oracles_never_import_the_package():
    for path in (Path(__file__).parents[1] / "reference").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "kernalign"], path


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_a4_unbiased_hsic_is_the_four_tuple_u_statistic(n):
    k, g = random_kernels(n, seed=n)
    for a, b in [(k, g), (k, k), (g, g)]:
        brute = oracle.hsic_u_brute_force(a, b)
        assert oracle.hsic_u(a, b) == pytest.approx(brute, rel=1e-10)
        assert oracle.hsic_u_song(a, b) == pytest.approx(brute, rel=1e-10)


def test_a5_unbiased_hsic_ignores_additive_row_terms():
    k, g = random_kernels(12, seed=0)
    a = np.random.default_rng(1).normal(size=12) * 10
    assert oracle.hsic_u(k + a[:, None] + a[None, :], g) == pytest.approx(oracle.hsic_u(k, g), rel=1e-10)


@pytest.mark.parametrize("seed", range(50))
def test_a6_self_term_is_not_negative_and_cka_is_bounded(seed):
    n = 4 + seed % 20
    k, g = random_kernels(n, seed)
    assert oracle.hsic_u(k, k) >= 0
    assert abs(oracle.cka_u(k, g)) <= 1 + 1e-12
    assert 0 <= oracle.cka_b(k, g) <= 1 + 1e-12


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_a7_unbiased_null_moments_by_enumeration(n):
    k, g = random_kernels(n, seed=10 + n)
    a, b = oracle.u_centre(k), oracle.u_centre(g)
    norm = np.sqrt(oracle.inner(a, a) * oracle.inner(b, b))
    z = null_moments.enumerate_products(a, b)
    assert z.mean() / norm == pytest.approx(0, abs=1e-12)
    assert (z**2).mean() / norm**2 == pytest.approx(null_moments.u_variance(n), rel=1e-10)
    assert null_moments.u_third_moment(k, g) / norm**3 == pytest.approx((z**3).mean() / norm**3, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("n", [6, 7])
def test_a8_biased_null_moments_by_enumeration(n):
    k, g = random_kernels(n, seed=20 + n)
    a, b = oracle.centre(k), oracle.centre(g)
    norm = np.sqrt(oracle.inner(a, a) * oracle.inner(b, b))
    z = null_moments.enumerate_products(a, b)
    assert null_moments.b_mean_cka(k, g) == pytest.approx((z / norm).mean(), rel=1e-10)
    assert null_moments.b_mean(k, g) == pytest.approx(z.mean(), rel=1e-10)
    assert null_moments.b_variance(k, g) == pytest.approx(z.var(), rel=1e-10)


def test_enumeration_covers_every_permutation():
    k, g = random_kernels(4, seed=3)
    z = null_moments.enumerate_products(k, g)
    assert len(z) == 24
    assert z[0] == oracle.inner(k, g)
    assert next(iter(permutations(range(4)))) == (0, 1, 2, 3)


@pytest.mark.parametrize("skew", [-2.0, -0.5, -0.002, 0.002, 0.5, 1.29, 2.0])
def test_pearson3_tail_has_the_moments_it_claims(skew):
    # Mean and variance of a law from its upper tail S: integrals of S and of 2 z S, split at 0.
    upper = lambda z: null_moments.pearson3_tail(float(z), skew)  # noqa: E731
    grid = np.linspace(-12, 30, 200_001)
    tail = np.array([upper(z) for z in grid])
    step, above = grid[1] - grid[0], grid > 0
    mean = step * (tail[above].sum() - (1 - tail[~above]).sum())
    square = step * 2 * ((grid * tail)[above].sum() - (grid * (1 - tail))[~above].sum())
    cube = step * 3 * ((grid**2 * tail)[above].sum() + (grid**2 * (tail - 1))[~above].sum())
    assert mean == pytest.approx(0, abs=1e-3)
    assert square == pytest.approx(1, abs=1e-3)
    assert cube == pytest.approx(skew, abs=2e-3)


def test_pearson3_tail_is_normal_when_symmetric_and_bounded_by_its_support():
    assert null_moments.pearson3_tail(1.6448536269514722, 0.0) == pytest.approx(0.05, rel=1e-10)
    assert null_moments.pearson3_tail(1.0, 1e-3) == pytest.approx(null_moments.pearson3_tail(1.0, 0.0), abs=1e-3)
    assert null_moments.pearson3_tail(-5.0, 2.0) == 1.0  # support of skew 2 starts at -1
    assert null_moments.pearson3_tail(5.0, -2.0) == 0.0


def test_leading_skew_is_the_large_n_limit():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(600, 2)), rng.normal(size=(600, 3))
    k, g = oracle.centred_linear(x), oracle.centred_linear(y)
    assert null_moments.leading_skew(k, g) == pytest.approx(null_moments.u_skew(k, g), rel=0.03)


def test_jackknife_of_a_mean_is_the_textbook_standard_error():
    values = np.random.default_rng(0).normal(size=30)
    without = (values.sum() - values) / 29
    assert jackknife.stderr(without) == pytest.approx(values.std(ddof=1) / np.sqrt(30), rel=1e-12)


@pytest.mark.parametrize("name", ["hsic", "cka", "kernel_alignment"])
def test_a33_jackknife_formula_of_the_sheet_equals_deletions(name):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 3))
    y = rng.normal(size=(12, 4)) + x[:, :1]
    expected = jackknife.deletions(name, "unbiased", x, y)
    np.testing.assert_allclose(jackknife.fast_deletions(name, x, y), expected, rtol=1e-10)


def test_published_notebook_values_to_five_digits():
    x, y = oracle.golden()
    k, g = oracle.centred_linear(x), oracle.centred_linear(y)
    assert round(oracle.cka_b(k, g), 5) == 0.55761
    assert round(oracle.cka_b(oracle.rbf(x, 0.5), oracle.rbf(y, 0.5)), 5) == 0.65483
    assert round(oracle.cka_u(k, g), 5) == 0.51346
    assert round(oracle.r2_cca(x, y), 5) == 0.54312


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_linear_oracle_is_accurate_at_large_offsets(offset, estimator):
    """Against 50-digit arithmetic on the same numbers: what the package is held to must itself be right."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(10, 3)) + offset, rng.normal(size=(10, 2)) - offset
    with mpmath.workdps(50):
        grams = []
        for a in (x, y):
            a = mpmath.matrix(a.tolist())
            grams.append(a * a.T)
        exact = mp_cka(*grams, estimator)
    assert oracle.metric("cka", estimator, x, y) == pytest.approx(float(exact), rel=1e-12)


def mp_cka(k, g, estimator):
    n = k.rows
    if estimator == "biased":
        h = mpmath.eye(n) - mpmath.ones(n) / n
        a, b = h * k * h, h * g * h
    else:
        a, b = (mp_u_centre(m) for m in (k, g))

    def dot(u, v):
        return mpmath.fsum(u[i, j] * v[i, j] for i in range(n) for j in range(n))

    return dot(a, b) / mpmath.sqrt(dot(a, a) * dot(b, b))


def mp_u_centre(k):
    n = k.rows
    rows = [mpmath.fsum(k[i, j] for j in range(n) if j != i) for i in range(n)]
    total = mpmath.fsum(rows) / ((n - 1) * (n - 2))
    u = mpmath.zeros(n)
    for i in range(n):
        for j in range(n):
            if i != j:
                u[i, j] = k[i, j] - (rows[i] + rows[j]) / (n - 2) + total
    return u


# Distances, two samples, rsa


@pytest.mark.parametrize("distance", ["correlation", "cosine", "euclidean", "sqeuclidean"])
def test_rsa_is_what_scipy_makes_of_its_distances(distance):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 4)), rng.normal(size=(20, 6))
    a, b = pdist(x, distance), pdist(y, distance)
    np.testing.assert_allclose(rsa.dissimilarities(x, distance), a, rtol=1e-12)
    for comparison, expected in (
        ("pearson", stats.pearsonr),
        ("spearman", stats.spearmanr),
        ("kendall", stats.kendalltau),
    ):
        assert rsa.rsa(x, y, distance, comparison) == pytest.approx(expected(a, b)[0], rel=1e-10)


def test_exact_ranks_are_mid_ranks_of_the_rounded_numbers():
    z = np.random.default_rng(0).integers(0, 3, size=(12, 4))
    z[:, :2] = [1, 5]
    for exact, distance in (
        (rsa.exact_squared_distances(z), "sqeuclidean"),
        (rsa.exact_angles(z, False), "cosine"),
        (rsa.exact_angles(z, True), "correlation"),
    ):
        np.testing.assert_array_equal(rsa.exact_ranks(exact), rsa.mid_ranks(rsa.dissimilarities(z, distance)))


def test_tau_a_by_hand():
    assert rsa.tau_a(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / 3)


@pytest.mark.parametrize("kernel", list(two_samples.KERNELS))
def test_mmd_is_the_mean_of_its_definition(kernel):
    """The U-statistic as a mean over pairs, and the V-statistic with the weights of both mean embeddings."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)) + 1
    kx, ky, kxy = two_samples.grams(x, y, kernel)
    h = [
        kx[i, j] + ky[a, b] - kxy[i, b] - kxy[j, a]
        for i, j in permutations(range(4), 2)
        for a, b in permutations(range(5), 2)
    ]
    assert two_samples.unbiased(kx, ky, kxy) == pytest.approx(np.mean(h), rel=1e-10)
    weights = np.repeat([1 / 4, -1 / 5], [4, 5])
    pooled = two_samples.grams(np.vstack([x, y]), x, kernel)[0]
    assert two_samples.biased(kx, ky, kxy) == pytest.approx(weights @ pooled @ weights, rel=1e-10)
    assert two_samples.all_splits(pooled, 4, two_samples.unbiased).mean() == pytest.approx(0, abs=1e-12)
    assert two_samples.h_blocks(kx, ky, kxy, 2)[0] == pytest.approx(kx[0, 1] + ky[0, 1] - kxy[0, 1] - kxy[1, 0])


def test_a11_mmd_of_joint_and_product_points_is_biased_hsic():
    """Of any kernels: k times l on the n pairs and on the n^2 products."""
    k, g = random_kernels(5, seed=0)
    n = 5
    joint, product = (k * g).sum() / n**2, k.sum() * g.sum() / n**4
    cross = (k.sum(axis=1) @ g.sum(axis=1)) / n**3
    assert joint + product - 2 * cross == pytest.approx(oracle.hsic_b(k, g), rel=1e-10)


def test_a23_distance_covariance_is_four_times_hsic():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 2)), rng.normal(size=(9, 3))
    expected = 4 * oracle.hsic_b(distances.induced_kernel(x), distances.induced_kernel(y))
    assert distances.dcov2_v(x, y) == pytest.approx(expected, rel=1e-12)
