"""Task-aware quantities against inversions of whole kernels, simulation, and their closed forms."""

import itertools
import tracemalloc

import kernalign as ka
import numpy as np
import pytest
from kernalign import demo
from kernalign.theory.ridge_risk import effective_ridge
from reference import task as oracle
from reference.folds import fold_numbers
from samples import orthogonal, related

LABELS = np.array(list("abcabcabcbca" * 3))


def problem(n, p, q=1, seed=0):
    x, y = related(n, p, q, seed)
    return x, y[:, 0] if q == 1 else y


# Kernel-target alignment


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("shape", [(30, 4), (30, 4, 3), (12, 40, 2)], ids=str)
def test_kta_agrees_with_the_oracle(shape, centred):
    x, y = problem(*shape)
    score = ka.kernel_target_alignment(x, y, centred=centred)
    assert score == pytest.approx(oracle.kta(x, y, centred), rel=1e-9)
    assert score.metric == "kernel_target_alignment"
    assert score.settings["centred"] is centred


def test_kta_of_signs_is_cristianinis():
    x, _ = problem(20, 3)
    y = np.sign(np.random.default_rng(1).normal(size=20)).astype(int)
    k = x @ x.T
    assert ka.kernel_target_alignment(x, y) == pytest.approx(y @ k @ y / (20 * np.linalg.norm(k)), rel=1e-12)


def test_kta_is_ka_or_cka_with_the_target_kernel():
    x, y = problem(36, 4, 3)
    assert ka.kernel_target_alignment(x, y) == pytest.approx(ka.kernel_alignment(x, y, estimator="biased"), rel=1e-12)
    centred, cka = ka.kernel_target_alignment(x, y, centred=True), ka.cka(x, y, estimator="biased")
    assert centred == pytest.approx(cka, rel=1e-12)
    assert centred.chance == pytest.approx(cka.chance, rel=1e-12)
    assert ka.kernel_target_alignment(y, y) == pytest.approx(1)


@pytest.mark.parametrize("centred", [False, True])
def test_class_labels_become_one_hot(centred):
    x, _ = problem(36, 4)
    hot = oracle.one_hot(LABELS)
    numbers = np.array([{"a": 7, "b": -1, "c": 3}[label] for label in LABELS])
    for labels in (LABELS, LABELS.tolist(), LABELS.astype(object), numbers):
        score = ka.kernel_target_alignment(x, labels, classes=True, centred=centred)
        assert score == pytest.approx(oracle.kta(x, hot, centred), rel=1e-9)
    assert ka.kernel_target_alignment(x, numbers) != pytest.approx(oracle.kta(x, hot))


def test_kta_chance_is_the_mean_over_pairings():
    x, y = problem(6, 3)
    score = ka.kernel_target_alignment(x, y, centred=True)
    every = [oracle.kta(x, y[list(order)], True) for order in itertools.permutations(range(6))]
    assert score.chance == pytest.approx(np.mean(every), rel=1e-10)
    assert score.chance_sd == pytest.approx(np.std(every), rel=1e-8)


def test_kta_without_a_value_is_nan_and_says_why():
    x, y = problem(10, 3)
    for a, b, centred, reason in (
        (np.ones((10, 2)), y, True, "x is constant"),
        (x, np.full(10, 0.1), True, "targets are constant"),
        (np.zeros((10, 2)), y, False, "x is zero"),
        (x, np.zeros(10), False, "targets are zero"),
    ):
        with pytest.warns(ka.UndefinedScoreWarning, match=reason):
            score = ka.kernel_target_alignment(a, b, centred=centred)
        assert np.isnan(score)
        assert score.reason == reason


def test_kta_warns_of_a_mean_that_is_all():
    x, y = problem(30, 4)
    with pytest.warns(ka.AlignmentWarning, match="the mean holds .*% of the energy of x"):
        ka.kernel_target_alignment(x + 10, y)


