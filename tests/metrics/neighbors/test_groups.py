"""mutual_knn with groups against brute force: the definition, ties, the exact chance level and the restricted null."""

from __future__ import annotations

import numpy as np
import pytest
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
    short = mutual_knn(knn(x, 8), knn(y, 8), 7, groups=labels)
    assert short.settings["ties"] == "index"
    with pytest.raises(ValueError, match="the lists must hold 6 rows of other groups"):
        mutual_knn(knn(x, 6), knn(y, 6), 6, groups=labels)


def test_bad_groups():
    x, y, labels = captions(10, (4,), 0.5)
    with pytest.raises(ValueError, match=r"one label per row, got 39 labels for 40 rows"):
        mutual_knn(x, y, 3, groups=labels[1:])
    with pytest.raises(ValueError, match="at most 36, the rows outside the largest group, got 37"):
        mutual_knn(x, y, 37, groups=labels)
    assert mutual_knn(x, y, 36, groups=labels) == 1
    with pytest.raises(ValueError, match="uncertainty is not available with groups"):
        mutual_knn(x, y, 3, groups=labels, uncertainty="half-sampling")
    with pytest.raises(ValueError, match="groups need exact search, got backend='sample'"):
        mutual_knn(x, y, 3, groups=labels, backend="sample")
    x[3] = 0
    with pytest.raises(ValueError, match="40 for 39 rows that are not dropped"):
        mutual_knn(x, y, 3, groups=labels, zero_rows="drop_pair")
