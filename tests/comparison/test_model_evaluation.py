"""Models against subjects: scores with repeated conditions, noise ceilings, errors, sizes of tests, and refusals."""

import itertools

import kernalign as ka
import numpy as np
import pytest
from kernalign._statistics.compared_pairs import Compared, Weighting
from kernalign.metrics.kernel.ranks import mid_ranks
from reference import model_evaluation as oracle
from reference import rsa
from scipy import stats
from scipy.spatial.distance import squareform

COMPARISONS = tuple(rsa.COMPARISONS)
RANKED = ("spearman", "rho_a", "kendall", "tau_b")
every_comparison = pytest.mark.parametrize("comparison", COMPARISONS)

# Four subjects, five conditions. Values of rsatoolbox 0.3.2 (boot_noise_ceiling), (lower, upper).
SUBJECTS = [
    [0.7, 0.7, 1.6, 1.1, 0.2, 1.0, 1.4, 0.6, 2.0, 0.6],
    [0.6, 1.5, 1.9, 1.2, 0.6, 1.4, 2.0, 0.6, 1.5, 1.1],
    [0.3, 0.7, 2.1, 1.6, 0.7, 1.4, 0.1, 1.1, 1.2, 0.0],
    [0.7, 1.1, 1.5, 0.9, 0.7, 1.1, 1.8, 1.0, 1.7, 1.1],
]
PEER = {
    "cosine": (0.925957737039562, 0.9580985241692574),
    "pearson": (0.6635576298472469, 0.8072635357287236),
    "spearman": (0.631406322831572, 0.7946522452250331),
    "rho_a": (0.6227272727272727, 0.7863636363636364),
    "kendall": (0.48333333333333334, 0.6166666666666667),
}
# It averages whitened ones without whitening them, so that its upper bound is no bound: another vector scores higher.
PEER_WHITENED = {
    "whitened_cosine": (0.8308494282425504, 0.9069079973279941),
    "whitened_pearson": (0.6942233432432923, 0.8251766508737644),
}


