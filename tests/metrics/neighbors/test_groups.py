"""mutual_knn with groups against brute force: the definition, ties, the exact chance level and the restricted null."""

from __future__ import annotations

import kernalign as ka
import numpy as np
import pytest
from kernalign import AlignmentWarning
from kernalign.metrics.neighbors.overlap import knn, mutual_knn
from reference import neighbors as ref
from reference.null_moments import exchanges


def captions(n_groups: int, sizes: tuple[int, ...], noise: float, seed: int = 0):
    """x repeats one row per group (an image), y has one noisy row per member (its captions); rows are shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(n_groups), [sizes[g % len(sizes)] for g in range(n_groups)]))
    latent = rng.standard_normal((n_groups, 4))
    x = (latent @ rng.standard_normal((4, 6)))[labels]
    y = (latent @ rng.standard_normal((4, 5)))[labels] + noise * rng.standard_normal((len(labels), 5))
    return x, y, labels


def masked(x, labels, metric):
    s = ref.in_order(x, metric)
    s[labels[:, None] == labels] = -np.inf
    return s


def weights(x, labels, k, metric, ties):
    s = masked(x, labels, metric)
    return ref.fractional_weights(s, k) if ties == "fractional" else ref.index_weights(ref.lists(s, k), len(s))


@pytest.mark.filterwarnings("ignore:.*rows tie:kernalign.AlignmentWarning")
@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("ties", ["fractional", "index"])
@pytest.mark.parametrize("sizes", [(5,), (1, 2, 3), (1,)])
def test_own_group_is_left_out_and_the_rest_is_the_definition(sizes, ties, metric):
    x, y, labels = captions(24, sizes, 0.5)
    for k in (1, 7, 15):
        w, v = (weights(side, labels, k, metric, ties) for side in (x, y))
        score = mutual_knn(x, y, k, metric=metric, ties=ties, groups=labels, per_item=True)
        np.testing.assert_allclose(score.per_item, (w * v).sum(axis=1) / k, atol=1e-14)
        assert score == pytest.approx(score.per_item.mean(), rel=1e-14)
        assert score.settings["ties"] == ties
        assert score.settings["groups"] == 24
        assert score.settings["k"] == k


def test_groups_of_one_are_no_groups():
    x, y, labels = captions(60, (1,), 0.5)
    score = mutual_knn(x, y, 7, groups=labels)
    plain = mutual_knn(x, y, 7)
    assert score == pytest.approx(plain, rel=1e-14)
    assert score.chance == pytest.approx(plain.chance, rel=1e-12)


@pytest.mark.parametrize("sizes", [(2,), (1, 2), (3, 2, 2), (1, 1, 1, 4)])
def test_chance_is_the_mean_over_all_permitted_pairings(sizes):
    x, y, labels = captions(6, sizes, 0.8, seed=len(sizes))
    k = 3
    w, v = (weights(side, labels, k, "euclidean", "fractional") for side in (x, y))
    values = [ref.mutual(w, v[np.ix_(order, order)], k) for order in exchanges(labels)]
    score = mutual_knn(x, y, k, metric="euclidean", groups=labels)
    assert score.chance == pytest.approx(np.mean(values), rel=1e-12)
    assert score.p_value == np.mean(np.array(values) >= score - 1e-12)
    assert score.settings["p_method"] == f"all {len(values)} pairings of groups"


def test_unrelated_captions_are_at_chance_although_rows_repeat():
    p = []
    for seed in range(20):
        x, _, labels = captions(20, (3,), 0.2, seed)
        _, y, _ = captions(20, (3,), 0.2, 1000 + seed)
        order = np.argsort(labels, kind="stable")
        score = mutual_knn(x[order], np.repeat(y[:20], 3, axis=0), 6, groups=labels[order])
        p.append(score.p_value)
    assert 0.3 < np.mean(p) < 0.7
    assert np.mean(np.array(p) < 0.05) <= 0.2


def test_related_captions_are_significant():
    x, y, labels = captions(60, (5,), 0.3)
    score = mutual_knn(x, y, 10, groups=labels.astype(str))
    assert score.p_value == 1 / 1000
    assert score > 3 * score.chance


def test_lists_in_place_of_arrays():
    x, y, labels = captions(40, (2,), 0.5)
    expected = mutual_knn(x, y, 6, groups=labels)
    assert mutual_knn(knn(x, 12), knn(y, 12), 6, groups=labels) == expected
    # x repeats rows: lists of 7 hold 6 rows of other groups but not all that tie at the 6th place.
    with pytest.warns(AlignmentWarning, match="rows tie at the k-th place"):
        short = mutual_knn(knn(x, 8), knn(y, 8), 7, groups=labels)
    assert short.settings["ties"] == "index"
    assert short.p_value is None
    with pytest.raises(ValueError, match="the lists must hold 6 rows of other groups"):
        mutual_knn(knn(x, 6), knn(y, 6), 6, groups=labels)


def items_of(name, a, b, k):
    if name == "jaccard_knn":
        m = np.array([len(np.intersect1d(*rows)) for rows in zip(a, b, strict=True)])
        return m / (2 * k - m)
    if name == "cycle_knn":
        return np.array([any(i in a[j] for j in row) for i, row in enumerate(b)], dtype=float)
    one = {"lcs_knn": lambda u, v: ref.lcs(u, v) / k, "edit_knn": lambda u, v: 1 - ref.levenshtein(u, v) / k}[name]
    return np.array([one(u, v) for u, v in zip(a, b, strict=True)])


@pytest.mark.parametrize("name", ["jaccard_knn", "cycle_knn", "lcs_knn", "edit_knn"])
@pytest.mark.parametrize("sizes", [(2,), (1, 2), (3, 2, 2)])
def test_list_metrics_exchange_whole_groups(name, sizes):
    rng = np.random.default_rng(len(sizes))
    labels = rng.permutation(np.repeat(np.arange(6), [sizes[g % len(sizes)] for g in range(6)]))
    x = rng.standard_normal((len(labels), 4))
    y, k = x + rng.standard_normal(x.shape), 3
    a, b = (ref.lists(masked(side, labels, "euclidean"), k) for side in (x, y))
    values = [items_of(name, a, ref.permuted_lists(b, np.argsort(order)), k).mean() for order in exchanges(labels)]
    score = getattr(ka, name)(x, y, k, metric="euclidean", groups=labels, per_item=True)
    np.testing.assert_allclose(score.per_item, items_of(name, a, b, k), atol=1e-14)
    assert score.chance == pytest.approx(np.mean(values), rel=1e-12)
    assert score.chance_sd == pytest.approx(np.std(values), rel=1e-12)
    assert score.p_value == pytest.approx(np.mean(np.array(values) >= score - 1e-12), abs=1e-12)
    assert score.settings["groups"] == 6


@pytest.mark.parametrize("variant", ["ucentred", "paper"])
@pytest.mark.parametrize("sizes", [(2,), (1, 2)])
def test_cknna_exchanges_whole_groups(variant, sizes):
    rng = np.random.default_rng(len(sizes))
    labels = rng.permutation(np.repeat(np.arange(6), [sizes[g % len(sizes)] for g in range(6)]))
    x, k = rng.standard_normal((len(labels), 4)), 3
    y = x + rng.standard_normal(x.shape)
    kernels = [side @ side.T for side in (x, y)]
    centred = [ref.u_centred(g) if variant == "ucentred" else g - g.mean(axis=1, keepdims=True) for g in kernels]
    w, v = (weights(side, labels, k, "dot", "index") * kernel for side, kernel in zip((x, y), centred, strict=True))
    norm = np.linalg.norm(w) * np.linalg.norm(v)
    values = [(w * v[np.ix_(order, order)]).sum() / norm for order in exchanges(labels)]
    score = ka.cknna(x, y, k, variant=variant, groups=labels)
    assert score == pytest.approx(values[0], rel=1e-10)
    assert score.chance == pytest.approx(np.mean(values), rel=1e-9)
    assert score.chance_sd == pytest.approx(np.std(values), rel=1e-9)
    assert score.p_value == pytest.approx(np.mean(np.array(values) >= score - 1e-12), abs=1e-12)


@pytest.mark.filterwarnings("ignore:.*rows tie:kernalign.AlignmentWarning")
def test_rnx_of_groups_is_corrected_by_their_chance():
    x, y, labels = captions(24, (1, 2, 3), 0.5)
    curve = ka.rnx_curve(x, y, [2, 5, 9], groups=labels)
    for k, q, r in zip(curve.ks, curve.q_nx, curve.r_nx, strict=True):
        score = mutual_knn(x, y, int(k), ties="index", groups=labels)
        assert q == pytest.approx(float(score), rel=1e-12)
        assert r == pytest.approx(score.corrected, rel=1e-12)


@pytest.mark.filterwarnings("ignore:.*nearly repeat:kernalign.AlignmentWarning")
@pytest.mark.parametrize("metric", [ka.jaccard_knn, ka.cycle_knn, ka.lcs_knn, ka.edit_knn, ka.mutual_knn, ka.cknna])
def test_repeated_items_that_are_unrelated_are_no_evidence(metric):
    """Without groups, rows that repeat on both sides reject nearly always."""
    p = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        labels = np.repeat(np.arange(20), 3)
        x, y = (rng.standard_normal((20, 4))[labels] + 0.01 * rng.standard_normal((60, 4)) for _ in "xy")
        p.append(metric(x, y, 5, groups=labels).p_value)
        assert metric is ka.cycle_knn or metric(x, y, 5).p_value <= 0.01
    assert np.mean(np.array(p) <= 0.05) <= 0.2
    assert 0.3 < np.mean(p) < 0.75


ROWS = {
    "normal": lambda rng, n: rng.standard_normal((n, 4)),
    "Cauchy": lambda rng, n: rng.standard_cauchy((n, 4)),
    "lognormal": lambda rng, n: np.exp(1.5 * rng.standard_normal((n, 4))),
    "classes": lambda rng, n: np.eye(3)[rng.integers(0, 3, n)],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mutual_knn", "jaccard_knn", "cycle_knn", "lcs_knn", "cknna"])
@pytest.mark.parametrize("kinds", [("normal", "normal"), ("Cauchy", "lognormal"), ("classes", "normal")])
@pytest.mark.parametrize("sizes", [(3,), (1, 2, 4)])
@pytest.mark.parametrize("count", [8, 30])
def test_sizes_with_groups(name, kinds, sizes, count):
    """Of few groups of each size few p-values are possible, so that sizes may be far below the level."""
    if "classes" in kinds and name not in ("mutual_knn", "jaccard_knn"):
        pytest.skip("no p-value where index order breaks ties")
    p = []
    for seed in range(300):
        rng = np.random.default_rng([seed, count])
        labels = rng.permutation(np.repeat(np.arange(count), [sizes[g % len(sizes)] for g in range(count)]))
        noise = 0.0 if "classes" in kinds else 0.05
        x, y = (ROWS[kind](rng, count)[labels] for kind in kinds)
        x, y = (side + noise * rng.standard_normal(side.shape) for side in (x, y))  # rows of a group do not tie
        p.append(getattr(ka, name)(x, y, 3, groups=labels, threads=1).p_value)
    for level in (0.05, 0.01):
        assert np.mean(np.array(p) <= level) <= 1.3 * level + 3 * np.sqrt(level / 300)


def test_many_ties_are_shared_whatever_the_length_of_lists():
    """Three classes in groups of two: a third of all rows tie."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(45), 2)
    classes = np.eye(3)[rng.integers(0, 3, 45)][labels]
    x = rng.standard_normal((45, 4))[labels]
    score = mutual_knn(x, classes, 5, groups=labels, per_item=True)
    w, v = (weights(side, labels, 5, "cosine", "fractional") for side in (x, classes))
    np.testing.assert_allclose(score.per_item, (w * v).sum(axis=1) / 5, atol=1e-12)
    assert score.settings["ties"] == "fractional"
    assert score.p_value > 0.01


