"""How a plot is to look: what was asked for, checked, and what all kinds have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.figures import need_matplotlib
from kernalign._base.readable import visible
from kernalign.comparison.tables import Names

ORDERS = (None, "cluster", "family", "score")
# Okabe and Ito 2008: told apart by colour-blind eyes; then others.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
_MORE = ("#8c564b", "#7f7f7f", "#17becf", "#bcbd22", "#9467bd", "#e377c2", "#2ca02c", "#d62728")
OTHER = "#bbbbbb"  # of names without a family
CHANCE = "#cc0000"
_OPTIMAL = 500  # names, beyond which the best order of leaves takes long
_LONGEST = 34  # characters of a name
_LARGEST, _SMALLEST = 9.0, 5.0  # points of a label


@dataclass(frozen=True)
class Look:
    """What `Comparison.plot` was asked for."""

    x: str | None
    y: str | None
    order: str | None
    families: Mapping[str, str]
    significance: float | None
    vmin: float | str | None
    vmax: float | str | None
    cmap: Any
    figsize: tuple[float, float] | None
    title: str | None
    differences: Mapping[Names, Any] | None
    ceiling: Any

    def titled(self, ax: Any, *lines: str) -> None:
        """The title that was asked for, or what there is to say; text of names is never a formula."""
        text = "\n".join(line for line in lines if line) if self.title is None else self.title
        ax.set_title(text, fontsize=10, parse_math=False)

    @property
    def colours(self) -> dict[str, str]:
        """Family -> colour."""
        return {family: shade(at) for at, family in enumerate(dict.fromkeys(self.families.values()))}

    def colour(self, name: str) -> str:
        """That of a name's family."""
        return self.colours.get(self.families.get(name, ""), OTHER)

    def legend(self, ax: Any, names: Sequence[str], **where: Any) -> Any:
        """The families of the names, with their colours."""
        from matplotlib.patches import Patch

        known = set(map(self.families.get, names))
        families = {family: colour for family, colour in self.colours.items() if family in known}
        handles = [Patch(facecolor=colour) for colour in families.values()]
        if any(name not in self.families for name in names):
            families, handles = families | {"other": OTHER}, [*handles, Patch(facecolor=OTHER)]
        return legend(ax, handles, list(families), **where)


def shade(at: int) -> str:
    """One colour of many, far apart."""
    palette = (*_COLOURS, *_MORE)
    return palette[at % len(palette)]


def checked(kind: str, read: tuple[str, ...], given: dict[str, Any]) -> Look:
    """What was asked for, as far as the kind reads it."""
    for name, value in given.items():
        if name not in read and value is not None:
            raise ValueError(f"{name} must be left out for kind={kind!r}, which does not read it")
    for name, what in (("x", "a name"), ("y", "a name"), ("title", "text")):
        if given[name] is not None:
            checks.check_type(given[name], name, str, f"{what} or None")
    if given["figsize"] is not None:
        given["figsize"] = numbers(given["figsize"], "figsize", (2,), "positive and finite")
    if given["cmap"] is not None:
        given["cmap"] = _colormap(given["cmap"])
    if given["ceiling"] is not None:
        given["ceiling"] = numbers(given["ceiling"], "ceiling", (1, 2), "finite")
    checks.check_choice(given["order"], "order", ORDERS)
    families = given["families"]
    if families is not None and not isinstance(families, Mapping):
        raise TypeError(f"families must be a dict of names and families, got {checks.shown(families)}")
    if given["order"] == "family" and not families:
        raise ValueError("order='family' needs families")
    level = given["significance"]
    if level is not None:
        level = checks.number(level, "significance", "in (0, 1)")
    for name, word in (("vmin", "chance"), ("vmax", "max")):
        value = given[name]
        known = word == "max" or kind in ("heatmap", "layers")
        if isinstance(value, str) and (value != word or not known):
            raise ValueError(f"{name} must be a number{f' or {word!r}' * known}, got {value!r}")
        if value is not None and not isinstance(value, str):
            given[name] = checks.number(value, name, "finite")
    named = {str(name): str(family) for name, family in (families or {}).items()}
    return Look(**{**given, "families": named, "significance": level})


def numbers(given: Any, name: str, counts: tuple[int, ...], allowed: str) -> tuple[float, ...]:
    """One number or a sequence of so many."""
    listed = [given] if isinstance(given, (int, float)) else checks.items(given, name, "numbers")
    if len(listed) not in counts:
        raise ValueError(f"{name} must be {' or '.join(map(str, counts))} numbers, got {checks.shown(given)}")
    return tuple(checks.number(one, name, allowed) for one in listed)


def _colormap(given: Any) -> Any:
    need_matplotlib()
    from matplotlib import colormaps
    from matplotlib.colors import Colormap

    if isinstance(given, Colormap):
        return given
    checks.check_type(given, "cmap", str, "a colormap of matplotlib or its name")
    if given not in colormaps:
        raise ValueError(f"cmap must be a colormap of matplotlib or its name, got {checks.shown(given)}")
    return colormaps[given]


def called(metric: str, record: Any, x: str = "x", y: str = "y") -> str:
    """A metric, with an arrow where the order matters."""
    return metric if record.symmetric else f"{metric} ({x} → {y})"


