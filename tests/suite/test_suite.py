"""A suite is resumed, not repeated: what changed is done again, new names cost nothing, what is bad costs itself."""

from __future__ import annotations

import fcntl
import json
import random
import resource
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import kernalign as ka
import numpy as np
import pytest
from kernalign import suite
from kernalign._base import kernels
from kernalign._engines.states import ROWS, StateKey
from kernalign._rows import arrays
from kernalign._rows.layered import Place
from kernalign.comparison.families import grams, lists
from kernalign.comparison.tidy import COLUMNS
from kernalign.metrics.kernel.rsa_ranks import Ranks
from kernalign.suite import executors as running
from kernalign.suite import report
from kernalign.suite.blocks import _rectangles
from kernalign.suite.data import entries, items_of, opened
from kernalign.suite.kept import States
from kernalign.suite.labelled import chance, folds_of, labels_of, probed
from kernalign.suite.ledger import Ledger
from processes import Mortal
from reference import probes

N = 60
NAMES = [f"m{at}" for at in range(6)]
TOML = """
[suite]
name = "small"
[sets.main]
ids = "items.json#id"
[[models]]
glob = "feat/*.npy"
[[metrics]]
id = "cka"
[[metrics]]
id = "mknn"
metric = "mutual_knn"
k = 5
[[metrics]]
id = "cycle"
metric = "cycle_knn"
k = 5
[[metrics]]
id = "nbs"
"""


