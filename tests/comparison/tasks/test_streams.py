"""Metrics of rows read in parts are those of all rows at once, whatever the parts, their order and their files."""

from __future__ import annotations

import itertools
import pickle
import random

import kernalign as ka
import numpy as np
import pytest
from kernalign.comparison.tasks import inputs
from kernalign.comparison.tasks.parts import Nearest
from kernalign.sources import open_source
from kernalign.sources.directories import models_of
from kernalign.sources.place import Place
from scipy import sparse

N = 5000


def pair(n: int = N, p: int = 6, dtype: str = "f8") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, p)) + 0.3
    return x.astype(dtype), (x @ rng.standard_normal((p, p + 1)) + rng.standard_normal((n, p + 1))).astype(dtype)


def done(plan, order=None):
    parts = [ka.run_task(plan, task) for task in plan.tasks]
    random.Random(order).shuffle(parts) if order is not None else None
    merged = parts[0]
    for part in parts[1:]:
        merged = ka.merge(merged, part)
    return ka.finish(plan, merged)


@pytest.mark.parametrize("metric", ["cka", "hsic", "kernel_alignment", "procrustes", "nbs", "angular_distance", "cca"])
@pytest.mark.parametrize("dtype", ["f8", "f2"])
def test_scores_of_blocks_are_those_of_all_rows(metric, dtype):
    x, y = pair(dtype=dtype)
    score = done(ka.plan(metric, x, y, chunk=1024))
    assert score == pytest.approx(ka.measure(metric, x, y), rel=1e-9 if dtype == "f8" else 1e-5)
    assert score.n == N


def test_options_reach_the_metric():
    x, y = pair()
    assert done(ka.plan("cka", x, y, estimator="biased")) == pytest.approx(ka.cka(x, y, estimator="biased"))
    assert done(ka.plan("lcs_knn", x[:300], y[:300], k=4, metric="dot")) == ka.lcs_knn(
        x[:300], y[:300], 4, metric="dot"
    )


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.filterwarnings("ignore:.* of the rows tie at the k-th place")
@pytest.mark.parametrize("n, chunk", [(301, 60), (301, 100), (64, 7), (41, 40)])
def test_lists_of_blocks_are_those_of_all_rows(metric, n, chunk):
    x, y = pair(n)
    x[5:20] = x[3]  # ties
    found = done(ka.plan("mutual_knn", x, y, k=5, metric=metric, chunk=chunk))
    whole = [ka.knn(side, 5, metric=metric) for side in (x, y)]
    assert found == ka.mutual_knn(*whole)
    assert found.settings["tie_rows_fraction"] == max(lists.tie_share for lists in whole)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_lists_of_drawn_rows_are_those_of_all_rows(metric):
    x, y = pair(1000)
    found = done(ka.plan("jaccard_knn", x, y, k=6, metric=metric, queries=90, chunk=77), order=1)
    whole = ka.jaccard_knn(x, y, 6, metric=metric, queries=90)
    assert (found, found.stderr) == (whole, whole.stderr)
    assert found.settings["exact_interval"] == whole.settings["exact_interval"]


@pytest.mark.parametrize("options", [{"chunk": 1024}, {"chunk": 900, "k": 4}])
def test_the_order_of_parts_does_not_matter(options):
    x, y = pair()
    plan = ka.plan("mutual_knn" if "k" in options else "cka", x, y, **options)
    scores = {float(done(plan, order)) for order in (None, 0, 1, 2)}
    assert len(scores) == 1


def test_groups_of_parts_merge_as_parts_do():
    x, y = pair(9000)
    plan = ka.plan("cka", x, y, chunk=1024)
    parts = [ka.run_task(plan, task) for task in plan.tasks]
    assert len(parts) == 9
    left, right = (ka.merge(ka.merge(a, b), c) for a, b, c in (parts[:3], parts[6:]))
    rest = ka.merge(ka.merge(parts[4], parts[5]), parts[3])
    assert ka.finish(plan, ka.merge(right, ka.merge(rest, left))) == done(plan)


def test_nothing_counts_twice_and_nothing_is_forgotten():
    x, y = pair()
    for metric, chunk in (("cka", 1024), ("mutual_knn", 2500)):
        plan = ka.plan(metric, x, y, chunk=chunk)
        first, second = (ka.run_task(plan, task) for task in plan.tasks[:2])
        both = ka.merge(first, second)
        for twice in (first, second, both):
            with pytest.raises(ValueError, match="which would count twice"):
                ka.merge(both, twice)
        with pytest.raises(ValueError, match="are needed, got"):
            ka.finish(plan, both)


