"""Claims about the scores of a suite, and whether they hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import special

from kernalign.suite import known_orders, labelled
from kernalign.suite.description import Description
from kernalign.suite.scored import Found, Scores, Verdict, at_least, spearman


@dataclass(frozen=True)
class Claim:
    """A check of suite.toml: what it says, whether that holds, and by what numbers.

    ``value`` is the number that decided, where it is one: a share, a rank correlation.
    """

    kind: str
    metric: str
    set: str
    text: str
    verdict: Verdict
    why: str
    value: float | None = None


def judge(
    description: Description,
    rows: Sequence[Mapping[str, Any]],
    members: Mapping[str, Any],
    readings: Mapping[str, labelled.Layers],
) -> list[Claim]:
    """Every check, for its set or for each; ``readings`` are what the ledger holds of labels."""
    found = []
    signs = {one.id: 1 if one.record.larger_is_closer else -1 for one in description.metrics}
    for check in description.checks:
        for name in [check["set"]] if "set" in check else list(members):
            if labelled.kind_of(check):
                read = {
                    one.entry.name: readings.get(one.key)
                    for one in labelled.readings(description, members[name])
                    if one.kind == labelled.kind_of(check)
                }
                found.append(Claim(check["kind"], "", name, *_labels(check, read, members[name].items)))
                continue
            own = [row for row in rows if row["set"] == name and not math.isnan(row["score"])]
            scores = [
                Scores([row for row in own if row["metric_id"] == check[key]], signs[check[key]])
                for key in ("metric", "other")
                if key in check
            ]
            told = _KINDS[check["kind"]](check, *scores)
            found.append(Claim(check["kind"], check["metric"], name, *told))
    return found


def _order(check: Mapping[str, Any], scores: Scores) -> Found:
    expect, level = list(check["expect"]), check.get("level", 0.05)
    text = f"{check['metric']} of {check['x']}: {' > '.join(expect)}"
    found = [scores.best(check["x"], one) for one in expect]
    if None in found:
        return Found(text, "undecided", f"there is no score of {expect[found.index(None)]}")
    why = ", ".join(f"{name} {row['score']:.4g}" for name, row in zip(expect, found, strict=True) if row)
    verdict: Verdict = "held"
    for a, b in pairwise(found):
        assert a is not None
        assert b is not None
        gap = scores.closeness(a) - scores.closeness(b)
        error = math.hypot(*(0.0 if math.isnan(row["stderr"]) else row["stderr"] for row in (a, b)))
        sure = not error or special.ndtr(-abs(gap) / error) < level
        if gap <= 0 and sure:
            return Found(text, "refuted", why)
        verdict = verdict if sure else "undecided"
    return Found(text, verdict, why)


def _above_chance(check: Mapping[str, Any], scores: Scores) -> Found:
    level = check.get("level", 0.05)
    own = scores.of(check.get("x"), check.get("y"))
    text = f"{check['metric']} of {check.get('x', 'every model')} × {check.get('y', 'every other')} is above chance"
    p = [row["p_value"] for row in own if row["p_value"] is not None and not math.isnan(row["p_value"])]
    if not p:
        return Found(text, "undecided", "no p-values are known")
    bad = sum(one > level for one in p)
    return Found(
        text,
        "refuted" if bad else "held",
        f"{bad} of {len(p)} p-values are above {level}; the largest is {max(p):.3g}",
    )


def _separation(check: Mapping[str, Any], scores: Scores) -> Found:
    by, least = check.get("by", "family"), check.get("least", 0.9)
    text = f"{check['metric']} is closer within one {by} than across"
    known = [(row, {row[f"x_{by}"], row[f"y_{by}"]}) for row in scores.rows]  # None: of which it is not said
    same = np.array([scores.closeness(row) for row, both in known if len(both) == 1 and None not in both])
    other = np.array([scores.closeness(row) for row, both in known if len(both) == 2 and None not in both])
    if not len(same) or not len(other):
        return Found(text, "undecided", "there are no pairs of either kind")
    gaps = same[:, None] - other
    area = float(np.mean((gaps > 0) + (gaps == 0) / 2))
    return at_least(text, area, least, f"a pair within is closer in {area:.1%} of comparisons")


def _labels(check: Mapping[str, Any], read: Mapping[str, Any], items: Any) -> Found:
    kind, least = labelled.kind_of(check), check.get("least", 0.9)
    what = "a linear probe of {} finds labels" if kind == "probe" else "neighbours by {} share labels"
    text = what.format(check.get("x", "every model"))
    chosen = {name: layers for name, layers in read.items() if name == check.get("x", name)}
    if not chosen or None in chosen.values():
        return Found(text, "undecided", "there is no such model that was read")
    best = {name: labelled.best(layers) for name, layers in chosen.items()}
    for name, (_, value, reason) in best.items():
        if value is None:
            return Found(text, "undecided", f"{name}: {reason}")
    level = labelled.chance(kind, labelled.labels_of(items), labelled.groups_of(items))
    ranked = sorted(best, key=lambda name: best[name][1])
    told = [f"{name} {best[name][1]:.1%}" for name in dict.fromkeys((ranked[0], ranked[-1]))]
    return at_least(text, best[ranked[0]][1], least, f"{' to '.join(told)}; by chance {level:.1%}")


def _monotone(check: Mapping[str, Any], scores: Scores) -> Found:
    least = check.get("least", 0.8)
    text = f"{check['metric']} of {check['x']} grows with its layers"
    own = [row for row in scores.of(check["x"], check.get("y")) if row["x_layer"] or row["y_layer"]]
    side = [row["x_layer"] if row["x"] == check["x"] else row["y_layer"] for row in own]
    layers = list(dict.fromkeys(side))
    pairs = list(zip(map(scores.closeness, own), side, strict=True))
    means = [np.mean([value for value, layer in pairs if layer == one]) for one in layers]
    if len(layers) < 3:
        return Found(text, "undecided", f"it has {len(layers)} layers")
    rho = spearman(np.arange(len(layers)), means)
    return at_least(text, rho, least, f"rank correlation of layer and score {rho:.3f}")


def _agreement(check: Mapping[str, Any], scores: Scores, other: Scores) -> Found:
    least = check.get("least", 0.5)
    text = f"{check['metric']} and {check['other']} order pairs alike"
    key = ("x", "y", "x_layer", "y_layer")
    others = {tuple(row[one] for one in key): other.closeness(row) for row in other.rows}
    both = [(scores.closeness(row), others[at]) for row in scores.rows if (at := tuple(row[k] for k in key)) in others]
    if len(both) < 3:
        return Found(text, "undecided", f"there are {len(both)} pairs that both have")
    rho = spearman(*zip(*both, strict=True))
    return at_least(text, rho, least, f"rank correlation over {len(both)} pairs {rho:.3f}")


def _bound(check: Mapping[str, Any], scores: Scores) -> Found:
    low, high = check.get("low", -math.inf), check.get("high", math.inf)
    text = (
        f"{check['metric']} of {check.get('x', 'every model')} × {check.get('y', 'every other')} is in [{low}, {high}]"
    )
    values = [row["score"] for row in scores.of(check.get("x"), check.get("y"))]
    if not values:
        return Found(text, "undecided", "there is no such score")
    inside = all(low <= value <= high for value in values)
    return Found(text, "held" if inside else "refuted", f"{min(values):.4g} to {max(values):.4g}")


def _uniform(check: Mapping[str, Any], scores: Scores) -> Found:
    level = check.get("level", 0.01)
    text = f"p-values of {check['metric']} are uniform"
    p = np.array([row["p_value"] for row in scores.rows], dtype=float)
    p = p[~np.isnan(p)]
    if len(p) < 20:
        return Found(text, "undecided", f"there are {len(p)}")
    from scipy import stats

    least = float(stats.kstest(p, "uniform").pvalue)
    share = float(np.mean(p < 0.05))
    return Found(
        text,
        "held" if least >= level else "refuted",
        f"{share:.1%} are below 0.05; Kolmogorov-Smirnov {least:.3g}",
    )


_KINDS: dict[str, Callable[..., Found]] = {
    "order": _order,
    "above_chance": _above_chance,
    "separation": _separation,
    "monotone": _monotone,
    "agreement": _agreement,
    "bound": _bound,
    "uniform": _uniform,
    "nested": known_orders.nested,
    "same_layer": known_orders.same_layer,
    "known": known_orders.known,
    "noticed": known_orders.noticed,
}
