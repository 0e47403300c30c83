"""Threads: what limits them, and that the BLAS of NumPy and SciPy is held while it works for a call and given back."""

import os
import signal
import subprocess
import sys
import threading

import kernalign as ka
import numpy as np
import pytest
from kernalign import _core
from kernalign._base import threads
from kernalign.comparison import run
from kernalign.metrics.linear import principal

CORES = len(os.sched_getaffinity(0))


def counts():
    return [one.get_num_threads() for one in threads._libraries()]


def told(**variables):
    """The threads of a fresh process with these variables."""
    plain = {name: value for name, value in os.environ.items() if not name.endswith(("_NUM_THREADS", "_CPU_COUNT"))}
    script = "import kernalign._core as c, kernalign as ka; print(c.build_info()['threads'])"
    done = subprocess.run([sys.executable, "-c", script], env=plain | variables, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr


def test_the_environment_limits_threads():
    free = int(told())
    assert 1 <= free <= CORES
    assert told(OMP_NUM_THREADS="1,2") == "1"
    assert told(KERNALIGN_NUM_THREADS="3", OMP_NUM_THREADS="1") == "3"
    assert told(LOKY_MAX_CPU_COUNT="1") == "1"
    assert told(OMP_NUM_THREADS="64") == told(OMP_NUM_THREADS="dynamic") == str(free)
    wrong = "the environment variable KERNALIGN_NUM_THREADS must be a positive integer, got 'two'"
    assert wrong in told(KERNALIGN_NUM_THREADS="two")


def test_a_chosen_number_stands_for_none():
    before = _core.build_info()["threads"]
    try:
        ka.set_threads(3)
        assert _core.build_info()["threads"] == threads.allowed(0) == 3
        assert threads.allowed(2) == 2
    finally:
        ka.set_threads(None)
    assert _core.build_info()["threads"] == threads.allowed(0) == before
    with pytest.raises(ValueError, match="threads must be"):
        ka.set_threads(0)


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"cpu.max": "max 100000"}, 1 << 16),
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "400000 100000", "a/cpu.max": "max 100000", "a/b/cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "100000 100000", "a/b/cpu.max": "200000 100000"}, 1),
        ({"cpu,cpuacct/old/cpu.cfs_quota_us": "50000", "cpu,cpuacct/old/cpu.cfs_period_us": "100000"}, 0.5),
        ({"cpu,cpuacct/old/cpu.cfs_quota_us": "-1", "cpu,cpuacct/old/cpu.cfs_period_us": "100000"}, 1 << 16),
        ({"a/b/cpu.max": "nonsense"}, 1 << 16),
    ],
)
def test_quotas_of_control_groups(files, expected, tmp_path):
    own = tmp_path / "self"
    own.write_text("5:cpu,cpuacct:/old\n4:memory:/other\n0::/a/b\n")
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert threads._quota(tmp_path / "cgroup", own) == expected
    assert threads._quota(tmp_path, tmp_path / "missing") == 1 << 16


def test_of_several_contexts_the_least_counts_and_the_last_gives_back():
    libraries = threads._libraries()
    before = [one.get_num_threads() for one in libraries]
    try:
        for one in libraries:
            one.set_num_threads(4)
        first, second = threads.held(3, 5000), threads.held(2, 5000)
        for context, at_least in (
            (first.__enter__, 3),
            (second.__enter__, 2),
            (first.__exit__, 2),
            (second.__exit__, 4),
        ):
            context()
            assert counts() == [at_least] * len(libraries)
        x, y = np.random.default_rng(0).normal(size=(2, 20, 6))
        calls = [threading.Thread(target=lambda: [ka.cca(x, y) for _ in range(20)]) for _ in "abc"]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        assert counts() == [4] * len(libraries)
    finally:
        for one, count in zip(libraries, before, strict=True):
            one.set_num_threads(count)


def test_a_lock_that_another_thread_holds_is_none_after_a_fork():
    x, y = np.random.default_rng(0).normal(size=(2, 20, 6))
    go, ready = threading.Event(), threading.Event()

    def hold():
        with threads.held._lock, run._ALONE:
            ready.set()
            go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(60)
            ka.execute(ka.plan(["cca"], {"x": x, "y": y}), progress=False)
            code = 0
        finally:
            os._exit(code)
    go.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_a_library_with_the_right_number_is_not_told(monkeypatch):
    """In a forked process OpenBLAS starts all its threads when it is told, and raises SIGINT where there is no room."""

    class Single:
        def get_num_threads(self):
            return 1

    monkeypatch.setattr(threads, "_libraries", lambda: [Single()])
    with threads.held(3, 20):
        pass


@pytest.mark.parametrize("large, threads_given, expected", [(1024, 3, 1), (4, 1, 1), (4, 3, 3)])
def test_threads_of_a_call_hold_libraries(large, threads_given, expected, monkeypatch):
    seen, plain, libraries = [], principal.of_spans, threads._libraries()
    before = [one.get_num_threads() for one in libraries]
    monkeypatch.setattr(principal, "of_spans", lambda *a, **k: (seen.append(counts()), plain(*a, **k))[1])
    monkeypatch.setattr(threads, "_LARGE", large)
    x, y = np.random.default_rng(0).normal(size=(2, 20, 6))
    try:
        for one in libraries:
            one.set_num_threads(4)
        ka.cca(x, y, threads=threads_given)
        ka.compare({"x": x, "y": y}, metrics=("cca",), threads=threads_given)
        assert {count for one in seen for count in one} == {expected}
        monkeypatch.setattr(principal, "of_spans", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ka.cca(x, y)
        assert counts() == [4] * len(libraries)
    finally:
        for one, count in zip(libraries, before, strict=True):
            one.set_num_threads(count)
