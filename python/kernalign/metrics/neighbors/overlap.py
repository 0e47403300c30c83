"""Nearest neighbours and the metrics that compare them: which items are close to which."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.score import AlignmentWarning, Null, Score, Spread
from kernalign._base.warn import warn
from kernalign._engines import lists as list_engine
from kernalign._engines import sampled
from kernalign._engines.neighbors import METRICS, Metric, Neighbors, knn
from kernalign._statistics import half_sampling, jackknife, list_null
from kernalign._statistics.pairings import Labels
from kernalign.metrics.neighbors.groups import search_groups
from kernalign.metrics.neighbors.null import grouped_chance, listed_null, overlap_null
from kernalign.metrics.neighbors.search import Options, Search, Ties, search_both

__all__ = [
    "METRICS",
    "Metric",
    "Neighbors",
    "Options",
    "Ties",
    "cycle_knn",
    "edit_knn",
    "jaccard_knn",
    "knn",
    "lcs_knn",
    "mutual_knn",
]


def mutual_knn(
    x: Any,
    y: Any,
    k: int | None = None,
    *,
    metric: Metric = "cosine",
    ties: Ties = "fractional",
    per_item: bool = False,
    uncertainty: Literal["half-sampling", "jackknife"] | None = None,
    groups: Any = None,
    queries: Any = None,
    **options: Unpack[Options],
) -> Score:
    """Mean share of the k nearest neighbours that an item has in common in x and y (Huh et al. 2024, eq. 11).

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; or two `Neighbors`
    k : 1 <= k <= n - 1; at most the length of the lists if these are given. None is 10 or, of `Neighbors`, that length
    metric : similarity that ranks the rows: "cosine", "dot" or "euclidean" (of arrays only)
    ties : "fractional": rows tied at the k-th place share it, so that the score is the expectation over independent
        random orders of the tied; "index": the smaller index wins on both sides, which makes unrelated but tied
        representations agree. Lists alone cannot resolve ties: index order is used, and ``settings["ties"]`` says so.
    per_item : keep the score of every item in ``score.per_item``
    uncertainty : "half-sampling" estimates ``score.stderr`` from the scores of random halves and quarters of the items,
        with neighbours as near (one search, for lists of 2k + 20). At least 12 items and k <= n / 2; of fewer than 30
        items or k < 4 halves alone say, up to 1.5 times too much. With ``groups`` parts are of whole groups, and it is
        they that are counted. "jackknife" deletes each item once, exactly, from
        lists of k + 1, with the preprocessing of all items: without chance, but about 1.7 times too large for usual k.
        Lists, if given, must be that long. nan where over 1 % of the rows share their k-th place.
    groups : labels of any kind, one per row of x; rows with the same label are the same thing (an image with several
        captions is one row per caption). The neighbours of a row are then its k nearest among the rows of other groups,
        on both sides, so that it earns nothing for finding itself again; a shared neighbour is still a row, not a
        group. The null pairs the groups of x with those of y at random, whole and in the order of their rows, each with
        one of equal size: ``chance`` is its exact mean (of jaccard, cycle, lcs and edit the mean over pairings), and
        the p-value and ``chance_sd`` are those of 999 such pairings (seed 0; of all where they are no more than
        40,320). Groups of a size that no other has stay paired, so with few groups of each size it cannot reject.
        Exact search only; of lists, those of k + the largest group are long enough for anything but ties.
    queries : whose neighbours are compared, instead of those of every row: the indices of some rows of x, or a tuple of
        other rows for x and for y, (m, p) and (m, q) arrays: do these find the same in both? The score is their mean.
        Or a number of rows to draw by lot, for an estimate of the score of all. As for `knn`; ties by index.
    **options : backend as for `knn`; pairing and dropping of rows, preprocessing, threads and progress as for `cka`

    Returns
    -------
    Score
        in [0, 1], with the exact null mean k / (n - 1), variance and skewness under random pairing, z, and the p_value
        of a Pearson III law with these moments; up to n = 8 that of all pairings, and where |skewness| > 2 (with shared
        ties > 1, or n < 50) of 999 random ones. None, ``settings["p_method"]`` saying why, where index order breaks the
        ties of over 1 % of the rows, since it is the same on both sides, or where there are too many neighbours.
        With a number of ``queries``, or backend="sample" (2000), the mean over such rows: ``stderr`` and ``interval``
        are about the mean over all n (rows drawn without replacement), and ``settings["exact_interval"]`` holds that
        with 95 % certainty (Hoeffding). Of the null of queries the mean alone is known.
        With backend="faiss" the overlap of the lists found; ``settings`` hold the ``recall`` of both sides with their
        intervals and, from exact search of 2000 rows, ``exact_estimate`` and ``exact_interval`` (95 %) of the score
        that exact lists would give.

    See Also
    --------
    jaccard_knn, cycle_knn
    lcs_knn, edit_knn : where the order of the neighbours counts
    rnx_curve : for every k at once
    cknna : where the similarities of the neighbours count

    Examples
    --------
    >>> import kernalign as ka
    >>> from kernalign import demo
    >>> emoji = demo.representations()
    >>> score = ka.mutual_knn(emoji["vision"], emoji["use_en"], k=10)
    >>> round(score, 2), round(score.chance, 3), score.p_value < 1e-9
    (0.2, 0.019, True)
    >>> item = ka.mutual_knn(emoji["vision"], emoji["use_en"], k=10, per_item=True).per_item
    >>> demo.items()[item.argmax()]["en"]
    'family man boy'
    """
    if uncertainty is not None:
        checks.check_uncertainty(uncertainty, (None, "half-sampling", "jackknife"))
    length = None if uncertainty is None else partial(_list_length, uncertainty)
    whole = uncertainty is not None
    found = search(x, y, k, metric, ties, per_item, groups, options, whole=whole, length=length, queries=queries)
    spread = None if uncertainty is None else _spread("mutual_knn", found, uncertainty, mutual_items)
    return mutual_of(found, per_item, spread)


def mutual_of(found: Search, per_item: bool = False, spread: Spread | None = None) -> Score:
    """mutual_knn of lists of all rows, or of some."""
    if found.x.items is not None:
        return _of_some("mutual_knn", found, mutual_items, per_item)
    return finish_mutual_knn(found, per_item, spread)


def mutual_items(shared: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """mutual_knn of every item, from what its lists share."""
    return shared / k


def finish_mutual_knn(found: Search, per_item: bool = False, spread: Spread | None = None) -> Score:
    """mutual_knn of lists that were found."""
    overlaps, graph_x, graph_y = found.overlaps
    items = overlaps / found.x.indices.shape[1]
    if found.samples is not None:
        _judge(found, items)
    value, kept = float(items.mean()), items if per_item else None
    if found.groups is not None:
        null = listed_null(found, grouped_chance(found), of_shared=mutual_items)
    else:
        null = overlap_null(found, value, graph_x, graph_y)
    n = len(items)
    return Score(value, metric="mutual_knn", n=n, settings=found.settings, null=null, per_item=kept, spread=spread)


def jaccard_knn(
    x: Any,
    y: Any,
    k: int | None = None,
    *,
    metric: Metric = "cosine",
    ties: Ties = "fractional",
    per_item: bool = False,
    uncertainty: Literal["half-sampling"] | None = None,
    groups: Any = None,
    queries: Any = None,
    **options: Unpack[Options],
) -> Score:
    """Mean of m / (2k - m), where m is the number of neighbours that an item has in common in x and y.

    Arguments as for `mutual_knn`. The null mean is exact, but known only without ties or with ties="index"; the p-value
    is that of all pairings, or of 999 random ones, of up to 1e6 neighbours.

    See Also
    --------
    mutual_knn : the share of one side's neighbours

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((200, 8))
    >>> m, j = ka.mutual_knn(x, x[:, :6], k=5), ka.jaccard_knn(x, x[:, :6], k=5)
    >>> bool(j < m), round(ka.jaccard_knn(x, 2 * x, k=5), 6)
    (True, 1.0)
    """
    length = None
    if uncertainty is not None:
        checks.check_uncertainty(uncertainty, (None, "half-sampling"))
        length = partial(_list_length, uncertainty)
    whole = uncertainty is not None
    found = search(x, y, k, metric, ties, per_item, groups, options, whole=whole, length=length, queries=queries)
    if not found.x.whole:
        return _of_some("jaccard_knn", found, jaccard_items, per_item)
    spread = None if uncertainty is None else _spread("jaccard_knn", found, uncertainty, jaccard_items)
    return finish_jaccard_knn(found, per_item, spread)


def jaccard_items(shared: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """jaccard_knn of every item, from what its lists share."""
    return shared / (2 * k - shared)


def finish_jaccard_knn(found: Search, per_item: bool = False, spread: Spread | None = None) -> Score:
    """jaccard_knn of lists that were found."""
    shared = found.overlaps[0]
    items = jaccard_items(shared, found.k)
    if found.groups is not None:
        null = listed_null(found, None, of_shared=jaccard_items)
    elif found.weights is None:
        null = listed_null(found, list_null.jaccard(found.n, found.k), of_shared=jaccard_items)
    else:
        null = None
    return found.score("jaccard_knn", float(items.mean()), null, items if per_item else None, spread)


def cycle_knn(
    x: Any,
    y: Any,
    k: int | None = None,
    *,
    metric: Metric = "cosine",
    per_item: bool = False,
    groups: Any = None,
    **options: Unpack[Options],
) -> Score:
    """Share of the items i that some j of i's neighbours in y has among its own neighbours in x: i -> j -> i.

    Not symmetric, and far from 0 by chance (0.66 for n = 100, k = 10): read ``corrected``. Arguments as for
    `mutual_knn`; ties are broken by index. The null mean depends on the in-degrees of x's graph and is exact; the
    p-value as for `jaccard_knn`, None where over 1 % of the rows tie at the k-th place.

    See Also
    --------
    mutual_knn : with a chance level of k / (n - 1)

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((2, 200, 8))
    >>> score = ka.cycle_knn(x, y, k=10)
    >>> round(score, 1), round(score.chance, 1)
    (0.5, 0.4)
    """
    return finish_cycle_knn(search(x, y, k, metric, "index", per_item, groups, options), per_item)


def cycle_items(x: NDArray[np.int32], y: NDArray[np.int32], threads: int = 0) -> NDArray[np.float64]:
    """cycle_knn of every item."""
    return list_engine.cycles(x, y, threads).astype(np.float64)


def finish_cycle_knn(found: Search, per_item: bool = False) -> Score:
    """cycle_knn of lists that were found."""
    items = cycle_items(found.x.indices, found.y.indices, found.threads)
    mean = None
    if found.groups is None:
        mean = list_null.cycle(found.n, found.k, list_engine.in_degrees(found.x.indices))
    null = listed_null(found, mean, of_lists=cycle_items, symmetric=False)
    return found.score("cycle_knn", float(items.mean()), null, items if per_item else None)


def lcs_knn(
    x: Any,
    y: Any,
    k: int | None = None,
    *,
    metric: Metric = "cosine",
    per_item: bool = False,
    groups: Any = None,
    **options: Unpack[Options],
) -> Score:
    """Mean length of the longest common subsequence of the two ordered neighbour lists, divided by k.

    Arguments as for `mutual_knn`; ties are broken by index. The null mean is exact; the p-value as for `jaccard_knn`,
    None where over 1 % of the rows tie at the k-th place or inside their lists.

    See Also
    --------
    edit_knn : the same with substitutions
    mutual_knn : order aside

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((200, 8))
    >>> y = x[:, :7]
    >>> ordered, any_order = ka.lcs_knn(x, y, k=10), ka.mutual_knn(x, y, k=10)
    >>> bool(ordered < any_order), bool(ordered > ordered.chance)
    (True, True)
    """
    return finish_lcs_knn(search(x, y, k, metric, "index", per_item, groups, options, ordered=True), per_item)


def lcs_items(x: NDArray[np.int32], y: NDArray[np.int32], threads: int = 0) -> NDArray[np.float64]:
    """lcs_knn of every item."""
    return np.asarray(list_engine.common_subsequences(x, y, threads) / x.shape[1])


def finish_lcs_knn(found: Search, per_item: bool = False) -> Score:
    """lcs_knn of lists that were found."""
    items = lcs_items(found.x.indices, found.y.indices, found.threads)
    mean = list_null.common_subsequence(found.n, found.k) if found.groups is None else None
    null = None if mean is None and found.groups is None else listed_null(found, mean, ordered=True, of_lists=lcs_items)
    return found.score("lcs_knn", float(items.mean()), null, items if per_item else None)


def edit_knn(
    x: Any,
    y: Any,
    k: int | None = None,
    *,
    metric: Metric = "cosine",
    per_item: bool = False,
    groups: Any = None,
    **options: Unpack[Options],
) -> Score:
    """1 - mean Levenshtein distance of the two ordered neighbour lists / k (unit insertion, deletion, substitution).

    Arguments as for `mutual_knn`; ties are broken by index. The null mean depends on n and k alone; lists with many
    common items, which are rare unless k is near n, are sampled for it: ``settings["chance_method"]`` says so. The
    p-value as for `lcs_knn`.

    See Also
    --------
    lcs_knn, mutual_knn

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((200, 8))
    >>> round(ka.edit_knn(x, -x, k=10), 6), ka.edit_knn(x, x[:, :7], k=10) < 0.5
    (1.0, True)
    """
    return finish_edit_knn(search(x, y, k, metric, "index", per_item, groups, options, ordered=True), per_item)


def edit_items(x: NDArray[np.int32], y: NDArray[np.int32], threads: int = 0) -> NDArray[np.float64]:
    """edit_knn of every item."""
    return np.asarray(1 - list_engine.edit_distances(x, y, threads) / x.shape[1])


def finish_edit_knn(found: Search, per_item: bool = False) -> Score:
    """edit_knn of lists that were found."""
    items = edit_items(found.x.indices, found.y.indices, found.threads)
    mean = None
    if found.groups is None:
        mean, found.settings["chance_method"] = list_null.edit(found.n, found.k)
    null = listed_null(found, mean, ordered=True, of_lists=edit_items)
    return found.score("edit_knn", float(items.mean()), null, items if per_item else None)


def search(
    x: Any, y: Any, k: int | None, metric: Metric, ties: Ties, per_item: Any, groups: Any, options: Options, **kind: Any
) -> Search:
    """Lists among all rows, or among those of other groups."""
    if per_item is not False:
        checks.check_flag(per_item, "per_item")
    if groups is None:
        return search_both(x, y, k, metric, ties, options, **kind)
    if kind.get("queries") is not None:
        raise ValueError("queries are not available with groups")
    length = kind.get("length")
    longer = None if length is None else lambda labels, k: length(len(labels), k, labels)
    return search_groups(x, y, k, metric, ties, groups, options, longer)


def _list_length(uncertainty: str, n: int, k: int, groups: Labels | None = None) -> int:
    if uncertainty == "half-sampling":
        half_sampling.check(n, k, groups)
        return half_sampling.list_length(n, k)
    if groups is not None:
        raise ValueError("uncertainty='jackknife' is not available with groups, 'half-sampling' is")
    if k > n - 2:
        raise ValueError(f"uncertainty='jackknife' needs k <= n - 2 = {n - 2}, got {k}")
    return k + 1


def _spread(name: str, found: Search, uncertainty: str, of_shared: Callable[[Any, int], Any]) -> Spread:
    assert found.longer is not None
    a, b = (lists.indices for lists in found.longer)
    if reason := found.why_no_error:
        warn(f"{name} has no standard error: {reason}", AlignmentWarning)
        return Spread(math.nan, uncertainty)
    if uncertainty == "jackknife":
        return Spread(jackknife.jackknife_stderr(jackknife.deleted_overlaps(a, b)), uncertainty)
    parts = half_sampling.part_scores(a, b, found.k, of_shared, found.threads, groups=found.groups)
    units = found.n if found.groups is None else int(found.groups.max()) + 1
    return Spread(half_sampling.stderr(parts, units, found.k), uncertainty)


def _of_some(name: str, found: Search, of_shared: Callable[[Any, int], Any], per_item: bool) -> Score:
    """Mean over some rows, or queries of other arrays; of a sample, with what it says of all. Ties by index."""
    items = of_shared(sampled.shared(found.x.indices, found.y.indices), found.k)
    value, rows, spread = float(items.mean()), len(items), None
    others = found.n - (found.x.rows is not None)  # a row is no neighbour of itself
    mean = found.k / others if of_shared is mutual_items else list_null.jaccard(others + 1, found.k)
    if found.x.backend == found.y.backend == "sample":
        spread = Spread(sampled.stderr(items, found.n), "sampled rows")
        found.settings["sampled_rows"] = rows
        found.settings["exact_interval"] = sampled.hoeffding(value, rows, found.n)
    else:
        found.settings["queries"] = rows
    return found.score(name, value, Null(mean), items if per_item else None, spread)


def _judge(found: Search, items: NDArray[np.float64]) -> None:
    """Adds to the settings what exact lists of some rows say of the score of approximate ones."""
    assert found.samples is not None
    x, y = found.samples
    truth = sampled.shared(x.indices, y.indices) / found.k
    estimate, interval = sampled.corrected(float(items.mean()), truth - items[x.rows], found.n)
    found.settings.update(exact_estimate=estimate, exact_interval=interval)
