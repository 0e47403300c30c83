"""``kernalign knn-change``: how much the neighbours of items change between two indexes, and of which items."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from kernalign._base.score import AlignmentWarning
from kernalign.cli.inputs import FileName, bad_rows_options, open_models, pairing_of
from kernalign.cli.output import as_csv, as_json, number, plain, say, show_table
from kernalign.cli.outputs import TEXTS, check_outputs, output_option, progress_option, wants_progress, write_outputs
from kernalign.metrics.neighbors.change import Change, neighbor_change
from kernalign.metrics.neighbors.overlap import METRICS
from kernalign.sources import Source
from kernalign.sources.directories import Model
from kernalign.sources.place import shown


@click.command("knn-change")
@click.argument("old", type=FileName())
@click.argument("new", type=FileName())
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="Neighbours of each item.")
@click.option("--similarity", default="cosine", show_default=True, type=click.Choice(METRICS), help="Of both indexes.")
@click.option(
    "--queries",
    multiple=True,
    type=FileName(),
    metavar="N | OLD_QUERIES, NEW_QUERIES",
    help="So many items drawn by lot; or, given twice, query vectors for OLD and for NEW. All items if not given.",
)
@click.option("--ids", metavar="KEY|COLUMN|FILE|FILE:KEY", help="What names the items, as for compare.")
@bad_rows_options
@click.option("--top", default=10, show_default=True, type=click.IntRange(min=0), help="How many items to show.")
@click.option("--shards", is_flag=True, help="Join the rows of files that differ in their last number only.")
@click.option("--threads", type=click.IntRange(min=1), help="How many threads work; all cores if not given.")
@click.option("--json", "form", flag_value="json", help="Print JSON, of all items.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV, a line for every item.")
@output_option(*TEXTS)
@click.option("--force", is_flag=True, help="Overwrite output files that exist.")
@progress_option
def knn_change(
    old: str,
    new: str,
    k: int,
    similarity: Any,
    queries: tuple[str, ...],
    ids: str | None,
    zero_rows: str,
    nan_rows: str,
    top: int,
    shards: bool,
    threads: int | None,
    form: str | None,
    outputs: tuple[Path, ...],
    force: bool,
    progress: bool | None,
) -> None:
    """How many of the nearest neighbours in OLD are still so in NEW, and which items lose most?

    OLD and NEW are vectors of the same items, of any format that compare reads: rows are paired by their names if both
    files have any, else by position. Of millions of items, --queries 20000 searches the neighbours of so many among
    all. Items come in the order of what they kept, those that changed most first.
    """
    check_outputs(outputs, TEXTS, overwrite=force)
    models, (x, y) = zip(*(_only(spec, shards) for spec in (old, new)), strict=True)
    named = {} if ids is None else pairing_of(ids, "auto", models)
    options: Any = {"threads": threads, "progress": wants_progress(progress), "pairing": named.get("pairing", "auto")}
    options |= {"zero_rows": zero_rows, "nan_rows": nan_rows}
    if "ids" in named:
        options["ids"] = tuple(named["ids"][model.short] for model in models)
    asked, query_names = _queries(queries)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AlignmentWarning)  # ties are told of below
        try:
            found = neighbor_change(x, y, k, similarity, queries=asked, **options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"x = {shown(old)} and y = {shown(new)}: {error}") from error
    labels = options["ids"][0] if "ids" in options else x.labels
    rows = _rows(found, labels, query_names)
    settings = {
        "files": [shown(old), shown(new)],
        "k": k,
        "similarity": similarity,
        "queries": list(queries),
        "ids": ids,
    }
    summary = _summary(found)
    texts = {".json": lambda: as_json(rows, settings, summary=summary), ".csv": lambda: as_csv(rows)}
    write_outputs(outputs, texts, overwrite=force)
    if form is not None:
        say(texts[f".{form}"](), nl=False)
        return
    _show(rows[:top], summary, k)


def _only(spec: str, shards: bool) -> tuple[Model, Source]:
    """The one array of vectors that a file, or its parts, hold."""
    models = open_models((spec,), False, shards, (2,)).models
    sources = []
    for model in models:
        if isinstance(model.given, Exception):
            raise model.given
        sources += model.given
    if len(sources) != 1:
        names = ", ".join(source.spec for source in sources)
        raise click.UsageError(f"{spec} must hold one array of vectors, got {len(sources)}: {names}")
    return models[0], sources[0]


def _queries(given: tuple[str, ...]) -> tuple[Any, Sequence[Any] | None]:
    """What `mutual_knn` takes for queries, and the names of query vectors, if they have any."""
    if not given:
        return None, None
    if len(given) == 1 and given[0].isdecimal():
        return int(given[0]), None
    if len(given) != 2:
        raise click.UsageError("--queries must be a number of items, or be given twice: vectors for OLD and for NEW")
    sides = [_only(spec, False)[1] for spec in given]
    return tuple(side.array for side in sides), sides[0].labels


def _rows(found: Change, labels: Sequence[Any] | None, query_names: Sequence[Any] | None) -> list[dict[str, Any]]:
    """Items, those that kept least first."""

    def name(row: int) -> Any:
        return row if labels is None else plain(_scalar(labels[row]))

    rows = []
    for at in np.argsort(found.kept, kind="stable").tolist():
        if found.rows is None:
            item = at if query_names is None else plain(_scalar(query_names[at]))
        else:
            item = name(int(found.rows[at]))
        before, after = (name(int(row)) for row in found.nearest[at])
        rows.append({"item": item, "kept": float(found.kept[at]), "nearest_old": before, "nearest_new": after})
    return rows


def _scalar(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label


def _summary(found: Change) -> dict[str, Any]:
    score = found.score
    # Where all drawn items kept the same share an error of 0 says nothing: bounds that hold of any shares do.
    interval = score.interval() if score.stderr else score.settings.get("exact_interval", (None, None))
    facts = {
        "kept": float(score),
        "low": interval[0],
        "high": interval[1],
        "chance": score.chance,
        "compared": len(found.kept),
        "same_nearest": float((found.nearest[:, 0] == found.nearest[:, 1]).mean()),
        "all_kept": float((found.kept >= 1).mean()),
        "none_kept": float((found.kept <= 0).mean()),
        "exact": score.settings["exact"],
        "backend": score.settings["backend"],
        "tie_rows_fraction": score.settings["tie_rows_fraction"],
    }
    return {key: plain(value) for key, value in facts.items()}


def _show(rows: list[dict[str, Any]], facts: dict[str, Any], k: int) -> None:
    between = "" if facts["low"] is None else f" (95 %: {facts['low']:.1%} to {facts['high']:.1%})"
    say(f"{facts['kept']:.1%} of the {k} nearest neighbours are kept{between}; by chance {facts['chance']:.2%}")
    say(
        f"{facts['compared']} items: the nearest is the same for {facts['same_nearest']:.1%}, all {k} for"
        f" {facts['all_kept']:.1%}, none for {facts['none_kept']:.1%}"
    )
    if facts["tie_rows_fraction"] > 0:
        say(f"note: up to {facts['tie_rows_fraction']:.1%} of the items tie at place {k}", err=True)
    if rows:
        say("\nchanged most:")
        cells = [
            [str(row["item"]), number(row["kept"], ".3f"), str(row["nearest_old"]), str(row["nearest_new"])]
            for row in rows
        ]
        show_table(["item", "kept", "nearest in OLD", "in NEW"], cells)
