"""Matchings of single columns: one to one, each with its best, and soft by optimal transport."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias, Unpack

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kernalign._base import checks
from kernalign._base.score import AlignmentWarning, Score, undefined
from kernalign._base.warn import warn
from kernalign._engines.apart import apart
from kernalign._engines.centred import Centred, Products
from kernalign._engines.directions import Matrix, Vector
from kernalign._rows import arrays
from kernalign._rows.decompositions import product
from kernalign._rows.options import Options
from kernalign._statistics.null_tail import COST, LONG, DrawnTail
from kernalign._statistics.pairings import Orders, Pairings
from kernalign.metrics.linear.principal import how

Index: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]
Direction: TypeAlias = Literal["both", "x", "y"]

_CHEAPEST = 8  # arcs of every column that enter the linear program at a time
_TOLERANCE = 1e-10  # of the largest cost: a reduced cost that counts as zero
_PIVOTS = 1 << 40  # as many as it takes
# Below this share of the mean squared lengths of columns, a distance is summed again over the rows of matched columns.
_CLOSE = {True: 1e-2, False: 0.1}  # of float64 and of float32 products, whose costs err by some 3e-8 of the lengths


def one_to_one(x: Any, y: Any, **options: Unpack[Options]) -> Score:
    """Mean correlation of columns under the best one-to-one matching of the columns of x with those of y.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 2.
    **options : as for :func:`kernalign.cka`.

    Returns
    -------
    Score
        In [-1, 1]: mean signed Pearson correlation over min(p, q) pairs, matched so that its sum is largest. Invariant
        to permutation, translation and positive scale of columns, not to rotation. Constant columns, which correlate
        with nothing, are left out (``settings["constant_columns"]``, and an AlignmentWarning). No closed-form null;
        well above 0 for unrelated columns when n is small: compare with shuffled rows. nan where a side is constant.

    Notes
    -----
    Exact (SciPy's linear_sum_assignment), O(min(p, q)^2 max(p, q)) after O(n p q); products as for :func:`procrustes`
    (float32 ones move a correlation by some 3e-8). Holds 24 p q bytes.

    Raises
    ------
    TypeError, ValueError
        For input that is not two numeric, finite 2-D arrays with the same number of rows, or too few rows.

    See Also
    --------
    soft_correlation : the best match of each, which others may share
    soft_matching : a distance, also where the numbers of columns differ
    procrustes : any rotation in place of a permutation

    References
    ----------
    Li et al. 2015 (convergent learning); Williams et al. 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> neurons = rng.standard_normal((200, 12))
    >>> round(ka.one_to_one(neurons, neurons[:, rng.permutation(12)]), 6)
    1.0
    >>> turn = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    >>> ka.one_to_one(neurons, neurons @ turn) < 0.7
    True
    """
    data, sums, settings = _products("one_to_one", x, y, options)
    return _finish_one_to_one(data, sums, settings)


def soft_correlation(
    x: Any,
    y: Any,
    *,
    direction: Direction = "both",
    absolute: bool = True,
    **options: Unpack[Options],
) -> Score:
    """Mean correlation of every column with its best match on the other side, which others may share.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 2.
    direction : "x": of the columns of x with the best of y (semi-matching, Li et al. 2015), "y": of those of y with the
        best of x, "both": the mean of both means.
    absolute : take sizes of correlations, so that a column of the other sign is a match. ReSi's "soft correlation
        match" is "both" with ``absolute=False``.
    **options : as for :func:`kernalign.cka`.

    Returns
    -------
    Score
        In [0, 1], or [-1, 1] with signs; 1 if every column has a copy, up to scale, on the other side. Invariant to
        permutation, translation and scale of columns, not to rotation; "both" is symmetric. Well above 0 by chance, the
        more so the fewer items and the more columns: ``chance``, ``chance_sd`` and ``p_value`` are found when first
        read, before the arrays are overwritten, from 999 random pairings (all, of up to 8 items), where n p q is at
        most 10^8; None of rows that are seen to have changed. Constant columns are left out, as by :func:`one_to_one`.
        nan where a side is constant.

    Notes
    -----
    O(n p q), as much again for every pairing, and 16 p q bytes.

    Raises
    ------
    TypeError, ValueError
        As for :func:`one_to_one`.

    See Also
    --------
    one_to_one : no column is matched twice
    soft_matching : every column is matched as much as any other

    References
    ----------
    Li et al. 2015 (convergent learning); Klabunde et al. 2025 (ReSi).

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> neurons = rng.standard_normal((200, 12))
    >>> some = -neurons[:, [3, 3, 7]]
    >>> round(ka.soft_correlation(neurons, some, direction="y"), 6), ka.soft_correlation(neurons, some) < 0.7
    (1.0, True)
    """
    checks.check_choice(direction, "direction", ("both", "x", "y"))
    absolute = checks.check_flag(absolute, "absolute")
    data, sums, settings = _products("soft_correlation", x, y, options)
    return _finish_soft_correlation(data, sums, direction, absolute, settings)


def soft_matching(x: Any, y: Any, **options: Unpack[Options]) -> Score:
    """Soft-matching distance: optimal transport between the columns of centred x and y, each side of equal weights.

    Parameters and errors as for :func:`one_to_one`.

    Returns
    -------
    Score
        sqrt(min_P sum_ij P_ij |x_i - y_j|^2) >= 0 over P >= 0 with row sums 1/p and column sums 1/q, x_i and y_j the
        centred columns, in the units of the data and not divided by n; 0 if each side is a permutation of the other,
        repeats included. A metric, and for p = q the best one-to-one matching. Not invariant to rotation or scale:
        ``normalize="standardize"`` makes it 2 (n - 1)(1 - r) of correlations r. No closed-form null. nan, with
        ``reason``, where both sides are constant.

    Notes
    -----
    Exact. For p = q an assignment problem; else by POT's network simplex where POT is installed (the extra "ot"), its
    answer proved by its dual prices: well under a second for 1000 columns either way. Without POT a linear program over
    a few arcs per column (SciPy's HiGHS), to which arcs of negative reduced cost are added until none is left: .2 s for
    300 x 299 columns, 20 s for 1000 x 768. Ctrl-C waits for the program under way. Products as for :func:`procrustes`;
    a small distance is summed over the arcs used, in float64, by a second pass over the rows, so that equal columns
    cost exactly 0. Holds up to 260 p q bytes.

    See Also
    --------
    one_to_one, procrustes

    References
    ----------
    Khosla and Williams 2024.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> neurons = rng.standard_normal((200, 12))
    >>> round(ka.soft_matching(neurons, neurons[:, rng.permutation(12)]), 6)
    0.0
    >>> round(ka.soft_matching(neurons, np.tile(neurons, 2)), 6)
    0.0
    """
    data, sums, settings = _products("soft_matching", x, y, options, 256)
    return _finish_soft_matching(data, sums, settings)


@dataclass(frozen=True)
class Plan:
    """Arcs of a transport plan between columns, and what moves along each; the total is 1."""

    x: Index
    y: Index
    mass: Vector


def transport(cost: Matrix) -> Plan:
    """The cheapest plan with equal weights on each side, exactly."""
    from scipy import optimize  # slow to import

    p, q = cost.shape
    if p != q:
        return _network_simplex(cost) or _linear_program(cost)
    rows, columns = apart(cost.size, optimize.linear_sum_assignment, cost)
    return Plan(rows, columns, np.full(p, 1 / p))


def _network_simplex(cost: Matrix) -> Plan | None:
    """By POT; None where it is not installed, or where its dual prices do not prove that no arc would help."""
    try:
        import ot
    except ImportError:
        return None
    supply, demand = _weights(*cost.shape)
    largest = float(np.abs(cost).max()) or 1.0
    scaled = cost / largest
    weights = [np.full(count, float(each)) for count, each in zip(cost.shape, (supply, demand), strict=True)]
    how = {"numItermax": _PIVOTS, "log": True, "center_dual": False, "check_marginals": False}
    flow, found = apart(scaled.size, ot.emd, *weights, scaled, **how)
    if found["warning"] is not None or (scaled - found["u"][:, None] - found["v"]).min() < -2 * _TOLERANCE:
        return None
    rows, columns = np.nonzero(flow)
    return _plan(rows, columns, flow[rows, columns], len(cost) * supply)


def _weights(p: int, q: int) -> tuple[int, int]:
    """Of a column of either side, in units in which all flows are integers."""
    size = math.lcm(p, q)
    return size // p, size // q


def _plan(x: Index, y: Index, flow: Vector, size: int) -> Plan:
    flow = np.rint(flow)
    used = flow > 0
    return Plan(x[used], y[used], flow[used] / size)


def _linear_program(cost: Matrix) -> Plan:
    """Column generation: the dual prices of a program on few arcs prove that no other arc would help, or name some."""
    from scipy import optimize  # slow to import

    p, q = cost.shape
    supply, demand = _weights(p, q)
    largest = float(np.abs(cost).max()) or 1.0
    scaled = cost / largest
    arcs = np.zeros((p, q), dtype=bool)
    reduced = scaled
    cuts = np.unique(np.concatenate([np.arange(p) * supply, np.arange(q) * demand]))  # a plan exists: corner to corner
    arcs[cuts // supply, cuts // demand] = True
    while True:
        arcs |= _most_negative(reduced, _CHEAPEST, None if reduced is scaled else -_TOLERANCE)
        rows, columns = np.nonzero(arcs)
        count = np.arange(len(rows))
        balance = sparse.csr_array(
            (np.ones(2 * len(rows)), (np.concatenate([rows, p + columns]), np.tile(count, 2))), shape=(p + q, len(rows))
        )
        solved = apart(
            cost.size,
            optimize.linprog,
            scaled[rows, columns],
            A_eq=balance,
            b_eq=np.repeat([supply, demand], [p, q]).astype(np.float64),
            method="highs-ds",
            options={"dual_feasibility_tolerance": _TOLERANCE},
        )
        if solved.status != 0:
            raise RuntimeError(f"the transport problem of {p} x {q} columns was not solved: {solved.message}")
        prices = solved.eqlin.marginals
        reduced = scaled - prices[:p, None] - prices[p:]
        if reduced.min() >= -2 * _TOLERANCE or arcs[reduced < -2 * _TOLERANCE].all():
            break
    return _plan(rows, columns, solved.x, p * supply)


def _most_negative(reduced: Matrix, count: int, below: float | None) -> NDArray[np.bool_]:
    """The lowest few entries of every row and column, below a limit if there is one."""
    chosen = np.zeros(reduced.shape, dtype=bool)
    for axis in (0, 1):
        few = min(count, reduced.shape[axis])
        lowest = np.argpartition(reduced, few - 1, axis=axis).take(np.arange(few), axis=axis)
        np.put_along_axis(chosen, lowest, True, axis=axis)
    return chosen if below is None else chosen & (reduced < below)


def _products(
    metric: str, x: Any, y: Any, options: Options, of_pairs: int = 0
) -> tuple[Centred, Products | None, dict[str, Any]]:
    """Products of the centred columns, none if a side has no numbers to multiply, and settings.

    ``of_pairs``: bytes that a pair of columns takes later.
    """
    pair = arrays.pair(x, y, **options)
    checks.check_count(pair.n, 2, metric)
    pair.afford_products(metric, 8, of_pairs)
    data = Centred.of(pair)
    settings = how(pair.settings, "feature", data.double)
    if not (math.isfinite(data.x.largest) and math.isfinite(data.y.largest)):
        return data, None, settings
    with pair.working(metric) as report:
        return data, data.products("xy", double=data.double, report=report), settings


def _correlations(
    metric: str, data: Centred, sums: Products | None, settings: dict[str, Any]
) -> tuple[Matrix, tuple[Mask, Mask]] | str:
    """Of all columns that vary, and which these are; or why there are none."""
    reason = data.why_undefined()
    if reason is not None or sums is None:
        return str(reason)
    alive = sums.squares[0] > 0, sums.squares[1] > 0
    constant = tuple(int((~mask).sum()) for mask in alive)
    settings["constant_columns"] = constant
    if any(constant):
        warn(
            f"{metric}: {constant[0]} columns of x and {constant[1]} of y are constant and were left out",
            AlignmentWarning,
        )
    norms = [np.sqrt(squares[mask]) for squares, mask in zip(sums.squares, alive, strict=True)]
    found = (sums.xy[np.ix_(*alive)] if any(constant) else sums.xy) / norms[0][:, None]
    found /= norms[1]
    return np.clip(found, -1, 1, out=found), alive


def _finish_one_to_one(data: Centred, sums: Products | None, settings: dict[str, Any]) -> Score:
    from scipy import optimize  # slow to import

    found = _correlations("one_to_one", data, sums, settings)
    if isinstance(found, str):
        return undefined("one_to_one", data.n, found, settings=settings)
    correlation = found[0]
    rows, columns = apart(correlation.size, optimize.linear_sum_assignment, correlation, maximize=True)
    value = float(correlation[rows, columns].mean())
    return Score(value, metric="one_to_one", n=data.n, settings=settings | {"pairs": len(rows)})


def _finish_soft_correlation(
    data: Centred, sums: Products | None, direction: Direction, absolute: bool, settings: dict[str, Any]
) -> Score:
    settings |= {"direction": direction, "absolute": absolute}
    found = _correlations("soft_correlation", data, sums, settings)
    if isinstance(found, str):
        return undefined("soft_correlation", data.n, found, settings=settings)
    correlation, alive = found

    @cache
    def columns() -> tuple[Matrix, Matrix]:
        x, y = (np.concatenate(parts) for parts in zip(*data.blocks(), strict=True))
        x, y = x[:, alive[0]], y[:, alive[1]]
        return x / np.sqrt((x**2).sum(axis=0)), y / np.sqrt((y**2).sum(axis=0))

    def scores(orders: Orders) -> Vector:
        x, y = columns()
        return np.array([_best(product(x.T, y[order]), direction, absolute) for order in orders])

    value = _best(correlation, direction, absolute)
    why = f"none: {LONG}" if data.n * correlation.size > COST else None
    tail = DrawnTail(Pairings.of_items(data.n), None, why or scores, value=value)
    return Score(value, metric="soft_correlation", n=data.n, settings=settings, null=tail.null())


def _best(correlation: Matrix, direction: Direction, absolute: bool) -> float:
    """Mean over columns of the largest correlation of each with a column of the other side."""
    size = np.abs(correlation) if absolute else correlation
    of_x, of_y = float(size.max(axis=1).mean()), float(size.max(axis=0).mean())
    return {"x": of_x, "y": of_y, "both": (of_x + of_y) / 2}[direction]


def _finish_soft_matching(data: Centred, sums: Products | None, settings: dict[str, Any]) -> Score:
    if sums is None or data.x.largest == data.y.largest == 0:
        reason = "x and y are constant" if sums is not None else data.why_undefined()
        return undefined("soft_matching", data.n, str(reason), settings=settings, maximum=None)
    unit = max(side.exponent for side in (data.x, data.y) if side.largest > 0)
    scale_x, scale_y = (math.ldexp(1.0, side.exponent - unit) for side in (data.x, data.y))
    squares = scale_x**2 * sums.squares[0], scale_y**2 * sums.squares[1]
    cost = (-2 * scale_x * scale_y) * sums.xy
    cost += squares[0][:, None]
    cost += squares[1]
    plan = transport(np.maximum(cost, 0))
    total = float(cost[plan.x, plan.y] @ plan.mass)
    if total < _CLOSE[data.double] * sum(float(each.mean()) for each in squares):
        total = 0.0
        for x, y in data.blocks():
            difference = scale_x * x[:, plan.x] - scale_y * y[:, plan.y]
            total += float(np.einsum("ij,ij->j", difference, difference) @ plan.mass)
    try:
        value = math.ldexp(math.sqrt(total), unit)
    except OverflowError:
        reason = "it is larger than float64 can hold"
        return undefined("soft_matching", data.n, reason, settings=settings, maximum=None)
    settings["arcs"] = len(plan.mass)
    return Score(value, metric="soft_matching", n=data.n, settings=settings, maximum=None)
