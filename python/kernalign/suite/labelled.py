"""What labels of items say of single models: do neighbours share them, and does a linear probe find them?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.checks import check_same_rows
from kernalign._base.readable import said
from kernalign._base.score import AlignmentWarning
from kernalign._engines.neighbors import find
from kernalign._rows.labels import class_numbers
from kernalign._rows.layered import Layer, open_representations
from kernalign._rows.matrices import dense
from kernalign.metrics.neighbors.groups import longer_outside
from kernalign.suite.data import Entry, Items, digest, opened
from kernalign.suite.description import Description
from kernalign.suite.members import Members

FOLDS, NEIGHBORS, LABEL = 5, 10, "label"
_VERSION = 2  # of the values

_FAILURES = (ValueError, TypeError, OSError, ImportError, ArithmeticError, MemoryError)

Value: TypeAlias = float | None  # None: it could not be found
Layers: TypeAlias = list[tuple[str, Value, str]]  # label, value, why there is none


@dataclass(frozen=True)
class Reading:
    """Work for one process: all layers of one model, read by one kind of check."""

    key: str
    kind: str
    entry: Entry
    items: Items
    how: Mapping[str, Any]

    def done(self) -> dict[str, Any]:
        """A line of the ledger."""
        try:
            given = {"xs": {self.entry.name: opened(self.entry, self.items)}}
            [found] = open_representations(given, **self.how, record=True)[0]["xs"]
            layers = [(label, *self._tried(layer)) for label, layer in found.opened.items()]
        except _FAILURES as error:
            layers = [("", None, said(error))]
        return {"scores": {}, "caveats": {}, "readings": {self.key: layers}}

    def _tried(self, layer: Layer | Exception) -> tuple[Value, str]:
        try:
            return self._value(layer), ""
        except _FAILURES as error:
            return None, said(error)

    def _value(self, layer: Layer | Exception) -> float:
        if isinstance(layer, Exception):
            raise layer
        labels, groups = labels_of(self.items), groups_of(self.items)
        check_same_rows(len(labels), len(layer.matrix), "labels", self.entry.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AlignmentWarning)
            if self.kind == "probe":
                return probed(dense(layer.rows), labels, groups)
            n, largest = len(groups), int(np.bincount(groups).max())
            if largest == n:
                raise ValueError("groups must leave an item a neighbour of another group")
            length = min(n - 1, NEIGHBORS + largest - 1)
            found = find(layer.rows, length, "cosine", "auto", 1, None, sets=False)
        return shared(longer_outside(found.lists, groups, NEIGHBORS).indices, labels)


def readings(description: Description, own: Members) -> Iterator[Reading]:
    """What the checks of a set need to know of its labels."""
    kinds = dict.fromkeys(kind_of(check) for check in description.checks)
    how: dict[str, Any] = dict.fromkeys(("normalize", "clip_quantile")) | {"concatenated": False}
    how |= {name: value for name, value in description.preprocessing.items() if name in how}
    for kind in kinds if own.items.labels is not None else ():
        for entry in own.entries:
            model = own.known[entry.name].digest
            if kind and model:
                what = [kind, _VERSION, own.items.labels, own.items.groups_digest, sorted(how.items()), model]
                yield Reading(digest(what), kind, entry, own.items, how)


def kind_of(check: Mapping[str, Any]) -> str:
    """How a check reads labels; empty if it does not."""
    if check["kind"] == "separation" and check.get("by") == LABEL:
        return LABEL
    return "probe" if check["kind"] == "probe" else ""


def labels_of(items: Items) -> NDArray[np.int64]:
    return class_numbers(items.labels, "labels")[0]


def groups_of(items: Items) -> NDArray[Any]:
    """Of every item; each its own where none are given."""
    return np.arange(len(items.labels or ())) if items.groups is None else np.array(items.groups)


def probed(x: NDArray[Any], labels: NDArray[Any], groups: NDArray[Any]) -> float:
    """Share of right answers of a linear probe on items that it has not seen; whole groups are in one fold."""
    from kernalign.stitching import LinearProbe  # which brings scikit-learn along

    fold, right = folds_of(labels, groups), 0
    for one in np.unique(fold):
        out = fold == one
        right += int((LinearProbe().fit(x[~out], labels[~out]).predict(x[out]) == labels[out]).sum())
    return right / len(labels)


def folds_of(labels: NDArray[Any], groups: NDArray[Any]) -> NDArray[Any]:
    """Number of the fold of each item: shuffled groups are dealt out, those of one label after each other."""
    first, group = np.unique(groups, return_index=True, return_inverse=True)[1:]
    mixed = np.bincount(group, labels != labels[first][group]) > 0
    shuffled = np.random.default_rng(0).permutation(len(first))
    dealt = shuffled[np.argsort(np.where(mixed, -1, labels[first])[shuffled], kind="stable")]
    fold = np.empty(len(first), dtype=np.intp)
    fold[dealt] = np.arange(len(first)) % FOLDS
    return np.asarray(fold[group])


def shared(neighbors: NDArray[Any], labels: NDArray[Any]) -> float:
    """Share of the nearest neighbours that have the item's own label."""
    return float((labels[neighbors] == labels[:, None]).mean())


def chance(kind: str, labels: NDArray[Any], groups: NDArray[Any]) -> float:
    """What a model that knows nothing reaches: always the most frequent label, or any item of another group."""
    if kind == "probe":
        return float(np.bincount(labels).max() / len(labels))
    _, both, count = np.unique(np.stack([labels, groups]), axis=1, return_inverse=True, return_counts=True)
    same, other = np.bincount(labels)[labels] - count[both.ravel()], len(labels) - np.bincount(groups)[groups]
    return float(np.mean(same / other))


def best(layers: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """The layer with the largest value; of equals the first."""
    return max(layers, key=lambda one: -math.inf if one[1] is None else one[1])
