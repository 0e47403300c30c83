"""Products of Gram matrices under many pairings of the same items: what no pairing changes is made once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.cached import cached_property
from kernalign._engines.exchanged import Units, feature_sums, mean_product, triangle_sums
from kernalign._engines.gram_source import Side
from kernalign._engines.gram_sweep import gram_pair
from kernalign._rows.blocks import spans
from kernalign._rows.decompositions import product
from kernalign._rows.magnitude import divided, exponent_of, power_of_two

Values = NDArray[np.float64]
Orders = NDArray[np.int32]

GATHER = 60  # multiply-adds in the time of one gathered entry
_GRAM_BYTES = 1 << 28
_ROUNDING = 1e-13


class PermutedGrams:
    """<K, P L P'> of Gram matrices that are centred, U-centred (``unbiased``) or as they are, less their diagonals if
    ``unbiased``; (pairings, L_x, L_y) for every pairing, where row i of x is paired with row order[i] of y.

    Attributes
    ----------
    lengths : (L_x, L_y) |K| |L|
    norms : the same; nan where a side has no structure
    unit : of either side what brings its matrices to the data's own units; nan where a kernel does not exist
    """

    _n: int
    _unbiased: bool
    lengths: Values
    norms: Values
    unit: tuple[Values, Values]

    def products(self, orders: Orders) -> Values:
        raise NotImplementedError

    def mean_product(self, units: Units) -> float:
        """Mean product of the first layers over all pairings that exchange units of a class, rows in their order."""
        raise NotImplementedError

    def cosines(self, products: Values) -> Values:
        """CKA, or kernel alignment."""
        return np.clip(products / self.norms, -1.0, 1.0)

    def hsic(self, products: Values) -> Values:
        return products * np.outer(*self.unit) / (self._n * (self._n - 3 * self._unbiased))


def gram_pays(n: int, of_x: Sequence[int], of_y: Sequence[int]) -> bool:
    """Whether stored Gram matrices of layers of so many columns are faster and small enough."""
    entries, layers = n**2 // 2, len(of_x) * len(of_y)
    if entries * (len(of_x) + len(of_y)) > max(n * (sum(of_x) + sum(of_y)), _GRAM_BYTES // 8):
        return False
    return bool(entries * (len(of_y) * GATHER + layers) < n * sum(of_x) * sum(of_y))


class PermutedFeatures(PermutedGrams):
    """Of linear kernels: only the product of the whole matrices and that of the diagonals change.

    Products of features, n p q multiply-adds for each pair of layers, or of stored Gram matrices, n^2 / 2 entries; the
    latter where faster and not above 256 MB, or not above the size of the features.
    """

    def __init__(
        self,
        x: Sequence[_core.Rows],
        y: Sequence[_core.Rows],
        *,
        centred: bool,
        unbiased: bool,
        threads: int = 0,
    ) -> None:
        self._centred, self._unbiased, self._threads = centred, unbiased, threads
        self._n = x[0].shape[0]
        (self._x, unit_x), (self._y, unit_y) = (self._dense(side) for side in (x, y))
        self.unit = unit_x, unit_y
        self._diagonals = [np.stack([(v * v).sum(axis=1) for v in side]) for side in (self._x, self._y)]
        columns = ([v.shape[1] for v in side] for side in (self._x, self._y))
        self._condensed = (self._grams(self._x), self._grams(self._y)) if gram_pays(self._n, *columns) else None

    @cached_property
    def lengths(self) -> Values:  # type: ignore[override]
        x, y = (self._norms(*side) for side in zip((self._x, self._y), self._diagonals, strict=True))
        return np.outer(x, y)

    @property
    def norms(self) -> Values:  # type: ignore[override]
        return self.lengths

    def products(self, orders: Orders) -> Values:
        x, y = self._diagonals
        diagonals = np.array([x @ y[:, order].T for order in orders])
        if self._condensed is None:
            full = _core.permuted_features(self._x, self._y, orders, self._threads)
        else:
            full = 2 * _core.permuted_triangles(*self._condensed, orders, self._threads) + diagonals
        return self._numerators(full, diagonals, x, y)

    def mean_product(self, units: Units) -> float:
        d_x, d_y = (side[:1] for side in self._diagonals)
        full = mean_product(feature_sums(self._x[0], units), feature_sums(self._y[0], units), units)
        diagonal = sum((d_x[0, c].sum(axis=0) * d_y[0, c].sum(axis=0)).sum() / len(c) for c in units)
        return float(self._numerators(np.array([[full]]), np.array([[diagonal]]), d_x, d_y)[0, 0])

    def _dense(self, side: Sequence[_core.Rows]) -> tuple[list[Values], Values]:
        layers, units = [], []
        for rows in side:
            x = rows.dense(0, self._n)
            whole = exponent_of(x) + 1  # differences of any scale stay in range
            x = divided(x, whole)
            if self._centred:
                x = x - x[0]  # differences from a row are exactly 0 where all rows are equal
            rest = exponent_of(x)
            x = divided(x, rest)
            layers.append(x - x.mean(axis=0) if self._centred else x)
            units.append(power_of_two(2 * (whole + rest)))
        return layers, np.array(units)

    def _grams(self, side: list[Values]) -> Values:
        """Strictly upper triangles, row by row."""
        n = self._n
        condensed = np.empty((len(side), n * (n - 1) // 2))
        at = np.arange(n)
        starts = at * (2 * n - at - 1) // 2
        for layer, x in enumerate(side):
            for begin, end in spans(n, n, elements=1 << 21):
                tile = x[begin:end] @ x.T
                for row in range(begin, end):
                    condensed[layer, starts[row] : starts[row] + n - 1 - row] = tile[row - begin, row + 1 :]
        return condensed

    def _norms(self, side: list[Values], diagonal: Values) -> Values:
        full = np.array([(self._square(v) ** 2).sum() for v in side])
        own = np.array(
            [
                float(self._numerators(np.array([[f]]), np.array([[d @ d]]), d[None], d[None])[0, 0])
                for f, d in zip(full, diagonal, strict=True)
            ]
        )
        known = own > (_ROUNDING if self._unbiased else 0.0) * full
        return np.sqrt(np.where(known, own, np.nan))

    def _square(self, x: Values) -> Values:
        return product(x.T, x) if x.shape[1] <= self._n else product(x, x.T)

    def _numerators(self, full: Values, diagonals: Values, d_x: Values, d_y: Values) -> Values:
        """<K', P L' P'> of centred, U-centred or hollow matrices from those of whole ones."""
        n = self._n
        if not self._unbiased:
            return full
        if not self._centred:
            return full - diagonals
        traces = np.outer(d_x.sum(axis=1), d_y.sum(axis=1))
        return full - diagonals * (n / (n - 2)) + traces / ((n - 1) * (n - 2))


