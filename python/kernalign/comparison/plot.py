"""Draws a Comparison with matplotlib: heat maps with the chance level marked, and maps of representations."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernalign._base import checks
from kernalign.embedding import classical_mds

_ANNOTATED = 12  # rows and columns up to which the numbers are written into the cells
_TICKS = 40


def draw(comparison: Any, metric: str, kind: str, x: str | None, y: str | None, ax: Any) -> Any:
    """See `Comparison.plot`."""
    checks.check_choice(kind, "kind", ("heatmap", "layers", "map"))
    for name, side in (("x", x), ("y", y)):
        if side is not None and not isinstance(side, str):
            raise TypeError(f"{name} must be a name or None, got {checks.shown(side)}")
    if kind != "layers" and (x is not None or y is not None):
        raise ValueError(f"x and y choose a pair for kind='layers', got kind={kind!r}")
    try:
        from matplotlib.axes import Axes
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plot needs matplotlib: pip install 'kernalign[plot]'") from error
    if ax is not None and not isinstance(ax, Axes):
        raise TypeError(f"ax must be matplotlib axes or None, got {checks.shown(ax)}")
    if ax is None:
        ax = Figure(figsize=_size(comparison, kind), layout="constrained").add_subplot()
    if kind == "map":
        _map(comparison, metric, ax)
    elif kind == "layers":
        _layers(comparison, metric, x, y, ax)
    else:
        _models(comparison, metric, ax)
    return ax.figure


def _size(comparison: Any, kind: str) -> tuple[float, float]:
    if kind != "heatmap":
        return 6.4, 5.2
    columns, rows = len(comparison.y_layers), len(comparison.x_layers)
    return min(14.0, 4.0 + 0.45 * columns), min(12.0, 3.0 + 0.35 * rows)


def _models(comparison: Any, metric: str, ax: Any) -> None:
    best = comparison.best(metric)
    several = any(len(labels) > 1 for side in (comparison.x_layers, comparison.y_layers) for labels in side.values())
    compared = ~np.eye(len(best.score), dtype=bool) if comparison.square else np.ones(best.score.shape, dtype=bool)
    hatched = _heat(ax, best.score, best.chance, metric, compared)
    _ticks(ax, best.x_names, best.y_names)
    ax.set_title(f"{metric}, {'best layers, ' if several else ''}{comparison.n} items{hatched}")


def _layers(comparison: Any, metric: str, x: str | None, y: str | None, ax: Any) -> None:
    if comparison.mode != "all":
        raise ValueError("kind='layers' needs the scores of all layers: compare(..., layers='all')")
    pairs = [pair for pair in comparison.pairs(metric) if x in (None, pair[0]) and y in (None, pair[1])]
    if len(pairs) != 1:
        known = ", ".join(f"{a} × {b}" for a, b in comparison.pairs(metric)[:8])
        raise ValueError(
            f"x and y must choose one pair of names, got {checks.shown(x)} and {checks.shown(y)}; compared were {known}"
        )
    [pair] = pairs
    cells = comparison.cells(metric, pair)
    hatched = _heat(ax, cells.score, cells.chance, metric, np.ones(cells.score.shape, dtype=bool))
    _ticks(ax, comparison.x_layers[pair[0]], comparison.y_layers[pair[1]])
    ax.set_ylabel(f"{pair[0]}, layer")
    ax.set_xlabel(f"{pair[1]}, layer")
    ax.set_title(f"{metric}, {comparison.n} items{hatched}")


def _heat(ax: Any, score: Any, chance: Any, metric: str, compared: Any) -> str:
    """The table as colours, its mean chance level as a line across the colour bar; what to say of undefined scores."""
    from matplotlib.colors import Normalize

    known = np.isfinite(score)
    said = _hatch(ax, compared & ~known)
    if not known.any():
        ax.imshow(score, norm=Normalize(0, 1), aspect="auto")  # for the axes: no score has a colour
        return said
    level = float(np.nanmean(chance[known])) if np.isfinite(chance[known]).any() else None
    ends = [*score[known], *([] if level is None else [level])]
    low, high = min(ends), max(ends)
    image = ax.imshow(score, norm=Normalize(low, high if high > low else low + 1e-12), cmap="viridis", aspect="auto")
    bar = ax.figure.colorbar(image, ax=ax, label=metric)
    if level is not None:
        bar.ax.axhline(level, color="red", linewidth=2, gid="chance")
        bar.ax.set_xlabel(f"chance {level:.3g}", color="red", fontsize=8)
    if max(score.shape) <= _ANNOTATED:
        for (i, j), value in np.ndenumerate(score):
            if np.isfinite(value):
                dark = value < (low + high) / 2
                ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color="white" if dark else "black")
    return said


def _hatch(ax: Any, undefined: Any) -> str:
    """Mark the cells of undefined scores; words for the title if there are any."""
    if not undefined.any():
        return ""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    cells = [Rectangle((j - 0.5, i - 0.5), 1, 1) for i, j in np.argwhere(undefined)]
    ax.add_collection(
        PatchCollection(cells, facecolor="0.92", edgecolor="0.6", hatch="///", linewidth=0, gid="undefined")
    )
    return ", hatched: undefined"


def _ticks(ax: Any, rows: tuple[str, ...], columns: tuple[str, ...]) -> None:
    for axis, names in ((ax.yaxis, rows), (ax.xaxis, columns)):
        step = -(-len(names) // _TICKS)
        axis.set_ticks(range(0, len(names), step), names[::step])
    longest = max(map(len, columns))
    if longest > 3:
        ax.tick_params(axis="x", labelrotation=90 if len(columns) > _ANNOTATED else 45)


def _map(comparison: Any, metric: str, ax: Any) -> None:
    points = classical_mds(comparison.distances(metric), dims=2)
    ax.scatter(points[:, 0], points[:, 1], s=24)
    for name, (across, up) in zip(comparison.x_names, points, strict=True):
        ax.annotate(name, (across, up), xytext=(4, 4), textcoords="offset points", fontsize=8)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_title(f"distances near -log {metric}, {comparison.n} items")
