"""Correlations between model-by-model matrices: against loops and enumeration, and why pairs are not independent."""

import itertools

import kernalign as ka
import numpy as np
import pytest
from reference import model_maps as ref
from scipy import stats


def maps(models, seed=0, noise=0.5, rank=2):
    """Two symmetric matrices that share a part, with the effects of single models that real maps have."""
    rng = np.random.default_rng(seed)
    out = []
    common = rng.normal(size=(models, rank))
    for _ in "ab":
        own = rng.normal(size=(models, rank))
        features = (1 - noise) * common + noise * own
        effect = rng.normal(size=models)
        matrix = features @ features.T + effect[:, None] + effect
        out.append(matrix)
    return out


@pytest.mark.parametrize("correlation", ["spearman", "pearson"])
@pytest.mark.parametrize("ties", [False, True])
def test_value_and_jackknife_are_those_of_loops(correlation, ties):
    a, b = maps(12)
    if ties:
        a, b = np.round(a), np.round(b)
    found = ka.mantel_test(a, b, correlation=correlation, permutations=10)
    assert found.value == pytest.approx(ref.correlation(a, b, list(range(12)), correlation), rel=1e-10)
    assert found.stderr == pytest.approx(ref.node_jackknife(a, b, range(12), correlation), rel=1e-9)
    families = [0, 0, 1, 1, 1, 2, 3, 3, 4, 5, 5, 5]
    grouped = ka.mantel_test(a, b, correlation=correlation, permutations=10, families=families)
    assert grouped.stderr == pytest.approx(ref.node_jackknife(a, b, families, correlation), rel=1e-9)
    assert grouped.p_value == found.p_value


def rectangles(rows, columns, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(rows, columns))
    return [
        (1 - noise) * common + rng.normal(size=(rows, 1)) + rng.normal(size=columns) + rng.normal(size=(rows, columns))
        for _ in "ab"
    ]


@pytest.mark.parametrize("correlation", ["spearman", "pearson"])
def test_models_of_two_kinds(correlation):
    a, b = rectangles(6, 9)
    found = ka.mantel_test(a, b, correlation=correlation, permutations=10)
    function = stats.spearmanr if correlation == "spearman" else stats.pearsonr
    assert found.value == pytest.approx(function(a.ravel(), b.ravel()).statistic, rel=1e-10)
    assert found.stderr == pytest.approx(ref.rectangular_jackknife(a, b, correlation), rel=1e-9)
    assert found.models == 15
    turned = ka.mantel_test(a.T, b.T, correlation=correlation, permutations=10)
    assert (turned.value, turned.stderr) == pytest.approx((found.value, found.stderr), rel=1e-9)
    with pytest.raises(ValueError, match="families are for symmetric matrices"):
        ka.mantel_test(a, b, families=range(6))
    with pytest.raises(ValueError, match=r"of the same models, got shapes \(6, 9\) and \(9, 6\)"):
        ka.mantel_test(a, b.T)


def test_a_square_table_of_two_kinds_of_models():
    a, b = rectangles(7, 7)
    with pytest.raises(ValueError, match=r"a must be symmetric; .* say bipartite=True"):
        ka.mantel_test(a, b)
    found = ka.mantel_test(a, b, permutations=99, bipartite=True)
    assert found.value == pytest.approx(stats.spearmanr(a.ravel(), b.ravel()).statistic, rel=1e-10)
    assert found.stderr == pytest.approx(ref.rectangular_jackknife(a, b, "spearman"), rel=1e-9)
    assert found.models == 14
    symmetric = [m + m.T for m in (a, b)]  # of which the diagonal counts, if told so
    told = ka.mantel_test(*symmetric, permutations=9, bipartite=True)
    assert told.value == pytest.approx(stats.spearmanr(*(m.ravel() for m in symmetric)).statistic, rel=1e-10)
    assert ka.metric_agreement({"a": a, "b": b}, permutations=9, bipartite=True).correlation[0, 1] == found.value
    with pytest.raises(ValueError, match=r"a must be finite, got nan for models 2 and 2"):
        ka.mantel_test(np.where(np.diag(np.arange(7) == 2), np.nan, a), b, bipartite=True)
    with pytest.raises(ValueError, match=r"a must be square unless its models are of two kinds, got shape \(6, 9\)"):
        ka.mantel_test(*rectangles(6, 9), bipartite=False)
    with pytest.raises(TypeError, match="bipartite must be True or False"):
        ka.mantel_test(a, b, bipartite="yes")


