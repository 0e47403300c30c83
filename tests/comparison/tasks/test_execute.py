"""Plans give the same bits in this process, in others, after workers died, and after a crash; ledgers notice damage."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import time
import warnings
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, connection, get_context
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from kernalign._engines.states import Store
from kernalign.comparison.tasks import execute as module
from kernalign.comparison.tasks import pools
from kernalign.comparison.tasks.ledger import Ledger
from layered_samples import models
from processes import Mortal
from samples import saved_rows

N = 20_000


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return saved_rows(tmp_path_factory.mktemp("rows"), N, 8)


def plan(files, metric="cka", **options):
    options = {"chunk": 1024} if metric == "cka" else {"chunk": 2000, "queries": 50}
    return ka.plan(metric, files / "x.npy", files / "y.npy", **options)


def run(made, executor=None, checkpoint=None):
    return ka.execute(made, executor, checkpoint, progress=False)


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("metric", ["cka", "mutual_knn"])
def test_executors_give_the_same_bits(metric, files, pool):
    made = plan(files, metric)
    here = run(made)
    assert run(made, pool) == here
    with ThreadPoolExecutor(2) as threads:
        assert run(made, threads) == here


def test_comparisons_are_plans(pool):
    given = models()
    given["c"] = np.where(np.arange(len(given["c"]))[:, None] == 3, np.nan, given["c"])  # costs its own cells
    names = ("cka", "mutual_knn", "cknna", "rsa", "svcca")
    with pytest.warns(ka.AlignmentWarning):
        expected = ka.compare(given, metrics=names)
    made = ka.plan(names, given)
    assert made.digest == ka.plan(names, models() | {"c": given["c"]}).digest
    assert made.digest != ka.plan(names, models()).digest
    with pytest.warns(ka.AlignmentWarning):
        found = run(made, pool)
    for metric in names:
        for pair, scores in expected.scores[metric].items():
            np.testing.assert_array_equal(found.scores[metric][pair], scores)
    assert found.reasons == expected.reasons


PAIRED = {
    "spans and products": (["cka", "cca", "linear_predictivity"], {}),
    "calls": (["mmd"], {}),
    "drawn tails": (["procrustes", "nbs"], {"p_values": 19}),
    "errors": (["cka"], {"metric_options": {"cka": {"uncertainty": "jackknife"}}}),
}


@pytest.mark.parametrize("kind", list(PAIRED))
def test_pairs_of_which_no_states_are_made_are_tasks(kind, tmp_path):
    """Scores, p-values, intervals, reasons and notes are those of a comparison, whoever finished the pairs."""
    metrics, options = PAIRED[kind]
    rng = np.random.default_rng(0)
    base = rng.standard_normal((60, 4))
    given = {f"model {at}": base + at * rng.standard_normal(base.shape) for at in range(2)}
    given["layers"] = np.stack([base, base[::-1]], axis=1)
    given |= {"constant": np.ones((60, 4)), "outlier": np.where(np.arange(60)[:, None] == 3, 1e4, base)}
    given["bad"] = np.where(base == base[3, 2], np.nan, base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = ka.compare(given, metrics=metrics, **options)
        made = ka.plan(metrics, given, **options)
        store = run_in_parts(made)
        lost = [key for task in made.tasks for key in task.keys if key not in store]
        assert lost
        assert all("bad" in key.options for key in lost)  # is tried again in the end, which says why
        found = made.finish(store)
    for table in ("scores", "chance", "p_values", "intervals"):
        one, other = (getattr(each, table) for each in (found, expected))
        for metric in one:
            for pair, values in one[metric].items():
                np.testing.assert_array_equal(values, other[metric][pair], err_msg=f"{table} {metric} {pair}")
    assert found.reasons == expected.reasons
    assert sorted(map(str, found.caveats)) == sorted(map(str, expected.caveats))


def test_the_best_layers_are_found_in_tasks(monkeypatch):
    """And what their chance level is made of; nothing that takes long is left to the end."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((600, 5))
    given = {
        f"m{at}": np.stack([base + (at + 1) * rng.standard_normal(base.shape) for _ in range(3)], 1) for at in range(3)
    }
    given["one"] = base
    expected = ka.compare(given, metrics=["cka"], layers="best")
    made = ka.plan(["cka"], given, layers="best")
    kinds = [key.kind for task in made.tasks for key in task.keys]
    assert (kinds.count("pair"), kinds.count("null")) == (6, 4)
    store = run_in_parts(made)
    monkeypatch.setattr("kernalign.comparison.families.grams.Grams.scorer", lambda family, shop: None)
    found = made.finish(store)
    for table in ("scores", "best_layers", "chance", "chance_sd", "p_values"):
        np.testing.assert_array_equal(getattr(found, table)["cka"], getattr(expected, table)["cka"], err_msg=table)


