"""suite.toml: what a suite compares, read into values and checked before anything is opened."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernalign._base.checks import nearest_or_all
from kernalign._base.files import regular
from kernalign._base.kernels import RBF, Cosine, Laplacian, Linear
from kernalign.metrics.record import MetricInfo
from kernalign.metrics.registry import METRICS, as_named
from kernalign.suite import forms, known_orders

SCHEMA = 1
BY_POSITION = "by-position"
EXECUTORS = ("serial", "threads", "processes")
VARIABLES = ("set", "seed", "layer")
P_VALUES: dict[str, Any] = {"none": False, "exact": True, "exact-or-permutation": "permutation"}
WHICH = ("all", "across", "within", "list")
CHECKS = {
    "order": ("metric", "set", "x", "expect", "level"),
    "above_chance": ("metric", "set", "x", "y", "level"),
    "separation": ("metric", "set", "by", "least"),
    "monotone": ("metric", "set", "x", "y", "least"),
    "agreement": ("metric", "set", "other", "least"),
    "bound": ("metric", "set", "x", "y", "low", "high"),
    "uniform": ("metric", "set", "level"),
    "nested": ("metric", "set", "order", "least"),
    "same_layer": ("metric", "set", "least"),
    "known": ("metric", "set", "values", "of", "least"),
    "noticed": ("metric", "set", "whole", "cut", "sizes", "of", "least"),
    "probe": ("set", "x", "least"),
}
_NEEDED = {
    "order": ("x", "expect"),
    "monotone": ("x",),
    "nested": ("order",),
    "known": ("values",),
    "noticed": ("whole", "cut", "sizes", "of"),
    "probe": ("least",),
}
_KERNELS: dict[str, Any] = {"linear": Linear, "rbf": RBF, "laplacian": Laplacian, "cosine": Cosine}
_ROWS = ("error", "drop_pair")
_TOP = ("suite", "sets", "models", "pairs", "defaults", "metrics", "checks", "run")
_VARIABLE = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class Set:
    """Items that all files of a set are rows of."""

    name: str
    ids: str
    groups: str | None = None
    labels: str | None = None


@dataclass(frozen=True)
class Model:
    """One entry of models: files by set, or a glob whose files are a model each."""

    name: str | None
    glob: str | None
    family: str | None
    side: str | None
    files: Mapping[str, str]
    layers: str | tuple[str, ...]
    competence: float | None = None


@dataclass(frozen=True)
class Metric:
    """A metric under the id that its scores are called by."""

    id: str
    name: str
    options: Mapping[str, Any]

    @property
    def record(self) -> MetricInfo:
        return METRICS[self.name]

    @property
    def by_side(self) -> Mapping[str, Any] | None:
        """Kernels by the side of a model, where they are not one for all."""
        kernel = self.options.get("kernel")
        return kernel if isinstance(kernel, Mapping) else None

    def between(self, x: str | None, y: str | None) -> dict[str, Any]:
        """The options for models of two sides."""
        if self.by_side is None:
            return dict(self.options)
        x_kernel, y_kernel = (self.by_side[str(side)] for side in (x, y))
        return {**self.options, "kernel": x_kernel if x_kernel == y_kernel else (x_kernel, y_kernel)}


@dataclass(frozen=True)
class Description:
    """All that suite.toml says."""

    path: Path
    name: str
    seed: int
    sets: tuple[Set, ...]
    models: tuple[Model, ...]
    which: str
    pairs: tuple[tuple[str, str], ...]
    metrics: tuple[Metric, ...]
    checks: tuple[Mapping[str, Any], ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    executor: str = "serial"
    memory: str | None = None

    @property
    def directory(self) -> Path:
        return self.path.parent

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What `compare` is told of rows, for all metrics."""
        names = ("normalize", "clip_quantile", "zero_rows", "nan_rows", "concatenated")
        return {name: self.defaults[name] for name in names if name in self.defaults}

    @property
    def mode(self) -> str:
        return "best" if self.defaults.get("layers") == "best" else "all"


