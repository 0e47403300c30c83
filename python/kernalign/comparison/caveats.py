"""Gathers what makes the numbers of a comparison mean less than they seem to, in one place and without repetition."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from kernalign._base import hazards
from kernalign._base.kernels import Linear, Precomputed, kernels_of
from kernalign._base.score import AlignmentWarning, UndefinedScoreWarning
from kernalign._base.warn import warn
from kernalign._engines.states import StateKey, Store
from kernalign._rows import duplicates
from kernalign._rows.blocks import spans
from kernalign._rows.indicators import Indicators
from kernalign._rows.layer_rows import attempt
from kernalign._rows.layered import CONCATENATED, Layer, Representation, first_error
from kernalign._rows.numeric import AnyArray
from kernalign._rows.preprocessing import counting_column, look_like_dissimilarities
from kernalign.comparison.families.base import Asked, Family, Workshop
from kernalign.comparison.families.grams import VARIANCE_SHARE
from kernalign.comparison.families.lists import Lists
from kernalign.comparison.tables import Caveat, Names, Reason, merged, only_of
from kernalign.inference.pairing_check import suspected
from kernalign.inference.row_steps import sketched
from kernalign.metrics.record import MetricInfo, OfEdges, OfLists
from kernalign.metrics.registry import METRICS

Value: TypeAlias = tuple[float, float | None] | None
Where: TypeAlias = tuple[str, str | None, str | None, str | None]  # names, then layers

_WORTH_A_CHECK = 2000  # items times pairs of layers, for each representation; fewer are scored in no time


class Caveats:
    """Caveats and reasons of one comparison."""

    def __init__(self) -> None:
        self.reasons: list[Reason] = []
        self.found: list[Caveat] = []
        self.caught: list[warnings.WarningMessage] = []
        self._others: list[warnings.WarningMessage] = []

    def listen(self, caught: list[warnings.WarningMessage]) -> None:
        """Take warnings from the list of ``warnings.catch_warnings(record=True)``."""
        self.caught = caught

    def heard(self, where: Callable[[], Where] | None) -> None:
        """Assign the warnings since the last call to the pair of layers that ``where`` names; None: drop them."""
        for caught in self.caught:
            if not issubclass(caught.category, AlignmentWarning):
                self._others.append(caught)
            elif where is not None and not issubclass(caught.category, UndefinedScoreWarning):
                self._note(caught.message.args[0], *where())  # type: ignore[union-attr]
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
                    self._note(hazards.Hazard("ties", share, text), *_place(one, layer))

    def judge(
        self,
        sides: Mapping[str, Mapping[str, Representation]],
        tables: Mapping[str, Mapping[tuple[str, str], Any]],
        store: Store,
        asked: Asked,
    ) -> None:
        """Add what the finished scores and the layers themselves give reason to say."""
        records = {name: asked.record(name) for name in tables}
        listed = any(isinstance(record.states, (OfLists, OfEdges)) for record in records.values())
        for one in [one for side in sides.values() for one in side.values()]:
            if one.stacked and one.layers and len(one.layers) > len(one.layers[0].matrix):
                self._note(hazards.swapped_axes(len(one.layers), len(one.layers[0].matrix)), one.name)
            if one.layers and asked.groups is None:
                last = one.layers[-1]
                if not listed or last.rows.share_near:  # where lists count, row_notes says more of exact repeats
                    repeated = duplicates.repetition(last.matrix, last.rows, one.name)
                    if repeated and not (listed and repeated.kind == "repeated_items"):
                        self._note(repeated, one.name)
            for layer in one.layers:
                if type(layer.matrix) is Indicators:
                    continue
                counting = None if layer.normalize == "standardize" else counting_column(layer.matrix)
                if counting is not None:
                    self._note(hazards.counting_column(*counting), *_place(one, layer))
                square = layer.matrix.shape[0] == layer.matrix.shape[1] and look_like_dissimilarities(layer.matrix)
                if square and any(_reads_rows(record, asked.given(name)) for name, record in records.items()):
                    self._note(hazards.dissimilarities_as_features(), *_place(one, layer))
                share = store.get(StateKey(VARIANCE_SHARE, (), layer.place)) or 0.0
                for text in (hazards.dominant(share, at_least=True), *row_notes(layer.matrix, listed)):
                    if text:
                        self._note(text, *_place(one, layer))
        knns = [name for name, record in records.items() if record is METRICS["mutual_knn"]]
        for name, record in records.items():
            if record is METRICS["cka"]:
                biased = asked.given(name).get("estimator") == "biased"
                self._judge_pairs(sides, tables[name], tables[knns[0]] if knns else {}, biased=biased)

    def _judge_pairs(self, sides: Any, ckas: Mapping[Names, Any], knns: Mapping[Names, Any], *, biased: bool) -> None:
        x, y = sides["x"], sides.get("y", sides["x"])
        for pair, cka in ckas.items():
            knn = knns.get(pair)
            if not biased and not np.any(cka.score >= hazards.HIGH):
                continue  # only biased scores are mostly chance, only high ones disagree
            for at in np.ndindex(np.shape(cka.score)):
                if not biased and not (cka.score[at] if at else cka.score) >= hazards.HIGH:
                    continue  # nothing to say, whatever the chance level, which may not have been found
                for text in pair_notes(*(_at(part, at) for part in (cka, knn)), biased=biased):
                    labels = x[pair[0]].labels, y[pair[1]].labels
                    layers = [only_of(own, layer) for own, layer in zip(labels, at, strict=True)] if at else [None] * 2
                    self._note(text, *pair, *layers)

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
                text = f"{found.pairing} {scores}: are rows paired rightly? (check_pairing)"
                self._note(hazards.Hazard("pairing", found.best, text), a.name, b.name)

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
            (merged(self.found), AlignmentWarning, "notes"),
        ):
            if texts:
                more = f"; and {len(texts) - 1} more" if len(texts) > 1 else ""
                warn(f"{texts[0]}{more} (see .{where})", category)

    def _note(
        self, text: str, x: str, y: str | None = None, x_layer: str | None = None, y_layer: str | None = None
    ) -> None:
        kind, value = (text.kind, text.value) if isinstance(text, hazards.Hazard) else ("other", math.nan)
        self.found.append(Caveat(kind, x, y, x_layer, y_layer, value, str(text)))


def _last(one: Representation) -> Layer:
    """The last layer that is not the concatenation of the others."""
    return next((layer for layer in reversed(one.layers) if layer.label != CONCATENATED), one.layers[-1])


def _reads_rows(record: MetricInfo, given: Mapping[str, Any]) -> bool:
    """Whether the metric takes layers for rows of features."""
    matrices = record.takes("kernel") and any(
        isinstance(own, Precomputed) for own in kernels_of(given.get("kernel", Linear()))
    )
    return not matrices and not record.takes_dissimilarities(given)


def row_notes(matrix: AnyArray, listed: bool) -> list[hazards.Hazard]:
    """Sentences about odd rows of one representation (bfloat16 as bit patterns); ``listed``: its neighbours count."""
    said = [hazards.zero_rows(_zeros(matrix))]
    if listed:
        repeats = duplicates.repeats(matrix)
        if repeats < len(matrix) - 1:
            said.append(hazards.duplicate_rows(repeats))  # of a constant representation there is more to say
    return list(filter(None, said))


def _zeros(matrix: AnyArray) -> int:
    """How many rows are zero."""
    left = np.arange(len(matrix))
    for column in duplicates.probed_columns(matrix.shape[1]):
        left = left[matrix[left, column] == 0]
        if not len(left):
            return 0
    blocks = (matrix[left[begin:end]] for begin, end in spans(len(left), matrix.shape[1]))
    return sum(int((~block.any(axis=1)).sum()) for block in blocks)


def pair_notes(cka: Value, knn: Value, *, biased: bool) -> list[hazards.Hazard]:
    """Sentences about cka and mutual_knn, (score, chance) or None, of the same two representations."""
    if cka is None:
        return []
    said = [hazards.mostly_chance(*cka) if biased else None, hazards.disagreement(*cka, *knn) if knn else None]
    return list(filter(None, said))


def _at(part: Any, at: tuple[int, ...]) -> Value:
    if part is None:
        return None
    score, chance = (float(values[at] if at else values) for values in (part.score, part.chance))
    return score, (None if math.isnan(chance) else chance)


def _place(one: Representation, layer: Layer) -> Where:
    return one.name, None, None if len(one.labels) == 1 else layer.label, None
