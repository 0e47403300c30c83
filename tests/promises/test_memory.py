"""Anonymous memory while big memory-mapped arrays are compared: the inputs are never copied whole."""

import os
import subprocess
import sys

import numpy as np
import pytest

# RssAnon counts what the process allocated; pages of mapped files are not in it.
MEASURE = """
import os, sys, threading
import numpy as np
import kernalign as ka

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # scratch grows with the number of threads
x, y = (np.load(path, mmap_mode="r") for path in sys.argv[1:3])
call = eval(sys.argv[3])
ka.cka(x[:2000], y[:2000])  # libraries and their buffers are loaded
stop, peak = threading.Event(), [0]
def watch():
    while not stop.wait(0.002):
        peak[0] = max(peak[0], anonymous())
watcher = threading.Thread(target=watch)
watcher.start()
before = anonymous()
score = call()
stop.set()
watcher.join()
print(before, peak[0], float(score))
"""


def measure(paths, call, **environment):
    command = [sys.executable, "-c", MEASURE, *map(str, paths), f"lambda: {call}"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=900, env=os.environ | environment
    )
    before, peak, score = done.stdout.split()
    return int(before), int(peak), float(score)


def write_pair(directory, rows, columns):
    """Random, correlated float32 files, made chunk by chunk: every row is different and nothing is sparse."""
    paths = [directory / "x.npy", directory / "y.npy"]
    rng = np.random.default_rng(0)
    files = [np.lib.format.open_memmap(path, "w+", np.float32, (rows, columns)) for path in paths]
    noise = rng.normal(size=(20_011, columns)).astype(np.float32)  # reused, shifted by one more row for every chunk
    for begin in range(0, rows, 20_000):
        end = min(rows, begin + 20_000)
        chunk = np.roll(noise, begin // 20_000 * 7, axis=0)[: end - begin]
        scale = rng.uniform(0.5, 2, size=(end - begin, 1)).astype(np.float32)
        files[0][begin:end] = chunk * scale
        files[1][begin:end] = chunk[:, ::-1] * scale + noise[: end - begin] * 2
    for file in files:
        file.flush()
    return paths


CALLS = {
    "cka": "ka.cka(x, y)",
    "moments": "ka.Moments().update(x, y).cka()",
    "biased": "ka.cka(x, y, estimator='biased')",
    "kernel alignment": "ka.kernel_alignment(x, y)",
    "l2": "ka.cka(x, y, normalize='l2')",
    "standardize": "ka.cka(x, y, normalize='standardize')",
    "clip": "ka.cka(x, y, clip_quantile=0.95)",
    "strided": "ka.cka(x[::-1, ::2], y[:, 1::2])",
    "fortran": "ka.cka(x.reshape(256, -1).T[:, :200], y.reshape(256, -1).T[:, :200])",
}


@pytest.fixture(scope="module")
def small_pair(tmp_path_factory):
    return write_pair(tmp_path_factory.mktemp("memory"), 150_000, 256)


@pytest.mark.parametrize("call", list(CALLS))
def test_memory_mapped_inputs_are_not_copied(call, small_pair):
    """Each file holds 154 MB (150,000 x 256 float32); the call may hold blocks and sums, not a file."""
    before, peak, score = measure(small_pair, CALLS[call])
    assert np.isfinite(score)
    assert peak - before < 80e6


def test_the_jackknife_holds_a_few_numbers_per_row(small_pair):
    before, peak, _ = measure(small_pair, "ka.cka(x, y, uncertainty='jackknife').stderr")
    assert peak - before < 80e6 + 150_000 * 8 * 30


def test_the_gram_route_never_holds_an_n_by_n_matrix(small_pair):
    """n = 4000 in 4100 columns: one Gram matrix would be 64 MB in float32 and 128 MB in float64."""
    wide = "np.lib.stride_tricks.sliding_window_view({}.reshape(-1), 4100)[:16000:4]"
    before, peak, score = measure(small_pair, f"ka.cka({wide.format('x')}, {wide.format('y')})")
    assert np.isfinite(score)
    assert peak - before < 64e6


def test_kernels_never_hold_an_n_by_n_matrix(small_pair):
    """n = 6000: one Gram matrix would be 144 MB in float32. The partial sums take 256 n bytes a side."""
    for kernel in ("RBF()", "Laplacian(9.0)", "Polynomial(2)", "Cosine()"):
        before, peak, score = measure(small_pair, f"ka.cka(x[:6000], y[:6000], kernel=ka.{kernel})")
        assert np.isfinite(score)
        assert peak - before < 110e6


@pytest.mark.slow
def test_rbf_cka_of_50_000_items_holds_under_500_megabytes(small_pair):
    before, peak, score = measure(small_pair, "ka.cka(x[:50000, :64], y[:50000, :64], kernel=ka.RBF())")
    assert np.isfinite(score)
    assert peak - before < 500e6


@pytest.mark.parametrize(
    "call",
    [
        "ka.rsa(x[:6000], y[:6000], comparison='pearson')",
        "ka.rsa(x[:6000], y[:6000], comparison='cosine', distance='euclidean')",
        "ka.distance_alignment(x[:6000], y[:6000])",
        "ka.distance_correlation(x[:6000], y[:6000])",
        "ka.mmd(x[:4000], y[:5000])",
        "ka.mmd(x[:4000], y[:5000], estimator='biased', kernel=ka.Linear())",
        "ka.mmd(x, y, estimator='linear-time', kernel=ka.RBF(30.0))",
        "ka.mmd(x[:20_000], y, estimator='block', kernel=ka.RBF(30.0))",
    ],
)
def test_distances_and_samples_are_reduced_from_tiles(call, small_pair):
    """The upper triangle of a matrix would take 144 MB or more in float64; a median takes 64 MB beside the tiles."""
    before, peak, score = measure(small_pair, call)
    assert np.isfinite(score)
    assert peak - before < (64e6 if "RBF" not in call and "mmd" in call else 0) + 80e6


def test_a_permutation_test_of_a_kernel_holds_both_triangles(small_pair):
    """4 n^2 bytes for each side; indices of all entries took as much again, twice."""
    call = "ka.permutation_test('cka', x[:3000, :20], y[:3000, :20], permutations=9, kernel=ka.RBF(5.0)).score"
    before, peak, _ = measure(small_pair, call)
    assert peak - before < 11 * 3000**2


@pytest.mark.parametrize("comparison,most", [("spearman", 45), ("kendall", 70)])
def test_ranks_hold_what_the_docstring_says(comparison, most, small_pair):
    before, peak, _ = measure(small_pair, f"ka.rsa(x[:3000], y[:3000], comparison='{comparison}')")
    assert peak - before < most * 3000 * 2999 / 2 + 30e6


@pytest.mark.slow
@pytest.mark.parametrize(
    "call", ["ka.rsa(x[:20_000], y[:20_000], comparison='pearson')", "ka.mmd(x[:30_000], y[:30_000])"]
)
def test_many_items_hold_no_matrix(call, small_pair):
    """The dissimilarities of 20,000 items would be 1.6 GB, the pooled Gram matrix of 60,000 rows 14 GB in float32."""
    before, peak, _ = measure(small_pair, call)
    assert peak - before < 180e6


@pytest.mark.slow
def test_two_million_rows_peak_under_600_megabytes(tmp_path):
    paths = write_pair(tmp_path, 2_000_000, 256)
    try:
        for call in ("cka", "moments"):
            _, peak, score = measure(paths, CALLS[call])
            assert np.isfinite(score)
            assert peak < 600e6
    finally:
        for path in paths:
            path.unlink()


@pytest.mark.slow
def test_neighbours_of_a_hundred_thousand_rows_take_a_few_numbers_per_row(tmp_path):
    """At most 64 MB + 4 n (r + 1) + 40 n k bytes beyond inputs and outputs; these rows are not projected: r = 0."""
    n, k = 100_000, 10
    paths = write_pair(tmp_path, n, 128)
    knn = f"ka.knn(x, {k}).similarities.sum()"
    most = 64e6 + 4 * n + 40 * n * k
    outputs = 12 * n * k + n
    for isa in ("amx", "avx512"):  # with a matrix unit, if there is one, and without
        before, peak, _ = measure(paths, knn, KERNALIGN_ISA=isa)
        assert peak - before - outputs < most, isa
