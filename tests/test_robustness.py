"""Noise curves against their closed form, and seed statistics against naive jackknives and all relabellings."""

import itertools

import kernalign as ka
import numpy as np
import pytest
from kernalign.robustness import noise_resilience, seed_sensitivity, seed_statistics
from reference import probes as oracle


def identity(x):
    return x


# Noise


def test_a42_cka_of_noisy_features_follows_its_closed_form():
    """|S| / |S + sigma^2 I| for isotropic noise on features of covariance S.

    The features come from the seed that the noise has by default, which must not make them its equal.
    """
    rng = np.random.default_rng(0)
    scales = np.array([3.0, 2, 1, 0.5])
    x = rng.normal(size=(4000, 4)) * scales
    sigmas = [0.5, 1, 2, 4]
    found = noise_resilience(identity, x, sigmas, draws=4)
    norm = np.linalg.norm
    expected = [norm(scales**2) / norm(scales**2 + sigma**2) for sigma in sigmas]
    np.testing.assert_allclose(found.scores, expected, atol=0.02)
    assert found.clean == pytest.approx(1)
    assert (found.sd < 0.02).all()


def planted(values):
    """A metric that reads the score off the noise level that the model was given."""
    levels = iter(values)
    return lambda x, y: next(levels)


def test_area_and_half_life_by_hand():
    found = noise_resilience(identity, np.ones((3, 2)), [4, 1, 2, 2], metric=planted([0.8, 0.7, 0.5, 0.1]))
    np.testing.assert_array_equal(found.sigmas, [1, 2, 4])
    np.testing.assert_array_equal(found.scores, [0.7, 0.5, 0.1])
    assert found.auc == pytest.approx((0.6 * 1 + 0.3 * 2) / 3)
    assert found.half_life == pytest.approx(2.5)
    assert np.isnan(found.sd).all()
    first = noise_resilience(identity, np.ones((3, 2)), [2.0], metric=planted([1.0, 0.25]))
    assert first.half_life == pytest.approx(4 / 3)
    assert np.isnan(first.auc)
    zero = noise_resilience(identity, np.ones((3, 2)), [0, 1], metric=planted([0.6, 0.2]))
    np.testing.assert_array_equal(zero.scores, [0.6, 0.2])
    assert zero.half_life == pytest.approx(0.75)
    never = noise_resilience(identity, np.ones((3, 2)), [1, 2], metric=planted([1.0, 0.9, 0.6]))
    assert np.isnan(never.half_life)


def test_noise_is_the_same_for_every_strength_and_every_run():
    seen = []

    def model(x):
        seen.append(x)
        return x.reshape(len(x), -1)

    x = np.arange(24).reshape(4, 3, 2)
    kept = x.copy()
    first = noise_resilience(model, x, [1, 3], metric=ka.hsic, draws=2, seed=5)
    clean, *noisy = seen
    np.testing.assert_array_equal(clean, x)
    np.testing.assert_allclose(noisy[1] - x, 3 * (noisy[0] - x))
    np.testing.assert_allclose(noisy[3] - x, 3 * (noisy[2] - x))
    assert not np.allclose(noisy[0], noisy[2])
    again = noise_resilience(model, x, [1, 3], metric=ka.hsic, draws=2, seed=5)
    np.testing.assert_array_equal(first.scores, again.scores)
    assert (noise_resilience(model, x, [1, 3], metric=ka.hsic, draws=2, seed=6).scores != first.scores).all()
    np.testing.assert_array_equal(x, kept)


def test_a_constant_model_never_halves():
    found = noise_resilience(lambda x: np.arange(10.0)[:, None], np.ones((10, 2)), [1, 100])
    np.testing.assert_allclose(found.scores, 1)
    assert np.isnan(found.half_life)
    assert found.auc == pytest.approx(1)


