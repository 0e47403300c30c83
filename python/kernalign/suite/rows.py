"""The rows of a run: what its ledger holds, under the names that models have now."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from kernalign.comparison import tidy
from kernalign.suite.blocks import Wanted, describe_options, options_of
from kernalign.suite.data import Entry
from kernalign.suite.ledger import CELL, WORDS
from kernalign.suite.members import Members


def rows_of(run: Any, name: str, own: Members) -> Iterator[dict[str, Any]]:
    """The rows of a set, as far as its scores were made."""
    metrics = {one.id: one for one in run.suite.description.metrics}
    by_name = {one.name: one for one in own.entries}
    told: dict[tuple[Any, ...], set[str]] = {}
    for set_name, caveat in run.caveats:
        if set_name == name:
            told.setdefault((caveat.x, caveat.y), set()).add(caveat.kind)
    common = {
        "run": run.directory.name,
        "set": name,
        "ids_digest": own.items.digest or None,
    }
    constant = {
        metric.id: {
            **common,
            "metric_id": metric.id,
            "metric": metric.name,
            "estimator": options_of(metric).get("estimator"),
            "options": describe_options(metric),
            "metric_version": metric.record.version,
        }
        for metric in metrics.values()
    }
    for one in own.wanted:
        stored = run.ledger.scores.get(one.key)
        if stored is None:
            continue
        x, y = by_name[one.x], by_name[one.y]
        kinds: set[str] = set().union(
            *(told.get(about, ()) for about in ((one.x, None), (one.y, None), (one.x, one.y)))
        )
        of_pair = {
            **constant[one.metric],
            **_side("x", x),
            **_side("y", y),
            "n": stored["n"],
            "dropped": stored["dropped"],
            "caveats": "; ".join(sorted(kinds)) or None,
            "key": one.key,
            **{key: stored.get(key) for key in ("seconds", "kernalign", "finished_at")},
        }
        for cell in stored["cells"]:
            yield _row(of_pair, cell, own, one, metrics[one.metric].record, turned=stored["turned"] != one.turned)
    for metric, x_name, y_name, reason in own.absent(run.suite.description):
        sides = _side("x", by_name[x_name]) | _side("y", by_name[y_name])
        failed: dict[str, Any] = dict.fromkeys(CELL, math.nan) | {
            "z": math.nan,
            "corrected": math.nan,
            "q_value": math.nan,
        }
        failed |= {"status": "failed", "reason": reason}
        yield {**dict.fromkeys(tidy.COLUMNS), **constant[metric], **sides, **failed}


def _side(side: str, entry: Entry) -> dict[str, Any]:
    return {side: entry.name, f"{side}_family": entry.family, f"{side}_side": entry.side, f"{side}_seed": entry.seed}


def _row(
    of_pair: Mapping[str, Any], cell: Mapping[str, Any], own: Members, one: Wanted, record: Any, *, turned: bool
) -> dict[str, Any]:
    layers = cell["layers"][::-1] if turned else cell["layers"]
    numbers = {name: cell.get(name, math.nan) for name in CELL}
    score, chance, sd = (numbers[name] for name in ("score", "chance", "chance_sd"))
    inputs = [own.known[name].layers.get(layer or "") for name, layer in zip((one.x, one.y), layers, strict=True)]
    return {
        **dict.fromkeys(tidy.COLUMNS),
        **of_pair,
        **numbers,
        "x_layer": layers[0],
        "y_layer": layers[1],
        "z": (score - chance) / sd if sd > 0 else math.nan,
        "corrected": tidy.corrected(record, score, chance),
        "p_x": inputs[0] and inputs[0].features,
        "p_y": inputs[1] and inputs[1].features,
        "x_digest": inputs[0] and inputs[0].digest,
        "y_digest": inputs[1] and inputs[1].digest,
        **{name: cell.get(name) for name in WORDS},
    }
