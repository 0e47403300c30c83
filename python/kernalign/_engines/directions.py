"""Principal directions of centred data, and nuclear norms: cheap routes with a check, and sure ones where it fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.cached import cached_property
from kernalign._rows.decompositions import eigenvalues, eigh, product, singular_values, svd
from kernalign._rows.digits import Rounding
from kernalign._rows.magnitude import exponent_of

Matrix: TypeAlias = NDArray[np.float64]
Vector: TypeAlias = NDArray[np.float64]

EPSILON = 2.0**-52
_SOUND = 1e3  # largest ratio of singular values taken from products, which square it: directions are good to 1e-10
_SMALL = 256  # a sure SVD of so few columns costs nothing
_NUCLEAR_ERROR, _GAP_ERROR = 1.5e-9, 1e-6  # relative


def noise(lengths: Vector, mean: Vector, n: int, rounding: Rounding) -> Vector:
    """What rounding may put into each of p columns: lengths such that, in columns divided by them, directions of errors
    are at most 1 long, and those that are longer are the data's.

    ``lengths`` are of the columns about ``mean``: what is rounded is the entry as it was given.
    """
    given = np.hypot(lengths, math.sqrt(n) * mean)
    most = (1 + math.sqrt(len(lengths) / n)) * np.maximum(rounding.error * given, rounding.least * math.sqrt(n))
    return np.where(lengths > 0, most, 0.0)


@dataclass(frozen=True)
class Directions:
    """Principal directions of one side, by descending singular value, without those that are rounding.

    ``right``: p x r, orthonormal, or what makes it when it is first asked for. ``left``: m x r, where the rows (or
    their QR) were at hand. ``doubtful``: there may be smaller ones that were taken for rounding; ``noisy``: the
    rounding of entries may be in any of them. ``rounded``: how many more are no longer than that. ``whitener``: p x r;
    the rows times this are the left ones.
    """

    values: Vector
    given_right: Matrix | Callable[[], Matrix]
    left: Matrix | None = None
    doubtful: bool = False
    noisy: bool = False
    rounded: int = 0
    given_whitener: Matrix | None = None

    @property
    def rank(self) -> int:
        return len(self.values)

    @cached_property
    def right(self) -> Matrix:
        return self.given_right() if callable(self.given_right) else self.given_right

    @cached_property
    def whitener(self) -> Matrix:
        return self.right / self.values if self.given_whitener is None else self.given_whitener

    def condition(self, keep: int) -> float:
        """Largest over smallest of the first ``keep`` singular values."""
        return float(self.values[0] / self.values[keep - 1]) if keep else 1.0

    def sound(self, keep: int) -> bool:
        """Whether the first ``keep`` are as good as from an SVD of the rows."""
        return self.left is not None or (
            self.condition(keep) <= _SOUND and not self.noisy and not (self.doubtful and keep == len(self.values))
        )


def of_gram(gram: Matrix, expected: int, noise: Vector) -> Directions:
    """Directions from X^T X, to be used if sound; ``expected`` is the largest rank that X can have."""
    values, vectors = eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    rank = min(int((values > len(values) * EPSILON * values[0]).sum()), expected) if values[0] > 0 else 0
    noisy = rank > 0 and float(values[rank - 1]) <= float(noise.max()) ** 2
    return Directions(np.sqrt(values[:rank]), vectors[:, :rank], doubtful=rank < expected, noisy=noisy)


def resolution(p: int, double: bool) -> float:
    """To within what products determine the eigenvalues of X^T X, p columns scaled to length 1.

    Float32 products were measured to err by up to 5 sqrt(p) units.
    """
    return p * EPSILON if double else 8 * math.sqrt(p) * 2.0**-24


def of_products(gram: Matrix, expected: int, noise: Vector, double: bool) -> tuple[Directions, Vector]:
    """Directions from X^T X where there is nothing else, and the eigenvalues of it with columns scaled to length 1.

    What is not longer than ``noise``, or than products resolve, is left out.
    """
    p = len(gram)
    lengths = np.sqrt(np.diagonal(gram))
    places = np.flatnonzero(lengths > 0)
    if not len(places):
        return Directions(np.zeros(0), np.zeros((p, 0)), given_whitener=np.zeros((p, 0))), np.zeros(1)
    units, floor = lengths[places], math.sqrt(resolution(p, double))
    head = gram[np.ix_(places, places)]
    values, vectors = eigh(head / units / units[:, None])
    scale, scaled = np.maximum(noise[places], floor * units), values / floor**2
    if (scale > floor * units).any():
        scaled, vectors = eigh(head / scale / scale[:, None])
    keep = np.flatnonzero(scaled > max(1.0, p * EPSILON * scaled[-1]))[::-1][:expected]
    roots, vectors = np.sqrt(scaled[keep]), vectors[:, keep]
    turn, s, right = svd((roots[:, None] * vectors.T) * scale)
    rank = int((s > p * EPSILON * s[0]).sum()) if len(s) else 0
    whitener, across = np.zeros((p, rank)), np.zeros((p, rank))
    whitener[places] = product(vectors / roots / scale[:, None], turn[:, :rank])
    across[places] = right[:rank].T
    seen = min(int((np.abs(values) > p * EPSILON * values[-1]).sum()), expected)
    return Directions(s[:rank], across, rounded=seen - rank, given_whitener=whitener), values


def of_rows(x: Matrix, expected: int, noise: Vector, floor: float | None = None) -> Directions:
    """Directions, left ones included, of a matrix that is held whole.

    Singular values below ``floor`` times the largest are rounding (default: the size of X times epsilon).
    """
    floor = max(x.shape) * EPSILON if floor is None else floor
    return _without_noise(x, _of_rows(x, expected, floor), noise, floor)


def of_dense(x: Matrix, mean: Vector, rounding: Rounding) -> tuple[Matrix, Vector, Matrix]:
    """(left, values, right') of rows of any scale by an SVD, without the directions that are rounding of entries.

    ``mean`` is what was subtracted from the columns before; ``x`` is overwritten.
    """
    if not x.any():
        return np.empty((len(x), 0)), np.empty(0), np.empty((0, x.shape[1]))
    exponent = exponent_of(x)
    np.ldexp(x, -exponent, out=x)  # squares of any scale stay in range
    mean = np.ldexp(mean, -exponent)
    own = x.mean(axis=0)
    lengths = np.sqrt(np.maximum((x**2).sum(axis=0) - len(x) * own**2, 0.0))
    floor = max(x.shape) * EPSILON
    left, s, right = svd(x)
    rank = int((s > floor * s[0]).sum())
    found = Directions(s[:rank], right[:rank].T, left[:, :rank])
    most = noise(lengths, np.abs(own) + np.abs(mean), len(x), rounding.divided(exponent))
    found = _without_noise(x, found, most, floor)
    assert found.left is not None
    return np.ascontiguousarray(found.left), np.ldexp(found.values, exponent), found.right.T


def _without_noise(x: Matrix, found: Directions, noise: Vector, floor: float) -> Directions:
    """Directions of x, held whole, less those that are no longer than what rounding may put into its columns."""
    if not found.rank or float(found.values[-1]) > float(noise.max()):
        return found
    scaled = np.divide(x, noise, out=np.zeros_like(x), where=noise > 0)
    left, s, right = svd(scaled)
    rank = int((s > 1).sum())
    if rank >= found.rank:
        return found
    if not rank:
        return Directions(s[:0], right[:0].T, left[:, :0], rounded=found.rank)
    turn, values, across = svd((s[:rank, None] * right[:rank]) * noise)
    left, rank = product(left[:, :rank], turn), int((values > floor * values[0]).sum())
    return Directions(values[:rank], across[:rank].T, left[:, :rank], rounded=found.rank - rank)


def _of_rows(x: Matrix, expected: int, floor: float) -> Directions:
    """Those of float64 arithmetic."""
    rows, columns = x.shape
    if rows * columns > _SMALL**2:
        wide = rows < columns
        gram = product(x, x.T) if wide else product(x.T, x)
        found = of_gram(gram, min(expected, rows, columns), np.zeros(len(gram)))
        if found.sound(found.rank):
            other = product(x.T if wide else x, found.whitener)
            left, right = (found.right, other) if wide else (other, found.right)
            return Directions(found.values, right, left)
    u, s, vt = svd(x)
    rank = min(int((s > floor * s[0]).sum()), expected) if s[0] > 0 else 0
    return Directions(s[:rank], vt[:rank].T, u[:, :rank])


def nuclear_norm(matrix: Matrix, most: float = math.inf) -> float:
    """Sum of the singular values, to a relative error of 1.5e-9 (1e-14 measured), and to 1e-6 of what ``most`` is more.

    From the eigenvalues of the smaller Gram matrix where a bound of their rounding allows it, else from an SVD. An
    error of this norm E moves roots by at most |E_i| / (1.8 root_i) and sqrt |E_i|, and the sum of all |E_i|^2 is at
    most E^2 (Hoffman and Wielandt 1953).
    """
    rows, columns = matrix.shape
    if min(rows, columns) > _SMALL:
        gram = product(matrix, matrix.T) if rows < columns else product(matrix.T, matrix)
        values = np.maximum(eigenvalues(gram), 0)
        total, rounding = float(np.sqrt(values).sum()), len(values) * EPSILON * float(values[-1])
        near = values > 4 * rounding
        error = rounding / 1.8 * math.sqrt(float((1 / values[near]).sum())) + (~near).sum() ** 0.75 * rounding**0.5
        if error <= min(_NUCLEAR_ERROR * total, _GAP_ERROR * abs(most - total)):
            return total
    return float(singular_values(matrix).sum())
