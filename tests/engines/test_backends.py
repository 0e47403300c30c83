"""Backends sample, faiss and auto against the exact search: lists, recall, intervals, threads, memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from kernalign import _core
from kernalign._base.intervals import wilson
from kernalign._base.score import AlignmentWarning
from kernalign._engines import faiss, sampled
from kernalign.metrics.neighbors.overlap import Neighbors, cycle_knn, knn, mutual_knn
from reference import neighbors as ref
from test_neighbors import DATA, METRICS, make


def pair(n: int, p: int, clustered: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p))
    if clustered:
        x = 3 * rng.standard_normal((n // 100, p))[rng.integers(0, n // 100, n)] + x
    y = x @ rng.standard_normal((p, p)) / np.sqrt(p) + 0.5 * rng.standard_normal((n, p))
    return x.astype(np.float32), y.astype(np.float32)


def lists_of(x: np.ndarray, queries: np.ndarray, k: int, metric: str):
    return sampled.lists_of(_core.ExactRows(_core.Rows(x, "x"), metric), queries.astype(np.int32), k, 2)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", DATA)
def test_exact_lists_of_some_rows_are_those_of_the_whole_search(name, metric):
    for dtype, (n, d, k) in [(np.float32, (700, 19, 10)), (np.float64, (90, 3, 60)), (np.float64, (40, 5, 39))]:
        x = make(name, n, d).astype(dtype)
        queries = np.sort(np.random.default_rng(1).choice(n, 30, replace=False))
        indices, similarities, tied = lists_of(x, queries, k, metric)
        whole = knn(x, k, metric=metric, backend="native")
        np.testing.assert_array_equal(indices, whole.indices[queries])
        np.testing.assert_array_equal(similarities, whole.similarities[queries])
        np.testing.assert_array_equal(tied, whole.tie_rows[queries])


def test_candidates_are_ranked_as_the_oracle_ranks_them():
    x = make("integer", 60, 3)
    s = ref.in_order(x, "euclidean")
    rng = np.random.default_rng(0)
    queries = np.array([5, 0, 59], dtype=np.int32)
    candidates = rng.integers(-1, 60, (3, 25)).astype(np.int32)
    scorer = _core.ExactRows(_core.Rows(x, "x"), "euclidean")
    indices, similarities, tied = scorer.nearest(queries, candidates, 4)
    for row, query in enumerate(queries):
        some = np.setdiff1d(candidates[row], [-1, query])
        order = some[np.lexsort((some, -s[query, some]))]
        np.testing.assert_array_equal(indices[row], order[:4])
        np.testing.assert_array_equal(similarities[row], s[query, order[:4]])
        assert tied[row] == (s[query, order[3]] == s[query, order[4]])
    few = scorer.nearest(queries[:1], np.array([[5, -1, 7, 7]], dtype=np.int32), 3)
    np.testing.assert_array_equal(few[0], [[7, -1, -1]])
    assert few[1][0, 1] == -np.inf
    with pytest.raises(ValueError, match="rows of an array of 60"):
        scorer.nearest(queries, candidates + 40, 4)
    with pytest.raises(ValueError, match="rows of an array of 60"):
        scorer.nearest(queries - 1, candidates, 4)


def test_rows_outlive_the_array_they_came_from():
    scorer = _core.ExactRows(_core.Rows(make("gaussian", 500, 8), "x"), "dot")
    [indices, _, _] = scorer.nearest(np.array([3], dtype=np.int32), np.arange(500, dtype=np.int32)[None], 5)
    np.testing.assert_array_equal(indices[0], knn(make("gaussian", 500, 8), 5, metric="dot").indices[3])


def test_sample_is_a_part_of_the_whole():
    x, y = pair(3000, 16, clustered=True)
    found, whole = knn(x, 7, backend="sample"), knn(x, 7)
    assert (found.n, found.k, len(found.rows), found.exact, found.recall) == (3000, 7, 2000, True, 1.0)
    assert (np.diff(found.rows) > 0).all()
    np.testing.assert_array_equal(found.indices, whole.indices[found.rows])
    exact = mutual_knn(x, y, 7, ties="index", per_item=True)
    score = mutual_knn(x, y, 7, backend="sample", per_item=True)
    np.testing.assert_allclose(score.per_item, exact.per_item[found.rows], rtol=1e-15)
    assert (score.n, score.chance, score.chance_sd) == (3000, exact.chance, None)
    low, high = score.settings["exact_interval"]
    assert low <= exact <= high
    assert abs(score - exact) < 4 * score.stderr
    assert mutual_knn(found, knn(y, 7, backend="sample"), 7) == score
    assert mutual_knn(found.first(3), knn(y, 3, backend="sample"), 3) == mutual_knn(x, y, 3, backend="sample")


def test_a_sample_of_all_rows_has_no_error():
    x, y = pair(300, 8, clustered=False)
    score = mutual_knn(x, y, 5, backend="sample")
    assert score == pytest.approx(mutual_knn(x, y, 5), rel=1e-14)
    assert score.stderr == 0
    assert score.settings["exact_interval"] == (score, score)


def test_intervals_of_samples_hold_what_they_say():
    rng = np.random.default_rng(0)
    inside_normal, inside_hoeffding = 0, 0
    for _ in range(400):
        values = rng.binomial(10, 0.3, 500) / 10
        some = rng.choice(values, 200, replace=False)
        error = abs(some.mean() - values.mean())
        inside_normal += error < 1.96 * sampled.stderr(some, 500)
        low, high = sampled.hoeffding(some.mean(), 200, 500)
        inside_hoeffding += low <= values.mean() <= high
    assert 0.91 < inside_normal / 400 < 0.985
    assert inside_hoeffding == 400
    low, high = wilson(0.9, 100)
    assert (round(low, 4), round(high, 4)) == (0.8256, 0.9448)  # Wilson (1927)
    assert wilson(1.0, 100)[1] == 1.0
    assert wilson(0.0, 100)[0] == 0.0


def test_sampled_lists_are_refused_where_all_are_needed():
    x, y = pair(2100, 4, clustered=False)
    a = knn(x, 5, backend="sample")
    with pytest.raises(ValueError, match="needs the neighbours of every row"):
        cycle_knn(x, y, 5, backend="sample")
    with pytest.raises(ValueError, match="needs the neighbours of every row"):
        mutual_knn(a, a, 5, uncertainty="half-sampling")
    with pytest.raises(ValueError, match="neighbours of the same rows"):
        mutual_knn(a, knn(y, 5), 5)
    with pytest.raises(ValueError, match="needs items and one row per list"):
        Neighbors(a.indices, a.similarities, a.tie_rows, "cosine", rows=a.rows)


def test_auto_says_what_it_chose(monkeypatch):
    x, y = pair(200, 4, clustered=False)
    assert knn(x, 3).settings["backend_choice"].startswith("native: n^2 p = 1.6e+05 is at most 1e+14")
    assert "backend_choice" in mutual_knn(x, y, 3).settings
    assert "backend_choice" not in knn(x, 3, backend="native").settings
    monkeypatch.setattr(faiss, "_EXACT_WORK", 200.0 * 200 * 6)
    pytest.importorskip("faiss")
    with pytest.warns(AlignmentWarning, match=r"faiss: .* On one core, about: native: 1.6e\+05 products, .*; sample"):
        score = mutual_knn(x, np.concatenate([y, y], axis=1), 3)  # one choice for both sides
    assert score.settings["backend_choice"].startswith("faiss: n^2 p = 3.2e+05 exceeds")
    assert score.settings["backend"] == "faiss"
    monkeypatch.setattr(faiss, "_EXACT_WORK", 1.0)
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(faiss.importlib.util, "find_spec", lambda name: None)
    with pytest.warns(AlignmentWarning, match="backend='auto' is native"):
        assert "faiss is not installed" in knn(x, 3).settings["backend_choice"]
    with pytest.raises(ImportError, match=r"pip install 'kernalign\[faiss\]'"):
        knn(x, 3, backend="faiss")


def test_faiss_is_not_imported_unless_asked_for():
    code = "import sys, kernalign, numpy as np; kernalign.knn(np.eye(9), 3); print('faiss' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.fixture
def inverted(monkeypatch):
    """Makes small inputs use the inverted file."""
    monkeypatch.setattr(faiss, "_FLAT_WORK", 0.0)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", DATA)
def test_flat_lists_are_exact_where_float32_can_tell(name, metric):
    pytest.importorskip("faiss")
    x = make(name, 300, 7).astype(np.float32)
    found, whole = knn(x, 10, metric=metric, backend="faiss"), knn(x, 10, metric=metric)
    assert (found.exact, found.backend, found.settings["index"]) == (False, "faiss", "Flat")
    assert (found.indices != np.arange(300)[:, None]).all()
    step = np.diff(found.similarities, axis=1)
    assert (step <= 0).all()
    assert (np.diff(found.indices, axis=1)[step == 0] > 0).all()
    share = (found.similarities >= whole.similarities[:, -1:]).mean()
    assert found.recall == share
    assert found.settings["recall_interval"] == (share, share)  # all rows were in the sample
    assert share == 1 or (name == "outlier_rows" and metric != "cosine" and share > 0.9) or name == "tight"


CASES = [(index, clustered, metric) for index in ("Flat", "IVF") for clustered in (False, True) for metric in METRICS]
BRIEF = [("IVF", False, "cosine"), ("IVF", True, "euclidean")]


@pytest.mark.parametrize(
    "index, clustered, metric", [c if c in BRIEF else pytest.param(*c, marks=pytest.mark.slow) for c in CASES]
)
def test_interval_for_the_exact_value_holds_it(index, clustered, metric, request):
    pytest.importorskip("faiss")
    if index == "IVF":
        request.getfixturevalue("inverted")
    x, y = pair(20_000, 24, clustered)
    exact = mutual_knn(x, y, metric=metric, ties="index", backend="native")
    score = mutual_knn(x, y, metric=metric, backend="faiss", threads=1)
    settings = score.settings
    assert settings["index"].startswith(index)
    low, high = settings["exact_interval"]
    assert low <= exact <= high
    assert high - low < 0.04
    assert abs(settings["exact_estimate"] - exact) <= abs(score - exact) + 0.005
    for share, (least, most) in zip(settings["recall"], settings["recall_interval"], strict=True):
        assert least <= share <= most
        assert 0.3 < share <= 1 if index == "IVF" else share > 0.9999
    assert (settings["backend"], settings["exact"], settings["sampled_rows"]) == ("faiss", False, 2000)


def test_measured_recall_is_that_of_all_rows(inverted):
    pytest.importorskip("faiss")
    x, _ = pair(6000, 16, clustered=False)
    found, whole = knn(x, 10, backend="faiss", threads=1), knn(x, 10)
    recall = (found.similarities >= whole.similarities[:, -1:]).mean()
    low, high = found.settings["recall_interval"]
    assert low < recall < high
    again = knn(x, 10, backend="faiss", threads=1)
    assert (again.indices == found.indices).mean() > 0.999


def test_common_offsets_cost_no_neighbours():
    pytest.importorskip("faiss")
    x = make("gaussian", 2000, 64) + 1e4  # float32 distances without centring keep 0.3 % of the neighbours
    for metric in METRICS:
        assert knn(x, 10, metric=metric, backend="faiss").recall > 0.999


@pytest.mark.parametrize("k", [1, 59, 299])
def test_lists_are_full_however_few_candidates_there_are(k, inverted, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(faiss, "_PROBES", 1)
    x = np.concatenate([make("tight", 298, 6), np.eye(2, 6) * 50])
    found = knn(x, k, metric="euclidean", backend="faiss", threads=1)
    assert found.indices.min() >= 0
    assert (np.diff(np.sort(found.indices, axis=1), axis=1) > 0).all()
    if k == 299:
        assert found.recall == 1


def test_rows_are_read_in_blocks(inverted, monkeypatch):
    pytest.importorskip("faiss")
    x, _ = pair(3000, 15, clustered=True)
    expected = knn(x, 5, backend="faiss", threads=1)
    monkeypatch.setattr("kernalign._rows.blocks._ELEMENTS", 15 * 512)
    seen: list[tuple[int, int]] = []
    found = knn(x, 5, backend="faiss", threads=1, progress=lambda done, total: seen.append((done, total)))
    assert (found.indices == expected.indices).mean() > 0.99
    assert {total for _, total in seen} == {9000}
    done = [done for done, _ in seen]
    assert done == sorted(done)
    assert sum(0 < step <= 6000 for step in done) == 12
    assert (done[0], done[-1]) == (0, 9000)


def test_bad_values_are_named_before_faiss_sees_them():
    pytest.importorskip("faiss")
    x, y = pair(500, 4, clustered=False)
    x[321, 2] = np.nan
    for backend in ("faiss", "sample"):
        with pytest.raises(ValueError, match="x must be finite, got nan at row 321, column 2"):
            knn(x, 3, backend=backend)
    x[321] = 0
    with pytest.raises(ValueError, match="row 321 is zero"):
        knn(x, 3, backend="faiss")
    assert mutual_knn(x, y, 3, zero_rows="drop_pair", backend="faiss").settings["dropped"] == 1


def test_ties_are_broken_by_index_without_the_engine():
    pytest.importorskip("faiss")
    x = make("integer", 400, 3)
    for backend in ("faiss", "sample"):
        with pytest.warns(AlignmentWarning, match="index order breaks ties"):
            assert mutual_knn(x, x, 5, backend=backend).settings["ties"] == "index"


def test_threads_of_faiss_are_put_back():
    faiss = pytest.importorskip("faiss")
    x, _ = pair(3000, 8, clustered=False)
    seen: list[int] = []
    before = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(3)
        knn(x, 3, backend="faiss", threads=1, progress=lambda *_: seen.append(faiss.omp_get_max_threads()))
        assert 1 in seen
        assert faiss.omp_get_max_threads() == 3

        def stop(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            knn(x, 3, backend="faiss", threads=1, progress=stop)
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


def test_lists_of_faiss_in_place_of_arrays():
    pytest.importorskip("faiss")
    x, y = pair(3000, 8, clustered=True)
    a, b = knn(x, 10, backend="faiss"), knn(y, 10, backend="faiss")
    score = mutual_knn(a, b, 5)
    assert score.settings["exact"] is False
    assert score.settings["recall"] == (a.recall, b.recall)
    assert score == pytest.approx(mutual_knn(x, y, 5), abs=1e-3)


BIG = """
import sys, threading
import numpy as np
import kernalign as ka

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024

