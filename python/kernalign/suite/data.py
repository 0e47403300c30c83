"""The data of a suite: models and their files, items, and digests that tell what changed, whatever it is called."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kernalign import sources
from kernalign._base.checks import shown
from kernalign._base.digests import digest_of_text
from kernalign._base.files import atomic_write, regular
from kernalign._base.readable import said
from kernalign._rows.labels import group_numbers
from kernalign._rows.layered import Layer, layers_given, open_representations
from kernalign._rows.pairing import index_of
from kernalign.comparison.tables import Input, input_of
from kernalign.sources.names import naturally
from kernalign.suite.description import BY_POSITION, VARIABLES, Description, Model, Set

_FAILURES = (ValueError, TypeError, OSError, ImportError, MemoryError)


@dataclass(frozen=True)
class Items:
    """The items of a set; ids and labels are None where files are rows by position."""

    ids: tuple[Any, ...] | None
    groups: tuple[int, ...] | None
    labels: tuple[Any, ...] | None
    digest: str
    groups_digest: str


@dataclass(frozen=True)
class Entry:
    """A model of a set: its files, which of its layers count, and what is known of it.

    ``value`` is a path, or a dict of paths by layer.
    """

    name: str
    family: str | None
    side: str | None
    seed: str | None
    value: str | tuple[tuple[str, str], ...]
    layers: str | tuple[str, ...]
    competence: float | None = None

    @property
    def paths(self) -> list[str]:
        return [self.value] if isinstance(self.value, str) else [path for _, path in self.value]


@dataclass(frozen=True)
class Known:
    """What was read of an entry: layers by label, and a digest of them all; or why it cannot be."""

    layers: Mapping[str, Input]
    digest: str
    reason: str | None = None


def entries(description: Description, items: Set) -> list[Entry]:
    """The models of a set, in the order of suite.toml, then of names; files that are not there are found later."""
    found = [entry for model in description.models for entry in _expanded(model, items.name, description.directory)]
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"models must have different names, got {name!r} twice in {items.name}")
    return found


def _expanded(model: Model, name: str, base: Path) -> list[Entry]:
    template = model.glob if model.glob is not None else model.files.get(name)
    if template is None:
        return []
    template = str(base / template.replace("{set}", name))
    found: dict[tuple[str, str | None], dict[str, str]] = {}
    if "{" not in template and model.glob is None:
        found[str(model.name), None] = {"": template}
    else:
        pattern, wanted = _pattern(template)
        for path in sorted(map(str, Path(base.anchor or ".").glob(_relative(wanted, base))), key=naturally):
            match = pattern.fullmatch(path)
            if match is None:
                continue
            values = match.groupdict()
            called = model.name or Path(path).stem
            if model.glob is not None and values.get("layer") is not None:
                called = _without_layer(match).strip("._- ") or Path(path).parent.name
            layers = found.setdefault((called, values.get("seed")), {})
            other = layers.setdefault(values.get("layer") or "", path)
            if other != path:
                raise ValueError(f"models must have different names, got {called!r} for {other} and for {path}")
        if not found and "{set}" not in (model.glob or ""):  # of which a set may have none
            found[str(model.name or model.glob), None] = {"": template}  # which says that there is no such file
    return [
        Entry(
            called if seed is None else f"{called}/{seed}",
            model.family,
            model.side,
            seed,
            layers[""] if set(layers) == {""} else tuple(layers.items()),
            model.layers,
            model.competence,
        )
        for (called, seed), layers in found.items()
    ]


def _without_layer(match: re.Match[str]) -> str:
    """The name of a file without its ending and what stands for {layer} in it, and nowhere else."""
    left = match.string
    for begin, end in sorted((match.span(one) for one in match.re.groupindex if one.startswith("layer")), reverse=True):
        left = left[:begin] + left[end:]
    return left.rpartition(os.sep)[2].removesuffix(Path(match.string).suffix)


def _pattern(template: str) -> tuple[re.Pattern[str], str]:
    """What a path must be like, its variables as groups, and the glob for it."""
    parts = re.split(r"(\{\w+\}|\*\*|\*|\?)", template)
    once: set[str] = set()
    text = ""
    for part in parts:
        name = part[1:-1]
        if part.startswith("{") and name in VARIABLES:
            text += rf"(?P<{name}{len(text)}>(?P={name}))" if name in once else rf"(?P<{name}>[^/]+)"
            once.add(name)
        else:
            text += {"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
    return re.compile(text), re.sub(r"\{\w+\}", "*", template)


def _relative(wanted: str, base: Path) -> str:
    return os.path.relpath(wanted, base.anchor) if base.anchor else wanted


def items_of(description: Description, items: Set) -> Items:
    """Read the ids, groups and labels of a set."""
    ids = None if items.ids == BY_POSITION else _column(description.directory, items.ids)
    if ids is not None and len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise ValueError(f"{items.ids} must name every item once, got {twice!r} twice")
    groups = None if items.groups is None else _column(description.directory, items.groups)
    labels = None if items.labels is None else _column(description.directory, items.labels)
    named = {
        name: column for name, column in (("ids", ids), ("groups", groups), ("labels", labels)) if column is not None
    }
    if len({len(column) for column in named.values()}) > 1:
        told = ", ".join(f"{len(column)} {name}" for name, column in named.items())
        raise ValueError(f"sets.{items.name} must have as many ids as groups and labels, got {told}")
    numbers = None if groups is None else group_numbers(np.array(groups, dtype=object)).tolist()
    return Items(
        None if ids is None else tuple(ids),
        None if numbers is None else tuple(numbers),
        None if labels is None else tuple(labels),
        "" if ids is None else digest(ids),
        "" if numbers is None else digest(numbers),
    )


def _column(base: Path, spec: str) -> list[Any]:
    """``FILE#NAME``: a column of a CSV or TSV table, or what every object of a JSON list, or a JSON dict, has by it."""
    file, _, name = spec.partition("#")
    path = base / file
    try:
        column = _values(regular(path), name)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"{spec} must be a column that can be read: {said(error)}") from error
    for one in column:
        if not isinstance(one, (str, int, float)):
            raise ValueError(f"{spec} must hold texts or numbers, got {shown(one)}")
    return column


