"""cca and its like: metrics of principal directions, which are found once for a layer."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from kernalign._base.score import Score
from kernalign._engines.spans import Span
from kernalign._engines.states import ROWS, StateKey
from kernalign._rows import arrays
from kernalign._rows.layered import Layer, Place
from kernalign.comparison.families.base import Asked, Family, Scorer, Workshop
from kernalign.metrics.linear.principal import Spans
from kernalign.metrics.record import OfSpans

_KEPT_BYTES = 1 << 30  # of directions
_WAITING = 10_000  # scores of y with x that were found with those of x with y


@dataclass(frozen=True)
class Directions(Family):
    """Metrics of principal directions, symmetric or not.

    Directions take up to 16 p min(n, p) bytes a layer. Those of as many layers as 1 GB holds are kept; of the others
    those of the current x are, and those of y are found again for every pair.
    """

    symmetric: bool
    special: str  # a metric with options of its own, which may not exist for a pair where others do

    @staticmethod
    def shared(name: str, record: OfSpans, asked: Asked) -> tuple[Any, ...] | None:
        """What metrics of one family have in common; None if the options leave no shared states."""
        own = asked.options.get(name, {})
        return (asked.record(name).symmetric, name if own else "") if set(own) <= set(record.options) else None

    @property
    def searched(self) -> None:
        return None  # the null of a best of many layers is not known

    def scorer(self, shop: Workshop) -> Scorer:
        finishers = [(name, finish, self.asked.options.get(name, {})) for name, finish in self._named()]
        last = list(shop.layers.values())
        while sum(_bytes(layer, self.asked.n) for layer in last) > _KEPT_BYTES:
            del last[0]  # those of y, which pairs of one x visit one after the other, stay
        kept = {layer.place for layer in last}
        current: tuple[Layer, Span] | None = None  # an x whose directions are not kept
        ahead: dict[tuple[Place, Place], tuple[list[Score], list[warnings.WarningMessage]]] = {}

        def made(layer: Layer) -> Span:
            return Span.of(layer.rows, shop.threads)

        def span(layer: Layer) -> Span:
            key = StateKey(ROWS, ("directions",), layer.place)
            found: Span = shop.store.make(key, lambda: made(layer)) if layer.place in kept else made(layer)
            return found

        def finished(spans: Spans, x: Layer, y: Layer) -> list[Score]:
            found = []
            for name, finish, keywords in finishers:
                try:
                    found.append(finish(spans, **keywords))
                except (TypeError, ValueError) as error:
                    raise type(error)(f"{name} of x = {x.name} and y = {y.name}: {error}") from error
            return found

        def scores(x: Layer, y: Layer) -> list[Score]:
            nonlocal current
            if (x.place, y.place) in ahead:
                found, caught = ahead.pop((x.place, y.place))
                for one in caught:
                    warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
                return found
            if current is None or current[0] is not x:
                current = x, span(x)
            spans = Spans(arrays.Pair(x.rows, y.rows, self.asked.settings, shop.threads), current[1], span(y))
            found = finished(spans, x, y)
            of_one_set = x.place.argument == y.place.argument and x is not y
            if not self.symmetric and of_one_set and len(ahead) < _WAITING:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    ahead[y.place, x.place] = finished(spans.turned(), y, x), caught
            return found

        return scores

    def _named(self) -> list[tuple[str, Any]]:
        return list(zip(self.metrics, self.finishers(), strict=True))


def _bytes(layer: Layer, n: int) -> int:
    return 16 * layer.width * min(n, layer.width)
