"""Digits: which format entries have been rounded to, whatever array holds them and in whatever batches they come."""

from copy import deepcopy

import ml_dtypes
import numpy as np
import pytest
from kernalign._rows import arrays
from kernalign._rows.digits import Digits

X = np.random.default_rng(0).standard_normal((100, 5))
WIDER = {
    "bfloat16": (ml_dtypes.bfloat16, np.float32, np.float64),
    "float16": (np.float16, np.float32, np.float64),
    "float32": (np.float32, np.float64),
    "float64": (np.float64,),
}


def seen(x):
    return Digits.of(arrays.rows(x)).rounding.name


@pytest.mark.parametrize("name", WIDER)
def test_entries_keep_the_rounding_of_the_format_that_they_went_through(name):
    first, *wider = WIDER[name]
    for dtype in (first, *wider):
        assert seen(X.astype(first).astype(dtype)) == name
        sparse = np.maximum(X - 1, 0).astype(first).astype(dtype)
        assert seen(sparse) == name


@pytest.mark.parametrize(
    "exact",
    [
        (X * 100).astype(np.int32),
        np.round(X * 100),
        np.eye(5),
        np.random.default_rng(1).integers(0, 256, (100, 5)).astype(float) / 256,
        np.column_stack([np.arange(64.0), np.arange(64) * 2.0**40]),
        np.zeros((3, 2)),
        2.0 ** np.arange(40)[:, None],
    ],
    ids=["integers", "whole", "one-hot", "pixels", "units", "zero", "powers"],
)
def test_whole_numbers_are_exact(exact):
    assert seen(exact) == "float64"


def test_preprocessing_does_not_hide_it():
    single = X.astype(np.float32)
    for normalize in ("l2", "standardize"):
        assert Digits.of(arrays.rows(single, normalize=normalize)).rounding.name == "float32"


@pytest.mark.parametrize("name", WIDER)
def test_batches_order_and_merging_do_not_matter(name):
    x = X.astype(WIDER[name][0]).astype(np.float64)
    x[60:, 2] = 0
    parts = [x[:1], x[1:7], x[7:60], x[60:]]
    whole = Digits(5)
    for part in parts:
        whole.update(arrays.rows(part))
    merged = Digits(5)
    for part in reversed(parts):
        merged.merge(Digits.of(arrays.rows(part)))
    assert whole.rounding == merged.rounding == Digits.of(arrays.rows(x)).rounding
    assert Digits.unpack(deepcopy(whole.pack()), 5).rounding == whole.rounding
