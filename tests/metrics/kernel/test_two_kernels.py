"""A kernel for each side, and the delta kernel of class labels: values, pairing of rows, nulls and refusals."""

import itertools

import kernalign as ka
import numpy as np
import pandas as pd
import pytest
from reference import alignment as oracle
from reference import jackknife
from samples import related

METRICS = ("cka", "hsic", "kernel_alignment")
SIDES = {
    "linear": (ka.Linear(), oracle.linear),
    "rbf": (ka.RBF(), oracle.rbf),
    "laplacian": (ka.Laplacian(2.0), lambda x: oracle.laplacian(x, bandwidth=2.0)),
    "cosine": (ka.Cosine(), oracle.cosine_similarity),
    "quadratic": (ka.Polynomial(2), lambda x: oracle.polynomial(x, 2)),
}
pytestmark = pytest.mark.filterwarnings("ignore:kernel_alignment. the mean holds:kernalign.AlignmentWarning")


def classes(n, count, seed=1):
    return np.random.default_rng(seed).integers(count, size=n)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("pair", list(itertools.permutations(SIDES, 2)), ids="-".join)
def test_each_side_has_its_own_kernel(name, estimator, pair):
    sides = related(90, 17, 20)
    score = getattr(ka, name)(*sides, estimator=estimator, kernel=tuple(SIDES[kind][0] for kind in pair))
    wanted = oracle.METRICS[name, estimator](*(SIDES[kind][1](a) for a, kind in zip(sides, pair, strict=True)))
    assert score == pytest.approx(wanted, rel=1e-10)
    assert score.settings["kernel"] == tuple(str(SIDES[kind][0]) for kind in pair)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("kind", SIDES)
@pytest.mark.parametrize("n,count", [(80, 2), (80, 13), (80, 60), (650, 600)])
def test_labels_have_the_delta_kernel(name, estimator, kind, n, count):
    """Few items and many, few classes (columns of 0 and 1) and more than are given columns."""
    x, _ = related(n, 17, 3)
    labels = np.arange(n) % count if count == 600 else classes(n, count)
    x[:, 0] += labels % 3
    kernel, matrix = SIDES[kind]
    k, g = matrix(x), oracle.delta(labels)
    score = getattr(ka, name)(x, labels, estimator=estimator, kernel=(kernel, ka.Delta()))
    assert score == pytest.approx(oracle.METRICS[name, estimator](k, g), rel=1e-9)
    other = getattr(ka, name)(labels, x, estimator=estimator, kernel=(ka.Delta(), kernel))
    assert other == pytest.approx(score, rel=1e-12)


def test_labels_of_any_kind_are_the_same_classes():
    x, _ = related(60, 5, 3)
    numbers = classes(60, 4)
    wanted = ka.cka(x, numbers, kernel=(ka.Linear(), ka.Delta()))
    mixed = np.empty(4, dtype=object)
    mixed[:] = ["cat", 7, ("a", "b"), True]
    for names in (np.array(["b", "d", "a", "c"]), mixed, np.array([2**40, -1, 0, 5])):
        given = names[numbers]
        for labels in (given, list(given), pd.Series(given), pd.Series(given).astype("category")):
            assert ka.cka(x, labels, kernel=(ka.Linear(), ka.Delta())) == wanted
    assert ka.cka(numbers, numbers[::-1] * 0 + numbers, kernel=ka.Delta()) == pytest.approx(1.0)
    two = classes(60, 3, seed=5)
    both = ka.cka(numbers, two, kernel=ka.Delta())
    assert both == pytest.approx(oracle.cka_u(oracle.delta(numbers), oracle.delta(two)), rel=1e-10)


