"""A Moments as one float64 vector of fixed length, for what passes states between processes as tensors."""

from __future__ import annotations

import numpy as np

from kernalign.metrics.moments import Matrix, Moments

_HEAD = 2  # whether there are rows, and whether products are in float64


def packed_length(p: int, q: int) -> int:
    """How many numbers pack a state of p and q columns, whatever it has seen."""
    digits = 4 + 2 * (p + q)
    return _HEAD + digits + 12 + 4 * (p + q) + p * p + p * q + q * q


def packed(moments: Moments, p: int, q: int) -> Matrix:
    """The state of a stream of p and q columns, with its waiting rows taken into the sums; zeros if it has no rows.

    What goes on from it agrees with what goes on without it up to the rounding of float64, not in every bit.
    """
    facts, numbers = moments._state(settled=True)
    if facts["empty"]:
        return np.zeros(packed_length(p, q))
    digits = [np.array([native, used, *high, *low], dtype=np.float64) for native, used, high, low in facts["digits"]]
    return np.concatenate([[1.0, float(facts["double_precision"])], *digits, numbers])


def unpacked(vector: Matrix, p: int, q: int) -> Moments:
    """What was packed.

    Raises
    ------
    ValueError
        The vector has another length, or numbers that no rows have.
    """
    if vector.shape != (packed_length(p, q),):
        raise ValueError(f"a packed state of {p} and {q} columns has {packed_length(p, q)} numbers, got {vector.shape}")
    if not vector[0]:
        return Moments()
    digits, begin = [], _HEAD
    for columns in (p, q):
        native, used, *exponents = map(int, vector[begin : begin + 2 + 2 * columns])
        digits.append([native, used, exponents[:columns], exponents[columns:]])
        begin += 2 + 2 * columns
    facts = {"empty": False, "p": p, "q": q, "double_precision": bool(vector[1]), "digits": digits}
    return Moments._restored(facts, np.ascontiguousarray(vector[begin:]))
