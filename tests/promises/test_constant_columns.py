"""Columns that are constant, nearly, or by rounding alone, where columns are divided by their spread."""

import warnings

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from kernalign import stitching
from kernalign._base import hazards
from kernalign._rows.preprocessing import rounding_of, within_rounding
from samples import related

ROUNDED = "1 columns vary by no more than the rounding of their dtype and are taken for constant"
FAINT = "1 columns hardly vary"


def with_column(column, dtype=np.float64, n=200):
    x, y = related(n, 5, 4)
    return np.hstack([x, np.broadcast_to(column, n)[:, None]]).astype(dtype), y


def jitter(dtype, n=200):
    """0.1, and its neighbours above and below, in turn."""
    low, high = (np.nextafter(dtype(0.1), dtype(end)) for end in (0, 1))
    return np.resize(np.array([dtype(0.1), high, low]), n)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_column_that_varies_by_rounding_is_constant_and_that_is_said(dtype):
    x, y = with_column(jitter(dtype), dtype)
    with pytest.warns(ka.AlignmentWarning, match=f"x: {ROUNDED}"):
        found = ka.cka(x, y, normalize="standardize")
    assert found == ka.cka(np.hstack([x[:, :5], np.zeros((200, 1), dtype)]), y, normalize="standardize")
    with pytest.warns(ka.AlignmentWarning, match=ROUNDED):
        probe = stitching.LinearProbe(task="regression").fit(x, y)
    assert (probe.coef_[5] == 0).all()
    assert (probe.coef_[:5] != 0).all()
    assert ka.describe(x).constant_columns == 1


def test_bfloat16_and_samples_too():
    column = np.resize(np.array([1.0, 1.0078125]), 200)  # neighbours in bfloat16
    x, y = with_column(column, ml_dtypes.bfloat16)
    with pytest.warns(ka.AlignmentWarning, match=ROUNDED):
        ka.cka(x, y, normalize="standardize")
    with pytest.warns(ka.AlignmentWarning, match=ROUNDED):
        ka.mmd(x, x[::-1], normalize="standardize")
    assert ka.describe(x).constant_columns == 1


def test_one_item_that_differs_makes_a_column_vary():
    """The standard deviation of such a column is within rounding, but what it says of the item is not."""
    column = np.full(20_000, 100, np.float32)
    column[7] += 1e-3
    low, high = column.min(keepdims=True), column.max(keepdims=True)
    assert column.astype(np.float64).std() < np.finfo(np.float32).eps * 100
    assert not within_rounding(low.astype(np.float64), high.astype(np.float64), rounding_of(column, False)).any()


def test_integers_have_no_rounding():
    x, y = with_column(0)
    whole = np.round(x * 100).astype(np.int64)
    whole[:, 5] = 2**50 + np.arange(200) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ka.describe(whole).constant_columns == 0
        probe = stitching.LinearProbe(task="regression").fit(whole, y)
    assert probe.coef_[5].any()


def test_columns_that_hardly_vary_are_told_of():
    """In float32 until a moment ago, or in other units: nobody can know but the user."""
    x, y = with_column(jitter(np.float32).astype(np.float64))
    for call in (
        lambda: ka.cka(x, y, normalize="standardize"),
        lambda: ka.mmd(x, x[::-1], normalize="standardize"),
        lambda: stitching.LinearProbe(task="regression").fit(x, y),
        lambda: stitching.LinearProbe().fit(x, y[:, 0] > 0),
    ):
        with pytest.warns(ka.AlignmentWarning, match=FAINT) as caught:
            call()
        assert caught[0].filename == __file__
    described = ka.describe(x)
    assert (described.constant_columns, described.faint_columns) == (0, 1)
    assert any(FAINT in sentence for sentence in described.warnings)
    assert "faint columns          1" in str(described)
    assert not ka.describe(x[:, :5]).warnings


def test_what_the_warning_is_for():
    """Rounding of one column, standardised, is as large as the signal: the probe's weights are on noise."""
    x, y = with_column(jitter(np.float32, 60).astype(np.float64), n=60)
    with pytest.warns(ka.AlignmentWarning, match=FAINT):
        noisy = stitching.LinearProbe(0.1, task="regression").fit(x, y)
    assert np.abs(noisy.decision(x + np.array([0, 0, 0, 0, 0, 1e-7])) - noisy.decision(x)).max() > 0.1
    dropped = stitching.LinearProbe(0.1, task="regression").fit(x[:, :5], y)
    assert np.abs(dropped.decision(x[:, :5] + 1e-7) - dropped.decision(x[:, :5])).max() < 1e-5


def test_the_threshold_is_relative_to_the_median_column():
    assert hazards.faint(np.array([1.0, 2.0, 3.0, 1.9e-6])) == 0
    assert hazards.faint(np.array([1e-9, 2.0, 3.0])) == 1
    assert hazards.faint(np.empty(0)) == 0
    for count in (hazards.rounded_columns(0), hazards.faint_columns(0)):
        assert count is None


@pytest.mark.parametrize(("scale", "words"), [(1e-310, "varies too little"), (1.7e308, "spans more than float64")])
def test_spreads_that_float64_cannot_divide_by_are_refused(scale, words):
    x = np.sign(related(30, 3, 3)[0]) * scale
    with pytest.raises(ValueError, match=f"x {words}"):
        ka.cka(x, x, normalize="standardize")