def read(path: str | os.PathLike[str]) -> Description:
    """Read ``suite.toml``, or that of a directory.

    Raises
    ------
    ValueError
        Unknown keys, with the nearest name that there is; values that cannot be.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "suite.toml"
    with regular(path).open("rb") as file:
        try:
            given = tomllib.load(file)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not TOML: {error}") from error
    return describe(given, path)


def describe(given: Mapping[str, Any], path: Path) -> Description:
    """The description that a table of TOML holds; paths in it are from the directory of ``path``."""
    forms.known(given, _TOP, "")
    suite = forms.table(given, "suite", ("name", "schema", "seed"))
    if suite.get("schema", SCHEMA) != SCHEMA:
        raise ValueError(f"suite.schema must be {SCHEMA}, got {suite['schema']!r}")
    sets = tuple(_set(name, one) for name, one in forms.tables(given, "sets").items())
    if not sets:
        raise ValueError("sets must hold at least one set: [sets.NAME] with ids")
    defaults = forms.table(
        given,
        "defaults",
        ("normalize", "clip_quantile", "zero_rows", "nan_rows", "concatenated", "p", "layers", "k", "uncertainty"),
    )
    for key, choices in (
        ("p", P_VALUES),
        ("normalize", ("l2", "standardize")),
        ("zero_rows", _ROWS),
        ("nan_rows", _ROWS),
    ):
        if key in defaults:
            forms.choice(defaults[key], f"defaults.{key}", choices)
    pairs = forms.table(given, "pairs", ("which", "list"))
    which = forms.choice(pairs.get("which", "list" if "list" in pairs else "all"), "pairs.which", WHICH)
    listed = tuple((x, y) for x, y in forms.pairs_of(pairs.get("list", [])))
    if (which == "list") != bool(listed):
        raise ValueError("pairs.list must hold pairs of names where pairs.which is 'list', and only there")
    forms.different([" and ".join(sorted(pair)) for pair in listed], "pairs.list", "pair")
    metrics = tuple(_metric(one, defaults) for one in forms.several(given, "metrics"))
    forms.different([one.id for one in metrics], "metrics", "id")
    run = forms.table(given, "run", ("executor", "memory"))
    executor = run.get("executor", "serial")
    if executor not in EXECUTORS and not executor.startswith("dask://"):
        raise ValueError(f"run.executor must be {', '.join(EXECUTORS)} or dask://HOST:PORT, got {executor!r}")
    names = [one.name for one in sets]
    models = tuple(_model(one, names, defaults.get("layers", "all")) for one in forms.several(given, "models"))
    checks = forms.several(given, "checks") if given.get("checks", []) != [] else []
    for metric in metrics:
        for side in {str(one.side) for one in models} - set(metric.by_side or ()) if metric.by_side else ():
            called = "models without a side" if side == "None" else f"side {side!r}"
            raise ValueError(f"metrics {metric.id}.kernel names no kernel for {called}")
    return Description(
        path,
        suite.get("name", path.parent.name or "suite"),
        suite.get("seed", 0),
        sets,
        models,
        which,
        listed,
        metrics,
        tuple(_check(one, [metric.id for metric in metrics], sets) for one in checks),
        defaults,
        executor,
        run.get("memory"),
    )


def _set(name: str, given: Any) -> Set:
    forms.known(given, ("ids", "groups", "labels"), f"sets.{name}")
    if "ids" not in given:
        raise ValueError(f"sets.{name}.ids must name the items, as in 'items.json#id', or say '{BY_POSITION}'")
    return Set(name, **given)


def _model(given: Mapping[str, Any], sets: list[str], layers: Any) -> Model:
    what = f"models {given.get('name', given.get('glob', ''))}"
    forms.known(given, ("name", "glob", "family", "side", "set", "layers", "competence"), what)
    if ("name" in given) == ("glob" in given):
        raise ValueError(f"{what} must have either name, with set.NAME = path, or glob")
    files = given.get("set", {})
    if "name" in given and not files:
        raise ValueError(f"{what} must have files: set.{sets[0]} = 'path'")
    forms.known(files, sets, f"{what}.set", dict.fromkeys(sets, forms.TEXT))
    if "glob" in given and len(sets) > 1 and "{set}" not in given["glob"]:
        raise ValueError(f"{what} must say with {{set}} where each of {', '.join(sets)} is")
    for template in (*files.values(), *([given["glob"]] if "glob" in given else [])):
        for variable in _VARIABLE.findall(template):
            if variable not in VARIABLES:
                raise ValueError(f"{what}: {{set}}, {{seed}} and {{layer}} are the only variables, got {{{variable}}}")
    chosen = given.get("layers", "all" if layers == "best" else layers)
    if forms.NAMES[1](chosen):
        chosen = tuple(chosen)
    elif not isinstance(chosen, str) or not re.fullmatch(r"all|last|every:[1-9]\d*", chosen):
        more = "; 'best' is for defaults.layers" if chosen == "best" else ""
        raise ValueError(f"{what}: layers must be 'all', 'last', 'every:N' or a list of names, got {chosen!r}{more}")
    words = given.get("name"), given.get("glob"), given.get("family"), given.get("side")
    return Model(*words, files, chosen, given.get("competence"))


def _metric(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Metric:
    own = ("id", "metric", "k")
    forms.known({key: given[key] for key in own if key in given}, own, "metrics")
    name = as_named(given.get("metric", given.get("id")))
    if name not in METRICS:
        raise ValueError(f"metrics.metric must be a metric{nearest_or_all(str(name), METRICS)}")
    record = METRICS[name]
    given = {key: value for key, value in given.items() if key != "metric"}
    options = {key: value for key, value in given.items() if key != "id"}
    for key in options:
        if not record.takes(key) or key == "groups":
            raise ValueError(f"metrics {given.get('id', name)}: {name} takes no {key!r}")
    if record.takes("k"):
        options.setdefault("k", defaults.get("k", 10))
    if defaults.get("uncertainty") and (method := record.uncertainty(options)) is not None:
        options.setdefault("uncertainty", method)
    kernel = options.get("kernel")
    if isinstance(kernel, Mapping):
        named = {
            side: forms.choice(one, f"metrics {name}.kernel.{side}", _KERNELS) for side, one in sorted(kernel.items())
        }
        options["kernel"] = {side: _KERNELS[one]() for side, one in named.items()}
    elif kernel is not None:
        options["kernel"] = _KERNELS[forms.choice(kernel, f"metrics {name}.kernel", _KERNELS)]()
    for need in record.needs:
        if need not in options:
            raise ValueError(f"metrics {given.get('id', name)}: {name} needs {need}")
    return Metric(str(given.get("id", name)), name, options)


def _check(given: Mapping[str, Any], metrics: Collection[str], sets: Collection[Set]) -> Mapping[str, Any]:
    kind = forms.choice(given.get("kind"), "checks.kind", CHECKS)
    of_labels = kind == "probe" or (kind == "separation" and given.get("by") == "label")
    keys = ("set", "x", "by", "least") if of_labels and kind == "separation" else CHECKS[kind]
    forms.known(given, ("kind", *keys), f"checks {kind}")
    if "set" in given:
        forms.choice(given["set"], f"checks {kind}.set", [one.name for one in sets])
    own = [one for one in sets if one.name == given.get("set", one.name)]
    if of_labels and not all(one.labels for one in own):
        raise ValueError(f"checks {kind} needs sets.{own[0].name}.labels, as in 'items.json#folder'")
    if kind == "separation":
        forms.choice(given.get("by", "family"), "checks separation.by", ("family", "side", "label"))
    for key in () if of_labels else ("metric", "other") if kind == "agreement" else ("metric",):
        forms.choice(given.get(key), f"checks {kind}.{key}", metrics)
    for key in _NEEDED.get(kind, ()):
        if key not in given:
            raise ValueError(f"checks {kind} must have {key}")
    known_orders.check_given(given)
    return given
