"""Sums of rows that are at hand, centred before they are multiplied: the stream's up to rounding, for any threads."""

import numpy as np
import pytest
from kernalign import _core
from kernalign._rows import arrays
from samples import related

FIELDS = ("full", "diagonal", "rows", "rows_diagonal", "diagonal_rows", "trace_x", "trace_y", "total_x", "total_y")
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-12}


def rows(x, y):
    pair = arrays.pair(x, y, advise=False)
    return pair.x, pair.y


def held(x, y, threads=1, keep=False, products=False):
    double = x.dtype == np.float64
    return _core.held_moment_sums(*rows(x, y), double, products, keep, threads, None)


def stream(x, y):
    sums = _core.moment_sums(*rows(x, y), x.dtype == np.float64, True, 1, None)
    return [sums.pair(a, b) for a, b in ((0, 0), (0, 1), (1, 1))], [2 * e for e in sums.exponents]


def values(n, pairs, exponents):
    """U-centred and centred products in the data's own units."""
    units = (2 * exponents[0], sum(exponents), 2 * exponents[1])
    found = [(_core.u_centred_product(n, one), _core.centred_product(n, one)) for one in pairs]
    return np.array([np.ldexp(one, unit) for one, unit in zip(found, units, strict=True)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n,p,q", [(90, 20, 30), (1024, 40, 7), (2500, 17, 64), (5000, 33, 20), (2700, 520, 510)])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_sums_are_those_of_the_stream(dtype, n, p, q, offset):
    x, y = ((a + offset * np.arange(a.shape[1])).astype(dtype) for a in related(n, p, q))
    pairs, exponents, engine = held(x, y)
    assert engine is None
    np.testing.assert_allclose(values(n, pairs, exponents), values(n, *stream(x, y)), rtol=TOLERANCE[dtype])


def assert_same(found, expected):
    assert found[1] == expected[1]
    for a, b in zip(found[0], expected[0], strict=True):
        assert [getattr(a, name) for name in FIELDS] == [getattr(b, name) for name in FIELDS]


@pytest.mark.parametrize("n,p", [(700, 30), (1100, 30), (5000, 30), (2700, 1010)])
def test_neither_threads_nor_what_is_kept_change_a_bit(n, p):
    x, y = (a.astype(np.float32) for a in related(n, p, 20))
    for threads, keep, products in ((2, False, False), (3, True, False), (2, False, True)):
        assert_same(held(x, y, threads, keep, products), held(x, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n,p", [(700, 30), (5000, 3), (1300, 200)])
def test_neither_layout_nor_element_type_change_a_bit(n, p, dtype):
    x, y = (np.round(100 * a).astype(dtype) for a in related(n, p, 20))
    x, expected = x.clip(-2000, 2000), held(x.clip(-2000, 2000), y)
    for same in (np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x[::-1].copy()[::-1]):
        assert_same(held(same, y), expected)
    narrow = x.astype(np.float16 if dtype == np.float32 else np.int32)
    double = dtype == np.float64
    assert_same(_core.held_moment_sums(*rows(narrow, y), double, False, False, 1, None), expected)


def test_what_is_kept_is_the_state_of_the_rows():
    x, y = related(1500, 12, 9)
    engine = held(x, y, keep=True)[2]
    np.testing.assert_array_equal(held(x, y, products=True)[2].product(0, 1), engine.product(0, 1))
    wanted = _core.moment_sums(*rows(x, y), True, True, 1, None)
    for side in (0, 1):
        np.testing.assert_allclose(engine.mean(side), wanted.mean(side), rtol=1e-12, atol=1e-15)
    for a, b in ((0, 0), (0, 1), (1, 1)):
        scale = 2.0 ** (engine.exponents[a] + engine.exponents[b] - wanted.exponents[a] - wanted.exponents[b])
        np.testing.assert_allclose(engine.product(a, b) * scale, wanted.product(a, b), atol=1e-9)
    terms, expected = (_core.moments_row_terms(*rows(x, y), sums, True, 1) for sums in (engine, wanted))
    unit = np.ldexp(1.0, 2 * (engine.exponents[0] - wanted.exponents[0]))
    np.testing.assert_allclose(terms[:, 0] * unit, expected[:, 0], rtol=1e-9)


def test_what_it_is_not_for_is_left_to_the_stream():
    x, y = (a.astype(np.float32) for a in related(400, 20, 30))
    assert held(np.ones_like(x), y) is None
    far = x.copy()
    far[3] *= 1e3
    assert held(far, y) is None
    assert held(far.astype(np.float64), y.astype(np.float64)) is not None
    bad = x.copy()
    bad[7, 2] = np.nan
    assert held(bad, y) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_gram_sums_are_those_of_the_sweep(dtype):
    n = 80
    x, y = ((a + 50).astype(dtype) for a in related(n, 60, 70))
    double = dtype is np.float64
    pairs, hollow, exponents = _core.small_gram_sums(*rows(x, y), double)
    sources = [_core.GramSource([one], "linear", double_precision=double) for one in rows(x, y)]
    sweep = _core.gram_sums(sources, True, 1, None)
    for found, bare in ((pairs, False), (hollow, True)):
        wanted = [sweep.pair(a, b, bare) for a, b in ((0, 0), (0, 1), (1, 1))]
        np.testing.assert_allclose(
            values(n, found, exponents), values(n, wanted, list(sweep.exponents)), rtol=TOLERANCE[dtype]
        )
    assert _core.small_gram_sums(*rows(np.ones_like(x), y), double) is None
