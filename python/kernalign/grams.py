"""Sums over the Gram matrices of any number of representations, in one sweep over their tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kernalign import _core, arrays
from kernalign.kernels import Distance, Kernel
from kernalign.progress import Report
from kernalign.sides import Side, make_side
from kernalign.sums import KernelSums, rounding_of


class GramSweep:
    """The sums of every pair of sides; each Gram matrix is walked once. Holds O(n) numbers per side.

    ``sums(a, b)`` gives those of one pair, ready for the finalisers of cka, hsic and kernel_alignment.
    """

    def __init__(self, sides: Sequence[Side], *, centred: bool, threads: int = 0, report: Report = None) -> None:
        self.sides, self.centred, self.threads = tuple(sides), centred, threads
        self.engine = _core.gram_sums([side.source for side in sides], centred, threads, report)
        self._own = [[self.engine.pair(a, a, hollow) for a in range(len(sides))] for hollow in (False, True)]

    def sums(self, a: int, b: int, settings: dict[str, Any] | None = None) -> KernelSums:
        engine, (x, y) = self.engine, (self.sides[a], self.sides[b])
        whole, hollow = (
            {(0, 0): own[a], (0, 1): engine.pair(a, b, bool(h)), (1, 1): own[b]} for h, own in enumerate(self._own)
        )
        return KernelSums(
            engine.n,
            whole,
            hollow,
            exponents=(engine.exponents[a], engine.exponents[b]),
            pilots=(engine.pilot(a), engine.pilot(b)),
            plains=(engine.plain(a), engine.plain(b)),
            rounding=(rounding_of(x.double, engine.widened[a]), rounding_of(y.double, engine.widened[b])),
            route="gram",
            centred_rows=self.centred,
            settings=settings or {},
            sides=(x, y),
            threads=self.threads,
        )


def gram_pair(
    sides: tuple[Side, Side], settings: dict[str, Any], *, centred: bool, threads: int = 0, report: Report = None
) -> KernelSums:
    """Sums of two sides, with the engine's state for a jackknife."""
    sweep = GramSweep(sides, centred=centred, threads=threads, report=report)
    return replace(sweep.sums(0, 1, settings), engine=sweep.engine)


def kernel_sums(pair: arrays.Pair, kernel: Kernel | Distance, *, centred: bool, report: Report = None) -> KernelSums:
    """Sums of one kernel on both representations, each with a bandwidth of its own."""
    x, y = (make_side([rows], kernel, pair.threads, report) for rows in (pair.x, pair.y))
    return gram_pair((x, y), pair.settings, centred=centred, threads=pair.threads, report=report)
