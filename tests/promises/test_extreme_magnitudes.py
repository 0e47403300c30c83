"""Data whose squares overflow or vanish in float64: the same answer to the bit, or one that says why there is none."""

import warnings

import kernalign as ka
import numpy as np
import pytest
from kernalign import embedding
from kernalign._rows import magnitude
from kernalign.theory import ridge_risk
from public_calls import CALLS
from samples import scaled_pair

EXPONENTS = [480, -480, 600, -600]
MAY_REFUSE = (
    "knn",
    "cknna",
    "fit_similarity",
    "Stitcher",
    "ridge_path",
    "misalignment",
    "LinearProbe",
)  # a ValueError that says what to do


def close(name: str) -> bool:
    """Affine maps change their route, from normal equations to a triangle, with the scale."""
    return "AffineStitcher" in name or "LowRank" in name or "Ridge" in name


@pytest.mark.parametrize("shape", [(30, 5, 4), (12, 15, 20)])
@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call.scales != "neither"])
def test_powers_of_two_scale_exactly_or_are_refused(name, shape):
    call = CALLS[name]
    x, y = scaled_pair(*shape)
    plain = run(call, x, y)[0]
    sides = [(e, e) for e in EXPONENTS]
    if call.scales == "each":
        sides = [*((e, 0) for e in EXPONENTS), *((0, e) for e in EXPONENTS), (600, -600), (-600, 600)]
    for a, b in sides:
        refused, found, reasons = None, {}, []
        try:
            found, reasons = run(call, np.ldexp(x, a), np.ldexp(y, b))
        except ValueError as error:
            refused = str(error)
        if refused is not None:
            assert any(part in name for part in MAY_REFUSE), refused
            assert "scale" in refused
            continue
        for key, value in plain.items():
            of_x, of_y = call.powers.get(key, (0, 0))
            power = of_x * a + of_y * b
            with np.errstate(over="ignore", under="ignore"):
                wanted = np.ldexp(np.asarray(value, dtype=np.float64), power)
            got = np.asarray(found[key])
            if reasons and np.isnan(got).all():
                assert np.isinf(wanted).any() or np.abs(wanted).max() < 1e-300, (key, a, b)  # it has no float64
            elif close(name):
                np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=np.ldexp(1e-20, power))
            else:
                np.testing.assert_array_equal(got, wanted, err_msg=f"{key} {a} {b}")


def run(call, x, y):
    """Numbers, and whether the call said that some do not exist."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", ka.AlignmentWarning)
        warnings.simplefilter("always", ka.UndefinedScoreWarning)
        numbers = call.run(x, y)
    return numbers, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_ridges_follow_the_scale_of_x_and_risks_that_of_the_targets(exponent):
    x, y = scaled_pair(20, 5, 2)
    e = exponent // 2  # so that eigenvalues, and ridges in their units, stay in range
    plain = ka.kare(x, y, [0.01, 1.0])
    path = ka.kare(np.ldexp(x, e), np.ldexp(y, e), np.ldexp([0.01, 1.0], 2 * e))
    np.testing.assert_array_equal(path.risk, np.ldexp(plain.risk, 2 * e))
    assert path.best == np.ldexp(plain.best, 2 * e)
    plain = ka.learning_curve(x, y, [2, 8], 0.5, noise=0.1)
    curve = ka.learning_curve(np.ldexp(x, e), y, [2, 8], float(np.ldexp(0.5, 2 * e)), noise=0.1)
    np.testing.assert_array_equal(curve.error, plain.error)


def test_a_ridge_against_nothing_or_against_everything():
    x, y = scaled_pair(20, 5, 2)
    with pytest.raises(ValueError, match="ridges must be above 1e-308 of the largest eigenvalue"):
        ka.kare(x * 2.0**600, y, 1e-10)
    np.testing.assert_allclose(ka.kare(x * 2.0**-600, y, 1.0).risk, (y**2).sum() / 20)  # the kernel counts for nothing
    with pytest.warns(ka.UndefinedScoreWarning, match="eigenvalues"):
        assert np.isnan(ka.spectrum(x * 2.0**-600).eigenvalues).all()
    assert (ka.learning_curve(x * 2.0**-600, y, [2, 8], 1.0).kappa == 1.0).all()
    assert ridge_risk.effective_ridge(np.array([1e-200, 1e-201]), 1.0, 1e200) == pytest.approx(1e200)


def test_what_float64_cannot_hold_in_the_datas_units_is_said():
    x, y = scaled_pair(20, 5, 2)
    for scale, size in ((1e200, "large"), (1e-200, "small")):
        with pytest.warns(ka.UndefinedScoreWarning, match=f"eigenvalues are too {size} for float64"):
            assert np.isnan(ka.spectrum(x * scale).eigenvalues).all()
        with pytest.warns(ka.UndefinedScoreWarning, match="hsic is undefined: it is"):
            assert np.isnan(ka.hsic(x * scale, y))
        with pytest.warns(ka.UndefinedScoreWarning, match="distance_alignment is undefined"):
            assert np.isnan(ka.distance_alignment(x * scale, y * scale))
        with pytest.warns(ka.UndefinedScoreWarning, match="squares of the distances are too"):
            assert np.isnan(embedding.raw_stress(x * scale, np.abs(x[:, :1] - x[:, 0]) * scale))
        for metric in (ka.cknna, lambda a, b: ka.mutual_knn(a, b, 3, metric="euclidean")):
            with pytest.raises(ValueError, match=f"x is too {size}: its largest magnitude"):
                metric(x * scale, y)


def test_numbers_come_back_as_they_went():
    values = np.array([3.0, -5.0, 0.0, 1e-300])
    assert magnitude.exponent_of(values) == 3
    assert magnitude.exponent_of(np.zeros(2)) == magnitude.exponent_of(np.empty(0)) == 0
    np.testing.assert_array_equal(magnitude.restored(magnitude.divided(values, 700), 700, "values")[:3], values[:3])
