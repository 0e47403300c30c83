"""The calibrated maximum of a layer search: its covariance, its tail, and what must not matter."""

import math
import os
import subprocess
import sys

import kernalign as ka
import numpy as np
import pytest
from kernalign import _core
from kernalign._base.kernels import Linear
from kernalign._engines import lists as list_engine
from kernalign._engines.gram_source import make_side
from kernalign._rows import arrays
from kernalign._statistics import best_of_layers as lm
from kernalign._statistics import best_of_layers_draws as draws
from kernalign._statistics import overlap_skew, tails
from reference import layer_maximum as ref
from reference import neighbors as ref_neighbors
from reference import null_moments
from reference.alignment import u_centre
from scipy import sparse, stats


def layers(n, widths, seed):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(n, max(widths)))
    return [base[:, :p] * rng.gamma(1.0, size=p) + 0.5 * rng.normal(size=(n, p)) for p in widths]


def random_lists(n, k, seed):
    rng = np.random.default_rng(seed)
    popular = rng.gamma(0.5, size=n)  # hubs, so that in-degrees matter
    return np.array([[j for j in np.argsort(-popular * rng.random(n)) if j != i][:k] for i in range(n)], dtype=np.int32)


def dense(lists):
    return ref_neighbors.index_weights(lists, len(lists))


def pattern_sums(graphs):
    return overlap_skew.pattern_sums([list_engine.edge_sums(list_engine.graph_of(graph)) for graph in graphs])


def cubes(layer):
    return make_side([arrays.rows(layer)], Linear(), 1).cubes


@pytest.mark.parametrize("n", [7, 8])
def test_covariance_of_cka_is_the_product_of_self_similarities(n):
    x, y = layers(n, (2, 3), 1), layers(n, (3, 5), 2)
    found = ref.covariance(ref.cka_scores(x, y, ref.pairings(n)))
    expected = 2 / (n * (n - 3)) * np.einsum("ac,bd->abcd", ref.self_cka(x), ref.self_cka(y))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("n,k", [(5, 2), (7, 1), (7, 3), (8, 2), (8, 6)])
def test_covariance_of_overlaps_by_enumeration(n, k):
    x, y = ([random_lists(n, k, seed) for seed in seeds] for seeds in ((1, 2, 3), (4, 5)))
    found = ref.covariance(ref.overlaps([dense(g) for g in x], [dense(g) for g in y], k, ref.pairings(n)))
    expected = lm.knn_covariance(lm.graph_covariance(x, n), lm.graph_covariance(y, n))
    np.testing.assert_allclose(expected, found, rtol=1e-9, atol=1e-14)


def test_covariance_of_shared_ties_by_enumeration():
    n, k = 7, 2
    rng = np.random.default_rng(3)
    sides = [
        [
            ref_neighbors.fractional_weights(ref_neighbors.in_order(rng.integers(0, 3, (n, 2)) + 1.0, "dot"), k)
            for _ in "ab"
        ]
        for _ in "xy"
    ]
    assert any((w % 1).any() for side in sides for w in side)
    found = ref.covariance(ref.overlaps(*sides, k, ref.pairings(n)))
    x, y = (lm.graph_covariance([sparse.csr_matrix(w) for w in side], n) for side in sides)
    np.testing.assert_allclose(lm.knn_covariance(x, y), found, rtol=1e-9, atol=1e-14)


def test_covariance_of_large_graphs_is_that_of_the_sheet():
    n, k = 300, 12
    x, y = ([random_lists(n, k, seed) for seed in seeds] for seeds in ((1, 2), (3, 4)))
    a, b = (lm.graph_covariance(side, n) for side in (x, y))

    def cross(u, v):
        u, v = dense(u), dense(v)
        total = n * k * k
        a1, a2, degrees = (u * v).sum(), (u * v.T).sum(), (u.sum(axis=0) * v.sum(axis=0)).sum()
        rest = [total - a1, degrees - a1, total - a2, total - a2]
        return np.array([a1, a2, *rest, n * total - a1 - a2 - sum(rest)])

    places = np.array([n * (n - 1)] * 2 + [n * (n - 1) * (n - 2)] * 4 + [n * (n - 1) * (n - 2) * (n - 3)])
    mean = n * k * k / (n - 1)
    found = lm.knn_covariance(a, b)
    for l1, m1, l2, m2 in ((0, 0, 0, 0), (0, 0, 1, 1), (0, 1, 1, 0), (0, 0, 0, 1)):
        product = (cross(x[l1], x[l2]) * cross(y[m1], y[m2]) / places).sum() - mean**2
        assert found[l1, m1, l2, m2] == pytest.approx(product / (n * k) ** 2, rel=1e-9)


