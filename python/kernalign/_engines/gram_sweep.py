"""Sums over the Gram matrices of any number of representations, in one sweep over their tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.cached import cached_property
from kernalign._base.kernels import Distance, SideKernel
from kernalign._base.packing import pack_as
from kernalign._base.progress import Report
from kernalign._engines import devices
from kernalign._engines.gram_source import Side, make_side
from kernalign._engines.kernel_sums import ROUNDING, KernelSums
from kernalign._rows import arrays

pack_as(_core.GramSums, lambda sums: {"packed": sums.pack()}, _core.GramSums.unpack)


class GramSweep:
    """The sums of every pair of sides; each Gram matrix is walked once. Holds O(n) numbers per side.

    ``sums(a, b)`` gives those of one pair, ready for the finalisers of cka, hsic and kernel_alignment. ``engine``: sums
    of these sides that were made before. ``place``: of the CUDA device that makes them; None: the CPU does.
    """

    def __init__(
        self,
        sides: Sequence[Side],
        *,
        centred: bool,
        threads: int = 0,
        report: Report = None,
        engine: _core.GramSums | None = None,
        place: int | None = None,
    ) -> None:
        self.sides, self.centred, self.threads, self.place = tuple(sides), centred, threads, place
        if engine is None and place is not None:
            given = [(side.given[0], side.options) for side in sides]
            engine = devices.gram_sums(given, place, centred, report)
        if engine is None:
            sources = []
            for side in sides:  # not a call for each
                parts = side.given if isinstance(side.given[0], _core.Rows) else side.rows
                sources.append(_core.GramSource(list(parts), **side.options))
            engine = _core.gram_sums(sources, centred, threads, report)
        self.engine = engine
        self.n, self._exponents, self._widened = self.engine.n, self.engine.exponents, self.engine.widened
        self._own: dict[int, tuple[_core.PairSums, _core.PairSums, dict[str, Any]]] = {}

    def sums(
        self, a: int, b: int, settings: dict[str, Any] | None = None, engine: _core.GramSums | None = None
    ) -> KernelSums:
        core, own, widened = self.engine, self._own, self._widened
        for at in (a, b):
            if at not in own:
                own[at] = core.pair(at, at, False), core.pair(at, at, True), {}
        (x, hollow_x, known_x), (y, hollow_y, known_y) = own[a], own[b]
        left, right = self.sides[a], self.sides[b]
        return KernelSums(
            self.n,
            {(0, 0): x, (0, 1): core.pair(a, b, False), (1, 1): y},
            {(0, 0): hollow_x, (0, 1): core.pair(a, b, True), (1, 1): hollow_y},
            exponents=(self._exponents[a], self._exponents[b]),
            pilots=(core.pilot(a), core.pilot(b)),
            plains=(core.plain(a), core.plain(b)),
            rounding=(ROUNDING[left.double or widened[a]], ROUNDING[right.double or widened[b]]),
            route="gram",
            centred_rows=self.centred,
            settings=settings or {},
            sides=(left, right),
            engine=engine,
            threads=self.threads,
            place=self.place,
            known=(known_x, known_y),
        )

    @cached_property
    def alone(self) -> list[KernelSums]:
        """Those of each side with itself."""
        return [self.sums(at, at) for at in range(len(self.sides))]

    def unbiased_cosines(self) -> NDArray[np.float64]:
        """<K^U, L^U> / (|K^U| |L^U|) of all pairs; nan where a side is flawed."""
        products = self.engine.u_centred()
        norms = np.sqrt(np.maximum(np.diagonal(products), 0.0))
        sound = np.array([one.why_undefined("unbiased") is None for one in self.alone])
        with np.errstate(divide="ignore", invalid="ignore"):
            cosines = products / np.multiply.outer(norms, norms)
        return np.where(np.logical_and.outer(sound, sound), np.clip(cosines, -1.0, 1.0), np.nan)


def gram_pair(
    sides: tuple[Side, Side],
    settings: dict[str, Any],
    *,
    centred: bool,
    threads: int = 0,
    report: Report = None,
    place: int | None = None,
) -> KernelSums:
    """Sums of two sides, with the engine's state for a jackknife."""
    sweep = GramSweep(sides, centred=centred, threads=threads, report=report, place=place)
    return sweep.sums(0, 1, settings, sweep.engine)


def kernel_sums(
    pair: arrays.Pair,
    kernel: SideKernel | Distance | tuple[SideKernel, SideKernel],
    *,
    centred: bool,
    report: Report = None,
) -> KernelSums:
    """Sums of one kernel on both representations, each with a bandwidth of its own, or of the kernel of each."""
    of_x, of_y = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    how: Any = {"threads": pair.threads, "report": report, "place": pair.place}
    sides = make_side([pair.x], of_x, **how), make_side([pair.y], of_y, **how)
    return gram_pair(sides, pair.settings, centred=centred, **how)
