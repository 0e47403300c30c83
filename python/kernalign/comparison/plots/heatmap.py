"""Heat maps of a comparison: of representations, and of the layers of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.figures import axes_of
from kernalign.comparison.plots import look as looks
from kernalign.comparison.plots.look import CHANCE, Look
from kernalign.inference.model_maps import false_discovery

Array = NDArray[Any]

_LETTER = 0.075  # inches of a letter of a title
_ANNOTATED = 12  # rows and columns up to which the numbers are written into the cells
_STRIP, _GAP, _BAR = 0.12, 0.05, 0.16  # inches: family colours, what parts them from the cells, the colour bar
_SQUARE = 4  # most times that a map of square cells is as wide as high, or as high as wide


@dataclass(frozen=True)
class Table:
    """What a heat map shows; ``compared``: which cells should have a score."""

    metric: str
    record: Any
    score: Array
    chance: Array
    compared: Array
    p_value: Array | None

    def ordered(self, rows: list[int], columns: list[int]) -> Table:
        at = np.ix_(rows, columns)
        p_value = None if self.p_value is None else self.p_value[at]
        return Table(self.metric, self.record, self.score[at], self.chance[at], self.compared[at], p_value)

    @property
    def known(self) -> Array:
        return np.isfinite(self.score)

    def limits(self, look: Look) -> tuple[float, float]:
        """Ends of the colours: of bounded similarities 0 and their largest value, so that two figures compare."""
        score, chance = self.score[self.known], looks.level(self.chance[self.known])
        if not score.size:
            return 0.0, 1.0
        bounded, best = self.record.larger_is_closer and self.record.best is not None, self.record.best
        least = float(min(score.min(), score.min() if chance is None else chance))
        low = 0.0 if bounded or not self.record.larger_is_closer else least
        high = best if bounded else score.max()
        low = low if look.vmin is None else chance if look.vmin == "chance" else look.vmin  # type: ignore[assignment]
        high = high if look.vmax is None else score.max() if look.vmax == "max" else look.vmax
        if low is None:
            raise ValueError(f"vmin='chance' needs a chance level, and that of {self.metric} is not known")
        return float(low), max(float(high), float(low) + 1e-12)


def models(found: Any, metric: str, look: Look, ax: Any) -> Any:
    """Best scores, representation by representation; those of its layers where there is only one."""
    if found.square and len(found.x_names) == 1:
        return layers(found, metric, look, ax)
    best, record = found.best(metric), found.record(metric)
    compared = np.ones(best.score.shape, dtype=bool)
    if found.square:
        np.fill_diagonal(compared, False)
    table = Table(metric, record, best.score, best.chance, compared, best.p_value if look.significance else None)
    rows, columns = _orders(table, best.x_names, best.y_names, found.square, look)
    x, y = [best.x_names[at] for at in rows], [best.y_names[at] for at in columns]
    several = any(len(labels) > 1 for side in (found.x_layers, found.y_layers) for labels in side.values())
    with axes_of(ax, look.figsize or _size(x, y, bool(look.families))) as axes:
        room = _room(axes, x, y, fitted=ax is None and look.figsize is None)
        told = _paint(axes, table.ordered(rows, columns), look, room)
        strip = 72 * _STRIP if look.families else 0.0
        looks.tick_names(axes.yaxis, x, room[1], pad=strip)
        looks.tick_names(axes.xaxis, y, room[0], pad=strip)
        if look.families:
            _strips(axes, x, y, look, room)
        head = looks.called(metric, record, "row", "column")
        look.titled(axes, head, *_told(f"{'best layers, ' if several else ''}{found.n} items", told, room))
    return axes


def layers(found: Any, metric: str, look: Look, ax: Any) -> Any:
    """Scores of all layers of two representations, the best framed."""
    from matplotlib.patches import Rectangle

    if found.mode != "all":
        raise ValueError("kind='layers' needs the scores of all layers: compare(..., layers='all')")
    pairs = looks.chosen(found, metric, look)
    if len(pairs) > 1:
        raise ValueError(
            f"x and y must choose one pair of names, got {checks.shown(look.x)} and {checks.shown(look.y)};"
            f" compared were {', '.join(f'{a} × {b}' for a, b in pairs[:8])}"
        )
    [(x, y)] = pairs
    score, chance, record = found.scores[metric][x, y], found.chance[metric][x, y], found.record(metric)
    p_value = found.p_values[metric][x, y] if look.significance else None
    table = Table(metric, record, score, chance, np.ones(score.shape, dtype=bool), p_value)
    names = found.x_layers[x], found.y_layers[y]
    with axes_of(ax, look.figsize or _size(*names, False)) as axes:
        room = _room(axes, *names, fitted=ax is None and look.figsize is None)
        told = _paint(axes, table, look, room)
        looks.tick_names(axes.yaxis, names[0], room[1])
        looks.tick_names(axes.xaxis, names[1], room[0])
        axes.set_ylabel(f"{looks.name_of(x)}, layer", parse_math=False)
        axes.set_xlabel(f"{looks.name_of(y)}, layer", parse_math=False)
        if table.known.any() and table.score.size > 1:
            signed = table.score if record.larger_is_closer else -table.score
            i, j = np.unravel_index(int(np.nanargmax(signed)), signed.shape)
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=CHANCE, linewidth=1.5, gid="best"))
            told = ["framed: best", *told]
        head = looks.called(metric, record, looks.name_of(x), looks.name_of(y))
        look.titled(axes, head, *_told(f"{found.n} items", told, room))
    return axes


def _told(items: str, marks: Sequence[str], room: tuple[float, float]) -> list[str]:
    """What is said below the head of a title, in two lines where one would reach into the colour bar."""
    line = ", ".join([items, *marks])
    return [line] if len(line) * _LETTER <= room[0] else [items, ", ".join(marks)]


def _orders(table: Table, x: Any, y: Any, square: bool, look: Look) -> tuple[list[int], list[int]]:
    order = look.order or ("family" if look.families else None)
    if order == "family":
        return looks.by_family(x, look.families), looks.by_family(y, look.families)
    if order is None:
        return list(range(len(x))), list(range(len(y)))
    near = table.score if table.record.larger_is_closer else -table.score
    filled = np.where(table.known, near, np.nanmin(near) if table.known.any() else 0.0)
    if order == "score":
        found = [np.argsort(-filled.mean(axis=1 - side), kind="stable").tolist() for side in (0, 1)]
    elif square:
        apart = filled.max() - (filled + filled.T) / 2
        np.fill_diagonal(apart, 0.0)
        found = [looks.clustered(apart)] * 2
    else:
        found = [looks.clustered(_between(side)) for side in (filled, filled.T)]
    return found[0], found[0] if square else found[1]


def _between(rows: Array) -> Array:
    return np.asarray(np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(axis=2)))


def _cell(count: int) -> float:
    return min(0.5, max(0.15, 9.0 / count))


def _extent(rows: Any, columns: Any) -> tuple[float, float]:
    """Inches of all cells together, such that they can be read."""
    m, n = len(rows), len(columns)
    if not _is_square(m, n):
        return max(1.5, _cell(n) * n), max(1.0, _cell(m) * m)
    cell = min(_cell(m), _cell(n))
    return cell * n, cell * m


def _size(rows: Any, columns: Any, families: bool) -> tuple[float, float]:
    """Inches of the figure: the cells, and what is written around them."""
    width, height = _extent(rows, columns)
    names = min(looks.width_of(columns), 2.6)
    below = names if names > 0.8 * width / len(columns) else 0.2
    around = min(looks.width_of(rows), 2.6) + 1.2 + 1.3 * families, below + 0.9 + 0.2 * families
    least = (4.2, 2.6) if _is_square(len(rows), len(columns)) else (0.0, 0.0)  # else cells would grow with the figure
    return max(least[0], width + around[0]), max(least[1], height + around[1])


def _room(ax: Any, rows: Any, columns: Any, *, fitted: bool) -> tuple[float, float]:
    """Inches of the axes."""
    if fitted:
        return _extent(rows, columns)
    width, height = looks.inches(ax)
    cell = min(width / len(columns), height / len(rows))
    return (cell * len(columns), cell * len(rows)) if _is_square(len(rows), len(columns)) else (width, height)


def _is_square(rows: int, columns: int) -> bool:
    return max(rows, columns) <= _SQUARE * min(rows, columns)


def _paint(ax: Any, table: Table, look: Look, room: tuple[float, float]) -> list[str]:
    """The cells and the colour bar; what to say of marks."""
    from matplotlib.colors import Normalize

    low, high = table.limits(look)
    shape = table.score.shape
    cmap = look.cmap or ("viridis" if table.record.larger_is_closer else "viridis_r")
    ax.set_facecolor("0.95")
    aspect = "equal" if _is_square(*shape) else "auto"
    image = ax.imshow(np.ma.masked_invalid(table.score), norm=Normalize(low, high), cmap=cmap, aspect=aspect)
    ax.set(xlim=(-0.5, shape[1] - 0.5), ylim=(shape[0] - 0.5, -0.5))  # whatever is drawn beside the cells
    told = []
    if table.known.any():
        _bar(ax, image, table, (low, high), room)
        light = np.where(
            table.known, image.cmap(image.norm(np.nan_to_num(table.score)))[..., :3] @ [0.3, 0.59, 0.11], 1.0
        )
        written = max(shape) <= _ANNOTATED
        for (i, j), value in np.ndenumerate(table.score) if written else ():
            if np.isfinite(value):
                form = "z.2f" if 0.01 <= high - low < 10 else ".3g" if high - low >= 10 else ".1e"
                font = min(8.0, 72 * room[0] / shape[1] / 3.2)
                ax.text(j, i, f"{value:{form}}", ha="center", va="center", fontsize=font, color=_ink(light[i, j]))
        told = _weak(ax, table, look, light, room[1] / shape[0], written)
    return told + _hatch(ax, table.compared & ~table.known)


def _ink(light: Any) -> str:
    return "black" if light > 0.5 else "white"


def _bar(ax: Any, image: Any, table: Table, ends: tuple[float, float], room: tuple[float, float]) -> None:
    """The colour bar beside the axes, the mean chance level marked on it."""
    low, high = ends
    score = table.score[table.known]
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
        (score.min() < low, score.max() > high)
    )
    beside = ax.inset_axes((1 + 0.1 / room[0], 0.0, _BAR / room[0], 1.0))
    bar = ax.figure.colorbar(image, cax=beside, extend=extend or "neither")
    bar.set_label(table.metric, fontsize=9, parse_math=False)
    beside.tick_params(labelsize=8)
    level = looks.level(table.chance[table.known])
    if level is not None:
        beside.axhline(min(max(level, low), high), color=CHANCE, linewidth=2, clip_on=False, gid="chance")
        above = 6 if extend in (None, "min") else 12
        beside.set_title(f"chance {level:.3g}", color=CHANCE, fontsize=7, loc="left", pad=above)


def _weak(ax: Any, table: Table, look: Look, light: Array, cell: float, written: bool) -> list[str]:
    """Cross out cells that are not above chance, among all that were tested."""
    if table.p_value is None or look.significance is None:
        return []
    q = false_discovery(np.where(table.compared & table.known, table.p_value, np.nan))
    weak = q >= look.significance
    if not weak.any():
        return []
    for dark in (True, False):
        up, across = np.nonzero(weak & ((light <= 0.5) == dark))
        size = min(4.0, 20 * cell) if written else min(5.0, 30 * cell)
        ink = "white" if dark else "black"
        ax.plot(across, up + 0.32 * written, "x", markersize=size, markeredgewidth=0.8, color=ink, gid="weak")
    return [f"×: q ≥ {look.significance:g}"]


def _hatch(ax: Any, undefined: Array) -> list[str]:
    """Mark the cells of undefined scores; words for the title if there are any."""
    if not undefined.any():
        return []
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    cells = [Rectangle((j - 0.5, i - 0.5), 1, 1) for i, j in np.argwhere(undefined)]
    ax.add_collection(
        PatchCollection(cells, facecolor="0.92", edgecolor="0.6", hatch="///", linewidth=0, gid="undefined")
    )
    return ["hatched: undefined"]


def _strips(ax: Any, x: list[str], y: list[str], look: Look, room: tuple[float, float]) -> None:
    """Family colours along both sides, lines between blocks of a family, and their names."""
    from matplotlib.patches import Rectangle
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    inches = ax.figure.dpi_scale_trans + ScaledTranslation(0.0, 0.0, ax.transAxes)  # from the lower left corner
    beside, below = blended_transform_factory(inches, ax.transData), blended_transform_factory(ax.transData, inches)
    style: dict[str, Any] = {"clip_on": False, "linewidth": 0.4, "gid": "family"}
    near = -_GAP - _STRIP
    for at, name in enumerate(x):
        colour = look.colour(name)
        ax.add_patch(Rectangle((near, at - 0.5), _STRIP, 1, color=colour, transform=beside, **style))
    for at, name in enumerate(y):
        colour = look.colour(name)
        ax.add_patch(Rectangle((at - 0.5, near), 1, _STRIP, color=colour, transform=below, **style))
    for names, line in ((x, ax.axhline), (y, ax.axvline)):
        colours = list(map(look.colour, names))
        for at in range(1, len(names)):
            if colours[at] != colours[at - 1]:
                line(at - 0.5, color="white", linewidth=1.2)
    look.legend(ax, [*x, *y], bbox_to_anchor=(1 + 0.95 / room[0], 1.0))
