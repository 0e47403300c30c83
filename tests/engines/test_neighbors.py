"""The neighbour search against float64 brute force: sets, order, ties, layouts, threads, errors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from kernalign.metrics.neighbors.overlap import Neighbors, knn, mutual_knn
from reference import neighbors as ref

pytestmark = pytest.mark.numeric

METRICS = ("cosine", "dot", "euclidean")


def assert_nearest(found: Neighbors, s: np.ndarray, k: int) -> None:
    """No accepted neighbour may be worse than the oracle's k-th by more than 1e-12 max|S|."""
    n = len(s)
    assert found.indices.shape == (n, k)
    assert found.indices.dtype == np.int32
    tolerance = 1e-12 * np.abs(s[np.isfinite(s)]).max()
    indices = found.indices.astype(np.int64)
    assert (indices != np.arange(n)[:, None]).all(), "an item is its own neighbour"
    assert (np.diff(np.sort(indices, axis=1), axis=1) > 0).all(), "an item twice in one list"
    got = np.take_along_axis(s, indices, axis=1)
    kth = -np.sort(-s, axis=1)[:, k - 1 : k]
    assert (got >= kth - tolerance).all()
    np.testing.assert_allclose(found.similarities, got, rtol=0, atol=tolerance)
    step = np.diff(found.similarities, axis=1)
    assert (step <= 0).all(), "not in order of similarity"
    assert (np.diff(indices, axis=1)[step == 0] > 0).all(), "equal similarities not in order of index"


def make(name: str, n: int, d: int) -> np.ndarray:
    rng = np.random.default_rng(len(name) * 1000 + n + d)
    x = rng.standard_normal((n, d))
    if name == "clustered":
        x = rng.standard_normal((7, d))[rng.integers(0, 7, n)] + 1e-3 * x
    elif name == "tight":
        x = rng.standard_normal((3, d))[rng.integers(0, 3, n)] + 1e-7 * x
    elif name == "duplicated":
        x = x[rng.integers(0, max(1, n // 5), n)]
    elif name == "integer":
        x = rng.integers(1, 4, (n, d)).astype(np.float64)
    elif name == "offset":
        x = x + 1e4
    elif name == "outlier":
        x[:, 0] *= 1e3
    elif name == "outlier_rows":
        x[::17] *= 1e6
    elif name == "constant":
        x = np.full((n, d), 0.3)
    elif name == "low":
        x = rng.standard_normal((n, 8)) @ rng.standard_normal((8, d)) + 0.05 * x
    elif name == "tiny":
        x = x * 1e-30
    return x


DATA = (
    "gaussian", "clustered", "tight", "duplicated", "integer", "offset", "outlier", "outlier_rows", "constant", "low",
    "tiny",
)  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_search_finds_what_brute_force_finds(name, metric, dtype):
    for n, d, k in [(2, 1, 1), (33, 3, 5), (257, 19, 10), (700, 40, 3)]:
        x = make(name, n, d).astype(dtype)
        found = knn(x, k, metric=metric)
        assert found.exact
        assert_nearest(found, ref.similarities(x, metric), k)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ["gaussian", "duplicated", "constant"])
def test_every_k_from_one_to_all_others(name, metric):
    x = make(name, 41, 5).astype(np.float32)
    s = ref.similarities(x, metric)
    for k in range(1, 41):
        assert_nearest(knn(x, k, metric=metric), s, k)


@pytest.mark.parametrize("metric", METRICS)
def test_sets_order_and_ties_are_those_of_feature_order_arithmetic(metric):
    x = make("integer", 300, 3)
    s = ref.in_order(x, metric)
    found = knn(x, 7, metric=metric)
    np.testing.assert_array_equal(found.indices, ref.lists(s, 7))
    sorted_s = -np.sort(-s, axis=1)
    np.testing.assert_array_equal(found.tie_rows, sorted_s[:, 6] == sorted_s[:, 7])
    assert found.tie_rows.mean() > 0.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "d"), [(300, 3), (40, 70_000)])  # the second is searched by wide products
