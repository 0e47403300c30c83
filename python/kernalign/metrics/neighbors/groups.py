"""Neighbours when several rows are the same thing: those of other groups, on both sides."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kernalign._base import checks
from kernalign._base.score import AlignmentWarning
from kernalign._engines.neighbors import Metric, Neighbors
from kernalign._engines.permuted_lists import tie_weights
from kernalign._rows import on_device
from kernalign._rows.labels import group_numbers, groups_of
from kernalign._rows.pairing import Kept, Side
from kernalign._statistics.pairings import Labels
from kernalign.metrics.neighbors.search import Options, Search, Ties, length_given, search_both, warn_of_ties


def search_groups(
    x: Any,
    y: Any,
    k: int | None,
    metric: Metric,
    ties: Ties,
    groups: Any,
    options: Options,
    longer: Callable[[Labels, int], int] | None = None,
) -> Search:
    """The k nearest rows of other groups on both sides, in order.

    Ties are shared where the rows are at hand, or lists that were given hold all that tie; else the smaller index wins.
    ``longer(groups, k)`` is the length of the `Search.longer` lists, of other groups too.
    """
    if options.get("backend") in ("sample", "faiss"):
        raise ValueError(f"groups need exact search, got backend={options['backend']!r}")
    given = isinstance(x, Neighbors) and isinstance(y, Neighbors)
    if not given:
        options["backend"] = "native"
    k = length_given(x, y) if k is None else k
    labels = group_numbers(groups, Kept(x.n, None, (Side("x", x.n, x.labels or y.labels),)) if given else None)
    largest = int(np.bincount(labels).max())

    def length(n: int, k: int) -> int:
        return min(x.k, y.k) if given else searched_length(n, k if longer is None else longer(labels, k), largest)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AlignmentWarning)  # ties among rows of one group do not matter
        found = search_both(x, y, k, metric, "index", options, length=length)
    assert found.longer is not None
    if found.pair is not None:
        of_pair = groups_of(groups, found.pair)
        labels = np.arange(found.n) if of_pair is None else of_pair
    rows = None if found.pair is None else (found.pair.x, found.pair.y)
    made = join_groups(found.longer, rows, labels, k, ties, found.settings, found.threads)
    made.pair = found.pair
    if longer is not None:
        x_lists, y_lists = (longer_outside(lists, labels, longer(labels, k)) for lists in found.longer)
        made.longer = x_lists, y_lists
    return made


def searched_length(n: int, length: int, largest: int) -> int:
    """Length of lists that hold ``length`` rows of other groups, and usually all that tie there."""
    return min(n - 1, length + 2 * largest)


def longer_outside(lists: Neighbors, labels: Labels, length: int) -> Neighbors:
    """Lists of that length, or of all rows of other groups, from longer ones."""
    return outside(lists, labels, min(length, len(labels) - int(np.bincount(labels).max()))).lists


def join_groups(
    lists: tuple[Neighbors, Neighbors],
    rows: tuple[Any, Any] | None,
    labels: Labels,
    k: int,
    ties: Ties,
    settings: dict[str, Any],
    threads: int,
) -> Search:
    """A search from the longer lists of both sides and, if they are at hand, the rows that they were found in."""
    check_k(k, labels)
    sides = [outside(one, labels, k) for one in lists]
    resolved = rows is not None or not any(side.open.any() for side in sides)
    shared = ties == "fractional" and resolved
    settings = settings | {
        "groups": int(labels.max()) + 1,
        "ties": "fractional" if shared else "index",
        "tie_rows_fraction": max(side.lists.tie_share for side in sides),
    }
    warn_of_ties(settings)
    made = Search(sides[0].lists, sides[1].lists, settings, threads=threads, groups=labels)
    if shared and settings["tie_rows_fraction"] > 0:
        of_sides = zip(sides, (None, None) if rows is None else map(on_device.on_cpu, rows), strict=True)
        graphs = tuple(side.weights(one, labels, threads) for side, one in of_sides)
        made.weights = lambda: graphs
        made.finish_ties = lambda: (np.asarray(graphs[0].multiply(graphs[1]).sum(axis=1)).ravel(), None, None)
    return made


def check_k(k: Any, labels: Labels) -> int:
    """Return k; every row must have k rows of other groups."""
    checked = checks.check_k(k, len(labels))
    others = len(labels) - int(np.bincount(labels).max())
    if checked > others:
        raise ValueError(f"k must be at most {others}, the rows outside the largest group, got {k}")
    return checked


class Outside(NamedTuple):
    """The k nearest rows of other groups, ties by index.

    Attributes
    ----------
    lists : they, and whether the k-th place is tied with another row of another group
    longer : the lists that they were taken from
    open : rows whose longer list may not hold all that tie there
    """

    lists: Neighbors
    longer: Neighbors
    open: NDArray[np.bool_]

    def weights(self, rows: Any, labels: Labels, threads: int) -> Any:
        """Sparse graph in which the tied share what room is left; rows that are open are searched again."""
        k, longer = self.lists.k, self.longer
        kth = self.lists.similarities[:, -1:]
        other = labels[longer.indices] != labels[:, None]
        above, equal = (longer.similarities > kth) & other, (longer.similarities == kth) & other
        weight = above + equal * ((k - above.sum(axis=1)) / equal.sum(axis=1))[:, None]
        weight[self.open] = 0
        ends = np.arange(longer.n + 1, dtype=np.int64) * longer.k
        closed = sparse.csr_matrix(
            (weight.ravel(), longer.indices.ravel(), ends), shape=(longer.n, longer.n), copy=True
        )
        closed.eliminate_zeros()
        if not self.open.any():
            return closed
        again = tie_weights(rows, replace(self.lists, tie_rows=self.open), threads, labels)
        return closed + sparse.diags(self.open.astype(np.float64)) @ again


def outside(longer: Neighbors, labels: Labels, k: int) -> Outside:
    """From lists that hold k rows of other groups each."""
    other = labels[longer.indices] != labels[:, None]
    rank = other.cumsum(axis=1)
    if rank[:, -1].min() < k:
        raise ValueError(f"the lists must hold {k} rows of other groups each, got {rank[:, -1].min()} for one of them")
    among = other & (rank <= k)
    indices, values = (np.ascontiguousarray(v[among].reshape(-1, k)) for v in (longer.indices, longer.similarities))
    at_end = values[:, -1:]
    tied = ((longer.similarities == at_end) & other & (rank > k)).any(axis=1)
    every = rank[:, -1] == longer.n - np.bincount(labels)[labels]
    open_ended = (longer.similarities[:, -1] == at_end[:, 0]) & ~every
    lists = replace(longer, indices=indices, similarities=values, tie_rows=tied | open_ended)
    return Outside(lists, longer, open_ended)


def chance(x: Any, y: Any, labels: Labels) -> float:
    """Mean weight that a row's lists share over all pairings of whole groups, exactly.

    A pair of rows of different groups goes to each pair of rows with the same places in groups of the same sizes
    equally often.
    """
    n = len(labels)
    sizes = np.bincount(labels)
    order = np.argsort(labels, kind="stable")
    place = np.empty(n, dtype=np.intp)
    place[order] = np.arange(n) - (np.cumsum(sizes) - sizes)[labels[order]]
    kinds, kind = np.unique(np.stack([sizes[labels], place]), axis=1, return_inverse=True)
    members = sparse.csr_matrix((np.ones(n), (np.arange(n), kind.ravel())))
    sums = [(members.T @ graph @ members).toarray() for graph in (x, y)]
    size = kinds[0]
    count = np.bincount(sizes, minlength=size.max() + 1)[size].astype(np.float64)
    pairs = count[:, None] * (count - (size[:, None] == size))
    return float((sums[0] * sums[1] / np.maximum(pairs, 1)).sum() / n)


def graph(lists: NDArray[np.int32], weights: NDArray[np.float64] | None = None) -> Any:
    """Sparse matrix of (n, k) lists."""
    n, k = lists.shape
    values = np.ones(lists.size) if weights is None else weights.ravel()
    made = sparse.csr_matrix((values, lists.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n), copy=True)
    made.eliminate_zeros()
    return made