def run_in_parts(made):
    """What all tasks make, as it comes from another process."""
    store = Store()
    for task in made.tasks:
        store.merge(pickle.loads(pickle.dumps(made.run(task, 1))))
    return store


def test_progress_counts_tasks(files):
    seen = []
    ka.execute(plan(files), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(at + 1, 20) for at in range(20)]


def test_a_broken_pool_is_made_again(files):
    made = plan(files)
    with Mortal(2, mp_context=get_context("spawn")) as mortal:
        Mortal.deaths = 1
        assert run(made, mortal) == run(made)


class Breaking(ProcessPoolExecutor):
    """A pool that breaks while it is given its first task."""

    def __init__(self, how):
        super().__init__(1, mp_context=get_context("spawn"))
        self.how = how

    def submit(self, *given, **named):
        self._broken = "a worker ended"
        if self.how == "lost":
            return Future()  # which nobody answers
        raise self.how


@pytest.mark.parametrize("how", ["lost", ValueError("bad value(s) in fds_to_keep"), BrokenPipeError()], ids=str)
def test_a_pool_may_break_while_it_is_given_a_task(how, files, monkeypatch):
    monkeypatch.setattr(pools, "_LOOK", 0.01)
    made = plan(files)
    with Breaking(how) as breaking:
        assert run(made, breaking) == run(made)


class Refusing(ThreadPoolExecutor):
    """What takes no task, for a reason of its own."""

    def submit(self, *given, **named):
        raise OSError("no room")


def test_why_an_executor_takes_no_tasks_is_said(files):
    with Refusing(1) as refusing, pytest.raises(OSError, match="no room"):
        run(plan(files), refusing)


def stuck(threads, task):
    """The first task is done, and no other ever."""
    while task.keys[0].options[-2] > 0:
        time.sleep(60)
    return module._run_held(threads, task)


def test_processes_of_work_that_is_given_up_end_at_once(files, monkeypatch):
    def give_up(done, total):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_run_held", stuck)
    before = active_children()
    with pytest.raises(KeyboardInterrupt):
        ka.execute(plan(files), 2, progress=give_up)
    for worker in set(active_children()) - set(before):
        assert connection.wait([worker.sentinel], 60)  # is_alive: yes, where the pool has asked for its end just now


def die(*_given):
    os._exit(1)


def test_a_pool_that_breaks_every_time_is_given_up(files, monkeypatch):
    monkeypatch.setattr(module, "_run_held", die)
    with pytest.raises(BrokenProcessPool):
        run(plan(files), 1)


def test_a_plan_travels_to_a_process_once(monkeypatch):
    """However many tasks there are: models in memory were sent with each of them."""
    sizes = []
    submit = ProcessPoolExecutor.submit

    def counted(self, call, *given):
        sizes.append(len(pickle.dumps((call, given))))
        return submit(self, call, *given)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", counted)
    given = {f"m{i}": np.random.default_rng(i).standard_normal((200, 100)) for i in range(4)}
    made = ka.plan(["nbs", "mutual_knn"], given)
    found = ka.execute(made, 2, progress=False)
    assert len(sizes) == len(made.tasks) > 5
    assert max(sizes) < 2000
    for name, scores in ka.execute(made, progress=False).scores.items():
        assert all((found.scores[name][pair] == one).all() for pair, one in scores.items())


def test_errors_of_tasks_are_raised_and_what_was_done_is_kept(files, tmp_path):
    x = np.load(files / "x.npy")
    x[9000, 1] = np.inf
    made = ka.plan("cka", x, x, chunk=1024)
    with pytest.raises(ValueError, match="counting rows from row 8192"):
        run(made, checkpoint=tmp_path / "run.ledger")
    assert len([task for task in made.tasks if Ledger(tmp_path / "run.ledger", made.digest).lacks(task)]) == 12


