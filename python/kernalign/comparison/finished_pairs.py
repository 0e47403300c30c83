"""What one pair of representations comes to by the metrics of one family: a value that any process can make."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernalign._base.packing import pack_as, packable
from kernalign._engines.states import StateKey
from kernalign._rows.layered import Place
from kernalign.comparison.best import Array, Cells
from kernalign.comparison.drawn import Tails
from kernalign.comparison.tables import Caveat, Names, Reason

PAIR, NULL = "pair", "null"


def pair_key(family: int, pair: Names) -> StateKey:
    """The key of what a pair comes to by one of a plan's families."""
    return StateKey(PAIR, (family, *pair))


def null_key(family: int, side: str, name: str) -> StateKey:
    """The key of what the null of the best layers is made of, of one representation."""
    return StateKey(NULL, (family, side, name))


@packable
class Paired(NamedTuple):
    """Scores and their tails by metric, what is to be said of them, and the layers that one direction rules."""

    cells: dict[str, Cells]
    tails: dict[str, Tails]
    intervals: dict[str, Array]
    reasons: list[Reason]
    caveats: list[Caveat]
    shares: list[tuple[Place, float]]


for _kind in (Cells, Reason, Caveat):
    packable(_kind)
pack_as(
    Tails,
    lambda tails: {**tails._asdict(), "method": tails.method.tolist()},
    lambda p_value, log10_p, method: Tails(p_value, log10_p, np.array(method, dtype=object)),
)
