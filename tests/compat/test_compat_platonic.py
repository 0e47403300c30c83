"""kernalign.compat.platonic against its oracle: the values of all metrics, and every documented quirk."""

import subprocess
import sys

import numpy as np
import pytest
from kernalign.compat import platonic
from kernalign.compat.platonic import AlignmentMetrics
from reference import platonic as oracle
from samples import scaled_pair

NAMES = list(oracle.METRICS)
LIST_METRICS = ["cycle_knn", "mutual_knn", "lcs_knn", "edit_distance_knn"]


def measure(name, x, y, topk):
    return AlignmentMetrics.measure(name, x, y, **({"topk": topk} if "knn" in name else {}))


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
        with pytest.raises(ValueError, match=r"metric must be 'cycle_knn', .* got 'knn'"):
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
