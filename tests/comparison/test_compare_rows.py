"""Rows of a comparison: paired by labels, and dropped for all cells at once, so that all are of the same items."""

from __future__ import annotations

import warnings

import kernalign as ka
import numpy as np
import pandas as pd
import pytest
from samples import related

N = 40
NAMES = np.array([f"item {at}" for at in range(N)])
ORDERS = [np.random.default_rng(seed).permutation(N) for seed in range(3)]


def models():
    x, y = related(N, 5, 4)
    return {"a": x, "b": y, "c": np.stack([x @ np.diag(range(1, 6)), x**3], axis=1)}


def frame(x, order=None):
    index = NAMES if order is None else NAMES[order]
    return pd.DataFrame(x if order is None else x[order], index=index)


def assert_same(found, wanted):
    assert found.n == wanted.n
    for metric in wanted.metrics:
        for pair, scores in wanted.scores[metric].items():
            np.testing.assert_allclose(found.scores[metric][pair], scores, rtol=1e-12, err_msg=f"{metric} {pair}")


def test_labelled_layers_are_aligned():
    given = models()
    wanted = ka.compare(given, metrics=("cka", "mutual_knn", "rsa", "cca"))
    c = [frame(given["c"][:, layer], order) for layer, order in enumerate(ORDERS[:2])]
    labelled = {"a": frame(given["a"], ORDERS[2]), "b": frame(given["b"]), "c": c}
    found = ka.compare(labelled, metrics=("cka", "mutual_knn", "rsa", "cca"))
    assert_same(found, wanted)
    assert found.settings["pairing"] == "ids"
    apart = ka.compare(labelled, pairing="position")
    assert apart.scores["cka"]["a", "b"] == pytest.approx(float(ka.cka(given["a"][ORDERS[2]], given["b"])), rel=1e-12)
    assert apart.settings["pairing"] == "position"


def test_ids_by_name_and_the_items_that_all_have():
    given = models()
    rows = {"a": ORDERS[0][:30], "b": ORDERS[1][:35], "c": np.arange(N)}
    common = [row for row in rows["a"] if row in rows["b"]]
    found = ka.compare(
        {name: given[name][own] for name, own in rows.items()},
        ids={name: NAMES[own] for name, own in rows.items()},
        pairing="ids",
        concatenated=True,
    )
    assert_same(found, ka.compare({name: x[common] for name, x in given.items()}, concatenated=True))
    assert found.settings["unpaired"]["xs['a']"] == 30 - len(common)


def test_two_sides_are_aligned_with_each_other():
    given = models()
    xs, ys = {"a": frame(given["a"])}, {"b": frame(given["b"], ORDERS[0])}
    assert ka.compare(xs, ys).scores["cka"]["a", "b"] == ka.cka(given["a"], given["b"])


@pytest.mark.parametrize("errors", ["record", "raise"])
def test_labels_that_differ_are_refused(errors):
    given = models()
    with pytest.raises(ValueError, match=r"3 of xs\['a'\] are not in xs\['b'\] \(first 'item 37'\)"):
        ka.compare({"a": frame(given["a"]), "b": frame(given["b"])[:37]}, errors=errors)
    with pytest.raises(ValueError, match=r"xs\['c'\] has no labels, but xs\['a'\] and xs\['b'\] have the same ones in"):
        ka.compare({"a": frame(given["a"]), "b": frame(given["b"], ORDERS[0]), "c": given["a"]}, errors=errors)
    with pytest.raises(ValueError, match="ids must be of representations that are given, got 'z'"):
        ka.compare({"a": given["a"], "b": given["b"]}, ids={"z": NAMES}, errors=errors)
    with pytest.raises(TypeError, match="ids must be a dict of names and labels, got tuple"):
        ka.compare({"a": given["a"], "b": given["b"]}, ids=(NAMES, NAMES), errors=errors)