def test_few_rows_with_a_common_divisor_are_those_of_feature_order_arithmetic(n, d, dtype):
    rng = np.random.default_rng(4)
    x = rng.standard_normal((n, d)).astype(dtype)
    x[[5, 20]] = [[3], [-5]] * rng.integers(-4, 5, (1, d))
    x[30] = 7 * rng.integers(1, 4, d)
    x[33] = x[30] / 7 * 9
    found = knn(x, 4)
    apart = knn(np.asfortranarray(x), 4)  # not read in place
    for name in ("indices", "similarities", "tie_rows"):
        np.testing.assert_array_equal(getattr(found, name), getattr(apart, name))
    assert found.indices[30, 0] == 33
    assert found.indices[33, 0] == 30
    if d == 3:
        np.testing.assert_array_equal(found.indices, ref.lists(ref.in_order(x, "cosine"), 4))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ["gaussian", "tight", "duplicated", "integer", "constant"])
def test_threads_do_not_matter(name, metric):
    x = make(name, 1200, 24).astype(np.float32)
    one = knn(x, 10, metric=metric, threads=1)
    for threads in (2, 4):
        many = knn(x, 10, metric=metric, threads=threads)
        np.testing.assert_array_equal(one.indices, many.indices)
        np.testing.assert_array_equal(one.similarities, many.similarities)
        np.testing.assert_array_equal(one.tie_rows, many.tie_rows)


def test_tile_boundaries_do_not_matter():
    x = make("duplicated", 2200, 9).astype(np.float32)
    s = ref.in_order(x, "euclidean")
    for n in (31, 32, 33, 63, 65, 127, 128, 129, 511, 513, 2047, 2049):
        np.testing.assert_array_equal(knn(x[:n], 4, metric="euclidean").indices, ref.lists(s[:n, :n], 4))


def test_rows_beyond_the_panel_budget_give_the_same_answer():
    # 48 MB of float32 panels hold 6,000 rows of 2,000 columns: beyond that panels are made again for each group.
    rng = np.random.default_rng(3)
    x = rng.standard_normal((6500, 2000)).astype(np.float32)
    found = knn(x, 3)
    some = rng.choice(6500, 40, replace=False)
    unit = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1)[:, None]
    s = unit[some] @ unit.T
    s[np.arange(40), some] = -np.inf
    got = np.take_along_axis(s, found.indices[some].astype(np.int64), axis=1)
    np.testing.assert_allclose(got, -np.sort(-s, axis=1)[:, :3], rtol=0, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.int8, np.uint16, bool])
def test_dtypes(dtype, metric):
    x = (make("gaussian", 150, 12) * 10).astype(np.int64 if np.dtype(dtype).kind in "iu" else np.float64)
    x = np.abs(x).astype(dtype) if np.dtype(dtype).kind == "u" else x.astype(dtype)
    if dtype is bool:
        x = make("gaussian", 150, 12) > 0.5
        x[:, 0] = True
    elif np.dtype(dtype).kind in "iu":
        x[:, 0] += 1 if np.dtype(dtype).kind == "u" else 0
        x[~x.any(axis=1), 0] = 1
    assert_nearest(knn(x, 6, metric=metric), ref.similarities(x.astype(np.float64), metric), 6)


