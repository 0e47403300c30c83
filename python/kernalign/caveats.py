"""Gathers what makes the numbers of a comparison mean less than they seem to, in one place and without repetition."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kernalign.layer_scores import VARIANCE_SHARE, Lists
from kernalign.representations import Layer, Representation
from kernalign.score import AlignmentWarning, UndefinedScoreWarning

_VARIANCE_SHARE = 0.8
_HIGH_CKA = 0.3
_CHANCE_P = 0.01
_TIED = 0.01


class Caveats:
    """Notes and reasons of one comparison; warnings of one kind become one note with a count."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self._notes: dict[str, tuple[str, int]] = {}
        self._caught: list[warnings.WarningMessage] = []
        self._others: list[warnings.WarningMessage] = []

    @property
    def notes(self) -> list[str]:
        return [
            text + (f" (and {count - 1} more like it)" if count > 1 else "") for text, count in self._notes.values()
        ]

    def listen(self, caught: list[warnings.WarningMessage]) -> None:
        """Take warnings from the list of ``warnings.catch_warnings(record=True)``."""
        self._caught = caught

    def heard(self, where: Callable[[], str] | None) -> None:
        """Assign the warnings since the last call to the pair of layers that ``where`` names; None: drop them."""
        for caught in self._caught:
            if not issubclass(caught.category, AlignmentWarning):
                self._others.append(caught)
            elif where is not None and not issubclass(caught.category, UndefinedScoreWarning):
                self._note(str(caught.message), where())
        self._caught.clear()

    def undefined(self, metric: str, where: str, reason: str) -> None:
        self.reasons.append(f"{metric} of {where}: {reason}")

    def check_ties(self, group: Lists, sides: Mapping[str, Mapping[str, Representation]]) -> None:
        """Say of layers with many shared k-th places that the null of a search takes them by index."""
        for one in (one for side in sides.values() for one in side.values()):
            for layer in one.layers:
                share = float(group.known(layer)[0].lists.tie_rows.mean())
                if group.ties == "fractional" and share > _TIED:
                    text = f"{share:.1%} of the rows tie at the k-th place; the null of the best layers has index order"
                    self._note(text, _name(one, layer))

    def judge(
        self, sides: Mapping[str, Mapping[str, Representation]], tables: Mapping[str, Mapping[tuple[str, str], Any]]
    ) -> None:
        """Add what the finished scores and the layers themselves give reason to say."""
        for one in (one for side in sides.values() for one in side.values()):
            for layer in one.layers:
                share = layer.memory.get(VARIANCE_SHARE, 0.0)
                if share > _VARIANCE_SHARE:
                    percent = math.floor(1000 * share) / 10
                    text = f"one direction holds at least {percent} % of the variance: cka and hsic see little else"
                    self._note(text, _name(one, layer))
        for pair, cka in tables.get("cka", {}).items():
            knn = tables.get("mutual_knn", {}).get(pair)
            if knn is None or not np.nanmax(np.append(cka.score, -1.0)) > _HIGH_CKA:
                continue
            if np.nanmin(np.append(knn.p_value, 2.0)) > _CHANCE_P and not np.isnan(knn.p_value).all():
                text = "cka is high, but mutual_knn is no better than chance: one common direction can do that"
                self._note(text, " × ".join(pair))

    def done(self) -> None:
        """Let the warnings that are not about scores through."""
        self.heard(None)
        for other in self._others:
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
        self._others.clear()

    def warn(self) -> None:
        """One warning for all reasons and one for all notes, two calls up."""
        for texts, category, where in (
            (self.reasons, UndefinedScoreWarning, "reasons"),
            (self.notes, AlignmentWarning, "notes"),
        ):
            if texts:
                more = f"; and {len(texts) - 1} more" if len(texts) > 1 else ""
                warnings.warn(f"{texts[0]}{more} (see .{where})", category, stacklevel=3)

    def _note(self, text: str, where: str) -> None:
        kind = re.sub(r"\d[\d.,]*", "#", text)
        first, count = self._notes.get(kind, (f"{where}: {text}", 0))
        self._notes[kind] = first, count + 1


def _name(one: Representation, layer: Layer) -> str:
    return one.name if len(one.layers) == 1 else f"{one.name} layer {layer.label}"
