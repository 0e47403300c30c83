"""Every value of every public implementation is ours, or differs for a reason that accounts for it."""

import math

import pytest

from conformance import table
from conformance.inputs import NAMES, PAIRS
from conformance.row import OURS, THEIRS, TOLERANCE, by_lot, same, value
from conformance.rows import REPOSITORIES, ROWS, VALUES, refusal, repository

MEASURES = [measure for row in ROWS for measure in row.measures]


def numbers(row, pair):
    """What each measure of a row gives for a pair, where it gives a number."""
    found = {measure: VALUES[pair][measure] for measure in row.measures}
    return {measure: one for measure, one in found.items() if not isinstance(one, str)}


def test_no_measure_is_left_out():
    assert len(MEASURES) == 199
    assert len(set(MEASURES)) == 199
    for pair in NAMES:
        assert set(VALUES[pair]) == set(MEASURES)
    assert {repository(measure) for measure in MEASURES} == set(REPOSITORIES)
    assert all(row.ours or row.departure for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.measures[0])
def test_values_are_ours_or_accounted_for(row):
    if any(name in str(row) for name in ("over_folds", "left_out", "pls_by_splits")):
        pytest.importorskip("sklearn")
    for pair in NAMES:
        x, y = PAIRS[pair]
        theirs = numbers(row, pair)
        ours = None if row.ours is None else value(row.ours, x, y, OURS)
        departure = row.departs(pair)
        accounted = value(departure.theirs, x, y, THEIRS) if departure and departure.theirs and theirs else None
        for measure, number in theirs.items():
            if departure is None:
                assert same(ours, number), (measure, pair, number, ours)
                continue
            assert ours is None or not same(ours, number), f"{measure}, {pair}: no longer departs"
            near = ours if accounted is None else accounted
            if departure.lot:  # of theirs one was drawn on another machine, whose rounding no other has
                drawn = [accounted, *by_lot(departure.theirs, x, y, departure.lot)]
                assert max(drawn) - min(drawn) > 100 * TOLERANCE, (measure, pair, drawn)
            elif departure.within is not None:
                within = departure.within
                within = value(within, x, y, THEIRS) if isinstance(within, str) else within
                assert abs(near - number) <= within, (measure, pair, number, near)
            else:
                assert accounted is not None, (measure, pair, "neither an expression nor a bound")
                assert same(accounted, number), (measure, pair, number, accounted)


def test_what_has_no_value_says_why():
    """Where theirs fail, and ours exists, ours gives a number."""
    for row in ROWS:
        for pair in NAMES:
            x, y = PAIRS[pair]
            for measure in row.measures:
                said = VALUES[pair][measure]
                if isinstance(said, str):
                    assert refusal(said, x, y), (measure, pair, said)
                    assert row.ours is None or math.isfinite(value(row.ours, x, y, OURS)), (measure, pair)


def test_the_page_is_what_the_rows_say():
    assert table.PAGE.read_text(encoding="utf-8") == table.page()
