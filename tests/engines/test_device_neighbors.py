"""The device's Neighbors engine, simulated, against the CPU's: the same bits, and one sentence for what it does not."""

from __future__ import annotations

import warnings

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from device_arrays import DeviceArray
from engines.test_neighbors import make
from kernalign import _core
from kernalign._engines import devices
from kernalign._rows import arrays, on_device
from kernalign.gpucheck.cases import difference

METRICS = ("cosine", "dot", "euclidean")
DTYPES = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)
DATA = ("gaussian", "clustered", "tight", "duplicated", "integer", "offset", "outlier", "outlier_rows", "constant")


pytestmark = pytest.mark.usefixtures("cuda")


def assert_same(found: ka.Neighbors, expected: ka.Neighbors) -> None:
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.similarities.view(np.uint64), expected.similarities.view(np.uint64))
    np.testing.assert_array_equal(found.tie_rows, expected.tie_rows)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_lists_are_those_of_the_cpu(cuda, metric, dtype):
    for name in DATA:
        for n, d, k in [(2, 1, 1), (33, 3, 32), (260, 19, 10)]:
            x = make(name, n, d)
            if dtype == np.float16:
                x = np.clip(x, -6e4, 6e4)
            x = x.astype(dtype)
            assert_same(ka.knn(DeviceArray(x), k, metric=metric), ka.knn(x, k, metric=metric))
            assert_same(ka.knn(x, k, metric=metric, device="cuda:1"), ka.knn(x, k, metric=metric))


@pytest.mark.parametrize("order", ["forward", "reverse", "random", "threads"])
def test_lists_do_not_depend_on_the_order_of_threads(cuda, order):
    cuda.simulate(order=order)
    x = make("duplicated", 150, 21).astype(np.float32)
    for metric in METRICS:
        assert_same(ka.knn(DeviceArray(x), 6, metric=metric), ka.knn(x, 6, metric=metric))


def test_long_lists_are_those_of_the_cpu(cuda):
    x = make("clustered", 700, 5)
    for k in (500, 699):
        assert_same(ka.knn(x, k, device="cuda"), ka.knn(x, k))


@pytest.mark.parametrize("order", ["reverse", "threads"])
def test_lists_do_not_depend_on_how_much_is_asked_for_between_two_polls(cuda, order):
    """On a slow card, rows are compared with some others at a time."""
    for name, k in (("duplicated", 5), ("clustered", 299), ("gaussian", 130)):
        x, polls = make(name, 300, 4).astype(np.float32), {}
        for work in (1e12, 8e4, 2000.0):  # the least takes 18 seconds at a tenth of one for so many
            cuda.simulate(order=order, work=work)
            assert_same(ka.knn(DeviceArray(x), k), ka.knn(x, k))
            assert_same(ka.knn(x, k, queries=[3, 7, 299], device="cuda"), ka.knn(x, k, queries=[3, 7, 299]))
            polls[work] = cuda.launches()
        assert polls[1e12] < polls[8e4] < polls[2000.0]


def test_what_takes_long_is_said_before_it_begins(cuda, recwarn):
    """Rows that are all alike are not told apart by float16 products, and compared with all others."""
    x = make("constant", 300, 4).astype(np.float32)
    cuda.simulate(work=300 * 300 * 4 / 290)
    ka.knn(DeviceArray(x), 3)
    assert not [one for one in recwarn if "on the device" in str(one.message)]
    cuda.simulate(work=300 * 300 * 4 / 650)
    words = "300 rows are compared with all others in float64 on the device, which takes about 65 s"
    with pytest.warns(ka.AlignmentWarning, match=words) as caught:
        ka.knn(DeviceArray(x), 3)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ka.AlignmentWarning, match="takes about 65 s"):
            ka.knn(DeviceArray(x), 3)


def test_rows_with_common_divisors_are_read_where_they_are(cuda):
    """One of them among many others, or all: no copy of any rows in float64 is made, which would not fit."""
    x = make("gaussian", 100, 4000).astype(np.float32)
    x[17] = 3 * (np.arange(4000) % 1000) + 3
    for rows in (x, np.repeat(np.arange(1, 101, dtype=np.float32)[:, None], 4000, axis=1)):
        cuda.simulate(memory=100 * 4000 * 8)
        assert_same(ka.knn(DeviceArray(rows), 5), ka.knn(rows, 5))
        cuda.simulate()
        raw = devices.nearest_neighbors(
            on_device.moved(arrays.rows(rows), 0), 5, "cosine", False, 1, None, worthwhile=0.0
        )
        np.testing.assert_array_equal(raw[1].view(np.uint64), ka.knn(rows, 5).similarities.view(np.uint64))