# Cumulative power


@pytest.mark.parametrize("shape", [(20, 6), (20, 6, 3), (8, 30, 2)], ids=str)
def test_a30_cumulative_power_agrees_with_the_oracle_and_never_falls(shape):
    x, y = problem(*shape)
    found = ka.cumulative_power(x, y)
    rank = min(shape[:2])
    np.testing.assert_allclose(found.power, oracle.cumulative_power(x, y)[:rank], rtol=1e-9)
    assert (np.diff(found.power) >= 0).all()
    np.testing.assert_allclose(found.powers.sum(), found.power[-1] * (y**2).sum() / shape[0])
    if rank == shape[0]:
        assert found.power[-1] == pytest.approx(1, abs=1e-12)
    else:
        assert found.power[-1] < 0.99
        assert ka.cumulative_power(x, y, in_range=True).power[-1] == pytest.approx(1, abs=1e-12)


def test_powers_in_an_eigenspace_do_not_depend_on_its_basis():
    u = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 3)))[0]
    y = np.random.default_rng(1).normal(size=12)
    x = u * [2.0, 1, 1]
    turned = x.copy()
    turned[:, 1:] = x[:, 1:] @ orthogonal(2, 5)
    np.testing.assert_allclose(ka.cumulative_power(turned, y).power, ka.cumulative_power(x, y).power, atol=1e-12)


def test_area_over_log_rank():
    x = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 4)))[0] * [4.0, 3, 2, 1]
    first = ka.cumulative_power(x, x[:, 0])
    assert first.auc == pytest.approx(1)
    second = ka.cumulative_power(x, x[:, 1])  # C jumps from 0 to 1 between ranks 1 and 2, of log 16 = 4 log 2
    assert second.auc == pytest.approx(1 - 0.5 / 4)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("shape", [(24, 5), (24, 5, 2), (12, 30, 1)], ids=str)
def test_held_out_power_agrees_with_the_oracle(shape, centred):
    x, y = problem(*shape)
    x, y = x + 0.5, y + 1
    found = ka.cumulative_power(x, y, cv=4, centred=centred).held_out
    expected = oracle.held_out_power(
        x, y, [np.flatnonzero(fold_numbers(len(x), 4) == fold) for fold in range(4)], len(found), centred
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert len(found) == min(len(x) - len(x) // 4 - centred, x.shape[1])


def test_held_out_power_of_noise_is_not_optimistic():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 40)), rng.normal(size=60)
    found = ka.cumulative_power(x, y, cv=5, centred=True)
    assert found.power[-1] > 0.5
    assert found.held_out[-1] < 0


def test_held_out_power_forgets_offsets_when_centred():
    x, y = problem(30, 5)
    plain = ka.cumulative_power(x, y, cv=3, centred=True).held_out
    np.testing.assert_allclose(ka.cumulative_power(x + 1e6, y - 50, cv=3, centred=True).held_out, plain, rtol=1e-7)


def test_targets_without_power_are_undefined():
    x, _ = problem(10, 3)
    for centred, y in ((False, np.zeros(10)), (True, np.full(10, 0.1))):
        with pytest.warns(ka.UndefinedScoreWarning, match="the targets have no power"):
            found = ka.cumulative_power(x, y, centred=centred)
        assert np.isnan(found.power).all()
        assert np.isnan(found.auc)
    assert (ka.cumulative_power(np.ones((10, 2)), np.arange(10), centred=True).auc) == 0


# Source condition