def name_of(name: str) -> str:
    """A name as a label: in one line, not too long, and not taken for a formula or for what is not to be shown."""
    text = " ".join(visible(name).split())
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
    return f"\u200b{text}" if text.startswith("_") else text


def width_of(names: Sequence[str], font: float = _LARGEST) -> float:
    """Inches that the longest name takes, about."""
    return max((len(name_of(name)) for name in names), default=0) * font * 0.6 / 72


def tick_names(
    axis: Any, names: Sequence[str], room: float, places: Sequence[float] | None = None, pad: float = 0.0
) -> None:
    """Name the ticks of an axis of so many inches; those of an x axis are turned where they would touch."""
    points = 72 * room / max(1, len(names))
    font = min(_LARGEST, max(_SMALLEST, 0.8 * points))
    step = max(1, math.ceil(1.05 * _SMALLEST / points))
    labels = [name_of(name) for name in names[::step]]
    turned: dict[str, Any] = {}
    if axis.axis_name == "x" and max(map(len, labels), default=0) * font * 0.62 > points * step:
        upright = points < 1.6 * font
        turned = {"rotation": 90 if upright else 45, "ha": "right", "rotation_mode": "anchor"}
        turned["va"] = "center" if upright else "top"
    axis.set_ticks(range(0, len(names), step), labels, fontsize=font, parse_math=False, **turned)
    axis.set_tick_params(length=2, pad=2 + pad)


def legend(ax: Any, handles: Sequence[Any], names: Sequence[str], **where: Any) -> Any:
    """A legend whose names are text."""
    where = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0.0, **where}
    made = ax.legend(handles, list(map(name_of, names)), frameon=False, fontsize=8, **where)
    for text in made.get_texts():
        text.set_parse_math(False)
    return made


def keep(ax: Any, first: Any) -> None:
    """Show a legend again that another one took the place of."""
    ax.add_artist(first)
    first.set_clip_on(False)  # else its room is not reserved


def below(ax: Any) -> dict[str, Any]:
    """Where a legend is under the label of the x axis."""
    from matplotlib.transforms import ScaledTranslation

    shifted = ax.transAxes + ScaledTranslation(0.0, -0.42, ax.figure.dpi_scale_trans)
    return {"bbox_to_anchor": (0.0, 0.0), "bbox_transform": shifted}


def inches(ax: Any) -> tuple[float, float]:
    """Width and height of axes as they are now."""
    box = ax.get_window_extent()
    return max(0.2, box.width / ax.figure.dpi), max(0.2, box.height / ax.figure.dpi)


def clustered(apart: NDArray[Any]) -> list[int]:
    """Leaves of average linkage of a symmetric table of distances, neighbours as alike as they can be."""
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    if len(apart) < 3:
        return list(range(len(apart)))
    flat = squareform(apart, checks=False)
    return [
        int(at) for at in hierarchy.leaves_list(hierarchy.linkage(flat, "average", optimal_ordering=len(apart) <= 500))
    ]


def by_family(names: Sequence[str], families: Mapping[str, str]) -> list[int]:
    """Places of names, families one after the other as they first appear; those without one come last."""
    rank = {family: at for at, family in enumerate(dict.fromkeys(families[name] for name in names if name in families))}
    return sorted(range(len(names)), key=lambda at: rank.get(families.get(names[at], ""), len(rank)))


def chosen(found: Any, metric: str, look: Look) -> list[Names]:
    """The pairs of names that x and y choose; of a symmetric metric in the order in which they are asked for."""
    pairs: list[Names] = found.pairs(metric)
    if found.square and found.record(metric).symmetric and (look.x or look.y):
        pairs = [*pairs, *(pair[::-1] for pair in pairs if pair[0] != pair[1])]
    places = [{name: at for at, name in enumerate(names)} for names in (found.x_names, found.y_names)]
    pairs = [pair for pair in pairs if look.x in (None, pair[0]) and look.y in (None, pair[1])]
    if not pairs:
        known = ", ".join(f"{a} × {b}" for a, b in found.pairs(metric)[:8])
        raise ValueError(
            f"x and y must choose pairs that were compared, got {checks.shown(look.x)} and {checks.shown(look.y)};"
            f" compared were {known}"
        )
    return sorted(pairs, key=lambda pair: (places[0][pair[0]], places[1][pair[1]]))


def differing(pairs: Sequence[Names], symmetric: bool) -> list[str]:
    """What tells pairs apart: the name that differs, or both; of a single pair both."""
    for side in (0, 1):
        if len(pairs) > 1 and len({pair[1 - side] for pair in pairs}) == 1:
            return [pair[side] for pair in pairs]
    return [f"{x} {'×' if symmetric else '→'} {y}" for x, y in pairs]


def telling(pairs: Sequence[Names]) -> list[str]:
    """The one name of each pair whose family is shown: that of y where there is one x, else that of x."""
    return [pair[len({x for x, _ in pairs}) == 1] for pair in pairs]


def interval(found: Any, metric: str, pair: Names) -> Any:
    """Errors and intervals of a pair, in either order of a symmetric metric; None where there are none."""
    try:
        return found.intervals[metric][pair]
    except KeyError:
        return None


def level(values: Any) -> float | None:
    """The mean of what is known; None if nothing is."""
    known = np.asarray(values)[np.isfinite(values)]
    return float(known.mean()) if known.size else None
