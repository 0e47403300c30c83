"""``kernalign stitch``: how well one representation maps onto another, and what a head loses by it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from numpy.typing import NDArray

from kernalign._base.checks import check_same_rows
from kernalign._base.interrupts import INTERRUPTED
from kernalign._rows.labelled_arrays import labelled
from kernalign.cli.output import as_csv, as_json, number, plain, say, show_table
from kernalign.cli.outputs import (
    PICTURES,
    TEXTS,
    check_outputs,
    output_option,
    progress_option,
    wants_progress,
    write_outputs,
)
from kernalign.sources import Source, array_names, open_source, split_spec
from kernalign.sources.place import shown

if TYPE_CHECKING:
    from kernalign.stitching import Certificate, LinearHead, LinearStitcher, Trial

_SOLVERS = ("affine", "ridge", "procrustes", "low-rank")
_SAID = ("risk", "stitched_risk", "best_risk", "own_risk", "excess", "misalignment", "lipschitz", "bound", "holds")


@dataclass(frozen=True)
class Row:
    """A trial, its pair and the seconds of its direction, all solvers together."""

    x: str
    y: str
    trial: Trial
    seconds: float

    def as_dict(self) -> Any:
        """For JSON and CSV: numbers that do not exist are None."""
        return plain({"x": self.x, "y": self.y} | asdict(self.trial) | {"seconds": self.seconds})


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--solver",
    "solvers",
    multiple=True,
    default=_SOLVERS,
    show_default=True,
    type=click.Choice(_SOLVERS),
    help="Which maps to fit; may be given several times. Ridge chooses its penalty by GCV; low-rank tries many ranks.",
)
@click.option("--head", help="A linear head of B: a matrix (outputs, columns of B), or a file with weight and bias.")
@click.option("--targets", help="What the head should say of each item: (items, outputs).")
@click.option("--folds", default=5, show_default=True, type=click.IntRange(min=2), help="Of the cross-validation.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@output_option(*TEXTS, *PICTURES)
@click.option("--force", is_flag=True, help="Overwrite output files that exist.")
@progress_option
@click.pass_context
def stitch(
    ctx: click.Context,
    a: str,
    b: str,
    solvers: tuple[str, ...],
    head: str | None,
    targets: str | None,
    folds: int,
    form: str | None,
    outputs: tuple[Path, ...],
    force: bool,
    progress: bool | None,
) -> None:
    """Map A onto B and B onto A, item by item, and score the maps on items that they have not seen.

    Files are of any format that compare reads; FILE:KEY names one array of a file. R² is 1 - SSE/SST over all columns;
    the low-rank rows are the curve of what is left over at each rank. With a head of B and its targets, only A is
    mapped onto B, and each map's stitched risk (mean squared error of the head on mapped items) stands beside its
    bound.

    Ctrl-C ends the work; a direction that was finished by then is written.
    """
    if (head is None) != (targets is None):
        raise click.UsageError("--head and --targets must be given together")
    check_outputs(outputs, (*TEXTS, *PICTURES), overwrite=force)
    names, x, y = _pair(a, b)
    directions = [(*names, x, y)] if head is not None else [(*names, x, y), (*names[::-1], y, x)]
    reader = None if head is None else _open_head(head)
    goal = None if targets is None else _with_ids(_opened(targets))
    rows = _measure(directions, solvers, folds, reader, goal, wants_progress(progress))
    missing = len(directions) - len({(row.x, row.y) for row in rows})
    if missing:
        say(f"interrupted: {' → '.join(directions[-1][:2])} is missing; the rest is written", err=True)
    certificate = None
    if reader is not None:
        from kernalign.stitching import stitching_certificate

        certificate = stitching_certificate(x, y, reader, goal)
    settings = {"files": [shown(a), shown(b)], "solvers": list(solvers), "folds": folds, "head": head and shown(head)}
    settings["targets"] = targets and shown(targets)

    found, more = [row.as_dict() for row in rows], {}
    if certificate is not None:
        own = asdict(certificate) | {"excess": certificate.excess, "forward": certificate.forward}
        more["certificate"] = plain(own)
    texts = {"json": as_json(found, settings, **more), "csv": as_csv(found)}
    written = {f".{kind}": (lambda text=text: text) for kind, text in texts.items()}
    write_outputs(outputs, written, lambda: _picture(rows), overwrite=force)
    if form is not None:
        say(texts[form], nl=False)
    else:
        _show(rows)
        if certificate is not None:
            _show_certificate(names, certificate)
    if missing:
        ctx.exit(INTERRUPTED)


def _array(spec: str, *dimensions: int) -> NDArray[Any]:
    path, key = split_spec(spec)
    with open_source(path, key=key, dimensions=dimensions) as array:
        return array


def _with_ids(source: Source) -> NDArray[Any]:
    """The rows of a file, with the ids that it holds, by which they are paired."""
    ids = None if source.stored is None else source.stored.labels
    return source.array if ids is None else labelled(source.array, ids)


def _opened(spec: str) -> Source:
    path, key = split_spec(spec)
    return open_source(path, key=key, dimensions=(2,))


def _pair(a: str, b: str) -> tuple[tuple[str, str], NDArray[Any], NDArray[Any]]:
    """Two representations and their names: short ones where they tell them apart."""
    sources = [_opened(a), _opened(b)]
    x, y = map(_with_ids, sources)
    first, second = (source.name for source in sources)
    names = (first, second) if first != second else (shown(a), shown(b))
    check_same_rows(len(x), len(y), *names)
    return names, x, y


def _open_head(spec: str) -> LinearHead:
    """A weight matrix, or the arrays weight and, where there is one, bias of a file that holds several."""
    from kernalign.stitching import LinearHead

    path, key = split_spec(spec)
    found = array_names(path)
    if key is not None or "weight" not in found:
        return LinearHead(_array(spec, 2))
    bias = open_source(path, key="bias").array if "bias" in found else None
    return LinearHead(open_source(path, key="weight").array, bias)


def _stitchers(solvers: tuple[str, ...], columns: int) -> dict[str, LinearStitcher]:
    from kernalign.stitching import AffineStitcher, LowRankStitcher, ProcrustesStitcher, RidgeStitcher

    made: dict[str, LinearStitcher] = {}
    for name in dict.fromkeys(solvers):
        if name == "low-rank":
            ranks = [2**power for power in range(columns.bit_length()) if 2**power < columns]
            made |= {f"low-rank {rank}": LowRankStitcher(rank) for rank in (*ranks, columns)}
        else:
            made[name] = {"affine": AffineStitcher, "ridge": RidgeStitcher, "procrustes": ProcrustesStitcher}[name]()
    return made


def _measure(
    directions: Sequence[tuple[str, str, NDArray[Any], NDArray[Any]]],
    solvers: tuple[str, ...],
    folds: int,
    head: LinearHead | None,
    targets: NDArray[Any] | None,
    progress: bool,
) -> list[Row]:
    from kernalign.stitching import run_trials

    rows: list[Row] = []
    for first, second, one, other in directions:
        begin = time.perf_counter()
        columns = min(one.shape[-1], other.shape[-1])
        keywords: dict[str, Any] = {"folds": folds, "head": head, "targets": targets, "progress": progress}
        try:
            trials = run_trials(one, other, _stitchers(solvers, columns), **keywords)
        except (TypeError, ValueError) as error:
            raise ValueError(f"x = {first} and y = {second}: {error}") from error
        except KeyboardInterrupt:
            if not rows:
                raise
            break
        seconds = time.perf_counter() - begin
        rows += [Row(first, second, trial, seconds) for trial in trials]
        if math.isnan(trials[0].r2):
            say(f"note: {first} × {second}: R² is undefined: {second} is constant", err=True)
    return rows


def _show(rows: list[Row]) -> None:
    columns: dict[str, list[str]] = {
        "x": [row.x for row in rows],
        "y": [row.y for row in rows],
        "map": [row.trial.name for row in rows],
        "rank": [str(row.trial.rank) for row in rows],
        "R²": [number(row.trial.r2) for row in rows],
        "R² in-sample": [number(row.trial.r2_in_sample) for row in rows],
        "misalignment": [number(row.trial.misalignment) for row in rows],
        "risk": [number(row.trial.risk) for row in rows],
        "stitched risk": [number(row.trial.stitched_risk) for row in rows],
        "bound": [number(row.trial.bound) for row in rows],
        "solved by": [row.trial.solver for row in rows],
        "seconds": [f"{row.seconds:.3f}" for row in rows],
    }
    if rows[0].trial.risk is None:
        for name in ("risk", "stitched risk", "bound"):
            del columns[name]
    show_table(list(columns), list(zip(*columns.values(), strict=True)))


def _show_certificate(names: tuple[str, str], certificate: Certificate) -> None:
    say(f"\nCertificate of {names[0]} under the head of {names[1]} (in-sample, maps through the origin):")
    for name in _SAID:
        value = getattr(certificate, name)
        shown = ("yes" if value else "no") if isinstance(value, bool) else number(value)
        say(f"  {name.replace('_', ' '):14} {shown}")
    for words in certificate.failed:
        say(f"  note: {words}")


def _picture(rows: list[Row]) -> Any:
    from kernalign.stitching.plot import plot_trials

    groups: dict[str, list[Trial]] = {}
    for row in rows:
        groups.setdefault(f"{row.x} → {row.y}", []).append(row.trial)
    return plot_trials(groups)[0].figure
