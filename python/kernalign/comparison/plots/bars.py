"""Bars of scores: errors, chance, the noise ceiling, and letters that say which scores differ."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.figures import axes_of
from kernalign.comparison.plots import look as looks
from kernalign.comparison.plots.look import CHANCE, Look
from kernalign.inference.model_maps import false_discovery

Array = NDArray[Any]

_REACH = 1.96
_MOST = 400  # bars
_LETTERED = 12  # bars, beyond which numbers stand in for letters
_LEVEL = 0.05


def draw(found: Any, metric: str, look: Look, ax: Any) -> Any:
    """Best scores of the chosen pairs."""
    pairs, record, best = looks.chosen(found, metric, look), found.record(metric), found.best(metric)
    if found.square and len(found.x_names) == 1:
        raise ValueError(
            f"kind='bars' draws pairs of representations, but {pairs[0][0]} alone was compared: kind='layers' and"
            " kind='profile' draw its layers"
        )
    if len(pairs) > _MOST:
        raise ValueError(f"kind='bars' draws up to {_MOST} bars, but x and y choose {len(pairs)}")
    names = looks.differing(pairs, record.symmetric)
    at = tuple(np.transpose([(found.x_names.index(x), found.y_names.index(y)) for x, y in pairs]))
    values, chance, chance_sd = (part[at] for part in (best.score, best.chance, best.chance_sd))
    order = _order(names, pairs, values, record, look)
    pairs, names = [pairs[i] for i in order], [names[i] for i in order]
    values, chance, chance_sd = values[order], chance[order], chance_sd[order]
    marks = None if look.differences is None else _marks(names, values, look)
    low, high = _intervals(found, metric, pairs)
    height = min(16.0, 1.3 + max(0.13, min(0.32, 12 / len(names))) * len(names))
    with axes_of(ax, look.figsize or (6.0 + 1.0 * bool(look.families), height)) as axes:
        places = np.arange(len(names))
        handles = levels(axes, places, chance, chance_sd, look.ceiling)
        told = looks.telling(pairs)
        colours = list(map(look.colour, told)) if look.families else "#4c78a8"
        axes.barh(places, np.nan_to_num(values), height=0.72, color=colours, zorder=2)
        known = np.isfinite(low)
        if known.any():
            style = {"fmt": "none", "ecolor": "black", "elinewidth": 1, "capsize": 2, "zorder": 4}
            spread = np.array([values - low, high - values])[:, known]
            axes.errorbar(values[known], places[known], xerr=np.clip(spread, 0.0, None), **style)
        axes.set(ylim=(len(names) - 0.4, -0.6), xlim=_ends(axes, record, values, look))
        for place in places[np.isnan(values)]:
            style = {"va": "center", "fontsize": 8, "color": "0.3", "gid": "undefined"}
            axes.annotate("undefined", (0.01, place), xycoords=axes.get_yaxis_transform(), **style)
        if marks is not None:
            write(axes, places, np.where(known, high, values), marks)
        looks.tick_names(
            axes.yaxis, names, 0.9 * height if ax is None and look.figsize is None else looks.inches(axes)[1]
        )
        axes.set_xlabel(metric, parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        if look.families:
            made = look.legend(axes, told)
        if handles:
            looks.legend(axes, *zip(*handles, strict=True), **looks.below(axes), ncols=2)
            if look.families:
                looks.keep(axes, made)
        look.titled(axes, looks.called(metric, record), *_told(found, pairs, known, look))
    return axes


def _order(names: list[str], pairs: Any, values: Array, record: Any, look: Look) -> list[int]:
    if look.order == "cluster":
        raise ValueError("order must be 'score' or 'family' for kind='bars', got 'cluster'")
    if look.order == "score":
        return [
            int(at)
            for at in np.argsort(np.where(np.isnan(values), np.inf, -values if record.larger_is_closer else values))
        ]
    if look.order == "family":
        return looks.by_family(looks.telling(pairs), look.families)
    return list(range(len(names)))


def _intervals(found: Any, metric: str, pairs: Sequence[tuple[str, str]]) -> tuple[Array, Array]:
    """Ends of the intervals of single layers; nan where there are none, as of the best of many."""
    ends = np.full((2, len(pairs)), math.nan)
    for at, pair in enumerate(pairs):
        table = looks.interval(found, metric, pair)
        if table is not None and table.shape[:2] == (1, 1):
            ends[:, at] = table[0, 0, 1:]
    return ends[0], ends[1]


def levels(ax: Any, places: Array, chance: Array, sd: Array, ceiling: Any) -> list[tuple[Any, str]]:
    """The noise ceiling behind all bars, and chance at each; handles and names for the legend."""
    found = []
    if ceiling is not None:
        low, high = ceiling[0], ceiling[-1]
        style: dict[str, Any] = {"color": "0.55", "gid": "ceiling", "zorder": 1}
        band = ax.axvspan(low, high, alpha=0.35, **style) if high > low else ax.axvline(low, linestyle="--", **style)
        found.append((band, "noise ceiling"))
    known = np.isfinite(chance)
    if known.any():
        half = np.where(np.isfinite(sd), _REACH * sd, 0.0)
        style = {"color": CHANCE, "zorder": 3, "gid": "chance"}
        if (half[known] > 0).any():
            band = ax.barh(
                places[known],
                2 * half[known],
                left=(chance - half)[known],
                height=0.9,
                alpha=0.25,
                linewidth=0,
                **style,
            )
            ax.vlines(chance[known], places[known] - 0.45, places[known] + 0.45, linewidth=1, **style)
            found.append((band, "chance ± 1.96 sd"))
        else:
            found.append((ax.vlines(chance[known], places[known] - 0.45, places[known] + 0.45, **style), "chance"))
    return found


def _ends(ax: Any, record: Any, values: Array, look: Look) -> tuple[float, float]:
    low, high = ax.get_xlim()
    low, high = min(0.0, low) if not (values[np.isfinite(values)] < 0).any() else low, high
    if record.larger_is_closer and record.best is not None and look.vmax != "max":
        high = record.best
    return (look.vmin if isinstance(look.vmin, float) else low), (look.vmax if isinstance(look.vmax, float) else high)


def _marks(names: Sequence[str], values: Array, look: Look) -> list[str]:
    """What stands behind each bar: letters, of which two bars share one where they do not differ; of many bars, how
    many it exceeds. All pairs are judged at a false discovery rate."""
    given = look.differences
    if not isinstance(given, Mapping):
        raise TypeError(f"differences must be a dict of pairs of names and p-values, got {checks.shown(given)}")
    if len(set(names)) < len(names):
        raise ValueError("differences need bars of one x or one y: name it")
    pairs = list(combinations(range(len(names)), 2))
    p = []
    for i, j in pairs:
        known = [given[key] for key in ((names[i], names[j]), (names[j], names[i])) if key in given]
        if not known:
            raise ValueError(f"differences must hold every pair of bars, but {names[i]!r} and {names[j]!r} are missing")
        p.append(float(getattr(known[0], "p_value", known[0])))
    q = false_discovery(p)
    differ = [pair for pair, one in zip(pairs, q, strict=True) if one < (look.significance or _LEVEL)]
    if len(names) > _LETTERED:
        count = np.bincount([max(pair, key=lambda at: values[at]) for pair in differ], minlength=len(names))
        return [str(one) if one else "" for one in count]
    return letters(values, differ)


def letters(values: Array, differ: Sequence[tuple[int, int]]) -> list[str]:
    """What stands behind each bar: two share a letter unless they differ; the first is that of the best."""
    rank = np.argsort(np.argsort(-values))
    groups = sorted(shared_groups(len(values), differ), key=lambda group: sorted(rank[list(group)]))
    lettered = list(zip(string.ascii_letters, groups, strict=False))
    return ["".join(letter for letter, group in lettered if at in group) for at in range(len(values))]


def shared_groups(count: int, differ: Sequence[tuple[int, int]]) -> list[frozenset[int]]:
    """Groups of bars such that two are together in one unless they differ (Piepho 2004: insert and absorb)."""
    groups = [frozenset(range(count))]
    for i, j in differ:
        split = []
        for group in groups:
            split += [group - {i}, group - {j}] if i in group and j in group else [group]
        groups = [
            one
            for at, one in enumerate(split)
            if not any(one < other or (one == other and to < at) for to, other in enumerate(split))
        ]
    return groups


def write(ax: Any, places: Array, ends: Array, marks: Sequence[str]) -> None:
    """The marks behind the ends of bars."""
    low, high = ax.get_xlim()
    for place, end, letter in zip(places, ends, marks, strict=True):
        if np.isfinite(end):
            right = min(max(end, 0.0), high) + 0.01 * (high - low)
            ax.text(right, place, letter, va="center", fontsize=8, gid="letters", clip_on=False)


def _told(found: Any, pairs: Any, known: Array, look: Look) -> list[str]:
    sides = [{pair[side] for pair in pairs} for side in (0, 1)]
    fixed = [looks.name_of(min(side)) for side in sides if len(side) == 1 and len(pairs) > 1]
    head = f"{f'with {fixed[0]}, ' if fixed else ''}{found.n} items{', error bars: 95 %' if known.any() else ''}"
    level = look.significance or _LEVEL
    letters = f"bars that share a letter do not differ, q ≥ {level:g}"
    counts = f"numbers: how many others a bar exceeds, q < {level:g}"
    return [head, (counts if len(pairs) > _LETTERED else letters) if look.differences is not None else ""]
