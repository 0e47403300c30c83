"""Targets of a task: numbers or class labels as columns."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.kernels import Delta, SideKernel
from kernalign._rows import arrays
from kernalign._rows.indicators import Indicators, indicators
from kernalign._rows.matrices import Array, dense
from kernalign._rows.numeric import to_numpy
from kernalign._rows.pairing import Kept, index_of, side
from kernalign.sources.objects import in_memory, native, stored
from kernalign.sources.stored import Stored


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
    targets = in_memory(targets, name)
    # a pandas Series has ndim alone
    array = targets if hasattr(targets, "reshape") else to_numpy(targets, name)[0]
    try:
        y = dense(arrays.rows(array.reshape(-1, 1) if array.ndim == 1 else array, name))
    except TypeError as error:
        raise TypeError(f"{error}{otherwise}") from error
    if len(y) != n:
        raise ValueError(f"{name} must have one row for each of the {n} rows of x, got {len(y)}")
    return y


def class_numbers(labels: Any, name: str = "targets") -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Number of the class of each item, and the classes, sorted where they have an order."""
    array = labels_in(labels, name)
    if array.dtype.kind == "f":
        raise TypeError(f"{name} must be class labels (integers, booleans or strings), got dtype {array.dtype}")
    return _numbered(array, name)


def as_indicators(labels: Any, name: str) -> Indicators:
    """Class labels as rows for the delta kernel, with the labels of the items that they carry."""
    if type(labels) is Indicators:
        return labels
    labels = stored(labels, name)
    if isinstance(labels, Stored):
        labels = labels.array()
    numbers, names = class_numbers(labels, name)
    return indicators(_as_they_come(numbers), len(names), index_of(labels))


def rows_for(x: Any, y: Any, kernels: tuple[SideKernel, SideKernel]) -> tuple[Any, Any]:
    """Both arguments, labels for the delta kernel as rows."""
    if isinstance(kernels[0], Delta):
        x = as_indicators(x, "x")
    if isinstance(kernels[1], Delta):
        y = as_indicators(y, "y")
    return x, y


def labels_of(x: Any, n: int, name: str) -> NDArray[Any]:
    """Labels of the n rows of a table or file, else their numbers."""
    index = index_of(stored(x, name))
    return np.arange(n) if index is None or len(index) != n else labels_in(index, f"labels of {name}")


def group_numbers(labels: Any, kept: Kept | None = None, name: str = "groups") -> NDArray[np.intp]:
    """Number from 0 of the group of each of the rows that were ``kept`` (None: of as many as there are labels), as they
    come, from labels of any kind: no name matters."""
    array = labels_in(labels, name)
    places = None if kept is None else kept.places(labels, name, len(array), "label")
    return _as_they_come(_numbered(array if places is None else array[places], name)[0])


def _as_they_come(numbers: NDArray[np.int64]) -> NDArray[np.intp]:
    """Numbers from 0 in the order in which they are first met."""
    first = np.unique(numbers, return_index=True)[1]
    return np.asarray(np.argsort(np.argsort(first))[numbers])


def groups_of(groups: Any, pair: arrays.Pair) -> NDArray[np.intp] | None:
    """Numbers of the groups of a pair's items from labels of the rows of x as they were given; None if none has two."""
    if groups is None:
        return None
    numbers = group_numbers(groups, pair.kept)
    return numbers if np.bincount(numbers).max() > 1 else None


def sample_groups(groups: Any, x: Any, y: Any, sizes: tuple[int, int]) -> NDArray[np.intp] | None:
    """Numbers of the groups of the rows of two samples, those of x first, from labels of each as they were given; None
    if none has two rows."""
    if groups is None:
        return None
    if not (isinstance(groups, (tuple, list)) and len(groups) == 2):
        raise ValueError(f"groups must be (labels of the rows of x, those of y), got {checks.shown(groups)}")
    parts = []
    for own, sample, n, name in zip(groups, (x, y), sizes, "xy", strict=True):
        array = labels_in(own, f"groups of {name}")
        places = Kept(n, None, (side(name, n, sample),)).places(own, f"groups of {name}", len(array), "label")
        parts.append(array if places is None else array[places])
    if parts[0].dtype.kind != parts[1].dtype.kind:  # 7 and "7" are two
        parts = [own.astype(object) for own in parts]
    numbers, names = _numbered(np.concatenate(parts), "groups")
    shared = np.intersect1d(numbers[: sizes[0]], numbers[sizes[0] :])
    if len(shared):
        label = checks.shown(names[shared[0]])
        raise ValueError(f"groups must be of one sample each, since they change sides whole, got {label} in both")
    return _as_they_come(numbers) if np.bincount(numbers).max() > 1 else None


def labels_in(labels: Any, name: str) -> NDArray[Any]:
    """A 1-D array of labels, in which those of different types stay apart."""
    labels = list(labels) if isinstance(labels, Iterator) else native(labels, name)
    kinds = set(map(type, labels)) if isinstance(labels, (list, tuple)) else set()
    if len(kinds) > 1 or tuple in kinds:  # 7 and "7" are two
        labels = np.fromiter(labels, dtype=object, count=len(labels))
    array = to_numpy(labels, name)[0]
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"{name} must be 1-D class labels, one per item, got shape {array.shape}")
    return array


def _numbered(array: NDArray[Any], name: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    if array.dtype.kind == "O":
        missing = [_is_missing(label) for label in array]
    else:
        missing = array != array  # nan, NaT
    if any(missing):
        raise ValueError(f"{name} must have a label for every row, got none for row {int(np.argmax(missing))}")
    if array.dtype.kind == "O" and not all(isinstance(label, str) for label in array):
        numbers: dict[Any, int] = {}
        try:
            found = [numbers.setdefault(label, len(numbers)) for label in array]
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} must be hashable labels: {error}") from None
        names = np.empty(len(numbers), dtype=object)
        names[:] = list(numbers)
        return np.array(found, dtype=np.int64), names
    names, inverse = np.unique(array.astype(str) if array.dtype.kind == "O" else array, return_inverse=True)
    return inverse.astype(np.int64), names


def _is_missing(label: Any) -> bool:
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(label, (Number, np.generic)) and bool(label != label)
