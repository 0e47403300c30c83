"""How exactly entries are known: the rounding of their dtype, or of a coarser format that their digits betray."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._rows.blocks import blocks, spans
from kernalign._rows.magnitude import lengths

_MANTISSA = (1 << 52) - 1
_LONG = 16  # bits that an entry needs as a multiple of one number, beyond which a column is not taken for whole numbers
_FEWEST = 5  # significant bits: with fewer, numbers are powers of two or small whole numbers
_NOTHING = 1 << 14


class Rounding(NamedTuple):
    """Of a format: spacings of its numbers next to 1 and of its least ones, and how many of them a sum errs by."""

    name: str
    spacing: float
    least: float
    spacings: int

    @property
    def error(self) -> float:
        """Of entries that are sums of products in this format, relative."""
        return self.spacings * self.spacing

    def divided(self, exponent: int) -> Rounding:
        """That of numbers divided by 2^exponent."""
        return self._replace(least=float(np.ldexp(self.least, -exponent)))


# By significant bits. Sums in float32 were measured to err by up to 2.7 spacings; 16-bit numbers are sums in float32,
# rounded once.
_FORMATS = {
    8: Rounding("bfloat16", 2.0**-7, 0.0, 1),
    11: Rounding("float16", 2.0**-10, 2.0**-24, 1),
    24: Rounding("float32", 2.0**-23, 0.0, 4),
    53: Rounding("float64", 2.0**-52, 0.0, 4),
}

EXACT = _FORMATS[53]


COARSEST = 2.0**-6, 2.0**-24  # twice the spacing of bfloat16, and the least numbers of float16


def only_rounding(rows: _core.Rows) -> str | None:
    """The name of the format if rounding to it is all that tells rows, as they are read, from the first one.

    Not so where they vary by more than `COARSEST`, which is asked before.
    """
    rounding = Digits.of(rows).rounding
    bound = 2 * float(np.median(row_errors(rows))) if rows.zero_mean else max(2 * rounding.spacing, EXACT.error)
    return None if rows.vary(bound, rounding.least) else rounding.name


def beyond_casting(rows: _core.Rows | None) -> str:
    """What to add where rows are constant that may not have been before they were float64 numbers."""
    if rows is None or rows.spacing or np.abs(rows.given.dense(0, 1)).max() < 2.0**53:
        return ""
    return " once its integers, beyond 2^53, are cast to float64"


def row_errors(rows: _core.Rows) -> NDArray[np.float64]:
    """How far rounding of entries may have moved each row, as it is read."""
    error, errors = max(Digits.of(rows).rounding.spacing, EXACT.error), []
    for block, given in zip(blocks(rows), blocks(rows.given), strict=True):
        moved = error * lengths(block)
        if rows.zero_mean:  # what is left of a row is known no better than the row
            given = given / np.abs(given).max(axis=1, keepdims=True)
            moved *= lengths(given) / lengths(given - given.mean(axis=1, keepdims=True))
        errors.append(moved)
    return np.concatenate(errors)


class Digits:
    """What was seen of the digits of entries so far; which batches they came in does not matter.

    Entries in float64 that are all float32 numbers have been rounded to float32; that they fit into fewer bits still,
    in columns too uneven to be multiples of one number, says bfloat16 or float16.
    """

    def __init__(self, columns: int) -> None:
        self.open = np.inf  # further rows, of dtypes of this spacing or a wider one, change nothing
        self.native = 0  # significant bits of the finest dtype; 64 of integers
        self.used = 0  # bits of significands that some entry has set
        self.high, self.low = np.full(columns, -_NOTHING), np.full(columns, _NOTHING)  # exponents of a column's bits

    @classmethod
    def of(cls, rows: _core.Rows) -> Digits:
        """Of all entries, as they were given; most tell in the first row."""
        digits = cls(rows.shape[1])
        digits.update(rows)
        return digits

    def update(self, rows: _core.Rows) -> None:
        """Look at further rows."""
        self.native = max(self.native, 1 - int(np.log2(rows.spacing)) if rows.spacing else 64)
        given, n = rows.given, rows.shape[0]
        coarser = max((length for length in _FORMATS if length < self.native), default=0)
        for begin, end in ((0, 1), *spans(n, rows.shape[1])):
            if self.native == 64 or self._bits > coarser:
                self.open = rows.spacing
                return
            block = given.dense(begin, end)
            self.used |= int(np.bitwise_or.reduce(block.view(np.uint64), axis=None)) & _MANTISSA
            if self._bits <= 11:
                fraction, exponent = np.frexp(block)
                whole = np.abs(fraction * 2.0**11).astype(np.int64)
                lowest = exponent - 12 + np.frexp((whole & -whole).astype(np.float64))[1]
                self.high = np.maximum(self.high, np.where(whole > 0, exponent, -_NOTHING).max(axis=0))
                self.low = np.minimum(self.low, np.where(whole > 0, lowest, _NOTHING).min(axis=0))

    def merge(self, other: Digits) -> None:
        """Add what was seen of other rows."""
        self.native, self.used = max(self.native, other.native), self.used | other.used
        self.high, self.low = np.maximum(self.high, other.high), np.minimum(self.low, other.low)

    def pack(self) -> list[Any]:
        """As JSON."""
        return [self.native, self.used, self.high.tolist(), self.low.tolist()]

    @classmethod
    def unpack(cls, packed: Any, columns: int) -> Digits:
        """What was packed."""
        digits = cls(columns)
        native, used, *ends = packed
        if not all(type(one) is int for one in (native, used, *(one for each in ends for one in each))):
            raise ValueError("digits must be integers")
        both = np.array(ends, dtype=np.int64)
        if both.shape != (2, columns):
            raise ValueError(f"digits must be of {columns} columns")
        within = (both >= -_NOTHING).all() and (both <= _NOTHING).all()
        if native not in (*_FORMATS, 64) or not 0 <= used <= _MANTISSA or not within:
            raise ValueError("digits must be significant bits of numbers and their exponents")
        digits.native, digits.used, digits.high, digits.low = native, used, *both
        return digits

    @property
    def _bits(self) -> int:
        """Significant bits of the finest entry."""
        return 54 - (self.used & -self.used).bit_length() if self.used else 1

    @property
    def rounding(self) -> Rounding:
        """That of the coarsest format which accounts for the entries."""
        bits, native = self._bits, min(self.native, 53)
        even = not (self.high - self.low > _LONG).any()
        if bits < _FEWEST or (bits <= 11 and even):
            return _FORMATS[native]
        found = _FORMATS[min(native, *(length for length in _FORMATS if bits <= length))]
        divided = found.least > 0 and (self.low < np.log2(found.least)).any()  # by a power of two, since then
        return found._replace(least=0.0) if divided else found