def test_preprocessing_and_dropped_rows_leave_labels_alone():
    x, _ = related(70, 18, 3)
    labels = classes(70, 5)
    kernel = (ka.Linear(), ka.Delta())
    g = oracle.delta(labels)
    for normalize, clip in (("l2", None), ("standardize", None), (None, 0.9), ("standardize", 0.9)):
        cut = x if clip is None else np.clip(x, *(np.sort(np.abs(x).ravel())[int(clip * x.size)] * np.array([-1, 1])))
        made = {None: cut, "l2": oracle.l2_rows(cut), "standardize": (cut - cut.mean(0)) / cut.std(0, ddof=1)}[
            normalize
        ]
        score = ka.cka(x, labels, kernel=kernel, normalize=normalize, clip_quantile=clip)
        assert score == pytest.approx(oracle.cka_u(oracle.linear(made), g), rel=1e-9)
    x[3], x[8, 2] = 0.0, np.nan
    kept = np.delete(np.arange(70), [3, 8])
    score = ka.cka(x, labels, kernel=(ka.Cosine(), ka.Delta()), zero_rows="drop_pair", nan_rows="drop_pair")
    assert score == pytest.approx(oracle.cka_u(oracle.cosine_similarity(x[kept]), g[np.ix_(kept, kept)]), rel=1e-9)
    assert score.settings["dropped"] == 2


def test_a_zero_row_is_dropped_only_where_its_own_kernel_needs_a_direction():
    x, y = related(40, 5, 6)
    x[3], y[5] = 0.0, 0.0
    kept = np.delete(np.arange(40), 5)
    kernel = (ka.Linear(), ka.Cosine())
    score = ka.cka(x, y, kernel=kernel, zero_rows="drop_pair")
    assert score == pytest.approx(oracle.cka_u(oracle.linear(x[kept]), oracle.cosine_similarity(y[kept])), rel=1e-10)
    test = ka.permutation_test("cka", x, y, kernel=kernel, zero_rows="drop_pair", permutations=9)
    assert test.score == pytest.approx(score, rel=1e-10)
    with pytest.warns(ka.AlignmentWarning, match="a: 1 row is zero"):
        made = ka.compare({"a": x}, {"b": y}, metrics=["cka"], kernel=kernel, zero_rows="drop_pair", errors="raise")
    assert made.scores["cka"]["a", "b"][0, 0] == pytest.approx(score, rel=1e-10)


def test_one_side_may_be_a_gram_matrix():
    x, y = related(40, 5, 6)
    gram = oracle.rbf(y)
    gram[4] = gram[:, 4] = np.nan
    kept = np.delete(np.arange(40), 4)
    kernel = (ka.Linear(), ka.Precomputed())
    wanted = oracle.cka_u(oracle.linear(x[kept]), gram[np.ix_(kept, kept)])
    assert ka.cka(x, gram, kernel=kernel, nan_rows="drop_pair") == pytest.approx(wanted, rel=1e-10)
    assert ka.permutation_test("cka", x, gram, kernel=kernel, nan_rows="drop_pair", permutations=9).score == (
        pytest.approx(wanted, rel=1e-10)
    )
    made = ka.compare({"a": x}, {"b": gram}, metrics=["cka"], kernel=kernel, nan_rows="drop_pair", errors="raise")
    assert made.scores["cka"]["a", "b"][0, 0] == pytest.approx(wanted, rel=1e-10)
    with pytest.raises(ValueError, match="normalize and clip_quantile apply to rows"):
        ka.cka(x, y @ y.T, kernel=kernel, normalize="l2")


