"""Numbers in lists, object arrays and tables of any columns are read; what is no number is named with its column."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import kernalign as ka
import numpy as np
import pandas as pd
import pytest
from kernalign.stitching import AffineStitcher
from samples import related

N = 30
X, Y = related(N, 4, 3)
FRAME = pd.DataFrame(X, columns=[*"abcd"])
MISSING = FRAME.astype("Float64")
MISSING.iloc[3, 1] = pd.NA
WITH_NONE = FRAME.astype(object)
WITH_NONE.iloc[3, 1] = None


class Column:
    """A column of rows that becomes an object array, as those of polars and pyarrow do."""

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        rows = np.empty(N, dtype=object)
        rows[:] = list(X)
        return rows


@pytest.mark.parametrize(
    "given",
    [
        X.tolist(),
        [tuple(row) for row in X],
        tuple(X),
        X.astype(object),
        [[Decimal(cell) for cell in row] for row in X],
        [[Fraction(cell) for cell in row] for row in X],
        FRAME,
        FRAME.astype(object),
        FRAME.astype("Float64"),
        FRAME.assign(a=FRAME["a"].astype("Float64")),
        pd.Series(list(X)),
        pd.DataFrame({"embedding": list(X)}),
        pd.DataFrame({"embedding": X.tolist()}),
        Column(),
    ],
)
def test_numbers_of_any_container_are_read(given: Any) -> None:
    assert ka.cka(given, Y) == ka.cka(X, Y)
    assert ka.compare({"x": given, "y": Y}, metrics=("cka",)).scores["cka"]["x", "y"] == ka.cka(X, Y)


@pytest.mark.parametrize("kind", ["Int64", "UInt8", "boolean", bool])
def test_integers_and_flags_of_tables(kind: Any) -> None:
    numbers = (X > 0).astype(int)
    table = pd.DataFrame(numbers).astype(kind)
    assert ka.cka(table, Y) == ka.cka(numbers.astype(np.float64), Y)
    mixed = FRAME.assign(e=table[0])
    assert ka.cka(mixed, Y) == ka.cka(np.column_stack([X, numbers[:, 0]]), Y)


@pytest.mark.parametrize("given", [MISSING, WITH_NONE, WITH_NONE.to_numpy(), WITH_NONE.to_numpy().tolist()])
def test_missing_values_are_nan(given: Any) -> None:
    with pytest.raises(ValueError, match="x must be finite, got nan at row 3, column 1"):
        ka.cka(given, Y)
    keep = np.arange(N) != 3
    assert ka.cka(given, Y, nan_rows="drop_pair") == ka.cka(X[keep], Y[keep])


def late(cell: Any) -> np.ndarray:
    given = X.astype(object)
    given[5, 2] = cell
    return given


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (FRAME.assign(d="t"), TypeError, "x must hold numbers, but column 'd' has text .'t'. at row 0; leave it out"),
        (FRAME.assign(d=pd.Categorical(["u"] * N)), TypeError, "column 'd' has text .'u'. at row 0"),
        (FRAME.assign(d=pd.Timestamp(0)), TypeError, r"column 'd' has Timestamp .1970.* at row 0"),
        (late("late"), TypeError, "x must hold numbers, but column 2 has text .'late'. at row 5"),
        (late(1 + 2j), TypeError, "column 2 has complex"),
        (late("late").tolist(), TypeError, "x must hold numbers, but has text .'late'. at row 5, column 2"),
        (X.astype(str), TypeError, r"x must hold numbers, got numbers as text \('.*'\); use \.astype\(float\)"),
        ([[1.0, 2.0]] * 9 + [[3.0]], ValueError, "x must have rows of one length: row 9 has 1 values, row 0 has 2"),
        (pd.Series([[1.0, 2.0], [3.0]]), ValueError, "x must have rows of one length: row 1 has 1 values, row 0 has 2"),
        ((row for row in X), TypeError, "x must be a 2-D numeric array, got generator"),
        (np.zeros(N, dtype=[("a", float)]), TypeError, "got a structured array; .*structured_to_unstructured"),
        (Path("x.npy"), FileNotFoundError, r"x\.npy"),
        ("hello", TypeError, r"x must be a 2-D numeric array or the path of a file, got 'hello'"),
        (X[:, 0].tolist(), ValueError, r"x must be 2-D \(items, features\), got shape \(30,\)"),
        (FRAME["a"], ValueError, r"x must be 2-D \(items, features\), got shape \(30,\)"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_named(given: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ka.cka(given, Y)


@pytest.mark.parametrize("make", [lambda y: y, lambda y: pd.Series(y).astype("Float64"), lambda y: y.astype(object)])
def test_targets_of_any_container(make: Callable[[np.ndarray], Any]) -> None:
    assert ka.kernel_target_alignment(X, make(Y[:, 0])) == ka.kernel_target_alignment(X, Y[:, 0])
    with pytest.raises(TypeError, match=r"targets must hold numbers.*; classes=True takes class labels"):
        ka.kernel_target_alignment(X, np.array(["a", "b"] * 15, dtype=object))


@pytest.mark.parametrize("backend", ["pandas", "pyarrow"])
def test_frames_of_narwhals_are_what_they_are_made_of(backend: str) -> None:
    narwhals = pytest.importorskip("narwhals")
    plain = {str(column): X[:, column] for column in range(X.shape[1])}
    given = narwhals.from_dict(plain, backend=backend)
    assert float(ka.cka(given, Y)) == float(ka.cka(X, Y))
    assert float(ka.Moments().update(given, Y).cka()) == float(ka.Moments().update(X, Y).cka())
    for way in ({"a": given, "b": Y}, {"a": {"one": given, "two": X}, "b": Y}, {"a": [given, X], "b": Y}):
        row = next(ka.compare(way, metrics=["cka"], layers="all").rows())
        assert row["score"] == pytest.approx(float(ka.cka(X, Y)))
    with pytest.raises(TypeError, match=r"x must be a frame with its rows, got a lazy one; use \.collect\(\)"):
        ka.cka(given.lazy(), Y)


def test_labels_of_frames_of_narwhals_pair_rows() -> None:
    narwhals = pytest.importorskip("narwhals")
    order = np.random.default_rng(1).permutation(N)
    x = pd.DataFrame(X).rename(index="i{}".format, columns=str)
    y = pd.DataFrame(Y).rename(index="i{}".format, columns=str).iloc[order]
    x, y = narwhals.from_native(x), narwhals.from_native(y)
    expected = float(ka.cka(X, Y))
    assert float(ka.cka(x, y)) == pytest.approx(expected, abs=1e-12)
    row = next(ka.compare({"x": x, "y": y}, metrics=["cka"]).rows())
    assert row["score"] == pytest.approx(expected, abs=1e-12)
    mapped = AffineStitcher().fit(x, y)
    np.testing.assert_allclose(mapped.coef_, AffineStitcher().fit(X, Y).coef_, atol=1e-10)
    labels = narwhals.from_native(pd.Series(Y[:, 0]).rename(index="i{}".format).iloc[order], series_only=True)
    assert ka.kernel_target_alignment(x, labels) == pytest.approx(ka.kernel_target_alignment(X, Y[:, 0]), abs=1e-12)
