"""Reads JSON lines: objects whose fields are columns, or lists of numbers that are rows."""

from __future__ import annotations

import json

import numpy as np

from kernalign.sources import tables
from kernalign.sources.place import Place, intact
from kernalign.sources.stored import Held, Stored

_KIND = "file of JSON lines"
_BLOCK = 16 << 20


def members(place: Place) -> dict[str | None, Stored]:
    """The fields of the objects (see `tables.members`), or the one array of lists."""
    tables.check_text(place.size, place)
    with intact(place, _KIND), place.open() as file:
        objects = file.read(1) != b"["
        file.seek(0)
        if not objects:
            rows = [np.array(json.loads(line, parse_int=float), np.float64) for line in file if line.strip()]
            if not all(row.ndim == 1 and row.shape == rows[0].shape for row in rows):
                raise ValueError(f"{place} must have lists of numbers, all of one length")
            whole = np.array(rows)
            return {None: Held(str(place), whole.shape, whole.dtype, whole.view, place.stamp)}
        tables.arrow(place)
        from pyarrow.json import ReadOptions, read_json

        table = read_json(file, ReadOptions(block_size=max(1, min(place.size, _BLOCK))))
        return tables.members(tables.Whole(table), str(place), place.stamp)
