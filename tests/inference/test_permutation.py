"""Permutation tests: permuted scores equal the metrics on permuted rows, and p-values mean what they say."""

import functools
import warnings

import kernalign as ka
import numpy as np
import pytest
from kernalign._engines import permuted_grams, permuted_lists
from kernalign._rows import arrays
from reference import alignment as oracle
from reference import layer_maximum as ref
from reference import neighbors as ref_neighbors
from samples import related, scaled_pair, stand_in
from scipy import stats

LISTS = ("mutual_knn", "jaccard_knn", "cycle_knn", "lcs_knn", "edit_knn")
GRAMS = ("cka", "hsic", "kernel_alignment")
SHAPES = {"feature": (40, 3, 4), "gram": (24, 70, 90), "one side wide": (30, 3, 60)}


def orders(n, count=4):
    return [np.arange(n), *ref.random_pairings(n, count - 1, 5)]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize("name", GRAMS)
def test_permuted_gram_metrics_are_the_metrics_of_permuted_rows(name, estimator, shape):
    x, y = scaled_pair(*shape)
    centred, unbiased = name != "kernel_alignment", estimator == "unbiased"
    engine = permuted_grams.PermutedFeatures([arrays.rows(x)], [arrays.rows(y)], centred=centred, unbiased=unbiased)
    finish = engine.hsic if name == "hsic" else engine.cosines
    for order in orders(len(x)):
        kernel = oracle.linear if name == "kernel_alignment" else oracle.centred_linear
        expected = oracle.METRICS[name, estimator](kernel(x), kernel(y[order]))
        assert finish(engine.products(order[None]))[0, 0, 0] == pytest.approx(expected, rel=1e-9, abs=1e-13)


KERNELS = [ka.RBF(), ka.RBF(2.0), ka.Laplacian(), ka.Cosine(), ka.Polynomial(2), ka.Polynomial(3, 0.5)]


@pytest.mark.filterwarnings("ignore:.*the mean holds:kernalign.AlignmentWarning")
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize("metric", GRAMS)
def test_kernels_are_permuted_as_rows_would_be(metric, estimator, kernel):
    x, y = scaled_pair(24, 5, 6)
    layers = [y, y[::-1] + x[:, :1]]
    found = ka.permutation_test(metric, x, layers, permutations=5, kernel=kernel, estimator=estimator, seed=3)
    call = functools.partial(getattr(ka, metric), kernel=kernel, estimator=estimator)
    expected = [float(call(x, layer)) for layer in layers]
    np.testing.assert_allclose(found.scores, [expected], rtol=1e-10, atol=1e-12)
    again = ka.permutation_test(call, x, layers, permutations=5, seed=3)
    np.testing.assert_allclose(found.null, again.null, rtol=1e-10, atol=1e-12)
    assert (found.p_value, found.layers) == (again.p_value, again.layers)


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
def test_precomputed_kernels_and_those_that_do_not_exist(estimator):
    x, y = scaled_pair(30, 5, 6)
    names = ["cka", "hsic", "kernel_alignment"]
    how = {"permutations": 9, "estimator": estimator}
    given = ka.permutation_test(names, x @ x.T, y @ y.T, kernel=ka.Precomputed(), **how)
    linear = ka.permutation_test(names, x, y, **how)
    for name in names:
        assert given[name].score == pytest.approx(linear[name].score, rel=1e-10)
        np.testing.assert_allclose(given[name].null, linear[name].null, rtol=1e-9)
    for flat in (np.ones((30, 2)), np.eye(2)[[0] * 25 + [1] * 5]):  # constant; over half of the distances are 0
        if flat.std() == 0 or estimator == "biased":
            with pytest.warns(ka.UndefinedScoreWarning):
                assert np.isnan(ka.permutation_test("cka", x, flat, kernel=ka.RBF(), **how).score)
    with pytest.raises(ValueError, match="mutual_knn needs rows, but kernel=Precomputed"):
        ka.permutation_test(["cka", "mutual_knn"], x @ x.T, y @ y.T, kernel=ka.Precomputed())
    with pytest.raises(ValueError, match="normalize and clip_quantile need rows"):
        ka.permutation_test("cka", x @ x.T, y @ y.T, kernel=ka.Precomputed(), normalize="l2")
    with pytest.raises(TypeError, match="kernel must be one of Linear"):
        ka.permutation_test("cka", x, y, kernel="rbf")