@pytest.mark.parametrize(
    "inputs,keywords,error,words",
    [
        (np.ones((5, 2)), {"sigmas": [-1]}, ValueError, "sigmas must be finite and not negative"),
        (np.ones((5, 2)), {"sigmas": []}, (ValueError, TypeError), "sigmas must be"),
        (np.ones((5, 2)), {"sigmas": ["a"]}, TypeError, "sigmas must be numbers"),
        (np.ones((5, 2)), {"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        (np.ones((5, 2)), {"draws": 0}, ValueError, "draws must be at least 1, got 0"),
        (np.array(["a"]), {}, TypeError, "inputs must be an array of floats or integers"),
        (np.array([[np.nan]]), {}, ValueError, "inputs must be finite"),
    ],
)
def test_bad_noise_is_named(inputs, keywords, error, words):
    with pytest.raises(error, match=words):
        noise_resilience(identity, inputs, **({"sigmas": [1.0]} | keywords))


# Seeds


LABELS = ["a", "b", "a", "b", "a", "c"]


def table(seed=0, gain=0.3):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(size=(6, 6))
    scores = (scores + scores.T) / 2
    return scores + gain * (np.array(LABELS)[:, None] == np.array(LABELS))


def means(scores, chosen):
    pairs = [(i, j) for i in chosen for j in chosen if i < j]
    within = [scores[i, j] for i, j in pairs if LABELS[i] == LABELS[j]]
    between = [scores[i, j] for i, j in pairs if LABELS[i] != LABELS[j]]
    return np.mean(within), np.mean(between)


def test_seed_statistics_agree_with_the_definition():
    scores = table()
    found = seed_statistics(scores, LABELS)
    within, between = means(scores, range(6))
    assert found.mean == pytest.approx(within)
    assert found.between == pytest.approx(between)
    assert found.contrast == pytest.approx(within - between)
    same = [scores[i, j] for i, j in itertools.combinations(range(6), 2) if LABELS[i] == LABELS[j]]
    assert found.sd == pytest.approx(np.std(same, ddof=1))
    items = list(range(6))
    assert found.stderr == pytest.approx(oracle.jackknife(lambda kept: means(scores, kept)[0], items))
    contrast = lambda kept: np.subtract(*means(scores, kept))  # noqa: E731
    assert found.contrast_stderr == pytest.approx(oracle.jackknife(contrast, items))
    assert np.isnan(np.diag(found.scores)).all()
    assert found.architectures == tuple(LABELS)


def test_the_permutation_p_value_approaches_that_of_all_relabellings():
    scores = table()
    observed = np.subtract(*means(scores, range(6)))
    every = []
    for order in itertools.permutations(range(6)):
        turned = scores[np.ix_(order, order)]
        every.append(np.subtract(*means(turned, range(6))) >= observed - 1e-12)
    found = seed_statistics(scores, LABELS, permutations=4000)
    assert found.p_value == pytest.approx(np.mean(every), abs=0.02)
    assert found.p_value >= 1 / 4001
    assert seed_statistics(scores, LABELS, seed=1).p_value != found.p_value


def test_p_values_count_the_observed_labels_and_ties():
    assert seed_statistics(table(), LABELS, permutations=1).p_value in (0.5, 1.0)
    assert seed_statistics(np.full((6, 6), 0.3), LABELS).p_value == 1


def test_a37_p_values_are_uniform_without_an_effect():
    values = [seed_statistics(table(seed, 0.0), LABELS, permutations=99).p_value for seed in range(200)]
    assert np.mean(np.array(values) <= 0.2) == pytest.approx(0.2, abs=0.09)


def test_the_jackknife_sees_that_pairs_share_models():
    """Scores u_i + u_j: the error of their mean is that of 2 mean(u), far more than sd / sqrt(pairs)."""
    rng = np.random.default_rng(0)
    errors, means_ = [], []
    for _ in range(300):
        u = rng.normal(size=10)
        found = seed_statistics(u[:, None] + u)
        errors.append(found.stderr)
        means_.append(found.mean)
    assert np.mean(np.square(errors)) == pytest.approx(np.var(means_), rel=0.2)
    assert np.mean(errors) > 2 * found.sd / np.sqrt(45)


def test_models_of_one_architecture_have_no_contrast():
    found = seed_statistics(table())
    assert found.mean == pytest.approx(table()[np.tri(6, k=-1, dtype=bool)].mean())
    assert np.isnan([found.between, found.contrast, found.contrast_stderr, found.p_value]).all()
    two = seed_statistics(table()[:2, :2])
    assert np.isnan([two.sd, two.stderr]).all()


def test_scores_of_representations():
    rng = np.random.default_rng(0)
    views = [rng.normal(size=(60, 4)), rng.normal(size=(60, 6))]
    models = [views[i % 2] + 0.3 * rng.normal(size=views[i % 2].shape) for i in range(6)]
    seen = []
    found = seed_sensitivity(models, [i % 2 for i in range(6)], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 15) for i in range(16)]
    assert found.scores[4, 1] == found.scores[1, 4] == pytest.approx(ka.cka(models[4], models[1]))
    assert found.contrast > 0.5
    assert found.p_value < 0.25  # 2 of the 20 ways to split six models in halves
    other = seed_sensitivity(models, metric=ka.hsic)
    assert other.scores[1, 0] == pytest.approx(ka.hsic(models[1], models[0]))


@pytest.mark.parametrize(
    "call,error,words",
    [
        (lambda: seed_statistics(np.ones((2, 3))), ValueError, "scores must be a square matrix"),
        (lambda: seed_statistics([[0, 1], [2, 0]]), ValueError, "scores must be symmetric"),
        (lambda: seed_statistics([[0, np.nan], [np.nan, 0]]), ValueError, "scores"),
        (lambda: seed_statistics(table(), LABELS[1:]), ValueError, "one label for each of 6 models, got 5"),
        (lambda: seed_statistics(table(), range(6)), ValueError, "at least one with two models"),
        (lambda: seed_statistics(table(), [0.5] * 6), TypeError, "architectures must be class labels"),
        (lambda: seed_statistics(table(), LABELS, permutations=0), ValueError, "permutations must be at least 1"),
        (lambda: seed_sensitivity([np.ones((3, 2))]), ValueError, "at least two models, got 1"),
    ],
)
def test_bad_seeds_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
