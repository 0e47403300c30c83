"""Kernel metrics with groups: the score stays, its null exchanges whole groups, against every permitted pairing."""

import functools
import math
import pickle

import kernalign as ka
import numpy as np
import pytest
from reference import alignment, distances, rsa
from reference.null_moments import exchanges, share

SIZES = {"equal": (2,) * 4, "two sizes": (3, 1, 3, 1, 1), "none alike": (1, 2, 3)}


def captioned(sizes, seed=0, noise=0.4):
    """Rows of a group are noisy copies of one; labels are shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    x, y = (rng.normal(size=(len(sizes), p))[labels] + noise * rng.normal(size=(len(labels), p)) for p in (3, 4))
    return x, y, labels


def cka(x, y, estimator="unbiased", kernel=alignment.linear):
    return (alignment.cka_u if estimator == "unbiased" else alignment.cka_b)(kernel(x), kernel(y))


def hsic(x, y, estimator="unbiased"):
    return (alignment.hsic_u if estimator == "unbiased" else alignment.hsic_b)(alignment.linear(x), alignment.linear(y))


rbf = functools.partial(alignment.rbf, bandwidth=2.0)
CALLS = {
    "cka": (ka.cka, cka),
    "cka biased": (functools.partial(ka.cka, estimator="biased"), functools.partial(cka, estimator="biased")),
    "cka rbf": (
        functools.partial(ka.cka, kernel=ka.RBF(2.0)),
        functools.partial(cka, kernel=rbf),
    ),
    "cka rbf biased": (
        functools.partial(ka.cka, kernel=ka.RBF(2.0), estimator="biased"),
        functools.partial(cka, estimator="biased", kernel=rbf),
    ),
    "hsic": (ka.hsic, hsic),
    "hsic biased": (functools.partial(ka.hsic, estimator="biased"), functools.partial(hsic, estimator="biased")),
    "distance_correlation": (ka.distance_correlation, functools.partial(cka, kernel=distances.distances)),
    "rsa": (ka.rsa, rsa.rsa),
    "rsa pearson": (
        functools.partial(ka.rsa, distance="euclidean", comparison="pearson"),
        functools.partial(rsa.rsa, distance="euclidean", comparison="pearson"),
    ),
    "rsa cosine": (
        functools.partial(ka.rsa, distance="sqeuclidean", comparison="cosine"),
        functools.partial(rsa.rsa, distance="sqeuclidean", comparison="cosine"),
    ),
    "distance_correlation biased": (
        functools.partial(ka.distance_correlation, estimator="biased"),
        functools.partial(cka, estimator="biased", kernel=distances.distances),
    ),
    **{
        f"rsa {comparison} {distance}": (
            functools.partial(ka.rsa, distance=distance, comparison=comparison),
            functools.partial(rsa.rsa, distance=distance, comparison=comparison),
        )
        for comparison in ("whitened_cosine", "whitened_pearson")
        for distance in ("correlation", "euclidean", "sqeuclidean")
    },
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("call", CALLS)
def test_chance_spread_and_p_value_are_those_of_all_permitted_pairings(call, sizes):
    metric, oracle = CALLS[call]
    x, y, labels = captioned(sizes, seed=len(sizes))
    values = np.array([oracle(x, y[order]) for order in exchanges(labels)])
    score = metric(x, y, groups=[f"group {label}" for label in labels])
    assert score == metric(x, y) == pytest.approx(values[0], rel=1e-8)
    assert score.chance == pytest.approx(values.mean(), rel=1e-8, abs=1e-12)
    assert score.chance_sd == pytest.approx(values.std(), rel=1e-6, abs=1e-12)
    assert score._null.p_value.__self__._found[2][0] == pytest.approx(score, rel=1e-8)  # the given pairing's
    assert score.p_value == pytest.approx(share(values))
    assert score.settings["groups"] == len(sizes)
    assert score.settings["p_method"] == f"all {len(values)} pairings of groups"
    twin = pickle.loads(pickle.dumps(score))
    assert (twin.p_value, twin.chance, twin.chance_sd) == (score.p_value, score.chance, score.chance_sd)


def test_a_group_far_from_the_others():
    """Whose lengths, were they the distances of rows to themselves, would rule the null."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 3)
    x = rng.normal(size=(36, 3)) + np.repeat(rng.normal(size=(12, 3)), 3, axis=0)
    y = x[:, :2] + 1.5 * rng.normal(size=(36, 2))
    x[:3] *= 8
    a, b = (alignment.centre(distances.distances(one)) for one in (x, y))
    places = np.arange(36).reshape(12, 3)
    orders = [places[rng.permutation(12)].ravel() for _ in range(4000)]
    pool = np.array([(a * b[np.ix_(o, o)]).sum() for o in orders]) / (np.linalg.norm(a) * np.linalg.norm(b))
    score = ka.distance_correlation(x, y, estimator="biased", groups=labels)
    assert score.chance == pytest.approx(pool.mean(), abs=5 * pool.std() / 4000**0.5)
    assert score.chance_sd == pytest.approx(pool.std(), rel=0.1)
    assert score.p_value == pytest.approx(np.mean(pool >= score), abs=0.01)