@pytest.mark.parametrize("metric", [name for name, info in ka.METRICS.items() if info.paired and name not in LISTS])
def test_related_data_is_found_by_every_metric(metric):
    x, y = related(24, 4, 5)
    if ka.METRICS[metric].needs:
        with pytest.raises(ValueError, match="takes x and y alone"):
            ka.permutation_test(metric, x, y, permutations=1)
        return
    found = ka.permutation_test(metric, x, y, permutations=19)
    assert found.p_value <= 0.15
    assert (found.score < found.null.min()) == (not ka.METRICS[metric].larger_is_closer) or found.p_value > 0.05


def test_mmd_is_refused():
    x = related(20, 4, 4)[0]
    with pytest.raises(ValueError, match="mmd does not pair rows"):
        ka.permutation_test("mmd", x, x)


def test_a_function_of_kernalign_takes_what_its_name_takes():
    x, y = scaled_pair(40, 5, 6)
    for name, how in (("cka", {"estimator": "biased"}), ("mutual_knn", {"similarity": "euclidean", "k": 3})):
        by_name, by_function = (ka.permutation_test(m, x, y, permutations=9, **how) for m in (name, getattr(ka, name)))
        assert (by_function.score, *by_function.null) == (by_name.score, *by_name.null)


def test_both_routes_of_gram_products_are_taken_and_agree(monkeypatch):
    sides = [[arrays.rows(v) for v in related(50, 40, 30)[i : i + 1]] for i in (0, 1)]
    by_gram, by_features = (
        permuted_grams.PermutedFeatures(*sides, centred=True, unbiased=True)
        for gather in (0, 1 << 40)
        if monkeypatch.setattr(permuted_grams, "GATHER", gather) is None
    )
    assert by_gram._condensed is not None
    assert by_features._condensed is None
    for order in orders(50):
        a, b = (engine.products(order[None]) for engine in (by_gram, by_features))
        assert by_gram.cosines(a) == pytest.approx(by_features.cosines(b), rel=1e-10)
        assert by_gram.hsic(a) == pytest.approx(by_features.hsic(b), rel=1e-10)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("name", LISTS)
def test_permuted_list_metrics_are_the_metrics_of_permuted_rows(name, similarity):
    x, y = related(40, 4, 6)
    test = ka.permutation_test(name, x, y, k=5, similarity=similarity, permutations=6, seed=2)
    rng = np.random.default_rng(2)
    metric = getattr(ka, name)
    assert test.score == pytest.approx(float(metric(x, y, 5, metric=similarity)), rel=1e-12)
    expected = [float(metric(x, y[rng.permutation(40)], 5, metric=similarity)) for _ in range(6)]
    np.testing.assert_allclose(test.null, expected, rtol=1e-12)


@pytest.mark.parametrize("ties", ["fractional", "index"])
@pytest.mark.parametrize("name", ["mutual_knn", "jaccard_knn"])
def test_tied_neighbours_share_their_places_or_go_by_index(name, ties):
    rng = np.random.default_rng(0)
    x, y = rng.integers(1, 4, (30, 2)) * 1.0, rng.integers(1, 4, (30, 2)) * 1.0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f"the test of {name} has no p-value", ka.AlignmentWarning)
        test = ka.permutation_test(name, x, y, k=4, similarity="dot", ties=ties, permutations=5)
    assert np.isnan([test.p_value, test.joint_p_value, test.calibrated()]).all() == (ties == "index")
    sides = [ref_neighbors.in_order(v, "dot") for v in (x, y)]
    rng = np.random.default_rng(0)
    for b in range(6):
        order = np.arange(30) if b == 0 else rng.permutation(30)
        if ties == "fractional":
            w, v = (ref_neighbors.fractional_weights(s, 4) for s in sides)
        else:
            w, v = (ref_neighbors.index_weights(ref_neighbors.lists(s, 4), 30) for s in sides)
        shared = (w * ref_neighbors.relabelled(v, order)).sum(axis=1)
        expected = (shared / 4 if name == "mutual_knn" else shared / (8 - shared)).mean()
        assert (test.null[b - 1] if b else test.score) == pytest.approx(expected, rel=1e-12)


