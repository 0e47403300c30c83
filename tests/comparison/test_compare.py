"""compare: every score is that of the one-pair call, whatever else is compared; best layers, inputs, caveats."""

from __future__ import annotations

import itertools
import warnings

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from kernalign import _core
from kernalign._engines import lists
from layered_samples import N, layered, models
from reference import compare as naive
from samples import stand_in

LISTS = ("mutual_knn", "jaccard_knn", "cycle_knn", "lcs_knn", "edit_knn")
GRAMS = ("cka", "hsic", "kernel_alignment", "distance_alignment", "distance_correlation")
EVERY = (*GRAMS, *LISTS, "cknna", "rsa")  # all with shared parts, and one that is called pair by pair


def parts(representation):
    if isinstance(representation, list):
        return representation
    return [representation] if representation.ndim == 2 else list(representation.transpose(1, 0, 2))


def one_pair(metric, x, y, **keywords):
    taken = {key: value for key, value in keywords.items() if ka.METRICS[metric].takes(key) or key == "normalize"}
    return ka.measure(metric, x, y, **taken)


def check(comparison, xs, ys, rtol=1e-12, **keywords):
    """Every score, chance level and p-value is that of the one-pair call."""
    for metric in comparison.metrics:
        tolerance = 0 if metric in LISTS else rtol
        for a, b in comparison.pairs(metric):
            for i, x in enumerate(parts(xs[a])):
                for j, y in enumerate(parts(ys[b])):
                    score = one_pair(metric, x, y, **keywords)
                    for table, value in (
                        (comparison.scores, float(score)),
                        (comparison.chance, score.chance),
                        (comparison.chance_sd, score.chance_sd),
                        (comparison.p_values, score.p_value),
                    ):
                        expected = np.nan if value is None else value
                        np.testing.assert_allclose(table[metric][a, b][i, j], expected, rtol=tolerance, err_msg=metric)


# Equality with one-pair calls


@pytest.mark.parametrize("normalize", [None, "l2", "standardize"])
def test_every_score_is_that_of_the_one_pair_call(normalize):
    xs = models()
    found = ka.compare(xs, metrics=EVERY, k=5, normalize=normalize)
    check(found, xs, xs, k=5, normalize=normalize)


@pytest.mark.parametrize("metric", [name for name in ka.METRICS if name not in EVERY])
def test_all_other_metrics_are_called_pair_by_pair(metric):
    xs, ys = {"x": layered(2, 6, 1)}, {"y": layered(2, 6, 2)}
    needed = {need: {"rank": 2}[need] for need in ka.METRICS[metric].needs}
    found = ka.compare(xs, ys, metrics=(metric,), metric_options={metric: needed}, layers="best", normalize="l2")
    values = np.empty((2, 2))
    for i, j in np.ndindex(2, 2):
        values[i, j] = ka.measure(metric, xs["x"][:, i], ys["y"][:, j], normalize="l2", **needed)
    best = values.max() if ka.METRICS[metric].larger_is_closer else values.min()
    assert found.best(metric)["x", "y"][0] == best


def test_two_sets_are_paired_in_full():
    xs, ys = models(), {"d": layered(2, 8, 7), "a": layered(1, 70, 8)}
    found = ka.compare(xs, ys, metrics=("cka", "cycle_knn"), k=4)
    assert list(found.scores["cka"]) == list(itertools.product(xs, ys)) == list(found.scores["cycle_knn"])
    assert found.scores["cka"]["a", "a"].shape == (3, 1)
    check(found, xs, ys, k=4)


