"""Principal directions of two representations and their overlap: what the CCA family is finished from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from kernalign import _core
from kernalign._base.cached import cached_property
from kernalign._base.progress import Report
from kernalign._base.score import AlignmentWarning
from kernalign._base.warn import warn
from kernalign._engines import directions
from kernalign._engines.centred import Centred
from kernalign._engines.directions import Directions, Matrix, Vector
from kernalign._engines.spans import Span
from kernalign._rows import arrays
from kernalign._rows.decompositions import eigh, product, svd
from kernalign._rows.digits import EXACT, Rounding

Keep: TypeAlias = Callable[[Vector], int]

_WRONG = 1e-4  # error that the directions of a stream may have without a warning (float64: condition 1e6)
_SINGLE, _DOUBLE = 2.0**-24, 2.0**-53
_SMALL, _SOUND = 256, 1e-6  # as in `directions`: sizes, and least squared correlations, of which an SVD is taken
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


class Overlap:
    """U_x^T U_y, and its singular vectors if they are asked for."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix

    @cached_property
    def angles(self) -> tuple[Matrix, Vector, Matrix]:
        """U, descending values and V of all canonical variables of the smaller side."""
        matrix = self.matrix
        rows, columns = matrix.shape
        if rows > columns:
            left, values, right = Overlap(matrix.T).angles
            return right, values, left
        if rows > _SMALL:
            squares, left = eigh(product(matrix, matrix.T))
            if squares[0] > _SOUND:
                values, left = np.sqrt(squares[::-1]), left[:, ::-1]
                return left, values, product(matrix.T, left / values)
        left, values, across = svd(matrix)
        return left, values, across.T

    @property
    def turned(self) -> Overlap:
        """That of y with x."""
        other = Overlap(self.matrix.T)
        if "angles" in vars(self):
            left, values, right = self.angles
            vars(other)["angles"] = right, values, left
        return other


@dataclass(frozen=True)
class Principal:
    """Directions of both sides, and the product of the left ones that are kept, U_x^T U_y.

    ``free`` is the number of directions that the items leave: n - 1 centred, else n. ``reason`` says why none.
    """

    n: int
    free: int
    x: Directions
    y: Directions
    between: Overlap
    route: str
    settings: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None
    double: bool = True

    @property
    def overlap(self) -> Matrix:
        return self.between.matrix

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


class Spans:
    """Two paired sides with what is found of them once, for all metrics of the pair.

    The ``report`` hears of the products.
    """

    def __init__(self, pair: arrays.Pair, x: Span, y: Span, report: Report = None) -> None:
        self.pair, self.x, self.y, self._report = pair, x, y, report
        self.data = Centred(x.n, x.free, x.side, y.side, None, pair.threads)
        self._overlaps: dict[Any, Overlap] = {}

    @classmethod
    def of(cls, pair: arrays.Pair, *, centred: bool = True, report: Report = None) -> Spans:
        """Of a pair that nothing is known of."""
        x, y = (Span.of(rows, pair.threads, centred=centred) for rows in (pair.x, pair.y))
        return cls(pair, x, y, report)

    @property
    def tall(self) -> bool:
        """Whether there are more rows than columns of both sides."""
        return self.data.n > sum(self.data.columns)

    @cached_property
    def cross(self) -> Matrix:
        """x^T y; with the other products in the same pass over the rows, if these were not made."""
        first = self.x.sums is None and self.y.sums is None
        found = self.data.products("xx xy yy" if first else "xy", report=self._report)
        if first:
            self.x.sums, self.y.sums = (found.xx, found.squares[0]), (found.yy, found.squares[1])
        return found.xy

    @cached_property
    def jointly(self) -> tuple[Directions, Directions]:
        """Directions from a QR decomposition of both sides together, which keeps their condition."""
        x, y = self.data.stacked(self._report)
        free = self.data.free
        return directions.of_rows(x, free, self.x.noise), directions.of_rows(y, free, self.y.noise)

    def overlap(self, x: Directions, y: Directions, kept: tuple[int, int]) -> Overlap:
        """Of the first directions of both sides."""
        every = id(x), id(y), (x.rank, y.rank)
        key = *every[:2], kept
        if key not in self._overlaps:
            if every in self._overlaps:
                made = self._overlaps[every].matrix[: kept[0], : kept[1]]
            elif x.left is None or y.left is None:
                made = _overlap_of_products(self.cross, x, y, kept)
            else:
                made = product(x.left[:, : kept[0]].T, y.left[:, : kept[1]])
            self._overlaps[key] = Overlap(made)
        return self._overlaps[key]

    def turned(self) -> Spans:
        """Those of y with x, with what is known."""
        pair = arrays.Pair(self.pair.y, self.pair.x, self.pair.settings, self.pair.threads)
        other = Spans(pair, self.y, self.x)
        for name, turn in (("cross", np.transpose), ("jointly", lambda both: both[::-1])):
            if name in vars(self):
                vars(other)[name] = turn(vars(self)[name])
        other._overlaps = {(y, x, kept[::-1]): one.turned for (x, y, kept), one in self._overlaps.items()}
        return other


def of_spans(metric: str, spans: Spans, *, keep: Keep = every, rows: bool = False) -> Principal:
    """By p x p products when n > p + q and they are well conditioned, else from the rows or their QR.

    ``rows`` asks for the latter, and so for left directions.
    """
    data, settings = spans.data, spans.pair.settings
    reason = data.why_undefined()
    if reason is not None:
        return _nothing(data.n, data.free, "none", reason, settings)
    if not rows and spans.tall:
        if spans.x.sums is None and spans.y.sums is None:
            _ = spans.cross  # in one pass with the sums
        x, y = spans.x.by_products, spans.y.by_products
        kept = keep(x.values), keep(y.values)
        if x.sound(kept[0]) and y.sound(kept[1]):
            return Principal(data.n, data.free, x, y, spans.overlap(x, y, kept), "feature", settings)
    x, y = spans.jointly if spans.tall else (spans.x.by_rows, spans.y.by_rows)
    for name, found, side in (("x", x, data.x), ("y", y, data.y)):
        if not found.rank:
            return _nothing(data.n, data.free, "none", all_rounding(name, side.rounding), settings)
        warn_of_rounding(metric, name, found, side.rounding)
    between = spans.overlap(x, y, (keep(x.values), keep(y.values)))
    return Principal(data.n, data.free, x, y, between, "qr" if spans.tall else "rows", settings)


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
    overlap = Overlap(_overlap_of_products(engine.product(0, 1), x, y, (x.rank, y.rank)))
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
    return product(product(x.whitener[:, : kept[0]].T, xy), y.whitener[:, : kept[1]])


def _nothing(n: int, free: int, route: str, reason: str, settings: dict[str, Any], double: bool = True) -> Principal:
    none = Directions(np.zeros(0), np.zeros((0, 0)))
    return Principal(n, free, none, none, Overlap(np.zeros((0, 0))), route, settings, reason, double)
