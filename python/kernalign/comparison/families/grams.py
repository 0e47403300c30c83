"""cka and its like: metrics of the sums over both Gram matrices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np

from kernalign._base import kernels
from kernalign._base.cached import cached_property
from kernalign._base.progress import Report
from kernalign._base.score import Score
from kernalign._engines import costs
from kernalign._engines.gram_source import EXACT_SKEW_ROWS, Side, make_side
from kernalign._engines.gram_sweep import GramSweep
from kernalign._engines.kernel_sums import KernelSums
from kernalign._engines.linear import linear_precision, linear_sums
from kernalign._engines.permuted_grams import permuted
from kernalign._engines.states import KERNEL, ROWS, StateKey, joint_key
from kernalign._rows import arrays, on_device
from kernalign._rows.layered import Layer, Place
from kernalign._statistics.kernel_null import unbiased_sd
from kernalign._statistics.pairings import Orders, Values
from kernalign.comparison.best import Cells
from kernalign.comparison.families.base import Asked, AtOnce, Family, Opened, Planned, Scorer, Workshop
from kernalign.metrics.record import OfGrams

Swept: TypeAlias = tuple[GramSweep, dict[Place, int]]

SWEEP = "sweep"
VARIANCE_SHARE = "variance share"


@dataclass(frozen=True)
class Grams(Family):
    """Metrics of Gram matrices of one kernel, or of one for each side, centred or not, under one estimator.

    One sweep over the tiles of all Gram matrices, or of linear kernels the cheapest of what `costs` knows; a pair that
    is alone has the route of the one-pair call.
    """

    centred: bool
    estimator: Any
    kernels: tuple[Any, Any]

    @staticmethod
    def shared(name: str, record: OfGrams, asked: Asked) -> tuple[Any, ...] | None:
        """What metrics of one family have in common; None if the options leave no shared states."""
        if asked.own(name):
            return None
        given = asked.given(name)
        own = record.distance
        sides = kernels.kernels_of(given.get("kernel", kernels.Linear())) if own is None else (own, own)
        estimator = given.get("estimator", record.estimator)
        record.check(estimator, asked.n)
        return record.centred, estimator, sides

    @property
    def searched(self) -> str | None:
        return super().searched if self.estimator == "unbiased" else None

    @property
    def light(self) -> bool:
        return not self._linear or self.asked.n <= EXACT_SKEW_ROWS  # else the skewness needs the sums of the pair

    def null_states(self) -> tuple[str, ...]:
        return SWEEP, ROWS

    @cached_property
    def _linear(self) -> bool:
        x, y = self.kernels
        return isinstance(x, kernels.Linear) and isinstance(y, kernels.Linear)

    @cached_property
    def _named(self) -> tuple[str, str]:
        x, y = map(repr, self.kernels)
        return x, y

    def _key(self, swept: Sequence[Place]) -> StateKey:
        x, y = self._named
        return joint_key(SWEEP, (x if x == y else f"{x}, {y}", self.centred), swept)

    def states(self, layers: Sequence[Planned]) -> list[StateKey]:
        swept = self._swept(layers)
        return [self._key(swept)] if len(swept) > 1 else []

    def _swept(self, layers: Collection[Planned]) -> list[Place]:
        """Layers of which some pair goes through Gram matrices."""
        if not self._linear:
            return [one.place for one in layers]
        widths, groups = zip(*[(one.width, one.place[:2]) for one in layers], strict=True)
        chosen = costs.choose(self.asked.n, widths, groups, joint=self.asked.n <= EXACT_SKEW_ROWS).swept
        return [one.place for one, wanted in zip(layers, chosen, strict=True) if wanted]

    def make(self, key: StateKey, shop: Workshop, report: Report) -> Any:
        """The sums of all pairs of sides."""
        return self._sweep(shop, self._swept(shop.layers.values()), report=report)[0].engine

    def _finished(self, shop: Workshop) -> Swept | None:
        """The sweep that was made, if any was."""
        swept = self._swept(shop.layers.values())
        engine = shop.store.get(self._key(swept))
        return None if engine is None else self._sweep(shop, swept, engine=engine)

    def _sweep(self, shop: Workshop, swept: Sequence[Place], **made: Any) -> Swept:
        """A sweep over the sides that need one, and the place of each layer among these."""
        sides = [self.side(shop.layers[place], shop) for place in swept]
        sweep = GramSweep(sides, centred=self.centred, threads=shop.threads, place=shop.place, **made)
        return sweep, {place: at for at, place in enumerate(swept)}

    def check(self, layer: Layer, shop: Workshop) -> None:
        self.side(layer, shop).check()

    def side(self, layer: Layer, shop: Workshop, *, double: bool = False) -> Side:
        """A layer with its kernel, made once; multiplied in float64 if asked to be."""
        at = int(layer.place.argument == "ys")
        key = StateKey(ROWS, (self._named[at],), layer.place)
        found: Side = shop.store.get(key) or self._made(key, layer, at, shop, place=shop.place)
        if double and not found.double:
            key = StateKey(ROWS, (self._named[at], "float64"), layer.place)
            found = shop.store.get(key) or self._made(key, layer, at, shop, double=True)
        return found

    def _made(self, key: StateKey, layer: Layer, at: int, shop: Workshop, **how: Any) -> Side:
        kernel = self.kernels[at]
        rows = layer.rows
        if isinstance(kernel, kernels.Cosine):
            rows = on_device.read_alike(layer.rows_as(divided=True), rows, shop.place)
        known = shop.store.get(StateKey(KERNEL, key.options, key.place))
        found: Side = known.of([rows]) if known else make_side([rows], kernel, shop.threads, **how)
        shop.store[key] = found
        return found

    def scorer(self, shop: Workshop) -> Scorer:
        finishers, settings = self.finishers(), self.asked.settings
        shares: dict[Place, float] = {}
        swept = self._finished(shop)
        sides: dict[Place, Side] = {}

        def scores(x: Layer, y: Layer) -> list[Score]:
            for layer in (x, y):
                if layer.place not in sides:
                    sides[layer.place] = self.side(layer, shop)
            pair = arrays.Pair(x.rows, y.rows, settings, shop.threads, place=shop.place)
            sums = self._sums(pair, x, y, (sides[x.place], sides[y.place]), swept, shop)
            for at, layer in enumerate((x, y)):
                if layer.place not in shares:
                    shares[layer.place] = self._note_share(sums, at, layer.place, shop)
            return [finish(sums, self.estimator) for finish in finishers]

        return scores

    def _note_share(self, sums: KernelSums, at: int, place: Place, shop: Workshop) -> float:
        share = sums.top_share_bound(at) if self.centred and self._linear else 0.0
        if share:
            shop.store[StateKey(VARIANCE_SHARE, (), place)] = share
        return share

    def at_once(self, shop: Workshop) -> AtOnce | None:
        """Unbiased cosines of all pairs that the sweep has in the precision that both sides want."""
        joint = self.centred and self.estimator == "unbiased" and all(record.cosine for record in self.states_of)
        swept = self._finished(shop) if joint and shop.layers else None
        if swept is None:
            return None
        sweep, places = swept
        values = sweep.unbiased_cosines()
        layers = [shop.layers[place] for place in places]
        if self._linear:
            double = np.array([side.double for side in sweep.sides])
            widths = np.array([layer.width for layer in layers])
            asked = np.array([layer.rows.double_precision for layer in layers]) | (widths < arrays.FEW_COLUMNS)
            alone = (asked[:, None] | asked) & ~(double[:, None] & double)
            if len(layers) < len(shop.layers):
                alone |= costs.uses_features(self.asked.n, widths[:, None], widths)
            values[alone] = np.nan
            for place, sums in zip(places, sweep.alone, strict=True):
                self._note_share(sums, 0, place, shop)

        def scores(x: Opened, y: Opened) -> Cells:
            at = [[places.get(one.place, -1) if isinstance(one, Layer) else -1 for one in side] for side in (x, y)]
            score = np.where(np.minimum.outer(*at) < 0, np.nan, values[np.ix_(*at)])
            none = np.where(np.isnan(score), np.nan, 0.0)
            return Cells(score, none, none + unbiased_sd(self.asked.n), np.full_like(none, np.nan))

        return scores

    def _sums(
        self, pair: arrays.Pair, x: Layer, y: Layer, sides: tuple[Side, Side], swept: Swept | None, shop: Workshop
    ) -> KernelSums:
        if self._linear:
            if linear_precision(pair) and not (sides[0].double and sides[1].double):  # otherwise than in the sweep
                sides, swept = (self.side(x, shop, double=True), self.side(y, shop, double=True)), None
            elif swept and len(swept[1]) < len(shop.layers) and costs.uses_features(pair.n, x.width, y.width):
                swept = None
        if swept is not None:
            sweep, places = swept
            found: KernelSums = sweep.sums(places[x.place], places[y.place], pair.settings)
            return found
        return linear_sums(pair, centred=self.centred, sides=sides, keep=False).settled()

    def permuted(self, metric: str, x: Layer, y: Layer, shop: Workshop) -> Callable[[Orders], Values]:
        """Products of the Gram matrices, on which alone a score depends; less them for a distance."""
        record: Any = self.asked.record(metric)
        hollow = self.estimator == "unbiased" or record.states.distance is not None  # whose diagonal is 0
        made = permuted(self.side(x, shop), self.side(y, shop), centred=self.centred, unbiased=hollow)
        sign = 1.0 if record.larger_is_closer else -1.0
        return lambda orders: sign * made.products(orders)[:, 0, 0]

    def null_parts(self, layers: Sequence[Layer], shop: Workshop) -> dict[str, Any]:
        """CKA of the layers among themselves, and what the skewness of the CKA of each is made of."""
        own = np.eye(len(layers))
        assert self.searched is not None
        score = replace(self, metrics=(self.searched,)).scorer(shop)
        for i, j in combinations(range(len(own)), 2):
            [own[i, j]] = [own[j, i]] = score(layers[i], layers[j])
        n, sides = self.asked.n, [self.side(layer, shop) for layer in layers]
        if n < 6:
            return {"self": own}
        concentration = np.array([side.concentration for side in sides])
        if n > EXACT_SKEW_ROWS:
            return {"self": own, "ratio": np.array([side.skew_ratio for side in sides]), "concentration": concentration}
        cubes = np.array([side.cubes for side in sides])
        cubes[cubes[:, 0] <= 0] = np.nan  # a constant layer
        return {"self": own, "cubes": cubes, "concentration": concentration}
