"""Named representations of items whose labels are the folders that the items lie in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from kernalign.sources import array_names, open_source
from numpy.typing import NDArray

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """Which items take part, what class each is of, and which of them test.

    Attributes
    ----------
    name, rule : the task, and in words how its items and labels were chosen
    items : (n,) rows of the representations
    labels : (n,) class names
    test : (n,) booleans: of every class the third, sixth, ... item in the order of the file
    """

    name: str
    rule: str
    items: NDArray[np.int64]
    labels: NDArray[np.str_]
    test: NDArray[np.bool_]


def task_of(name: str, labels: Sequence[str], least: int, rule: str, usable: NDArray[np.int64] | None = None) -> Task:
    """The task of telling apart all classes that have at least ``least`` items, of the ``usable`` ones."""
    rows = range(len(labels)) if usable is None else [int(row) for row in usable]
    counts = Counter(labels[row] for row in rows)
    items = np.array([row for row in rows if counts[labels[row]] >= least], dtype=np.int64)
    kept = np.array([labels[row] for row in items])
    if len(set(kept)) < 2:
        raise ValueError(f"labels must have two classes of {least} items or more, got {counts.most_common(3)}")
    seen: Counter[str] = Counter()
    test = np.zeros(len(kept), dtype=bool)
    for row, label in enumerate(kept):
        seen[label] += 1
        test[row] = seen[label] % 3 == 0
    said = (
        f"{rule}, with at least {least} items: {len(set(kept))} classes, {len(kept)} items, {test.sum()} of them test"
    )
    return Task(name, said, items, kept, test)


def folder_tasks(path: Path, usable: NDArray[np.int64] | None = None) -> list[Task]:
    """Two tasks from a list of items whose ids are paths: a coarse one (first folder) and a fine one (whole folder)."""
    folders = [item["id"].split("/")[:-1] for item in json.loads(path.read_text(encoding="utf-8"))]
    return [
        task_of("category", [parts[0] for parts in folders], 20, "first folder of the item's id", usable),
        task_of("folder", ["/".join(parts) for parts in folders], 15, "whole folder of the item's id", usable),
    ]


def without_traps(given: Mapping[str, Rows]) -> tuple[dict[str, Rows], NDArray[np.int64]]:
    """The representations without dead columns, and the items whose row repeats no earlier one in any of them.

    A column with less than a thousandth of the median column's spread is rounding, which a standardising probe would
    blow up. An item in both train and test is leakage; and where there are more features than items, one repeated item
    makes generalised cross-validation 0 for the smallest penalty.
    """
    live = {}
    keep = np.ones(len(next(iter(given.values()))), dtype=bool)
    for name, rows in given.items():
        spread = rows.std(axis=0)
        live[name] = rows[:, spread > 1e-3 * np.median(spread)]
        first = np.unique(rows, axis=0, return_index=True)[1]
        keep &= np.isin(np.arange(len(rows)), first)
    return live, np.flatnonzero(keep)


def representations(path: Path, names: Sequence[str]) -> dict[str, Rows]:
    """The named arrays (all, if none is named) of a file, in float64."""
    found = {}
    for name in names or array_names(path):
        with open_source(path, key=name) as array:
            found[name] = np.asarray(array, dtype=np.float64)
    return found
