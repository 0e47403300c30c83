"""Permutation tests of neighbour metrics: ties that have no null, and groups that mean what they mean to the metric."""

import functools
import warnings

import kernalign as ka
import numpy as np
import pytest
from kernalign.metrics.record import OfEdges, OfLists

INDEXED = {
    **{name: name for name in ("lcs_knn", "edit_knn", "cycle_knn", "rank_similarity", "cknna")},
    "mutual_knn by index": functools.partial(ka.mutual_knn, ties="index"),
    "mutual_knn of lists": "mutual_knn",
}


@pytest.mark.parametrize("call", INDEXED)
def test_ties_that_index_order_broke_leave_no_p_value(call):
    """The order is that of both sides in the given pairing alone: of unrelated classes lcs_knn rejected always."""
    rng = np.random.default_rng(0)
    x, y = (np.eye(3)[rng.integers(0, 3, 40)] for _ in "xy")
    if call.endswith("lists"):
        x, y = ka.knn(x, 10), ka.knn(y, 10)
    beside = [] if call.endswith("lists") else ["cka"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        test, *others = ka.permutation_test([INDEXED[call], *beside], x, y, k=5, permutations=19).values()
    assert np.isnan([test.p_value, test.joint_p_value, test.calibrated()]).all()
    assert any("has no p-value: 100.0% of the rows tie at the k-th place" in str(one.message) for one in caught)
    assert all(one.joint_p_value == one.p_value for one in others)


NEIGHBOURS = [
    name
    for name, record in ka.METRICS.items()
    if isinstance(record.states, OfLists | OfEdges) and record.takes("groups")
]


@pytest.mark.parametrize("name", [*NEIGHBOURS, "cka", "rsa", "linear_predictivity"])
def test_groups_mean_what_they_mean_to_the_metric(name):
    """Neighbours of other groups, and folds of whole ones."""
    rng = np.random.default_rng(1)
    labels = rng.permutation(np.repeat(np.arange(12), [2, 3] * 6))
    x, y = (rng.normal(size=(12, p))[labels] + 0.5 * rng.normal(size=(30, p)) for p in (4, 5))
    metric = functools.partial(ka.linear_predictivity, cv=3) if name == "linear_predictivity" else getattr(ka, name)
    test = ka.permutation_test(name if name in NEIGHBOURS else metric, x, y, k=5, groups=labels, permutations=3, seed=1)
    found = []
    options = {"groups": labels, **({"k": 5} if name in NEIGHBOURS else {})}
    assert test.score == pytest.approx(float(metric(x, y, **options)), rel=1e-10)
    for order in exchanged(labels, 3, 1):
        found.append(float(metric(x, y[order], **options)))
    np.testing.assert_allclose(test.null, found, rtol=1e-9)


def exchanged(labels, number, seed):
    """Orders in which whole groups take the places of groups of their size, drawn as the package draws them."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in dict.fromkeys(labels.tolist())]
    classes = [np.array([one for one in members if len(one) == size]) for size in sorted({*map(len, members)})]
    for _ in range(number):
        order = np.empty(len(labels), dtype=int)
        for units in classes:
            order[units] = units[rng.permutation(len(units))]
        yield order
