"""Dissimilarities of repeated measurements against definitions, rsatoolbox and scikit-learn; labels and refusals."""

import itertools

import kernalign as ka
import numpy as np
import pytest
from kernalign._statistics.shrinkage import SHRINKAGE
from reference import model_evaluation as oracle
from scipy.spatial.distance import pdist

# Four conditions, three runs, five channels. Values of rsatoolbox 0.3.2 (calc_rdm, cov_from_unbalanced), times the five
# channels by which it divides.
X = np.array(
    [
        [-2.3, -0.7, -2.5, -1.7, -1.3],
        [-0.2, -2.7, -1.7, -1.9, -1.3],
        [-1.9, -0.9, -2.1, -2.8, -0.4],
        [-2.0, -0.3, 2.0, -1.3, -1.0],
        [-0.9, 0.2, 0.0, -0.6, 0.7],
        [-2.9, 0.4, 1.1, -1.6, 1.1],
        [1.4, -0.7, 0.2, -0.3, -0.1],
        [1.3, 0.6, 1.1, 1.1, -0.1],
        [0.7, -0.1, 0.2, -2.3, -0.9],
        [0.5, -0.4, 1.0, -2.9, -2.0],
        [1.5, -3.4, -1.3, -2.4, -0.4],
        [1.5, -1.4, -0.7, -2.1, 0.4],
    ]
)
CONDITIONS, RUNS = np.repeat(list("abcd"), 3), np.tile([0, 1, 2], 4)
PEER = {
    ("sqeuclidean", None): [
        14.925555555555558,
        18.45666666666667,
        10.367777777777778,
        10.562222222222225,
        17.399999999999995,
        7.431111111111111,
    ],
    ("correlation", None): [
        1.009065490609391,
        1.0341642147049133,
        0.6877372320268704,
        1.297652729371101,
        1.2179102964569983,
        0.11912094841125731,
    ],
    ("mahalanobis", "ledoit_wolf"): [
        18.425111403386303,
        23.354174797390037,
        13.80069412651132,
        12.97656747357803,
        20.368882975330184,
        8.502711607198716,
    ],
    ("mahalanobis", "diagonal"): [
        19.366863060291383,
        24.606983088718863,
        14.901791206299912,
        15.218583637350374,
        22.923616570886832,
        7.988557653962562,
    ],
    ("crossnobis", None): [
        13.246666666666666,
        16.186666666666667,
        8.616666666666667,
        8.34,
        15.723333333333336,
        2.6600000000000006,
    ],
    ("crossnobis", "ledoit_wolf"): [
        16.38785640508289,
        20.775589945263707,
        11.811778153150836,
        10.419061476427364,
        18.43340674924334,
        3.3802314461116407,
    ],
    ("crossnobis", "diagonal"): [
        17.298227330679765,
        22.039974717720273,
        12.612106599149556,
        12.400691801860047,
        21.034390141947718,
        2.4867402730762174,
    ],
}


def made(distance, noise=None, x=X, conditions=CONDITIONS, runs=RUNS):
    runs = runs if distance == "crossnobis" else None
    return ka.dissimilarities(x, distance=distance, conditions=conditions, runs=runs, noise=noise)


@pytest.mark.parametrize("distance,noise", list(PEER))
def test_values_are_those_of_rsatoolbox(distance, noise):
    found = made(distance, noise)
    np.testing.assert_allclose(found.values, PEER[distance, noise], rtol=1e-12)
    assert list(found.conditions) == list("abcd")
    assert found.distance == distance


@pytest.mark.parametrize("noise", ["ledoit_wolf", "diagonal_shrinkage", "diagonal", None, "given"])
def test_cross_validation_by_definition(noise):
    """Of unequal numbers of trials, whose conditions and runs come in any order."""
    rng = np.random.default_rng(0)
    conditions, runs = (rng.permutation(v) for v in (np.tile(list("badc"), 12), np.tile([3, 1, 2, 1], 12)))
    while len(set(zip(conditions, runs, strict=True))) < 12:
        runs = rng.permutation(runs)
    x = rng.normal(size=(48, 5)) * [1, 2, 1, 3, 1]
    residuals, freedom = oracle.noise_covariance(x, conditions)
    root = rng.normal(size=(5, 5))
    covariance = {
        None: np.eye(5),
        "given": root @ root.T + np.eye(5),
    }.get(noise)
    covariance = SHRINKAGE[noise](residuals, freedom) if covariance is None else covariance
    given = covariance if noise == "given" else noise
    expected = oracle.crossnobis(x, conditions, runs, covariance)
    np.testing.assert_allclose(made("crossnobis", given, x, conditions, runs).values, expected, rtol=1e-9, atol=1e-12)
    if noise is not None:
        names = list(dict.fromkeys(conditions))
        means = np.array([x[conditions == name].mean(axis=0) for name in names])
        inverse = np.linalg.inv(covariance)
        pairs = [
            (means[i] - means[j]) @ inverse @ (means[i] - means[j]) for i, j in itertools.combinations(range(4), 2)
        ]
        np.testing.assert_allclose(made("mahalanobis", given, x, conditions).values, pairs, rtol=1e-9)


