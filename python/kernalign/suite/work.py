"""A block's work: opens paths, compares, and gives back numbers by key; it needs nothing but the block."""

from __future__ import annotations

import json
import math
import time
import warnings
from datetime import UTC, datetime
from typing import Any

import numpy as np

from kernalign import _core
from kernalign._base.readable import said
from kernalign._base.score import AlignmentWarning
from kernalign.comparison.compare import outcome, prepared
from kernalign.comparison.result import Comparison
from kernalign.suite.blocks import Block
from kernalign.suite.data import Entry, Items, opened
from kernalign.suite.kept import States
from kernalign.suite.labelled import Reading
from kernalign.suite.ledger import CELL, WORDS

_PREPARED = ("normalize", "clip_quantile", "concatenated")
_STATES = States()  # of this process


def work(block: Block | Reading) -> dict[str, Any]:
    """A line of the ledger."""
    return block.done() if isinstance(block, Reading) else _scored(block)


def _scored(block: Block) -> dict[str, Any]:
    begun = time.perf_counter()
    xs, ys = _open(block.x, block.items), None if block.y is None else _open(block.y, block.items)
    sides = block.x[0].side, (block.y or block.x)[0].side
    metrics = {one.id: (one.name, one.between(*sides)) for one in block.metrics}
    scores: dict[str, Any] = {}
    found: Comparison | None = None
    reason = ""
    how = json.dumps([block.options.get(name) for name in _PREPARED])
    # Rows that are dropped for one model are dropped for the other too: states are then of this pair.
    kept = States() if "drop_pair" in block.options.values() else _STATES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AlignmentWarning)
        try:
            options = dict(block.options)
            if block.items.groups is not None:
                options["groups"] = list(block.items.groups)
            run, settings = prepared(xs, ys, metrics=metrics, pairing="position", **options)
            kept.lend(run, block.digests, how)
            found = outcome(run, settings, None, begun)
            _take(found, block, scores)
            kept.keep(run, block.digests, how)
        except (ValueError, OSError, ArithmeticError, MemoryError) as error:  # nothing could be scored
            reason = said(error)
    seconds = time.perf_counter() - begun
    for key, turned in block.keys.values():
        if key not in scores:
            scores[key] = {"n": 0, "dropped": 0, "turned": turned, "cells": [_failed(reason)]}
        scores[key]["seconds"] = round(seconds / max(1, len(block.keys)), 6)
    return {
        "block": block.name,
        "kernalign": _core.build_info()["version"],
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "scores": scores,
        "caveats": {} if found is None else _caveats(found, block),
    }


def _open(entries: tuple[Entry, ...], items: Items) -> dict[str, Any]:
    """What can be opened; what cannot is given as it is, and named by the comparison."""
    found = {}
    for entry in entries:
        try:
            found[entry.name] = opened(entry, items)
        except (ValueError, TypeError, OSError, ImportError):
            found[entry.name] = entry.paths[0]
    return found


def _take(found: Comparison, block: Block, scores: dict[str, Any]) -> None:
    for row in found.rows():
        kept = block.keys.get("\n".join((row["metric_id"], row["x"], row["y"])))
        if kept is None:
            continue
        key, turned = kept
        own = scores.setdefault(key, {"n": row["n"], "dropped": row["dropped"], "turned": turned, "cells": []})
        cell: dict[str, Any] = {"layers": [row["x_layer"], row["y_layer"]]}
        cell |= {name: row[name] for name in CELL if row[name] is not None and math.isfinite(row[name])}
        cell |= {name: row[name] for name in WORDS if row[name] is not None}
        own["cells"].append(cell)


def _failed(reason: str) -> dict[str, Any]:
    return {"layers": [None, None], "status": "failed", "reason": reason or "no score was made"}


def _caveats(found: Comparison, block: Block) -> dict[str, list[Any]]:
    """By the digests of the models that they are about, so that new names change nothing."""
    told: dict[str, list[Any]] = {}
    for one in found.caveats:
        about = [block.digests[name] for name in (one.x, one.y) if name is not None]
        value = None if not np.isfinite(one.value) else one.value
        told.setdefault(" ".join(about), []).append([one.kind, one.x_layer, one.y_layer, value, one.text])
    return told
