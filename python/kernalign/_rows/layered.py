"""Opens representations that may have layers: arrays of two or three dimensions, lists of arrays, or files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from kernalign import _core, sources
from kernalign._base.checks import check_same_rows
from kernalign._base.packing import packable
from kernalign._rows import arrays
from kernalign._rows.arrays import AnyArray, Normalize
from kernalign._rows.preprocessing import clip_threshold

CONCATENATED = "concatenated"


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
        return arrays.prepared(self.matrix, self.name, self.bfloat16, **how)

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
    """A named representation and its layers; ``origin`` is what errors call it: the argument or the file."""

    name: str
    origin: str
    layers: tuple[Layer, ...]

    @property
    def n(self) -> int:
        return self.layers[0].rows.shape[0]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return tuple(layer.label for layer in self.layers)


def open_representations(
    given: Any, argument: str, *, normalize: Normalize, clip_quantile: float | None, concatenated: bool
) -> list[Representation]:
    """The representations of a dict of names, in its order.

    A value is an (n, p) array, an (n, L, p) array, a list of L arrays (n, p_l), or the path of a file that holds one
    such array or several layers (``"file.npz:key"`` chooses one of several), which is memory-mapped where its format
    allows; a list of `sources.Source` is such a file that was opened already.

    ``clip_quantile`` makes one threshold for a whole array, all its layers together, but one for every array of a list
    (Huh et al. 2024). The concatenation of all layers (of clipped ones; rows are normalised as a whole) comes last; it
    is a view of an (n, L, p) array where the layout allows, and a copy otherwise.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"{argument} must be a dict of names and representations, got {type(given).__name__}")
    if not given:
        raise ValueError(f"{argument} must hold at least one representation, got none")
    for name in given:
        if not isinstance(name, str) or not name:
            raise TypeError(f"{argument} must have names that are not empty strings, got {name!r}")
    return [
        _open(Place(argument, name, ""), value, normalize, clip_quantile, concatenated) for name, value in given.items()
    ]


@dataclass(frozen=True)
class _Given:
    """What a user gave: the whole array (None: layers that came apart), its layers, and what to call them."""

    origin: str
    whole: Any
    parts: list[Any]
    names: list[str]
    labels: list[str]


def _open(
    place: Place, value: Any, normalize: Normalize, clip_quantile: float | None, concatenated: bool
) -> Representation:
    given = _split(value, f"{place.argument}[{place.name!r}]")
    names = given.names
    plain = [arrays.as_matrix(part, label) for part, label in zip(given.parts, names, strict=True)]
    clips: list[float | None] = [None] * len(plain)
    if clip_quantile is not None:
        sides = [_core.Rows(a, label, bfloat16=bf16) for (a, bf16), label in zip(plain, names, strict=True)]
        if given.whole is not None:
            clips = [clip_threshold(sides, clip_quantile)] * len(plain)
        else:
            clips = [clip_threshold([side], clip_quantile) for side in sides]
    layers = [
        _layer(own, place._replace(label=label), *side, normalize, clip)
        for own, label, side, clip in zip(names, given.labels, plain, clips, strict=True)
    ]
    first = layers[0]
    for layer in layers[1:]:
        check_same_rows(first.rows.shape[0], layer.rows.shape[0], first.name, layer.name)
    if concatenated and len(layers) > 1:
        what = f"{given.origin}, its layers concatenated,"
        layers.append(_concatenation(given.whole, layers, what, place._replace(label=CONCATENATED), normalize))
    return Representation(place.name, given.origin, tuple(layers))


def _split(value: Any, what: str) -> _Given:
    if isinstance(value, (str, os.PathLike)):
        value = sources.open_layers(value)
    if isinstance(value, list) and value and all(isinstance(one, sources.Source) for one in value):
        if len(value) > 1:
            parts, names, labels = zip(*((one.array, one.spec, one.name) for one in value), strict=True)
            return _Given(sources.shown(value[0].path), None, list(parts), list(names), list(labels))
        [source] = value
        what, value = source.spec, source.array
    if isinstance(value, (list, tuple)) and value and all(np.ndim(part) == 2 for part in value):
        return _numbered(what, None, list(value))
    if not hasattr(value, "ndim"):
        value = arrays.to_numpy(value, what)[0]
    if value.ndim == 3:
        if value.shape[1] == 0:
            raise ValueError(f"{what} must have at least one layer, got shape {tuple(value.shape)}")
        return _numbered(what, value, [value[:, layer] for layer in range(value.shape[1])])
    if value.ndim != 2:
        raise ValueError(
            f"{what} must be (items, features), (items, layers, features) or a list of (items, features) arrays, "
            f"got shape {tuple(value.shape)}"
        )
    return _numbered(what, value, [value])


def _numbered(origin: str, whole: Any, parts: list[Any]) -> _Given:
    labels = [str(at) for at in range(len(parts))]
    names = [f"{origin} layer {label}" for label in labels] if len(parts) > 1 else [origin]
    return _Given(origin, whole, parts, names, labels)


def _layer(name: str, place: Place, matrix: AnyArray, bf16: bool, normalize: Normalize, clip: float | None) -> Layer:
    rows = arrays.prepared(matrix, name, bf16, normalize=normalize, clip=clip)
    return Layer(name, place, rows, matrix, bf16, clip, normalize)


def _concatenation(whole: Any, layers: list[Layer], name: str, place: Place, normalize: Normalize) -> Layer:
    if isinstance(whole, np.ndarray) and whole.flags.c_contiguous:
        matrix, bf16 = arrays.as_matrix(whole.reshape(len(whole), -1), name)
        return _layer(name, place, matrix, bf16, normalize, layers[0].clip)
    matrix = np.concatenate([layer.clipped() for layer in layers], axis=1)
    return _layer(name, place, matrix, False, normalize, None)
