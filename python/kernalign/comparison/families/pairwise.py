"""Metrics that are called for every pair: those without states that pairs could share."""

from __future__ import annotations

from dataclasses import dataclass

from kernalign._base.score import Score
from kernalign._rows.layered import Layer
from kernalign.comparison.families.base import Family, Scorer, Workshop
from kernalign.metrics.registry import METRICS


@dataclass(frozen=True)
class Pairwise(Family):
    """One metric, called by its function."""

    @property
    def searched(self) -> None:
        return None  # there are no states to make a null of

    def scorer(self, shop: Workshop) -> Scorer:
        [name] = self.metrics
        record, common = METRICS[name], ("k", "estimator", "kernel")
        given = self.asked.given(name)
        keywords = {key: value for key, value in given.items() if key not in common or record.takes(key)}
        keywords = {"normalize": self.asked.normalize, "threads": shop.threads or None} | keywords

        def scores(x: Layer, y: Layer) -> list[Score]:
            try:
                return [record.function(x.clipped(), y.clipped(), **keywords)]
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name} of x = {x.name} and y = {y.name}: {error}") from error

        return scores
