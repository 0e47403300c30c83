"""Pairings under the null hypothesis: which there are, each as often as the others, and p-values among them."""

import itertools
import math

import numpy as np
import pytest
from kernalign._statistics.pairings import Pairings, null_scores, share

LABELS = np.array([0, 1, 0, 2, 2, 3, 1, 4, 4, 4])


def expected(kind, labels):
    """Orders that the kind permits, by trying all."""
    n = len(labels)
    for order in map(np.array, itertools.permutations(range(n))):
        whole = all(
            len(set(labels[order[labels == g]])) == 1
            and (np.diff(order[labels == g]) > 0).all()
            and (labels == labels[order[labels == g][0]]).sum() == (labels == g).sum()
            for g in set(labels)
        )
        if {"items": True, "groups": whole, "blocks": (labels[order] == labels).all()}[kind]:
            yield tuple(order.tolist())


@pytest.mark.parametrize("kind", ["items", "groups", "blocks"])
def test_all_pairings_are_those_that_may_be(kind):
    labels = np.array([0, 1, 0, 2, 2, 1, 3])
    made = {"items": Pairings.of_items(7), "groups": Pairings.of_groups(labels), "blocks": Pairings.within(labels)}[
        kind
    ]
    found = [tuple(order) for batch in made.all() for order in batch.tolist()]
    assert found[0] == tuple(range(7))
    assert len(found) == len(set(found)) == round(1 / made.least)
    assert set(found) == set(expected(kind, labels))
    assert made.few


@pytest.mark.parametrize("kind", [Pairings.of_groups, Pairings.within])
def test_random_pairings_are_those_that_may_be(kind):
    made = kind(LABELS)
    every = {tuple(order) for batch in made.all() for order in batch.tolist()}
    drawn = [tuple(order) for batch in made.drawn(4000, most=32) for order in batch.tolist()]
    counts = [drawn.count(order) for order in every]
    assert sum(counts) == len(drawn) == 4000
    assert max(abs(count - 4000 / len(every)) for count in counts) < 5 * math.sqrt(4000 / len(every))


def test_few_pairings_are_all_scored_and_many_are_drawn():
    assert Pairings.of_items(8).few
    assert not Pairings.of_items(9).few
    assert 0 < Pairings.of_items(200).least < 1e-300
    for n, number in ((4, 24), (9, 1000)):
        pool, method = null_scores(Pairings.of_items(n), lambda orders: orders[:, 0] == 0)
        assert len(pool) == number
        assert method == ("all 24 pairings" if n == 4 else "999 random pairings, seed 0")
        assert share(pool, pool) == pytest.approx(1 / n, abs=0.05)
    assert math.isnan(share(np.array([np.nan, 1.0]), np.array([np.nan, 1.0])))


@pytest.mark.parametrize("make", [lambda: Pairings.of_items(30), lambda: Pairings.of_groups(np.arange(30) // 3)])
def test_draws_are_kept_for_the_next_pair_of_the_same_items(make, monkeypatch):
    first = list(make().drawn(40, most=15))
    assert list(map(id, make().drawn(40, most=15))) == list(map(id, first))
    assert len(np.concatenate(list(make().drawn(41)))) == 41
    monkeypatch.setattr("kernalign._statistics.pairings._KEPT", 0)
    np.testing.assert_array_equal(np.concatenate(list(make().drawn(40))), np.concatenate(first))
