"""Sums over the Gram matrices of any number of representations, in one sweep over their tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kernalign import _core
from kernalign._base.kernels import Distance, Kernel
from kernalign._base.progress import Report
from kernalign._engines.gram_source import Side, make_side
from kernalign._engines.kernel_sums import KernelSums, rounding_of
from kernalign._rows import arrays


class GramSweep:
    """The sums of every pair of sides; each Gram matrix is walked once. Holds O(n) numbers per side.

    ``sums(a, b)`` gives those of one pair, ready for the finalisers of cka, hsic and kernel_alignment.
    """

    def __init__(self, sides: Sequence[Side], *, centred: bool, threads: int = 0, report: Report = None) -> None:
        self.sides, self.centred, self.threads = tuple(sides), centred, threads
        self.engine = _core.gram_sums([side.source for side in sides], centred, threads, report)
        places, engine = range(len(sides)), self.engine
        self.n = engine.n
        self._own = [[engine.pair(a, a, hollow) for a in places] for hollow in (False, True)]
        self._exponents, self._pilots = engine.exponents, [engine.pilot(a) for a in places]
        self._plains = [engine.plain(a) for a in places]
        self._rounding = [rounding_of(*both) for both in zip((s.double for s in sides), engine.widened, strict=True)]
        self._known: list[dict[str, Any]] = [{} for _ in places]

    def sums(
        self, a: int, b: int, settings: dict[str, Any] | None = None, engine: _core.GramSums | None = None
    ) -> KernelSums:
        whole, hollow = (
            {(0, 0): own[a], (0, 1): self.engine.pair(a, b, bool(h)), (1, 1): own[b]} for h, own in enumerate(self._own)
        )
        return KernelSums(
            self.n,
            whole,
            hollow,
            exponents=(self._exponents[a], self._exponents[b]),
            pilots=(self._pilots[a], self._pilots[b]),
            plains=(self._plains[a], self._plains[b]),
            rounding=(self._rounding[a], self._rounding[b]),
            route="gram",
            centred_rows=self.centred,
            settings=settings or {},
            sides=(self.sides[a], self.sides[b]),
            engine=engine,
            threads=self.threads,
            known=(self._known[a], self._known[b]),
        )


def gram_pair(
    sides: tuple[Side, Side], settings: dict[str, Any], *, centred: bool, threads: int = 0, report: Report = None
) -> KernelSums:
    """Sums of two sides, with the engine's state for a jackknife."""
    sweep = GramSweep(sides, centred=centred, threads=threads, report=report)
    return sweep.sums(0, 1, settings, sweep.engine)


def kernel_sums(pair: arrays.Pair, kernel: Kernel | Distance, *, centred: bool, report: Report = None) -> KernelSums:
    """Sums of one kernel on both representations, each with a bandwidth of its own."""
    x, y = (make_side([rows], kernel, pair.threads, report) for rows in (pair.x, pair.y))
    return gram_pair((x, y), pair.settings, centred=centred, threads=pair.threads, report=report)
