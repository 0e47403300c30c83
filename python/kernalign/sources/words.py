"""Reads word vectors: word2vec's text and binary files, GloVe's and fastText's; the words name the rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from kernalign._base.memory import check_memory
from kernalign.sources import torch
from kernalign.sources.place import Place, intact
from kernalign.sources.stored import AnyArray, Held, Stored
from kernalign.sources.tables import check_text

_KIND = "file of word vectors"
_LONGEST_WORD = 1 << 16


def members(place: Place) -> dict[str | None, Stored]:
    """The one array, float32; its rows are called by their words. A text without words is a matrix of numbers."""
    with intact(place, _KIND), place.open() as file:
        if place.suffix == ".bin" and file.read(4) == b"PK\x03\x04":
            return torch.members(place)  # as many of PyTorch's files are called
        file.seek(0)
        first = file.readline(1 << 20).split()
        counted = len(first) == 2 and all(one.isdigit() and len(one) < 12 for one in first)
        if place.suffix == ".bin":
            if not counted:
                raise ValueError(f"{place} must begin with the numbers of words and of dimensions, as word2vec's do")
            words, whole = _binary(file, place, *map(int, first))
        else:
            check_text(place.size, place)
            if not counted:
                file.seek(0)
            words, whole = _text(file, place)
            if counted and not words and whole.shape[1:] == (2,) and len(whole) != int(first[0]):
                file.seek(0)  # the first row of a matrix, not the numbers of its rows and columns
                counted, (words, whole) = False, _text(file, place)
        if counted and whole.shape != (int(first[0]), int(first[1])):
            raise ValueError(
                f"{place} must have the {int(first[0])} x {int(first[1])} numbers that it says it has,"
                f" got {whole.shape}"
            )
    found = Held(str(place), whole.shape, whole.dtype, whole.view, place.stamp)
    found.names = words or None
    return {None: found}


def _text(file: BinaryIO, place: Place) -> tuple[list[str], AnyArray]:
    words: list[str] = []
    rows: list[AnyArray] = []
    for number, line in enumerate(file):
        if not (line := line.strip()):
            continue
        if not rows:
            values = line.split()
            named = not _is_number(values[0])
            columns = len(values) - named
        head = line.rsplit(None, columns)
        word = head.pop(0) if len(head) > columns else b""
        row = np.array(head, dtype=np.float32) if len(head) == columns else None
        if row is None or bool(word) != named:
            raise ValueError(f"{place} must have {columns} numbers{' after a word' * named} in line {number + 1}")
        rows.append(row)
        words += [word.decode("utf-8", "replace")] * named
    return words, np.array(rows)


def _binary(file: BinaryIO, place: Place, count: int, columns: int) -> tuple[list[str], AnyArray]:
    if count * (4 * columns + 1) > place.size:
        raise ValueError(f"{place} requires more than {4 * count * columns:,} bytes, but there are {place.size:,}")
    check_memory(4 * count * columns, str(place))
    whole = np.empty((count, columns), np.float32)
    words = []
    for row in whole:
        word = b"".join(_until_space(file))
        if len(word) == _LONGEST_WORD:
            raise ValueError(f"{place} must have words of fewer than {_LONGEST_WORD:,} bytes")
        words.append(word.decode("utf-8", "replace").lstrip("\n"))
        if file.readinto(row) < row.nbytes:  # type: ignore[attr-defined]
            raise ValueError(
                f"{place} requires {count:,} words of {columns} numbers, but ends after {len(words) - 1:,}"
            )
    return words, whole


def _until_space(file: BinaryIO) -> Iterator[bytes]:
    for _ in range(_LONGEST_WORD):
        if (one := file.read(1)) in (b" ", b""):
            return
        yield one


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
