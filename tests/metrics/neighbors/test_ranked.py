"""Rank similarity and second-order cosine: definitions, chance by enumeration, sizes, ties and refusals."""

import functools
import itertools

import kernalign as ka
import numpy as np
import pytest
from kernalign._statistics import list_null
from reference import neighbors as ref
from samples import related


def lists(x, y, k, metric="cosine"):
    return [ref.lists(ref.similarities(side, metric), k) for side in (x, y)]


def ranked(a, b, jaccard=False):
    return np.array(
        [ref.rank_similarity(u, v) * (ref.jaccard(u, v) if jaccard else 1) for u, v in zip(a, b, strict=True)]
    )


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("jaccard", [False, True])
@pytest.mark.parametrize("n,k", [(9, 1), (60, 7), (60, 59)])
def test_rank_similarity_is_its_definition(metric, jaccard, n, k):
    x, y = related(n, 5, 6)
    score = ka.rank_similarity(x, y, k, jaccard=jaccard, metric=metric, per_item=True)
    wanted = ranked(*lists(x, y, k, metric), jaccard)
    np.testing.assert_allclose(score.per_item, wanted, rtol=1e-12)
    assert score == pytest.approx(wanted.mean(), rel=1e-12)
    assert score.settings["jaccard"] is jaccard
    assert ka.rank_similarity(y, x, k, jaccard=jaccard, metric=metric) == pytest.approx(score, rel=1e-12)
    assert ka.rank_similarity(x, 3 * x, k, jaccard=jaccard, metric=metric) == pytest.approx(1.0)


@pytest.mark.parametrize("k", [1, 6, 40])
def test_second_order_cosine_is_its_definition(k):
    x, y = related(50, 5, 6)
    wanted = ref.second_order_cosine(x, y, *lists(x, y, k))
    score = ka.second_order_cosine(x, y, k, per_item=True)
    np.testing.assert_allclose(score.per_item, wanted, rtol=1e-10)
    assert ka.second_order_cosine(y, x, k) == pytest.approx(score, rel=1e-12)
    assert ka.second_order_cosine(x, 3 * x, k) == pytest.approx(1.0)
    narrow = ka.second_order_cosine(np.float32(x), np.float32(y), k)
    assert narrow == pytest.approx(score, rel=1e-5)


def pairings(n):
    return map(list, itertools.permutations(range(n)))


@pytest.mark.parametrize("jaccard", [False, True])
@pytest.mark.parametrize("n,k", [(5, 2), (6, 3), (6, 5), (7, 4)])
def test_chance_of_rank_similarity_is_that_of_all_pairings(jaccard, n, k):
    x, y = related(n, 3, 3)
    a, b = lists(x, y, k)
    scores = np.array([ranked(a, ref.permuted_lists(b, order), jaccard).mean() for order in pairings(n)])
    score = ka.rank_similarity(x, y, k, jaccard=jaccard)
    assert score.chance == pytest.approx(scores.mean(), rel=1e-10)
    assert list_null.ranks(n, k, jaccard=jaccard) == pytest.approx(scores.mean(), rel=1e-10)
    assert score.p_value == pytest.approx(np.mean(scores >= score - 1e-12), abs=1e-12)


def test_null_of_second_order_cosine_is_that_of_all_pairings():
    x, y = related(6, 3, 3)
    scores = np.array([ref.second_order_cosine(x, y[o], *lists(x, y[o], 2)).mean() for o in pairings(6)])
    score = ka.second_order_cosine(x, y, 2)
    assert score.chance == pytest.approx(scores.mean(), rel=1e-10)
    assert score.chance_sd == pytest.approx(scores.std(), rel=1e-10)
    assert score.p_value == pytest.approx(np.mean(scores >= score - 1e-12), abs=1e-12)


@pytest.mark.parametrize("name", ["rank_similarity", "second_order_cosine"])
def test_neighbours_of_other_groups(name):
    """Captions of an image are not each other's neighbours, and whole images change places."""
    x, y = related(8, 4, 4)
    labels = np.repeat(np.arange(4), 2)
    found = []
    for side in (x, y):
        s = ref.similarities(side, "cosine")
        s[labels[:, None] == labels] = -np.inf
        found.append(s)
    a, b = (ref.lists(s, 3) for s in found)
    score = getattr(ka, name)(x, y, 3, groups=labels)
    wanted = ranked(a, b) if name == "rank_similarity" else ref.second_order_cosine(x, y, a, b)
    assert score == pytest.approx(wanted.mean(), rel=1e-10)
    scores = []
    for order in pairings(4):
        rows = np.concatenate([[2 * g, 2 * g + 1] for g in order])
        other = np.argsort(rows)[b[rows]]
        if name == "rank_similarity":
            scores.append(ranked(a, other).mean())
        else:
            scores.append(ref.second_order_cosine(x, y[rows], a, other).mean())
    assert score.chance == pytest.approx(np.mean(scores), rel=1e-10)
    assert score.p_value == pytest.approx(np.mean(np.array(scores) >= score - 1e-12), abs=1e-12)