def test_planted_power_laws_are_found():
    n, r = 60, 50
    u = np.linalg.qr(np.random.default_rng(0).normal(size=(n, r)))[0]
    ranks = np.arange(1.0, r + 1)
    x, y = u * ranks**-0.9, u @ ranks**-1.25
    found = ka.source_condition(x, y)
    assert found.eigenvalue_exponent == pytest.approx(1.8, rel=1e-8)
    assert found.power_exponent == pytest.approx(2.5, rel=1e-8)
    assert found.source == pytest.approx(1.5 / 3.6, rel=1e-8)
    kinked = x * np.where(ranks > 20, (ranks / 20) ** -1.0, 1)
    assert ka.source_condition(kinked, y, first=20, last=50).eigenvalue_exponent == pytest.approx(3.8, rel=1e-8)
    assert ka.source_condition(kinked, y, last=20).eigenvalue_exponent == pytest.approx(1.8, rel=1e-8)


def test_source_condition_needs_power_and_ranks():
    x, y = problem(20, 5)
    for first, last in ((3, 3), (1, 6), (5, None)):
        with pytest.raises(ValueError, match="first < last <= rank = 5"):
            ka.source_condition(x, y, first=first, last=last)
    with pytest.warns(ka.UndefinedScoreWarning, match="fewer than two"):
        assert np.isnan(ka.source_condition(x, np.zeros(20)).source)


# KARE


RIDGES = np.array([1e-4, 1e-2, 0.3, 1, 50])


@pytest.mark.parametrize("shape", [(25, 6), (25, 6, 3), (10, 40, 2)], ids=str)
def test_a29_kare_is_its_definition_and_gcv(shape):
    x, y = problem(*shape)
    found = ka.kare(x, y, RIDGES)
    np.testing.assert_allclose(found.risk, [oracle.kare(x, y, r) for r in RIDGES], rtol=1e-8)
    np.testing.assert_allclose(found.risk, [oracle.gcv(x, y, r) for r in RIDGES], rtol=1e-8)
    assert found.best == RIDGES[found.risk.argmin()]


@pytest.mark.parametrize("shape", [(25, 6), (10, 40, 2)], ids=str)
def test_a29_centred_kare_is_gcv_with_an_intercept(shape):
    x, y = problem(*shape)
    x, y = x + 2, y - 3
    found = ka.kare(x, y, RIDGES, centred=True)
    np.testing.assert_allclose(found.risk, [oracle.gcv(x, y, r, intercept=True) for r in RIDGES], rtol=1e-6)


def test_a29_scaling_the_kernel_and_the_ridge_together_changes_nothing():
    x, y = problem(25, 6)
    np.testing.assert_allclose(ka.kare(x * 3, y, RIDGES * 9).risk, ka.kare(x, y, RIDGES).risk, rtol=1e-10)
    np.testing.assert_allclose(ka.kare(x, y * 7, RIDGES).risk, 49 * ka.kare(x, y, RIDGES).risk, rtol=1e-10)


def test_a29_limits_of_the_ridge():
    x, y = problem(25, 6)
    power = (y**2).mean()
    assert ka.kare(x, y, 1e12).risk[0] == pytest.approx(power, rel=1e-9)
    assert ka.kare(np.zeros((25, 2)), y, [0.1, 3]).risk == pytest.approx([power, power], rel=1e-12)
    wide, _ = problem(10, 40)
    k = np.linalg.inv(wide @ wide.T / 10)
    assert ka.kare(wide, y[:10], 0).risk[0] == pytest.approx(
        y[:10] @ k @ k @ y[:10] / 10 / (np.trace(k) / 10) ** 2, rel=1e-9
    )
    np.testing.assert_allclose(ka.kare(wide, y[:10], 1e-250).risk, ka.kare(wide, y[:10], 0).risk, rtol=1e-12)
    tiny, small = ka.kare(x, y, [1e-250, 1e-12]).risk
    assert tiny == pytest.approx(small, rel=1e-6)
    with pytest.raises(ValueError, match=r"rank-deficient \(rank 6 of 25\), got 0"):
        ka.kare(x, y, [0.0, 1])


