"""Sums over the edges of neighbour graphs: every one against its definition, whatever the threads."""

import numpy as np
import pytest
from kernalign._engines import lists
from reference import neighbors as ref
from scipy import sparse


def graphs(n, k, seed, count=3):
    """0/1 weights of lists with hubs."""
    rng = np.random.default_rng(seed)
    popular = rng.gamma(0.5, size=n)
    for _ in range(count):
        order = np.argsort(-popular * rng.random((n, n)), axis=1)
        order = order[order != np.arange(n)[:, None]].reshape(n, n - 1)
        yield np.ascontiguousarray(order[:, :k], dtype=np.int32)


@pytest.mark.parametrize("n,k", [(2, 1), (9, 8), (40, 5)])
def test_edge_sums_of_lists_are_exact(n, k):
    for one in graphs(n, k, 1):
        np.testing.assert_array_equal(
            lists.edge_sums(lists.graph_of(one)), ref.edge_sums(ref.index_weights(one, n)).round()
        )


def test_edge_sums_of_weights():
    w = np.random.default_rng(0).random((30, 30)) * (np.random.default_rng(1).random((30, 30)) < 0.3)
    np.fill_diagonal(w, 0)
    w[4] = 0
    found = lists.edge_sums(lists.graph_of(sparse.csr_matrix(w)))
    np.testing.assert_allclose(found, ref.edge_sums(w), rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_products_of_all_pairs_of_graphs(weighted):
    n = 40
    rng = np.random.default_rng(3)
    dense = [ref.index_weights(one, n) * (rng.random((n, n)) if weighted else 1.0) for one in graphs(n, 6, 2, 4)]
    found = lists.graph_products([lists.graph_of(sparse.csr_matrix(w)) for w in dense])
    for table, way in zip(found, ("aij,bij->ab", "aij,bji->ab", "aji,bli->ab"), strict=True):
        np.testing.assert_allclose(table, np.einsum(way, dense, dense), rtol=1e-12)


def test_threads_do_not_matter():
    n = 2500
    rng = np.random.default_rng(4)
    w = [sparse.random(n, n, 0.003, format="csr", random_state=rng) for _ in range(3)]
    for one in w:
        one.setdiag(0)
        one.eliminate_zeros()
    made = [lists.graph_of(one) for one in w]
    for graph in made:
        np.testing.assert_array_equal(lists.edge_sums(graph, 1), lists.edge_sums(graph, 3))
    for one, many in zip(lists.graph_products(made, 1), lists.graph_products(made, 3), strict=True):
        np.testing.assert_array_equal(one, many)


def test_what_is_no_graph():
    places = np.array([0, 1, 2], np.int64)
    for bad in ([1, 1], [0, 0], [2, 0]):
        with pytest.raises(ValueError, match=f"other items from 0 to n - 1 = 1, each once, got {bad[0] or 0}"):
            lists.Graph(np.array(bad, np.int32), places)
    with pytest.raises(ValueError, match="begin must ascend"):
        lists.Graph(np.array([1], np.int32), places)
    with pytest.raises(ValueError, match="begin must ascend"):
        lists.Graph(np.array([1, 0], np.int32), places, np.ones(3))
    two, three = (lists.graph_of(next(graphs(n, 1, 0))) for n in (2, 3))
    with pytest.raises(ValueError, match="same number of items, got 3 and 2"):
        lists.graph_products([two, three])
