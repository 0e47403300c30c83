"""A CUDA device that is there gives the CPU's answers and says in one sentence what it cannot; else a skip says why."""

from __future__ import annotations

import kernalign as ka
import numpy as np
import pytest
from kernalign import _core
from kernalign._engines import devices
from kernalign._rows import arrays
from kernalign.gpucheck.cases import difference, paired_rows, rows_of

pytestmark = pytest.mark.skipif(not devices.available(), reason=devices.why_not() or "a device is there")
KERNELS = (ka.Linear(), ka.Cosine(), ka.RBF(), ka.RBF("median_offdiag"), ka.Laplacian(), ka.Polynomial(2))


@pytest.mark.parametrize("seed", range(36))
def test_lists_are_those_of_the_cpu_bit_for_bit(seed):
    x, k, metric = rows_of(seed)
    expected = ka.knn(x, k, metric=metric)
    assert difference(ka.knn(x, k, metric=metric, device="cuda"), expected) == ""
    some = ka.knn(x, k, metric=metric, queries=9, device="cuda")
    assert difference(some, ka.knn(x, k, metric=metric, queries=9)) == ""


def test_lists_through_candidates_are_those_of_the_cpu():
    x = np.random.default_rng(0).standard_normal((9000, 64), dtype=np.float32)  # enough of them to be worthwhile
    for metric in ("cosine", "dot", "euclidean"):
        assert difference(ka.knn(x, 10, metric=metric, device="cuda"), ka.knn(x, 10, metric=metric)) == ""


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_sums_are_those_of_the_cpu(kernel):
    needs_cublas()
    for seed in range(4):
        x, y = (side.astype(np.float64) for side in paired_rows(seed))
        for call in (ka.cka, ka.hsic, ka.kernel_alignment):
            expected, found = call(x, y, kernel=kernel), call(x, y, kernel=kernel, device="cuda")
            assert float(found) == pytest.approx(float(expected), rel=1e-11, abs=1e-13)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_streams_have_the_same_bits_however_they_are_cut():
    needs_cublas()
    x, y = paired_rows(1, 3000)
    values = set()
    for size in (3000, 1024, 700):
        stream = devices.Stream(0, _core.Moments(x.shape[1], y.shape[1], double_precision=True))
        for begin in range(0, 3000, size):
            stream.update(*(arrays.rows(side[begin : begin + size]) for side in (x, y)), 0, None)
        values.add(stream.pack().tobytes())
    assert len(values) == 1
    ours = ka.cka(x.astype(np.float64), y.astype(np.float64), device="cuda")
    assert float(ours) == pytest.approx(float(ka.cka(x.astype(np.float64), y.astype(np.float64))), rel=1e-11)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_a_comparison_of_layers_on_the_device_is_that_of_the_cpu():
    needs_cublas()
    torch = torch_on_cuda()
    layers = {
        name: [np.ascontiguousarray(side) for side in paired_rows(seed, 90)] for name, seed in (("a", 0), ("b", 3))
    }
    there = {name: [torch.from_numpy(one).cuda() for one in own] for name, own in layers.items()}
    for metric in ("cka", "mutual_knn"):
        expected = ka.compare(layers, metrics=(metric,), k=5).scores[metric]["a", "b"]
        found = ka.compare(there, metrics=(metric,), k=5)
        assert found.settings["device"].startswith("cuda:")
        np.testing.assert_allclose(found.scores[metric]["a", "b"], expected, rtol=0, atol=1e-6)


def test_work_of_another_stream_is_waited_for():
    torch = torch_on_cuda()
    x = torch.randn(500, 64, device="cuda")
    stream = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(200_000_000)
        late = 2 * x
        found = ka.knn(late, 5, metric="dot")
    assert difference(found, ka.knn((2 * x).cpu().numpy(), 5, metric="dot")) == ""


def test_failures_are_one_sentence_and_leave_nothing():
    count = len(devices.facts()["devices"])
    x = np.ones((20, 3), dtype=np.float32)
    with pytest.raises(ValueError, match=f"'cuda:0' to 'cuda:{count - 1}', got 'cuda:{count}'"):
        ka.knn(x, 2, device=f"cuda:{count}")
    with pytest.raises(ValueError, match="x must have a float dtype on a CUDA device"):
        ka.knn(x.astype(int), 2, device="cuda")
    before = devices.free_memory(0)
    huge = np.broadcast_to(np.float32(1), (int(1.5 * devices.facts()["devices"][0]["memory"]) // 4096, 1024))
    with pytest.raises(MemoryError, match=r"CUDA device 0 is out of memory: \d+ bytes wanted, \d+ free"):
        ka.knn(huge, 2, device="cuda")
    assert before - devices.free_memory(0) < 1 << 26


def needs_cublas() -> None:
    if not devices.facts()["cublas"]:
        pytest.skip("cuBLAS was not found")


def torch_on_cuda():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    return torch
