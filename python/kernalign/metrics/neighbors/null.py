"""What random pairing, of items or of whole groups, makes of the scores of neighbour lists."""

from __future__ import annotations

import math
from typing import Any

from kernalign import _core
from kernalign._base.score import Null
from kernalign._statistics.kernel_null import ROUNDED_SD
from kernalign._statistics.list_tail import FEWEST, Overlap, scores_of_lists
from kernalign._statistics.null_tail import DrawnTail, Tail, refused_null
from kernalign._statistics.pairings import Pairings
from kernalign.metrics.neighbors import groups
from kernalign.metrics.neighbors.search import Search, why_no_p_value


def overlap_null(found: Search, value: float, graph_x: Any, graph_y: Any) -> Null:
    """Null of the mean share of common neighbours: exact mean, standard deviation, skewness and tail."""
    n, k = found.x.indices.shape  # a list of every row
    mean = k / (n - 1)
    variance = _core.knn_overlap_variance(n, k, graph_x, k, graph_y) / (n * k) ** 2
    sd = math.sqrt(max(0.0, variance)) if k < n - 1 else 0.0
    if not sd > ROUNDED_SD * mean:  # rounding: one side is constant, or all others are neighbours
        return Null(mean, 0.0)
    if found.settings["ties"] == "index" and (reason := why_no_p_value(found.settings)):
        return refused_null(mean, sd, reason)
    overlap = Overlap(found.x, found.y, found.weights, n * k * mean, n * k * sd, found.threads)
    step = 0.0 if found.weights else 0.5 / (n * k)  # half a whole neighbour
    tail = Tail((value - step - mean) / sd, overlap.pairings, overlap.law, overlap.scores)
    return Null(mean, sd, tail.skew if n >= FEWEST else None, tail.p_value, tail.quantile)


def listed_null(found: Search, mean: float | None, *, ordered: bool = False, **items: Any) -> Null:
    """Null of the mean over items of a function of their lists, its tail, and what else is not known, from pairings.

    ``ordered``: whether the order inside lists matters; ``items``: the function, as `scores_of_lists` takes it.
    """
    labels = found.groups
    reason = why_no_p_value(found.settings, (found.x, found.y) if ordered else ())
    weights = found.weights if "of_shared" in items else None
    scores = reason or scores_of_lists(found.x, found.y, weights, found.threads, **items)
    if labels is None:
        return Null(mean, p_value=DrawnTail(Pairings.of_items(found.n), mean, scores).p_value)
    tail = DrawnTail(Pairings.of_groups(labels), mean, scores)
    return Null(tail.mean if mean is None else mean, tail.sd, None, tail.p_value, tail.quantile)


def grouped_chance(found: Search) -> float:
    """Exact mean share of common neighbours over all pairings of whole groups."""
    assert found.groups is not None
    x, y = found.weights() if found.weights else (groups.graph(one.indices) for one in (found.x, found.y))
    return groups.chance(x, y, found.groups) / found.k
