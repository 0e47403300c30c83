"""What a comparison tells of the best layers: its tables, and what the null of the best is made of."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from kernalign._base.score import AlignmentWarning
from kernalign._rows.layered import Representation
from kernalign.comparison.best import Array, Maximum, Nulls, Searched
from kernalign.comparison.families.base import Family, Workshop
from kernalign.comparison.plan import Plan
from kernalign.comparison.tables import Later, Names, gathered

_TABLES = ("scores", "best_layers", "chance", "chance_sd", "p_values")  # in the order of `gathered`


def best_tables(plan: Plan, best: Mapping[str, Mapping[Names, Searched]]) -> dict[str, Any]:
    """Scores and layers, and chance levels that are found when they are read."""
    x, y = (tuple(one.name for one in side) for side in (plan.x, plan.y))

    def table(metric: str, found: Mapping[Names, Maximum]) -> dict[str, Array]:
        mirrored = plan.square and plan.asked.record(metric).symmetric
        return dict(zip(_TABLES, gathered(found, x, y, mirrored), strict=True))

    def gather(metric: str) -> dict[str, Array]:
        return table(metric, {pair: one.calibrated for pair, one in best[metric].items()})

    def known(metric: str) -> dict[str, Array]:
        found = {pair: Maximum(one.score, one.layers, *[np.nan] * 3) for pair, one in best[metric].items()}
        return table(metric, found)

    levels = Later({metric: partial(gather, metric) for metric in best})
    scores = {metric: known(metric) for metric in best}
    return {
        name: {metric: found[name] for metric, found in scores.items()}
        if name in ("scores", "best_layers")
        else Later({metric: partial(lambda metric, name: levels[metric][name], metric, name) for metric in best})
        for name in _TABLES
    }


def nulls_of(
    family: Family,
    sides: Mapping[str, Mapping[str, Representation]],
    shop: Workshop,
    known: Mapping[tuple[Any, ...], Mapping[str, Array]],
) -> Nulls:
    """What the covariance of layers is made of; some of it in tasks of its own."""
    made = {
        side: {name: known.get((side, name)) or null_parts(family, one, shop) for name, one in members.items()}
        for side, members in sides.items()
    }
    return {"x": made["x"], "y": made.get("y", made["x"])}


def null_parts(family: Family, one: Representation, shop: Workshop) -> dict[str, Any]:
    """Those of the layers that have the family's states, and the places of these."""
    places = {label: at for at, label in enumerate(one.labels)}
    layers = [layer for layer in one.layers if layer.place in shop.layers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AlignmentWarning)
        made = family.null_parts(layers, shop) if layers else {}
    return {"layers": np.array([places[layer.label] for layer in layers], dtype=float), **made}
