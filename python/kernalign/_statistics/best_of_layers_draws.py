"""Draws of the largest score of a layer search: how the scores of pairs of layers depend on each other by chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Values = NDArray[np.float64]
Singles = NDArray[np.float32]
Part = tuple[Values, Values, float]

_BLOCK = 64  # draws of every field at a time
_COPIES = 6  # draws that put the same fields together in different ways
_SQUARES = 4  # fields of squares
_SQUARES_SKEW = 2.1  # squares of a score times skew^2: keeps their share of the score away from 1
_MOST_SHARE = 0.97
_ROOT = 0.48  # of correlations: see Chaos
_KURTOSIS = 1.2  # of a score, in units of that of the Pearson III law of its skewness
_NORMAL_SKEW = 1e-3
_NODES = 9  # skews that have a table
_LOWEST, _STEP = -3.0, 0.03
_PLACES = np.sinh(_LOWEST + _STEP * np.arange(240))  # standard scores from -10 to 32, dense where scores are
_NORMALS = np.linspace(-6.5, 6.5, 131)
_DENSITY = np.exp(-(_NORMALS**2) / 2)


@dataclass(frozen=True)
class Chaos:
    """What scores have in common beyond their covariance because they are quadratic forms (science 3.5).

    Under random pairing <K_a, P L_b P'> is nearly sum_ij lambda_i mu_j (g_ij^2 - 1): the directions of two layers meet
    in independent normals g, which similar layers share. The third joint cumulant of the scores (a,b), (c,d), (e,f) is
    sqrt(8) tr(K_a K_c K_e) tr(L_b L_d L_f) in units of their spreads. Among layers whose spectra are alike the trace
    tr(K_a K_c K_e) is close to sqrt(R_ac R_ce R_ea), R the correlations, times tr K^3. Fields of squared normals whose
    correlations are sqrt(R_ac R_bd) have just these cumulants. A few are drawn, with the share of a score's spread that
    gives the score its skewness. (Real layers, which have their dominating directions in common, are a little closer to
    each other than the square root says; a slightly smaller power fits them.)
    """

    left: Values
    right: Values
    squares: int
    share: Values

    @classmethod
    def of(cls, x: Values, y: Values, skew: Values, most: Any = 1.0) -> Chaos | None:
        """From the correlations of the layers of both sides and the skewness of every pair.

        ``most``: share of the spread of every pair that is that of a quadratic form. None if no pair is skewed, or one
        is for other reasons (degrees of neighbour graphs): then only margins are bent.
        """
        skewed = skew[skew > _NORMAL_SKEW]
        if not len(skewed):
            return None
        squares = int(np.clip(_SQUARES_SKEW / np.median(skewed) ** 2, 1, _SQUARES))
        share = share_of_squares(skew, squares)
        if (share > most).any():
            return None
        left, right = (_unit_factor(np.maximum(side, 0.0) ** _ROOT) for side in (x, y))
        return cls(left, right, squares, share)


def share_of_squares(skew: Any, squares: float) -> Values:
    """Share of a score's spread that so many squared normals need to give it a skewness; 0 where that is not known."""
    root = np.cbrt(np.maximum(np.nan_to_num(skew), 0.0) * math.sqrt(squares / 8))
    return np.asarray(np.minimum(root, _MOST_SHARE))


