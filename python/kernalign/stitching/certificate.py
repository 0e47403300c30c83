"""Stitching risk: what a head of f2 loses when f1 is stitched under it, and the bound that certifies it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernalign import _core
from kernalign._base import checks
from kernalign._base.readable import Readable
from kernalign._base.score import Score
from kernalign._engines import directions
from kernalign._rows import arrays
from kernalign._rows.digits import Digits
from kernalign.stitching.heads import GivenHead, Head, LinearHead, as_head
from kernalign.stitching.held_out import CV, check_cv, fit, items_of, predictions
from kernalign.stitching.problem import Matrix, Problem

_ROUNDING = 1e-10


@dataclass(frozen=True, repr=False)
class Certificate(Readable):
    """Risks (mean squared errors over items, summed over outputs) of stitching f1 under a head of f2.

    Attributes
    ----------
    risk : R2(h2), the head on its own representation.
    stitched_risk : the head on S f1, S the least-squares map from f1 to f2.
    best_risk : the least over all linear S; linear heads only, else None.
    own_risk : R1(H1), the least over all linear heads (with the head's bias) on f1 itself; None like best_risk.
    least_risk : R2(H2), the least over all linear heads (with the head's bias) on f2; None like best_risk.
    excess : best_risk - risk, may be negative; stitched_risk - risk, which is no less, where best_risk is None.
    misalignment : mean |S f1 - f2|^2 = tr S22 - tr(S21 S11^+ S12); 0: f2 is a linear function of f1.
    relative_misalignment : misalignment / tr S22, in [0, 1] in-sample: 1 - R^2 without intercept.
    lipschitz, lipschitz_kind : of the head; "exact" (linear), "upper bound" (MLP) or "given" (callable).
    bound : (sqrt(risk) + lipschitz sqrt(misalignment))^2, which no stitched_risk exceeds.
    holds : own_risk <= best_risk <= stitched_risk <= bound as far as they exist (held out: the last alone).
    head_rank, lemma_gap : rank of a linear head; best_risk - own_risk = tr[(I-P) B' S11 B (I-P)] (P: projector on the
        head's range, B: least squares of the targets on f1), which is 0 if the rank is the number of outputs.
    alignment_bound : tr S22 - |S12|^2 / (largest eigenvalue of S11), which misalignment does not exceed in-sample;
        |S12|^2 is kernel alignment times the norms of both spectra. So alignment controls stitching only where f1's
        spectrum is flat.
    forward : (own_risk, best_risk, bound), each minus risk: the stitching theorem's chain of inequalities.
    failed : the theorems' conditions that these data do not meet, in words.
    estimate : "in-sample", "press" or "K-fold"; solver: "normal equations" or "tsqr".

    See Also
    --------
    stitching_certificate : makes it

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> f1, f2 = rng.standard_normal((2, 100, 4))
    >>> certificate = stitching.stitching_certificate(f1, f2, np.ones((1, 4)), f2.sum(axis=1, keepdims=True))
    >>> round(certificate.risk, 6), certificate.lipschitz, bool(certificate.excess > 1)
    (0.0, 2.0, True)
    """

    n: int
    risk: float
    stitched_risk: float
    best_risk: float | None
    own_risk: float | None
    least_risk: float | None
    misalignment: float
    relative_misalignment: float
    lipschitz: float
    lipschitz_kind: str
    bound: float
    holds: bool
    head_rank: int | None
    lemma_gap: float | None
    alignment_bound: float
    failed: tuple[str, ...]
    estimate: str
    solver: str

    @property
    def excess(self) -> float:
        return (self.stitched_risk if self.best_risk is None else self.best_risk) - self.risk

    @property
    def forward(self) -> tuple[float | None, float | None, float]:
        own = None if self.own_risk is None else self.own_risk - self.risk
        best = None if self.best_risk is None else self.best_risk - self.risk
        return own, best, self.bound - self.risk


@dataclass(frozen=True)
class _Data:
    """The three arrays, and what depends on the head alone."""

    f1: _core.Rows
    f2: _core.Rows
    targets: _core.Rows
    head: Head

    @property
    def linear(self) -> LinearHead | None:
        return self.head if isinstance(self.head, LinearHead) else None

    @property
    def columns(self) -> int:
        """Of ``joint``."""
        return self.f2.shape[1] + (0 if self.linear is None else self.targets.shape[1])

    def joint(self, begin: int, end: int) -> Matrix:
        """[f2 | targets without the head's bias]: both are predicted from f1 by one fit."""
        if self.linear is None:
            return self.f2.dense(begin, end)
        return np.hstack([self.f2.dense(begin, end), self.unbiased(begin, end)])

    def unbiased(self, begin: int, end: int) -> Matrix:
        assert self.linear is not None
        return self.targets.dense(begin, end) - self.linear.bias

    def outputs(self) -> tuple[Matrix, int] | None:
        """A linear head's projector on the range of its weight, and its rank."""
        if self.linear is None:
            return None
        weight, rounding = self.linear.weight, Digits.of(arrays.rows(self.linear.weight, "weight")).rounding
        noise = directions.noise(np.linalg.norm(weight, axis=0), np.zeros(weight.shape[1]), len(weight), rounding)
        left = directions.of_rows(weight, min(weight.shape), noise).left
        assert left is not None
        return left @ left.T, left.shape[1]


def stitching_certificate(
    f1: Any, f2: Any, head: Any, targets: Any, lipschitz: float | None = None, *, cv: CV = None
) -> Certificate:
    """Certify how well f1 can stand in for f2 under f2's head, by a linear map between them.

    Maps go through the origin, as in the theory; centre both representations first to speak of affine maps. Risks are
    squared errors. The bound holds for every data set, also held out: it is the triangle inequality on the items that
    are scored. The published statements are corrected: squared norms in the misalignment, the rank condition of the
    output-layer lemma, and G2 o S in G1 as the forward theorem's nesting, which linear heads always meet.

    Parameters
    ----------
    f1 : (n, d1), f2 : (n, d2), targets : (n, d), paired by row.
    head : weight (d, d2), LinearHead, MLPHead, or a callable on rows (m, d2), which needs ``lipschitz``.
    cv : None fits and scores on all items, which flatters f1: the misalignment is low by about d1 / n of the noise.
        "press" leaves out each item in turn, a number K makes folds as `linear_predictivity`'s; each is scored by maps
        that have not seen it. Inequalities among least risks then need not hold.

    Raises
    ------
    TypeError, ValueError
        For bad arrays, shapes that do not fit the head, a callable without ``lipschitz``, or leverage 1 with "press".

    Memory: O((d1 + d2 + d)^2) and blocks of rows.

    See Also
    --------
    Certificate : what it returns
    misalignment : of the maps alone
    transfer_accuracy : accuracy in place of squared error

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> f2 = rng.standard_normal((200, 6))
    >>> f1 = f2 @ rng.standard_normal((6, 10)) + 0.1 * rng.standard_normal((200, 10))
    >>> targets = f2[:, :2]
    >>> certificate = stitching.stitching_certificate(f1, f2, np.eye(6)[:2], targets, cv=5)
    >>> certificate.holds, bool(certificate.stitched_risk < certificate.bound)
    (True, True)
    """
    f1, f2, targets = arrays.aligned(("f1", f1), ("f2", f2), ("targets", targets))
    first, third = arrays.pair(f1, f2, advise=False, names=("f1", "f2")), arrays.rows(targets, "targets")
    data = _Data(first.x, first.y, third, as_head(head, lipschitz, first.y.shape[1], third.shape[1]))
    if third.shape[0] != first.n:
        raise ValueError(f"targets must have the {first.n} rows of f1 and f2, got {third.shape[0]}")
    checks.check_count(first.n, 2, "stitching_certificate")
    cv = check_cv(cv, first.n)
    problem = fit(data.f1, data.joint, data.columns)
    problem.warn("stitching_certificate")
    return _certify(data, problem, cv)


def misalignment(f1: Any, f2: Any, *, cv: CV = None) -> Score:
    """Mean |S f1 - f2|^2 of the least-squares map S through the origin: tr S22 - tr(S21 S11^+ S12).

    In [0, tr S22] in-sample: 0 iff f2 (n, d2) is a linear function of f1 (n, d1), tr S22 iff all f1'f2 are 0.
    Asymmetric; centre both first to speak of covariances. ``settings``: relative (divided by tr S22), alignment_bound,
    solver, saturated. ``cv`` and memory as in :func:`stitching_certificate`.

    See Also
    --------
    stitching_certificate : what it means under a head
    kernalign.linear_predictivity : the same as a share, after centring

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> f1 = rng.standard_normal((100, 5))
    >>> abs(stitching.misalignment(f1, f1 @ rng.standard_normal((5, 3)))) < 1e-9
    True
    >>> noise = rng.standard_normal((100, 3))
    >>> in_sample, held_out = stitching.misalignment(f1, noise), stitching.misalignment(f1, noise, cv=5)
    >>> bool(in_sample < held_out)
    True
    """
    pair = arrays.pair(f1, f2, advise=False, names=("f1", "f2"))
    checks.check_count(pair.n, 2, "misalignment")
    cv = check_cv(cv, pair.n)
    problem = fit(pair.x, pair.y.dense, pair.y.shape[1])
    problem.warn("misalignment")
    total = float(problem.power.sum()) / pair.n
    error = 0.0
    for items, predicted in predictions(pair.x, pair.y.dense, problem, cv):
        error += float(((predicted - items_of(pair.y, items)) ** 2).sum())
    value = error / pair.n
    settings = {
        "relative": value / total if total > 0 else math.nan,
        "alignment_bound": _alignment_bound(problem, pair.y.shape[1]),
        "solver": problem.solver,
        "saturated": len(problem.spectrum[0]) >= pair.n,
        "rounded_x": problem.directions.rounded,
    }
    return Score(value, metric="misalignment", n=pair.n, estimator=_estimate(cv), settings=settings, maximum=None)


def _certify(data: _Data, problem: Problem, cv: CV) -> Certificate:
    n, d2 = data.f2.shape
    sums, slope = _risks(data, problem, cv)
    risk, stitched, off, *linear = (float(value) / n for value in sums)
    own, best, least = linear if linear else (None, None, None)
    kappa = data.head.lipschitz
    bound = (math.sqrt(risk) + kappa * math.sqrt(off)) ** 2
    power = float(problem.power[:d2].sum()) / n
    slack = _ROUNDING * (risk + stitched + kappa**2 * power)
    chain = [value for value in (own, best) if value is not None and cv is None] + [stitched, bound]
    holds = all(a <= b + slack for a, b in itertools.pairwise(chain))
    outputs = data.outputs()
    rank = outputs[1] if outputs is not None else None
    gap = None if best is None or own is None else best - own
    failed = list(_failures(data, problem, rank, gap))
    if isinstance(data.head, GivenHead) and slope > kappa * (1 + 1e-9):
        failed.append(f"lipschitz = {kappa:.6g} is too small: on these items the head's slope reaches {slope:.6g}")
    if least is not None and cv is None and risk > least + slack:
        failed.append(f"the head is not the best linear one on f2 (risk {risk:.6g}, least {least:.6g})")
    if cv is not None:
        failed.append("held out: maps are scored on items they have not seen, so their risks need not be least ones")
    return Certificate(
        n,
        risk,
        stitched,
        best,
        own,
        least,
        off,
        off / power if power > 0 else math.nan,
        kappa,
        data.head.lipschitz_kind,
        bound,
        holds,
        rank,
        gap,
        _alignment_bound(problem, d2),
        tuple(failed),
        _estimate(cv),
        problem.solver,
    )


def _risks(data: _Data, problem: Problem, cv: CV) -> tuple[Matrix, float]:
    """Sums over items of: risk, stitched risk, misalignment[, own, best, least risk]; the head's largest slope."""
    d2, linear, outputs = data.f2.shape[1], data.linear, data.outputs()
    sums, slope = np.zeros(3 if linear is None else 6), 0.0
    for items, predicted in predictions(data.f1, data.joint, problem, cv):
        own, mapped = items_of(data.f2, items), predicted[:, :d2]
        read, stitched, target = data.head(own), data.head(mapped), items_of(data.targets, items)
        if read.shape != target.shape:
            raise ValueError(f"head must return the {target.shape[1]} columns of targets, got {read.shape[1]}")
        distance = _length(mapped - own)
        moved = distance > 1e-6 * (_length(own) + _length(mapped))  # closer, rounding would be taken for slope
        if moved.any():
            slope = max(slope, float((_length(stitched - read)[moved] / distance[moved]).max()))
        parts = [read - target, stitched - target, mapped - own]
        if linear is not None and outputs is not None:
            free = predicted[:, d2:]
            parts += [free + linear.bias - target, free @ outputs[0] + linear.bias - target]
        sums[: len(parts)] += [float((part**2).sum()) for part in parts]
    if linear is not None:
        for items, predicted in _own_fit(data, cv):
            sums[5] += float(((predicted + linear.bias - items_of(data.targets, items)) ** 2).sum())
    return sums, slope


def _own_fit(data: _Data, cv: CV) -> Iterator[Any]:
    return predictions(data.f2, data.unbiased, fit(data.f2, data.unbiased, data.targets.shape[1]), cv)


def _failures(data: _Data, problem: Problem, rank: int | None, gap: float | None) -> Iterator[str]:
    if rank is None:
        yield "the head is not linear: the least risks over stitchers and over heads on f1 have no closed form"
    elif rank < data.targets.shape[1]:
        yield (
            f"the output-layer lemma needs a head of rank {data.targets.shape[1]}, the number of outputs, but it has "
            f"rank {rank}: the best stitched risk differs from the best own risk by {gap:.6g}"
        )
    if len(problem.spectrum[0]) >= problem.n:
        yield "saturated: f1 has as many independent columns as items, so in-sample it fits any f2"


def _alignment_bound(problem: Problem, d2: int) -> float:
    cross, s = problem.products[1][:, :d2], problem.spectrum[0]
    power = float(problem.power[:d2].sum())
    return (power - (float(((cross / s[0]) ** 2).sum()) if len(s) else 0.0)) / problem.n


def _length(rows: Matrix) -> Matrix:
    return np.asarray(np.sqrt((rows**2).sum(axis=1)))


def _estimate(cv: CV) -> str:
    return "in-sample" if cv is None else cv if isinstance(cv, str) else f"{cv}-fold"