def test_ties_among_very_many_items_are_refused(monkeypatch):
    monkeypatch.setattr(permuted_lists, "TIED_EDGES", 100)
    with pytest.raises(ValueError, match="tie at the k-th place; pass ties='index'"):
        ka.permutation_test("mutual_knn", np.ones((20, 2)), related(20, 2, 2)[1], k=3, permutations=2)


def test_given_neighbours_are_permuted():
    x, y = related(60, 4, 6)
    lists = ka.knn(x, 8), ka.knn(y, 9)
    a = ka.permutation_test(list(LISTS), *lists, k=6, permutations=20)
    b = ka.permutation_test(list(LISTS), x, y, k=6, permutations=20)
    for name in LISTS:
        np.testing.assert_allclose(a[name].null, b[name].null, rtol=1e-12)
    with pytest.raises(TypeError, match="Neighbors are for metrics of neighbour lists"):
        ka.permutation_test(["mutual_knn", "cka"], *lists)
    with pytest.raises(ValueError, match="k must be between 1 and the length of the neighbour lists given = 8, got 10"):
        ka.permutation_test("mutual_knn", *lists)
    sampled = ka.knn(x, 8, backend="sample")
    with pytest.raises(ValueError, match="x must hold the neighbours of every row"):
        ka.permutation_test("mutual_knn", sampled, lists[1], k=6)


def test_cknna_of_permuted_rows():
    x, y = related(30, 5, 6)
    test = ka.permutation_test("cknna", x, y, k=6, permutations=6, seed=2)
    called = ka.permutation_test(ka.cknna, x, y, k=6, permutations=6, seed=2)
    rng = np.random.default_rng(2)
    expected = [float(ka.cknna(x, y[rng.permutation(30)], 6)) for _ in range(6)]
    np.testing.assert_allclose(test.null, expected, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(called.null, expected, rtol=1e-12)
    assert test.score == pytest.approx(float(ka.cknna(x, y, 6)), rel=1e-10)
    with pytest.warns(ka.UndefinedScoreWarning, match="cknna is undefined"):
        assert np.isnan(ka.permutation_test("cknna", x, np.ones((30, 2)), permutations=2).p_value)


def test_null_has_the_exact_moments():
    x, y = related(80, 3, 5, seed=1)
    for name in ("cka", "mutual_knn"):
        score = getattr(ka, name)(x, y)
        test = ka.permutation_test(name, x, y, permutations=4000)
        assert test.mean == pytest.approx(score.chance, abs=4 * score.chance_sd / 4000**0.5)
        assert test.sd == pytest.approx(score.chance_sd, rel=0.06)
        assert test.z == pytest.approx(score.z, rel=0.07)
        assert test.corrected == pytest.approx(score.corrected, abs=0.002)
        assert test.calibrated(0.05) == pytest.approx(ka.calibrated_score(score, 0.05), abs=0.004)


def test_p_value_and_threshold_count_the_given_pairing():
    x, y = related(30, 3, 5)
    test = ka.permutation_test("cka", x, y, permutations=19)
    pool = np.sort(np.append(test.null, test.score))
    assert test.p_value == (pool >= test.score).mean() == 1 / 20
    assert test.threshold(0.05) == pool[18]  # rank ceil(.95 * 20) = 19
    assert test.threshold(0.5) == pool[9]
    assert test.calibrated(0.05) == pytest.approx((test.score - pool[18]) / (1 - pool[18]))
    assert test.calibrated(0.01) == 0.0
    same = ka.permutation_test("cka", x, x, permutations=19)
    assert same.calibrated() == pytest.approx(1.0)
    assert same.corrected == pytest.approx(1.0)
    assert ka.permutation_test("hsic", x, y, permutations=19).calibrated() is None


@pytest.mark.parametrize("name", ["cka", "mutual_knn", "kernel_alignment"])
def test_p_values_of_unrelated_items_are_uniform(name):
    rng = np.random.default_rng(1)
    count, permutations = 300, 39
    p = np.empty(count)
    for b in range(count):
        x, y = rng.normal(size=(14, 2)), rng.normal(size=(14, 3))
        p[b] = ka.permutation_test(name, x, y, k=3, permutations=permutations, seed=b).p_value
    assert p.min() >= 1 / (permutations + 1)
    # Ties of the discrete overlap make its p-values conservative, never the opposite.
    smeared = p - rng.random(count) / (permutations + 1)
    if name == "mutual_knn":
        assert stats.kstest(p, "uniform", alternative="greater").pvalue > 0.01
    else:
        assert stats.kstest(smeared, "uniform").pvalue > 0.01


def layered(n, widths, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, p)) for p in widths]