@pytest.mark.parametrize("n,k", [(6, 2), (7, 1), (7, 3), (8, 2)])
def test_skews_of_overlaps_by_enumeration(n, k):
    x, y = ([random_lists(n, k, seed) for seed in seeds] for seeds in ((1, 2, 3), (4, 5)))
    everything = ref.overlaps([dense(g) for g in x], [dense(g) for g in y], k, ref.pairings(n))
    sums = [pattern_sums(side) for side in (x, y)]
    np.testing.assert_allclose(overlap_skew.skews(n, *sums), stats.skew(everything, axis=0), rtol=1e-8, atol=1e-10)


def test_skews_of_shared_ties_and_of_constant_overlaps():
    n, k = 7, 2
    rng = np.random.default_rng(3)
    tied = [
        ref_neighbors.fractional_weights(ref_neighbors.in_order(rng.integers(0, 3, (n, 2)) + 1.0, "dot"), k)
        for _ in "xy"
    ]
    everything = ref.overlaps(tied[:1], tied[1:], k, ref.pairings(n))
    sums = [pattern_sums([sparse.csr_matrix(w)]) for w in tied]
    np.testing.assert_allclose(overlap_skew.skews(n, *sums), stats.skew(everything, axis=0), rtol=1e-8)
    full = pattern_sums([sparse.csr_matrix(1.0 - np.eye(n))])
    assert overlap_skew.skews(n, full, sums[1])[0, 0] == 0
    with pytest.raises(ValueError, match="at least 6 items, got 5"):
        overlap_skew.skews(5, full, full)


@pytest.mark.parametrize("weighted", [False, True])
def test_patterns_are_sums_over_different_items(weighted):
    n = 7
    w = dense(random_lists(n, 3, 1)) * (np.random.default_rng(2).random((n, n)) if weighted else 1.0)
    found = pattern_sums([sparse.csr_matrix(w)])
    for edges, values in zip((1, 2, 3), found, strict=True):
        expected = [null_moments.sum_over_items(w, pattern) for pattern in overlap_skew._patterns(edges)]
        np.testing.assert_allclose(values, [expected], rtol=1e-12, atol=1e-12 if weighted else 0)


def test_skew_published_for_isotropic_clouds():  # mathematics 3.2: .17 at n = 1024, k = 10, 16 dimensions
    clouds = [np.random.default_rng(seed).normal(size=(1024, 16)) for seed in (0, 1)]
    sums = [pattern_sums([lists_of(c, 10)]) for c in clouds]
    assert overlap_skew.skews(1024, *sums)[0, 0] == pytest.approx(0.15, abs=0.03)


@pytest.mark.parametrize("n", [6, 7, 40])
def test_skews_are_the_exact_ones(n):
    x, y = layers(n, (2, 3), 1), layers(n, (1, 2), 2)
    found = lm.cka_skews(n, [cubes(v) for v in x], [cubes(v) for v in y])
    expected = [[null_moments.u_skew(a @ a.T, b @ b.T) for b in y] for a in x]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_best_cka_of_unrelated_layers_is_as_large_as_by_permutation():
    n = 120
    x, y = layers(n, (2, 3, 6, 10, 12), 1), layers(n, (1, 2, 8, 20), 2)
    skew = lm.cka_skews(n, [cubes(v) for v in x], [cubes(v) for v in y])
    assert skew.max() > 2
    truth = ref.cka_scores(x, y, ref.random_pairings(n, 4000, 0)).max(axis=(1, 2))
    keywords = {"draws": 40_000}
    found = lm.cka_maximum(
        ref.cka_scores(x, y, [range(n)])[0], ref.self_cka(x), ref.self_cka(y), n, skew=skew, **keywords
    )
    plain = lm.cka_maximum(np.zeros((5, 4)), ref.self_cka(x), ref.self_cka(y), n, **keywords)
    for alpha, slack in ((0.5, 0.06), (0.05, 0.012), (0.01, 0.004)):
        assert (truth > found.threshold(alpha)).mean() == pytest.approx(alpha, abs=slack)
    assert (truth > plain.threshold(0.01)).mean() > 0.1  # why the margins are bent
    assert found.mean == pytest.approx(truth.mean(), abs=0.15 * truth.std())
    assert found.sd == pytest.approx(truth.std(), rel=0.1)


