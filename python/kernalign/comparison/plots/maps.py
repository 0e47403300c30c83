"""Maps of representations: points whose distances come near to -log of their scores, with names that do not overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base.figures import axes_of
from kernalign.comparison.plots import look as looks
from kernalign.comparison.plots.look import Look
from kernalign.embedding import classical_mds, raw_stress

Array = NDArray[Any]

_DOT = 5.0  # points across
_FAR = (6, 12, 20, 30, 42, 56, 72, 90, 110, 135, 165)  # points from a dot to its name, nearest first
_ENDS = np.array([-1.0, 1.0])
_NEAR = 12  # points up to which no line ties them


def draw(found: Any, metric: str, look: Look, ax: Any) -> Any:
    """Representations of one set as points."""
    apart = found.distances(metric)
    points = classical_mds(apart, dims=min(2, len(apart)))
    points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    total = float((apart**2).sum()) / 2
    stress = math.sqrt(raw_stress(points, apart) / total) if total > 0 else 0.0
    names = found.x_names
    middle, half = _frame(points)
    side = min(9.0, max(4.2, 2.6 + 0.8 * math.sqrt(len(names))))
    size = side + 1.2 * bool(look.families), 0.7 + side * half[1] / half[0]
    with axes_of(ax, look.figsize or size) as axes:
        colours = [look.colour(name) for name in names] if look.families else ["C0"] * len(names)
        axes.scatter(points[:, 0], points[:, 1], s=_DOT**2, c=colours, linewidths=0, zorder=3)
        axes.set(
            xlim=middle[0] + half[0] * _ENDS, ylim=middle[1] + half[1] * _ENDS, xticks=[], yticks=[], aspect="equal"
        )
        for spine in axes.spines.values():
            spine.set_color("0.8")  # the axes have no meaning of their own
        head = f"{metric}, {found.n} items"
        look.titled(axes, head, f"distances near −log score, stress {stress:.2f}")
        if look.families:
            look.legend(axes, names)
        axes.figure.draw_without_rendering()  # places of dots are known once the layout is
        _label(axes, points, [looks.name_of(name) for name in names])
    return axes


def _frame(points: Array) -> tuple[Array, Array]:
    """Middle and half sides of a frame that leaves room for names, and is neither too flat nor too high."""
    middle, half = (points.max(axis=0) + points.min(axis=0)) / 2, np.ptp(points, axis=0) / 2
    reach = max(float(half.max()), 1e-12)
    return middle, np.maximum(half + 0.3 * reach, 0.55 * reach)


def _label(ax: Any, points: Array, names: Sequence[str]) -> None:
    """Write each name where it covers neither a dot nor another name, as near to its dot as can be."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    scale = 72 / ax.figure.dpi
    dots = ax.transData.transform(points) * scale
    box = ax.get_window_extent()
    inside = np.array([box.x0, box.y0, box.x1, box.y1]) * scale
    room = math.sqrt((inside[2] - inside[0]) * (inside[3] - inside[1]) / max(1, len(names)))
    font = min(9.0, max(5.5, room / 6))
    sizes = [text_to_path.get_text_width_height_descent(name, FontProperties(size=font), False)[0] for name in names]
    crowd = np.linalg.norm(dots[:, None] - dots[None], axis=2)
    crowd[np.diag_indices(len(dots))] = np.inf
    taken = [np.array([x - _DOT / 2, y - _DOT / 2, x + _DOT / 2, y + _DOT / 2]) for x, y in dots]
    for at in np.argsort(crowd.min(axis=1), kind="stable"):
        size = sizes[at] + 4, 1.15 * font
        middle = _place(dots[at], size, np.array(taken), inside)
        taken.append(_box(middle, size))
        far = bool(np.hypot(*_between(_box(middle, size), dots[at])) > _NEAR)
        line = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
        text = ax.annotate(
            names[at], points[at], middle - dots[at], textcoords="offset points", ha="center", va="center",
            fontsize=font, parse_math=False, arrowprops=line if far else None,
        )  # fmt: skip
        text.set_in_layout(False)


def _place(dot: Array, size: tuple[float, float], taken: Array, inside: Array) -> Array:
    """The middle of a name: the first place that is free, else the one that covers least."""
    best, least = dot, math.inf
    for middle in _places(dot, size):
        box = _box(middle, size)
        out = max(0.0, *(inside[:2] - box[:2]), *(box[2:] - inside[2:]))
        sides = np.minimum(taken[:, 2:], box[2:]) - np.maximum(taken[:, :2], box[:2])
        covered = float(np.prod(np.clip(sides, 0.0, None), axis=1).sum()) + size[0] * size[1] * out
        if covered < least:
            best, least = middle, covered
        if covered == 0.0:
            break
    return best


def _places(dot: Array, size: tuple[float, float]) -> Iterator[Array]:
    """Places around a dot: right, left, above, below and between, then farther out."""
    for far in _FAR:
        count = 8 if far == _FAR[0] else 16
        for step in sorted(range(count), key=lambda step: (step * 4 % count > 0, step)):
            angle = 2 * math.pi * step / count
            across, up = math.cos(angle), math.sin(angle)
            yield dot + np.array([across * (far + size[0] / 2), up * (far + size[1] / 2)])


def _box(middle: Array, size: tuple[float, float]) -> Array:
    half = np.array(size) / 2
    return np.concatenate([middle - half, middle + half])


def _between(box: Array, dot: Array) -> Array:
    """From a dot to the nearest point of a box."""
    return np.clip(dot, box[:2], box[2:]) - dot