def vectors(count, n, seed=0, noise=0.5, tied=False):
    rng = np.random.default_rng([n, seed])
    truth = rng.uniform(0, 3, size=n * (n - 1) // 2)
    found = truth + noise * rng.normal(size=(count, len(truth)))
    return truth, np.round(found, 0 if tied else 9)


# Scores


@every_comparison
@pytest.mark.parametrize("counts", [[1, 1, 1, 1, 1, 1], [2, 0, 1, 1, 0, 2], [0, 3, 1, 1, 1, 0], [1, 2, 3, 1, 0, 4]])
@pytest.mark.parametrize("tied", [False, True])
def test_repeated_conditions_are_no_pairs_with_themselves(comparison, counts, tied):
    if comparison.startswith("whitened") and max(counts) > 1:
        with pytest.raises(ValueError, match="bootstrap must be 'subjects' for comparison='whitened"):
            ka.evaluate_models({"a": vectors(1, 6)[0]}, vectors(4, 6)[1], comparison=comparison, bootstrap="both")
        return
    _, values = vectors(5, 6, tied=tied)
    given = np.array([mid_ranks(v - v.min()) for v in values]) if comparison in RANKED else values
    found = Compared(comparison, 6)(given[:2], given[2:], Weighting(np.array(counts)))
    expected = [[oracle.score(a, b, 6, counts, comparison) for b in values[2:]] for a in values[:2]]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@every_comparison
def test_scores_are_those_of_rsa(comparison):
    truth, subjects = vectors(4, 12)
    covariance = np.diag(np.arange(1.0, 13)) + 0.1 if comparison.startswith("whitened") else None
    found = ka.evaluate_models(
        {"true": truth, "other": truth[::-1]}, subjects, comparison=comparison, samples=5, covariance=covariance
    )
    for row, model in zip(found.scores, (truth, truth[::-1]), strict=True):
        own = [
            ka.rsa(model, one, distance="precomputed", comparison=comparison, covariance=covariance) for one in subjects
        ]
        np.testing.assert_allclose(row, np.array(own, dtype=float), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.mean, found.scores.mean(axis=1), rtol=1e-12)
    if covariance is None:
        own = [ka.rsa(truth, one, distance="precomputed", comparison=comparison).chance for one in subjects]
        assert found.chance[0] == pytest.approx(np.mean(own), rel=1e-9, abs=1e-12)


@every_comparison
def test_p_of_pairings_is_that_of_all(comparison):
    """All 120 orders of five conditions of the model."""
    truth, subjects = vectors(3, 5, tied=comparison == "tau_b")
    found = ka.evaluate_models({"a": truth}, subjects, comparison=comparison, samples=2, bootstrap="subjects")
    full, pool = rsa.square(truth, 5), []
    for order in itertools.permutations(range(5)):
        moved = full[np.ix_(order, order)][np.triu_indices(5, 1)]
        pool.append(np.mean([rsa.COMPARISONS[comparison](moved, one) for one in subjects]))
    assert found.p_pairing[0] == pytest.approx(np.mean(np.array(pool) >= pool[0] - 1e-12), abs=1e-12)


# Ceilings


@every_comparison
def test_ceilings_by_definition(comparison):
    _, subjects = vectors(5, 7, tied=comparison == "tau_b")
    found = ka.noise_ceiling(subjects, comparison=comparison)
    lower, upper = oracle.ceiling(subjects, comparison)
    np.testing.assert_allclose(found.lower_of, lower, rtol=1e-9)
    np.testing.assert_allclose(found.upper_of, upper, rtol=1e-9)
    assert (found.lower, found.upper) == pytest.approx((lower.mean(), upper.mean()), rel=1e-9)
    evaluated = ka.evaluate_models({"m": subjects[0]}, subjects, comparison=comparison, samples=2)
    assert evaluated.ceiling == pytest.approx((found.lower, found.upper), rel=1e-12)


@pytest.mark.parametrize("comparison", list(PEER))
def test_ceilings_are_those_of_rsatoolbox(comparison):
    found = ka.noise_ceiling(SUBJECTS, comparison=comparison)
    assert (found.lower, found.upper) == pytest.approx(PEER[comparison], abs=1e-12)


@pytest.mark.parametrize("comparison", list(PEER_WHITENED))
def test_the_upper_bound_of_whitened_comparisons_is_one(comparison):
    found = ka.noise_ceiling(SUBJECTS, comparison=comparison)
    assert found.upper > PEER_WHITENED[comparison][1] + 1e-5
    assert found.upper == pytest.approx(PEER_WHITENED[comparison][1], abs=0.02)


@pytest.mark.parametrize("comparison", ["cosine", "pearson", "spearman", "rho_a", *PEER_WHITENED])
def test_no_vector_exceeds_the_upper_bound(comparison):
    """Not even those that are found by climbing; of ranks, all orders of six pairs."""
    rng = np.random.default_rng(0)
    subjects = rng.uniform(1, 2, size=(3, 6))
    upper = ka.noise_ceiling(subjects, comparison=comparison).upper
    if comparison in RANKED:
        tried = [np.array(order, dtype=float) for order in itertools.permutations(range(6))]
    else:
        best = oracle.best_mean(subjects, comparison)
        tried = [best + 10.0**-size * rng.normal(size=6) for size in range(1, 6) for _ in range(100)]
    scores = [np.mean([rsa.COMPARISONS[comparison](one, s) for s in subjects]) for one in tried]
    assert max(scores) <= upper + 1e-12


def test_halves_by_definition():
    _, subjects = vectors(4, 8)
    found = ka.split_half(subjects, comparison="pearson")
    best = [
        oracle.best_mean(subjects[list(half)], "pearson") for half in ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))
    ]
    expected = [rsa.pearson(best[i], best[i + 1]) for i in (0, 2, 4)]
    np.testing.assert_allclose(sorted(found.correlations), sorted(expected), rtol=1e-9)
    r = np.mean(expected)
    assert (found.correlation, found.reliability) == pytest.approx((r, 2 * r / (1 + r)), rel=1e-9)
    assert len(ka.split_half(subjects[:3]).correlations) == 3
    many, again = (ka.split_half(vectors(14, 8)[1], splits=20) for _ in range(2))
    assert len(many.correlations) == 20
    assert many.correlation == again.correlation


