"""Repeated and zero rows: the count is that of whole rows, whatever a few columns say, though few are read whole."""

from __future__ import annotations

import re
import warnings

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from kernalign._core import Rows
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
        [int(note.split()[0]) for note in notes if re.search(said, note)]
        for said in ("(is|are) zero", "repeats? an earlier")
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


def with_noise(noise, groups=40, each=5, p=32, seed=0):
    """Rows that are a few things each, with noise as a share of the spread of the things."""
    rng = np.random.default_rng(seed)
    which = rng.permutation(np.repeat(np.arange(groups), each))
    return rng.normal(size=(groups, p))[which] + noise * rng.normal(size=(groups * each, p)), which


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 1e-2])
@pytest.mark.parametrize("each", [2, 5])
@pytest.mark.parametrize("metric", ["cka", "distance_correlation", "rsa", "mutual_knn", "procrustes"])
def test_nearly_repeated_items_are_said_on_the_score_itself(metric, each, noise):
    x, which = with_noise(noise, each=each)
    y = np.random.default_rng(1).normal(size=(len(x), 6))
    call = getattr(ka, metric)
    for given in (x, x.astype(np.float32), np.asfortranarray(x)):
        with pytest.warns(ka.AlignmentWarning, match="100% of the rows of y that were looked at nearly repeat another"):
            call(y, given)
    if metric != "procrustes":
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call(x, y, groups=which)


def test_nearly_repeated_items_are_a_caveat_of_a_comparison():
    x, which = with_noise(1e-3)
    models = {"x": x, "y": np.random.default_rng(1).normal(size=(len(x), 6))}
    with pytest.warns(ka.AlignmentWarning, match="nearly repeat"):
        found = ka.compare(models, metrics=("cka",))
    assert [(caveat.kind, caveat.x, caveat.value) for caveat in found.caveats] == [("near_items", "x", 1.0)]
    assert not list(ka.compare(models, metrics=("cka",), groups=which).caveats)


def unrelated(n, seed):
    """Rows that no one would call copies, of kinds that lie close together in part."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(n, 64))
    logits = 30 * np.eye(10)[rng.integers(0, 10, n)] + 2 * rng.normal(size=(n, 10))
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return {
        "normal": normal,
        "line": rng.normal(size=(n, 1)) * np.ones(3) + 1e-9 * rng.normal(size=(n, 3)),
        "plane": np.tanh(normal[:, :2] @ rng.normal(size=(2, 64))),
        "cauchy": rng.standard_cauchy((n, 8)),
        "lognormal": np.exp(3 * rng.normal(size=(n, 8))),
        "sparse": np.maximum(0, normal - 1),
        "walk": np.cumsum(normal, axis=0),
        "saturated classes": odds / odds.sum(axis=1, keepdims=True) if n > 200 else normal,
        "ring": np.stack([np.cos(normal[:, 0]), np.sin(normal[:, 0])], axis=1),
        "huge": normal * 1e300,
        "one long row": np.where(np.arange(n)[:, None] == 3, 1e6 * normal, normal),
    }


@pytest.mark.parametrize("n", [16, 64, 300, 1500])
def test_unrelated_rows_are_not_near(n):
    alarms = [
        (kind, seed)
        for seed in range(40)
        for kind, rows in unrelated(n, seed).items()
        if ka._core.Rows(rows, "x").share_near > 0
    ]
    assert [kind for kind, _ in alarms if kind != "line"] == []  # on a line one pair in ten is near by chance
    assert len(alarms) <= 2


def test_rows_that_cannot_be_read_are_left_to_whoever_reads_them():
    x, _ = with_noise(1e-3)
    x[7] = np.nan
    with warnings.catch_warnings(), pytest.raises(ValueError, match="x must be finite"):
        warnings.simplefilter("ignore", ka.AlignmentWarning)
        ka.cka(x, x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_glance_sees_what_is_worth_a_second_look(dtype):
    """Equal values in the middle column, rows that are counted, a zero first entry of a square; no more of others."""
    rng = np.random.default_rng(0)
    plain = np.array([rng.permutation(60) for _ in range(5)]).T + 1
    plain[-1, [0, -1]] = plain[0, [0, -1]]
    repeated, counted, square = plain.copy(), plain.copy(), plain[:5].copy()
    repeated[40, 2] = repeated[7, 2]
    counted[[0, -1], -1] = 1, 60
    square[0, 0] = 0
    kinds = (plain, 0), (repeated, 1), (counted, 8), (square, 4), (plain[:, ::-1][::-1], 0)
    for rows, wanted in kinds if dtype != np.bool_ else ((plain > 30, 1),):
        matrix, bfloat16 = as_matrix(rows.astype(dtype), "x")
        assert Rows(matrix, "x", bfloat16=bfloat16).looks == wanted
    signs = np.array([[0.0], [-0.0], [1.0], [2.5]])
    assert Rows(signs, "x", paired=True).looks & 1
    assert Rows(np.ones((3000, 2)), "x", paired=True).looks & 2
