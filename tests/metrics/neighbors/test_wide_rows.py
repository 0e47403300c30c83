"""Neighbours of few, very long rows: the bits of the ordinary search, from products, in little memory."""

import kernalign as ka
import numpy as np
import pytest

N, WIDE = 40, 1 << 16


def rows(kind, dtype, n=N):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, WIDE))
    if kind == "ties":
        x[7] = x[3]
        x[20:24] = x[9]
    elif kind == "offset":
        x += 300 * rng.standard_normal(WIDE)
    elif kind == "close":
        x = x[:1] + 1e-3 * x
    return x.astype(dtype)


@pytest.mark.numeric
@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("kind", ["normal", "ties", "offset", "close"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lists_are_those_of_the_ordinary_search(metric, kind, dtype):
    x = rows(kind, dtype)
    strided = np.repeat(x, 2, axis=1)[:, ::2]  # is not read in place, and so goes through panels
    found, expected = ka.knn(x, 5, metric=metric), ka.knn(strided, 5, metric=metric)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.similarities, expected.similarities)
    np.testing.assert_array_equal(found.tie_rows, expected.tie_rows)
    one = ka.knn(x, 5, metric=metric, threads=1)
    np.testing.assert_array_equal(one.similarities, found.similarities)


def test_they_are_the_nearest():
    n = 70  # in more than one tile
    x = rows("normal", np.float64, n)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -2)
    found = ka.knn(x, n - 1)
    np.testing.assert_array_equal(found.indices, np.argsort(-similar, axis=1)[:, :-1])
    np.testing.assert_allclose(found.similarities, -np.sort(-similar, axis=1)[:, :-1], rtol=1e-10)


def test_bad_rows_are_named():
    x = rows("normal", np.float32)
    x[3] = 0
    with pytest.raises(ValueError, match="row 3"):
        ka.knn(x, 5)
