"""HSIC, CKA, CKNNA and SVCCA of kernalign.compat.platonic: options, the epsilon, and every documented quirk."""

import kernalign as ka
import numpy as np
import pytest
from kernalign.compat import platonic
from kernalign.compat.platonic import AlignmentMetrics
from reference import platonic as oracle
from samples import scaled_pair


def measure(name, x, y, topk):
    return AlignmentMetrics.measure(name, x, y, **({"topk": topk} if "knn" in name else {}))


# HSIC and CKA


def test_hsic_of_dense_matrices():
    rng = np.random.default_rng(0)
    for n in (4, 5, 40, 700):
        k, m = rng.normal(size=(2, n, n))  # not symmetric
        assert platonic.hsic_biased(k, m) == pytest.approx(oracle.hsic_biased(k, m), rel=1e-9)
        assert platonic.hsic_unbiased(k, m) == pytest.approx(oracle.hsic_unbiased(k, m), rel=1e-9)
    assert platonic.hsic_biased(k.astype(np.float32), m) == pytest.approx(oracle.hsic_biased(k, m), rel=1e-4)
    assert isinstance(platonic.hsic_unbiased(k, m), float)
    assert np.isnan(platonic.hsic_unbiased(k[:3, :3], m[:3, :3]))
    with pytest.raises(ValueError, match=r"K must be a square matrix, got shape \(3, 4\)"):
        platonic.hsic_biased(k[:3, :4], m)
    with pytest.raises(ValueError, match="same shape"):
        platonic.hsic_unbiased(k[:5, :5], m[:4, :4])


@pytest.mark.parametrize("factor", [1e-3, 1e-2, 1, 100, 1e5])
@pytest.mark.parametrize("name", ["cka", "unbiased_cka", "cknna"])
def test_the_epsilon_makes_scores_depend_on_scale(name, factor):
    x, y = (v * factor for v in scaled_pair(60, 8, 9))
    assert measure(name, x, y, 10) == pytest.approx(oracle.measure(name, x, y, 10), rel=1e-9)


def test_features_scaled_down_score_lower_unless_eps_is_zero():
    x, y = scaled_pair(60, 8, 9)
    metric = AlignmentMetrics.unbiased_cka
    assert metric(x * 1e-3, y * 1e-3) < 0.01 * metric(x, y)
    assert metric(x * 1e-3, y * 1e-3, eps=0) == pytest.approx(metric(x, y, eps=0), rel=1e-9)
    assert AlignmentMetrics.cknna(x * 1e-3, y * 1e-3, 10, eps=0) == pytest.approx(
        AlignmentMetrics.cknna(x, y, 10, eps=0), rel=1e-9
    )


def test_figures_observed_in_platonic_rep():
    """Wide, independent Gaussian rows of length 1: the epsilon deflates, and biased CKA sees a likeness."""
    rng = np.random.default_rng(0)
    x, y = (oracle.unit_rows(rng.normal(size=(64, 8192))) for _ in range(2))
    assert AlignmentMetrics.unbiased_cka(x, x) == pytest.approx(0.992, abs=1e-3)
    assert AlignmentMetrics.cka(x, y) == pytest.approx(0.992, abs=1e-3)
    assert abs(AlignmentMetrics.unbiased_cka(x, y)) < 0.1
    x = oracle.unit_rows(rng.normal(size=(64, 32)))
    assert AlignmentMetrics.cknna(x, x, 10) == pytest.approx(0.9999, abs=1e-4)


@pytest.mark.parametrize("name", ["cka", "unbiased_cka", "cknna"])
def test_large_features_do_not_overflow(name):
    x, y = scaled_pair(60, 8, 9)
    for factor in (1e6, 1e60):
        a, b = x * factor, y * factor
        assert measure(name, a, b, 10) == pytest.approx(oracle.measure(name, x * 1e3, y * 1e3, 10), rel=1e-6)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("sigma", [0.7, 1.0, 30.0])
def test_gaussian_kernels(unbiased, sigma):
    for n in (7, 90, 600):
        x, y = scaled_pair(n, 4, 3)
        expected = oracle.cka(x, y, "rbf", sigma, unbiased)
        assert AlignmentMetrics.cka(x, y, "rbf", sigma, unbiased) == pytest.approx(expected, rel=1e-8)
    x32, y32 = x.astype(np.float32), y.astype(np.float32)
    assert AlignmentMetrics.cka(x32, y32, "rbf", sigma, unbiased) == pytest.approx(expected, abs=2e-4)


def test_gaussian_kernels_keep_their_diagonal_under_an_offset():
    x, y = scaled_pair(90, 4, 3)
    assert AlignmentMetrics.cka(x + 1e4, y, "rbf") == pytest.approx(oracle.cka(x, y, "rbf"), rel=1e-6)


def test_other_kernels_are_refused():
    x, y = scaled_pair(10, 4, 3)
    with pytest.raises(ValueError, match="poly"):
        AlignmentMetrics.cka(x, y, "poly")
    with pytest.raises(ValueError, match="rbf_sigma must be positive"):
        AlignmentMetrics.cka(x, y, "rbf", 0.0)


def test_few_rows():
    x, y = scaled_pair(4, 3, 3, seed=1)
    assert AlignmentMetrics.unbiased_cka(x, y) == pytest.approx(oracle.unbiased_cka(x, y), rel=1e-9)
    for n in (1, 2, 3):
        assert np.isnan(AlignmentMetrics.unbiased_cka(x[:n], y[:n]))
        assert np.isnan(AlignmentMetrics.cka(x[:n], y[:n], "rbf", unbiased=True))
    assert np.isnan(AlignmentMetrics.cknna(x[:3], y[:3], 2))
    assert AlignmentMetrics.cka(x[:2], y[:2]) == pytest.approx(oracle.cka(x[:2], y[:2]), rel=1e-9)


