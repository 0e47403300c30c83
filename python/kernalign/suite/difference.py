"""What two runs have in common and what parts them, score by score."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernalign._base.files import regular

SAME, INPUT, VERSION, OPTIONS, MOVED, MISSING, NEW = KINDS = (
    "same",
    "moved by input",
    "moved by version",
    "options differ",
    "moved",
    "missing",
    "new",
)
_KEY = ("set", "metric_id", "x", "x_layer", "y", "y_layer")
_READ = (
    *(*_KEY, "score", "status", "metric", "options", "estimator"),
    *("x_digest", "y_digest", "ids_digest", "kernalign", "metric_version"),
)
_TOLERANCE = 1e-12


def read(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """The rows of results.csv, of a run's directory or the file."""
    path = Path(path)
    path = path / "results.csv" if path.is_dir() else path
    with regular(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        try:
            rows = list(reader)
            if lacking := [one for one in _READ if one not in (reader.fieldnames or ())]:
                raise ValueError(f"it has no column {', '.join(lacking)}")
            for row in rows:
                if None in row.values() or None in row:
                    raise ValueError(f"the row of {row['x']} and {row['y']} has not as many cells as columns")
                _number(row["score"])
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{path} must be the results.csv of a run: {error}") from error
    return rows


def compare(a: Sequence[Mapping[str, str]], b: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """A dict for every score of either: its names, both values, ``kind`` (one of `KINDS`) and, if an input is another,
    which."""
    sides = [{tuple(row[key] for key in _KEY): row for row in side} for side in (a, b)]
    found = []
    for at in dict.fromkeys((*sides[0], *sides[1])):
        one, other = (side.get(at) for side in sides)
        kind, why = _kind(one, other)
        values = [_number(row["score"]) if row else math.nan for row in (one, other)]
        found.append({**dict(zip(_KEY, at, strict=True)), "a": values[0], "b": values[1], "kind": kind, "why": why})
    return found


def _kind(one: Mapping[str, str] | None, other: Mapping[str, str] | None) -> tuple[str, str]:
    if one is None or other is None:
        return (NEW if one is None else MISSING), ""
    if any(one[key] != other[key] for key in ("metric", "options", "estimator")):
        return OPTIONS, f"{one['options']} and {other['options']}"
    values = _number(one["score"]), _number(other["score"])
    gap = abs(values[0] - values[1])
    if one["status"] == other["status"] and (gap <= _TOLERANCE * max(1.0, *map(abs, values)) or math.isnan(gap)):
        return SAME, ""
    changed = [one[side] for side in ("x", "y") if one[f"{side}_digest"] != other[f"{side}_digest"]]
    if changed or one["ids_digest"] != other["ids_digest"]:
        return INPUT, ", ".join(changed) or "the items"
    versions = [(row["kernalign"], row["metric_version"]) for row in (one, other)]
    return (VERSION, f"{versions[0][0]} and {versions[1][0]}") if versions[0] != versions[1] else (MOVED, "")


def _number(text: str) -> float:
    return float(text) if text else math.nan
