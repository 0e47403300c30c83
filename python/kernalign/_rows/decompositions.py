"""Decompositions of finite matrices by LAPACK, which Ctrl-C ends: by a fast driver, by the surest where that fails."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernalign import _core

Matrix = NDArray[np.float64]

_CHUNK = 2e9  # multiply-adds between two chances for Ctrl-C


def svd(matrix: Matrix, *, full: bool = False) -> tuple[Matrix, Matrix, Matrix]:
    """U, s (descending) and V'; thin unless ``full``."""
    if not matrix.size:
        m, n = matrix.shape
        return np.eye(m, m if full else 0), np.empty(0), np.eye(n if full else 0, n)
    for careful in (False, True):
        found: tuple[Matrix, Matrix, Matrix] | None = _core.svd(matrix, vectors=True, full=full, careful=careful)
        if found is not None:
            return found
    raise np.linalg.LinAlgError("the singular values did not converge")


def singular_values(matrix: Matrix) -> Matrix:
    """Descending."""
    if not matrix.size:
        return np.empty(0)
    found = _core.svd(matrix, vectors=False)
    return svd(matrix)[1] if found is None else found


def eigh(matrix: Matrix, largest: int | None = None) -> tuple[Matrix, Matrix]:
    """Eigenvalues (ascending) and eigenvectors of a symmetric matrix; of the ``largest`` alone if asked."""
    if not matrix.size:
        return np.empty(0), np.empty((0, 0))
    for careful in (False, True):
        found: tuple[Matrix, Matrix] | None = _core.eigh(matrix, largest or len(matrix), vectors=True, careful=careful)
        if found is not None:
            return found
    raise np.linalg.LinAlgError("the eigenvalues did not converge")


def eigenvalues(matrix: Matrix, largest: int | None = None) -> Matrix:
    """Those of `eigh`, without vectors."""
    if not matrix.size:
        return np.empty(0)
    found = _core.eigh(matrix, largest or len(matrix), vectors=False)
    return eigh(matrix, largest)[0] if found is None else found


def cholesky(matrix: Matrix) -> Matrix | None:
    """The upper R with R'R = matrix, symmetric; None unless it is numerically positive definite."""
    lower = _core.cholesky(matrix)
    return None if lower is None else lower.T


def reciprocal_condition(upper: Matrix, norm: float) -> float:
    """An estimate of 1 / (|A| |A^-1|) in the 1-norm, from |A| and the R of A's `cholesky`."""
    return _core.reciprocal_condition(upper.T, norm)


def solve_upper(upper: Matrix, right: Matrix, *, transposed: bool = False) -> Matrix:
    """x with R x = right, or R'x = right, for the upper triangle R of a `cholesky` or a `qr_triangle`."""
    return _core.solve_lower(upper.T, right, transposed=not transposed)


def solve_positive(upper: Matrix, right: Matrix) -> Matrix:
    """x with R'R x = right, for the R of a `cholesky`."""
    return solve_upper(upper, solve_upper(upper, right, transposed=True))


def qr_triangle(matrix: Matrix) -> Matrix:
    """R of matrix = Q R."""
    return _core.qr_triangle(matrix)


def qr_append(triangle: Matrix, below: Matrix) -> Matrix:
    """R of the rows of an upper triangle with more rows below them."""
    return _core.qr_append(triangle, below)


def product(x: Matrix, y: Matrix) -> Matrix:
    """x @ y, some rows at a time where it is long."""
    work = float(x.shape[0]) * x.shape[1] * y.shape[1]
    if work <= _CHUNK:
        return np.asarray(x @ y)
    out = np.empty((len(x), y.shape[1]), dtype=np.result_type(x, y))
    step = max(1, int(len(x) * _CHUNK / work))
    for begin in range(0, len(x), step):
        np.matmul(x[begin : begin + step], y, out=out[begin : begin + step])
    return out
