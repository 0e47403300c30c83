"""Claims about the scores of a suite, and whether they hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy import special

from kernalign.suite.description import Description

Verdict = Literal["held", "refuted", "undecided"]


@dataclass(frozen=True)
class Claim:
    """A check of suite.toml: what it says, whether that holds, and by what numbers."""

    kind: str
    set: str
    text: str
    verdict: Verdict
    why: str


def judge(description: Description, rows: Sequence[Mapping[str, Any]], members: Mapping[str, Any]) -> list[Claim]:
    """Every check, for its set or for each."""
    found = []
    for check in description.checks:
        for name in [check["set"]] if "set" in check else list(members):
            own = [row for row in rows if row["set"] == name]
            text, verdict, why = _KINDS[check["kind"]](check, _Scores(own, check["metric"]))
            found.append(Claim(check["kind"], name, text, verdict, why))
    return found


class _Scores:
    """The rows of one metric, best layer first where a pair has several."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], metric: str) -> None:
        self.all = rows
        self.rows = [row for row in rows if row["metric_id"] == metric and not math.isnan(row["score"])]

    def of(self, x: str | None, y: str | None) -> list[Mapping[str, Any]]:
        """Rows of a pair in either order; None: of any model."""
        both = (x, y), (y, x)
        return [row for row in self.rows if any(a in (None, row["x"]) and b in (None, row["y"]) for a, b in both)]

    def best(self, x: str, y: str) -> Mapping[str, Any] | None:
        return max(self.of(x, y), key=lambda row: row["score"], default=None)


Found = tuple[str, Verdict, str]


def _order(check: Mapping[str, Any], scores: _Scores) -> Found:
    expect, level = list(check["expect"]), check.get("level", 0.05)
    text = f"{check['metric']} of {check['x']}: {' > '.join(expect)}"
    found = [scores.best(check["x"], one) for one in expect]
    if None in found:
        return text, "undecided", f"there is no score of {expect[found.index(None)]}"
    why = ", ".join(f"{name} {row['score']:.4g}" for name, row in zip(expect, found, strict=True) if row)
    verdict: Verdict = "held"
    for a, b in pairwise(found):
        assert a is not None
        assert b is not None
        gap = a["score"] - b["score"]
        error = math.hypot(*(0.0 if math.isnan(row["stderr"]) else row["stderr"] for row in (a, b)))
        sure = not error or special.ndtr(-abs(gap) / error) < level
        if gap <= 0 and sure:
            return text, "refuted", why
        verdict = verdict if sure else "undecided"
    return text, verdict, why


def _above_chance(check: Mapping[str, Any], scores: _Scores) -> Found:
    level = check.get("level", 0.05)
    own = scores.of(check.get("x"), check.get("y"))
    text = f"{check['metric']} of {check.get('x', 'every model')} × {check.get('y', 'every other')} is above chance"
    p = [row["p_value"] for row in own if row["p_value"] is not None and not math.isnan(row["p_value"])]
    if not p:
        return text, "undecided", "no p-values are known"
    bad = sum(one > level for one in p)
    return (
        text,
        "refuted" if bad else "held",
        f"{bad} of {len(p)} p-values are above {level}; the largest is {max(p):.3g}",
    )


def _separation(check: Mapping[str, Any], scores: _Scores) -> Found:
    by, least = check.get("by", "family"), check.get("least", 0.9)
    text = f"{check['metric']} is higher within one {by} than across"
    same = [row["score"] for row in scores.rows if row[f"x_{by}"] == row[f"y_{by}"]]
    other = [row["score"] for row in scores.rows if row[f"x_{by}"] != row[f"y_{by}"]]
    if not same or not other:
        return text, "undecided", "there are no pairs of either kind"
    area = float(np.mean([[(a > b) + (a == b) / 2 for b in other] for a in same]))
    return text, "held" if area >= least else "refuted", f"a pair within is higher in {area:.1%} of comparisons"


def _monotone(check: Mapping[str, Any], scores: _Scores) -> Found:
    least = check.get("least", 0.8)
    text = f"{check['metric']} of {check['x']} grows with its layers"
    own = [row for row in scores.of(check["x"], check.get("y")) if row["x_layer"] or row["y_layer"]]
    side = [row["x_layer"] if row["x"] == check["x"] else row["y_layer"] for row in own]
    layers = list(dict.fromkeys(side))
    means = [np.mean([row["score"] for row, layer in zip(own, side, strict=True) if layer == one]) for one in layers]
    if len(layers) < 3:
        return text, "undecided", f"it has {len(layers)} layers"
    rho = _spearman(np.arange(len(layers)), means)
    return text, "held" if rho >= least else "refuted", f"rank correlation of layer and score {rho:.3f}"


def _agreement(check: Mapping[str, Any], scores: _Scores) -> Found:
    least = check.get("least", 0.5)
    text = f"{check['metric']} and {check['other']} order pairs alike"
    key = ("x", "y", "x_layer", "y_layer")
    others = {tuple(row[one] for one in key): row["score"] for row in _Scores(scores.all, check["other"]).rows}
    both = [(row["score"], others[at]) for row in scores.rows if (at := tuple(row[one] for one in key)) in others]
    if len(both) < 3:
        return text, "undecided", f"there are {len(both)} pairs that both have"
    rho = _spearman(*zip(*both, strict=True))
    return text, "held" if rho >= least else "refuted", f"rank correlation over {len(both)} pairs {rho:.3f}"


def _spearman(x: Any, y: Any) -> float:
    from scipy import stats

    return float(stats.spearmanr(x, y).statistic)


def _bound(check: Mapping[str, Any], scores: _Scores) -> Found:
    low, high = check.get("low", -math.inf), check.get("high", math.inf)
    text = (
        f"{check['metric']} of {check.get('x', 'every model')} × {check.get('y', 'every other')} is in [{low}, {high}]"
    )
    values = [row["score"] for row in scores.of(check.get("x"), check.get("y"))]
    if not values:
        return text, "undecided", "there is no such score"
    inside = all(low <= value <= high for value in values)
    return text, "held" if inside else "refuted", f"{min(values):.4g} to {max(values):.4g}"


def _uniform(check: Mapping[str, Any], scores: _Scores) -> Found:
    level = check.get("level", 0.01)
    text = f"p-values of {check['metric']} are uniform"
    p = np.array([row["p_value"] for row in scores.rows], dtype=float)
    p = p[~np.isnan(p)]
    if len(p) < 20:
        return text, "undecided", f"there are {len(p)}"
    from scipy import stats

    least = float(stats.kstest(p, "uniform").pvalue)
    share = float(np.mean(p < 0.05))
    return (
        text,
        "held" if least >= level else "refuted",
        f"{share:.1%} are below 0.05; Kolmogorov-Smirnov {least:.3g}",
    )


_KINDS: dict[str, Callable[[Mapping[str, Any], _Scores], Found]] = {
    "order": _order,
    "above_chance": _above_chance,
    "separation": _separation,
    "monotone": _monotone,
    "agreement": _agreement,
    "bound": _bound,
    "uniform": _uniform,
}