def test_no_more_than_four_tasks_a_worker_are_handed_out(files):
    class Counted(ThreadPoolExecutor):
        now, most = 0, 0

        def submit(self, *given, **named):
            Counted.now += 1
            Counted.most = max(Counted.most, Counted.now)
            future = super().submit(*given, **named)
            future.add_done_callback(lambda _: setattr(Counted, "now", Counted.now - 1))
            return future

    with Counted(2) as threads:
        run(plan(files), threads)
    assert 2 <= Counted.most <= 8


SCRIPT = """
import sys
from pathlib import Path
import kernalign as ka
from kernalign.comparison.tasks import ledger, streams
ledger._PAUSE = 0.0
ledger._SHARE = 0
folder, log, path = map(Path, sys.argv[1:4])
plan = ka.plan("cka", folder / "x.npy", folder / "y.npy", chunk=1024)
own, save = streams.Stream.run, ledger.Ledger.flush
def run(self, task, threads):
    with open(log, "a") as file:
        file.write(f"{task.keys[0].options[-2]}\\n")
    return own(self, task, threads)
def flush(self):
    save(self)
    with open(log, "a") as file:
        file.write("flushed\\n")
streams.Stream.run, ledger.Ledger.flush = run, flush
print(repr(float(ka.execute(plan, checkpoint=path, progress=False))))
"""


def check_kills(files, tmp_path, kills, seed):
    """Kill the same command at random moments: what was flushed is not done again, and the score stays the same."""
    log, path, rng = tmp_path / "log", tmp_path / "run.ledger", random.Random(seed)
    score, digest = float(run(plan(files))), plan(files).digest
    command = [sys.executable, "-c", SCRIPT, files, log]
    begin = time.monotonic()
    subprocess.run([*command, tmp_path / "first"], check=True, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - begin
    log.write_text("", encoding="utf-8")
    finished = 0
    for kill in range(kills + 1):
        process = subprocess.Popen([*command, path], stdout=subprocess.PIPE, text=True)
        if kill < kills:
            time.sleep(whole * rng.uniform(0.3, 1.1))
            process.kill()
        result = process.communicate()[0]
        if path.exists():
            Ledger(path, digest)  # which is intact
        if result:
            assert float(result) == score
            check_log(log.read_text(encoding="utf-8").split())
            log.write_text("", encoding="utf-8")
            path.unlink()
            finished += 1
    assert finished
    assert not [left for left in tmp_path.glob(".kernalign-*.tmp") if left.stat().st_size]


def check_log(log):
    """Every task was done, and none again once it was flushed."""
    flushed, pending = set(), None
    for line in log:
        if line == "flushed":
            flushed |= {pending} - {None}
        else:
            assert line not in flushed
            pending = line
    assert {line for line in log if line != "flushed"} == {str(at) for at in range(20)}


def test_a_run_that_was_killed_goes_on(files, tmp_path):
    check_kills(files, tmp_path, 3, 0)


@pytest.mark.slow
def test_two_hundred_kills_damage_nothing(files, tmp_path):
    check_kills(files, tmp_path, 200, 1)


def test_ledgers_of_other_work_and_damaged_ones_are_refused_and_kept(files, tmp_path):
    path, made = tmp_path / "run.ledger", plan(files)
    score = run(made, checkpoint=path)
    data = path.read_bytes()
    with pytest.raises(ValueError, match=r"run.ledger belongs to other work"):
        run(plan(files, "mutual_knn"), checkpoint=path)
    assert path.read_bytes() == data
    rng = random.Random(0)
    for at in [*(rng.randrange(len(data)) for _ in range(98)), 0, len(data) - 1]:
        path.write_bytes(data[:at])
        with pytest.raises(ValueError, match=r"damaged|not a States file"):
            run(made, checkpoint=path)
    for _ in range(1000):
        bad, bit = bytearray(data), rng.randrange(8 * len(data))
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=r"damaged|not a States file"):
            Ledger(path, made.digest)
    assert path.read_bytes() == bytes(bad)
    path.write_bytes(data)
    assert run(made, checkpoint=path) == score