def test_kare_estimates_the_test_risk_noise_included():
    rng = np.random.default_rng(0)
    errors, estimates = [], []
    for _ in range(40):
        x, new = rng.normal(size=(2, 150, 60))
        beta = rng.normal(size=60) / 8
        y, truth = (side @ beta + 0.5 * rng.normal(size=150) for side in (x, new))
        weights = np.linalg.solve(x.T @ x + 150 * 0.1 * np.eye(60), x.T @ y)
        errors.append(((new @ weights - truth) ** 2).mean())
        estimates.append(ka.kare(x, y, 0.1).risk[0])
    assert np.mean(estimates) == pytest.approx(np.mean(errors), rel=0.05)


def test_real_task_has_an_inner_best_ridge():
    """Demo data: the English sentence vectors from the picture; neither no ridge nor an infinite one is best."""
    data = demo.representations()
    path = np.logspace(-6, 3, 10)
    found = ka.kare(ka.spectrum(data["vision"], centred=True), data["use_en"], path)
    assert path[0] < found.best < path[-1]
    y = np.asarray(data["use_en"], dtype=float)
    assert found.risk.min() < 0.9 * ((y - y.mean(axis=0)) ** 2).sum() / len(y)


# Learning curve


@pytest.mark.parametrize("ridge", [0.0, 1e-6, 0.3, 100])
@pytest.mark.parametrize("samples", [1, 3, 4.5, 40])
def test_a30_the_fixed_point_is_found_and_unique(samples, ridge):
    eta = np.array([3.0, 1, 0.2, 1e-3, 1e-7])
    found = effective_ridge(eta, samples, ridge)
    assert found == pytest.approx(oracle.kappa(eta, samples, ridge), rel=1e-10, abs=1e-300)
    if found > 0:
        grid = np.logspace(-12, 4, 4000)
        excess = grid - ridge - grid * (eta / (grid[:, None] + samples * eta)).sum(axis=1)
        assert (np.diff(np.sign(excess)) != 0).sum() == 1
    else:
        assert ridge == 0
        assert samples >= 5


@pytest.mark.parametrize("samples,ridge,noise", [(20, 0.5, 0.0), (60, 0.5, 0.0), (60, 0.05, 0.3), (25, 3.0, 0.3)])
def test_learning_curve_agrees_with_simulation(samples, ridge, noise):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(600, 40)) * np.arange(1, 41) ** -0.7
    y = np.stack([x @ rng.normal(size=40), np.tanh(2 * x[:, 0])], axis=1)
    found = ka.learning_curve(x, y, samples, ridge, noise=noise)
    assert found.error[0] == pytest.approx(oracle.simulated_error(x, y, samples, ridge, noise, 150), rel=0.08)


def test_learning_curve_by_hand():
    u = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 2)))[0] * np.sqrt(30)
    x, y = u * [2.0, 1], u @ [1.0, 3]
    found = ka.learning_curve(x, y, [1, 10], 0.5, noise=0.2)
    for i, size in enumerate((1, 10)):
        k = oracle.kappa([4.0, 1], size, 0.5)
        gamma = size * (16 / (k + 4 * size) ** 2 + 1 / (k + size) ** 2)
        error = ((k / (k + 4 * size)) ** 2 + 9 * (k / (k + size)) ** 2 + 0.2 * gamma) / (1 - gamma)
        assert found.kappa[i] == pytest.approx(k, rel=1e-10)
        assert found.gamma[i] == pytest.approx(gamma, rel=1e-10)
        assert found.error[i] == pytest.approx(error, rel=1e-10)


def test_learning_curve_at_the_edges():
    x, y = problem(40, 5)
    found = ka.learning_curve(x, y, [5, 6, 10**7])
    assert found.error[0] == np.inf  # as many items as directions, no ridge: the interpolation peak
    outside = (1 - ka.cumulative_power(x, y).power[-1]) * (y**2).mean()
    assert found.error[2] == pytest.approx(outside, rel=1e-5)
    assert (found.kappa == 0).all()
    inside = x @ np.arange(5.0)
    assert ka.learning_curve(x, inside, [6]).error[0] == pytest.approx(0, abs=1e-20)
    nothing = ka.learning_curve(np.zeros((40, 2)), y, [3], 0.1)
    assert nothing.error[0] == pytest.approx((y**2).mean())
    assert nothing.kappa[0] == 0.1


