"""Comparisons of many dissimilarity vectors at once, where conditions may count several times, and their best mean."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.cached import cached_property
from kernalign._engines.permuted_ranks import concordance_of
from kernalign._rows.decompositions import cholesky, eigh, solve_positive

Array: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.intp]

RANKED = ("spearman", "rho_a", "kendall", "tau_b")
ORDERED = ("kendall", "tau_b")
_CENTRED = ("pearson", "whitened_pearson", "spearman", "rho_a")
_DECIMALS = 6  # of mean ranks, which are multiples of one over twice the number of subjects


class Runs:
    """The order of the entries of a vector, equal ones together: their ranks where entries count several times."""

    def __init__(self, values: Array) -> None:
        self.order = np.argsort(values, kind="stable")
        ordered = values[self.order]
        self.begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        self.lengths = np.diff(np.append(self.begins, len(values)))

    def ranks(self, weights: Array) -> Array:
        """Mid-ranks, each entry there ``weights`` times."""
        own = np.add.reduceat(weights[self.order], self.begins)
        ranks = np.empty(len(self.order))
        ranks[self.order] = np.repeat(np.cumsum(own) - (own - 1) / 2, self.lengths)
        return ranks


class Weighting:
    """How often each pair of n conditions counts, where each condition counts so many times; a condition and its own
    copies are no pair."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        first, second = np.triu_indices(len(counts), 1)
        self.pairs = (counts[first] * counts[second]).astype(np.float64)

    @cached_property
    def places(self) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Of the triangle of all copies: which pair of conditions an entry is, and which entries are pairs at all."""
        n = len(self.counts)
        at = np.zeros((n, n), dtype=np.intp)
        at[np.triu_indices(n, 1)] = np.arange(n * (n - 1) // 2)
        copies = np.repeat(np.arange(n), self.counts)
        first, second = np.triu_indices(len(copies), 1)
        return at[copies[first], copies[second]], copies[first] != copies[second]


class Compared:
    """One comparison of vectors of the n (n - 1) / 2 pairs of n conditions: values or, of ranked ones, mid-ranks."""

    def __init__(self, comparison: str, n: int, covariance: Array | None = None) -> None:
        self.comparison, self.n = comparison, n
        self._root = _root(n, covariance) if comparison.startswith("whitened") else None

    def __call__(self, x: Array, y: Array, weighting: Weighting) -> Array:
        """(R, S) scores of the rows of x with those of y."""
        if self.comparison in ORDERED:
            ranks = [[self._expanded(one, weighting) for one in side] for side in (x, y)]
            return np.array([[self._concordance(a, b, weighting) for b in ranks[1]] for a in ranks[0]])
        a, b = (self.units(side, weighting) for side in (x, y))
        return np.asarray(np.clip(self._weighted(a, weighting) @ b.T, -1.0, 1.0))

    def scale(self, values: Array, weighting: Weighting) -> Array:
        """What vectors are averaged as: ranks where each condition counts, or values of norm 1."""
        if self.comparison in RANKED:
            return np.array([Runs(one).ranks(weighting.pairs) for one in values])
        if self._root is not None:
            return self._unit(np.array([self._whitened(one) for one in values]), weighting)
        return self._unit(values, weighting)

    def units(self, values: Array, weighting: Weighting) -> Array:
        """Vectors whose products, weighted, are the scores; not for Kendall's."""
        return self._unit(self.scale(values, weighting), weighting)

    def of_mean(self, summed: Array, scaled: Array, weighting: Weighting) -> Array:
        """Score of each vector of a sum of scaled ones, or of the only one, with the scaled one of its row."""
        if self.comparison in ORDERED:
            pooled = np.broadcast_to(np.round(summed, _DECIMALS), scaled.shape)
            return np.array([self(a[None], b[None], weighting)[0, 0] for a, b in zip(pooled, scaled, strict=True)])
        a, b = self._unit(self.settled(summed, weighting), weighting), self._unit(scaled, weighting)
        return np.asarray(np.clip((self._weighted(a, weighting) * b).sum(axis=1), -1.0, 1.0))

    def settled(self, summed: Array, weighting: Weighting) -> Array:
        """Sums of scaled vectors, ranked where the comparison is."""
        if self.comparison not in RANKED:
            return summed
        return np.array([Runs(one).ranks(weighting.pairs) for one in np.round(summed, _DECIMALS)])

    def _unit(self, values: Array, weighting: Weighting) -> Array:
        """Centred where the comparison is, of norm 1; of rho-a the norm is that of ranks without ties."""
        if self._root is not None:
            return _divided(values, np.sqrt((values**2).sum(axis=1)))
        weights = weighting.pairs
        total = weights.sum()
        if self.comparison in _CENTRED:
            values = values - (values @ weights / total)[:, None]
        if self.comparison == "rho_a":
            return values * math.sqrt(12 / (total**3 - total))
        return _divided(values, np.sqrt(values**2 @ weights))

    def _weighted(self, values: Array, weighting: Weighting) -> Array:
        return values if self._root is not None else values * weighting.pairs

    def _whitened(self, values: Array) -> Array:
        """R D R of the root R of the metric, off the diagonal twice, so that products are those of matrices."""
        full, upper = np.zeros((self.n, self.n)), np.triu_indices(self.n, 1)
        full[upper] = values - values.mean() if self.comparison == "whitened_pearson" else values
        assert self._root is not None
        full = self._root @ (full + full.T) @ self._root
        return np.concatenate([full.diagonal(), math.sqrt(2) * full[upper]])

    def _expanded(self, ranks: Array, weighting: Weighting) -> Array:
        """Mid-ranks of the triangle of all copies, in which no pairs come first, all tied."""
        of, paired = weighting.places
        return Runs(np.where(paired, ranks[of], 0.0)).ranks(np.ones(len(of)))

    def _concordance(self, a: Array, b: Array, weighting: Weighting) -> float:
        paired = weighting.places[1]
        count = int(paired.sum())
        alike = concordance_of(a, b, int(weighting.counts.sum())) - float(count) * (len(a) - count)
        if self.comparison == "kendall":
            return alike / (count * (count - 1) / 2)
        untied = [count * (count - 1) / 2 - tied(side[paired]) for side in (a, b)]
        return alike / math.sqrt(untied[0] * untied[1]) if min(untied) > 0 else math.nan