def test_comparison_of_groups():
    x, y, labels = captions(30, (2,), 0.3)
    metrics = ("jaccard_knn", "lcs_knn", "cknna")
    found = ka.compare({"x": x + 1e-3 * y[:, :1]}, {"y": y}, metrics=metrics, k=4, groups=labels)
    for metric in metrics:
        score = getattr(ka, metric)(x + 1e-3 * y[:, :1], y, 4, groups=labels)
        assert found.p_values[metric]["x", "y"][0, 0] == score.p_value
        assert found.chance[metric]["x", "y"][0, 0] == pytest.approx(score.chance)


def test_bad_groups():
    x, y, labels = captions(10, (4,), 0.5)
    with pytest.raises(ValueError, match=r"one label per row, got 39 for 40 rows"):
        mutual_knn(x, y, 3, groups=labels[1:])
    with pytest.raises(ValueError, match="at most 36, the rows outside the largest group, got 37"):
        mutual_knn(x, y, 37, groups=labels)
    assert mutual_knn(x, y, 36, groups=labels) == 1
    with pytest.raises(ValueError, match="uncertainty='jackknife' is not available with groups, 'half-sampling' is"):
        mutual_knn(x, y, 3, groups=labels, uncertainty="jackknife")
    with pytest.raises(ValueError, match="needs at least 12 groups and k <= half of the rows outside the largest"):
        mutual_knn(x, y, 3, groups=labels, uncertainty="half-sampling")
    with pytest.raises(ValueError, match="groups need exact search, got backend='sample'"):
        mutual_knn(x, y, 3, groups=labels, backend="sample")
    with pytest.raises(ValueError, match=r"groups must be 1-D class labels, one per item, got shape \(\)"):
        mutual_knn(x, y, 3, groups=5)
    x[3] = 0
    for some in (labels[:-1], np.append(labels, 0)):  # of rows as they were given
        with pytest.raises(ValueError, match=rf"one label per row, got {len(some)} for 40 rows"):
            mutual_knn(x, y, 3, groups=some, zero_rows="drop_pair")


