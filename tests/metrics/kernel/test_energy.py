"""Energy distance of two samples: definition, published values, null by all deals, size."""

import itertools

import kernalign as ka
import numpy as np
import pytest
from reference import two_samples as oracle


def energy(x, y, estimator):
    """By the definition, from whole matrices."""
    return -getattr(oracle, estimator)(*(oracle.distances(a, b) for a, b in ((x, x), (y, y), (x, y))))


def samples(n, m, p, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)), rng.normal(size=(m, p)) * 1.3 + 0.4


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("n,m,p", [(2, 3, 1), (30, 17, 4), (200, 90, 40)])
def test_value_is_its_definition(estimator, n, m, p):
    x, y = samples(n, m, p)
    score = ka.energy_distance(x, y, estimator=estimator)
    assert score == pytest.approx(energy(x, y, estimator), rel=1e-9)
    assert ka.energy_distance(y, x, estimator=estimator) == pytest.approx(score, rel=1e-10)
    assert ka.energy_distance(x * 3 + 1e3, y * 3 + 1e3, estimator=estimator) == pytest.approx(3 * score, rel=1e-8)
    narrow = ka.energy_distance(np.float32(x), np.float32(y), estimator=estimator)
    assert narrow == pytest.approx(score, rel=1e-4, abs=1e-6)
    assert score.settings["sizes"] == (n, m)


def test_one_dimension_is_the_cramer_distance():
    """Szekely and Rizzo 2013: twice the integral of the squared difference of the distribution functions."""
    x, y = samples(20, 30, 1)
    grid = np.sort(np.concatenate([x, y]), axis=0).ravel()
    gap = (
        np.searchsorted(np.sort(x.ravel()), grid, "right") / 20
        - np.searchsorted(np.sort(y.ravel()), grid, "right") / 30
    )
    wanted = 2 * (gap[:-1] ** 2 * np.diff(grid)).sum()
    assert ka.energy_distance(x, y, estimator="biased") == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_null_is_that_of_all_deals(estimator):
    x, y = samples(3, 4, 2)
    both = np.vstack([x, y])
    scores, plain = [], []
    for chosen in itertools.combinations(range(7), 3):
        rest = [i for i in range(7) if i not in chosen]
        scores.append(energy(both[list(chosen)], both[rest], estimator))
        plain.append(energy(both[list(chosen)], both[rest], "unbiased"))
    score = ka.energy_distance(x, y, estimator=estimator)
    assert score.chance == pytest.approx(np.mean(scores), abs=1e-10)
    assert score.chance_sd == pytest.approx(np.std(scores), rel=1e-9)
    assert score.p_value == pytest.approx(np.mean(np.array(plain) >= plain[0] - 1e-12), abs=1e-9)
    if estimator == "unbiased":
        moment = np.mean((np.array(scores) / np.std(scores)) ** 3)
        assert score.chance_skew == pytest.approx(moment, rel=1e-8)


def test_other_samples_and_refusals():
    x, y = samples(30, 20, 3)
    assert ka.energy_distance(x, y + 2).p_value < 1e-6
    assert ka.energy_distance(np.zeros((5, 2)), np.zeros((4, 2))) == 0
    with pytest.raises(ValueError, match="x and y must have the same number of columns"):
        ka.energy_distance(x, y[:, :2])
    with pytest.raises(ValueError, match="estimator must be 'unbiased' or 'biased'"):
        ka.energy_distance(x, y, estimator="block")
    with pytest.raises(ValueError, match="energy_distance"):
        ka.energy_distance(x, y[:1])


def p_values(count, n, m, seed):
    rng = np.random.default_rng(seed)
    return np.array(
        [ka.energy_distance(rng.standard_t(2, (n, 3)), rng.standard_t(2, (m, 3))).p_value for _ in range(count)]
    )


def test_size():
    found = p_values(150, 12, 18, 0)
    assert np.mean(found <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)
    assert np.mean(found <= 0.5) == pytest.approx(0.5, abs=0.15)


@pytest.mark.slow
def test_size_of_many():
    found = p_values(4000, 20, 30, 1)
    for level in (0.01, 0.05, 0.5):
        assert np.mean(found <= level) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 4000))
