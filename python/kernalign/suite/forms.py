"""What the keys of suite.toml must be, told by their names."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kernalign._base.checks import nearest, nearest_or_all


def _is_number(one: Any) -> bool:
    return type(one) in (int, float) and not math.isnan(one)


def _list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda given: isinstance(given, list) and all(map(holds, given))


_Form = tuple[str, Callable[[Any], bool]]
TEXT: _Form = "a text", lambda one: isinstance(one, str)
NAMES: _Form = "a list of names", _list_of(TEXT[1])
_FORMS: Mapping[str, _Form] = {
    **dict.fromkeys(("name", "glob", "family", "side", "ids", "groups", "labels", "executor"), TEXT),
    **dict.fromkeys(("id", "metric", "x", "y", "of"), TEXT),
    **dict.fromkeys(("competence", "level", "least", "low", "high", "clip_quantile"), ("a number", _is_number)),
    **dict.fromkeys(("seed", "k"), ("an integer of at least 0", lambda one: type(one) is int and one >= 0)),
    **dict.fromkeys(("concatenated", "uncertainty"), ("true or false", lambda one: isinstance(one, bool))),
    **dict.fromkeys(("expect", "order", "whole"), NAMES),
    "values": ("a list of lists", _list_of(lambda one: isinstance(one, list))),
    "sizes": ("a list of numbers", _list_of(_is_number)),
    "cut": ("a table of lists of names", lambda one: isinstance(one, Mapping) and all(map(NAMES[1], one.values()))),
}


def known(given: Any, names: Collection[str], what: str, forms: Mapping[str, _Form] = _FORMS) -> None:
    if not isinstance(given, Mapping):
        raise ValueError(f"{what} must be a table, got {given!r}")
    for key, value in given.items():
        called = f"{what}.{key}" if what else key
        if key not in names:
            raise ValueError(f"{called} is not a key of suite.toml{nearest_or_all(key, names)}")
        if key in forms and not forms[key][1](value):
            raise ValueError(f"{called} must be {forms[key][0]}, got {value!r}")


def choice(value: Any, what: str, choices: Collection[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}, got {value!r}{nearest(str(value), choices)}")
    return value


def tables(given: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = given.get(key, {})
    if not isinstance(found, Mapping):
        raise ValueError(f"{key} must be a table, got {found!r}")
    return found


def table(given: Mapping[str, Any], key: str, names: Collection[str]) -> Mapping[str, Any]:
    found = tables(given, key)
    known(found, names, key)
    return found


def several(given: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = given.get(key, [])
    if not isinstance(found, list) or not found or not all(isinstance(one, Mapping) for one in found):
        raise ValueError(f"{key} must be one or more tables [[{key}]]")
    return found


def pairs_of(given: Any) -> list[list[str]]:
    if not isinstance(given, list) or not all(NAMES[1](pair) and len(pair) == 2 for pair in given):
        raise ValueError(f"pairs.list must be a list of pairs of names, got {given!r}")
    return given


def different(names: list[str], what: str, key: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what} must have different {key}s, got {name!r} twice")
