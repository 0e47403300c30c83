"""Tells from names of files which are parts of one array, and which are layers of one model."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from kernalign.sources.names import naturally
from kernalign.sources.place import Place

_OF = re.compile(r"(?P<stem>.*?)[-_. ]?(?P<first>\d+)-of-(?P<count>\d+)")  # part-00001-of-00004
_SPAN = re.compile(r"(?P<stem>.*?)[-_. ]?(?P<first>\d+)[-_](?P<last>\d+)")  # features_0-100
_PART = re.compile(r"(?P<stem>.*?)(?:part|shard|chunk|batch)[-_. ]?(?P<first>\d+)", re.IGNORECASE)
_LAST_NUMBER = re.compile(r"(?P<stem>.*?)[-_. ]?(?P<first>\d+)\D*")
_LAYER = re.compile(
    r"(?:.*[-_. ])?(?:layer|block|hidden(?:[-_]?state)?|stage|h|l)s?[-_. ]?\d+(?:\D.*)?|\d+", re.IGNORECASE
)


class Unit(NamedTuple):
    """Files whose rows are those of one representation, in order, and what it is called."""

    name: str
    places: tuple[Place, ...]

    @property
    def place(self) -> Place:
        """The file, or what its parts would be called as one."""
        first = self.places[0]
        return first if len(self.places) == 1 else first.beside(self.name + first.path.suffix)


def units(places: Iterable[Place], *, shards: bool = False) -> list[Unit]:
    """The files, those together that are parts of one array; ``shards``: all that differ in their last number only.

    Raises
    ------
    ValueError
        Parts are missing.
    """
    found: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in sorted(places, key=lambda one: naturally(one.path.name)):
        match = _shard(place.stem, shards)
        key = (f"{match['stem']}\n{match.re.pattern}", place.suffix) if match else (place.stem, place.suffix)
        found[str(place.path.parent), *key].append(place)  # type: ignore[index]
    made: list[Unit] = []
    for own in found.values():
        match = _shard(own[0].stem, shards)
        counted = match is not None and match.re is _OF
        if match is None or (len(own) == 1 and not counted) or (match.re is _SPAN and not _follow(own)):
            made += [Unit(place.stem, (place,)) for place in own]
        else:
            _check_whole(own)
            made.append(Unit(match["stem"].rstrip("-_. ") or own[0].path.parent.name or "rows", tuple(own)))
    return made


def are_layers(found: Sequence[Unit]) -> bool:
    """Whether files are called like the layers of one model: layer_0, layer_1, or 0, 1."""
    kinds = {re.sub(r"\d+", "#", unit.name) for unit in found}
    return len(found) > 1 and len(kinds) == 1 and all(_LAYER.fullmatch(unit.name) for unit in found)


def _shard(stem: str, shards: bool) -> re.Match[str] | None:
    kinds = (_OF, _SPAN, _PART, _LAST_NUMBER) if shards else (_OF, _SPAN, _PART)
    return next((match for kind in kinds if (match := kind.fullmatch(stem))), None)


def _follow(places: Sequence[Place]) -> bool:
    """Whether each span of rows begins where the one before ends."""
    spans = [(int(match["first"]), int(match["last"])) for one in places if (match := _SPAN.fullmatch(one.stem))]
    return spans[0][0] in (0, 1) and all(
        first < last and first - end in (0, 1) for (_, end), (first, last) in pairwise(spans)
    )


def _check_whole(places: Sequence[Place]) -> None:
    matches = [_shard(place.stem, shards=True) for place in places]
    numbers = [int(match["first"]) for match in matches if match]
    first = matches[0]
    if first is None or first.re is _SPAN:
        return
    count = int(first["count"]) if "count" in first.re.groupindex else len(numbers)
    begin = min(numbers[0], 1)
    wanted = range(begin, begin + count) if "count" in first.re.groupindex else range(numbers[0], numbers[0] + count)
    if numbers != list(wanted):
        lost = sorted(set(wanted) - set(numbers)) or sorted(set(numbers) - set(wanted))
        raise ValueError(f"{places[0]} is one of {count} parts, of which number {lost[0]} is missing or in excess")
