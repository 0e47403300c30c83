"""``kernalign compare``: metrics on every pair of the given files."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import click

from kernalign.cli.output import as_csv, as_json, show_rows, write_text
from kernalign.cli.pairs import METRICS, Named, measure_pairs
from kernalign.sources import Source, open_sources


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="A B [C ...]")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    default=("cka", "mutual_knn"),
    show_default=True,
    type=click.Choice(list(METRICS)),
    help="What to measure; may be given several times.",
)
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="Neighbours of each item.")
@click.option("--normalize", type=click.Choice(["l2", "standardize"]), help="Scale rows to length 1, or columns.")
@click.option(
    "--estimator",
    default="unbiased",
    show_default=True,
    type=click.Choice(["unbiased", "biased"]),
    help="Of CKA, HSIC.",
)
@click.option("--uncertainty", is_flag=True, help="Add 95 % intervals to CKA and HSIC (jackknife).")
@click.option("--threads", type=click.IntRange(min=1), help="How many threads work; all cores if not given.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@click.option("--output", type=click.Path(path_type=Path), help="Write a .json or .csv file as well as the table.")
@click.option("--force", is_flag=True, help="Overwrite the output file if it exists.")
def compare(
    files: tuple[str, ...],
    metrics: tuple[str, ...],
    k: int,
    normalize: str | None,
    estimator: str,
    uncertainty: bool,
    threads: int | None,
    form: str | None,
    output: Path | None,
    force: bool,
) -> None:
    """Compare representations of the same items, rows paired by position.

    Files are .npy, .npz or .safetensors; FILE:KEY names one array of a file, and FILE alone all its 2-D arrays. Every
    pair is measured. The chance level is what unrelated representations score; p is the probability of at least this
    score if the items were paired at random.
    """
    if output is not None:
        _check_output(output, force)
    sources = [source for spec in files for source in open_sources(spec)]
    if len(sources) < 2:
        raise click.UsageError(f"compare needs at least two representations, got {len(sources)}")
    options: dict[str, Any] = {"k": k, "estimator": estimator, "normalize": normalize, "threads": threads}
    options["uncertainty"] = "jackknife" if uncertainty else None
    metrics = tuple(dict.fromkeys(metrics))
    rows = list(measure_pairs(_named(sources), metrics, **options))

    def document() -> str:
        return as_json([row.as_dict() for row in rows], files=list(files), metrics=list(metrics), **options)

    if output is not None:
        text = document() if output.suffix.lower() == ".json" else as_csv(rows)
        write_text(output, text, overwrite=force)
    if form == "json":
        click.echo(document(), nl=False)
    elif form == "csv":
        click.echo(as_csv(rows), nl=False)
    else:
        show_rows(rows)


def _check_output(output: Path, force: bool) -> None:
    """Refuse before the work what would fail after it."""
    if output.suffix.lower() not in (".json", ".csv"):
        raise click.BadParameter(f"must end in .json or .csv, got {output.name}", param_hint="--output")
    if output.exists() and not force:
        raise FileExistsError(f"{output} exists already; --force overwrites it")
    if not os.access(output.parent, os.W_OK):
        raise OSError(f"cannot write to the directory {output.parent}")


def _named(sources: list[Source]) -> list[Named]:
    """Short names where they tell the sources apart, whole paths elsewhere."""
    short = Counter(source.name for source in sources)
    named = []
    for source in sources:
        whole = str(source.path) if source.key is None else f"{source.path}:{source.key}"
        with source as array:
            named.append(Named(source.name if short[source.name] == 1 else whole, array))
    return named
