"""CKA and distance correlation with a confound taken out: values, the published formula, the null, refusals."""

import functools
import itertools
import math

import kernalign as ka
import numpy as np
import pytest
from reference import alignment as oracle

KERNELS = {"linear": (ka.Linear(), oracle.linear), "rbf": (ka.RBF(), oracle.rbf)}
CENTRED = {"unbiased": oracle.u_centre, "biased": oracle.centre}


def confounded(n, r=2, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, r))
    x, y = (z @ rng.normal(size=(r, p)) + rng.normal(size=(n, p)) for p in (4, 5))
    return x, y, z


@pytest.mark.parametrize("estimator", CENTRED)
@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("n", [30, 90])
def test_partial_cka_is_the_cosine_of_what_is_left(estimator, kind, n):
    x, y, z = confounded(n)
    kernel, matrix = KERNELS[kind]
    score = ka.cka(x, y, given=z, kernel=kernel, estimator=estimator)
    assert score == pytest.approx(oracle.partial(*map(matrix, (x, y, z)), CENTRED[estimator]), rel=1e-9)
    assert ka.cka(y, x, given=z, kernel=kernel, estimator=estimator) == pytest.approx(score, rel=1e-10)
    xy, xz, yz = (ka.cka(a, b, kernel=kernel, estimator=estimator) for a, b in ((x, y), (x, z), (y, z)))
    assert score == pytest.approx((xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2)), rel=1e-9)
    assert (score.settings["given_x"], score.settings["given_y"]) == (pytest.approx(xz), pytest.approx(yz))
    assert score.p_value is None
    assert "adjust='columns'" in score.settings["p_method"]


@pytest.mark.parametrize("estimator", CENTRED)
def test_partial_distance_correlation(estimator):
    x, y, z = confounded(40)
    score = ka.distance_correlation(x, y, given=z, estimator=estimator)
    d = [np.sqrt(oracle.squared_distances(one)) for one in (x, y, z)]
    assert score == pytest.approx(oracle.partial(*d, CENTRED[estimator]), rel=1e-9)
    assert score.metric == "distance_correlation"


def test_three_kernels_labels_and_dropped_rows():
    x, y, z = confounded(40)
    labels = np.array(list("abcd"))[np.random.default_rng(1).integers(4, size=40)]
    x[3] = np.nan
    kept = np.delete(np.arange(40), 3)
    g = oracle.delta(labels)[np.ix_(kept, kept)]
    kernel = (ka.Linear(), ka.RBF(), ka.Delta())
    score = ka.cka(x, y, given=labels, kernel=kernel, nan_rows="drop_pair")
    wanted = oracle.partial(oracle.linear(x[kept]), oracle.rbf(y[kept]), g, oracle.u_centre)
    assert score == pytest.approx(wanted, rel=1e-9)
    assert score.settings["given"] == "delta"
    pair = ka.cka(x, y, given=z, kernel=(ka.RBF(), ka.RBF()), nan_rows="drop_pair")
    k, m, h = oracle.rbf(x[kept]), oracle.rbf(y[kept]), oracle.linear(z[kept])
    assert pair == pytest.approx(oracle.partial(k, m, h, oracle.u_centre), rel=1e-9)


@pytest.mark.parametrize("estimator", CENTRED)
@pytest.mark.parametrize("n,r", [(30, 2), (90, 2), (12, 5)])
def test_residual_cka(estimator, n, r):
    x, y, z = confounded(n, r)
    score = ka.cka(x, y, given=z, adjust="columns", estimator=estimator)
    left = [oracle.linear(oracle.residuals(one, z)) for one in (x, y)]
    assert score == pytest.approx(oracle.METRICS["cka", estimator](*left), rel=1e-9)
    assert score.settings["given_rank"] == r
    twice = np.column_stack([z, 3 * z[:, :1] - 1, np.ones(n)])  # no direction more
    assert ka.cka(x * 1e200, y, given=twice, adjust="columns", estimator=estimator) == pytest.approx(score, rel=1e-9)


@pytest.mark.parametrize("estimator", CENTRED)
def test_null_of_residuals_is_freedman_and_lanes(estimator):
    x, y, z = confounded(6, 1)
    a, b = (oracle.residuals(one, z) for one in (x, y))
    of = oracle.METRICS["cka", estimator]
    scores = np.array(
        [
            of(oracle.linear(a), oracle.linear(oracle.residuals(b[list(order)], z)))
            for order in itertools.permutations(range(6))
        ]
    )
    score = ka.cka(x, y, given=z, adjust="columns", estimator=estimator)
    assert score.chance == pytest.approx(scores.mean(), abs=1e-10)
    assert score.chance_sd == pytest.approx(scores.std(), rel=1e-9)
    assert score.p_value == pytest.approx(np.mean(scores >= scores[0] - 1e-12), abs=1e-12)


