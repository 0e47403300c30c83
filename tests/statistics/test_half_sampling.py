"""Half-sampling errors of neighbour overlaps: explicit parts, coverage on models whose expectation is known, limits."""

import kernalign as ka
import numpy as np
import pytest
from kernalign._statistics import half_sampling
from reference import jackknife, neighbors


def latent(rng, n, p, noise, draw=None):
    z = (draw or rng.standard_normal)((n, p))
    return [z + noise * rng.standard_normal((n, p)) for _ in range(3)]


def clusters(rng, n):
    centres = 2 * np.random.default_rng(1).standard_normal((8, 6))
    z = centres[rng.integers(0, 8, n)]
    return [z + rng.standard_normal((n, 6)) for _ in range(3)]


def mixed(rng, n):
    """Half of the items agree, half hardly."""
    z, noise = rng.standard_normal((n, 3)), np.where(rng.random(n) < 0.5, 0.1, 1.5)[:, None]
    return [z + noise * rng.standard_normal((n, 3)) for _ in range(3)]


MODELS = {
    "few latents": lambda rng, n: latent(rng, n, 4, 0.5),
    "many latents": lambda rng, n: latent(rng, n, 30, 0.7),
    "nearly equal": lambda rng, n: latent(rng, n, 4, 0.05),
    "heavy tails": lambda rng, n: latent(rng, n, 3, 0.5, lambda size: rng.standard_t(2, size)),
    "clusters": clusters,
    "mixed": mixed,
}


def coverage(model, n, k, repetitions, *, difference=False):
    """Share of 95 % intervals that hold the expected score of n items (its mean over all), or a difference of 0."""
    rng, values, stderrs = np.random.default_rng([n, k]), [], []
    for _ in range(repetitions):
        a, b, y = MODELS[model](rng, n)
        if difference:
            found = ka.compare_scores("mutual_knn", a, b, y, k=k, similarity="euclidean", threads=1)
            values.append(found.difference)
        else:
            found = ka.mutual_knn(a, y, k, metric="euclidean", uncertainty="half-sampling", threads=1)
            values.append(float(found))
        stderrs.append(found.stderr)
    centre = 0.0 if difference else np.mean(values)
    return np.mean(np.abs(np.array(values) - centre) <= 1.959964 * np.array(stderrs))


@pytest.mark.parametrize("n,k", [(60, 6), (41, 20)])
def test_the_error_is_that_of_explicit_parts(n, k, monkeypatch):
    divisions = {2: 6, 4: 4}
    monkeypatch.setattr(half_sampling, "_DIVISIONS", divisions)
    x, y, _ = MODELS["few latents"](np.random.default_rng(0), n)
    similar = [neighbors.in_order(side, "cosine") for side in (x, y)]

    def score(items, k):
        weights = [neighbors.index_weights(neighbors.lists(s[np.ix_(items, items)], k), len(items)) for s in similar]
        return neighbors.mutual(*weights, k)

    found = ka.mutual_knn(x, y, k, uncertainty="half-sampling")
    assert found == ka.mutual_knn(x, y, k)
    assert found.stderr == pytest.approx(jackknife.stderr_of_parts(score, n, k, divisions), rel=1e-9)
    length = half_sampling.list_length(n, k)
    lists = ka.mutual_knn(ka.knn(x, length), ka.knn(y, length), k, uncertainty="half-sampling")
    assert lists.stderr == found.stderr


@pytest.mark.parametrize("model,n,k", [("few latents", 40, 10), ("clusters", 20, 10), ("nearly equal", 60, 4)])
def test_coverage(model, n, k):
    assert 0.89 <= coverage(model, n, k, 120) <= 0.995


@pytest.mark.filterwarnings("ignore:.*both scores are within:kernalign.AlignmentWarning")
def test_equal_scores_do_not_differ():
    """Of 20 items and k = 10 the test found a difference in 98 % of the cases."""
    assert 0.9 <= coverage("few latents", 20, 10, 120, difference=True) <= 0.995


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*both scores are within:kernalign.AlignmentWarning")
@pytest.mark.parametrize("difference", [False, True])
@pytest.mark.parametrize("n,k", [(12, 4), (20, 4), (20, 10), (30, 10), (40, 4), (100, 2), (100, 10), (200, 90)])
@pytest.mark.parametrize("model", MODELS)
def test_coverage_of_many_models(model, n, k, difference):
    """92-98 % where quarters are large enough; the errors of halves alone are rather too large."""
    least = 0.9 if n < 30 else 0.915  # 600 repetitions: 0.009
    assert least <= coverage(model, n, k, 600, difference=difference) <= (1 if n < 30 or k < 4 else 0.988)


@pytest.mark.parametrize("n,k", [(6, 2), (11, 3), (20, 11)])
def test_limits_are_stated(n, k):
    x, y, _ = MODELS["few latents"](np.random.default_rng(0), n)
    with pytest.raises(ValueError, match=f"needs at least 12 items and k <= n / 2, got n = {n} and k = {k}"):
        ka.mutual_knn(x, y, k, uncertainty="half-sampling")
    x, y, _ = MODELS["few latents"](np.random.default_rng(0), 100)
    with pytest.raises(ValueError, match="uncertainty needs lists of 30 neighbours for k = 5, got 20"):
        ka.mutual_knn(ka.knn(x, 20), ka.knn(y, 20), 5, uncertainty="half-sampling")


@pytest.mark.parametrize("uncertainty", ["half-sampling", "jackknife"])
def test_shared_places_leave_no_error(uncertainty):
    x = np.random.default_rng(0).standard_normal((60, 4))
    classes = np.eye(3)[np.arange(60) % 3]
    with pytest.warns(ka.AlignmentWarning, match=r"mutual_knn has no standard error: 100.0% of the rows tie"):
        score = ka.mutual_knn(x, classes, uncertainty=uncertainty)
    assert np.isnan(score.stderr)
    assert np.isnan(score.interval()).all()