def test_rows_are_preprocessed_as_on_the_cpu(cuda):
    x = make("outlier", 90, 17)
    for dtype in (np.float16, np.float32, np.float64):
        for how in ({"normalize": "l2"}, {"normalize": "standardize"}, {"clip_quantile": 0.9}):
            given = x.astype(dtype)
            for metric in METRICS:
                assert_same(
                    ka.knn(given, 4, metric=metric, device="cuda", **how), ka.knn(given, 4, metric=metric, **how)
                )
    given = x.astype(np.float32)
    assert_same(
        ka.knn(DeviceArray(given), 4, metric="dot", normalize="l2"), ka.knn(given, 4, metric="dot", normalize="l2")
    )


@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e155, 1e200])
def test_extreme_rows_are_those_of_the_cpu(cuda, scale):
    x = make("gaussian", 60, 9)
    x[::3] *= scale
    assert_same(ka.knn(x, 5, device="cuda"), ka.knn(x, 5))
    assert_same(ka.knn(DeviceArray(x), 5), ka.knn(x, 5))
    for where in (x, DeviceArray(x)):
        if scale > 1:
            with pytest.raises(ValueError, match="its largest magnitude must be between"):
                ka.knn(where, 5, metric="dot", device="cuda")
        else:
            assert_same(ka.knn(where, 5, metric="dot", device="cuda"), ka.knn(x, 5, metric="dot"))


def test_layouts_are_read_where_they_are(cuda):
    x = make("gaussian", 80, 12).astype(np.float32)
    padded = np.zeros((160, 20), np.float32)
    padded[::2, 3:15] = x
    for view in (padded[::2, 3:15], x[::-1][::-1], np.asfortranarray(x)[:, :1], x[:, :1]):
        assert_same(ka.knn(DeviceArray(view), 3, metric="euclidean"), ka.knn(view, 3, metric="euclidean"))
    with pytest.raises(ValueError, match="x must have rows whose columns lie next to each other on a CUDA device"):
        ka.knn(DeviceArray(np.asfortranarray(x)), 3)
    assert_same(ka.knn(np.asfortranarray(x), 3, device="cuda"), ka.knn(x, 3))  # uploading copies anyway


def shifted(managed):
    """The same memory, from some bytes before it on."""
    managed.tensor.data -= 24
    managed.tensor.byte_offset = 24


def dense(managed):
    managed.tensor.strides = None


def read_only(managed):
    managed.flags = 1


def next_version(managed):
    managed.minor += 1


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_tensors_of_any_layout_are_read_and_given_back_once(cuda, versioned, dtype):
    x = make("gaussian", 60, 9).astype(dtype)
    wide = np.zeros((120, 31), dtype)
    wide[::2, 5:14] = x
    cases = [(x, None), (x, shifted), (x, dense), (wide[::2, 5:14], shifted), (x[::-1], None), (wide[::-2, 5:14], None)]
    cases += [(x[:, :1].copy(), dense), (x[:, 3:4], None)]
    if versioned:  # which can say that nobody may write
        cases += [(x, read_only), (x, next_version), (np.broadcast_to(x[:1], (4, 9)), None)]
    for values, change in cases:
        array = DeviceArray(values, versioned=versioned, change=change)
        for metric in ("euclidean", "dot"):
            assert_same(ka.knn(array, 3, metric=metric), ka.knn(np.ascontiguousarray(values), 3, metric=metric))
        copy = on_device.device_rows(array, "x", 0).host().dense(0, len(values))
        np.testing.assert_array_equal(copy, values.astype(np.float64))
        assert array.given_back == len(array.streams) == 3


def two_dimensions_more(managed):
    managed.tensor.ndim = 4


def of_integers(managed):
    managed.tensor.code = 0


def of_lanes(managed):
    managed.tensor.lanes = 4


def between_elements(managed):
    managed.tensor.byte_offset = 1


