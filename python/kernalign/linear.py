"""Sums over the linear kernels of two representations: all that HSIC, CKA and kernel alignment are finished from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kernalign import _core, arrays, inference

T = TypeVar("T")
Engine = _core.MomentSums | _core.GramSums

_FEW_ROWS = 64


@dataclass(frozen=True)
class LinearSums:
    """Sums of two linear Grams, whichever engine made them."""

    n: int
    pairs: dict[tuple[int, int], _core.PairSums]  # of sides (0, 0), (0, 1) and (1, 1)
    exponents: tuple[int, int]  # the engines divide the rows of each side by 2^exponent
    double_precision: bool
    widened: bool  # an outlier was multiplied in float64
    route: str
    centred_rows: bool
    settings: dict[str, Any] = field(default_factory=dict)
    threads: int = 0
    rows: tuple[_core.Rows, _core.Rows] | None = None  # None after a stream: the rows are gone
    engine: Engine | None = None  # None once nothing needs it
    memory: tuple[dict[Any, Any], dict[Any, Any]] | None = None  # what other pairs of the same sides know of each

    @classmethod
    def of(cls, engine: Engine, double: bool, route: str, centred: bool, **more: Any) -> LinearSums:
        """The small sums of an engine's state, which is kept along."""
        pairs = {(a, b): engine.pair(a, b) for a, b in ((0, 0), (0, 1), (1, 1))}
        exponents, widened = engine.exponents, engine.widened
        return cls(engine.n, pairs, exponents, double, widened, route, centred, engine=engine, **more)

    @property
    def unit(self) -> float:
        """What products of both Grams must be multiplied by to be in the data's own units."""
        return float(np.ldexp(1.0, 2 * sum(self.exponents)))

    def centred(self, a: int, b: int) -> float:
        """<HKH, HLH>, scaled."""
        return _core.centred_product(self.n, self.pairs[a, b])

    def u_centred(self, a: int, b: int) -> float:
        """<K^U, L^U>, scaled."""
        return _core.u_centred_product(self.n, self.pairs[a, b])

    def unbiased_cka(self) -> float:
        """<K^U, L^U> / (|K^U| |L^U|) in [-1, 1]; see why_undefined."""
        return bounded(self.u_centred(0, 1) / (math.sqrt(self.u_centred(0, 0)) * math.sqrt(self.u_centred(1, 1))))

    def why_undefined(self, estimator: str) -> str | None:
        """The reason why CKA does not exist, or None."""
        for side, name in enumerate("xy"):
            biased = self.centred(side, side)
            if not math.isfinite(biased):
                return f"{name} spans more than float64 can hold"
            if not biased > 0:
                return f"{name} is constant"
            # An unbiased self-term this small against the biased one is rounding: K^U = 0 exactly. Where an outlier
            # makes the biased one large, the products that matter were float64.
            noise = (1e-13 if self.double_precision or self.widened else 1e-6) * biased
            if estimator == "unbiased" and not self.u_centred(side, side) > noise:
                return f"{name} has no structure beyond its diagonal: its U-centred Gram matrix is zero"
        return None

    def describe(self, **more: Any) -> dict[str, Any]:
        """Settings of a score made from these sums."""
        products = "float64" if self.double_precision else "float32"
        return {
            **self.settings,
            "kernel": "linear",
            "route": self.route,
            "products": products,
            "accumulation": "float64",
            "backend": "cpu",
            **more,
        }

    def row_terms(self) -> NDArray[np.float64]:
        """The table of per-row sums that a jackknife needs (csrc/moments.hpp), by a second pass over the rows."""
        assert self.rows is not None
        double = self.double_precision or self.widened
        if isinstance(self.engine, _core.MomentSums):
            return _core.moments_row_terms(*self.rows, self.engine, double, self.threads)
        return _core.gram_row_terms(*self.rows, self.centred_rows, double, self.threads)

    def once(self, side: int, key: Any, make: Callable[[], T]) -> T:
        """Something that depends on one side alone: made once for all pairs that share that side's memory."""
        if self.memory is None:
            return make()
        known = self.memory[side]
        if key not in known:
            known[key] = make()
        found: T = known[key]
        return found

    def settled(self) -> LinearSums:
        """Without the engine's state, unless the lazy skew will need it."""
        exact = self.rows is not None and self.n <= inference.EXACT_SKEW_ROWS
        return replace(self, engine=None) if exact or isinstance(self.engine, _core.GramSums) else self


def linear_sums(pair: arrays.Pair, *, centred: bool, report: Callable[[int, int], object] | None = None) -> LinearSums:
    """Sums of two linear kernels by the cheaper route."""
    columns, threads = (pair.x.shape[1], pair.y.shape[1]), pair.threads
    double = pair.x.double_precision or pair.y.double_precision or min(columns) < arrays.FEW_COLUMNS
    feature = pair.n > sum(columns)  # multiply-adds: n (p + q)^2 / 2 in feature space, n^2 (p + q) / 2 for the Grams
    double = double or (not feature and pair.n < _FEW_ROWS)  # where float64 costs nothing
    engine: Engine
    if feature:
        moments = _core.Moments(*columns, double_precision=double)
        moments.update(pair.x, pair.y, threads, report)
        engine = moments.drain(centred, threads)
    else:
        engine = _core.gram_sums(pair.x, pair.y, centred, double, threads, report)
    route = "feature" if feature else "gram"
    rows = (pair.x, pair.y)
    return LinearSums.of(engine, double, route, centred, settings=pair.settings, threads=threads, rows=rows)


def bounded(cosine: float) -> float:
    """A cosine that rounding may have carried out of [-1, 1]; nan stays nan."""
    return cosine if math.isnan(cosine) else min(1.0, max(-1.0, cosine))
