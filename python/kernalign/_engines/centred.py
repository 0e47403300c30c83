"""Centred float64 blocks of two paired representations, and what is multiplied out of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack

from kernalign import _core
from kernalign._base.progress import Report
from kernalign._engines.directions import Matrix, Vector
from kernalign._rows import arrays

_BLOCK_ELEMENTS = 1 << 22  # 32 MB of both sides
_FEWEST_ROWS = 256
_PIECE_ELEMENTS = 1 << 16  # of both sides: half a megabyte
_QR_COLUMNS = 64  # as fast as 32 and 128
_LARGEST_EXPONENT = 1000
_LARGEST = 2.0**1021  # beyond, differences from other means than the first row may overflow
_ORDINARY_EXPONENT = 40  # products of such numbers are far from the limits of float32


@dataclass(frozen=True)
class Fold:
    """Rows whose number leaves this remainder, or (``held=False``) all others."""

    remainder: int
    of: int
    held: bool

    def mask(self, begin: int, end: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.asarray((np.arange(begin, end) % self.of == self.remainder) == self.held)

    def count(self, n: int) -> int:
        held = len(range(self.remainder, n, self.of))
        return held if self.held else n - held


@dataclass(frozen=True)
class Side:
    """One representation, read as blocks from which ``mean`` is taken and which are divided by 2^exponent."""

    rows: _core.Rows
    mean: Vector
    exponent: int
    largest: float  # distance of an entry from the mean; infinite where float64 cannot hold it

    def block(self, begin: int, end: int) -> Matrix:
        block = self.rows.dense(begin, end)
        block -= self.mean
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

    @classmethod
    def of(cls, pair: arrays.Pair, *, centred: bool = True, fold: Fold | None = None) -> Centred:
        """Find the means and the scales: one pass over the rows."""
        step = max(1, _PIECE_ELEMENTS // (pair.x.shape[1] + pair.y.shape[1]))
        steps = [(begin, min(pair.n, begin + step)) for begin in range(0, pair.n, step)]
        n = pair.n if fold is None else fold.count(pair.n)
        x, y = (_side(rows, n, steps, centred, fold) for rows in (pair.x, pair.y))
        return cls(n, n - centred, x, y, fold)

    def held_out(self) -> Centred:
        """The rows that this fold leaves out, about the means of those that it has."""
        assert self.fold is not None
        return replace(self, fold=replace(self.fold, held=not self.fold.held))

    @property
    def columns(self) -> tuple[int, int]:
        return self.x.rows.shape[1], self.y.rows.shape[1]

    def why_undefined(self) -> str | None:
        """The reason why nothing can be said about these rows, or None."""
        for side, name in ((self.x, "x"), (self.y, "y")):
            if not math.isfinite(side.largest):
                return f"{name} spans more than float64 can hold"
            if side.largest == 0:
                return f"{name} is constant" if self.free < self.n else f"{name} is zero"
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
        p, q = self.columns
        sums = {"xx": np.zeros((p, p)), "xy": np.zeros((p, q)), "yy": np.zeros((q, q))}
        sums = {name: total if name in which.split() else np.zeros((0, 0)) for name, total in sums.items()}
        squares = np.zeros(p), np.zeros(q)
        dtype, n = np.float64 if double else np.float32, self.x.rows.shape[0]
        for begin, end in _steps(n, p + q, max(_FEWEST_ROWS, (p + q) // 8)):
            sides = {"x": np.empty((end - begin, p), dtype), "y": np.empty((end - begin, q), dtype)}
            filled = 0
            for x, y in self._pieces(begin, end):
                for total, block, name in zip(squares, (x, y), "xy", strict=True):
                    total += np.einsum("ij,ij->j", block, block)
                    sides[name][filled : filled + len(block)] = block
                filled += len(x)
            for name in which.split():
                sums[name] += sides[name[0]][:filled].T @ sides[name[1]][:filled]
            if report is not None:
                report(end, n)
        return Products(**sums, squares=squares)

    def _pieces(self, begin: int, end: int) -> Iterator[tuple[Matrix, Matrix]]:
        """Both sides, as few rows at a time as stay in a core's cache while they are centred."""
        step = max(1, _PIECE_ELEMENTS // sum(self.columns))
        for at in range(begin, end, step):
            yield self._block(at, min(end, at + step))

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
            columns_at_once = min(_QR_COLUMNS, p + q)
            r, _, _, info = lapack.dtpqrt(0, columns_at_once, r, below, overwrite_a=True, overwrite_b=True)
            assert info == 0
        return r[:, :p], r[:, p:]


def _steps(n: int, columns: int, least: int = _FEWEST_ROWS) -> list[tuple[int, int]]:
    step = max(least, _BLOCK_ELEMENTS // columns)
    return [(begin, min(n, begin + step)) for begin in range(0, n, step)]


def _side(rows: _core.Rows, n: int, steps: list[tuple[int, int]], centred: bool, fold: Fold | None) -> Side:
    """Differences from one row are exactly 0 in a constant column, and so is what is left of it."""
    first = np.zeros(rows.shape[1])
    start = 0 if fold is None or fold.mask(0, 1)[0] else 1
    if centred:
        first = rows.dense(start, start + 1)[0]
    total, largest = np.zeros(rows.shape[1]), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for begin, end in steps:
            block = rows.dense(begin, end)
            if fold is not None:
                block = block[fold.mask(begin, end)]
            block -= first
            if len(block):
                largest = max(largest, float(block.max()), -float(block.min()))
            if centred:
                total += np.full(len(block), 1 / n) @ block
    if largest > _LARGEST:
        largest = math.inf
    exponent = math.frexp(largest)[1] if 0 < largest < math.inf else 0
    exponent = 0 if abs(exponent) <= _ORDINARY_EXPONENT else min(max(exponent, -_LARGEST_EXPONENT), _LARGEST_EXPONENT)
    return Side(rows, first + total, exponent, largest)