def test_unrelated_models_of_two_kinds_have_uniform_p_values():
    p = [
        ka.mantel_test(*rectangles(8, 11, seed=s, noise=1), correlation="pearson", permutations=99, seed=s).p_value
        for s in range(200)
    ]
    assert 0.01 < np.mean(np.array(p) <= 0.05) < 0.1
    assert stats.kstest(np.array(p) - np.random.default_rng(0).random(200) / 100, "uniform").pvalue > 0.01


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_p_value_is_that_of_all_renamings(alternative):
    a, b = maps(5, seed=3)
    value = ref.correlation(a, b, list(range(5)), "spearman")
    everything = np.array(
        [ref.correlation(a, b[np.ix_(p, p)], list(range(5)), "spearman") for p in itertools.permutations(range(5))]
    )
    turn = {"two-sided": np.abs, "greater": np.positive, "less": np.negative}[alternative]
    exact = (turn(everything) >= turn(value) - 1e-9).mean()
    found = ka.mantel_test(a, b, alternative=alternative, permutations=4000)
    assert found.p_value == pytest.approx(exact, abs=0.03)
    assert found.null.mean() == pytest.approx(everything.mean(), abs=0.03)
    assert len(found.null) == 4000


def test_pairs_that_share_models_fool_tests_of_independent_pairs():  # E11
    renamed, naive = [], []
    for seed in range(200):
        a, b = maps(15, seed=seed, noise=1.0)
        found = ka.mantel_test(a, b, correlation="pearson", permutations=99, seed=seed)
        renamed.append(found.p_value)
        upper = np.triu_indices(15, 1)
        naive.append(stats.pearsonr(a[upper], b[upper]).pvalue)
    assert np.mean(np.array(naive) < 0.05) > 0.18
    assert 0.01 < np.mean(np.array(renamed) <= 0.05) < 0.1
    assert min(renamed) >= 0.01
    smeared = np.array(renamed) - np.random.default_rng(0).random(200) / 100
    assert stats.kstest(smeared, "uniform").pvalue > 0.01


def test_jackknife_interval_covers():
    """The population value is that of very many models."""
    covered = []
    keywords = {"correlation": "pearson", "permutations": 1}
    truth = np.mean([ka.mantel_test(*maps(60, seed=1000 + s), **keywords).value for s in range(40)])
    for seed in range(150):
        low, high = ka.mantel_test(*maps(30, seed=seed), **keywords).interval()
        covered.append(low <= truth <= high)
    assert 0.88 <= np.mean(covered) <= 0.99


def test_diagonals_scale_and_names_do_not_matter():
    a, b = maps(8)
    found = ka.mantel_test(a, b, permutations=50)
    c, d = a.copy(), np.exp(b)
    np.fill_diagonal(c, np.nan)
    np.fill_diagonal(d, 1e9)
    again = ka.mantel_test(c, d, permutations=50)
    assert again.value == pytest.approx(found.value, rel=1e-12)
    np.testing.assert_allclose(again.null, found.null, rtol=1e-12)
    order = np.random.default_rng(0).permutation(8)
    renamed = ka.mantel_test(a[np.ix_(order, order)], b[np.ix_(order, order)], permutations=5)
    assert renamed.value == pytest.approx(found.value, rel=1e-12)
    assert renamed.stderr == pytest.approx(found.stderr, rel=1e-10)
    same = ka.mantel_test(a, a, permutations=99)
    assert same.value == pytest.approx(1)
    assert same.p_value < 0.05
    assert same.interval() == (same.value, same.value)


def test_constant_maps_have_no_correlation():
    a, _ = maps(6)
    found = ka.mantel_test(a, np.ones((6, 6)), permutations=5)
    assert np.isnan([found.value, found.p_value, found.stderr]).all()


