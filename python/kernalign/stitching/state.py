"""LeastSquaresState: all that a linear map from x to y is fitted from, for rows that never sit in memory together.

With Z = [1 | x - s | y - t] (s, t: means of the first chunk), the state is either the Gram matrix Z'Z (normal
equations) or the triangle R of Z = QR (TSQR), (1 + p + q)^2 numbers, and a chunk of waiting rows.

Normal equations square the condition number, so they may only be used while it is small; and what they lost cannot be
got back once the rows are gone. Therefore each chunk is added to Z'Z on trial: if the sum is still well-conditioned the
rows are dropped, otherwise the last good Z'Z (or nothing) becomes a triangle, the chunk is appended to it by
Householder reflections, and so is everything after. Adding rows never makes Z'Z smaller, so the error of a good
Z'Z, about condition^2 x 1e-16 in its weakest direction, stays that small. For the same reason one exact check serves
many chunks: until Z'Z has outgrown it, the old inverse bounds the new one.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._engines.centred import self_product
from kernalign._rows import arrays
from kernalign._rows.decompositions import cholesky, product, qr_append, qr_triangle, reciprocal_condition, solve_upper
from kernalign._rows.digits import Digits
from kernalign._rows.magnitude import check_magnitude
from kernalign.stitching.problem import Problem, bordered_root

Matrix: TypeAlias = NDArray[np.float64]
Solver: TypeAlias = Literal["normal equations", "tsqr"]

CONDITION_LIMIT = 1e4  # of [1 | x], columns scaled: its square leaves 8 digits (mathematics 2.11)
_RESIDUAL_LIMIT = 1e-6  # least share of a column of y that x must leave unexplained: its residual is a difference
_LEAST_SQUARE = 1e-200  # squares below have lost digits to underflow
_LEAST_CHUNK = 1024
MOST_EXPONENTS = 400, 400  # products of both sides, and of their inverses, stay in the range of float64
_MOST_RATIO = 900


@dataclass(frozen=True)
class _Guard:
    """What an exact check of Z'Z found, which bounds every later Z'Z."""

    active: NDArray[np.bool_]
    scale: Matrix
    inverse_norm: float
    residual: Matrix


class LeastSquaresState:
    """Second moments of a stream of paired rows, as accurate as the data allow; a value: make, update, merge, finish.

    Holds about 8 (1 + p + q) (3 (1 + p + q) + 1024) bytes however long the stream is, and up to 100 (1 + p + q)^2 while
    it works. Rows are cut into chunks counted from the start, so how they were cut into batches does not change one
    bit. ``solver`` says what is held now.
    ``products_only`` never leaves the normal equations: enough where no matrix is inverted (Procrustes).

    See Also
    --------
    LinearStitcher : finishes such states

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 3))
    >>> state = stitching.LeastSquaresState().update(x[:100], x[:100])
    >>> state = state.merge(stitching.LeastSquaresState().update(x[100:], x[100:]))
    >>> state.solver
    'tsqr'
    """

    def __init__(self, *, products_only: bool = False) -> None:
        checks.check_flag(products_only, "products_only")
        self.n = 0
        self.columns: tuple[int, int] | None = None
        self._products_only = products_only
        self._shift: Matrix | None = None
        self._gram: Matrix | None = None
        self._triangle: Matrix | None = None
        self._guard: _Guard | None = None
        self._waiting: Matrix | None = None  # raw rows [1 | x | y]
        self._filled = 0
        self._largest = [0.0, 0.0]  # magnitudes in x and in y, where they may be out of range
        self._digits: tuple[Digits, Digits] | None = None

    @property
    def solver(self) -> Solver:
        return "normal equations" if self._triangle is None else "tsqr"

    def update(self, x: Any, y: Any) -> LeastSquaresState:
        """Add paired rows: x (m, p), y (m, q). Bad input and Ctrl-C leave the state as it was, without these rows."""
        pair = arrays.pair(x, y, advise=False)
        columns = pair.x.shape[1], pair.y.shape[1]
        for name, got, known in zip("xy", columns, self.columns or columns, strict=True):
            if got != known:
                raise ValueError(f"{name} must have the {known} columns of the rows before, got {got}")
        pair.check(pair.threads)
        before = dict(self.__dict__)
        if self._waiting is not None and self._filled + pair.n >= len(self._waiting):
            before["_waiting"] = self._waiting.copy()  # flushing overwrites it
        try:
            self._digits = deepcopy(self._digits) or (Digits(columns[0]), Digits(columns[1]))
            for digits, rows in zip(self._digits, (pair.x, pair.y), strict=True):
                digits.update(rows)
            self._take(pair, columns)
        except BaseException:
            self.__dict__.update(before)
            raise
        return self

    def _take(self, pair: arrays.Pair, columns: tuple[int, int]) -> None:
        self.columns = columns
        width = 1 + sum(columns)
        if self._waiting is None:
            what = f"a map of {columns[0]} on {columns[1]} columns"
            arrays.afford(what, 100 * width**2, remedy=arrays.COLUMNS_LESS)
            self._waiting = np.empty((max(_LEAST_CHUNK, 2 * width), width))
        begin = 0
        while begin < pair.n:
            end = min(pair.n, begin + len(self._waiting) - self._filled)
            target = self._waiting[self._filled : self._filled + end - begin]
            target[:, 0] = 1.0
            largest = list(self._largest)
            places = slice(1, 1 + columns[0]), slice(1 + columns[0], width)
            for side, (rows, place) in enumerate(zip((pair.x, pair.y), places, strict=True)):
                block = rows.dense(begin, end)
                target[:, place] = block
                if rows.double_precision:  # 16- and 32-bit floats are never out of range
                    largest[side] = max(largest[side], float(block.max()), -float(block.min()))
            self._largest = largest
            self._filled += end - begin
            self.n += end - begin
            begin = end
            if self._filled == len(self._waiting):
                self._flush()

    def merge(self, other: LeastSquaresState) -> LeastSquaresState:
        """Add another stream's rows, re-based to this one's shift; in place, returns self. Empty states merge.

        Bad input and Ctrl-C leave the state as it was.
        """
        if not isinstance(other, LeastSquaresState):
            raise TypeError(f"other must be a LeastSquaresState, got {type(other).__name__}")
        if other._products_only and not self._products_only:
            raise ValueError("other must not have been made with products_only: it has lost digits that this one keeps")
        if other.n == 0:
            return self
        if self.n and self.columns != other.columns:
            raise ValueError(f"merged states must have the same columns, got {self.columns} and {other.columns}")
        right = other.copy()
        right._flush()
        if self.n == 0:
            self.__dict__.update(right.__dict__ | {"_products_only": self._products_only})
            return self
        left = self.copy()
        left._join(right)
        self.__dict__.update(left.__dict__)
        return self

    def _join(self, right: LeastSquaresState) -> None:
        """Add what another state holds, both flushed."""
        self._flush()
        assert self._shift is not None
        assert right._shift is not None
        move = np.eye(len(self._shift))
        move[0] += right._shift - self._shift
        self.n += right.n
        self._largest = [max(pair) for pair in zip(self._largest, right._largest, strict=True)]
        self._digits = deepcopy(self._digits)
        assert self._digits is not None
        assert right._digits is not None
        for digits, others in zip(self._digits, right._digits, strict=True):
            digits.merge(others)
        if self._gram is not None and right._gram is not None:
            gram = self._gram + product(product(move.T, right._gram), move)
            if self._products_only or self._accepts(gram, None):
                self._gram = gram
                return
        self._become_triangle()
        right._become_triangle()
        assert right._triangle is not None
        self._append(product(right._triangle, move))

    def copy(self) -> LeastSquaresState:
        """An independent state with the same rows."""
        twin = LeastSquaresState(products_only=self._products_only)
        twin.__dict__.update(self.__dict__)  # matrices are replaced, never written into, but for the waiting rows
        if self._waiting is not None:
            twin._waiting = np.empty_like(self._waiting)
            twin._waiting[: self._filled] = self._waiting[: self._filled]
        return twin

    def finish(self, *, intercept: bool = True, most: tuple[int, int] = MOST_EXPONENTS) -> Problem:
        """The least-squares problem of all rows so far; the state is left as it is and may go on.

        Raises
        ------
        ValueError
            No rows yet; the largest magnitude in x or y is beyond 2^-m .. 2^m, m their ``most`` (2^400 is 3e120), or
            their ratio beyond 2^-900 .. 2^900.
        """
        checks.check_flag(intercept, "intercept")
        exponents = [checks.integer(one, "most", 0) for one in checks.items(most, "most", "exponents")]
        if len(exponents) != 2:
            raise ValueError(f"most must be an exponent of x and one of y, got {checks.shown(most)}")
        if self.columns is None:
            raise ValueError("a least-squares problem needs at least one row, got 0")
        for name, largest, exponent in zip("xy", self._largest, exponents, strict=True):
            check_magnitude(largest, name, exponent)
        if all(self._largest):
            check_magnitude(self._largest[0] / self._largest[1], "x, over y,", _MOST_RATIO)
        assert self._digits is not None
        x, y = self._digits
        return replace(self._reduced(intercept), roundings=(x.rounding, y.rounding))

    def _reduced(self, intercept: bool) -> Problem:
        assert self.columns is not None
        width = 1 + sum(self.columns)
        if self._shift is None and self._filled <= width and not self._products_only:
            assert self._waiting is not None
            return Problem.of_rows(self._waiting[: self._filled], self.columns, self.n, intercept=intercept)
        whole = self.copy() if self._filled else self
        whole._flush()
        assert whole._shift is not None
        if whole._gram is None:
            assert whole._triangle is not None
            return Problem.of_triangle(whole._triangle, whole._shift, self.columns, self.n, intercept=intercept)
        if intercept:
            shortest = 0.0 if self._products_only else 1 / CONDITION_LIMIT
            return Problem.of_gram(whole._gram, whole._shift, self.columns, self.n, shortest)
        root = bordered_root(whole._gram, 1 + self.columns[0])  # raw products would square a large mean
        return Problem.of_root(root, whole._shift, self.columns, self.n, whole.solver)

    def _flush(self) -> None:
        """Take the waiting rows into the state; they are overwritten."""
        if not self._filled:
            return
        assert self._waiting is not None
        rows = self._waiting[: self._filled]
        self._filled = 0
        if self._shift is None:
            self._shift = rows[0] + (rows - rows[0]).mean(axis=0)  # exact where a column is constant
            self._shift[0] = 0.0
        rows -= self._shift
        if self._triangle is None:
            with np.errstate(over="ignore", invalid="ignore"):  # then it is not accepted
                gram = self_product(rows) if self._gram is None else self._gram + self_product(rows)
            if self._products_only or self._accepts(gram, rows):
                self._gram = gram
                return
        self._become_triangle()
        self._append(rows)

    def _accepts(self, gram: Matrix, rows: Matrix | None) -> bool:
        """Whether Z'Z holds all digits that its problem has; ``rows`` are new ones, where they are at hand."""
        assert self.columns is not None
        k = 1 + self.columns[0]
        diagonal = np.diagonal(gram)
        if not np.isfinite(diagonal).all() or ((diagonal < _LEAST_SQUARE) & (diagonal > 0)).any():
            return False
        if rows is not None and rows[:, diagonal == 0].any():
            return False
        active, power = diagonal[:k] > 0, diagonal[k:]
        guard, limit = self._guard, CONDITION_LIMIT**2
        if guard is not None and np.array_equal(active, guard.active):
            head = gram[:k, :k] if active.all() else gram[:k, :k][np.ix_(active, active)]
            scaled = np.abs(head).dot(guard.scale) * guard.scale
            if scaled.max() * guard.inverse_norm <= limit and (guard.residual >= _RESIDUAL_LIMIT * power).all():
                return True
        self._guard = _check(gram, active)
        return self._guard is not None and bool((self._guard.residual >= _RESIDUAL_LIMIT * power).all())

    def _become_triangle(self) -> None:
        if self._triangle is not None:
            return
        assert self._shift is not None
        if self._gram is None:
            self._triangle = np.zeros((len(self._shift), len(self._shift)), order="F")
            return
        assert self.columns is not None
        root = bordered_root(self._gram, 1 + self.columns[0])
        self._triangle = qr_triangle(root)
        self._gram = self._guard = None

    def _append(self, rows: Matrix) -> None:
        """R of [R; rows]."""
        assert self._triangle is not None
        self._triangle = np.triu(qr_append(self._triangle, rows))


def _check(gram: Matrix, active: NDArray[np.bool_]) -> _Guard | None:
    """Condition number and residuals of Z'Z by its Cholesky factor; None beyond the limit."""
    k = len(active)
    head = gram[:k, :k][np.ix_(active, active)]
    scale = 1 / np.sqrt(np.diagonal(head))
    head = head * scale * scale[:, None]
    factor = cholesky(head)
    if factor is None:
        return None
    norm = float(np.abs(head).sum(axis=0).max())
    reciprocal = reciprocal_condition(factor, norm)
    if not reciprocal * CONDITION_LIMIT**2 >= 1:
        return None
    explained = solve_upper(factor, scale[:, None] * gram[:k, k:][active], transposed=True)
    residual = np.diagonal(gram)[k:] - (explained**2).sum(axis=0)
    return _Guard(active, scale, 1 / (reciprocal * norm), residual)
