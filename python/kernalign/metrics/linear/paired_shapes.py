"""Normalised Bures similarity under many pairings of the rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from kernalign._engines import directions
from kernalign._engines.centred import Centred
from kernalign._engines.directions import Matrix, Vector
from kernalign._rows.decompositions import product, qr_triangle
from kernalign._statistics.null_tail import COST, LONG
from kernalign._statistics.pairings import Orders

_SINGULAR = 8  # multiply-adds in the time of min(p, q)^2 max(p, q) of a sum of singular values


def paired_shapes(
    data: Centred, part: Callable[[Matrix, int], Matrix] | None = None
) -> Callable[[Orders], Vector] | str:
    """What scores pairings, or why that takes long; of ``part`` of the rows of side 0 and 1, whatever their order."""
    p, q = (min(data.n, columns) for columns in data.columns)
    if data.n * p * q + _SINGULAR * min(p, q) ** 2 * max(p, q) > COST:
        return f"none: {LONG}"

    @cache
    def sides() -> tuple[Matrix, Matrix]:
        wholes = (np.concatenate(blocks) for blocks in zip(*data.blocks(), strict=True))
        x, y = (narrow(whole if part is None else part(whole, at)) for at, whole in enumerate(wholes))
        return x / np.linalg.norm(x), y / np.linalg.norm(y)

    def scores(orders: Orders) -> Vector:
        x, y = sides()
        return np.array([directions.nuclear_norm(product(x.T, y[order])) for order in orders])

    return scores


def narrow(x: Matrix) -> Matrix:
    """A wide side turned onto as many columns as it has rows, which changes no shape."""
    return x if len(x) >= x.shape[1] else qr_triangle(x.T).T
