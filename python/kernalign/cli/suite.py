"""``kernalign suite``: runs that are described in suite.toml, what they found, and how two of them differ."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kernalign._base.readable import counted, said
from kernalign.cli.output import as_csv as plain_csv
from kernalign.cli.output import as_json, check_output, number, plain, say, show_table, write_text
from kernalign.cli.outputs import (
    PICTURES,
    TEXTS,
    check_outputs,
    output_option,
    progress_option,
    wants_progress,
    write_outputs,
)
from kernalign.comparison.tidy import as_csv
from kernalign.sources.directories import Model, models_of
from kernalign.sources.place import Place
from kernalign.suite import Run, Suite, builtin, difference, difference_map, load
from kernalign.suite.description import EXECUTORS
from kernalign.suite.gathered import standings

REFUTED = 3
_TOLD = 5  # reasons
_PATH = click.argument("path", default=".", metavar="[SUITE]")


@click.group(invoke_without_command=True)
@click.pass_context
def suite(ctx: click.Context) -> None:
    """Benchmark suites: models, items, metrics and claims in suite.toml.

    SUITE is suite.toml or its directory, or builtin:NAME. Exit status: 0 done, 1 some scores failed, 2 wrong usage,
    3 a check is refuted, 130 interrupted: what was done is kept.
    """
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


@suite.command()
@click.argument("directory", type=click.Path(file_okay=False, exists=True, path_type=Path))
def init(directory: Path) -> None:
    """Write a suite.toml for the files of DIRECTORY."""
    if os.path.lexists(directory / "suite.toml"):
        raise FileExistsError(f"{directory / 'suite.toml'} exists already: edit it, or remove it first")
    found = models_of(Place(directory))
    entries = [
        f"[[models]]\nname = {json.dumps(name)}\nset.main = {json.dumps(where)}\n"
        for name, where in _named(found.models, directory).items()
    ]
    text = _TEMPLATE.format(name=json.dumps(directory.resolve().name), models="\n".join(entries))
    write_text(directory / "suite.toml", text, overwrite=False)
    for skipped in found.skipped:
        say(f"note: {skipped}", err=True)
    say(
        f"{directory / 'suite.toml'}: {counted(len(entries), 'model')}; kernalign suite check {directory} looks at them"
    )


def _named(models: Sequence[Model], directory: Path) -> dict[str, str]:
    """Where each model is, by its name; several arrays of one file are the layers of a model."""
    files: dict[str, list[Model]] = {}
    for model in models:
        places = set() if isinstance(model.given, Exception) else {str(one.place) for one in model.given}
        files.setdefault(places.pop() if len(places) == 1 else model.whole, []).append(model)
    found = []
    for file, own in files.items():
        given = own[0].given
        alone = len(own) == 1 and not isinstance(given, Exception) and len(given) == 1
        where = os.path.relpath(given[0].spec if alone else file, directory)  # type: ignore[index]
        found.append((Path(file).stem, where))
    count = Counter(name for name, _ in found)
    return {name if count[name] == 1 else where: where for name, where in found}


@suite.command()
@_PATH
def check(path: str) -> None:
    """Read headers, ids and digests, estimate time and memory; score nothing."""
    found = _load(path).check()
    rows = [
        [
            one["set"],
            str(one["items"] or "?"),
            str(one["models"]),
            str(one["layers"]),
            str(one["scores"]),
            f"{one['seconds']:.0f} s",
            f"{one['bytes'] / 1e6:.0f} MB",
        ]
        for one in found
    ]
    show_table(["set", "items", "models", "layers", "scores", "about", "memory"], rows)
    bad = {f"{one['set']}: {name}: {reason}" for one in found for name, reason in one["unreadable"].items()}
    for text in sorted(bad):
        say(f"note: {text}", err=True)
    if bad or not any(one["scores"] for one in found):
        sys.exit(1)


@suite.command()
@_PATH
@click.option(
    "--executor",
    metavar="NAME",
    help="Instead of that of suite.toml.",
)
@click.option("--report/--no-report", "reported", default=True, show_default=True, help="Write report.html (Jinja2).")
@progress_option
@click.pass_context
def run(ctx: click.Context, path: str, executor: str | None, reported: bool, progress: bool | None) -> None:
    """Do what is not done yet, write the results, and judge the checks."""
    found = _load(path)
    if executor is not None:
        if executor not in EXECUTORS and not executor.startswith("dask://"):
            raise click.UsageError(f"--executor must be {', '.join(EXECUTORS)} or dask://HOST:PORT, got {executor!r}")
        found.executor = executor
    done = found.run(progress=wants_progress(progress))
    if reported:
        try:
            say(f"{done.report()}", err=True)
        except ImportError as error:
            say(f"note: {error}", err=True)
    _tell(done)
    ctx.exit(REFUTED if any(one.verdict == "refuted" for one in done.claims) else 1 if done.failed else 0)


@suite.command()
@_PATH
def status(path: str) -> None:
    """Say how much of a run is done."""
    show_table(["", ""], [[name, str(count)] for name, count in _load(path).status().items()])


@suite.command()
@_PATH
@click.option("--output", type=click.Path(path_type=Path), help="Where; report.html of the run if not given.")
def report(path: str, output: Path | None) -> None:
    """Write the report of what is done."""
    say(str(_load(path).last().report(output)))


@suite.command("compare")
@click.argument("run_a", type=click.Path(exists=True))
@click.argument("run_b", type=click.Path(exists=True))
@click.option(
    "--fail-on", multiple=True, type=click.Choice(difference.KINDS), help="Exit with 1 if there is such a one."
)
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@output_option(*TEXTS, *PICTURES)
@click.option("--force", is_flag=True, help="Overwrite output files that exist.")
@click.pass_context
def compare_runs(
    ctx: click.Context,
    run_a: str,
    run_b: str,
    fail_on: tuple[str, ...],
    form: str | None,
    outputs: tuple[Path, ...],
    force: bool,
) -> None:
    """Tell which scores of two runs are the same, moved, missing or new, and what moved them.

    A picture is a heat map of each metric: the change of every pair of models, of pairs of layers the largest.
    """
    check_outputs(outputs, (*TEXTS, *PICTURES), overwrite=force)
    found = difference.compare(difference.read(run_a), difference.read(run_b))
    count = Counter(one["kind"] for one in found)
    rows = [plain(one) for one in found]
    texts = {
        ".json": lambda: as_json(rows, {"a": run_a, "b": run_b}, counts=dict(count)),
        ".csv": lambda: plain_csv(rows),
    }
    write_outputs(outputs, texts, lambda: difference_map.draw(found), overwrite=force)
    if form == "json":
        say(texts[".json"](), nl=False)
    else:
        for kind in difference.KINDS:
            if count[kind]:
                say(f"{count[kind]} {kind}")
        moved = [one for one in found if one["kind"] != difference.SAME][:20]
        columns = ("set", "metric_id", "x", "y", "a", "b", "kind", "why")
        cells = [[number(one[key]) if key in "ab" else one[key] for key in columns] for one in moved]
        if cells:
            show_table(columns, cells)
    if any(count[kind] for kind in fail_on):
        ctx.exit(1)


@suite.command()
@_PATH
@click.option("--parquet", "form", flag_value="parquet", help="A Parquet file (needs pyarrow).")
@click.option("--csv", "form", flag_value="csv", default=True, help="CSV (the default).")
@click.option("--json", "form", flag_value="json", help="JSON.")
@click.option("--output", type=click.Path(path_type=Path), help="The file; results.FORM of the run if not given.")
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
def export(path: str, form: str, output: Path | None, force: bool) -> None:
    """Write the rows to a file of another format."""
    done = _load(path).last()
    output = output or done.directory / f"results.{form}"
    force = force or output == done.directory / "results.csv"
    check_output(output, (f".{form}",), overwrite=force)
    if form == "parquet":
        done.to_parquet(output, overwrite=force)
    else:
        rows = [plain(row) for row in done.rows]
        text = as_json(rows, done.provenance()) if form == "json" else as_csv(done.rows)
        write_text(output, text, overwrite=force)
    if done.missing:
        say(f"note: {counted(done.missing, 'score')} not made yet", err=True)
    say(str(output))


@suite.command()
@_PATH
@click.option("--scores", default=3, show_default=True, type=click.IntRange(min=0), help="How many to make again.")
def verify(path: str, scores: int) -> None:
    """Check that inputs are those of the run, that its files agree, and that scores come out again."""
    found = _load(path).verify(scores)
    for text in found:
        say(text, err=True)
    say("verified" if not found else counted(len(found), "difference"))
    if found:
        sys.exit(1)


@suite.command()
@_PATH
def gc(path: str) -> None:
    """Forget scores that suite.toml no longer asks for."""
    say(f"{counted(_load(path).gc(), 'score')} forgotten")


@suite.command("list")
@click.argument("path", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
def list_all(path: Path) -> None:
    """Name the suites that ship, and the runs below PATH."""
    for name, about in builtin.SUITES.items():
        say(f"builtin:{name}  {about}")
    for found in sorted(path.glob("**/runs/*/provenance.json")):
        try:
            known = json.loads(found.read_text(encoding="utf-8"))
            say(f"{found.parent}  {known['finished_at']}  {known['scores']} scores, {known['failed']} failed")
        except (OSError, ValueError, LookupError, TypeError) as error:
            say(f"note: {found} cannot be read: {said(error)}", err=True)


def _load(path: str) -> Suite:
    try:
        return load(path)
    except (ValueError, FileNotFoundError) as error:
        raise click.UsageError(said(error)) from error


def _lost(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Models of which nothing could be scored, and why, and reasons of other failures; the first few of all."""
    failed = [row for row in rows if row["status"] == "failed"]
    scored = {row[side] for row in rows if row["status"] != "failed" for side in ("x", "y")}
    lost = {row[side]: row["reason"] for row in reversed(failed) for side in ("x", "y") if row[side] not in scored}
    told = [f"{name} has no score: {reason}" for name, reason in lost.items()]
    others = Counter(row["reason"] for row in failed if not {row["x"], row["y"]} & set(lost))
    told += [f"failed: {reason} ({counted(count, 'score')})" for reason, count in others.most_common()]
    more = len(told) - _TOLD
    return told if more <= 0 else [*told[:_TOLD], f"and {counted(more, 'more reason')}; results.csv has all"]


