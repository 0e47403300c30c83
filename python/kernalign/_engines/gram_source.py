"""One representation and its kernel, as the Grams engine takes them: made once, used by every pair it is in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.cached import cached_property
from kernalign._base.kernels import RBF, Delta, Distance, Laplacian, Linear, Polynomial, Precomputed, SideKernel
from kernalign._base.progress import Report
from kernalign._engines import devices
from kernalign._rows import arrays, on_device
from kernalign._rows.digits import COARSEST, only_rounding
from kernalign._rows.magnitude import divided, exponent_of

EXACT_SKEW_ROWS = 5000
SAMPLED_ROWS = 2000
_APART = 2.0**-4  # numbers of classes, which differ by 1, have exp(-128): nothing beside 1
_OBJECT = 1 << 10  # bytes of a Side and its numbers
_FEW_ROWS = 64  # where float64 costs nothing


@dataclass(eq=False)
class Side:
    """Rows, a kernel whose bandwidth is known, and the third-order sums that null distributions need.

    Rows that were ``given`` on a CUDA device are copied to the CPU when `rows` or `source` are first asked for.
    """

    given: tuple[Any, ...]
    kernel: SideKernel | Distance
    options: dict[str, Any]  # of _core.GramSource
    double: bool
    threads: int
    linear: bool
    reason: str | None = None  # why the kernel does not exist
    varies: bool = True  # by more than any rounding
    stand_for: int = 0  # so many rows, if these are a sample
    apart: bool = False  # a few rows are so long that products of columns lose the others

    @cached_property
    def rows(self) -> tuple[_core.Rows, ...]:
        """On the CPU."""
        return tuple(map(on_device.on_cpu, self.given))

    @cached_property
    def source(self) -> _core.GramSource:
        """What the engine reads."""
        return _core.GramSource(list(self.rows), **self.options)

    def of(self, rows: Sequence[Any]) -> Side:
        """What was found of these rows so far, for the same ones that were opened again, or for none."""
        found = replace(self, given=tuple(rows))
        found.__dict__ |= {name: self.__dict__[name] for name in ("_third_order", "sampled") if name in self.__dict__}
        return found

    @property
    def n(self) -> int:
        """Number of items."""
        return self.stand_for or self.held

    @property
    def held(self) -> int:
        """How many rows there are."""
        n = 0
        for part in self.given:
            n += part.shape[0]
        return n

    @cached_property
    def rounded(self) -> str | None:
        """The format whose rounding is all that tells the rows apart, or None."""
        return None if self.varies else only_rounding(self.rows[0])

    @property
    def nbytes(self) -> int:
        """What it holds now beside its rows; at most, of a sample that is not float64."""
        sampled: Side | None = self.__dict__.get("sampled")
        return _OBJECT + (0 if sampled is None else 8 * sum([math.prod(part.shape) for part in sampled.given]))

    def check(self) -> None:
        """Read all rows once; raises if one of them cannot be."""
        for rows in self.rows:
            _core.check_rows(rows, self.threads)

    @property
    def definite(self) -> bool:
        """True if the Gram matrix cannot have negative eigenvalues."""
        form = self.options["form"]
        return form in ("linear", "rbf", "laplacian") or (form == "polynomial" and self.options["offset"] >= 0)

    def describe(self) -> dict[str, Any]:
        """Settings of a score that say what the kernel was."""
        settings: dict[str, Any] = {"kernel": str(self.kernel)}
        if isinstance(self.kernel, Delta):
            return settings
        if self.options["form"] in ("rbf", "laplacian"):
            settings["bandwidth"] = self.options["width"]
        if self.options["form"] == "polynomial":
            settings |= {"degree": self.options["degree"], "offset": self.options["offset"]}
        return settings

    @property
    def cubes(self) -> tuple[float, float, float]:
        """Sum of squares, sum of cubes and trace of the cube of K^U; O(n^2 p), or O(n^3) for kernels."""
        return self._third_order[:3]

    @property
    def concentration(self) -> float:
        """Sum of the squared shares that the rows have in |K^U|^2: 1/n if they are alike, 1/2 if a pair is all.

        From evenly spaced rows where there are more than 5000; nan of a constant side.
        """
        side = self if self.held <= EXACT_SKEW_ROWS else self.sampled
        squares, _, _, rows = side._third_order
        return float(rows / squares**2) * side.held / side.n if squares > 0 else math.nan

    @property
    def skew_ratio(self) -> float:
        """tr(X^3) / |X|^3 of X = K^U, from evenly spaced rows where there are more than 2000."""
        side = self if self.held <= SAMPLED_ROWS else self.sampled
        squares, _, trace, _ = side._third_order
        return float(trace / squares**1.5) if squares > 0 else math.nan

    @cached_property
    def _third_order(self) -> tuple[float, float, float, float]:
        return _core.u_centred_cubes(self.source, self.threads)

    @cached_property
    def sampled(self) -> Side:
        """A copy of 2000 evenly spaced rows in the place of more: what outlives the rows."""
        index = np.linspace(0, self.held - 1, SAMPLED_ROWS).astype(int)
        return replace(self, given=self._copied(index), stand_for=self.held)

    def without(self, item: int) -> Side:
        """The same of a copy of all other rows."""
        return replace(self, given=self._copied(np.delete(np.arange(self.held), item)))

    def _copied(self, index: NDArray[np.intp]) -> tuple[Any, ...]:
        begin, parts = 0, []
        for part in self.given:
            end = begin + part.shape[0]
            own = index[(index >= begin) & (index < end)] - begin
            if len(own):
                parts.append(devices.taken(part, own, self.options["form"] == "precomputed"))
            begin = end
        return tuple(parts)

    def condensed(self, *, centred: bool = False, restored: bool = True, report: Report = None) -> NDArray[np.float64]:
        """The strict upper triangle of the Gram matrix, row by row: 8 bytes for each pair of items.

        Unless ``restored`` to its own unit, in one in which no square underflows.
        """
        return _core.condensed_gram(self.source, centred, self.threads, report, restored)

    def u_centred(self) -> NDArray[np.float64]:
        """K^U as a matrix of Frobenius norm 1, for a handful of rows."""
        n = self.held
        if self.linear:
            rows = np.concatenate([part.dense(0, part.shape[0]) for part in self.rows])
            rows = divided(rows, exponent_of(rows) + 1)  # products and differences of any scale stay in range
            rows -= rows[0]
            gram = rows @ rows.T
        else:
            gram = np.zeros((n, n))
            gram[np.triu_indices(n, 1)] = self.condensed(centred=True)
            gram += gram.T
        np.fill_diagonal(gram, 0.0)
        if not np.isfinite(gram).all():
            return np.full_like(gram, math.nan)
        gram /= np.abs(gram).max() or 1.0
        a = gram.sum(axis=1) / (n - 2)
        gram -= a[:, None] + a - a.sum() / (n - 1)
        np.fill_diagonal(gram, 0.0)
        return np.asarray(gram / (np.linalg.norm(gram) or math.nan))


def make_side(
    rows: Sequence[Any],
    kernel: SideKernel | Distance,
    threads: int,
    report: Report = None,
    *,
    double: bool = False,
    place: int | None = None,
) -> Side:
    """Choose the precision, and find the bandwidth if the kernel's is a rule. ``rows`` of several parts are one.

    ``place`` is that of the CUDA device which makes its sums; None: the CPU does.
    """
    n, p, double = 0, rows[0].shape[1], double or (place is not None and devices.in_doubles(place))
    for part in rows:
        n += part.shape[0]
        double = double or part.double_precision
    vary = rows[0].vary if isinstance(rows[0], _core.Rows) else partial(devices.vary, rows[0])
    if type(kernel) is Linear:  # in few steps
        double = double or p < arrays.FEW_COLUMNS or n < _FEW_ROWS
        options: dict[str, Any] = {"form": "linear", "double_precision": double}
        return Side(tuple(rows), kernel, options, double, threads, True, None, len(rows) > 1 or vary(*COARSEST))
    matrix = isinstance(kernel, Precomputed)
    double = double or isinstance(kernel, Delta) or (not matrix and (p < arrays.FEW_COLUMNS or n < _FEW_ROWS))
    options = {"form": "linear", "double_precision": double}
    reason = None
    if isinstance(kernel, Polynomial):
        options |= {"form": "polynomial", "degree": int(kernel.degree), "offset": float(kernel.offset)}
    elif isinstance(kernel, Distance):
        options |= {"form": "sqeuclidean" if kernel.squared else "euclidean", "levelled": kernel.levelled}
    elif matrix:
        options["form"] = "precomputed"
    elif isinstance(kernel, Delta) and p == 1:
        options |= {"form": "rbf", "width": _APART}
    elif isinstance(kernel, (RBF, Laplacian)):
        width = kernel.bandwidth
        if isinstance(width, str):
            off_diagonal = width == "median_offdiag"
            if place is not None:
                width = devices.median_distance(rows[0], place, off_diagonal, report, double=double)
            else:
                source = _core.GramSource(list(rows), **options)
                width = _core.median_distance(source, off_diagonal, threads, report)
            if width == 0:
                reason = f"over half of the distances between rows of {rows[0].name} are 0, which gives no bandwidth"
            elif not math.isfinite(width):
                reason = f"{rows[0].name} spans more than float64 can hold"
            width = width if reason is None else 1.0
            width *= kernel.fraction
        options |= {"form": str(kernel), "width": float(width)}
    varies = matrix or len(rows) > 1 or vary(*COARSEST)
    return Side(tuple(rows), kernel, options, double, threads, options["form"] == "linear", reason, varies)