def layouts(x: np.ndarray, tmp_path) -> dict[str, np.ndarray]:
    wide = np.zeros((2 * len(x), 3 * x.shape[1]), dtype=x.dtype)
    wide[::2, ::3] = x
    np.save(tmp_path / "x.npy", x)
    shifted = np.frombuffer(b"\0" + x.tobytes(), dtype=np.uint8)[1:].view(x.dtype).reshape(x.shape)
    return {
        "fortran": np.asfortranarray(x),
        "strided": wide[::2, ::3],
        "reversed": x[::-1, ::-1].copy()[::-1, ::-1],
        "memory-mapped": np.load(tmp_path / "x.npy", mmap_mode="r"),
        "unaligned": shifted,
        "big-endian": x.astype(x.dtype.newbyteorder(">")),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts_do_not_matter(dtype, tmp_path):
    x = make("gaussian", 200, 17).astype(dtype)
    plain = knn(x, 5)
    for name, other in layouts(x, tmp_path).items():
        found = knn(other, 5)
        np.testing.assert_array_equal(found.indices, plain.indices, err_msg=name)
        np.testing.assert_array_equal(found.similarities, plain.similarities, err_msg=name)


def test_input_is_not_modified():
    x = make("gaussian", 60, 5)
    before = x.copy()
    x.flags.writeable = False
    knn(x, 3, metric="euclidean")
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("scale", [1e-170, 1e-300, 1e-320, 1e160, 1e300])
def test_cosine_of_rows_near_the_ends_of_the_float64_range(scale):
    x = make("integer", 80, 4)
    x[::3] *= scale
    unit = np.where(np.arange(80)[:, None] % 3 == 0, x / scale, x) if scale > 1e-310 else None
    found = knn(x, 5)
    if unit is not None:
        assert_nearest(found, ref.similarities(unit, "cosine"), 5)


def test_squares_that_overflow_are_refused():
    x = make("gaussian", 20, 3) * 1e200
    for metric in ("dot", "euclidean"):
        with pytest.raises(ValueError, match="x is too large"):
            knn(x, 3, metric=metric)


@pytest.mark.parametrize("normalize", ["l2", "standardize"])
@pytest.mark.parametrize("metric", METRICS)
def test_preprocessing_comes_first(normalize, metric):
    x = make("gaussian", 120, 6) * np.arange(1, 7)
    clipped = np.clip(x, *(np.array([-1, 1]) * np.sort(np.abs(x).ravel())[int(0.95 * x.size)]))
    if normalize == "l2":
        prepared = clipped / np.linalg.norm(clipped, axis=1)[:, None]
    else:
        prepared = (clipped - clipped.mean(axis=0)) / clipped.std(axis=0, ddof=1)
    found = knn(x, 5, metric=metric, normalize=normalize, clip_quantile=0.95)
    s = ref.similarities(prepared, metric)
    got = np.take_along_axis(s, found.indices.astype(np.int64), axis=1)
    np.testing.assert_allclose(got, -np.sort(-s, axis=1)[:, :5], atol=1e-12 * np.abs(s[np.isfinite(s)]).max())


def test_duplicates_never_return_the_item_itself():
    x = np.repeat(make("gaussian", 50, 4), 4, axis=0)
    found = knn(x, 3)
    own = np.arange(200)
    assert (found.indices != own[:, None]).all()
    np.testing.assert_array_equal(found.indices // 4, np.repeat(own // 4, 3).reshape(200, 3))


@pytest.mark.parametrize("metric", METRICS)
def test_constant_rows_cost_little(metric):
    x = np.full((6000, 64), 0.1, dtype=np.float32)
    found = knn(x, 5, metric=metric)
    assert found.tie_rows.all()
    np.testing.assert_array_equal(found.indices[10], np.arange(5))
    np.testing.assert_array_equal(found.indices[2], [0, 1, 3, 4, 5])


@pytest.mark.parametrize("k", [0, -1, 5, 1.5, True])
def test_bad_k(k):
    with pytest.raises(ValueError if type(k) is int else TypeError, match="k must be"):
        knn(np.eye(5), k)


def test_bad_input_names_what_and_where():
    x = make("gaussian", 500, 4)
    x[321, 2] = np.nan
    x[400, 0] = np.inf
    with pytest.raises(ValueError, match="x must be finite, got nan at row 321, column 2"):
        knn(x, 3, threads=2)
    x[321, 2] = 0
    x[400, 0] = 0
    x[[70, 300]] = 0
    with pytest.raises(ValueError, match="row 70 is zero"):
        knn(x, 3, threads=2)
    knn(x, 3, metric="euclidean")
    with pytest.raises(ValueError, match="metric must be 'cosine', 'dot' or 'euclidean'"):
        knn(x, 3, metric="manhattan")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="backend must be 'auto', 'native', 'sample' or 'faiss'"):
        knn(x, 3, backend="gpu")  # type: ignore[arg-type]


def test_stopping_leaves_no_thread_behind():
    x = make("gaussian", 12_000, 200).astype(np.float32)
    threads = threading.active_count()

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mutual_knn(x, x, 10, progress=stop, threads=2)
    assert threading.active_count() == threads


def test_concurrent_calls_give_the_single_thread_answer():
    x = make("duplicated", 900, 16)
    expected = knn(x, 6, threads=1)
    results: list[Neighbors] = []
    workers = [threading.Thread(target=lambda: results.append(knn(x, 6, threads=2))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 4
    for found in results:
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.similarities, expected.similarities)


def assert_large(name: str, n: int, d: int, metric: str) -> None:
    """A hundred rows against brute force."""
    x = make(name, n, d).astype(np.float32)
    found = knn(x, 10, metric=metric)
    some = np.random.default_rng(0).choice(n, 100, replace=False)
    wide = x.astype(np.float64)
    if metric == "cosine":
        wide /= np.linalg.norm(wide, axis=1)[:, None]
    for i in some:
        s = -((wide - wide[i]) ** 2).sum(axis=1) if metric == "euclidean" else wide @ wide[i]
        s[i] = -np.inf
        kth = np.sort(s)[-10]
        assert (s[found.indices[i]] >= kth - 1e-12 * np.abs(s[np.isfinite(s)]).max()).all()


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", DATA)
def test_large_inputs_find_what_brute_force_finds(name, metric):
    assert_large(name, 20_000, 48, metric)


SEARCH_ALL = """
import sys, numpy as np
sys.path[:0] = sys.argv[1].split(":")
import test_neighbors as t
found = [
    t.knn(t.make(name, 700, 40).astype(dtype), 7, metric=metric, threads=2)
    for name in t.DATA for dtype in ("float32", "float64") for metric in t.METRICS
]
np.savez(sys.argv[2], **{f"{i}_{part}": getattr(f, part) for i, f in enumerate(found)
                         for part in ("indices", "similarities", "tie_rows")})
"""


# Large enough for a search through a projection, which only happens without a matrix unit.
PATHS = f"{Path(__file__).parent}:{Path(__file__).parents[1]}"
PROJECT_ALL = """
import sys, numpy as np
sys.path[:0] = sys.argv[1].split(":")
import test_neighbors as t
for name in t.DATA:
    for metric in t.METRICS:
        t.assert_large(name, 7000, 400, metric)
"""


@pytest.mark.slow
@pytest.mark.parametrize("isa", ["avx512", "amx"])
def test_the_search_finds_what_brute_force_finds_whatever_it_goes_through(isa):
    command = [sys.executable, "-c", PROJECT_ALL, PATHS]
    subprocess.run(command, env={**os.environ, "KERNALIGN_ISA": isa}, check=True, timeout=900)


PROJECT_SOME = """
import sys, numpy as np
sys.path[:0] = sys.argv[1].split(":")
import test_neighbors as t
found = [t.knn(t.make(name, 7000, 400).astype("float32"), 5, metric=metric, threads=2)
         for name in ("low",) for metric in ("cosine",)]
np.savez(sys.argv[2], *[part for f in found for part in (f.indices, f.similarities, f.tie_rows)])
"""


@pytest.mark.parametrize("script", [SEARCH_ALL, PROJECT_SOME], ids=["all", "projected"])
def test_instruction_sets_do_not_change_a_bit(script: str, tmp_path: Path) -> None:
    results = []
    for isa in ("amx", "avx512", "baseline"):  # each means the best that the CPU has up to it
        path = tmp_path / f"{isa}.npz"
        command = [sys.executable, "-c", script, PATHS, str(path)]
        subprocess.run(command, env={**os.environ, "KERNALIGN_ISA": isa}, check=True, timeout=900)
        results.append(np.load(path))
    for other in results[1:]:
        for name in results[0]:
            np.testing.assert_array_equal(results[0][name], other[name], err_msg=name)


def test_only_pairs_are_told_that_their_zero_rows_can_be_dropped():
    x = np.ones((6, 3))
    x[4] = 0
    with pytest.raises(ValueError, match=r"x must have no zero row where rows are normalised, row 4 is zero$"):
        knn(x, 2)
    with pytest.raises(ValueError, match=r"row 4 is zero \(zero_rows=\"drop_pair\" drops such items\)$"):
        mutual_knn(x, np.ones((6, 2)), 2)
