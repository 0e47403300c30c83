"""Neighbours of some rows: chosen, of other arrays, drawn by lot; and lists that other engines found."""

from __future__ import annotations

import numpy as np
import pytest
from kernalign._engines import sampled
from kernalign.metrics.neighbors.cknna import cknna
from kernalign.metrics.neighbors.overlap import Neighbors, jaccard_knn, knn, lcs_knn, mutual_knn
from reference import neighbors as ref
from test_neighbors import DATA, METRICS, make


def pair(n: int, p: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p))
    return x, x + 0.7 * rng.standard_normal((n, p))


@pytest.mark.parametrize("metric", METRICS)
def test_chosen_rows_have_the_lists_of_the_whole_search(metric):
    x, _ = pair(400)
    chosen = np.array([390, 2, 17])
    whole, some = knn(x, 6, metric=metric), knn(x, 6, metric=metric, queries=chosen)
    np.testing.assert_array_equal(some.indices, whole.indices[chosen])
    np.testing.assert_array_equal(some.similarities, whole.similarities[chosen])
    assert (some.n, some.whole, some.backend, some.exact) == (400, False, "native", True)
    np.testing.assert_array_equal(some.rows, chosen)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("n, k", [(60, 60), (700, 5)])
def test_rows_of_another_array_find_what_the_oracle_finds(metric, name, n, k):
    both = make(name, n + 9, 5).astype(np.float64)
    x, queries = both[:n], both[n:] if metric == "cosine" else 40 * both[n:]
    queries[0] = x[3]  # which then is a neighbour
    s = ref.in_order(np.concatenate([x, queries]), metric)[n:, :n]
    found = knn(x, k, metric=metric, queries=queries)
    np.testing.assert_array_equal(found.indices, ref.lists(s, k))
    np.testing.assert_array_equal(found.similarities, np.take_along_axis(s, found.indices.astype(int), axis=1))
    if k < n:
        following = np.sort(s, axis=1)[:, ::-1]
        np.testing.assert_array_equal(found.tie_rows, following[:, k - 1] == following[:, k])


def test_queries_far_outside_the_rows_are_searched_exactly():
    x = np.random.default_rng(0).standard_normal((500, 4))
    queries = 1e90 * np.random.default_rng(1).standard_normal((3, 4))
    for metric in ("dot", "euclidean"):
        s = ref.in_order(np.concatenate([x, queries]), metric)[500:, :500]
        np.testing.assert_array_equal(knn(x, 5, metric=metric, queries=queries).indices, ref.lists(s, 5))


def test_scores_of_queries_are_means_over_them():
    x, y = pair(300)
    items = mutual_knn(x, y, 7, per_item=True).per_item
    chosen = [5, 0, 299]
    score = mutual_knn(x, y, 7, queries=chosen, per_item=True)
    np.testing.assert_allclose(score.per_item, items[chosen])
    assert score.stderr is None
    assert score.chance == pytest.approx(7 / 299)
    assert score.settings["queries"] == 3
    assert jaccard_knn(x, y, 7, queries=chosen) == pytest.approx(
        jaccard_knn(x, y, 7, per_item=True).per_item[chosen].mean()
    )
    a, b = (knn(side, 7, queries=chosen) for side in (x, y))
    assert mutual_knn(a, b) == score
    other = mutual_knn(x[:200], y[:200], 7, queries=(x[200:], y[200:]))
    lists = [ref.lists(ref.in_order(side, "cosine")[200:, :200], 7) for side in (x, y)]
    shared = [len(set(a) & set(b)) / 7 for a, b in zip(*lists, strict=True)]
    assert other == pytest.approx(np.mean(shared))
    assert other.chance == 7 / 200


def test_queries_follow_rows_that_are_dropped():
    x, y = pair(120)
    x[[3, 60]] = np.nan
    kept = np.delete(np.arange(120), [3, 60])
    dropped = mutual_knn(x, y, 4, nan_rows="drop_pair", queries=[2, 100])
    assert dropped == mutual_knn(x[kept], y[kept], 4, queries=[2, 98])
    with pytest.raises(ValueError, match="queries must be rows that were kept, but 60 was dropped"):
        mutual_knn(x, y, 4, nan_rows="drop_pair", queries=[2, 60])


@pytest.mark.parametrize("metric", [mutual_knn, jaccard_knn, cknna])
def test_a_sample_of_all_rows_is_the_score(metric):
    x, y = pair(90)
    whole, some = metric(x, y, 5), metric(x, y, 5, queries=90)
    assert some == pytest.approx(whole, rel=1e-12)
    assert some.stderr == pytest.approx(0, abs=1e-15)
    assert metric(x, y, 5, queries=1000) == some


