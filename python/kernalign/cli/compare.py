"""``kernalign compare``: metrics on every pair of the given files, layer by layer where they have layers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click
from numpy.typing import NDArray

from kernalign.cli import layers as layered
from kernalign.cli.output import as_csv, as_json, check_output, show_rows, write_text
from kernalign.cli.pairs import MetricName, Named, measure_pairs
from kernalign.metrics import registry
from kernalign.sources import SHAPES, Source, are_layers, by_name, files_of, open_sources, shown


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="A B [C ...] | DIR")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    default=("cka", "mutual_knn"),
    show_default=True,
    type=MetricName(),
    help="What to measure; may be given several times.",
)
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="Neighbours of each item.")
@click.option("--normalize", type=click.Choice(["l2", "standardize"]), help="Scale rows to length 1, or columns.")
@click.option(
    "--estimator", type=click.Choice(["unbiased", "biased"]), help="Of CKA, HSIC and their like; they have defaults."
)
@click.option("--rank", type=click.IntRange(min=1), help="Directions of subspace_overlap (needed) and svcca.")
@click.option("--uncertainty", is_flag=True, help="Add 95 % intervals to CKA and HSIC (jackknife).")
@click.option("--layers", type=click.Choice(["all", "best"]), help="Of models: every pair of layers, or the best.")
@click.option("--concatenated", is_flag=True, help="Count all layers together as one more.")
@click.option("--zero-rows", type=click.Choice(["error", "drop_pair"]), help="Drop items with a row without direction.")
@click.option("--nan-rows", type=click.Choice(["error", "drop_pair"]), help="Drop items with NaN or infinity.")
@click.option("--threads", type=click.IntRange(min=1), help="How many threads work; all cores if not given.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@click.option("--output", type=click.Path(path_type=Path), help="Write a .json, .csv or .png file too.")
@click.option("--force", is_flag=True, help="Overwrite the output file if it exists.")
def compare(
    files: tuple[str, ...],
    metrics: tuple[str, ...],
    k: int,
    normalize: str | None,
    estimator: str | None,
    rank: int | None,
    uncertainty: bool,
    layers: str | None,
    concatenated: bool,
    zero_rows: str | None,
    nan_rows: str | None,
    threads: int | None,
    form: str | None,
    output: Path | None,
    force: bool,
) -> None:
    """Compare representations of the same items, rows paired by position.

    Files are .npy, .npz or .safetensors; FILE:KEY names one array of a file, FILE alone all its 2-D and 3-D arrays, and
    a directory all its files, in the order of their names. Every pair is measured. The chance level is what unrelated
    representations score; p is the probability of at least this score if the items were paired at random.

    A 3-D array (items, layers, features) is a model with layers; with --layers or --concatenated, so is a FILE that
    holds several 2-D arrays: its layers, in the order of their names (layer2 before layer10). If there is a model with
    layers, or with a .png file, what depends on one layer is computed once. "best" (the default) shows the best pair
    of layers, with the chance level and p of a best of so many. The .png is a heat map of each metric: models, or with
    --layers all the layers of the only two.
    """
    if output is not None:
        check_output(output, (".json", ".csv", ".png"), overwrite=force)
    metrics = tuple(dict.fromkeys(metrics))
    ranked = [metric for metric in metrics if registry.METRICS[metric].takes("rank")]
    if rank is None and any("rank" in registry.METRICS[metric].needs for metric in metrics):
        raise click.UsageError("subspace_overlap needs --rank")
    if rank is not None and not ranked:
        raise click.UsageError("--rank is for subspace_overlap and svcca")
    wanted = bool(layers or concatenated)
    models = _open(files, wanted)
    options: dict[str, Any] = {"k": k, "estimator": estimator, "normalize": normalize, "threads": threads}
    options["uncertainty"] = "jackknife" if uncertainty else None
    options |= {name: value for name, value in (("zero_rows", zero_rows), ("nan_rows", nan_rows)) if value}
    names, given = _names(models), [shown(file) for file in files]
    picture = output is not None and output.suffix.lower() == ".png"
    if wanted or picture or any(_array(one).ndim == 3 for model in models for one in model):
        if options.pop("uncertainty"):
            raise click.UsageError("--uncertainty is for 2-D arrays without --layers, --concatenated or a .png file")
        options |= {"layers": layers or "best", "concatenated": concatenated}
        if rank is not None:
            options["metric_options"] = {metric: {"rank": rank} for metric in ranked}
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise click.UsageError(f"{twice[0]} is given twice")
        layered.run(dict(zip(names, models, strict=True)), metrics, options, given, form, output, force)
        return
    if rank is not None:
        options["rank"] = rank
    named = [Named(name, _array(one)) for name, [one] in zip(names, models, strict=True)]
    rows = list(measure_pairs(named, metrics, **options))

    def document() -> str:
        return as_json([row.as_dict() for row in rows], files=given, metrics=list(metrics), **options)

    if output is not None:
        text = document() if output.suffix.lower() == ".json" else as_csv(rows)
        write_text(output, text, overwrite=force)
    if form == "json":
        click.echo(document(), nl=False)
    elif form == "csv":
        click.echo(as_csv(rows), nl=False)
    else:
        show_rows(rows)


def _open(files: tuple[str, ...], layered: bool) -> list[list[Source]]:
    if not all(files):
        raise click.UsageError("a file or directory must have a name, got an empty one")
    paths = [path for spec in files for path in (files_of(spec) if Path(spec).is_dir() else [spec])]
    models = [model for path in paths for model in _models(path, layered)]
    if len(models) < 2:
        merged = any(len(model) > 1 for model in models)
        hint = "; with --layers or --concatenated all arrays of a file are one" if merged else ""
        raise click.UsageError(f"compare needs at least two representations, got {len(models)}{hint}")
    return models


def _models(path: str | Path, layered: bool) -> list[list[Source]]:
    """The representations of a file: each of its arrays or, if layers are asked for and can be, all of them as one."""
    found = open_sources(path, dimensions=tuple(SHAPES))
    return [by_name(found)] if layered and are_layers(found) else [[one] for one in found]


def _names(models: list[list[Source]]) -> list[str]:
    """Short names where they tell the models apart, whole paths elsewhere."""
    wholes = [model[0].spec if len(model) == 1 else shown(model[0].path) for model in models]
    shorts = [model[0].name if len(model) == 1 else shown(model[0].path.stem) for model in models]
    count = Counter(shorts)
    return [short if count[short] == 1 else whole for short, whole in zip(shorts, wholes, strict=True)]


def _array(source: Source) -> NDArray[Any]:
    assert source.array is not None  # it was opened here
    return source.array
