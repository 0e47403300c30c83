"""Scores as rows of one table, the same columns for a comparison, a suite and the command line."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kernalign.comparison.tables import only_of
from kernalign.inference.model_maps import false_discovery
from kernalign.metrics.record import MetricInfo

COLUMNS = (
    *("run", "set", "x", "x_family", "x_side", "x_seed", "x_layer", "y", "y_family", "y_side", "y_seed", "y_layer"),
    *("metric_id", "metric", "estimator", "options", "n", "dropped", "p_x", "p_y"),
    *("score", "chance", "chance_sd", "z", "corrected", "p_value", "log10_p", "p_method", "q_value"),
    *("stderr", "low", "high", "selection", "status", "reason", "caveats", "seconds"),
    *("x_digest", "y_digest", "ids_digest", "key", "kernalign", "metric_version", "finished_at"),
)
_SHARED = ("k", "estimator", "kernel")


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV; numbers that do not exist are empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([known(row.get(column)) for column in COLUMNS] for row in rows)
    return stream.getvalue()


def known(value: Any) -> Any:
    """A value of a row; None for a number that does not exist."""
    return None if isinstance(value, float) and math.isnan(value) else value


def rows(found: Any) -> Iterator[dict[str, Any]]:
    """See `Comparison.rows`."""
    reasons: dict[tuple[Any, ...], dict[str, str]] = {}
    for one in found.reasons:
        for place in {one[:3], one[:5]}:
            reasons.setdefault(place, {})[one.text] = one.status
    told = _told(found)
    for metric in found.metrics:
        record, options = found.record(metric), options_of(found, metric)
        constant = {
            "metric_id": metric,
            "metric": found.names.get(metric, metric),
            "estimator": options.get("estimator"),
            "options": json.dumps(options, sort_keys=True, default=str),
            "n": found.n,
            "dropped": found.settings.get("dropped", 0),
            "kernalign": found.provenance.get("kernalign"),
            "metric_version": record.version,
            "finished_at": found.provenance.get("finished_at"),
        }
        of_metric = [_row(found, record, reasons, constant, told, cell) for cell in _flat(found, metric)]
        for row, q in zip(of_metric, false_discovery([row["p_value"] for row in of_metric]), strict=True):
            row["q_value"] = float(q)
            yield row


def options_of(found: Any, metric: str) -> dict[str, Any]:
    """The options of a metric and of the preprocessing that are not left to their defaults."""
    settings, record = found.settings, found.record(metric)
    given = {name: settings.get(name) for name in _SHARED if record.takes(name)}
    given |= {name: settings.get(name) for name in ("normalize", "clip_quantile", "groups")}
    given |= settings.get("metric_options", {}).get(metric, {})
    return {name: value for name, value in given.items() if value is not None}


def corrected(record: MetricInfo, score: float, chance: float) -> float:
    """(score - chance) / (best possible - chance)."""
    low, high = record.range
    most = high if record.larger_is_closer else low
    return (score - chance) / (most - chance) if math.isfinite(most) and most != chance else math.nan


def _row(
    found: Any,
    record: MetricInfo,
    reasons: Mapping[tuple[Any, ...], Mapping[str, str]],
    constant: Mapping[str, Any],
    told: Mapping[tuple[Any, ...], list[str]],
    cell: dict[str, Any],
) -> dict[str, Any]:
    x, y, i, j, score, chance, sd = (cell.pop(key) for key in ("x", "y", "i", "j", "score", "chance", "chance_sd"))
    layers = only_of(found.x_layers[x], i), only_of(found.y_layers[y], j)
    at = () if found.mode == "best" else layers
    why = reasons.get((constant["metric_id"], x, y, *at), {}) if math.isnan(score) else {}
    inputs = [side.get(name, ()) for side, name in zip(found.inputs, (x, y), strict=True)]
    known = [own[place] if 0 <= place < len(own) else None for own, place in zip(inputs, (i, j), strict=True)]
    about: tuple[Any, ...] = (x, layers[0]), (y, layers[1]), (x, y, *layers), (x, y)
    kinds = {kind for where in about for kind in told.get(where, ())}
    return {
        **dict.fromkeys(COLUMNS),
        **constant,
        "x": x,
        "y": y,
        "x_layer": found.x_layers[x][i] if i >= 0 else None,
        "y_layer": found.y_layers[y][j] if j >= 0 else None,
        "p_x": known[0] and known[0].features,
        "p_y": known[1] and known[1].features,
        "score": score,
        "chance": chance,
        "chance_sd": sd,
        "z": (score - chance) / sd if sd > 0 else math.nan,
        "corrected": corrected(record, score, chance),
        "status": min(why.values(), default="ok"),  # "failed" before "undefined"
        "reason": "; ".join(why) or None,
        "caveats": "; ".join(sorted(kinds)) or None,
        "x_digest": known[0] and known[0].digest,
        "y_digest": known[1] and known[1].digest,
        **cell,
    }


def _told(found: Any) -> dict[tuple[Any, ...], list[str]]:
    """Kinds of caveats by what they are about."""
    told: dict[tuple[Any, ...], list[str]] = {}
    for one in found.caveats:
        where: tuple[Any, ...] = one.x, one.x_layer
        if one.y is not None:
            layers = one.x_layer, one.y_layer
            where = (one.x, one.y) if layers == (None, None) else (one.x, one.y, *layers)
        told.setdefault(where, []).append(one.kind)
    return told


def _flat(found: Any, metric: str) -> Iterator[dict[str, Any]]:
    """Names, places of layers and the numbers of every score."""
    unknown = dict.fromkeys(("stderr", "low", "high"), math.nan)
    best = found.best(metric) if found.mode == "best" else None
    for x, y in found.pairs(metric):
        if best is not None:
            at = found.x_names.index(x), found.y_names.index(y)
            i, j = (int(layer) for layer in best.layers[at])
            numbers = [float(part[at]) for part in best.numbers]
            several = len(found.x_layers[x]) * len(found.y_layers[y]) > 1
            yield {
                **_cell(x, y, i, j, numbers, math.log10(numbers[3]) if numbers[3] > 0 else math.nan, best.method),
                "selection": f"best of {len(found.x_layers[x])} x {len(found.y_layers[y])} layers" if several else None,
                **unknown,
            }
            continue
        cells = found.cells(metric, (x, y))
        logs, methods = (table.get(metric, {}).get((x, y)) for table in (found.log10_p, found.p_methods))
        spread = found.intervals.get(metric, {}).get((x, y))
        for i, j in np.ndindex(cells.score.shape):
            numbers = [float(part[i, j]) for part in cells]
            found_how = math.nan if logs is None else float(logs[i, j]), None if methods is None else methods[i, j]
            interval = unknown if spread is None else dict(zip(unknown, map(float, spread[i, j]), strict=True))
            yield {**_cell(x, y, i, j, numbers, *found_how), **interval}


def _cell(x: str, y: str, i: int, j: int, numbers: list[float], log10_p: float, method: str | None) -> dict[str, Any]:
    names = ("score", "chance", "chance_sd", "p_value")
    return {
        "x": x,
        "y": y,
        "i": i,
        "j": j,
        **dict(zip(names, numbers, strict=True)),
        "log10_p": log10_p,
        "p_method": method or None,
    }