def rows_are_lost(how, x, y):
    """Both sides, the options, and the rows of x and y that are left."""
    n, rng = len(x), np.random.default_rng(1)
    left = np.setdiff1d(np.arange(n), [4, 17])
    if how == "nan_rows":
        y = y.copy()
        y[[4, 17]] = np.nan
        return x, y, {"nan_rows": "drop_pair"}, left, left
    if how == "zero_rows":
        x = x.copy()
        x[[4, 17]] = 0
        return x, y, {"zero_rows": "drop_pair"}, left, left
    of_y = rng.permutation(n)[: n - 5]  # what items the rows of y are of
    ids = (rng.permutation(n), of_y)
    of_x = np.flatnonzero(np.isin(ids[0], of_y))
    place = {item: row for row, item in enumerate(of_y)}
    return x, y[: n - 5], {"pairing": "ids", "ids": ids}, of_x, np.array([place[item] for item in ids[0][of_x]])


@pytest.mark.parametrize("how", ["nan_rows", "zero_rows", "ids"])
@pytest.mark.parametrize(
    "name", ["mutual_knn", "jaccard_knn", "cycle_knn", "lcs_knn", "edit_knn", "cknna", "rnx_curve", "cka", "rsa"]
)
def test_labels_follow_the_rows(name, how):
    x, y, labels = captions(16, (1, 2, 3), 0.5)
    x = x + 0.01 * np.random.default_rng(2).standard_normal(x.shape)
    normalize = {"normalize": "l2"} if name in ("cknna", "cka") else {}
    sides = ([1, 3],) if name == "rnx_curve" else (3,) if "knn" in name else ()
    a, b, options, of_x, of_y = rows_are_lost(how, x, y)
    if name == "rsa" and how == "zero_rows":
        a[[4, 17]] = 1.0  # no correlation either
    function = getattr(ka, name)
    found = function(a, b, *sides, groups=labels, **normalize, **options)
    expected = function(a[of_x], b[of_y], *sides, groups=labels[of_x], **normalize)
    if name == "rnx_curve":
        np.testing.assert_array_equal(found.r_nx, expected.r_nx)
    else:
        assert (found, found.chance, found.p_value) == (expected, expected.chance, expected.p_value)
        assert found.settings["groups"] == expected.settings["groups"] == len(set(labels[of_x]))


