"""Sums over the linear kernels of two representations, by the cheaper of two engines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kernalign import _core
from kernalign._base.kernels import Linear, SideKernel
from kernalign._base.progress import Report
from kernalign._engines import devices
from kernalign._engines.gram_source import EXACT_SKEW_ROWS, Side, make_side
from kernalign._engines.gram_sweep import gram_pair
from kernalign._engines.kernel_sums import ROUNDING, KernelSums
from kernalign._rows import arrays

_LINEAR = Linear()
_LEFT = 1e-6  # of sixteen digits, ten


def linear_sums(
    pair: arrays.Pair,
    *,
    centred: bool,
    report: Report = None,
    kernels: tuple[SideKernel, SideKernel] = (_LINEAR, _LINEAR),
    sides: tuple[Side, Side] | None = None,
    keep: bool = True,
) -> KernelSums:
    """In feature space where that is cheaper: n (p + q)^2 / 2 multiply-adds, against n^2 (p + q) / 2 for the Grams.

    ``kernels`` may be what labels have, whose rows are columns of classes. ``sides`` may have been made before, in the
    precision that `linear_precision` asks for. Without ``keep`` there may be no state of an engine, for a jackknife.
    Where a few rows are so long that the others drown in them, the Grams, about an ordinary row, leave these their
    digits.
    """
    n, threads, place = pair.x.shape[0], pair.threads, pair.place
    if sides is None:
        double = linear_precision(pair)
        sides = (
            make_side([pair.x], kernels[0], threads, double=double, place=place),
            make_side([pair.y], kernels[1], threads, double=double, place=place),
        )
    sums = _by_cost(pair, sides, centred, report, keep)
    x, y = sums.pairs[0, 0], sums.pairs[1, 1]  # of few calls: a row that is most of a trace
    long = x.diagonal > 0.5 * x.trace_x * x.trace_x or y.diagonal > 0.5 * y.trace_x * y.trace_x
    if long and place is None and n <= EXACT_SKEW_ROWS and sums.left < _LEFT:
        sides = replace(sides[0], apart=True), replace(sides[1], apart=True)
        return gram_pair(sides, pair.settings, centred=centred, threads=threads, report=report)
    return sums


def _by_cost(pair: arrays.Pair, sides: tuple[Side, Side], centred: bool, report: Report, keep: bool) -> KernelSums:
    (n, p), q, threads, place = pair.x.shape, pair.y.shape[1], pair.threads, pair.place
    double = sides[0].double and sides[1].double
    more: dict[str, Any] = {"settings": pair.settings, "threads": threads, "sides": sides}
    if place is not None and n > p + q:
        stream = devices.Stream(place, _core.Moments(p, q, double_precision=double))
        stream.update(pair.x, pair.y, threads, report)
        return moment_sums(stream.finish(centred, threads), double, "feature", centred, place=place, **more)
    if n <= p + q:
        small = None if keep or not centred or place is not None else _core.small_gram_sums(pair.x, pair.y, double)
        if small is not None:
            return _held(n, *small, double, "gram", **more)
        return gram_pair(sides, pair.settings, centred=centred, threads=threads, report=report, place=place)
    held = (
        _core.held_moment_sums(pair.x, pair.y, double, n > EXACT_SKEW_ROWS, keep, threads, report) if centred else None
    )
    if held is not None:
        pairs, exponents, engine = held
        return _held(n, pairs, pairs, exponents, double, "feature", engine=engine, **more)
    engine = _core.moment_sums(pair.x, pair.y, double, centred, threads, report)
    return moment_sums(engine, double, "feature", centred, **more)


def _held(
    n: int,
    pairs: list[_core.PairSums],
    hollow: list[_core.PairSums],
    exponents: list[int],
    double: bool,
    route: str,
    **more: Any,
) -> KernelSums:
    """The small sums of rows that were at hand, centred."""
    first, both, second = pairs
    of_x, cross, of_y = hollow
    x, y = exponents
    return KernelSums(
        n,
        {(0, 0): first, (0, 1): both, (1, 1): second},
        {(0, 0): of_x, (0, 1): cross, (1, 1): of_y},
        exponents=(x, y),
        pilots=(0.0, 0.0),
        plains=(0.0, 0.0),
        rounding=(ROUNDING[double], ROUNDING[double]),
        route=route,
        centred_rows=True,
        **more,
    )


def linear_precision(pair: arrays.Pair) -> bool:
    """Whether both sides are multiplied in float64 because one of them, or where they are, asks for it."""
    narrow = min(pair.x.shape[1], pair.y.shape[1]) < arrays.FEW_COLUMNS
    double = pair.x.double_precision or pair.y.double_precision or narrow
    return double or (pair.place is not None and devices.in_doubles(pair.place))


def moment_sums(engine: _core.MomentSums, double: bool, route: str, centred: bool, **more: Any) -> KernelSums:
    """The small sums of second moments, which are kept along."""
    pairs = {(a, b): engine.pair(a, b) for a, b in ((0, 0), (0, 1), (1, 1))}
    x, y = engine.exponents
    rounding = ROUNDING[double or engine.widened]
    return KernelSums(
        engine.n,
        pairs,
        pairs,
        exponents=(2 * x, 2 * y),
        pilots=(0.0, 0.0),
        plains=(0.0, 0.0),
        rounding=(rounding, rounding),
        route=route,
        centred_rows=centred,
        engine=engine,
        **more,
    )
