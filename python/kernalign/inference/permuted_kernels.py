"""HSIC, CKA and kernel alignment of many pairings of the same items, from Gram matrices that are held."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kernalign._base.score import AlignmentWarning
from kernalign._engines import permuted
from kernalign._engines.gram_source import Side
from kernalign._engines.gram_sweep import gram_pair
from kernalign.metrics.kernel.cka import finish_kernel_alignment
from kernalign.metrics.record import OfGrams

Values = NDArray[np.float64]
Orders = NDArray[np.intp]


class PermutedKernels:
    """HSIC, CKA and kernel alignment under any kernel: K and L, centred as the metric wants, are renamed as they are.

    Bandwidths are those of the given data, which no pairing changes. Holds 4 n^2 bytes for each layer; a
    pairing takes n^2 / 2 multiply-adds for each pair of layers.
    """

    def __init__(self, metrics: Mapping[str, OfGrams], x: Sequence[Side], y: Sequence[Side], estimator: str) -> None:
        self._metrics, self._unbiased = metrics, estimator == "unbiased"
        self._centred = all(states.centred for states in metrics.values())
        self._n = x[0].source.n
        self._threads = x[0].threads
        self._off_x, self._diagonal_x, unit_x, norm_x = self._side(x)
        self._off_y, self._diagonal_y, unit_y, norm_y = self._side(y)
        n = self._n
        self._units = np.outer(unit_x, unit_y) / (n * (n - 3 * self._unbiased) if self._centred else 1)
        self._norms = np.outer(norm_x, norm_y)

    def scores(self, orders: Orders) -> dict[str, Values]:
        off = permuted.permuted_triangles(self._off_x, self._off_y, orders, self._threads)
        products = 2 * off + np.array([self._diagonal_x @ self._diagonal_y[:, order].T for order in orders])
        cosines = np.clip(products / self._norms, -1.0, 1.0)
        hsic = products * self._units + 0 * self._norms  # nan where there is no kernel
        return {metric: cosines if states.cosine else hsic for metric, states in self._metrics.items()}

    def _side(self, sides: Sequence[Side]) -> tuple[Values, Values, Values, Values]:
        """Off-diagonal entries, diagonals, what both were divided by, and norms, which are nan where undefined."""
        n = self._n
        off, diagonal = np.empty((len(sides), n * (n - 1) // 2)), np.zeros((len(sides), n))
        units, norms = np.ones(len(sides)), np.full(len(sides), np.nan)
        rows, columns = np.triu_indices(n, 1)
        for layer, side in enumerate(sides):
            values = side.condensed(centred=self._centred and self._unbiased)
            own = np.zeros(n) if self._unbiased else _diagonal(side)
            units[layer] = max(np.abs(values).max(), np.abs(own).max()) or 1.0
            values /= units[layer]
            own /= units[layer]
            if self._centred:
                sums = np.bincount(rows, values, n) + np.bincount(columns, values, n) + own
                share = sums / (n - 2 * self._unbiased)
                mean = share.sum() / (n - self._unbiased)
                values -= share[rows]
                values -= share[columns]
                values += mean
                own = own if self._unbiased else own - 2 * share + mean
            off[layer], diagonal[layer] = values, own
            if self._exists(side):
                norms[layer] = np.sqrt(2 * values @ values + own @ own)
        return off, diagonal, units, norms

    def _exists(self, side: Side) -> bool:
        sums = gram_pair((side, side), {}, centred=self._centred, threads=side.threads)
        if not any(states.cosine for states in self._metrics.values()):
            return sums.no_kernel is None
        if self._centred:
            return sums.why_undefined("unbiased" if self._unbiased else "biased") is None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AlignmentWarning)  # of a score that is not shown
            return finish_kernel_alignment(sums, "unbiased" if self._unbiased else "biased").reason is None


def _diagonal(side: Side) -> Values:
    """k(a, a) of every row."""
    form = side.options["form"]
    if form in ("rbf", "laplacian"):
        return np.ones(side.source.n)
    [rows] = side.rows
    blocks = [rows.dense(i, i + 1)[0] for i in range(side.source.n)]
    if form == "precomputed":
        return np.array([row[i] for i, row in enumerate(blocks)])
    squares = np.array([row @ row for row in blocks])
    if form == "polynomial":
        return np.asarray((squares + side.options["offset"]) ** side.options["degree"])
    return squares
