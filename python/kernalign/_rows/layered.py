"""Opens representations that may have layers: arrays of two or three dimensions, lists of arrays, or files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from kernalign import _core, sources
from kernalign._base.cached import cached_property
from kernalign._base.checks import shown
from kernalign._base.packing import packable
from kernalign._rows import arrays
from kernalign._rows.dissimilarities import given_dissimilarities
from kernalign._rows.indicators import Indicators
from kernalign._rows.layer_rows import AS_THEY_ARE, LayersGiven, RowOptions, attempt, pair_rows
from kernalign._rows.numeric import AnyArray, as_matrix, to_numpy
from kernalign._rows.options import Normalize
from kernalign._rows.pairing import Kept
from kernalign._rows.preprocessing import clip_threshold
from kernalign.sources import directories
from kernalign.sources.formats import format_of
from kernalign.sources.objects import native, stored
from kernalign.sources.stored import Stored

CONCATENATED = "concatenated"
Made = TypeVar("Made")


@packable
class Place(NamedTuple):
    """Where a layer stands: the argument, the name of its representation, its own label."""

    argument: str
    name: str
    label: str


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a representation, ready for an engine."""

    name: str
    place: Place
    rows: _core.Rows
    matrix: AnyArray
    bfloat16: bool
    clip: float | None
    normalize: Normalize

    @property
    def label(self) -> str:
        return self.place.label

    @cached_property
    def width(self) -> int:
        return self.rows.shape[1]

    def rows_as(self, *, divided: bool, zero_mean: bool = False) -> _core.Rows:
        """The rows, less their means and divided by their lengths if asked for (`arrays.pair`)."""
        how: Any = {"normalize": self.normalize, "clip": self.clip, "divided": divided, "zero_mean": zero_mean}
        return arrays.prepared(self.matrix, self.name, self.bfloat16, paired=True, **how)

    @property
    def constant(self) -> bool:
        """Whether all rows are the same."""
        return all(np.array_equal(row, self.matrix[0]) for row in self.matrix)

    def clipped(self) -> AnyArray:
        """The layer as an array, clipped but not normalised: a view where nothing is clipped."""
        if self.bfloat16:
            matrix: AnyArray = (self.matrix.astype(np.uint32) << np.uint32(16)).view(np.float32)
        else:
            matrix = self.matrix
        if self.clip is None or self.clip == np.inf:
            return matrix
        if matrix.dtype.kind != "f":
            matrix = matrix.astype(np.float64)
        return np.clip(matrix, -self.clip, self.clip)  # the threshold is one of the values: no rounding


