"""Rows that carry labels are paired by them, whatever their order; where that is not possible, an error says why."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations

import kernalign as ka
import numpy as np
import pandas as pd
import pytest
from kernalign import stitching
from kernalign._rows import pairing
from public_calls import CALLS
from samples import related

N = 24
ORDER = np.random.default_rng(3).permutation(N)
NAMES = np.array([f"item {at}" for at in range(N)])
LABELS = {
    "strings": NAMES,
    "integers": np.arange(N) * 3 - 7,
    "dates": pd.date_range("2026-01-01", periods=N),
    "tuples": pd.MultiIndex.from_product([range(N // 4), [*"abcd"]]),
    "categories": pd.CategoricalIndex(NAMES),
    "mixed": np.array([*range(N // 2), *NAMES[N // 2 :]], dtype=object),
}


class DataArray:
    """The attributes of xarray.DataArray that say what its rows are."""

    def __init__(self, values: np.ndarray, index: pd.Index) -> None:
        self.values, self.dims, self.indexes, self.ndim = values, ("item", "feature"), {"item": index}, values.ndim

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self.values


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("table", [lambda x, index: pd.DataFrame(x, index=index), DataArray])
def test_the_same_items_in_another_order_are_aligned(kind, table) -> None:
    x, y = related(N, 5, 4)
    index = pd.Index(LABELS[kind])
    score = ka.cka(table(x, index), table(y[ORDER], index[ORDER]))
    assert score == ka.cka(x, y)
    assert (score.settings["pairing"], score.settings["unpaired"]) == ("ids", (0, 0))
    apart = ka.cka(table(x, index), table(y[ORDER], index[ORDER]), pairing="position")
    assert apart == ka.cka(x, y[ORDER])
    assert apart.settings["pairing"] == "position"
    assert "unpaired" not in apart.settings


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith(("mmd", "fit_sim"))])
def test_every_public_call_aligns(name) -> None:
    x, y = (side[:, :4] for side in related(N, 4, 4))
    a, b = pd.DataFrame(x, index=NAMES), pd.DataFrame(y, index=NAMES)
    wanted, found = CALLS[name].run(x, y), CALLS[name].run(a, b.iloc[ORDER])
    assert wanted.keys() == found.keys()
    for key in wanted:
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-12, atol=1e-14, err_msg=key)


@pytest.mark.parametrize("name", [name for name, record in ka.METRICS.items() if record.paired])
def test_every_metric_joins_by_ids(name) -> None:
    """Of 20 and 21 rows, 17 are of items that both have; the score is that of these, in the order of x."""
    x, y = related(N, 4, 4)
    rows_x, rows_y = ORDER[:20], np.random.default_rng(4).permutation(N)[:21]
    common = [row for row in rows_x if row in rows_y]
    keywords = {"rank": 2} if ka.METRICS[name].needs else {}
    ids = (NAMES[rows_x], list(NAMES[rows_y]))
    found = ka.measure(name, x[rows_x], y[rows_y], ids=ids, pairing="ids", **keywords)
    assert found == ka.measure(name, x[common], y[common], **keywords)
    assert found.n == len(common)
    assert found.settings["unpaired"] == (20 - len(common), 21 - len(common))


def test_ids_of_a_user_come_before_those_of_a_table() -> None:
    x, y = related(N, 5, 4)
    a, b = pd.DataFrame(x, index=NAMES), pd.DataFrame(y[ORDER], index=NAMES)
    assert ka.cka(a, b, ids=(NAMES, NAMES[ORDER])) == ka.cka(x, y)
    assert ka.cka(a, b, ids=(pd.Series(NAMES), pd.Categorical(NAMES[ORDER]))) == ka.cka(x, y)
    assert ka.cka(x, y[ORDER], ids=(np.arange(N), ORDER)) == ka.cka(x, y)


def test_gram_matrices_are_aligned_in_rows_and_columns() -> None:
    x, y = related(N, 5, 4)
    k = x @ x.T
    other = pd.DataFrame(y @ y.T, index=NAMES, columns=NAMES).iloc[ORDER, ORDER]
    score = ka.cka(pd.DataFrame(k, index=NAMES), other, kernel=ka.Precomputed())
    assert score == pytest.approx(float(ka.cka(x, y)), rel=1e-10)


def test_tables_without_labels_of_their_own_are_paired_by_position() -> None:
    x, y = related(N, 5, 4)
    plain, named = pd.DataFrame(y), pd.DataFrame(y, index=NAMES[ORDER])
    for a, b in ((x, plain), (pd.DataFrame(x), plain), (x, named), (pd.DataFrame(x), named)):
        assert ka.cka(a, b) == ka.cka(x, y)
        assert ka.cka(a, b).settings["pairing"] == "position"


def test_equal_labels_need_no_order_and_may_repeat() -> None:
    x, y = related(N, 5, 4)
    index = NAMES[np.arange(N) // 3]
    assert ka.cka(pd.DataFrame(x, index=index), pd.DataFrame(y, index=index)) == ka.cka(x, y)


def test_numbers_0_to_n_in_another_order_beside_none_are_ambiguous() -> None:
    x, y = related(N, 5, 4)
    a, b = pd.DataFrame(x), pd.DataFrame(y).iloc[ORDER]
    for pair in ((a, b), (b, a)):
        with pytest.raises(ValueError, match=r"has the row labels of [xy] \(0 to 23\) in another order"):
            ka.cka(*pair)
    assert ka.cka(a, b, pairing="ids") == ka.cka(x, y)
    assert ka.cka(a, b, pairing="position") == ka.cka(x, y[ORDER])


IDS = {"pairing": "ids"}
X, Y = related(N, 5, 4)
A, B = pd.DataFrame(X, index=NAMES), pd.DataFrame(Y, index=NAMES)


@pytest.mark.parametrize(
    ("x", "y", "keywords", "error", "words"),
    [
        (A[:20], B, {}, ValueError, r"4 of y are not in x \(first 'item 20'\): pairing='ids' takes the 20 that both"),
        (A[:20], B[5:], {}, ValueError, "5 of x are not in y .* and 4 of y are not in x .* the 15 that both have"),
        (A, B.rename({"item 3": "?"}), {}, ValueError, "1 of x are not .*'item 3'.* 1 of y .*; pairing='position'"),
        (A, B.set_axis(range(5, N + 5)), {}, ValueError, r"24 of x are not in y \(first 'item 0'\) .*\(first 5\)"),
        (A, B.rename({"item 3": "item 4"}), {}, ValueError, "labels of y must differ .* got 'item 4' in rows 3 and 4"),
        (A, B[::-1].rename({"item 3": None}), {}, ValueError, "labels of y must not be missing, got nan for row 20"),
        (X, Y, {"ids": (NAMES, NAMES[:9])}, ValueError, "ids of y must be one for each of its 24 rows, got 9"),
        (X, Y, {"ids": (NAMES, NAMES[ORDER // 2])}, ValueError, "2 of x|12 of x|labels of y must differ"),
        (X, Y, {"ids": (NAMES, [[1]] * N)}, TypeError, r"ids of y must be numbers, strings, .*, got \[1\]"),
        (X, Y, {"ids": (NAMES, NAMES[:, None])}, TypeError, "ids of y must be a sequence of one label per row"),
        (X, Y, {"ids": (NAMES, "ab")}, TypeError, "ids of y must be a sequence of one label per row, got str"),
        (X, Y, {"ids": NAMES}, TypeError, "ids must be a tuple of labels, one sequence .*, got ndarray"),
        (X, Y, {"ids": (NAMES,)}, ValueError, "ids must be one sequence of labels for each of x, y, got 1"),
        (X, Y, {"ids": (NAMES, NAMES), "pairing": "position"}, ValueError, "ids must be left out"),
        (X, Y, IDS, ValueError, "pairing='ids' needs labels of every row, but x carries none"),
        (A, Y, IDS, ValueError, "pairing='ids' needs labels of every row, but y carries none"),
        (A, B.set_axis(range(N)), IDS, ValueError, "no label is in all inputs .x has 'item 0' and y has 0"),
        (X, Y, {"pairing": "index"}, ValueError, "pairing must be 'auto', 'position' or 'ids', got 'index'"),
        (X[:9], Y, {}, ValueError, "x and y must have the same number of rows, got 9 and 24"),
        (A[:9], Y, {}, ValueError, "x and y must have the same number of rows, got 9 and 24"),
    ],
)  # fmt: skip
def test_what_cannot_be_paired_says_why(x, y, keywords, error, words) -> None:
    with pytest.raises(error, match=words):
        ka.cka(x, y, **keywords)


def test_bad_rows_have_the_numbers_that_the_user_knows() -> None:
    x, y = related(N, 5, 4)
    y[9, 1], x[4] = np.nan, 0
    a, b = pd.DataFrame(x, index=NAMES), pd.DataFrame(y, index=NAMES).iloc[ORDER]
    row = list(ORDER).index(9)
    with pytest.raises(ValueError, match=rf"y must be finite, got nan at row {row}, column 1"):
        ka.cka(a, b)
    with pytest.raises(ValueError, match=r"x must have no zero row where rows are normalised, row 4 is zero"):
        ka.mutual_knn(a, b, 3, nan_rows="drop_pair")


def test_targets_and_labels_follow_their_items() -> None:
    x, y = related(N, 5, 4)
    a, b = pd.DataFrame(x, index=NAMES), pd.DataFrame(y, index=NAMES)
    classes = pd.Series(np.where(x[:, 0] > 0, "+", "-"), index=NAMES)
    moved = [side.iloc[ORDER] for side in (b, classes)]
    assert ka.kernel_target_alignment(a, moved[0]) == ka.kernel_target_alignment(x, y)
    assert ka.kernel_target_alignment(a, moved[1], classes=True) == ka.kernel_target_alignment(a, classes, classes=True)
    np.testing.assert_array_equal(ka.cumulative_power(a, moved[0]).powers, ka.cumulative_power(x, y).powers)
    test = np.arange(N) < 8
    found = stitching.transfer_accuracy(a, moved[0], moved[1], test=test)
    wanted = stitching.transfer_accuracy(x, y, classes.to_numpy(), test=test)
    assert found.accuracy == wanted.accuracy
    probes = stitching.LinearProbe().fit(a, moved[1]), stitching.LinearProbe().fit(x, classes.to_numpy())
    np.testing.assert_array_equal(probes[0].coef_, probes[1].coef_)
    assert probes[0].score(a, moved[1]) == probes[0].score(x, classes.to_numpy())


def test_moments_of_labelled_batches_align() -> None:
    x, y = related(N, 5, 4)
    a, b = pd.DataFrame(x, index=NAMES), pd.DataFrame(y, index=NAMES)
    assert ka.Moments().update(a, b.iloc[ORDER]).cka() == ka.Moments().update(x, y).cka()


def test_three_inputs_in_every_order() -> None:
    """Against enumeration: each input's rows, taken, are the items in the order of the first."""
    for orders in permutations(list(permutations("abc"))[:4], 3):
        sides = [pairing.Side(f"input {at}", 3, list(order)) for at, order in enumerate(orders)]
        found = pairing.match(sides, "auto").rows
        for order, rows in zip(orders, found, strict=True):
            assert [order[row] for row in (range(3) if rows is None else rows)] == list(orders[0])


def test_an_unlabelled_input_may_belong_to_either_of_two_orders() -> None:
    sides = [pairing.Side("a", 3, [*"abc"]), pairing.Side("b", 3, [*"bca"]), pairing.Side("c", 3)]
    with pytest.raises(ValueError, match="c has no labels, but a and b have the same ones in different orders"):
        pairing.match(sides, "auto")
    assert pairing.match([sides[0], sides[0], sides[2]], "auto").rows == (None, None, None)


def test_labels_import_no_library_of_tables() -> None:
    script = (
        "import sys, types, numpy as np, kernalign as ka\n"
        "class Frame:\n"
        "    iloc = None\n"
        "    def __init__(self, x, index): self.x, self.index, self.ndim = x, index, 2\n"
        "    def __array__(self, dtype=None, copy=None): return self.x\n"
        "x = np.random.default_rng(0).normal(size=(9, 3))\n"
        "order = np.random.default_rng(1).permutation(9)\n"
        "names = np.array([*'abcdefghi'])\n"
        "assert abs(ka.cka(Frame(x, names), Frame(x[order], names[order])) - 1) < 1e-12\n"
        "assert not {'pandas', 'xarray'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=600)
