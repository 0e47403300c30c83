"""The rows of a run: what its ledger holds, under the names that models have now."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from kernalign.comparison import tidy
from kernalign.suite.blocks import Wanted, describe_options, options_of
from kernalign.suite.data import Entry
from kernalign.suite.description import Metric
from kernalign.suite.ledger import CELL, WORDS
from kernalign.suite.members import Members

_STORED = ("n", "dropped", "seconds", "kernalign", "finished_at")
_KEPT = (*CELL, *WORDS)
_NOTHING = dict.fromkeys(tidy.COLUMNS) | dict.fromkeys((*CELL, "z", "corrected", "q_value"), math.nan)


def rows_of(run: Any, name: str, own: Members) -> Iterator[dict[str, Any]]:
    """The rows of a set, as far as its scores were made."""
    description = run.suite.description
    told: dict[tuple[Any, ...], set[str]] = {}
    for set_name, caveat in run.caveats:
        if set_name == name:
            told.setdefault((caveat.x, caveat.y), set()).add(caveat.kind)
    common = {"run": run.directory.name, "set": name, "ids_digest": own.items.digest or None}
    constant = {one.id: {**_NOTHING, **common, **_metric(one)} for one in description.metrics}
    records = {one.id: one.record for one in description.metrics}
    sides = {(side, one.name): _side(side, one) for side in "xy" for one in own.entries}
    for one in own.wanted:
        stored = run.ledger.scores.get(one.key)
        if stored is None:
            continue
        kinds: set[str] = set().union(
            *(told.get(about, ()) for about in ((one.x, None), (one.y, None), (one.x, one.y)) if told)
        )
        of_pair = {
            **constant[one.metric],
            **sides["x", one.x],
            **sides["y", one.y],
            "caveats": "; ".join(sorted(kinds)) or None,
            "key": one.key,
            **{name: stored.get(name) for name in _STORED},
        }
        for cell in stored["cells"]:
            yield of_pair | _of_cell(cell, own, one, records[one.metric], turned=stored["turned"] != one.turned)
    for metric, x, y, reason in own.absent(description):
        yield constant[metric] | sides["x", x] | sides["y", y] | {"status": "failed", "reason": reason}


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "metric_id": metric.id,
        "metric": metric.name,
        "estimator": options_of(metric).get("estimator"),
        "options": describe_options(metric),
        "metric_version": metric.record.version,
    }


def _side(side: str, entry: Entry) -> dict[str, Any]:
    return {side: entry.name, f"{side}_family": entry.family, f"{side}_side": entry.side, f"{side}_seed": entry.seed}


def _of_cell(cell: Mapping[str, Any], own: Members, one: Wanted, record: Any, *, turned: bool) -> dict[str, Any]:
    layers = cell["layers"][::-1] if turned else cell["layers"]
    score, chance, sd = (cell.get(name, math.nan) for name in ("score", "chance", "chance_sd"))
    found: dict[str, Any] = {name: cell[name] for name in _KEPT if name in cell}
    found["z"] = (score - chance) / sd if sd > 0 else math.nan
    found["corrected"] = tidy.corrected(record, score, chance)
    for side, name, layer in zip("xy", (one.x, one.y), layers, strict=True):
        found[f"{side}_layer"] = layer
        read = own.known[name].layers.get(layer or "")
        if read is not None:
            found[f"p_{side}"], found[f"{side}_digest"] = read.features, read.digest
    return found
