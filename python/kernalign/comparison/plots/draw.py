"""Draws one kind of plot of a comparison; each kind says which options it reads."""

from __future__ import annotations

from typing import Any

from kernalign._base import checks
from kernalign.comparison.plots import bars, heatmap, maps, profile
from kernalign.comparison.plots.look import checked

_ALL = ("figsize", "title")
_KINDS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "heatmap": (heatmap.models, ("order", "families", "significance", "vmin", "vmax", "cmap")),
    "layers": (heatmap.layers, ("x", "y", "significance", "vmin", "vmax", "cmap")),
    "map": (maps.draw, ("families",)),
    "profile": (profile.draw, ("x", "y", "families", "vmin", "vmax", "cmap")),
    "bars": (bars.draw, ("x", "y", "order", "families", "significance", "vmin", "vmax", "differences", "ceiling")),
}


def draw(found: Any, metric: str, kind: str, ax: Any, **given: Any) -> Any:
    """See `Comparison.plot`."""
    checks.check_choice(kind, "kind", tuple(_KINDS))
    make, read = _KINDS[kind]
    return make(found, metric, checked(kind, (*read, *_ALL), given), ax)
