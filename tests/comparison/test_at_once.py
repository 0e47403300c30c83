"""Scores that a comparison finds for all pairs of layers together are those of pairs."""

from __future__ import annotations

import pickle

import kernalign as ka
import numpy as np
import pytest
from kernalign._engines import costs
from reference import compare as naive


def narrow(n=120):
    """Layers of few columns and many rows: float32 and float64, few and usual columns, one constant."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(n, 6))

    def layer(width, dtype=np.float32):
        return (common @ rng.normal(size=(6, width)) + 4 * rng.normal(size=(n, width))).astype(dtype)

    constant = np.ones((n, 20), dtype=np.float32)
    return {"a": [layer(20), layer(30), layer(5)], "b": [layer(20), layer(17, np.float64)], "c": [constant, layer(24)]}


@pytest.mark.filterwarnings("ignore::kernalign.UndefinedScoreWarning")
@pytest.mark.parametrize("metrics", [("cka",), ("hsic", "cka")])
def test_many_narrow_layers_score_as_pairs_do(metrics):
    xs = narrow()
    assert all(costs.choose(120, (20,) * 7, ("a", "a", "a", "b", "b", "c", "c")).swept)
    found = ka.compare(xs, metrics=metrics)
    for a, b in found.pairs("cka"):
        for i, j in np.ndindex(len(xs[a]), len(xs[b])):
            score, (x, y) = found.scores["cka"][a, b][i, j], (xs[a][i], xs[b][j])
            one = ka.cka(x, y)
            if np.isnan(one):
                assert np.isnan(score)
                continue
            np.testing.assert_allclose(score, naive.unbiased_cka(x, y), atol=5e-8)
            np.testing.assert_allclose(score, one, atol=1e-12 if one.settings["products"] == "float64" else 5e-8)
            assert found.chance["cka"][a, b][i, j] == one.chance
            assert found.chance_sd["cka"][a, b][i, j] == one.chance_sd
            np.testing.assert_allclose(found.p_values["cka"][a, b][i, j], one.p_value, rtol=1e-5)
    assert {(reason.metric, reason.x, reason.x_layer) for reason in found.reasons if reason.x == "c"} == set()
    assert sum(reason.metric == "cka" for reason in found.reasons) == 5


def test_reading_a_comparison_later_changes_nothing():
    xs = {name: layers for name, layers in narrow().items() if name != "c"}
    found, copy = ka.compare(xs, metrics=("cka",)), pickle.loads(pickle.dumps(ka.compare(xs, metrics=("cka",))))
    np.testing.assert_array_equal(found.p_values["cka"]["a", "b"], copy.p_values["cka"]["a", "b"])
    assert np.isfinite(found.p_values["cka"]["a", "b"]).all()


def test_pairs_made_at_once_count_as_steps():
    calls = []
    ka.compare({"a": narrow()["a"], "b": narrow()["b"]}, metrics=("cka",), progress=lambda *now: calls.append(now))
    assert calls[-1][0] == calls[-1][1]
