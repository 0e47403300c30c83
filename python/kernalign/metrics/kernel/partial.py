"""CKA and distance correlation of what a confound leaves: partial cosines of centred matrices, and their null."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kernalign import _core
from kernalign._base.kernels import Cosine, Delta, Distance, Linear, SideKernel
from kernalign._base.progress import Report
from kernalign._base.score import Fixed, Null, Score, undefined
from kernalign._engines import directions
from kernalign._engines.directions import Matrix
from kernalign._engines.gram_source import make_side
from kernalign._engines.gram_sweep import GramSweep
from kernalign._engines.kernel_sums import KernelSums, bounded
from kernalign._engines.linear import linear_sums
from kernalign._rows import arrays, followed
from kernalign._rows.decompositions import product
from kernalign._rows.labels import as_indicators
from kernalign._rows.magnitude import divided, exponent_of
from kernalign._statistics.null_tail import COST, LONG, DrawnTail
from kernalign._statistics.pairings import Orders, Pairings, Values

Kernels = tuple[SideKernel | Distance, SideKernel | Distance, SideKernel | Distance]

_NOTHING = 1e-10  # of a squared length, that the confound leaves: rounding
_ROUNDED = 1e-13  # of the largest entry of a column
_NO_TEST = (
    "none: new pairings of what is left part it from given, and reject far too often; adjust='columns' has a test"
)


def partial_cosine(
    metric: str, pair: arrays.Pair, given: Any, kernels: Kernels, estimator: str, report: Report
) -> Score:
    """(R_xy - R_xz R_yz) / sqrt((1 - R_xz^2) (1 - R_yz^2)) of the cosines R of centred matrices; z is what is given."""
    pair.afford(metric, 3 * arrays.SUMS * pair.n)
    rows = pair.x, pair.y, _rows_of(given, pair, kernels[2])
    made = [
        make_side([one], kernel, pair.threads, report, double=True) for one, kernel in zip(rows, kernels, strict=True)
    ]
    sweep = GramSweep(made, centred=True, threads=pair.threads, report=report)
    settings: dict[str, Any] = {**sweep.sums(0, 1, pair.settings).describe(), "given": made[2].describe()["kernel"]}
    keywords: dict[str, Any] = {"estimator": estimator, "settings": settings}
    flaws = [one.why_undefined(estimator) for one in sweep.alone]
    for name, flaw in zip("xy", flaws, strict=False):
        if flaw is not None:
            return undefined(metric, pair.n, name + flaw[1:] if flaw.startswith("x ") else flaw, **keywords)
    xy, xz, yz = (0.0 if flaws[b] else _cosine(sweep, a, b, estimator) for a, b in ((0, 1), (0, 2), (1, 2)))
    left = 1 - xz * xz, 1 - yz * yz
    for name, rest in zip("xy", left, strict=True):
        if not rest > _NOTHING:
            return undefined(metric, pair.n, f"given leaves nothing of {name}", **keywords)
    settings["given_x"], settings["given_y"] = xz, yz
    value = bounded((xy - xz * yz) / math.sqrt(left[0] * left[1]))
    return Score(value, metric=metric, n=pair.n, null=Null(None, p_value=Fixed(None, _NO_TEST)), **keywords)


def residual_cka(
    pair: arrays.Pair, given: Any, estimator: str, report: Report, finish: Callable[[KernelSums], Score]
) -> Score:
    """Linear CKA of what a least-squares fit on ``given``, with an intercept, leaves of both sides."""
    z = _rows_of(given, pair, Linear())
    (n, p), q = pair.x.shape, pair.y.shape[1]
    pair.afford("cka", 8 * n * (4 * max(p, q) + p + q + 4 * z.shape[1]))
    centred, free = z.dense(0, pair.n), pair.n - 1
    centred = centred - centred.mean(axis=0)
    lengths = np.sqrt((centred**2).sum(axis=0))
    basis = directions.of_rows(centred, free, 1e-12 * lengths).left
    assert basis is not None
    sides = []
    for rows, name in ((pair.x, "x"), (pair.y, "y")):
        whole = rows.dense(0, pair.n)
        values = divided(whole, exponent_of(whole))
        values = _left_of(values - values.mean(axis=0), basis)
        gone = np.sqrt((values**2).sum(axis=0)) <= _ROUNDED * np.abs(divided(whole, exponent_of(whole))).max(axis=0)
        values[:, gone] = 0.0
        sides.append((values, _core.Rows(values, name)))
    (x, rows_x), (y, rows_y) = sides
    settings = {**pair.settings, "given": "columns", "given_rank": basis.shape[1]}
    for values, rows, name in ((x, pair.x, "x"), (y, pair.y, "y")):
        if not values.any() and np.ptp(rows.dense(0, pair.n), axis=0).any():
            return undefined("cka", pair.n, f"given leaves nothing of {name}", estimator=estimator, settings=settings)
    left = arrays.Pair(rows_x, rows_y, settings, pair.threads)
    found = finish(linear_sums(left, centred=True, report=report).settled())
    if found.reason is not None:
        return found
    unbiased = estimator == "unbiased"
    own = _square(x, unbiased)

    def scores(orders: Orders) -> Values:
        values = []
        for order in orders:
            other = _left_of(y[order], basis)
            values.append(_product(x, other, unbiased) / math.sqrt(own * _square(other, unbiased)))
        return np.array(values)

    cost = n * (p * q + q * min(q, n) + 2 * q * basis.shape[1])
    tail = DrawnTail(Pairings.of_items(n), None, f"none: {LONG}" if cost > COST // 4 else scores)
    return Score(float(found), metric="cka", n=n, estimator=estimator, settings=found.settings, null=tail.null())


def _left_of(values: Matrix, basis: Matrix) -> Matrix:
    return values - product(basis, product(basis.T, values))


def _product(x: Matrix, y: Matrix, unbiased: bool) -> float:
    """<K, L> of centred or U-centred linear kernels of centred rows (mathematics 2.3)."""
    n, whole = len(x), float((product(x.T, y) ** 2).sum())
    if not unbiased:
        return whole
    a, b = (x**2).sum(axis=1), (y**2).sum(axis=1)
    return whole - float(a @ b) * n / (n - 2) + float(a.sum() * b.sum()) / ((n - 1) * (n - 2))


def _square(x: Matrix, unbiased: bool) -> float:
    if x.shape[1] <= len(x):
        return _product(x, x, unbiased)
    gram = product(x, x.T)
    own, n = np.diagonal(gram), len(x)
    whole = float((gram**2).sum())
    if not unbiased:
        return whole
    return whole - float(own @ own) * n / (n - 2) + float(own.sum()) ** 2 / ((n - 1) * (n - 2))


def _rows_of(given: Any, pair: arrays.Pair, kernel: SideKernel | Distance) -> Any:
    """What is given for the items of the pair."""
    found = followed.rows(given, pair.kept)
    if isinstance(kernel, Delta):
        found = as_indicators(found, "given")
    settings = {name: pair.settings[name] for name in ("normalize", "clip_quantile")}
    return arrays.rows(found, "given", divided=isinstance(kernel, Cosine), **settings)


def _cosine(sweep: GramSweep, a: int, b: int, estimator: str) -> float:
    sums = sweep.sums(a, b)
    if estimator == "unbiased":
        return sums.unbiased_cka()
    return bounded(sums.centred(0, 1) / math.sqrt(sums.centred(0, 0) * sums.centred(1, 1)))
