"""Repeated and zero rows: the count is that of whole rows, whatever a few columns say, though few are read whole."""

from __future__ import annotations

import warnings

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from kernalign._rows import duplicates
from kernalign._rows.numeric import as_matrix
from kernalign.comparison import caveats

WIDE = 200
DTYPES = [np.float16, np.float32, np.float64, ">f4", np.int8, np.int64, np.uint16, np.bool_, ml_dtypes.bfloat16]


def naive_repeats(x):
    """Rows whose numbers an earlier row has, nan like nan; -0.0 is 0.0."""
    seen, count = set(), 0
    for row in np.asarray(x).tolist():
        key = tuple("nan" if value != value else value for value in row)
        count += key in seen
        seen.add(key)
    return count


def told(x, metrics=("mutual_knn",)):
    """Zero and repeated rows according to the notes of a comparison."""
    notes = caveats.row_notes(as_matrix(x, "x")[0], "mutual_knn" in metrics)
    zero, repeated = (
        [int(note.split()[0]) for note in notes if said in note] for said in ("are zero", "repeat an earlier")
    )
    return sum(zero), sum(repeated)


def unprobed(p=WIDE):
    return np.setdiff1d(np.arange(p), duplicates.probed_columns(p))


def rows_that_differ_in_unread_columns(dtype):
    """40 rows that agree in every column that is looked at first; rows 10, 20 and 21 repeat others wholly."""
    rng = np.random.default_rng(5)
    x = np.tile(rng.integers(0, 2, WIDE), (40, 1))
    x[:, unprobed()] = rng.integers(0, 2, (40, len(unprobed())))
    x[10], x[20], x[21] = x[3], x[4], x[4]
    return x.astype(dtype)


@pytest.mark.parametrize("p", [1, 2, 15, 16, 17, 1000])
def test_columns_are_distinct_and_span_the_row(p):
    columns = duplicates.probed_columns(p)
    assert sorted(set(columns)) == sorted(columns)
    assert len(columns) == min(p, 16)
    assert min(columns) == 0
    assert max(columns) == p - 1


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("layout", ["c", "fortran", "reversed", "layer"])
def test_rows_that_agree_in_the_probed_columns_are_read_whole(dtype, layout):
    x = rows_that_differ_in_unread_columns(dtype)
    assert naive_repeats(x) == 3
    given = {
        "c": lambda: x,
        "fortran": lambda: np.asfortranarray(x),
        "reversed": lambda: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
        "layer": lambda: np.stack([x, x + x, x], axis=1)[:, 2],
    }[layout]()
    assert told(given) == (0, 3)
    assert ka.describe(given).duplicate_rows == 3


@pytest.mark.parametrize("seed", range(30))
def test_counts_are_those_of_whole_rows(seed):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(2, 80)), int(rng.choice([1, 2, 5, 40]))
    x = rng.integers(-1, 2, (n, p)) * (rng.random((n, 1)) < 0.8)
    x = x.astype(rng.choice([np.int16, np.float32, np.float64]))
    if x.dtype.kind == "f":
        x[rng.random((n, p)) < 0.2] *= -1  # 0.0 becomes -0.0
    repeats = naive_repeats(x)
    assert told(x) == (int((x == 0).all(axis=1).sum()), repeats if repeats < n - 1 else 0)
    assert ka.describe(x).duplicate_rows == repeats


@pytest.mark.parametrize("probed", [True, False])
def test_signs_of_zeros_do_not_tell_rows_apart(probed):
    x = np.random.default_rng(0).normal(size=(30, WIDE)).astype(np.float32)
    column = duplicates.probed_columns(WIDE)[3] if probed else int(unprobed()[7])
    x[11] = x[4]
    x[4, column], x[11, column] = 0.0, -0.0
    x[20], x[21] = 0.0, -0.0
    assert told(x) == (2, 2)
    assert ka.describe(x).duplicate_rows == 2
    # Of bfloat16 the notes see bit patterns, in which the signs differ; describe sees numbers.
    x[:] = np.random.default_rng(0).normal(size=x.shape)
    x[11] = x[4]
    x[4, column], x[11, column] = 0.0, -0.0
    half = x.astype(ml_dtypes.bfloat16)
    assert told(half) == (0, 0)
    assert ka.describe(half).duplicate_rows == 1


