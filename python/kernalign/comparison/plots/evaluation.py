"""Bars of models that were compared with subjects: errors, chance, noise ceiling, and letters of those that differ."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np

from kernalign._base.figures import axes_of
from kernalign.comparison.plots import bars
from kernalign.comparison.plots import look as looks

_LEVEL = 0.05


def draw(found: Any, ax: Any) -> Any:
    """Mean scores of all models, in the order given."""
    count = len(found.models)
    places, (low, high) = np.arange(count), found.interval().T
    with axes_of(ax, (6.0, 1.6 + 0.32 * count)) as axes:
        ceiling = None if math.isnan(found.ceiling[0]) else found.ceiling
        handles = bars.levels(axes, places, found.chance, np.full(count, np.nan), ceiling)
        axes.barh(places, found.mean, height=0.72, color="#4c78a8", zorder=2)
        spread = np.clip(np.array([found.mean - low, high - found.mean]), 0.0, None)
        axes.errorbar(found.mean, places, xerr=spread, fmt="none", ecolor="black", elinewidth=1, capsize=2, zorder=4)
        axes.set(ylim=(count - 0.4, -0.6))
        differ = [(i, j) for i, j in combinations(range(count), 2) if found.adjusted[i, j] < _LEVEL]
        if count > 1:
            bars.write(axes, places, high, bars.letters(found.mean, differ))
        looks.tick_names(axes.yaxis, list(found.models), looks.inches(axes)[1])
        axes.set_xlabel(f"rsa, {found.settings['comparison']}", parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        if handles:
            looks.legend(axes, *zip(*handles, strict=True), **looks.below(axes), ncols=2)
        of = f"{len(found.subjects)} subjects, {found.settings['conditions']} conditions, error bars: 95 %"
        told = f"\nbars that share a letter do not differ, q ≥ {_LEVEL:g}" if count > 1 else ""
        axes.set_title(of + told, fontsize=10, parse_math=False)
    return axes