def test_unbiased_scores_may_be_negative():
    rng = np.random.default_rng(1)
    values = []
    for _ in range(20):
        x, y = rng.normal(size=(2, 12, 5))
        values += [AlignmentMetrics.unbiased_cka(x, y), AlignmentMetrics.cknna(x, y, 3)]
        assert values[-2:] == pytest.approx([oracle.unbiased_cka(x, y), oracle.cknna(x, y, 3)], rel=1e-8)
    assert min(values) < 0


def test_constant_representations_score_zero():
    x, _ = scaled_pair(20, 4, 3)
    assert AlignmentMetrics.cka(x, np.ones((20, 2))) == pytest.approx(0, abs=1e-12)
    assert AlignmentMetrics.unbiased_cka(x, np.ones((20, 2))) == pytest.approx(0, abs=1e-12)


# CKNNA


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("topk", [2, 5, 29, 30])
def test_cknna_options(unbiased, agnostic, topk):
    x, y = scaled_pair(30, 5, 6)
    x[4] = x[9]  # the row itself ties with its copy
    got = AlignmentMetrics.cknna(x, y, topk, agnostic, unbiased)
    if agnostic and unbiased and topk == 30:  # dense masks hold the diagonal then, which no kernel value reaches
        assert got == pytest.approx(1)
    else:
        assert got == pytest.approx(oracle.cknna(x, y, topk, agnostic, unbiased), rel=1e-9)


def test_cknna_without_epsilon_is_the_native_variant():
    x, y = scaled_pair(30, 5, 6)
    expected = ka.cknna(x, y, 6, variant="platonic")
    assert AlignmentMetrics.cknna(x, y, 6, eps=0) == pytest.approx(float(expected), rel=1e-9)


def test_cknna_of_one_mask_counts_common_neighbours():
    x, y = scaled_pair(30, 5, 6)
    assert AlignmentMetrics.cknna(x, y, 6, True) == pytest.approx(AlignmentMetrics.mutual_knn(x, y, 6), abs=1e-6)


def test_cknna_topk():
    x, y = scaled_pair(30, 5, 6)
    assert AlignmentMetrics.cknna(x, y) == AlignmentMetrics.cknna(x, y, topk=29)
    with pytest.raises(ValueError, match="CKNNA requires topk >= 2"):
        AlignmentMetrics.cknna(x, y, 1)
    with pytest.raises(ValueError, match="CKNNA requires topk <= 30"):
        AlignmentMetrics.cknna(x, y, 31)


def test_cknna_is_nan_where_one_self_similarity_is_negative():
    from kernalign.compat.platonic.hsic import ratio

    assert np.isnan(ratio(1.0, -1.0, 1.0, 1e-6))
    assert np.isnan(ratio(1.0, 1.0, -1.0, 1e-6))
    assert ratio(1.0, -4.0, -4.0, 0.0) == 0.25
    assert ratio(1.0, 0.0, -4.0, 0.5) == 2


# SVCCA


def test_svcca_of_itself_is_one_and_does_not_vary():
    x = np.random.default_rng(0).normal(size=(200, 100))
    assert AlignmentMetrics.svcca(x, x) == pytest.approx(1)
    y = x[:, :40] + np.random.default_rng(1).normal(size=(200, 40))
    assert len({AlignmentMetrics.svcca(x, y) for _ in range(3)}) == 1


def test_svcca_seeds():
    x, y = np.random.default_rng(0).normal(size=(2, 200, 100))
    assert AlignmentMetrics.svcca(x, y, seed=3) == AlignmentMetrics.svcca(x, y, seed=3)
    assert AlignmentMetrics.svcca(x, y, seed=3) != AlignmentMetrics.svcca(x, y, seed=4)
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(200, 3))
    x, y = (latent @ rng.normal(size=(3, 30)) + 0.1 * rng.normal(size=(200, 30)) for _ in range(2))
    exact = AlignmentMetrics.svcca(x, y, 3)  # three directions stand out: there is little to be random about
    assert AlignmentMetrics.svcca(x, y, 3, seed=0) == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("shape", [(60, 20), (40, 40), (20, 60)])
def test_svcca_of_steep_and_of_deficient_spectra(shape):
    x, y = np.random.default_rng(0).normal(size=(2, *shape))
    mix = np.random.default_rng(1).normal(size=(shape[1], shape[1]))
    steep = (x * 10.0 ** -np.arange(shape[1])) @ mix
    assert AlignmentMetrics.svcca(steep, y, 5) == pytest.approx(oracle.svcca(steep, y, 5), rel=1e-9)
    flat = x[:, :3] @ mix[:3]  # rank 3: the mean is over the directions that exist
    assert AlignmentMetrics.svcca(flat, flat, 5) == pytest.approx(1)
    assert AlignmentMetrics.svcca(flat, y, 5) == pytest.approx(canonical(flat, y, 3, 5), rel=1e-9)


def canonical(x, y, p, q):
    bases = []
    for side, count in ((x, p), (y, q)):
        side = (side - side.mean(axis=0)) / (side.std(axis=0, ddof=1) + 1e-8)
        bases.append(np.linalg.svd(side)[0][:, :count])
    return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False).mean()


def test_svcca_dimensions():
    x, y = scaled_pair(30, 9, 12)
    with pytest.raises(ValueError, match="cca_dim must be between 1 and the smaller side of feats_A = 9"):
        AlignmentMetrics.svcca(x, y)
    assert AlignmentMetrics.svcca(x, y, cca_dim=4) == pytest.approx(oracle.svcca(x, y, 4), rel=1e-9)
    assert np.isnan(AlignmentMetrics.svcca(np.ones((30, 5)), y, 3))