def rows_of(at, seed=0):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(N, 4))
    own = np.random.default_rng(at + 1)
    return latent @ own.normal(size=(4, 6 + at)) + own.normal(size=(N, 6 + at))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "feat").mkdir()
    for at, name in enumerate(NAMES):
        np.save(tmp_path / "feat" / f"{name}.npy", rows_of(at))
    (tmp_path / "items.json").write_text(json.dumps([{"id": f"i{at}", "pair": at // 2} for at in range(N)]))
    (tmp_path / "suite.toml").write_text(TOML)
    return tmp_path


@pytest.fixture
def done(monkeypatch):
    """How many scores of each metric are done by `executors.work`, block by block."""
    made: list[str] = []
    work = running.work

    def counted(block):
        made.extend(key.split("\n")[0] for key in block.keys)
        return work(block)

    monkeypatch.setattr(running, "work", counted)
    return made


def scores(run, *columns):
    return {tuple(row[one] for one in ("metric_id", "x", "y", *columns)): row["score"] for row in run.rows}


def test_scores_are_those_of_compare(folder):
    run = suite.load(folder).run()
    assert (len(run.rows), run.failed, run.missing) == (15 + 15 + 30 + 15, 0, 0)
    models = {name: rows_of(at) for at, name in enumerate(NAMES)}
    metrics = {"cka": "cka", "mknn": ("mutual_knn", {"k": 5}), "cycle": ("cycle_knn", {"k": 5}), "nbs": "nbs"}
    whole = ka.compare(models, metrics=metrics)
    found = run.comparison()
    for metric in metrics:
        for pair in whole.pairs(metric):
            for table in ("scores", "p_values", "chance"):
                a, b = getattr(found, table)[metric][pair], getattr(whole, table)[metric][pair]
                np.testing.assert_allclose(a, b, rtol=1e-9)
    wanted = {(r["metric_id"], r["x"], r["y"]): r for r in whole.rows()}
    for row in run.rows:
        assert tuple(row) == COLUMNS
        one = wanted[row["metric_id"], row["x"], row["y"]]
        for key in ("z", "corrected", "log10_p", "q_value"):
            assert row[key] == pytest.approx(one[key], rel=1e-6, nan_ok=True)
        for key in ("p_x", "p_y", "x_digest", "y_digest", "metric", "p_method", "n"):
            assert row[key] == one[key]


def test_a_finished_run_does_nothing(folder, done):
    first = suite.load(folder).run()
    count = len(done)
    assert count == len(first.rows)
    again = suite.load(folder).run()
    assert len(done) == count
    assert scores(again) == scores(first)
    assert suite.load(folder).status() == {"scores": count, "known": count, "blocks left": 0, "unreadable models": 0}


def test_another_array_costs_its_own_pairs(folder, done):
    suite.load(folder).run()
    done.clear()
    np.save(folder / "feat" / "m2.npy", rows_of(2, seed=9))
    suite.load(folder).run()
    assert sorted(done) == sorted(["cka", "mknn", "nbs"] * 5 + ["cycle"] * 10)


def test_another_name_costs_nothing(folder, done):
    before = scores(suite.load(folder).run(), "p_value")
    done.clear()
    (folder / "feat" / "m0.npy").rename(folder / "feat" / "z.npy")
    after = scores(suite.load(folder).run(), "p_value")
    assert done == []
    renamed = {
        ("z" if key[1] == "m0" else key[1], "z" if key[2] == "m0" else key[2], key[0]): s for key, s in before.items()
    }
    for (metric, x, y, *_), value in after.items():
        assert value in (renamed.get((x, y, metric)), renamed.get((y, x, metric)))


def test_other_names_of_layers_are_told(tmp_path, done):
    (tmp_path / "suite.toml").write_text(
        '[sets.s]\nids = "by-position"\n[[models]]\nglob = "*.npz"\n[[metrics]]\nid = "cka"\n'
    )
    for name, layers in {"a": ("one", "two"), "b": ("two", "one"), "c": ("one", "two")}.items():
        np.savez(tmp_path / f"{name}.npz", **{layer: rows_of(at) for at, layer in enumerate(layers)})
    found = scores(suite.load(tmp_path).run(), "x_layer", "y_layer")
    for x, y in (("a", "b"), ("b", "c")):
        same = [value for (_, *pair, i, j), value in found.items() if pair == [x, y] and (i == j)]
        assert max(same) < 0.99
    assert found["cka", "a", "b", "one", "two"] == pytest.approx(1)
    assert len(done) == 3


def test_states_are_made_once_for_all_blocks(folder, monkeypatch):
    """In one process, whatever the blocks."""
    whole = numbers(suite.load(folder).run())
    monkeypatch.setattr("kernalign.suite.blocks.SIDE", 2)
    for module, name in ((lists, "find"), (grams, "make_side")):
        monkeypatch.setattr("kernalign.suite.work._STATES", States())
        with mock.patch.object(module, name, side_effect=getattr(module, name)) as made:
            found = numbers(suite.load(folder, directory=folder / name).run())
        assert made.call_count == len(NAMES)
        np.testing.assert_allclose(found, whole, rtol=1e-9)


def test_items_are_dropped_for_their_own_pairs(folder):
    models = {name: rows_of(at) for at, name in enumerate(NAMES)}
    for at, name in enumerate(("m2", "m4")):
        models[name][at : at + 3] = np.nan
        np.save(folder / "feat" / f"{name}.npy", models[name])
    (folder / "suite.toml").write_text(TOML + '[defaults]\nnan_rows = "drop_pair"\n')
    for row in suite.load(folder).run().rows:
        pair = {name: models[name] for name in (row["x"], row["y"])}
        options = {"k": 5} if row["metric"] != "cka" and row["metric"] != "nbs" else {}
        table = ka.compare(pair, metrics={"one": (row["metric"], options)}, nan_rows="drop_pair").scores["one"]
        assert row["score"] == pytest.approx(table[row["x"], row["y"]].item(), rel=1e-9)
        assert row["n"] == N - 3 * len({"m2", "m4"} & set(pair)) + 2 * ({"m2", "m4"} == set(pair))


def test_states_that_were_not_used_are_let_go(folder, monkeypatch):
    monkeypatch.setattr("kernalign.suite.blocks.SIDE", 2)
    few = States(most=3 * N * 100)
    monkeypatch.setattr("kernalign.suite.work._STATES", few)
    found = numbers(suite.load(folder).run())
    assert 0 < few.held <= few.most
    monkeypatch.setattr("kernalign.suite.work._STATES", States())
    np.testing.assert_array_equal(numbers(suite.load(folder, directory=folder / "more").run()), found)


def numbers(run):
    return [[row["score"], row["chance"], row["p_value"]] for row in run.rows]


def test_another_k_costs_its_own_metric(folder, done):
    suite.load(folder).run()
    done.clear()
    (folder / "suite.toml").write_text(TOML.replace('"mutual_knn"\nk = 5', '"mutual_knn"\nk = 6'))
    run = suite.load(folder).run()
    assert set(done) == {"mknn"}
    assert {json.loads(row["options"]).get("k") for row in run.rows if row["metric_id"] == "mknn"} == {6}
    assert suite.load(folder).gc() == 15


def test_a_bad_file_loses_its_own_pairs(folder):
    (folder / "feat" / "m3.npy").write_bytes(b"no array")
    bad = rows_of(4)
    bad[3] = np.nan
    np.save(folder / "feat" / "m4.npy", bad)
    np.save(folder / "feat" / "m5.npy", rows_of(5)[:-1])
    run = suite.load(folder).run()
    lost = {"m3", "m4", "m5"}
    for row in run.rows:
        assert (row["status"] == "failed") == bool({row["x"], row["y"]} & lost), row
        assert (row["reason"] is not None) == (row["status"] == "failed")
    why = {name: {row["reason"] for row in run.rows if name in (row["x"], row["y"])} for name in lost}
    assert any("m3" in text for text in why["m3"])
    assert any("finite" in text for text in why["m4"])
    assert any("60 items, got 59" in text for text in why["m5"])
    np.save(folder / "feat" / "m3.npy", rows_of(3))
    assert all(row["status"] == "ok" for row in suite.load(folder).run().rows if row["x"] == "m0" and row["y"] == "m3")


def test_a_torn_line_is_done_again(folder, done):
    before = scores(suite.load(folder).run())
    ledger = folder / "runs" / "small" / "ledger.jsonl"
    whole = ledger.read_bytes()
    lines = whole.splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:-1]) + lines[-1][:50])
    done.clear()
    assert scores(suite.load(folder).run()) == before
    assert 0 < len(done) < len(before)
    assert len(ledger.read_bytes().splitlines()) == len(lines)


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_any_executor_finds_the_same(folder, kind):
    with kind(2) as executor:
        found = suite.load(folder, directory=folder / "a").run(executor)
    assert scores(found) == pytest.approx(scores(suite.load(folder).run()), rel=1e-12)


def test_a_worker_that_dies_costs_its_blocks_only(folder, monkeypatch):
    monkeypatch.setattr("kernalign.suite.blocks.SIDE", 2)
    monkeypatch.setattr(Mortal, "deaths", 1)
    with Mortal(2) as mortal:
        found = suite.load(folder, directory=folder / "a").run(mortal)
    assert scores(found) == scores(suite.load(folder).run())
    assert Mortal.deaths == 0


def killed(folder: Path, times: int) -> None:
    """Kill a run at random moments; it ends as if nothing had been, and no block is done twice."""
    code = "from kernalign import suite; one = suite.load('.'); print(flush=True); one.run()"
    begun = time.perf_counter()
    expected = scores(suite.load(folder, directory=folder / "calm").run())
    longest = 4 * (time.perf_counter() - begun) / times
    rng, ledger = random.Random(0), folder / "runs" / "small" / "ledger.jsonl"
    lines = [0]
    for _ in range(times):
        with subprocess.Popen([sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            time.sleep(rng.uniform(0, longest))
            child.kill()
        lines.append(len(ledger.read_bytes().split(b"\n")) - 1 if ledger.exists() else 0)
        assert lines[-1] >= lines[-2]  # what was finished stays
    assert scores(suite.load(folder).run()) == pytest.approx(expected, rel=1e-12)
    keys = [key for line in ledger.read_text().splitlines() for key in json.loads(line)["scores"]]
    assert len(keys) == len(set(keys)) == len(expected)
    print(f"lines of the ledger after each kill: {lines}")


def test_a_killed_run_goes_on(folder):
    killed(folder, 3)


@pytest.mark.slow
def test_a_run_that_is_killed_fifty_times_goes_on(folder):
    for at in range(6, 78):
        np.save(folder / "feat" / f"m{at}.npy", rows_of(at % 20, seed=at))
    (folder / "suite.toml").write_text(TOML.replace('[[metrics]]\nid = "nbs"\n', ""))
    killed(folder, 50)


def test_two_runs_do_not_write_one_ledger(folder):
    one = suite.load(folder)
    one.run()
    with Ledger(one.directory / "ledger.jsonl").writing(), pytest.raises(ValueError, match="written by another run"):
        one.run()


def test_a_run_takes_in_what_another_has_done_meanwhile(folder):
    """Between the reading of the ledger and the lock."""
    one, two = suite.load(folder), suite.load(folder)
    late = Ledger(one.directory / "ledger.jsonl")
    before = scores(two.run())
    with late.writing():
        assert set(late.scores) == {row["key"] for row in suite.load(folder).last().rows}
    assert scores(suite.load(folder).last()) == before


def test_scores_are_not_forgotten_while_others_are_made(folder):
    one = suite.load(folder)
    one.run()
    path = one.directory / "ledger.jsonl"
    with Ledger(path).writing(), pytest.raises(ValueError, match="written by another run"):
        one.gc()
    locked, calls = fcntl.flock, []

    def late(*given):
        calls.append(given)
        if len(calls) == 1:
            with mock.patch("fcntl.flock", locked):
                one.gc()  # which puts another file in its place
        return locked(*given)

    with mock.patch("fcntl.flock", late), (ledger := Ledger(path)).writing():
        ledger.append({"scores": {}, "caveats": {}})
    assert len(path.read_bytes().splitlines()) == 2


def test_a_line_amid_others_that_is_malformed_is_named(folder):
    suite.load(folder).run()
    path = folder / "runs" / "small" / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1][:40] + b"\n", *lines[2:]]))
    with pytest.raises(ValueError, match=r"line 2 of .*ledger.jsonl is malformed, and is done again if it is removed"):
        suite.load(folder).run()
    assert path.read_bytes().splitlines(keepends=True)[2:] == lines[2:]


