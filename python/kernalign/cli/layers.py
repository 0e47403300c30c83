"""``kernalign compare`` of representations with layers: one comparison, shown as a table, JSON, CSV or heat maps."""

from __future__ import annotations

import csv
import io
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from kernalign._base.files import atomic_write
from kernalign._base.score import AlignmentWarning
from kernalign.cli.output import as_json, number, probability, show_table, write_text
from kernalign.cli.pairs import plain
from kernalign.comparison.compare import compare
from kernalign.comparison.result import Comparison
from kernalign.sources import Source

_MOST_NOTES = 20


def run(
    models: Mapping[str, list[Source]],
    metrics: tuple[str, ...],
    options: dict[str, Any],
    files: list[str],
    form: str | None,
    output: Path | None,
    force: bool,
) -> None:
    """Compare, then write and show."""
    suffix = "" if output is None else output.suffix.lower()
    if suffix == ".png":
        _check_picture()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AlignmentWarning)  # all are told below
        found = compare(models, metrics=metrics, **options, progress=sys.stderr.isatty())
    told = [*(f"{reason.status}: {reason}" for reason in found.reasons), *found.notes]
    for text in told[:_MOST_NOTES]:
        click.echo(f"note: {text}", err=True)
    if len(told) > _MOST_NOTES:
        click.echo(f"note: and {len(told) - _MOST_NOTES} more", err=True)
    rows = [_row(row) for row in found.rows()]

    def document() -> str:
        return as_json(rows, files=files, metrics=list(metrics), **options, notes=told)

    if output is not None and suffix == ".png":
        with atomic_write(output, overwrite=force) as file:
            _picture(found).savefig(file, format="png", dpi=150)
    elif output is not None:
        write_text(output, document() if suffix == ".json" else _as_csv(rows), overwrite=force)
    if form == "json":
        click.echo(document(), nl=False)
    elif form == "csv":
        click.echo(_as_csv(rows), nl=False)
    else:
        _show(rows)
    if found.failed:
        click.get_current_context().exit(1)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {("value" if key == "score" else key): plain(value) for key, value in row.items()}


def _as_csv(rows: list[dict[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _show(rows: list[dict[str, Any]]) -> None:
    columns = ["x", "layer", "y", "layer", "metric", "value", "chance", "corrected", "z", "p", "n", "reason"]
    body = [
        [
            row["x"],
            row["x_layer"] or "–",
            row["y"],
            row["y_layer"] or "–",
            row["metric"],
            "undefined" if row["value"] is None else number(row["value"]),
            number(row["chance"]),
            number(row["corrected"]),
            number(row["z"], ".1f"),
            probability(row["p_value"]),
            str(row["n"]),
            row["reason"] or "",
        ]
        for row in rows
    ]
    if not any(row["reason"] for row in rows):
        columns, body = columns[:-1], [cells[:-1] for cells in body]
    show_table(columns, body)


def _check_picture() -> None:
    """Refuse before the work what would fail after it."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError("a .png file needs matplotlib: pip install 'kernalign[plot]'") from error


def _picture(found: Comparison) -> Any:
    """Heat maps of all metrics side by side: of layers if all of two representations are known, else of the best."""
    from matplotlib.figure import Figure

    one_pair = all(len(found.pairs(metric)) == 1 for metric in found.metrics)
    kind: Any = "layers" if found.mode == "all" and one_pair else "heatmap"
    columns = len(found.y_layers if kind == "heatmap" else next(iter(found.y_layers.values())))
    width = min(12.0, 4.0 + 0.4 * columns)
    figure = Figure(figsize=(width * len(found.metrics), min(10.0, 0.8 * width)), layout="constrained")
    axes = figure.subplots(1, len(found.metrics), squeeze=False)[0]
    for metric, ax in zip(found.metrics, axes, strict=True):
        found.plot(metric, kind, ax=ax)
    return figure