def test_what_confounds_is_gone():
    x, y, z = confounded(400, 1, seed=3)
    plain, left = ka.cka(x, y), ka.cka(x, y, given=z, adjust="columns")
    assert plain > 0.2
    assert plain.p_value < 1e-9
    assert abs(left) < 0.02
    assert left.p_value > 0.01
    assert abs(ka.cka(x, y, given=z)) < 0.1


def test_nothing_to_take_out_and_nothing_left():
    x, y, z = confounded(30)
    assert ka.cka(x, y, given=np.ones((30, 1))) == pytest.approx(ka.cka(x, y), rel=1e-10)
    assert ka.cka(x, y, given=np.ones((30, 1)), adjust="columns") == pytest.approx(ka.cka(x, y), rel=1e-10)
    with pytest.warns(ka.UndefinedScoreWarning, match="given leaves nothing of x"):
        assert np.isnan(ka.cka(z * 3 + 1, y, given=z))
    with pytest.warns(ka.UndefinedScoreWarning, match="given leaves nothing of x"):
        assert np.isnan(ka.cka(z @ np.ones((2, 3)) + 1, y, given=z, adjust="columns"))
    with pytest.warns(ka.UndefinedScoreWarning, match="y is constant"):
        assert np.isnan(ka.cka(x, y * 0, given=z))


def test_refusals():
    x, y, z = confounded(20)
    with pytest.raises(ValueError, match=r"given must hold one entry per row, got 19 for 20 rows"):
        ka.cka(x, y, given=z[:-1])
    with pytest.raises(ValueError, match=r"given must be finite, got nan at row 2, column 1"):
        z[2, 1] = np.nan
        ka.cka(x, y, given=z)
    z[2, 1] = 0
    with pytest.raises(ValueError, match="uncertainty must be None with given"):
        ka.cka(x, y, given=z, uncertainty="jackknife")
    with pytest.raises(ValueError, match="adjust must be left out without given"):
        ka.cka(x, y, adjust="columns")
    with pytest.raises(ValueError, match="adjust must be 'kernels' or 'columns'"):
        ka.cka(x, y, given=z, adjust="rows")
    with pytest.raises(ValueError, match=r"kernel must be Linear\(\) with adjust='columns'"):
        ka.cka(x, y, given=z, adjust="columns", kernel=ka.RBF())
    with pytest.raises(ValueError, match="given must be left out, since new pairings would part y from it"):
        ka.permutation_test(functools.partial(ka.cka, given=z), x, y)


def p_values(count, n, seed, noise):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        z = noise(rng, (n, 2))
        x, y = (z @ (3 * rng.normal(size=(2, p))) + noise(rng, (n, p)) for p in (3, 4))
        found.append(ka.cka(x, y, given=z, adjust="columns").p_value)
    return np.array(found)


NOISE = {"normal": lambda rng, shape: rng.normal(size=shape), "t3": lambda rng, shape: rng.standard_t(3, size=shape)}


@pytest.mark.parametrize("noise", NOISE)
def test_size(noise):
    found = p_values(16, 20, 0, NOISE[noise])
    assert np.mean(found <= 0.05) <= 0.2
    assert np.mean(found <= 0.5) == pytest.approx(0.5, abs=0.35)


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISE)
def test_size_of_many(noise):
    found = p_values(2000, 30, 1, NOISE[noise])
    for level in (0.01, 0.05, 0.5):
        assert np.mean(found <= level) <= level + 4 * np.sqrt(level * (1 - level) / 2000)
    assert np.mean(found <= 0.5) > 0.4


@pytest.mark.parametrize("adjust", ["kernels", "columns"])
def test_a_confound_with_labels_follows_the_rows_of_x(adjust):
    pd = pytest.importorskip("pandas")
    x, y, z = confounded(20)
    names, order = [f"i{i}" for i in range(20)], np.random.default_rng(1).permutation(20)
    a, b, c = (pd.DataFrame(side, index=names) for side in (x, y, z))
    expected = ka.cka(x, y, given=z, adjust=adjust)
    assert ka.cka(a, b.iloc[order[::-1]], given=c.iloc[order], adjust=adjust) == expected
    shuffled = ka.cka(x, y, given=z[order], adjust=adjust)
    assert ka.cka(a, b, given=c.iloc[order], adjust=adjust, pairing="position") == shuffled != expected
    if adjust == "kernels":
        assert ka.distance_correlation(a, b, given=c.iloc[order]) == ka.distance_correlation(x, y, given=z)