def test_files_are_written_where_they_are_other(folder):
    def stamps():
        return {name: (directory / name).stat().st_mtime_ns for name in (*names, "provenance.json")}

    def run():
        suite.load(folder).run().report()
        return stamps()

    directory, names = folder / "runs" / "small", ("results.csv", "caveats.jsonl", "suite.lock.toml", "report.html")
    suite.load(folder).run().report()
    first, whole = stamps(), (directory / "report.html").read_bytes()
    assert run() == first
    (directory / "results.csv").write_text("edited")
    (directory / "report.html").unlink()
    second = run()
    assert {name for name in names if second[name] != first[name]} == {"results.csv", "report.html"}
    assert len((directory / "results.csv").read_text().splitlines()) == 76
    for old, new in (('"small"', '"other"'), ("[[models]]", "[[models]]\nfamily = 'f'")):
        text = (folder / "suite.toml").read_text()
        (folder / "suite.toml").write_text(text.replace(old, new, 1))
        suite.load(folder, directory=directory).run().report()
        third = stamps()
        assert all(third[name] != second[name] for name in names)
        second = third
    with mock.patch.object(report, "page", return_value=["", "", "another page"]):
        suite.load(folder, directory=directory).run().report()
    assert (directory / "report.html").read_text() == "another page"
    assert whole != b"another page"


