"""Suites of networks trained on digits: what is known of them, and checks of the metrics that should find it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._rows.decompositions import cholesky, solve_positive, svd
from kernalign.suite.networks import CLASSES, Digits, apart, digits, softmax, trained

Array = NDArray[Any]
Made = tuple[dict[str, Array], dict[str, Any]]
METRICS: list[dict[str, Any]] = [
    {"id": "cka"},
    {"id": "cka-rbf", "metric": "cka", "kernel": "rbf"},
    {"id": "distance_correlation"},
    {"id": "rsa"},
    {"id": "mutual_knn", "k": 10},
    {"id": "jaccard_knn", "k": 10},
    {"id": "cknna", "k": 10},
    {"id": "procrustes"},
    {"id": "nbs"},
    {"id": "cca"},
    {"id": "svcca"},
    {"id": "pwcca"},
    {"id": "linear_predictivity"},
    {"id": "one_to_one"},
    {"id": "soft_matching"},
]
_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
_SEEDS = 5
_NETWORKS = 10  # that differ in their seed only
_ITEMS = 300  # held out, of which representations are
_WIDTH, _DEPTH = 96, 5
_HIDDEN = (_WIDTH,) * _DEPTH
_LEFT = (72, 48, 36, 24, 16, 12, 8, 6, 4, 3, 2, 1)  # principal components that are left
_DAMAGED = ("h1", "h3", "h5")


def resi_digits(seed: int) -> Made:
    """ReSi's tests in small: 85 networks.

    Labels are wrong, a shortcut is right, and pixels are noisy for a share of the training items that is 0, 1/4, ..., 1
    (the standard deviation of the noise): five networks each, whose last hidden layers on the same held-out items must
    be more alike within a level than across. What is wrong, and what the shortcut says, is the same for every network
    of a level and nested from level to level. Ten networks that differ in their seed: nearer layers of each must be
    more alike, and pairs more alike the more so their outputs are.
    """
    data, draw = digits(), np.random.default_rng([seed, 0])
    arrays: dict[str, Array] = {}
    checks: list[dict[str, Any]] = []
    models: list[dict[str, Any]] = []
    for test, (x, labels, noise, held) in _conditions(data, draw).items():
        networks = trained(x, labels, _seeds(seed, test, len(_LEVELS) * _SEEDS), hidden=_HIDDEN, noise=noise)
        last = networks.layers(held)[-2]
        for at in range(len(last)):
            level = f"{_LEVELS[at // _SEEDS]:.0%}"
            models.append(_model(arrays, test, f"{test} {level} {at % _SEEDS}", last[at], family=level))
        checks += [{"kind": "separation", "set": test, "by": "family", "least": 0.5}]
    networks = trained(data.x, data.labels, _seeds(seed, "plain", _NETWORKS), hidden=_HIDDEN)
    layers = networks.layers(data.held_x)
    outputs, order = softmax(layers[-1].astype(np.float64)), []
    for at in range(_NETWORKS):
        models.append(_model(arrays, "outputs", f"outputs {at}", layers[-2][at, :_ITEMS]))
        for depth in range(_DEPTH):
            name = f"network {at} h{depth + 1}"
            models.append(_model(arrays, "layers", name, layers[depth][at, :_ITEMS], side=f"network {at}"))
            order.append(name)
    values = [
        [f"outputs {a}", f"outputs {b}", -apart(outputs[a], outputs[b])]
        for a in range(_NETWORKS)
        for b in range(a + 1, _NETWORKS)
    ]
    checks += [
        {"kind": "nested", "set": "layers", "order": order},
        {"kind": "known", "set": "outputs", "values": values, "of": "how alike outputs are"},
    ]
    sets = (*(check["set"] for check in checks),)
    return arrays, _table(models, sets, checks, pairs={"which": "within"})


def _conditions(data: Digits, draw: np.random.Generator) -> dict[str, tuple[Array, Array, Array | float, Array]]:
    """Of every test the training items and labels of each network, the noise, and the held-out items."""
    affected, other = draw.random(len(data.x)), draw.integers(0, CLASSES, len(data.x))
    levels = np.repeat(_LEVELS, _SEEDS)
    held = data.held_x[:_ITEMS]
    wrong = np.stack([np.where(affected < level, other, data.labels) for level in levels])
    right = np.stack([np.where(affected < level, data.labels, other) for level in levels])
    code = np.eye(CLASSES, dtype=np.float32)
    shown = np.concatenate([np.broadcast_to(data.x, (len(levels), *data.x.shape)), code[right]], axis=2)
    unrelated = code[draw.integers(0, CLASSES, _ITEMS)]
    return {
        "labels": (data.x, wrong, 0.0, held),
        "shortcuts": (shown, data.labels, 0.0, np.concatenate([held, unrelated], axis=1)),
        "noise": (data.x, data.labels, levels, held),
    }


def layer_id(seed: int) -> Made:
    """Kornblith's test: of each layer of a network, the closest of another network is the layer of that depth."""
    data, depth = digits(), 6
    networks = trained(data.x, data.labels, _seeds(seed, "depth", _NETWORKS), hidden=(_WIDTH,) * depth)
    layers = networks.layers(data.held_x[:_ITEMS])
    arrays: dict[str, Array] = {}
    for at in range(_NETWORKS):
        arrays.update({f"network{at}-h{place + 1}": layers[place][at] for place in range(depth)})
    models = [
        {"name": f"network {at}", "set": {"layers": f"data/network{at}-{{layer}}.npy"}} for at in range(_NETWORKS)
    ]
    checks = [{"kind": "same_layer", "set": "layers", "least": 1 / depth}]
    return arrays, _table(models, ("layers",), checks)