@pytest.mark.parametrize("name", ["rank_similarity", "second_order_cosine"])
def test_comparisons_and_permutation_tests_agree_with_the_function(name):
    x, y = related(40, 4, 5)
    score = getattr(ka, name)(x, y, 5)
    made = ka.compare({"a": [x, y]}, {"b": y}, metrics=[name, "mutual_knn"], k=5, errors="raise")
    assert made.scores[name]["a", "b"][0, 0] == pytest.approx(score, rel=1e-10)
    test = ka.permutation_test(name, x, y, k=5, permutations=19)
    assert test.score == pytest.approx(score, rel=1e-10)
    assert test.p_value == 0.05
    joint = ka.permutation_test(functools.partial(ka.rank_similarity, jaccard=True), x, y, k=5, permutations=9)
    assert joint.score == pytest.approx(ka.rank_similarity(x, y, 5, jaccard=True), rel=1e-10)
    own = ka.compare({"a": x}, {"b": y}, metrics={"joint": ("rank_similarity", {"jaccard": True})}, k=5)
    assert own.scores["joint"]["a", "b"][0, 0] == pytest.approx(joint.score, rel=1e-10)


def test_lists_alone_have_ranks_but_no_distances():
    x, y = related(40, 4, 5)
    found = ka.knn(x, 5), ka.knn(y, 5)
    assert ka.rank_similarity(*found) == pytest.approx(ka.rank_similarity(x, y, 5), rel=1e-12)
    with pytest.raises(TypeError, match="second_order_cosine needs arrays"):
        ka.second_order_cosine(*found)


def test_items_at_no_distance_have_no_cosine():
    x, y = related(30, 4, 5)
    x[:4] = x[0]
    with pytest.warns(ka.UndefinedScoreWarning, match=r"item 0 is at distance 0 from all its neighbours \(4 such"):
        score = ka.second_order_cosine(x, x, 3)
    assert np.isnan(score)
    assert 0 < ka.second_order_cosine(x, y, 3) < 1  # whose neighbours are at some
    parallel = x * np.linspace(0.3, 3, 30)[:, None]  # the same up to rounding
    with pytest.warns(ka.UndefinedScoreWarning, match=r"\(4 such"):
        ka.second_order_cosine(parallel, parallel, 3)


def test_long_pairings_are_not_drawn():
    x, y = np.random.default_rng(0).standard_normal((2, 600, 600))
    score = ka.second_order_cosine(x, y, 10)
    assert (score.p_value, score.chance) == (None, None)
    assert "permutation_test scores them" in score.settings["p_method"]


def p_values(count, n, k, name, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        x, y = rng.standard_t(2, size=(2, n, 4))
        found.append(getattr(ka, name)(x + 1, y, k).p_value)
    return np.array(found)


@pytest.mark.parametrize("name", ["rank_similarity", "second_order_cosine"])
def test_size(name):
    """Of few items, of which all pairings are drawn: the p-value is exact."""
    found = p_values(60, 5, 2, name)
    assert np.mean(found <= 0.5) == pytest.approx(0.5, abs=0.2)
    assert np.mean(found <= 0.1) <= 0.1 + 3 * np.sqrt(0.09 / 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rank_similarity", "second_order_cosine"])
def test_size_of_drawn_pairings(name):
    count = {"rank_similarity": 1000, "second_order_cosine": 300}[name]
    found = p_values(count, 25, 5, name, seed=1)
    for level in (0.01, 0.05, 0.5):
        assert np.mean(found <= level) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / count))


def test_no_chance_level_where_some_pairings_have_no_score():
    rng = np.random.default_rng(0)
    x, y = np.repeat(rng.normal(size=(4, 5)), 3, axis=0), rng.normal(size=(12, 3))
    with pytest.warns(ka.AlignmentWarning, match="repeat"):
        score = ka.second_order_cosine(x, y, k=2)
    assert 0 < score < 1
    assert score.p_value is score.chance is score.chance_sd is None
    assert score.settings["p_method"] == "none: under some pairings there is no score"
