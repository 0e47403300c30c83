"""Predictivity under random pairings of the rows, of fits whose weights do not depend on y."""

from __future__ import annotations

from functools import cache

import numpy as np

from kernalign._base.score import Null
from kernalign._engines.directions import Matrix, Vector
from kernalign._rows import arrays
from kernalign._statistics.null_tail import COST, DrawnTail
from kernalign._statistics.pairings import Labels, Orders, Pairings
from kernalign.metrics.linear import regressions
from kernalign.metrics.linear.regressions import MultiOutput, Split, Statistic, Weights


def null_of(
    pair: arrays.Pair,
    cv: int | list[Split] | None,
    labels: Labels | None,
    alpha: float | None,
    statistic: Statistic,
    average: MultiOutput,
    chance: float | None,
    value: float,
) -> Null | None:
    """Of pairings, drawn where that is quick, with the ``chance`` that is known; ``alpha`` is 0 of least squares, None
    where y chooses the weights, which are then others for every pairing."""
    n, p, q = pair.n, pair.x.shape[1], pair.y.shape[1]
    count = 1 if cv is None else cv if isinstance(cv, int) else len(cv)
    if alpha is None or count * n * min(n, p) * q > COST:
        return None if chance is None else Null(chance)
    given = alpha

    @cache
    def made() -> tuple[list[Weights], Matrix]:
        splits = cv if isinstance(cv, list) else regressions.splits_of(cv, labels, pair)
        return regressions.fixed(pair, splits, given)

    def scores(orders: Orders) -> Vector:
        fits, y = made()
        found = [regressions.scored_again(fits, y[order]) for order in orders]
        return np.array([regressions.average(one.columns(statistic), one.total, average) for one in found])

    pairings = Pairings.of_items(n) if labels is None else Pairings.of_groups(labels)
    return DrawnTail(pairings, chance, scores, value=value).null()