def test_labels_follow_the_items_of_their_index():
    x, _ = related(30, 5, 3)
    labels = np.array(list("abc"))[classes(30, 3)]
    order = np.random.default_rng(3).permutation(30)
    names = [f"item {i}" for i in range(30)]
    frame = pd.DataFrame(x, index=names)
    series = pd.Series(labels, index=names).iloc[order]
    kernel = (ka.Linear(), ka.Delta())
    wanted = ka.cka(x, labels, kernel=kernel)
    assert ka.cka(frame, series, kernel=kernel) == pytest.approx(wanted, rel=1e-12)
    assert ka.permutation_test("cka", frame, series, kernel=kernel, permutations=9).score == pytest.approx(wanted)
    made = ka.compare({"a": frame}, {"b": series}, metrics=["cka"], kernel=kernel, errors="raise")
    assert made.scores["cka"]["a", "b"][0, 0] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("kind", ["linear", "rbf"])
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_the_null_is_that_of_all_pairings(kind, estimator):
    x, _ = related(7, 3, 3)
    labels = np.array(list("aabbbcc"))
    kernel, matrix = SIDES[kind]
    k, g = matrix(x), oracle.delta(labels)
    of = oracle.METRICS["cka", estimator]
    scores = np.array([of(k, g[np.ix_(order, order)]) for order in map(list, itertools.permutations(range(7)))])
    score = ka.cka(x, labels, estimator=estimator, kernel=(kernel, ka.Delta()))
    assert score.chance == pytest.approx(scores.mean(), abs=1e-12)
    assert score.chance_sd == pytest.approx(scores.std(), rel=1e-9)
    unbiased = np.array([oracle.cka_u(k, g[np.ix_(o, o)]) for o in map(list, itertools.permutations(range(7)))])
    assert score.p_value == pytest.approx(np.mean(unbiased >= unbiased[0] - 1e-12), abs=1e-9)


@pytest.mark.parametrize("kind", ["linear", "rbf"])
@pytest.mark.parametrize("count", [3, 700])
def test_permutation_tests_take_labels(kind, count):
    n = 60 if count == 3 else 750
    x, _ = related(n, 4, 3)
    labels = np.array([f"class {i % count}" for i in range(n)])
    kernel, matrix = SIDES[kind]
    test = ka.permutation_test("cka", x, labels, kernel=(kernel, ka.Delta()), permutations=5, seed=2)
    k, g = matrix(x), oracle.delta(labels)
    assert test.score == pytest.approx(oracle.cka_u(k, g), rel=1e-6, abs=1e-9)
    found = ka.independence_test(x, labels, kernel=(kernel, ka.Delta()))
    assert found.p_value == ka.hsic(x, labels, kernel=(kernel, ka.Delta())).p_value


def test_jackknife_of_two_kernels():
    x, _ = related(40, 5, 3)
    labels = classes(40, 3)
    x[:, 0] += labels
    k, g = oracle.rbf(x, bandwidth=2.0), oracle.delta(labels)
    deleted = [
        oracle.cka_u(*(np.delete(np.delete(matrix, i, 0), i, 1) for matrix in (k, g))) for i in range(len(labels))
    ]
    score = ka.cka(x, labels, kernel=(ka.RBF(2.0), ka.Delta()), uncertainty="jackknife")
    assert score.stderr == pytest.approx(jackknife.stderr(np.array(deleted)), rel=1e-6)


def test_labels_in_a_comparison():
    x, y = related(50, 5, 6)
    few, many = classes(50, 3).astype(str), classes(50, 20)
    kernel = (ka.RBF(), ka.Delta())
    made = ka.compare(
        {"a": [x, y], "b": x}, {"few": few, "many": many}, metrics=["cka", "hsic"], kernel=kernel, errors="raise"
    )
    for name, layers in (("a", [x, y]), ("b", [x])):
        for label, given in (("few", few), ("many", many)):
            for metric in ("cka", "hsic"):
                wanted = [[float(getattr(ka, metric)(layer, given, kernel=kernel))] for layer in layers]
                np.testing.assert_allclose(made.scores[metric][name, label], wanted, rtol=1e-10)
    own = ka.compare({"a": x}, {"few": few}, metrics={"by class": ("cka", {"kernel": kernel})}, errors="raise")
    assert own.scores["by class"]["a", "few"][0, 0] == pytest.approx(made.scores["cka"]["b", "few"][0, 0])
    assert not made.notes
    alone = ka.compare({"b": x}, {"few": few}, metrics=["cka"], kernel=kernel, uncertainty=True, errors="raise")
    assert alone.scores["cka"]["b", "few"][0, 0] == pytest.approx(made.scores["cka"]["b", "few"][0, 0])  # a call a pair
    best = ka.compare({"a": [x, y]}, {"few": few}, metrics=["cka"], kernel=kernel, layers="best", errors="raise")
    assert 0 < best.best("cka").p_value[0, 0] <= 1


