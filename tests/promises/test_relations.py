"""What must not change a score, or only in a known way, over all metrics: read from their records, on ugly inputs."""

from __future__ import annotations

import math
import warnings
from typing import Any

import kernalign as ka
import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from kernalign.metrics.record import MetricInfo, OfDissimilarities, OfEdges, OfLists


def few_bits(a: Any) -> Any:
    """So few that whole multiples are exact."""
    return np.round(a * 64) / 64 + (np.round(a * 64) == 0)


UNTIED = {"plain": lambda a: a, "heavy tails": lambda a: np.sign(a) * np.abs(a) ** 5 * 100}
TIED = {
    "duplicates": lambda a: a[np.arange(len(a)) % max(2, len(a) // 2)],
    "parallel rows": lambda a: a[np.arange(len(a)) % max(2, len(a) // 2)] * np.exp2(np.arange(len(a)) % 2)[:, None],
    "one column": lambda a: a[:, :1],
    "integers": lambda a: np.round(a * 2) + (np.round(a * 2) == 0),
    "multiples": lambda a: few_bits(a)[np.arange(len(a)) % max(2, len(a) // 2)] * (1 + np.arange(len(a)) % 7)[:, None],
}
PARALLEL = UNTIED.keys() | {"duplicates", "parallel rows", "one column", "multiples"}  # only equal directions tie
FORMS = UNTIED | TIED
TOLERANCE = {np.float32: 2e-3, np.float64: 1e-6}  # of scores: rows are rounded when they are scaled or rotated


@st.composite
def pairs(draw: Any) -> tuple[Any, Any, list[str], np.random.Generator]:
    """Two sides, their forms, and a generator for what is done to them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, dtype = draw(st.integers(4, 13)), draw(st.sampled_from(list(TOLERANCE)))
    forms = [draw(st.sampled_from(list(FORMS))) for _ in range(2)]
    x, y = (FORMS[form](rng.normal(size=(n, draw(st.integers(2, 5))))).astype(dtype) for form in forms)
    return x, y, forms, rng


def options(record: MetricInfo) -> dict[str, Any]:
    return {"rank": 1} if "rank" in record.needs else {"k": 3} if record.takes("k") else {}


def turned(a: Any, rotation: Any) -> Any:
    """Row by row, so that equal rows stay equal."""
    return np.stack([(row[:, None] * rotation).sum(axis=0) for row in a.astype(np.float64)]).astype(a.dtype)


def relations(record: MetricInfo, x: Any, y: Any, forms: list[str], rng: np.random.Generator) -> dict[str, Any]:
    """By name: two sides and the factor that the score has. Ties that rounding may split leave what keeps all bits:
    neighbours of parallel rows tie whatever their lengths, equal cosines of other rows may not."""
    tied = any(form in TIED for form in forms)
    found = {"scaled by a power of two": (x * x.dtype.type(4), y * y.dtype.type(4), 4.0**record.units)}
    if record.scales:
        found["scaled apart"] = (x * x.dtype.type(4), y * y.dtype.type(0.25), 1.0)
    if record.symmetric:
        found["sides changed"] = (y, x, 1.0)
    lists = isinstance(record.states, OfLists)
    if tied and (isinstance(record.states, (OfEdges, OfDissimilarities)) or (lists and not PARALLEL.issuperset(forms))):
        return found
    order, columns = rng.permutation(len(x)), [rng.permutation(a.shape[1]) for a in (x, y)]
    rotations = [np.linalg.qr(rng.normal(size=(a.shape[1],) * 2))[0] for a in (x, y)]
    if not record.paired:  # of the same features
        columns[1], rotations[1] = columns[0], rotations[0]
    if not (tied and lists) or record.takes("ties"):  # else they go by index
        found["items in another order"] = (x[order], y[order], 1.0)
    found["columns in another order"] = (x[:, columns[0]], y[:, columns[1]], 1.0)
    found["scaled"] = (x * x.dtype.type(3.25), y * y.dtype.type(3.25), 3.25**record.units)
    if record.turns and not (lists and "multiples" in forms):  # which are none when rounded
        found["rotated"] = (turned(x, rotations[0]), turned(y, rotations[1]), 1.0)
    return found


@pytest.mark.parametrize("name", ka.METRICS)
@settings(max_examples=25)
@given(case=pairs())
def test_relations(name, case):
    x, y, forms, rng = case
    tied = any(form in TIED for form in forms)
    record = ka.METRICS[name]
    if not record.paired:
        x, y = x[:, : y.shape[1]], y[:, : x.shape[1]]
    own, rounding = options(record), TOLERANCE[x.dtype.type]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            score = float(record.function(x, y, **own))
        except ValueError:
            reject()  # rows that the metric cannot read
        if any("not determined" in str(one.message) for one in caught):
            reject()
        for what, (a, b, factor) in relations(record, x, y, forms, rng).items():
            found = float(record.function(a, b, **own))
            expected = pytest.approx(
                score * factor, rel=TOLERANCE[x.dtype.type], abs=TOLERANCE[x.dtype.type], nan_ok=True
            )
            assert found == expected, what
        given_options = {"metric_options": {name: {"rank": 1}}} if "rank" in own else {}
        compared = ka.compare({"x": x}, {"y": y}, metrics=[name], k=3, p_values=False, **given_options)
        at_once = float(compared.scores[name]["x", "y"][0, 0])
        assert at_once == pytest.approx(score, rel=1e-9, abs=1e-9, nan_ok=True)
        if record.best is not None and not (isinstance(record.states, OfLists) and (tied or not record.symmetric)):
            itself = float(record.function(x, x, **own))
            assert math.isnan(itself) or itself == pytest.approx(record.best, abs=rounding)
