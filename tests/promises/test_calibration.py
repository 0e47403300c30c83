"""P-values and intervals mean what they say: sizes, uniformity and coverage by simulation, also on real embeddings."""

import math
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from kernalign import _core
from kernalign._engines.gram_source import make_side
from kernalign._engines.permuted_grams import PermutedFeatures
from kernalign._engines.permuted_lists import PermutedLists
from kernalign._rows import arrays
from kernalign._statistics import best_of_layers as lm
from kernalign._statistics import tails
from scipy import stats

CLIPART = Path(__file__).parents[1] / "data" / "clipart_small.npz"
VISION = ("dinov2s_block03_cls", "dinov2s_block06_cls", "dinov2s_block09_cls", "dinov2s_block12_cls", "efflite0_b3")
TEXT = ("mpnet_l00", "mpnet_l06", "mpnet_l12", "minilm6_l00", "minilm6_l06", "glove50")


def wishart(rng, count, n, p):
    """Gram matrices of n isotropic normal rows of p features; by Bartlett's decomposition where p >= n."""
    if p < n:
        x = rng.standard_normal((count, n, p))
    else:
        x = np.tril(rng.standard_normal((count, n, n)), -1)
        x[:, range(n), range(n)] = np.sqrt(rng.chisquare(p - np.arange(n), (count, n)))
    return x @ x.swapaxes(1, 2)


def u_centred(k):
    n = k.shape[-1]
    k[:, range(n), range(n)] = 0
    rows = k.sum(axis=2) / (n - 2)
    k -= rows[:, :, None] + rows[:, None, :]
    k += rows.sum(axis=1)[:, None, None] / (n - 1)
    k[:, range(n), range(n)] = 0
    return k


def p_values(n, p, q, repetitions, seed, chunk=100):
    """Pearson III p-values of the unbiased CKA of independent data, many at a time, with the package's formulas."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(repetitions // chunk):
        x, y = (u_centred(wishart(rng, chunk, n, width)) for width in (p, q))
        sides = []
        for k in (x, y):
            square = np.einsum("cij,cij->c", k, k)
            sides.append((square, np.einsum("cij,cij,cij->c", k, k, k), np.einsum("cij,cij->c", k @ k, k)))
        z = np.einsum("cij,cij->c", x, y) / np.sqrt(sides[0][0] * sides[1][0]) * math.sqrt(n * (n - 3) / 2)
        for at in range(chunk):
            (square_x, *cubes_x), (square_y, *cubes_y) = ([float(v[at]) for v in side] for side in sides)
            scale = math.sqrt(2 / (n * (n - 3)) * square_x * square_y)
            skew = _core.u_centred_third_moment(n, *cubes_x, *cubes_y) / scale**3
            found.append(tails.pearson3_tail(float(z[at]), skew))
    return np.array(found)


@pytest.mark.parametrize("p,q", [(2, 2), (8, 15), (200, 300)], ids=["low", "mid", "high"])
def test_size_of_the_pearson_p_value(p, q):
    found = p_values(30, p, q, 20_000, seed=1)
    assert 0.045 <= np.mean(found < 0.05) <= 0.055
    assert 0.008 <= np.mean(found < 0.01) <= 0.012
    assert stats.kstest(found[:1000], "uniform").pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 100])
@pytest.mark.parametrize("p,q", [(2, 2), (10, 20), (500, 800)], ids=["low", "mid", "high"])
def test_size_of_the_pearson_p_value_of_more_items(n, p, q):
    found = p_values(n, p, q, 20_000, seed=1)
    assert 0.045 <= np.mean(found < 0.05) <= 0.055
    assert 0.008 <= np.mean(found < 0.01) <= 0.012
    assert stats.kstest(found, "uniform").pvalue > 1e-3


def test_simulated_p_values_are_those_of_cka():
    rng = np.random.default_rng(0)
    for p in (2, 50):
        x, y = rng.normal(size=(30, p)), rng.normal(size=(30, 3))
        score = ka.cka(x, y)
        k, g = (u_centred((v @ v.T)[None]) for v in (x, y))
        z = (k * g).sum() / np.sqrt((k * k).sum() * (g * g).sum()) * math.sqrt(30 * 27 / 2)
        assert score.z == pytest.approx(z, rel=1e-9)
        assert score.p_value == pytest.approx(tails.pearson3_tail(z, score.chance_skew), rel=1e-7)


def related_normals(n, seed, p=5, q=4):
    """Jointly normal views and the population's linear CKA."""
    mix = np.random.default_rng(5).normal(size=(3, p + q))
    sd = np.array([1.0] * p + [0.7] * q)
    rng = np.random.default_rng(seed)
    both = rng.normal(size=(n, 3)) @ mix + sd * rng.normal(size=(n, p + q))
    covariance = mix.T @ mix + np.diag(sd**2)
    xx, xy, yy = covariance[:p, :p], covariance[:p, p:], covariance[p:, p:]
    truth = (xy**2).sum() / math.sqrt((xx**2).sum() * (yy**2).sum())
    return both[:, :p], both[:, p:], truth


