"""What about a representation makes scores mean less than they seem to: its shape, its spectrum, its odd rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base import checks, hazards
from kernalign._base.progress import ProgressArgument, reporting
from kernalign._base.readable import Readable, counted
from kernalign._engines.neighbors import find
from kernalign._rows import arrays, duplicates
from kernalign._rows.blocks import spans
from kernalign._rows.decompositions import eigenvalues
from kernalign._rows.magnitude import restored
from kernalign._rows.numeric import AnyArray, as_matrix
from kernalign._rows.preprocessing import rounding_of, within_rounding

Values = NDArray[np.float64]

_DENSE = 400  # order up to which all eigenvalues cost nothing
_EXAMINED = 2000  # rows whose neighbours are searched


@dataclass(frozen=True, repr=False)
class Description(Readable):
    """Diagnostics of one representation.

    Attributes
    ----------
    n, p : items and features
    non_finite, non_finite_rows : values that are nan or infinite, and rows that hold any; all else leaves them out
    zero_rows : rows of zeros
    duplicate_rows : rows that repeat an earlier row exactly
    constant_columns : columns that do not vary, or by no more than the rounding of their dtype
    faint_columns : other columns whose standard deviation is below 1e-6 of the median one's
    participation_ratio : (sum of variances)^2 / sum of squared variances over the principal directions: 1 if one
        direction holds all, min(n - 1, p) at most; nan for a constant representation
    top_share : share of the variance along the first principal direction
    mean_share : |mean row|^2 / mean |row|^2
    norm_min, norm_median, norm_max : Euclidean norms of the rows; nan, with an UndefinedScoreWarning, where float64
        cannot hold them
    norm_spread : standard deviation of the norms / their mean
    k, tie_rate, tie_rows_examined : share of rows whose k-th and (k + 1)-th cosine neighbours are equally similar, and
        of how many rows (zero rows are left out; a sample beyond 2000); None for fewer than 3 such rows
    warnings : what follows, in sentences

    See Also
    --------
    describe : makes it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> found = ka.describe(np.random.default_rng(0).standard_normal((300, 20)))
    >>> found.n, found.p, found.zero_rows, found.warnings
    (300, 20, 0, [])
    """

    n: int
    p: int
    non_finite: int
    non_finite_rows: int
    zero_rows: int
    duplicate_rows: int
    constant_columns: int
    faint_columns: int
    participation_ratio: float
    top_share: float
    mean_share: float
    norm_min: float
    norm_median: float
    norm_max: float
    norm_spread: float
    k: int
    tie_rate: float | None
    tie_rows_examined: int

    @property
    def warnings(self) -> list[str]:
        return list(_warnings(self))

    def _told(self) -> list[str]:
        return self.warnings

    def __str__(self) -> str:
        ties = "not examined"
        if self.tie_rate is not None:
            sample = " (a sample)" if self.tie_rows_examined < self.n else ""
            ties = f"{self.tie_rate:.2%} of {counted(self.tie_rows_examined, 'row')}{sample}, k = {self.k}"
        lines = [
            f"{counted(self.n, 'item')} x {counted(self.p, 'feature')}",
            f"participation ratio    {_known(self.participation_ratio, '.4g')}",
            f"first direction        {_known(self.top_share, '.1%')} of the variance",
            f"mean row               {_known(self.mean_share, '.1%')} of the energy",
            f"row norms              {self.norm_min:.4g} to {self.norm_max:.4g}, median {self.norm_median:.4g},"
            f" spread {self.norm_spread:.2g}",
            f"zero rows              {self.zero_rows}",
            f"duplicate rows         {self.duplicate_rows}",
            f"constant columns       {self.constant_columns}",
            f"faint columns          {self.faint_columns}",
            f"ties at the k-th place {ties}",
            f"non-finite values      {self.non_finite}",
        ]
        return "\n".join([*lines, *(f"! {sentence}" for sentence in self.warnings)])


def _known(value: float, form: str) -> str:
    return "undefined" if value != value else format(value, form)


def describe(x: Any, *, k: int = 10, threads: int | None = None, progress: ProgressArgument = False) -> Description:
    """Look for what makes alignment scores of a representation misleading.

    Parameters
    ----------
    x : (n, p) array; nan and infinity are counted, not refused
    k : neighbourhood size of the tie rate (n - 1 if that is less)
    threads, progress : as for `cka`

    Notes
    -----
    Reads x four times in blocks; holds min(n, p)^2 numbers. Beyond 2000 rows the tie rate is that of the rows that
    ``knn(x, k, backend="sample")`` looks at: exact for them.

    Raises
    ------
    TypeError, ValueError
        Not a numeric 2-D array with a finite row, or k not a positive integer.

    See Also
    --------
    Description : what it returns
    check_pairing : what would be wrong with a pair

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((300, 20))
    >>> x[:, 0] *= 50
    >>> x[7] = x[3]
    >>> found = ka.describe(x)
    >>> round(found.top_share, 2), found.duplicate_rows
    (0.99, 1)
    >>> [sentence.split(":")[0] for sentence in found.warnings]
    ['1 row repeats an earlier row', 'one direction holds 99.2% of the variance']
    """
    matrix, bf16 = as_matrix(x, "x")
    n, p = matrix.shape
    arrays.afford(f"a description of {n} x {p}", 40 * min(n, p) ** 2)
    k, workers = min(checks.check_k(k, np.iinfo(np.int64).max), max(1, n - 1)), checks.check_threads(threads)
    with reporting(progress, "describe") as report:
        reader = _Reader(matrix, bf16)
        finite, zero, largest, duplicates = _rows_at_a_time(reader)
        if not finite.any():
            raise ValueError("x must have a finite row, got none")
        exponent = int(np.frexp(largest)[1]) if largest > 0 else 0
        if report is not None:
            report(1, 3)
        norms, mean, spectrum, columns = _spectrum(reader, finite, exponent)
        if report is not None:
            report(2, 3)
        tie_rate, examined = _ties(matrix, bf16, finite & ~zero, k, workers)
        if report is not None:
            report(3, 3)
    energy, mean_norm = float((norms**2).mean()), float(norms.mean())
    least, middle, most = restored([norms.min(), np.median(norms), norms.max()], exponent, "norms of the rows")
    low, high, deviation = columns
    varies = ~within_rounding(low, high, rounding_of(matrix, bf16))
    return Description(
        n=n,
        p=p,
        non_finite=reader.non_finite,
        non_finite_rows=int(n - finite.sum()),
        zero_rows=int(zero.sum()),
        duplicate_rows=duplicates,
        constant_columns=int(p - varies.sum()),
        faint_columns=hazards.faint(deviation[varies]),
        participation_ratio=spectrum[0],
        top_share=spectrum[1],
        mean_share=float(mean @ mean) / energy if energy > 0 else math.nan,
        norm_min=float(least),
        norm_median=float(middle),
        norm_max=float(most),
        norm_spread=float(norms.std()) / mean_norm if mean_norm > 0 else math.nan,
        k=k,
        tie_rate=tie_rate,
        tie_rows_examined=examined,
    )


def _warnings(d: Description) -> Iterator[str]:
    finite = d.n - d.non_finite_rows
    if d.non_finite:
        values = counted(d.non_finite, "value", "values")
        rows = counted(d.non_finite_rows, "row")
        are = "is" if d.non_finite == 1 else "are"
        yield f"{values} in {rows} {are} nan or infinite; the metrics refuse them"
    constant = math.isnan(d.participation_ratio)
    said = [hazards.zero_rows(d.zero_rows), "all rows are equal: no centred metric is defined" if constant else None]
    if not constant:
        said += [
            hazards.duplicate_rows(d.duplicate_rows),
            hazards.faint_columns(d.faint_columns),
            hazards.dominant(d.top_share) if min(finite - 1, d.p) > 1 else None,
            hazards.large_mean(d.mean_share),
            hazards.outlier(d.norm_max, d.norm_median),
            hazards.saturation(finite, d.p),
            hazards.ties(d.tie_rate, d.k),
        ]
    yield from (sentence for sentence in said if sentence)


class _Reader:
    """Blocks of a matrix as float64."""

    def __init__(self, matrix: AnyArray, bf16: bool) -> None:
        self.matrix, self._bf16 = matrix, bf16
        self.n, self.p = matrix.shape
        self.non_finite = 0

    def block(self, part: AnyArray) -> Values:
        if self._bf16:
            part = (part.astype(np.uint32) << 16).view(np.float32)
        return np.asarray(part, dtype=np.float64)

    def rows(self) -> Iterator[tuple[slice, Values]]:
        for begin, end in spans(self.n, self.p):
            yield slice(begin, end), self.block(self.matrix[begin:end])

    def row(self, at: int) -> Values:
        return np.asarray(self.block(self.matrix[at : at + 1])[0])

    def cells(self, rows: NDArray[np.intp], columns: Any) -> Values:
        return self.block(self.matrix[rows, columns]) + 0.0  # -0.0 is 0.0


def _rows_at_a_time(reader: _Reader) -> tuple[NDArray[np.bool_], NDArray[np.bool_], float, int]:
    """Which rows are finite, which are zero, the largest absolute value, and how many finite rows repeat another."""
    finite, zero = np.empty(reader.n, dtype=bool), np.empty(reader.n, dtype=bool)
    largest = 0.0
    for part, block in reader.rows():
        sound = np.isfinite(block)
        reader.non_finite += int(sound.size - sound.sum())
        finite[part] = sound.all(axis=1)
        zero[part] = finite[part] & ~block.any(axis=1)
        largest = max(largest, float(np.abs(block[finite[part]]).max(initial=0.0)))
    rows = duplicates.suspects(np.flatnonzero(finite), reader.p, reader.cells)
    hashes = np.zeros(reader.n, dtype=np.int64)
    hashes[rows] = duplicates.hashes(rows, reader.p, reader.cells)
    return finite, zero, largest, _duplicates(reader, rows, hashes)


def _duplicates(reader: _Reader, rows: NDArray[np.intp], hashes: NDArray[np.int64]) -> int:
    """Rows that equal the first row with their hash."""
    order = rows[np.argsort(hashes[rows], kind="stable")]
    starts = np.flatnonzero(np.append(True, hashes[order][1:] != hashes[order][:-1]))
    count = 0
    for begin, end in zip(starts, np.append(starts[1:], len(order)), strict=True):
        if end - begin > 1:
            first = reader.row(int(order[begin]))
            count += sum(np.array_equal(reader.row(int(at)), first) for at in order[begin + 1 : end])
    return count


def _spectrum(
    reader: _Reader, finite: NDArray[np.bool_], exponent: int
) -> tuple[Values, Values, tuple[float, float], tuple[Values, Values, Values]]:
    """Of the finite rows / 2^exponent: norms, mean, participation ratio and top share; columns' least, most and sd."""
    m = int(finite.sum())
    first = np.ldexp(reader.row(int(np.flatnonzero(finite)[0])), -exponent)
    norms, total, low, high = [], np.zeros(reader.p), first, first
    for part, block in reader.rows():
        block = np.ldexp(block[finite[part]], -exponent)
        norms.append(np.sqrt(np.einsum("ij,ij->i", block, block)))
        total += (block - first).sum(axis=0)  # exactly 0 where all rows are equal
        low = np.minimum(low, block.min(axis=0, initial=np.inf))
        high = np.maximum(high, block.max(axis=0, initial=-np.inf))
    shift = total / m
    mean = first + shift
    if reader.p <= m:
        product = np.zeros((reader.p, reader.p))
        for part, block in reader.rows():
            block = np.ldexp(block[finite[part]], -exponent) - first - shift
            product += block.T @ block
        squares = np.diag(product)
    else:
        product, squares = np.zeros((m, m)), np.empty(reader.p)
        for begin, end in spans(reader.p, m):
            columns = slice(begin, end)
            block = (
                np.ldexp(reader.block(reader.matrix[:, columns])[finite], -exponent) - first[columns] - shift[columns]
            )
            product += block @ block.T
            squares[columns] = np.einsum("ij,ij->j", block, block)
    return np.concatenate(norms), mean, _shares(product), (low, high, np.sqrt(squares / max(1, m - 1)))


def _shares(product: Values) -> tuple[float, float]:
    trace = float(np.trace(product))
    if not trace > 0:
        return math.nan, math.nan
    product = product / trace
    square = float(np.vdot(product, product))
    order = len(product)
    if order <= _DENSE:
        top = float(eigenvalues(product, largest=1)[0])
    else:
        from scipy.sparse.linalg import eigsh  # slow to import

        start = product[int(np.argmax(np.diag(product)))]
        top = float(eigsh(product, k=1, v0=start, tol=1e-9, return_eigenvectors=False)[0])
    return 1 / square, min(1.0, top)


def _ties(matrix: AnyArray, bf16: bool, usable: NDArray[np.bool_], k: int, threads: int) -> tuple[float | None, int]:
    count = int(usable.sum())
    if count < 3 or k > count - 1:
        return None, 0
    rows = _core.Rows(matrix if usable.all() else matrix[usable], "x", bfloat16=bf16)
    backend = "native" if count <= _EXAMINED else "sample"
    found = find(rows, k, "cosine", backend, threads, None, sets=True).lists
    return float(found.tie_rows.mean()), len(found.tie_rows)
