"""``kernalign compare``: metrics on every pair of the given files, layer by layer where they have layers."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import click

from kernalign._base.score import AlignmentWarning
from kernalign.cli.labels import read_labels, stands_alone
from kernalign.cli.output import check_output
from kernalign.cli.scores import check_picture, report
from kernalign.comparison.compare import compare as compare_models
from kernalign.comparison.result import Comparison
from kernalign.comparison.tasks.execute import execute
from kernalign.comparison.tasks.models import make_models
from kernalign.comparison.tasks.pools import cluster
from kernalign.metrics import registry
from kernalign.metrics.kernel.rsa import COMPARISONS, DISTANCES
from kernalign.sources import are_layers, by_name, open_sources, open_unit, shown, split_spec
from kernalign.sources.arranged import Arranged
from kernalign.sources.directories import Found, Model, models_of
from kernalign.sources.formats import format_of
from kernalign.sources.place import Place
from kernalign.sources.shards import Unit, units

_OPTIONS = ("k", "estimator", "rank")  # what a metric may need and the command line offers


class MetricName(click.ParamType):  # type: ignore[type-arg]
    """A metric that can be called with what the command line offers."""

    name = "metric"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        known = [name for name, record in registry.METRICS.items() if set(record.needs) <= set(_OPTIONS)]
        if value not in known:
            self.fail(f"{value!r} is not one of {', '.join(map(repr, known))}.", param, ctx)
        return value

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[{'|'.join(registry.METRICS)}]"


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
@click.option("--distance", type=click.Choice(DISTANCES), help="Of RSA; precomputed: the files hold dissimilarities.")
@click.option("--comparison", type=click.Choice(COMPARISONS), help="Of RSA: how dissimilarities are compared.")
@click.option(
    "--uncertainty", is_flag=True, help="Add 95 % intervals to CKA, HSIC, RSA and their like, and to mutual_knn."
)
@click.option("--layers", type=click.Choice(["all", "best"]), help="Of models: every pair of layers, or the best.")
@click.option(
    "--axes",
    metavar="LETTERS",
    help="What axes are: n items, l layers, d features, t positions; lnd, ntd or, of maps, ndtt (usual) or nttd.",
)
@click.option("--pool", type=click.Choice(["mean", "flatten"]), help="What becomes of positions.")
@click.option("--shards", is_flag=True, help="Join the rows of files that differ in their last number only.")
@click.option("--concatenated", is_flag=True, help="Count all layers together as one more.")
@click.option(
    "--zero-rows",
    default="error",
    type=click.Choice(["error", "drop_pair"]),
    help="Drop items with a row without direction.",
)
@click.option(
    "--nan-rows", default="error", type=click.Choice(["error", "drop_pair"]), help="Drop items with NaN or infinity."
)
@click.option(
    "--pairing",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "position", "ids"]),
    help="By names of rows if files have any, by position, or the items that all have.",
)
@click.option(
    "--ids",
    metavar="KEY|COLUMN|FILE|FILE:KEY",
    help="What names the rows: in every file, or one list for all; takes the items that all have.",
)
@click.option(
    "--groups",
    metavar="KEY|FILE|FILE:COLUMN",
    help="Labels of items that are one thing (captions of an image): chance and p exchange them whole.",
)
@click.option("--threads", type=click.IntRange(min=1), help="How many threads work; all cores if not given.")
@click.option("--workers", type=click.IntRange(min=1), help="So many processes of this machine make what layers need.")
@click.option("--scheduler", metavar="ADDRESS", help="The workers of a Dask cluster do (tcp://host:port).")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Keep what is done in this file: a killed run goes on from it.",
)
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@click.option("--output", type=click.Path(path_type=Path), help="Write a .json, .csv or .png file too.")
@click.option("--force", is_flag=True, help="Overwrite the output file if it exists.")
@click.pass_context
def compare(
    ctx: click.Context,
    files: tuple[str, ...],
    metrics: tuple[str, ...],
    k: int,
    normalize: str | None,
    estimator: str | None,
    rank: int | None,
    distance: str | None,
    comparison: str | None,
    uncertainty: bool,
    layers: str | None,
    axes: str | None,
    pool: str | None,
    shards: bool,
    concatenated: bool,
    zero_rows: str,
    nan_rows: str,
    pairing: str,
    ids: str | None,
    groups: str | None,
    threads: int | None,
    workers: int | None,
    scheduler: str | None,
    checkpoint: Path | None,
    form: str | None,
    output: Path | None,
    force: bool,
) -> None:
    """Compare representations of the same items, rows paired by position.

    Files are of any format that kernalign info lists, here or at an address (s3://...); FILE:KEY names one array of a
    file, FILE alone all its 2-D and 3-D arrays. Every pair is measured. The chance level is what unrelated
    representations score; p is the probability of at least this score if the items were paired at random.

    A directory stands for all that is in it: files called like layers (layer_0, layer_1) are one model with layers,
    parts (part-00001-of-00004, features_0-100) are joined by their rows, and others are models of their own.

    A 3-D array (items, layers, features) is a model with layers; with --layers or --concatenated, so is a FILE that
    holds several 2-D arrays: its layers, in the order of their names (layer2 before layer10). Of models with layers
    "best" (the default) shows the best pair of layers, with the chance level and p of a best of so many; a single model
    is compared with itself, layer by layer. The .png is a heat map of each metric: models, or with --layers all the
    layers of the only two.

    What depends on one array is computed once. A file that cannot be read, an array of other items or a pair that
    cannot be scored costs its own scores, which say why; everything else is written, and the exit status is 1.
    """
    if output is not None:
        check_output(output, (".json", ".csv", ".png"), overwrite=force)
        if output.suffix.lower() == ".png":
            check_picture()
    metrics = tuple(dict.fromkeys(metrics))
    own = {"rank": rank, "distance": distance, "comparison": comparison}
    options = _metric_options(metrics, own, uncertainty)
    dimensions: tuple[int, ...] = (2, 3) if axes is None and pool is None else (2, 3, 4, 5)
    dimensions = (1, *dimensions) if distance == "precomputed" else dimensions
    opened = _open(files, bool(layers or concatenated), shards, dimensions)
    if axes is not None or pool is not None:
        _arrange(opened.models, axes, pool)
    mode = _mode(opened.models, layers, concatenated)
    if uncertainty and groups is not None:
        raise click.UsageError("--uncertainty is not available with --groups")
    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers are of this machine, --scheduler of another: give one of them")
    if uncertainty and mode == "best":
        raise click.UsageError("--uncertainty is for single layers, not for the best of many; see --layers all")
    asked: dict[str, Any] = {"k": k, "estimator": estimator, "normalize": normalize, "threads": threads}
    asked |= {"layers": mode, "concatenated": concatenated, "zero_rows": zero_rows, "nan_rows": nan_rows}
    labels = None if groups is None else read_labels(groups, "--groups", files[0])
    asked |= {"pairing": pairing} | ({} if ids is None else _names(ids, pairing, opened.models))
    given = {one.short: one.given for one in opened.models}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AlignmentWarning)  # the report tells of them
        asked_of_all: dict[str, Any] = {"metric_options": options, **asked, "groups": labels}
        progress = sys.stderr.isatty()
        if workers is None and scheduler is None and checkpoint is None:
            found = compare_models(given, metrics=metrics, **asked_of_all, progress=progress)
        else:
            with _executor(workers, scheduler) as executor:
                plan = make_models(metrics, given, None, asked_of_all)
                found = cast(Comparison, execute(plan, executor, checkpoint, progress))
    asked |= {"uncertainty": uncertainty, **own, "groups": groups}
    asked["ids"] = ids
    settings = {"files": [shown(file) for file in files], "metrics": list(metrics), **asked}
    report(found, settings, form, output, force=force, skipped=opened.skipped)
    if found.failed:
        ctx.exit(1)


def _names(spec: str, pairing: str, models: list[Model]) -> dict[str, Any]:
    """What pairs rows by ids: one list for all models, or an array or column in the file of each."""
    if pairing == "position":
        raise click.UsageError("--ids is not available with --pairing position")
    if stands_alone(spec):
        labels = read_labels(spec, "--ids")
        return {"pairing": "ids", "ids": {model.short: labels for model in models}}
    for model in models:
        for source in [] if isinstance(model.given, Exception) else model.given:
            source.name_rows(spec)
    return {"pairing": "ids"}


@contextmanager
def _executor(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """What `execute` hands tasks to."""
    if scheduler is None:
        yield workers
        return
    with cluster(scheduler, "--scheduler") as executor:
        yield executor


def _metric_options(metrics: tuple[str, ...], own: dict[str, Any], uncertainty: bool) -> dict[str, dict[str, Any]]:
    """What single metrics are told."""
    records = {metric: registry.METRICS[metric] for metric in metrics}
    given = {name: value for name, value in own.items() if value is not None}
    if "rank" not in given and any("rank" in record.needs for record in records.values()):
        raise click.UsageError("subspace_overlap needs --rank")
    for name in given:
        if not any(record.takes(name) for record in records.values()):
            known = " and ".join(metric for metric, record in sorted(registry.METRICS.items()) if record.takes(name))
            raise click.UsageError(f"--{name} is for {known}")
    options: dict[str, dict[str, Any]] = {metric: {} for metric in metrics}
    for metric, record in records.items():
        options[metric] |= {name: value for name, value in given.items() if record.takes(name)}
        if uncertainty and record.uncertainty is not None:
            options[metric]["uncertainty"] = record.uncertainty
    return options


def _mode(models: list[Model], layers: str | None, concatenated: bool) -> str:
    """Which scores are kept: of the best layers unless told otherwise, of all where there is nothing to choose from."""
    if len(models) > 1:
        return layers or ("best" if concatenated or any(map(_layered, models)) else "all")
    if not _layered(models[0]):
        raise click.UsageError("compare needs at least two representations, or one with layers")
    if layers == "best":
        raise click.UsageError("--layers best needs at least two representations: each layer is best with itself")
    return "all"


def _layered(model: Model) -> bool:
    given = model.given
    return not isinstance(given, Exception) and (len(given) > 1 or any(len(one.shape) == 3 for one in given))


def _open(files: tuple[str, ...], layered: bool, shards: bool, dimensions: tuple[int, ...]) -> Found:
    """What files and directories hold; names are short where these tell them apart, whole paths elsewhere."""
    if not all(files):
        raise click.UsageError("a file or directory must have a name, got an empty one")
    found = Found([], [])
    single = []
    for spec in files:
        place, key = split_spec(spec)
        if key is None and place.is_directory and format_of(place) is None:
            inner = models_of(place, shards=shards, dimensions=dimensions)
            found.models.extend(inner.models)
            found.skipped.extend(inner.skipped)
        elif key is None and place.is_file:
            single.append(place)
            found.models.append(Model("", str(place), []))
        else:
            found.models.extend(_models(spec, layered, dimensions))
    parts = {str(unit.places[0]): unit for unit in units(single, shards=shards)}
    inside = {str(place) for unit in parts.values() for place in unit.places[1:]}
    models = [model for model in found.models if model.short or model.whole not in inside]
    opened = [[model] if model.short else _of_unit(parts[model.whole], layered, dimensions) for model in models]
    models = [model for own in opened for model in own]
    count = Counter(model.short for model in models)
    models = [model if count[model.short] == 1 else model._replace(short=model.whole) for model in models]
    for name, times in Counter(model.short for model in models).items():
        if times > 1:
            raise click.UsageError(f"{name} is given twice")
    return Found(models, found.skipped)


def _arrange(models: list[Model], axes: str | None, pool: str | None) -> None:
    """Let arrays with as many axes as there are letters be read as items, layers and features."""
    for model in models:
        for source in [] if isinstance(model.given, Exception) else model.given:
            if source.stored is not None and source.stored.ndim == len(axes or "ndtt"):
                source.stored = Arranged(source.stored, axes, pool)


def _models(spec: str | Place, layered: bool, dimensions: tuple[int, ...]) -> list[Model]:
    """The representations of a file: each of its arrays or, if layers are asked for and can be, all of them as one."""
    try:
        found = open_sources(spec, dimensions=dimensions)
    except (ValueError, OSError, ImportError) as error:
        return [Model(Place(spec).stem, shown(spec), error)]
    if layered and are_layers(found):
        return [Model(found[0].place.stem, str(found[0].place), by_name(found))]
    return [Model(one.name, one.spec, [one]) for one in found]


def _of_unit(unit: Unit, layered: bool, dimensions: tuple[int, ...]) -> list[Model]:
    """Those of a file, or of its parts as one."""
    if len(unit.places) == 1:
        return _models(unit.place, layered, dimensions)
    try:
        found = open_unit(unit, dimensions)
    except (ValueError, OSError, ImportError) as error:
        return [Model(unit.name, str(unit.place), error)]
    return [Model(unit.name if len(found) == 1 else one.name, one.spec, [one]) for one in found]