def ding(seed: int) -> Made:
    """Ding's tests through the noise of seeds: principal components of a layer are deleted, the smallest first.

    ``noticed``: how many components are left when a network is less like itself than networks of other seeds are.
    ``known``: pairs of a whole network with a damaged one of another seed, ordered by how far the accuracies of linear
    probes on them are apart.
    """
    data, count = digits(), 5
    networks = trained(data.x, data.labels, _seeds(seed, "damage", count), hidden=_HIDDEN)
    train, held = networks.layers(data.x), networks.layers(data.held_x)
    whole = [f"network {at}" for at in range(count)]
    cut = {name: [f"{name}, {left} left" for left in _LEFT] for name in whole}
    arrays: dict[str, Array] = {}
    files: dict[str, dict[str, str]] = {name: {} for name in (*whole, *(one for own in cut.values() for one in own))}
    checks: list[dict[str, Any]] = []
    for layer in _DAMAGED:
        depth = int(layer[1:]) - 1
        accuracy = {}
        for at, name in enumerate(whole):
            mean = train[depth][at].mean(axis=0)
            directions = svd(train[depth][at].astype(np.float64) - mean)[2]
            for left, called in zip((len(directions), *_LEFT), (name, *cut[name]), strict=True):
                fitted, read = ((one[depth][at] - mean) @ directions[:left].T for one in (train, held))
                accuracy[called] = _probe(fitted, read, data)
                key = f"{layer} {called}"
                arrays[key] = read[:_ITEMS] @ directions[:left]
                files[called][layer] = f"data/{key}.npy"
        values = [
            [a, variant, -abs(accuracy[a] - accuracy[variant])]
            for a in whole
            for b in whole
            if a != b
            for variant in cut[b]
        ]
        checks += [
            {
                "kind": "noticed",
                "set": layer,
                "whole": whole,
                "cut": cut,
                "sizes": [*_LEFT],
                "of": f"{_WIDTH} components",
            },
            {"kind": "known", "set": layer, "values": values, "of": "how alike probes do"},
        ]
    pairs = [[a, b] for at, a in enumerate(whole) for b in whole[at + 1 :]]
    pairs += [[a, variant] for a in whole for b in whole for variant in cut[b]]
    models = [{"name": name, "set": own} for name, own in files.items()]
    return arrays, _table(models, _DAMAGED, checks, pairs={"list": pairs})


def _probe(train: Array, held: Array, data: Digits) -> float:
    """Accuracy of a ridge on the classes, its penalty a thousandth of the variance."""
    x = train.astype(np.float64)
    target = np.eye(CLASSES)[data.labels]
    square = x.T @ x
    square[np.diag_indices(len(square))] += 1e-3 * np.trace(square) / len(square)
    upper = cholesky(square)
    if upper is None:  # all features are zero
        return float((data.held_labels == target.mean(axis=0).argmax()).mean())
    weights = solve_positive(upper, x.T @ (target - target.mean(axis=0)))
    found = (held @ weights + target.mean(axis=0)).argmax(axis=1)
    return float((found == data.held_labels).mean())


def _seeds(seed: int, test: str, count: int) -> list[int]:
    """Seeds of the networks of a test, others for every test and repeat."""
    return [int(one) for one in np.random.SeedSequence([seed, *test.encode()]).generate_state(count)]


def _model(arrays: dict[str, Array], test: str, name: str, rows: Array, **about: str) -> dict[str, Any]:
    arrays[name] = rows
    return {"name": name, "set": {test: f"data/{name}.npy"}, **about}


def _table(models: list[dict[str, Any]], sets: Any, checks: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A suite of all metrics, each under all checks."""
    return {
        "models": models,
        "sets": {name: {"ids": "by-position"} for name in sets},
        "metrics": METRICS,
        "defaults": {"p": "none"},
        "checks": [{**check, "metric": metric["id"]} for metric in METRICS for check in checks],
        **more,
    }


MAKERS: Mapping[str, Any] = {"resi-digits": resi_digits, "layer-id": layer_id, "ding": ding}
