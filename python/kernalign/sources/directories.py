"""Directories as people lay them out: of models, of the layers of one, of parts of arrays, in any depth."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from kernalign.sources import SHAPES, NoRowsError, Source, by_name, open_unit
from kernalign.sources import are_layers as arrays_are_layers
from kernalign.sources.contents import files_in
from kernalign.sources.formats import format_of
from kernalign.sources.names import naturally
from kernalign.sources.place import Place
from kernalign.sources.shards import Unit, are_layers, units
from kernalign.sources.stored import AnyArray, Stored

_NO_ROWS = re.compile(r"(.*[-_.])?(labels?|targets?|ids|index|meta(data)?|groups?)", re.IGNORECASE)
_DEEPEST = 16


class Model(NamedTuple):
    """A representation: a short name, one that tells it from all others, and its arrays or why there are none."""

    short: str
    whole: str
    given: list[Source] | Exception


class Found(NamedTuple):
    """The representations of a directory, and what was passed over, in words."""

    models: list[Model]
    skipped: list[str]


def models_of(
    directory: Place, *, layered: bool = False, shards: bool = False, dimensions: tuple[int, ...] = tuple(SHAPES)
) -> Found:
    """The representations of a directory and of those in it, in natural order; one that cannot be opened is among them.

    ``layered``: several 2-D arrays of one file are the layers of one.

    Raises
    ------
    ValueError
        There is none.
    """
    found = Found([], [])
    for place in _walk(directory, found.skipped, set()):
        try:
            own = units(files_in(place), shards=shards)
        except ValueError as error:
            found.models.append(Model(place.path.name, str(place), error))
            continue
        named = [unit for unit in own if not _NO_ROWS.fullmatch(unit.name)]
        found.skipped.extend(f"{unit.place}: it is called like labels" for unit in own if unit not in named)
        hidden = [one for one in place.children() if one.path.name.startswith("._") and format_of(one)]
        found.skipped.extend(f"{one}: a file of macOS about another" for one in hidden)
        layers = [unit for unit in named if _kind(unit, named)]
        if layers:
            whole = len(layers) == len(named)
            name = place.path.name if whole else re.sub(r"[-_. ]*\d+.*", "", layers[0].name)
            found.models.append(_layered(name, str(place) if whole else f"{place}/{name}", layers))
        for unit in named:
            if unit not in layers:
                _single(unit, found, layered, dimensions)
    if not found.models:
        raise ValueError(f"{directory} holds no file with 2-D or 3-D arrays that can be read")
    return found


def layers_of(directory: Place, max_bytes: int | None = None) -> list[Source]:
    """The files of a directory as layers of one representation."""
    found = units([place for place in files_in(directory) if not _NO_ROWS.fullmatch(place.stem)])
    opened = [open_unit(unit, tuple(SHAPES), max_bytes) for unit in found]
    if len(opened) > 1 and any(len(own) != 1 or len(own[0].shape) != 2 for own in opened):
        raise ValueError(f"{directory} must hold files of one 2-D array each, the layers of one model")
    return [replace(one, name=unit.name) for unit, own in zip(found, opened, strict=True) for one in own]


def _walk(directory: Place, skipped: list[str], seen: set[str], depth: int = 0) -> Iterator[Place]:
    """A directory and those in it, each once: links may lead back to where they are."""
    seen.add(directory.identity)
    yield directory
    inner = [one for one in directory.children() if one.is_directory and not one.path.name.startswith(".")]
    for one in sorted(inner, key=lambda place: (place.is_link, naturally(place.path.name))):
        if format_of(one) is not None or depth == _DEEPEST:
            continue
        if one.identity in seen:
            skipped.append(f"{one}: it leads to a directory that was read already")
        else:
            yield from _walk(one, skipped, seen, depth + 1)


def _kind(unit: Unit, among: Sequence[Unit]) -> bool:
    alike = [one for one in among if re.sub(r"\d+", "#", one.name) == re.sub(r"\d+", "#", unit.name)]
    return are_layers(alike)


def _layered(name: str, whole: str, layers: Sequence[Unit]) -> Model:
    opened: list[Source] = []
    for unit in layers:
        try:
            [one] = open_unit(unit, (2,))
        except (ValueError, OSError, ImportError) as error:
            one = Source(unit.name, unit.place, None, _Damaged(str(unit.place), error))
        opened.append(replace(one, name=unit.name))
    return Model(name, whole, opened)


class _Damaged(Stored):
    """A layer that could not be opened, which costs no other."""

    def __init__(self, what: str, error: Exception) -> None:
        super().__init__(what, (0, 0), "u1")
        self._error = error

    def array(self, max_bytes: int | None = None) -> AnyArray:
        raise self._error


def _single(unit: Unit, found: Found, layered: bool, dimensions: tuple[int, ...]) -> None:
    try:
        opened = open_unit(unit, dimensions)
    except NoRowsError as error:
        found.skipped.append(str(error))
    except (ValueError, OSError, ImportError) as error:
        found.models.append(Model(unit.name, str(unit.place), error))
    else:
        if layered and arrays_are_layers(opened):
            found.models.append(Model(unit.name, str(unit.place), by_name(opened)))
            return
        alone = len(opened) == 1
        found.models.extend(Model(unit.name if alone else one.name, one.spec, [one]) for one in opened)
