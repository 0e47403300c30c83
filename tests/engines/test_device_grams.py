"""Gram sums and medians made on the simulated device: the CPU's to 1e-12, whatever the tiles, types and failures."""

from __future__ import annotations

import bisect

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from device_arrays import DeviceArray
from kernalign import _core
from kernalign._engines import devices
from kernalign._rows import arrays

FORMS = {
    "linear": {},
    "rbf": {"width": 3.0},
    "laplacian": {"width": 5.0},
    "polynomial": {"degree": 3, "offset": 1.0},
    "sqeuclidean": {},
    "euclidean": {},
}
DATA = ("gaussian", "offset", "duplicated", "near", "wide")


pytestmark = pytest.mark.usefixtures("cuda")


def make(name: str, n: int = 150, p: int = 7) -> np.ndarray:
    rng = np.random.default_rng(len(name))
    x = rng.standard_normal((n, p))
    if name == "offset":
        x += 40
    elif name == "duplicated":
        x = x[rng.integers(0, max(1, n // 4), n)]
    elif name == "near":  # pairs whose distances cancel
        x[1::2] = x[: n - 1 : 2] + 1e-6 * rng.standard_normal(x[1::2].shape)
    elif name == "wide":
        x *= 1e-3  # kernel values are near 1
    return x


def both(sides, centred: bool, tile: int):
    """Sums of these rows and options, by the device and by the CPU."""
    rows = [(arrays.rows(x, "x"), {"form": form, **options}) for x, form, options in sides]
    sources = [_core.GramSource([one], double_precision=True, **options) for one, options in rows]
    ours = devices.gram_sums(rows, 0, centred, None, tile=tile)
    return ours, _core.gram_sums(sources, centred, 1, None)


def scores(sums: _core.GramSums, a: int, b: int, centred: bool) -> dict[str, float]:
    """What is finished from sums, in units of the data's kernel values."""
    unit = 2.0 ** (sums.exponents[a] + sums.exponents[b])
    if not centred:
        return {"full": unit * sums.pair(a, b, False).full, "hollow": unit * sums.pair(a, b, True).full}
    return {
        "centred": unit * _core.centred_product(sums.n, sums.pair(a, b, False)),
        "u_centred": unit * _core.u_centred_product(sums.n, sums.pair(a, b, True)),
    }


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_sums_are_those_of_the_cpu(form, centred):
    for name in DATA:
        x, y = make(name), make(name, p=5) @ np.ones((5, 5))
        ours, theirs = both([(x, form, FORMS[form]), (y, form, FORMS[form])], centred, 64)
        sizes = [max(abs(v) for v in scores(theirs, side, side, centred).values()) for side in (0, 1)]
        for a, b in ((0, 0), (0, 1), (1, 1)):
            expected = scores(theirs, a, b, centred)
            for what, found in scores(ours, a, b, centred).items():
                size = np.sqrt(sizes[a] * sizes[b])
                assert found == pytest.approx(expected[what], rel=1e-12, abs=2e-12 * size), (name, a, b, what)


def _of_float32(sides, centred: bool, tile: int):
    """Sums of float32 products on the device; on the CPU of those and of float64 ones, of the same numbers."""
    given = [(arrays.rows(x, "x"), {"form": form, **options}) for x, form, options in sides]
    narrow = [(rows, options | {"double_precision": False}) for rows, options in given]
    of_cpu = [
        _core.gram_sums([_core.GramSource([rows], **options) for rows, options in some], centred, 1, None)
        for some in (narrow, [(rows, options | {"double_precision": True}) for rows, options in given])
    ]
    return devices.gram_sums(narrow, 0, centred, None, tile=tile), *of_cpu


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_float32_products_err_as_those_of_the_cpu_and_are_float64_where_they_are(form, centred):
    for name in (*DATA, "far row", "narrow kernel"):
        x, y = (make(name, 150, p).astype(np.float32) for p in (40, 70))
        options = dict(FORMS[form])
        if name == "far row":
            x[3] *= 100
        elif name == "narrow kernel":
            options |= {"width": 0.3} if form == "rbf" else {}
        elif name == "wide":
            x, y = x * 1000, y * 1000
        ours, narrow, exact = _of_float32([(x, form, options), (y, form, options)], centred, 64)
        assert ours.widened == narrow.widened, name
        sizes = [max(abs(v) for v in scores(exact, side, side, centred).values()) for side in (0, 1)]
        for a, b in ((0, 0), (0, 1), (1, 1)):
            expected = scores(exact, a, b, centred)
            for what, found in scores(ours, a, b, centred).items():
                size = np.sqrt(sizes[a] * sizes[b])
                assert found == pytest.approx(expected[what], rel=0, abs=2e-6 * size), (name, a, b, what)
    for x in (make("gaussian", 90, 50), make("duplicated", 90, 50), np.repeat(np.eye(30), 3, axis=0)):
        for off_diagonal in (True, False):
            rows = arrays.rows(x.astype(np.float32), "x")
            source = _core.GramSource([arrays.rows(x.astype(np.float32).astype(float), "x")], form="sqeuclidean")
            expected = _core.median_distance(source, off_diagonal, 1, None)
            found = devices.median_distance(rows, 0, off_diagonal, None, double=False, tile=32)
            assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_slow_devices_multiply_narrow_rows_in_float32_and_say_so(cuda):
    cuda.simulate(floats_per_double=64)
    x, y = (make("gaussian", 90, p).astype(np.float32) for p in (100, 120))
    y[:, :100] += x
    for kernel in (ka.Linear(), ka.Cosine(), ka.RBF(), ka.Laplacian(), ka.Polynomial(2)):
        expected = float(ka.cka(x.astype(np.float64), y.astype(np.float64), kernel=kernel))
        found = ka.cka(DeviceArray(x), DeviceArray(y), kernel=kernel)
        assert float(found) == pytest.approx(expected, rel=2e-6)
        assert found.settings["products"] == ("float64" if isinstance(kernel, ka.Laplacian) else "float32")
        wide = ka.cka(DeviceArray(x.astype(np.float64)), DeviceArray(y.astype(np.float64)), kernel=kernel)
        assert (float(wide), wide.settings["products"]) == (pytest.approx(expected, rel=1e-11), "float64")
    layers = {"a": [x, x[:, :60]], "b": [y, y[:, :70]]}
    there = {name: [DeviceArray(one) for one in own] for name, own in layers.items()}
    found = ka.compare(there, metrics=("cka",)).scores["cka"]["a", "b"]
    np.testing.assert_allclose(found, ka.compare(layers, metrics=("cka",)).scores["cka"]["a", "b"], rtol=0, atol=2e-7)


def test_neither_tiles_nor_the_order_of_threads_nor_other_sources_matter(cuda):
    sides = [(make("gaussian", 130, p), form, FORMS[form]) for p, form in zip(range(3, 9), FORMS, strict=True)] * 2
    expected = None
    for order, tile in (("forward", 130), ("reverse", 33), ("random", 64), ("forward", 4096)):
        cuda.simulate(order=order)
        ours, theirs = both(sides, True, tile)
        cosines = [sums.u_centred() for sums in (ours, theirs)]
        for product in cosines:
            norms = np.sqrt(np.diagonal(product))
            product /= np.multiply.outer(norms, norms)
        np.testing.assert_allclose(*cosines, rtol=0, atol=1e-12)
        if order == "forward" and tile == 130:
            expected = ours.pack().tobytes()
        elif tile == 4096:
            assert ours.pack().tobytes() == expected  # one tile, as before


@pytest.mark.parametrize("off_diagonal", [True, False])
def test_medians_are_those_of_the_cpu(off_diagonal):
    rng = np.random.default_rng(0)
    spread = np.exp(3 * rng.standard_normal((120, 1))) * rng.standard_normal((120, 4))
    cases = [make(name, n) for name in DATA for n in (2, 3, 4, 31, 300)] + [spread, np.ones((40, 3)), np.eye(30)]
    for x in cases:
        rows = arrays.rows(x, "x")
        source = _core.GramSource([rows], form="sqeuclidean", double_precision=True)
        expected = _core.median_distance(source, off_diagonal, 1, None)
        found = devices.median_distance(rows, 0, off_diagonal, None)
        assert found == pytest.approx(expected, rel=1e-13), x.shape


@pytest.mark.parametrize("collected", [1, 3, 60])
def test_medians_that_are_hard_to_find_are_found(collected):
    """Rows in order of where they are, so that the first tiles say little of all; many and few equal distances."""
    rng = np.random.default_rng(1)
    line = np.sort(rng.standard_normal((90, 1)), axis=0)
    clusters = np.repeat(np.eye(4), 20, axis=0) * np.repeat([1.0, 10, 100, 1e4], 20)[:, None]
    for x in (line, clusters, clusters + 1e-3 * rng.standard_normal((80, 4)), rng.integers(0, 3, (70, 2)) * 1.0):
        for off_diagonal in (True, False):
            rows = arrays.rows(x, "x")
            source = _core.GramSource([rows], form="sqeuclidean", double_precision=True)
            expected = _core.median_distance(source, off_diagonal, 1, None)
            found = devices.median_distance(rows, 0, off_diagonal, None, tile=32, collected=collected)
            assert found == pytest.approx(expected, rel=1e-13)


def test_medians_hold_the_distances_of_one_rank_at_a_time(cuda):
    """Two that are not found together need no more memory than two that are, since they are equal."""

    def fits(x: np.ndarray, memory: int) -> bool:
        cuda.simulate(memory=memory)
        try:
            devices.median_distance(arrays.rows(x, "x"), 0, True, None, tile=32, collected=1)
        except MemoryError:
            return False
        return True

    equal, apart = np.ones((9, 1)), np.random.default_rng(0).standard_normal((9, 1))
    fitting = bisect.bisect_left(range(1 << 24), True, key=lambda memory: fits(equal, memory))
    assert fitting > 0
    assert fits(apart, fitting)


KERNELS = (ka.Linear(), ka.Cosine(), ka.RBF(), ka.RBF("median_offdiag"), ka.RBF(15.0), ka.Laplacian(), ka.Polynomial(3))


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_scores_of_device_arrays_are_those_of_the_cpu(kernel):
    x = make("gaussian", 90, 120)
    y = x[:, :110] + make("offset", 90, 110)
    for call in (ka.cka, ka.hsic, ka.kernel_alignment):
        for estimator in ("unbiased", "biased"):
            expected = call(x, y, kernel=kernel, estimator=estimator)
            for a, b, device in ((DeviceArray(x), DeviceArray(y), None), (x, y, "cuda:1")):
                score = call(a, b, kernel=kernel, estimator=estimator, device=device)
                assert float(score) == pytest.approx(float(expected), rel=1e-11)
                if expected.p_value is not None:
                    assert score.p_value == pytest.approx(expected.p_value, rel=1e-6)
                assert score.settings["backend"] == "cuda"


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32], ids=lambda d: np.dtype(d).name)
@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_narrow_rows_are_read_exactly(dtype):
    x, y = (make("gaussian", 60, p).astype(dtype) for p in (70, 80))
    found = ka.cka(DeviceArray(x), DeviceArray(y), kernel=ka.RBF())
    assert float(found) == pytest.approx(float(ka.cka(*map(np.float64, (x, y)), kernel=ka.RBF())), rel=1e-12)
    assert ka.distance_alignment(DeviceArray(x), DeviceArray(y)) == pytest.approx(
        float(ka.distance_alignment(*map(np.float64, (x, y)))), rel=1e-12
    )


@pytest.mark.parametrize("name", ["gaussian", "duplicated", "far rows"])
def test_distance_correlation_keeps_its_digits_beside_rows_far_off(name):
    x, y = make(name, 80, 5), make("offset", 80, 4)
    if name == "far rows":
        x[::20] *= 1e8
    expected = ka.distance_correlation(x, y)
    found = ka.distance_correlation(DeviceArray(x), DeviceArray(y))
    assert float(found) == pytest.approx(float(expected), rel=1e-10)


def test_what_is_undefined_is_said_as_on_the_cpu():
    x, constant = make("gaussian", 30, 40), np.ones((30, 40))
    for kernel in (ka.Linear(), ka.RBF()):
        with pytest.warns(ka.UndefinedScoreWarning):
            expected = ka.cka(x, constant, kernel=kernel)
        with pytest.warns(ka.UndefinedScoreWarning):
            found = ka.cka(DeviceArray(x), DeviceArray(constant), kernel=kernel)
        assert (np.isnan(float(found)), found.reason) == (True, expected.reason)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_rows_that_are_dropped_clipped_and_standardised_are_those_of_the_cpu():
    x, y = make("gaussian", 60, 7), make("offset", 60, 5)
    x[9, 2] = np.nan
    for kernel in (ka.Linear(), ka.RBF()):
        how = {"kernel": kernel, "nan_rows": "drop_pair", "normalize": "standardize", "clip_quantile": 0.97}
        expected, found = ka.cka(x, y, **how), ka.cka(DeviceArray(x), DeviceArray(y), **how)
        assert float(found) == pytest.approx(float(expected), rel=1e-11)
        assert found.settings["dropped_rows"] == expected.settings["dropped_rows"] == {"non-finite": 1}


def test_what_a_device_does_not_do_is_one_sentence():
    x = DeviceArray(make("gaussian", 30, 40))
    for call, words in (
        (lambda: ka.cka(x, x, kernel=ka.Precomputed()), "must be on the CPU"),
        (lambda: ka.cka(x, x, uncertainty="jackknife"), "uncertainty must be None where a CUDA device sums Gram"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_failures_anywhere_are_one_sentence_and_leave_nothing(cuda):
    x, y = make("gaussian", 40, 50), make("gaussian", 40, 60)
    counts = {"fail_allocation": cuda.allocations, "fail_launch": cuda.launches, "fail_product": cuda.products}
    words = {"fail_allocation": "out of memory", "fail_launch": "did not start", "fail_product": "failed: simulated"}
    for name, count in counts.items():
        cuda.simulate()
        ka.cka(DeviceArray(x), DeviceArray(y), kernel=ka.RBF())
        calls = count()
        assert calls >= 4
        for at in range(calls):
            cuda.simulate(**{name: at})
            with pytest.raises((MemoryError, RuntimeError), match=words[name]) as caught:
                ka.cka(DeviceArray(x), DeviceArray(y), kernel=ka.RBF())
            del caught
            assert cuda.live() == 0


def test_a_sweep_is_stopped_by_whom_it_reports_to():
    def stop(done, total):
        raise KeyboardInterrupt

    x = np.random.default_rng(0).standard_normal((1200, 16))
    with pytest.raises(KeyboardInterrupt):
        ka.cka(x, x, device="cuda", kernel=ka.RBF(1.0), progress=stop)
