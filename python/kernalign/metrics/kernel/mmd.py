"""Maximum mean discrepancy: whether two samples, not paired, come from the same distribution."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, TypeAlias, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base import checks
from kernalign._base.kernels import RBF, Cosine, Kernel, Linear, Precomputed, check_kernel
from kernalign._base.progress import Report, reporting
from kernalign._base.score import Fixed, Null, Score, Spread, undefined
from kernalign._engines.gram_source import Side, make_side
from kernalign._engines.gram_sweep import GramSweep
from kernalign._engines.kernel_sums import KernelSums
from kernalign._rows import arrays
from kernalign._rows.blocks import spans
from kernalign._rows.labels import sample_groups
from kernalign._rows.magnitude import power_of_two
from kernalign._rows.options import Options
from kernalign._statistics import kernel_null, tails
from kernalign._statistics.pairings import Labels
from kernalign.metrics.kernel.finish import biased_null

Estimator: TypeAlias = Literal["unbiased", "biased", "linear-time", "block"]
Vector: TypeAlias = NDArray[np.float64]

_OVERFLOW = "the kernel of x and y spans more than float64 can hold"
_UNDERFLOW = "the kernel of x and y spans less than float64 can hold"


def mmd(
    x: Any,
    y: Any,
    *,
    estimator: Estimator = "unbiased",
    kernel: Kernel = RBF(),  # noqa: B008 (frozen)
    groups: Any = None,
    **options: Unpack[Options],
) -> Score:
    """Squared maximum mean discrepancy of two samples, whose rows are not paired.

    Parameters
    ----------
    x, y : (n, p) and (m, p) arrays, n and m at least 2.
    estimator :
        "unbiased": the U-statistic, which may be negative; 0 where the distributions are the same.
        "biased": the V-statistic, the squared distance of the mean embeddings, >= 0.
        "linear-time": the mean of h = k(x, x') + k(y, y') - k(x, y') - k(x', y) over disjoint pairs of rows.
        "block": the mean of unbiased estimates over blocks of about sqrt(n) rows.
        The last two take the rows in the order given, use as many of both samples as the smaller one has, and carry
        ``stderr`` and a p-value, Student's t of their mean over their spread.
    kernel : as in :func:`kernalign.cka`; a bandwidth that is a rule is taken on the pooled sample. It costs O(n^2):
        with "linear-time" and "block", give a number where n is large.
    groups : (labels of the rows of x, those of y), of any kind; rows with one label are one thing (trials of a
        stimulus, images of a person) and no independent evidence. The score stays; in its null whole groups change
        sides, each with one of equal size: ``chance`` is the exact mean, ``chance_sd`` and ``p_value`` are those of all
        such deals if they are few, else of 999 (seed 0); None where no two groups of both samples are of equal size.
        No label may be in both samples. Not for "linear-time" and "block".
    **options : as for :func:`kernalign.cka`. normalize="standardize" takes means and deviations of the pooled sample.

    Returns
    -------
    Score
        MMD^2. ``n`` counts the rows used: n + m, or those in blocks; settings["sizes"] has both. Chance level, spread
        and p-value are those of the rows being dealt to the two samples at random: exact mean and variance (Kazi-Aoual
        et al. 1995), for "unbiased" also the exact third moment. Where that does not make the tail, as where a few rows
        rule the score, p is that of random deals, or None with the reason. "biased" has the p-value of "unbiased", but
        with groups.

    Notes
    -----
    Holds a few tiles, O(n + m) numbers and converted rows of at most 32 MB; with groups 4 (n + m)^2 bytes twice.

    Warns
    -----
    AlignmentWarning
        Rows repeat others of their own sample, exactly or nearly, and hardly any of the other one: where copies of one
        thing count as many rows, a test at .05 of 30 things three times a side rejects equal laws in .6 and more.

    Raises
    ------
    TypeError, ValueError
        For input that is not two numeric, finite 2-D arrays with the same number of columns, or too few rows; groups of
        another number of rows, or that are in both samples.

    See Also
    --------
    energy_distance : by distances, without a kernel to choose
    cka : for rows that are paired

    References
    ----------
    Gretton et al. 2012, lemma 6, lemma 14; Zaremba, Gretton and Blaschko 2013.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, same, moved = rng.standard_normal((3, 200, 4))
    >>> abs(ka.mmd(x, same[:150])) < 0.01
    True
    >>> score = ka.mmd(x, moved + 1)
    >>> round(score, 1), score.p_value < 1e-9
    (0.2, True)
    """
    checks.check_choice(estimator, "estimator", ("unbiased", "biased", "linear-time", "block"))
    if isinstance(check_kernel(kernel), Precomputed):
        raise ValueError("mmd needs the rows of both samples, so kernel=Precomputed() is not available")
    if groups is not None and estimator in ("linear-time", "block"):
        raise ValueError(f"groups must be None with estimator={estimator!r}, got {checks.shown(groups)}")
    pair = arrays.samples(x, y, divided=isinstance(kernel, Cosine), grouped=groups is not None, **options)
    n, m = pair.x.shape[0], pair.y.shape[0]
    labels = sample_groups(groups, x, y, (n, m))
    for count, name in ((n, "x"), (m, "y")):
        checks.check_count(count, 4 if estimator in ("linear-time", "block") else 2, f"mmd ({estimator}) of {name}")
    pair.afford("mmd", held_by(n + m, labels))
    with reporting(pair.progress, "mmd") as report:
        side = make_side([pair.x, pair.y], kernel, pair.threads, report)
        settings = {**pair.settings, **side.describe(), "sizes": (n, m), "accumulation": "float64", "backend": "cpu"}
        keywords: dict[str, Any] = {"estimator": estimator, "settings": settings, "maximum": None}
        if side.reason is not None:
            reason = side.reason.replace("rows of x", "rows of both samples")
            return undefined("mmd", n + m, reason, **keywords)
        if estimator in ("linear-time", "block"):
            length = 2 if estimator == "linear-time" else max(2, math.isqrt(min(n, m)))
            return _by_blocks(pair, side, length, keywords)
        return of_whole(pair, side, report, keywords, labels)


def held_by(size: int, groups: Labels | None) -> int:
    """Bytes that a call takes beside its rows."""
    return (2 * arrays.SUMS + (0 if groups is None else kernel_null.exchange_bytes(size, None))) * size


def of_whole(
    pair: arrays.Pair,
    side: Side,
    report: Report,
    keywords: dict[str, Any],
    groups: Labels | None,
    metric: str = "mmd",
    sign: float = 1.0,
) -> Score:
    """Both estimates are products of the pooled Gram matrix with one of labels a = 2m/(n+m) and -b = -2n/(n+m).

    The labels sum to zero, so that a constant in the kernel drops out. ``sign``: -1 for the kernel that is minus this;
    ``groups`` of rows, x's first, change sides whole.
    """
    n, m = pair.x.shape[0], pair.y.shape[0]
    size = n + m
    a, b = 2 * m / size, 2 * n / size
    labels = _core.Rows(np.repeat([a, -b], [n, m])[:, None], "labels")
    sweep = GramSweep(
        [side, make_side([labels], Linear(), pair.threads)], centred=True, threads=pair.threads, report=report
    )
    sums = sweep.sums(0, 1)
    if groups is not None:
        sums.groups = groups
        keywords["settings"]["groups"] = int(groups.max()) + 1
    kernel_unit, label_unit = (power_of_two(e) for e in sums.exponents)
    keywords["settings"] |= {"products": "float64" if sums.rounding[0] < 1e-7 else "float32"}
    u_norm = math.sqrt(max(0.0, sums.u_centred(0, 0))) * kernel_unit
    varies = sums.u_centred(0, 0) > sums.noise(0)
    # Sums of K over pairs of different rows, within x and across, from those over whole rows and the labelled one.
    rows = sweep.engine.row_sums(0, True)
    of_x, of_y = float(rows[:n].sum()), float(rows[n:].sum())
    across = (a * a * of_x + b * b * of_y - sums.hollow[0, 1].full * label_unit) / 4
    value = (of_x - across) / (n * (n - 1)) + (of_y - across) / (m * (m - 1)) - 2 * across / (n * m)
    value *= kernel_unit
    if kernel_unit == 0 or not math.isfinite(value):
        return undefined(metric, size, _UNDERFLOW if kernel_unit == 0 else _OVERFLOW, **keywords)
    null = _null(sums, n, m, u_norm, value, sign) if varies else None
    if keywords["estimator"] == "unbiased":
        return Score(sign * value, metric=metric, n=size, null=null, **keywords)
    scale = (1 / (a * n)) ** 2 * sums.unit
    if null is not None and groups is not None:
        norms = math.sqrt(sums.centred(0, 0)) * math.sqrt(sums.centred(1, 1))
        null = _exchanged(sums, n, sign * norms * scale, unbiased=False)
    elif null is not None:
        moments, tail = biased_null(sums, scale), null.p_value

        def p_value() -> tuple[float | None, str]:
            assert tail is not None
            p, method = tail()
            return p, f"{method}, of the unbiased estimate"

        mean = moments.mean
        assert isinstance(mean, float)
        null = Null(sign * mean, moments.sd, p_value=p_value)
    return Score(max(0.0, sign * sums.centred(0, 1)) * scale, metric=metric, n=size, null=null, **keywords)


def _null(sums: KernelSums, n: int, m: int, u_norm: float, value: float, sign: float) -> Null:
    """Of <K, W>, W = 1/(n(n-1)) and 1/(m(m-1)) within the samples, -1/(nm) across: along the U-centred labels."""
    scale = u_norm * math.sqrt(1 / (n * (n - 1)) + 1 / (m * (m - 1)) + 2 / (n * m))
    if sums.groups is not None:
        return _exchanged(sums, n, sign * scale, unbiased=True)
    null = kernel_null.unbiased_null(sums, value / scale, scale, sign)

    def p_value() -> tuple[float | None, str]:
        assert null.p_value is not None
        p, method = null.p_value()
        return None if p is None else max(p, 1 / math.comb(n + m, n)), method  # one over the number of deals

    return replace(null, p_value=p_value)


def _exchanged(sums: KernelSums, n: int, scale: float, *, unbiased: bool) -> Null:
    """Where whole groups change sides."""
    assert sums.groups is not None
    sizes = np.bincount(sums.groups)
    of_x, of_y = (np.unique(sizes[np.unique(part)]) for part in np.split(sums.groups, [n]))
    if not len(np.intersect1d(of_x, of_y)):
        return Null(None, p_value=Fixed(None, "none: no groups of both samples are of equal size, to change sides"))
    return kernel_null.grouped_null(sums, scale, unbiased=unbiased)


def _by_blocks(pair: arrays.Pair, side: Side, length: int, keywords: dict[str, Any]) -> Score:
    """Mean of unbiased estimates over blocks of ``length`` rows of each sample."""
    blocks = np.concatenate(list(_block_estimates(pair, side, length)))
    value, count = float(blocks.mean()), len(blocks)
    if not math.isfinite(value):
        return undefined("mmd", 2 * length * count, _OVERFLOW, **keywords)
    unit = float(np.abs(blocks).max()) or 1.0  # squares of any scale stay in range
    stderr = float((blocks / unit).std(ddof=1)) * unit / math.sqrt(count)
    keywords["settings"] |= {"block_rows": length, "blocks": count}
    if not stderr > 0:
        return Score(value, metric="mmd", n=2 * length * count, **keywords)
    tail = tails.student_tail(value / stderr, count - 1)
    null = Null(0.0, stderr, p_value=lambda: (tail, "Student's t, spread of the blocks"))
    spread = Spread(stderr, "spread of the blocks", freedom=count - 1)
    return Score(value, metric="mmd", n=2 * length * count, null=null, spread=spread, **keywords)


def _block_estimates(pair: arrays.Pair, side: Side, length: int) -> Iterator[Vector]:
    """Unbiased estimates of consecutive blocks; (sum of k(x, x') + k(y, y') - k(x, y') - k(x', y)) / (b (b - 1))."""
    p, total = pair.x.shape[1], min(pair.x.shape[0], pair.y.shape[0]) // length
    for begin, end in spans(total, length * max(p, length)):
        x, y = (rows.dense(begin * length, end * length).reshape(-1, length, p) for rows in (pair.x, pair.y))
        base = 0.0 if side.options["form"] == "polynomial" else x.mean(axis=(0, 1))  # h does not depend on it
        x, y = x - base, y - base
        with np.errstate(over="ignore", invalid="ignore"):
            h = _kernel(side, x, x) + _kernel(side, y, y) - 2 * _kernel(side, x, y)
            h[:, np.arange(length), np.arange(length)] = 0
            estimates = h.sum(axis=(1, 2)) / (length * (length - 1))
        yield estimates


def _kernel(side: Side, x: Vector, y: Vector) -> Vector:
    """Kernel matrices of stacked blocks of rows."""
    form, options = side.options["form"], side.options
    if form in ("rbf", "laplacian"):
        x, y = x / options["width"], y / options["width"]  # squares of any scale stay in range
    products: Vector = x @ y.transpose(0, 2, 1)
    if form == "linear":
        return products
    if form == "polynomial":
        return np.asarray((products + options["offset"]) ** options["degree"])
    squares = ((x**2).sum(axis=2)[:, :, None] + (y**2).sum(axis=2)[:, None, :]) - 2 * products
    np.maximum(squares, 0, out=squares)
    if form == "rbf":
        return np.asarray(np.exp(squares / -2))
    return np.asarray(np.exp(-np.sqrt(squares)))
