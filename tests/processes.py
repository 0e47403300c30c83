"""Scripts in interpreters of their own, with helpers for long calls and for signals, and a pool whose workers die."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

PRELUDE = """
import gc, os, signal, sys, threading, time
from functools import partial
import numpy as np
import kernalign as ka
from kernalign import _core
from kernalign.metrics.linear.matching import transport

def windows(rows, columns, seed):
    # Overlapping windows of one random stream: hours of work in a few megabytes.
    stream = np.random.default_rng(seed).normal(size=rows + columns).astype(np.float32)
    return np.lib.stride_tricks.sliding_window_view(stream, columns)[:rows]

def lists(n, k, seed):
    # Neighbour lists of n items, each of k others.
    steps = np.random.default_rng(seed).integers(1, n // (k + 1), (n, k))
    return ((np.arange(n)[:, None] + np.cumsum(steps, axis=1)) % n).astype(np.int32)

def graph(n, k, seed):
    return _core.Graph(np.sort(lists(n, k, seed), axis=1).ravel(), k * np.arange(n + 1))

def clouds(n, p, seed):
    return np.random.default_rng(seed).normal(size=(n, p))

def orders(count, n):
    return np.stack([np.random.default_rng(seed).permutation(n) for seed in range(count)]).astype(np.int32)

def halves(count, n):
    return np.random.default_rng(0).random((count, n)) < 0.5

def often(call):
    # What is over in a second or two, until the signal comes.
    while True:
        call()

def tasks(expected=None):
    # Threads of this process; one that was joined may stay listed for a moment.
    for _ in range(1000):
        found = len(os.listdir("/proc/self/task"))
        if expected in (None, found):
            break
        time.sleep(0.01)
    return found

def interrupted(call, after):
    # Seconds from the signal to the KeyboardInterrupt, or those of work in between, where others take the cores.
    sent = []
    def send():
        time.sleep(after)
        sent.append((time.monotonic(), time.process_time()))
        os.kill(os.getpid(), signal.SIGINT)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        call()
    except KeyboardInterrupt:
        caught = time.monotonic(), time.process_time()
    else:
        raise SystemExit("the call ended before the signal came: make it longer")
    sender.join()
    waited, worked = np.subtract(caught, sent[0])
    assert waited < 30, waited
    return min(waited, worked)
"""


TESTS = Path(__file__).parent
HANG = 600  # seconds after which a process is taken to wait for ever, on the busiest of machines


def run(script):
    """Run a script in a fresh interpreter where warnings are errors; it must end well and say nothing on stderr."""
    command = [sys.executable, "-W", "error", "-c", PRELUDE + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False, cwd=TESTS)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.stderr == ""
    return done.stdout


class Mortal(ProcessPoolExecutor):
    """A pool, some of whose workers are killed."""

    deaths = 0

    def submit(self, *given, **named):
        future = super().submit(*given, **named)
        if Mortal.deaths:
            Mortal.deaths -= 1
            os.kill(next(iter(self._processes)), signal.SIGKILL)
        return future