def test_reliability_is_that_of_the_mean_of_all():
    """Spearman and Brown: the squared correlation of the mean of k parallel measurements with the truth."""
    truth, subjects = vectors(10, 80, noise=2.0)
    found = ka.split_half(subjects, comparison="pearson")
    assert found.reliability == pytest.approx(np.corrcoef(truth, subjects.mean(axis=0))[0, 1] ** 2, abs=0.03)
    with pytest.raises(ValueError, match="comparison must be 'spearman', 'pearson', 'rho_a' or 'whitened_pearson'"):
        ka.split_half(subjects, comparison="cosine")


# Errors and tests


def test_errors_over_subjects_are_those_of_a_mean():
    truth, subjects = vectors(6, 12)
    models = {"a": truth, "b": truth + np.random.default_rng(1).normal(size=len(truth))}
    found = ka.evaluate_models(models, subjects, bootstrap="subjects")
    expected = found.scores.std(axis=1, ddof=1) / np.sqrt(6)
    np.testing.assert_allclose(found.stderr, expected, rtol=1e-9)
    gap = (found.scores[0] - found.scores[1]).std(ddof=1) / np.sqrt(6)
    assert found.difference_stderr[0, 1] == pytest.approx(gap, rel=1e-9)
    assert found.freedom == 5
    assert found.p_chance == pytest.approx(stats.t.sf(found.mean / found.stderr, 5), rel=1e-9)
    t = found.differences[0, 1] / found.difference_stderr[0, 1]
    assert found.p_pairwise[0, 1] == pytest.approx(2 * stats.t.sf(abs(t), 5), rel=1e-9)
    low, high = found.interval(0.9).T
    np.testing.assert_allclose(high - low, 2 * stats.t.ppf(0.95, 5) * found.stderr, rtol=1e-9)


@pytest.mark.parametrize("comparison", ["pearson", "spearman", "tau_b"])
@pytest.mark.parametrize("bootstrap", ["subjects", "conditions", "both"])
def test_errors_by_definition(comparison, bootstrap):
    """Subjects are left out, conditions drawn and written out, and the excess over both is taken away once."""
    (truth, subjects), n, samples = vectors(4, 7), 7, 3

    def gap(own, counts):
        own = [oracle.repeated(one, n, counts) for one in own]
        score = np.mean([rsa.COMPARISONS[comparison](oracle.repeated(truth, n, counts), one) for one in own])
        return score, score - oracle.ceiling(own, comparison)[0].mean()

    def jackknife(counts):
        return 9 / 4 * np.var([gap(np.delete(subjects, i, axis=0), counts) for i in range(4)], axis=0, ddof=1)

    rng, once = np.random.default_rng(2), np.ones(n, dtype=int)
    drawn = [np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(samples)]
    assert min((counts > 0).sum() for counts in drawn) >= 4
    of_subjects = jackknife(once)
    of_conditions = np.var([gap(subjects, counts) for counts in drawn], axis=0) * n / (n - 1)
    excess = (np.mean([jackknife(counts) for counts in drawn], axis=0) - of_subjects) * n / (n - 1)
    least = np.maximum(of_subjects, of_conditions)
    both = np.maximum(of_subjects + of_conditions - excess, least)
    expected = {"subjects": of_subjects, "conditions": of_conditions, "both": both}[bootstrap]
    options = {"comparison": comparison, "bootstrap": bootstrap, "samples": samples, "seed": 2}
    found = ka.evaluate_models({"a": truth}, subjects, **options)
    assert found.stderr[0] ** 2 == pytest.approx(expected[0], rel=1e-9)
    t = (found.mean[0] - found.ceiling[0]) / np.sqrt(expected[1])
    assert found.p_ceiling[0] == pytest.approx(2 * stats.t.sf(abs(t), found.freedom), rel=1e-9)


def test_two_subjects_leave_the_error_of_their_ceiling_unknown():
    truth, subjects = vectors(2, 12)
    found = ka.evaluate_models({"a": truth}, subjects, samples=20)
    assert np.isnan(found.p_ceiling[0])
    assert np.isfinite(found.stderr[0])