def elsewhere(managed):
    managed.tensor.device_id = 1


def on_the_cpu(managed):
    managed.tensor.device_type = 1


def later_version(managed):
    managed.major = 2


def failing(managed):
    raise BufferError("its memory is gone")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (two_dimensions_more, ValueError, "x must be 2-D, got 4-D"),
        (of_integers, TypeError, "x must have dtype float16, bfloat16.*got int32"),
        (of_lanes, TypeError, "x must have dtype float16, bfloat16"),
        (between_elements, ValueError, "x must be aligned to its elements on a CUDA device"),
        (elsewhere, ValueError, "x must be on CUDA device 0, got 1"),
        (on_the_cpu, ValueError, "x must be in CUDA memory"),
        (later_version, TypeError, "x must give its memory by DLPack 1, got 2"),
        (failing, TypeError, "x must give its memory by DLPack: its memory is gone"),
    ],
)
def test_tensors_that_are_refused_are_given_back_once(cuda, change, error, words):
    for versioned in (False, True)[change is later_version :]:
        array = DeviceArray(make("gaussian", 20, 3).astype(np.float32), versioned=versioned, change=change)
        with pytest.raises(error, match=words):
            ka.knn(array, 2)
        assert array.given_back == (change is not failing)
    for shape in ((0, 3), (3, 0)):
        array = DeviceArray(np.zeros(shape, np.float32))
        with pytest.raises(ValueError, match=rf"x must have at least one row and one column, got shape \({shape[0]}, "):
            cuda.Rows(array, "x", 0)
        assert array.given_back == 1


def test_what_is_no_tensor_is_refused(cuda):
    class Same(DeviceArray):
        """Gives one tensor again and again, which nobody may take twice."""

        def __dlpack__(self, *, stream=None):
            self.capsule = getattr(self, "capsule", None) or super().__dlpack__(stream=stream)
            return self.capsule

    x = Same(make("gaussian", 20, 3).astype(np.float32))
    ka.knn(x, 2)
    with pytest.raises(TypeError, match="x must give its memory by DLPack: it gave no tensor, or one that was used"):
        ka.knn(x, 2)
    assert x.given_back == 1
    x.capsule = "nothing"
    with pytest.raises(TypeError, match="x must give its memory by DLPack"):
        ka.knn(x, 2)


@pytest.mark.parametrize("name", ["mutual_knn", "jaccard_knn", "cycle_knn", "lcs_knn", "edit_knn"])
@pytest.mark.parametrize("data", ["gaussian", "duplicated"])
def test_list_metrics_score_device_arrays_as_those_of_the_cpu(cuda, name, data, recwarn):
    x, y = (make(data, 60 + 0 * d, d).astype(np.float32) for d in (7, 9))
    expected = getattr(ka, name)(x, y, 5)
    assert expected.settings.get("device") is None
    for a, b, device in ((DeviceArray(x, 1), DeviceArray(y, 1), None), (x, y, "cuda"), (DeviceArray(x), y, "cuda")):
        score = getattr(ka, name)(a, b, 5, device=device)
        assert float(score) == float(expected)
        assert score.p_value == expected.p_value
        assert score.settings["device"].startswith("cuda:")
    assert "device" not in getattr(ka, name)(DeviceArray(x), y, 5, device="cpu").settings


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
@pytest.mark.parametrize("queries", [[3, 0, 41], 25, 1000], ids=str)
@pytest.mark.parametrize("metric", METRICS)
def test_lists_of_some_rows_are_those_of_the_cpu(cuda, metric, queries):
    cuda.simulate(order="random")
    x = make("duplicated", 60, 7).astype(np.float32)
    expected = ka.knn(x, 5, metric=metric, queries=queries)
    for given, device in ((DeviceArray(x, 1), None), (x, "cuda")):
        found = ka.knn(given, 5, metric=metric, queries=queries, device=device)
        assert difference(found, expected) == ""
        np.testing.assert_array_equal(found.rows, expected.rows)
        assert (found.backend, found.items) == (expected.backend, 60)
    assert difference(ka.knn(DeviceArray(x), 5, metric=metric, backend="sample"), ka.knn(x, 5, metric=metric)) == ""
    score = ka.mutual_knn(DeviceArray(x), DeviceArray(x[:, :4]), 5, metric=metric, queries=queries)
    assert float(score) == float(ka.mutual_knn(x, x[:, :4], 5, metric=metric, queries=queries))


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"normalize": "standardize"},
        {"clip_quantile": 0.9},
        {"normalize": "standardize", "clip_quantile": 0.95},
        {"zero_rows": "drop_pair"},
        {"nan_rows": "drop_pair", "normalize": "l2"},
        {"ids": (np.arange(60), np.arange(60)[::-1])},
    ],
    ids=str,
)
def test_what_needs_all_rows_first_is_done_as_on_the_cpu(cuda, options):
    x, y = (make("outlier", 60, d).astype(np.float32) for d in (7, 9))
    if "zero_rows" in options:
        x[4] = 0
    if "nan_rows" in options:
        y[5, 1] = np.nan
    for metric in ("euclidean", "cosine"):
        expected = ka.mutual_knn(x, y, 5, metric=metric, **options)
        for a, b, device in ((DeviceArray(x), DeviceArray(y), None), (DeviceArray(x), y, "cuda"), (x, y, "cuda")):
            found = ka.mutual_knn(a, b, 5, metric=metric, device=device, **options)
            assert (float(found), found.p_value, found.settings["pairing"]) == (
                float(expected), expected.p_value, expected.settings["pairing"],
            )  # fmt: skip
            assert found.settings["device"] == "cuda:0"
    if "ids" not in options and "drop_pair" not in options.values():
        assert difference(ka.knn(DeviceArray(x), 5, **options), ka.knn(x, 5, **options)) == ""