x = np.load(sys.argv[1], mmap_mode="r")
ka.knn(x[:3000], 5, backend="faiss")
stop, peak, steps = threading.Event(), [0], []
def watch():
    while not stop.wait(0.01):
        peak[0] = max(peak[0], anonymous())
watcher = threading.Thread(target=watch)
watcher.start()
before = anonymous()
found = ka.knn(x, 10, backend="faiss", progress=lambda done, total: steps.append(done / total))
stop.set()
watcher.join()
print(peak[0] - before, found.recall, len(steps), found.settings["index"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("n", [200_000, 1_000_000])
def test_larger_than_memory(n, tmp_path):
    """The bound holds the lists (120 bytes a row), codes (40), training rows and tiles, but no copy of the file."""
    pytest.importorskip("faiss")
    path = tmp_path / "x.npy"
    file = np.lib.format.open_memmap(path, "w+", np.float32, (n, 128))
    rng = np.random.default_rng(0)
    latent, centres = rng.standard_normal((16, 128)), rng.standard_normal((1000, 128))
    for begin in range(0, n, 50_000):
        near = centres[rng.integers(0, 1000, 50_000)] + 0.5 * rng.standard_normal((50_000, 16)) @ latent
        file[begin : begin + 50_000] = near + 0.3 * rng.standard_normal((50_000, 128))
    file.flush()
    done = subprocess.run([sys.executable, "-c", BIG, str(path)], capture_output=True, text=True, check=True)
    path.unlink()
    peak, recall, steps, index = done.stdout.split(maxsplit=3)
    assert int(peak) < 150e6 + n * 200
    assert float(recall) > 0.75
    assert int(steps) > 40
    assert index.startswith("IVF")
