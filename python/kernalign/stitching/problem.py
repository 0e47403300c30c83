"""Problem: one least-squares problem, reduced to p columns and about p rows, ready for any solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base import hazards
from kernalign._base.cached import cached_property
from kernalign._base.score import AlignmentWarning
from kernalign._base.warn import warn
from kernalign._engines import directions
from kernalign._engines.directions import Directions
from kernalign._rows.decompositions import (
    cholesky,
    eigh,
    product,
    qr_triangle,
    reciprocal_condition,
    solve_positive,
    solve_upper,
    svd,
)
from kernalign._rows.digits import EXACT, Rounding
from kernalign._rows.magnitude import lengths
from kernalign.metrics.linear.principal import warn_of_rounding
from kernalign.metrics.moments import Moments

Matrix = NDArray[np.float64]

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
    shortest: float = 0.0  # bound below the singular values of x, columns scaled to length 1 but for zero ones
    double: bool = True  # precision of the products in gram and cross
    roundings: tuple[Rounding, Rounding] = (EXACT, EXACT)  # of the entries of x and y

    @classmethod
    def of_gram(cls, gram: Matrix, shift: Matrix, columns: tuple[int, int], n: int, shortest: float) -> Problem:
        """From Z'Z of well-conditioned Z = [1 | x - s | y - t]; ``shortest`` as above."""
        p = columns[0]
        sums = gram[0, 1:]
        mean = shift[1:] + sums / n
        within = gram[1 : 1 + p, 1:] - np.outer(sums[:p], sums / n)
        power = np.diagonal(gram)[1 + p :] - sums[p:] ** 2 / n
        centred = within[:, :p], within[:, p:]
        more: dict[str, Any] = {"gram": centred[0], "cross": centred[1], "shortest": shortest}
        return cls(n, mean[:p], mean[p:], power.clip(0), "normal equations", **more)

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
        products, means, (gram, cross, target) = moments.centred_products()
        precision = 2.0**-52 if products.double else 2.0**-23
        condition = scaled_condition(gram) if inverted else 1.0
        certain = condition * precision <= _MOST_LOSS
        more: dict[str, Any] = {"double": products.double, "roundings": products.roundings}
        more |= {"gram": gram, "cross": cross, "shortest": 1 / np.sqrt(condition) if inverted and certain else 0.0}
        made = cls(products.engine.n, *means, np.diagonal(target).clip(0), "normal equations", **more)
        loss = (condition if certain else made._kept_condition()) * precision
        if loss > _MOST_LOSS:
            warn(
                f"x has condition number {np.sqrt(loss / precision):.1e}, and moments square it: coefficients may be "
                f"off by {min(1.0, loss):.0e}; stream the rows through partial_fit instead",
                AlignmentWarning,
            )
        return made

    def _kept_condition(self) -> float:
        """Condition number of x'x in directions that are no rounding of entries; inf if there may be others."""
        assert self.gram is not None
        found, values = directions.of_products(self.gram, len(self.gram), self.noise, self.double)
        resolved = np.sqrt(directions.resolution(len(self.gram), self.double)) * self._lengths
        if (self.noise < resolved).any():
            return float("inf")
        return float(values[-1] / values[-found.rank]) if found.rank else 1.0

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
        return product(self.rows_x.T, self.rows_x), product(self.rows_x.T, self.rows_y)

    @cached_property
    def noise(self) -> Matrix:
        """What rounding of the entries may put into each column of x."""
        return directions.noise(self._lengths, self.mean_x, self.n, self.roundings[0])

    @cached_property
    def _lengths(self) -> Matrix:
        """Of the columns of x."""
        if self.rows_x is None:
            assert self.gram is not None
            return np.sqrt(np.diagonal(self.gram))
        return lengths(self.rows_x.T)

    @cached_property
    def directions(self) -> Directions:
        """Of x, without those that are rounding."""
        if self.rows_x is None:
            assert self.gram is not None
            return directions.of_products(self.gram, len(self.gram), self.noise, self.double)[0]
        floor = 8 * max(len(self.mean_x), len(self.mean_y)) * directions.EPSILON  # a QR's does not grow with n
        return directions.of_rows(self.rows_x, min(self.rows_x.shape), self.noise, floor)

    @cached_property
    def spectrum(self) -> tuple[Matrix, Matrix, Matrix]:
        """s, V and U'y of x = U diag(s) V', descending, directions beyond the rank left out."""
        found = self.directions
        if found.left is None:
            assert self.cross is not None
            return found.values, found.right, product(found.whitener.T, self.cross)
        assert self.rows_y is not None
        return found.values, found.right, product(found.left.T, self.rows_y)

    @cached_property
    def least_norm(self) -> Matrix:
        """The S of least norm among those of least |x S - y|."""
        s, vectors, targets = self.spectrum
        return product(vectors, targets / s[:, None])

    @cached_property
    def strongest(self) -> tuple[Matrix, Matrix]:
        """Singular values, descending, and right singular vectors (as rows) of the least-squares predictions of y."""
        _, strength, across = svd(self.spectrum[2])
        return strength, across

    @cached_property
    def rank_fitted(self) -> int:
        """Directions of the least-squares predictions of y that are longer than the rounding of y."""
        fitted = self.spectrum[2]
        if not fitted.size:
            return 0
        noise = directions.noise(np.sqrt(self.power), self.mean_y, self.n, self.roundings[1])
        return directions.of_rows(fitted, min(fitted.shape), noise).rank

    @property
    def _sure(self) -> bool:
        """Whether x'x is safely positive definite, but for zero columns, and no direction of x is rounding."""
        return self.shortest > 0 and bool((self.noise <= self.shortest * self._lengths).all())

    def warn(self, name: str) -> None:
        """Say, in the name of a public function, what of x is rounding, or may be."""
        if not self._sure:
            warn_of_rounding(name, "x", self.directions, self.roundings[0])
        faint = hazards.faint_columns(hazards.faint(self._lengths[self._lengths > self.noise]))
        if faint is not None:
            warn(faint.of(f"{name}, x"), AlignmentWarning)

    def residual(self, coef: Matrix) -> Matrix:
        """Column sums of (x S - y)^2 for a p x q map."""
        if self.rows_x is None or self.rows_y is None or self.beyond is None:
            gram, cross = self.products
            return np.asarray((self.power + ((product(gram, coef) - 2 * cross) * coef).sum(axis=0)).clip(0))
        return np.asarray(((product(self.rows_x, coef) - self.rows_y) ** 2).sum(axis=0) + self.beyond)

    def least_squares(self) -> tuple[Matrix, int]:
        """The S of least norm among the best, and the rank of x."""
        if self.gram is not None and self._sure:
            active = np.diagonal(self.gram) > 0
            factor = cholesky(self.gram[np.ix_(active, active)]) if active.any() else None
            if factor is not None:
                assert self.cross is not None
                coef = np.zeros_like(self.cross)
                coef[active] = solve_positive(factor, self.cross[active])
                return coef, int(active.sum())
        return self.least_norm, len(self.spectrum[0])

    def ridge(self, alpha: float) -> Matrix:
        """The S that minimises |x S - y|^2 + alpha |S|^2, alpha > 0."""
        p = len(self.mean_x)
        if self.gram is not None and self.cross is not None:
            # In directions that are rounding, a penalty below it would divide noise by next to nothing.
            precision = directions.EPSILON if self.double else 2.0**-23
            noise = max(8 * p * precision * float(np.trace(self.gram)), float(self.noise.max()) ** 2)
            factor = cholesky(self.gram + alpha * np.eye(p)) if self._sure or alpha > noise else None
            if factor is not None:
                return solve_positive(factor, self.cross)
        if self.rows_x is None or len(self.spectrum[0]) < self.rows_x.any(axis=0).sum():
            s, vectors, targets = self.spectrum
            return product(vectors, targets / (s * (1 + (np.sqrt(alpha) / s) ** 2))[:, None])
        assert self.rows_y is not None
        penalty = np.hstack([np.sqrt(alpha) * np.eye(p), np.zeros((p, self.rows_y.shape[1]))])
        r = qr_triangle(np.vstack([np.hstack([self.rows_x, self.rows_y]), penalty]))
        return solve_upper(r[:p, :p], r[:p, p:])


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
    factor = cholesky(scaled)
    if factor is None:
        return float("inf")
    reciprocal = reciprocal_condition(factor, float(np.abs(scaled).sum(axis=0).max()))
    return 1 / reciprocal if reciprocal > 0 else float("inf")


def gram_root(gram: Matrix) -> Matrix:
    """F with F'F = gram; the Cholesky factor where there is one, which bears with columns of any scale."""
    factor = cholesky(gram)
    if factor is not None:
        return factor
    values, vectors = eigh(gram)
    return np.asarray(np.sqrt(values.clip(0))[:, None] * vectors.T)


def bordered_root(gram: Matrix, head: int) -> Matrix:
    """F with F'F = gram, whose first ``head`` columns are independent but for zero ones; the others may be anything."""
    places = np.flatnonzero(np.diagonal(gram)[:head] > 0)
    root = np.zeros_like(gram)
    factor = gram_root(gram[np.ix_(places, places)])
    across = solve_upper(factor, gram[places, head:], transposed=True)
    root[np.ix_(places, places)] = factor
    root[places, head:] = across
    root[head:, head:] = gram_root(gram[head:, head:] - product(across.T, across))
    return root
