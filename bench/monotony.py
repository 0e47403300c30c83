"""Whether less ever costs more: CPU time of calls of many sizes, and where a smaller one takes longer.

    env -u OPENBLAS_CORETYPE python -m bench.monotony [--rounds 5] [--most 1.1] [route ...]

A step is two calls that differ in one thing, the first of which is smaller: fewer rows, narrower sides or layers, fewer
layers, float32 for float64. Times are medians of interleaved rounds; a step that looks wrong is measured again by
itself. Exits with 1 if one goes the wrong way by more than ``--most``.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from bench.case import gaussian
from bench.machine import describe_machine, warn_about_environment
from bench.run import one_thread

ROWS = (24, 32, 48, 64, 96, 128, 200, 300, 500, 800, 1024, 1100, 1500, 2000, 3000)
WIDTHS = (4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 300, 384, 512, 700)
LAYERS = (1, 2, 3, 4, 6, 12, 24)
SECONDS = 0.004  # at least, of one figure
MOST = 4e6  # numbers of one call: larger ones take too long here


class Point(NamedTuple):
    """One call: ``count`` layers of each of two models, or a pair where there are none."""

    n: int
    p: int
    count: int
    dtype: str

    def smaller(self) -> Iterator[Point]:
        """The next smaller calls, in each of these."""
        for which, sizes in enumerate((ROWS, WIDTHS, LAYERS)):
            at = sizes.index(self[which]) if self[which] else 0
            if at:
                yield self._replace(**{self._fields[which]: sizes[at - 1]})
        if self.dtype == "float64":
            yield self._replace(dtype="float32")


def _pair(metric: str) -> Callable[[Point], Callable[[], Any]]:
    def made(point: Point) -> Callable[[], Any]:
        import kernalign

        call = getattr(kernalign, metric)
        x, y = (gaussian(point.n, point.p, seed).astype(point.dtype) for seed in (1, 2))
        return lambda: call(x, y, threads=1)

    return made


def _compared(mode: str, metric: str) -> Callable[[Point], Callable[[], Any]]:
    def made(point: Point) -> Callable[[], Any]:
        import kernalign

        models = {
            name: [gaussian(point.n, point.p, 100 * at + layer).astype(point.dtype) for layer in range(point.count)]
            for at, name in enumerate("ab")
        }
        return lambda: kernalign.compare(models, metrics=(metric,), layers=mode, threads=1)

    return made


ROUTES = {
    **{name: _pair(name) for name in ("cka", "mutual_knn", "nbs", "svcca", "linear_predictivity", "rsa", "one_to_one")},
    "compare-cka": _compared("all", "cka"),
    "search-cka": _compared("best", "cka"),
    "search-mutual_knn": _compared("best", "mutual_knn"),
}


def points(route: str) -> list[Point]:
    layers = LAYERS if "-" in route else (0,)
    rows, widths = (ROWS[1::3], WIDTHS[::3]) if "-" in route else (ROWS, WIDTHS)
    every = [Point(n, p, c, t) for n in rows for p in widths for c in layers for t in ("float32", "float64")]
    return [point for point in every if point.n * point.p * max(1, point.count) <= MOST]


def taken(calls: list[Callable[[], Any]], rounds: int) -> list[float]:
    """Seconds of each call: the median of rounds, in which all take turns."""
    repeats, found = [], []
    for call in calls:
        call()
        start = time.process_time()
        call()
        repeats.append(max(1, round(SECONDS / max(time.process_time() - start, 1e-6))))
        found.append([])
    for _ in range(rounds):
        for call, repeat, times in zip(calls, repeats, found, strict=True):
            start = time.process_time()
            for _ in range(repeat):
                call()
            times.append((time.process_time() - start) / repeat)
    return [statistics.median(times) for times in found]


def wrong_steps(route: str, rounds: int, most: float) -> list[str]:
    """What is to be said of each step that goes the wrong way."""
    every, make = points(route), ROUTES[route]
    times = dict(zip(every, taken([make(point) for point in every], rounds), strict=True))
    found = []
    for point in every:
        for less in point.smaller():
            if times.get(less, 0.0) <= most * times[point]:
                continue
            small, large = taken([make(less), make(point)], 3 * rounds)
            if small > most * large:
                found.append(f"{route}: {tuple(less)} takes {1e3 * small:.3f} ms, {tuple(point)} {1e3 * large:.3f}")
    print(f"{route}: {len(every)} calls, {len(found)} wrong steps", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.monotony", description="Whether less ever costs more.")
    parser.add_argument("routes", nargs="*", metavar="ROUTE", help=", ".join(ROUTES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=float, default=1.1, help="what a smaller call may take of a larger one's time")
    options = parser.parse_args()
    warn_about_environment()
    print(describe_machine())
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        routes = options.routes or list(ROUTES)
        found = [wrong for route in routes for wrong in wrong_steps(route, options.rounds, options.most)]
    print("\n".join(found))
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
