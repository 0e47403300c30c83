"""Standard errors where several rows are one thing: of whole groups, against explicit sums and parts, and coverage."""

import kernalign as ka
import numpy as np
import pytest
from kernalign._statistics import half_sampling
from reference import jackknife, neighbors
from reference import rsa as rsa_oracle

MIXINGS = np.random.default_rng(99).normal(size=(3, 4, 6))


def captioned(groups, sizes, seed=0, noise=(0.8, 1.2, 0.8)):
    """a, b and y of latents that the rows of a group share; rows are shuffled, groups numbered as they come."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(groups), np.resize(sizes, groups)))
    labels = np.argsort(np.argsort(np.unique(labels, return_index=True)[1]))[labels]
    latent = rng.normal(size=(groups, 4))[labels]
    return [latent @ m + s * rng.normal(size=(len(labels), 6)) for m, s in zip(MIXINGS, noise, strict=True)], labels


def influences(name, estimator, x, y):
    if name == "rsa":
        return rsa_oracle.influences(x, y, "correlation", "spearman")
    values = jackknife.deletions(name, estimator, x, y)
    return (len(values) - 1) * (values.mean() - values)


@pytest.mark.parametrize("sizes", [(3,), (1, 2, 4)])
@pytest.mark.parametrize(
    "name,estimator", [("cka", "unbiased"), ("cka", "biased"), ("hsic", "unbiased"), ("rsa", None)]
)
def test_the_error_is_that_of_what_whole_groups_move(name, estimator, sizes):
    (a, b, y), labels = captioned(14, sizes)
    named = {} if estimator is None else {"estimator": estimator}
    left, right = (influences(name, estimator, x, y) for x in (a, b))
    score = getattr(ka, name)(a, y, groups=labels, uncertainty="jackknife", **named)
    assert score == getattr(ka, name)(a, y, **named)
    assert score.stderr == pytest.approx(jackknife.stderr_of_groups(left, labels), rel=1e-5)
    found = ka.compare_scores(name, a, b, y, groups=labels, **named)
    assert found.stderr == pytest.approx(jackknife.stderr_of_groups(left - right, labels), rel=1e-5)
    assert found.settings["groups"] == 14


@pytest.mark.parametrize("sizes", [(2,), (1, 2, 3)])
def test_halves_and_quarters_are_of_whole_groups(sizes, monkeypatch):
    divisions = {2: 6, 4: 4}
    monkeypatch.setattr(half_sampling, "_DIVISIONS", divisions)
    monkeypatch.setattr(half_sampling, "list_length", lambda n, k: n - 1)  # no list is too short for a part
    (a, b, y), labels = captioned(40, sizes)
    masked = []
    for side in (a, b, y):
        similar = neighbors.in_order(side, "cosine")
        similar[labels[:, None] == labels] = -np.inf
        masked.append(similar)

    def score(side, groups, k):
        items = np.flatnonzero(np.isin(labels, groups))
        weights = [
            neighbors.index_weights(neighbors.lists(s[np.ix_(items, items)], k), len(items)) for s in (side, masked[2])
        ]
        return neighbors.mutual(*weights, k)

    expected = jackknife.stderr_of_parts(lambda groups, k: score(masked[0], groups, k), 40, 6, divisions)
    alone = ka.mutual_knn(a, y, 6, groups=labels, uncertainty="half-sampling")
    assert alone.stderr == pytest.approx(expected, rel=1e-9)
    found = ka.compare_scores("mutual_knn", a, b, y, k=6, groups=labels)
    assert [found.score_a, found.score_b] == [ka.mutual_knn(x, y, 6, groups=labels) for x in (a, b)]
    expected = jackknife.stderr_of_parts(
        lambda groups, k: score(masked[0], groups, k) - score(masked[1], groups, k), 40, 6, divisions
    )
    assert found.stderr == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["cka", "rsa", "mutual_knn", "jaccard_knn"])
def test_groups_of_one_are_no_groups(name):
    (a, b, y), labels = captioned(40, (1,))
    found, plain = ka.compare_scores(name, a, b, y, groups=labels), ka.compare_scores(name, a, b, y)
    assert found.difference == pytest.approx(plain.difference, rel=1e-12)
    assert found.stderr == pytest.approx(plain.stderr, rel=1e-9)


def test_labels_follow_the_rows_that_are_left():
    (a, b, y), labels = captioned(30, (3,))
    expected = ka.compare_scores("cka", a[1:], b[1:], y[1:], groups=labels[1:])
    b[0, 2] = np.nan
    found = ka.compare_scores("cka", a, b, y, groups=[f"image {label}" for label in labels], nan_rows="drop_pair")
    assert (found.difference, found.stderr) == (expected.difference, expected.stderr)
    with pytest.raises(ValueError, match="groups must hold one label per row, got 89 for 90 rows"):
        ka.compare_scores("cka", a, b, y, groups=labels[1:], nan_rows="drop_pair")


def coverage(name, groups, sizes, repetitions, **options):
    values, stderrs = [], []
    for seed in range(repetitions):
        (a, b, y), labels = captioned(groups, sizes, seed)
        found = ka.compare_scores(name, a, b, y, groups=labels, threads=1, **options)
        values.append(found.difference)
        stderrs.append(found.stderr)
    return np.mean(np.abs(np.array(values) - np.mean(values)) <= 1.96 * np.array(stderrs))


@pytest.mark.parametrize("name", ["cka", "mutual_knn"])
def test_coverage(name):
    """An error of single rows would be half as large, and cover about 65 %."""
    assert 0.85 <= coverage(name, 40, (5,), 80) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cka", "rsa", "mutual_knn", "jaccard_knn"])
@pytest.mark.parametrize("sizes", [(5,), (1, 3, 6, 8)])
@pytest.mark.parametrize("groups", [20, 40, 100])
def test_coverage_of_many_sizes(groups, sizes, name):
    assert 0.88 <= coverage(name, groups, sizes, 300) <= 1