def test_refusals():
    x, y = related(20, 3, 3)
    labels = classes(20, 3)
    linear, delta = ka.Linear(), ka.Delta()
    with pytest.raises(TypeError, match=r"kernel must be one of .*Delta\(\), or a pair of these, got 'rbf'"):
        ka.cka(x, y, kernel="rbf")
    with pytest.raises(ValueError, match=r"kernel must be one kernel or a pair .*, got 3 of them"):
        ka.cka(x, y, kernel=(linear, linear, linear))
    with pytest.raises(ValueError, match="y must be 1-D class labels, one per item, got shape"):
        ka.cka(x, y, kernel=(linear, delta))
    with pytest.raises(TypeError, match=r"y must be class labels \(integers, booleans or strings\), got dtype float64"):
        ka.cka(x, y[:, 0], kernel=(linear, delta))
    with pytest.raises(ValueError, match="y must have a label for every row, got none for row 1"):
        ka.cka(x, ["a", None] * 10, kernel=(linear, delta))
    with pytest.raises(ValueError, match="same number of rows"):
        ka.cka(x, labels[:-1], kernel=(linear, delta))
    with pytest.raises(TypeError, match="kernel must be one of"):
        ka.mmd(x, y, kernel=delta)
    with pytest.raises(ValueError, match=r"mutual_knn needs rows, but kernel=Delta\(\) takes class labels"):
        ka.compare({"a": x}, {"b": labels}, metrics=["cka", "mutual_knn"], kernel=(linear, delta))
    with pytest.raises(ValueError, match=r"cka needs rows, but kernel=Delta\(\) takes class labels"):
        ka.compare(
            {"a": x}, {"b": labels}, metrics={"a": ("hsic", {"kernel": (linear, delta)}), "cka": "cka"}, kernel=linear
        )
    with pytest.raises(ValueError, match="kernel must be one for all where xs are compared with each other"):
        ka.compare({"a": x, "b": y}, metrics=["cka"], kernel=(linear, ka.RBF()))
    with pytest.raises(ValueError, match=r"mutual_knn needs rows, but kernel=Delta\(\) takes class labels"):
        ka.permutation_test(["cka", "mutual_knn"], x, labels, kernel=(linear, delta))
    with pytest.warns(ka.UndefinedScoreWarning, match="y is constant"):
        assert np.isnan(ka.cka(x, ["one"] * 20, kernel=(linear, delta)))
    with pytest.warns(ka.UndefinedScoreWarning, match="y has no structure beyond its diagonal"):
        assert np.isnan(ka.cka(x, range(20), kernel=(linear, delta)))


def p_values(count, n, seed):
    """Of independent labels in classes of very unequal size, beside heavy tails."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        labels = np.minimum(rng.geometric(0.4, size=n), 6)
        x = rng.standard_t(2, size=(n, 3))
        kernel = (ka.RBF(), ka.Delta()) if len(found) % 2 else (ka.Linear(), ka.Delta())
        found.append(ka.cka(x, labels, kernel=kernel).p_value)
    return np.array(found)


def test_size_of_the_p_value():
    found = p_values(300, 30, 0)
    assert np.mean(found <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert np.mean(found <= 0.5) == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
def test_size_of_the_p_value_of_many():
    found = p_values(8000, 40, 1)
    for level in (0.01, 0.05, 0.5):
        assert np.mean(found <= level) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 8000))
