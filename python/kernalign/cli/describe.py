"""``kernalign describe``: what about representations makes their scores mean less than they seem to."""

from __future__ import annotations

import warnings
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from kernalign._base.readable import said
from kernalign._base.score import AlignmentWarning
from kernalign._rows.layered import layers_given
from kernalign.cli.inputs import FileName, arrange, open_models
from kernalign.cli.output import as_csv, as_json, number, plain, say, show_table
from kernalign.cli.outputs import TEXTS, check_outputs, output_option, progress_option, wants_progress, write_outputs
from kernalign.metrics.describe import Description
from kernalign.metrics.describe import describe as describe_rows
from kernalign.sources.directories import Model
from kernalign.sources.place import shown

Named = tuple[str, str, Description]


@click.command()
@click.argument("files", nargs=-1, required=True, type=FileName(), metavar="FILE [FILE ...] | DIR")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="Neighbours, of the tie rate.")
@click.option("--axes", metavar="LETTERS", help="What axes are, as for compare.")
@click.option("--pool", type=click.Choice(["mean", "flatten"]), help="What becomes of positions.")
@click.option("--shards", is_flag=True, help="Join the rows of files that differ in their last number only.")
@click.option("--threads", type=click.IntRange(min=1), help="How many threads work; all cores if not given.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@output_option(*TEXTS)
@click.option("--force", is_flag=True, help="Overwrite output files that exist.")
@progress_option
@click.pass_context
def describe(
    ctx: click.Context,
    files: tuple[str, ...],
    k: int,
    axes: str | None,
    pool: str | None,
    shards: bool,
    threads: int | None,
    form: str | None,
    outputs: tuple[Path, ...],
    force: bool,
    progress: bool | None,
) -> None:
    """Show the shape, spectrum and odd rows of representations, and what these do to scores.

    Files and directories are those of compare; every layer is described. A participation ratio of 1 means that one
    direction holds all variance. A file that cannot be read costs its own line, and the exit status is 1.
    """
    check_outputs(outputs, TEXTS, overwrite=force)
    opened = open_models(files, False, shards, (2, 3) if axes is None and pool is None else (2, 3, 4, 5))
    for note in arrange(opened.models, axes, pool):
        say(f"note: {note}", err=True)
    found: list[Named] = []
    failed: dict[str, str] = {}
    for model in opened.models:
        try:
            found += _described(model, k, threads, wants_progress(progress))
        except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
            failed[model.short] = said(error)
            say(f"note: failed: {model.short}: {failed[model.short]}", err=True)
    for skipped in opened.skipped:
        say(f"note: not taken: {skipped}", err=True)
    rows = [_row(*one) for one in found] + [_row_of(name, reason) for name, reason in failed.items()]
    as_text = {
        ".json": lambda: as_json(rows, {"files": [shown(file) for file in files], "k": k}),
        ".csv": lambda: as_csv([row | {"warnings": "; ".join(row["warnings"])} for row in rows]),
    }
    write_outputs(outputs, as_text, overwrite=force)
    if form is not None:
        say(as_text[f".{form}"](), nl=False)
    elif len(found) == 1:
        say(str(found[0][2]))
    elif found:
        _show(found)
    if failed:
        ctx.exit(1)


def _described(model: Model, k: int, threads: int | None, progress: bool) -> list[Named]:
    if isinstance(model.given, Exception):
        raise model.given
    given = layers_given(list(model.given), model.short)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AlignmentWarning)  # the description tells of them
        for label, layer in zip(given.labels, given.parts, strict=True):
            own = str(label) if len(given.parts) > 1 else ""
            found.append((model.short, own, describe_rows(layer, k=k, threads=threads, progress=progress)))
    return found


def _row(name: str, layer: str, found: Description) -> dict[str, Any]:
    return {"name": name, "layer": layer or None, **plain(asdict(found)), "warnings": found.warnings, "reason": None}


def _row_of(name: str, reason: str) -> dict[str, Any]:
    """Of a file that has no description."""
    nothing = dict.fromkeys(field.name for field in fields(Description))
    return {"name": name, "layer": None, **nothing, "warnings": [], "reason": reason}


def _show(found: list[Named]) -> None:
    columns: dict[str, list[str]] = {
        "x": [name for name, _, _ in found],
        "layer": [layer for _, layer, _ in found],
        "items": [str(one.n) for _, _, one in found],
        "features": [str(one.p) for _, _, one in found],
        "participation": [number(one.participation_ratio, ".1f") for _, _, one in found],
        "first direction": [number(one.top_share, ".1%") for _, _, one in found],
        "mean row": [number(one.mean_share, ".1%") for _, _, one in found],
        "norms": [f"{one.norm_min:.3g} to {one.norm_max:.3g}" for _, _, one in found],
        "zero": [str(one.zero_rows) for _, _, one in found],
        "repeated": [str(one.duplicate_rows) for _, _, one in found],
        "constant": [str(one.constant_columns) for _, _, one in found],
        "ties": ["–" if one.tie_rate is None else f"{one.tie_rate:.1%}" for _, _, one in found],
        "not finite": [str(one.non_finite) for _, _, one in found],
    }
    shown_columns = {name: cells for name, cells in columns.items() if any(cells)}
    show_table(list(shown_columns), list(zip(*shown_columns.values(), strict=True)))
    for name, layer, one in found:
        for sentence in one.warnings:
            say(f"! {name}{' ' if layer else ''}{layer}: {sentence}")
