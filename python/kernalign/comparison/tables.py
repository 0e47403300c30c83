"""The tables of a comparison: which pairs of names they hold, and the best of all layers of each pair."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from kernalign._base.cached import cached_property
from kernalign._base.readable import Readable, as_html
from kernalign._rows.numeric import digest_of
from kernalign.comparison.best import Maximum

Array: TypeAlias = NDArray[Any]
Names: TypeAlias = tuple[str, str]
Made = TypeVar("Made")

MOST_SHOWN = 24  # rows and columns of a table in a notebook


class Reason(NamedTuple):
    """Why one score is nan.

    Attributes
    ----------
    metric : its name
    x, y : names of the representations
    x_layer, y_layer : labels of their layers; None where there is only one
    status : "undefined" (the quantity does not exist for this input) or "failed" (the input cannot be read or scored)
    text : what is the matter
    """

    metric: str
    x: str
    y: str
    x_layer: str | None
    y_layer: str | None
    status: str
    text: str

    def __str__(self) -> str:
        x, y = layer_name(self.x, self.x_layer), layer_name(self.y, self.y_layer)
        return f"{self.metric} of {x} × {y}: {self.text}"


class Input(NamedTuple):
    """A layer that was compared: its features, and a digest of its type, shape and bytes; 0 and "" if none was read."""

    features: int
    digest: str


class Caveat(NamedTuple):
    """What makes numbers mean less than they seem to.

    Attributes
    ----------
    kind : a word: "dominant", "ties", "duplicate_rows", "zero_rows", "disagreement", "mostly_chance", "pairing", ...
    x, y : names of the representations; y is None where it is about one alone
    x_layer, y_layer : labels of their layers; None where there is only one
    value : the number that it is about; nan if there is none
    text : a sentence
    """

    kind: str
    x: str
    y: str | None
    x_layer: str | None
    y_layer: str | None
    value: float
    text: str

    def __str__(self) -> str:
        x = layer_name(self.x, self.x_layer)
        return f"{x if self.y is None else f'{x} × {layer_name(self.y, self.y_layer)}'}: {self.text}"


def merged(caveats: Sequence[Caveat]) -> list[str]:
    """One line for each kind of sentence: the first, and how many more there are."""
    found: dict[str, tuple[Caveat, int]] = {}
    for one in caveats:
        sentence = re.sub(r"\d[\d.,]*", "#", one.text)
        first, count = found.get(sentence, (one, 0))
        found[sentence] = first, count + 1
    return [f"{one}{f' (and {count - 1} more like it)' if count > 1 else ''}" for one, count in found.values()]


class Mirrored(dict[Names, Array]):
    """Tables of a symmetric metric by pairs of names, which may be asked for in either order."""

    def __missing__(self, pair: Names) -> Array:
        found = self.get(pair[::-1])
        if found is None:
            raise KeyError(pair)
        return found.swapaxes(0, 1)


class Later(Mapping[str, Made]):
    """Values by name that are made when they are first read; a copy that is pickled has them all."""

    def __init__(self, makers: Mapping[str, Callable[[], Made]]) -> None:
        self._makers: dict[str, Callable[[], Made] | None] = dict(makers)
        self._made: dict[str, Made] = {}

    def __getitem__(self, name: str) -> Made:
        maker = self._makers[name]
        if maker is not None:
            self._made[name] = maker()
            self._makers[name] = None  # lets go of what it was made from
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


@dataclass(frozen=True, eq=False, repr=False)
class Best(Readable):
    """The best pair of layers of every pair of representations, under one metric.

    Attributes
    ----------
    metric : its name
    x_names, y_names : the representations along the axes
    score : (X, Y) the best scores; nan where there is none, and on the diagonal when one set is compared with itself
    layers : (X, Y, 2) places of the layer of x and of the layer of y, the smallest of equals; -1 where there is none
    chance, chance_sd : (X, Y) mean and standard deviation of the best score under random pairing of the items; found
        when first read, as p_value is
    p_value : (X, Y) probability of a best score at least as good under random pairing: the search over layers is
        accounted for. nan where no covariance of layers is known (`method` says)
    method : how the chance level was found
    """

    metric: str
    x_names: tuple[str, ...]
    y_names: tuple[str, ...]
    score: Array
    layers: Array
    method: str
    _null: Callable[[bool], Sequence[Array]]  # of the three levels; p, if not asked for, only where it comes along

    @cached_property
    def _levels(self) -> Sequence[Array]:
        return self._null(False)

    @property
    def chance(self) -> Array:
        return self._levels[0]

    @property
    def chance_sd(self) -> Array:
        return self._levels[1]

    @cached_property
    def p_value(self) -> Array:
        return (*self._levels, *self._null(True)[2:])[2]

    @property
    def numbers(self) -> tuple[Array, Array, Array, Array]:
        return self.score, self.chance, self.chance_sd, self.p_value

    def __getitem__(self, names: Names) -> tuple[float, tuple[int, int] | None, float]:
        """(score, (layer of x, layer of y), p_value) of one pair of names."""
        if names[0] not in self.x_names or names[1] not in self.y_names:
            known = f"{', '.join(self.x_names)} and {', '.join(self.y_names)}"
            raise KeyError(f"names must be one of each side, {known}; got {names!r}")
        at = self.x_names.index(names[0]), self.y_names.index(names[1])
        i, j = (int(layer) for layer in self.layers[at])
        return float(self.score[at]), (None if i < 0 else (i, j)), float(self.p_value[at])

    def __reduce__(self) -> tuple[Any, ...]:
        given = self.metric, self.x_names, self.y_names, self.score, self.layers, self.method
        return type(self), (*given, _Levels((self.chance, self.chance_sd, self.p_value)))

    def _shown(self) -> list[tuple[str, Any]]:
        known = [("metric", self.metric), ("x", self.x_names), ("y", self.y_names)]
        return [*known, ("from", nan_safe(np.min, self.score)), ("to", nan_safe(np.max, self.score))]

    def _repr_html_(self) -> str:
        return grid(self.metric, self.x_names, self.y_names, self.score)


class _Levels(tuple[Array, ...]):
    """Levels that are known, where they would be found."""

    def __call__(self, _: bool) -> Sequence[Array]:
        return self


def nan_safe(take: Callable[[Array], Any], scores: Array) -> float:
    """A number of the scores that are known; nan of none."""
    known = scores[np.isfinite(scores)]
    return float(take(known)) if known.size else math.nan


def grid(caption: str, rows: Sequence[str], columns: Sequence[str], scores: Array) -> str:
    """Scores of rows and columns for a notebook, the first of many."""
    few = [names[:MOST_SHOWN] for names in (rows, columns)]
    left = sum(map(len, (rows, columns))) - sum(map(len, few))
    body: list[tuple[list[str], list[str]]] = [(["", *few[1]], [])]
    for name, values in zip(few[0], scores, strict=False):
        body.append(([name], ["" if math.isnan(one) else f"{one:.3f}" for one in values[:MOST_SHOWN]]))
    return as_html(caption, body, [f"and {left} more rows and columns"] if left else [])


def pairs_of(x_names: tuple[str, ...], y_names: tuple[str, ...], square: bool, symmetric: bool) -> list[Names]:
    """The pairs to compare: of a set with itself every pair once, or in both orders if they differ.

    One representation alone is compared with itself.
    """
    if not square or len(x_names) == 1:
        return [(x, y) for x in x_names for y in y_names]
    places = range(len(x_names))
    return [(x_names[i], x_names[j]) for i in places for j in places if i < j or (i > j and not symmetric)]


def gathered(
    best: Mapping[Names, Maximum], x_names: tuple[str, ...], y_names: tuple[str, ...], mirrored: bool
) -> tuple[Array, ...]:
    """Score, layers, chance, chance_sd and p_value of pairs of names as arrays (X, Y)."""
    shape = len(x_names), len(y_names)
    layers = np.full((*shape, 2), -1)
    tables = np.full((4, *shape), np.nan)
    rows, columns = ({name: at for at, name in enumerate(names)} for names in (x_names, y_names))
    for (x, y), found in best.items():
        i, j = rows[x], columns[y]
        tables[:, i, j] = found.score, found.chance, found.chance_sd, found.p_value
        layers[i, j] = found.layers
        if mirrored:
            tables[:, j, i], layers[j, i] = tables[:, i, j], found.layers[::-1]
    return tables[0], layers, *tables[1:]


def input_of(layer: Any) -> Input:
    """What is known of a layer, or of the error in its place."""
    if isinstance(layer, Exception):
        return Input(0, "")
    return Input(layer.matrix.shape[1], digest_of(layer.matrix, layer.bfloat16))


def only_of(labels: Sequence[str], at: int) -> str | None:
    """The label of a layer; None where there is only one."""
    return None if len(labels) == 1 else labels[at]


def layer_name(name: str, label: str | None) -> str:
    """What notes and reasons call one layer."""
    return name if label is None else f"{name} layer {label}"
