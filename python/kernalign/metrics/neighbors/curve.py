"""rnx_curve: agreement of neighbourhoods of growing size, from one search per side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._engines import lists as list_engine
from kernalign._engines.neighbors import Metric
from kernalign.metrics.neighbors.groups import search_groups
from kernalign.metrics.neighbors.null import grouped_chance
from kernalign.metrics.neighbors.search import Options, search_both

_ROUNDING = 1e-12


@dataclass(frozen=True)
class RnxCurve:
    """Agreement of neighbourhoods of growing size.

    Attributes
    ----------
    ks : the neighbourhood sizes
    q_nx : mutual k-nearest-neighbour overlap (ties by index)
    r_nx : (q_nx - chance) / (1 - chance), chance being k / (n - 1): 0 by chance, 1 if equal; nan at k = n - 1
    auc : mean of r_nx over ln k between the smallest and the largest k (trapezoids)
    settings : as of a `Score`: backend, exact, ties and the like
    """

    ks: NDArray[np.int64]
    q_nx: NDArray[np.float64]
    r_nx: NDArray[np.float64]
    auc: float
    n: int
    settings: dict[str, Any] = field(default_factory=dict)


def rnx_curve(
    x: Any, y: Any, ks: Any, *, metric: Metric = "cosine", groups: Any = None, **options: Unpack[Options]
) -> RnxCurve:
    """R_NX(k), the chance-corrected mutual k-nearest-neighbour overlap, for many k from one search per side.

    Parameters
    ----------
    x, y : arrays paired by row, or two `Neighbors`
    ks : integers between 1 and n - 1; sorted, repeats dropped
    metric, groups, **options : as for `mutual_knn`; with groups the chance level is that of whole groups that change
        places

    See Also
    --------
    mutual_knn : one k, with its p-value

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((300, 10))
    >>> curve = ka.rnx_curve(x, x + 0.3 * rng.standard_normal((300, 10)), [5, 20, 80])
    >>> curve.ks.tolist(), curve.r_nx.round(1).tolist(), round(curve.auc, 1)
    ([5, 20, 80], [0.6, 0.6, 0.7], 0.6)
    """
    most = np.iinfo(np.int64).max
    sizes = sorted({checks.integer(k, "ks must hold integers: each", 1, most) for k in checks.items(ks, "ks", "k")})
    if not sizes:
        raise ValueError("ks must hold at least one k")
    if groups is None:
        found = search_both(x, y, sizes[-1], metric, "index", options, ordered=True)
    else:
        found = search_groups(x, y, sizes[-1], metric, "index", groups, options)
    n, k = found.n, np.array(sizes, dtype=np.int64)
    q = np.array(list_engine.overlap_curve(found.x.indices, found.y.indices, sizes)) / n
    chance = k / (n - 1)
    if found.groups is not None:
        chance = np.array([grouped_chance(found.first(size)) for size in sizes])
    inside = chance < 1 - _ROUNDING
    r = np.full(len(k), np.nan)
    np.divide(q - chance, 1 - chance, out=r, where=inside)
    log_k, known = np.log(k[inside]), r[inside]
    if len(known) > 1:
        area = (np.diff(log_k) * (known[1:] + known[:-1]) / 2).sum() / (log_k[-1] - log_k[0])
    else:
        area = known[0] if len(known) else np.nan
    return RnxCurve(k, q, r, float(area), n, found.settings)
