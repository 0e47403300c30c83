"""Whether rows are paired as they should be: another order of the rows of y that scores clearly higher."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Unpack

import numpy as np

from kernalign import _core
from kernalign._base import checks
from kernalign._base.readable import Readable
from kernalign._rows import arrays
from kernalign._rows.blocks import blocks
from kernalign._rows.options import Options
from kernalign._statistics.tails import pearson3_tail
from kernalign.inference.row_steps import (
    Steps,
    best_part,
    constant,
    moved_by,
    of_shifts,
    orders,
    projected,
    sorted_as_text,
    unbiased,
)

CLEAR = 1e-6  # of right and of unrelated pairings, fewer are reported: mathematics 3.10
_GAIN = 1.25
_DIRECTIONS = 64
_PRODUCTS = 1 << 24  # directions^2 times rows
_WIDER = 1.65  # than that of random pairings is the spread of the scores of all shifts, at most, in real data
_LEAST = 16
_BLOCK = 60_000_000  # bytes of products of columns, some at a time


@dataclass(frozen=True, repr=False)
class PairingCheck(Readable):
    """Outcome of `check_pairing`; ``str()`` says it in words.

    Attributes
    ----------
    given, best : scores of the given pairing and of the best other one; nan where there is nothing to compare
    pairing : the best other one, in words
    p_value : probability, at most, of such a gain by chance, among all pairings that were tried
    suspicious : whether the other one is clearly better, or rows of y are copies of other rows of x
    copies : how many rows of y are copies of rows of x, but of other ones than they are paired with
    n : items
    settings : directions, and how many other pairings were tried

    See Also
    --------
    check_pairing : makes it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((50, 4))
    >>> check = ka.check_pairing(x, x[::-1])
    >>> bool(check.given < check.best), check.copies
    (True, 50)
    """

    given: float
    best: float
    pairing: str
    p_value: float
    suspicious: bool
    copies: int
    n: int
    settings: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        said = []
        if 2 * self.copies >= self.n:
            said.append(
                f"{self.copies} of the {self.n} rows of y are copies of other rows of x than they are paired with"
            )
        if self.suspicious and self.p_value < CLEAR:
            said.append(f"{self.pairing} scores {self.best:.2f}, the given pairing {self.given:.2f}")
        return "; ".join(said) or "no other pairing scores clearly higher"


def check_pairing(x: Any, y: Any, **options: Unpack[Options]) -> PairingCheck:
    """Look for a pairing of the rows of x and y that scores clearly higher than the given one.

    A small p-value does not show that rows are paired as they should be: rows that lie beside their partners score far
    above chance if neighbouring rows are alike, as in sorted data. What is tried is what happens to files: all rows
    moved by any number, a part of them by one (a row is missing here and another one there), the reverse, numbers
    sorted as text (1, 10, 100, 2), and rows read as a table by columns. Copies of rows are looked for too.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 16
    **options : as for `cka`

    Returns
    -------
    PairingCheck

    Notes
    -----
    What is scored is the direction in which each row differs from the row before, by unbiased linear CKA, in [-1, 1]:
    what neighbouring rows have in common says nothing of their pairing, and a long row counts as much as any. More than
    64 columns are projected to random directions, 64 or fewer for many rows, which lowers all scores alike. Another
    pairing is clearly higher if its gain is by a quarter and has a probability below one in a million of the null of
    random pairings, widened to the spread of the scores of all shifts, times the number of pairings tried.

    Two passes over the rows, O(n p d + n d^2 log n) time and some 150 n d bytes, d directions: about 0.1 s at n = 1000.

    Raises
    ------
    ValueError, TypeError
        Bad input, as for `cka`; fewer than 16 items.

    See Also
    --------
    permutation_test
    describe : what would be wrong with one side

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 10))
    >>> y = x + rng.standard_normal((200, 10))
    >>> ka.check_pairing(x, y).suspicious
    False
    >>> check = ka.check_pairing(x, np.roll(y, 1, axis=0))
    >>> check.suspicious, check.pairing
    (True, 'row i of x with row i + 1 of y')
    """
    pair = arrays.pair(x, y, **options)
    checks.check_count(pair.n, _LEAST, "check_pairing")
    pair.check(pair.threads)
    directions = max(12, min(_DIRECTIONS, math.isqrt(_PRODUCTS // pair.n)))
    columns = min(directions, pair.x.shape[1]) + min(directions, pair.y.shape[1])
    pair.afford("check_pairing", (72 * columns + 600) * pair.n + _BLOCK)
    a, b = (projected(rows, directions, seed) for seed, rows in enumerate((pair.x, pair.y)))
    found = compared(a, b)
    copies = _copies(pair.x, pair.y)
    suspicious = found.clear or 2 * copies >= pair.n
    settings = {**pair.settings, "directions": (a.rows.shape[1], b.rows.shape[1]), "tried": found.tried}
    return PairingCheck(found.given, found.best, found.pairing, found.p_value, suspicious, copies, pair.n, settings)


class Found(NamedTuple):
    """Scores of the given and of the best other pairing, and whether that is clearly higher."""

    given: float
    best: float
    pairing: str
    p_value: float
    tried: int

    @property
    def clear(self) -> bool:
        return self.p_value < CLEAR and self.best > _GAIN * self.given


_UNKNOWN = Found(math.nan, math.nan, "", 1.0, 0)


def compared(a: Steps, b: Steps) -> Found:
    """The best of all pairings that are known to happen, and how probable its gain is by chance."""
    n, scale = len(a.rows), a.norm * b.norm
    if not scale > 0:
        return _UNKNOWN
    shifts = of_shifts(a, b) / scale
    at = 1 + int(shifts[1:].argmax())
    tried = [(float(shifts[at]), moved_by(at if at <= n // 2 else at - n)), *sorted_as_text(a, b)]
    count = n - 1 + len(tried)
    for words, order in orders(n):
        moved = Steps(b.rows[order])
        count += 1
        if moved.norm > 0:
            tried.append((unbiased(a, moved) / (a.norm * moved.norm), words))
    for move in (1, -1):
        score, begin, end, checked = best_part(a, b, move)
        tried.append((score / scale, f"{moved_by(move)}, for i from {begin} to {end - 1},"))
        count += checked
    middle = float(np.median(shifts[1:]))
    spread = 1.4826 * float(np.median(np.abs(shifts[1:] - middle)))
    return _judged(a, b, float(shifts[0]), tried, count, middle, spread)


def suspected(a: Steps, b: Steps) -> Found | None:
    """The cheap form: None unless rows that moved by one to three score clearly higher; then all pairings are tried."""
    if not _quickly_compared(a, b).clear:
        return None
    found = compared(a, b)
    return found if found.clear else None


def _quickly_compared(a: Steps, b: Steps) -> Found:
    scale = a.norm * b.norm
    if not scale > 0:
        return _UNKNOWN
    n, reach = len(a.rows), 3
    values, squares = (np.concatenate([part[-reach:], part, part[:reach]]) for part in (b.values, b.squares))
    windows = np.lib.stride_tricks.sliding_window_view(values, n, axis=0)
    products = windows @ a.values
    scores = np.einsum("ijk,ijk->i", products, products)
    scores -= np.lib.stride_tricks.sliding_window_view(squares, n) @ a.squares * (n / (n - 2))
    scores = (scores + constant(a, b)) / scale
    tried = [(float(scores[reach + move]), moved_by(move)) for move in range(-reach, reach + 1) if move]
    return _judged(a, b, float(scores[reach]), tried, len(tried), 0.0, _WIDER * _chance_sd(a, b))


def _judged(
    a: Steps, b: Steps, given: float, tried: list[tuple[float, str]], count: int, middle: float, spread: float
) -> Found:
    best, words = max(tried)
    if min(a.items, b.items) < _LEAST / 2:
        return Found(given, best, words, 1.0, count)
    z = min(best - given, best - middle) / max(spread, _chance_sd(a, b))
    skew = math.sqrt(8) * a.skew_ratio * b.skew_ratio
    return Found(given, best, words, min(1.0, count * pearson3_tail(z, skew)), count)


def _chance_sd(a: Steps, b: Steps) -> float:
    """Of the score of a random pairing, where only rows with steps are items."""
    items = max(_LEAST / 2, min(a.items, b.items))
    return math.sqrt(2 / (items * (items - 3)))


def _copies(x: _core.Rows, y: _core.Rows) -> int:
    """How many rows of y are, to the rounding of float32, one row of x that is not their partner."""
    if x.shape != y.shape:
        return 0
    keys = [[hash(row.tobytes()) for block in blocks(side) for row in block.astype(np.float32) + 0] for side in (x, y)]
    once = [{key for key, count in Counter(own).items() if count == 1} for own in keys]
    both = once[0] & once[1]
    return sum(own in both and own != partner for partner, own in zip(*keys, strict=True))