@pytest.mark.parametrize("bootstrap", ["subjects", "conditions", "both"])
def test_errors_cover_what_they_generalise_to(bootstrap):
    """Those of both are larger than those of one alone, and the same seed gives the same."""
    truth, subjects = vectors(8, 12)
    one, again = (ka.evaluate_models({"a": truth}, subjects, bootstrap=bootstrap, samples=50) for _ in range(2))
    assert one.stderr == again.stderr
    both = ka.evaluate_models({"a": truth}, subjects, bootstrap="both", samples=50)
    assert both.freedom == 7
    assert one.stderr <= both.stderr * 1.3


def test_a_frame_for_models_and_one_for_pairs():
    pytest.importorskip("pandas")
    truth, subjects = vectors(6, 12)
    models = {"true": truth, "near": truth + 0.3, "none": truth[::-1], "curved": truth**4}
    found = ka.evaluate_models(models, dict(zip("uvwxyz", subjects, strict=True)), samples=60)
    frame = found.to_dataframe()
    assert frame["model"].tolist() == list(models)
    assert frame.columns.tolist() == [
        *("model", "score", "stderr", "low", "high", "chance", "p_chance", "q_chance", "p_pairing", "p_ceiling"),
    ]
    assert (frame["low"] < frame["score"]).all()
    pairs = found.pairs_to_dataframe()
    assert len(pairs) == 6
    assert pairs["q_value"].tolist() == pytest.approx(ka.false_discovery(pairs["p_value"].to_numpy()).tolist())
    assert pairs["p_value"][0] == 1.0  # of models that are the same but for a constant
    assert found.subjects == tuple("uvwxyz")
    assert str(found).splitlines()[1].split() == ["model", "score", "p,", "chance", "p,", "ceiling"]
    assert "noise ceiling" in str(found)
    assert "<table>" in found._repr_html_()
    assert repr(found) == "ModelEvaluation(4 models, 6 subjects, 12 conditions, spearman)"


def test_bars_show_all_of_it():
    matplotlib = pytest.importorskip("matplotlib")
    truth, subjects = vectors(8, 14)
    models = {"true": truth, "same": truth + 0.01 * subjects[0], "none": truth[::-1].copy()}
    found = ka.evaluate_models(models, subjects, samples=100)
    axes = found.plot()
    assert isinstance(axes, matplotlib.axes.Axes)
    heights = [bar.get_width() for bar in axes.patches if bar.get_gid() is None]
    np.testing.assert_allclose(heights, found.mean)
    [band] = [patch for patch in axes.patches if patch.get_gid() == "ceiling"]
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx(found.ceiling)
    letters = [text.get_text() for text in axes.texts if text.get_gid() == "letters"]
    assert bool(set(letters[0]) & set(letters[1])) == (found.adjusted[0, 1] >= 0.05)
    assert not set(letters[0]) & set(letters[2])
    one = ka.evaluate_models({"a": truth}, subjects[:1], samples=20).plot(found.plot().figure.add_subplot())
    assert not [patch for patch in one.patches if patch.get_gid() == "ceiling"]


def test_one_subject_has_no_ceiling():
    truth, subjects = vectors(1, 12)
    for given in (subjects, [squareform(subjects[0])], squareform(subjects[0]), subjects[0]):
        found = ka.evaluate_models({"a": truth}, given, samples=50)
        assert np.isnan(found.ceiling).all()
        assert np.isnan(found.p_ceiling).all()
        assert found.settings["bootstrap"] == "conditions"
        assert found.p_chance[0] < 0.01


def evaluated(seed, count=8, n=12, bootstrap="both", **options):
    """Two models that are as near to what all subjects have in common, which is as far from either."""
    rng, tails = np.random.default_rng([seed, n]), options.get("tails")

    def draw(*size):
        return rng.normal(size=size) if tails is None else rng.standard_t(tails, size=size)

    common, *models = draw(3, n, 3)
    subjects = [squareform_of(np.hstack([common, draw(n, 3)])) for _ in range(count)]
    given = {str(i): squareform_of(np.hstack([m, options.get("shared", 0.0) * common])) for i, m in enumerate(models)}
    of, samples = options.get("of", "pearson"), options.get("samples", 200)
    return ka.evaluate_models(given, subjects, bootstrap=bootstrap, samples=samples, comparison=of)


