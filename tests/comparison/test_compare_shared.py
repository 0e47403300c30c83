"""compare makes what depends on one layer once: how often engines are called, and scores that stay the same."""

from __future__ import annotations

from collections import Counter

import kernalign as ka
import numpy as np
import pytest
from kernalign import _core
from kernalign._engines import lists
from kernalign._engines import lists as list_engine
from kernalign._rows import arrays
from kernalign.comparison.families import ranks
from kernalign.metrics.neighbors import cknna
from samples import stand_in

N = 40
TABLES = ("scores", "chance", "chance_sd", "p_values")


def layered(layers, p, seed, dtype=np.float32):
    latent = np.random.default_rng(99).normal(size=(N, 4))
    rng = np.random.default_rng(seed)
    parts = [latent @ rng.normal(size=(4, p)) + (1 + at) * rng.normal(size=(N, p)) for at in range(layers)]
    return np.stack(parts, axis=1).astype(dtype)


X, Y = layered(2, 20, 1), layered(3, 7, 2, np.float64)


def check(found, metric, tolerance, x=X, y=Y, **options):
    for i, j in np.ndindex(x.shape[1], y.shape[1]):
        one = ka.measure(metric, x[:, i], y[:, j], **options)
        for table, value in zip(TABLES, (one, one.chance, one.chance_sd, one.p_value), strict=True):
            expected = np.nan if value is None else float(value)
            np.testing.assert_allclose(getattr(found, table)[metric]["x", "y"][i, j], expected, rtol=tolerance)


def counted(monkeypatch, module, name):
    calls, original = Counter(), getattr(module, name)

    def count(*args, **keywords):
        calls[name] += 1
        return original(*args, **keywords)

    monkeypatch.setattr(module, name, count)
    return calls


@pytest.mark.parametrize("distance", ["correlation", "cosine", "euclidean", "sqeuclidean"])
@pytest.mark.parametrize("comparison", ["spearman", "pearson", "kendall", "cosine"])
def test_rsa_of_every_kind(distance, comparison):
    options = {"distance": distance, "comparison": comparison}
    found = ka.compare({"x": X}, {"y": Y}, metrics=("rsa",), normalize="standardize", metric_options={"rsa": options})
    ranked = comparison in ("spearman", "kendall")
    check(found, "rsa", 0 if ranked else 1e-11, normalize="standardize", **options)


@pytest.mark.parametrize("normalize", [None, "l2"])
def test_rsa_of_clipped_rows(normalize):
    x = [X[:, 0], X[:, 1]]  # a threshold for each
    found = ka.compare({"x": x}, {"y": Y[:, 0]}, metrics=("rsa",), clip_quantile=0.9, normalize=normalize)
    for i in range(2):
        one = ka.rsa(x[i], Y[:, 0], clip_quantile=0.9, normalize=normalize)
        assert found.scores["rsa"]["x", "y"][i, 0] == one


@pytest.mark.parametrize("layers,most", [(5, 5), (4, 5), (3, 5), (1, 2 + 4 + 1), (0, 2 + 6)])
def test_ranks_that_do_not_fit_are_found_again(monkeypatch, layers, most):
    """Of 2 x 3 layers; those kept are y's first, and an x is ranked once for all of its pairs."""
    monkeypatch.setattr(ranks, "_KEPT_BYTES", layers * 4 * N * (N - 1))
    calls = counted(monkeypatch, ranks, "ranked")
    found = ka.compare({"x": X}, {"y": Y}, metrics=("rsa",))
    assert calls["ranked"] == most
    check(found, "rsa", 0)


def test_ranks_of_a_set_with_itself(monkeypatch):
    calls = counted(monkeypatch, ranks, "ranked")
    found = ka.compare({"x": X, "y": Y}, metrics=("rsa",))
    assert calls["ranked"] == 5
    check(found, "rsa", 0)


def test_one_sweep_serves_rsa_without_ranks(monkeypatch):
    calls = counted(monkeypatch, _core, "gram_sums")
    ka.compare({"x": X}, {"y": Y}, metrics=("rsa",), metric_options={"rsa": {"comparison": "pearson"}})
    assert calls["gram_sums"] == 1