# What must not matter, and what is refused


def test_one_spectrum_serves_every_quantity():
    x, y = problem(30, 6, 2)
    for centred in (False, True):
        made = ka.spectrum(x, centred=centred)
        direct = {"centred": centred}
        same = np.testing.assert_array_equal
        same(ka.cumulative_power(made, y).power, ka.cumulative_power(x, y, **direct).power)
        same(ka.kare(made, y, RIDGES).risk, ka.kare(x, y, RIDGES, **direct).risk)
        same(ka.learning_curve(made, y, [5], 1).error, ka.learning_curve(x, y, [5], 1, **direct).error)
        assert ka.source_condition(made, y) == ka.source_condition(x, y, **direct)
    with pytest.raises(TypeError, match="cv needs the array x"):
        ka.cumulative_power(made, y, cv=3)
    with pytest.raises(TypeError, match="normalize must be given when"):
        ka.kare(made, y, 1, normalize="l2")


@pytest.mark.parametrize("unit", [1e-140, 1e140])
def test_units_only_scale(unit):
    x, y = problem(20, 5)
    big = ka.kare(x, y * unit, RIDGES).risk / unit / unit
    np.testing.assert_allclose(big, ka.kare(x, y, RIDGES).risk, rtol=1e-10)
    for a, b in ((x * unit, y), (x, y * unit)):
        np.testing.assert_allclose(ka.cumulative_power(a, b).power, ka.cumulative_power(x, y).power, rtol=1e-9)
        assert ka.kernel_target_alignment(a, b) == pytest.approx(ka.kernel_target_alignment(x, y), rel=1e-9)


def test_order_layout_and_dtype_do_not_matter():
    x, y = (np.round(side * 8) / 8 for side in problem(30, 5, 2))
    expected = ka.kare(x, y, RIDGES).risk
    order = np.random.default_rng(0).permutation(30)
    np.testing.assert_allclose(ka.kare(x[order], y[order], RIDGES).risk, expected, rtol=1e-9)
    for same in (x.astype(np.float16), np.asfortranarray(x), x.tolist()):
        np.testing.assert_array_equal(ka.kare(same, y.astype(np.float32), RIDGES).risk, expected)
    np.testing.assert_array_equal(ka.kare(x, y[:, 0], RIDGES).risk, ka.kare(x, y[:, :1], RIDGES).risk)


def test_preprocessing_is_of_x_alone():
    x, y = problem(30, 5)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(ka.kare(x, y, RIDGES, normalize="l2").risk, ka.kare(unit, y, RIDGES).risk, rtol=1e-10)
    assert ka.kernel_target_alignment(x, y, normalize="l2") == pytest.approx(oracle.kta(unit, y), rel=1e-9)


@pytest.mark.parametrize("name", ["kernel_target_alignment", "cumulative_power", "source_condition", "kare"])
@pytest.mark.parametrize(
    "targets,keywords,error,words",
    [
        (np.arange(9.0), {}, ValueError, "targets must have one row for each of the 10 rows of x, got 9"),
        (np.zeros((10, 2, 2)), {}, ValueError, "targets must be 2-D"),
        (["a"] * 10, {}, TypeError, "classes=True takes class labels"),
        (np.full(10, np.nan), {}, ValueError, "targets"),
        (np.arange(10.0), {"classes": True}, TypeError, "must be class labels"),
        (np.zeros((10, 2), int), {"classes": True}, ValueError, "1-D class labels"),
        (np.arange(10), {"classes": 1}, TypeError, "classes must be True or False"),
        (np.arange(10), {"centred": "no"}, TypeError, "centred must be True or False"),
        (np.arange(10), {"centered": True}, TypeError, "centered"),
        (np.arange(10), {"zero_rows": "drop_pair"}, ValueError, "zero_rows must be 'error'"),
    ],
)
def test_bad_targets_are_named(name, targets, keywords, error, words):
    more = ([1.0],) if name == "kare" else ()
    with pytest.raises(error, match=words):
        getattr(ka, name)(problem(10, 3)[0], targets, *more, **keywords)


