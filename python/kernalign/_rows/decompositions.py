"""Decompositions of finite matrices by LAPACK: by a fast driver, and by the slowest and surest where that fails."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Matrix = NDArray[np.float64]


def svd(matrix: Matrix, *, full: bool = False) -> tuple[Matrix, Matrix, Matrix]:
    """U, s (descending) and V'; thin unless ``full``."""
    found: tuple[Matrix, Matrix, Matrix]
    try:
        found = linalg.svd(matrix, full_matrices=full)
    except linalg.LinAlgError:
        found = linalg.svd(matrix, full_matrices=full, lapack_driver="gesvd")
    return found


def singular_values(matrix: Matrix) -> Matrix:
    """Descending."""
    try:
        return np.asarray(linalg.svdvals(matrix))
    except linalg.LinAlgError:
        return svd(matrix)[1]


def eigh(matrix: Matrix, largest: int | None = None) -> tuple[Matrix, Matrix]:
    """Eigenvalues (ascending) and eigenvectors of a symmetric matrix; of the ``largest`` alone if asked."""
    n = len(matrix)
    fast: dict[str, Any] = {"driver": "evd"} if largest is None else {"subset_by_index": (n - largest, n - 1)}
    try:
        values, vectors = linalg.eigh(matrix, **fast)
    except linalg.LinAlgError:
        values, vectors = linalg.eigh(matrix, driver="ev")
        values, vectors = values[-(largest or n) :], vectors[:, -(largest or n) :]
    return values, vectors


def eigenvalues(matrix: Matrix, largest: int | None = None) -> Matrix:
    """Those of `eigh`, without vectors."""
    n = len(matrix)
    some: dict[str, Any] = {} if largest is None else {"subset_by_index": (n - largest, n - 1)}
    try:
        return np.asarray(linalg.eigvalsh(matrix, **some))
    except linalg.LinAlgError:
        return eigh(matrix, largest)[0]
