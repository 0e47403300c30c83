"""A comparison as a value: which states are made of which layers, and which pairs are finished from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from kernalign._base.digests import digest_of_text
from kernalign._engines.states import StateKey
from kernalign._rows.layered import Place, Representation
from kernalign._statistics.pairings import DRAWN, Pairings
from kernalign.comparison.families import families
from kernalign.comparison.families.base import Asked, Family
from kernalign.comparison.finished_pairs import null_key, pair_key
from kernalign.comparison.tables import Mirrored, Names, pairs_of

PValues: TypeAlias = bool | int | Literal["permutation"]


class PlannedLayer(NamedTuple):
    """A layer by its place, and its number of features."""

    place: Place
    width: int


class Member(NamedTuple):
    """A representation by its name, its layers, and how many more could not be opened."""

    name: str
    layers: tuple[PlannedLayer, ...]
    missing: int


@dataclass(frozen=True)
class Plan:
    """All that a comparison will do, without the data: it can be pickled, sent elsewhere, and told from others.

    Attributes
    ----------
    metrics : names, in the order of the result
    asked : options and preprocessing that all metrics have in common
    x, y : the representations; the same where one set is compared with itself
    square : one set is compared with itself
    mode : "all" keeps the scores of all pairs of layers, "best" those of the best pair
    p_values : whether p-values and the null of a search over layers are wanted; "permutation" or a number of pairings:
        of every metric
    families : the metrics, in groups that share states
    """

    metrics: tuple[str, ...]
    asked: Asked
    x: tuple[Member, ...]
    y: tuple[Member, ...]
    square: bool
    mode: Literal["all", "best"]
    p_values: PValues
    families: tuple[Family, ...]

    @property
    def digest(self) -> str:
        """Tells plans apart: what is asked of inputs of these names and shapes, not what the inputs hold."""
        return digest_of_text(repr(self))

    @property
    def sides(self) -> dict[str, tuple[Member, ...]]:
        """The sets that differ, by argument."""
        return {"x": self.x} if self.square else {"x": self.x, "y": self.y}

    @property
    def layers(self) -> list[PlannedLayer]:
        """Every layer once, those of x first."""
        return [layer for side in self.sides.values() for one in side for layer in one.layers]

    @property
    def searches(self) -> bool:
        """Whether there are layers to choose from, and enough items for the covariance of their scores."""
        if self.square and len(self.x) == 1:
            return False
        several = max([len(one.layers) for side in self.sides.values() for one in side]) > 1
        return bool(self.p_values) and self.asked.n >= 4 and several

    def states(self) -> dict[StateKey, Family]:
        """The states to be made, once each, and who makes it; in an order in which they can be made."""
        layers = self.layers
        found: dict[StateKey, Family] = {}
        for family in self.families:
            for key in family.states(layers):
                found.setdefault(key, family)
        return found

    def apart(self) -> list[StateKey]:
        """Keys of what pairs come to whose scores are no quick finish of states that are made before and, where the
        best layers are looked for, of what their null is made of."""
        found = []
        for at, family in enumerate(self.families):
            if not family.states(self.layers):
                found += [pair_key(at, pair) for pair in self.pairs(family)]
                if self.mode == "best" and self.searches and family.searched:
                    found += [null_key(at, side, one.name) for side, own in self.sides.items() for one in own]
        return found

    def table(self, metric: str) -> Callable[..., dict[Names, Any]]:
        """What holds a metric's tables by pairs of names."""
        return Mirrored if self.square and self.asked.record(metric).symmetric else dict

    def pairings(self) -> Pairings | None:
        """What may change places where p-values are drawn."""
        if isinstance(self.p_values, bool):
            return None
        groups = self.asked.groups
        return Pairings.of_items(self.asked.n) if groups is None else Pairings.of_groups(np.array(groups))

    @property
    def permutations(self) -> int:
        """How many pairings are drawn, where any are."""
        return self.p_values if isinstance(self.p_values, int) else DRAWN

    @property
    def nbytes(self) -> int:
        """What the states take that grow with the items, beside rows and scores."""
        widths = {layer.place: layer.width for layer in self.layers}
        return sum([bytes_of(key, self.asked.n, widths[key.place]) for key in self.states() if key.place is not None])

    def pairs(self, family: Family) -> list[Names]:
        """The pairs of representations that a family finishes."""
        x, y = [tuple([one.name for one in side]) for side in (self.x, self.y)]
        return pairs_of(x, y, self.square, family.mirrored)


def bytes_of(key: StateKey, n: int, width: int) -> int:
    """What the state of a layer takes."""
    if key.kind in ("lists", "edges"):
        return n * (12 * int(key.options[0]) + 32)
    if key.kind == "ranks":
        return 4 * n * n
    return 8 * n * min(n, width)


def make_plan(
    metrics: Sequence[str],
    asked: Asked,
    x: Sequence[Representation],
    y: Sequence[Representation],
    *,
    square: bool,
    mode: Literal["all", "best"],
    p_values: PValues,
) -> Plan:
    """The plan of a comparison of representations that were opened; options are checked here."""
    a, b = (tuple(map(_member, side)) for side in (x, y))
    return Plan(tuple(metrics), asked, a, b, square, mode, p_values, families(metrics, asked))


def _member(one: Representation) -> Member:
    layers = tuple([PlannedLayer(layer.place, layer.width) for layer in one.layers])
    return Member(one.name, layers, len(one.labels) - len(layers))