def test_coverage_of_the_jackknife():
    covered, plain = [], []
    for seed in range(400):
        x, y, truth = related_normals(200, seed)
        score = ka.cka(x, y, uncertainty="jackknife")
        low, high = score.interval()
        covered.append(low <= truth <= high)
        plain.append(abs(score - truth) <= 1.959964 * score.stderr)
    assert 0.92 <= np.mean(covered) <= 0.97
    assert 0.92 <= np.mean(plain) <= 0.97


@pytest.mark.parametrize("n,least", [(12, 0.87), (100, 0.91)])
def test_coverage_of_the_jackknife_of_hsic(n, least):
    """On a log scale; on its own, intervals of 12 items covered .77."""
    mix = np.random.default_rng(5).normal(size=(3, 6))
    truth, covered = ((mix[:, :3].T @ mix[:, 3:]) ** 2).sum(), []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        both = rng.normal(size=(n, 3)) @ mix + 0.7 * rng.normal(size=(n, 6))
        low, high = ka.hsic(both[:, :3], both[:, 3:], uncertainty="jackknife").interval()
        covered.append(low <= truth <= high)
    assert least <= np.mean(covered) <= 0.98


def clipart(names, n):
    data = np.load(CLIPART)
    return [data[name][:n].astype(np.float64) for name in names]


def shuffles(n, count=1000, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.permutation(n) for _ in range(count)]


@pytest.mark.parametrize("names", [(VISION[2], TEXT[2]), (VISION[4], TEXT[5]), (VISION[0], TEXT[3])])
def test_cka_of_shuffled_real_embeddings_is_uniform(names):
    (x,), (y,) = (clipart((name,), 60) for name in names)
    found = [ka.cka(x, y[order]).p_value for order in shuffles(60)]
    assert stats.kstest(found, "uniform").pvalue > 0.01


@pytest.mark.parametrize("names", [(VISION[2], TEXT[2]), (VISION[4], TEXT[5]), (VISION[0], TEXT[3])])
def test_overlap_of_shuffled_real_embeddings_is_uniform(names):
    """An overlap is one of few values, so each p-value is spread evenly down to that of the next larger overlap."""
    n, k = 120, 10
    lists = [ka.knn(clipart((name,), n)[0], k) for name in names]
    rng = np.random.default_rng(1)
    found = []
    for order in shuffles(n):
        inverse = np.argsort(order)
        score = ka.mutual_knn(lists[0], _relabelled(lists[1], order, inverse), k)
        following = float(stats.norm.sf((float(score) + 1 / (n * k) - score.chance) / score.chance_sd))
        found.append(score.p_value - rng.random() * (score.p_value - following))
    assert stats.kstest(found, "uniform").pvalue > 0.01


def _relabelled(lists, order, inverse):
    indices = inverse[lists.indices[order]].astype(np.int32)
    return ka.Neighbors(indices, lists.similarities[order], lists.tie_rows[order], lists.metric)


