"""Times two installed kernalign versions against each other, interleaved, and checks that their answers agree.

python bench/against.py OLD_PYTHON NEW_PYTHON [case ...] [--rounds 3] [--processes 3] [--calls] [--list]

A case may be a glob. Each interpreter runs in a process of its own, one thread, CPU time; what is small is repeated
until a sample takes 20 ms. How the pages of its buffers lie is luck of a whole process, and worth a third of ``cka`` at
1000 x 256: hence several processes. SLOWER: over 5 % in the median, and in every round; "slower?": in the median only.
``compare-peer`` is NumPy, written below, that does the work of ``compare-12x16-mutual_knn``.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

_SAMPLE = 0.02  # seconds, at least
_SLOWER = 1.05
_ENVIRONMENT = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

SHAPES = ((64, 64), (32, 64), (300, 64), (1000, 256), (1000, 768), (5000, 256))
ONE: dict[str, Any] = {"threads": 1}


def related(n: int, p: int, q: int, dtype: str = "f4") -> tuple[Any, Any]:
    import numpy as np

    rng = np.random.default_rng([n, p, q])
    common = rng.standard_normal((n, 8))
    x, y = (common @ rng.standard_normal((8, m)) + rng.standard_normal((n, m)) for m in (p, q))
    return x.astype(dtype), y.astype(dtype)


def models(count: int, layers: int, n: int, p: int, seed: int = 0) -> dict[str, list[Any]]:
    import numpy as np

    rng = np.random.default_rng([seed, count, layers, n, p])
    common = rng.standard_normal((n, p))
    return {
        f"model {i}": [(common + rng.standard_normal((n, p))).astype("f4") for _ in range(layers)] for i in range(count)
    }


def peer(xs: list[Any], ys: list[Any], k: int = 10) -> Any:
    """mutual_knn of all pairs of layers: lists of each layer once, as masks, and one product of masks a pair."""
    import numpy as np

    def mask(rows: Any) -> Any:
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        similar = unit @ unit.T
        np.fill_diagonal(similar, -np.inf)
        held = np.zeros(similar.shape, dtype=np.float32)
        np.put_along_axis(held, np.argpartition(similar, -k, axis=1)[:, -k:], 1, axis=1)
        return held

    a, b = ([mask(rows) for rows in layers] for layers in (xs, ys))
    return np.array([[np.vdot(one, other) for other in b] for one in a]) / (k * len(a[0]))


def cases() -> dict[str, Callable[[], Callable[[], Any]]]:
    """Name -> what makes the data and returns the call that is timed."""
    import kernalign as ka
    import numpy as np
    from kernalign import stitching

    found: dict[str, Callable[[], Callable[[], Any]]] = {}

    def metric(label: str, name: str, n: int, p: int, dtype: str = "f4", *, read: str = "", **given: Any) -> None:
        def make() -> Callable[[], Any]:
            x, y = related(n, p, p, dtype)
            call = partial(getattr(ka, name), x, y, **given, **ONE)
            return (lambda: [float(call()), 0]) if not read else lambda: [float(s := call()), getattr(s, read)]

        found[label] = make

    for n, p in SHAPES:
        for dtype in ("f4", "f8"):
            metric(f"cka-{n}x{p}-{dtype}", "cka", n, p, dtype)
            metric(f"hsic-{n}x{p}-{dtype}", "hsic", n, p, dtype)
    metric("cka-rbf-1000x64", "cka", 1000, 64, kernel=ka.RBF())
    for n, p in ((64, 64), (300, 64), (1000, 64), (1000, 384), (3000, 64), (3000, 384)):
        metric(f"mutual_knn-{n}x{p}", "mutual_knn", n, p)
    for n in (300, 3000):
        metric(f"mutual_knn-p_value-{n}", "mutual_knn", n, 64, read="p_value")
        metric(f"cka-p_value-{n}", "cka", n, 64, read="p_value")
    metric("mutual_knn-half-sampling-3000", "mutual_knn", 3000, 64, read="stderr", uncertainty="half-sampling")
    metric("mutual_knn-jackknife-1000", "mutual_knn", 1000, 64, read="stderr", uncertainty="jackknife")
    metric("cka-jackknife-1000", "cka", 1000, 64, read="stderr", uncertainty="jackknife")
    for name, n, p in (
        *(("cknna", 1000, 64), ("rsa", 300, 64), ("mmd", 1000, 64), ("cca", 1000, 64), ("svcca", 1000, 64)),
        *(("procrustes", 1000, 256), ("linear_predictivity", 1000, 64), ("one_to_one", 1000, 128)),
        *(("lcs_knn", 1000, 64), ("soft_matching", 300, 64), ("distance_correlation", 1000, 64)),
    ):
        metric(f"{name}-{n}x{p}", name, n, p)

    def compared(label: str, count: int, sizes: tuple[int, int, int], metrics: list[str], **given: Any) -> None:
        def make() -> Callable[[], Any]:
            xs = models(count, *sizes)
            return lambda: [
                float(t.sum()) for t in ka.compare(xs, metrics=metrics, **given, **ONE).scores[metrics[0]].values()
            ]

        found[label] = make

    compared("compare-3x2-small", 3, (2, 64, 32), ["cka", "mutual_knn"])
    compared("compare-3x2-cka-300", 3, (2, 300, 64), ["cka"])
    compared("compare-3x2-without-p", 3, (2, 300, 64), ["cka", "mutual_knn"], p_values=False)

    def layered(metric: str, sizes: tuple[int, int], n: int, d: int) -> Callable[[], Any]:
        x, y = (models(1, count, n, d, seed)["model 0"] for seed, count in enumerate(sizes))
        return lambda: ka.compare({"x": x}, {"y": y}, metrics=[metric], p_values=False, **ONE).scores[metric]["x", "y"]

    found["compare-12x16-mutual_knn"] = partial(layered, "mutual_knn", (12, 16), 512, 512)
    found["compare-4x6-cka"] = partial(layered, "cka", (4, 6), 512, 512)
    found["compare-4x6-cka-narrow"] = partial(layered, "cka", (4, 6), 1000, 64)

    x, y = (models(1, count, 512, 512, seed)["model 0"] for seed, count in enumerate((12, 16)))
    found["compare-peer"] = lambda: partial(peer, x, y)

    def permuted(name: str) -> Callable[[], Any]:
        x, y = related(300, 64, 64)
        return lambda: ka.permutation_test(name, x, y, permutations=200, **ONE).null

    for name in ("mutual_knn", "cka"):
        found[f"permutation_test-{name}-300"] = partial(permuted, name)

    def stream() -> Callable[[], Any]:
        x, y = related(8192, 128, 128)

        def run() -> Any:
            state = ka.Moments()
            for begin in range(0, len(x), 256):
                state.update(x[begin : begin + 256], y[begin : begin + 256], threads=1)
            return float(state.cka())

        return run

    found["moments-8192x128"] = stream

    def ridge() -> Callable[[], Any]:
        x, y = related(2000, 128, 96)
        return lambda: stitching.RidgeStitcher().fit(x, y).coef_

    found["ridge-2000x128"] = ridge

    def alone(call: Callable[[Any], Any], n: int, p: int) -> Callable[[], Any]:
        x = related(n, p, p)[0]
        return lambda: call(x)

    found["knn-sample-5000x64"] = partial(alone, lambda x: ka.knn(x, 10, backend="sample", **ONE).indices, 5000, 64)
    found["knn-3000x256"] = partial(alone, lambda x: ka.knn(x, 10, **ONE).indices, 3000, 256)
    found["describe-1000x128"] = partial(alone, lambda x: np.array([ka.describe(x, **ONE).top_share]), 1000, 128)
    return found


def calls() -> dict[str, int]:
    """How many Python functions three small calls go through, once what is imported late has been."""
    import kernalign as ka

    x, y = related(64, 64, 64)
    small = models(3, 2, 64, 32)
    counts = {}
    for name, call in (
        ("cka 64x64", lambda: ka.cka(x, y, **ONE)),
        ("mutual_knn 64x64", lambda: ka.mutual_knn(x, y, **ONE)),
        ("compare 3 models x 2 layers", lambda: ka.compare(small, **ONE)),
    ):
        call()
        seen = [0]

        def count(frame: Any, event: str, argument: Any, seen: list[int] = seen) -> None:
            seen[0] += event == "call"

        sys.setprofile(count)
        call()
        sys.setprofile(None)
        counts[name] = seen[0] - 1  # the lambda
    return counts


def work() -> None:
    """The worker: reads names, answers CPU seconds per call and the numbers, one line of JSON each."""
    import warnings

    import numpy as np

    warnings.simplefilter("ignore")
    known, made, repeats = cases(), {}, {}
    print(json.dumps(list(known)), flush=True)
    for line in sys.stdin:
        name = line.strip()
        if name == "--calls":
            print(json.dumps(calls()), flush=True)
            continue
        if name not in made:
            made.clear()
            made[name] = known[name]()
            made[name]()  # what is made once, is not timed
            once = _timed(made[name], 1)[0]
            repeats[name] = max(1, min(1000, round(_SAMPLE * 1.2 / max(once, 1e-6))))
        seconds, answer = _timed(made[name], repeats[name])
        flat = np.asarray(answer, dtype=np.float64).reshape(-1)
        said = [float(flat.sum()), float(np.abs(flat).sum()), float(flat @ np.cos(np.arange(len(flat))))]
        print(json.dumps([seconds, said]), flush=True)


def _timed(call: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    begin = time.process_time()
    for _ in range(repeats):
        answer = call()
    return (time.process_time() - begin) / repeats, answer


class Worker:
    """One interpreter with its kernalign."""

    def __init__(self, python: str) -> None:
        command = [python, "-W", "ignore", os.path.abspath(__file__), "--work"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=os.environ | _ENVIRONMENT, **pipes)
        self.names = self.read()

    def read(self) -> Any:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a worker ended early; its error is above")
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def ask(self, name: str) -> Any:
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        return self.read()


def agree(old: list[float], new: list[float], rtol: float = 1e-9) -> bool:
    return all(
        a == b or abs(a - b) <= rtol * max(abs(a), abs(b), 1e-3) or (a != a and b != b)
        for a, b in zip(old, new, strict=True)
    )


def measure(old: Worker, new: Worker, name: str, rounds: int) -> tuple[list[list[float]], list[float], bool]:
    """Seconds of every round of both, the new answer, and whether both agree; order A B, B A, ..."""
    times, same = [], True
    for place in range(rounds + 1):
        first, second = (old, new) if place % 2 == 0 else (new, old)
        found = {first: first.ask(name), second: second.ask(name)}
        same &= agree(found[old][1], found[new][1])
        times.append([found[old][0], found[new][0]])
    return times[1:], found[new][1], same  # the first round warms up


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("case", nargs="*", default=["*"])
    parser.add_argument("--rounds", type=int, default=3, help="in each of the processes")
    parser.add_argument("--processes", type=int, default=3, help="of either interpreter, one pair after the other")
    parser.add_argument("--calls", action="store_true", help="count Python function calls instead of time")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    given = parser.parse_args()
    old, new = Worker(given.old), Worker(given.new)
    if given.list:
        print("\n".join(new.names))
        return 0
    if given.calls:
        before, after = old.ask("--calls"), new.ask("--calls")
        for name in before:
            print(f"{name:30} {before[name]:6} {after[name]:6} Python calls, old/new {before[name] / after[name]:.3f}")
        return 0
    chosen = [name for name in new.names if any(fnmatch.fnmatch(name, pattern) for pattern in given.case)]
    times: dict[str, list[list[float]]] = {name: [] for name in chosen}
    answers, differ, spent = {}, set(), {}
    for process in range(given.processes):
        if process:
            old, new = Worker(given.old), Worker(given.new)
        for name in chosen:
            found, answers[name], same = measure(old, new, name, given.rounds)
            times[name] += found
            differ |= set() if same else {name}
        old.close()
        new.close()
    print(f"{'case':34} {'old ms':>9} {'new ms':>9} {'old/new':>8}  range")
    for name in chosen:
        before, after = (statistics.median(column) * 1e3 for column in zip(*times[name], strict=True))
        ratio, ratios = before / after, [a / b for a, b in times[name]]
        marks = "" if ratio >= 1 / _SLOWER else "  SLOWER" if max(ratios) < 1 else "  slower?"
        marks += "  ANSWERS DIFFER" if name in differ else ""
        print(f"{name:34} {before:9.3f} {after:9.3f} {ratio:8.3f}  {min(ratios):.2f}-{max(ratios):.2f}{marks}")
        spent[name] = after, answers[name]
    wrong = len(differ)
    if {"compare-peer", "compare-12x16-mutual_knn"} <= set(spent):
        (peers, theirs), (ours, answer) = spent["compare-peer"], spent["compare-12x16-mutual_knn"]
        same = agree(theirs, answer, 1e-6)
        print(f"NumPy peer / new, 12 x 16 layers: {peers / ours:.2f}{'' if same else '  ANSWERS DIFFER'}")
        wrong += not same
    return int(wrong > 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["--work"]:
        work()
    else:
        sys.exit(main())
