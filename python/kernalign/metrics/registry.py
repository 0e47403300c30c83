"""Metrics by name: what each one is, and how a program calls the one that it was told to."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kernalign._base.score import Score


@dataclass(frozen=True)
class MetricInfo:
    """What a program must know of a metric to choose it, call it and read its score.

    Attributes
    ----------
    description : one line
    range : smallest and largest value; infinite where there is no bound
    symmetric : whether the score of (x, y) is that of (y, x)
    larger_is_closer : False for distances, where 0 is identity
    needs : keyword arguments without a default, which every call must give
    """

    description: str
    range: tuple[float, float]
    symmetric: bool = True
    larger_is_closer: bool = True
    needs: tuple[str, ...] = ()


_UNIT = (0.0, 1.0)
_SIGNED = (-1.0, 1.0)
_ANY = (-math.inf, math.inf)
_DISTANCE = (0.0, math.inf)
_CLOSE_AT_0: dict[str, Any] = {"larger_is_closer": False}

METRICS: Mapping[str, MetricInfo] = MappingProxyType(
    {
        "cka": MetricInfo("centred kernel alignment: do the same pairs of items have the same similarity?", _SIGNED),
        "hsic": MetricInfo("Hilbert-Schmidt independence criterion: CKA before it is scaled", _ANY),
        "kernel_alignment": MetricInfo("kernel alignment without centring: a common mean counts", _SIGNED),
        "distance_alignment": MetricInfo(
            "mean squared difference of the squared distances: 0 if they are the same",
            (0.0, math.inf),
            larger_is_closer=False,
        ),
        "distance_correlation": MetricInfo("squared correlation of the centred distances", _SIGNED),
        "mmd": MetricInfo(
            "squared maximum mean discrepancy of two samples with the same features; rows are not paired",
            _ANY,
            larger_is_closer=False,
        ),
        "rsa": MetricInfo("correlation of the dissimilarities of all pairs of items", _SIGNED),
        "mutual_knn": MetricInfo("share of the k nearest neighbours that both sides have in common", _UNIT),
        "jaccard_knn": MetricInfo("neighbours in common, as a share of those of either side", _UNIT),
        "cycle_knn": MetricInfo(
            "share of items that a neighbour in y leads back to in x; far from 0 by chance", _UNIT, symmetric=False
        ),
        "lcs_knn": MetricInfo("longest common subsequence of the ordered neighbour lists, as a share of k", _UNIT),
        "edit_knn": MetricInfo("1 - edit distance of the ordered neighbour lists / k", _UNIT),
        "cknna": MetricInfo("centred kernel alignment over pairs that are neighbours on both sides", _SIGNED),
        "cca": MetricInfo("mean canonical correlation: every direction counts alike", _UNIT),
        "svcca": MetricInfo("mean canonical correlation of the leading singular directions", _UNIT),
        "pwcca": MetricInfo("canonical correlations weighted by their part in x", _UNIT, symmetric=False),
        "subspace_overlap": MetricInfo("overlap of the leading subspaces of items", _UNIT, needs=("rank",)),
        "nbs": MetricInfo("normalised Bures similarity: cosine of shapes", _UNIT),
        "angular_distance": MetricInfo("angle between shapes, in radians", (0.0, math.pi / 2), larger_is_closer=False),
        "procrustes": MetricInfo("distance after the best rotation, in the data's units", _DISTANCE, **_CLOSE_AT_0),
        "one_to_one": MetricInfo("mean correlation of columns, each matched with one of the other side", _SIGNED),
        "soft_matching": MetricInfo("optimal transport between columns, in the data's units", _DISTANCE, **_CLOSE_AT_0),
        "linear_predictivity": MetricInfo(
            "share of y that a linear map of x explains", (-math.inf, 1.0), symmetric=False
        ),
    }
)


def measure(name: str, x: Any, y: Any, **keywords: Any) -> Score:
    """The metric called ``name`` of two representations.

    Parameters
    ----------
    name : one of `kernalign.METRICS`
    x, y, **keywords : as the function of that name takes them

    Raises
    ------
    ValueError
        There is no metric of this name.
    TypeError
        A keyword that the metric does not take, or one missing that it needs.
    """
    given = check_metric(name)
    missing = [need for need in given.needs if need not in keywords]
    if missing:
        raise TypeError(f"{name} needs the keyword argument {missing[0]!r}")
    score: Score = function(name)(x, y, **keywords)
    return score


def check_metric(name: Any) -> MetricInfo:
    """What is known of the metric called ``name``; raises unless there is one."""
    if not isinstance(name, str):
        raise TypeError(f"a metric must be given by name, got {name!r}")
    if name not in METRICS:
        raise ValueError(f"there is no metric {name!r}; known are {', '.join(METRICS)}")
    return METRICS[name]


def function(name: str) -> Callable[..., Any]:
    """The public function of that name."""
    import kernalign

    found: Callable[..., Any] = getattr(kernalign, name)
    return found


def takes(name: str, keyword: str) -> bool:
    """Whether the metric has a keyword argument of its own (one that not all metrics share) of this name."""
    return keyword in inspect.signature(function(name)).parameters