@pytest.mark.parametrize("n", [40, 60, 100, 160])
def test_best_cka_of_shuffled_real_layers(n):
    """Third cumulants that pairs have in common are left out: in the body p-values are up to .05 too large."""
    x, y = ([arrays.rows(v) for v in clipart(names, n)] for names in (VISION, TEXT))

    def cka(x, y, orders):
        engine = PermutedFeatures(x, y, centred=True, unbiased=True)
        return engine.cosines(engine.products(orders))

    own = [cka(side, side, np.arange(n)[None])[0] for side in (x, y)]
    skew = lm.cka_skews(n, *([make_side([rows], ka.Linear(), 1).cubes for rows in side] for side in (x, y)))
    scores = cka(x, y, np.array(list(shuffles(n, 5000))))
    _uniform(lm.cka_maximum(scores[0], *own, n, skew=skew, draws=20_000), scores, 0.0)


def test_best_overlap_of_shuffled_real_layers():
    n, k = 100, 10
    x, y = ([ka.knn(v, k).indices for v in clipart(names, n)] for names in (VISION, TEXT))
    orders = np.array(list(shuffles(n, 5000)))
    scores = PermutedLists(x, y).scores(orders, {"overlap": ka.METRICS["mutual_knn"].states.of_shared}, {})["overlap"]
    found = lm.knn_maximum(scores[0], lm.graph_covariance(x, n), lm.graph_covariance(y, n), draws=20_000)
    _uniform(found, scores, 1 / (n * k))


@pytest.mark.parametrize("metric", ["cka", "mutual_knn"])
def test_best_layers_have_the_p_value_of_a_permutation_test(metric):
    n = 60
    x, y = clipart(VISION[1:4], n), clipart(TEXT[1:5], n)
    for order in shuffles(n, 3, seed=5):
        y_shuffled = [v[order] for v in y]
        exact = ka.permutation_test(metric, x, y_shuffled, permutations=2000)
        found = ka.compare({"x": x}, {"y": y_shuffled}, metrics=(metric,), layers="best").best(metric)
        assert float(np.squeeze(found.p_value)) == pytest.approx(exact.p_value, abs=0.05)
        assert float(np.squeeze(found.chance)) == pytest.approx(exact.mean, abs=0.1 * exact.sd)
        assert float(np.squeeze(found.chance_sd)) == pytest.approx(exact.sd, rel=0.08)


def _uniform(found, scores, step):
    """P-values of the maxima are of the stated size where it matters, and nearly uniform elsewhere."""
    rng = np.random.default_rng(2)
    null, maxima = found.null, np.array([s.max() for s in scores])
    p = 1 - np.searchsorted(null, maxima - step / 2) / len(null)
    first = (1 + (null >= maxima[0] - step / 2).sum()) / (len(null) + 1)
    assert found.p_value == pytest.approx(first)
    following = 1 - np.searchsorted(null, maxima + step / 2) / len(null)
    smeared = p - rng.random(len(p)) * (p - following)
    assert stats.kstest(smeared, "uniform").statistic < 0.06
    assert 0.035 <= np.mean(smeared <= 0.05) <= 0.06
    assert 0.006 <= np.mean(smeared <= 0.01) <= 0.015
    assert np.mean(p <= 0.05) <= 0.06
    assert 0.44 <= np.mean(smeared <= 0.5) <= 0.53


def test_permutation_test_of_shuffled_real_layers_is_uniform():
    x, y = clipart(VISION[1:4], 30), clipart(TEXT[1:4], 30)
    rng = np.random.default_rng(3)
    p = []
    for seed in range(250):
        order = rng.permutation(30)
        p.append(ka.permutation_test("cka", x, [v[order] for v in y], permutations=39, seed=seed).p_value)
    assert min(p) >= 1 / 40
    assert stats.kstest(np.array(p) - rng.random(250) / 40, "uniform").pvalue > 0.01
