"""Reads directories that Hugging Face's ``save_to_disk`` wrote: data sets, and dicts of them by split."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import PurePosixPath
from typing import Any

from kernalign.sources import ipc
from kernalign.sources.place import Place, intact
from kernalign.sources.stored import Joined, Stored

_KIND = "data set directory"
_MOST_BYTES = 16 << 20  # of a description


def members(place: Place) -> dict[str | None, Stored]:
    """The columns (see `tables.members`), of a dict of splits as ``split/column``."""
    splits = place.inside("dataset_dict.json")
    if not splits.exists:
        return _of_one(place)
    found: dict[str | None, Stored] = {}
    for name in _listed(splits, "splits"):
        for key, stored in _of_one(place.inside(_plain(name, place))).items():
            found[name if key is None else f"{name}/{key}"] = stored
    return found


def _of_one(place: Place) -> dict[str | None, Stored]:
    parts: dict[str | None, list[Stored]] = defaultdict(list)
    for entry in _listed(place.inside("state.json"), "_data_files"):
        name = entry.get("filename") if isinstance(entry, dict) else entry
        for key, stored in ipc.members(place.inside(_plain(name, place))).items():
            parts[key].append(stored)
    return {key: own[0] if len(own) == 1 else Joined(f"{place}:{key}", own) for key, own in parts.items()}


def _listed(place: Place, key: str) -> list[Any]:
    with intact(place, _KIND), place.open() as file:
        found = json.loads(file.read(_MOST_BYTES))
        listed = found.get(key, []) if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise ValueError(f"{place} must be a JSON object with a list of {key}")
        return listed


def _plain(name: Any, place: Place) -> str:
    if not isinstance(name, str) or PurePosixPath(name).name != name:
        raise ValueError(f"{place} must name files in it, got {name!r:.160}")
    return name