def test_tasks_are_pure():
    x, y = pair()
    plan = ka.plan("cka", x, y, chunk=1024)
    parts = [ka.run_task(plan, task) for task in plan.tasks]
    first, again = (done(plan), done(plan))
    merged = parts[0]
    for part in parts[1:]:
        merged = ka.merge(merged, part)
    assert first == again == ka.finish(plan, merged)
    assert [part.items()[0][1].n for part in parts] == [1024, 1024, 1024, 1024, 904]  # merging left them alone


def test_all_pairs_of_layers_come_from_one_pass():
    x, y = pair(2000)
    layers = {"a": x, "b": x[:, :3], "c": y}
    found = done(ka.plan("cka", layers))
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    for (a, b), score in found.items():
        assert score == pytest.approx(ka.cka(layers[a], layers[b]))
    both = done(ka.plan("linear_predictivity", [x], {"y": y}))
    assert both == {("0", "y"): pytest.approx(ka.linear_predictivity(x, y))}


def test_nearest_keep_one_of_what_both_have():
    a = Nearest(np.array([[4, 7, -1]]), np.array([[0.5, 0.25, -np.inf]]))
    b = Nearest(np.array([[2, 4, 9]]), np.array([[0.5, 0.5, 0.5]]))
    for first, second in itertools.permutations((a, b)):
        joined = first.join(second)
        np.testing.assert_array_equal(joined.indices, [[2, 4, 9]])
        np.testing.assert_array_equal(joined.similarities, [[0.5, 0.5, 0.5]])
    np.testing.assert_array_equal(a.join(a).indices, a.indices)


def test_files_are_passed_by_path_and_arrays_by_value(tmp_path, monkeypatch):
    x, y = pair()
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "y.npz", wide=y, other=x)
    plan = ka.plan("cka", tmp_path / "x.npy", f"{tmp_path / 'y.npz'}:wide", chunk=1024)
    mapped = ka.plan("cka", np.load(tmp_path / "x.npy", mmap_mode="r"), f"{tmp_path / 'y.npz'}:wide", chunk=1024)
    assert plan.digest == mapped.digest
    for one in (plan, mapped):
        sent = pickle.dumps(one)
        assert len(sent) < 2000
        assert done(pickle.loads(sent)) == done(ka.plan("cka", x, y, chunk=1024))
    monkeypatch.setattr(inputs, "MOST_BY_VALUE", x.nbytes)
    assert pickle.loads(pickle.dumps(ka.plan("cka", x, x))).n == N
    with pytest.raises(
        ValueError, match=r"y must be the path of one file to be read by other processes, got an array of"
    ):
        pickle.dumps(ka.plan("cka", x, y))
    for at, part in enumerate(np.array_split(y, 3)):
        np.save(tmp_path / f"z-{at}-of-3.npy", part)
    joined = [one for model in models_of(Place(tmp_path)).models for one in model.given if one.name == "z"]
    with pytest.raises(ValueError, match="got several files joined"):
        pickle.dumps(ka.plan("cka", x, *joined))


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_of_bfloat16_and_of_columns_in_files(order, tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x, y = pair(2000, dtype="f4")
    np.save(tmp_path / "x.npy", np.asarray(x, order=order))
    half = y.astype(ml_dtypes.bfloat16)
    for metric in ("cka", "mutual_knn"):
        assert done(ka.plan(metric, tmp_path / "x.npy", half)) == pytest.approx(ka.measure(metric, x, half), rel=1e-6)


def test_digests_follow_content_options_and_pieces(tmp_path):
    x, y = pair()
    np.save(tmp_path / "x.npy", x)
    plans = [
        ka.plan("cka", x, y),
        ka.plan("cka", x, y, chunk=1024),
        ka.plan("cka", x, x),
        ka.plan("cka", x + 1e-15, y),
        ka.plan("hsic", x, y),
        ka.plan("cka", x, y, estimator="biased"),
        ka.plan("cka", tmp_path / "x.npy", y),
        ka.plan("mutual_knn", x, y),
        ka.plan("mutual_knn", x, y, queries=9),
    ]
    assert len({plan.digest for plan in plans}) == len(plans)
    assert ka.plan("cka", x.copy(), y).digest == plans[0].digest


def test_files_that_change_under_a_plan_are_refused(tmp_path):
    x, y = pair()
    np.save(tmp_path / "x.npy", x)
    plan = ka.plan("cka", tmp_path / "x.npy", y)
    assert plan.digest
    np.save(tmp_path / "x.npy", x[::-1])
    import os

    os.utime(tmp_path / "x.npy", ns=(1, 1))
    with pytest.raises(ValueError, match="x was changed after the plan was made"):
        ka.run_task(plan, plan.tasks[0])


def test_what_a_reference_stands_for_and_how_it_is_told(tmp_path):
    x, _ = pair(40)
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "x.raw").write_bytes(x.tobytes())
    raw = np.memmap(tmp_path / "x.raw", x.dtype, "r", shape=x.shape)
    assert isinstance(inputs.reference(raw, "x"), inputs.Value)
    np.testing.assert_array_equal(inputs.opened(inputs.reference(tmp_path / "x.npy", "x"))[0].array, x)
    assert inputs.stamps(inputs.reference({"a": [ValueError("gone")]}, "x")) == {"a": ["ValueError('gone')"]}
    source = open_source(tmp_path / "x.npy")
    held = [source, source.stored, sparse.csr_matrix(x), sparse.csr_matrix(x[::-1]), x]
    said = [repr(inputs.told(one)) for one in held]
    assert said[0] == said[1] == repr(inputs.told(open_source(tmp_path / "x.npy")))
    assert len(set(said)) == len(held) - 1
    assert said[2] == repr(inputs.told(sparse.csr_matrix(x)))