@pytest.mark.parametrize("metric", ["cka", "hsic", "distance_correlation", "rsa"])
def test_unrelated_captions_are_at_chance(metric):
    """40 groups of 5 near copies, unrelated: exchanging items rejects at any level, exchanging groups does not."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(40), 5)
    x, y = (np.repeat(rng.normal(size=(40, p)), 5, axis=0) + 0.05 * rng.normal(size=(200, p)) for p in (16, 12))
    call = getattr(ka, metric)
    plain, grouped = call(x, y), call(x, y, groups=labels)
    assert plain == grouped
    assert plain.p_value <= 0.001
    assert grouped.p_value > 0.05
    assert abs(grouped.z) < 2
    related = call(x, x @ rng.normal(size=(16, 12)), groups=labels)
    assert related.p_value == 0.001
    assert metric == "hsic" or 0 < related.corrected < 1


def test_labels_of_any_kind():
    pandas = pytest.importorskip("pandas")
    x, y, labels = captioned((2, 3, 2, 3))
    expected = ka.cka(x, y, groups=labels).chance
    names = np.array(["d", "b", "a", "c"])[labels]
    for given in (
        names,
        names.tolist(),
        names.astype(object),
        labels.astype(float),
        pandas.Series(names),
        pandas.Series(labels, index=range(5, 15)),
        pandas.Categorical(names),
        pandas.Series(names, dtype="category"),
    ):
        assert ka.cka(x, y, groups=given).chance == pytest.approx(expected, rel=1e-12)
    mixed = np.array([("a", 1, 2.5, False)[label] for label in labels], dtype=object)
    assert ka.cka(x, y, groups=mixed).chance == pytest.approx(expected, rel=1e-12)
    for missing in (None, math.nan, pandas.NA):
        bad = names.astype(object)
        bad[3] = missing
        with pytest.raises(ValueError, match="groups must have a label for every row, got none for row 3"):
            ka.cka(x, y, groups=bad)


def test_groups_follow_the_rows_that_are_kept():
    x, y, labels = captioned((2, 3, 2, 3, 2))
    bad = x.copy()
    bad[4] = np.nan
    keep = np.arange(12) != 4
    expected = ka.cka(x[keep], y[keep], groups=labels[keep])
    found = ka.cka(bad, y, groups=labels, nan_rows="drop_pair")
    assert (found, found.chance, found.p_value) == (expected, expected.chance, expected.p_value)


def test_groups_of_one_are_no_groups_and_groups_that_nothing_equals_stay():
    x, y, labels = captioned((1,) * 12)
    plain, grouped = ka.cka(x, y), ka.cka(x, y, groups=labels)
    assert (grouped.chance, grouped.chance_sd, grouped.p_value) == (plain.chance, plain.chance_sd, plain.p_value)
    x, y, labels = captioned((1, 2, 3, 4))
    fixed = ka.cka(x, y, groups=labels)
    assert (fixed.p_value, fixed.chance_sd) == (1, pytest.approx(0, abs=1e-9))


def test_bad_groups_are_named():
    x, y, labels = captioned((2, 2, 2))
    with pytest.raises(ValueError, match="groups must hold one label per row, got 5 for 6 rows"):
        ka.cka(x, y, groups=labels[1:])
    with pytest.raises(ValueError, match=r"groups must be 1-D class labels, one per item, got shape \(6, 1\)"):
        ka.rsa(x, y, groups=labels[:, None])


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["cka", "distance_correlation", "rsa"])
@pytest.mark.parametrize("rows", ["normal", "Cauchy"])
def test_size_with_groups(rows, metric):
    p = []
    for seed in range(600):
        rng = np.random.default_rng(seed)
        make = rng.standard_normal if rows == "normal" else rng.standard_cauchy
        labels = np.repeat(np.arange(18), rng.integers(1, 4, 18))
        x, y = (make((18, w))[labels] + 0.1 * rng.normal(size=(len(labels), w)) for w in (5, 4))
        p.append(getattr(ka, metric)(x, y, groups=labels).p_value)
    for level, slack in ((0.05, 0.022), (0.01, 0.0105)):
        assert np.mean(np.array(p) <= level) <= level + slack
    assert np.mean(np.array(p) <= 0.5) == pytest.approx(0.5, abs=0.06)