class PermutedTriangles(PermutedGrams):
    """Of symmetric matrices that are held as their strict upper triangles, (L, n (n - 1) / 2), and their diagonals.

    A pairing takes n^2 / 2 multiply-adds for each pair of layers.
    """

    def __init__(
        self, x: Values, y: Values, n: int, threads: int = 0, diagonals: tuple[Values, Values] | None = None
    ) -> None:
        self._off, self._diagonals = (x, y), diagonals
        self._n, self._threads = n, threads
        self._unbiased = diagonals is None

    @cached_property
    def lengths(self) -> Values:  # type: ignore[override]
        squares = [np.array([2 * float(layer @ layer) for layer in off]) for off in self._off]
        for square, own in zip(squares, self._diagonals or (), strict=False):
            square += (own**2).sum(axis=1)
        return np.asarray(np.sqrt(np.outer(*squares)))

    def products(self, orders: Orders) -> Values:
        off: Values = _core.permuted_triangles(*self._off, orders, self._threads)
        if self._diagonals is not None:
            x, y = self._diagonals
            off += np.array([x @ y[:, order].T / 2 for order in orders])
        return 2 * off

    def mean_product(self, units: Units) -> float:
        own = self._diagonals or (np.zeros((1, self._n)),) * 2
        x, y = (triangle_sums(off[0], diagonal[0], units) for off, diagonal in zip(self._off, own, strict=True))
        return mean_product(x, y, units)


