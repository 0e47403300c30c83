"""Neighbour lists by inner product, and what platonic-rep counts in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._engines import lists as list_engine
from kernalign._rows import arrays
from kernalign.compat.platonic import tensors


@dataclass(frozen=True)
class Graph:
    """The ``topk`` rows of largest inner product with each row, best first, ties by index.

    ``index`` and ``value`` leave the row itself out. platonic-rep only puts it last, so with topk >= n it is the last
    of every list: ``with_self`` says so.
    """

    index: NDArray[np.int32]
    value: NDArray[np.float64]
    topk: int

    @property
    def n(self) -> int:
        return len(self.index)

    @property
    def with_self(self) -> bool:
        return bool(self.topk > self.index.shape[1])


def graph(feats: Any, topk: Any, name: str = "feats", *, sets: bool = False) -> Graph:
    """Search once; with ``sets`` the lists are in no particular order and ``value`` may hold nan."""
    rows = arrays.rows(feats, name)
    n = rows.shape[0]
    k = min(check_topk(topk), n)
    if n == 1:
        return Graph(np.empty((1, 0), np.int32), np.empty((1, 0)), k)
    index, value, *_ = list_engine.nearest_neighbors(rows, min(k, n - 1), "dot", sets)
    return Graph(index, value, k)


def check_topk(topk: Any) -> int:
    """Return topk as an int; it must be an integer of at least 1."""
    whole = topk.item() if getattr(topk, "shape", None) == () else topk  # a tensor of one number
    return checks.integer(whole, "topk", 1)


def mutual(a: Graph, b: Graph) -> float:
    """Mean share of common neighbours."""
    return float((_per_row(list_engine.shared_counts, a, b) + a.with_self).mean() / a.topk)


def cycle(a: Graph, b: Graph) -> float:
    """Share of rows i with some j among the neighbours of i in b such that i is a neighbour of j in a."""
    return 1.0 if a.with_self else float(_per_row(list_engine.cycles, a, b).mean())


def common_subsequence(a: Graph, b: Graph) -> float:
    """Mean length of the longest common subsequence: from 0 to topk."""
    return float((_per_row(list_engine.common_subsequences, a, b) + a.with_self).mean())


def edit_similarity(a: Graph, b: Graph) -> float:
    """1 - mean Levenshtein distance / topk."""
    return 1 - float(_per_row(list_engine.edit_distances, a, b).mean()) / a.topk


_Kernel = Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[Any]]


def _per_row(kernel: _Kernel, a: Graph, b: Graph) -> NDArray[np.int64]:
    check_paired(a.n, b.n)
    if a.index.shape[1] == 0:
        return np.zeros(a.n, np.int64)
    return kernel(a.index, b.index).astype(np.int64)


def check_paired(n: int, m: int) -> None:
    """Raise unless both sides have the same number of rows."""
    checks.check_same_rows(n, m, "feats_A", "feats_B")


def compute_nearest_neighbors(feats: Any, topk: int = 1) -> Any:
    """Indices (n, min(topk, n)) int64 of the rows of largest inner product, best first, ties by index.

    The row itself comes last, and so only if topk >= n. Rows are not normalised.

    See Also
    --------
    kernalign.knn : with similarities, ties and other metrics

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign.compat.platonic import compute_nearest_neighbors
    >>> compute_nearest_neighbors(np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 3.0]]), topk=1).tolist()
    [[1], [0], [1]]
    """
    found = graph(feats, topk)
    lists = found.index.astype(np.int64)
    if found.with_self:
        lists = np.concatenate([lists, np.arange(found.n, dtype=np.int64)[:, None]], axis=1)
    return tensors.as_given(lists, feats)


def compute_knn_accuracy(knn: Any) -> Any:
    """Share of the n items i whose block knn[i], of any shape, holds i.

    See Also
    --------
    compute_nearest_neighbors : makes such lists

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign.compat.platonic import compute_knn_accuracy
    >>> round(float(compute_knn_accuracy(np.array([[0, 1], [2, 0], [2, 1]]))), 2)
    0.67
    """
    lists = tensors.to_array(knn, "knn")
    if lists.size == 0 or lists.ndim == 0:
        raise ValueError(f"knn must hold lists of items, got shape {lists.shape}")
    blocks = lists.reshape(len(lists), -1)
    hits = (blocks == np.arange(len(lists))[:, None]).any(axis=1)
    return tensors.number(hits.mean(), np.float32, knn)


def longest_ordinal_sequence(X: Any, Y: Any) -> Any:
    """Length of the longest common subsequence of each row of X and of Y (int64), which may hold any integers.

    See Also
    --------
    kernalign.lcs_knn

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign.compat.platonic import longest_ordinal_sequence
    >>> longest_ordinal_sequence(np.array([[1, 2, 3, 4]]), np.array([[2, 1, 4, 3]])).tolist()
    [2]
    """
    x, y = tensors.to_array(X, "X"), tensors.to_array(Y, "Y")
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise ValueError(f"X and Y must be 2-D with the same number of rows, got shapes {x.shape} and {y.shape}")
    length = np.zeros((y.shape[1] + 1, len(x)), np.int64)  # of the prefixes so far, for all rows at once
    for a in x.T:
        diagonal = length[0].copy()
        for t, b in enumerate(y.T, 1):
            above = length[t].copy()
            length[t] = np.where(a == b, diagonal + 1, np.maximum(above, length[t - 1]))
            diagonal = above
    return tensors.as_given(length[-1], X, Y)
