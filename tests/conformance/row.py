"""A row of the table of implementations: who computes what, by which call of ours, and where and why they differ."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import kernalign as ka
import numpy as np
from kernalign.compat.platonic import AlignmentMetrics as platonic
from reference import peers

TOLERANCE = 2e-6


@dataclass(frozen=True)
class Departure:
    """Why a value is not ours: an expression that gives it, or how far it may be from that or else from ours.

    With ``lot``, the order of "columns" or of "items" moves what the expression gives, though no definition has it so.
    """

    why: str
    theirs: str | None = None
    within: float | str | None = None
    lot: str | None = None


@dataclass(frozen=True)
class Row:
    """Measures of public implementations that have one definition.

    Expressions are Python over x, y, the public names of the package, its ``platonic`` and ``reference.peers``.
    ``ours`` is None where we do not offer it.
    """

    names: str
    definition: str
    ours: str | None = None
    departure: Departure | None = None
    cells: Mapping[str, Departure] = field(default_factory=dict)

    @property
    def measures(self) -> list[str]:
        return self.names.split()

    def departs(self, pair: str) -> Departure | None:
        return self.cells.get(pair, self.departure)


_PACKAGE: dict[str, Any] = {
    **{name: getattr(ka, name) for name in ka.__all__},
    "platonic": platonic,
    "np": np,
    "math": math,
}
_ORACLES = {name: value for name, value in vars(peers).items() if not name.startswith("_")}
OURS = {**_ORACLES, **_PACKAGE}
THEIRS = {**_PACKAGE, **_ORACLES}


def value(expression: str, x: Any, y: Any, names: dict[str, Any]) -> float:
    """What an expression gives for a pair, by ``OURS`` or ``THEIRS`` where both have a name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(eval(expression, names, {"x": x, "y": y}))


def by_lot(expression: str, x: Any, y: Any, of: str, orders: int = 4) -> list[float]:
    """What an expression of theirs gives with the columns of either side, or with all items, in other orders."""
    draw = np.random.default_rng(0)
    found = []
    for _ in range(orders):
        if of == "items":
            order = draw.permutation(len(x))
            sides = x[order], y[order]
        else:
            sides = tuple(side[:, draw.permutation(side.shape[1])] for side in (x, y))
        found.append(value(expression, *sides, THEIRS))
    return found


def same(a: float, b: float, tolerance: float = TOLERANCE) -> bool:
    return abs(a - b) <= tolerance * max(1.0, abs(b))
