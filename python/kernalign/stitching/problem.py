"""Problem: one least-squares problem, reduced to p columns and about p rows, ready for any solver."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.linalg import lapack

from kernalign._base.score import AlignmentWarning
from kernalign._base.warn import warn
from kernalign.metrics.moments import Moments

Matrix = NDArray[np.float64]

_EIGEN_LIMIT = 1e-8  # least ratio of eigenvalues for which an eigendecomposition keeps half of the digits

_MOST_LOSS = 1e-3  # condition^2 x precision of the products beyond which fitted coefficients deserve a warning


@dataclass(frozen=True)
class Problem:
    """Minimise |x S - y|^2 + penalty(S) over p x q maps S, x and y centred if there is an intercept.

    ``rows_x`` (m, p) and ``rows_y`` (m, q) stand for all n rows: |x S - y|^2 is |rows_x S - rows_y|^2 plus ``beyond``
    per column, for every S. Normal equations hold ``gram`` = x'x and ``cross`` = x'y instead.
    """

    n: int
    mean_x: Matrix  # zero without an intercept
    mean_y: Matrix
    power: Matrix  # column sums of y^2
    solver: str
    intercept: bool = True
    gram: Matrix | None = None
    cross: Matrix | None = None
    rows_x: Matrix | None = None
    rows_y: Matrix | None = None
    beyond: Matrix | None = None
    full_rank: bool = False  # gram is known to be safely positive definite, but for zero columns
    precision: float = float(np.finfo(np.float64).eps)  # of the products in gram and cross

    @classmethod
    def of_gram(cls, gram: Matrix, shift: Matrix, columns: tuple[int, int], n: int) -> Problem:
        """From Z'Z of well-conditioned Z = [1 | x - s | y - t]."""
        p = columns[0]
        sums = gram[0, 1:]
        mean = shift[1:] + sums / n
        within = gram[1 : 1 + p, 1:] - np.outer(sums[:p], sums / n)
        power = np.diagonal(gram)[1 + p :] - sums[p:] ** 2 / n
        centred = within[:, :p], within[:, p:]
        return cls(
            n, mean[:p], mean[p:], power.clip(0), "normal equations", gram=centred[0], cross=centred[1], full_rank=True
        )

    @classmethod
    def of_triangle(
        cls, triangle: Matrix, shift: Matrix, columns: tuple[int, int], n: int, *, intercept: bool
    ) -> Problem:
        """From the R of Z = [1 | x - s | y - t]."""
        if not intercept:
            return cls.of_root(triangle, shift, columns, n, "tsqr")
        p = columns[0]
        mean = shift[1:] + triangle[0, 1:] / triangle[0, 0]
        return cls(n, mean[:p], mean[p:], solver="tsqr", intercept=True, **_sides(triangle[1:, 1:], p, p))

    @classmethod
    def of_root(cls, root: Matrix, shift: Matrix, columns: tuple[int, int], n: int, solver: str) -> Problem:
        """Without an intercept, from any F with F'F = Z'Z whose first 1 + p columns are zero below row 1 + p."""
        p, q = columns
        rows = root[:, 1:] + np.outer(root[:, 0], shift[1:])
        return cls(n, np.zeros(p), np.zeros(q), solver=solver, intercept=False, **_sides(rows, p, p + 1))

    @classmethod
    def of_rows(cls, rows: Matrix, columns: tuple[int, int], n: int, *, intercept: bool) -> Problem:
        """From few raw rows [1 | x | y]."""
        p = columns[0]
        rows = rows[:, 1:]
        mean = rows[0] + (rows - rows[0]).mean(axis=0) if intercept else np.zeros(sum(columns))
        sides = _sides(rows - mean, p, len(rows))
        return cls(n, mean[:p], mean[p:], solver="tsqr", intercept=intercept, **sides)

    @classmethod
    def of_moments(cls, moments: Moments, *, inverted: bool) -> Problem:
        """From centred second moments; warns where their condition costs a solver that inverts x'x too many digits."""
        n, means, (gram, cross, target), double = moments.centred_products()
        precision = float(np.finfo(np.float64 if double else np.float32).eps)
        condition = scaled_condition(gram) if inverted else 1.0
        if condition * precision > _MOST_LOSS:
            warn(
                f"x has condition number {np.sqrt(condition):.1e}, and moments square it: coefficients may be "
                f"off by {min(1.0, condition * precision):.0e}; stream the rows through partial_fit instead",
                AlignmentWarning,
            )
        power = np.diagonal(target).clip(0)
        certain = inverted and condition * precision <= _MOST_LOSS
        more: dict[str, Any] = {"gram": gram, "cross": cross, "full_rank": certain, "precision": precision}
        return cls(n, *means, power, "normal equations", **more)

    @property
    def finite(self) -> bool:
        """Whether nothing in it has overflowed."""
        held = (self.power, self.gram, self.cross, self.rows_x, self.rows_y)
        return all(np.isfinite(part).all() for part in held if part is not None)

    @cached_property
    def products(self) -> tuple[Matrix, Matrix]:
        """x'x and x'y."""
        if self.gram is not None and self.cross is not None:
            return self.gram, self.cross
        assert self.rows_x is not None
        assert self.rows_y is not None
        return self.rows_x.T @ self.rows_x, self.rows_x.T @ self.rows_y

    @cached_property
    def spectrum(self) -> tuple[Matrix, Matrix, Matrix]:
        """s, V and U'y of x = U diag(s) V', descending, directions beyond the rank left out."""
        if self.gram is None or self.cross is None:
            assert self.rows_x is not None
            left, s, right = np.linalg.svd(self.rows_x, full_matrices=False)
            keep = s > self._tolerance * s[0]
            return s[keep], right[keep].T, left[:, keep].T @ self.rows_y
        places = np.flatnonzero(np.diagonal(self.gram) > 0)
        head = self.gram[np.ix_(places, places)]
        values, right = linalg.eigh(head, driver="evd") if len(places) else (np.empty(0), head)
        largest = values.max(initial=0)
        keep = values > 8 * len(values) * self.precision * largest
        if self.full_rank and not (values > _EIGEN_LIMIT * largest).all():  # columns of very unequal scale
            _, s, transposed = np.linalg.svd(gram_root(head))
            keep = s > self._tolerance * s[0]
            s, right = s[keep], transposed[keep].T
        else:
            s, right = np.sqrt(values[keep])[::-1], right[:, keep][:, ::-1]
        vectors = np.zeros((len(self.gram), len(s)))
        vectors[places] = right
        return s, vectors, (vectors.T @ self.cross) / s[:, None]

    @cached_property
    def least_norm(self) -> Matrix:
        """The S of least norm among those of least |x S - y|."""
        s, vectors, targets = self.spectrum
        return np.asarray(vectors @ (targets / s[:, None]))

    @cached_property
    def strongest(self) -> tuple[Matrix, Matrix]:
        """Singular values, descending, and right singular vectors (as rows) of the least-squares predictions of y."""
        _, strength, directions = np.linalg.svd(self.spectrum[2], full_matrices=False)
        return strength, directions

    @property
    def _tolerance(self) -> float:
        """Singular values at most this times the largest are rounding: the error of a QR does not grow with n."""
        return 8 * max(len(self.mean_x), len(self.mean_y)) * self.precision

    def residual(self, coef: Matrix) -> Matrix:
        """Column sums of (x S - y)^2 for a p x q map."""
        if self.rows_x is None or self.rows_y is None or self.beyond is None:
            gram, cross = self.products
            return np.asarray((self.power + ((gram @ coef - 2 * cross) * coef).sum(axis=0)).clip(0))
        return np.asarray(((self.rows_x @ coef - self.rows_y) ** 2).sum(axis=0) + self.beyond)

    def least_squares(self) -> tuple[Matrix, int]:
        """The S of least norm among the best, and the rank of x."""
        if self.gram is not None and self.full_rank:
            active = np.diagonal(self.gram) > 0
            factor, failed = lapack.dpotrf(self.gram[np.ix_(active, active)]) if active.any() else (None, True)
            if not failed:
                assert self.cross is not None
                coef = np.zeros_like(self.cross)
                coef[active] = lapack.dpotrs(factor, self.cross[active])[0]
                return coef, int(active.sum())
        return self.least_norm, len(self.spectrum[0])

    def ridge(self, alpha: float) -> Matrix:
        """The S that minimises |x S - y|^2 + alpha |S|^2, alpha > 0."""
        p = len(self.mean_x)
        if self.gram is not None and self.cross is not None:
            # In directions that are rounding, a penalty below it would divide noise by next to nothing.
            noise = 8 * p * self.precision * float(np.trace(self.gram))
            factor, failed = (
                lapack.dpotrf(self.gram + alpha * np.eye(p)) if self.full_rank or alpha > noise else (None, True)
            )
            if not failed:
                solution: Matrix = lapack.dpotrs(factor, self.cross)[0]
                return solution
        if self.rows_x is None or len(self.spectrum[0]) < self.rows_x.any(axis=0).sum():
            s, vectors, targets = self.spectrum
            return np.asarray(vectors @ (targets / (s * (1 + (np.sqrt(alpha) / s) ** 2))[:, None]))
        assert self.rows_y is not None
        q, r = np.linalg.qr(np.vstack([self.rows_x, np.sqrt(alpha) * np.eye(p)]))
        solved: Matrix = linalg.solve_triangular(r, q[: len(self.rows_x)].T @ self.rows_y)
        return solved


