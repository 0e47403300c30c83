"""What a file holds, or a directory of its parts: arrays by their keys, with the names of their rows."""

from __future__ import annotations

import errno
import os
from collections import defaultdict

from kernalign.sources.formats import DIRECTORIES, format_of
from kernalign.sources.names import names_rows
from kernalign.sources.place import Place, intact
from kernalign.sources.shards import Unit, units
from kernalign.sources.stored import Joined, Stored

Members = dict[str | None, Stored]
KNOWN = ".npy, .npz, .safetensors, .h5 or another ending that kernalign info lists"
IDS = ".ids.txt"

_POINTER = b"version https://git-lfs"


def members_of(place: Place) -> Members:
    """The arrays of a file, of a store, or of a directory whose files are the parts of one.

    Raises
    ------
    ValueError, OSError, ImportError
        As `kernalign.sources.open_source`.
    """
    if not place.exists:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
    found = format_of(place)
    if place.is_directory and found not in DIRECTORIES:
        return members_of_unit(_only(place))
    if not (place.is_file or place.is_directory):
        raise ValueError(f"{place} must be a regular file")
    if found is None:
        raise ValueError(
            f"{place} must end in {KNOWN}, got {place.suffix or 'no suffix'!r}; numpy.save('x.npy', array) writes what"
            " can be read everywhere"
        )
    if place.is_file and place.size < 1024:
        with place.open() as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise ValueError(f"{place} is a Git LFS pointer, not the file itself: git lfs pull brings it")
    members = found.reader().members(place)
    _name_rows(members, place)
    return members


def members_of_unit(unit: Unit) -> Members:
    """The arrays of a file, or those of its parts joined."""
    if len(unit.places) == 1:
        return members_of(unit.places[0])
    parts: dict[str | None, list[Stored]] = defaultdict(list)
    for place in unit.places:
        for key, stored in members_of(place).items():
            parts[key].append(stored)
    found: Members = {}
    for key, own in parts.items():
        if len(own) == len(unit.places):
            found[key] = Joined(f"{unit.place}" if key is None else f"{unit.place}:{key}", own)
    return found


def files_in(directory: Place) -> list[Place]:
    """The files of a directory, and stores in it, that can be opened; what is hidden or tells of others is not."""
    inside = [place for place in directory.children() if not place.path.name.startswith(".")]
    kinds = ((place, format_of(place)) for place in inside if place.suffix != ".txt")  # which tells of other files
    return [place for place, found in kinds if found and (found in DIRECTORIES or place.is_file)]


def _only(directory: Place) -> Unit:
    files = files_in(directory)
    if not files:
        raise ValueError(f"{directory} holds no file that ends in {KNOWN}")
    found = units(files)
    if len(found) > 1:
        listed = ", ".join(unit.place.path.name for unit in found[:4])
        raise ValueError(f"{directory} holds {len(found)} files; choose one: {listed}{', …' * (len(found) > 4)}")
    return found[0]


def _name_rows(members: Members, place: Place) -> None:
    """Let arrays take as names of their rows what is called ids in their file or stands in FILE.ids.txt beside it."""
    beside = place.local and next(
        (one for one in (place.beside(place.path.stem + IDS), place.beside(place.path.name + IDS)) if one.is_file), None
    )
    if beside:
        with intact(beside, "text of names"):
            lines = beside.path.read_text(encoding="utf-8").splitlines()  # type: ignore[attr-defined]
        arrays = [stored for stored in members.values() if stored.ndim > 1]
        if arrays and not any(len(stored) == len(lines) for stored in arrays):
            raise ValueError(f"{beside} must have a line for each of the {len(arrays[0])} rows, got {len(lines)}")
        for stored in arrays:
            stored.names = lines if len(stored) == len(lines) else stored.names
    for key, column in members.items():
        if key is None or column.ndim != 1 or not names_rows(key.rpartition("/")[2]):
            continue
        for stored in members.values():
            if stored.ndim > 1 and stored.names is None and len(stored) == len(column):
                stored.names = column