@pytest.mark.parametrize("comparison,what", [("spearman", "equal"), ("pearson", "equal"), ("cosine", "zero")])
def test_rsa_is_undefined_where_the_one_pair_call_is(comparison, what):
    flat, huge = X.copy(), Y.copy()
    flat[:, 1] = 3.0
    huge[:, 2] *= 1e200
    options = {"distance": "sqeuclidean", "comparison": comparison}
    with pytest.warns(ka.UndefinedScoreWarning):
        found = ka.compare({"x": flat}, {"y": huge}, metrics=("rsa",), metric_options={"rsa": options})
    assert len(found.reasons) == 3
    assert str(found.reasons[-2]).startswith(f"rsa of x layer 1 × y layer 1: all dissimilarities of x are {what}")
    with pytest.warns(ka.UndefinedScoreWarning, match=f"all dissimilarities of y are {what}"):
        assert np.isnan(ka.rsa(X[:, 0], flat[:, 1], **options))


def test_rsa_with_other_options_is_called_pair_by_pair(monkeypatch):
    calls, original = Counter(), ka.rsa
    stand_in(monkeypatch, "rsa", lambda *args, **given: (calls.update(["rsa"]), original(*args, **given))[1])
    gaps = X.copy()
    gaps[5, 1] = 0
    given = {"rsa": {"distance": "cosine", "zero_rows": "drop_pair"}}
    with pytest.warns(ka.AlignmentWarning, match="1 row is zero"):
        found = ka.compare({"x": gaps}, {"y": Y}, metrics=("rsa",), metric_options=given)
    assert calls["rsa"] == 6
    assert found.scores["rsa"]["x", "y"][1, 0] == ka.rsa(
        np.delete(X[:, 1], 5, 0), np.delete(Y[:, 0], 5, 0), distance="cosine"
    )


@pytest.mark.parametrize(
    "option,match", [({"distance": "l3"}, "distance must be"), ({"comparison": 1}, "comparison must")]
)
def test_bad_options_of_rsa(option, match):
    with pytest.raises(ValueError, match=match):
        ka.compare({"x": X}, {"y": Y}, metrics=("rsa",), metric_options={"rsa": option})


def test_rsa_needs_three_items():
    with pytest.raises(ValueError, match="rsa needs at least 3 rows, got 2"):
        ka.compare({"x": X[:2]}, {"y": Y[:2]}, metrics=("rsa",))


def test_overlaps_are_counted_once_for_all_metrics_and_graphs_once_for_all_pairs(monkeypatch):
    shared, graphs = (counted(monkeypatch, lists, name) for name in ("shared_counts", "graph_sums"))
    found = ka.compare({"x": X}, {"y": Y}, metrics=("mutual_knn", "jaccard_knn"), k=5)
    assert (shared["shared_counts"], graphs["graph_sums"]) == (6, 5)
    check(found, "mutual_knn", 0, k=5)
    check(found, "jaccard_knn", 0, k=5)


def test_what_is_known_of_a_side_is_not_mistaken_for_the_other():
    """A constant layer, one without structure and one without a bandwidth, each as x and as y."""
    flat, pairs = np.ones((N, 3)), np.repeat(np.eye(2)[[0]], N, axis=0)
    pairs[0] = [0, 1]  # one row differs: over half of the distances are 0
    good = Y[:, 0].astype(np.float64)
    xs = {"a": good, "flat": flat, "pairs": pairs, "b": Y[:, 1].astype(np.float64)}
    with pytest.warns(ka.UndefinedScoreWarning):
        found = ka.compare(xs, metrics=("cka",), kernel=ka.RBF())
    for at, (a, b) in enumerate(pair for pair in found.pairs("cka") if set(pair) & {"flat", "pairs"}):
        with pytest.warns(ka.UndefinedScoreWarning):
            one = ka.cka(xs[a], xs[b], kernel=ka.RBF())
        said = one.reason.replace("rows of x ", f"rows of xs['{a}'] ").replace("rows of y ", f"rows of xs['{b}'] ")
        assert str(found.reasons[at]) == f"cka of {a} × {b}: {said}"
    assert len(found.reasons) == 5


@pytest.mark.parametrize("variant", ["ucentred", "paper", "platonic"])
def test_cknna_prepares_every_graph_once(monkeypatch, variant):
    calls = counted(monkeypatch, cknna, "sparse_hsic")
    centred = counted(monkeypatch, cknna.Edges, "u_centred")
    found = ka.compare({"x": X}, {"y": Y}, metrics=("cknna",), k=6, metric_options={"cknna": {"variant": variant}})
    assert calls["sparse_hsic"] == (5 + 6 if variant == "platonic" else 0)
    assert centred["u_centred"] == (5 if variant == "ucentred" else 0)
    check(found, "cknna", 0, k=6, variant=variant)


