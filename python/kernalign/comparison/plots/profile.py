"""Layer profiles: scores along the layers of x as lines, one for each layer of y, with the band of chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base.figures import axes_of
from kernalign.comparison.plots import look as looks
from kernalign.comparison.plots.look import CHANCE, Look

Array = NDArray[Any]

_REACH = 1.96  # standard deviations of the band
_NAMED = 12  # lines that a legend names
_BESIDE = 0.65  # of the width of new axes, what a legend and a colour bar leave to labels


@dataclass(frozen=True)
class Profile:
    """The lines of one pair of names: tables (L_x, L_y) over places along x."""

    name: str
    places: Array
    score: Array
    chance: Array
    chance_sd: Array
    intervals: Array | None


def draw(found: Any, metric: str, look: Look, ax: Any) -> Any:
    """Scores of all layers of x with all layers of y; along those of y where only they have several."""
    if found.mode != "all":
        raise ValueError("kind='profile' needs the scores of all layers: compare(..., layers='all')")
    pairs, record = looks.chosen(found, metric, look), found.record(metric)
    turned = all(len(found.x_layers[x]) == 1 for x, _ in pairs) and any(len(found.y_layers[y]) > 1 for _, y in pairs)
    along, other = (found.y_layers, found.x_layers) if turned else (found.x_layers, found.y_layers)
    labels = {along[pair[turned]] for pair in pairs}
    common = next(iter(labels)) if len(labels) == 1 else None
    profiles = []
    for pair, name in zip(pairs, looks.differing(pairs, record.symmetric), strict=True):
        count = len(along[pair[turned]])
        places = np.arange(count) if common else np.linspace(0, 1, count) if count > 1 else np.array([1.0])
        score, chance, sd = (table[metric][pair] for table in (found.scores, found.chance, found.chance_sd))
        interval = looks.interval(found, metric, pair)
        if turned:
            score, chance, sd = score.T, chance.T, sd.T
            interval = None if interval is None else interval.swapaxes(0, 1)
        profiles.append(Profile(name, places, score, chance, sd, interval))
    with axes_of(ax, look.figsize or (6.8, 4.0)) as axes:
        chance = _band(axes, profiles, shared=common is not None) + _undefined(axes, profiles)
        if len(profiles) == 1:
            _of_layers(axes, profiles[0], other[pairs[0][not turned]], look, chance)
        else:
            _of_pairs(axes, profiles, looks.telling(pairs), look, chance)
        sides = [{pair[side] for pair in pairs} for side in (0, 1)]
        x, y = (
            looks.name_of(min(side)) if len(side) == 1 else letter for side, letter in zip(sides, "xy", strict=True)
        )
        if common is not None:
            room = looks.inches(axes)[0] * (_BESIDE if ax is None else 1.0)
            looks.tick_names(axes.xaxis, common, room)
        which = y if turned else x
        axes.set_xlabel(f"layer of {which}" if common else f"relative depth in {'xy'[turned]}", parse_math=False)
        axes.set_ylabel(metric, parse_math=False)
        axes.set_ylim(*_ends(axes, record, look))
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        several = (
            x
            if len(sides[0]) == 1
            else f"{len(sides[0] | (sides[1] if sides[0] & sides[1] else set()))} representations"
        )
        with_y = f" with {y}" if len(sides[1]) == 1 else ""
        look.titled(axes, looks.called(metric, record), f"{several}{with_y}, {found.n} items")
    return axes


def _band(ax: Any, profiles: Sequence[Profile], *, shared: bool) -> list[tuple[Any, str]]:
    """Chance, one layer at a time, as wide as that of any line; handle and name for the legend."""
    low, high = [], []
    for one in profiles:
        if np.isfinite(one.chance_sd).any():
            half = _REACH * one.chance_sd
            low.append(np.fmin.reduce(one.chance - half, axis=1))
            high.append(np.fmax.reduce(one.chance + half, axis=1))
    if not low:
        return []
    style = {"color": CHANCE, "alpha": 0.18, "linewidth": 0, "gid": "chance", "zorder": 0}
    if shared and len(profiles[0].places) > 1:
        band = ax.fill_between(profiles[0].places, np.min(low, axis=0), np.max(high, axis=0), **style)
    else:
        band = ax.axhspan(min(map(np.nanmin, low)), max(map(np.nanmax, high)), **style)
    return [(band, "chance ± 1.96 sd")]


def _undefined(ax: Any, profiles: Sequence[Profile]) -> list[tuple[Any, str]]:
    """Crosses at the foot where a line breaks off; handle and name for the legend."""
    places = sorted({place for one in profiles for place in one.places[np.isnan(one.score).any(axis=1)]})
    if not places:
        return []
    style: dict[str, Any] = {"color": "0.3", "linestyle": "none", "clip_on": False, "gid": "undefined"}
    [marks] = ax.plot(places, [0.02] * len(places), "x", transform=ax.get_xaxis_transform(), **style)
    return [(marks, "undefined")]


def _of_layers(ax: Any, one: Profile, layers: Sequence[str], look: Look, chance: list[Any]) -> None:
    """A line for each layer of y, coloured by its depth; few are named, many have a colour bar."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    cmap = look.cmap or colormaps["viridis"]
    shades = cmap(np.linspace(0.0, 0.9, len(layers))) if len(layers) > 1 else ["C0"]
    lines = [_line(ax, one, at, shades[at]) for at in range(len(layers))]
    if len(layers) <= _NAMED:
        named = zip(lines, [f"{layer} of y" for layer in layers] if len(layers) > 1 else [one.name], strict=True)
        _named(ax, [*named, *chance])
        return
    beside = ax.inset_axes((1.02, 0.0, 0.025, 0.75))
    bar = ax.figure.colorbar(ScalarMappable(Normalize(0, (len(layers) - 1) / 0.9), cmap), cax=beside)
    beside.set_ylim(0, len(layers) - 1)
    shown = [0, len(layers) // 2, len(layers) - 1]
    bar.set_ticks(shown, labels=[looks.name_of(layers[at]) for at in shown], fontsize=8)
    bar.set_label("layer of y", fontsize=9)
    _named(ax, chance)


def _of_pairs(ax: Any, profiles: Sequence[Profile], names: Sequence[str], look: Look, chance: list[Any]) -> None:
    """Lines of a colour for each pair or, where there are families, for each of these."""
    from matplotlib import colormaps

    many = len(profiles) > _NAMED
    shades = colormaps["turbo"](np.linspace(0.05, 0.95, len(profiles)))
    first = []
    for at, (one, name) in enumerate(zip(profiles, names, strict=True)):
        colour = look.colour(name) if look.families else shades[at] if many else looks.shade(at)
        lines = [_line(ax, one, layer, colour, thin=many) for layer in range(one.score.shape[1])]
        first.append((lines[0], one.name))
    if not look.families:
        _named(ax, [*(first if not many else first[:: -(-len(first) // _NAMED)]), *chance])
        return
    made = look.legend(ax, names)
    if chance:
        _named(ax, chance, bbox_to_anchor=(1.02, 0.0), loc="lower left")
        looks.keep(ax, made)


def _line(ax: Any, one: Profile, layer: int, colour: Any, *, thin: bool = False) -> Any:
    scores = one.score[:, layer]
    if one.intervals is not None:
        low, high = one.intervals[:, layer, 1], one.intervals[:, layer, 2]
        ax.fill_between(one.places, low, high, color=colour, alpha=0.2, linewidth=0)
    mark = {"marker": "o", "markersize": 3.5} if (len(scores) <= 40 and not thin) or len(scores) == 1 else {}
    [line] = ax.plot(one.places, scores, color=colour, linewidth=0.9 if thin else 1.6, **mark)
    return line


def _named(ax: Any, named: Sequence[tuple[Any, str]], **where: Any) -> None:
    handles, names = zip(*named, strict=True) if named else ((), ())
    looks.legend(ax, handles, names, **where)


def _ends(ax: Any, record: Any, look: Look) -> tuple[float, float]:
    """From 0 to the largest score of a bounded similarity, below 0 where scores are."""
    low, high = ax.get_ylim()
    if record.larger_is_closer and record.best is not None:
        low, high = min(0.0, low), record.best
    if look.vmax == "max":
        high = ax.get_ylim()[1]
    ends = (low if look.vmin is None else look.vmin, high if look.vmax in (None, "max") else look.vmax)
    return float(ends[0]), float(ends[1] or 0.0)
