"""CKNNA in its three variants, against dense definitions and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from kernalign._base.score import UndefinedScoreWarning
from kernalign.metrics.neighbors.cknna import cknna
from reference import neighbors as ref

VARIANTS = ("ucentred", "paper", "platonic")


def pair(n: int = 90, d: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, d))
    return x, np.tanh(x @ rng.standard_normal((d, 5))) + 0.3 * rng.standard_normal((n, 5)) + 0.2


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("k", [2, 10, 50, 89])
def test_equals_the_dense_definition(variant, k):
    x, y = pair()
    assert cknna(x, y, k, variant=variant) == pytest.approx(ref.cknna(x, y, k, variant), rel=1e-10)


def test_all_pairs_are_unbiased_cka():
    x, y = pair()
    expected = ref.cka_u(x, y)
    assert cknna(x, y, 89) == pytest.approx(expected, rel=1e-10)
    assert cknna(x, y, 89, variant="platonic") == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("variant", ["ucentred", "paper"])
def test_rounding_does_not_carry_it_beyond_one(variant):
    clouds = np.random.default_rng(0).standard_normal((60, 40, 3))
    assert max(cknna(x, x, 5, variant=variant) for x in clouds) <= 1


@pytest.mark.parametrize("k", [1, 5, 30])
def test_ucentred_is_symmetric_bounded_and_one_on_itself(k):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, y = rng.standard_normal((40, 3)), rng.standard_normal((40, 6))
        score = cknna(x, y, k)
        assert -1 <= score <= 1
        assert score == pytest.approx(cknna(y, x, k), rel=1e-12)
        assert cknna(x, x, k) == pytest.approx(1, rel=1e-12)
    assert score.estimator == "ucentred"


def test_kernel_values_survive_a_large_offset():
    x, y = pair()
    shift = 1e5
    shifted = cknna(x + shift, y, 89)  # all pairs: masks cannot change
    assert shifted == pytest.approx(cknna(x, y, 89), rel=1e-8)


def test_normalize_and_threads():
    x, y = pair()
    unit = [v / np.linalg.norm(v, axis=1)[:, None] for v in (x, y)]
    expected = ref.cknna(*unit, 10, "ucentred")
    for threads in (1, 2, 4):
        assert cknna(x, y, normalize="l2", threads=threads) == pytest.approx(expected, rel=1e-10)


def test_degenerate_and_bad_input():
    x, y = pair(30)
    with pytest.warns(UndefinedScoreWarning):
        score = cknna(np.zeros((30, 2)), y, 5)
    assert np.isnan(score)
    assert "x" in score.reason
    with pytest.raises(ValueError, match="variant must be 'ucentred', 'paper' or 'platonic'"):
        cknna(x, y, variant="fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k must be at least 2"):
        cknna(x, y, 1, variant="platonic")
    with pytest.raises(ValueError, match="at least 4 rows"):
        cknna(x[:3], y[:3], 1)