def test_best_of_all_layers_on_shared_pairings():
    x, y = layered(30, (2, 5, 4), 1), layered(30, (3, 6), 2)
    y[1] = np.hstack([y[1], 2 * x[2]])
    test = ka.permutation_test("cka", x, y, permutations=50, seed=3)
    rng = np.random.default_rng(3)
    everything = ref.cka_scores(x, y, [range(30), *(rng.permutation(30) for _ in range(50))])
    np.testing.assert_allclose(test.scores, everything[0], rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(test.null, everything[1:].max(axis=(1, 2)), rtol=1e-9)
    assert test.layers == (2, 1)
    assert test.score == test.scores[2, 1] == pytest.approx(everything[0].max(), rel=1e-9)
    stacked = ka.permutation_test("cka", np.stack([x[1][:, :4], x[2]], axis=1), y[1], permutations=5)
    assert stacked.layers == (1, 0)


def test_best_layer_of_lists_and_of_calls():
    x, y = layered(25, (3, 4), 1), [layered(25, (3,), 2)[0], layered(25, (4,), 1)[0]]
    tests = ka.permutation_test(["mutual_knn", "lcs_knn", ka.cknna], x, y, k=4, permutations=10)
    rng = np.random.default_rng(0)
    order = rng.permutation(25)
    for name, metric in (("mutual_knn", ka.mutual_knn), ("lcs_knn", ka.lcs_knn), ("cknna", ka.cknna)):
        scores = [[float(metric(a, b, 4)) for b in y] for a in x]
        np.testing.assert_allclose(tests[name].scores, scores, rtol=1e-12)
        assert tests[name].null[0] == pytest.approx(max(float(metric(a, b[order], 4)) for a in x for b in y))


def test_joint_p_value_is_that_of_the_largest_standardised_score():
    x, y = layered(20, (3, 4), 5)
    tests = ka.permutation_test(["cka", "mutual_knn"], x, y, k=4, permutations=199)
    pools = [np.append(t.score, t.null) for t in tests.values()]
    standard = [(pool - pool.mean()) / pool.std() for pool in pools]
    largest = np.max(standard, axis=0)
    for test, own in zip(tests.values(), standard, strict=True):
        assert test.joint_p_value == (largest >= own[0] - 1e-9).mean()
        assert test.joint_p_value >= test.p_value
    alone = ka.permutation_test("cka", x, y, permutations=199)
    assert alone.joint_p_value == alone.p_value == tests["cka"].p_value


def test_whole_groups_change_places():
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(30), 4)
    x, y = (np.repeat(rng.normal(size=(30, p)), 4, axis=0) + 0.05 * rng.normal(size=(120, p)) for p in (6, 5))
    items, groups = (
        ka.permutation_test(["cka", "rsa"], x, y, groups=g, permutations=199) for g in (None, labels.astype(str))
    )
    assert items["cka"].p_value == 1 / 200
    assert groups["cka"].p_value > 0.05
    assert groups["cka"].settings["groups"] == 30
    score = ka.cka(x, y, groups=labels)
    assert groups["cka"].mean == pytest.approx(score.chance, abs=4 * score.chance_sd / 199**0.5)
    assert groups["rsa"].mean == pytest.approx(ka.rsa(x, y, groups=labels).chance, abs=0.02)
    draws = np.random.default_rng(0)
    order = (4 * draws.permutation(30)[:, None] + np.arange(4)).ravel()
    assert groups["cka"].null[0] == pytest.approx(ka.cka(x, y[order]), rel=1e-10)


