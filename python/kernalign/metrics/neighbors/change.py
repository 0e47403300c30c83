"""How much the neighbours of items change between two indexes, item by item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign._base.readable import Readable
from kernalign._base.score import Score
from kernalign.metrics.neighbors.overlap import Metric, mutual_of
from kernalign.metrics.neighbors.search import Options, search_both

Rows = NDArray[np.intp]


@dataclass(frozen=True, repr=False)
class Change(Readable):
    """What was found.

    Attributes
    ----------
    score : mutual_knn, the mean of ``kept``
    rows : (m,) rows of the old index whose neighbours were compared; None: queries that are no rows of it
    kept : (m,) share of the neighbours that are among those of the other index
    nearest : (m, 2) the nearest row in the old index and in the new one, as rows of the old
    """

    score: Score
    rows: Rows | None
    kept: NDArray[np.float64]
    nearest: Rows


def neighbor_change(
    old: Any, new: Any, k: int, metric: Metric, *, queries: Any = None, **options: Unpack[Options]
) -> Change:
    """Compare the k nearest of every row, or of ``queries``, as `mutual_knn` does."""
    found = search_both(old, new, k, metric, "fractional", options, ordered=True, whole=False, queries=queries)
    score = mutual_of(found, per_item=True)
    assert score.per_item is not None
    assert found.pair is not None
    own = np.arange(len(score.per_item)) if found.x.rows is None else found.x.rows.astype(np.intp)
    nearest = np.stack([found.x.indices[:, 0], found.y.indices[:, 0]], axis=1).astype(np.intp)
    if found.pair.kept.rows is not None:
        own, nearest = found.pair.kept.rows[own], found.pair.kept.rows[nearest]
    foreign = found.x.rows is None and found.x.items is not None
    return Change(score, None if foreign else own, score.per_item, nearest)
