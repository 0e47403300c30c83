"""What the families of metrics have in common: what was asked of all, and what a family must be able to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeAlias

import numpy as np

from kernalign._base.cached import cached_property
from kernalign._base.progress import Report
from kernalign._base.score import Score
from kernalign._engines.states import StateKey, Store
from kernalign._rows.layered import Layer, Place
from kernalign._statistics.pairings import Orders, Values
from kernalign.comparison.best import Cells
from kernalign.metrics.record import MetricInfo
from kernalign.metrics.registry import METRICS

Scorer: TypeAlias = Callable[[Layer, Layer], list[Score]]
Opened: TypeAlias = Sequence[Layer | Exception]
AtOnce: TypeAlias = Callable[[Opened, Opened], Cells]


@dataclass(frozen=True)
class Asked:
    """What all metrics of one comparison have in common; ``names`` are those of metrics that go by others."""

    n: int
    k: int
    estimator: Any
    kernel: Any
    normalize: Any
    clip_quantile: float | None
    options: Mapping[str, Mapping[str, Any]]
    names: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[int, ...] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return {"normalize": self.normalize, "clip_quantile": self.clip_quantile}

    def record(self, metric: str) -> MetricInfo:
        """What is known of the metric that goes by this name."""
        return METRICS[self.names.get(metric, metric)]

    def given(self, metric: str) -> dict[str, Any]:
        """The metric's options: its own, before those that are common; None leaves its own default."""
        common = {"k": self.k, "estimator": self.estimator, "kernel": self.kernel}
        return {name: value for name, value in common.items() if value is not None} | dict(self.options.get(metric, {}))

    def own(self, metric: str) -> set[str]:
        """Names of the options that are the metric's own."""
        return set(self.options.get(metric, {})) - {"k", "estimator", "kernel"}


class Planned(Protocol):
    """What a plan knows of a layer: enough to say which states will be made of it."""

    @property
    def place(self) -> Place: ...
    @property
    def width(self) -> int: ...


@dataclass(frozen=True)
class Workshop:
    """Where states are made: the layers, the states so far, how many threads may work, and on which CUDA device."""

    layers: Mapping[Place, Layer]
    store: Store
    threads: int
    place: int | None = None

    def layer(self, key: StateKey) -> Layer:
        """The layer that a state is made of."""
        assert key.place is not None
        return self.layers[key.place]


@dataclass(frozen=True)
class Family:
    """Metrics that are finished from the same states: a value that can be pickled and compared."""

    metrics: tuple[str, ...]
    asked: Asked

    @property
    def searched(self) -> str | None:
        """The metric, if any, whose best of many layers has a known null."""
        for name, states in zip(self.metrics, self.states_of, strict=True):
            if getattr(states, "search_null", False):
                return name
        return None

    @cached_property
    def states_of(self) -> list[Any]:
        """What each metric is finished from."""
        return [self.asked.record(name).states for name in self.metrics]

    @property
    def mirrored(self) -> bool:
        """Whether the scores of (x, y) are those of (y, x)."""
        return self.asked.record(self.metrics[0]).symmetric  # as that of the others is

    @property
    def light(self) -> bool:
        """Whether a score whose p-value nobody has read holds little but what layers hold."""
        return False

    def states(self, layers: Sequence[Planned]) -> list[StateKey]:
        """The states to be made before pairs are finished, in order."""
        return []

    def make(self, key: StateKey, shop: Workshop, report: Report) -> Any:
        """Make one of them."""
        raise NotImplementedError

    def check(self, layer: Layer, shop: Workshop) -> None:
        """Raise if a state that all layers have in common cannot be made of this one."""
        raise NotImplementedError

    def scorer(self, shop: Workshop) -> Scorer:
        """What makes the scores of a pair of layers, one of each metric; x goes from one to the next the slower."""
        raise NotImplementedError

    def at_once(self, shop: Workshop) -> AtOnce | None:
        """What finds the scores, of every metric alike, of all pairs of two representations' layers together, with nan
        where one must be made by the scorer."""
        return None

    def call(self, metric: str, shop: Workshop) -> Callable[[Any, Any], Score]:
        """The metric as its function, of two arrays."""
        record, common = self.asked.record(metric), ("k", "estimator", "kernel")
        given = self.asked.given(metric)
        keywords = {key: value for key, value in given.items() if key not in common or record.takes(key)}
        keywords = {"normalize": self.asked.normalize, "threads": shop.threads or None} | keywords
        return partial(record.function, **keywords)

    def permuted(self, metric: str, x: Layer, y: Layer, shop: Workshop) -> Callable[[Orders], Values]:
        """What scores pairings of the rows of two layers, of a metric without a null."""
        function, a, b = self.call(metric, shop), x.clipped(), y.clipped()
        return lambda orders: np.array([function(a, b[order]) for order in orders])

    def finishers(self) -> list[Callable[..., Score]]:
        """What makes the score of each metric from the states of a pair."""
        return [record.finish for record in self.states_of]

    def null_states(self) -> tuple[str, ...]:
        """The kinds of states that the null of a search is made of."""
        return ()

    def null_parts(self, layers: Sequence[Layer], shop: Workshop) -> dict[str, Any]:
        """What the null of a search over these layers of one representation is made of."""
        raise NotImplementedError