@contextmanager
def full(size: int):
    """No file grows beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_named_by_its_file_and_costs_what_was_not_written(folder):
    before = scores(suite.load(folder, directory=folder / "a").run())
    directory = folder / "runs" / "small"
    with full(4000), pytest.raises(OSError, match=r"too large: '.*ledger\.jsonl'"):
        suite.load(folder).run()
    assert scores(suite.load(folder).run()) == before
    (directory / "results.csv").unlink()
    with full(4000), pytest.raises(OSError, match=r"too large: '.*results\.csv'"):
        suite.load(folder).run()
    assert not (directory / "results.csv").exists()
    assert not list(directory.glob(".kernalign*"))
    assert scores(suite.load(folder).run()) == before


def test_a_run_can_be_read_where_nothing_can_be_written(folder):
    before = scores(suite.load(folder).run())
    (folder / "runs" / "small" / "digests.json").unlink()
    with mock.patch("kernalign._base.files.open", side_effect=PermissionError(13, "Permission denied"), create=True):
        assert scores(suite.load(folder).last()) == before
        assert suite.load(folder).status()["blocks left"] == 0
        assert suite.load(folder).verify() == []


def test_layers_seeds_sides_sets_and_groups(tmp_path):
    items = [{"id": at, "pair": at // 2, "kind": "ab"[at % 2]} for at in range(N)]
    (tmp_path / "items.json").write_text(json.dumps(items))
    for set_name in ("one", "two"):
        for seed in (0, 1):
            for layer in (1, 2, 10):
                np.save(tmp_path / f"{set_name}-net-{seed}-block{layer}.npy", rows_of(layer, seed))
        np.savez(tmp_path / f"{set_name}-text.npz", first=rows_of(3), second=rows_of(4), ids=np.arange(N)[::-1])
    (tmp_path / "suite.toml").write_text(
        """
        [sets.one]
        ids = "items.json#id"
        groups = "items.json#pair"
        labels = "items.json#kind"
        [sets.two]
        ids = "by-position"
        [[models]]
        name = "net"
        family = "f"
        side = "vision"
        set.one = "{set}-net-{seed}-{layer}.npy"
        set.two = "{set}-net-{seed}-{layer}.npy"
        layers = "every:2"
        [[models]]
        glob = "{set}-text.npz"
        side = "text"
        [pairs]
        which = "across"
        [[metrics]]
        id = "mutual_knn"
        k = 4
        """
    )
    run = suite.load(tmp_path).run()
    assert run.failed == 0
    assert {row["x"] for row in run.rows} == {"net/0", "net/1"}
    assert {row["x_layer"] for row in run.rows} == {"block1", "block10"}
    assert {(row["set"], row["y"], row["y_side"]) for row in run.rows} == {
        ("one", "one-text", "text"),
        ("two", "two-text", "text"),
    }
    assert len(run.rows) == 2 * 2 * 2 * 2
    groups = np.arange(N) // 2
    [row] = [
        r for r in run.rows if (r["set"], r["x"], r["x_layer"], r["y_layer"]) == ("one", "net/1", "block10", "second")
    ]
    score = ka.mutual_knn(rows_of(10, 1), rows_of(4)[::-1], 4, groups=groups)  # the text is called by ids, backwards
    assert (row["score"], row["p_value"], row["x_seed"]) == (score, score.p_value, "1")
    assert run.comparison("one").scores["mutual_knn"]["net/0", "one-text"].shape == (2, 2)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("[suite]\n", "[suite]\nnmae = 1\n", "suite.nmae is not a key of suite.toml; did you mean 'name'"),
        ("[[metrics]]", "[[metric]]", "metric is not a key of suite.toml; did you mean 'metrics'"),
        ('ids = "items.json#id"', "", "ids must name the items"),
        ('"feat/*.npy"', '"feat/{model}.npy"', "only variables"),
        ('"mutual_knn"', '"mutual_nn"', "did you mean 'mutual_knn'"),
        ("k = 5", "kk = 5", "takes no 'kk'"),
        ("[[models]]", "[defaults]\np = 'exactly'\n[[models]]", "defaults.p must be one of none, exact"),
        ("[[models]]", "[run]\nexecutor = 'magic'\n[[models]]", "run.executor must be"),
        ("[suite]", "[suite", "is not TOML"),
    ],
)
def test_bad_descriptions_are_named(folder, old, new, match):
    (folder / "suite.toml").write_text(TOML.replace(old, new, 1))
    with pytest.raises(ValueError, match=match):
        suite.load(folder).run()


CHECKS = """
[[checks]]
kind = "above_chance"
metric = "cka"
level = 0.05
[[checks]]
kind = "bound"
metric = "mknn"
low = 2
[[checks]]
kind = "agreement"
metric = "cka"
other = "mknn"
least = -1
[[checks]]
kind = "order"
metric = "cka"
x = "m0"
expect = ["m1", "m2"]
"""


def test_claims_hold_or_do_not(folder):
    (folder / "suite.toml").write_text(TOML + CHECKS)
    run = suite.load(folder).run()
    assert [claim.verdict for claim in run.claims[:3]] == ["held", "refuted", "held"]
    found = scores(run)
    assert run.claims[3].verdict == ("held" if found["cka", "m0", "m1"] > found["cka", "m0", "m2"] else "refuted")


def test_shuffled_rows_have_uniform_p_values(tmp_path):
    rng = np.random.default_rng(5)
    base = rng.normal(size=(80, 5))
    for at in range(12):
        np.save(tmp_path / f"m{at:02d}.npy", base[rng.permutation(80)] + 0.1 * rng.normal(size=base.shape))
    (tmp_path / "suite.toml").write_text(
        """
        [sets.s]
        ids = "by-position"
        [[models]]
        glob = "*.npy"
        [[metrics]]
        id = "cka"
        [[metrics]]
        id = "mutual_knn"
        """
    )
    p = [row["p_value"] for row in suite.load(tmp_path).run().rows]
    assert len(p) == 132
    assert 0.01 < np.mean(np.array(p) < 0.1) < 0.25


def test_a_glob_that_no_file_is_like_costs_its_own_pairs_and_says_so(folder):
    (folder / "suite.toml").write_text(TOML.replace("[[metrics]]", '[[models]]\nglob = "text/*.npy"\n[[metrics]]', 1))
    run = suite.load(folder).run()
    reasons = {row["reason"] for row in run.rows if "text/*.npy" in (row["x"], row["y"])}
    assert len(reasons) == 1
    assert "text/*.npy: No such file" in reasons.pop()
    assert all(row["reason"] is None for row in run.rows if "text/*.npy" not in (row["x"], row["y"]))


@pytest.mark.parametrize("symmetric", [True, False])
def test_rectangles_hold_every_missing_pair_once(symmetric):
    rng = random.Random(0)
    names = [f"m{at}" for at in range(9)]
    for share in (0.1, 0.5, 0.9, 1.0):
        every = [(x, y) for i, x in enumerate(names) for j, y in enumerate(names) if i < j or (i > j and not symmetric)]
        wanted = [pair for pair in every if rng.random() <= share]
        rng.shuffle(wanted)
        found = []
        for xs, ys in _rectangles(wanted, symmetric=symmetric):
            if ys is None:
                found += [(x, y) for x in xs for y in xs if x != y and (not symmetric or xs.index(x) < xs.index(y))]
            else:
                found += [(x, y) for x in xs for y in ys]
        assert sorted(found) == sorted(wanted)


def test_two_workers_of_dask_find_the_same(folder):
    distributed = pytest.importorskip("distributed")
    cluster = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**cluster) as local, distributed.Client(local) as client:
        found = suite.load(folder, directory=folder / "a").run(client.get_executor())
    assert scores(found) == pytest.approx(scores(suite.load(folder).run()), rel=1e-12)


def test_best_layers_and_drawn_p_values_are_those_of_compare(tmp_path):
    models = {
        "a": np.stack([rows_of(1)[:, :6], rows_of(2)[:, :6]], axis=1),
        "b": np.stack([rows_of(3)[:, :6], rows_of(0)[:, :6], rows_of(1, 3)[:, :6]], axis=1),
        "c": rows_of(4),
    }
    for name, array in models.items():
        np.save(tmp_path / f"{name}.npy", array)
    toml = """
        [sets.s]
        ids = "by-position"
        [[models]]
        glob = "*.npy"
        [defaults]
        layers = "best"
        normalize = "l2"
        [[metrics]]
        id = "cka"
        [[metrics]]
        id = "mutual_knn"
        """
    (tmp_path / "suite.toml").write_text(toml)
    found = {(r["metric_id"], r["x"], r["y"]): r for r in suite.load(tmp_path).run().rows}
    columns = ("score", "chance", "p_value", "x_layer", "y_layer", "selection", "p_x")
    for row in ka.compare(models, layers="best", normalize="l2").rows():
        one = found[row["metric_id"], row["x"], row["y"]]
        assert [one[key] for key in columns] == [row[key] for key in columns]
    (tmp_path / "suite.toml").write_text(toml.replace('"best"', '"last"').replace("[[metrics]]", _DRAWN, 1))
    rows = suite.load(tmp_path).run().rows
    last = {name: array[:, -1] if array.ndim == 3 else array for name, array in models.items()}
    for row in ka.compare(last, metrics=("kernel_alignment",), normalize="l2", p_values="permutation").rows():
        [one] = [r for r in rows if (r["metric_id"], r["x"], r["y"]) == ("kernel_alignment", row["x"], row["y"])]
        assert (one["p_value"], one["p_method"]) == (row["p_value"], "999 random pairings, seed 0")


_DRAWN = 'p = "exact-or-permutation"\n[[metrics]]\nid = "kernel_alignment"\n[[metrics]]'


def labelled(folder: Path, checks: str, groups: bool = False) -> suite.Suite:
    text = TOML.replace(
        "[[models]]", 'labels = "items.json#kind"\n' + 'groups = "items.json#pair"\n' * groups + "[[models]]"
    )
    (folder / "suite.toml").write_text(text + checks)
    return suite.load(folder)


@pytest.mark.parametrize("groups", [False, True])
def test_labels_are_found_by_neighbours_and_by_a_probe(folder, groups):
    kinds = np.random.default_rng(5).integers(3, size=N // 2).repeat(2)
    for at, name in enumerate(NAMES[:2]):
        np.save(folder / "feat" / f"{name}.npy", rows_of(at) + 9 * (1 - at) * np.eye(3)[kinds] @ np.eye(3, 6 + at))
    items = [{"id": f"i{at}", "pair": at // 2, "kind": "abc"[kind]} for at, kind in enumerate(kinds)]
    (folder / "items.json").write_text(json.dumps(items))
    near, probe = ('[[checks]]\nkind = "separation"\nby = "label"\n', '[[checks]]\nkind = "probe"\nleast = 0.8\n')
    run = labelled(folder, f'{near}{near}x = "m0"\n{probe}{probe}x = "m0"\n', groups).run()
    assert [claim.verdict for claim in run.claims] == ["refuted", "held", "refuted", "held"]
    number = np.arange(N) // 2 if groups else np.arange(N)
    x = np.load(folder / "feat" / "m0.npy")
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    near_of = [[j for j in np.argsort(-unit @ unit[i], kind="stable") if number[j] != number[i]][:10] for i in range(N)]
    pairs = [(i, j) for i in range(N) for j in near_of[i]]
    assert run.claims[1].value == pytest.approx(np.mean([kinds[i] == kinds[j] for i, j in pairs]), rel=1e-12)
    others = [kinds[i] == kinds[j] for i in range(N) for j in range(N) if number[i] != number[j]]
    assert f"by chance {np.mean(others):.1%}" in run.claims[1].why
    right, folds = 0, folds_of(kinds, number)
    for fold in range(5):
        out = folds == fold
        mean, sd = x[~out].mean(axis=0), x[~out].std(axis=0, ddof=1)
        weights, bias = probes.logistic((x[~out] - mean) / sd, kinds[~out].tolist(), 1e-3)
        right += (((x[out] - mean) / sd @ weights + bias).argmax(axis=1) == kinds[out]).sum()
    assert run.claims[3].value == right / N
    assert f"by chance {np.bincount(kinds).max() / N:.1%}" in run.claims[3].why
    again = suite.load(folder)
    assert again.status()["blocks left"] == 0
    assert again.gc() == 0
    assert [claim.value for claim in suite.load(folder).last().claims] == [claim.value for claim in run.claims]


@pytest.mark.parametrize("largest", [15, 40])
def test_items_of_large_groups_have_neighbours_of_others(folder, largest):
    """As many for every item, however many of its own group are nearer."""
    number = np.maximum(np.arange(N) - largest, -1) // 3 + 1
    kinds = np.arange(N) % 2
    x = rows_of(0) + 99 * np.eye(number.max() + 1)[number][:, :1]
    np.save(folder / "feat" / "m0.npy", x)
    items = [{"id": f"i{at}", "pair": int(number[at]), "kind": int(kinds[at])} for at in range(N)]
    (folder / "items.json").write_text(json.dumps(items))
    check = '[[checks]]\nkind = "separation"\nby = "label"\nx = "m0"\n'
    [claim] = labelled(folder, check, groups=True).run().claims
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    same, others = [], []
    for i in range(N):
        other = [j for j in np.argsort(-unit @ unit[i], kind="stable") if number[j] != number[i]]
        same += [kinds[i] == kinds[j] for j in other[:10]]
        others.append(np.mean([kinds[i] == kinds[j] for j in other]))
    assert claim.value == pytest.approx(np.mean(same), rel=1e-12)
    assert chance("label", kinds, number) == pytest.approx(np.mean(others), rel=1e-12)
    (folder / "items.json").write_text(json.dumps([one | {"pair": 0} for one in items]))
    [claim] = suite.load(folder).run().claims
    assert "groups must leave an item a neighbour of another group" in claim.why


def test_folds_hold_whole_groups_and_every_label():
    """In whatever order classes come round; groups of one label are spread over all folds."""
    rng = np.random.default_rng(0)
    kinds = np.arange(100) % 5
    assert probed(np.eye(5)[kinds] + 0.01 * rng.normal(size=(100, 5)), kinds, np.arange(100)) == 1.0
    for labels, groups in ((kinds, np.arange(100)), (kinds.repeat(3), np.arange(100).repeat(3))):
        folds = folds_of(labels, groups)
        assert all((np.bincount(folds[labels == one], minlength=5) == len(labels) / 25).all() for one in range(5))
        assert all(len(set(folds[groups == one])) == 1 for one in range(100))
    mixed = rng.integers(20, size=100)
    folds = folds_of(kinds, mixed)
    assert all(len(set(folds[mixed == one])) <= 1 for one in range(20))
    assert set(folds) == set(range(5))


def test_labels_of_other_types_are_other_classes(folder):
    items = [{"id": f"i{at}", "kind": [1, "1", "a"][at % 3]} for at in range(N)]
    (folder / "items.json").write_text(json.dumps(items))
    made = labelled(folder, "")
    numbers = labels_of(items_of(made.description, made.description.sets[0]))
    np.testing.assert_array_equal(numbers, np.arange(N) % 3)


def test_states_are_counted_by_what_they_hold(monkeypatch):
    for module in ("_engines.gram_source", "metrics.kernel.rsa_ranks"):
        monkeypatch.setattr(f"kernalign.{module}.SAMPLED_ROWS", 20)
    side = grams.make_side([arrays.rows(rows_of(0), "x")], kernels.Linear(), 1)
    ranks = Ranks(N, np.zeros(N * (N - 1) // 2))
    place = Place("xs", "a", "")
    store = {StateKey(ROWS, (), place): side, StateKey("ranks", (), place): ranks}
    run, states = SimpleNamespace(shop=SimpleNamespace(store=store)), States()
    states.keep(run, {"a": "digest"}, "")
    values = 4 * N * (N - 1)
    assert values < states.held <= values + 2000
    before = states.held
    assert (side.sampled.held, len(ranks.sampled)) == (20, 190)
    states.keep(run, {"a": "digest"}, "")
    assert states.held - before == 8 * (20 * 6 + 190)


def test_labels_that_cannot_be_read_are_named(folder):
    with pytest.raises(ValueError, match=r"checks probe needs sets.main.labels"):
        (folder / "suite.toml").write_text(TOML + '[[checks]]\nkind = "probe"\nleast = 0.5\n')
        suite.load(folder)
    with pytest.raises(ValueError, match=r"separation.by must be one of family, side, label"):
        labelled(folder, '[[checks]]\nkind = "separation"\nmetric = "cka"\nby = "labels"\n')
    items = json.loads((folder / "items.json").read_text())
    (folder / "items.json").write_text(json.dumps([one | {"kind": "same"} for one in items]))
    [claim] = labelled(folder, '[[checks]]\nkind = "probe"\nleast = 0.5\n').run().claims
    assert (claim.verdict, "at least two classes" in claim.why) == ("undecided", True)
    (folder / "kinds.txt").write_text("a\nb\n")
    text = (folder / "suite.toml").read_text().replace("items.json#kind", "kinds.txt")
    (folder / "suite.toml").write_text(text)
    with pytest.raises(ValueError, match="as many ids as groups and labels, got 60 ids, 2 labels"):
        suite.load(folder).run()


@pytest.mark.parametrize(
    ("name", "content", "column", "match"),
    [
        ("i.json", "[1, 2", "", "i.json must be a column that can be read: Expecting"),
        ("i.json", '[{"id": 1}]', "#di", "i.json#di must be a column that can be read: 'di'"),
        ("i.json", "[1, 2]", "#id", "i.json#id must be a column that can be read"),
        ("i.json", "[" * 100_000, "", "i.json must be a column that can be read: maximum recursion"),
        ("i.json", '[{"id": 1}]', "", "i.json must hold texts or numbers, got {'id': 1}"),
        ("i.jsonl", '{"id": null}', "#id", "i.jsonl#id must hold texts or numbers, got None"),
        ("i.csv", "id,b\na,1\n", "#c", "i.csv#c must be a column that can be read: its columns are id, b"),
        ("i.csv", "", "#id", "i.csv#id must be a column that can be read: its columns are $"),
        ("i.tsv", "id\tb\na\n", "#b", "i.tsv#b must hold texts or numbers, got None"),
        ("i.tsv", "id\tb\na\t1\na\t2\n", "#id", "i.tsv#id must name every item once, got 'a' twice"),
        ("i.txt", b"\xff", "", "i.txt must be a column that can be read: 'utf-8' codec"),
        ("i.npy", "", "", "i.npy must be a column that can be read"),
    ],
)
def test_items_that_cannot_be_read_are_named(folder, name, content, column, match):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "suite.toml").write_text(TOML.replace("items.json#id", name + column))
    with pytest.raises(ValueError, match=match):
        suite.load(folder).run()


@pytest.mark.parametrize(
    "pairs",
    [
        [("m1", "m2"), ("m0", "m1"), ("m0", "m2")],
        [("m0", "m1"), ("m1", "m2"), ("m2", "m0")],
        [("m0", "m0"), ("m1", "m0"), ("m2", "m1")],
    ],
)
def test_pairs_of_a_list_are_scored_in_any_order(folder, pairs):
    (folder / "suite.toml").write_text(TOML + f"[pairs]\nlist = {json.dumps(pairs)}\n")
    run = suite.load(folder).run()
    assert (run.failed, run.missing) == (0, 0)
    found = scores(run)
    assert {key[1:] for key in found if key[0] == "mknn"} == set(pairs)
    for x, y in pairs:
        rows = rows_of(int(x[1])), rows_of(int(y[1]))
        assert found["mknn", x, y] == pytest.approx(float(ka.mutual_knn(*rows, 5)))
        assert found["cycle", y, x] == pytest.approx(float(ka.cycle_knn(*rows[::-1], 5)))


@pytest.mark.parametrize("name", ["threads", "processes"])
def test_the_executor_of_the_description_finds_the_same(folder, name):
    one = suite.load(folder)
    one.executor = name
    assert scores(one.run()) == pytest.approx(scores(suite.load(folder, directory=folder / "b").run()), rel=1e-12)
    assert str(one.directory) in repr(one)
    assert "75 scores, 0 failed" in repr(one.last())


def test_a_score_that_comes_out_otherwise_is_named(folder):
    one = suite.load(folder)
    one.run()
    path = one.directory / "ledger.jsonl"
    assert one.verify(100) == []  # in whatever order
    path.write_text(path.read_text().replace('"score":0.', '"score":0.9'))
    told = one.verify(100)
    assert len(told) == 1 + 75
    assert "main: cka of m0 × m1 comes out otherwise now" in told


def test_layers_are_chosen(tmp_path):
    for name in "ab":
        np.savez(tmp_path / f"{name}.npz", **{f"l{at}": rows_of(at) for at in range(5)})

    def layers(chosen):
        (tmp_path / "suite.toml").write_text(
            '[sets.s]\nids = "by-position"\n[[models]]\nglob = "*.npz"\n[defaults]\n'
            f'layers = {chosen}\n[[metrics]]\nid = "cka"\n'
        )
        description = suite.load(tmp_path).description
        return opened(entries(description, description.sets[0])[0], items_of(description, description.sets[0]))

    assert list(layers('"every:2"')) == ["l0", "l2", "l4"]
    assert list(layers('"last"')) == ["l4"]
    assert list(layers('["l3", "l1"]')) == ["l3", "l1"]
    with pytest.raises(ValueError, match="a has no layer 'l9'; it has l0, l1, l2, l3, l4"):
        layers('["l9"]')


@pytest.mark.parametrize(
    ("old", "new", "set_name", "match"),
    [
        ("", "", "other", "set must be one of main, got 'other'"),
        ("[[models]]", '[defaults]\nlayers = "best"\n[[models]]', None, "needs the scores of all layers"),
        (
            "[[models]]",
            '[pairs]\nlist = [["m0", "m1"]]\n[[models]]',
            None,
            "needs all pairs, but pairs.which is 'list'",
        ),
        ("[[models]]", '[pairs]\nlist = [["m0", "m9"]]\n[[models]]', None, "pairs.list names 'm9', which is no model"),
        ("[[models]]", '[pairs]\nwhich = "across"\n[[models]]', None, "is of two sides, got 1"),
    ],
)
def test_what_is_no_comparison_is_told(folder, old, new, set_name, match):
    (folder / "suite.toml").write_text(TOML.replace(old, new, 1))
    with pytest.raises(ValueError, match=match):
        suite.load(folder).last().comparison(set_name)


def test_items_of_tables_are_read(folder):
    for name, text in (("i.csv", "n,id\n"), ("i.tsv", "n\tid\n")):
        comma = text[1]
        (folder / name).write_text(text + "".join(f"{at}{comma}i{at}\n" for at in range(N)))
        (folder / "suite.toml").write_text(TOML.replace("items.json", name))
        description = suite.load(folder).description
        assert items_of(description, description.sets[0]).ids == tuple(f"i{at}" for at in range(N))


@pytest.mark.parametrize(
    ("glob", "files", "names"),
    [
        ("*_{layer}.npy", ("net10_0", "net10_1", "net100_0", "net100_1"), {"net10": "01", "net100": "01"}),
        ("{layer}/net_{layer}.npy", ("a/net_a", "b/net_b"), {"net": "ab"}),
        ("*/{layer}.npy", ("one/a", "one/b", "two/a"), {"one": "ab", "two": "a"}),
        ("*/x.npy", ("one/x", "two/x"), None),
        ("*/{layer}/x.npy", ("one/a/x", "two/a/x"), None),
    ],
)
def test_models_of_a_glob_keep_their_names_apart(tmp_path, glob, files, names):
    for at, name in enumerate(files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / f"{name}.npy", rows_of(at))
    text = TOML.replace("items.json#id", "by-position").replace("feat/*.npy", glob)
    (tmp_path / "suite.toml").write_text(text)
    description = suite.load(tmp_path).description
    if names is None:
        with pytest.raises(ValueError, match=r"models must have different names, got 'x' for .*one.* and for .*two"):
            entries(description, description.sets[0])
    else:
        found = entries(description, description.sets[0])
        assert {one.name: "".join(label for label, _ in one.value) for one in found} == names


def test_each_side_has_its_kernel(folder, done):
    """Whichever of a pair comes first, and within sides too; another kernel of one side costs its own pairs."""
    sides = dict(zip(NAMES, ("a", "b", "a", "a", "b", "a"), strict=True))
    models = "".join(
        f'[[models]]\nname = "{name}"\nside = "{side}"\nset.main = "feat/{name}.npy"\n' for name, side in sides.items()
    )
    text = (
        '[sets.main]\nids = "by-position"\n'
        + models
        + '[[metrics]]\nid = "cka"\nkernel = { a = "linear", b = "rbf" }\n'
    )
    (folder / "suite.toml").write_text(text)
    kernels = {"a": ka.Linear(), "b": ka.RBF()}
    run = suite.load(folder).run()
    assert len(run.rows) == 15
    for row in run.rows:
        x, y = (rows_of(NAMES.index(row[side])) for side in "xy")
        score = ka.cka(x, y, kernel=(kernels[sides[row["x"]]], kernels[sides[row["y"]]]))
        assert (row["score"], row["p_value"]) == (
            pytest.approx(score, rel=1e-9),
            pytest.approx(score.p_value, rel=1e-6),
        )
    done.clear()
    (folder / "suite.toml").write_text(text.replace('"rbf"', '"laplacian"'))
    assert suite.load(folder).run().failed == 0
    assert len(done) == 15 - 6
    with pytest.raises(ValueError, match=r"metrics cka\.kernel names no kernel for side 'b'"):
        (folder / "suite.toml").write_text(text.replace(', b = "rbf"', ""))
        suite.load(folder)