def test_options_reach_the_metrics():
    xs = models()
    found = ka.compare(
        xs,
        metrics=("cka", "hsic", "mutual_knn", "lcs_knn", "cknna"),
        k=6,
        estimator="biased",
        metric_options={
            "mutual_knn": {"metric": "euclidean", "ties": "index"},
            "lcs_knn": {"metric": "dot"},
            "cknna": {"variant": "platonic"},
        },
    )
    a, c = xs["a"][:, 1], xs["c"]
    for metric, options in found.settings["metric_options"].items():
        expected = ka.measure(metric, a, c, k=6, **options)
        np.testing.assert_allclose(found.scores[metric]["a", "c"][1, 0], expected, rtol=1e-12)
    for metric in (ka.cka, ka.hsic):
        score = metric(a, c, estimator="biased")
        for table, value in ((found.scores, score), (found.chance, score.chance), (found.p_values, score.p_value)):
            np.testing.assert_allclose(table[metric.__name__]["a", "c"][1, 0], value, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:.*(the mean holds|is mostly chance):kernalign.AlignmentWarning")
@pytest.mark.parametrize("kernel", [ka.RBF(), ka.RBF(2.5), ka.Laplacian(), ka.Cosine(), ka.Polynomial(2)], ids=repr)
@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
def test_kernels(kernel, estimator):
    xs = models()
    found = ka.compare(xs, metrics=("cka", "hsic", "kernel_alignment"), kernel=kernel, estimator=estimator)
    check(found, xs, xs, kernel=kernel, estimator=estimator)
    if estimator == "unbiased":
        assert np.isfinite(found.best("cka").p_value[np.triu_indices(3, 1)]).all()


def test_precomputed_gram_matrices():
    xs = {name: [layer @ layer.T for layer in parts(x)] for name, x in models().items()}
    found = ka.compare(xs, metrics=("cka",), kernel=ka.Precomputed())
    check(found, xs, xs, kernel=ka.Precomputed())
    plain = ka.compare(models(), metrics=("cka",))
    np.testing.assert_allclose(found.scores["cka"]["a", "b"], plain.scores["cka"]["a", "b"], rtol=1e-9)
    with pytest.raises(ValueError, match=r"Precomputed\(\) takes Gram matrices"):
        ka.compare(xs, kernel=ka.Precomputed(), normalize="l2")


def test_routes_and_precisions_of_each_pair_are_those_of_the_one_pair_call():
    """Of n = 60 rows: narrow and wide, float32 and float64, so that every branch is taken."""
    xs = {}
    for p in (3, 20, 100):
        for dtype in (np.float32, np.float64):
            xs[f"{p} {dtype.__name__}"] = layered(1, p, p, n=80, dtype=dtype)[:, 0]
    found = ka.compare(xs, metrics=("cka", "kernel_alignment"))
    check(found, xs, xs, rtol=1e-7)  # of float32 products, and their p-values


def test_mmd_wants_equal_widths():
    x, y = layered(2, 5, 1), layered(2, 5, 2)
    found = ka.compare({"x": x}, {"y": y}, metrics=("mmd",), layers="best")
    values = [[float(ka.mmd(x[:, i], y[:, j])) for j in range(2)] for i in range(2)]
    assert found.best("mmd")["x", "y"][:2] == (np.min(values), np.unravel_index(np.argmin(values), (2, 2)))
    with pytest.raises(ValueError, match=r"mmd of x = xs\['x'\] layer 0 and y = ys\['y'\]: .* columns, got 5 and 4"):
        ka.compare({"x": x}, {"y": y[:, 0, :4]}, metrics=("mmd",))


def test_options_without_a_shared_part_are_handed_to_the_metric():
    xs = {"a": layered(2, 7, 1)[:, 1], "b": layered(1, 6, 2)}
    labels = np.repeat(np.arange(N // 2), 2)
    found = ka.compare(xs, metrics=("mutual_knn",), k=3, metric_options={"mutual_knn": {"groups": labels}})
    expected = ka.mutual_knn(xs["a"], xs["b"][:, 0], 3, groups=labels)
    assert found.scores["mutual_knn"]["a", "b"][0, 0] == float(expected)
    assert found.chance["mutual_knn"]["a", "b"][0, 0] == expected.chance


def test_many_rows_take_the_feature_route_and_the_leading_term():
    rng = np.random.default_rng(0)
    n = 5200
    x, y = rng.normal(size=(n, 2, 3)), rng.normal(size=(n, 2, 4))
    found = ka.compare({"x": x}, {"y": y}, metrics=("cka",))
    check(found, {"x": x}, {"y": y})
    assert 0 < found.best("cka")["x", "y"][2] < 1


@pytest.mark.filterwarnings("ignore:.*rows tie:kernalign.AlignmentWarning")  # of cknna
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32, ml_dtypes.bfloat16])
def test_types_are_those_of_the_one_pair_call(dtype):
    xs = {"a": (3 * layered(2, 20, 1)).astype(dtype), "b": (3 * layered(2, 25, 2)).astype(dtype)}
    check(ka.compare(xs, metrics=("cka", "mutual_knn"), k=4), xs, xs, k=4)
    clipped = ka.compare({"a": xs["a"][:, 0]}, {"b": xs["b"][:, 0]}, metrics=EVERY, k=4, clip_quantile=0.9)
    for metric in EVERY:
        keywords = {"k": 4} if ka.METRICS[metric].takes("k") else {}
        expected = ka.measure(metric, xs["a"][:, 0], xs["b"][:, 0], clip_quantile=0.9, **keywords)
        np.testing.assert_allclose(clipped.scores[metric]["a", "b"][0, 0], expected, rtol=1e-12)


def with_ties(seed):
    """Two layers of rows that are one of three points, so that all neighbours tie."""
    return np.eye(3)[np.random.default_rng(seed).integers(0, 3, size=(N, 2))]


def test_ties_are_finished_pair_by_pair():
    xs = {"a": with_ties(0), "b": with_ties(1)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ka.AlignmentWarning)
        found = ka.compare(xs, metrics=LISTS, k=4)
        check(found, xs, xs, k=4)
        by_index = ka.compare(xs, metrics=("mutual_knn",), k=4, metric_options={"mutual_knn": {"ties": "index"}})
    assert by_index.scores["mutual_knn"]["a", "b"].mean() > found.scores["mutual_knn"]["a", "b"].mean()
    assert any("tie at the k-th place" in note and "more like it" in note for note in by_index.notes)


# What must not matter


def test_partners_and_their_order_do_not_matter():
    xs = models()
    whole = ka.compare(xs, metrics=EVERY, k=5)
    turned = ka.compare(dict(reversed(xs.items())), metrics=EVERY[::-1], k=5)
    for metric in EVERY:
        for pair in whole.pairs(metric):
            alone = ka.compare({pair[0]: xs[pair[0]]}, {pair[1]: xs[pair[1]]}, metrics=(metric,), k=5)
            for table in ("scores", "chance", "chance_sd", "p_values"):
                cells = getattr(whole, table)[metric][pair]
                np.testing.assert_array_equal(cells, getattr(alone, table)[metric][pair])
                other = getattr(turned, table)[metric]
                mirrored = other[pair] if pair in other else other[pair[::-1]].T
                np.testing.assert_allclose(cells, mirrored, rtol=1e-11, err_msg=f"{metric} {table}")
            for field in ("score", "p_value", "chance"):
                at = whole.x_names.index(pair[0]), whole.y_names.index(pair[1])
                np.testing.assert_array_equal(
                    getattr(whole.best(metric), field)[at], getattr(alone.best(metric), field)[0, 0]
                )


def test_threads_strides_and_order_in_memory_do_not_matter():
    xs = models()
    expected = ka.compare(xs, k=5, threads=1)
    again = {
        "a": np.asfortranarray(xs["a"]),
        "b": tuple(np.repeat(layer, 2, axis=1)[:, ::2] for layer in xs["b"]),
        "c": xs["c"][::-1][::-1],
    }
    found = ka.compare(again, k=5, threads=2)
    for metric in found.metrics:
        for pair in found.pairs(metric):
            np.testing.assert_allclose(found.scores[metric][pair], expected.scores[metric][pair], rtol=1e-12)


def test_what_depends_on_one_layer_is_computed_once(monkeypatch):
    counts = {"nearest_neighbors": 0, "u_centred_cubes": 0, "edge_products": 0}

    def counting(name, original):
        def counted(*args, **keywords):
            counts[name] += 1
            return original(*args, **keywords)

        return counted

    for name in counts:
        for module in (_core, lists):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, counting(name, getattr(module, name)))
    found = ka.compare(models(), metrics=("cka", "hsic", "kernel_alignment", *LISTS, "cknna"), k=5)
    ka.compare(models(), metrics=("distance_alignment",))
    layers = 7
    assert counts == {"nearest_neighbors": 2 * layers, "u_centred_cubes": 0, "edge_products": layers}
    assert len(dict(found.p_values)) == 4 + len(LISTS)
    found.best("cka")
    assert counts["u_centred_cubes"] == layers


