"""Metrics of neighbour lists: definitions, exact nulls by enumeration, fractional ties, degenerate inputs."""

from __future__ import annotations

import itertools
import pickle

import kernalign as ka
import numpy as np
import pytest
from kernalign import _core
from kernalign._base.score import AlignmentWarning
from kernalign._engines import lists as list_engine
from kernalign._statistics import half_sampling, jackknife, list_null
from kernalign.metrics.neighbors import overlap as nb
from reference import jackknife as deletions
from reference import neighbors as ref

LIST_METRICS = {
    "mutual_knn": nb.mutual_knn,
    "jaccard_knn": nb.jaccard_knn,
    "cycle_knn": nb.cycle_knn,
    "lcs_knn": nb.lcs_knn,
    "edit_knn": nb.edit_knn,
}


def random_lists(n: int, k: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(np.delete(np.arange(n), i))[:k] for i in range(n)]).astype(np.int32)


def as_neighbors(lists: np.ndarray) -> nb.Neighbors:
    n, k = lists.shape
    return nb.Neighbors(lists, np.tile(-np.arange(k, dtype=np.float64), (n, 1)), np.zeros(n, dtype=bool), "cosine")


def pair(n: int = 150, d: int = 6, noise: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    return x, x + noise * rng.standard_normal((n, d))


def tied(n: int = 150, seed: int = 0, top: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(1, top + 1, (n, 4)), rng.integers(1, top + 1, (n, 3))


@pytest.mark.parametrize("metric", nb.METRICS)
def test_mutual_knn_is_its_definition(metric):
    x, y = pair()
    for k in (1, 10, 148):
        a, b = (ref.lists(ref.in_order(v, metric), k) for v in (x, y))
        expected = ref.mutual(ref.index_weights(a, 150), ref.index_weights(b, 150), k)
        assert nb.mutual_knn(x, y, k, metric=metric) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", LIST_METRICS)
def test_self_similarity(name):
    x, _ = pair()
    score = LIST_METRICS[name](x, x)
    assert score == 1 if name != "cycle_knn" else 0 < score <= 1
    assert score.corrected is not None


@pytest.mark.parametrize("name", [n for n in LIST_METRICS if n != "cycle_knn"])
def test_symmetric(name):
    x, y = pair()
    assert LIST_METRICS[name](x, y) == pytest.approx(LIST_METRICS[name](y, x), rel=1e-14)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_mutual_null_moments_by_enumeration(k):
    n = 8
    a, b = random_lists(n, k, 1), random_lists(n, k, 2)
    score = nb.mutual_knn(as_neighbors(a), as_neighbors(b), k)
    mean, variance = ref.permutation_moments(ref.index_weights(a, n), ref.index_weights(b, n), k)
    assert score.chance == pytest.approx(mean, rel=1e-12)
    assert score.chance_sd**2 == pytest.approx(variance, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("metric", nb.METRICS)
@pytest.mark.parametrize("n,k", [(7, 2), (8, 3)])
def test_fractional_null_moments_by_enumeration(n, k, metric):
    x, y = tied(n, seed=n, top=2)
    wx, wy = (ref.fractional_weights(ref.in_order(v, metric), k) for v in (x, y))
    score = nb.mutual_knn(x, y, k, metric=metric)
    assert score.settings["tie_rows_fraction"] > 0.2
    mean, variance = ref.permutation_moments(wx, wy, k)
    assert score == pytest.approx(ref.mutual(wx, wy, k), rel=1e-12)
    assert score.chance == pytest.approx(mean, rel=1e-12)
    assert score.chance_sd**2 == pytest.approx(variance, rel=1e-9)


def test_null_covariance_of_two_layer_pairs():
    n, k, other = 7, 2, 3
    graphs = [ref.index_weights(random_lists(n, size, seed), n) for seed, size in enumerate((k, k, k, k))]
    a, a2, b, b2 = graphs
    t = [
        ((a * ref.relabelled(b, p)).sum(), (a2 * ref.relabelled(b2, p)).sum()) for p in itertools.permutations(range(n))
    ]

    def cross(u: np.ndarray, v: np.ndarray) -> tuple[float, float, float]:
        return float((u * v).sum()), float((u * v.T).sum()), float((u.sum(axis=0) * v.sum(axis=0)).sum())

    covariance = _core.knn_overlap_variance(n, k, cross(a, a2), k, cross(b, b2))
    assert covariance == pytest.approx(np.cov(np.array(t).T, ddof=0)[0, 1], rel=1e-9)
    # The two sides may use lists of different length.
    c, d = (ref.index_weights(random_lists(n, size, 9 + size), n) for size in (k, other))
    values = [(c * ref.relabelled(d, p)).sum() for p in itertools.permutations(range(n))]
    variance = _core.knn_overlap_variance(n, k, cross(c, c), other, cross(d, d))
    assert variance == pytest.approx(np.var(values), rel=1e-9)


@pytest.mark.parametrize("name", ["jaccard_knn", "cycle_knn", "lcs_knn", "edit_knn"])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_null_means_by_enumeration(name, k):
    n = 7
    a, b = random_lists(n, k, 5), random_lists(n, k, 6)
    metric = LIST_METRICS[name]
    values = [
        float(metric(as_neighbors(a), as_neighbors(ref.permuted_lists(b, p)), k))
        for p in itertools.permutations(range(n))
    ]
    assert metric(as_neighbors(a), as_neighbors(b), k).chance == pytest.approx(np.mean(values), rel=1e-10)


def test_published_chance_levels():  # mathematics 2.13
    assert list_null.jaccard(1024, 10) == pytest.approx(0.005168, abs=5e-7)
    assert list_null.common_subsequence(1024, 10) == pytest.approx(0.009585, abs=5e-7)
    expected = [1, 3 / 2, 2, 58 / 24, 335 / 120, 2261 / 720, 17465 / 5040, 152020 / 40320]
    assert [list_null.increasing_subsequence(m) for m in range(1, 9)] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n,k", [(12, 1), (12, 11), (60, 10), (200, 63), (200, 64), (200, 65), (300, 140)])
def test_list_kernels_equal_their_definitions(n, k):
    a, b = random_lists(n, k, n), random_lists(n, k, k)
    b[: n // 3] = a[: n // 3]
    b[1, :] = a[1, ::-1]
    b[2, : k // 2] = a[2, k - k // 2 :]
    b[2, k // 2 :] = a[2, : k - k // 2]
    checked = range(0, n, max(1, n // 40))
    ranks = _core.rank_similarities(a, b)
    lcs, edit = _core.common_subsequences(a, b), _core.edit_distances(a, b)
    for i in {0, 1, 2, *checked}:
        assert lcs[i] == ref.lcs(a[i], b[i])
        assert edit[i] == ref.levenshtein(a[i], b[i])
        assert ranks[i] == pytest.approx(ref.rank_similarity(a[i], b[i]), rel=1e-13)
    assert lcs[0] == k
    assert lcs[1] == 1
    assert ((k - lcs <= edit) & (edit <= k)).all()
    shared = [len(set(u) & set(v)) for u, v in zip(a, b, strict=True)]
    np.testing.assert_array_equal(_core.shared_counts(a, b), shared)
    assert _core.cycles(a, b).mean() == pytest.approx(ref.cycle(a, b))
    w = ref.index_weights(a, n)
    assert _core.graph_sums(a) == (n * k, (w * w.T).sum(), (w.sum(axis=0) ** 2).sum())


@pytest.mark.parametrize("metric", nb.METRICS)
@pytest.mark.parametrize("k", [1, 5, 30, 149])
def test_fractional_ties_are_their_definition(metric, k):
    x, y = tied()
    wx, wy = (ref.fractional_weights(ref.in_order(v, metric), k) for v in (x, y))
    score = nb.mutual_knn(x, y, k, metric=metric, per_item=True)
    np.testing.assert_allclose(score.per_item, (wx * wy).sum(axis=1) / k, rtol=1e-12)
    assert score == pytest.approx(ref.mutual(wx, wy, k), rel=1e-13)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_ties_on_one_side_only_and_many_threads(threads):
    x, _ = tied(300)
    y = np.random.default_rng(1).standard_normal((300, 5))
    wx, wy = (ref.fractional_weights(ref.in_order(v, "euclidean"), 9) for v in (x, y))
    for u, v in ((x, y), (y, x)):
        score = nb.mutual_knn(u, v, 9, metric="euclidean", threads=threads)
        assert score == pytest.approx(ref.mutual(wx, wy, 9), rel=1e-13)


def test_fractional_sums_with_many_chunks_of_tied_rows():
    # Bitmaps of one chunk hold 8 MB: 8,300 rows of 8,300 bits need two.
    x = np.random.default_rng(0).integers(1, 3, (8300, 3))
    lists = _core.nearest_neighbors(_rows(x), 10, "dot", threads=2)[:3]
    item, sums, other = _core.fractional_overlap(_rows(x), lists, _rows(x), lists, "dot", 2)
    groups = np.unique(x, axis=0, return_inverse=True)[1].ravel()
    centres = np.unique(x, axis=0)
    size = np.bincount(groups)
    weight = np.zeros((len(centres), len(centres)))  # of one member of the column's group, for a row of the row's group
    for g, centre in enumerate(centres):
        s = centres @ centre
        left = 10.0
        for value in np.unique(s)[::-1]:
            at = s == value
            available = (size[at] - (np.flatnonzero(at) == g)).sum()
            weight[g, at] = min(1.0, left / available) if available else 0.0
            left -= min(left, available)
            if left <= 0:
                break
    pairs = np.outer(size, size) - np.diag(size)
    assert sums == pytest.approx(other)
    assert sums[0] == pytest.approx((pairs * weight**2).sum(), rel=1e-10)
    assert sums[1] == pytest.approx((pairs * weight * weight.T).sum(), rel=1e-10)
    degree = (pairs / size * weight).sum(axis=0)
    assert sums[2] == pytest.approx((size * degree**2).sum(), rel=1e-10)
    np.testing.assert_allclose(item, ((pairs / size[:, None]) * weight**2).sum(axis=1)[groups], rtol=1e-10)


def _rows(x: np.ndarray) -> _core.Rows:
    return _core.Rows(x, "x")


@pytest.mark.parametrize("n", [7, 30, 60, 333, 1000])
def test_a_constant_side_has_no_spread_but_rounding(n):
    for seed, k in enumerate((1, 3, 5)):
        y = np.random.default_rng(seed).normal(size=(n, 4))
        score = nb.mutual_knn(np.ones((n, 3)), y, k)
        assert (score.chance_sd, score.z, score.p_value) == (0.0, None, None)


def test_constant_representations():
    x = np.ones((40, 3))
    assert nb.mutual_knn(x, x, 5) == pytest.approx(5 / 39, rel=1e-14)
    with pytest.warns(AlignmentWarning, match="tie at the k-th place"):
        score = nb.mutual_knn(x, 2 * x, 5, ties="index")
    assert score == 1
    assert score.settings["tie_rows_fraction"] == 1
    assert nb.mutual_knn(x, x, 39) == 1


@pytest.mark.parametrize("metric", nb.METRICS)
def test_relabelling_items_changes_nothing(metric):
    x, y = tied(120)
    order = np.random.default_rng(2).permutation(120)
    for metric_function in (nb.mutual_knn, nb.jaccard_knn):
        before = metric_function(x, y, 6, metric=metric)
        after = metric_function(x[order], y[order], 6, metric=metric)
        assert after == pytest.approx(before, rel=1e-13)
        assert after.chance_sd == (None if before.chance_sd is None else pytest.approx(before.chance_sd, rel=1e-12))


def test_all_neighbours_agree_by_necessity():
    x, y = pair(20)
    score = nb.mutual_knn(x, y, 19)
    assert score == 1
    assert score.chance == 1
    assert score.chance_sd == 0
    assert (score.z, score.p_value, score.corrected) == (None, None, None)


def test_p_value_and_settings():
    x, y = pair(200, noise=0.5)
    score = nb.mutual_knn(x, y)
    assert score.p_value < 1e-6
    assert score.settings["p_method"] == "Pearson III, exact third moment"
    assert score.settings["k"] == 10
    assert score.settings["k_over_n"] == 0.05
    assert score.settings["backend"] == "native"
    again = pickle.loads(pickle.dumps(score))
    assert (again, again.z, again.p_value) == (score, score.z, score.p_value)


def test_p_values_under_independence_are_not_small():
    rng = np.random.default_rng(4)
    p = [nb.mutual_knn(rng.standard_normal((80, 4)), rng.standard_normal((80, 4)), 5).p_value for _ in range(200)]
    assert 0.4 < np.mean(p) < 0.6
    assert np.mean(np.array(p) < 0.05) < 0.1


def test_lists_in_place_of_arrays():
    x, y = pair()
    a, b = nb.knn(x, 20), nb.knn(y, 20)
    for name, metric in LIST_METRICS.items():
        assert metric(a, b, 10) == metric(x, y, 10), name
    assert nb.mutual_knn(a, b, 10).settings["ties"] == "fractional"
    c, d = nb.knn(tied()[0], 10), nb.knn(tied()[1], 10)
    with pytest.warns(AlignmentWarning):
        assert nb.mutual_knn(c, d).settings["ties"] == "index"
    with pytest.raises(TypeError, match="both be arrays or both be Neighbors"):
        nb.mutual_knn(a, y)
    with pytest.raises(
        ValueError, match="k must be between 1 and the length of the neighbour lists given = 20, got 21"
    ):
        nb.mutual_knn(a, b, 21)
    with pytest.raises(TypeError, match="normalize applies to arrays"):
        nb.mutual_knn(a, b, normalize="l2")
    with pytest.raises(ValueError, match="same number of rows"):
        nb.mutual_knn(a, nb.knn(y[:100], 20))


@pytest.mark.parametrize("bad", [-1, 30, 0])
def test_lists_that_lie_are_refused(bad):
    lists = random_lists(30, 4, 0)
    lists[0, 2] = bad
    with pytest.raises(ValueError, match="must hold"):
        nb.mutual_knn(as_neighbors(lists), as_neighbors(random_lists(30, 4, 1)), 4)


def test_zero_rows_can_be_dropped():
    x, y = pair(60)
    x[5] = 0
    y[9] = 0
    with pytest.raises(ValueError, match=r"x must have no zero row.*row 5"):
        nb.mutual_knn(x, y)
    score = nb.mutual_knn(x, y, zero_rows="drop_pair")
    keep = np.delete(np.arange(60), [5, 9])
    assert score == nb.mutual_knn(x[keep], y[keep])
    assert score.settings["dropped"] == 2


def test_bad_arguments():
    x, y = pair(30)
    with pytest.raises(ValueError, match="ties must be 'fractional' or 'index'"):
        nb.mutual_knn(x, y, ties="hash")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="same number of rows"):
        nb.mutual_knn(x, y[:20])
    with pytest.raises(ValueError, match="k must be between"):
        nb.mutual_knn(x, y, 30)
    with pytest.raises(TypeError, match="unknown keyword argument 'thread'"):
        nb.mutual_knn(x, y, thread=2)  # type: ignore[call-arg]


def test_rnx_curve_is_chance_corrected_mutual_knn():
    x, y = pair(60)
    curve = ka.rnx_curve(x, y, [1, 59, 5, 10, 20, 10])
    np.testing.assert_array_equal(curve.ks, [1, 5, 10, 20, 59])
    for k, q, r in zip(curve.ks, curve.q_nx, curve.r_nx, strict=True):
        score = nb.mutual_knn(x, y, int(k))
        assert q == pytest.approx(score, rel=1e-12)
        assert np.isnan(r) if k == 59 else r == pytest.approx(score.corrected, rel=1e-10)
    same = ka.rnx_curve(x, x, range(1, 30))
    assert same.auc == pytest.approx(1)
    assert curve.r_nx[:4].min() < curve.auc < curve.r_nx[:4].max()
    assert ka.rnx_curve(x, y, [7]).auc == pytest.approx(nb.mutual_knn(x, y, 7).corrected)
    with pytest.raises(ValueError, match="k must be between"):
        ka.rnx_curve(x, y, [3, 60])
    with pytest.raises(ValueError, match="at least one"):
        ka.rnx_curve(x, y, [])


def test_half_sampling_from_long_lists_is_a_search_of_the_half():
    x, y = pair(140)
    length = half_sampling.list_length(140, 5)
    a, b = nb.knn(x, length).indices, nb.knn(y, length).indices
    rng = np.random.default_rng(0)
    halves = np.zeros((70, 140), dtype=bool)  # more than the bits of a word
    for chosen in halves:
        chosen[rng.permutation(140)[:70]] = True
    numbers = list_engine.subset_overlaps(a, b, 5, halves, 2)
    for chosen, found in zip(halves, numbers, strict=True):
        shared = 5 * nb.mutual_knn(x[chosen], y[chosen], 5, per_item=True).per_item
        np.testing.assert_array_equal(found, np.bincount(np.round(shared).astype(int), minlength=6))


@pytest.mark.parametrize("k", [1, 2, 7, 8, 40])
def test_overlaps_in_subsets_are_counted_as_in_a_loop(k):
    rng = np.random.default_rng(k)
    a, b = (np.array([rng.permutation(np.delete(np.arange(90), i))[:60] for i in range(90)], np.int32) for _ in "xy")
    subsets = rng.random((130, 90)) < rng.uniform(0.2, 1, (130, 1))
    expected = np.zeros((130, k + 1), dtype=int)
    for chosen, numbers in zip(subsets, expected, strict=True):
        for i in np.flatnonzero(chosen):
            nearest = [v[i][chosen[v[i]]][:k] for v in (a, b)]
            if len(nearest[0]) == len(nearest[1]) == k:
                numbers[len(np.intersect1d(*nearest))] += 1
    for threads in (1, 3):
        np.testing.assert_array_equal(list_engine.subset_overlaps(a, b, k, subsets, threads), expected)


@pytest.mark.filterwarnings("ignore:.*rows tie:kernalign.AlignmentWarning")
@pytest.mark.parametrize("k", [1, 4, 10, 38])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("tied", [False, True])
def test_a33_jackknife_of_mutual_knn_equals_explicit_deletions(k, metric, tied):
    x, y = pair(40)
    if tied:
        x, y = np.round(x) + 3, np.round(y) + 3
    score = nb.mutual_knn(x, y, k, metric=metric, ties="index", uncertainty="jackknife")
    values = deletions.deleted_overlaps(x, y, k, metric)
    assert score.stderr == pytest.approx(deletions.stderr(values), rel=1e-12)
    assert float(score) == float(nb.mutual_knn(x, y, k, metric=metric, ties="index"))
    lists = nb.knn(x, k + 1, metric=metric), nb.knn(y, k + 1, metric=metric)
    np.testing.assert_allclose(jackknife.deleted_overlaps(lists[0].indices, lists[1].indices), values, rtol=1e-12)
    assert nb.mutual_knn(*lists, k, ties="index", uncertainty="jackknife").stderr == score.stderr


def test_jackknife_of_mutual_knn_errs_on_the_large_side():
    rng = np.random.default_rng(8)
    scores = [nb.mutual_knn(*pair(100, 3, 0.5, int(rng.integers(1 << 30))), 5) for _ in range(60)]
    stderr = [nb.mutual_knn(*pair(100, 3, 0.5, seed), 5, uncertainty="jackknife").stderr for seed in range(8)]
    assert 1 < np.mean(stderr) / np.std(scores) < 2.5


def test_jackknife_of_mutual_knn_needs_longer_lists():
    x, y = pair(40)
    with pytest.raises(ValueError, match=r"uncertainty='jackknife' needs k <= n - 2 = 38, got 39"):
        nb.mutual_knn(x, y, 39, uncertainty="jackknife")
    with pytest.raises(ValueError, match="uncertainty needs lists of 6 neighbours for k = 5, got 5"):
        nb.mutual_knn(nb.knn(x, 5), nb.knn(y, 5), 5, uncertainty="jackknife")
    with pytest.raises(ValueError, match=r"uncertainty must be None, 'half-sampling' or 'jackknife', got 'bayes'"):
        nb.mutual_knn(x, y, 5, uncertainty="bayes")  # type: ignore[arg-type]
    assert nb.mutual_knn(x, x, 5, uncertainty="jackknife").stderr == 0


@pytest.mark.parametrize("metric", [ka.mutual_knn, ka.jaccard_knn, ka.cycle_knn, ka.lcs_knn, ka.edit_knn])
def test_k_is_that_of_lists_that_were_given(metric):
    x, y = pair(40, 3, 0.5)
    assert metric(ka.knn(x, 5), ka.knn(y, 5)) == metric(x, y, 5)
    assert metric(x, y) == metric(x, y, 10)
    with pytest.raises(ValueError, match="k must be given for lists of different lengths, got 5 and 6"):
        metric(ka.knn(x, 5), ka.knn(y, 6))
    assert metric(ka.knn(x, 5), ka.knn(y, 6), 5) == metric(x, y, 5)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint16])
def test_lists_of_other_searches_may_have_any_layout_and_integers(dtype):
    """The idiom of faiss: int64 indices with the item itself in the first column, which is cut off."""
    x, y = pair(40, 3, 0.5)
    lists = []
    for side in (x, y):
        found = ka.knn(side, 5)
        indices = np.column_stack([np.arange(40), found.indices]).astype(dtype)[:, 1:]
        assert not indices.flags.c_contiguous
        similarities = np.asfortranarray(found.similarities)
        lists.append(ka.Neighbors(indices, similarities, found.tie_rows, "cosine"))
    for metric in (ka.mutual_knn, ka.lcs_knn, ka.cycle_knn):
        assert metric(*lists) == metric(x, y, 5)
    assert ka.mutual_knn(*lists).p_value == ka.mutual_knn(x, y, 5).p_value
    assert ka.mutual_knn(*lists, 3) == ka.mutual_knn(x, y, 3)


def test_lists_that_are_none_are_refused():
    one = np.zeros((4, 2))
    with pytest.raises(TypeError, match="Neighbors needs integer indices, got float64"):
        ka.Neighbors(one, one, np.zeros(4, bool), "cosine")
    with pytest.raises(ValueError, match="Neighbors needs indices of rows, got -1 to 1"):
        ka.Neighbors(np.array([[1, -1]] * 4), one, np.zeros(4, bool), "cosine")
