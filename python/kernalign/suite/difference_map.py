"""Heat maps of what moved between two runs: of every set and metric the largest change of each pair of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base.figures import discarding, need_matplotlib, new_figure
from kernalign.comparison.plots import look as looks
from kernalign.suite.difference import SAME

Array = NDArray[Any]
_CELL, _LEAST, _MOST = 0.3, 1.5, 12.0  # inches: a cell, and the cells of one map together
_ABREAST = 3


def draw(found: Sequence[Mapping[str, Any]]) -> Any:
    """A figure of what `difference.compare` found, B less A; hatched is what only one of both has."""
    need_matplotlib()
    from matplotlib.patches import Rectangle

    maps: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in found:
        maps.setdefault((one["set"], one["metric_id"]), []).append(one)
    several = len({name for name, _ in maps}) > 1
    tables = {f"{name}, {metric}" if several else metric: _table(own) for (name, metric), own in maps.items()}
    if not tables:
        raise ValueError("the two runs hold no score")
    across = min(_ABREAST, len(tables))
    down = -(-len(tables) // across)
    width, height = ([min(_MOST, max(_LEAST, _CELL * len(one[side]))) for one in tables.values()] for side in (1, 0))
    figure = new_figure((across * (max(width) + 2.2), down * (max(height) + 1.6)))
    with discarding(figure):
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for ax in axes[len(tables) :]:
            ax.remove()
        every = zip(axes, tables.items(), width, height, strict=False)
        for ax, (title, (rows, columns, gaps, alone)), *size in every:
            reach = float(np.abs(gaps[np.isfinite(gaps)]).max(initial=0.0)) or 1.0
            ax.set_facecolor("0.85")
            image = ax.imshow(np.ma.masked_invalid(gaps), cmap="RdBu_r", vmin=-reach, vmax=reach)
            for i, j in np.argwhere(alone):
                style: dict[str, Any] = {"facecolor": "0.92", "edgecolor": "0.6", "hatch": "///", "linewidth": 0}
                ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, gid="alone", **style))
            looks.tick_names(ax.yaxis, rows, size[1])
            looks.tick_names(ax.xaxis, columns, size[0])
            figure.colorbar(image, ax=ax, shrink=0.8).ax.tick_params(labelsize=8)
            moved = int(np.count_nonzero(np.nan_to_num(gaps)))
            told = f"B − A, {moved} of {int(np.isfinite(gaps).sum())} cells moved"
            hatched = ["hatched: in one run alone"] if alone.any() else []
            ax.set_title("\n".join([title, told, *hatched]), fontsize=9, parse_math=False)
    return figure


def _table(found: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str], Array, Array]:
    """Names of rows and columns, the change of each pair, and which pairs have scores in one run alone."""
    rows, columns = (list(dict.fromkeys(one[side] for one in found)) for side in ("x", "y"))
    if set(rows) & set(columns):  # one set of models with itself
        rows = columns = list(dict.fromkeys([*rows, *columns]))
    both = {(one["x"], one["y"]) for one in found}
    gaps = np.full((len(rows), len(columns)), np.nan)
    seen = np.zeros(gaps.shape, dtype=bool)
    for one in found:
        known = not math.isnan(one["a"]), not math.isnan(one["b"])
        gap = 0.0 if one["kind"] == SAME and all(known) else one["b"] - one["a"]
        for x, y in {(one["x"], one["y"]), (one["y"], one["x"])} - (both - {(one["x"], one["y"])}):
            if x in rows and y in columns:
                at = rows.index(x), columns.index(y)
                seen[at] |= any(known)
                if not math.isnan(gap) and not abs(gap) <= abs(gaps[at]):
                    gaps[at] = gap
    return rows, columns, gaps, seen & np.isnan(gaps)