@pytest.mark.parametrize("variant", ["ucentred", "paper"])
def test_sums_of_sampled_rows_are_those_of_their_edges(variant):
    x, y = pair(50)
    x += 3
    rows = sampled.sampled_rows(50, 20)
    graphs = []
    for side in (x, y):
        c = side - side.mean(axis=0)
        gram = side @ c.T
        if variant == "ucentred":
            kernel = c @ c.T - np.diag((c * c).sum(axis=1))
            mean = kernel.sum(axis=1) / 48
            gram = kernel - mean[:, None] - mean + kernel.sum() / (49 * 48)
        graphs.append(gram * ref.index_weights(ref.lists(ref.in_order(side, "dot"), 6), 50))
    a, b = (graph[rows] for graph in graphs)
    assert cknna(x, y, 6, variant=variant, queries=20) == pytest.approx(
        (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())
    )


@pytest.mark.parametrize("metric", [mutual_knn, jaccard_knn, cknna])
def test_intervals_of_samples_cover_the_score_of_all_rows(metric, monkeypatch):
    x, y = pair(600)
    whole, covered, repetitions = metric(x, y, 10), 0, 60
    for seed in range(repetitions):
        order = np.sort(np.random.default_rng(seed).choice(600, 150, replace=False)).astype(np.int32)
        monkeypatch.setattr(sampled, "sampled_rows", lambda n, count, order=order: order)
        low, high = metric(x, y, 10, queries=150).interval()
        covered += low <= whole <= high
    assert covered >= 0.87 * repetitions


def test_bad_queries_are_named():
    x, y = pair(40)
    for queries, kind, words in (
        ([40], ValueError, "queries must be indices of 40 rows, got 40 to 40"),
        ([-1, 2], ValueError, "got -1 to 2"),
        ([1, 1], ValueError, "name each row once"),
        ([0.5], TypeError, "indices of rows, got dtype float64"),
        ([], TypeError, r"shape \(0,\)"),
        (0, ValueError, "queries must be at least 1, got 0"),
        (2.5, TypeError, "queries must be a number of rows, their indices"),
        (np.zeros((3, 5)) + 1, ValueError, "queries must have the 8 columns of the rows, got 5"),
        (np.zeros((3, 8)), ValueError, "queries"),
    ):
        with pytest.raises(kind, match=words):
            knn(x, 3, queries=queries)
    with pytest.raises(ValueError, match="searched exactly"):
        knn(x, 3, queries=[1], backend="faiss")
    with pytest.raises(ValueError, match="by index, where columns are standardised"):
        knn(x, 3, queries=x[:3], normalize="standardize")
    with pytest.raises(TypeError, match=r"a tuple of \(m, p\) and \(m, q\)"):
        mutual_knn(x, y, 3, queries=x[:4])
    with pytest.raises(ValueError, match="needs the neighbours of every row"):
        lcs_knn(knn(x, 3, queries=5), knn(y, 3, queries=5))
    with pytest.raises(ValueError, match="neighbours of the same rows"):
        mutual_knn(knn(x, 3, queries=[1, 2]), knn(y, 3, queries=[1, 3]))
    with pytest.raises(ValueError, match="not available with groups"):
        mutual_knn(x, y, 3, groups=np.arange(40) // 2, queries=[1])
    with pytest.raises(ValueError, match="platonic"):
        cknna(x, y, 3, variant="platonic", queries=10)


def test_lists_of_other_engines_lose_what_finds_itself():
    x, y = pair(80)
    whole = knn(x, 6)
    own = np.arange(80)[:, None]
    with_self = np.concatenate([own, whole.indices], axis=1)
    with_self[7] = np.concatenate([whole.indices[7], [79 if 79 not in whole.indices[7] else 78]])  # others came first
    for given in (whole.indices, with_self, with_self.astype(np.int64)):
        found = Neighbors.from_indices(given)
        np.testing.assert_array_equal(found.indices, whole.indices)
        assert (found.backend, found.exact, found.k) == ("given", False, 6)
    assert mutual_knn(found, knn(y, 6)) == mutual_knn(whole, knn(y, 6))
    distances = Neighbors.from_indices(whole.indices, 1 - whole.similarities)
    np.testing.assert_allclose(distances.similarities, whole.similarities - 1)


def test_bad_lists_of_other_engines_are_named():
    lists = knn(pair(30)[0], 4).indices.copy()
    for change, words in (
        ((5, 3, -1), "row 5 has fewer"),
        ((6, 0, 30), "row 6 has another"),
        ((7, 0, lists[7, 1]), "row 7"),
    ):
        bad = lists.copy()
        bad[change[:2]] = change[2]
        with pytest.raises(ValueError, match=words):
            Neighbors.from_indices(bad)
    with pytest.raises(TypeError, match="array of integers, got float64"):
        Neighbors.from_indices(lists.astype(float))
    with pytest.raises(ValueError, match="must fall along every row"):
        Neighbors.from_indices(lists, np.random.default_rng(0).random(lists.shape))
