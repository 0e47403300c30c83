"""Dissimilarities of several subjects and models, in one order of conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._rows import arrays, followed
from kernalign._rows.dissimilarities import given_dissimilarities
from kernalign._rows.matrices import symmetric
from kernalign._rows.numeric import to_numpy
from kernalign._statistics.compared_pairs import RANKED, Compared
from kernalign.metrics.kernel.ranks import mid_ranks
from kernalign.metrics.kernel.rsa import COMPARISONS
from kernalign.metrics.kernel.rsa_sums import WHITENED

Array = NDArray[np.float64]


class Given(NamedTuple):
    """Names, and vectors of the pairs of n conditions: values or, of ranked comparisons, mid-ranks."""

    models: tuple[str, ...]
    subjects: tuple[str, ...]
    of_models: Array
    of_subjects: Array
    compared: Compared


def read(models: Mapping[str, Any], subjects: Any, comparison: Any, covariance: Any) -> Given:
    """All of them, checked."""
    checks.check_choice(comparison, "comparison", COMPARISONS)
    named = {f"subjects[{name!r}]": one for name, one in _listed(subjects).items()}
    wanted = {f"models[{name!r}]": one for name, one in models.items()}
    matrices = [(name, given_dissimilarities(one, name)) for name, one in {**wanted, **named}.items()]
    taken, items = arrays.same_items(matrices, {}, square=True)
    values = [symmetric(one, name) for one, (name, _) in zip(taken, matrices, strict=True)]
    n = len(values[0])
    checks.check_count(n, 3, "a comparison of dissimilarities")
    for (name, _), one in zip(matrices, values, strict=True):
        if len(one) != n:
            raise ValueError(f"{name} must be of the same conditions as {matrices[0][0]}, got {len(one)} for {n}")
    vectors = [_vector(one, name, comparison) for one, (name, _) in zip(values, matrices, strict=True)]
    if covariance is not None and comparison not in WHITENED:
        raise ValueError(f"covariance is for comparison={' or '.join(map(repr, WHITENED))}, got {comparison!r}")
    noise = None if covariance is None else followed.covariance(covariance, items.kept)
    count, both = len(wanted), np.array(vectors)
    names = tuple(str(name) for name in _listed(subjects))
    return Given(tuple(map(str, models)), names, both[:count], both[count:], Compared(comparison, n, noise))


def _holds_arrays(subjects: Sequence[Any]) -> bool:
    """Whether this is no list of numbers."""
    return not subjects or isinstance(subjects[0], list) or np.ndim(subjects[0]) > 0


def _listed(subjects: Any) -> Mapping[Any, Any]:
    """Subjects by their names: of a dict, a list, or one array of matrices or vectors."""
    if isinstance(subjects, Mapping):
        found: dict[Any, Any] = dict(subjects)
    elif isinstance(subjects, (list, tuple)) and _holds_arrays(subjects):
        found = dict(enumerate(subjects))
    else:
        table = hasattr(subjects, "ndim") and not isinstance(subjects, memoryview)
        array: Any = subjects if table else to_numpy(subjects, "subjects")[0]
        single = array.ndim < 2 or (array.ndim == 2 and array.shape[0] == array.shape[1])
        if single:
            found = {0: subjects}
        elif hasattr(array, "iloc"):  # of a table the rows, not the columns
            found = {name: array.iloc[at] for at, name in enumerate(array.index)}
        else:
            found = dict(enumerate(array))
    if not found:
        raise ValueError("subjects must hold at least one matrix of dissimilarities, got none")
    return found


def _vector(matrix: Array, name: str, comparison: str) -> Array:
    """The pairs of one matrix in a unit of their own, as the comparison takes them."""
    values = matrix[np.triu_indices(len(matrix), 1)]
    zero = comparison in ("cosine", "whitened_cosine")
    if not (values.any() if zero else np.ptp(values) > 0):
        raise ValueError(f"{name} must have dissimilarities that are not all {'zero' if zero else 'equal'}")
    values /= np.abs(values).max()
    if comparison in RANKED:
        return mid_ranks(values - min(values.min(), 0.0))
    return values
