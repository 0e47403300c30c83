"""A comparison whose states are made on the simulated device: the scores of the CPU."""

from __future__ import annotations

import kernalign as ka
import numpy as np
import pytest
from device_arrays import DeviceArray
from kernalign._rows import on_device

METRICS = ("cka", "hsic", "kernel_alignment", "mutual_knn", "cycle_knn", "cknna", "distance_correlation")


pytestmark = pytest.mark.usefixtures("cuda")


def models(n: int = 60) -> dict[str, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    base = rng.standard_normal((n, 20))
    return {
        name: [base[:, : 8 + layer] @ rng.standard_normal((8 + layer, width)) + 0.3 for layer in range(3)]
        for name, width in (("small", 20), ("wide", 90))
    }


@pytest.mark.parametrize("kernel", [None, ka.RBF(), ka.Cosine()], ids=str)
@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_scores_and_p_values_are_those_of_the_cpu(cuda, kernel):
    given = models()
    metrics = METRICS if kernel is None else METRICS[:3]
    expected = ka.compare(given, metrics=metrics, k=5, kernel=kernel)
    on_device_layers = {name: [DeviceArray(layer) for layer in layers] for name, layers in given.items()}
    for layers, device in ((given, "cuda:1"), (on_device_layers, "cuda")):
        before = cuda.products() + cuda.launches()
        found = ka.compare(layers, metrics=metrics, k=5, kernel=kernel, device=device)
        assert cuda.products() + cuda.launches() > before
        assert found.settings["device"] == ("cuda:1" if device == "cuda:1" else "cuda:0")
        for metric in metrics:
            for pair, values in expected.scores[metric].items():
                np.testing.assert_allclose(found.scores[metric][pair], values, rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        ka.compare(on_device_layers, metrics=metrics, k=5, kernel=kernel, device="cpu").scores["cka"]["small", "wide"],
        expected.scores["cka"]["small", "wide"],
    )


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
@pytest.mark.parametrize("layers", [3, 1, "stack", "dict"], ids=str)
def test_layers_on_a_device_are_read_there_and_others_copied_once(cuda, monkeypatch, layers):
    rng = np.random.default_rng(1)
    stacks = {name: rng.standard_normal((50, 3, width)) for name, width in (("a", 20), ("b", 60))}
    given = {name: [stack[:, at] for at in range(3)] for name, stack in stacks.items()}
    there = {name: [DeviceArray(one, 1) for one in own] for name, own in given.items()}
    if layers == 1:
        given, there = ({name: own[0] for name, own in both.items()} for both in (given, there))
    elif layers == "stack":
        given, there = stacks, {name: DeviceArray(one, 1) for name, one in stacks.items()}
    elif layers == "dict":
        given, there = (
            {n: {f"l{at}": x for at, x in enumerate(own)} for n, own in both.items()} for both in (given, there)
        )
    uploads = []

    class Counting(cuda.Rows):
        @staticmethod
        def uploaded(rows, device):
            uploads.append(rows.name)
            return cuda.Rows.uploaded(rows, device)

    monkeypatch.setattr(on_device, "extension", lambda: Counted)
    Counted = type("Counted", (), {"__getattr__": lambda self, name: getattr(cuda, name), "Rows": Counting})()
    metrics = ("cka", "mutual_knn", "cknna", "distance_correlation")
    expected = ka.compare(given, metrics=metrics, k=5)
    for kernel in (None, ka.Cosine()):
        own = metrics if kernel is None else ("cka",)
        known = expected if kernel is None else ka.compare(given, metrics=own, kernel=kernel)
        found = ka.compare(there, metrics=own, k=5, kernel=kernel)
        assert (uploads, found.settings["device"]) == ([], "cuda:1")
        for metric in own:
            np.testing.assert_allclose(found.scores[metric]["a", "b"], known.scores[metric]["a", "b"], atol=1e-10)
    ka.compare(given, metrics=metrics, k=5, device="cuda")
    assert len(uploads) == len(set(uploads)) == (2 if layers == 1 else 6)
    assert cuda.live() == 0


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_copies_make_room_for_what_does_not_fit_beside_them(cuda, monkeypatch):
    given = models()

    def scores(memory):
        cuda.simulate(memory=memory)
        try:
            return ka.compare(given, metrics=("cka", "mutual_knn"), k=5, device="cuda").scores["cka"]["small", "wide"]
        except MemoryError:
            return None

    sizes = range(150_000, 700_000, 50_000)
    kept = [scores(memory) for memory in sizes]
    monkeypatch.setattr(on_device.Copies, "add", lambda self, rows, there, place: None)
    alone = [scores(memory) for memory in sizes]
    assert any(one is None for one in kept)
    assert any(one is not None for one in kept)
    for ours, theirs in zip(kept, alone, strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or ours.tobytes() == theirs.tobytes()


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_the_search_over_layers_finds_the_same_best(cuda):
    given = models()
    for metric in ("cka", "mutual_knn"):
        expected = ka.compare(given, metrics=(metric,), k=5, layers="best").best(metric)["small", "wide"]
        found = ka.compare(given, metrics=(metric,), k=5, layers="best", device="cuda").best(metric)["small", "wide"]
        assert found[1] == expected[1]
        assert float(found[0]) == pytest.approx(float(expected[0]), rel=1e-10)
        assert found[2] == pytest.approx(expected[2], rel=1e-6)


def test_a_device_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(on_device, "extension", lambda: None)
    with pytest.raises(ValueError, match="device must be None or 'cpu' here"):
        ka.compare(models(), metrics=("cka",), device="cuda")


def test_layers_on_two_devices_are_one_sentence():
    x = np.eye(5)
    with pytest.raises(ValueError, match="layers must be on one device, got cuda:0 and cuda:1; device='cuda' copies"):
        ka.compare({"a": DeviceArray(x), "b": DeviceArray(x, 1)}, metrics=("cka",))