def test_nan_is_compared_by_its_bits_and_not_finite_rows_are_left_out_of_a_description():
    x = np.random.default_rng(0).normal(size=(30, WIDE))
    x[5], x[6] = x[4], x[4]
    x[[4, 5], duplicates.probed_columns(WIDE)[0]] = np.nan
    x[[8, 9]] = np.nan
    x[8, 3] = np.inf
    assert told(x) == (0, 1)
    assert ka.describe(x).duplicate_rows == 0
    x[7] = x[6]
    assert told(x) == (0, 2)
    assert ka.describe(x).duplicate_rows == 1


def test_rows_are_zero_only_if_all_columns_are():
    x = np.zeros((50, WIDE), dtype=np.float32)
    x[np.arange(40), unprobed()[:40]] = 1
    assert told(x, ("cka",)) == (10, 0)
    assert told(x) == (10, 9)
    assert ka.describe(x).zero_rows == 10


def test_integers_that_float64_cannot_tell_apart():
    x = np.random.default_rng(0).integers(0, 1000, (20, 3))
    x[3], x[4] = 2**53, 2**53
    x[4, 1] += 1
    assert told(x) == (0, 0)
    x[5] = x[4]
    assert told(x) == (0, 1)


def test_blocks_do_not_matter(monkeypatch):
    x = rows_that_differ_in_unread_columns(np.float32)
    x[30] = 0
    x[35] = 0
    whole = told(x), ka.describe(x).duplicate_rows
    monkeypatch.setattr("kernalign._rows.blocks._ELEMENTS", 3 * WIDE)
    assert (told(x), ka.describe(x).duplicate_rows) == whole == ((2, 4), 4)


def test_whole_rows_are_read_only_where_columns_agree():
    x = np.random.default_rng(0).normal(size=(500, WIDE))
    x[77] = x[13]
    whole, single = [], []

    def read(rows, columns):
        (single if isinstance(columns, int) else whole).append(len(rows))
        return x[rows, columns]

    rows = duplicates.suspects(np.arange(500), WIDE, read)
    assert rows.tolist() == [13, 77]
    assert single == [500] + [2] * 15
    first, second = duplicates.hashes(rows, WIDE, read)
    assert first == second
    assert whole == [2]
    assert duplicates.suspects(np.delete(np.arange(500), 13), WIDE, read).tolist() == []


def test_metrics_without_neighbours_need_no_repeats(monkeypatch):
    x = rows_that_differ_in_unread_columns(np.float32)
    assert told(x, ("cka", "rsa")) == (0, 0)
    monkeypatch.setattr(duplicates, "suspects", None)  # not called
    assert told(x, ("cka",)) == (0, 0)
    with pytest.raises(TypeError):
        told(x, ("cka", "mutual_knn"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", ["cka", "distance_correlation", "rsa", "mutual_knn", "cca", "procrustes"])
def test_repeated_items_are_said_on_the_score_itself(metric, dtype):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(30), 3)
    x, y = rng.normal(size=(30, 5)).astype(dtype)[labels], rng.normal(size=(90, 4)).astype(dtype)
    call = getattr(ka, metric)
    with pytest.warns(ka.AlignmentWarning, match="60 rows of x repeat an earlier row: if they are one thing"):
        call(x, y)
    with pytest.warns(ka.AlignmentWarning, match="60 rows of y repeat"):
        call(y, x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(y[:, ::-1], y)
        many = rng.normal(size=(201, 4)).astype(dtype)
        call(np.concatenate([many[:200], many[3:4]]), many)  # one repeat is an accident
        call(np.eye(5)[rng.integers(0, 5, 90)], y)  # classes and counts repeat by nature
        if metric in ("cka", "distance_correlation", "rsa", "mutual_knn"):
            call(x, y, groups=labels)