def test_progress_is_reported():
    x, y = problem(20, 3)
    seen = []
    note = lambda done, total: seen.append((done, total))  # noqa: E731
    ka.kare(x, y, 1.0, progress=note)
    assert seen == [(0, 1), (1, 1)]
    seen.clear()
    ka.cumulative_power(x, y, cv=2, progress=note)
    assert seen == [(0, 1), (1, 3), (2, 3), (3, 3)]
    with pytest.raises(TypeError, match="progress must be"):
        ka.kare(x, y, 1.0, progress=3)


@pytest.mark.parametrize("name", ["kernel_target_alignment", "cumulative_power", "source_condition", "kare", "curve"])
def test_many_items_of_few_columns_never_make_an_n_by_n_array(name):
    """n x n would be 3.2 GB; a few columns of n numbers are all that is held."""
    x, y = problem(20_000, 4)
    call = ka.learning_curve if name == "curve" else getattr(ka, name)
    more = {"kare": ([1.0],), "curve": ([5],)}.get(name, ())
    tracemalloc.start()
    try:
        call(x, y, *more)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30 * 8 * 20_000


def test_bad_numbers_are_named():
    x, y = problem(10, 3)
    for ridges, error in (([-1.0], ValueError), ([np.inf], ValueError), ([], ValueError), (["a"], TypeError)):
        with pytest.raises(error, match="ridges must be"):
            ka.kare(x, y, ridges)
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        ka.learning_curve(x, y, [0, 3])
    with pytest.raises(ValueError, match="noise must be finite and not negative, got -1"):
        ka.learning_curve(x, y, [3], noise=-1)
    for cv in (1, 11):
        with pytest.raises(ValueError, match="cv must be between 2 and n = 10"):
            ka.cumulative_power(x, y, cv=cv)


def test_targets_may_be_columns_of_pandas():
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    x, y = related(40, 5, 2)
    table = pandas.DataFrame(y)
    assert ka.kernel_target_alignment(x, table[0]) == ka.kernel_target_alignment(x, y[:, 0])
    assert ka.kernel_target_alignment(x, table) == ka.kernel_target_alignment(x, y)
    assert ka.kare(x, table[1], 0.1).risk == ka.kare(x, y[:, 1], 0.1).risk


def test_what_was_given_is_not_ignored():
    x, y = related(40, 5, 2)
    for name in ("ridge", "noise"):
        with pytest.raises(TypeError, match=f"{name} must be a number, got"):
            ka.learning_curve(x, y, 5, **{name: [1.0, 2.0]})
    with pytest.raises(TypeError, match="in_range must be True or False, got 'yes'"):
        ka.cumulative_power(x, y, in_range="yes")


def test_one_column_has_no_slope():
    x, y = related(40, 1, 2)
    with pytest.warns(ka.UndefinedScoreWarning, match="x has rank 1, and a slope needs two ranks"):
        found = ka.source_condition(x, y)
    assert np.isnan([found.eigenvalue_exponent, found.power_exponent, found.source]).all()
    with pytest.warns(ka.UndefinedScoreWarning):
        assert np.isnan(ka.cumulative_power(x * 0, y * 0).auc)


def test_centring_what_float64_cannot_hold_is_named():
    x = np.where(np.random.default_rng(0).standard_normal((9, 3)) > 0, 1.7e308, -1.7e308)
    with pytest.raises(ValueError, match="columns must span no more than float64 can hold"):
        ka.spectrum(x, centred=True)