def test_blocks_take_away_what_they_explain():
    rng = np.random.default_rng(4)
    classes = np.repeat(np.arange(6), 10)
    centres = rng.normal(size=(6, 3)) * 3
    p = []
    for b in range(60):
        x, y = (centres[classes] + rng.normal(size=(60, 3)) for _ in "xy")
        p.append(ka.permutation_test("cka", x, y, permutations=39, blocks=classes, seed=b).p_value)
        assert ka.permutation_test("cka", x, y, permutations=39, seed=b).p_value == 1 / 40
    assert stats.kstest(np.array(p) - rng.random(60) / 40, "uniform").pvalue > 0.01
    labels = np.array(["abcdef"[c] for c in classes])
    a, b = (ka.permutation_test("cka", x, y, permutations=9, blocks=g) for g in (classes, labels))
    np.testing.assert_array_equal(a.null, b.null)
    assert a.settings["blocks"] == 6


def test_functions_and_distances(monkeypatch):
    x, y = related(20, 3, 4)
    stand_in(monkeypatch, "procrustes", distance := lambda x, y: float(np.linalg.norm(x[:, 0] - y[:, 0])))
    by_name = ka.permutation_test("procrustes", x, x.copy(), permutations=99)
    assert by_name.score == by_name.best == 0
    assert by_name.p_value == 0.01
    assert by_name.corrected == 1
    assert by_name.calibrated() == 1
    far = ka.permutation_test("procrustes", x, -x, permutations=99)
    assert far.p_value > 0.9
    assert far.calibrated() == 0
    own = ka.permutation_test(lambda a, b: -distance(a, b), x, x.copy(), permutations=99)
    assert own.p_value == 0.01
    assert own.corrected is None
    partial = ka.permutation_test(functools.partial(ka.cka, estimator="biased"), x, y, permutations=9)
    assert partial.metric == "cka"
    biased = ka.permutation_test("cka", x, y, estimator="biased", permutations=9)
    np.testing.assert_allclose(partial.null, biased.null, rtol=1e-10)
    assert partial.best == 1


def test_layout_dtype_and_input_stay_what_they_are():
    x, y = related(30, 6, 4, dtype=np.float32)
    wide = np.zeros((60, 12), dtype=np.float32)
    wide[::2, ::2] = x
    before = wide.copy()
    wide.flags.writeable = False
    keywords = {"permutations": 10, "k": 3}
    expected = ka.permutation_test(["cka", "mutual_knn"], x.astype(np.float64), y.astype(np.float64), **keywords)
    found = ka.permutation_test(["cka", "mutual_knn"], wide[::2, ::2], y.tolist(), threads=1, **keywords)
    for name in expected:
        np.testing.assert_allclose(found[name].null, expected[name].null, rtol=1e-12)
    np.testing.assert_array_equal(wide, before)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_scale_does_not_matter(scale):
    x, y = related(30, 3, 4)
    a, b = (ka.permutation_test("cka", v, y, permutations=5) for v in (x, x * scale))
    np.testing.assert_allclose(a.null, b.null, rtol=1e-9, atol=1e-14)


def test_preprocessing_is_that_of_the_metrics():
    x, y = related(40, 5, 6)
    for options in ({"normalize": "l2"}, {"normalize": "standardize", "clip_quantile": 0.9}):
        tests = ka.permutation_test(["cka", "mutual_knn", "cknna"], x, y, permutations=2, **options)
        for name, test in tests.items():
            assert test.score == pytest.approx(float(getattr(ka, name)(x, y, **options)), rel=1e-10)


