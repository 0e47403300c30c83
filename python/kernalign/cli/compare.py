"""``kernalign compare``: metrics on every pair of the given files, layer by layer where they have layers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import click

from kernalign._base.interrupts import INTERRUPTED as EXIT
from kernalign._base.score import AlignmentWarning
from kernalign.cli.inputs import FileName, arrange, bad_rows_options, check_named, open_models, pairing_of
from kernalign.cli.labels import read_labels
from kernalign.cli.options import KERNELS, P_VALUES, MetricName, kernel_of, metric_options, p_values_of
from kernalign.cli.output import say
from kernalign.cli.outputs import PICTURES, TEXTS, check_outputs, output_option, progress_option, wants_progress
from kernalign.cli.scores import report
from kernalign.comparison.compare import INTERRUPTED
from kernalign.comparison.compare import compare as compare_all
from kernalign.comparison.result import Comparison
from kernalign.comparison.tasks.execute import execute
from kernalign.comparison.tasks.models import make_models
from kernalign.comparison.tasks.pools import cluster
from kernalign.metrics.kernel.rsa import COMPARISONS, DISTANCES
from kernalign.sources.directories import Model
from kernalign.sources.place import shown


@click.command()
@click.argument("files", nargs=-1, required=True, type=FileName(), metavar="A B [C ...] | DIR")
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
@click.option("--kernel", type=click.Choice(KERNELS), help="Of CKA, HSIC, kernel_alignment and MMD.")
@click.option("--bandwidth", metavar="NUMBER|RULE", help="Of rbf and laplacian: a number, median or median_offdiag.")
@click.option("--rank", type=click.IntRange(min=1), help="Directions of subspace_overlap (needed) and svcca.")
@click.option("--distance", type=click.Choice(DISTANCES), help="Of RSA; precomputed: the files hold dissimilarities.")
@click.option("--comparison", type=click.Choice(COMPARISONS), help="Of RSA: how dissimilarities are compared.")
@click.option("--cv", type=click.IntRange(min=2), help="Folds of predictivity; without, it is in-sample.")
@click.option("--p", "p_values", type=click.Choice(tuple(P_VALUES)), help="Which p-values; exact if not given.")
@click.option(
    "--permutations",
    type=click.IntRange(min=19),
    help="Random pairings for p of metrics without an exact one (999 with --p exact-or-permutation alone).",
)
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
@bad_rows_options
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
    help="Labels of items that are one thing (captions of an image), as the first file orders them or with ids beside"
    " them: chance and p exchange them whole.",
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
@output_option(*TEXTS, *PICTURES)
@click.option("--force", is_flag=True, help="Overwrite output files that exist.")
@progress_option
@click.pass_context
def compare(
    ctx: click.Context,
    files: tuple[str, ...],
    metrics: tuple[str, ...],
    k: int,
    normalize: str | None,
    estimator: str | None,
    kernel: str | None,
    bandwidth: str | None,
    rank: int | None,
    distance: str | None,
    comparison: str | None,
    cv: int | None,
    p_values: str | None,
    permutations: int | None,
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
    outputs: tuple[Path, ...],
    force: bool,
    progress: bool | None,
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
    is compared with itself, layer by layer. A picture is a heat map of each metric: models, or with --layers all the
    layers of the only two.

    Ctrl-C ends the work; scores that were made by then are written, and with --checkpoint what was done is kept.

    What depends on one array is computed once. A file that cannot be read, an array of other items or a pair that
    cannot be scored costs its own scores, which say why; everything else is written, and the exit status is 1.
    """
    check_outputs(outputs, (*TEXTS, *PICTURES), overwrite=force)
    metrics = tuple(dict.fromkeys(metrics))
    told_k = ctx.get_parameter_source("k") is not click.core.ParameterSource.DEFAULT
    own = {"estimator": estimator, "rank": rank, "cv": cv, "distance": distance, "comparison": comparison}
    own |= {"kernel": kernel_of(kernel, bandwidth)}
    more = {"uncertainty": uncertainty or None, "groups": groups, "k": k if told_k else None}
    options = metric_options(metrics, own | more)
    dimensions: tuple[int, ...] = (2, 3) if axes is None and pool is None else (2, 3, 4, 5)
    dimensions = (1, *dimensions) if distance == "precomputed" else dimensions
    opened = open_models(files, bool(layers or concatenated), shards, dimensions)
    notes = arrange(opened.models, axes, pool)
    if pairing == "ids" and ids is None:
        check_named(opened.models)
    mode = _mode(opened.models, layers, concatenated)
    if uncertainty and groups is not None:
        raise click.UsageError("--uncertainty is not available with --groups")
    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers are of this machine, --scheduler of another: give one of them")
    if uncertainty and mode == "best":
        raise click.UsageError("--uncertainty is for single layers, not for the best of many; see --layers all")
    asked: dict[str, Any] = {"k": k, "estimator": estimator, "normalize": normalize, "threads": threads}
    asked |= {
        "p_values": p_values_of(p_values, permutations),
        "layers": mode,
        "concatenated": concatenated,
        "zero_rows": zero_rows,
        "nan_rows": nan_rows,
    }
    labels = None if groups is None else read_labels(groups, "--groups", files[0])
    asked |= {"pairing": pairing} | ({} if ids is None else pairing_of(ids, pairing, opened.models))
    given = {one.short: one.given for one in opened.models}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AlignmentWarning)  # the report tells of them
        asked_of_all: dict[str, Any] = {"metric_options": options, **asked, "groups": labels}
        told = wants_progress(progress)
        if workers is None and scheduler is None and checkpoint is None:
            found = _compared(given, metrics=metrics, progress=told, **asked_of_all)
        else:
            with _executor(workers, scheduler) as executor:
                plan = make_models(metrics, given, None, asked_of_all)
                found = cast(Comparison, execute(plan, executor, checkpoint, told))
    asked |= {"uncertainty": uncertainty, **own, "kernel": kernel, "bandwidth": bandwidth, "groups": groups, "ids": ids}
    settings = {"files": [shown(file) for file in files], "metrics": list(metrics), **asked}
    if missing := found.settings.get(INTERRUPTED):
        say(f"interrupted: {missing} scores are missing; the others are written (Ctrl-C again ends that)", err=True)
    report(found, settings, form, outputs, force=force, skipped=opened.skipped, notes=notes)
    if missing:
        ctx.exit(EXIT)
    if found.failed:
        ctx.exit(1)


def _compared(given: dict[str, Any], **options: Any) -> Comparison:
    """What there is when it is done, or when Ctrl-C ends it."""
    found: Comparison
    try:
        found = compare_all(given, **options)
    except KeyboardInterrupt as interrupt:
        if not hasattr(interrupt, "partial"):
            raise
        found = interrupt.partial
    return found


@contextmanager
def _executor(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """What `execute` hands tasks to."""
    if scheduler is None:
        yield workers
        return
    with cluster(scheduler, "--scheduler") as executor:
        yield executor


def _mode(models: list[Model], layers: str | None, concatenated: bool) -> str:
    """Which scores are kept: of the best layers unless told otherwise, of all where there is nothing to choose from."""
    if len(models) > 1:
        return layers or ("best" if concatenated or any(map(_layered, models)) else "all")
    if isinstance(models[0].given, Exception):
        raise models[0].given
    if not _layered(models[0]):
        raise click.UsageError("compare needs at least two representations, or one with layers")
    if layers == "best":
        raise click.UsageError("--layers best needs at least two representations: each layer is best with itself")
    return "all"


def _layered(model: Model) -> bool:
    given = model.given
    return not isinstance(given, Exception) and (len(given) > 1 or any(len(one.shape) == 3 for one in given))
