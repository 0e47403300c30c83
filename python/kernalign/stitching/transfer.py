"""Whether a readout of one model works on another one's features, through a map fitted between them."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks, hazards
from kernalign._base.intervals import wilson
from kernalign._base.readable import Readable
from kernalign._base.score import AlignmentWarning
from kernalign._base.warn import warn
from kernalign._rows import arrays, pairing
from kernalign._rows.duplicates import MANY, repeated_items
from kernalign._rows.labels import class_numbers
from kernalign._rows.matrices import Array, dense
from kernalign._rows.numeric import to_numpy
from kernalign.stitching.probes import LinearProbe
from kernalign.stitching.ridge import RidgeStitcher

Hits = NDArray[np.bool_]

_KNOWN = "tests see what was fitted, and intervals and p-values are too narrow; keep one of each"


class Map(Protocol):
    """Anything that can be fitted to carry rows of x to rows of y."""

    def fit(self, x: Any, y: Any) -> Any: ...
    def transform(self, x: Any) -> Any: ...


class Classifier(Protocol):
    """Anything that can be fitted to class labels."""

    def fit(self, x: Any, y: Any) -> Any: ...
    def predict(self, x: Any) -> Any: ...


@dataclass(frozen=True, repr=False)
class Transfer(Readable):
    """Accuracy on held-out items of a probe of A, given B's features through a map from B to A.

    Attributes
    ----------
    accuracy : of the probe of A on mapped features of B
    native_a, native_b : of the probe of A on A's features, and of a probe of B on B's
    chance : accuracy on the same items of always naming the commonest class of the training items
    ratio : (accuracy - chance) / (native_a - chance): 1 if nothing is lost; nan unless native_a is above chance
    interval, interval_a, interval_b : 95 % Wilson intervals of the three accuracies
    against_a, against_b : paired comparisons with the native probes, see `mcnemar`; "first" is the transferred one
    correct : (n_test,) whether the transferred probe was right, for `mcnemar` between maps
    n : number of test items
    settings : number of training items, map, probe, number of classes

    See Also
    --------
    transfer_accuracy : makes it

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 2
    >>> a, b = labels[:, None] + 0.5 * rng.standard_normal((2, 200, 2))
    >>> result = stitching.transfer_accuracy(a, b, labels, np.arange(150, 200))
    >>> result.n, result.chance, bool(result.interval[0] < result.accuracy < result.interval[1])
    (50, 0.5, True)
    """

    accuracy: float
    native_a: float
    native_b: float
    chance: float
    ratio: float
    interval: tuple[float, float]
    interval_a: tuple[float, float]
    interval_b: tuple[float, float]
    against_a: McNemar
    against_b: McNemar
    correct: Hits
    n: int
    settings: dict[str, Any] = field(default_factory=dict)


def transfer_accuracy(
    a: Any, b: Any, labels: Any, test: Any, *, stitcher: Map | None = None, probe: Classifier | None = None
) -> Transfer:
    """Train a probe on model A, and use it on model B's features through a map fitted from B to A.

    Probes and map see the training items only. All fits are done on copies: the objects given stay as they are.

    Parameters
    ----------
    a, b : (n, p) and (n, q) features of the same items
    labels : n class labels (integers, booleans or strings)
    test : n booleans, or the indices of the test items; the others train
    stitcher : object with fit(b, a) and transform(b); by default ``RidgeStitcher("loo")``
    probe : object with fit(x, labels) and predict(x); by default ``LinearProbe()``

    Raises
    ------
    ValueError, TypeError
        Bad input; no test or fewer than two training items; a map or a probe that gives the wrong shape.

    Warns
    -----
    AlignmentWarning
        Over 1 % of the rows of a repeat an earlier one: items that are tested were fitted, or count more than once.

    Notes
    -----
    Holds both arrays in float64, and what map and probe need.

    See Also
    --------
    Transfer : what it returns
    stitching_certificate : with a bound
    mcnemar : between two maps

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=300)
    >>> a = np.eye(3)[labels] + 0.3 * rng.standard_normal((300, 3))
    >>> b = a @ rng.standard_normal((3, 8)) + 0.1 * rng.standard_normal((300, 8))
    >>> result = stitching.transfer_accuracy(a, b, labels, np.arange(200, 300))
    >>> round(result.native_a, 1), round(result.accuracy, 1), round(result.ratio, 1)
    (1.0, 1.0, 1.0)
    """
    given = a
    a, b, labels = arrays.aligned(("a", a), ("b", b), ("labels", labels))
    x, y = (dense(arrays.rows(side, name)) for side, name in ((a, "a"), (b, "b")))
    numbers, classes = class_numbers(labels, "labels")
    if (repeated := repeated_items(x)) > MANY * len(x):
        warn(hazards.repeated_items(repeated, "a", _KNOWN), AlignmentWarning)
    if not len(x) == len(y) == len(numbers):
        raise ValueError(f"a, b and labels must have the same length, got {len(x)}, {len(y)} and {len(numbers)}")
    held = _mask(test, pairing.Kept(len(x), None, (pairing.side("a", len(x), given),)))
    if len(np.unique(numbers[~held])) < 2:
        raise ValueError("labels must be of at least two classes among the training items, got one")
    for one, name, methods in ((stitcher, "stitcher", ("fit", "transform")), (probe, "probe", ("fit", "predict"))):
        if one is not None and not all(callable(getattr(one, method, None)) for method in methods):
            raise TypeError(f"{name} must have the methods {' and '.join(methods)}, got {checks.shown(one)}")
    fitted: Map = RidgeStitcher("loo") if stitcher is None else copy.deepcopy(stitcher)
    fitted.fit(y[~held], x[~held])
    mapped = np.asarray(fitted.transform(y[held]))
    wanted = (int(held.sum()), x.shape[1])
    if mapped.shape != wanted:
        raise ValueError(f"stitcher.transform must give the shape {wanted} of a's test rows, got {mapped.shape}")
    names = classes[numbers]
    probes = []
    for side in (x, y):
        probes.append(copy.deepcopy(probe) if probe is not None else LinearProbe())
        probes[-1].fit(side[~held], names[~held])
    inputs = ((probes[0], mapped), (probes[0], x[held]), (probes[1], y[held]))
    correct, native_a, native_b = (_hits(fit, rows, names[held]) for fit, rows in inputs)
    commonest = int(np.bincount(numbers[~held]).argmax())
    chance = float((numbers[held] == commonest).mean())
    above = float(native_a.mean()) - chance
    n = len(correct)
    return Transfer(
        accuracy=float(correct.mean()),
        native_a=float(native_a.mean()),
        native_b=float(native_b.mean()),
        chance=chance,
        ratio=(float(correct.mean()) - chance) / above if above > 0 else math.nan,
        interval=wilson_interval(int(correct.sum()), n),
        interval_a=wilson_interval(int(native_a.sum()), n),
        interval_b=wilson_interval(int(native_b.sum()), n),
        against_a=mcnemar(correct, native_a),
        against_b=mcnemar(correct, native_b),
        correct=correct,
        n=n,
        settings={
            "train": int((~held).sum()),
            "stitcher": type(fitted).__name__,
            "probe": type(probes[0]).__name__,
            "classes": len(classes),
        },
    )


@dataclass(frozen=True, repr=False)
class McNemar(Readable):
    """Paired comparison of two classifiers on the same items.

    Attributes
    ----------
    only_first, only_second : items that only the one got right
    p_value : two-sided, exact: of the binomial law with probability 1/2; 1 if they never differ
    """

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first: Any, second: Any) -> McNemar:
    """McNemar's exact test: is one of two classifiers right more often, given which items each got right?

    Raises
    ------
    ValueError, TypeError
        Not two 1-D boolean arrays of the same length.

    See Also
    --------
    transfer_accuracy : makes such comparisons
    wilson_interval

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> first = np.array([True] * 18 + [False] * 2)
    >>> second = np.array([True] * 8 + [False] * 12)
    >>> test = stitching.mcnemar(first, second)
    >>> test.only_first, test.only_second, round(test.p_value, 4)
    (10, 0, 0.002)
    """
    from scipy import stats  # slow to import

    first, second = arrays.aligned(("first", first), ("second", second))
    hits = [to_numpy(side, name)[0] for side, name in ((first, "first"), (second, "second"))]
    for side, name in zip(hits, ("first", "second"), strict=True):
        if side.dtype != np.bool_:
            raise TypeError(f"{name} must be booleans (right or wrong), got dtype {side.dtype}")
    if hits[0].ndim != 1 or hits[0].shape != hits[1].shape:
        raise ValueError(f"first and second must be 1-D of one length, got {hits[0].shape} and {hits[1].shape}")
    b, c = int((hits[0] & ~hits[1]).sum()), int((hits[1] & ~hits[0]).sum())
    return McNemar(b, c, float(stats.binomtest(b, b + c).pvalue) if b + c else 1.0)


def wilson_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927), inside [0, 1].

    Raises
    ------
    ValueError, TypeError
        n < 1, successes not in 0..n, or level not in (0, 1).

    See Also
    --------
    mcnemar, transfer_accuracy

    Examples
    --------
    >>> from kernalign import stitching
    >>> low, high = stitching.wilson_interval(48, 50)
    >>> round(low, 3), round(high, 3)
    (0.865, 0.989)
    """
    n = checks.integer(n, "n", 1, 2**53)
    successes = checks.integer(successes, "successes", 0, n, limit="n = ")
    return wilson(successes / n, n, level)


def _mask(test: Any, kept: pairing.Kept) -> Hits:
    """Booleans of the test items."""
    n, given = kept.given, to_numpy(test, "test")[0]
    if given.ndim != 1 or given.dtype.kind not in "biu":
        raise TypeError(f"test must be booleans or indices of items, got dtype {given.dtype} and shape {given.shape}")
    if given.dtype.kind == "b":
        places = kept.places(test, "test", len(given), "boolean")
        held = given if places is None else given[places]
    else:
        if len(given) and not (given.min() >= 0 and given.max() < n):
            raise ValueError(f"test must hold indices between 0 and {n - 1}, got {given.min()} to {given.max()}")
        held = np.zeros(n, dtype=bool)
        held[given] = True
    if not held.any() or n - held.sum() < 2:
        raise ValueError(f"test must leave an item to test and two to train on, got {held.sum()} test items of {n}")
    return held


def _hits(fitted: Classifier, rows: Array, truth: NDArray[Any]) -> Hits:
    predicted = np.asarray(fitted.predict(rows))
    if predicted.shape != truth.shape:
        raise ValueError(f"probe.predict must give one class for each of {len(truth)} rows, got {predicted.shape}")
    return np.asarray(predicted == truth)
