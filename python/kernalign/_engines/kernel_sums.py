"""Sums over the Gram matrices of two representations: all that HSIC, CKA and kernel alignment are finished from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base import hazards
from kernalign._base.kernels import Linear
from kernalign._engines.gram_source import EXACT_SKEW_ROWS, Side
from kernalign._rows.digits import beyond_casting
from kernalign._rows.magnitude import power_of_two

Engine = _core.MomentSums | _core.GramSums


ROUNDING = {True: 1e-13, False: 1e-6}  # relative, of sums of products made in float64 and in float32


@dataclass(eq=False)
class KernelSums:
    """Sums of two Gram matrices, whichever engine made them."""

    n: int
    pairs: dict[tuple[int, int], _core.PairSums]  # of sides (0, 0), (0, 1) and (1, 1)
    hollow: dict[tuple[int, int], _core.PairSums]  # the same without diagonals, or what has the same U-centred form
    exponents: tuple[int, int]  # kernel values were divided by 2^exponent
    pilots: tuple[float, float]  # and these constants subtracted
    plains: tuple[float, float]  # kernel values of equal rows (distances) or zero rows (others), less the constants
    rounding: tuple[float, float]  # relative, of the products
    route: str
    centred_rows: bool
    settings: dict[str, Any] = field(default_factory=dict)
    sides: tuple[Side, Side] | None = None  # None after a stream: the rows are gone
    engine: Engine | None = None  # None once nothing needs it
    indices: tuple[int, int] = (0, 1)  # of the sides in the engine
    threads: int = 0
    rounded: tuple[str | None, str | None] = (None, None)  # of a stream that is constant: the format that hides more
    place: int | None = None  # of the device that made them; None: the CPU
    groups: NDArray[np.intp] | None = None  # numbers of those that are exchanged whole by the null
    # What follows from one side alone; the pairs of a sweep share it.
    known: tuple[dict[str, Any], dict[str, Any]] = field(default_factory=lambda: ({}, {}))

    @property
    def unit(self) -> float:
        """What products of both Grams must be multiplied by to be in the data's own units."""
        return power_of_two(sum(self.exponents))

    def centred(self, a: int, b: int) -> float:
        """<HKH, HLH>, scaled."""
        return _core.centred_product(self.n, self.pairs[a, b])

    def centred_trace(self, side: int) -> float:
        """tr(HKH), scaled."""
        own = self.pairs[side, side]
        return own.trace_x - own.total_x / self.n

    def centred_diagonal(self, side: int) -> float:
        """Sum of the squared diagonal of HKH, scaled; its entry i is K_ii - 2 r_i / n + t / n^2, t = sum of r."""
        own, n = self.pairs[side, side], self.n
        total = own.total_x
        cross = 4 * own.rows / n**2 - 4 * own.rows_diagonal / n
        return own.diagonal + cross + 2 * total * own.trace_x / n**2 - 3 * total**2 / n**3

    def top_share_bound(self, side: int) -> float:
        """What share of the variance the first principal direction has at least; 0 where the kernel is not linear."""
        if self.sides is not None and not isinstance(self.sides[side].kernel, Linear):
            return 0.0
        own = self.pairs[side, side]
        trace, squares = own.trace_x - own.total_x / self.n, _core.centred_product(self.n, own)
        if trace > 0 and 2 * squares <= trace**2:
            return squares / trace**2
        return hazards.top_share_bound(trace, squares)

    def u_centred(self, a: int, b: int) -> float:
        """<K^U, L^U>, scaled."""
        return _core.u_centred_product(self.n, self.hollow[a, b])

    def unbiased_cka(self) -> float:
        """<K^U, L^U> / (|K^U| |L^U|) in [-1, 1]; see why_undefined."""
        n, hollow, (x, y) = self.n, self.hollow, self.known
        for known, pair in ((x, hollow[0, 0]), (y, hollow[1, 1])):
            if "norm" not in known:
                known["norm"] = math.sqrt(_core.u_centred_product(n, pair))
        return bounded(_core.u_centred_product(n, hollow[0, 1]) / (x["norm"] * y["norm"]))

    @property
    def left(self) -> float:
        """What is left of the square of a side, at least, without what the lengths of its rows are: if that is little,
        one row is so long that the others drown in it, and the digits of this share are rounding."""
        found = 1.0
        for at in (0, 1):
            if self.centred_rows:
                own, whole = self.u_centred(at, at), self.centred(at, at)
            else:
                own, whole = _core.off_diagonal_product(self.hollow[at, at]), self.pairs[at, at].full
            if 0 < whole < math.inf:
                found = min(found, own / whole)
        return found

    @property
    def no_kernel(self) -> str | None:
        """Why the kernel of a side does not exist, or None."""
        return next((side.reason for side in self.sides or () if side.reason), None)

    def why_undefined(self, estimator: str) -> str | None:
        """The reason why CKA does not exist, or None."""
        for side, known in enumerate(self.known):
            if estimator not in known:
                known[estimator] = self._flaw(side, estimator)
            flaw = known[estimator]
            if flaw is not None:
                return str(flaw) if self.sides and flaw == self.sides[side].reason else f"{'xy'[side]} {flaw}"
        return None

    def why_unaligned(self, estimator: str) -> str | None:
        """The reason why the cosine of the matrices as they are does not exist, or None."""
        if self.no_kernel is not None:
            return self.no_kernel
        for side, name in enumerate("xy"):
            own = self.pairs[side, side]
            full, noise = own.full, 1e-14 * own.full
            square = _core.off_diagonal_product(self.hollow[side, side]) if estimator == "unbiased" else full
            if self.sides is not None and self.sides[side].apart:  # each product errs by that of its rows' lengths
                lengths = own.trace_x**2
                noise = self.rounding[side] ** 2 * (max(0.0, lengths - own.diagonal) + 1e-15 * lengths)
            if not square > noise:
                return f"all rows of {name} are orthogonal" if full > 0 else f"{name} is zero"
        return None

    def _flaw(self, side: int, estimator: str) -> str | None:
        """Why one side has no CKA with anything: what it is or does, or the whole sentence where it has no kernel."""
        biased, made = _core.centred_product(self.n, self.pairs[side, side]), self.sides and self.sides[side]
        if not math.isfinite(biased):
            return "spans more than float64 can hold"
        linear = not made or made.linear  # an outlier that makes the biased square large is multiplied in float64
        if not biased > (0.0 if linear else self.noise(side)):
            return "is constant" + beyond_casting(made.rows[0] if made else None)
        rounded = self.rounded[side] if made is None else not made.varies and made.rounded
        if rounded:
            return f"is constant, up to the rounding of {rounded}"
        if made and made.reason:
            return made.reason
        if estimator == "unbiased":
            plain = linear and not (made and made.apart)
            noise = self.rounding[side] * biased if plain else self.noise(side)
            if not _core.u_centred_product(self.n, self.hollow[side, side]) > noise:
                return "has no structure beyond its diagonal: its U-centred Gram matrix is zero"
        return None

    def noise(self, side: int) -> float:
        """A U-centred square this small is rounding: of products as long as the diagonal, or of a kernel's own values.

        Those are accurate relative to themselves and to their differences from the plain value, whichever are less. The
        square is a difference of sums of n numbers n times, which were measured to err by up to n epsilon / 4.
        """
        if self.sides is None or self.sides[side].linear:
            own = self.centred(side, side)
            if self.sides is not None and self.sides[side].apart:
                own = min(own, self.hollow[side, side].full)
            return self.rounding[side] * own
        hollow, pairs = self.hollow[side, side], self.n * (self.n - 1)
        squares = []
        for constant in (-self.pilots[side], self.plains[side]):
            mean = hollow.total_x / pairs
            spread = max(0.0, hollow.full - hollow.total_x * mean)
            gap = mean - constant
            squares.append(spread + pairs * gap * gap)
        return max(self.rounding[side] ** 2 * min(squares), (self.n + 16) * 2.0**-52 * hollow.full)

    def describe(self, **more: Any) -> dict[str, Any]:
        """Settings of a score made from these sums."""
        a, b = self.rounding
        products = "float64" if a < 1e-7 else "float32", "float64" if b < 1e-7 else "float32"
        kernels: dict[str, Any] = {"kernel": "linear"}
        if self.sides is not None and not (
            isinstance(self.sides[0].kernel, Linear) and isinstance(self.sides[1].kernel, Linear)
        ):
            x, y = (side.describe() for side in self.sides)
            kernels = {key: x[key] if x.get(key) == y.get(key) else (x.get(key), y.get(key)) for key in {**x, **y}}
        return {
            **self.settings,
            **kernels,
            "route": self.route,
            "products": products[0] if products[0] == products[1] else products,
            "accumulation": "float64",
            **({"backend": "cpu"} if self.place is None else {"backend": "cuda", "device": f"cuda:{self.place}"}),
            **({} if self.groups is None else {"groups": int(self.groups.max()) + 1}),
            **more,
        }

    def row_terms(self, *, with_diagonal: bool) -> NDArray[np.float64]:
        """The table of per-row sums that a jackknife needs (csrc/grams.hpp), by a second pass over the rows."""
        assert self.sides is not None
        x, y = self.sides
        if isinstance(self.engine, _core.MomentSums):
            double = max(self.rounding) < 1e-7
            terms = _core.moments_row_terms(x.rows[0], y.rows[0], self.engine, double, self.threads)
            if with_diagonal:
                terms[:, 7:] = 0.0  # products with row sums, which vanish: the rows are centred
            return terms
        assert self.engine is not None
        args = (x.source, y.source, self.engine, self.centred_rows)
        return _core.gram_row_terms(*args, with_diagonal, self.threads)

    def settled(self) -> KernelSums:
        """Let go of the engine's state, unless the lazy skew will need it."""
        if (self.sides is not None and self.n <= EXACT_SKEW_ROWS) or isinstance(self.engine, _core.GramSums):
            self.engine = None
        return self


def bounded(cosine: float) -> float:
    """A cosine that rounding may have carried out of [-1, 1]; nan stays nan."""
    return cosine if math.isnan(cosine) else min(1.0, max(-1.0, cosine))