def test_a_constant_side_has_no_score():
    x, y = np.full((12, 2), 0.1), related(12, 2, 3)[1]
    with pytest.warns(ka.UndefinedScoreWarning, match="cka is undefined"):
        tests = ka.permutation_test(["cka", "hsic"], x, y, permutations=9)
    assert np.isnan([tests["cka"].score, tests["cka"].p_value, tests["cka"].joint_p_value]).all()
    assert np.isnan(tests["cka"].calibrated())
    assert (tests["hsic"].score, tests["hsic"].p_value) == (0, 1)
    mixed = ka.permutation_test("cka", [x, y[:, :2]], [y], permutations=9)
    assert mixed.layers == (1, 0)


def test_progress_counts_pairings_and_stops_them():
    seen = []
    ka.permutation_test("cka", *related(20, 2, 3), permutations=7, progress=lambda *at: seen.append(at))
    assert seen == [(b, 7) for b in range(1, 8)]

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ka.permutation_test("cka", *related(20, 2, 3), permutations=7, progress=stop)


def test_same_seed_same_null():
    x, y = related(20, 2, 3)
    a, b, c = (ka.permutation_test("cka", x, y, permutations=5, seed=s).null for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize(
    "arguments,error,message",
    [
        ({"metric": "ckaa"}, ValueError, "metric must be a function of kernalign that takes x and y alone, got 'ckaa'"),
        ({"metric": "knn"}, ValueError, "takes x and y alone, got 'knn'"),
        ({"metric": 3}, TypeError, "metric must be a name, a function of"),
        ({"metric": []}, ValueError, "at least one metric"),
        ({"metric": ["cka", "cka"]}, ValueError, "got 'cka' twice"),
        ({"permutations": 0}, ValueError, "permutations must be at least 1, got 0"),
        ({"permutations": 9.5}, TypeError, r"permutations must be an integer, got 9\.5"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"groups": [0] * 11}, ValueError, "one label per row, got 11 for 12 rows"),
        ({"blocks": [0] * 11}, ValueError, "blocks must hold one label per row, got 11 for 12 rows"),
        ({"blocks": range(12)}, ValueError, "blocks must hold a block of at least two items"),
        ({"groups": [0] * 11 + [1]}, ValueError, "groups must hold two groups of equal size"),
        ({"groups": range(12), "blocks": [0] * 12}, ValueError, "groups and blocks must not both be given"),
        ({"metric": "mutual_knn", "estimator": "plain"}, ValueError, "estimator must be 'unbiased' or 'biased'"),
        ({"ties": "hash"}, ValueError, "ties must be 'fractional' or 'index'"),
        ({"k": 1.5}, TypeError, "k must be an integer"),
        ({"y": np.ones((11, 2))}, ValueError, "x and y must have the same number of rows, got 12 and 11"),
        ({"x": np.ones(12)}, ValueError, r"x must be \(items, features\), .* got shape \(12,\)"),
        ({"x": [np.ones((12, 2)), np.ones(12)]}, ValueError, r"x layer 1 must be 2-D .* got shape \(12,\)"),
        ({"x": [np.ones((12, 2)), None]}, TypeError, "x layer 1 must be a 2-D numeric array, got NoneType"),
        ({"x": {"a": np.ones((12, 2)), "b": np.ones(12)}}, ValueError, "x layer b must be 2-D"),
        ({"x": [np.ones((12, 2)), np.ones((11, 2))]}, ValueError, "x layer 0 and x layer 1 must have the same number"),
        ({"x": [np.eye(12), np.full((12, 2), np.nan)]}, ValueError, "x layer 1 must be finite, got nan at row 0"),
        ({"x": [ka.knn(np.eye(12), 3), np.ones(12)]}, ValueError, "x layer 1 must be 2-D"),
        ({"x": []}, ValueError, r"x must be .* or a list or dict of \(items, features\) arrays, got shape \(0,\)"),
        ({"x": "text"}, TypeError, "x must be a 2-D numeric array or the path"),
        ({"estimator": "plain"}, ValueError, "estimator must be 'unbiased' or 'biased', got 'plain'"),
        ({"metric": "mutual_knn", "k": 12}, ValueError, "k must be between 1 and n - 1 = 11, got 12"),
        ({"metric": "mutual_knn", "similarity": "l1"}, ValueError, "similarity must be 'cosine', 'dot' or"),
        ({"metric": "mutual_knn", "ties": "hash"}, ValueError, "ties must be 'fractional' or 'index'"),
        ({"zero_rows": "drop"}, ValueError, "zero_rows must be 'error' or 'drop_pair', got 'drop'"),
        ({"metric": "rsa", "similarity": "l1"}, ValueError, "similarity must be 'cosine', 'dot' or"),
        ({"similarity": "dot"}, ValueError, "similarity must be left out where the metrics do not take it, got 'dot'"),
        ({"ties": "index"}, ValueError, "ties must be left out"),
        ({"metric": "rsa", "kernel": ka.RBF()}, ValueError, "kernel must be left out"),
        ({"metric": "mutual_knn", "estimator": "biased"}, ValueError, "estimator must be left out"),
        ({"metric": lambda x, y: 1.0, "normalize": "l2"}, ValueError, "normalize must be left out"),
        ({"metric": lambda x, y: 1.0, "clip_quantile": 7}, ValueError, "clip_quantile must be left out"),
        ({"metrics": 1}, TypeError, "unknown keyword argument 'metrics'"),
        ({"metric": lambda x, y: np.nan if y[0, 0] != 1 else 1.0}, ValueError, "is nan for random pairing"),
    ],
)
def test_bad_input(arguments, error, message):
    x = np.arange(24.0).reshape(12, 2) ** 2
    arguments = {"metric": "cka", "x": x, "y": x[:, ::-1], **arguments}
    with pytest.raises(error, match=message):
        ka.permutation_test(arguments.pop("metric"), arguments.pop("x"), arguments.pop("y"), **arguments)


