"""Pairs of representations: how alike they are, and how well one can be stitched under the other's readouts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import kernalign as ka
import numpy as np
from kernalign import stitching
from numpy.typing import NDArray

from bench.studies.labelled import Task

Rows = NDArray[np.float64]

FOLDS = 3
L2 = 0.01  # of the probes


@dataclass(frozen=True)
class Pair:
    """One source f1 stitched under the readouts of one target f2, on one task.

    Attributes
    ----------
    cka, cka_p, mutual_knn, nbs : of the two, the same both ways
    misalignment, misalignment_cv : share of the target's variance that an affine map of the source misses, on the items
        it was fitted to, and on items left out (``FOLDS``); _ridge: by a ridge map on items left out
    promised : share of the target's variance that CKA guarantees an affine map to catch: (1 - alignment bound / trace)
    source_flatness : |eta1| / max eta1, at least 1: what CKA is multiplied with in that guarantee
    target_participation : participation ratio of the target's spectrum, whose root divides it
    risk, stitched_risk, excess, bound : of a ridge head of the target that says which class (squared errors, in-sample)
    risk_cv, stitched_risk_cv, bound_cv : the same with a ridge map scored on items left out
    constant : risk of the best constant, above which a bound says nothing
    native, native_source, chance : accuracy of logistic probes on their own features, and of the commonest class
    ridge, affine, procrustes, low_rank : accuracy of the target's probe on the source's features, mapped
    kept : (best of these - chance) / (native - chance): of the best map, so that no map's failing is blamed on CKA; nan
        unless native is clearly above chance (the lower end of its 95 % interval is)
    kept_p : McNemar's test of that best map against the native probe
    """

    task: str
    source: str
    target: str
    n: int
    source_width: int
    target_width: int
    cka: float
    cka_p: float
    mutual_knn: float
    nbs: float
    misalignment: float
    misalignment_cv: float
    misalignment_cv_ridge: float
    promised: float
    source_flatness: float
    target_participation: float
    risk: float
    stitched_risk: float
    excess: float
    bound: float
    risk_cv: float
    stitched_risk_cv: float
    bound_cv: float
    constant: float
    native: float
    native_source: float
    chance: float
    ridge: float
    affine: float
    procrustes: float
    low_rank: float
    kept: float
    kept_p: float


class RememberedProbe:
    """A logistic probe that is fitted once for the same rows: every pair with the same target has the same probe."""

    def __init__(self, fitted: dict[bytes, stitching.LinearProbe] | None = None) -> None:
        self._fitted = {} if fitted is None else fitted

    def __deepcopy__(self, memo: Any) -> RememberedProbe:
        return RememberedProbe(self._fitted)

    def fit(self, x: Rows, labels: Any) -> RememberedProbe:
        key = x.tobytes() + np.asarray(labels).tobytes()
        if key not in self._fitted:
            self._fitted[key] = stitching.LinearProbe(L2).fit(x, labels)
        self._probe = self._fitted[key]
        return self

    def predict(self, x: Rows) -> Any:
        return self._probe.predict(x)


def _maps(width: int, classes: int) -> dict[str, stitching.LinearStitcher]:
    """The maps that are tried; the low-rank one has as many directions as a readout of the classes can use."""
    return {
        "ridge": stitching.RidgeStitcher("gcv"),
        "affine": stitching.AffineStitcher(),
        "procrustes": stitching.ProcrustesStitcher(),
        "low_rank": stitching.LowRankStitcher(min(width, classes - 1)),
    }


def measure(given: Mapping[str, Rows], tasks: Sequence[Task]) -> Iterator[Pair]:
    """Every ordered pair of representations on every task."""
    for task in tasks:
        sides = {name: rows[task.items] - rows[task.items].mean(axis=0) for name, rows in given.items()}
        spectra = {name: _spectrum(rows) for name, rows in sides.items()}
        probe, alike = RememberedProbe(), {}
        for source, target in itertools.permutations(sides, 2):
            key = frozenset((source, target))
            if key not in alike:
                alike[key] = _symmetric(sides[source], sides[target])
            numbers = alike[key] | _certified(sides[source], sides[target], task.labels)
            numbers |= _transferred(sides[source], sides[target], task, probe)
            flatness, participation = spectra[source][0], spectra[target][1]
            widths = sides[source].shape[1], sides[target].shape[1]
            yield Pair(
                task.name,
                source,
                target,
                len(task.items),
                *widths,
                source_flatness=flatness,
                target_participation=participation,
                **numbers,
            )


def _symmetric(x: Rows, y: Rows) -> dict[str, float]:
    cka = ka.cka(x, y)
    assert cka.p_value is not None
    return {
        "cka": float(cka),
        "cka_p": cka.p_value,
        "mutual_knn": float(ka.mutual_knn(x, y)),
        "nbs": float(ka.nbs(x, y)),
    }


def _certified(source: Rows, target: Rows, labels: Any) -> dict[str, float]:
    """Misalignment and stitching risk of a head that is a ridge regression of class indicators on the target."""
    wanted = (labels[:, None] == np.unique(labels)).astype(np.float64)
    fitted = stitching.RidgeStitcher("gcv").fit(target, wanted)
    head = stitching.LinearHead(fitted.coef_, fitted.intercept_)
    found = stitching.stitching_certificate(source, target, head, wanted)
    assert found.holds
    both = {"affine": stitching.AffineStitcher(), "ridge": stitching.RidgeStitcher("gcv")}
    affine, ridge = stitching.run_trials(source, target, both, folds=FOLDS, head=head, targets=wanted)
    power = float((target**2).sum()) / len(target)
    assert ridge.risk is not None
    assert ridge.stitched_risk is not None
    assert ridge.bound is not None
    return {
        "misalignment": found.relative_misalignment,
        "misalignment_cv": 1 - affine.r2,
        "misalignment_cv_ridge": 1 - ridge.r2,
        "promised": 1 - found.alignment_bound / power,
        "risk": found.risk,
        "stitched_risk": found.stitched_risk,
        "excess": found.excess,
        "bound": found.bound,
        "risk_cv": ridge.risk,
        "stitched_risk_cv": ridge.stitched_risk,
        "bound_cv": ridge.bound,
        "constant": float(wanted.var(axis=0).sum()),
    }


def _transferred(source: Rows, target: Rows, task: Task, probe: RememberedProbe) -> dict[str, float]:
    tried = _maps(min(source.shape[1], target.shape[1]), len(set(task.labels)))
    found = {
        name: stitching.transfer_accuracy(target, source, task.labels, task.test, stitcher=stitcher, probe=probe)
        for name, stitcher in tried.items()
    }
    best = max(found.values(), key=lambda transfer: transfer.accuracy)
    return {name: transfer.accuracy for name, transfer in found.items()} | {
        "native": best.native_a,
        "native_source": best.native_b,
        "chance": best.chance,
        "kept": best.ratio if best.interval_a[0] > best.chance else math.nan,
        "kept_p": best.against_a.p_value,
    }


def _spectrum(rows: Rows) -> tuple[float, float]:
    """|eta| / max eta, and the participation ratio."""
    eta = np.linalg.svd(rows, compute_uv=False) ** 2
    return float(np.linalg.norm(eta) / eta[0]), float(eta.sum() ** 2 / (eta**2).sum())
