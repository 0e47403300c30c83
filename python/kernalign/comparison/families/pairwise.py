"""Metrics that are called for every pair: those without states that pairs could share."""

from __future__ import annotations

from dataclasses import dataclass

from kernalign._base.score import Score
from kernalign._rows.layered import Layer
from kernalign.comparison.families.base import Family, Scorer, Workshop


@dataclass(frozen=True)
class Pairwise(Family):
    """One metric, called by its function."""

    @property
    def searched(self) -> None:
        return None  # there are no states to make a null of

    def scorer(self, shop: Workshop) -> Scorer:
        [name] = self.metrics
        function = self.call(name, shop)

        def scores(x: Layer, y: Layer) -> list[Score]:
            try:
                return [function(x.clipped(), y.clipped())]
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name} of x = {x.name} and y = {y.name}: {error}") from error

        return scores
