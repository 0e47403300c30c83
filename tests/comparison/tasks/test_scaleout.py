"""Plans on a Dask cluster of two worker processes: the same bits, whatever is killed, and only missing tasks again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import kernalign as ka
import numpy as np
import pytest
from kernalign.comparison.tasks.ledger import Ledger
from samples import saved_rows

pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.scaleout,
    pytest.mark.filterwarnings("ignore"),  # of the cluster, whose workers are killed
]

N = 40_000


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return saved_rows(tmp_path_factory.mktemp("rows"), N, 16)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    import dask
    from distributed import Client, LocalCluster

    settings = {"distributed.scheduler.allowed-failures": 10}
    where = {"local_directory": tmp_path_factory.mktemp("dask"), "dashboard_address": ":0", "memory_limit": "2GiB"}
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **where) as cluster,
        Client(cluster) as client,
    ):
        yield client


def plan(files, metric="cka"):
    options = {"chunk": 1024} if metric == "cka" else {"chunk": 10_000, "queries": 100}
    return ka.plan(metric, files / "x.npy", files / "y.npy", **options)


@pytest.mark.parametrize("metric", ["cka", "mutual_knn"])
def test_a_cluster_gives_the_bits_of_this_process(metric, files, client):
    made = plan(files, metric)
    with client.get_executor(retries=2) as executor:
        assert ka.execute(made, executor, progress=False) == ka.execute(made, progress=False)


def test_workers_that_are_killed_change_nothing(files, client):
    made, killed = plan(files), []

    def kill(done, total):
        if done in (5, 15, 25):
            pids = client.run(os.getpid)
            killed.append(next(iter(pids.values())))
            os.kill(killed[-1], signal.SIGKILL)

    with client.get_executor(retries=2) as executor:
        found = ka.execute(made, executor, progress=kill)
    assert len(set(killed)) == 3
    assert found == ka.execute(made, progress=False)


def test_a_worker_answers_during_a_long_native_call(client):
    """Or its scheduler, which hears nothing of it, would take it for lost."""
    client.wait_for_workers(2, timeout=120)
    future = client.submit(native_call, 8.0, pure=False)
    answered = [time.perf_counter()]
    while not future.done():
        client.run(os.getpid)
        answered.append(time.perf_counter())
        time.sleep(0.1)
    assert max(np.diff(answered)) < future.result()


def native_call(seconds):
    """One call of the extension after another takes twice as many rows, until one has taken this long."""
    from kernalign import knn

    n = 3000
    while True:
        x = np.random.default_rng(0).standard_normal((n, 400))
        begin = time.perf_counter()
        knn(x, 10, metric="euclidean", threads=1)
        took = time.perf_counter() - begin
        if took > seconds:
            return took
        n = int(n * max(1.2, (1.2 * seconds / took) ** 0.5))


SCRIPT = """
import sys
from pathlib import Path
import kernalign as ka
from distributed import Client, LocalCluster
if __name__ == "__main__":
    folder, path, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    plan = ka.plan("cka", folder / "x.npy", folder / "y.npy", chunk=1024)
    from kernalign.comparison.tasks import ledger
    ledger._PAUSE, ledger._SHARE = 0.0, 0
    import time
    count = lambda done, total: (print(done, total, flush=True), done == most and time.sleep(3600))
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0",
                      local_directory=sys.argv[4]) as cluster:
        with Client(cluster) as client, client.get_executor() as executor:
            print(repr(float(ka.execute(plan, executor, path, progress=count))))
"""


def test_after_all_was_killed_only_the_missing_tasks_run(files, tmp_path):
    script, path = tmp_path / "run.py", tmp_path / "run.ledger"
    script.write_text(SCRIPT, encoding="utf-8")
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    first = subprocess.Popen([sys.executable, script, files, path, "15", tmp_path], start_new_session=True, **given)
    for line in first.stdout:
        if line.startswith("15 "):
            break
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    made = plan(files)
    missing = sum(Ledger(path, made.digest).lacks(task) for task in made.tasks)
    assert missing == 25
    again = subprocess.run([sys.executable, script, files, path, "-1", tmp_path], check=True, **given)
    lines = again.stdout.splitlines()
    assert len(lines) - 1 == missing
    assert float(lines[-1]) == ka.execute(made, progress=False)
