"""Two samples in which items repeat: they are told, and with groups= whole groups change sides."""

import warnings

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from reference import two_samples as oracle
from reference.null_moments import exchanges, share

SIZES = {"equal": ((2, 2, 2), (2, 2)), "two sizes": ((3, 1, 3), (1, 3, 1)), "one alike": ((1, 2), (2, 3, 3))}
METRICS = {
    "mmd": (lambda *given, **how: ka.mmd(*given, kernel=ka.RBF(1.7), **how), "rbf", 1),
    "mmd linear": (lambda *given, **how: ka.mmd(*given, kernel=ka.Linear(), **how), "linear", 1),
    "mmd polynomial": (lambda *given, **how: ka.mmd(*given, kernel=ka.Polynomial(3, 0.5), **how), "polynomial", 1),
    "energy_distance": (ka.energy_distance, "distance", -1),
}
ESTIMATORS = {"unbiased": oracle.unbiased, "biased": oracle.biased}


def repeated(rng, sizes, noise=0.3, p=3):
    """Rows of a group are noisy copies of one, in no order; and their labels."""
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return rng.normal(size=(len(sizes), p))[labels] + noise * rng.normal(size=(len(labels), p)), labels


def told(metric, x, y, **how):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(ka, metric)(x, y, **how)
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("metric", METRICS)
def test_chance_spread_and_p_value_are_those_of_all_deals_of_whole_groups(metric, sizes, estimator):
    call, kernel, sign = METRICS[metric]
    rng = np.random.default_rng(len(sizes[0]))
    (x, of_x), (y, of_y) = (repeated(rng, own) for own in sizes)
    both, n = np.vstack([x, y]), len(x)
    gram = oracle.distances(both, both) if kernel == "distance" else oracle.KERNELS[kernel](both, both, 1.7)
    values = []
    for order in exchanges(np.concatenate([of_x, of_y + len(sizes[0])])):
        own, other = order[:n], order[n:]
        parts = (gram[np.ix_(a, b)] for a, b in ((own, own), (other, other), (own, other)))
        values.append(sign * ESTIMATORS[estimator](*parts))
    score = call(x, y, estimator=estimator, groups=([f"x{g}" for g in of_x], [f"y{g}" for g in of_y]))
    assert score == pytest.approx(values[0], rel=1e-9)
    assert score == call(x, y, estimator=estimator)
    assert score.chance == pytest.approx(np.mean(values), rel=1e-8, abs=1e-12)
    assert score.chance_sd == pytest.approx(np.std(values), rel=1e-6)
    assert score.p_value == pytest.approx(share(np.array(values)))
    assert score.settings["groups"] == sum(map(len, sizes))
    assert score.settings["p_method"] == f"all {len(values)} pairings of groups"


@pytest.mark.parametrize("metric", ["mmd", "energy_distance"])
def test_copies_of_one_thing_are_told(metric):
    rng = np.random.default_rng(0)
    x, y = (np.repeat(rng.normal(size=(n, 4)), 3, axis=0) for n in (30, 20))
    single = rng.normal(size=(80, 4))
    for a, b in ((x, y), (np.float32(x), y), (np.rint(9 * x).astype(int), np.rint(9 * y)), (x, single), (x[::-1], y)):
        count = len(a) - len(np.unique(a, axis=0))
        [first, *rest] = told(metric, a, b)
        assert first.startswith(f"{count} rows of x repeat an earlier row")
        assert "unless groups= says so" in first
        assert [one[:12] for one in rest] == ([] if b is single else ["40 rows of y"])
    near = [np.repeat(one[::3], 3, axis=0) + 1e-3 * rng.normal(size=one.shape) for one in (x, y)]
    assert [one.partition(" of the rows of ")[2][:1] for one in told(metric, *near)] == ["x", "y"]
    assert told(metric, x, y, groups=(np.arange(90) // 3, 100 + np.arange(60) // 3)) == []


@pytest.mark.parametrize("metric", ["mmd", "energy_distance"])
@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16, np.int16])
def test_laws_with_atoms_are_not(metric, dtype):
    """Counts, classes and ratings repeat by nature, and across both samples as often as within one."""
    rng = np.random.default_rng(0)
    for x, y in (
        (rng.poisson(2, (60, 2)), rng.poisson(2, (50, 2))),
        (np.eye(3)[rng.integers(0, 3, 60)], np.eye(3)[rng.integers(0, 3, 60)]),
        (rng.integers(0, 5, (300, 1)) / 2, rng.integers(0, 5, (30, 1)) / 2),
        tuple(rng.normal(size=(40, 3))[rng.integers(0, 40, (2, 60))]),  # drawn again from 40 rows
        tuple(np.maximum(rng.normal(size=(2, 60, 2)), 0)),  # many of them zero
    ):
        assert (
            told(metric, x.astype(dtype), y.astype(dtype), **({"kernel": ka.RBF(1.0)} if metric == "mmd" else {})) == []
        )


def test_groups_of_samples_that_cannot_be_are_named():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(4, 2))
    a, b = np.arange(6) // 2, 10 + np.arange(4) // 2
    for groups, words in (
        (a, r"groups must be \(labels of the rows of x, those of y\), got"),
        ((a[1:], b), "groups of x must hold one label per row, got 5 for 6 rows"),
        ((a, a[:4]), "groups must be of one sample each, since they change sides whole, got 0 in both"),
        ((a, [7, 7, None, None]), "groups must have a label for every row, got none for row 8"),
    ):
        with pytest.raises(ValueError, match=words):
            ka.energy_distance(x, y, groups=groups)
        with pytest.raises(ValueError, match=words):
            ka.mmd(x, y, groups=groups)
    with pytest.raises(ValueError, match="groups must be None with estimator='block', got"):
        ka.mmd(x, y, groups=(a, b), estimator="block")
    assert ka.mmd(x, y, groups=(a, ["0", "0", "1", "1"])).settings["groups"] == 5  # 0 and "0" are two
    alone = ka.mmd(x, y, groups=(np.arange(6), np.arange(6, 10)))
    assert alone.p_value == ka.mmd(x, y).p_value
    odd = ka.mmd(x, y, groups=(a, [7, 8, 9, 10]))
    assert (odd.p_value, odd.chance, odd.chance_sd) == (None, None, None)
    assert odd.settings["p_method"] == "none: no groups of both samples are of equal size, to change sides"


def p_values(metric, count, draw, groups):
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        x, y = (np.repeat(draw(rng, (n, 2)), 3, axis=0) for n in (14, 16))
        how = {"groups": (np.arange(42) // 3, 50 + np.arange(48) // 3)} if groups else {}
        found.append(getattr(ka, metric)(x, y, **how).p_value)
    return np.array(found)


@pytest.mark.filterwarnings("ignore:.* rows of . (nearly )?repeat")
def test_only_groups_keep_the_level_where_items_repeat():
    plain, grouped = (p_values("energy_distance", 60, np.random.Generator.standard_normal, g) for g in (False, True))
    assert (plain <= 0.05).mean() > 0.25
    assert (grouped <= 0.05).mean() <= 0.12


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["mmd", "energy_distance"])
@pytest.mark.parametrize("draw", [np.random.Generator.standard_normal, np.random.Generator.standard_cauchy])
def test_size_where_whole_groups_change_sides(metric, draw):
    p = p_values(metric, 1500, draw, True)
    for level in (0.01, 0.05, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 1500))
