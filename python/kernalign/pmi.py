"""Kernels from what occurs together: co-occurrence counts, pointwise mutual information, and when it embeds exactly."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from kernalign._base import checks
from kernalign._base.readable import Readable
from kernalign._rows.decompositions import eigh
from kernalign._rows.matrices import Array, error_of, square, symmetric

ZeroCells: TypeAlias = Literal["error", "floor", "ppmi"]


@dataclass(frozen=True, repr=False)
class Cooccurrences(Readable):
    """How often symbols occur together.

    Attributes
    ----------
    symbols : the symbols, in the order of their first appearance
    counts : (m, m) int64, symmetric: ordered pairs of places, so that a pair counts in [a, b] and in [b, a]

    See Also
    --------
    cooccurrences : makes it

    Examples
    --------
    >>> from kernalign import pmi
    >>> found = pmi.cooccurrences([[1, 2, 3, 2]], radius=1)
    >>> found.symbols, found.counts.sum().item()
    ((1, 2, 3), 6)
    """

    symbols: tuple[Hashable, ...]
    counts: NDArray[np.int64]


def cooccurrences(sequences: Iterable[Sequence[Hashable]], radius: int | None = None) -> Cooccurrences:
    """Count the pairs of places in a sequence that are at most ``radius`` apart, in both orders.

    Parameters
    ----------
    sequences : texts, walks, or windows: each a sequence of hashable symbols. Pairs never span two of them.
    radius : largest distance of a pair, >= 1; None takes each sequence as one window, order aside

    Raises
    ------
    TypeError, ValueError
        One string in place of many sequences, a symbol that is not hashable, no symbol at all, radius < 1.

    Notes
    -----
    Holds the sequences as numbers and m x m counts.

    See Also
    --------
    pmi_kernel : of such counts

    Examples
    --------
    >>> from kernalign import pmi
    >>> found = pmi.cooccurrences([["red", "car"], ["red", "bus"], ["red", "car"]])
    >>> found.symbols, found.counts.tolist()
    (('red', 'car', 'bus'), [[0, 2, 1], [2, 0, 0], [1, 0, 0]])
    """
    if radius is not None:
        radius = checks.check_positive(radius, "radius")
    numbers: dict[Hashable, int] = {}
    coded = []
    for sequence in checks.items(sequences, "sequences", "sequences of symbols"):
        if not isinstance(sequence, Iterable) or getattr(sequence, "ndim", 1) != 1:
            raise TypeError(f"sequences must hold sequences of symbols, got {checks.shown(sequence)}")
        symbols = sequence.tolist() if isinstance(sequence, np.ndarray) else sequence
        try:
            coded.append(np.array([numbers.setdefault(symbol, len(numbers)) for symbol in symbols], dtype=np.int64))
        except TypeError as error:
            raise TypeError(f"sequences must hold hashable symbols: {error}") from None
    size = len(numbers)
    if size == 0:
        raise ValueError("sequences must hold at least one symbol")
    counts = np.zeros((size, size), dtype=np.int64)
    flat = counts.reshape(-1)
    for codes in coded:
        if radius is None:
            present, times = np.unique(codes, return_counts=True)
            counts[np.ix_(present, present)] += np.outer(times, times)
            counts[present, present] -= times
        else:
            for lag in range(1, min(radius, len(codes) - 1) + 1):
                np.add.at(flat, codes[:-lag] * size + codes[lag:], 1)
    if radius is not None:
        counts = counts + counts.T
    return Cooccurrences(tuple(numbers), counts)


@dataclass(frozen=True, repr=False)
class PmiKernel(Readable):
    """Pointwise mutual information log P(a, b) - log P(a) - log P(b), in nats.

    Attributes
    ----------
    kernel : (m, m) symmetric
    kept : (m,) rows of the counts that the symbols stand in; those that never occur with any are dropped

    See Also
    --------
    pmi_kernel : makes it

    Examples
    --------
    >>> from kernalign import pmi
    >>> found = pmi.pmi_kernel([[4, 0, 2], [0, 0, 0], [2, 0, 4]])
    >>> found.kept.tolist(), found.kernel.shape
    ([0, 2], (2, 2))
    """

    kernel: Array
    kept: NDArray[np.int64]


def pmi_kernel(counts: Any, *, smoothing: float = 0.0, zero_cells: ZeroCells = "error") -> PmiKernel:
    """The PMI kernel of co-occurrence counts.

    Parameters
    ----------
    counts : `Cooccurrences`, or an (m, m) array of counts >= 0, which is made symmetric as (N + N') / 2
    smoothing : added to every cell of the symbols that are kept, >= 0
    zero_cells : what becomes of pairs never seen together, whose PMI is minus infinity: "error" refuses them, "floor"
        gives them the least PMI of the pairs seen, "ppmi" cuts the whole kernel at 0 from below

    Raises
    ------
    ValueError, TypeError
        Counts that are negative, not finite, not square, or all zero; zero cells under "error".

    See Also
    --------
    cooccurrences : counts
    psd_shift, kernel_features : makes features of it

    References
    ----------
    Church and Hanks 1990; Levy and Goldberg 2014; Huh et al. 2024, section 4.

    Examples
    --------
    >>> from kernalign import pmi
    >>> counts = [[10, 2, 1], [2, 8, 2], [1, 2, 12]]
    >>> found = pmi.pmi_kernel(counts)
    >>> found.kernel.round(1).tolist()
    [[0.9, -0.7, -1.6], [-0.7, 0.8, -0.8], [-1.6, -0.8, 0.8]]
    """
    checks.check_choice(zero_cells, "zero_cells", ("error", "floor", "ppmi"))
    smoothing = checks.check_nonnegative(smoothing, "smoothing")
    table = square(counts.counts if isinstance(counts, Cooccurrences) else counts, "counts")
    if (table < 0).any():
        i, j = np.argwhere(table < 0)[0]
        raise ValueError(f"counts must not be negative, got {table[i, j]} at row {i}, column {j}")
    table = (table + table.T) / 2
    kept = np.flatnonzero(table.sum(axis=1) > 0)
    if len(kept) == 0:
        raise ValueError("counts must not be all zero")
    table = table[np.ix_(kept, kept)] + smoothing
    seen = table > 0
    if not seen.all() and zero_cells == "error":
        raise ValueError(
            f"zero_cells='error' needs pairs that were all seen, but {int((~seen).sum())} of {seen.size} counts are"
            " zero; smoothing > 0, 'floor' or 'ppmi' give them a value"
        )
    marginal = table.sum(axis=1)
    kernel = np.full(table.shape, -np.inf)
    np.log(table, out=kernel, where=seen)
    logs = np.log(marginal)
    kernel += math.log(marginal.sum())
    kernel -= logs + logs[:, None]
    if zero_cells == "floor":
        kernel[~seen] = kernel[seen].min()
    elif zero_cells == "ppmi":
        np.maximum(kernel, 0.0, out=kernel)
    return PmiKernel(kernel, kept)


def dissimilarities(kernel: Any) -> Array:
    """max(K) - K, for `kernalign.embedding`, which ignores the diagonal (it is not 0 in general).

    See Also
    --------
    kernalign.embedding.classical_mds : takes them

    Examples
    --------
    >>> from kernalign import pmi
    >>> pmi.dissimilarities([[2.0, 0.5], [0.5, 1.0]]).tolist()
    [[0.0, 1.5], [1.5, 1.0]]
    """
    k = symmetric(kernel, "kernel")
    return np.asarray(k.max() - k)


@dataclass(frozen=True)
class PsdShift:
    """Whether adding one constant to all entries of a kernel makes it positive semidefinite.

    Attributes
    ----------
    constant : the least such constant; nan if there is none
    reason : None, or why there is none

    See Also
    --------
    psd_shift : makes it

    Examples
    --------
    >>> from kernalign import pmi
    >>> shift = pmi.psd_shift([[0.0, 1.0], [1.0, 0.0]])
    >>> shift.constant, shift.reason
    (nan, 'a direction that sums to zero has the negative eigenvalue -1')
    """

    constant: float
    reason: str | None = None


def psd_shift(kernel: Any) -> PsdShift:
    """The least C for which K + C 11' is positive semidefinite, that is, an exact inner product of features.

    It exists if and only if K is positive semidefinite on the vectors that sum to zero (V' K V, V a basis of them)
    and V' K e is in the range of V' K V, e = 1 / sqrt(N); then C = (b' (V' K V)^+ b - e' K e) / N with b = V' K e.

    Parameters
    ----------
    kernel : (N, N) symmetric array, such as ``PmiKernel.kernel``

    Raises
    ------
    ValueError, TypeError
        Not a finite symmetric square matrix.

    Notes
    -----
    Eigenvalues within 10 N eps |K| of zero count as zero, and those that the rounding of the entries of K (to float32,
    say) may have made. One eigendecomposition, O(N^3). The condition in the paper
    (`meets_prop_f1`) is sufficient, not necessary.

    See Also
    --------
    PsdShift : what it returns
    meets_prop_f1 : when it exists for certain
    kernel_features : what the shifted kernel is the inner product of

    Examples
    --------
    >>> from kernalign import pmi
    >>> shift = pmi.psd_shift([[0.0, -1.0], [-1.0, 0.0]])
    >>> round(shift.constant, 6), shift.reason
    (0.5, None)
    """
    k = symmetric(kernel, "kernel")
    n, unit = len(k), int(np.frexp(np.abs(k).max())[1])
    k = np.ldexp(k, -unit)  # squares of any scale stay in range
    v = np.full(n, 1 / math.sqrt(n))  # the Householder reflection along v turns the first axis into e
    v[0] -= 1.0
    length = linalg.norm(v)
    rotated = k
    if length > 0:
        v /= length
        w = k @ v
        rotated = k - 2 * (np.outer(v, w) + np.outer(w, v)) + 4 * (v @ w) * np.outer(v, v)
    across, b = float(rotated[0, 0]), rotated[1:, 0]
    tolerance = max(10 * n * np.finfo(float).eps, error_of(kernel, "kernel")) * linalg.norm(k)
    if n == 1:
        return PsdShift(math.ldexp(-across, unit))
    values, vectors = eigh(rotated[1:, 1:])
    if values[0] < -tolerance:
        return PsdShift(
            math.nan, f"a direction that sums to zero has the negative eigenvalue {math.ldexp(values[0], unit):.6g}"
        )
    parts, null = vectors.T @ b, values <= tolerance
    if (np.abs(parts[null]) > tolerance).any():
        return PsdShift(math.nan, "K 1 has a part in the null space of K on the vectors that sum to zero")
    return PsdShift(math.ldexp((float((parts[~null] ** 2 / values[~null]).sum()) - across) / n, unit))


def kernel_features(kernel: Any, constant: float = 0.0) -> Array:
    """Features f with f f' = K + constant: its eigenvectors times the square roots of the eigenvalues.

    Returns
    -------
    (N, r) array, r the number of eigenvalues above 10 N eps of the largest magnitude, and above what the rounding of
    the entries of K may have made, largest first

    Raises
    ------
    ValueError
        K + constant has an eigenvalue below minus that: see `psd_shift`.

    See Also
    --------
    psd_shift : the constant

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import pmi
    >>> kernel = np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> features = pmi.kernel_features(kernel)
    >>> np.allclose(features @ features.T, kernel)
    True
    """
    k = symmetric(kernel, "kernel")
    values, vectors = eigh(k + checks.number(constant, "constant", "finite"))
    values, vectors = values[::-1], vectors[:, ::-1]
    rounding = error_of(kernel, "kernel") * float(linalg.norm(k))
    tolerance = max(10 * len(values) * np.finfo(float).eps * np.abs(values).max(), rounding)
    if values[-1] < -tolerance:
        raise ValueError(
            f"kernel + {constant:.6g} must be positive semidefinite, but has the eigenvalue {values[-1]:.6g}"
        )
    keep = values > tolerance
    return np.asarray(vectors[:, keep] * np.sqrt(values[keep]))


def meets_prop_f1(kernel: Any) -> bool:
    """Whether proposition F.1 of Huh et al. 2024 applies: then `psd_shift` exists and is at most -min of K.

    The off-diagonal entries lie in [m, m + d], m + d <= 0, and every diagonal one is at least m + N d. Not necessary:
    most kernels that embed exactly do not meet it.

    See Also
    --------
    psd_shift

    Examples
    --------
    >>> from kernalign import pmi
    >>> pmi.meets_prop_f1([[1.0, -0.5], [-0.5, 1.0]]), pmi.meets_prop_f1([[0.0, 2.0], [2.0, 0.0]])
    (True, False)
    """
    k = symmetric(kernel, "kernel")
    n = len(k)
    off = k[~np.eye(n, dtype=bool)]
    if n == 1:
        return True
    least, most = off.min(), off.max()
    return bool(most <= 0 and (np.diag(k) >= least + n * (most - least)).all())
