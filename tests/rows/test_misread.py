"""Arrays that were read otherwise than they were meant: an index among the features, axes of layers and items."""

from __future__ import annotations

import warnings

import kernalign as ka
import numpy as np
import pandas as pd
import pytest
from samples import related

N = 40
X, Y = related(N, 4, 3)
COUNTS = np.arange(N, dtype=float)
METRICS = ("cka", "mutual_knn", "rsa", "nbs", "linear_predictivity")


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("place", [0, 4])
@pytest.mark.parametrize("first", [0, 1])
def test_an_index_among_the_features_is_named(name, place, first):
    x = np.insert(X, place, COUNTS + first, axis=1)
    share = np.var(COUNTS) / np.var(x, axis=0).sum()
    with pytest.warns(ka.AlignmentWarning) as caught:
        ka.measure(name, x, Y)
    said = [str(one.message) for one in caught if "counts the rows" in str(one.message)]
    assert len(said) == 1
    assert said[0].startswith(f"x: column {place} counts the rows (0, 1, 2, ...) and holds {share:.0%} of the variance")


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float16, np.float32])
def test_an_index_of_any_dtype_is_named(kind):
    y = np.insert((10 * Y + 50).astype(kind) // 4, 0, COUNTS.astype(kind), axis=1)
    with pytest.warns(ka.AlignmentWarning, match="y: column 0 counts the rows"):
        ka.cka(X, y)


def test_an_index_read_by_pandas_is_named_in_comparisons_too():
    table = pd.DataFrame(X).reset_index()
    with pytest.warns(ka.AlignmentWarning, match="x: column 0 counts the rows"):
        ka.cka(table, Y)
    with pytest.warns(ka.AlignmentWarning):
        found = ka.compare({"a": table, "b": Y}, metrics=("cka",))
    assert any(note.startswith("a: column 0 counts the rows") for note in found.notes)


def test_what_does_not_rule_or_does_not_count_is_not_named():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ka.cka(np.column_stack([COUNTS, X]), Y, normalize="standardize")
        ka.cka(np.column_stack([COUNTS, 100 * X]), Y)
        ka.cka(np.column_stack([COUNTS[::-1] / 50, X]), Y)
        ka.mutual_knn(COUNTS[:, None], Y, metric="euclidean")  # a feature of its own
        assert ka.compare({"a": np.column_stack([COUNTS, 100 * X]), "b": Y}, metrics=("cka",)).notes == ()


def test_more_layers_than_items_are_noted():
    """(layers, items, features) read as (items, layers, features)."""
    layers = np.stack([X, X**3, X @ np.diag([1, 2, 3, 4])], axis=0)
    right = layers.swapaxes(0, 1)
    with pytest.warns(ka.AlignmentWarning):
        found = ka.compare({"a": layers[:, :20], "b": layers[:, 20:]}, metrics=("linear_predictivity",))
    assert any(
        note.startswith("a: 20 layers of 3 items: are the axes (items, layers, features)?") for note in found.notes
    )
    with pytest.warns(ka.AlignmentWarning, match="x: 20 layers of 3 items"):
        ka.permutation_test("nbs", layers[:, :20], list(right[:3].swapaxes(0, 1)), permutations=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ka.compare({"a": right, "b": Y}, metrics=("nbs",)).notes == ()


def test_stacks_that_agree_the_other_way_are_told_so():
    layers = np.stack([X, X**3, X - X**2], axis=0)
    with pytest.raises(ValueError, match=r"got 3 and 2; both have 40 along the second axis: x.swapaxes"):
        ka.compare({"a": layers, "b": layers[:2]}, errors="raise")
    with pytest.raises(ValueError, match=r"got 40 and 20$"):
        ka.compare({"a": layers.swapaxes(0, 1), "b": layers[:, :20].swapaxes(0, 1)}, errors="raise")
