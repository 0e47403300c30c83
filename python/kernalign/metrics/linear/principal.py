"""Principal directions of two representations and their overlap: what the CCA family is finished from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from kernalign import _core
from kernalign._base.progress import Report
from kernalign._base.score import AlignmentWarning
from kernalign._base.warn import warn
from kernalign._engines import directions
from kernalign._engines.centred import Centred
from kernalign._engines.directions import Directions, Matrix, Vector
from kernalign._rows import arrays
from kernalign._rows.digits import EXACT, Rounding

Keep: TypeAlias = Callable[[Vector], int]

_WRONG = 1e-4  # error that the directions of a stream may have without a warning (float64: condition 1e6)
_SINGLE, _DOUBLE = 2.0**-24, 2.0**-53
_MANY = 0.05  # of the directions, whose loss deserves a word


@dataclass(frozen=True)
class Products:
    """The finished products of a stream, whether they were multiplied in float64, and how its entries are rounded."""

    engine: _core.MomentSums
    double: bool
    roundings: tuple[Rounding, Rounding]

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of a score made from this."""
        return how({"normalize": None, "clip_quantile": None}, "stream", self.double)

    def why_undefined(self, centred: bool = True) -> str | None:
        """The reason where a side has no directions, or None."""
        for side, name in enumerate("xy"):
            square = float(self.engine.product(side, side).trace())
            if not np.isfinite(square):
                return f"{name} spans more than float64 can hold"
            if not square > 0:
                return f"{name} is {'constant' if centred else 'zero'}"
        return None

    def only_rounding(self, side: int) -> str | None:
        """The name of the format if no column varies by more than rounding to it may tell rows apart."""
        rounding, n = self.roundings[side], self.engine.n
        squares = np.diagonal(self.engine.product(side, side))
        mean = np.ldexp(self.engine.mean(side), -self.engine.exponents[side])
        most = np.maximum(max(2 * rounding.spacing, EXACT.error) * np.abs(mean), rounding.least)
        return rounding.name if (squares <= n * most**2).all() else None


@dataclass(frozen=True)
class Principal:
    """Directions of both sides; ``overlap`` is the product of the left ones that are kept, U_x^T U_y.

    ``free`` is the number of directions that the items leave: n - 1 centred, else n. ``reason`` says why none.
    """

    n: int
    free: int
    x: Directions
    y: Directions
    overlap: Matrix
    route: str
    settings: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None
    double: bool = True

    @property
    def ranks(self) -> tuple[int, int]:
        """Numbers of directions that are kept."""
        rank_x, rank_y = self.overlap.shape
        return rank_x, rank_y

    @property
    def saturated(self) -> bool:
        """Whether a side spans everything, so that the other has no say."""
        return self.reason is None and max(self.ranks) >= self.free

    @property
    def forced(self) -> int:
        """Number of canonical correlations that are 1 because the ranks add up to more than there is room for."""
        return max(0, sum(self.ranks) - self.free)

    @property
    def chance_rho(self) -> float | None:
        """About the mean canonical correlation of unrelated sides: of random subspaces of many items (Wachter 1980).

        The squares have the density sqrt((high - v) (v - low)) / (2 pi a v (1 - v)), where a is the smaller rank as a
        share of what the items leave, and ``forced`` of them are 1.
        """
        if self.reason is not None or self.free == self.n:  # the mean stays where it is
            return None
        a, b = (rank / self.free for rank in sorted(self.ranks))
        near, far = math.sqrt(a * (1 - b)), math.sqrt(b * (1 - a))
        middle, half = near**2 + far**2, 2 * near * far
        angles = (np.arange(400) + 0.5) * (math.pi / 400)  # Gauss and Chebyshev's
        squares = middle + half * np.cos(angles)
        free = (half * np.sin(angles)) ** 2 / (np.sqrt(squares) * (1 - squares)) if half > 0 else np.zeros(1)
        return self.forced / min(self.ranks) + float(free.mean()) / (2 * a)

    def describe(self, **more: Any) -> dict[str, Any]:
        """Settings of a score made from this."""
        return {
            **how(self.settings, self.route, self.double),
            "rank_x": self.ranks[0],
            "rank_y": self.ranks[1],
            "saturated": self.saturated,
            "forced": self.forced,
            "rounded_x": self.x.rounded,
            "rounded_y": self.y.rounded,
            **more,
        }


def how(given: dict[str, Any], route: str, double: bool = True) -> dict[str, Any]:
    """Settings that say how products were made."""
    products = "float64" if double else "float32"
    return {**given, "route": route, "products": products, "accumulation": "float64", "backend": "cpu"}


def every(values: Vector) -> int:
    """Keep all directions."""
    return len(values)


