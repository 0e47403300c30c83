"""compare: files, progress, interrupts, and bad input that is named."""

from __future__ import annotations

import warnings

import kernalign as ka
import numpy as np
import pytest
from layered_samples import N, layered, models
from safetensors.numpy import save_file
from samples import related
from test_compare import EVERY

# Files


def test_paths_are_opened_and_mapped(tmp_path, monkeypatch):
    xs = models()
    np.save(tmp_path / "a.npy", xs["a"])
    np.savez(tmp_path / "bc.npz", b=xs["b"][2], c=xs["c"])
    monkeypatch.chdir(tmp_path)
    given = {"a": tmp_path / "a.npy", "b": "bc.npz:b", "c": str(tmp_path / "bc.npz:c")}
    expected = ka.compare({"a": xs["a"], "b": xs["b"][2], "c": xs["c"]}, k=5, concatenated=True, clip_quantile=0.9)
    found = ka.compare(given, k=5, concatenated=True, clip_quantile=0.9)
    for metric in found.metrics:
        for pair in found.pairs(metric):
            np.testing.assert_array_equal(found.scores[metric][pair], expected.scores[metric][pair])


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_the_arrays_of_a_file_are_the_layers_of_one_model(tmp_path, suffix):
    a = layered(3, 5, 1)
    wide = np.ascontiguousarray(layered(1, 9, 2)[:, 0])
    arrays = {"block10": wide, "block2": a[:, 0].copy(), "block01": a[:, 1].copy(), "ids": np.arange(N)}
    path = tmp_path / f"m.{suffix}"
    np.savez(path, **arrays, words=np.array(["a"] * N)) if suffix == "npz" else save_file(arrays, path)
    given = {"m": path, "x": a, "one": f"{path}:block10"}
    keywords = {"k": 5, "clip_quantile": 0.9, "concatenated": True}
    found = ka.compare(given, **keywords)
    expected = ka.compare({"m": [a[:, 1], a[:, 0], wide], "x": a, "one": wide}, **keywords)
    assert found.x_layers["m"] == ("block01", "block2", "block10", "concatenated")
    assert found.x_layers["one"] == ("0",)
    for metric in found.metrics:
        for pair in found.pairs(metric):
            np.testing.assert_array_equal(found.scores[metric][pair], expected.scores[metric][pair])
    assert next(found.rows())["x_layer"] == "block01"


def test_one_array_beside_what_is_no_representation(tmp_path):
    x = layered(2, 5, 1)
    np.savez(tmp_path / "m.npz", x=x, ids=np.arange(N), words=np.array(["a"] * N), epoch=3, none=np.empty((0, 3)))
    found = ka.compare({"m": tmp_path / "m.npz", "y": layered(1, 4, 2)}, k=5)
    np.testing.assert_array_equal(
        found.scores["cka"]["m", "y"], ka.compare({"m": x, "y": layered(1, 4, 2)}, k=5).scores["cka"]["m", "y"]
    )


def test_files_are_named_in_errors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, bad = layered(2, 5, 1), layered(2, 5, 1)
    bad[7, 1, 3] = np.nan
    np.save("bad.npy", bad)
    np.save("flat.npy", x[:, 0, 0])
    np.save("number.npy", np.array(3.0))
    np.savez("uneven.npz", a=x[:, 0], b=x[:50, 1])
    np.savez("mixed.npz", a=x[:, 0], b=x)
    for path, match in (
        (
            "bad.npy",
            r"^bad\.npy layer 1 must be finite, got nan at row 7, column 3 \(nan_rows=.drop_pair. drops such items\)$",
        ),
        ("flat.npy", r"^flat\.npy must be 2-D \(items, features\) or 3-D .*, got shape \(60,\)$"),
        ("number.npy", r"^number\.npy must be an array with rows, got a single number \(shape \(\)\)$"),
        ("uneven.npz", r"^uneven\.npz:a and uneven\.npz:b must have the same number of rows, got 60 and 50$"),
        ("mixed.npz", r"^mixed\.npz must hold one array or 2-D layers.*: a \(60, 5\), b \(60, 2, 5\)$"),
        ("uneven.npz:b", r"^xs\['x'\] and uneven\.npz:b must have the same number of rows, got 60 and 50$"),
    ):
        with pytest.raises(ValueError, match=match):
            ka.compare({"x": x, "y": path}, errors="raise")


# Progress and Ctrl-C


def test_progress_counts_up_to_one_total():
    seen = []
    ka.compare(models(), metrics=EVERY, k=5, progress=lambda done, total: seen.append((done, total)))
    assert len({total for _, total in seen}) == 1
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]


def test_an_interrupt_comes_through_and_leaves_the_warnings_as_they_were():
    before = warnings.filters[:]

    def interrupt(done, total):
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ka.compare(models(), metrics=EVERY, k=5, progress=interrupt)
    assert warnings.filters == before


# Bad input


X = layered(2, 5, 1)
AB = {"a": X, "b": X}