def _tell(done: Run) -> None:
    """A line for every metric and for every check."""
    rows = []
    for metric in dict.fromkeys(row["metric_id"] for row in done.rows):
        own = [row for row in done.rows if row["metric_id"] == metric]
        known = sorted(row["score"] for row in own if row["status"] == "ok")
        spread = f"{number(known[0])} to {number(known[-1])}" if known else "–"
        rows.append([metric, str(len(own)), str(len(own) - len(known)), spread])
    show_table(["metric", "scores", "without", "from and to"], rows)
    for text in _lost(done.rows):
        say(f"note: {text}", err=True)
    table = standings(done)
    if table:
        show_table(table[0], table[1:])
    for claim in done.claims:
        if table and claim.value is not None and claim.verdict == "held":
            continue
        where = f"{claim.set}: " if len(done.members) > 1 else ""
        say(f"{claim.verdict}: {where}{claim.text} ({claim.why})")


_TEMPLATE = """[suite]
name = {name}
schema = 1

[sets.main]
ids = "by-position"  # or a file and a key, "items.json#id", that names every row

{models}
[pairs]
which = "all"  # across, within: by [[models]] side = "..."; or list

[[metrics]]
id = "cka"

[[metrics]]
id = "mknn10"
metric = "mutual_knn"
k = 10
"""
