"""METRICS: one record for each metric, and the call of a metric by its name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from kernalign._base.checks import nearest_or_all, shown
from kernalign._base.kernels import Distance
from kernalign._base.score import Score
from kernalign.metrics.kernel import angles, cka, distance, energy, finish, mmd, rsa
from kernalign.metrics.linear import cca, matching, predictivity, ridge_cca, shape
from kernalign.metrics.neighbors import cknna, overlap, ranked
from kernalign.metrics.record import MetricInfo, OfDissimilarities, OfEdges, OfGrams, OfLists, OfSpans

_UNIT = (0.0, 1.0)
_SIGNED = (-1.0, 1.0)
_ANY = (-math.inf, math.inf)
_DISTANCE = (0.0, math.inf)
_CLOSE_AT_0: dict[str, Any] = {"larger_is_closer": False}
_GRAMS = "n (p + q)² or n² (p + q), O((p + q)²) or O(n)"  # work, memory
_TILES = "n² (p + q), O(n)"
_LISTS = "n² (p + q), O(nk)"
_SPANS = "n (p + q) min(n, p + q), O(n (p + q))"
_PRODUCT = "n p q, O(p q)"
_ASYMMETRIC: dict[str, Any] = {"symmetric": False}

_RECORDS: dict[str, MetricInfo] = {
    "cka": MetricInfo(
        "centred kernel alignment: do the same pairs of items have the same similarity?",
        _SIGNED,
        cka.cka,
        states=OfGrams(finish.finish_cka, partial(cka.check_estimator, what="cka"), search_null=True),
        cost=_GRAMS,
        chance="0",
    ),
    "hsic": MetricInfo(
        "Hilbert-Schmidt independence criterion: CKA before it is scaled",
        _ANY,
        cka.hsic,
        states=OfGrams(finish.finish_hsic, partial(cka.check_estimator, what="hsic"), cosine=False),
        units=4,
        cost=_GRAMS,
        chance="0",
    ),
    "kernel_alignment": MetricInfo(
        "kernel alignment without centring: a common mean counts",
        _SIGNED,
        cka.kernel_alignment,
        states=OfGrams(
            finish.finish_kernel_alignment, partial(cka.check_estimator, what="kernel_alignment"), centred=False
        ),
        cost=_GRAMS,
    ),
    "distance_alignment": MetricInfo(
        "mean squared difference of the squared distances: 0 if they are the same",
        _DISTANCE,
        distance.distance_alignment,
        **_CLOSE_AT_0,
        states=OfGrams(
            distance.finish_distance_alignment,
            distance.check_distance_alignment,
            centred=False,
            estimator="biased",
            distance=Distance(squared=True),
            cosine=False,
        ),
        scales=False,
        units=4,
        cost=_TILES,
        chance="of the data",
    ),
    "distance_correlation": MetricInfo(
        "squared correlation of the centred distances",
        _SIGNED,
        distance.distance_correlation,
        states=OfGrams(
            partial(finish.finish_cka, metric="distance_correlation"),
            partial(cka.check_estimator, what="distance_correlation"),
            distance=Distance(levelled=True),
        ),
        cost=_TILES,
        chance="0",
    ),
    "mmd": MetricInfo(
        "squared maximum mean discrepancy of two samples with the same features; rows are not paired",
        _ANY,
        mmd.mmd,
        **_CLOSE_AT_0,
        paired=False,
        scales=False,
        cost=_TILES,
        chance="0",
    ),
    "energy_distance": MetricInfo(
        "energy distance of two samples with the same features; rows are not paired",
        _ANY,
        energy.energy_distance,
        **_CLOSE_AT_0,
        paired=False,
        scales=False,
        units=1,
        cost=_TILES,
        chance="0",
    ),
    "angular_cka": MetricInfo(
        "angle between centred Gram matrices, in radians: the arc cosine of CKA",
        (0.0, math.pi),
        angles.angular_cka,
        **_CLOSE_AT_0,
        cost=_GRAMS,
        chance="of the data",
    ),
    "ensd": MetricInfo(
        "effective number of shared dimensions: CKA times the participation ratios' geometric mean",
        _DISTANCE,
        angles.ensd,
        cost=_GRAMS,
        chance="of the spectra",
    ),
    "rsa": MetricInfo(
        "correlation of the dissimilarities of all pairs of items",
        _SIGNED,
        rsa.rsa,
        states=OfDissimilarities(rsa.check_kind, rsa.read_as, rsa.of_pair, rsa.jackknifed, rsa.triangles),
        turns=False,
        cost="n² (p + q) + n² log n, O(n²)",
        chance="0",
    ),
    "mutual_knn": MetricInfo(
        "share of the k nearest neighbours that both sides have in common",
        _UNIT,
        overlap.mutual_knn,
        states=OfLists(overlap.finish_mutual_knn, of_shared=overlap.mutual_items, search_null=True),
        cost=_LISTS,
        chance="k / (n − 1)",
    ),
    "jaccard_knn": MetricInfo(
        "neighbours in common, as a share of those of either side",
        _UNIT,
        overlap.jaccard_knn,
        states=OfLists(overlap.finish_jaccard_knn, of_shared=overlap.jaccard_items),
        cost=_LISTS,
        chance="of n and k",
    ),
    "cycle_knn": MetricInfo(
        "share of items that a neighbour in y leads back to in x; far from 0 by chance",
        _UNIT,
        overlap.cycle_knn,
        **_ASYMMETRIC,
        states=OfLists(overlap.finish_cycle_knn, of_lists=overlap.cycle_items),
        cost=_LISTS,
        chance="of the lists",
    ),
    "lcs_knn": MetricInfo(
        "longest common subsequence of the ordered neighbour lists, as a share of k",
        _UNIT,
        overlap.lcs_knn,
        states=OfLists(overlap.finish_lcs_knn, of_lists=overlap.lcs_items, ordered=True),
        cost=_LISTS,
        chance="of n and k",
    ),
    "edit_knn": MetricInfo(
        "1 - edit distance of the ordered neighbour lists / k",
        _UNIT,
        overlap.edit_knn,
        states=OfLists(overlap.finish_edit_knn, of_lists=overlap.edit_items, ordered=True),
        cost=_LISTS,
        chance="of n and k",
    ),
    "rank_similarity": MetricInfo(
        "agreement of the ranks of common neighbours, the nearest above all",
        _UNIT,
        ranked.rank_similarity,
        states=OfLists(ranked.finish_rank_similarity, of_lists=ranked.rank_items, ordered=True),
        cost=_LISTS,
        chance="of n and k",
    ),
    "second_order_cosine": MetricInfo(
        "cosine of the distances to the neighbours of either side; far from 0 by chance",
        _UNIT,
        ranked.second_order_cosine,
        states=OfLists(ranked.finish_second_order_cosine),
        cost=_LISTS,
        chance="of the data",
    ),
    "cknna": MetricInfo(
        "centred kernel alignment over neighbours on both sides; variant='platonic' has no bounds",
        _SIGNED,
        cknna.cknna,
        states=OfEdges(cknna.finish_cknna, cknna.check, cknna.u_centred_graph),
        cost=_LISTS,
        chance="of the graphs",
    ),
    "cca": MetricInfo(
        "mean canonical correlation: every direction counts alike",
        _UNIT,
        cca.cca,
        states=OfSpans(cca.cca_of, ("statistic",)),
        cost=_SPANS,
    ),
    "svcca": MetricInfo(
        "mean canonical correlation of the leading singular directions",
        _UNIT,
        cca.svcca,
        states=OfSpans(cca.svcca_of, ("rank", "variance")),
        cost=_SPANS,
    ),
    "pwcca": MetricInfo(
        "canonical correlations weighted by their part in x",
        _UNIT,
        cca.pwcca,
        **_ASYMMETRIC,
        states=OfSpans(cca.pwcca_of),
        turns=False,
        cost=_SPANS,
    ),
    "subspace_overlap": MetricInfo(
        "overlap of the leading subspaces of items",
        _UNIT,
        cca.subspace_overlap,
        needs=("rank",),
        states=OfSpans(cca.subspace_overlap_of, ("rank",)),
        cost=_SPANS,
        chance="rank / (n − 1)",
    ),
    "gulp": MetricInfo(
        "how far ridge predictions from both sides may lie apart",
        _DISTANCE,
        ridge_cca.gulp,
        **_CLOSE_AT_0,
        states=OfSpans(ridge_cca.gulp_of, ("ridge",)),
        cost=_SPANS,
        chance="of the spectra",
    ),
    "nbs": MetricInfo(
        "normalised Bures similarity: cosine of shapes",
        _UNIT,
        shape.nbs,
        states=OfSpans(shape.nbs_of, ("alpha",)),
        cost=_PRODUCT,
        chance="of the data",
    ),
    "angular_distance": MetricInfo(
        "angle between shapes, in radians",
        (0.0, math.pi / 2),
        shape.angular_distance,
        **_CLOSE_AT_0,
        states=OfSpans(shape.angular_distance_of, ("alpha",)),
        cost=_PRODUCT,
        chance="of the data",
    ),
    "procrustes": MetricInfo(
        "distance after the best rotation, in the data's units",
        _DISTANCE,
        shape.procrustes,
        **_CLOSE_AT_0,
        states=OfSpans(shape.procrustes_of, ("alpha",)),
        scales=False,
        units=1,
        cost=_PRODUCT,
        chance="of the data",
    ),
    "shape_distance": MetricInfo(
        "angle or distance of shapes whitened in part",
        _DISTANCE,
        shape.shape_distance,
        **_CLOSE_AT_0,
        states=OfSpans(shape.shape_distance_of, ("alpha", "statistic")),
        cost=_PRODUCT,
        chance="of the data",
    ),
    "one_to_one": MetricInfo(
        "mean correlation of columns, each matched with one of the other side",
        _SIGNED,
        matching.one_to_one,
        turns=False,
        cost="n p q + p q r, O(p q)",
    ),
    "soft_correlation": MetricInfo(
        "mean correlation of columns with the best match of each, which others may share",
        _SIGNED,
        matching.soft_correlation,
        turns=False,
        cost=_PRODUCT,
        chance="of the data",
    ),
    "soft_matching": MetricInfo(
        "optimal transport between columns, in the data's units",
        _DISTANCE,
        matching.soft_matching,
        **_CLOSE_AT_0,
        turns=False,
        scales=False,
        units=1,
        cost="n p q + p q (p + q), O(p q)",
    ),
    "linear_predictivity": MetricInfo(
        "share of y that a linear map of x explains",
        (-math.inf, 1.0),
        predictivity.linear_predictivity,
        **_ASYMMETRIC,
        states=OfSpans(predictivity.predictivity_of, ("cv", "groups")),
        cost=_SPANS,
        chance="rank / (n − 1); with cv from leverages, below 0",
    ),
    "predictivity": MetricInfo(
        "how well a regression on x predicts y: also ridge, PLS, correlations",
        (-math.inf, 1.0),
        predictivity.predictivity,
        **_ASYMMETRIC,
        cost=_SPANS,
        chance="as linear_predictivity",
    ),
}

METRICS: Mapping[str, MetricInfo] = MappingProxyType(_RECORDS)


def measure(name: str, x: Any, y: Any, **keywords: Any) -> Score:
    """The metric called ``name`` of two representations.

    Parameters
    ----------
    name : one of `kernalign.METRICS`, in any case ("CKA")
    x, y, **keywords : as the function of that name takes them

    Raises
    ------
    ValueError
        There is no metric of this name.
    TypeError
        A keyword that the metric does not take, or one missing that it needs.

    See Also
    --------
    METRICS : what there is
    MetricInfo : what is known of each
    compare : many of them at once

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((100, 5))
    >>> y = x + rng.standard_normal((100, 5))
    >>> {name: round(ka.measure(name, x, y), 1) for name in ("cka", "nbs", "mutual_knn")}
    {'cka': 0.5, 'nbs': 0.7, 'mutual_knn': 0.3}
    """
    name = metric_name(name, "name")
    given = METRICS[name]
    missing = [need for need in given.needs if need not in keywords]
    if missing:
        raise TypeError(f"{name} needs the keyword argument {missing[0]!r}")
    score: Score = given.function(x, y, **keywords)
    return score


def as_named(name: Any) -> Any:
    """A metric's name as METRICS has it ("cka" of "CKA", "mutual_knn" of "mutual-kNN"); all else as it is."""
    if isinstance(name, str) and name not in METRICS:
        forgiven = name.lower().replace("-", "_").replace(" ", "_")
        return forgiven if forgiven in METRICS else name
    return name


def metric_name(name: Any, argument: str = "metrics") -> str:
    """The same; raises, naming the caller's ``argument``, unless there is such a metric."""
    if not isinstance(name, str):
        raise TypeError(f"{argument}: a metric must be given by name, got {shown(name)}")
    found: str = as_named(name)
    if found not in METRICS:
        raise ValueError(f"{argument}: there is no metric {name!r}{nearest_or_all(name, METRICS)}")
    return found


def check_metric(name: Any, argument: str = "metrics") -> MetricInfo:
    """What is known of the metric called ``name``; raises, naming the caller's ``argument``, unless there is one."""
    return METRICS[metric_name(name, argument)]
