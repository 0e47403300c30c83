"""Decompositions that LAPACK's fast drivers give up on are done by its slower ones, everywhere."""

import re
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from kernalign import _core
from kernalign._rows import decompositions
from reference import shapes as oracle


@pytest.fixture
def giving_up(monkeypatch):
    """No driver converges but the slowest."""

    def only_careful(real):
        return lambda *given, **options: real(*given, **options) if options.get("careful") else None

    for name in ("svd", "eigh"):
        monkeypatch.setattr(_core, name, only_careful(getattr(_core, name)))


SHAPES = [(1, 1), (1, 4), (5, 3), (3, 5), (4, 4), (70, 40), (40, 70)]


@pytest.mark.parametrize("m, n", SHAPES)
def test_factors_give_the_matrix_back(m, n):
    rng = np.random.default_rng(m + n)
    x, right = rng.standard_normal((m, n)), rng.standard_normal((m, 3))
    k, gram = min(m, n), x @ x.T + np.eye(m)
    for full in (False, True):
        u, s, vt = decompositions.svd(x, full=full)
        assert u.shape == (m, m if full else k)
        assert vt.shape == (n if full else k, n)
        np.testing.assert_allclose(u[:, :k] * s @ vt[:k], x, atol=1e-13)
        np.testing.assert_allclose(u.T @ u, np.eye(u.shape[1]), atol=1e-13)
        np.testing.assert_allclose(vt @ vt.T, np.eye(len(vt)), atol=1e-13)
    np.testing.assert_allclose(decompositions.singular_values(x), np.linalg.svd(x)[1], rtol=1e-12)
    np.testing.assert_allclose(decompositions.eigenvalues(gram), np.linalg.eigvalsh(gram), rtol=1e-12)
    values, vectors = decompositions.eigh(gram, k)
    np.testing.assert_allclose(gram @ vectors, vectors * values, atol=1e-11)
    upper = decompositions.cholesky(gram)
    np.testing.assert_allclose(upper, np.linalg.cholesky(gram).T, atol=1e-13)
    np.testing.assert_allclose(gram @ decompositions.solve_positive(upper, right), right, atol=1e-11)
    np.testing.assert_allclose(upper @ decompositions.solve_upper(upper, right), right, atol=1e-12)
    r = decompositions.qr_triangle(x)
    np.testing.assert_allclose(np.abs(r), np.abs(np.linalg.qr(x, mode="r")), atol=1e-13)
    more = decompositions.qr_append(np.eye(n), x)
    np.testing.assert_allclose(np.triu(more).T @ np.triu(more), np.eye(n) + x.T @ x, atol=1e-12)
    assert decompositions.cholesky(-gram) is None
    norm = np.abs(gram).sum(axis=0).max()
    condition = norm * np.abs(np.linalg.inv(gram)).sum(axis=0).max()
    assert 1 <= condition * decompositions.reciprocal_condition(upper, norm) * (1 + 1e-9) < 3  # an estimate


def test_what_is_empty_or_not_finite():
    assert [part.shape for part in decompositions.svd(np.empty((3, 0)))] == [(3, 0), (0,), (0, 0)]
    assert [part.shape for part in decompositions.svd(np.empty((3, 0)), full=True)] == [(3, 3), (0,), (0, 0)]
    assert decompositions.singular_values(np.empty((0, 2))).shape == (0,)
    assert decompositions.eigh(np.empty((0, 0)))[1].shape == (0, 0)
    for call in (decompositions.svd, decompositions.singular_values, decompositions.eigh, decompositions.eigenvalues):
        with pytest.raises(ValueError, match="must be finite"):
            call(np.array([[1, np.nan], [0, 1]]))


def test_a_long_product_is_the_product(monkeypatch):
    monkeypatch.setattr(decompositions, "_CHUNK", 1000)
    x, y = np.arange(60.0).reshape(12, 5), np.arange(35.0).reshape(5, 7)
    np.testing.assert_array_equal(decompositions.product(x, y), x @ y)
    np.testing.assert_array_equal(decompositions.product(y.T, x.T), (x @ y).T)
    assert decompositions.product(x.astype(np.float32), y.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("name", ["svd", "eigh"])
def test_what_no_driver_finds_is_an_error(name, monkeypatch):
    monkeypatch.setattr(_core, name, lambda *_, **__: None)
    with pytest.raises(np.linalg.LinAlgError, match="values did not converge"):
        getattr(decompositions, name)(np.eye(3))


@pytest.mark.usefixtures("giving_up")
def test_slower_drivers_take_over():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((7, 4))
    u, s, vt = decompositions.svd(x)
    np.testing.assert_allclose(u * s @ vt, x, atol=1e-14)
    assert decompositions.svd(x, full=True)[0].shape == (7, 7)
    np.testing.assert_allclose(decompositions.singular_values(x), s, rtol=1e-14)
    values, vectors = decompositions.eigh(x.T @ x)
    np.testing.assert_allclose(vectors * values @ vectors.T, x.T @ x, atol=1e-13)
    np.testing.assert_allclose(values[::-1], s**2, rtol=1e-13)
    np.testing.assert_array_equal(decompositions.eigh(x.T @ x, 2)[0], values[2:])
    np.testing.assert_array_equal(decompositions.eigh(x.T @ x, 2)[1], vectors[:, 2:])
    np.testing.assert_array_equal(decompositions.eigenvalues(x.T @ x, 1), values[3:])


@pytest.mark.usefixtures("giving_up")
def test_metrics_do_not_notice():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((300, 9)), rng.standard_normal((300, 7))
    assert float(ka.cca(x, y)) == pytest.approx(oracle.canonical_correlations(x, y).mean(), rel=1e-10)
    assert float(ka.procrustes(x, y)) == pytest.approx(oracle.procrustes(x, y), rel=1e-10)
    assert ka.spectral_overlap(x, y, 5).overlap.shape == (5, 5)
    assert ka.describe(x).participation_ratio > 8


def test_nearly_orthogonal_overlaps():
    """A product of equal bases is nearly the identity, which the fast driver was seen to give up on."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((764, 8)) @ rng.standard_normal((8, 512)) + 0.1 * rng.standard_normal((764, 512))
    assert float(ka.pwcca(x.astype(np.float32), x.astype(np.float32))) == pytest.approx(1)


def test_nobody_decomposes_without_them():
    package = Path(ka.__file__).parent
    for path in package.rglob("*.py"):
        if path.name != "decompositions.py":
            lines = path.read_text().splitlines()
            text = "\n".join(line for line in lines if not line.lstrip().startswith((">>>", "...")))  # users may
            found = re.findall(r"linalg\.(?:svd|eig|pinv|lstsq|matrix_rank|subspace|solve|cho|inv)\w*", text)
            found += re.findall(r"lapack\.\w+", text)
            assert not found, path
