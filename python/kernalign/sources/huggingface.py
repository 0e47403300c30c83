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
    for name in _read(splits).get("splits", []):
        for key, stored in _of_one(place.inside(_plain(name, place))).items():
            found[name if key is None else f"{name}/{key}"] = stored
    return found


def _of_one(place: Place) -> dict[str | None, Stored]:
    parts: dict[str | None, list[Stored]] = defaultdict(list)
    files = _read(place.inside("state.json")).get("_data_files", [])
    for entry in files:
        for key, stored in ipc.members(place.inside(_plain(entry["filename"], place))).items():
            parts[key].append(stored)
    return {key: own[0] if len(own) == 1 else Joined(f"{place}:{key}", own) for key, own in parts.items()}


def _read(place: Place) -> dict[str, Any]:
    with intact(place, _KIND), place.open() as file:
        found = json.loads(file.read(_MOST_BYTES))
        if not isinstance(found, dict):
            raise ValueError(f"{place} must be a JSON object")
        return found


def _plain(name: Any, place: Place) -> str:
    if not isinstance(name, str) or PurePosixPath(name).name != name:
        raise ValueError(f"{place} must name files in it, got {name!r:.160}")
    return name