def squareform_of(x):
    return ((x[:, None] - x) ** 2).sum(axis=2)


def shares(repetitions, **options):
    found = [evaluated(seed, **options) for seed in range(repetitions)]
    chance = np.mean([one.p_chance[0] <= 0.05 for one in found])
    exact = np.mean([one.p_pairing[0] <= 0.05 for one in found])
    pairs = np.mean([one.p_pairwise[0, 1] <= 0.05 for one in found])
    return float(chance), float(pairs), float(exact)


def test_sizes():
    chance, _, exact = shares(14, samples=40)
    _, pairs, _ = shares(14, samples=40, shared=1.0)
    assert max(chance, pairs, exact) <= 4 / 14


@pytest.mark.slow
@pytest.mark.parametrize("n,count", [(12, 8), (30, 12), (12, 20)])
def test_sizes_of_tests_over_subjects(n, count):
    """Of fixed conditions: subjects that have nothing in common score 0 with any model on average, and two models whose
    sum they have in common score the same; the distance of a model to the ceiling is held against its own mean."""
    above, apart, below = [], [], []
    near = np.random.default_rng(n).normal(size=n * (n - 1) // 2) / np.sqrt(count - 1)
    common = np.random.default_rng(count).normal(size=(2, len(near)))
    for seed in range(1000):
        rng = np.random.default_rng([seed, n, count])
        models = rng.normal(size=(2, n * (n - 1) // 2))
        models = (models - models.mean(axis=1, keepdims=True)) / models.std(axis=1, keepdims=True)
        noise = rng.normal(size=(2, count, models.shape[1]))
        options = {"bootstrap": "subjects", "comparison": "pearson"}
        alone = ka.evaluate_models({"one": models[0]}, 9 + noise[0], **options)
        shared = 9 + models.sum(axis=0) + noise
        found = ka.evaluate_models({"one": models[0], "two": models[1]}, shared[0], **options)
        above.append(alone.p_chance[0])
        apart.append(found.p_pairwise[0, 1])
        fixed = ka.evaluate_models({"near": common.sum(axis=0) + near}, 9 + common.sum(axis=0) + noise[1], **options)
        below.append(from_ceiling(fixed))
    for p in (above, apart):
        assert 0.03 <= np.mean(np.array(p) <= 0.05) <= 0.075
        assert np.mean(np.array(p) <= 0.01) <= 0.025
    gaps, errors = np.array(below).T
    size = np.mean(np.abs(gaps - gaps.mean()) > stats.t.ppf(0.975, count - 1) * errors)
    assert 0.005 <= size <= 0.05
    assert errors.mean() <= 1.5 * gaps.std()


def from_ceiling(found):
    """Distance of the first model from the lower bound, and its standard error."""
    gap = found.mean[0] - found.ceiling[0]
    return gap, abs(gap) / stats.t.isf(found.p_ceiling[0] / 2, found.freedom)


@pytest.mark.slow
@pytest.mark.parametrize("of,tails", [("pearson", None), ("spearman", None), ("pearson", 2)])
@pytest.mark.parametrize("n,count", [(12, 8), (30, 12)])
def test_sizes_of_tests_over_both(n, count, of, tails):
    """Unrelated models score 0 on average, and models alike the same, over new subjects and conditions. Near chance
    errors of a bootstrap over conditions are too large; the p-value of pairings is exact."""
    chance, _, exact = shares(300, n=n, count=count, of=of, tails=tails)
    _, pairs, _ = shares(300, n=n, count=count, of=of, tails=tails, shared=1.0)
    assert chance <= 0.085
    assert pairs <= 0.085
    assert 0.02 <= exact <= 0.085


# Labels and refusals


def test_conditions_are_paired_by_their_labels():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 3))
    order = rng.permutation(6)
    names = np.array(list("abcdef"))
    model = ka.dissimilarities(x, distance="euclidean", conditions=names)
    moved = ka.dissimilarities(x[order], distance="euclidean", conditions=names[order])
    found = ka.evaluate_models({"m": model}, [moved, model], samples=5)
    np.testing.assert_allclose(found.scores, 1.0)
    assert ka.noise_ceiling([moved, model]).lower == pytest.approx(1.0)


@pytest.mark.parametrize(
    "models,subjects,options,error,words",
    [
        ([], SUBJECTS, {}, TypeError, "models must be a dict of names and dissimilarities"),
        ({}, SUBJECTS, {}, TypeError, "models must be a dict of names and dissimilarities"),
        (
            {"a": np.ones(10)},
            SUBJECTS,
            {},
            ValueError,
            r"models\['a'\] must have dissimilarities that are not all equal",
        ),
        ({"a": np.ones(9)}, SUBJECTS, {}, ValueError, r"models\['a'\] must be a square matrix .* a vector of 9"),
        (
            {"a": np.arange(15.0)},
            SUBJECTS,
            {},
            ValueError,
            r"subjects\[0\] must .* same conditions .* 5 for 6|same number",
        ),
        ({"a": np.arange(10.0)}, [], {}, ValueError, "subjects must hold at least one matrix"),
        ({"a": np.arange(10.0)}, SUBJECTS, {"bootstrap": "items"}, ValueError, "bootstrap must be .* got 'items'"),
        ({"a": np.arange(10.0)}, SUBJECTS[:1], {"bootstrap": "both"}, ValueError, "subjects must be at least two"),
        (
            {"a": np.arange(6.0)},
            [[1, 2, 3, 4, 5, 7], [1, 2, 4, 4, 5, 7]],
            {},
            ValueError,
            "needs at least 5 conditions",
        ),
        ({"a": np.arange(10.0)}, SUBJECTS, {"comparison": "r"}, ValueError, "comparison must be .* got 'r'"),
        ({"a": np.arange(10.0)}, SUBJECTS, {"covariance": np.eye(5)}, ValueError, "covariance is for comparison="),
        ({"a": np.arange(10.0)}, SUBJECTS, {"samples": 0}, ValueError, "samples must be"),
    ],
)
def test_bad_input_is_named(models, subjects, options, error, words):
    with pytest.raises(error, match=words):
        ka.evaluate_models(models, subjects, **options)


def test_one_subject_is_no_group():
    for function in (ka.noise_ceiling, ka.split_half):
        with pytest.raises(ValueError, match="subjects must be at least two"):
            function(SUBJECTS[:1])


def test_a_table_has_a_subject_in_each_row():
    pd = pytest.importorskip("pandas")
    values = np.random.default_rng(0).uniform(size=(5, 66))
    table = pd.DataFrame(values, index=[f"s{i}" for i in range(5)])
    assert ka.noise_ceiling(table).lower == ka.noise_ceiling(values).lower
    assert ka.evaluate_models({"a": values[0]}, table, samples=5).subjects == tuple(table.index)
    table.columns = [f"{u}-{v}" for u, v in itertools.combinations("abcdefghijkl", 2)]  # no pairs of conditions
    found = ka.evaluate_models({"a": values[0], "b": table.iloc[1]}, table, samples=5)
    np.testing.assert_array_equal(
        found.scores, ka.evaluate_models(dict(zip("ab", values[:2], strict=True)), values, samples=5).scores
    )


def test_models_may_have_numbers_for_names():
    values = np.random.default_rng(0).uniform(size=(5, 66))
    found = ka.evaluate_models({1: values[0], 2: values[1]}, values, samples=5)
    assert found.models == ("1", "2")
    assert "  1      1.000" in str(ka.evaluate_models({1: values[0]}, values[:1], samples=5))


def test_halves_that_are_opposite_or_flat_have_no_made_up_reliability():
    values = np.random.default_rng(0).permutation(66.0 + np.arange(66))
    opposite = values.max() + values.min() - values
    assert ka.split_half([values, opposite]).reliability == -np.inf
    assert np.isnan(ka.split_half([values, opposite] * 2).reliability)
    assert np.isnan(ka.noise_ceiling([values, opposite, values**2]).lower)