def test_shrinkage_by_definition_and_by_scikit_learn():
    rng = np.random.default_rng(1)
    for n, p in ((12, 5), (20, 40), (200, 6)):
        residuals = rng.standard_t(4, size=(n, p)) @ (np.eye(p) + 0.3)
        freedom = n - 3
        found = SHRINKAGE["diagonal_shrinkage"](residuals, freedom)
        np.testing.assert_allclose(found, oracle.schaefer_strimmer(residuals, freedom), rtol=1e-10, atol=1e-12)
        covariance = pytest.importorskip("sklearn.covariance")
        expected = covariance.ledoit_wolf(residuals, assume_centered=True)[0] * n / freedom
        np.testing.assert_allclose(SHRINKAGE["ledoit_wolf"](residuals, freedom), expected, rtol=1e-10)
        assert np.linalg.eigvalsh(found).min() > 0


def test_cross_validated_distances_of_noise_are_zero_on_average():
    rng = np.random.default_rng(2)
    crossed, biased = [], []
    for _ in range(400):
        x = rng.normal(size=(12, 5))
        crossed.append(made("crossnobis", None, x).values.mean())
        biased.append(made("sqeuclidean", None, x).values.mean())
    error = np.std(crossed) / np.sqrt(400)
    assert abs(np.mean(crossed)) < 3 * error
    assert np.mean(biased) > 3  # 2 / 3 of the five channels


