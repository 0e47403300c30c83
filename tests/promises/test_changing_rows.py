"""Protects memory safety: rows that are written to during a call, with any bits, cost a clear error at most."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SECONDS = float(os.environ.get("KERNALIGN_MUTATION_SECONDS", "0.1"))  # of each call

# Every call begins with good rows; somewhere during it another thread writes into some of them.
PROGRAM = """
import sys, threading, time, warnings
import numpy as np
import kernalign as ka
from kernalign import stitching

warnings.simplefilter("ignore")
np.seterr(all="ignore")
dtype, seconds = sys.argv[1], float(sys.argv[2])
rng = np.random.default_rng(0)
n, p, q = 400, 24, 20
good = [rng.standard_normal((n, p)).astype(dtype), rng.standard_normal((n, q)).astype(dtype)]
good += [rows @ rows.T for rows in good] + [np.concatenate([good[0] + i for i in range(8)])]
good += [ka.knn(rows, 12).indices for rows in good[:2]]
x, y, gram_x, gram_y, many, near_x, near_y = arrays = [rows.copy() for rows in good]
bad = [np.nan, np.inf, -np.inf, 1e38, -1e308, 1e-310, 0.0, 1.0]

def lists(indices):
    return ka.Neighbors(indices, np.zeros(indices.shape), np.zeros(n, bool), "cosine")

calls = {
    "Moments": lambda: ka.Moments().update(x, y).cka(),
    "cka rbf": lambda: ka.cka(x, y, kernel=ka.RBF("median")),
    "cka laplacian": lambda: ka.cka(x, y, kernel=ka.Laplacian("median"), estimator="biased"),
    "cka polynomial": lambda: ka.cka(x, y, kernel=ka.Polynomial(3)),
    "cka precomputed": lambda: ka.cka(gram_x, gram_y, kernel=ka.Precomputed()),
    "cka jackknife": lambda: ka.cka(x, y, uncertainty="jackknife"),
    "cka many": lambda: ka.cka(many, many, kernel=ka.RBF("median")),
    "cka p": lambda: ka.cka(x, y).p_value,
    "knn euclidean": lambda: ka.knn(x, 10, metric="euclidean"),
    "knn dot": lambda: ka.knn(many, 10, metric="dot"),
    "knn many": lambda: ka.knn(many, 10),
    "mutual_knn half-sampling": lambda: ka.mutual_knn(x, y, 10, uncertainty="half-sampling"),
    "mutual_knn sample": lambda: ka.mutual_knn(many, many[::-1], 10, backend="sample"),
    "mutual_knn groups": lambda: ka.mutual_knn(x, y, 5, groups=np.arange(n) // 2).p_value,
    "mutual_knn tied": lambda: ka.mutual_knn(np.round(x), np.round(y), 10).p_value,
    "lists": lambda: [f(lists(near_x), lists(near_y)) for f in (ka.mutual_knn, ka.lcs_knn, ka.edit_knn, ka.cycle_knn)],
    "rnx_curve": lambda: ka.rnx_curve(x, y, [5, 10]),
    "permutation_test": lambda: ka.permutation_test(["cka", "mutual_knn", "cknna"], x, y, permutations=5),
    "compare": lambda: ka.compare({"a": x, "b": y}, metrics=("cka", "mutual_knn")),
    "independence_test": lambda: ka.independence_test(x, y),
    "mmd": lambda: ka.mmd(x, x[::-1]),
    "describe": lambda: ka.describe(x),
    "affine": lambda: stitching.AffineStitcher().fit(x, y).transform(x),
    "certificate": lambda: stitching.stitching_certificate(x, y, np.ones((q, 1)), y[:, :1]),
    "kare": lambda: ka.kare(x, y, [0.1]),
    "spectrum": lambda: ka.spectrum(x),
}
for metric, record in ka.METRICS.items():
    if record.paired:
        needs = {"rank": 3} if record.needs else {}
        calls[metric] = lambda metric=metric, needs=needs: ka.measure(metric, x, y, **needs)

go, done = threading.Event(), threading.Event()
usual = 0.001

def write():
    rng = np.random.default_rng(1)
    while not done.is_set():
        go.wait()
        go.clear()
        time.sleep(usual * rng.random())
        for target in arrays:
            rows = rng.integers(len(target), size=rng.integers(1, 9))
            target[rows] = rng.integers(-9, n + 9) if target.dtype.kind == "i" else np.array(rng.choice(bad), dtype)

writer = threading.Thread(target=write, daemon=True)
writer.start()
for name, call in calls.items():
    print(name, end=" ", flush=True)
    counts = {"answers": 0, "errors": 0}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for target, values in zip(arrays, good):
            target[:] = values
        begin = time.monotonic()
        go.set()
        try:
            call()
            counts["answers"] += 1
        except ValueError:
            counts["errors"] += 1
        usual = time.monotonic() - begin
    print(counts, flush=True)
done.set()
go.set()
writer.join()
print("end")
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_only_answers_and_value_errors(dtype):
    command = [sys.executable, "-c", PROGRAM, dtype, str(SECONDS)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600 + 200 * SECONDS, check=False)
    assert result.returncode == 0, result.stdout[-500:] + result.stderr[-2000:]
    assert result.stdout.endswith("end\n")
