"""kernalign.compat.platonic against its oracle: the values of all metrics, and every documented quirk."""

import subprocess
import sys

import numpy as np
import pytest
from kernalign.compat import platonic
from kernalign.compat.platonic import AlignmentMetrics
from reference import platonic as oracle
from samples import related

NAMES = list(oracle.METRICS)
LIST_METRICS = ["cycle_knn", "mutual_knn", "lcs_knn", "edit_distance_knn"]


def measure(name, x, y, topk):
    return AlignmentMetrics.measure(name, x, y, **({"topk": topk} if "knn" in name else {}))


def scaled_pair(n, p, q, seed=0, dtype=np.float64):
    x, y = related(n, p, q, seed)
    return (x + 0.3).astype(dtype), (y * 2).astype(dtype)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "shape, topk", [((60, 20, 31), 10), ((300, 24, 12), 10), ((40, 100, 70), 5), ((30, 11, 12), 29), ((25, 12, 20), 2)]
)
def test_values_in_float64(name, shape, topk):
    x, y = scaled_pair(*shape, seed=shape[0])
    for a, b in ((x, y), (y, x), (x, x)):
        assert measure(name, a, b, topk) == pytest.approx(oracle.measure(name, a, b, topk), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", [False, True])
def test_values_in_float32(name, unit):
    x, y = scaled_pair(250, 64, 48, seed=3, dtype=np.float32)
    if unit:
        x, y = (oracle.unit_rows(v).astype(np.float32) for v in (x, y))
    for a, b in ((x, y), (x[:70], y[:70])):
        assert measure(name, a, b, 10) == pytest.approx(oracle.measure(name, a, b, 10), abs=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_layouts_and_integers(name):
    x, y = scaled_pair(80, 40, 24)
    x, y = np.round(x * 10), np.round(y * 10)
    expected = oracle.measure(name, x, y[:, ::2], 7)
    assert measure(name, np.asfortranarray(x), y[:, ::2], 7) == pytest.approx(expected, rel=1e-9)
    assert measure(name, x.astype(np.int32), y.astype(np.int16)[:, ::2], 7) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_tensors_give_the_values_of_arrays(name, dtype):
    torch = pytest.importorskip("torch")
    x, y = (torch.from_numpy(v).to(getattr(torch, dtype)) for v in scaled_pair(120, 40, 32, seed=5))
    value = measure(name, x, y.requires_grad_(), 10)
    wide = [v.detach().double().numpy() for v in (x, y)]
    tolerance = {"rel": 1e-6 if name == "lcs_knn" else 1e-9} if dtype == "float64" else {"abs": 2e-4}
    assert float(value) == pytest.approx(oracle.measure(name, *wide, 10), **tolerance)


def test_return_types_of_tensors():
    torch = pytest.importorskip("torch")
    x, y = (torch.from_numpy(v) for v in scaled_pair(40, 12, 12, dtype=np.float32))
    for name in NAMES:
        value = measure(name, x, y, 10)
        if name in ("lcs_knn", "edit_distance_knn"):
            assert value.shape == ()
            assert value.dtype == (torch.float32 if name == "lcs_knn" else torch.float64)
        else:
            assert isinstance(value, float)
        assert isinstance(measure(name, x.numpy(), y.numpy(), 10), float)
    lists = platonic.compute_nearest_neighbors(x, 3)
    assert lists.dtype == torch.int64
    assert lists.shape == (40, 3)
    assert platonic.longest_ordinal_sequence(lists, lists).tolist() == [3] * 40
    assert platonic.compute_knn_accuracy(lists[lists]).shape == ()
    gram = x @ x.T
    assert platonic.hsic_biased(gram, gram).dtype == torch.float32
    assert platonic.hsic_unbiased(gram.double(), gram.double()).shape == ()
    best, at = platonic.compute_score([x], [y], "lcs_knn")
    assert best.dtype == torch.float32
    assert at == (0, 0)


def test_torch_is_not_imported():
    code = (
        "import sys, numpy as np; from kernalign.compat.platonic import AlignmentMetrics as A, compute_score;"
        "x = np.random.default_rng(0).normal(size=(20, 3, 12));"
        "[compute_score(x, x, m) for m in A.SUPPORTED_METRICS]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_measure_knows_the_eight_metrics():
    assert sorted(AlignmentMetrics.SUPPORTED_METRICS) == sorted(NAMES)
    x, y = scaled_pair(20, 4, 4)
    for call in (AlignmentMetrics.measure, lambda name, *_: platonic.compute_score([x], [y], name)):
        with pytest.raises(ValueError, match="Unrecognized metric: knn"):
            call("knn", x, y)


# Neighbour lists


def test_rows_are_not_normalised_and_zero_rows_stay():
    x, y = scaled_pair(50, 8, 8)
    x[7] = 0
    x *= np.random.default_rng(0).uniform(0.1, 10, size=(50, 1))
    for name in LIST_METRICS:
        assert measure(name, x, y, 10) == pytest.approx(oracle.measure(name, x, y, 10), rel=1e-9)
    assert AlignmentMetrics.mutual_knn(x, y, 10) != oracle.mutual_knn(oracle.unit_rows(x), oracle.unit_rows(y), 10)


def test_ties_come_lowest_index_first():
    constant = np.ones((6, 3))
    expected = [[j for j in range(6) if j != i][:3] for i in range(6)]
    assert platonic.compute_nearest_neighbors(constant, 3).tolist() == expected
    x = np.random.default_rng(0).integers(-1, 2, size=(60, 3))
    y = np.random.default_rng(1).integers(-1, 2, size=(60, 3))
    assert platonic.compute_nearest_neighbors(x, 9).tolist() == oracle.neighbours(x, 9).tolist()
    for name in [*LIST_METRICS, "cknna"]:
        assert measure(name, x, y, 9) == pytest.approx(oracle.measure(name, x, y, 9), rel=1e-9), name


@pytest.mark.parametrize("topk", [6, 10])
def test_with_topk_of_n_or_more_the_row_itself_enters_its_list(topk):
    x, y = scaled_pair(6, 4, 5)
    lists = platonic.compute_nearest_neighbors(x, topk)
    assert lists.shape == (6, 6)
    assert lists.dtype == np.int64
    assert lists.tolist() == oracle.neighbours(x, topk).tolist()
    assert AlignmentMetrics.mutual_knn(x, y, topk) == 1
    for name in LIST_METRICS:
        assert measure(name, x, y, topk) == pytest.approx(oracle.measure(name, x, y, topk), rel=1e-12), name


def test_a_single_row_is_its_own_neighbour():
    x = np.ones((1, 3))
    assert platonic.compute_nearest_neighbors(x).tolist() == [[0]]
    assert [measure(name, x, x, 1) for name in LIST_METRICS] == [1, 1, 1, 1]


def test_common_subsequences_are_not_divided_by_k_and_edit_similarity_is():
    x, _ = scaled_pair(40, 6, 6)
    assert AlignmentMetrics.lcs_knn(x, x, 10) == 10
    assert AlignmentMetrics.edit_distance_knn(x, x, 10) == 1


def test_cycle_knn_depends_on_the_order_of_its_arguments():
    x, y = scaled_pair(60, 9, 9, seed=2)
    values = AlignmentMetrics.cycle_knn(x, y, 3), AlignmentMetrics.cycle_knn(y, x, 3)
    assert values == (oracle.cycle_knn(x, y, 3), oracle.cycle_knn(y, x, 3))
    assert values[0] != values[1]


def test_helpers_take_any_lists():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, size=(30, 8)), rng.integers(0, 5, size=(30, 6))
    expected = [oracle.common_subsequence(p, q) for p, q in zip(a, b, strict=True)]
    assert platonic.longest_ordinal_sequence(a, b).tolist() == expected
    blocks = rng.integers(0, 30, size=(30, 4, 4))
    assert platonic.compute_knn_accuracy(blocks) == pytest.approx(oracle.knn_accuracy(blocks))


@pytest.mark.parametrize("topk, error", [(0, ValueError), (-3, ValueError), (2.0, TypeError), (True, TypeError)])
def test_bad_topk(topk, error):
    x, y = scaled_pair(20, 4, 4)
    with pytest.raises(error, match="topk"):
        AlignmentMetrics.mutual_knn(x, y, topk)


def test_bad_inputs_name_the_argument():
    x, y = scaled_pair(20, 4, 4)
    for name in NAMES:
        with pytest.raises(ValueError, match="feats_A and feats_B must have the same number of rows, got 20 and 19"):
            AlignmentMetrics.measure(name, x, y[:19], **({"topk": 4} if "knn" in name else {}), **dim(name))
        with pytest.raises(ValueError, match="feats_B must be 2-D"):
            AlignmentMetrics.measure(name, x, y[0], **({"topk": 4} if "knn" in name else {}), **dim(name))
        broken = y.copy()
        broken[3, 1] = np.nan
        with pytest.raises(ValueError, match=r"feats_B.*row 3"):
            AlignmentMetrics.measure(name, x, broken, **({"topk": 4} if "knn" in name else {}), **dim(name))


def dim(name):
    return {"cca_dim": 3} if name == "svcca" else {}


def test_no_n_by_n_array():
    code = """
import resource, tracemalloc
import numpy as np
from kernalign.compat.platonic import AlignmentMetrics
rng = np.random.default_rng(0)
x, y = rng.normal(size=(2, 20_000, 16)).astype(np.float32)
small = x[:500], y[:500]
AlignmentMetrics.mutual_knn(*small, 10)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tracemalloc.start()
AlignmentMetrics.mutual_knn(x, y, 10)
print(tracemalloc.get_traced_memory()[1], 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    traced, resident = map(int, done.stdout.split())
    assert traced < 20e6
    assert resident < 200e6  # a boolean mask of one side would be 400 MB


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
    with pytest.raises(ValueError, match="cca_dim must be between 1 and 9"):
        AlignmentMetrics.svcca(x, y)
    assert AlignmentMetrics.svcca(x, y, cca_dim=4) == pytest.approx(oracle.svcca(x, y, 4), rel=1e-9)
    assert np.isnan(AlignmentMetrics.svcca(np.ones((30, 5)), y, 3))


# Outliers


@pytest.mark.parametrize("q", [0.0, 0.3, 0.95, 0.999])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("shape", [(20, 7), (20, 3, 5)])
def test_outliers_are_clamped_at_one_threshold(q, exact, shape):
    x = np.random.default_rng(0).standard_t(3, size=shape)
    limit = oracle.threshold(x, q, exact)
    got = platonic.remove_outliers(x, q, exact)
    np.testing.assert_allclose(got, np.clip(x, -limit, limit), rtol=1e-12)
    assert got.dtype == np.float64
    transposed = np.asfortranarray(x.astype(np.float32))
    np.testing.assert_allclose(platonic.remove_outliers(transposed, q, exact), got, rtol=1e-5, atol=1e-6)


def test_exact_and_approximate_thresholds_differ():
    x = np.random.default_rng(0).standard_t(3, size=(20, 7))
    assert oracle.threshold(x, 0.95, True) != pytest.approx(oracle.threshold(x, 0.95, False), rel=1e-3)


def test_outliers_at_q_one_and_beyond():
    x = np.random.default_rng(0).normal(size=(5, 4))
    assert platonic.remove_outliers(x, 1) is x
    with pytest.raises(ValueError, match="q must be in"):
        platonic.remove_outliers(x, 1.5)


def test_max_threshold_is_ignored_with_a_warning():
    x = np.random.default_rng(0).normal(size=(5, 4))
    with pytest.warns(UserWarning, match="max_threshold is ignored"):
        got = platonic.remove_outliers(x, 0.9, max_threshold=0.1)
    np.testing.assert_array_equal(got, platonic.remove_outliers(x, 0.9))


def test_one_nan_makes_the_approximate_form_all_nan_and_leaves_the_exact_one():
    x = np.random.default_rng(0).normal(size=(30, 4))
    x[3, 1] = np.nan
    assert np.isnan(platonic.remove_outliers(x, 0.9)).all()
    got = platonic.remove_outliers(x, 0.9, exact=True)
    assert np.isnan(got).sum() == 1
    limit = oracle.threshold(x, 0.9, True)
    np.testing.assert_allclose(got, np.clip(x, -limit, limit))


def test_a_list_has_one_threshold_per_layer_and_a_tensor_one_for_all():
    x = np.random.default_rng(0).normal(size=(20, 2, 6)) * np.array([1, 10])[:, None]
    layers = [x[:, 0], x[:, 1]]
    whole, split = platonic.prepare_features(x), platonic.prepare_features(layers)
    assert whole.dtype == split[0].dtype == np.float32
    limit = oracle.threshold(x.astype(np.float32), 0.95, False)
    np.testing.assert_allclose(whole, np.clip(x, -limit, limit), rtol=1e-6)
    for layer, got in zip(layers, split, strict=True):
        limit = oracle.threshold(layer.astype(np.float32), 0.95, False)
        np.testing.assert_allclose(got, np.clip(layer, -limit, limit), rtol=1e-6)
    assert np.abs(whole[:, 0]).max() > np.abs(split[0]).max()


def test_outliers_of_tensors():
    torch = pytest.importorskip("torch")
    x = torch.randn(20, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    got = platonic.prepare_features(x, exact=True)
    assert got.dtype == torch.float32
    limit = oracle.threshold(x.float().numpy(), 0.95, True)
    np.testing.assert_allclose(got.numpy(), x.float().numpy().clip(-limit, limit), rtol=1e-6)
    quantile = torch.quantile(x.abs().flatten(start_dim=1), 0.9, dim=1).mean()
    assert torch.allclose(platonic.remove_outliers(x, 0.9), x.clamp(-quantile, quantile))
    assert platonic.remove_outliers(x.bfloat16(), 0.9).dtype == torch.bfloat16
    assert platonic.remove_outliers(x.transpose(0, 2), 0.9, exact=True).shape == (6, 3, 20)


# Layers


def layered(n=40, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 1, 12))
    x = shared * np.array([0.2, 2, 1])[:, None] + rng.normal(size=(n, 3, 12))
    y = shared * np.array([1, 0.1])[:, None] + rng.normal(size=(n, 2, 12))
    return x, y


@pytest.mark.parametrize("metric", NAMES)
@pytest.mark.parametrize("normalize", [False, True])
def test_compute_score_finds_the_best_pair_of_layers(metric, normalize):
    x, y = layered()
    x[5, 1] = 0  # a zero row stays zero
    layers = [x[:, i] for i in range(3)], [y[:, i] for i in range(2)]
    score, at = platonic.compute_score(x, y, metric, 4, normalize)
    expected, where = oracle.compute_score(*layers, metric, 4, normalize)
    assert at == where
    assert score == pytest.approx(expected, rel=1e-9)
    assert platonic.compute_score(layers[0], y, metric, 4, normalize) == (score, at)
    narrow = platonic.compute_score(x.astype(np.float32), y.astype(np.float32), metric, 4, normalize)
    assert narrow[0] == pytest.approx(expected, abs=2e-4)


def test_compute_score_defaults():
    x, y = layered()
    assert platonic.compute_score(x, y) == platonic.compute_score(x, y, "mutual_knn", topk=10, normalize=True)


def test_scores_that_are_not_positive_have_no_layers():
    x, y = np.random.default_rng(3).normal(size=(2, 3, 1, 4))
    assert platonic.compute_score(x, y, "unbiased_cka") == (0, None)  # nan
    rng = np.random.default_rng(1)
    negative = next(
        (a, b) for a, b in (rng.normal(size=(2, 12, 5)) for _ in range(50)) if AlignmentMetrics.unbiased_cka(a, b) < 0
    )
    assert platonic.compute_score([negative[0]], [negative[1]], "unbiased_cka", normalize=False) == (0, None)


def test_of_equal_scores_the_first_counts():
    x, y = layered()
    doubled = np.concatenate([x, x], axis=1)
    assert platonic.compute_score(doubled, y)[1] == platonic.compute_score(x, y)[1]


def test_layers_must_be_three_dimensional_or_a_list():
    x, y = layered()
    with pytest.raises(ValueError, match=r"x_feats must be \(items, layers, features\) or a list"):
        platonic.compute_score(x[:, 0], y)


@pytest.fixture
def feature_files(tmp_path):
    torch = pytest.importorskip("torch")
    features = [*layered(seed=1), *layered(seed=2)]
    paths = [tmp_path / f"{i}.pt" for i in range(4)]
    for feats, path in zip(features, paths, strict=True):
        torch.save({"feats": torch.from_numpy(feats), "num_params": 1}, path)
    return features, paths


def clamped_layers(feats, exact):
    feats = feats.astype(np.float32)
    limit = oracle.threshold(feats, 0.95, exact)
    return list(np.clip(feats, -limit, limit).transpose(1, 0, 2))


@pytest.mark.parametrize("metric", ["mutual_knn", "cycle_knn", "cka", "lcs_knn"])
def test_compute_alignment_swaps_its_sides(metric, feature_files):
    features, paths = feature_files
    for precise in (False, True):
        scores, layers = platonic.compute_alignment(paths[:2], paths[2:], metric, 5, precise=precise)
        assert layers.shape == (2, 2, 2)
        for i in range(2):
            for j in range(2):
                sides = [clamped_layers(features[at], precise) for at in (2 + j, i)]
                expected, where = oracle.compute_score(*sides, metric, 5)
                assert scores[i, j] == pytest.approx(expected, abs=2e-4)
                assert tuple(layers[i, j]) == where


def test_compute_alignment_mirrors_equal_lists(feature_files):
    features, paths = feature_files
    scores, layers = platonic.compute_alignment(paths, paths, "mutual_knn", 5)
    np.testing.assert_array_equal(scores, scores.T)
    for i in range(4):
        for j in range(i + 1, 4):
            np.testing.assert_array_equal(layers[i, j], layers[j, i, ::-1])
    cycles, _ = platonic.compute_alignment(paths, paths, "cycle_knn", 3)
    assert (cycles != cycles.T).any()
    layers_of = [clamped_layers(feats, True) for feats in features]
    expected = [[oracle.compute_score(y, x, "cycle_knn", 3)[0] for y in layers_of] for x in layers_of]
    np.testing.assert_allclose(cycles, expected, rtol=1e-9)


def test_compute_alignment_without_positive_scores_has_nan_layers(tmp_path):
    torch = pytest.importorskip("torch")
    paths = [tmp_path / "a.pt", tmp_path / "b.pt"]
    for seed, path in enumerate(paths):
        torch.save({"feats": torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(seed))}, path)
    scores, layers = platonic.compute_alignment(paths, paths, "unbiased_cka", 5)
    assert (scores == 0).all()
    assert np.isnan(layers).all()


def test_pickled_code_in_feature_files_is_not_run(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"feats": torch.zeros(3, 2, 4), "evil": print}, tmp_path / "a.pt")
    with pytest.raises(Exception, match=r"[Ww]eights"):
        platonic.compute_alignment([tmp_path / "a.pt"], [tmp_path / "a.pt"], "cka", 5)
