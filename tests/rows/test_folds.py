"""Protects folds: of one size, spread over sorted items, and blind to labels that come in cycles."""

import kernalign as ka
import numpy as np
import pytest
from kernalign._rows.folds import dealt
from kernalign.stitching import AffineStitcher, misalignment, run_trials
from reference.folds import fold_numbers


@pytest.mark.parametrize("count,folds", [(2, 2), (7, 3), (12, 12), (1001, 5)])
def test_each_run_of_items_has_one_in_every_fold(count, folds):
    made = dealt(count, folds)
    numbers = fold_numbers(count, folds)
    for fold, items in enumerate(made):
        np.testing.assert_array_equal(items, np.flatnonzero(numbers == fold))
        assert (items // folds).tolist() == sorted(set(items // folds))
    assert {len(items) for items in made} <= {count // folds, -(-count // folds)}


SCORES = {
    "linear_predictivity": lambda x, y: ka.linear_predictivity(x, y, cv=5),
    "ridge": lambda x, y: ka.predictivity(x, y, cv=5, regression="ridge", alpha=1e-6),
    "groups": lambda x, y: ka.linear_predictivity(x, y, cv=5, groups=np.arange(200)),
    "misalignment": lambda x, y: 1 - misalignment(x, y, cv=5) / (y**2).sum(axis=1).mean(),
    "run_trials": lambda x, y: run_trials(x, y, {"affine": AffineStitcher()}, folds=5)[0].r2,
    "cumulative_power": lambda x, y: ka.cumulative_power(x, y, cv=5).held_out[-1],
}


@pytest.mark.parametrize("of", SCORES)
@pytest.mark.parametrize("order", ["in cycles", "sorted"])
def test_labels_in_cycles_or_sorted_are_not_left_out_together(of, order):
    """Five classes that come in turn: by place, each fold was a class that its fit had never seen."""
    labels = np.arange(200) % 5 if order == "in cycles" else np.arange(200) // 40
    x, y = np.random.default_rng(0).normal(size=(2, 5, 7))[:, labels]
    assert SCORES[of](x, y) == pytest.approx(1, abs=1e-6)
