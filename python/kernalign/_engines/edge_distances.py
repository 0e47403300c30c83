"""Cosine distances along the neighbours of two representations, under any pairing of their items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._rows.blocks import spans

Values = NDArray[np.float64]
Lists = NDArray[np.int32]


class EdgeDistances:
    """Cosine distances of both sides along the neighbours of either, under any pairing."""

    def __init__(self, rows: Sequence[_core.Rows], lists: tuple[Lists, Lists], threads: int) -> None:
        self._lists, self._threads = lists, threads
        self._rows = [_core.ExactRows(one, "cosine", threads) for one in rows]
        self._rounding = [(8 + one.shape[1]) * 2.0**-52 for one in rows]  # of a cosine
        self.cost = 2 * lists[0].size * sum([one.shape[1] for one in rows])  # multiply-adds of a pairing

    def cosines(self, order: Lists) -> Values:
        """The cosine of every item i of x, paired with order[i] of y; nan where all its distances in one are 0."""
        x, y = self._lists
        every = np.arange(len(x), dtype=np.int32)
        renamed = y if np.array_equal(order, every) else _core.renamed_lists(y, order)
        either = np.sort(np.concatenate([x, renamed], axis=1), axis=1)
        either[:, 1:][either[:, 1:] == either[:, :-1]] = -1
        back = np.empty_like(order)
        back[order] = every
        found = np.empty(len(x))
        for begin, end in spans(len(x), either.shape[1]):
            mine = either[begin:end]
            theirs = np.where(mine < 0, np.int32(-1), order[mine])
            a = self._along(0, every[begin:end], mine, every)
            b = self._along(1, order[begin:end], theirs, back)
            with np.errstate(invalid="ignore"):
                norms = np.sqrt((a * a).sum(axis=1)) * np.sqrt((b * b).sum(axis=1))
                found[begin:end] = np.minimum(1.0, (a * b).sum(axis=1) / norms)
        return found

    def _along(self, side: int, rows: Lists, others: Lists, names: Lists) -> Values:
        """Distances to the others, in the order of their names; 0 in the place of those that are left out."""
        others = np.ascontiguousarray(others)
        index, cosines, _ = self._rows[side].nearest(np.ascontiguousarray(rows), others, others.shape[1], self._threads)
        distances = np.where(index < 0, 0.0, 1.0 - cosines)
        distances[distances <= self._rounding[side]] = 0.0
        order = np.argsort(np.where(index < 0, np.int32(-1), names[index]), axis=1, kind="stable")
        return np.take_along_axis(distances, order, axis=1)