# The best pair of layers


@pytest.mark.parametrize("concatenated", [False, True])
def test_best_layers_are_the_argmax_of_all(concatenated):
    xs = models()
    keywords = {"metrics": EVERY, "k": 5, "concatenated": concatenated}
    every, best = (ka.compare(xs, layers=mode, **keywords) for mode in ("all", "best"))
    for metric in EVERY:
        for pair in every.pairs(metric):
            i, j = every.x_names.index(pair[0]), every.y_names.index(pair[1])
            sign = 1 if ka.METRICS[metric].larger_is_closer else -1
            value, at = naive.best(sign * every.scores[metric][pair])
            value *= sign
            assert best.scores[metric][i, j] == value
            assert tuple(best.best_layers[metric][i, j]) == at
            if ka.METRICS[metric].symmetric:
                assert best.scores[metric][j, i] == value
                assert tuple(best.best_layers[metric][j, i]) == at[::-1]
        a, b = every.best(metric), best.best(metric)
        for field in ("score", "layers", "chance", "chance_sd", "p_value"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
        assert np.isnan(np.diag(best.scores[metric])).all()
        assert (np.diagonal(best.best_layers[metric]) == -1).all()


def test_equal_scores_take_the_smallest_layers():
    x, y = layered(1, 5, 1)[:, 0], layered(1, 5, 2)[:, 0]
    found = ka.compare({"x": [x, x, x]}, {"y": [y, y]}, metrics=("mutual_knn",), k=4, layers="best")
    assert found.best("mutual_knn")["x", "y"][1] == (0, 0)
    noise = np.random.default_rng(0).normal(size=(N, 5))
    found = ka.compare({"x": [noise, x, x]}, {"y": [noise[::-1], y, y]}, metrics=("mutual_knn",), k=4, layers="best")
    assert found.best("mutual_knn")["x", "y"][1] == (1, 1)


@pytest.mark.parametrize("metric, score", [("cka", naive.unbiased_cka), ("mutual_knn", None)])
def test_the_best_of_many_layers_is_calibrated(metric, score):
    rng = np.random.default_rng(5)
    n, k = 40, 4
    x = [rng.normal(size=(n, 6)) for _ in range(4)]
    y = [rng.normal(size=(n, 5)) for _ in range(3)]
    found = ka.compare({"x": x}, {"y": y}, metrics=(metric,), k=k)
    best = found.best(metric)
    unit = [naive.unit_rows(side) for side in (x, y)] if metric == "mutual_knn" else (x, y)
    shuffled = naive.largest_of_shuffles(*unit, score or (lambda a, b: naive.overlap(a, b, k)), 400)
    assert best.chance[0, 0] == pytest.approx(shuffled.mean(), abs=0.25 * shuffled.std())
    assert best.chance_sd[0, 0] == pytest.approx(shuffled.std(), rel=0.2)
    p = (1 + (shuffled >= best.score[0, 0] - 1e-12).sum()) / 401
    assert best.p_value[0, 0] == pytest.approx(p, abs=0.1)
    assert best.p_value[0, 0] > found.p_values[metric]["x", "y"].min()
    assert "simulated" in best.method


def test_a_single_pair_of_layers_keeps_its_own_null():
    xs = {"a": layered(1, 5, 1)[:, 0], "b": layered(1, 5, 2)[:, 0]}
    for mode in ("all", "best"):
        found = ka.compare(xs, metrics=("cka", "jaccard_knn"), layers=mode)
        for metric in (ka.cka, ka.jaccard_knn):
            score, best = metric(*xs.values()), found.best(metric.__name__)
            assert (best.score[0, 1], best.chance[0, 1]) == (float(score), score.chance)
            assert best["a", "b"] == (float(score), (0, 0), pytest.approx(score.p_value or np.nan, nan_ok=True))


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_few_items(n):
    xs = {name: layered(2, 5, seed, n=n) for seed, name in enumerate("ab")}
    found = ka.compare(xs, k=n - 1)
    check(found, xs, xs, k=n - 1)
    assert found.best("mutual_knn")["a", "b"] == (1.0, (0, 0), 1.0)
    assert 0 < found.best("cka")["a", "b"][2] <= 1
    few = {name: x[:3] for name, x in xs.items()}
    assert ka.compare(few, metrics=("mutual_knn",), k=1).best("mutual_knn")["a", "b"][1] is not None


def test_ties_in_a_search_over_layers_are_noted():
    xs = {"a": with_ties(0), "b": with_ties(1)}
    with pytest.warns(ka.AlignmentWarning, match=r"a layer 0: 100.0% of the rows tie .* null of the best layers"):
        found = ka.compare(xs, metrics=("mutual_knn",), k=4)
    assert found.notes[0].endswith("(and 3 more like it)")
    assert "57 rows repeat an earlier row" in found.notes[1]
    with pytest.warns(ka.AlignmentWarning, match="repeat an earlier row") as told:
        ka.compare({name: x[:, 0] for name, x in xs.items()}, metrics=("mutual_knn",), k=4)
    assert len(told) == 1


@pytest.mark.parametrize("mode", ["all", "best"])
def test_a_layer_of_equal_rows_does_not_change_the_calibrated_best(mode):
    a, b = layered(3, 7, 1), layered(2, 6, 2)
    constant = np.tile(np.arange(1.0, 5), (N, 1))  # its neighbours all tie: every pairing scores k / (n - 1)
    plain = ka.compare({"a": a}, {"b": b}, metrics=("mutual_knn",)).best("mutual_knn")
    with pytest.warns(ka.AlignmentWarning, match="a layer 3: all rows are equal"):
        found = ka.compare({"a": [*parts(a), constant]}, {"b": b}, metrics=("mutual_knn",), layers=mode)
    best = found.best("mutual_knn")
    assert not any("index order" in note for note in found.notes)
    assert best["a", "b"][:2] == plain["a", "b"][:2]
    assert best["a", "b"][2] == pytest.approx(plain["a", "b"][2], rel=1e-9)
    assert best.chance == pytest.approx(plain.chance, rel=1e-3)
    assert best.chance_sd == pytest.approx(plain.chance_sd, rel=0.05)  # a floor takes away the lowest
    assert best.chance[0, 0] >= 10 / (N - 1)
    with pytest.warns(ka.AlignmentWarning, match="all rows are equal"):
        alone = ka.compare({"a": a}, {"b": [constant, constant]}, metrics=("mutual_knn",), layers=mode)
    assert alone.best("mutual_knn")["a", "b"] == (pytest.approx(10 / (N - 1)), (0, 0), 1.0)
    assert alone.best("mutual_knn").chance_sd == 0


def test_a_layer_of_equal_rows_is_the_best_where_all_others_score_less():
    rng = np.random.default_rng(0)
    away = next(pair for pair in rng.normal(size=(20, 2, N, 8)) if ka.mutual_knn(*pair) < 0.9 * 10 / (N - 1))
    constant = np.tile(np.arange(1.0, 5), (N, 1))
    with pytest.warns(ka.AlignmentWarning, match="all rows are equal"):
        found = ka.compare({"a": [away[0], constant]}, {"b": away[1]}, metrics=("mutual_knn",))
    assert found.best("mutual_knn")["a", "b"] == (pytest.approx(10 / (N - 1)), (1, 0), 1.0)


def test_without_p_values_nothing_costly_is_computed(monkeypatch):
    def never(*args):
        raise AssertionError("p-values were not asked for")

    monkeypatch.setattr(_core, "u_centred_cubes", never)
    xs = models()
    found = ka.compare(xs, k=5, p_values=False)
    assert np.isnan(found.p_values["cka"]["a", "b"]).all()
    assert np.isnan(found.best("cka").p_value).all()
    assert found.scores["cka"]["a", "c"][0, 0] == pytest.approx(float(ka.cka(xs["a"][:, 0], xs["c"])), rel=1e-12)


# Clipping and concatenation, as the paper has them


@pytest.mark.parametrize("as_list", [False, True])
def test_clipping_is_per_array_or_per_layer_of_a_list(as_list):
    raw = [layered(3, 6, seed) for seed in (1, 2)]
    given = [list(one.transpose(1, 0, 2)) if as_list else one for one in raw]
    x, y = (naive.unit_rows(naive.clipped(one, 0.8)) for one in given)
    found = ka.compare(
        {"x": given[0]}, {"y": given[1]}, k=5, clip_quantile=0.8, normalize="l2", metrics=("cka", "mutual_knn", "cknna")
    )
    for i, j in np.ndindex(3, 3):
        np.testing.assert_allclose(found.scores["cka"]["x", "y"][i, j], naive.unbiased_cka(x[i], y[j]), rtol=1e-9)
        assert found.scores["mutual_knn"]["x", "y"][i, j] == pytest.approx(naive.overlap(x[i], y[j], 5), abs=1e-12)
    thresholds = {np.abs(layer).max() for layer in naive.clipped(given[0], 0.8)}
    assert len(thresholds) == (3 if as_list else 1)


@pytest.mark.filterwarnings("ignore:.*is high but mutual_knn:kernalign.AlignmentWarning")
@pytest.mark.parametrize("kind", ["array", "list", "fortran", "bfloat16"])
def test_the_concatenation_is_the_last_candidate(kind):
    x, y = layered(2, 6, 1), layered(3, 5, 2)
    given = {
        "array": x,
        "list": list(x.transpose(1, 0, 2)),
        "fortran": np.asfortranarray(x),
        "bfloat16": list(x.astype(ml_dtypes.bfloat16).transpose(1, 0, 2)),
    }[kind]
    plain = x.astype(ml_dtypes.bfloat16).astype(np.float64) if kind == "bfloat16" else x
    clip = naive.clipped(plain if kind in ("array", "fortran") else list(plain.transpose(1, 0, 2)), 0.9)
    [whole] = naive.unit_rows([np.concatenate(clip, axis=1)])
    [other] = naive.unit_rows([np.concatenate(naive.clipped(y, 0.9), axis=1)])
    found = ka.compare({"x": given}, {"y": y}, k=5, clip_quantile=0.9, normalize="l2", concatenated=True)
    assert found.x_layers["x"] == ("0", "1", "concatenated")
    assert found.scores["cka"]["x", "y"].shape == (3, 4)
    np.testing.assert_allclose(found.scores["cka"]["x", "y"][2, 3], naive.unbiased_cka(whole, other), rtol=1e-5)
    assert found.scores["mutual_knn"]["x", "y"][2, 3] == pytest.approx(naive.overlap(whole, other, 5), abs=1e-12)


def test_representations_without_layers_are_not_concatenated():
    xs = {"a": layered(1, 5, 1), "b": layered(2, 5, 2), "c": layered(2, 5, 3)[:, 0]}
    found = ka.compare(xs, metrics=("cka",), concatenated=True)
    assert [len(labels) for labels in found.x_layers.values()] == [1, 3, 1]


# Undefined scores and caveats


def test_undefined_scores_are_nan_with_a_reason_and_do_not_spoil_the_search():
    x = layered(3, 5, 1)
    x[:, 1] = 2.0
    ys = {"y": layered(2, 4, 2), "flat": np.ones((N, 3))}
    with pytest.warns(
        ka.UndefinedScoreWarning, match=r"cka of x layer 1 × y layer 0: x is constant; and 4 more"
    ) as told:
        found = ka.compare({"x": x}, ys, metrics=("cka",))
    assert len([w for w in told if issubclass(w.category, ka.UndefinedScoreWarning)]) == 1
    assert np.isnan(found.scores["cka"]["x", "y"][1]).all()
    assert np.isfinite(found.scores["cka"]["x", "y"][[0, 2]]).all()
    assert len(found.reasons) == 5
    best = found.best("cka")
    assert best["x", "y"][:2] == naive.best(found.scores["cka"]["x", "y"])
    assert 0 < best["x", "y"][2] < 1e-3
    assert best["x", "flat"][1] is None
    assert np.isnan(best["x", "flat"][0])
    with pytest.warns(ka.UndefinedScoreWarning):
        again = ka.compare({"x": x}, dict(reversed(ys.items())), metrics=("cka",), layers="best")
    assert again.best("cka")["x", "y"] == best["x", "y"]


def test_warnings_of_a_metric_become_one_note():
    xs = {"a": layered(2, 5, 0) + 50, "b": layered(2, 5, 1) + 10}
    with pytest.warns(ka.AlignmentWarning, match="the mean holds"):
        found = ka.compare(xs, metrics=("kernel_alignment",))
    [note] = found.notes
    assert note.startswith("a layer 0 × b layer 0: kernel_alignment: the mean holds")
    assert note.endswith("(and 3 more like it)")


def test_other_warnings_come_through(monkeypatch):
    def warn(*args, **keywords):
        warnings.warn("something else", RuntimeWarning, stacklevel=2)
        return original(*args, **keywords)

    original = ka.cka
    stand_in(monkeypatch, "cka", warn)
    xs = {"a": layered(1, 5, 1), "b": layered(1, 5, 2)}
    with pytest.warns(RuntimeWarning, match="something else"):
        ka.compare(xs, metrics=("cka",), metric_options={"cka": {"uncertainty": "jackknife"}})


@pytest.mark.parametrize("layers", ["all", "best"])
def test_groups_change_places_whole_for_every_metric_that_has_them(layers):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 3)
    x, y = (np.repeat(rng.normal(size=(20, p)), 3, axis=0) + 0.1 * rng.normal(size=(60, p)) for p in (6, 5))
    metrics = ("cka", "hsic", "distance_correlation", "rsa", "mutual_knn", "cca")
    found = ka.compare({"x": x}, {"y": y}, metrics=metrics, k=4, groups=labels.astype(str), layers=layers)
    assert found.settings["groups"] == 20
    for metric in metrics:
        own = {"groups": labels} if metric != "cca" else {}
        alone = ka.measure(metric, x, y, **own, **({"k": 4} if metric == "mutual_knn" else {}))
        assert np.squeeze(found.scores[metric]["x", "y"] if layers == "all" else found.best(metric).score) == alone
        if metric != "cca":
            p = found.p_values[metric]["x", "y"] if layers == "all" else found.best(metric).p_value
            assert np.squeeze(p) == alone.p_value > 0.01
    with pytest.raises(ValueError, match="groups must hold one label per row, got 59 for 60 rows"):
        ka.compare({"x": x}, {"y": y}, groups=labels[1:])
    several = ka.compare({"x": np.stack([x, x**3], axis=1)}, {"y": y}, metrics=("cka",), groups=labels, layers="best")
    assert np.isnan(several.best("cka").p_value).all()


def test_metrics_that_know_no_groups_have_no_p_value_of_independent_rows():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 3)
    models = {name: rng.normal(size=(20, 4))[labels] + 0.3 * rng.normal(size=(60, 4)) for name in "xy"}
    metrics = ("cka", "angular_cka", "soft_correlation")
    found = ka.compare(models, metrics=metrics, groups=labels)
    free = ka.compare(models, metrics=metrics)
    for metric in metrics[1:]:
        assert found.scores[metric]["x", "y"] == pytest.approx(free.scores[metric]["x", "y"])
        assert np.isnan(found.p_values[metric]["x", "y"]).all()
        assert np.isfinite(free.p_values[metric]["x", "y"]).all()
    assert found.p_values["cka"]["x", "y"].item() == ka.cka(models["x"], models["y"], groups=labels).p_value
    drawn = ka.compare(models, metrics=metrics, groups=labels, p_values=199)
    by_hand = ka.permutation_test("cka", models["x"], models["y"], groups=labels, permutations=199).p_value
    for metric in metrics[1:]:
        assert drawn.p_values[metric]["x", "y"].item() > 0.01
    assert by_hand > 0.01
    assert free.p_values["angular_cka"]["x", "y"].item() < 1e-3