def tied(ranks: Array) -> float:
    """Pairs of entries that are."""
    counts = np.unique(ranks, return_counts=True)[1]
    return float((counts * (counts - 1) / 2).sum())


def _divided(values: Array, norms: Array) -> Array:
    """Rows over their norms; nan where that is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(norms > 0, 1 / norms, np.nan)[:, None] * values)


def _root(n: int, covariance: Array | None) -> Array:
    """The symmetric root of S^-1 - S^-1 1 1' S^-1 / (1' S^-1 1); of the identity, the centring matrix."""
    if covariance is None:
        return np.eye(n) - 1 / n
    upper = cholesky(covariance)
    assert upper is not None
    inverse = solve_positive(upper, np.eye(n))
    ones = inverse.sum(axis=1)
    values, vectors = eigh(inverse - np.outer(ones, ones / ones.sum()))
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def ceilings(compared: Compared, scaled: Array, weighting: Weighting, times: Counts, *, upper: bool = True) -> Array:
    """(2, subjects) lower and upper bound of each subject, which is there so many ``times``: its score with the best
    mean of the others, and of all; nan of one that is not there, or is all there is."""
    there, bounds = times > 0, np.full((2, len(times)), np.nan)
    if there.sum() > 1:
        total, own = (times @ scaled)[None], scaled[there]
        bounds[0, there] = compared.of_mean(total - times[there][:, None] * own, own, weighting)
        if upper:
            bounds[1, there] = compared.of_mean(total, own, weighting)
    return bounds
