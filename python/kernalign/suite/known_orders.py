"""Checks of orders that are known: does a metric put nearer layers, like outputs and small damage first?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernalign.suite.scored import Found, Scores, at_least, spearman


def check_given(check: Mapping[str, Any]) -> None:
    """Raise unless what a check knows of models has the form that it must have."""
    if check["kind"] == "known":
        for one in check["values"]:
            if [type(value) for value in one] not in ([str, str, int], [str, str, float]):
                raise ValueError(f"checks known.values must hold [x, y, number], got {one!r}")
    if check["kind"] == "noticed":
        for name in check["whole"]:
            variants = check["cut"].get(name, ())
            if len(variants) != len(check["sizes"]):
                count = f"{len(variants)} for {len(check['sizes'])} sizes"
                raise ValueError(f"checks noticed.cut must have a model of {name!r} for each of sizes, got {count}")


def nested(check: Mapping[str, Any], scores: Scores) -> Found:
    """Layers of a side, given in order: of three, the outer two are the least alike."""
    text = f"{check['metric']} of two layers falls with those between them"
    sides = {row[side]: row[f"{side}_side"] for row in scores.rows for side in ("x", "y")}
    names = [name for name in check["order"] if name in sides]
    values, held = scores.by_pair(), []
    for at, first in enumerate(names):
        own = [name for name in names[at + 1 :] if sides[name] == sides[first]]
        for place, middle in enumerate(own):
            for last in own[place + 1 :]:
                outer = values.get((first, last), np.nan)
                held += [values.get(pair, np.nan) - outer for pair in ((first, middle), (middle, last))]
    known = np.array([one for one in held if not np.isnan(one)])
    share = float(np.mean((known > 0) + (known == 0) / 2)) if len(known) else np.nan
    why = f"{share:.1%} of {len(known)} comparisons of a pair with one that holds it"
    return at_least(text, share, check.get("least", 0.5), why)


def same_layer(check: Mapping[str, Any], scores: Scores) -> Found:
    """Of each layer of a model the closest of another is the layer of that name."""
    text = f"{check['metric']} finds the same layer in another model"
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in scores.rows:
        for a, b in (("x", "y"), ("y", "x")):
            own = found.setdefault((row[a], row[f"{a}_layer"], row[b]), {})
            own[row[f"{b}_layer"]] = own.get(row[f"{b}_layer"], 0.0) + scores.closeness(row)
    hits = [max(own, key=own.__getitem__) == layer for (_, layer, _), own in found.items() if len(own) > 1]
    share = float(np.mean(hits)) if hits else np.nan
    return at_least(text, share, check.get("least", 0.5), f"of {share:.1%} of {len(hits)} layers")


def known(check: Mapping[str, Any], scores: Scores) -> Found:
    """Pairs whose likeness is known by a number."""
    text = f"{check['metric']} orders pairs by {check.get('of', 'what is known of them')}"
    values = scores.by_pair()
    both = [(values[x, y], float(value)) for x, y, value in check["values"] if (x, y) in values]
    rho = spearman(*zip(*both, strict=True)) if len(both) > 2 else np.nan
    why = f"rank correlation over {len(both)} pairs {rho:.3f}"
    return at_least(text, rho, check.get("least", 0.0), why)


def noticed(check: Mapping[str, Any], scores: Scores) -> Found:
    """The least damage that makes a model less like itself than the models of other seeds are."""
    whole, sizes = list(check["whole"]), check["sizes"]
    text = f"{check['metric']} tells damage from other seeds"
    values = scores.by_pair()
    others = [values[x, y] for at, x in enumerate(whole) for y in whole[at + 1 :] if (x, y) in values]
    usual = float(np.median(others)) if others else np.nan
    first = []
    for name in whole:
        scored = [values.get((name, variant), np.nan) for variant in check["cut"][name]]
        first.append(max((size for value, size in zip(scored, sizes, strict=True) if value < usual), default=0))
    value = float(np.mean(first)) if others else np.nan
    return at_least(text, value, check.get("least", 0.0), f"at {value:.3g} of {check['of']} on average")
