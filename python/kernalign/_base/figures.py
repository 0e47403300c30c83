"""Axes to draw in: those that are given, or a new figure's, which is shown where figures are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kernalign._base.checks import shown
from kernalign._base.notebooks import in_notebook

SUFFIXES = (".png", ".svg", ".pdf")
_DPI = 150


def need_matplotlib() -> None:
    """Raise an error that names the extra unless matplotlib is installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'kernalign[plot]'") from error


def new_figure(size: tuple[float, float]) -> Any:
    """A figure: pyplot's where pyplot is in use, so that notebooks and ``show`` draw it, else nobody's."""
    need_matplotlib()
    if in_notebook():
        import matplotlib.pyplot  # noqa: F401 (shows its figures there, and no others)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        return pyplot.figure(figsize=size, layout="compressed")
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="compressed")


@contextmanager
def axes_of(ax: Any, size: tuple[float, float]) -> Iterator[Any]:
    """Yield ``ax``, or the axes of a new figure, which is gone again if drawing fails."""
    need_matplotlib()
    from matplotlib.axes import Axes

    if ax is not None and not isinstance(ax, Axes):
        raise TypeError(f"ax must be matplotlib axes or None, got {shown(ax)}")
    if ax is not None:
        yield ax
        return
    figure = new_figure(size)
    with discarding(figure):
        yield figure.add_subplot()


@contextmanager
def discarding(figure: Any) -> Iterator[None]:
    """Let go of a new figure if drawing it fails."""
    try:
        yield
    except BaseException:
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close(figure)
        raise


def save(figure: Any, file: Any, suffix: str) -> None:
    """Write a figure to an open binary file in the format of a suffix; text stays text in .svg and .pdf."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(file, format=suffix.lower()[1:], dpi=_DPI)