def _values(path: Path, name: str) -> list[Any]:
    suffix = path.suffix.lower()
    if suffix in (".json", ".jsonl"):
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if suffix == ".json" else [json.loads(line) for line in text.splitlines() if line]
        return list(found[name]) if isinstance(found, dict) else [one[name] if name else one for one in found]
    if suffix in (".csv", ".tsv"):
        with path.open(newline="", encoding="utf-8") as table:
            rows = csv.DictReader(table, delimiter="\t" if suffix == ".tsv" else ",")
            if name not in (rows.fieldnames or ()):
                raise ValueError(f"its columns are {', '.join(rows.fieldnames or ())}")
            return [row[name] for row in rows]
    if suffix == ".txt":
        return path.read_text(encoding="utf-8").splitlines()
    return list(sources.open_source(path, key=name or None).array.tolist())


def shapes_of(entry: Entry, items: Items) -> list[tuple[int, int]] | str:
    """Rows and features of the layers of a model, of which headers are read, or why it cannot be."""
    try:
        given = opened(entry, items)
        parts = layers_given(given, entry.name).parts
        return [(len(part), int(part.shape[1])) for part in parts]
    except _FAILURES as error:
        return said(error)


def opened(entry: Entry, items: Items) -> Any:
    """What `compare` is given of a model: its file or, where layers are chosen or rows put in order, its layers."""
    if isinstance(entry.value, str):
        given = layers_given(entry.value, entry.name)
        parts = dict(zip(given.labels, given.parts, strict=True))
        named = {label: part if given.carried is None else given.carried for label, part in parts.items()}
    else:
        parts, named = {}, {}
        for label, path in entry.value:
            given = layers_given(path, path)
            if len(given.parts) != 1:
                raise ValueError(f"{path} must hold one layer, got {', '.join(given.labels)}")
            [parts[label]] = given.parts
            named[label] = given.carried
    orders = {label: _order(parts[label], named[label], items, entry.name) for label in parts}
    if entry.layers == "all" and isinstance(entry.value, str) and not any(orders.values()):
        return entry.value
    return {label: _placed(parts[label], orders[label]) for label in _chosen(list(parts), entry)}