def test_best_overlap_of_unrelated_layers_is_as_large_as_by_permutation():
    n, k = 150, 10
    x, y = layers(n, (2, 4, 8, 16), 3), layers(n, (3, 6, 12), 4)
    graphs = [[lists_of(v, k) for v in side] for side in (x, y)]
    weights = [[dense(g) for g in side] for side in graphs]
    scores = ref.overlaps(*weights, k, ref.random_pairings(n, 4000, 0))
    truth = scores.max(axis=(1, 2))
    sides = [lm.graph_covariance(side, n) for side in graphs]
    found = lm.knn_maximum(scores[0], *sides, draws=40_000)
    half = 0.5 / (n * k)
    for alpha, slack in ((0.5, 0.03), (0.05, 0.01), (0.01, 0.004)):
        share = (truth > found.threshold(alpha)).mean()
        assert share == pytest.approx(alpha, abs=slack + (truth > found.threshold(alpha) - half).mean() - share)
    assert found.mean == pytest.approx(truth.mean(), rel=0.01)
    assert found.sd == pytest.approx(truth.std(), rel=0.08)


def test_best_overlap_of_hubs():
    """The variance is that of the in-degrees."""
    n, k = 80, 5
    x, y = ([random_lists(n, k, seed) for seed in seeds] for seeds in ((1, 2, 3, 7), (4, 5, 6)))
    scores = ref.overlaps([dense(g) for g in x], [dense(g) for g in y], k, ref.random_pairings(n, 4000, 0))
    truth = scores.max(axis=(1, 2))
    found = lm.knn_maximum(scores[0], lm.graph_covariance(x, n), lm.graph_covariance(y, n), draws=40_000)
    assert found.mean == pytest.approx(truth.mean(), rel=0.02)
    for alpha in (0.1, 0.05, 0.01):
        assert 0.2 * alpha < (truth > found.threshold(alpha)).mean() < 1.2 * alpha


def lists_of(x, k):
    return _core.nearest_neighbors(arrays.rows(x), k, "cosine", False, 1)[0]


def test_one_pair_of_layers_has_the_tail_of_its_score():
    n, value, skew = 50, 0.05, 0.7
    alone = {"self_x": [[1.0]], "self_y": [[1.0]], "n": n}
    sd = np.sqrt(2 / (n * (n - 3)))
    bent = lm.cka_maximum([[value]], **alone, skew=[[skew]], draws=50_000)
    assert bent.p_value == null_moments.pearson3_tail(value / sd, skew)
    for alpha in (0.5, 0.05, 0.001):
        assert bent.threshold(alpha) == pytest.approx(sd * float(stats.pearson3.isf(alpha, skew)), abs=0.01 * sd)
    assert lm.cka_maximum([[value]], **alone).p_value == tails.normal_tail(value / sd)


@pytest.mark.parametrize("skew", [-2.4, -0.2, 0.0, 1e-5, 0.05, 0.5, 1.5, 2.8])
def test_bent_scores_are_quantiles_of_their_law(skew):
    normal = np.linspace(-6, 6, 49)
    expected = stats.pearson3.isf(stats.norm.sf(normal), skew) if abs(skew) > 1e-3 else normal
    low = normal < 0
    expected[low] = stats.pearson3.ppf(stats.norm.cdf(normal[low]), skew) if abs(skew) > 1e-3 else normal[low]
    np.testing.assert_allclose(draws.bent(np.array(skew), normal), expected, rtol=1e-7, atol=1e-9)


def test_tables_hold_the_law_of_every_pair():
    rng = np.random.default_rng(0)
    mean, sd, skew = rng.normal(size=(5, 4)), rng.gamma(4.0, size=(5, 4)) / 4, rng.uniform(-0.3, 2.5, (5, 4))
    sd[1, 2], skew[0, 0] = 0, np.nan
    tables = draws.Law([], mean, sd, skew)._tables()
    normal = np.array([-2.53, -0.06, 0.0, 1.2, 3.9], np.float32)
    found = draws._read(tables, np.broadcast_to(normal, (4, 5, 5)))
    expected = mean[..., None] + sd[..., None] * draws.bent(np.nan_to_num(skew)[..., None], normal)
    np.testing.assert_allclose(found.swapaxes(0, 1), expected, atol=5e-3)
    np.testing.assert_array_equal(found[2, 1], mean[1, 2])


@pytest.mark.parametrize("repeated", [False, True])
def test_factors_make_the_covariance(repeated):
    x = np.random.default_rng(1).normal(size=(6, 9))
    covariance = x @ x.T
    if repeated:
        at = [0, 1, 1, 4, 0]
        covariance = covariance[np.ix_(at, at)] * (1 + 1e-8 * np.random.default_rng(2).normal(size=(5, 5)))
        covariance[3] = covariance[:, 3] = 0
    made = draws.factor(covariance)
    assert (made == np.tril(made)).all()
    np.testing.assert_allclose(made @ made.T, covariance, atol=1e-6 * covariance.max())


