"""The scores of a run as a Comparison."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from kernalign.comparison.result import Comparison
from kernalign.comparison.tables import Input, Mirrored, Reason
from kernalign.suite.blocks import describe_options

_TABLES = {"scores": "score", "chance": "chance", "chance_sd": "chance_sd", "p_values": "p_value", "log10_p": "log10_p"}


def comparison(run: Any, name: str | None) -> Comparison:
    """See `Run.comparison`."""
    description, members = run.suite.description, run.members
    if name is None and len(members) == 1:
        [name] = members
    if name not in members:
        raise ValueError(f"set must be one of {', '.join(members)}, got {name!r}")
    if description.mode == "best":
        raise ValueError("a Comparison needs the scores of all layers, but defaults.layers is 'best'")
    own, rows = members[name], [row for row in run.rows if row["set"] == name]
    layers = {one.name: tuple(own.known[one.name].layers) or ("0",) for one in own.entries}
    names = list(layers)
    if description.which == "across":
        sides = list(dict.fromkeys(one.side for one in own.entries))
        if len(sides) != 2:
            raise ValueError(f"a Comparison is of two sides, got {len(sides)}")
        x_names, y_names = ([one.name for one in own.entries if one.side == side] for side in sides)
    elif description.which == "all":
        x_names = y_names = names
    else:
        raise ValueError(f"a Comparison needs all pairs, but pairs.which is {description.which!r}")
    square = x_names is y_names
    tables: dict[str, Any] = {table: {} for table in (*_TABLES, "p_methods")}
    reasons = []
    for metric in description.metrics:
        symmetric = metric.record.symmetric
        made = Mirrored if square and symmetric else dict
        pairs = [(x, y) for x in x_names for y in y_names if not square or x != y]
        if square and symmetric:
            pairs = [(x, y) for at, x in enumerate(names) for y in names[at + 1 :]]
        for table in tables:
            empty: Any = "" if table == "p_methods" else math.nan
            kind: Any = object if table == "p_methods" else float
            tables[table][metric.id] = made(
                {(x, y): np.full((len(layers[x]), len(layers[y])), empty, dtype=kind) for x, y in pairs}
            )
    for row in rows:
        pair, turned = (row["x"], row["y"]), False
        if pair not in tables["scores"][row["metric_id"]]:
            pair, turned = pair[::-1], True
            if pair not in tables["scores"][row["metric_id"]]:
                continue
        labels = (row["x_layer"], row["y_layer"])[:: -1 if turned else 1]
        at = tuple(
            layers[one].index(label) if label in layers[one] else slice(None)
            for one, label in zip(pair, labels, strict=True)
        )
        for table, column in _TABLES.items():
            tables[table][row["metric_id"]][pair][at] = row[column]
        tables["p_methods"][row["metric_id"]][pair][at] = row["p_method"] or ""
        if row["status"] != "ok":
            reasons.append(
                Reason(row["metric_id"], pair[0], pair[1], labels[0], labels[1], row["status"], row["reason"])
            )
    n = max([row["n"] or 0 for row in rows], default=0)
    settings = {"k": description.defaults.get("k", 10), **description.preprocessing}
    settings["metric_options"] = {one.id: json.loads(describe_options(one)) for one in description.metrics}
    return Comparison(
        metrics=tuple(one.id for one in description.metrics),
        n=n,
        x_layers={one: layers[one] for one in x_names},
        y_layers={one: layers[one] for one in y_names},
        square=square,
        mode="all",
        best_layers={},
        reasons=tuple(reasons),
        caveats=tuple(one for set_name, one in run.caveats if set_name == name),
        settings=settings,
        nulls={},
        names={one.id: one.name for one in description.metrics if one.id != one.name},
        inputs=(_inputs(own, x_names), _inputs(own, y_names)),
        provenance=run.provenance(),
        **tables,
    )


def _inputs(own: Any, names: list[str]) -> dict[str, tuple[Input, ...]]:
    return {one: tuple(own.known[one].layers.values()) for one in names if own.known[one].layers}
