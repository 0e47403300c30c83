"""Scores of pairings by the direction in which each row differs from the row before, by unbiased linear CKA."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.cached import cached_property
from kernalign._rows.blocks import spans
from kernalign._rows.magnitude import divided, exponent_of
from kernalign._rows.numeric import AnyArray

Array = NDArray[np.float64]
Order = NDArray[np.intp]

_FEW_DIRECTIONS, _FEW_COLUMNS, _FEW_ROWS = 16, 64, 512
_EDGES = 33  # between which a part of the rows may have moved
_CHUNK = 1 << 22
_FLAT = 1e-9
_EXTREME = 500  # exponents whose squares leave float64


@dataclass(frozen=True, eq=False)
class Steps:
    """The direction in which each of the rows differs from the one before, the first from the last."""

    rows: Array

    @cached_property
    def values(self) -> Array:
        return directions_of(self.rows)

    @cached_property
    def squares(self) -> Array:
        found: Array = np.einsum("ij,ij->i", self.values, self.values)
        return found

    @cached_property
    def product(self) -> Array:
        return np.asarray(self.values.T @ self.values)

    @cached_property
    def norm(self) -> float:
        """Square root of n (n - 3) times unbiased HSIC with itself; 0 where there is no structure."""
        n, trace = len(self.rows), float(self.squares.sum())
        own = float((self.product**2).sum() - (self.squares**2).sum() * n / (n - 2)) + trace**2 / ((n - 1) * (n - 2))
        return math.sqrt(own) if own > _FLAT * trace**2 else 0.0

    @cached_property
    def as_text(self) -> tuple[Steps, Steps]:
        """Steps of the rows in the order of their numbers, from 0 and from 1, as text."""
        first, second = text_orders(len(self.rows))
        return Steps(self.rows[first]), Steps(self.rows[second])

    @cached_property
    def items(self) -> float:
        """How many items there are, where few of them have long steps."""
        return float(self.squares.sum() ** 2 / (self.squares**2).sum())

    @cached_property
    def skew_ratio(self) -> float:
        return float(np.einsum("ij,jk,ki->", *[self.product] * 3) / (self.product**2).sum() ** 1.5)


@lru_cache(maxsize=4)
def text_orders(n: int) -> tuple[Order, Order]:
    """Numbers from 0 and from 1 in their order as text."""
    return np.argsort(np.arange(n).astype(str)), np.argsort(np.arange(1, n + 1).astype(str))


def projected(rows: _core.Rows, directions: int, seed: int) -> Steps:
    """Steps of rows in this many random directions, if they have more columns."""
    n, p = rows.shape
    out = np.empty((n, min(p, directions)))
    onto = np.random.default_rng(seed).standard_normal((p, directions)) if p > directions else None
    first = rows.dense(0, 1)[0]
    with np.errstate(over="ignore", invalid="ignore"):
        for begin, end in spans(n, p):
            block = rows.dense(begin, end) - first
            if begin == 0:
                exponent = exponent_of(block)
            if abs(exponent) > _EXTREME:
                block = divided(block, exponent)
            out[begin:end] = block if onto is None else block @ onto
        return Steps(divided(out, exponent_of(out)))


def sketched(matrix: AnyArray, seed: int) -> Steps:
    """Steps of a few directions of a few columns, of as many rows in the middle: enough for the cheap form."""
    n, p = matrix.shape
    matrix = matrix[max(0, n - _FEW_ROWS) // 2 :][:_FEW_ROWS]
    if p > _FEW_COLUMNS:
        matrix = matrix[:, np.sort(np.random.default_rng(seed).choice(p, _FEW_COLUMNS, replace=False))]
    return projected(_core.Rows(matrix, "x"), _FEW_DIRECTIONS, seed)


def directions_of(rows: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        steps = rows - np.roll(rows, 1, axis=0)
        lengths = np.sqrt(np.einsum("ij,ij->i", steps, steps))
        steps /= np.where(lengths > 0, lengths, np.inf)[:, None]
        return np.asarray(steps - steps.mean(axis=0))


def unbiased(a: Steps, b: Steps) -> float:
    """n (n - 3) times unbiased HSIC."""
    n = len(a.rows)
    shared = float(((a.values.T @ b.values) ** 2).sum()) - float(a.squares @ b.squares) * n / (n - 2)
    return shared + constant(a, b)


def constant(a: Steps, b: Steps) -> float:
    n = len(a.rows)
    return float(a.squares.sum() * b.squares.sum() / ((n - 1) * (n - 2)))


def of_shifts(a: Steps, b: Steps) -> Array:
    """The same of row i of a with row i + s of b, for every s, by the discrete Fourier transform."""
    n, q = b.values.shape
    left, right = np.conj(np.fft.rfft(a.values, axis=0)), np.fft.rfft(b.values, axis=0)
    total = np.zeros(n)
    step = max(1, _CHUNK // (n * q))
    for begin in range(0, left.shape[1], step):
        products = np.fft.irfft(left[:, begin : begin + step, None] * right[:, None, :], n=n, axis=0)
        total += np.einsum("ijk,ijk->i", products, products)
    squares = np.fft.irfft(np.conj(np.fft.rfft(a.squares)) * np.fft.rfft(b.squares), n=n)
    return np.asarray(total - squares * n / (n - 2) + constant(a, b))


def sorted_as_text(a: Steps, b: Steps) -> list[tuple[float, str]]:
    found = []
    for first, sides in enumerate(zip(a.as_text, b.as_text, strict=True)):
        for name, (x, y) in (("x", (a, sides[1])), ("y", (sides[0], b))):
            if x.norm * y.norm > 0:
                words = f"numbers from {first} for rows of {name} that were sorted as text (1, 10, 100, 2)"
                found.append((unbiased(x, y) / (x.norm * y.norm), words))
    return found


def moved_by(move: int) -> str:
    return f"row i of x with row i {'+' if move > 0 else '-'} {abs(move)} of y"


def orders(n: int) -> Iterator[tuple[str, Order]]:
    """Orders of the rows of y other than shifts, in words."""
    rows = np.arange(n)
    yield "row i of x with row i of y from the end", rows[::-1]
    for count in range(2, math.isqrt(n) + 1):
        if n % count == 0:
            for height in {count, n // count}:
                words = f"the rows of y read as a table of {height} by {n // height}, column by column,"
                yield words, rows.reshape(height, -1).T.ravel()


def best_part(a: Steps, b: Steps, move: int) -> tuple[float, int, int, int]:
    """The best score where only the rows from one edge to another are paired with those that lie ``move`` further."""
    n = len(a.rows)
    edges = np.unique(np.linspace(0, n, min(_EDGES, 1 + n // 4)).astype(int))
    moved = np.roll(b.values, -move, axis=0), np.roll(b.squares, -move)
    gains = []
    for values, squares in ((b.values, b.squares), moved):
        parts = [a.values[i:j].T @ values[i:j] for i, j in pairwise(edges)]
        gains.append((np.cumsum(parts, axis=0), np.cumsum(np.add.reduceat(a.squares * squares, edges[:-1]))))
    change, shift = (np.concatenate([0 * part[:1], part]) for part in (gains[1][i] - gains[0][i] for i in (0, 1)))
    best = (-math.inf, 0, 0)
    for at in range(len(edges) - 1):
        products = gains[0][0][-1] + change[at + 1 :] - change[at]
        squares = gains[0][1][-1] + shift[at + 1 :] - shift[at]
        scores = np.einsum("ijk,ijk->i", products, products) - squares * n / (n - 2) + constant(a, b)
        if at == 0:
            scores[-1] = -math.inf  # all rows: a shift, which is tried elsewhere
        top = int(scores.argmax())
        best = max(best, (float(scores[top]), int(edges[at]), int(edges[at + 1 + top])))
    return *best, len(edges) * (len(edges) - 1) // 2
