"""Shows a comparison on the command line: a table, JSON, CSV or heat maps, and notes on standard error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kernalign._base.figures import new_figure
from kernalign._base.readable import counted
from kernalign.cli.outcome import in_flags
from kernalign.cli.output import as_csv, as_json, number, plain, probability, say, show_table
from kernalign.cli.outputs import write_outputs
from kernalign.comparison.result import Comparison
from kernalign.metrics.registry import METRICS

_MOST_NOTES = 20


def report(
    found: Comparison,
    settings: dict[str, Any],
    form: str | None,
    outputs: Sequence[Path],
    *,
    force: bool,
    skipped: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> None:
    """Write the output files, say what there is to say, and print all scores."""
    command = click.get_current_context().command
    told = [f"not taken: {text}" for text in skipped] + [*notes] + [in_flags(text, command) for text in _told(found)]
    for text in told[:_MOST_NOTES]:
        say(f"note: {text}", err=True)
    if len(told) > _MOST_NOTES:
        say(f"note: and {len(told) - _MOST_NOTES} more", err=True)
    rows = [row | {"reason": row["reason"] and in_flags(row["reason"], command)} for row in _rows(found)]

    def document() -> str:
        return as_json(rows, settings | {"notes": told})

    texts = {".json": document, ".csv": lambda: as_csv(rows)}
    write_outputs(outputs, texts, lambda: _picture(found), overwrite=force)
    if form is None:
        _show(rows, found)
    else:
        say(document() if form == "json" else as_csv(rows), nl=False)


def _told(found: Comparison) -> list[str]:
    """What failed, each once, what is undefined, and the notes."""
    failed = Counter(reason.text for reason in found.reasons if reason.status == "failed")
    undefined = [f"undefined: {reason}" for reason in found.reasons if reason.status == "undefined"]
    lost = [f"failed: {text} ({counted(count, 'score')})" for text, count in failed.items()]
    first = found.settings.get("unpaired_ids", {})
    alone = []
    for name, count in found.settings.get("unpaired", {}).items():
        such = ", ".join(map(repr, first.get(name, ())))
        alone.append(f"{name}: {counted(count, 'row has', 'rows have')} ids that not all others have ({such}, …)")
    return [*lost, *undefined, *alone, *found.notes]


def _rows(found: Comparison) -> list[dict[str, Any]]:
    """One dict for every score; pair by pair where nothing has layers."""
    rows = [plain(row) for row in found.rows()]
    if not _layered(found):
        places = {name: at for at, name in enumerate(found.x_layers)}
        rows.sort(key=lambda row: sorted((places[row["x"]], places[row["y"]])))
    return rows


def _layered(found: Comparison) -> bool:
    return any(len(labels) > 1 for labels in found.x_layers.values())


def _show(rows: Sequence[dict[str, Any]], found: Comparison) -> None:
    """A table; layers, directions, intervals and the reasons of missing values where there are any."""

    def layer(side: str, labels: Mapping[str, Any], row: dict[str, Any]) -> str:
        return (row[f"{side}_layer"] or "") if len(labels[row[side]]) > 1 else ""

    columns: list[tuple[str, list[str]]] = [
        ("x", [row["x"] for row in rows]),
        ("layer", [layer("x", found.x_layers, row) for row in rows]),
        ("", ["" if METRICS[row["metric"]].symmetric else "→" for row in rows]),
        ("y", [row["y"] for row in rows]),
        ("layer", [layer("y", found.y_layers, row) for row in rows]),
        ("metric", [row["metric_id"] for row in rows]),
        ("score", [row["status"] if row["score"] is None else number(row["score"]) for row in rows]),
        ("95 % interval", [_interval(row) for row in rows]),
        ("chance", [number(row["chance"]) for row in rows]),
        ("corrected", [number(row["corrected"]) for row in rows]),
        ("z", [number(row["z"], ".1f") for row in rows]),
        ("p", [probability(row["p_value"]) for row in rows]),
        ("n", [str(row["n"]) for row in rows]),
        ("reason", [row["reason"] or "" for row in rows]),
    ]
    shown = [(name, cells) for name, cells in columns if any(cells)]
    show_table([name for name, _ in shown], list(zip(*(cells for _, cells in shown), strict=True)))


def _interval(row: dict[str, Any]) -> str:
    return "" if row["low"] is None else f"{number(row['low'])} to {number(row['high'])}"


def _picture(found: Comparison) -> Any:
    """Heat maps of all metrics side by side: of layers if all of two representations are known, else of the best."""
    one_pair = all(len(found.pairs(metric)) == 1 for metric in found.metrics)
    kind: Any = "layers" if found.mode == "all" and one_pair and _layered(found) else "heatmap"
    rows, columns = len(found.x_layers), len(found.y_layers)
    if kind == "layers":
        [(x, y)] = found.pairs(found.metrics[0])
        rows, columns = len(found.x_layers[x]), len(found.y_layers[y])
    width, height = (min(14.0, 3.4 + 0.4 * count) for count in (columns, rows))
    figure = new_figure((width * len(found.metrics), height))
    axes = figure.subplots(1, len(found.metrics), squeeze=False)[0]
    for metric, ax in zip(found.metrics, axes, strict=True):
        found.plot(metric, kind, ax=ax)
    return figure
