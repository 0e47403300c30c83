"""Spectrum: the thin singular value decomposition of one representation, made once and finished many times."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base import checks
from kernalign._base.memory import budget_of
from kernalign._base.progress import reporting
from kernalign._base.readable import Readable
from kernalign._engines.directions import of_dense
from kernalign._rows import arrays
from kernalign._rows.digits import Digits
from kernalign._rows.magnitude import check_magnitude, divided, exponent_of, restored
from kernalign._rows.matrices import centre, dense
from kernalign._rows.options import Options, check_one_sided
from kernalign._rows.pairing import carried_labels

Array = NDArray[np.float64]

TOLERANCE = 1e-9  # of singular values, relative to the largest, inside one eigenspace
HELD = 40  # bytes for every entry that is decomposed
_MOST_EXPONENT = 960  # beyond, singular values may leave the range of float64


@dataclass(frozen=True, repr=False)
class Spectrum(Readable):
    """Thin singular value decomposition of one representation, from which every spectral quantity is finished.

    The kernel x x' / n has the eigenvalues s^2 / n; its eigenfunctions, with mean square 1 over the items, are
    sqrt(n) times the columns of ``left``. Directions below the numerical rank (max(n, p) eps s_1), and those
    that the rounding of the entries may have made, are left out.

    Attributes
    ----------
    singular_values : (r,) descending, positive, in the units of x
    left : (n, r) orthonormal columns
    columns : p
    centred : whether column means were subtracted first
    settings : how the rows were preprocessed
    labels : of the rows of x, where it carried any (the index of a data frame): targets are found by theirs

    See Also
    --------
    spectrum : makes it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((100, 3))
    >>> once = ka.spectrum(x)
    >>> np.allclose(once.eigenvalues, np.linalg.eigvalsh(x.T @ x / 100)[::-1])
    True
    """

    singular_values: Array
    left: Array
    columns: int
    centred: bool
    settings: dict[str, Any] = field(default_factory=dict)
    labels: list[Any] | None = field(default=None, repr=False)

    @property
    def n(self) -> int:
        return int(self.left.shape[0])

    @property
    def rank(self) -> int:
        return len(self.singular_values)

    @property
    def eigenvalues(self) -> Array:
        """Of x x' / n, (r,) descending, in the squared units of x; nan, with a warning, beyond float64."""
        return restored(*self.scaled_eigenvalues, "eigenvalues")

    @property
    def scaled_eigenvalues(self) -> tuple[Array, int]:
        """The same / 2^exponent, and the exponent: numbers whose squares stay in range."""
        exponent = exponent_of(self.singular_values)
        return np.asarray((divided(self.singular_values, exponent) / np.sqrt(self.n)) ** 2), 2 * exponent

    @property
    def mean_shares(self) -> Array:
        """Squared cosine of each eigenfunction with the constant one, (r,): all 0 if centred."""
        return np.asarray(self.left.sum(axis=0) ** 2 / self.n)

    @property
    def relative(self) -> Array:
        """Eigenvalues divided by the largest, which cannot overflow."""
        s = self.singular_values
        return np.asarray((s / s[0]) ** 2) if len(s) else s


def spectrum(x: Any, *, centred: bool = False, **options: Unpack[Options]) -> Spectrum:
    """Decompose one representation once, for `spectral_overlap`, `band_alignment` and the functions of a task.

    Parameters
    ----------
    x : (n, p) array
    centred : subtract column means first: CKA's form; False is that of the uncentred kernel alignment
    **options : normalize, clip_quantile, device, progress, memory_budget, as for `cka`. ``threads`` is checked, but the
        decomposition runs on the threads of NumPy's BLAS.

    Returns
    -------
    Spectrum

    Raises
    ------
    ValueError, TypeError
        x is not numeric, finite and 2-D; zero_rows="drop_pair", which needs two sides.

    Notes
    -----
    Takes O(n p min(n, p)) and holds some 40 n p + 48 min(n, p)^2 bytes. So does what is made of one.

    See Also
    --------
    Spectrum : what it returns
    spectral_overlap, band_alignment, cumulative_power, kare, learning_curve : take it in place of rows

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((100, 3)) * [4, 2, 1]
    >>> decomposed = ka.spectrum(x, centred=True)
    >>> decomposed.rank, np.round(decomposed.eigenvalues / decomposed.eigenvalues.sum(), 1).tolist()
    (3, [0.8, 0.2, 0.0])
    """
    source, settings = one_side(x, "x", options)
    made = decompose_reporting(source, centred, settings, options)
    return replace(made, labels=carried_labels("x", made.n, x))


def decompose(source: _core.Rows, centred: bool, settings: dict[str, Any], budget: int | None = None) -> Spectrum:
    """The Spectrum of validated rows."""
    checks.check_flag(centred, "centred")
    n, p = source.shape
    arrays.afford(f"the spectrum of {source.name}, {n} x {p},", HELD * n * p + 48 * min(n, p) ** 2, budget)
    x = dense(source)
    mean = np.asarray(source.offset) if len(source.offset) else np.zeros(x.shape[1])
    if centred:
        checks.check_count(len(x), 2, "a centred spectrum")
        with np.errstate(over="ignore"):
            mean = mean + x.mean(axis=0)
        x = centre(x)
    check_magnitude(float(np.abs(x).max()), source.name, _MOST_EXPONENT)
    u, s, _ = of_dense(x, mean, Digits.of(source).rounding)
    return Spectrum(s, u, source.shape[1], bool(centred), settings)


def decompose_reporting(source: _core.Rows, centred: bool, settings: dict[str, Any], options: Options) -> Spectrum:
    """The same, with the caller's progress."""
    with reporting(options.get("progress", False), "spectrum") as report:
        if report:
            report(0, 1)
        made = decompose(source, centred, settings, budget_of(options.get("memory_budget")))
        if report:
            report(1, 1)
    return made


def one_side(x: Any, name: str, options: Options) -> tuple[_core.Rows, dict[str, Any]]:
    """Validated rows of one representation that is not paired with another, and how they are preprocessed."""
    checks.check_options(options, Options)
    check_one_sided(options, "there is one representation")
    checks.check_choice(options.get("device"), "device", (None, "cpu"))
    checks.check_threads(options.get("threads"))
    normalize, clip_quantile = options.get("normalize"), options.get("clip_quantile")
    source = arrays.rows(x, name, normalize=normalize, clip_quantile=clip_quantile)
    return source, {"normalize": normalize, "clip_quantile": clip_quantile}


def check_made(given: Spectrum, centred: bool | None, options: Options) -> Spectrum:
    """Return a Spectrum that the caller gave in place of an array, unless what else was asked contradicts it."""
    if options:
        raise TypeError(f"{', '.join(options)} must be given when the Spectrum is made")
    if centred is not None and centred != given.centred:
        raise ValueError(f"centred must be that of the Spectrum, {given.centred}, got {checks.shown(centred)}")
    return given


def eigenspaces(s: Array, tol: float) -> NDArray[np.int64]:
    """Number of the eigenspace of each singular value."""
    if len(s) == 0:
        return np.empty(0, dtype=np.int64)
    return np.concatenate([[0], np.cumsum(-np.diff(s) > tol * s[0])]).astype(np.int64)


def averaged(rows: Array, groups: NDArray[np.int64]) -> Array:
    """Each row replaced by the mean of its group's rows."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    counts = np.diff(np.append(starts, len(groups)))
    sums = np.add.reduceat(rows, starts, axis=0)
    return np.repeat((sums.T / counts).T, counts, axis=0)
