"""A comparison as people read it: in one line, in some lines, or as the tables of a notebook."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernalign._base.readable import as_html, short
from kernalign.comparison.tables import MOST_SHOWN, grid, nan_safe

_SHOWN = 20
_GRIDS = 4


def line(found: Any) -> str:
    """What was compared, for ``repr``."""
    return f"Comparison(metrics={short(found.metrics)}, {_what(found)}, n={found.n}, mode={found.mode!r})"


def lines(found: Any) -> str:
    """That, the spread of scores, and what there is to say of them."""
    head = f"Comparison of {_what(found)}, {found.n} items"
    return "\n".join([head, *(f"  {text}" for text in [*_spreads(found), *_told(found)])])


def page(found: Any) -> str:
    """The same with the best scores of each metric where there are few."""
    head = f"Comparison of {_what(found)}, {found.n} items"
    alone = found.square and len(found.x_names) == 1  # each layer is best with itself
    if alone or len(found.metrics) > _GRIDS or max(len(found.x_names), len(found.y_names)) > MOST_SHOWN:
        return as_html(head, [], [*_spreads(found), *_told(found)])
    grids = [grid(metric, found.x_names, found.y_names, found.largest(metric)) for metric in found.metrics]
    return "\n".join([as_html(head, [], _told(found)), *grids])


def _what(found: Any) -> str:
    layers = sum(map(len, found.x_layers.values())), sum(map(len, found.y_layers.values()))
    if found.square:
        return f"{len(found.x_layers)} representations ({layers[0]} layers) with each other"
    return f"{len(found.x_layers)} x {len(found.y_layers)} representations ({layers[0]} x {layers[1]} layers)"


def _spreads(found: Any) -> list[str]:
    told = []
    for metric in found.metrics:
        table = found.scores[metric]
        scores = np.concatenate([array.ravel() for array in (table.values() if isinstance(table, dict) else [table])])
        low, high = nan_safe(np.min, scores), nan_safe(np.max, scores)
        of = "the best of all layers, " if found.mode == "best" else ""
        told.append(f"{metric}: {of}{f'{low:.4f} to {high:.4f}' if low == low else 'all undefined'}")
    return told


def _told(found: Any) -> list[str]:
    """What is missing, and the notes."""
    told = []
    for texts in ([f"{one.status}: {one}" for one in found.reasons], [f"note: {note}" for note in found.notes]):
        told += texts[:_SHOWN]
        if len(texts) > _SHOWN:
            told.append(f"and {len(texts) - _SHOWN} more")
    return told