@pytest.mark.parametrize("variant", ["ucentred", "paper", "platonic"])
def test_cknna_does_not_depend_on_the_order_of_neighbours(variant):
    a, b = (cknna.edges(arrays.rows(side[:, 0]), 6, 1, None) for side in (X, Y))
    order = np.argsort(np.random.default_rng(0).random(a.index.shape), axis=1)
    mixed = cknna.Edges(
        np.take_along_axis(a.index, order, axis=1),
        np.take_along_axis(a.value, order, axis=1),
        *(a.square, a.projection, a.mean_square, a.tied),
    )
    expected = cknna.finish_cknna(a, b, variant, {})
    assert cknna.finish_cknna(mixed, b, variant, {}) == pytest.approx(expected, rel=1e-13)
    assert expected == pytest.approx(ka.cknna(X[:, 0], Y[:, 0], 6, variant=variant), rel=1e-13)


def test_shares_of_ties_are_those_of_the_lists():
    x = np.random.default_rng(0).integers(0, 2, (N, 4)) + 1
    found = ka.knn(x, 5)
    assert found.tie_share == found.tie_rows.mean() > 0
    assert found.first(2).tie_share == found.first(2).tie_rows.mean()


def test_patterns_of_a_graph_are_counted_once_for_its_scores_and_for_the_search(monkeypatch):
    calls = counted(monkeypatch, list_engine, "edge_sums")
    found = ka.compare({"x": X}, {"y": Y}, metrics=("mutual_knn",), k=5)
    assert calls["edge_sums"] == 0  # nobody has asked for a p-value
    found.best("mutual_knn")
    assert len(found.p_values["mutual_knn"]) == 1
    assert calls["edge_sums"] == 5
    check(found, "mutual_knn", 0, k=5)
    calls.clear()
    single = ka.compare({"x": X[:, 0], "y": Y[:, 0], "z": Y[:, 1]}, metrics=("mutual_knn",), k=5)
    assert len(single.p_values["mutual_knn"]) == 3
    assert calls["edge_sums"] == 3  # no search, and three pairs of three graphs
    assert single.p_values["mutual_knn"]["x", "z"][0, 0] == found.p_values["mutual_knn"]["x", "y"][0, 1]


@pytest.mark.filterwarnings("ignore:.*is high but mutual_knn:kernalign.AlignmentWarning")
@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_few_items(n):
    x, y = X[:n], Y[:n]
    found = ka.compare({"x": x}, {"y": y}, metrics=("mutual_knn", "cka", "rsa", "cknna"), k=2)
    for metric, options in (("mutual_knn", {"k": 2}), ("cka", {}), ("rsa", {}), ("cknna", {"k": 2})):
        check(found, metric, 1e-12, x, y, **options)


def test_a_p_value_leaves_the_order_of_neighbours_alone():
    a, b = (ka.knn(side[:, 0], 5) for side in (X, Y))
    kept, ordered = a.indices.copy(), ka.lcs_knn(a, b, 5)
    assert (np.diff(kept, axis=1) < 0).any()
    assert 0 < ka.mutual_knn(a, b, 5).p_value < 1
    np.testing.assert_array_equal(a.indices, kept)
    assert ka.lcs_knn(a, b, 5) == ordered


@pytest.mark.parametrize("others", [(), ("lcs_knn", "jaccard_knn")])
def test_p_values_of_other_pairs_do_not_spoil_those_with_ties(others):
    """The fractional overlap of tied lists needs both as they were found."""
    xs = {"a": X[:, 0], "b": X[:, 1], "tied": Y[:, 1].copy()}
    xs["tied"][7:9], xs["tied"][20:25] = xs["tied"][6], xs["tied"][19]
    with pytest.warns(ka.AlignmentWarning, match="rows (repeat|tie)|of the rows tie"):
        found = ka.compare(xs, metrics=("mutual_knn", *others), k=4)
    one = ka.mutual_knn(xs["a"], xs["tied"], 4)
    assert one.settings["ties"] == "fractional"
    assert one.settings["tie_rows_fraction"] > 0
    for table, value in zip(TABLES, (one, one.chance, one.chance_sd, one.p_value), strict=True):
        assert getattr(found, table)["mutual_knn"]["a", "tied"][0, 0] == value