def _chosen(labels: list[str], entry: Entry) -> list[str]:
    if entry.layers == "all":
        return labels
    if entry.layers == "last":
        return labels[-1:]
    if isinstance(entry.layers, str):
        step = int(entry.layers.partition(":")[2])
        return labels[::-1][::step][::-1]  # the last is one of them
    for label in entry.layers:
        if label not in labels:
            raise ValueError(f"{entry.name} has no layer {label!r}; it has {', '.join(labels[:12])}")
    return list(entry.layers)


def _order(part: Any, named: Any, items: Items, name: str) -> list[int] | None:
    """Where the items are among the rows; None where they are in their order."""
    if items.ids is None:
        return None
    rows, labels = len(part), index_of(named)
    if labels is None:
        if rows != len(items.ids):
            raise ValueError(f"{name} must have a row for each of {len(items.ids)} items, got {rows}")
        return None
    places = {str(label): at for at, label in enumerate(labels)}
    missing = [one for one in items.ids if str(one) not in places]
    if missing:
        raise ValueError(f"{name} has no row for {len(missing)} of {len(items.ids)} items, such as {missing[0]!r}")
    order = [places[str(one)] for one in items.ids]
    return None if order == list(range(rows)) else order


def _placed(part: Any, order: list[int] | None) -> Any:
    return part if order is None else np.asarray(part)[order]


class Digests:
    """What was read of files, by path, size, time and inode, so that nothing is read again that did not change."""

    def __init__(self, path: Path, base: Path) -> None:
        self._path, self._base = path, base
        self._used: dict[str, Any] = {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            found = None
        self._known: dict[str, Any] = found if _were_saved(found) else {}

    def of(self, entry: Entry, items: Items) -> Known:
        """The layers of an entry and their digests."""
        try:
            stamp = json.dumps([entry.layers, items.digest, *map(_stamp, entry.paths)])
            if stamp not in self._known:
                layers = _read(entry, items)
                self._known[stamp] = {label: list(one) for label, one in layers.items()}
            self._used[stamp] = found = self._known[stamp]
        except _FAILURES as error:
            return Known({}, "", said(error).replace(f"{self._base}{os.sep}", ""))
        layers = {label: Input(*one) for label, one in found.items()}
        # What is kept of several layers is by their labels.
        named = [[label, one.digest] for label, one in layers.items()]
        return Known(layers, digest(named if len(named) > 1 else named[0][1:]))

    def save(self) -> None:
        """Write what was asked for, where that may be; what nobody asked for is forgotten."""
        if self._used != self._known or not self._path.exists():
            with suppress(OSError):  # what is not kept is only read again
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with atomic_write(self._path, overwrite=True) as file:
                    file.write(json.dumps(self._used).encode())


def _were_saved(known: Any) -> bool:
    """Whether this is {stamp: {label: [features, digest]}}."""
    if not isinstance(known, dict) or not all(isinstance(layers, dict) and layers for layers in known.values()):
        return False
    inputs = [one for layers in known.values() for one in layers.values()]
    return all(isinstance(one, list) and [*map(type, one)] == [int, str] for one in inputs)


def _read(entry: Entry, items: Items) -> dict[str, Input]:
    given = {"xs": {entry.name: opened(entry, items)}}
    [found] = open_representations(given, normalize=None, clip_quantile=None, concatenated=False)[0]["xs"]
    return {label: input_of(layer) for label, layer in found.opened.items() if isinstance(layer, Layer)}


def _stamp(path: str) -> list[Any]:
    place, key = sources.split_spec(path)
    found = []
    for file in _files(Path(os.fspath(place))):
        status = file.stat()
        found.append([str(file.absolute()), status.st_size, status.st_mtime_ns, status.st_ino])
    return [key, *found]


def _files(path: Path) -> list[Path]:
    """A file, or what a directory holds."""
    return sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]


def digest(value: Any) -> str:
    return digest_of_text(json.dumps(value, default=str))