def test_what_one_layer_lacks_is_dropped_from_every_cell():
    given = models()
    given["c"][7, 1], given["c"][9, 0], given["b"][3, 2] = np.nan, 0, np.inf
    given["a"] = np.asfortranarray(given["a"])
    clean = {name: np.delete(x, [3, 7, 9], axis=0) for name, x in given.items()}
    metrics = ("cka", "mutual_knn", "cca")
    for more in ({}, {"concatenated": True}, {"clip_quantile": 0.9}, {"layers": "best"}):
        found = ka.compare(given, metrics=metrics, zero_rows="drop_pair", nan_rows="drop_pair", **more)
        wanted = ka.compare(clean, metrics=metrics, **more)
        assert found.reasons == ()
        assert found.settings["dropped_rows"] == {"non-finite": 2, "zero": 1}
        assert found.settings["dropped"] == 3
        if "layers" in more:
            np.testing.assert_allclose(found.best("cka").score, wanted.best("cka").score, rtol=1e-12)
        else:
            assert_same(found, wanted)


def test_zero_rows_are_dropped_only_where_a_metric_needs_a_direction():
    given = models()
    given["a"][5], given["b"][6] = 0, 2.5
    for metrics, options, count in (
        (("cka",), {}, 0),
        (("cka",), {"normalize": "l2"}, 1),
        (("cka",), {"kernel": ka.Cosine()}, 1),
        (("cka", "mutual_knn"), {}, 1),
        (("mutual_knn",), {"metric_options": {"mutual_knn": {"metric": "euclidean"}}}, 0),
        (("mutual_knn", "rsa"), {}, 2),
        (("rsa",), {"metric_options": {"rsa": {"distance": "cosine"}}}, 1),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ka.AlignmentWarning)
            found = ka.compare(given, metrics=metrics, zero_rows="drop_pair", **options)
        assert (found.n, found.settings["dropped"]) == (N - count, count)
        assert found.reasons == ()


def test_gram_matrices_lose_rows_and_columns():
    given = {name: x for name, x in models().items() if name != "c"}
    grams = {name: x @ x.T for name, x in given.items()}
    grams["a"][3] = grams["a"][:, 3] = np.nan
    labelled = {"a": frame(grams["a"]), "b": pd.DataFrame(grams["b"], index=NAMES).iloc[ORDERS[0], ORDERS[0]]}
    found = ka.compare(labelled, metrics=("cka",), kernel=ka.Precomputed(), nan_rows="drop_pair")
    wanted = ka.cka(*(np.delete(x, 3, axis=0) for x in given.values()))
    assert found.scores["cka"]["a", "b"][0, 0] == pytest.approx(float(wanted), rel=1e-9)


def test_a_layer_that_is_bad_throughout_is_named():
    given = models()
    given["b"][:] = np.nan
    with pytest.raises(ValueError, match=r"every item has a non-finite row on one side \(xs\['b'\] has 40\)"):
        ka.compare(given, nan_rows="drop_pair")


def test_bad_rows_of_aligned_layers_are_errors_of_their_own_cells():
    given = models()
    given["b"][9, 1] = np.nan
    row = list(ORDERS[0]).index(9)
    xs = {"a": frame(given["a"]), "b": frame(given["b"], ORDERS[0]), "c": frame(given["c"][:, 0])}
    with pytest.warns(ka.AlignmentWarning):
        found = ka.compare(xs, metrics=("cka",))
    assert found.scores["cka"]["a", "c"] == ka.cka(given["a"], given["c"][:, 0])
    assert np.isnan(found.scores["cka"]["a", "b"]).all()
    assert any(f"must be finite, got nan at row {row}, column 1" in str(reason) for reason in found.reasons)


def test_bad_options_are_named():
    given = models()
    for option in ("zero_rows", "nan_rows"):
        with pytest.raises(ValueError, match=f"{option} must be 'error' or 'drop_pair', got 'drop'"):
            ka.compare(given, **{option: "drop"})
    with pytest.raises(ValueError, match="pairing must be 'auto', 'position' or 'ids', got 'name'"):
        ka.compare(given, pairing="name")
    with pytest.raises(ValueError, match=r"pairing='ids' needs labels of every row, but xs\['a'\] carries none"):
        ka.compare(given, pairing="ids")