def test_agreement_of_metrics():
    first, second = maps(10, noise=0.3)
    third, _ = maps(10, seed=9)
    found = ka.metric_agreement({"cka": first, "mutual_knn": second, "rsa": third}, permutations=199)
    assert found.metrics == ("cka", "mutual_knn", "rsa")
    for i, a in enumerate((first, second, third)):
        for j, b in enumerate((first, second, third)):
            if i == j:
                assert found.correlation[i, j] == 1
                assert np.isnan(found.p_value[i, j])
                continue
            one = ka.mantel_test(a, b, alternative="greater", permutations=199)
            assert found.correlation[i, j] == pytest.approx(one.value, rel=1e-12)
            assert found.stderr[i, j] == pytest.approx(one.stderr, rel=1e-12)
    upper = np.triu_indices(3, 1)
    np.testing.assert_allclose(found.adjusted[upper], ref.benjamini_hochberg(found.p_value[upper]), rtol=1e-12)
    np.testing.assert_array_equal(found.adjusted, found.adjusted.T)


def test_false_discovery_leaves_out_what_was_not_tested():
    p = np.array([[0.01, np.nan], [0.04, 0.03]])
    adjusted = ka.false_discovery(p)
    assert np.isnan(adjusted[0, 1])
    np.testing.assert_allclose(adjusted[~np.isnan(p)], ref.benjamini_hochberg(p[~np.isnan(p)]), rtol=1e-12)
    assert np.isnan(ka.false_discovery([np.nan])).all()
    with pytest.raises(ValueError, match=r"p_values must be in \[0, 1\]"):
        ka.false_discovery([1.2])


def test_progress_and_seed():
    a, b = maps(6)
    seen = []
    ka.mantel_test(a, b, permutations=3, progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    null = [ka.mantel_test(a, b, permutations=9, seed=s).null for s in (1, 1, 2)]
    np.testing.assert_array_equal(null[0], null[1])
    assert not np.array_equal(null[0], null[2])


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"a": np.ones(5)}, r"a must be a matrix \(models, models\), got shape \(5,\)"),
        ({"b": np.eye(6)}, r"a and b must be of the same models, got shapes \(5, 5\) and \(6, 6\)"),
        ({"a": np.eye(2), "b": np.eye(2)}, "needs at least 3 models, got 2"),
        ({"a": np.triu(np.ones((5, 5)))}, "a must be symmetric"),
        (
            {"b": np.where(np.eye(5)[::-1] > 0, np.nan, 1.0)},
            "b must be finite off the diagonal, got nan for models 0 and 4",
        ),
        ({"correlation": "kendall"}, "correlation must be 'spearman' or 'pearson', got 'kendall'"),
        ({"alternative": "larger"}, "alternative must be 'two-sided', 'greater' or 'less'"),
        ({"permutations": 0}, "permutations must be at least 1, got 0"),
        ({"families": [1, 2]}, r"one label per row, got 2 for 5 rows"),
        ({"families": [1, 1, 1, 2, 2]}, "at least 3 different labels, got 2"),
    ],
)
def test_bad_input(arguments, message):
    a, b = maps(5)
    with pytest.raises(ValueError, match=message):
        ka.mantel_test(**{"a": a, "b": b, **arguments})
    with pytest.raises(ValueError, match="at least two metrics, got 1"):
        ka.metric_agreement({"cka": a})
    with pytest.raises(ValueError, match="level must be in"):
        ka.mantel_test(a, b, permutations=1).interval(0)


def test_three_models_have_a_correlation_but_no_error():
    """Without one of three models there is one pair, and no correlation."""
    a, b = np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0]]), np.array([[0, 2, 7], [2, 0, 6], [7, 6, 0]])
    found = ka.mantel_test(a, b, correlation="pearson", permutations=99)
    assert found.value == pytest.approx(np.corrcoef([1, 2, 3], [2, 7, 6])[0, 1])
    assert np.isnan(found.stderr)
    assert found.p_value >= 1 / 3