@dataclass(frozen=True)
class Law:
    """Scores of all pairs of layers under random pairing: exact means and covariances, bent to their skewness.

    ``parts``: (F, G, weight) of normal fields sqrt(weight) F N G', N independent, that add up to the scores; squares
    take the place of some of the variance of the first.
    """

    parts: list[Part]
    mean: Values
    sd: Values
    skew: Values | None
    chaos: Chaos | None

    def maxima(self, draws: int, seed: int) -> Values:
        """The largest score of every draw, ascending; in single precision, save the bending."""
        varying = self.sd > 0
        floor = float(self.mean[~varying].max(initial=-math.inf))
        if not varying.any():
            return np.full(draws, floor)
        bend, rng = _Bend(self), np.random.Generator(np.random.SFC64(seed))
        found: list[Values] = []
        while sum(map(len, found)) < draws:
            found.append(bend.maxima(self._draw(rng, varying)))
        return np.sort(np.maximum(np.concatenate(found)[:draws], floor))

    def _draw(self, rng: np.random.Generator, varying: NDArray[np.bool_]) -> Singles:
        """(L_x, draws, L_y) scores that are not bent yet; -inf where they are constant.

        Adding fields is cheaper than drawing them, so draws share fields, shifted against each other: of the squares
        two draws have one field at most in common, and the normal rest comes with both signs.
        """
        start = np.where(varying, self.mean, -np.inf)
        rest, scale = np.ones_like(start), np.zeros_like(start)
        squares: list[Singles] = []
        count = 0
        if self.chaos is not None:
            count, of_first = self.chaos.squares, self.parts[0][2] * np.outer(*map(_squares_of_rows, self.parts[0][:2]))
            taken = np.minimum((self.sd * self.chaos.share) ** 2, of_first)  # less, but for rounding
            rest = np.sqrt(1 - taken / np.where(of_first > 0, of_first, 1.0))
            scale = np.sqrt(taken / (2 * count))
            start = start - count * scale
            squares = [_field(rng, self.chaos.left, self.chaos.right) for _ in range(_SQUARES)]
            squares = [np.multiply(np.square(one, out=one), _across(scale), out=one) for one in squares]
        normal = _field(rng, *self.parts[0]) * _across(rest)
        for part in self.parts[1:]:
            normal += _field(rng, *part)
        copies = _COPIES if squares else 2
        scores = np.empty((self.sd.shape[0], copies, _BLOCK, self.sd.shape[1]), dtype=np.float32)
        for copy in range(copies):
            into = scores[:, copy]
            into[...] = _across(start)
            for at in range(count):
                _add(into, squares[(copy + at) % _SQUARES], copy * at + copy // _SQUARES)
            _add(into, normal, 5 * (copy // 2), -1 if copy % 2 else 1)
        return scores.reshape(len(scores), copies * _BLOCK, -1)


class _Bend:
    """Turns drawn scores into ones of their own skewness, by tables over skewness and standard score."""

    def __init__(self, law: Law) -> None:
        self._mean, self._sd = law.mean, law.sd
        varying = law.sd > 0
        root = np.cbrt(np.zeros_like(law.sd) if law.skew is None else np.nan_to_num(law.skew))
        low, high = float(root[varying].min()), float(root[varying].max())
        nodes = np.linspace(low, high, _NODES)
        squares = None if law.chaos is None else law.chaos.squares
        self._tables = np.stack([bent_scores(float(node) ** 3, squares) for node in nodes])
        self._node = np.clip((root - low) / (high - low) * (_NODES - 1) if high > low else 0 * root, 0, _NODES - 1)
        # bounds, over all pairs, of where a drawn score goes: most pairs need not be bent
        unit, middle = float(law.sd.max()), float(law.mean[varying].mean())
        reach = np.arcsinh(_PLACES[-1] + np.ptp(law.mean[varying]) / unit)
        self._scores = middle + unit * np.sinh(np.linspace(-reach, reach, 301))
        self._least, self._most = np.full(301, np.inf), np.full(301, -np.inf)
        for x in np.flatnonzero(varying.any(axis=1)):
            everywhere = self._bent(self._scores[None], x, np.flatnonzero(varying[x])[:, None])
            self._least = np.minimum(self._least, everywhere.min(axis=0))
            self._most = np.maximum(self._most, everywhere.max(axis=0))

    def maxima(self, scores: Singles) -> Values:
        """The largest score of every draw."""
        top = scores.max(axis=0).max(axis=1)
        reached = self._least[np.maximum(np.searchsorted(self._scores, top) - 1, 0)]
        needed = self._scores[np.maximum(np.searchsorted(self._most, reached) - 1, 0)]
        needed = np.minimum(needed.astype(np.float32), top)
        place = np.flatnonzero(scores >= needed[None, :, None])
        row, y = np.divmod(place, scores.shape[2])
        x, draw = np.divmod(row, scores.shape[1])
        found = np.full(scores.shape[1], -np.inf)
        np.maximum.at(found, draw, self._bent(scores.ravel()[place].astype(np.float64), x, y))
        return found

    def _bent(self, scores: Values, x: Any, y: Any) -> Values:
        mean, sd, node = self._mean[x, y], self._sd[x, y], self._node[x, y]
        along = np.clip((np.arcsinh((scores - mean) / sd) - _LOWEST) / _STEP, 0, len(_PLACES) - 1)
        column = np.minimum(along.astype(np.intp), len(_PLACES) - 2)
        row = np.minimum(node.astype(np.intp), _NODES - 2)
        along, node = along - column, node - row
        flat, at = self._tables.ravel(), row * len(_PLACES) + column
        upper = flat[at] * (1 - along) + flat[at + 1] * along
        at += len(_PLACES)
        lower = flat[at] * (1 - along) + flat[at + 1] * along
        return np.asarray(mean + sd * (upper * (1 - node) + lower * node))


def bent_scores(skew: float, squares: int | None) -> Values:
    """Where standard scores `_PLACES`, drawn for a pair of this skewness, go: to the same quantiles of the pair's law.

    That law has mean 0, variance 1 and the skewness. Its kurtosis is a fifth above that of the Pearson III law, which
    is the least that a quadratic form can have (equal eigenvalues), or less where none has so much; in eleven sets of
    real layers the median was .3 to .5 above. Negative skewness mirrors it.
    """
    share = 0.0 if squares is None else float(share_of_squares(skew, squares))
    drawn = _PLACES if share == 0 else normal_scores(_PLACES, share, squares or 1)
    if abs(skew) < _NORMAL_SKEW:
        return drawn
    own = max(float(share_of_squares(abs(skew), 1)), _KURTOSIS**-0.5)
    wanted, places = normal_scores(_PLACES, own, 8 * own**6 / skew**2), _PLACES
    if skew < 0:
        wanted, places = -wanted[::-1], -places[::-1]
    return np.asarray(np.interp(drawn, wanted, places))


def normal_scores(places: Values, share: float, squares: float) -> Values:
    """Standard normal quantiles of P(share (C - squares) / sqrt(2 squares) + sqrt(1 - share^2) N <= place).

    C is chi-squared with ``squares`` degrees of freedom, which need not be whole, and N standard normal.
    """
    lower = special.gammaincinv(squares / 2, special.ndtr(np.minimum(_NORMALS, 0)))
    upper = special.gammainccinv(squares / 2, special.ndtr(-np.maximum(_NORMALS, 0)))
    chi = (2 * np.where(_NORMALS < 0, lower, upper) - squares) / math.sqrt(2 * squares)
    z = (places[:, None] - share * chi) / math.sqrt(1 - share**2)
    weights = _DENSITY / _DENSITY.sum()
    below, above = special.ndtr(z) @ weights, special.ndtr(-z) @ weights
    return np.asarray(np.where(below < above, special.ndtri(below), -special.ndtri(above)))


def factor(covariance: Values) -> Values:
    """F with F F' = covariance, which rounding may have made slightly indefinite."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _unit_factor(correlation: Values) -> Values:
    """A factor of a correlation matrix that is close to this one, which may be indefinite."""
    made = factor(correlation)
    length = np.sqrt(_squares_of_rows(made))
    return np.asarray(made / np.where(length > 0, length, 1.0)[:, None])


def _squares_of_rows(matrix: Values) -> Values:
    return np.asarray((matrix * matrix).sum(axis=1))


def _field(rng: np.random.Generator, left: Values, right: Values, weight: float = 1.0) -> Singles:
    """(L_x, _BLOCK, L_y): draws of sqrt(weight) F N G'."""
    normal = rng.standard_normal((left.shape[1], _BLOCK * right.shape[1]), dtype=np.float32)
    half = (math.sqrt(weight) * left).astype(np.float32) @ normal
    full = half.reshape(-1, right.shape[1]) @ right.T.astype(np.float32)
    return np.asarray(full.reshape(len(left), _BLOCK, len(right)))


def _across(values: Values) -> Singles:
    """Of all draws the same."""
    return values.astype(np.float32)[:, None, :]


def _add(into: Singles, field: Singles, shift: int, sign: int = 1) -> None:
    """Add a field, or subtract it, with its draws shifted round."""
    operation, shift = (np.add if sign > 0 else np.subtract), shift % _BLOCK
    operation(into[:, shift:], field[:, : _BLOCK - shift], out=into[:, shift:])
    operation(into[:, :shift], field[:, _BLOCK - shift :], out=into[:, :shift])
