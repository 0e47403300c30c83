"""How exactly entries are known: the rounding of their dtype, or of a coarser format that their digits betray."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernalign import _core
from kernalign._rows.blocks import spans

_MANTISSA = (1 << 52) - 1
_LONG = 16  # bits that an entry needs as a multiple of one number, beyond which a column is not taken for whole numbers
_FEWEST = 5  # significant bits: with fewer, numbers are powers of two or small whole numbers
_NOTHING = 1 << 14


class Rounding(NamedTuple):
    """``error``: of a product in such a format, relative; ``least``: spacing of its least numbers; and its name."""

    error: float
    least: float
    name: str


# By significant bits. Results of float32 and float64 have the rounding of a whole sum, measured up to four spacings;
# 16-bit numbers are sums in float32, rounded once.
_FORMATS = {
    8: Rounding(2.0**-7, 0.0, "bfloat16"),
    11: Rounding(2.0**-10, 2.0**-24, "float16"),
    24: Rounding(2.0**-21, 0.0, "float32"),
    53: Rounding(2.0**-50, 0.0, "float64"),
}

EXACT = _FORMATS[53]


class Digits:
    """What was seen of the digits of entries so far; which batches they came in does not matter.

    Entries in float64 that are all float32 numbers have been rounded to float32; that they fit into fewer bits still,
    in columns too uneven to be multiples of one number, says bfloat16 or float16.
    """

    def __init__(self, columns: int) -> None:
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
        for begin, end in ((0, 1), *spans(n, rows.shape[1])):
            coarser = [length for length in _FORMATS if length < self.native]
            if self.native == 64 or self._bits > max(coarser, default=0):
                return  # nothing that follows can change the answer
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
        native, used, *exponents = packed
        high, low = (np.array(each, dtype=np.int64) for each in exponents)
        if not (type(native) is int and type(used) is int and high.shape == low.shape == (columns,)):
            raise ValueError(f"digits must be of {columns} columns")
        if native not in (*_FORMATS, 64) or not 0 <= used <= _MANTISSA or np.abs([high, low]).max() > _NOTHING:
            raise ValueError("digits must be significant bits of numbers and their exponents")
        digits.native, digits.used, digits.high, digits.low = native, used, high, low
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
        return _FORMATS[min(native, *(length for length in _FORMATS if bits <= length))]