def test_non_finite_values_are_named():
    x, y = related(12, 2, 2)
    y[3, 1] = np.nan
    with pytest.raises(ValueError, match="y must be finite, got nan at row 3, column 1"):
        ka.permutation_test("cka", x, y)


def test_calibrated_scores():
    x, y = related(100, 2, 2)
    score = ka.cka(x, y)
    threshold = score.chance_sd * stats.pearson3.isf(0.05, score.chance_skew)
    assert ka.calibrated_score(score) == pytest.approx((score - threshold) / (1 - threshold), rel=1e-9)
    overlap = ka.mutual_knn(x, y)
    threshold = overlap.chance + overlap.chance_sd * stats.pearson3.isf(0.01, overlap.chance_skew)
    assert ka.calibrated_score(overlap, 0.01) == pytest.approx((overlap - threshold) / (1 - threshold), rel=1e-9)
    shuffled = ka.cka(x, y[np.random.default_rng(0).permutation(100)])
    assert ka.calibrated_score(shuffled, 1e-6) == 0
    assert ka.calibrated_score(ka.cka(x, x)) == 1
    with pytest.raises(ValueError, match="those of kernel_alignment are not: use permutation_test"):
        ka.calibrated_score(ka.kernel_alignment(x, y))
    with pytest.raises(ValueError, match=r"alpha must be in \(0, 1\), got 0"):
        ka.calibrated_score(score, 0)
    with pytest.warns(ka.UndefinedScoreWarning):
        assert np.isnan(ka.calibrated_score(ka.cka(np.ones((9, 2)), x[:9])))


def labelled(n=40):
    """Two sides with labels in different orders, one row of zeros and one of nan, and the clean items in one order."""
    x, y = related(n, 4, 3)
    x[5], y[8, 1] = 0, np.nan
    order = np.random.default_rng(5).permutation(n)
    keep = [at for at in range(n) if at not in (5, 8)]
    return x, y[order], (np.arange(n), order), x[keep], y[keep], keep


DROP = {"zero_rows": "drop_pair", "nan_rows": "drop_pair"}