def test_groups_curves_and_errors_take_device_arrays(cuda, recwarn):
    x, y = (make("duplicated", 80, d).astype(np.float32) for d in (7, 9))
    labels = np.arange(80) // 2
    a, b = DeviceArray(x), DeviceArray(y)
    assert float(ka.mutual_knn(a, b, 5, groups=labels)) == float(ka.mutual_knn(x, y, 5, groups=labels))
    np.testing.assert_array_equal(ka.rnx_curve(a, b, [2, 5, 9]).r_nx, ka.rnx_curve(x, y, [2, 5, 9]).r_nx)
    x, y = (make("gaussian", 80, d).astype(np.float32) for d in (7, 9))
    expected = ka.mutual_knn(x, y, 5, uncertainty="jackknife")
    assert ka.mutual_knn(DeviceArray(x), DeviceArray(y), 5, uncertainty="jackknife").stderr == expected.stderr


def test_the_producer_is_told_our_stream(cuda):
    x = DeviceArray(make("gaussian", 20, 3), 1)
    ka.knn(x, 2)
    assert x.streams[0] > 2  # none of the streams that all share


@pytest.mark.parametrize("variant", ["ucentred", "paper", "platonic"])
def test_cknna_of_device_arrays_is_that_of_the_cpu(cuda, variant, recwarn):
    for data in ("gaussian", "duplicated", "offset"):
        x, y = (make(data, 70, d).astype(np.float32) for d in (7, 9))
        labels = np.arange(70) // 2
        for options in ({}, {"groups": labels}):
            expected = ka.cknna(x, y, 5, variant=variant, **options)
            for a, b, device in ((DeviceArray(x, 1), DeviceArray(y, 1), None), (x, y, "cuda")):
                score = ka.cknna(a, b, 5, variant=variant, device=device, **options)
                assert float(score) == pytest.approx(float(expected), rel=1e-11)
                assert score.p_value == expected.p_value
                assert score.settings["device"].startswith("cuda:")
    with pytest.raises(ValueError, match="queries must be left out on a CUDA device"):
        ka.cknna(x, y, 5, queries=10, device="cuda")


