"""Targets of a task: numbers or class labels as columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._rows import arrays
from kernalign._rows.matrices import Array, dense


def as_targets(targets: Any, n: int, classes: bool) -> Array:
    """Targets as an (n, m) float64 array: columns of numbers, or one-hot columns of class labels."""
    if not checks.check_flag(classes, "classes"):
        return numbers_of(targets, n, "targets", "; classes=True takes class labels")
    inverse, names = class_numbers(targets)
    if len(inverse) != n:
        raise ValueError(f"targets must have one row for each of the {n} rows of x, got {len(inverse)}")
    return one_hot(inverse, len(names))


def one_hot(numbers: NDArray[np.int64], classes: int) -> Array:
    """Numbers of classes as columns of 0 and 1."""
    y = np.zeros((len(numbers), classes))
    y[np.arange(len(numbers)), numbers] = 1.0
    return y


def numbers_of(targets: Any, n: int, name: str, otherwise: str = "") -> Array:
    """Numbers, (n,) or (n, m), as an (n, m) float64 array."""
    array = targets if hasattr(targets, "reshape") else np.asarray(targets)  # a pandas Series has ndim alone
    if getattr(getattr(array, "dtype", None), "kind", "f") in "USO":
        raise TypeError(f"{name} must be numbers, got dtype {array.dtype}{otherwise}")
    y = dense(arrays.rows(array.reshape(-1, 1) if array.ndim == 1 else array, name))
    if len(y) != n:
        raise ValueError(f"{name} must have one row for each of the {n} rows of x, got {len(y)}")
    return y


def class_numbers(labels: Any, name: str = "targets") -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Number of the class of each item, and the classes, sorted."""
    array = np.asarray(labels)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"{name} must be 1-D class labels, one per item, got shape {array.shape}")
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array):
        array = array.astype(str)
    if array.dtype.kind not in "iubUS":
        raise TypeError(f"{name} must be class labels (integers, booleans or strings), got dtype {array.dtype}")
    names, inverse = np.unique(array, return_inverse=True)
    return inverse.astype(np.int64), names
