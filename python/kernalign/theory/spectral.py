"""Spectra of linear kernels, and which frequencies of two representations agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from kernalign._base import checks, hazards
from kernalign._base.progress import reporting
from kernalign._base.readable import Readable
from kernalign._base.score import AlignmentWarning, UndefinedScoreWarning
from kernalign._base.warn import warn
from kernalign._rows import arrays
from kernalign._rows.decompositions import product
from kernalign._rows.options import Options
from kernalign._rows.pairing import Side, check_same_order
from kernalign.theory.spectrum import TOLERANCE, Array, Spectrum, averaged, check_made, decompose, eigenspaces


@dataclass(frozen=True, repr=False)
class SpectralOverlap(Readable):
    """Leading eigenvalues of two representations and how much their eigenfunctions have in common.

    Inside an eigenspace (singular values closer than ``tol`` times the largest) eigenfunctions are not unique and
    only the sum of a block of ``overlap`` is; its entries are then the block's mean, the expectation over all bases.

    Attributes
    ----------
    eigenvalues_x, eigenvalues_y : (rank,) of x x' / n and y y' / n, descending
    overlap : (rank, rank) squared cosines of the eigenfunctions; rows and columns sum to 1 at most
    cumulative : (rank,) sum of the leading r x r block / r: the overlap of the leading subspaces, in [0, 1]
    chance : (rank,) exact mean of ``cumulative`` over random pairings of the items: r / (n - 1) if centred
    alignment : sum of eta_x eta_y overlap / (|eta_x| |eta_y|) over these; at full rank the (biased) kernel alignment
        or CKA
    groups_x, groups_y : (rank,) number of the eigenspace that each eigenfunction is in
    n, settings : as of a `Score`
    """

    eigenvalues_x: Array
    eigenvalues_y: Array
    overlap: Array
    cumulative: Array
    chance: Array
    alignment: float
    groups_x: NDArray[np.int64]
    groups_y: NDArray[np.int64]
    n: int
    settings: dict[str, Any] = field(default_factory=dict)


def spectral_overlap(
    x: Any,
    y: Any,
    rank: int,
    *,
    centred: bool | None = None,
    tol: float = TOLERANCE,
    **options: Unpack[Options],
) -> SpectralOverlap:
    """Eigenvalues of two linear kernels and squared cosines of their leading eigenfunctions.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; or two `Spectrum`
    rank : leading eigenfunctions to compare, at most the numerical rank of either side
    centred : True for the spectral form of CKA; False, the default, for that of the uncentred kernel alignment, in
        which a large mean is the first eigenfunction (an AlignmentWarning says so). Of two `Spectrum`, what they are.
    tol : singular values closer than tol times the largest count as one eigenspace
    **options : pairing and dropping of rows, preprocessing, threads, progress and memory_budget as for `cka` (arrays
        only). Two times what a `spectrum` holds.

    Returns
    -------
    SpectralOverlap

    Raises
    ------
    ValueError, TypeError
        rank out of range; bad input; two `Spectrum` of different centring or items.

    See Also
    --------
    band_alignment : in bands rather than direction by direction
    subspace_overlap : of one rank

    References
    ----------
    Insulla, Huang and Rosasco 2025 (their first spectral form lacks the square of the inner products).

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 6)) * [8, 4, 2, 1, 1, 1]
    >>> y = np.hstack([x[:, :2], rng.standard_normal((200, 4))])
    >>> found = ka.spectral_overlap(x, y, rank=4)
    >>> found.cumulative.round(1).tolist()
    [1.0, 1.0, 0.7, 0.5]
    """
    a, b = _sides(x, y, centred, options)
    rank, tol = _check_rank(rank, a, b), checks.number(tol, "tol", "in [0, 1)")
    _warn_of_means("spectral_overlap", a, b)
    groups_x, groups_y = (eigenspaces(side.singular_values, tol) for side in (a, b))
    overlap, means_x, means_y = _cosines(a, b, groups_x, groups_y, rank, rank)
    r = np.arange(1, rank + 1)
    u, v = np.cumsum(means_x), np.cumsum(means_y)
    return SpectralOverlap(
        eigenvalues_x=a.eigenvalues[:rank],
        eigenvalues_y=b.eigenvalues[:rank],
        overlap=overlap,
        cumulative=np.diag(overlap.cumsum(axis=0).cumsum(axis=1)) / r,
        chance=(u * v + (r - u) * (r - v) / (a.n - 1)) / r,
        alignment=_band(a, b, overlap, 0, rank),
        groups_x=groups_x[:rank],
        groups_y=groups_y[:rank],
        n=a.n,
        settings={**a.settings, "centred": a.centred, "tol": tol},
    )


@dataclass(frozen=True, repr=False)
class BandAlignment(Readable):
    """How well two representations agree within bands of their spectra.

    Attributes
    ----------
    bands : (start, stop) of each, from 0, stop excluded
    alignment : (bands,) sum of eta_x eta_y overlap / (|eta_x| |eta_y|) over the pairs of eigenfunctions inside the
        band, in [0, 1]; nan where a side has no eigenfunction there, or where the eigenvalues underflow
    chance : (bands,) its exact mean over random pairings of the items
    share_x, share_y : (bands,) share of the sum of all eigenvalues
    n, settings : as of a `Score`
    """

    bands: tuple[tuple[int, int], ...]
    alignment: Array
    chance: Array
    share_x: Array
    share_y: Array
    n: int
    settings: dict[str, Any] = field(default_factory=dict)


def band_alignment(
    x: Any,
    y: Any,
    bands: Iterable[tuple[int, int]],
    *,
    centred: bool | None = None,
    tol: float = TOLERANCE,
    **options: Unpack[Options],
) -> BandAlignment:
    """Kernel alignment (or CKA) restricted to bands of eigenfunctions: which frequencies agree.

    Parameters
    ----------
    x, y, centred, tol, **options : as for `spectral_overlap`
    bands : pairs (start, stop) of ranks counted from 0, stop excluded: [(0, 10), (10, 100)]. What lies beyond the
        numerical rank of a side is empty. A band that cuts an eigenspace takes its share of it.

    Returns
    -------
    BandAlignment
        Warns (UndefinedScoreWarning) of bands that are empty on a side; their alignment is nan.

    See Also
    --------
    spectral_overlap
    cka : over the whole spectrum

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 6)) * [8, 6, 1, 1, 1, 1]
    >>> y = np.hstack([x[:, :2], rng.standard_normal((200, 4))])
    >>> found = ka.band_alignment(x, y, [(0, 2), (2, 6)], centred=True)
    >>> found.alignment.round(1).tolist(), found.share_x.round(2).tolist()
    ([1.0, 0.0], [0.96, 0.04])
    """
    a, b = _sides(x, y, centred, options)
    checked, tol = _check_bands(bands), checks.number(tol, "tol", "in [0, 1)")
    _warn_of_means("band_alignment", a, b)
    groups_x, groups_y = (eigenspaces(side.singular_values, tol) for side in (a, b))
    most = max(stop for _, stop in checked)
    overlap, means_x, means_y = _cosines(a, b, groups_x, groups_y, min(most, a.rank), min(most, b.rank))
    chance = np.outer(means_x, means_y) + np.outer(1 - means_x, 1 - means_y) / (a.n - 1)
    values = np.array([(_band(a, b, overlap, *band), _band(a, b, chance, *band)) for band in checked])
    empty = [band for band, value in zip(checked, values[:, 0], strict=True) if np.isnan(value)]
    if empty:
        warn(
            f"band_alignment is undefined in {empty}: x has rank {a.rank} and y has rank {b.rank}",
            UndefinedScoreWarning,
        )
    shares = []
    for side in (a, b):
        energy = side.relative
        shares.append(np.array([energy[start:stop].sum() / (energy.sum() or 1.0) for start, stop in checked]))
    settings = {**a.settings, "centred": a.centred, "tol": tol}
    return BandAlignment(tuple(checked), values[:, 0], values[:, 1], shares[0], shares[1], a.n, settings)


def _sides(x: Any, y: Any, centred: bool | None, options: Options) -> tuple[Spectrum, Spectrum]:
    if isinstance(x, Spectrum) != isinstance(y, Spectrum):
        raise TypeError("x and y must both be arrays or both be a Spectrum")
    if isinstance(x, Spectrum):
        a, b = (check_made(side, centred, options) for side in (x, y))
        if a.centred != b.centred:
            raise ValueError(f"x and y must be centred alike, got {a.centred} and {b.centred}")
        checks.check_same_rows(a.n, b.n)
        check_same_order(Side("x", a.n, a.labels), Side("y", b.n, b.labels))
    else:
        pair = arrays.pair(x, y, **options)
        with reporting(pair.progress, "spectra") as report:
            sides = []
            for done, rows in enumerate((pair.x, pair.y)):
                if report:
                    report(done, 2)
                sides.append(decompose(rows, False if centred is None else centred, pair.settings, pair.budget))
            if report:
                report(2, 2)
        a, b = sides
    checks.check_count(a.n, 2, "a comparison of spectra")
    return a, b


def _cosines(
    a: Spectrum, b: Spectrum, groups_x: NDArray[np.int64], groups_y: NDArray[np.int64], rank_x: int, rank_y: int
) -> tuple[Array, Array, Array]:
    """Squared cosines of leading eigenfunctions with each other and with the constant, averaged in eigenspaces."""
    if rank_x == 0 or rank_y == 0:
        return np.zeros((rank_x, rank_y)), np.zeros(rank_x), np.zeros(rank_y)
    whole_x = int(np.searchsorted(groups_x, groups_x[rank_x - 1], side="right"))
    whole_y = int(np.searchsorted(groups_y, groups_y[rank_y - 1], side="right"))
    squares = np.minimum(product(a.left[:, :whole_x].T, b.left[:, :whole_y]) ** 2, 1.0)
    squares = averaged(averaged(squares, groups_x[:whole_x]).T, groups_y[:whole_y]).T
    means_x = averaged(a.mean_shares[:whole_x], groups_x[:whole_x])[:rank_x]
    means_y = averaged(b.mean_shares[:whole_y], groups_y[:whole_y])[:rank_y]
    return np.ascontiguousarray(squares[:rank_x, :rank_y]), means_x, means_y


def _band(a: Spectrum, b: Spectrum, squares: Array, start: int, stop: int) -> float:
    """sum of eta_i eta_j squares_ij / (|eta_x| |eta_y|) over start <= i, j < stop."""
    x, y = (side.singular_values[start:stop] for side in (a, b))
    if len(x) == 0 or len(y) == 0:
        return np.nan
    x, y = (x / x[0]) ** 2, (y / y[0]) ** 2
    block = squares[start:stop, start:stop]
    return float(min(1.0, x @ block @ y / (linalg.norm(x) * linalg.norm(y))))


def _warn_of_means(what: str, a: Spectrum, b: Spectrum) -> None:
    shares = [float(side.relative @ side.mean_shares / (side.relative.sum() or 1.0)) for side in (a, b)]
    consequence = " and is its first eigenfunction; centred=True removes it"
    sentence = hazards.common_mean(what, dict(zip("xy", shares, strict=True)), consequence)
    if sentence:
        warn(sentence, AlignmentWarning)


def _check_rank(rank: Any, a: Spectrum, b: Spectrum) -> int:
    count = checks.check_positive(rank, "rank")
    if count > min(a.rank, b.rank):
        raise ValueError(
            f"rank must be at most the numerical rank of x ({a.rank}) and of y ({b.rank}), got {checks.shown(count)}"
        )
    return count


def _check_bands(bands: Any) -> list[tuple[int, int]]:
    checked = []
    for band in checks.items(bands, "bands", "pairs (start, stop)"):
        try:
            start, stop = band
        except (TypeError, ValueError):
            raise ValueError(f"bands must be pairs (start, stop), got {checks.shown(band)}") from None
        start = checks.integer(start, "bands must hold integers: start", 0)
        checked.append((start, checks.integer(stop, "bands must hold integers: stop", start + 1)))
    if not checked:
        raise ValueError("bands must hold at least one pair (start, stop)")
    return checked
