"""The plan of a comparison is a value: it can be pickled, tells itself from others, and names every state once."""

from __future__ import annotations

import pickle
from dataclasses import replace

import kernalign as ka
import numpy as np
import pytest
from kernalign._engines.states import StateKey, Store
from kernalign._rows.layered import Place, open_representations
from kernalign.comparison.families.base import Asked
from kernalign.comparison.plan import make_plan
from kernalign.comparison.run import Run
from layered_samples import N, models

EVERY = ("cka", "hsic", "distance_correlation", "mutual_knn", "lcs_knn", "cycle_knn", "cknna", "rsa", "svcca")


def opened(given=None, argument="xs"):
    sides = {argument: given or models()}
    return open_representations(sides, normalize=None, clip_quantile=None, concatenated=False)[0][argument]


def asked(**changes):
    return replace(Asked(N, 5, None, None, None, None, {}), **changes)


def plan(metrics=EVERY, given=None, mode="all", p_values=True, **changes):
    x = opened(given)
    return make_plan(metrics, asked(**changes), x, x, square=True, mode=mode, p_values=p_values)


def test_a_plan_holds_no_data_and_can_be_sent():
    made = plan(kernel=ka.RBF())
    text = pickle.dumps(made)
    assert len(text) < 5000
    assert pickle.loads(text) == made
    assert pickle.loads(text).digest == made.digest


@pytest.mark.parametrize(
    "other",
    [
        {"k": 6},
        {"metrics": EVERY[:-1]},
        {"kernel": ka.RBF(2.0)},
        {"estimator": "biased"},
        {"normalize": "l2"},
        {"clip_quantile": 0.9},
        {"mode": "best"},
        {"p_values": False},
        {"options": {"rsa": {"comparison": "pearson"}}},
        {"given": {"a": models()["c"], "b": models()["c"]}},
    ],
)
def test_digests_tell_plans_apart(other):
    assert plan().digest == plan().digest
    assert plan(**other).digest != plan().digest


def test_every_state_is_named_once_and_known_from_shapes_alone():
    made = plan()
    keys = list(made.states())
    layers = {layer.place for layer in made.layers}
    assert len(layers) == 7
    kinds = {kind: [key.place for key in keys if key.kind == kind] for kind in ("lists", "edges", "ranks")}
    assert {kind: len(places) for kind, places in kinds.items()} == {"lists": 14, "edges": 7, "ranks": 7}
    assert all(set(places) == layers for places in kinds.values())


def test_states_made_elsewhere_are_not_made_again(monkeypatch):
    x = opened()
    made = plan(("mutual_knn", "cknna"))
    first = Run(made, x, x, threads=1)
    first.work(None)
    second = Run(pickle.loads(pickle.dumps(made)), x, x, threads=1)
    second.shop.store.merge(first.shop.store)
    from kernalign.comparison.families import lists

    monkeypatch.setattr(lists, "find", None)  # not called
    second.work(None)
    for metric in made.metrics:
        for pair, cells in first.cells[metric].items():
            np.testing.assert_array_equal(second.cells[metric][pair].score, cells.score)


def test_a_store_makes_a_state_once_and_keeps_its_own():
    here, there = StateKey("lists", (5,), Place("xs", "a", "0")), StateKey("lists", (6,), Place("xs", "a", "0"))
    store, other = Store(), Store()
    calls = []
    assert store.make(here, lambda: calls.append(1) or "made") == "made"
    assert store.make(here, lambda: calls.append(1) or "again") == "made"
    assert calls == [1]
    other[here], other[there] = "theirs", "new"
    store.merge(other)
    assert (store[here], store[there], len(store)) == ("made", "new", 2)
    assert store.get(StateKey("edges")) is None
    with pytest.raises(KeyError):
        store[StateKey("edges")]


@pytest.mark.parametrize("options", [{}, {"rsa": {"comparison": "pearson"}}])
def test_states_are_files_and_give_the_same_bits(options, tmp_path, monkeypatch):
    x = opened()
    made = plan(("cka", *EVERY[2:8]), options=options)
    first = Run(made, x, x, threads=1)
    first.work(None)
    first.shop.store.save(tmp_path / "states")
    loaded = Store.load(tmp_path / "states")
    assert {key for key in made.states() if key in loaded} == set(made.states())
    second = Run(made, x, x, threads=1)
    second.shop.store.merge(loaded)
    from kernalign import _core
    from kernalign._engines import lists

    for module, name in ((lists, "nearest_neighbors"), (lists, "edge_products"), (_core, "gram_sums")):
        monkeypatch.setattr(module, name, None)  # not called
    second.work(None)
    for metric in made.metrics:
        for pair, cells in first.cells[metric].items():
            for a, b in zip(second.cells[metric][pair], cells, strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_damaged_file_of_states_is_refused(tmp_path):
    store, path = Store(), tmp_path / "states"
    store[StateKey("lists")] = np.arange(6)
    store.save(path)
    with pytest.raises(FileExistsError):
        store.save(path)
    data = path.read_bytes()
    path.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    with pytest.raises(ValueError, match="damaged"):
        Store.load(path)
    store[StateKey("edges")] = object()
    with pytest.raises(TypeError, match="object is not a state that can be packed"):
        store.save(path, overwrite=True)
