"""Suites that ship: they need no files but those of the package, and say whether this build computes what it should."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import demo
from kernalign._base.files import atomic_write
from kernalign.suite import trained
from kernalign.suite.description import describe
from kernalign.suite.suite import Suite

SUITES = {
    "quick": "emoji as seen by vision and text models: seconds",
    "cross-modal": "the same, with more metrics, intervals and p-values of every metric",
    "traps": "made-up data that fool one metric or another: offsets, outliers, many features, few directions",
    "calibration": "unrelated rows: p-values must be uniform",
    "resi-digits": "85 networks trained on digits: labels, shortcuts, noise, layers, outputs; a minute",
    "layer-id": "ten networks of other seeds: is the closest layer the same one?",
    "ding": "deleted components of layers: are they noticed through the noise of seeds?",
}
_METRICS: list[dict[str, Any]] = [{"id": "cka"}, {"id": "mknn10", "metric": "mutual_knn", "k": 10}]
_N = 300


def load(name: str, directory: str | os.PathLike[str] | None = None, *, seed: int = 0) -> Suite:
    """The suite ``builtin:NAME``; its files go to ``directory``, or ``runs/builtin-NAME`` of the working directory.

    ``seed`` draws other data, and trains other networks, where a suite has any.

    Raises
    ------
    ValueError
        There is no suite of this name.
    ImportError
        Digits are needed and scikit-learn is not installed.
    """
    if name not in SUITES:
        raise ValueError(f"there is no suite builtin:{name}; there are {', '.join(SUITES)}")
    base = Path(directory or Path("runs") / f"builtin-{name}")
    files, kept = base / "data", base / "data" / "suite.json"
    given = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    about = {"name": name, "seed": seed}
    if given.get("suite") != about:
        made, given = (trained.MAKERS if name in trained.MAKERS else _MADE)[name](seed)
        files.mkdir(parents=True, exist_ok=True)
        kept.unlink(missing_ok=True)  # which speaks for all of the arrays
        for key, array in made.items():
            with atomic_write(files / f"{key}.npy", overwrite=True) as file:
                np.save(file, array)
        given = {"suite": about, **given}
        with atomic_write(kept, overwrite=True) as file:
            file.write(json.dumps(given).encode())
    return Suite(describe(given, base / "suite.toml"), base)


Made = tuple[dict[str, NDArray[Any]], dict[str, Any]]


def _suite(made: dict[str, NDArray[Any]], table: Mapping[str, Any], about: Mapping[str, Any] | None = None) -> Made:
    """A suite of one set, each of whose arrays is a model."""
    known = about or {}
    models = [{"name": key, **known.get(key, {}), "set": {"main": f"data/{key}.npy"}} for key in made]
    return made, {"sets": {"main": {"ids": "by-position"}}, **table, "models": models}


def _emoji(metrics: list[dict[str, Any]], **defaults: Any) -> Made:
    models = demo.representations()
    seen = ("vision", "hog")
    about = {name: {"side": "vision" if name in seen else "text", "family": name} for name in models}
    return _suite(models, {"metrics": metrics, "defaults": defaults}, about)


def _quick(_: int) -> Made:
    made, table = _emoji(_METRICS)
    names = list(made)
    above = {"kind": "above_chance", "metric": "mknn10", "x": names[0], "y": names[1]}
    return made, table | {"checks": [above, {"kind": "bound", "metric": "mknn10", "low": 0.0, "high": 1.0}]}


def _cross_modal(_: int) -> Made:
    more: list[dict[str, Any]] = [
        {"id": "dcor", "metric": "distance_correlation"},
        {"id": "mknn50", "metric": "mutual_knn", "k": 50},
    ]
    made, table = _emoji([*_METRICS, *more], uncertainty=True)
    return made, table | {"checks": [{"kind": "above_chance", "metric": "mknn10", "level": 0.05}]}


def _traps(seed: int) -> Made:
    rng = np.random.default_rng(seed)
    base, noise = rng.normal(size=(_N, 20)), rng.normal(size=(_N, 20))
    outlier = noise.copy()
    outlier[0] += 200
    other = rng.normal(size=(_N, 20))
    other[0] += 200
    made = {
        "base": base,
        "rotated": base @ np.linalg.qr(rng.normal(size=(20, 20)))[0],
        "offset": base + 1000.0,
        "unrelated": noise,
        "wide": rng.normal(size=(_N, 2000)),
        "outlier-a": outlier,
        "outlier-b": other,
        "shuffled": base[rng.permutation(_N)],
    }
    metrics = [*_METRICS, {"id": "cka-biased", "metric": "cka", "estimator": "biased"}]

    def bound(metric: str, x: str, y: str, **ends: float) -> Mapping[str, Any]:
        return {"kind": "bound", "metric": metric, "x": x, "y": y, **ends}

    checks = [
        bound("cka", "base", "rotated", low=1 - 1e-9),
        bound("cka", "base", "offset", low=1 - 1e-6),
        bound("mknn10", "base", "rotated", low=1 - 1e-9),
        bound("cka", "base", "wide", low=-0.05, high=0.05),
        bound("cka-biased", "base", "wide", low=0.15),  # which is chance
        bound("cka-biased", "outlier-a", "outlier-b", low=0.9),  # of one item
        bound("mknn10", "outlier-a", "outlier-b", high=0.1),
        bound("cka", "base", "shuffled", low=-0.05, high=0.05),
    ]
    return _suite(made, {"metrics": metrics, "checks": checks})


def _calibration(seed: int) -> Made:
    rng = np.random.default_rng(seed)
    kinds: list[Callable[[], NDArray[Any]]] = [
        lambda: rng.normal(size=(_N, 10)),
        lambda: rng.normal(size=(_N, 3)) @ rng.normal(size=(3, 40)) + 0.1 * rng.normal(size=(_N, 40)),
        lambda: rng.standard_t(3, size=(_N, 10)),
    ]
    made = {f"{'abc'[at % 3]}{at:02d}": kinds[at % 3]() for at in range(24)}
    families = {name: {"family": name[0]} for name in made}
    checks = [{"kind": "uniform", "metric": one["id"], "level": 0.001} for one in _METRICS]
    return _suite(made, {"metrics": _METRICS, "checks": checks}, families)


_MADE: Mapping[str, Callable[[int], Made]] = {
    "quick": _quick,
    "cross-modal": _cross_modal,
    "traps": _traps,
    "calibration": _calibration,
}