@pytest.mark.parametrize(
    "keywords", [{"metric": "cka"}, {"metric": "mutual_knn"}, {"metric": ka.nbs}, {"metric": "cka", "kernel": ka.RBF()}]
)
def test_rows_are_paired_and_dropped_before_the_test(keywords):
    x, y, ids, clean_x, clean_y, keep = labelled()
    keywords = {"permutations": 19, "normalize": "l2", **keywords}
    groups = np.arange(40) // 4
    found = ka.permutation_test(x=x, y=y, ids=ids, groups=groups, **DROP, **keywords)
    wanted = ka.permutation_test(x=clean_x, y=clean_y, groups=groups[keep], **keywords)
    np.testing.assert_array_equal(found.null, wanted.null)
    assert (found.score, found.p_value) == (wanted.score, wanted.p_value)
    assert found.settings["dropped_rows"] == {"non-finite": 1, "zero": 1}
    assert found.settings["pairing"] == "ids"


def test_what_one_layer_lacks_is_dropped_from_all_layers_and_metrics():
    x, y, ids, clean_x, clean_y, _ = labelled()
    layers, clean = [x, np.ones_like(x) + x**2], [clean_x, np.ones_like(clean_x) + clean_x**2]
    tested = ["cka", "mutual_knn"]
    found = ka.permutation_test(tested, layers, y, ids=ids, permutations=9, **DROP)
    wanted = ka.permutation_test(tested, clean, clean_y, permutations=9)
    for name in tested:
        np.testing.assert_array_equal(found[name].scores, wanted[name].scores)
    cka = ka.permutation_test("cka", layers, y, ids=ids, permutations=9, **DROP)
    assert cka.settings["dropped_rows"] == {"non-finite": 1}


def test_gram_matrices_drop_rows_and_columns():
    x, y, _, clean_x, clean_y, _ = labelled()
    y = related(40, 4, 3)[1]
    k, other = x @ x.T, y @ y.T
    other[8] = other[:, 8] = k[5] = k[:, 5] = np.nan
    found = ka.permutation_test("cka", k, other, kernel=ka.Precomputed(), permutations=19, nan_rows="drop_pair")
    wanted = ka.permutation_test("cka", clean_x, clean_y, permutations=19)
    np.testing.assert_allclose(found.null, wanted.null, rtol=1e-9, atol=1e-12)
    assert found.settings["dropped_rows"] == {"non-finite": 2}
    alone = ka.cka(k, other, kernel=ka.Precomputed(), nan_rows="drop_pair")
    assert alone == pytest.approx(float(ka.cka(clean_x, clean_y)), rel=1e-9)


def test_lists_of_neighbours_have_no_rows_to_drop():
    x, _ = related(20, 4, 3)
    lists = ka.knn(x, 3)
    with pytest.raises(ValueError, match="nan_rows must be 'error' where x or y are Neighbors, got 'drop_pair'"):
        ka.permutation_test("mutual_knn", lists, lists, nan_rows="drop_pair")
    with pytest.raises(ValueError, match="normalize must be left out where the metrics do not take it, got 'l2'"):
        ka.permutation_test("mutual_knn", lists, lists, k=3, normalize="l2")


def test_layers_come_in_dicts_and_nested_lists_too():
    x, y = related(20, 4, 3)
    expected = ka.permutation_test("cka", [x, x**3], y, permutations=9)
    for given in ({"early": x, "late": x**3}, [x.tolist(), x**3], (x, (x**3).tolist()), np.stack([x, x**3], axis=1)):
        found = ka.permutation_test("cka", given, y, permutations=9)
        np.testing.assert_array_equal(found.null, expected.null)
        assert found.layers == expected.layers
    assert ka.permutation_test("cka", x.tolist(), y, permutations=9).layers is None


def test_a_function_with_keywords_gets_the_options_of_the_test():
    x, y = related(20, 4, 3)
    test = ka.permutation_test(
        functools.partial(ka.mutual_knn, metric="dot"), x, y, k=4, normalize="l2", permutations=5
    )
    assert test.score == ka.mutual_knn(x, y, 4, metric="dot", normalize="l2")
    own = ka.permutation_test(functools.partial(ka.mutual_knn, k=3), x, y, k=4, permutations=5)
    assert own.score == ka.mutual_knn(x, y, 3)