def of_pair(
    metric: str,
    pair: arrays.Pair,
    *,
    keep: Keep = every,
    centred: bool = True,
    rows: bool = False,
    report: Report = None,
) -> Principal:
    """From the rows: by p x p products when n > p + q and they are well conditioned, else from the rows or their QR.

    ``rows`` asks for the latter, and so for left directions.
    """
    data = Centred.of(pair, centred=centred)
    p, q = data.columns
    reason = data.why_undefined()
    if reason is not None:
        return _nothing(data.n, data.free, "none", reason, pair.settings)
    if not rows and data.n > p + q:
        sums = data.products(report=report)
        x, y = (
            directions.of_gram(gram, min(len(gram), data.free), side.noise(squares, data.n))
            for gram, side, squares in zip((sums.xx, sums.yy), (data.x, data.y), sums.squares, strict=True)
        )
        kept = keep(x.values), keep(y.values)
        if x.sound(kept[0]) and y.sound(kept[1]):
            overlap = _overlap_of_products(sums.xy, x, y, kept)
            return Principal(data.n, data.free, x, y, overlap, "feature", pair.settings)
    x, y = (
        directions.of_rows(rows, data.free, side.noise((rows**2).sum(axis=0), data.n))
        for rows, side in zip(data.stacked(report), (data.x, data.y), strict=True)
    )
    for found, side in ((x, data.x), (y, data.y)):
        if not found.rank:
            return _nothing(data.n, data.free, "none", all_rounding(side.rows.name, side.rounding), pair.settings)
        warn_of_rounding(metric, side.rows.name, found, side.rounding)
    assert x.left is not None
    assert y.left is not None
    overlap = x.left[:, : keep(x.values)].T @ y.left[:, : keep(y.values)]
    return Principal(data.n, data.free, x, y, overlap, "qr" if data.n > p + q else "rows", pair.settings)


def of_stream(products: Products, metric: str, *, centred: bool = True) -> Principal:
    """From the products of a stream; warns where squaring the condition number has cost too much."""
    engine, double, settings = products.engine, products.double, products.settings
    n, free = engine.n, engine.n - centred
    reason = products.why_undefined(centred)
    if reason is not None:
        return _nothing(n, free, "stream", reason, settings, double)
    sides = []
    for side, name in enumerate("xy"):
        found = stream_directions(products, side, free, metric)
        if not found.rank:
            return _nothing(n, free, "stream", all_rounding(name, products.roundings[side]), settings, double)
        sides.append(found)
    x, y = sides
    overlap = _overlap_of_products(engine.product(0, 1), x, y, (x.rank, y.rank))
    return Principal(n, free, x, y, overlap, "stream", settings, double=double)


def all_rounding(name: str, rounding: Rounding) -> str:
    """The reason where no direction is left."""
    return f"{name} is constant, up to the rounding of {rounding.name}"


def warn_of_rounding(metric: str, name: str, found: Directions, rounding: Rounding) -> None:
    """Say, in the name of a public function, where many directions are nothing but rounding errors of the entries."""
    total = found.rank + found.rounded
    if found.rounded > _MANY * total:
        warn(
            f"{metric}: {found.rounded} of {total} directions of {name} are no longer than the rounding of"
            f" {rounding.name} and are left out",
            AlignmentWarning,
        )


def stream_directions(products: Products, which: int, free: int, metric: str) -> Directions:
    """Directions of one side of a stream; warns, in the name of a public method, where they are poor."""
    engine, double, name = products.engine, products.double, "xy"[which]
    gram = engine.product(which, which)
    p = len(gram)
    mean = np.ldexp(engine.mean(which) if free < engine.n else np.zeros(p), -engine.exponents[which])
    noise = directions.noise(np.sqrt(np.diagonal(gram)), mean, engine.n, products.roundings[which])
    found, values = directions.of_products(gram, min(p, free), noise, double)
    warn_of_rounding(metric, name, found, products.roundings[which])
    seen = max(p * directions.EPSILON * values[-1], -2 * values[0])  # errors of products have either sign
    least = max((_DOUBLE if double else _SINGLE) / _WRONG, directions.resolution(p, double))
    grey = int(((values > seen) & (values < least)).sum())
    if grey > found.rounded:
        precision = "float64" if double else "float32"
        warn(
            f"{metric}: {grey} directions of {name} are so small that {precision} products of a stream do"
            f" not determine them (a ratio of singular values above {least**-0.5:.0g}); the score may be wrong by more"
            f" than {_WRONG:g}. Reduce the columns, or give {'the function all rows' if double else 'float64 rows'}",
            AlignmentWarning,
        )
    return found


def _overlap_of_products(xy: Matrix, x: Directions, y: Directions, kept: tuple[int, int]) -> Matrix:
    return np.asarray(x.whitener[:, : kept[0]].T @ xy @ y.whitener[:, : kept[1]])


def _nothing(n: int, free: int, route: str, reason: str, settings: dict[str, Any], double: bool = True) -> Principal:
    none = Directions(np.zeros(0), np.zeros((0, 0)))
    return Principal(n, free, none, none, np.zeros((0, 0)), route, settings, reason, double)
