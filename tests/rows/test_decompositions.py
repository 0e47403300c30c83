"""Decompositions that LAPACK's fast drivers give up on are done by its slower ones, everywhere."""

import re
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from kernalign._rows import decompositions
from reference import shapes as oracle
from scipy import linalg

SLOW = {"svd": ("lapack_driver", "gesvd"), "eigh": ("driver", "ev"), "svdvals": None, "eigvalsh": None}


@pytest.fixture
def giving_up(monkeypatch):
    """No driver converges but the slowest."""

    def only(name, real, slow):
        def call(*arguments, **keywords):
            if slow is None or keywords.get(slow[0]) != slow[1]:
                raise linalg.LinAlgError(f"{name} did not converge")
            return real(*arguments, **keywords)

        return call

    for name, slow in SLOW.items():
        monkeypatch.setattr(decompositions.linalg, name, only(name, getattr(linalg, name), slow))


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
    with pytest.warns(ka.AlignmentWarning, match="1 by count"):
        assert float(ka.pwcca(x.astype(np.float32), x.astype(np.float32))) == pytest.approx(1)


def test_nobody_decomposes_without_them():
    package = Path(ka.__file__).parent
    for path in package.rglob("*.py"):
        if path.name != "decompositions.py":
            found = re.findall(
                r"linalg\.(?:svd|svdvals|eigh?|eigvalsh?|pinv|lstsq|matrix_rank|subspace_angles)\b", path.read_text()
            )
            assert not found, path
