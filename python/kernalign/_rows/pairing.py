"""Which rows of several inputs are of the same item: by position, or by the labels of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.checks import check_same_rows, shown
from kernalign._rows.labelled_arrays import Labelled
from kernalign.sources.objects import native, stored
from kernalign.sources.stored import Stored

Pairing: TypeAlias = Literal["auto", "position", "ids"]
Places: TypeAlias = NDArray[np.intp]
Labels: TypeAlias = list[Any]

_NAMED = 3  # labels in words
PAIRINGS = ("auto", "position", "ids")
_POSITION = "pairing='position' (or arrays, .to_numpy()) takes row i of each for the same item"


class Side(NamedTuple):
    """An input by the name that errors give it, how many rows it has, and their labels, if it carries any.

    Where ids were given, these are the labels, and ``carried`` are what the input has of its own.
    """

    name: str
    n: int
    labels: Labels | None = None
    plain: bool = False  # 0, 1, 2, ...: what a table has that was given none
    carried: Side | None = None

    @property
    def informs(self) -> bool:
        """Whether it has labels that say more than places."""
        return self.labels is not None and not self.plain


class Matched(NamedTuple):
    """The rows of every input that are taken, in an order of items that all share (None: all, as they are); how that
    was found, and how many rows of each have no partner (None by position)."""

    rows: tuple[Places | None, ...]
    pairing: Literal["position", "ids"]
    unpaired: tuple[int, ...] | None
    lost: tuple[Labels, ...] = ()  # the first labels without a partner

    @property
    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = {"pairing": self.pairing}
        return found if self.unpaired is None else found | {"unpaired": self.unpaired}


class Kept(NamedTuple):
    """Which rows of the first of several inputs are taken (None: all), of as many as were ``given``.

    An argument beside these inputs that has an entry for each row of the first is found by the labels of the ``sides``,
    where it has some too, unless all are paired by position; else its entries are those of the rows as given.
    """

    given: int
    rows: Places | None = None
    sides: tuple[Side, ...] = ()
    how: Pairing = "auto"

    @property
    def n(self) -> int:
        """How many rows are taken."""
        return self.given if self.rows is None else len(self.rows)

    def places(self, argument: Any, name: str, n: int, entry: str = "entry") -> Places | None:
        """Where an argument of n entries has those of the rows that are taken, in their order (None: all, as it is)."""
        labelled = self.how != "position" and any(one.labels is not None for one in self.sides)
        order = self._order(side(name, n, argument)) if labelled else None
        if order is None:
            if n != self.given:
                raise ValueError(f"{name} must hold one {entry} per row, got {n} for {self.given} rows")
            return self.rows
        return order if self.rows is None else order[self.rows]

    def numbers(self, rows: NDArray[Any]) -> Places:
        """What rows of the first input, by their numbers as given, are called among those taken; -1 of the others."""
        found = np.arange(self.given)
        if self.rows is not None:
            found[:] = -1
            found[self.rows] = np.arange(len(self.rows))
        return np.asarray(found[rows])

    def _order(self, own: Side) -> Places | None:
        """Where an argument has the entry of every row of the first input; None: by position. -1: it has none."""
        x = self.sides[0]
        if own.labels is None:
            return None
        if own.plain:  # which says nothing, unless the table itself has these labels in another order
            table = x if x.carried is None else x.carried
            return match([table, own], "auto").rows[1] if table.n == own.n else None
        if x.carried is not None and x.carried.labels is not None and set(x.carried.labels) == set(own.labels):
            x = x.carried  # a column of the table itself
        elif self.how == "ids":
            return self._looked_up(own)
        first = x if x.informs else next((one for one in self.sides if one.informs), x)
        order = match([first, own], "auto").rows[1]
        if order is not None and first is not x:
            raise ValueError(
                f"{own.name} has the labels of {first.name} in another order, but {x.name} has none: its entries could"
                f" be of the rows of either; {_POSITION}"
            )
        return order

    def _looked_up(self, own: Side) -> Places | None:
        labels = self.sides[0].labels or []
        rows = range(self.given) if self.rows is None else self.rows
        places = _places(own)
        missing = [labels[row] for row in rows if labels[row] not in places]
        if missing:
            raise ValueError(
                f"{own.name} must have an entry for every item taken, but {len(missing)} of their labels are not in it"
                f" (first {missing[0]!r}); {_POSITION}"
            )
        return np.array([places.get(label, -1) for label in labels], dtype=np.intp)


def side(name: str, n: int, given: Any, ids: Any = None) -> Side:
    """An input and the labels of its rows: ``ids`` or, without, those that it carries."""
    if ids is not None:
        try:
            carried = side(name, n, given)
        except (TypeError, ValueError):  # labels that cannot be: the ids stand for them
            carried = Side(name, n)
        what = f"ids of {name}"
        if carried.informs and index_of(ids) is not None and len(ids) == n:
            order = Kept(n, None, (carried,)).places(ids, what, n)
            ids = np.asarray(ids, dtype=object)[order] if order is not None else ids
        return Side(name, n, _listed(ids, what, n), carried=carried)
    index = index_of(given)
    if index is None or len(index) != n:
        return Side(name, n)
    labels = _listed(index, f"labels of {name}", n)
    return Side(name, n, labels, all(type(label) is int for label in labels[:1]) and labels == list(range(n)))


def carried_labels(name: str, n: int, given: Any) -> Labels | None:
    """The labels of the rows of an input, for what will be made of it; None where they say nothing but places."""
    found = side(name, n, stored(given, name))
    return found.labels if found.informs else None


def check_same_order(*made: Side) -> None:
    """Raise unless what was made of labelled rows was made of them in one order."""
    orders = match([one for one in made if one.informs] or made[:1], "auto").rows
    for one, order in zip([one for one in made if one.informs], orders, strict=False):
        if order is not None:
            first = next(other for other in made if other.informs)
            raise ValueError(
                f"{one.name} must have rows in the order of those of {first.name} here, got their labels in another one"
            )


def index_of(given: Any) -> Any:
    """What labels the rows of a table of pandas (its index), of an array of xarray (the coordinate of its first
    dimension), of what has their attributes, or of a file; neither library is imported."""
    if given is None or isinstance(given, (Stored, Labelled)):
        return None if given is None else given.labels
    given = native(given, "")
    if hasattr(given, "iloc"):
        return getattr(given, "index", None)
    if hasattr(given, "dims") and hasattr(given, "indexes") and given.dims:
        return given.indexes.get(given.dims[0])
    return None


def match(sides: Sequence[Side], pairing: Pairing) -> Matched:
    """The rows of the same items.

    "auto" aligns inputs by their labels, to the order of the first that has any, where at least two have labels other
    than 0, 1, 2, ...; "ids" takes the items that all have. What has no labels is taken as it is by "auto".
    """
    if pairing == "ids":
        return _joined(sides)
    labelled = {at: one.labels for at, one in enumerate(sides) if one.labels is not None and not one.plain}
    if pairing == "auto" and labelled:
        _refuse_ambiguous(sides, sides[min(labelled)])
    if pairing == "position" or len(labelled) < 2:
        for one in sides[1:]:
            check_same_rows(sides[0].n, one.n, sides[0].name, one.name)
        return Matched((None,) * len(sides), "position", None)
    first = sides[min(labelled)]
    rows: list[Places | None] = [None] * len(sides)
    if any(labels != first.labels for labels in labelled.values()):
        wanted = _places(first)
        for at in labelled:
            own = _places(sides[at])
            _check_same_set(first, wanted, sides[at], own)
            rows[at] = _ordered(own, wanted)
    moved = next((one for one, order in zip(sides, rows, strict=True) if order is not None), None)
    for at, one in enumerate(sides):
        check_same_rows(first.n, one.n, first.name, one.name)
        if moved is not None and at not in labelled:
            raise ValueError(
                f"{one.name} has no labels, but {first.name} and {moved.name} have the same ones in different orders:"
                f" its rows could be those of either; pass ids for all, or {_POSITION}"
            )
    return Matched(tuple(rows), "ids", (0,) * len(sides))


def _joined(sides: Sequence[Side]) -> Matched:
    for one in sides:
        if one.labels is None:
            raise ValueError(
                f"pairing='ids' needs labels of every row, but {one.name} carries none; pass ids=, one sequence for"
                " each input, or data frames with an index"
            )
    found = [_places(one) for one in sides]
    common = [label for label in found[0] if all(label in other for other in found[1:])]
    if not common:
        shown = " and ".join(f"{one.name} has {next(iter(own))!r}" for one, own in zip(sides, found, strict=True))
        raise ValueError(f"pairing='ids' must leave an item, but no label is in all inputs ({shown}, first)")
    rows = tuple(_ordered(own, common) for own in found)
    known = set(common)
    lost = tuple(list(islice((label for label in own if label not in known), _NAMED)) for own in found)
    return Matched(rows, "ids", tuple(one.n - len(common) for one in sides), lost)


def _ordered(places: dict[Any, int], labels: Iterable[Any]) -> Places | None:
    """Where these labels are; None if that is every row in its order."""
    order = np.array([places[label] for label in labels], dtype=np.intp)
    return None if len(order) == len(places) and np.array_equal(order, np.arange(len(order))) else order


def _places(one: Side) -> dict[Any, int]:
    places: dict[Any, int] = {}
    again: dict[Any, int] = {}
    for at, label in enumerate(one.labels or ()):
        if places.setdefault(label, at) != at:
            again.setdefault(label, at)
    if again:
        label, at = next(iter(again.items()))
        more = f" (and {len(again) - 1} more labels more than once)" if len(again) > 1 else ""
        raise ValueError(
            f"labels of {one.name} must differ from row to row for rows to be paired by them, got {label!r} in rows"
            f" {places[label]} and {at}{more}; {_POSITION}"
        )
    return places


def _check_same_set(first: Side, a: dict[Any, int], other: Side, b: dict[Any, int]) -> None:
    missing = [
        f"{len(left)} of {inside.name} are not in {outside.name} (first {left[0]!r})"
        for inside, outside, left in (
            (first, other, [label for label in a if label not in b]),
            (other, first, [label for label in b if label not in a]),
        )
        if left
    ]
    if not missing:
        return
    common = sum(label in b for label in a)
    remedies = [f"pairing='ids' takes the {common} that both have"] if common else []
    remedies += [_POSITION] if first.n == other.n else []
    hint = f": {'; '.join(remedies)}" if remedies else ", and they have none in common"
    raise ValueError(f"the labels of rows differ: {' and '.join(missing)}{hint}")


def _refuse_ambiguous(sides: Sequence[Side], labelled: Side) -> None:
    """A table in the order 0, 1, 2, ... beside one with these labels in another order may be either's partner."""
    for one in sides:
        if one.plain and one.n == labelled.n and set(labelled.labels or ()) == set(one.labels or ()):
            raise ValueError(
                f"{labelled.name} has the row labels of {one.name} (0 to {one.n - 1}) in another order, and those of"
                f" {one.name} may mean nothing: pairing='ids' aligns by them, {_POSITION}"
            )


def _listed(values: Any, name: str, n: int) -> Labels:
    """Labels of any kind, one for each row, as objects that can be looked up."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) != 1:
        raise TypeError(f"{name} must be a sequence of one label per row, got {type(values).__name__}")
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    listed = values.tolist() if hasattr(values, "tolist") and kind not in "mM" else list(values)
    if len(listed) != n:
        raise ValueError(f"{name} must be one for each of its {n} rows, got {len(listed)}")
    for at, label in enumerate(listed):
        try:
            hash(label)
        except TypeError as error:
            raise TypeError(
                f"{name} must be numbers, strings, dates or tuples, got {shown(label)} for row {at}"
            ) from error
        if label is None or type(label).__name__ in ("NAType", "NaTType") or label != label:
            raise ValueError(f"{name} must not be missing, got {shown(label)} for row {at}")
    return listed
