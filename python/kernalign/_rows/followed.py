"""Arguments that have an entry for each row of x, less those of rows that are not taken, in the order of the items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.checks import items, shown
from kernalign._rows.arrays import chosen
from kernalign._rows.dissimilarities import covariance_of
from kernalign._rows.labels import group_numbers, labels_in
from kernalign._rows.numeric import to_numpy
from kernalign._rows.pairing import Kept
from kernalign._rows.vectors import indices
from kernalign.sources.objects import native, stored

Split: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp]]


def rows(given: Any, kept: Kept, name: str = "given") -> Any:
    """The rows of a table or array, or labels, of the items that are taken."""
    given = native(stored(given, name), name)
    if not hasattr(given, "shape"):
        array = to_numpy(given, name)[0]
        given = labels_in(given, name) if array.ndim == 1 else array
    places = kept.places(given, name, (*given.shape, 0)[0])
    return given if places is None else chosen(given, places)


def covariance(given: Any, kept: Kept, name: str = "covariance") -> NDArray[np.float64]:
    """Of items, (n, n) or (n,) variances: that of the items that are taken."""
    array = to_numpy(given, name)[0]
    places = kept.places(given, name, (*array.shape, 0)[0])
    found = covariance_of(given, kept.given if places is None else len(array), name, "conditions")
    return found if places is None else found[np.ix_(places, places)]


def of_pairs(cv: Any) -> bool:
    """Whether these may be splits; else it is None, or should be a number of folds."""
    return isinstance(cv, Iterable) and not isinstance(cv, (str, bytes, dict)) and getattr(cv, "ndim", 1) > 0


def splits(cv: Any, kept: Kept, name: str = "cv") -> list[Split]:
    """Pairs (train, test) of indices of the rows of x as they were given, less those that are not taken."""
    made = [_split(one, f"{name}[{at}]", kept) for at, one in enumerate(items(cv, name, "(train, test) pairs"))]
    if not made:
        raise ValueError(f"{name} must hold at least one pair (train, test), got none")
    return made


def _split(split: Any, name: str, kept: Kept) -> Split:
    if not isinstance(split, (tuple, list)) or len(split) != 2:
        raise TypeError(f"{name} must be a pair (train, test) of indices, got {shown(split)}")
    train, test = (kept.numbers(indices(side, kept.given, name)) for side in split)
    train, test = train[train >= 0], test[test >= 0]
    if not len(test):
        raise ValueError(f"{name} must test a row that was kept, but all of them were dropped")
    return train, test


def queries(given: Any, kept: Kept, name: str = "queries") -> Any:
    """Indices of rows of x as they were given, among those that are taken; a number of rows, and other rows, as is."""
    several = isinstance(given, (tuple, list)) and any(np.ndim(one) for one in given)  # rows of their own for each side
    if several or np.ndim(to_numpy(given, name)[0]) != 1:
        return given
    asked = indices(given, kept.given, name)
    found = kept.numbers(asked)
    if (found < 0).any():
        raise ValueError(f"{name} must be rows that were kept, but {asked[found < 0][0]} was dropped")
    return found


_FOLLOWED: dict[str, Callable[[Any, Kept, str], Any]] = {
    "given": rows,
    "groups": group_numbers,
    "conditions": group_numbers,
    "covariance": covariance,
    "cv": lambda cv, kept, name: splits(cv, kept, name) if of_pairs(cv) else cv,
    "queries": queries,
}


def followed(options: Mapping[str, Any], kept: Kept) -> dict[str, Any]:
    """Keyword arguments of a metric that will be called with the rows that are taken."""
    found = dict(options)
    for name, follow in _FOLLOWED.items():
        if found.get(name) is not None:
            found[name] = follow(found[name], kept, name)
    return found


def relisted(value: Any) -> Any:
    """What can be read once, in dicts and tuples too, as lists that can be read again."""
    if isinstance(value, Iterator):
        return [relisted(one) for one in value]
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(relisted(one) for one in value)
    return {name: relisted(one) for name, one in value.items()} if isinstance(value, dict) else value
