"""Second moments made on the simulated device: the CPU's sums to 1e-12, whatever the batches, types and failures."""

from __future__ import annotations

import copy
import pickle

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from device_arrays import DeviceArray
from kernalign import _core
from kernalign._rows import on_device

DTYPES = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)
DATA = ("gaussian", "offset", "drift", "outlier", "late", "small", "constant column")


pytestmark = pytest.mark.usefixtures("cuda")


def make(name: str, n: int = 2500, p: int = 18, q: int = 17) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(len(name))
    x = rng.standard_normal((n, p))
    y = x[:, :5] @ rng.standard_normal((5, q)) + rng.standard_normal((n, q))
    if name == "offset":
        x += 300
    elif name == "drift":
        x += np.arange(n)[:, None] / 100
    elif name == "outlier":
        x[n // 2] *= 1e4
    elif name == "late":  # a side that varies from the second block on
        x[: n // 2] = 3
    elif name == "small":
        x, y = x * 1e-150, y * 1e140
    elif name == "constant column":
        x[:, 2] = 7
    return x, y


def engine_of(x, y, device=0, sizes=None, double=True):
    """A stream on the device, cut into batches of these sizes."""
    stream = on_device.extension().Moments(device, _core.Moments(x.shape[1], y.shape[1], double_precision=double))
    begin = 0
    for size in sizes or (len(x),):
        rows = [
            on_device.extension().Rows(DeviceArray(one[begin : begin + size], device), name, device)
            for one, name in ((x, "x"), (y, "y"))
        ]
        stream.update(*rows, None)
        begin += size
    assert begin == len(x)
    return stream


def exact(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64)


def assert_same_sums(found: _core.MomentSums, expected: _core.MomentSums) -> None:
    assert found.n == expected.n
    for a, b in ((0, 0), (0, 1), (1, 1)):
        for name in ("full", "diagonal", "trace_x", "trace_y"):
            units = [sum(2 * one.exponents[side] for side in sides) for one in (found, expected) for sides in [(a, b)]]
            if name.startswith("trace"):
                units = [2 * one.exponents[a if name == "trace_x" else b] for one in (found, expected)]
            ours, theirs = getattr(found.pair(a, b), name), getattr(expected.pair(a, b), name)
            assert np.ldexp(ours, units[0] - units[1]) == pytest.approx(theirs, rel=1e-12), (a, b, name)
        scale = np.ldexp(found.product(a, b), sum(found.exponents[s] - expected.exponents[s] for s in (a, b)))
        theirs = expected.product(a, b)
        np.testing.assert_allclose(scale, theirs, rtol=0, atol=1e-12 * abs(theirs).max())


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_sums_are_those_of_the_cpu(name, dtype):
    x, y = make(name)
    if name == "small" and dtype != np.float64:
        return
    x, y = (np.clip(one, -6e4, 6e4).astype(dtype) for one in (x, y))
    cpu = _core.moment_sums(_core.Rows(exact(x), "x"), _core.Rows(exact(y), "y"), True, True, 1, None)
    assert_same_sums(engine_of(x, y).finish(True), cpu)


NARROW = [name for name in DATA if name != "small"]


@pytest.mark.parametrize("name", NARROW)
def test_float32_products_of_slow_devices_err_by_no_more_than_is_proven(cuda, name):
    """The bound of mathematics.md 4.1, block by block, of products about the means; all other sums are float64's."""
    cuda.simulate(floats_per_double=64, order="random")
    for dtype in DTYPES[:3]:
        x, y = (np.clip(one, -6e4, 6e4).astype(dtype) for one in make(name))
        sums = engine_of(x, y, double=False).finish(True)
        cpu = _core.moment_sums(_core.Rows(exact(x), "x"), _core.Rows(exact(y), "y"), True, True, 1, None)
        assert sums.widened == (name == "outlier")
        for a, b in ((0, 0), (0, 1), (1, 1)):
            allowed = 0
            for begin in range(0, len(x), 1024):
                left, right = (
                    abs(one - one.mean(axis=0)) for one in (exact((x, y)[s][begin : begin + 1024]) for s in (a, b))
                )
                allowed = allowed + (len(left) + 3) * 2.0**-24 * (left.T @ right)
            unit = sum(sums.exponents[s] for s in (a, b))
            gap = np.ldexp(sums.product(a, b), unit) - np.ldexp(
                cpu.product(a, b), sum(cpu.exponents[s] for s in (a, b))
            )
            size = np.ldexp(abs(cpu.product(a, b)).max(), sum(cpu.exponents[s] for s in (a, b)))
            assert (abs(gap) <= allowed + 1e-12 * size).all(), (dtype, a, b)
            for trace, side in (("trace_x", a), ("trace_y", b)):
                ours, theirs = (
                    np.ldexp(getattr(one.pair(a, b), trace), 2 * one.exponents[side]) for one in (sums, cpu)
                )
                assert ours == pytest.approx(theirs, rel=1e-6)


def test_float32_streams_keep_their_bits_whatever_their_batches(cuda):
    cuda.simulate(floats_per_double=64)
    for name in ("gaussian", "late", "outlier"):
        x, y = (one.astype(np.float32) for one in make(name))
        whole = engine_of(x, y, double=False).host()
        assert not whole.double_precision
        for sizes in ((1, 1022, 1, 1, 1475), (1024, 1024, 452), (700, 700, 700, 400)):
            assert engine_of(x, y, sizes=sizes, double=False).host().pack().tobytes() == whole.pack().tobytes()


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_scores_of_slow_devices_are_those_of_the_cpus_float32(cuda):
    cuda.simulate(floats_per_double=64)
    x, y = (one.astype(np.float32) for one in make("offset", 1500))
    for call in (ka.cka, ka.hsic, ka.kernel_alignment):
        found, expected = call(DeviceArray(x), DeviceArray(y)), float(call(exact(x), exact(y)))
        assert float(found) == pytest.approx(expected, rel=5e-7)
        assert found.settings["products"] == "float32"
        wide = call(DeviceArray(exact(x)), DeviceArray(exact(y)))
        assert (float(wide), wide.settings["products"]) == (pytest.approx(expected, rel=1e-12), "float64")
    # A stream goes on wherever it is fed, in its precision.
    expected = float(ka.cka(exact(x), exact(y)))
    for first, then in ((DeviceArray, np.asarray), (np.asarray, DeviceArray)):
        stream = ka.Moments().update(first(x[:900]), first(y[:900])).update(then(x[900:]), then(y[900:]))
        assert float(stream.cka()) == pytest.approx(expected, rel=5e-7)
        assert stream.cka().settings["products"] == "float32"


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
def test_batches_and_orders_of_threads_change_no_bit(cuda, order):
    cuda.simulate(order=order)
    for name in ("gaussian", "late"):
        x, y = (one.astype(np.float32) for one in make(name))
        whole = engine_of(x, y).host().pack().tobytes()
        for sizes in ((1, 1022, 1, 1, 1475), (1024, 1024, 452), (700, 700, 700, 400), (2000, 500)):
            assert engine_of(x, y, sizes=sizes).host().pack().tobytes() == whole
        assert engine_of(x, y, device=1).host().pack().tobytes() == whole


def test_short_streams_and_unaligned_ends_are_those_of_the_cpu():
    for n in (2, 5, 1023, 1024, 1025, 2048):
        x, y = make("gaussian", n, 16, 16)
        cpu = _core.moment_sums(_core.Rows(x, "x"), _core.Rows(y, "y"), True, True, 1, None)
        assert_same_sums(engine_of(x, y).finish(True), cpu)
        raw = _core.moment_sums(_core.Rows(x, "x"), _core.Rows(y, "y"), True, False, 1, None)
        assert_same_sums(engine_of(x, y).finish(False), raw)


def test_rows_that_grow_beyond_all_scales_are_those_of_the_cpu():
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((3000, 16)), rng.standard_normal((3000, 16))
    x[1500:] *= 1e60
    y[:1100] *= 1e-80
    cpu = _core.moment_sums(_core.Rows(x, "x"), _core.Rows(y, "y"), True, True, 1, None)
    assert_same_sums(engine_of(x, y).finish(True), cpu)
    assert_same_sums(engine_of(x, y, sizes=(1200, 1800)).finish(True), cpu)


@pytest.mark.parametrize("metric", ["cka", "hsic", "kernel_alignment"])
@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_scores_of_device_arrays_are_those_of_the_cpu(metric, estimator):
    x, y = make("gaussian", 1100)
    call = getattr(ka, metric)
    expected = call(x, y, estimator=estimator)
    for a, b, device in ((DeviceArray(x), DeviceArray(y), None), (x, y, "cuda:1"), (x, DeviceArray(y, 1), "cuda:1")):
        score = call(a, b, estimator=estimator, device=device)
        assert float(score) == pytest.approx(float(expected), rel=1e-12)
        assert score.p_value == (None if expected.p_value is None else pytest.approx(expected.p_value, rel=1e-9))
        assert score.settings["backend"] == "cuda"
        assert score.settings["device"] == ("cuda:0" if device is None else device)
    on_cpu = call(DeviceArray(x), DeviceArray(y), estimator=estimator, device="cpu")
    assert float(on_cpu) == float(expected)
    assert on_cpu.settings["backend"] == "cpu"


def test_narrow_floats_lose_nothing_to_their_products():
    """Products are made in float64 on a device, of the numbers as they were given."""
    x, y = (one.astype(np.float32) for one in make("offset", 1100))
    found = ka.cka(DeviceArray(x), DeviceArray(y))
    assert float(found) == pytest.approx(float(ka.cka(exact(x), exact(y))), rel=1e-11)
    assert found.settings["products"] == "float64"


def test_errors_and_groups_read_rows_again(recwarn):
    x, y = make("gaussian", 300, 16, 16)
    a, b = DeviceArray(x), DeviceArray(y)
    assert ka.cka(a, b, uncertainty="jackknife").stderr == pytest.approx(
        ka.cka(x, y, uncertainty="jackknife").stderr, rel=1e-9
    )
    groups = np.arange(300) // 3
    ours, theirs = ka.cka(a, b, groups=groups), ka.cka(x, y, groups=groups)
    assert (float(ours), ours.p_value) == (pytest.approx(float(theirs), rel=1e-12), theirs.p_value)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_a_training_loop_streams_device_batches():
    x, y = make("drift", 2700)
    ours, theirs = ka.Moments(), ka.Moments()
    for begin in range(0, 2700, 450):
        one, other = DeviceArray(x[begin : begin + 450], 1), DeviceArray(y[begin : begin + 450], 1)
        ours.update(one, other)
        assert one.streams[0] > 2  # none of the streams that all share
        theirs.update(x[begin : begin + 450], y[begin : begin + 450])
        assert ours.n == theirs.n
    for name in ("cka", "hsic", "kernel_alignment", "procrustes", "nbs", "cca", "linear_predictivity"):
        assert float(getattr(ours, name)()) == pytest.approx(float(getattr(theirs, name)()), rel=1e-9), name


def test_a_stream_goes_on_where_it_was_saved_copied_or_merged(tmp_path):
    x, y = make("gaussian", 2600)
    there = [DeviceArray(one[:1400]) for one in (x, y)], [DeviceArray(one[1400:]) for one in (x, y)]
    expected = float(ka.Moments().update(x, y).cka())
    begun = ka.Moments().update(*there[0])
    begun.save(tmp_path / "state")
    whole = float(ka.Moments().update(DeviceArray(x), DeviceArray(y)).cka())
    for same in (ka.Moments.load(tmp_path / "state"), pickle.loads(pickle.dumps(begun)), copy.deepcopy(begun)):
        assert float(same.update(*there[1]).cka()) == whole  # on the device again: not a bit changed
    on_the_cpu = ka.Moments.load(tmp_path / "state").update(x[1400:], y[1400:])
    assert float(on_the_cpu.cka()) == pytest.approx(expected, rel=1e-12)
    merged = ka.Moments().update(*there[0]).merge(ka.Moments().update(*there[1]))
    assert float(merged.cka()) == pytest.approx(expected, rel=1e-12)
    merged = ka.Moments().update(*there[0]).merge(ka.Moments().update(x[1400:], y[1400:]))
    assert float(merged.cka()) == pytest.approx(expected, rel=1e-12)
    both = ka.Moments().update(*there[0]).update(x[1400:], y[1400:])  # copied to where the stream is
    assert float(both.cka()) == whole


def test_bad_batches_leave_a_stream_as_it_was():
    x, y = make("gaussian", 1500)
    stream = ka.Moments().update(DeviceArray(x), DeviceArray(y))
    before = stream.hsic()
    bad = y[:50].copy()
    bad[7, 3] = np.nan
    with pytest.raises(ValueError, match="y_batch must be finite, got nan at row 7, column 3"):
        stream.update(DeviceArray(x[:50]), DeviceArray(bad))
    with pytest.raises(ValueError, match="x_batch must have the 18 columns of the stream, got 17"):
        stream.update(DeviceArray(x[:50, :17]), DeviceArray(y[:50]))
    with pytest.raises(ValueError, match="same number of rows"):
        stream.update(DeviceArray(x[:50]), DeviceArray(y[:49]))
    with pytest.raises(ValueError, match="must have a float dtype on a CUDA device"):
        stream.update(np.ones((4, 18), int), np.ones((4, 17), int))
    assert (stream.n, float(stream.hsic())) == (1500, float(before))
    narrow = ka.Moments().update(x.astype(np.float32), y.astype(np.float32))
    with pytest.raises(TypeError, match="began with 16- or 32-bit floats and must go on with them, got wider numbers"):
        narrow.update(DeviceArray(x), DeviceArray(y))
    assert narrow.n == 1500


def test_without_cublas_it_is_one_sentence(cuda):
    cuda.simulate(products=False)
    x, y = make("gaussian", 200)
    with pytest.raises(RuntimeError, match="sums of products on a CUDA device need cuBLAS, which was not found"):
        ka.cka(DeviceArray(x), DeviceArray(y))


def test_failures_anywhere_are_one_sentence_and_leave_nothing(cuda):
    x, y = make("late", 1300, 16, 16)
    counts = {"fail_allocation": cuda.allocations, "fail_launch": cuda.launches, "fail_product": cuda.products}
    words = {"fail_allocation": "out of memory", "fail_launch": "did not start", "fail_product": "failed: simulated"}
    for name, count in counts.items():
        cuda.simulate()
        ka.cka(DeviceArray(x), DeviceArray(y), normalize="l2")
        calls = count()
        assert calls >= 2
        for at in range(calls):
            cuda.simulate(**{name: at})
            with pytest.raises((MemoryError, RuntimeError), match=words[name]) as caught:
                ka.cka(DeviceArray(x), DeviceArray(y), normalize="l2")
            assert "\n" not in str(caught.value)
            del caught
            assert cuda.live() == 0


def test_a_stream_that_is_stopped_says_what_it_took():
    x, y = make("gaussian", 3000)
    stream = ka.Moments()

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream.update(DeviceArray(x[:1000]), DeviceArray(y[:1000]), progress=stop)
    stream.update(DeviceArray(x[stream.n :]), DeviceArray(y[stream.n :]))
    assert stream.n == 3000
    assert float(stream.cka()) == float(ka.Moments().update(DeviceArray(x), DeviceArray(y)).cka())
