"""Gathers what makes the numbers of a comparison mean less than they seem to, in one place and without repetition."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from kernalign._base import hazards
from kernalign._base.score import AlignmentWarning, UndefinedScoreWarning
from kernalign._base.warn import warn
from kernalign._engines.states import StateKey, Store
from kernalign._rows import duplicates
from kernalign._rows.arrays import AnyArray
from kernalign._rows.blocks import spans
from kernalign._rows.layer_rows import attempt
from kernalign._rows.layered import CONCATENATED, Layer, Representation, first_error
from kernalign._rows.preprocessing import counting_column
from kernalign.comparison.families.base import Family, Workshop
from kernalign.comparison.families.grams import VARIANCE_SHARE
from kernalign.comparison.families.lists import Lists
from kernalign.comparison.tables import Reason, layer_name, only_of
from kernalign.inference.pairing_check import suspected
from kernalign.inference.row_steps import sketched
from kernalign.metrics.record import OfEdges, OfLists
from kernalign.metrics.registry import METRICS

Value: TypeAlias = tuple[float, float | None] | None


_WORTH_A_CHECK = 2000  # items times pairs of layers, for each representation; fewer are scored in no time


class Caveats:
    """Notes and reasons of one comparison; warnings of one kind become one note with a count."""

    def __init__(self) -> None:
        self.reasons: list[Reason] = []
        self._notes: dict[str, tuple[str, int]] = {}
        self.caught: list[warnings.WarningMessage] = []
        self._others: list[warnings.WarningMessage] = []

    @property
    def notes(self) -> list[str]:
        return [
            text + (f" (and {count - 1} more like it)" if count > 1 else "") for text, count in self._notes.values()
        ]

    def listen(self, caught: list[warnings.WarningMessage]) -> None:
        """Take warnings from the list of ``warnings.catch_warnings(record=True)``."""
        self.caught = caught

    def heard(self, where: Callable[[], str] | None) -> None:
        """Assign the warnings since the last call to the pair of layers that ``where`` names; None: drop them."""
        for caught in self.caught:
            if not issubclass(caught.category, AlignmentWarning):
                self._others.append(caught)
            elif where is not None and not issubclass(caught.category, UndefinedScoreWarning):
                self._note(str(caught.message), where())
        self.caught.clear()

    def check_ties(self, family: Family, sides: Mapping[str, Mapping[str, Representation]], shop: Workshop) -> None:
        """Say that rows are equal, or that the null of a search takes the many k-th places they share by index."""
        if not isinstance(family, Lists):
            return
        for one in [one for side in sides.values() for one in side.values()]:
            for layer in one.layers:
                if layer.place not in shop.layers:
                    continue
                share = family.of(layer, shop).found.lists.tie_share
                if family.ties == "fractional" and share > hazards.TIES:
                    text = f"{share:.1%} of the rows tie at the k-th place; the null of the best layers has index order"
                    if share == 1 and layer.constant:
                        text = "all rows are equal: their neighbours tie, so that mutual_knn is at its chance level"
                    self._note(text, _name(one, layer))

    def judge(
        self,
        sides: Mapping[str, Mapping[str, Representation]],
        tables: Mapping[str, Mapping[tuple[str, str], Any]],
        store: Store,
        estimator: str | None,
    ) -> None:
        """Add what the finished scores and the layers themselves give reason to say."""
        for one in [one for side in sides.values() for one in side.values()]:
            if one.stacked and one.layers and len(one.layers) > len(one.layers[0].matrix):
                self._note(hazards.swapped_axes(len(one.layers), len(one.layers[0].matrix)), one.name)
            for layer in one.layers:
                counting = None if layer.normalize == "standardize" else counting_column(layer.matrix)
                if counting is not None:
                    self._note(hazards.counting_column(*counting), _name(one, layer))
                share = store.get(StateKey(VARIANCE_SHARE, (), layer.place)) or 0.0
                for text in (hazards.dominant(share, at_least=True), *row_notes(layer.matrix, tables)):
                    if text:
                        self._note(text, _name(one, layer))
        cells = {name: tables.get(name, {}) for name in ("cka", "mutual_knn")}
        x, y = sides["x"], sides.get("y", sides["x"])
        for pair, cka in cells["cka"].items():
            knn = cells["mutual_knn"].get(pair)
            if estimator != "biased" and not np.any(cka.score >= hazards.HIGH):
                continue  # only biased scores are mostly chance, only high ones disagree
            for at in np.ndindex(np.shape(cka.score)):
                if estimator != "biased" and not (cka.score[at] if at else cka.score) >= hazards.HIGH:
                    continue  # nothing to say, whatever the chance level, which may not have been found
                for text in pair_notes(*(_at(part, at) for part in (cka, knn)), biased=estimator == "biased"):
                    named = zip(pair, (x[pair[0]].labels, y[pair[1]].labels), at, strict=False)
                    where = (layer_name(name, only_of(labels, layer)) for name, labels, layer in named)
                    self._note(text, " × ".join(where if at else pair))

    def check_pairings(self, sides: Mapping[str, Mapping[str, Representation]], n: int) -> None:
        """Say where another order of rows scores clearly higher: of each representation beside the first, and of the
        first of the other side, by the last of their layers."""
        layers = [sum([len(one.layers) for one in sides[side].values()]) for side in sides]
        representations = sum([len(side) for side in sides.values()])
        if n * layers[0] * layers[-1] < _WORTH_A_CHECK * representations:
            return
        x = [one for one in sides["x"].values() if one.layers]
        y = [one for one in sides["y"].values() if one.layers] if "y" in sides else []
        pairs = [(x[0], other) for other in y or x[1:]] if x else []
        pairs += [(other, y[0]) for other in x[1:]] if y else []
        steps = {
            one: attempt(partial(sketched, _last(one).clipped(), seed), True)
            for seed, one in enumerate(dict.fromkeys(one for pair in pairs for one in pair))
        }
        for a, b in pairs:
            found = None if first_error((steps[a], steps[b])) else suspected(steps[a], steps[b])  # type: ignore[arg-type]
            if found is not None:
                scores = f"scores {found.best:.2f}, the given pairing {found.given:.2f}"
                self._note(
                    f"{found.pairing} {scores}: are rows paired rightly? (check_pairing)", f"{a.name} × {b.name}"
                )

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
                warn(f"{texts[0]}{more} (see .{where})", category)

    def _note(self, text: str, where: str) -> None:
        kind = re.sub(r"\d[\d.,]*", "#", text)
        first, count = self._notes.get(kind, (f"{where}: {text}", 0))
        self._notes[kind] = first, count + 1


def _last(one: Representation) -> Layer:
    """The last layer that is not the concatenation of the others."""
    return next((layer for layer in reversed(one.layers) if layer.label != CONCATENATED), one.layers[-1])


def row_notes(matrix: AnyArray, metrics: Iterable[str]) -> list[str]:
    """Sentences about odd rows of one representation (bfloat16 as bit patterns) that matter to these metrics."""
    said = [hazards.zero_rows(_zeros(matrix))]
    if any(isinstance(METRICS[name].states, (OfLists, OfEdges)) for name in metrics):
        repeats = duplicates.repeats(matrix)
        if repeats < len(matrix) - 1:
            said.append(hazards.duplicate_rows(repeats))  # of a constant representation there is more to say
    return [text for text in said if text]


def _zeros(matrix: AnyArray) -> int:
    """How many rows are zero."""
    left = np.arange(len(matrix))
    for column in duplicates.probed_columns(matrix.shape[1]):
        left = left[matrix[left, column] == 0]
        if not len(left):
            return 0
    blocks = (matrix[left[begin:end]] for begin, end in spans(len(left), matrix.shape[1]))
    return sum(int((~block.any(axis=1)).sum()) for block in blocks)


def pair_notes(cka: Value, knn: Value, *, biased: bool) -> list[str]:
    """Sentences about cka and mutual_knn, (score, chance) or None, of the same two representations."""
    if cka is None:
        return []
    said = [hazards.mostly_chance(*cka) if biased else None, hazards.disagreement(*cka, *knn) if knn else None]
    return [text for text in said if text]


def _at(part: Any, at: tuple[int, ...]) -> Value:
    if part is None:
        return None
    score, chance = (float(values[at] if at else values) for values in (part.score, part.chance))
    return score, (None if math.isnan(chance) else chance)


def _name(one: Representation, layer: Layer) -> str:
    return layer_name(one.name, None if len(one.labels) == 1 else layer.label)