@pytest.mark.parametrize("distance", ["correlation", "cosine", "euclidean", "sqeuclidean"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_rows_are_conditions_without_labels(distance, dtype):
    x = np.round(8 * X).astype(dtype)
    found = ka.dissimilarities(x, distance=distance)
    np.testing.assert_allclose(found.values, pdist(x.astype(np.float64), distance), rtol=1e-10, atol=1e-13)
    assert (len(found), found.shape, np.asarray(found).shape) == (12, (12, 12), (12, 12))
    np.testing.assert_array_equal(found.square, found.square.T)


@pytest.mark.parametrize("distance", ["correlation", "mahalanobis", "crossnobis"])
def test_what_must_not_matter(distance):
    """The order of trials, an offset of all of them (a rotation under a given covariance), and units."""
    noise = None if distance == "correlation" else np.eye(5) + 0.2
    found = made(distance, noise)
    order = np.random.default_rng(3).permutation(12)
    moved = made(distance, noise, X[order], CONDITIONS[order], RUNS[order])
    assert sorted(moved.conditions) == list("abcd")
    names = np.argsort(moved.conditions)
    np.testing.assert_allclose(np.asarray(moved)[np.ix_(names, names)], found.square, rtol=1e-9, atol=1e-12)
    if noise is not None:
        np.testing.assert_allclose(made(distance, noise, X + 7).values, found.values, rtol=1e-9)
        np.testing.assert_allclose(made(distance, 9 * noise, 3 * X).values, found.values, rtol=1e-9)


def test_rsa_pairs_conditions_by_their_labels():
    model = np.array([[0.0, 1], [2, 0], [1, 3], [0, 0]])
    order = [2, 0, 3, 1]
    first = ka.dissimilarities(model, distance="euclidean", conditions=list("abcd"))
    second = ka.dissimilarities(model[order], distance="euclidean", conditions=[list("abcd")[i] for i in order])
    brain = made("crossnobis", "ledoit_wolf")
    expected = ka.rsa(brain, first, distance="precomputed")
    assert ka.rsa(brain, second, distance="precomputed") == expected
    assert expected.settings["pairing"] == "ids"
    found = ka.compare({"brain": brain, "model": second}, metrics={"r": ("rsa", {"distance": "precomputed"})})
    assert found.scores["r"]["brain", "model"] == expected


@pytest.mark.parametrize("distance", ["correlation", "euclidean"])
def test_rsa_averages_conditions(distance):
    rng = np.random.default_rng(4)
    x, y = X, X + rng.normal(size=X.shape)
    means = [np.array([v[c == CONDITIONS].mean(axis=0) for c in "abcd"]) for v in (x, y)]
    score = ka.rsa(x, y, distance=distance, conditions=CONDITIONS)
    assert score == pytest.approx(float(ka.rsa(*means, distance=distance)), rel=1e-12)
    assert score.n == 4
    with pytest.raises(ValueError, match="conditions are of single trials"):
        ka.rsa(np.asarray(made("crossnobis")), X, conditions=CONDITIONS, distance="precomputed")
    from functools import partial

    with pytest.raises(ValueError, match="conditions must be averaged before they change places"):
        ka.permutation_test(partial(ka.rsa, conditions=CONDITIONS), x, y)


@pytest.mark.parametrize(
    "options,words",
    [
        (
            {"distance": "crossnobis", "conditions": CONDITIONS},
            "conditions and runs must be given for distance='crossnobis'",
        ),
        ({"distance": "mahalanobis", "conditions": CONDITIONS}, "noise must be given for distance='mahalanobis'"),
        ({"noise": "diagonal"}, "noise is for distance='mahalanobis' or 'crossnobis', got distance='correlation'"),
        ({"runs": RUNS}, "runs are for distance='crossnobis', got distance='correlation'"),
        ({"distance": "cityblock"}, "distance must be .* got 'cityblock'"),
        ({"conditions": CONDITIONS[1:]}, "conditions must hold one label per row, got 11 for 12 rows"),
        ({"conditions": ["a"] * 12}, "conditions must have at least two different labels, got one"),
        (
            {"distance": "crossnobis", "conditions": CONDITIONS, "runs": np.ones(12)},
            "runs must have at least two different labels, got one",
        ),
        (
            {"distance": "crossnobis", "conditions": CONDITIONS, "runs": np.repeat([0, 1], 6)},
            "runs must each have trials of every condition, but 0 has none of 'c'$",
        ),
        (
            {"distance": "mahalanobis", "conditions": np.arange(12), "noise": "diagonal"},
            "noise='diagonal' needs a condition with two trials, got 12 conditions of one each",
        ),
        (
            {"distance": "mahalanobis", "conditions": CONDITIONS, "noise": "oas"},
            "noise must be 'ledoit_wolf', 'diagonal_shrinkage' or 'diagonal', got 'oas'",
        ),
        (
            {"distance": "mahalanobis", "conditions": CONDITIONS, "noise": np.eye(4)},
            r"noise must be \(n, n\) or \(n,\) of the n = 5 channels, got shape \(4, 4\)",
        ),
    ],
)
def test_what_does_not_go_together_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        ka.dissimilarities(X, **options)


def test_constant_channels_have_no_noise_to_divide_by():
    x = X.copy()
    x[:, 2] = 5.0
    with pytest.raises(ValueError, match="noise must have a positive definite covariance, but 1 channels do not vary"):
        made("mahalanobis", "diagonal", x)


def test_the_index_of_a_table_labels_its_conditions():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(1)
    names, order = [f"c{i}" for i in range(12)], rng.permutation(12)
    x = rng.normal(size=(12, 4))
    y = x + rng.normal(size=(12, 4))
    a, b = pd.DataFrame(x, index=names), pd.DataFrame(y, index=names).iloc[order]
    found = ka.dissimilarities(b)
    assert found.conditions.tolist() == b.index.tolist()
    whitened = ka.dissimilarities(b, distance="mahalanobis", noise=np.ones(4))
    assert whitened.conditions.tolist() == b.index.tolist()
    assert ka.rsa(ka.dissimilarities(a), found, distance="precomputed") == pytest.approx(ka.rsa(x, y), abs=1e-12)


def test_labels_of_trials_find_their_conditions_and_runs():
    pd = pytest.importorskip("pandas")
    names, order = [f"t{i}" for i in range(12)], np.random.default_rng(1).permutation(12)
    conditions, runs = pd.Series(CONDITIONS, index=names), pd.Series(RUNS, index=names)
    given = {"conditions": conditions.iloc[order], "runs": runs.iloc[order[::-1]]}
    found = ka.dissimilarities(pd.DataFrame(X, index=names), distance="crossnobis", **given)
    expected = ka.dissimilarities(X, distance="crossnobis", conditions=CONDITIONS, runs=RUNS)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.conditions.tolist() == list("abcd")


@pytest.mark.parametrize("labelled", ["table", "ids"])
def test_single_trials_are_paired_before_conditions_are_averaged(labelled):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(2)
    conditions, names, order = np.repeat(np.arange(12), 2), [f"t{i}" for i in range(24)], rng.permutation(24)
    x = rng.normal(size=(24, 4))
    y = x + 0.5 * rng.normal(size=(24, 4))
    expected = ka.rsa(x, y, conditions=conditions)
    if labelled == "table":
        found = ka.rsa(pd.DataFrame(x, index=names), pd.DataFrame(y, index=names).iloc[order], conditions=conditions)
    else:
        found = ka.rsa(x, y[order], conditions=conditions, ids=(names, [names[i] for i in order]))
    assert found == expected
    assert found.settings["pairing"] == "ids"


def test_a_trial_that_is_missing_on_one_side_is_dropped_on_both():
    rng = np.random.default_rng(3)
    conditions = np.repeat(np.arange(8), 3)
    x, y = rng.normal(size=(2, 24, 4))
    kept = np.arange(24) != 4
    expected = ka.rsa(x[kept], y[kept], conditions=conditions[kept])
    x[4, 1] = np.nan
    assert ka.rsa(x, y, conditions=conditions, nan_rows="drop_pair") == expected
    with pytest.raises(ValueError, match="x must be finite"):
        ka.rsa(x, y, conditions=conditions)


def test_conditions_of_several_types_stay_apart():
    found = ka.dissimilarities(X, conditions=[7, "7", 1, "a"] * 3)
    assert found.conditions.tolist() == [7, "7", 1, "a"]
    np.testing.assert_array_equal(found.values, ka.dissimilarities(X, conditions=[0, 1, 2, 3] * 3).values)