class PermutedKernels(PermutedTriangles):
    """Of any kernel: K and L, centred as asked for, are renamed as they are.

    Bandwidths are those of the given data, which no pairing changes. Holds 4 n^2 bytes for each layer.
    """

    def __init__(self, x: Sequence[Side], y: Sequence[Side], *, centred: bool, unbiased: bool) -> None:
        self._centred, self._unbiased, self._sides = centred, unbiased, (x, y)
        self._n = x[0].source.n
        (off_x, own_x, unit_x), (off_y, own_y, unit_y) = map(self._held, (x, y))
        super().__init__(off_x, off_y, self._n, x[0].threads, None if unbiased else (own_x, own_y))
        self.unit = unit_x, unit_y

    @cached_property
    def norms(self) -> Values:  # type: ignore[override]
        exist = [np.array([self._structured(side) for side in sides]) for sides in self._sides]
        return np.where(np.outer(*exist), self.lengths, np.nan)

    def _held(self, sides: Sequence[Side]) -> tuple[Values, Values, Values]:
        """Off-diagonal entries, diagonals, and what both were divided by."""
        n, centred, several = self._n, self._centred and self._unbiased, len(sides) > 1
        off = np.empty((len(sides), n * (n - 1) // 2)) if several else sides[0].condensed(centred=centred)[None]
        diagonal, units = np.zeros((len(sides), n)), []
        for layer, side in enumerate(sides):
            values = off[layer]
            if several:
                values[:] = side.condensed(centred=centred)
            own = np.zeros(n) if self._unbiased else _diagonal(side)
            unit = max(values.max(), -values.min(), np.abs(own).max()) or 1.0
            values /= unit
            own /= unit
            if self._centred:
                sums = _row_sums(values, n) + own
                share = sums / (n - 2 * self._unbiased)
                mean = share.sum() / (n - self._unbiased)
                for i, row in enumerate(_rows_of(values, n)):
                    row -= share[i]
                    row -= share[i + 1 :]
                    row += mean
                own = own if self._unbiased else own - 2 * share + mean
            diagonal[layer] = own
            units.append(unit if side.reason is None else np.nan)
        return off, diagonal, np.array(units)

    def _structured(self, side: Side) -> bool:
        estimator = "unbiased" if self._unbiased else "biased"
        sums = gram_pair((side, side), {}, centred=self._centred, threads=self._threads)
        return (sums.why_undefined(estimator) if self._centred else sums.why_unaligned(estimator)) is None


def _rows_of(triangle: Values, n: int) -> Iterator[Values]:
    """The rows of a strict upper triangle, one after the other."""
    begin = 0
    for length in range(n - 1, 0, -1):
        yield triangle[begin : begin + length]
        begin += length


def _row_sums(triangle: Values, n: int) -> Values:
    """Of the symmetric matrix with that triangle and zeros on the diagonal."""
    sums = np.zeros(n)
    for i, row in enumerate(_rows_of(triangle, n)):
        sums[i] += row.sum()
        sums[i + 1 :] += row
    return sums


def _diagonal(side: Side) -> Values:
    """k(a, a) of every row."""
    form = side.options["form"]
    if form in ("rbf", "laplacian"):
        return np.ones(side.source.n)
    if form in ("euclidean", "sqeuclidean"):
        return np.zeros(side.source.n)
    blocks = [rows.dense(i, i + 1)[0] for rows in side.rows for i in range(rows.shape[0])]
    if form == "precomputed":
        return np.array([row[i] for i, row in enumerate(blocks)])
    squares = np.array([row @ row for row in blocks])
    if form == "polynomial":
        return np.asarray((squares + side.options["offset"]) ** side.options["degree"])
    return squares


def pairing_cost(x: Side, y: Side) -> int:
    """Multiply-adds, or the time of so many, that a pairing takes; what is held is less, in numbers."""
    n = x.n
    by_triangles = n * n // 2 * GATHER
    return min(by_triangles, n * x.given[0].shape[1] * y.given[0].shape[1]) if by_features(x, y) else by_triangles


def by_features(x: Side, y: Side) -> bool:
    """Whether pairings are scored from the columns of both, without Gram matrices that must be held."""
    return all(side.linear and len(side.given) == 1 and not side.apart for side in (x, y))


def permuted(x: Side, y: Side, *, centred: bool = True, unbiased: bool = True) -> PermutedGrams:
    """Of one representation each."""
    if not by_features(x, y):
        return PermutedKernels([x], [y], centred=centred, unbiased=unbiased)
    [rows_x], [rows_y] = x.rows, y.rows
    return PermutedFeatures([rows_x], [rows_y], centred=centred, unbiased=unbiased, threads=x.threads)