def test_drawn_normals_have_their_covariance():
    n = 120
    r, s = ref.self_cka(layers(n, (2, 3, 5), 1)), ref.self_cka(layers(n, (4, 4, 6, 2), 2))
    rng = np.random.default_rng(4)
    sides = draws.factor(r), draws.factor(s)
    z = np.concatenate([draws._field(rng, *sides) for _ in range(3000)], axis=2)  # 192,000 draws
    z = z.swapaxes(0, 1).reshape(12, -1).astype(np.float64)
    np.testing.assert_allclose(z @ z.T / z.shape[1], np.kron(r, s), atol=0.015)


def test_draws_of_both_signs_cost_little_precision():
    n = 120
    x, y = layers(n, (2, 3, 6, 10, 12), 1), layers(n, (1, 2, 8, 20), 2)
    skew = lm.cka_skews(n, [cubes(v) for v in x], [cubes(v) for v in y])
    own = ref.self_cka(x), ref.self_cka(y)
    nulls = [lm.cka_maximum(np.zeros((5, 4)), *own, n, skew=skew, draws=2000, seed=seed).null for seed in range(60)]
    every = np.concatenate(nulls)
    for alpha in (0.5, 0.1, 0.01):
        shares = [(null > np.quantile(every, 1 - alpha)).mean() for null in nulls]
        assert np.std(shares) < 1.6 * np.sqrt(alpha * (1 - alpha) / 2000)


def test_layers_that_repeat_do_not_make_the_search_wider():
    n = 60
    x, y = layers(n, (4, 6), 1), layers(n, (3, 5), 2)
    r, s = ref.self_cka(x), ref.self_cka(y)
    scores = ref.cka_scores(x, y, [range(n)])[0]
    once = lm.cka_maximum(scores, r, s, n, draws=40_000)
    again = [0, 1, 1, 0, 1]
    many = lm.cka_maximum(scores[again], r[np.ix_(again, again)], s, n, draws=40_000)
    assert many.p_value == pytest.approx(once.p_value, abs=0.015)
    assert many.threshold() == pytest.approx(once.threshold(), rel=0.03)


def test_first_of_equal_maxima_and_undefined_layers():
    scores = np.array([[np.nan, np.nan, np.nan], [0.1, np.nan, 0.5], [0.5, np.nan, 0.2]])
    r = np.full((3, 3), np.nan)
    r[1:, 1:] = [[1, 0.3], [0.3, 1]]
    s = np.full((3, 3), np.nan)
    s[np.ix_([0, 2], [0, 2])] = [[1, 0.6], [0.6, 1]]
    found = lm.cka_maximum(scores, r, s, 40)
    assert (found.value, found.layers) == (0.5, (1, 2))
    clean = lm.cka_maximum([[0.1, 0.5], [0.5, 0.2]], [[1, 0.3], [0.3, 1]], [[1, 0.6], [0.6, 1]], 40)
    np.testing.assert_array_equal(found.null, clean.null)
    with pytest.raises(ValueError, match="nan only"):
        lm.cka_maximum([[np.nan]], [[1.0]], [[1.0]], 40)


def test_skews_of_layers_without_structure_are_nan():
    found = lm.cka_skews(20, [(0.0, 0.0, 0.0), (2.0, 0.1, 0.2)], [(1.0, 0.1, 0.1)])
    assert np.isnan(found[0, 0])
    assert np.isfinite(found[1, 0])


def test_far_maxima_are_bounded_by_the_sum_of_tails():
    r = np.array([[1, 0.5], [0.5, 1]])
    found = lm.cka_maximum([[0.2, 0.1], [0.0, 0.1]], r, r, 200, draws=1000)
    assert found.p_value == pytest.approx(4 * tails.normal_tail(0.2 / np.sqrt(2 / (200 * 197))), rel=1e-12)
    assert "sum of the normal tails" in found.method
    near = lm.cka_maximum(np.full((2, 2), 0.02), r, r, 200, draws=1000)
    assert near.p_value == (1 + (near.null >= 0.02).sum()) / 1001


def test_all_others_as_neighbours_leave_nothing_to_chance():
    n = 9
    full = np.array([[j for j in range(n) if j != i] for i in range(n)], dtype=np.int32)
    side = lm.graph_covariance([full, full], n)
    found = lm.knn_maximum(np.ones((2, 2)), side, side, draws=100)
    assert found.p_value == 1
    np.testing.assert_allclose(found.null, 1, rtol=1e-12)


