"""Metrics of one comparison, in groups that share their states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kernalign.comparison.families.base import Asked, Family
from kernalign.comparison.families.edges import Edges
from kernalign.comparison.families.grams import Grams
from kernalign.comparison.families.lists import Lists
from kernalign.comparison.families.pairwise import Pairwise
from kernalign.comparison.families.ranks import Dissimilarities
from kernalign.comparison.families.spans import Directions
from kernalign.metrics.record import OfDissimilarities, OfEdges, OfGrams, OfLists, OfSpans

_FAMILIES: dict[type, Any] = {
    OfGrams: Grams,
    OfLists: Lists,
    OfEdges: Edges,
    OfDissimilarities: Dissimilarities,
    OfSpans: Directions,
}


def families(metrics: Sequence[str], asked: Asked) -> tuple[Family, ...]:
    """The metrics in groups that share their states; symmetric and asymmetric ones apart."""
    groups: dict[Any, list[str]] = {}
    for name in metrics:
        states = asked.record(name).states
        made = _FAMILIES.get(type(states), Pairwise)
        shared = None if states is None else made.shared(name, states, asked)
        groups.setdefault((Pairwise, name) if shared is None else (made, *shared), []).append(name)
    found: list[Family] = []
    for (made, *shared), names in groups.items():
        found.append(made(tuple(names), asked, *(shared if made is not Pairwise else ())))
    # Lists in order serve where order does not matter: they come first.
    return tuple(sorted(found, key=lambda one: not (isinstance(one, Lists) and one.ordered)))