def test_ledgers_that_cannot_be_written_cost_nothing_that_was(files, tmp_path):
    path, made = tmp_path / "run.ledger", plan(files)
    run(made, checkpoint=path)
    data = path.read_bytes()
    code = (
        "import resource, sys, signal\n"
        "from pathlib import Path\n"
        "from kernalign.comparison.tasks.ledger import Ledger\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "ledger = Ledger(Path(sys.argv[1]), sys.argv[2])\n"
        "ledger._dirty = True\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "ledger.flush()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path, made.digest], capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert path.read_bytes() == data
    assert sorted(Path(tmp_path).iterdir()) == [path]


def test_threads_of_workers_are_told_by_the_environment():
    code = "from kernalign import _core; print(_core.build_info()['threads'])"
    told = os.environ | {"KERNALIGN_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}
    assert (
        subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True).stdout
        == "3\n"
    )


@pytest.mark.parametrize("kind", ["frames", "dissimilarities"])
def test_labels_travel_with_their_rows(kind):
    """A plan that was sent elsewhere pairs rows by their labels, as it does here."""
    rng = np.random.default_rng(0)
    x, order, names = rng.normal(size=(20, 5)), rng.permutation(20), np.array([f"item {i}" for i in range(20)])
    if kind == "frames":
        pd = pytest.importorskip("pandas")
        sides = [pd.DataFrame(x, index=names), pd.DataFrame(x[order], index=names[order])]
        options = {"metrics": ["mutual_knn"], "k": 3}
    else:
        made = [(x, names), (x[order], names[order])]
        sides = [ka.dissimilarities(rows, distance="euclidean", conditions=own) for rows, own in made]
        options = {"metrics": ["rsa"], "metric_options": {"rsa": {"distance": "precomputed"}}}
    metrics = options.pop("metrics")
    plan = pickle.loads(pickle.dumps(ka.plan(metrics, dict(zip("ab", sides, strict=True)), **options)))
    assert ka.execute(plan).scores[metrics[0]]["a", "b"] == pytest.approx(1.0)


def test_a_ledger_is_of_all_that_an_option_holds(tmp_path):
    """repr shows the first and the last rows of large arrays and tables: other confounds had one digest."""
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    common = rng.normal(size=(1200, 2))
    models = {name: np.column_stack([common, rng.normal(size=(1200, 3))]) for name in "ab"}
    other = rng.normal(size=(1200, 2))
    near = np.concatenate([other[:3], common[3:-3], other[-3:]])

    def plan(given, **options):
        return ka.plan({"c": ("cka", {"given": given})}, models, threads=1, **options)

    right = float(ka.cka(models["a"], models["b"], given=near))
    ledger = tmp_path / "run.ledger"
    ka.execute(plan(other), checkpoint=ledger, progress=False)
    with pytest.raises(ValueError, match="other"):
        ka.execute(plan(near), checkpoint=ledger, progress=False)
    assert ka.execute(plan(near), progress=False).scores["c"]["a", "b"] == pytest.approx(right)
    names = [f"item {at}" for at in range(1200)]
    tables = [pd.DataFrame(near, index=names), pd.DataFrame(near, index=names[:600] + names[:599:-1])]
    digests = {plan(given).digest for given in (other, near, near.astype(np.float32), *tables)}
    assert len(digests) == 5
    assert plan(near.copy()).digest == plan(near).digest


def test_threads_of_a_pool_keep_their_pairs_apart():
    """Directions of a layer, and what is warned of, were those of whichever pair another thread was at."""
    rng = np.random.default_rng(0)
    models = {f"m{at}": rng.normal(size=(60, 6 + at)) for at in range(10)}
    metrics = ["gulp", "linear_predictivity", "cca"]
    before, filters = ka.compare(models, metrics=metrics, threads=1), list(warnings.filters)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(6) as pool:
            found = ka.execute(ka.plan(metrics, models, threads=1), executor=pool, progress=False)
    finally:
        sys.setswitchinterval(interval)
    for metric in metrics:
        for pair, score in before.scores[metric].items():
            np.testing.assert_allclose(found.scores[metric][pair], score, rtol=1e-12)
    assert sorted(map(str, found.caveats)) == sorted(map(str, before.caveats))
    assert list(warnings.filters) == filters