def test_draws_are_those_of_the_seed():
    r = np.array([[1, 0.5], [0.5, 1]])
    for skew in (None, np.full((2, 2), 0.6)):
        whole, part, other = (
            lm.cka_maximum(np.zeros((2, 2)), r, r, 50, skew=skew, draws=draws, seed=seed).null
            for draws, seed in ((1000, 3), (130, 3), (1000, 4))
        )
        assert (len(whole), len(part)) == (1000, 130)
        assert np.isin(part, whole).all()
        assert np.intersect1d(whole, other).size == 0


def test_threads_of_numpy_do_not_matter():
    r = [[0.6 ** abs(i - j) for i in range(30)] for j in range(30)]
    run = f"""
from kernalign._statistics import best_of_layers as lm
import hashlib, numpy as np
r = np.array({r})
found = lm.cka_maximum(np.zeros((30, 30)), r, r, 50, skew=np.full((30, 30), 0.6), draws=800)
print(hashlib.sha256(found.null.tobytes()).hexdigest())
"""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", run],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    ]
    assert len(outputs[0].strip()) == 64
    assert outputs[0] == outputs[1]


def test_bad_input():
    lists = random_lists(8, 2, 0)
    with pytest.raises(ValueError, match="at least 4 items, got 3"):
        lm.cka_maximum([[0.1]], [[1.0]], [[1.0]], 3)
    with pytest.raises(ValueError, match=r"scores must be 2-D .* got shape \(1,\)"):
        lm.cka_maximum([0.1], [[1.0]], [[1.0]], 9)
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        lm.cka_maximum([[0.1]], [[1.0]], [[1.0]], 9, draws=0)
    with pytest.raises(ValueError, match="at least 6 items, got 5"):
        lm.cka_skews(5, [(1, 1, 1)], [(1, 1, 1)])
    with pytest.raises(ValueError, match="same n and k, got n = 8 and 8, k = 2 and 3"):
        lm.knn_maximum([[0.1]], *(lm.graph_covariance([random_lists(8, k, 0)], 8) for k in (2, 3)))
    with pytest.raises(ValueError, match="same sum of weights"):
        lm.graph_covariance([lists, random_lists(8, 3, 0)], 8)
    with pytest.raises(ValueError, match=r"neighbour lists of 9 items must be \(9, k\) integers"):
        lm.graph_covariance([lists], 9)
    with pytest.raises(ValueError, match=r"must be \(9, 9\)"):
        lm.graph_covariance([sparse.csr_matrix((8, 8))], 9)
    with pytest.raises(ValueError, match=r"alpha must be in \(0, 1\), got 1"):
        lm.cka_maximum([[0.1]], [[1.0]], [[1.0]], 9).threshold(1)


def test_oracle_u_centring_has_no_row_sums():
    x = layers(9, (3,), 0)[0]
    np.testing.assert_allclose(u_centre(x @ x.T).sum(axis=1), 0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*one direction holds:kernalign.AlignmentWarning")
def test_pairs_that_a_few_items_rule_count_by_their_variance_alone():
    """Cauchy layers beside normal ones: the p-value is no smaller than that of pairings, which Pearson III undercut."""
    rng = np.random.default_rng(3)
    n, p, exact = 40, [], []
    for _ in range(40):
        x, y = ([rng.normal(size=(n, 6)), rng.standard_cauchy((n, 6))] for _ in "xy")
        best = ka.compare({"x": x}, {"y": y}, metrics=("cka",), layers="best").best("cka")
        p.append(float(np.squeeze(best.p_value)))
        exact.append(ka.permutation_test("cka", x, y, permutations=199).p_value)
    assert np.mean(np.array(p) <= 0.05) <= 0.1
    assert (np.array(p) >= np.array(exact) - 0.05).all()


def test_cantelli_of_pairs_without_a_law():
    scores, own = np.array([[0.5, 0.1]]), np.eye(2)
    trusted = np.array([[False, True]])
    found = lm.cka_maximum(scores, [[1.0]], own, 50, trusted=trusted, draws=1000)
    z = 0.5 / math.sqrt(2 / (50 * 47))
    alone = lm.cka_maximum(scores, [[1.0]], own, 50, draws=1000)
    assert found.p_value == pytest.approx(1 / (1 + z * z) + alone.p_value, abs=1e-3)
    assert found.p_value >= 1 / (1 + z * z)
    assert (found.value, found.mean, found.sd) == (alone.value, alone.mean, alone.sd)
    nothing = lm.cka_maximum(scores, [[1.0]], own, 50, trusted=[[False, False]], draws=1000)
    assert nothing.p_value == pytest.approx(2 / (1 + z * z))
