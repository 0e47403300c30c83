"""Every public function, constructor and method, found in the package, with arguments that it accepts."""

from __future__ import annotations

import copy
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import kernalign as ka
import numpy as np
from kernalign import stitching
from kernalign._rows.options import Options

MODULES = ("", ".compat.platonic", ".embedding", ".pmi", ".robustness", ".stitching")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 3))
Y = X + RNG.normal(size=(24, 3))
SQUARE = np.exp(Y @ Y.T / 9)  # positive and positive semidefinite
HALF = np.arange(24) % 2 == 1
# By the names of parameters, which mean the same everywhere but in `SPECIAL`.
VALUES: dict[tuple[str, ...], Any] = {
    ("x", "a", "f1", "x_batch", "anchors", "inputs", "feats_A", "feats"): X,
    ("y", "b", "f2", "y_batch", "targets", "feats_B", "points"): Y,
    ("distances", "kernel", "counts", "K", "L", "scores"): SQUARE,
    ("X", "Y"): np.array([[1, 2, 3], [3, 2, 1]]),
    ("k", "topk", "successes"): 3,
    ("rank", "degree"): 2,
    ("ridges", "alphas", "sigmas", "p_values"): [0.1, 0.2],
    ("test", "first", "second"): HALF,
    ("metric",): "mutual_knn",
    ("ks",): [1, 2],
    ("bands",): [(0, 1), (1, 2)],
    ("samples",): [2, 4],
    ("labels",): np.arange(24) // 2 % 2,
    ("n",): 5,
    ("q", "alpha"): 0.9,
    ("name",): "cka",
    ("score",): ka.cka(X, Y, uncertainty="jackknife"),
    ("xs",): {"one": X, "two": Y},
    ("maps",): {"cka": SQUARE, "rsa": SQUARE + HALF * HALF[:, None]},
    ("x_feats", "y_feats"): [X, Y],
    ("head",): stitching.LinearHead(np.ones((3, 3))),
    ("stitchers",): {"affine": stitching.AffineStitcher()},
    ("weight",): np.ones((2, 3)),
    ("weights",): [np.ones((4, 3)), np.ones((2, 4))],
    ("sequences",): [list("abcab"), list("cab")],
    ("representations",): [X, Y, X + Y],
    ("model",): np.tanh,
    ("moments",): ka.Moments().update(X, Y),
    ("pair",): ("one", "two"),
    ("knn",): np.array([[1], [0]]),
    ("rows",): X,
    ("indices",): (np.arange(24)[:, None] + [1, 2, 3]) % 24,
    ("keyword",): "k",
    ("subjects",): ((X[:, None] - X) ** 2).sum(axis=2)[None] + [[[0.0]], [[0.0]]],
    ("models",): {"one": ((Y[:, None] - Y) ** 2).sum(axis=2)},
    ("given",): {},
    ("groups",): {"one": stitching.run_trials(X, Y, {"affine": stitching.AffineStitcher()}, folds=3)},
}
PLAN = ka.plan("cka", X, Y)
PARTS = ka.run_task(PLAN, PLAN.tasks[0])
SPECIAL: dict[tuple[str, str], Any] = {
    ("compare_scores", "k"): 3,
    ("merge", "a"): PARTS,
    ("set_threads", "threads"): None,
    ("stitching.LinearProbe", "task"): "regression",
    ("merge", "b"): type(PARTS)(),
    ("mantel_test", "a"): SQUARE,
    ("mantel_test", "b"): SQUARE @ SQUARE,
    ("compat.platonic.longest_ordinal_sequence", "Y"): np.array([[3, 2], [1, 2]]),
}
# Instead of a default that takes long, or that the values do not fit.
QUICK = {"permutations": 19, "splits": 3, "starts": 1, "overwrite": True, "cca_dim": 2}


@dataclass(frozen=True)
class Call:
    """``run`` takes ``accepted`` by name: a value of every parameter, its default where it has one."""

    label: str
    run: Callable[..., Any]
    accepted: dict[str, Any]
    function: Callable[..., Any]

    def __call__(self, given: dict[str, Any]) -> Any:
        own = inspect.signature(self.function).parameters
        first = [name for name in own if own[name].kind in (own[name].POSITIONAL_ONLY, own[name].POSITIONAL_OR_KEYWORD)]
        named = {name: value for name, value in given.items() if name not in first}
        return self.run(*(given[name] for name in first), **named)


