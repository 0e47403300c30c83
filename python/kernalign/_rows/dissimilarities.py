"""Dissimilarities that a user gives: square symmetric matrices with a zero diagonal, or their upper triangles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base.checks import shown
from kernalign._rows.decompositions import cholesky, eigenvalues
from kernalign._rows.labelled_arrays import labelled
from kernalign._rows.matrices import Array, symmetric
from kernalign._rows.numeric import AnyArray, as_matrix, to_numpy
from kernalign._rows.pairing import carried_labels
from kernalign.sources.objects import stored
from kernalign.sources.stored import Stored


def given_dissimilarities(x: Any, name: str) -> Any:
    """``x`` itself where it is a matrix, so that its labels stay; of a vector the matrix whose upper triangle it is."""
    x = stored(x, name)
    given = x.array() if isinstance(x, Stored) else x
    axes = getattr(given, "ndim", None)
    if axes is None:
        given = to_numpy(given, name)[0]
        axes = given.ndim
    if axes == 1 or (axes == 2 and 1 in given.shape and max(given.shape) > 1):
        return _of_pairs(_of_triangle(given, name), x, name)
    matrix, bf16 = as_matrix(x, name)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} must be {_WANTED}, got shape {matrix.shape}")
    own = matrix.diagonal() & 0x7FFF if bf16 else matrix.diagonal()
    odd = np.flatnonzero((own != 0) & (own == own))  # nan is found by who reads it
    if len(odd):
        at = int(odd[0])
        raise ValueError(f"{name} must have a zero diagonal, as dissimilarities have, got {own[at]} at ({at}, {at})")
    return x


def _of_pairs(full: AnyArray, given: Any, name: str) -> AnyArray:
    """The same, with the labels of its conditions where the pairs are labelled by pairs of these."""
    n = len(full)
    pairs = carried_labels(name, n * (n - 1) // 2, given)
    if pairs is None:
        return full
    named = [pair if isinstance(pair, tuple) and len(pair) == 2 else (None, None) for pair in pairs]
    if all(pair == (None, None) for pair in named):
        parted = _parted(pairs, n)
        if parted is None:
            return full
        named = parted
    conditions = [named[0][0], *(other for _, other in named[: n - 1])]
    for pair, found, (i, j) in zip(pairs, named, itertools.combinations(range(n), 2), strict=True):
        if found == (None, None) or found != (conditions[i], conditions[j]):
            wanted = "a pair of conditions" if found == (None, None) else shown((conditions[i], conditions[j]))
            raise ValueError(
                f"{name} must hold the pairs of an upper triangle, row by row, by the labels that it carries, got"
                f" {shown(pair)} in place of {wanted}; .to_numpy() leaves labels out"
            )
    return labelled(full, conditions)


def _parted(names: Sequence[Any], n: int) -> list[tuple[Any, Any]] | None:
    """Names like "u-v" as pairs, where they are all pairs of n words, each once; other names say nothing of pairs."""
    if n < 3 or not all(isinstance(name, str) for name in names):
        return None
    for separator in _SEPARATORS:
        parts = [tuple(name.split(separator)) for name in names]
        different = {frozenset(pair) for pair in parts if len({*pair}) == len(pair) == 2}
        if len(different) == len(names) and len(frozenset().union(*different)) == n:
            return parts
    return None


_SEPARATORS = (" vs ", " - ", "--", "-", "_", "|", ",", ":", "/", "~", " ")
_WANTED = "a square matrix of dissimilarities, or a vector of n (n - 1) / 2 of them"


def _of_triangle(given: Any, name: str) -> AnyArray:
    values, bf16 = as_matrix(np.reshape(to_numpy(given, name)[0], (-1, 1)), name)
    vector = (values.astype(np.uint32) << np.uint32(16)).view(np.float32).ravel() if bf16 else values.ravel()
    n = (1 + math.isqrt(1 + 8 * len(vector))) // 2
    if n * (n - 1) // 2 != len(vector):
        raise ValueError(f"{name} must be {_WANTED}, got a vector of {len(vector)}")
    full = np.zeros((n, n), vector.dtype)
    begin = 0
    for i in range(n - 1):
        full[i, i + 1 :] = full[i + 1 :, i] = vector[begin : begin + n - 1 - i]
        begin += n - 1 - i
    return full


def covariance_of(given: Any, n: int, name: str, what: str) -> Array:
    """A covariance of n things, (n, n), or (n,) variances: float64, positive definite."""
    array: NDArray[Any] = to_numpy(given, name)[0]
    if array.ndim == 1 and len(array) == n and array.dtype.kind in "fiu":
        array = np.diag(array.astype(np.float64))
    if array.shape != (n, n):
        raise ValueError(f"{name} must be (n, n) or (n,) of the n = {n} {what}, got shape {array.shape}")
    found = symmetric(array, name)
    if cholesky(found) is None:
        least = eigenvalues(found)[0] / (np.abs(found).max() or 1.0)
        raise ValueError(
            f"{name} must be positive definite, got a least eigenvalue {least:.3g} times its largest entry"
        )
    return found
