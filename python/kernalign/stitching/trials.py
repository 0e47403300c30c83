"""Trials: several stitchers on one pair, cross-validated from one state per fold, with the risk of a head on top."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernalign import _core
from kernalign._base.checks import check_folds, shown
from kernalign._base.progress import ProgressArgument, reporting
from kernalign._base.readable import Readable
from kernalign._rows import arrays
from kernalign._rows.folds import dealt
from kernalign.stitching.heads import Head, as_head
from kernalign.stitching.held_out import fit, fold_rows, items_of
from kernalign.stitching.linear_map import LinearStitcher, Solution
from kernalign.stitching.problem import Matrix, Problem


@dataclass(frozen=True, repr=False)
class Trial(Readable):
    """One stitcher on one pair; what is not said to be in-sample is scored on items that the map has not seen.

    Attributes
    ----------
    name : the stitcher's. rank : of its map. solver : "normal equations" or "tsqr".
    r2, r2_in_sample : 1 - SSE / SST, summed over outputs; nan where y is constant.
    misalignment : mean |map(x) - y|^2.
    risk, stitched_risk, bound : mean squared errors of the head on y and on map(x), and (sqrt(risk) + lipschitz
        sqrt(misalignment))^2, which holds for every map; None without a head.

    See Also
    --------
    run_trials : makes them

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> x, y = np.random.default_rng(0).standard_normal((2, 60, 4))
    >>> (trial,) = stitching.run_trials(x, y, {"affine": stitching.AffineStitcher()})
    >>> trial.r2 < 0 < trial.r2_in_sample
    True
    """

    name: str
    rank: int
    r2: float
    r2_in_sample: float
    misalignment: float
    risk: float | None
    stitched_risk: float | None
    bound: float | None
    solver: str


def run_trials(
    x: Any,
    y: Any,
    stitchers: Mapping[str, LinearStitcher],
    *,
    folds: int = 5,
    head: Any = None,
    targets: Any = None,
    lipschitz: float | None = None,
    progress: ProgressArgument = False,
) -> list[Trial]:
    """Fit every stitcher from x (n, p) to y (n, q) and score it on items held out, in `linear_predictivity`'s folds.

    The rows of a fold are gone through once for all stitchers. ``head`` (as in ``stitching_certificate``) reads y and
    is scored against ``targets`` (n, d). Holds O((p + q)^2) and blocks of rows.

    Raises
    ------
    TypeError, ValueError
        For bad arrays, a bad parameter of a stitcher, folds out of range, or a head without targets.

    See Also
    --------
    Trial : one row of what it returns
    stitching_certificate, transfer_accuracy

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((150, 5))
    >>> y = x @ np.linalg.qr(rng.standard_normal((5, 5)))[0] + 0.3 * rng.standard_normal((150, 5))
    >>> maps = {"affine": stitching.AffineStitcher(), "rotation": stitching.ProcrustesStitcher()}
    >>> trials = stitching.run_trials(x, y, maps)
    >>> [(trial.name, round(trial.r2, 1)) for trial in trials]
    [('affine', 0.9), ('rotation', 0.9)]
    """
    x, y, targets = arrays.aligned(("x", x), ("y", y), ("targets", targets))
    pair = arrays.pair(x, y, advise=False)
    folds = check_folds(folds, pair.n, "folds")
    named = dict(stitchers) if isinstance(stitchers, Mapping) else {}
    if not named or not all(isinstance(one, LinearStitcher) for one in named.values()):
        raise TypeError(f"stitchers must be a dict of names and stitchers, got {shown(stitchers)}")
    if head is None and lipschitz is not None:
        raise ValueError(f"lipschitz must be left out without a head, got {shown(lipschitz)}")
    if (head is None) != (targets is None):
        raise ValueError("head and targets must be given together")
    goal = None if targets is None else arrays.rows(targets, "targets")
    reader = None if goal is None else as_head(head, lipschitz, pair.y.shape[1], goal.shape[1])
    if goal is not None and goal.shape[0] != pair.n:
        raise ValueError(f"targets must have the {pair.n} rows of x and y, got {goal.shape[0]}")
    if pair.n - math.ceil(pair.n / folds) < 2:
        raise ValueError(f"every fold must leave at least 2 items to fit on, got {pair.n} items in {folds} folds")
    sums = _Sums(len(stitchers), pair.y, reader, goal)
    whole = fit(pair.x, pair.y.dense, pair.y.shape[1], intercept=True)
    whole.warn("run_trials")
    with reporting(progress, "stitching") as report:
        for at, fold in enumerate(dealt(pair.n, folds)):
            problem = fit(pair.x, pair.y.dense, pair.y.shape[1], without=fold, intercept=True)
            maps = [stitcher._solve(problem) for stitcher in stitchers.values()]
            for items, rows in fold_rows(pair.x, pair.y.shape[1], fold):
                sums.add(items, [rows @ found.coef + found.intercept for found in maps])
            if report is not None:
                report(at + 1, folds)
    return [
        _trial(name, stitcher._solve(whole), whole, sums, index)
        for index, (name, stitcher) in enumerate(stitchers.items())
    ]


class _Sums:
    """Squared errors of every stitcher over the items so far."""

    def __init__(self, count: int, y: _core.Rows, head: Head | None, targets: _core.Rows | None) -> None:
        self.error, self.stitched = np.zeros(count), np.zeros(count)
        self.risk, self.y, self.head, self.targets = 0.0, y, head, targets

    def add(self, items: Any, mapped: list[Matrix]) -> None:
        """Score predictions of some items."""
        own = items_of(self.y, items)
        self.error += [float(((rows - own) ** 2).sum()) for rows in mapped]
        if self.head is not None and self.targets is not None:
            goal = items_of(self.targets, items)
            read = self.head(own)
            if read.shape != goal.shape:
                raise ValueError(f"head must return the {goal.shape[1]} columns of targets, got {read.shape[1]}")
            self.risk += float(((read - goal) ** 2).sum())
            self.stitched += [float(((self.head(rows) - goal) ** 2).sum()) for rows in mapped]


def _trial(name: str, found: Solution, whole: Problem, sums: _Sums, index: int) -> Trial:
    n, total = whole.n, float(whole.power.sum()) / whole.n
    off = float(sums.error[index]) / n
    risk = stitched = bound = None
    if sums.head is not None:
        risk, stitched = sums.risk / n, float(sums.stitched[index]) / n
        bound = (math.sqrt(risk) + sums.head.lipschitz * math.sqrt(off)) ** 2
    r2, inside = (1 - value / total if total > 0 else math.nan for value in (off, found.residual))
    rank = min(int(found.more.get("rank", len(whole.spectrum[0]))), found.coef.shape[1])
    return Trial(name, rank, r2, inside, off, risk, stitched, bound, found.solver)