@pytest.mark.parametrize(
    ("error", "match", "arguments"),
    [
        (TypeError, "xs must be a dict of names and representations, got ndarray", (X,)),
        (ValueError, "xs must hold at least one representation", ({},)),
        (ValueError, "ys must hold at least one representation", ({"a": X}, {})),
        (TypeError, r"xs\['a'\] must have names that are not empty strings, got 3", ({**AB, "a": {3: X[:, 0]}},)),
        (TypeError, "xs must have names that are not empty strings, got 3", ({3: X},)),
        (ValueError, r"xs\['a'\] must be \(items, features\).*got shape \(60,\)", ({**AB, "a": X[:, 0, 0]},)),
        (ValueError, r"ys\['b'\] must be .*got shape \(60, 2, 5, 1\)", ({"a": X}, {"b": X[..., None]})),
        (ValueError, r"xs\['a'\] must be .*got shape \(0,\)", ({**AB, "a": []},)),
        (ValueError, r"xs\['a'\] layer 1 must be 2-D .* got shape", ({**AB, "a": [X[:, 0], X[:, 0, 0]]},)),
        (TypeError, r"xs\['a'\] layer 1 must be a 2-D .* got NoneType", ({**AB, "a": [X[:, 0], None]},)),
        (TypeError, r"xs\['a'\] must be a 2-D numeric array, got Neighbors", ({**AB, "a": ka.knn(X[:, 0], 3)},)),
        (ValueError, r"xs\['a'\] must have at least one layer", ({**AB, "a": X[:, :0]},)),
        (TypeError, r"xs\['a'\] layer 0 must hold numbers, got numbers as text", ({**AB, "a": X.astype(str)},)),
        (ValueError, r"\['a'\] layer 0 and .* layer 1 .* got 60 and 59", ({**AB, "a": [X[:, 0], X[1:, 1]]},)),
        (ValueError, r"xs\['a'\] and xs\['b'\] must have .* rows, got 60 and 50", ({"a": X, "b": X[:50]},)),
        (ValueError, r"xs\['a'\] and ys\['b'\] must have the same number of rows", ({"a": X}, {"b": X[:50]})),
        (FileNotFoundError, "nowhere.npy", ({**AB, "a": "nowhere.npy"},)),
    ],
)
def test_bad_representations_are_named(error, match, arguments):
    with pytest.raises(error, match=match):
        ka.compare(*arguments, errors="raise")


@pytest.mark.parametrize(
    ("error", "match", "keywords"),
    [
        (TypeError, "metrics must be a sequence of names or a dict of them, got 'cka'", {"metrics": "cka"}),
        (ValueError, "metrics must hold at least one name", {"metrics": ()}),
        (ValueError, "no metric 'magic'; known are cka, hsic", {"metrics": ("magic",)}),
        (TypeError, "a metric must be given by name", {"metrics": (3,)}),
        (ValueError, "k must be between 1 and n - 1 = 59, got 60", {"k": 60}),
        (TypeError, "k must be an integer, got 1.5", {"k": 1.5}),
        (ValueError, "layers must be 'all' or 'best', got 'last'", {"layers": "last"}),
        (ValueError, "normalize must be", {"normalize": "l1"}),
        (ValueError, "clip_quantile must be in", {"clip_quantile": 0}),
        (ValueError, "estimator must be", {"estimator": "best"}),
        (TypeError, "kernel must be one of", {"kernel": "linear"}),
        (TypeError, "threads must be", {"threads": 1.5}),
        (TypeError, "progress must be", {"progress": 3}),
        (ValueError, "device must be", {"device": "cuda"}),
        (ValueError, "errors must be 'record' or 'raise', got 'ignore'", {"errors": "ignore"}),
        (TypeError, "metric_options must be a dict", {"metric_options": {"cka": 3}}),
        (ValueError, "'hsic', which is not among", {"metric_options": {"hsic": {}}}),
        (ValueError, "metric must be", {"metric_options": {"mutual_knn": {"metric": "l1"}}}),
        (
            TypeError,
            r"mutual_knn of x = xs\['a'\] layer 0 .* 'magic'",
            {"metric_options": {"mutual_knn": {"magic": 1}}},
        ),
    ],
)
def test_bad_arguments_are_named(error, match, keywords):
    with pytest.raises(error, match=match):
        ka.compare(AB, **keywords)


def test_unbiased_estimators_need_four_items():
    with pytest.raises(ValueError, match="at least 4 rows, got 3"):
        ka.compare({"a": X[:3], "b": X[:3]}, metrics=("cka",))


@pytest.mark.parametrize("metric", ["cka", "mutual_knn", "cknna"])
def test_bad_numbers_are_named_with_their_place(metric):
    bad = X.copy()
    bad[7, 1, 3] = np.nan
    with pytest.raises(ValueError, match=r"xs\['b'\] layer 1 .*row 7"):
        ka.compare({"a": X, "b": bad}, metrics=(metric,), errors="raise")


def test_zero_rows_are_named_where_they_matter():
    bad = X.copy()
    bad[7, 1] = 0
    with pytest.raises(ValueError, match=r"xs\['b'\] layer 1 must have no zero row.*row 7 is zero \(zero_rows=.*\)$"):
        ka.compare({"a": X, "b": bad}, metrics=("mutual_knn",), errors="raise")
    with pytest.raises(ValueError, match=r"xs\['b'\] layer 1 must have no zero row.* row 7 is zero \(zero_rows=.*\)$"):
        options = {"rsa": {"distance": "cosine"}}
        ka.compare({"a": X, "b": bad}, metrics=("rsa",), metric_options=options, errors="raise")
    with pytest.warns(ka.AlignmentWarning, match="b layer 1: 1 row is zero"):
        assert ka.compare({"a": X, "b": bad}, metrics=("cka",)).n == N


def test_gram_matrices_are_not_taken_for_rows():
    gram = {name: x @ x.T for name, x in zip("ab", related(30, 5, 6), strict=True)}
    with pytest.raises(ValueError, match="mutual_knn needs rows, but kernel=Precomputed"):
        ka.compare(gram, kernel=ka.Precomputed())
    found = ka.compare(gram, kernel=ka.Precomputed(), metrics=("cka", "hsic", "kernel_alignment"))
    assert found.scores["cka"]["a", "b"][0, 0] == pytest.approx(float(ka.cka(*related(30, 5, 6))), rel=1e-10)


def test_k_below_one():
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        ka.compare({"a": X, "b": X}, k=0)
