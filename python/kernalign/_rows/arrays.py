"""The one place that validates user arrays and says how their rows are read, without copying them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, Unpack

import numpy as np

from kernalign import _core
from kernalign._base import hazards
from kernalign._base.checks import check_choice, check_same_rows
from kernalign._base.memory import check_memory
from kernalign._base.progress import ProgressArgument, Report, reporting
from kernalign._base.score import AlignmentWarning
from kernalign._base.threads import held
from kernalign._base.warn import warn
from kernalign._rows import on_device
from kernalign._rows.duplicates import repetition, repetition_in_samples
from kernalign._rows.indicators import Indicators
from kernalign._rows.items import Given, Items, Undirected, taken
from kernalign._rows.numeric import AnyArray, as_matrix
from kernalign._rows.options import NORMALIZE, PLAIN, Asked, Normalize, Options, asked, check_one_sided
from kernalign._rows.pairing import Kept, Places, index_of, match, side
from kernalign._rows.preprocessing import (
    clip_threshold,
    counting_column,
    look_like_dissimilarities,
    rounding_of,
    standard_scale,
)
from kernalign.sources.objects import native, stored

_REPEATS, _UNKNOWN, _DISTANCES, _COUNTS = 1, 2, 4, 8  # csrc/cpu/runtime/near_rows.hpp
FEW_COLUMNS = 16  # with fewer, the rounding of single float32 products does not average out


MUCH = 1 << 30  # bytes, up to which nobody asks whether they are free
_BLOCKS = 100_000_000, 5_000_000  # of rows, of tiles of every thread, and of what a p-value takes when it is read
SUMS = 300  # bytes of every row of a side whose Gram matrix is summed
Flags: TypeAlias = tuple[bool, bool]
ROWS_LESS = "fewer rows need less"
COLUMNS_LESS = "fewer columns need less"


@dataclass(eq=False)
class Pair:
    """Two paired representations, ready for an engine, and how the caller wants it to work.

    ``settings`` say how the rows were paired and preprocessed, and how many were dropped; ``taken`` says which rows
    of x the pair has, if not all, or what their labels are. An engine shall read them on the CUDA device
    ``place`` (None: on the CPU), where they may already be. ``budget`` are the bytes that the call may take beside its
    input (None: most of what is free).
    """

    x: _core.Rows
    y: _core.Rows
    settings: dict[str, Any]
    threads: int = 0
    progress: ProgressArgument = False
    taken: Kept | None = None
    place: int | None = None
    budget: int | None = None

    @property
    def n(self) -> int:
        return self.x.shape[0]

    @property
    def kept(self) -> Kept:
        """Which rows of x, as they were given, the pair has."""
        return self.taken or Kept(self.n)

    @contextmanager
    def working(self, label: str) -> Iterator[Report]:
        """A context for work by NumPy and SciPy, held to the threads of the call, that yields a report of progress."""
        size = min(self.n, max(self.x.shape[1], self.y.shape[1]))
        with held(self.threads, size), reporting(self.progress, label) as report:
            yield report

    def check(self, threads: int) -> None:
        """Read all rows once, so that a bad one is found before anything else has been done."""
        for rows in (self.x, self.y):
            _core.check_rows(rows, threads)

    def afford(self, metric: str, held: float, remedy: str = ROWS_LESS) -> None:
        """Raise if what a call holds beside its input, and blocks of it, is over the budget."""
        if self.budget is not None or held > MUCH:
            (n, p), (m, q) = self.x.shape, self.y.shape
            afford(f"{metric} of {n} x {p} and {m} x {q}", held, self.budget, self.threads, remedy)

    def afford_products(self, metric: str, of_columns: float, of_pairs: float = 0) -> None:
        """The same for products of columns, or for few rows in float64, and for pairs of columns of both sides."""
        (n, p), q = self.x.shape, self.y.shape[1]
        wide = n <= p + q
        held = 16 * n * (p + q) if wide else of_columns * (p * p + p * q + q * q)
        self.afford(metric, held + of_pairs * p * q, ROWS_LESS if wide else COLUMNS_LESS)

    def afford_sums(self, metric: str, more: int = 0) -> None:
        """The same for the sums of linear kernels, by features or by Gram matrices, and some bytes of every row."""
        (n, p), q = self.x.shape, self.y.shape[1]
        feature = n > p + q
        held = 8 * (p * p + p * q + q * q) if feature else 2 * SUMS * n
        self.afford(metric, held + more * n, COLUMNS_LESS if feature else ROWS_LESS)


def afford(what: str, held: float, budget: int | None = None, threads: int = 0, remedy: str = ROWS_LESS) -> None:
    """Raise if what a call holds, and blocks of its input, are over the budget; small calls need not ask unless there
    is one."""
    if budget is not None or held > MUCH:
        fixed, each = _BLOCKS
        nbytes = int(held) + fixed + each * (threads or int(_core.build_info()["threads"]))
        check_memory(nbytes, what, budget, remedy, "memory_budget")


def pair(
    x: Any,
    y: Any,
    *,
    unit_rows: bool = False,
    divided: bool | Flags = False,
    zero_mean: bool = False,
    square: bool | Flags = False,
    advise: bool = True,
    grouped: bool = False,
    devices: bool = False,
    names: tuple[str, str] = ("x", "y"),
    **options: Unpack[Options],
) -> Pair:
    """Validate two paired representations and attach their preprocessing.

    ``unit_rows`` says that the metric itself divides by row norms (cosine), so that zero rows matter; ``divided``, that
    the rows shall be read divided already, and ``zero_mean`` that their means be subtracted before. With ``square``,
    both are Gram matrices; of ``divided`` and ``square`` each side may have its own. Errors ``advise`` to drop bad rows
    where the caller has such options, warn of repeated items unless these are ``grouped``, of a first or last column
    that counts the rows, and of dissimilarities. With ``devices`` arrays may be, and stay, on a CUDA device; nothing is
    warned of there. ``names`` are the caller's.
    """
    how = asked(options, devices) if options else PLAIN
    divisions = divided if isinstance(divided, tuple) else (divided, divided)
    place, there = None, None
    if type(x) is not np.ndarray or type(y) is not np.ndarray or how.device is not None:
        if how.device == "cpu":
            x, y = on_device.downloaded(x), on_device.downloaded(y)
        elif devices:
            place = on_device.common_place(((names[0], x), (names[1], y)), how.device)
            if place is not None and (on_device.place_of(x), on_device.place_of(y)) != (None, None):
                if not how.reads_first:
                    return _device_pair(x, y, place, how, advise, divisions, names)
                there = x, y
                x, y = on_device.downloaded(x), on_device.downloaded(y)
        x, y = stored(x, names[0]), stored(y, names[1])
    (a, a_bf16), (b, b_bf16) = as_matrix(x, names[0]), as_matrix(y, names[1])
    settings: dict[str, Any] = {"normalize": how.normalize, "clip_quantile": how.clip_quantile}
    kept = None
    squares = square if isinstance(square, tuple) else (square, square)
    if (how is PLAIN or how.all_items) and type(x) is np.ndarray and type(y) is np.ndarray:
        check_same_rows(a.shape[0], b.shape[0], *names)
        settings["pairing"] = "position"
    else:
        given = (Given(names[0], a, a_bf16, x), Given(names[1], b, b_bf16, y))
        kind: Undirected = "constant" if zero_mean else "zero"
        undirected: list[Undirected] = [kind if unit_rows or own or how.normalize == "l2" else "" for own in divisions]
        found = how.common_items(given, undirected, square=squares)
        settings, kept = settings | found.settings, found.kept
        there = there if found.rows[0] is None and found.rows[1] is None else None
        a, b = (taken(side, rows, square=own) for side, rows, own in zip((a, b), found.rows, squares, strict=True))
    given_as_is = how.normalize is None and how.clip_quantile is None and not (zero_mean or a_bf16 or b_bf16)
    if given_as_is and True not in divisions:  # in few steps
        left, right = _core.Rows(a, names[0], paired=advise), _core.Rows(b, names[1], paired=advise)
    else:
        kwargs: dict[str, Any] = {"zero_mean": zero_mean, "paired": advise}
        kwargs |= {"normalize": how.normalize, "clip_quantile": how.clip_quantile}
        left = _rows(a, names[0], a_bf16, divided=divisions[0], **kwargs)
        right = _rows(b, names[1], b_bf16, divided=divisions[1], **kwargs)
    if advise and not grouped:
        for matrix, rows, name, own in ((a, left, names[0], squares[0]), (b, right, names[1], squares[1])):
            if own or type(matrix) is Indicators:
                continue
            seen = rows.looks
            if not seen:
                continue
            if _may_repeat(seen, matrix):
                _warn_of_repetition(matrix, rows, name)
            if seen & _DISTANCES and look_like_dissimilarities(matrix):
                warn(hazards.dissimilarities_as_features().of(name), AlignmentWarning)
            if seen & _COUNTS:
                _warn_of_counting(matrix, name, how.normalize)
    if place is not None and there is not None:
        left, right = (_over(one, rows, place) for one, rows in zip(there, (left, right), strict=True))
    return Pair(left, right, settings, how.threads, how.progress, kept, place, how.budget)


def _device_pair(x: Any, y: Any, place: int, how: Asked, paired: bool, divided: Flags, names: tuple[str, str]) -> Pair:
    """Two representations, one at least of which is on a device, of which nothing need be known first."""
    given = zip((x, y), names, divided, strict=True)
    left, right = (_rows_at(side, name, place, how.normalize, own, paired) for side, name, own in given)
    check_same_rows(left.shape[0], right.shape[0], *names)
    settings = {"normalize": how.normalize, "clip_quantile": how.clip_quantile, "pairing": "position"}
    return Pair(left, right, settings, how.threads, how.progress, None, place, how.budget)


def _rows_at(
    x: Any, name: str, place: int | None, normalize: Normalize, divided: bool = False, paired: bool = False
) -> Any:
    """Rows of an array on that device, or on the CPU."""
    if place is not None and on_device.place_of(x) is not None:
        return on_device.device_rows(x, name, place, divided=divided or normalize == "l2", paired=paired)
    matrix, bf16 = as_matrix(x, name)
    return _rows(matrix, name, bf16, normalize=normalize, clip_quantile=None, divided=divided, paired=paired)


def _over(x: Any, rows: _core.Rows, place: int) -> Any:
    """Rows of an array on the device, read as its copy; those of an array on the CPU as they are."""
    return rows if on_device.place_of(x) is None else on_device.over(x, rows, place)


def _may_repeat(seen: int, matrix: AnyArray) -> bool:
    """Whether it is worth to look for repeated rows, by what was ``seen`` at a glance."""
    if seen & _REPEATS or not seen & _UNKNOWN:
        return bool(seen & _REPEATS)
    column = matrix[:, matrix.shape[1] // 2].copy()
    column.sort()
    return bool((column[1:] == column[:-1]).any())


def _warn_of_repetition(matrix: AnyArray, rows: _core.Rows, name: str) -> bool:
    found = repetition(matrix, rows, name)
    if found:
        warn(found, AlignmentWarning)
    return found is not None


def warn_of_repetition(x: Any, name: str) -> bool:
    """Warn of repeated items of one input, where no `pair` of it does; and whether there are any."""
    matrix, bf16 = as_matrix(x, name)
    if type(matrix) is Indicators:
        return False
    rows = _core.Rows(matrix, name, bfloat16=bf16)
    return _may_repeat(rows.looks, matrix) and _warn_of_repetition(matrix, rows, name)


def _warn_of_counting(matrix: AnyArray, name: str, normalize: Normalize) -> None:
    found = None if normalize == "standardize" else counting_column(matrix)
    if found is not None:
        warn(hazards.counting_column(*found).of(name), AlignmentWarning)


def same_items(
    given: Sequence[tuple[str, Any]],
    options: Options,
    undirected: Undirected | Sequence[Undirected] = "",
    *,
    square: bool | Sequence[bool] = False,
) -> tuple[list[Any], Items]:
    """Several inputs, less the rows that `pair` would not take, in one order of items; what is left as it is is not
    copied. Removes from ``options`` what has been done."""
    how = asked(options)
    given = [(name, stored(value, name)) for name, value in given]
    inputs = [Given(name, *as_matrix(value, name), value) for name, value in given]
    found = how.common_items(inputs, undirected, square=square)
    for done in ("pairing", "ids", "zero_rows", "nan_rows"):
        options.pop(done, None)  # type: ignore[misc]
    squares = [square] * len(inputs) if isinstance(square, bool) else square
    paired = zip(inputs, found.rows, squares, strict=True)
    return [chosen(one.value, rows, own) for one, rows, own in paired], found


def aligned(*given: tuple[str, Any]) -> list[Any]:
    """Inputs, 1-D ones too, in one order of items by the labels that they carry; none is dropped."""
    values = [native(value, name) for name, value in given]
    if sum(index_of(value) is not None for value in values) < 2:
        return values
    present = [(name, value) for (name, _), value in zip(given, values, strict=True) if value is not None]
    matched = match([side(name, (*np.shape(value), 0)[0], value) for name, value in present], "auto")
    found = iter(matched.rows)
    return [None if value is None else chosen(value, next(found)) for value in values]


def chosen(x: Any, rows: Places | None, square: bool = False) -> Any:
    """These rows of what a user gave."""
    if rows is None:
        return x
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        array = x.detach()
    else:
        array = x if type(x) is Indicators else np.asarray(x)
    return array[rows][:, rows] if square else array[rows]


def rows(
    x: Any,
    name: str = "x",
    *,
    normalize: Normalize = None,
    clip_quantile: float | None = None,
    divided: bool = False,
    zero_mean: bool = False,
) -> _core.Rows:
    """Validate one representation and attach its preprocessing; ``divided`` and ``zero_mean`` as for `pair`."""
    matrix, bf16 = as_matrix(x, name)
    how = {"divided": divided, "zero_mean": zero_mean}
    return _rows(matrix, name, bf16, normalize=normalize, clip_quantile=clip_quantile, **how)


def rows_anywhere(
    x: Any, *, device: str | None, normalize: Normalize, clip_quantile: float | None
) -> tuple[Any, int | None]:
    """The rows of one array and the CUDA device where an engine shall read them, as a `Pair` has those of two."""
    wanted = on_device.check_device(device)
    if wanted == "cpu":
        x = on_device.downloaded(x)
    place = on_device.common_place((("x", x),), wanted)
    if normalize is not None:
        check_choice(normalize, "normalize", NORMALIZE)
    if normalize != "standardize" and clip_quantile is None:
        return _rows_at(x, "x", place, normalize), place
    found = rows(on_device.downloaded(x), normalize=normalize, clip_quantile=clip_quantile)
    return found if place is None else _over(x, found, place), place


def _rows(
    matrix: AnyArray, name: str, bf16: bool, *, normalize: Normalize, clip_quantile: float | None, **how: bool
) -> _core.Rows:
    clip = None
    if clip_quantile is not None and type(matrix) is not Indicators:
        clip = clip_threshold([_core.Rows(matrix, name, bfloat16=bf16)], clip_quantile)
    return prepared(matrix, name, bf16, normalize=normalize, clip=clip, **how)


def prepared(
    matrix: AnyArray,
    name: str,
    bf16: bool,
    *,
    normalize: Normalize,
    clip: float | None,
    divided: bool = False,
    zero_mean: bool = False,
    paired: bool = False,
) -> _core.Rows:
    """Attach preprocessing whose clipping threshold is known to what `as_matrix` returned; see `pair`."""
    if normalize is not None:
        check_choice(normalize, "normalize", NORMALIZE)
    if type(matrix) is Indicators:
        return _core.Rows(matrix, name, paired=paired)
    options: dict[str, Any] = {"bfloat16": bf16, "unit_norm": divided or normalize == "l2", "zero_mean": zero_mean}
    options["paired"] = paired
    if clip is not None:
        options["clip"] = clip
    if normalize == "standardize":
        plain = _core.Rows(matrix, name, bfloat16=bf16, clip=clip)
        mean, scale = standard_scale(plain, rounding=rounding_of(matrix, bf16))
        options |= {"shift": list(mean), "scale": list(scale)}
    return _core.Rows(matrix, name, **options)


def samples(x: Any, y: Any, *, divided: bool = False, grouped: bool = False, **options: Unpack[Options]) -> Pair:
    """Validate two samples of the same features, rows not paired; "standardize" takes moments of both together.

    Warns of repeated items unless these are ``grouped``.
    """
    how = asked(options)
    normalize, quantile = how.normalize, how.clip_quantile
    check_one_sided(options, "rows are not paired")
    (a, a_bf16), (b, b_bf16) = as_matrix(x, "x"), as_matrix(y, "y")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"x and y must have the same number of columns, got {a.shape[1]} and {b.shape[1]}")
    common: dict[str, Any] = {"normalize": None if normalize == "standardize" else normalize, "clip_quantile": quantile}
    common["divided"] = divided and normalize != "standardize"
    sides = [_rows(matrix, name, bf16, **common) for matrix, name, bf16 in ((a, "x", a_bf16), (b, "y", b_bf16))]
    if normalize == "standardize":
        mean, scale = standard_scale(*sides, rounding=max(rounding_of(a, a_bf16), rounding_of(b, b_bf16)))
        clips = [None if quantile is None else clip_threshold([side], quantile) for side in sides]
        sides = [
            _core.Rows(matrix, name, bfloat16=bf16, clip=clip, shift=list(mean), scale=list(scale), unit_norm=divided)
            for matrix, name, bf16, clip in ((a, "x", a_bf16, clips[0]), (b, "y", b_bf16, clips[1]))
        ]
    if not grouped and any(_may_repeat(rows.looks, matrix) for rows, matrix in zip(sides, (a, b), strict=True)):
        for hazard in repetition_in_samples((a, a_bf16), (b, b_bf16), (sides[0], sides[1])):
            warn(hazard, AlignmentWarning)
    settings: dict[str, Any] = {"normalize": normalize, "clip_quantile": quantile}
    return Pair(sides[0], sides[1], settings, how.threads, how.progress, budget=how.budget)
