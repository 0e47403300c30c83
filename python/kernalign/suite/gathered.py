"""What a report says of all scores together: a verdict in words, coverage, agreement of metrics, orders of models."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_LEAST = 1e-4  # of a score whose logarithm is a distance
_SENTENCES = 12  # about what is closest, above which coverage alone says it


def verdict(run: Any) -> list[str]:
    """Sentences for who reads no further."""
    counts = Counter(claim.verdict for claim in run.claims)
    found = []
    if run.claims:
        parts = [f"{counts[name]} {name}" for name in ("held", "refuted", "undecided") if counts[name]]
        found.append(f"Of {len(run.claims)} checks {', '.join(parts)}.")
    failed, undefined = run.failed, sum(row["status"] == "undefined" for row in run.rows)
    missing = run.missing
    if failed or undefined or missing:
        told = [(failed, "failed"), (undefined, "undefined"), (missing, "missing")]
        numbers = ", ".join(f"{count} {what}" for count, what in told if count)
        found.append(f"Of {len(run.rows) + missing} scores {numbers}: see coverage.")
    else:
        found.append(f"All {len(run.rows)} scores were made.")
    cells = [(name, metric) for name in run.members for metric in run.suite.description.metrics]
    if len(cells) > _SENTENCES:
        return [*found, f"What is closest in each of {len(run.members)} sets by each metric: see coverage."]
    for name, metric in cells:
        rows = _rows(run, name, metric.id)
        if rows:
            tested = [row["q_value"] for row in rows if not math.isnan(row["q_value"])]
            above = f"; {sum(q < 0.05 for q in tested)} of {len(tested)} are above chance (q < 0.05)" if tested else ""
            best = _closest(rows, metric)
            found.append(f"{name}, {metric.id}: closest are {best['x']} and {best['y']} ({best['score']:.4g}){above}.")
    return found


def standings(run: Any) -> list[list[str]]:
    """The numbers of checks that several metrics were put to, a row for every metric, under a head; or nothing."""
    columns: dict[tuple[str, str], dict[str, float]] = {}
    for claim in run.claims:
        if claim.value is not None:
            columns.setdefault((claim.set, claim.kind), {}).setdefault(claim.metric, claim.value)
    columns = {at: own for at, own in columns.items() if len(own) > 1}
    if not columns:
        return []
    metrics = [one.id for one in run.suite.description.metrics]
    head = ["metric", *(f"{name}: {kind}" for name, kind in columns)]
    values = [[own.get(metric, math.nan) for own in columns.values()] for metric in metrics]
    return [head, *([metric, *map(_three, own)] for metric, own in zip(metrics, values, strict=True))]


def _three(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def coverage(run: Any) -> list[list[str]]:
    """A row for every set and metric."""
    found = []
    for name, own in run.members.items():
        for metric in run.suite.description.metrics:
            every = [row for row in run.rows if row["set"] == name and row["metric_id"] == metric.id]
            status = Counter(row["status"] for row in every)
            missing = sum(one.metric == metric.id and one.key not in run.ledger.scores for one in own.wanted)
            rows = _rows(run, name, metric.id)
            values = [row["score"] for row in rows]
            spread = [f"{of(values):.4g}" for of in (min, np.median, max)] if rows else ["–"] * 3
            tested = [row["q_value"] for row in every if not math.isnan(row["q_value"])]
            low = sum(q < 0.05 for q in tested) if tested else "–"
            counts = [str(status[one]) for one in ("ok", "undefined", "failed")]
            best = _closest(rows, metric) if rows else None
            closest = f"{best['x']}, {best['y']}" if best else "–"
            found.append([name, metric.id, *counts, str(missing), *spread, str(low), closest])
    return found


def agreement(run: Any) -> list[list[str]]:
    """Rank correlations of two metrics over pairs of models, with jackknife errors over models."""
    found = []
    for name, own in run.members.items():
        if len(own.entries) < 3:
            continue
        tables = {metric.id: table(run, name, metric.id) for metric in run.suite.description.metrics}
        ids = list(tables)
        for at, a in enumerate(ids):
            for b in ids[at + 1 :]:
                both = ~np.isnan(tables[a]) & ~np.isnan(tables[b])
                whole = _correlation(tables[a], tables[b], both)
                left = []
                for out in range(len(both)):
                    kept = both.copy()
                    kept[out] = kept[:, out] = False
                    left.append(_correlation(tables[a], tables[b], kept))
                n = len(left)
                error = math.sqrt((n - 1) / n * np.sum((np.array(left) - np.mean(left)) ** 2))
                if not math.isnan(whole):
                    found.append([name, a, b, f"{whole:.3f}", "–" if math.isnan(error) else f"{error:.3f}"])
    return found


def trend(run: Any) -> list[list[str]]:
    """Rank correlation of a model's competence and its mean score, with jackknife errors over models."""
    found = []
    for name, own in run.members.items():
        known = np.array([np.nan if one.competence is None else one.competence for one in own.entries], dtype=float)
        for metric in run.suite.description.metrics if (~np.isnan(known)).sum() > 2 else ():
            scores = table(run, name, metric.id)
            means = np.array([np.nanmean(row) if (~np.isnan(row)).any() else np.nan for row in scores])
            both = ~np.isnan(known) & ~np.isnan(means)
            left = []
            for out in np.flatnonzero(both):
                kept = both.copy()
                kept[out] = False
                left.append(_correlation(known, means, kept))
            n, whole = len(left), _correlation(known, means, both)
            if n > 2 and not math.isnan(whole):
                error = math.sqrt((n - 1) / n * np.sum((np.array(left) - np.mean(left)) ** 2))
                found.append([name, metric.id, str(n), f"{whole:.3f}", "–" if math.isnan(error) else f"{error:.3f}"])
    return found


