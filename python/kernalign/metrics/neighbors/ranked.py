"""Neighbours compared by their ranks and by their distances: rank similarity and second-order cosine."""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.score import Score, undefined
from kernalign._engines import lists as list_engine
from kernalign._engines.edge_distances import EdgeDistances
from kernalign._engines.neighbors import Neighbors
from kernalign._rows import on_device
from kernalign._statistics import list_null
from kernalign._statistics.null_tail import LONG, DrawnTail
from kernalign._statistics.pairings import Pairings
from kernalign.metrics.neighbors.null import listed_null
from kernalign.metrics.neighbors.overlap import Metric, Options, search
from kernalign.metrics.neighbors.search import Search, why_no_p_value

Values = NDArray[np.float64]
Lists = NDArray[np.int32]

_COST = 10_000_000  # multiply-adds along edges that a pairing may take: some five seconds for 999 on one core


def rank_similarity(
    x: Any,
    y: Any,
    k: int | None = None,
    *,
    jaccard: bool = False,
    metric: Metric = "cosine",
    per_item: bool = False,
    groups: Any = None,
    **options: Unpack[Options],
) -> Score:
    """Do the neighbours that an item has in common in x and y have the same ranks there, the nearest above all?

    Parameters
    ----------
    x, y, k, metric, per_item, groups, **options : as for `mutual_knn`; ties are broken by index
    jaccard : multiply the value of every item by its `jaccard_knn` ("joint rank and Jaccard similarity"). Without, two
        items with one common neighbour, first in both lists, score 1 however few the others are.

    Returns
    -------
    Score
        in [0, 1], the mean over items of (1 / H_m) sum 2 / ((1 + |r - s|) (r + s)) over the m common neighbours, of
        ranks r and s, with H_m = 1 + 1/2 + ... + 1/m; 0 without any, 1 of equal lists. The null mean is exact and
        depends on n and k alone; the p-value as for `lcs_knn`.

    Notes
    -----
    O(nk) beside the search.

    References
    ----------
    Wang et al. 2020 (nearest neighbours of word vectors); Klabunde et al. 2025 (ReSi), whose definition this is.

    See Also
    --------
    lcs_knn, edit_knn : ranks by the order alone
    mutual_knn : ranks aside
    second_order_cosine : distances in their place

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((200, 8))
    >>> score = ka.rank_similarity(x, x[:, :7], k=10)
    >>> round(ka.rank_similarity(x, -x, k=10), 6), score.chance < score < 1
    (1.0, True)
    >>> ka.rank_similarity(x, x[:, :7], k=10, jaccard=True) < score
    True
    """
    checks.check_flag(jaccard, "jaccard")
    found = search(x, y, k, metric, "index", per_item, groups, options, ordered=True)
    return finish_rank_similarity(found, per_item, jaccard=jaccard)


def rank_items(x: Lists, y: Lists, threads: int = 0, *, jaccard: bool = False) -> Values:
    """rank_similarity of every item."""
    items = list_engine.rank_similarities(x, y, threads)
    if jaccard:
        shared = list_engine.shared_counts(x, y, threads)
        items *= shared / (2 * x.shape[1] - shared)
    return items


def finish_rank_similarity(found: Search, per_item: bool = False, *, jaccard: bool = False) -> Score:
    """rank_similarity of lists that were found."""
    of_lists = partial(rank_items, jaccard=jaccard)
    items = of_lists(found.x.indices, found.y.indices, found.threads)
    mean = list_null.ranks(found.n, found.k, jaccard=jaccard) if found.groups is None else None
    null = listed_null(found, mean, ordered=True, of_lists=of_lists)
    found.settings["jaccard"] = jaccard
    return found.score("rank_similarity", float(items.mean()), null, items if per_item else None)


def second_order_cosine(
    x: Any,
    y: Any,
    k: int | None = None,
    *,
    per_item: bool = False,
    groups: Any = None,
    **options: Unpack[Options],
) -> Score:
    """Is an item as far from its neighbours in x as in y? Cosine of its distances to the neighbours of either side.

    Parameters
    ----------
    x, y, k, per_item, groups, **options : as for `mutual_knn`, of arrays only; ties are broken by index

    Returns
    -------
    Score
        in [0, 1], the mean over items of the cosine of two vectors: the cosine distances, 1 - cos, in x and in y to
        all items that are among the k nearest in x or in y. Distances are positive, so that the score of unrelated
        representations is far from 0: read ``corrected``. ``chance``, ``chance_sd`` and ``p_value`` are found when
        first read, before the arrays are overwritten, from 999 random pairings (all, of up to 8 items) of the lists
        that were found; None, ``settings["p_method"]`` saying why, of many items and features, of rows that are seen to
        have changed, or where a pairing has no score. nan, with ``reason``, where an item is at distance 0 from all its
        neighbours, and where x or y is so on one side.

    Notes
    -----
    O(n k (p + q)) beside the search, as much again for every pairing, and O(nk) memory.

    References
    ----------
    Hamilton, Leskovec and Jurafsky 2016 (of word vectors); Klabunde et al. 2025 (ReSi), whose definition this is.

    See Also
    --------
    rank_similarity : ranks in the place of distances
    cknna : products of centred kernels over common neighbours

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((2, 100, 8))
    >>> score, chance = ka.second_order_cosine(x, x + y / 2, k=10), ka.second_order_cosine(x, y, k=10)
    >>> round(score, 2), round(chance, 2), round(chance.chance, 2), score.p_value
    (0.89, 0.62, 0.62, 0.001)
    """
    if isinstance(x, Neighbors) or isinstance(y, Neighbors):
        raise TypeError("second_order_cosine needs arrays: Neighbors hold no distances to the neighbours of the other")
    found = search(x, y, k, "cosine", "index", per_item, groups, options)
    return finish_second_order_cosine(found, per_item)


def finish_second_order_cosine(found: Search, per_item: bool = False) -> Score:
    """second_order_cosine of lists, and the rows that they were found in."""
    assert found.pair is not None
    rows = tuple(on_device.on_cpu(one) for one in (found.pair.x, found.pair.y))
    made = EdgeDistances(rows, (found.x.indices, found.y.indices), found.threads)
    items = made.cosines(np.arange(found.n, dtype=np.int32))
    bad = np.flatnonzero(np.isnan(items))
    if len(bad):
        reason = f"item {bad[0]} is at distance 0 from all its neighbours ({len(bad)} such items)"
        return undefined("second_order_cosine", found.n, reason, settings=found.settings)
    labels = found.groups
    pairings = Pairings.of_items(found.n) if labels is None else Pairings.of_groups(labels)
    why = why_no_p_value(found.settings) or (f"none: {LONG}" if made.cost > _COST else None)
    value = float(items.mean())
    scores = why or (lambda orders: np.array([made.cosines(one).mean() for one in orders]))
    tail = DrawnTail(pairings, None, scores, value=value)
    return found.score("second_order_cosine", value, tail.null(), items if per_item else None)
