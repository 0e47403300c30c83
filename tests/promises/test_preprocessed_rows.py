"""Rows that are normalised as they are read lose no digits to a mean that is large against their differences."""

import kernalign as ka
import numpy as np
import pytest
from reference import alignment as ref
from samples import related


def offset_pair(n, offset, p=24):
    x, y = related(n, p, p)
    return (x + offset).astype(np.float32), (y + offset).astype(np.float32)


@pytest.mark.parametrize("offset", [10.0, 1e3, 1e5])
@pytest.mark.parametrize("n", [300, 1024, 2500])  # rows that wait, a whole block, both
def test_unit_rows_far_from_the_origin(n, offset):
    """Rounded to float32 before they were centred, they gave 1e-5 for an offset of 1e5."""
    x, y = offset_pair(n, offset)
    unit = [side / np.sqrt((side**2).sum(axis=1, keepdims=True)) for side in (x.astype("g"), y.astype("g"))]
    grams = [ref.linear((side - side.mean(axis=0)).astype(np.float64) * 2.0**20) for side in unit]
    found = ka.cka(x, y, normalize="l2")
    assert (found.settings["route"], found.settings["products"]) == ("feature", "float32")
    assert found == pytest.approx(ref.cka_u(*grams), abs=2e-7)
    biased = ka.cka(x, y, normalize="l2", estimator="biased")
    assert biased == pytest.approx(ref.cka_b(*grams), abs=2e-7)


def test_the_jackknife_reads_them_alike():
    x, y = offset_pair(300, 1e5)
    found = ka.cka(x, y, normalize="l2", uncertainty="jackknife").stderr
    double = ka.cka(x.astype(np.float64), y.astype(np.float64), normalize="l2", uncertainty="jackknife").stderr
    assert found == pytest.approx(double, rel=2e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_plain_rows_and_rows_that_float32_holds_give_the_same_score(threads):
    """A clip that clips nothing goes through float64, and nothing is lost there."""
    x, y = offset_pair(2500, 3.0)
    plain = ka.cka(x, y, threads=threads)
    assert ka.cka(x, y, clip_quantile=1.0, threads=threads) == pytest.approx(plain, rel=1e-7)
    limit = np.float32(np.abs(x).max() * 2)
    wider = np.vstack([x, np.full((1, 24), limit)]), np.vstack([y, np.full((1, 24), limit)])
    clipped = ka.cka(*wider, clip_quantile=0.999, threads=threads)
    by_hand = [side.clip(-bound, bound) for side, bound in zip(wider, map(threshold, wider), strict=True)]
    assert clipped == pytest.approx(ka.cka(*by_hand, threads=threads), rel=1e-7)


def threshold(side):
    return np.sort(np.abs(side), axis=None)[int(0.999 * side.size)]
