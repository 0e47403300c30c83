"""Principal directions of centred data, and nuclear norms: cheap routes with a check, and sure ones where it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Matrix: TypeAlias = NDArray[np.float64]
Vector: TypeAlias = NDArray[np.float64]

EPSILON = 2.0**-52
_SOUND = 1e3  # largest ratio of singular values taken from products, which square it: directions are good to 1e-10
_SMALL = 256  # a sure SVD of so few columns costs nothing
_NUCLEAR_ERROR = 1e-11  # relative


@dataclass(frozen=True)
class Directions:
    """Principal directions of one side, by descending singular value, without those that are rounding.

    ``right``: p x r, orthonormal. ``left``: m x r, where the rows (or their QR) were at hand. ``doubtful``: there may
    be smaller ones that were taken for rounding.
    """

    values: Vector
    right: Matrix
    left: Matrix | None = None
    doubtful: bool = False

    @property
    def rank(self) -> int:
        return len(self.values)

    def condition(self, keep: int) -> float:
        """Largest over smallest of the first ``keep`` singular values."""
        return float(self.values[0] / self.values[keep - 1]) if keep else 1.0

    def sound(self, keep: int) -> bool:
        """Whether the first ``keep`` are as good as from an SVD of the rows."""
        return self.left is not None or (
            self.condition(keep) <= _SOUND and not (self.doubtful and keep == len(self.values))
        )


def of_gram(gram: Matrix, expected: int, floor: float | None = None) -> Directions:
    """Directions from X^T X; ``expected`` is the largest rank that X can have.

    Eigenvalues below ``floor`` times the largest are taken for rounding (default: the size of X^T X times epsilon).
    """
    values, vectors = linalg.eigh(gram, driver="evd", check_finite=False)
    values, vectors = values[::-1], vectors[:, ::-1]
    floor = len(values) * EPSILON if floor is None else floor
    rank = min(int((values > floor * values[0]).sum()), expected) if values[0] > 0 else 0
    return Directions(np.sqrt(values[:rank]), vectors[:, :rank], doubtful=rank < expected)


def of_rows(x: Matrix, expected: int) -> Directions:
    """Directions, left ones included, of a matrix that is held whole."""
    rows, columns = x.shape
    if min(rows, columns) > _SMALL:
        wide = rows < columns
        found = of_gram(x @ x.T if wide else x.T @ x, min(expected, rows, columns))
        if found.sound(found.rank):
            other = (x.T if wide else x) @ found.right / found.values
            left, right = (found.right, other) if wide else (other, found.right)
            return Directions(found.values, right, left)
    u, s, vt = linalg.svd(x, full_matrices=False, check_finite=False)
    rank = min(int((s > max(rows, columns) * EPSILON * s[0]).sum()), expected) if s[0] > 0 else 0
    return Directions(s[:rank], vt[:rank].T, u[:, :rank])


def nuclear_norm(matrix: Matrix) -> float:
    """Sum of the singular values, to a relative error of 1e-11.

    From the eigenvalues of the smaller Gram matrix where their rounding cannot matter, else from an SVD.
    """
    rows, columns = matrix.shape
    if min(rows, columns) > _SMALL:
        gram = matrix @ matrix.T if rows < columns else matrix.T @ matrix
        values = np.maximum(linalg.eigvalsh(gram, check_finite=False), 0)
        roots, noise = np.sqrt(values), len(values) * EPSILON * values[-1]
        error = np.minimum(np.sqrt(noise), noise / np.maximum(roots, np.sqrt(noise))).sum() if noise > 0 else 0.0
        if error <= _NUCLEAR_ERROR * roots.sum():
            return float(roots.sum())
    return float(linalg.svdvals(matrix, check_finite=False).sum())