@pytest.mark.parametrize("how", ["nan_rows", "zero_rows"])
def test_labels_follow_the_rows_of_a_comparison_and_of_a_permutation_test(how):
    x, y, labels = captions(16, (1, 2, 3), 0.5)
    x = x + 0.01 * np.random.default_rng(2).standard_normal(x.shape)
    a, b, options, left, _ = rows_are_lost(how, x, y)
    metrics = ("cka", "mutual_knn")
    found = ka.compare({"a": a}, {"b": b}, metrics=metrics, k=3, groups=labels, **options)
    tests = ka.permutation_test(metrics, a, b, k=3, groups=labels, permutations=20, **options)
    expected = ka.permutation_test(metrics, a[left], b[left], k=3, groups=labels[left], permutations=20)
    for name, k in (("cka", ()), ("mutual_knn", (3,))):
        score = getattr(ka, name)(a[left], b[left], *k, groups=labels[left])
        assert found.chance[name]["a", "b"][0, 0] == pytest.approx(score.chance, rel=1e-12)
        assert found.p_values[name]["a", "b"][0, 0] == score.p_value
        np.testing.assert_array_equal(tests[name].null, expected[name].null)
    with pytest.raises(ValueError, match=f"one label per row, got {len(left)} for {len(x)} rows"):
        ka.compare({"a": a}, {"b": b}, metrics=metrics, k=3, groups=labels[left], **options)