def test_errors_name_what_is_wrong(tmp_path):
    x, y = pair()
    np.save(tmp_path / "cube.npy", np.zeros((5, 2, 3)))
    np.savez(tmp_path / "words.npz", words=np.full((5, 2), "word"))
    for words, call in (
        ("x must be 2-D", lambda: ka.plan("cka", tmp_path / "cube.npy", y)),
        ("must hold real numbers, got dtype <U4", lambda: ka.plan("cka", f"{tmp_path / 'words.npz'}:words", y)),
        ("rsa needs all rows at once", lambda: ka.plan("rsa", x, y)),
        ("there is no metric", lambda: ka.plan("ckaa", x, y)),
        ("x must be 2-D", lambda: ka.plan("cka", x[0], y)),
        ("same number of rows, got 5000 and 4999", lambda: ka.plan("cka", x, y[1:])),
        ("k must be between 1 and", lambda: ka.plan("mutual_knn", x, y, k=5000)),
        ("metric must be 'cosine'", lambda: ka.plan("mutual_knn", x, y, metric="l1")),
        ("queries must be left out", lambda: ka.plan("cka", x, y, queries=5)),
        ("memory_budget must be left out", lambda: ka.plan(("cka",), {"a": x, "b": y}, memory_budget=5)),
        ("chunk must be at least 1024", lambda: ka.plan("cka", x, y, chunk=5)),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            call()
    with pytest.raises(TypeError, match="cka of rows that are read in parts takes no 'groups'"):
        ka.plan("cka", x, y, groups=[1])
    x[4000, 2] = np.nan
    plan = ka.plan("cka", x, y, chunk=1024)
    with pytest.raises(ValueError, match=r"row 928, column 2.*, counting rows from row 3072"):
        ka.run_task(plan, plan.tasks[3])


def test_the_budget_bounds_blocks_and_is_refused_before_anything_is_read():
    x = np.lib.stride_tricks.as_strided(np.zeros(1, "f2"), (100_000_000, 768), (0, 0))
    plan = ka.plan("cka", x, x, memory_budget="2 GB")
    assert plan.chunk * 2 * 768 * 2 <= 300e6
    assert plan.chunk % 1024 == 0
    with pytest.raises(
        ValueError, match=r"cka of 100000000 rows would take .* more than the 100,000,000 that memory_bud"
    ):
        ka.plan("cka", x, x, memory_budget="100 MB")
    with pytest.raises(ValueError, match=r"that memory_budget allows; chunk=\d+ fits"):
        ka.plan("cka", x, x, memory_budget="1 GB", chunk=10_000_000)
    with pytest.raises(ValueError, match="queries=20_000 draws rows and needs less"):
        ka.plan("mutual_knn", x, x, memory_budget="4 GB")
    assert ka.plan("mutual_knn", x, x, memory_budget="1 GB", queries=20_000).chunk < 700_000
    for budget, kind in (("8 apples", TypeError), (True, TypeError), (0, ValueError)):
        with pytest.raises(kind, match="memory_budget must be"):
            ka.plan("cka", x, x, memory_budget=budget)


@pytest.mark.parametrize("ending", ["zarr", "parquet", "h5"])
def test_other_formats_are_read_block_by_block(ending, tmp_path):
    x, y = pair(3000, dtype="f4")
    if ending == "zarr":
        zarr = pytest.importorskip("zarr")
        zarr.create_array(tmp_path / "x.zarr", data=x, chunks=(500, 6))
    elif ending == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file.create_dataset("x", data=x, chunks=(500, 6))
    else:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet as pq

        column = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), x.shape[1])
        pq.write_table(pa.table({"x": column}), tmp_path / "x.parquet", row_group_size=500)
    for metric, options in (("cka", {"chunk": 1024}), ("mutual_knn", {"chunk": 700, "queries": 50})):
        plan = pickle.loads(pickle.dumps(ka.plan(metric, tmp_path / f"x.{ending}", y, **options)))
        assert done(plan) == done(ka.plan(metric, x, y, **options))
