"""Options of commands that take long or write files: ``--progress``, and ``--output`` as often as is wanted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kernalign._base import figures
from kernalign._base.files import atomic_write
from kernalign.cli.output import check_output, write_text

TEXTS = (".json", ".csv")
PICTURES = figures.SUFFIXES
progress_option = click.option(
    "--progress/--no-progress", default=None, help="Tell on standard error how far it is; if not given, in a terminal."
)


def wants_progress(given: bool | None) -> bool:
    """What ``--progress`` says or, where it was not given, whether somebody looks."""
    return sys.stderr.isatty() if given is None else given


def output_option(*suffixes: str) -> Callable[[Any], Any]:
    """``--output`` for files of these suffixes."""
    *most, last = suffixes
    return click.option(
        "--output",
        "outputs",
        multiple=True,
        type=click.Path(path_type=Path),
        help=f"Write a {', '.join(most)} or {last} file too; may be given several times.",
    )


def check_outputs(paths: Sequence[Path], suffixes: Sequence[str], *, overwrite: bool) -> None:
    """Refuse before the work what would fail after it."""
    for path in paths:
        check_output(path, suffixes, overwrite=overwrite)
    if len({path.absolute() for path in paths}) < len(paths):
        raise click.BadParameter("the same file is given twice", param_hint="--output")
    if any(path.suffix.lower() in PICTURES for path in paths):
        figures.need_matplotlib()


def write_outputs(
    paths: Sequence[Path],
    texts: Mapping[str, Callable[[], str]],
    picture: Callable[[], Any] | None = None,
    *,
    overwrite: bool,
) -> None:
    """Write each file whole or not at all: a text by its suffix, or the figure, which is drawn once."""
    figure = picture() if picture and any(path.suffix.lower() in PICTURES for path in paths) else None
    for path in paths:
        suffix = path.suffix.lower()
        if suffix in PICTURES:
            with atomic_write(path, overwrite=overwrite) as file:
                figures.save(figure, file, suffix)
        else:
            write_text(path, texts[suffix](), overwrite=overwrite)
