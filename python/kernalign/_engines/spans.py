"""One representation about its means, with its principal directions: each found once, when it is first asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernalign import _core
from kernalign._base.cached import cached_property
from kernalign._engines import directions
from kernalign._engines.centred import Centred, Side
from kernalign._engines.directions import Directions, Matrix, Vector
from kernalign._rows.blocks import row_blocks, spans
from kernalign._rows.decompositions import product

_ELEMENTS = 1 << 19  # of all rows, which stay in the cache
_WIDE = 4  # times as many columns as rows, from which the rows are multiplied some at a time


@dataclass(eq=False)
class Span:
    """A side; ``free`` is the number of directions that its n rows can have.

    ``sums`` are x^T x of the scaled columns and its diagonal, if they were found along with other sums.
    """

    side: Side
    n: int
    free: int
    threads: int
    sums: tuple[Matrix, Vector] | None = None

    @classmethod
    def of(cls, rows: _core.Rows, threads: int, *, centred: bool = True) -> Span:
        """Find the mean and the scale; nothing else yet."""
        n = rows.shape[0]
        return cls(Side.of(rows, centred, threads), n, n - centred, threads)

    @property
    def width(self) -> int:
        return self.side.rows.shape[1]

    @cached_property
    def squares(self) -> Vector:
        """Of the scaled columns."""
        if self.sums is not None:
            return self.sums[1]
        return np.asarray(sum((self.side.block(*at) ** 2).sum(axis=0) for at in row_blocks(self.side.rows)))

    @cached_property
    def noise(self) -> Vector:
        """What rounding of the entries may put into each scaled column."""
        return self.side.noise(self.squares, self.n)

    @cached_property
    def by_products(self) -> Directions:
        """From p x p products: to be used if sound."""
        if self.sums is None:
            found = Centred(self.n, self.free, self.side, self.side, None, self.threads).products("xx")
            self.sums = found.xx, found.squares[0]
        return directions.of_gram(self.sums[0], min(self.width, self.free), self.noise)

    @cached_property
    def by_rows(self) -> Directions:
        """From the rows, in float64, with left directions: from products of rows if many columns leave these sound."""
        if self.width >= _WIDE * self.n and self.side.rows.by_columns:
            found = directions.of_gram(self._row_products(), self.free, np.zeros(self.n))
            if found.sound(found.rank) and float(found.values[-1]) > float(self.noise.max()):
                return Directions(found.values, lambda: product(self._rows().T, found.whitener), found.right)
        return directions.of_rows(self._rows(), self.free, self.noise)

    def _rows(self) -> Matrix:
        return self.side.block(0, self.n)

    def _row_products(self) -> Matrix:
        """X X^T, some columns at a time, and the squares of these."""
        products, squares = np.zeros((self.n, self.n)), []
        for begin, end in spans(self.width, self.n, elements=_ELEMENTS):
            block = self.side.columns(begin, end)
            products += block @ block.T
            squares.append(np.einsum("ij,ij->j", block, block))
        self.__dict__["squares"] = np.concatenate(squares)
        return products