def test_edges_are_multiplied_as_on_the_cpu(cuda):
    x = make("gaussian", 60, 33) + 40
    steps = np.random.default_rng(0).permuted(np.tile(np.arange(1, 60), (60, 1)), axis=1)[:, :11]
    index = ((np.arange(60)[:, None] + steps) % 60).astype(np.int32)
    found = cuda.edge_products(cuda.Rows(DeviceArray(x), "x", 0), index)
    expected = devices.edge_products(_core.Rows(x, "x"), index, 1, None)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: ka.mutual_knn(DeviceArray(x), x, 2), ValueError, "must be on one device, got cuda:0 and cpu"),
        (lambda x: ka.mutual_knn(DeviceArray(x), DeviceArray(x, 1), 2), ValueError, "got cuda:0 and cuda:1"),
        (lambda x: ka.knn(DeviceArray(x), 2, device="cuda:1"), ValueError, "on the CPU or cuda:1, as device says"),
        (lambda x: ka.knn(x, 2, device="cuda:2"), ValueError, "'cuda' or 'cuda:0' to 'cuda:1'"),
        (lambda x: ka.knn(x, 2, device="gpu"), ValueError, "device must be None, 'cpu', 'cuda'"),
        (lambda x: ka.knn(DeviceArray(x.astype(int)), 2), TypeError, "x must have dtype float16, bfloat16.*got int64"),
        (lambda x: ka.knn(x.astype(int), 2, device="cuda"), ValueError, "x must have a float dtype on a CUDA device"),
        (lambda x: ka.knn(DeviceArray(x[0]), 2), ValueError, "x must be 2-D, got 1-D"),
        (lambda x: ka.knn(DeviceArray(x), 20), ValueError, "k must be"),
        (lambda x: ka.knn(x, 2, device="cuda", backend="faiss"), ValueError, "backend must be 'auto', 'native'"),
        (lambda x: ka.knn(DeviceArray(x), 2, queries=x), ValueError, "by index, or their number on a CUDA device"),
        (lambda x: ka.mutual_knn(DeviceArray(x), DeviceArray(x[:9]), 2), ValueError, "same number of rows"),
        (lambda x: ka.rsa(DeviceArray(x), DeviceArray(x)), ValueError, "x must be on the CPU here, got a CUDA array"),
    ],
)  # fmt: skip
def test_what_a_device_does_not_do_is_one_sentence(cuda, call, error, words):
    with pytest.raises(error, match=words) as caught:
        call(make("gaussian", 20, 3))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("where", ["array", "copy"])
def test_bad_values_are_named_as_on_the_cpu(cuda, where):
    for row, column, value in ((7, 2, np.nan), (3, 0, np.inf), (0, 4, -np.inf)):
        for dtype in (np.float16, np.float32, np.float64):
            x = make("gaussian", 20, 5).astype(dtype)
            x[row, column] = value
            x[19, 1] = np.nan
            with pytest.raises(ValueError) as expected:
                ka.knn(x, 2)
            with pytest.raises(ValueError) as found:
                ka.knn(DeviceArray(x) if where == "array" else x, 2, device="cuda")
            assert str(found.value) == str(expected.value)
    x = make("gaussian", 20, 5)
    x[4] = 0
    for given in (x, DeviceArray(x)):
        with pytest.raises(ValueError, match="x must have no zero row where rows are normalised, row 4 is zero"):
            ka.knn(given, 2, device="cuda")


def test_memory_that_runs_out_anywhere_is_one_sentence_and_given_back(cuda):
    x = make("outlier_rows", 50, 6)
    x[::3] *= 1e-200  # every step is taken
    cuda.simulate()
    ka.knn(x, 3, device="cuda", normalize="l2")
    calls = cuda.allocations()
    assert calls > 8
    for at in range(calls):
        cuda.simulate(fail_allocation=at)
        with pytest.raises(MemoryError, match=r"CUDA device 0 is out of memory: \d+ bytes wanted, \d+ free"):
            ka.knn(x, 3, device="cuda", normalize="l2")
        assert cuda.live() == 0
    cuda.simulate(memory=1000)
    with pytest.raises(MemoryError, match="2400 bytes wanted, 1000 free"):
        ka.knn(x, 3, device="cuda")


def test_kernels_that_do_not_start_are_one_sentence_and_leave_nothing(cuda):
    x = make("gaussian", 50, 6)
    ka.knn(x, 3, device="cuda")
    calls = cuda.launches()
    assert calls >= 2
    for at in range(calls):
        cuda.simulate(fail_launch=at)
        with pytest.raises(RuntimeError, match="CUDA device 0 did not start a kernel: simulated"):
            ka.knn(x, 3, device="cuda")
        assert cuda.live() == 0


def test_a_search_is_stopped_by_whom_it_reports_to(cuda):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ka.knn(make("gaussian", 3000, 64), 3, device="cuda", progress=stop)
