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
