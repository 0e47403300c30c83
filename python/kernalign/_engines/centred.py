"""Two paired representations about their means: products from the engine, and row blocks for QR."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.cached import cached_property
from kernalign._base.progress import Report
from kernalign._engines import directions
from kernalign._engines.directions import Matrix, Vector
from kernalign._rows import arrays
from kernalign._rows.decompositions import qr_append
from kernalign._rows.digits import Digits, Rounding, beyond_casting

_BLOCK_ELEMENTS = 1 << 22  # 32 MB of both sides
_FEWEST_ROWS = 256
_LARGEST_EXPONENT = 1000
_LARGEST = 2.0**1021  # beyond, differences from other means than the first row may overflow
_WIDE = 256  # with fewer columns float32 products save nothing, and their rounding (7e-7 for 20 columns) averages less
_NONE = np.empty(0, dtype=np.int64)
_ORDINARY_EXPONENT = 40  # products of such numbers are far from the limits of float32


@dataclass(frozen=True)
class Fold:
    """Rows of these numbers, which ascend, or (``held=False``) all others."""

    rows: NDArray[np.int64]
    held: bool = False

    def mask(self, begin: int, end: int) -> NDArray[np.bool_]:
        inside = np.full(end - begin, not self.held)
        inside[self.rows[slice(*np.searchsorted(self.rows, (begin, end)))] - begin] = self.held
        return inside


@dataclass(frozen=True)
class Side:
    """One representation, read as blocks from which a mean is taken and which are divided by 2^exponent."""

    rows: _core.Rows
    centre: _core.Centre
    exponent: int
    largest: float  # distance of an entry from the mean; infinite where float64 cannot hold it

    @classmethod
    def of(cls, rows: _core.Rows, centred: bool, threads: int, omitted: NDArray[np.int64] = _NONE) -> Side:
        """Find the mean and the scale: one pass over the rows."""
        centre = _core.find_centre(rows, centred, omitted, threads)
        largest = math.inf if centre.largest > _LARGEST else centre.largest
        exponent = math.frexp(largest)[1] if 0 < largest < math.inf else 0
        if abs(exponent) > _ORDINARY_EXPONENT:
            centre.exponent = min(max(exponent, -_LARGEST_EXPONENT), _LARGEST_EXPONENT)
        return cls(rows, centre, centre.exponent, largest)

    @cached_property
    def rounding(self) -> Rounding:
        return Digits.of(self.rows).rounding

    @cached_property
    def _mean(self) -> Vector:
        return self.centre.mean

    @cached_property
    def _rest(self) -> Vector:
        return self.centre.rest

    def noise(self, squares: Vector, n: int, rounding: Rounding | None = None) -> Vector:
        """What rounding of the n entries may put into each scaled column, of these sums of squares."""
        offset = self.rows.offset
        mean = self.centre.mean + (offset if len(offset) else 0.0)
        with np.errstate(over="ignore"):
            return directions.noise(np.sqrt(squares), np.ldexp(mean, -self.exponent), n, rounding or self.rounding)

    def block(self, begin: int, end: int) -> Matrix:
        return self._about_mean(self.rows.dense(begin, end), slice(None))

    def columns(self, begin: int, end: int) -> Matrix:
        """Some columns of all rows, where these can be read alone."""
        return self._about_mean(self.rows.columns(begin, end).dense(0, self.rows.shape[0]), slice(begin, end))

    def _about_mean(self, block: Matrix, columns: slice) -> Matrix:
        block -= self._mean[columns]
        block -= self._rest[columns]
        if self.exponent:
            block *= math.ldexp(1.0, -self.exponent)
        return block


@dataclass(frozen=True)
class Products:
    """Sums over the rows of the scaled sides: x^T x, x^T y, y^T y (empty unless asked for), and squares of columns."""

    xx: Matrix
    xy: Matrix
    yy: Matrix
    squares: tuple[Vector, Vector]


@dataclass(frozen=True)
class Centred:
    """Two sides, centred unless said otherwise; ``free`` is the number of directions that n such rows can have."""

    n: int
    free: int
    x: Side
    y: Side
    fold: Fold | None = None
    threads: int = 0

    @classmethod
    def of(cls, pair: arrays.Pair, *, centred: bool = True, fold: Fold | None = None) -> Centred:
        """Find the means and the scales; a fold is left out."""
        omitted = _omitted(fold)
        n = pair.n - len(omitted)
        x, y = (Side.of(rows, centred, pair.threads, omitted) for rows in (pair.x, pair.y))
        return cls(n, n - centred, x, y, fold, pair.threads)

    def held_out(self) -> Centred:
        """The rows that this fold leaves out, about the means of those that it has."""
        assert self.fold is not None
        return replace(self, fold=replace(self.fold, held=not self.fold.held))

    @property
    def columns(self) -> tuple[int, int]:
        return self.x.rows.shape[1], self.y.rows.shape[1]

    @property
    def double(self) -> bool:
        """Whether products whose condition does not matter are made in float64: not of many columns of few bits."""
        return self.x.rows.double_precision or self.y.rows.double_precision or min(self.columns) < _WIDE

    def why_undefined(self) -> str | None:
        """The reason why nothing can be said about these rows, or None."""
        for side, name in ((self.x, "x"), (self.y, "y")):
            if not math.isfinite(side.largest):
                return f"{name} spans more than float64 can hold"
            if side.largest == 0:
                return f"{name} is constant{beyond_casting(side.rows)}" if self.free < self.n else f"{name} is zero"
        return None

    def blocks(self, least: int = _FEWEST_ROWS, report: Report = None) -> Iterator[tuple[Matrix, Matrix]]:
        """Both sides, some rows at a time."""
        total = self.x.rows.shape[0]
        for begin, end in _steps(total, sum(self.columns), least):
            yield self._block(begin, end)
            if report is not None:
                report(end, total)

    def products(self, which: str = "xx xy yy", *, double: bool = True, report: Report = None) -> Products:
        """Sums over the rows, multiplied in float64 or float32, added in float64. Holds 8 (p^2 + pq + q^2) bytes."""
        wanted, n = ("xx" in which, "xy" in which, "yy" in which), self.x.rows.shape[0]
        sides, centres = (self.x.rows, self.y.rows), (self.x.centre, self.y.centre)
        in_rows = None if report is None else lambda done, total: report(done * n // total, n)
        xx, xy, yy, x, y = _core.centred_products(
            *sides, *centres, wanted, _omitted(self.fold), double, self.threads, in_rows
        )
        if report is not None:
            report(n, n)
        return Products(xx, xy, yy, (x, y))

    def _block(self, begin: int, end: int) -> tuple[Matrix, Matrix]:
        x, y = self.x.block(begin, end), self.y.block(begin, end)
        if self.fold is not None:
            mask = self.fold.mask(begin, end)
            x, y = x[mask], y[mask]
        return x, y

    def stacked(self, report: Report = None) -> tuple[Matrix, Matrix]:
        """Matrices with at most p + q rows and the same products as the sides.

        Those with more rows are replaced by R of their joint QR decomposition, found block by block, which keeps the
        condition of each.
        """
        p, q = self.columns
        if self.n <= p + q:
            both = np.concatenate([np.concatenate(block, axis=1) for block in self.blocks(report=report)])
            return both[:, :p], both[:, p:]
        r = np.zeros((p + q, p + q), order="F")
        for x, y in self.blocks(p + q, report):
            below = np.asfortranarray(np.concatenate([x, y], axis=1))
            r = qr_append(r, below)
        return r[:, :p], r[:, p:]


def _steps(n: int, columns: int, least: int = _FEWEST_ROWS) -> list[tuple[int, int]]:
    step = max(least, _BLOCK_ELEMENTS // columns)
    return [(begin, min(n, begin + step)) for begin in range(0, n, step)]


def _omitted(fold: Fold | None) -> NDArray[np.int64]:
    """The rows that an engine leaves out."""
    assert fold is None or not fold.held
    return _NONE if fold is None else fold.rows


def self_product(rows: Matrix) -> Matrix:
    """Z'Z of float64 rows as they are; infinite or nan where it overflows."""
    return _core.self_product(rows, 0)