def _sides(rows: Matrix, p: int, head: int) -> dict[str, Any]:
    """Rows [x | y], in x zero below the first ``head``, as a problem's fields."""
    power, beyond = (rows[:, p:] ** 2).sum(axis=0), (rows[head:, p:] ** 2).sum(axis=0)
    return {"rows_x": rows[:head, :p], "rows_y": rows[:head, p:], "beyond": beyond, "power": power}


def scaled_condition(gram: Matrix) -> float:
    """1-norm condition number of a Gram matrix whose columns are scaled to length one, zero ones left out."""
    places = np.flatnonzero(np.diagonal(gram) > 0)
    if not len(places):
        return 1.0
    scale = 1 / np.sqrt(np.diagonal(gram)[places])
    scaled = gram[np.ix_(places, places)] * scale * scale[:, None]
    factor, failed = lapack.dpotrf(scaled)
    if failed:
        return float("inf")
    reciprocal, _ = lapack.dpocon(factor, np.abs(scaled).sum(axis=0).max())
    return 1 / reciprocal if reciprocal > 0 else float("inf")


def gram_root(gram: Matrix) -> Matrix:
    """F with F'F = gram; the Cholesky factor where there is one, which bears with columns of any scale."""
    factor, failed = lapack.dpotrf(gram, clean=1)
    if not failed:
        upper: Matrix = factor
        return upper
    values, vectors = np.linalg.eigh(gram)
    return np.asarray(np.sqrt(values.clip(0))[:, None] * vectors.T)


def bordered_root(gram: Matrix, head: int) -> Matrix:
    """F with F'F = gram, whose first ``head`` columns are independent but for zero ones; the others may be anything."""
    places = np.flatnonzero(np.diagonal(gram)[:head] > 0)
    root = np.zeros_like(gram)
    factor = gram_root(gram[np.ix_(places, places)])
    across = linalg.solve_triangular(factor, gram[places, head:], trans=1)
    root[np.ix_(places, places)] = factor
    root[places, head:] = across
    root[head:, head:] = gram_root(gram[head:, head:] - across.T @ across)
    return root