def table(run: Any, name: str, metric: str) -> Array:
    """Best scores of all ordered pairs of models; nan where there is none."""
    entries = run.members[name].entries
    record = next(one.record for one in run.suite.description.metrics if one.id == metric)
    places = {one.name: at for at, one in enumerate(entries)}
    found = np.full((len(entries), len(entries)), np.nan)
    take = np.fmax if record.larger_is_closer else np.fmin
    for row in _rows(run, name, metric):
        i, j = places[row["x"]], places[row["y"]]
        found[i, j] = take(found[i, j], row["score"])
        if record.symmetric:
            found[j, i] = found[i, j]
    return found


def square(run: Any, name: str, metric: str) -> Array | None:
    """Scores of all pairs of a set, symmetric; None of distances, and where one is missing."""
    record = next(one.record for one in run.suite.description.metrics if one.id == metric)
    found = table(run, name, metric)
    off = ~np.eye(len(found), dtype=bool)
    if not record.larger_is_closer or len(found) < 2 or np.isnan(found[off]).any():
        return None
    return np.where(off, (found + found.T) / 2, 1.0)


def apart(scores: Array) -> Array:
    """-log of scores, of those below 1e-4 of that."""
    found = -np.log(np.clip(scores, _LEAST, 1.0))
    np.fill_diagonal(found, 0.0)
    return np.asarray(found)


def order(scores: Array) -> list[int]:
    """Models so that alike ones are near each other: leaves of average linkage."""
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    if len(scores) < 3:
        return list(range(len(scores)))
    linked = hierarchy.average(squareform(apart(scores), checks=False))
    return [int(at) for at in hierarchy.leaves_list(linked)]


def _rows(run: Any, name: str, metric: str) -> list[Any]:
    return [
        row for row in run.rows if row["set"] == name and row["metric_id"] == metric and not math.isnan(row["score"])
    ]


def _closest(rows: list[Any], metric: Any) -> Any:
    key = max if metric.record.larger_is_closer else min
    return key(rows, key=lambda row: row["score"])


def _correlation(a: Array, b: Array, where: Array) -> float:
    from scipy.stats import rankdata

    if where.sum() < 3:
        return math.nan
    x, y = (rankdata(values[where]) for values in (a, b))
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / scale if scale else math.nan
