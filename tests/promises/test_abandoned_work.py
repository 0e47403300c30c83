"""Ctrl-C, other threads, fork and exit while LAPACK, which cannot be stopped, works on a thread of its own."""

import subprocess
import sys

import pytest
from processes import PRELUDE, run

CALLS = {
    "spectrum": "partial(ka.spectrum, windows(2500, 2500, 1))",
    "cca": "partial(ka.cca, windows(4000, 1800, 1), windows(4000, 1800, 2))",
    "nbs": "partial(ka.nbs, windows(1500, 2500, 1), windows(1500, 2500, 2))",
    "procrustes": "partial(ka.procrustes, windows(3000, 2500, 1), windows(3000, 2500, 2))",
    "predictivity": "partial(ka.linear_predictivity, windows(4000, 2000, 1), windows(4000, 2000, 2))",
    "soft_matching": "partial(transport, np.multiply.outer(np.arange(1.0, 2001), np.arange(2000)))",
    "kare": "partial(ka.kare, windows(2000, 2500, 1), windows(2000, 1, 2), [0.1])",
    "classical_mds": "partial(ka.embedding.classical_mds, np.abs(np.subtract.outer(*[np.arange(4000.0)] * 2)), 3)",
    "ridge": "partial(ka.stitching.RidgeStitcher(1.0).fit, windows(2600, 2500, 1), windows(2600, 500, 2))",
    "gcv": "partial(ka.stitching.RidgeStitcher('gcv').fit, windows(2500, 2000, 1), windows(2500, 500, 2))",
}

FAST = ("spectrum", "cca", "gcv", "soft_matching")


@pytest.mark.parametrize(
    "call",
    [call if call in FAST else pytest.param(call, marks=pytest.mark.slow) for call in CALLS],
)
def test_ctrl_c_ends_the_wait_for_lapack(call):
    """Within half a second, while other threads keep running; the next call is right, and the exit neither waits nor
    crashes though LAPACK is still at it."""
    run(
        f"""
call = {CALLS[call]}
x, y = windows(300, 80, 3), windows(300, 50, 4)
before = float(ka.nbs(x, y))
ticks, stop = [], threading.Event()
def ticker():
    while not stop.is_set():
        ticks.append((time.monotonic(), time.process_time()))
        time.sleep(0.005)
thread = threading.Thread(target=ticker)
thread.start()
delays = []
for after in (0.5, 0.8, 1.1):
    delays.append(interrupted(call, after))
    assert float(ka.nbs(x, y)) == before
    if delays[-1] < 0.5:
        break
assert min(delays) < 0.5, delays
stop.set()
thread.join()
gaps = np.diff(ticks, axis=0).min(axis=1)  # of work where other processes take the cores
assert np.median(gaps) < 0.02 and gaps.max() < 0.5, (np.median(gaps), gaps.max())
"""
    )


@pytest.mark.parametrize("call", ["spectrum", "nbs", "soft_matching"])
def test_a_daemon_thread_in_lapack_does_not_spoil_the_exit(call):
    run(f"threading.Thread(target={CALLS[call]}, daemon=True).start(); time.sleep(0.6)")


def test_the_exit_status_and_what_was_printed_survive_abandoned_work():
    script = f"""
import atexit
atexit.register(print, "handlers ran")
interrupted({CALLS["spectrum"]}, 0.5)
print("buffered", end=" ")
raise SystemExit(7)
"""
    command = [sys.executable, "-c", PRELUDE + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "buffered handlers ran\n", "")


def test_fork_while_lapack_is_abandoned():
    run(
        f"""
x, y = windows(300, 80, 3), windows(300, 50, 4)
before = float(ka.nbs(x, y)), float(ka.cka(x, y))
interrupted({CALLS["spectrum"]}, 0.5)
for _ in range(10):
    child = os.fork()
    if child == 0:
        signal.alarm(300)
        os._exit(0 if (float(ka.nbs(x, y)), float(ka.cka(x, y))) == before else 1)
    assert os.waitpid(child, 0)[1] == 0
"""
    )