@dataclass(frozen=True, eq=False)
class Representation:
    """A named representation, and for every label its layer or the error that kept it from being opened.

    ``origin`` is what errors call it: the argument or the file; ``stacked`` is one whose layers came as one array.
    """

    name: str
    origin: str
    opened: Mapping[str, Layer | Exception]
    stacked: bool = False

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.opened)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Those that could be opened."""
        return tuple(one for one in self.opened.values() if isinstance(one, Layer))


def open_representations(
    sides: Mapping[str, Any],
    *,
    normalize: Normalize,
    clip_quantile: float | None,
    concatenated: bool,
    record: bool = False,
    rows: RowOptions | None = None,
) -> tuple[dict[str, list[Representation]], Kept | None, dict[str, Any]]:
    """The representations of dicts of names, by argument, in their order; all have rows of the same items.

    And which rows of the first layer these are (None: all, as they are), and how they were paired and which were
    dropped, as settings.

    A value is an (n, p) array, an (n, L, p) array, a list of L arrays (n, p_l) or a dict of them by name, or the path
    of a file that holds one such array or several layers (``"file.npz:key"`` chooses one of several), which is
    memory-mapped where its format allows; a list of `sources.Source` is such a file that was opened already.

    ``clip_quantile`` makes one threshold for a whole array, all its layers together, but one for every array of a list
    (Huh et al. 2024). The concatenation of all layers (of clipped ones; rows are normalised as a whole) comes last; it
    is a view of an (n, L, p) array where the layout allows, and a copy otherwise.

    ``record``: what cannot be opened, or has another number of rows than most, is an error in the place of a layer.
    """
    for argument, given in sides.items():
        if not isinstance(given, Mapping):
            raise TypeError(f"{argument} must be a dict of names and representations, got {type(given).__name__}")
        if not given:
            raise ValueError(f"{argument} must hold at least one representation, got none")
        _check_names(given, argument)
    places = [Place(argument, name, "") for argument, given in sides.items() for name in given]
    triangles = rows is not None and rows.triangles
    found = {place: _read(sides[place.argument][place.name], place, record, triangles) for place in places}
    kept, settings = pair_rows(list(found.values()), rows or AS_THEY_ARE, record)
    how: Any = {"normalize": normalize, "clip_quantile": clip_quantile, "concatenated": concatenated, "record": record}
    opened = {
        place: Representation(place.name, one.origin, _layers(place, one, **how), stacked=len(one.axes) == 3)
        for place, one in found.items()
    }
    by_side = {argument: [one for place, one in opened.items() if place.argument == argument] for argument in sides}
    return by_side, kept, settings


def _read(value: Any, place: Place, record: bool, triangles: bool) -> LayersGiven:
    what = f"{place.argument}[{place.name!r}]"
    given = attempt(lambda: layers_given(value, what, triangles=triangles), record)
    if isinstance(given, Exception):
        return LayersGiven(what, None, [None], [what], ["0"], [given], place.name)
    given.name, given.side = place.name, int(place.argument == "ys")
    for at, name in enumerate(given.names):
        if triangles:
            made = attempt(partial(given_dissimilarities, given.parts[at], name), record)
            if isinstance(made, Exception):
                given.plain.append(made)
                continue
            given.parts[at] = made  # with the labels of its conditions
        given.plain.append(attempt(partial(as_matrix, given.parts[at], name), record))
    return given


def _layers(
    place: Place,
    given: LayersGiven,
    *,
    normalize: Normalize,
    clip_quantile: float | None,
    concatenated: bool,
    record: bool,
) -> dict[str, Layer | Exception]:
    found: dict[str, Any] = {}
    plain: list[Any] = list(given.plain)
    clips = _clips(given, clip_quantile, record)
    for name, label, side, clip in zip(given.names, given.labels, plain, clips, strict=True):
        bad = first_error((side, clip))
        make: Callable[[], Any] = partial(_layer, name, place._replace(label=label), side, normalize, clip)
        found[label] = bad or attempt(make, record)
    if concatenated and len(found) > 1:
        if CONCATENATED in found:
            raise ValueError(f"{given.origin} must have no layer called {CONCATENATED!r} where concatenated=True")
        what, layers = f"{given.origin}, its layers concatenated,", list(found.values())
        make = partial(_concatenation, given.whole, layers, what, place._replace(label=CONCATENATED), normalize)
        found[CONCATENATED] = first_error(layers) or attempt(make, record)
    return found


def _clips(given: LayersGiven, quantile: float | None, record: bool) -> Sequence[Any]:
    """The threshold of every layer: one for a whole array."""
    if quantile is None or type(given.whole) is Indicators:
        return [None] * len(given.plain)
    sides: list[Any] = [
        side if isinstance(side, Exception) else _core.Rows(side[0], name, bfloat16=side[1])
        for side, name in zip(given.plain, given.names, strict=True)
    ]
    groups = [[side] for side in sides] if given.whole is None else [sides]
    clips: list[Any] = [
        first_error(group) or attempt(partial(clip_threshold, group, quantile), record) for group in groups
    ]
    return clips if given.whole is None else clips * len(sides)


def _check_names(given: Iterable[Any], what: str) -> None:
    for name in given:
        if not isinstance(name, str) or not name:
            raise TypeError(f"{what} must have names that are not empty strings, got {shown(name)}")


def first_error(values: Iterable[Any]) -> Exception | None:
    """The first of these that is an error, if one is."""
    for one in values:
        if isinstance(one, Exception):
            return one
    return None


def layers_given(value: Any, what: str, *, triangles: bool = False) -> LayersGiven:
    """The layers of a representation, as they are: of a path, of sources, or of arrays; vectors may be ``triangles`` of
    dissimilarities."""
    if isinstance(value, (str, os.PathLike)):
        value = _of_path(value, triangles)
    if isinstance(value, Exception):
        raise value
    if isinstance(kept := stored(value, what), Stored):
        found = split(kept.array(), what, triangles=triangles)
        found.carried = kept
        return found
    if isinstance(value, list) and value and all(isinstance(one, sources.Source) for one in value):
        carried = value[0].stored
        if len(value) > 1:
            parts, names, labels = zip(*((one.stored, one.spec, one.name) for one in value), strict=True)
            return LayersGiven(str(value[0].place), None, list(parts), list(names), list(labels))
        [source] = value
        found = split(source.array, source.spec, triangles=triangles)
        found.carried = carried
        return found
    return split(value, what, triangles=triangles)


def _of_path(given: str | os.PathLike[str], triangles: bool) -> list[sources.Source]:
    """What a file holds, or the layers in the files of a directory."""
    place, key = sources.split_spec(given)
    if key is None and place.is_directory and format_of(place) is None:
        return directories.layers_of(place)
    return opened_layers(given, triangles)


def opened_layers(given: str | os.PathLike[str], triangles: bool) -> list[sources.Source]:
    """The layers of a file; a vector only where there is nothing else, and it may be a triangle of dissimilarities."""
    try:
        return sources.open_layers(given)
    except sources.NoRowsError:
        if not triangles:
            raise
        return sources.open_layers(given, dimensions=(1,))


def split(value: Any, what: str, *, triangles: bool = False) -> LayersGiven:
    """The layers of an array, or of a list or dict of them, that errors call ``what``.

    A vector may be the triangle of a matrix of dissimilarities. A list is one of layers as soon as one of its
    parts has two axes: the others must then be layers too.
    """
    value = native(value, what)
    if isinstance(value, Mapping) and value:
        _check_names(value, what)
        parts = [native(part, what) for part in value.values()]
        return LayersGiven(what, None, parts, [f"{what} layer {label}" for label in value], list(value))
    if isinstance(value, (list, tuple)) and any(_axes(part) == 2 for part in value):
        return numbered(what, None, [native(part, what) for part in value])
    if not hasattr(value, "ndim") or isinstance(value, memoryview):
        array = to_numpy(value, what)[0]
        if array.ndim == 0:
            as_matrix(value, what)  # which says what it is
        value = array
    if value.ndim == 3:
        if value.shape[1] == 0:
            raise ValueError(f"{what} must have at least one layer, got shape {tuple(value.shape)}")
        return numbered(what, value, [value[:, layer] for layer in range(value.shape[1])])
    if value.ndim == 1 and triangles and value.dtype.kind in "fiu":
        return numbered(what, value, [value])
    if value.ndim != 2 and not (value.ndim == 1 and value.dtype == object):  # a column of rows may be one
        raise ValueError(
            f"{what} must be (items, features), (items, layers, features) or a list or dict of (items, features) "
            f"arrays, got shape {tuple(value.shape)}; kernalign.sources.arranged.arranged takes other axes"
        )
    return numbered(what, value, [value])


def _axes(value: Any) -> int:
    """How many axes an array has, or lists as deep as their first entries."""
    depth = 0
    while isinstance(value, (list, tuple)) and depth < 64:  # one may hold itself
        depth += 1
        if not value:
            return depth
        value = value[0]
    return depth + int(getattr(value, "ndim", 2 if hasattr(value, "__array__") else 0))


def numbered(origin: str, whole: Any, parts: list[Any]) -> LayersGiven:
    """Layers that have no other names than their places."""
    labels = [str(at) for at in range(len(parts))]
    names = [f"{origin} layer {label}" for label in labels] if len(parts) > 1 else [origin]
    return LayersGiven(origin, whole, parts, names, labels)


def _layer(name: str, place: Place, side: tuple[AnyArray, bool], normalize: Normalize, clip: float | None) -> Layer:
    matrix, bf16 = side
    rows = arrays.prepared(matrix, name, bf16, normalize=normalize, clip=clip, paired=True)
    return Layer(name, place, rows, matrix, bf16, clip, normalize)


def _concatenation(whole: Any, layers: list[Layer], name: str, place: Place, normalize: Normalize) -> Layer:
    if isinstance(whole, np.ndarray) and whole.flags.c_contiguous:
        side = as_matrix(whole.reshape(len(whole), -1), name)
        return _layer(name, place, side, normalize, layers[0].clip)
    matrix = np.concatenate([layer.clipped() for layer in layers], axis=1)
    return _layer(name, place, (matrix, False), normalize, None)