def arguments(folder: Path) -> dict[str, Any]:
    """Values by the names of parameters; files lie in the folder."""
    known = {name: value for names, value in VALUES.items() for name in names}
    stitching.AffineStitcher().fit(X, Y).save(folder / "stitcher.npz")
    known |= {"plan": PLAN, "task": PLAN.tasks[0], "parts": PARTS}
    return known | {"path": folder / "stitcher.npz", "x_feat_paths": [], "y_feat_paths": []}


def _parameters(function: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    """Those that have names; keyword arguments that all metrics take are among them."""
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD and "Options" in str(parameter.annotation):
            for name in typing.get_type_hints(Options):
                usual = {"zero_rows": "error", "nan_rows": "error", "pairing": "auto", "progress": False}
                yield parameter.replace(name=name, kind=parameter.KEYWORD_ONLY, default=usual.get(name))
        elif parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            yield parameter


def calls(folder: Path) -> Iterator[Call]:
    """All of them: functions, constructors of what users make, and the methods of that and of what functions return."""
    known = arguments(folder)
    everything = {value: f"{module}.{name}"[1:] for module in MODULES for name, value in _public(module)}
    functions = [
        call for value, label in everything.items() if inspect.isfunction(value) if (call := _call(label, value, known))
    ]
    yield from functions
    seen: set[Any] = set()
    for kind, label in everything.items():
        if not inspect.isclass(kind) or issubclass(kind, Warning) or kind in (ka.MetricInfo, stitching.LinearStitcher):
            continue
        makers = [call for call in functions if _returns(call.function, kind)]
        make: Callable[..., Any] = partial(_made, makers[0]) if makers else partial(_constructed, kind)
        if kind is ka.Score:
            make = partial(copy.copy, known["score"])
        if not makers:
            yield (call := _call(label, make, known, kind))
            make = partial(make, **call.accepted)
        yield from _methods(label, kind, make, known, seen)


def _methods(label: str, kind: type, make: Callable[[], Any], known: dict[str, Any], seen: set[Any]) -> Iterator[Call]:
    """Those that the package defines and no other class had already."""
    for name in dir(kind):
        static = inspect.getattr_static(kind, name)
        function = inspect.unwrap(getattr(static, "__func__", static))
        own = inspect.isfunction(function) and function.__module__.startswith("kernalign.")
        if name.startswith("_") or not own or function in seen:
            continue
        seen.add(function)
        instance, given = make(), dict(known)
        if hasattr(kind, "save"):
            given["path"] = known["path"].with_name(f"{label}.npz")
            instance.save(given["path"], overwrite=True)
        if isinstance(static, (staticmethod, classmethod)):
            call = _call(f"{label}.{name}", getattr(kind, name), given)
        else:
            run = partial(_of_copy, instance, name)
            call = _call(f"{label}.{name}", run, {"other": make(), **given}, getattr(instance, name))
        if call is not None:
            yield call


def _of_copy(instance: Any, name: str, *given: Any, **named: Any) -> Any:
    return getattr(copy.deepcopy(instance), name)(*given, **named)


def _constructed(kind: type, *given: Any, **named: Any) -> Any:
    """An instance that has seen rows if it can: estimators check what they were given when they are fitted."""
    made = kind(*given, **named)
    for name in ("fit", "update"):
        getattr(made, name, lambda *rows: None)(X, Y)
    return made


def _made(call: Call) -> Any:
    found = call(call.accepted)
    return found[0] if isinstance(found, list) else found


def _returns(function: Callable[..., Any], kind: type) -> bool:
    return bool(re.search(rf"\b{kind.__name__}\b", str(inspect.signature(function).return_annotation)))


def _call(label: str, run: Callable[..., Any], known: dict[str, Any], function: Any = None) -> Call | None:
    """None for what has arguments without names."""
    function = function or run
    if any(one.kind is one.VAR_POSITIONAL for one in inspect.signature(function).parameters.values()):
        return None
    accepted = {}
    for one in _parameters(function):
        value = SPECIAL.get((label, one.name), QUICK.get(one.name, one.default))
        if value is one.empty and "Problem" in str(one.annotation):
            return None  # of the package's own
        if value is one.empty:
            assert one.name in known, f"{label}: tests/public_arguments.py knows no value of a parameter {one.name!r}"
            value = known[one.name]
        accepted[one.name] = value
    return Call(label, run, accepted, function)


def _public(module: str) -> Iterator[tuple[str, Any]]:
    found = import_module("kernalign" + module)
    for name in getattr(found, "__all__", vars(found)):
        value = getattr(found, name)
        own = hasattr(found, "__all__") or getattr(value, "__module__", "") == found.__name__
        if own and not name.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value)):
            yield name, value
