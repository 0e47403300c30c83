"""Stitchers, certificates and held-out fits do not fit the rounding of entries; what they leave out is said."""

from contextlib import nullcontext

import kernalign as ka
import numpy as np
import pytest
from kernalign.stitching import (
    AffineStitcher,
    LowRankStitcher,
    RidgeStitcher,
    misalignment,
    ridge_path,
    run_trials,
    stitching_certificate,
)
from reference import stitching as oracle

SINGLE = np.float32
LATENT = 20


@pytest.fixture
def logits():
    """Float32 rows of 20 directions in 100 columns, the latent rows, and noisy targets."""
    rng = np.random.default_rng(3)
    latent = rng.standard_normal((600, LATENT))
    y = latent @ rng.standard_normal((LATENT, 50)) + rng.standard_normal((600, 50))
    return latent, (latent @ rng.standard_normal((LATENT, 100))).astype(SINGLE), y


def right(latent, y):
    """R^2 of rows 200 ... 599 by the latent fit to rows 0 ... 199."""
    coef, _ = oracle.longdouble_least_squares(latent[:200], y[:200])
    intercept = y[:200].mean(axis=0) - latent[:200].mean(axis=0) @ coef
    error = ((latent[200:] @ coef + intercept - y[200:]) ** 2).sum()
    return 1 - error / ((y[200:] - y[200:].mean(axis=0)) ** 2).sum()


def parts(x, y):
    return AffineStitcher().partial_fit(x[:50], y[:50]), AffineStitcher().partial_fit(x[50:], y[50:])


SAID = "AffineStitcher: 80 of 100 directions of x .* of float32"
WAYS = {
    "rows": (SAID, lambda x, y: AffineStitcher().fit(x, y)),
    "float64": (SAID, lambda x, y: AffineStitcher().fit(x.astype(float), y)),
    "batches": (SAID, lambda x, y: AffineStitcher().partial_fit(x[:7], y[:7]).partial_fit(x[7:], y[7:])),
    "merged": (SAID, lambda x, y: AffineStitcher.merge(*parts(x, y))),
    # Products do not tell the directions of rounding from zero.
    "moments": (None, lambda x, y: AffineStitcher().fit_moments(ka.Moments().update(x.astype(float), y))),
}


def _whole(stitcher, x, y):
    return stitcher.score(x, y, multioutput="variance_weighted")


@pytest.mark.parametrize("said,fit", WAYS.values(), ids=WAYS)
def test_held_out_rows_are_predicted_as_by_the_latent_rows(logits, said, fit):
    latent, x, y = logits
    with pytest.warns(ka.AlignmentWarning, match=said) if said else nullcontext():
        rank = (stitcher := fit(x[:200], y[:200])).rank_
    assert rank == LATENT
    assert np.abs(stitcher.coef_).max() < 1
    assert _whole(stitcher, x[200:], y[200:]) == pytest.approx(right(latent, y), abs=1e-6)


@pytest.mark.filterwarnings("ignore:.* are left out:kernalign.AlignmentWarning")
def test_other_fits(logits):
    latent, x, y = logits
    expected = right(latent, y)
    assert _whole(LowRankStitcher(20).fit(x[:200], y[:200]), x[200:], y[200:]) == pytest.approx(expected, abs=1e-6)
    for alpha in (0.0, 1e-9):
        assert _whole(RidgeStitcher(alpha).fit(x[:200], y[:200]), x[200:], y[200:]) == pytest.approx(expected, abs=1e-5)
    assert ridge_path(x, y).df.max() == pytest.approx(LATENT + 1, abs=1e-6)
    latent_error = oracle.left_out_misalignment(latent, y, 5)
    assert float(misalignment(x, y, cv=5)) == pytest.approx(latent_error, rel=1e-5)
    assert float(misalignment(x, y)) == pytest.approx(oracle.misalignment(latent, y), rel=1e-6)
    (trial,) = run_trials(x, y, {"affine": AffineStitcher()})
    assert trial.rank == LATENT
    head = np.random.default_rng(0).standard_normal((3, 50))
    found = stitching_certificate(x, y, head, y @ head.T, cv=5)
    assert found.misalignment == pytest.approx(latent_error, rel=1e-5)
    few = stitching_certificate(x[:90], y[:90], head, y[:90] @ head.T)
    assert not any(reason.startswith("saturated") for reason in few.failed)


def test_ranks_of_predictions_and_of_heads_are_judged_by_the_rounding_of_theirs(logits):
    latent = logits[0]
    y = (latent[:, :6] @ np.random.default_rng(4).standard_normal((6, 40))).astype(SINGLE)
    assert LowRankStitcher(30).fit(latent, y).rank_ == 6
    rng = np.random.default_rng(5)
    head = (rng.standard_normal((10, 3)) @ rng.standard_normal((3, 40))).astype(SINGLE)
    assert stitching_certificate(latent, y, head, y @ head.T).head_rank == 3


def test_columns_that_are_constant_but_for_rounding_are_not_fitted():
    """Three columns with a spread of at most 3e-8, as in embeddings whose last layer has dead units."""
    rng = np.random.default_rng(10)
    latent = rng.standard_normal((300, 20))
    x = (0.04 * (latent @ rng.standard_normal((20, 60)) + rng.standard_normal((300, 60)))).astype(SINGLE)
    dead = (0.3 + 1.4e-8 * rng.uniform(-1, 1, (300, 3))).astype(SINGLE)
    y = latent @ rng.standard_normal((20, 25)) + rng.standard_normal((300, 25))
    alone = AffineStitcher().fit(x[:150], y[:150])
    both = AffineStitcher().fit(np.hstack([x, dead])[:150], y[:150])
    assert both.rank_ == alone.rank_ == 60
    assert np.abs(both.coef_[:, 60:]).max() < 1e-3 * np.abs(alone.coef_).max()
    expected = alone.score(x[150:], y[150:])
    assert both.score(np.hstack([x, dead])[150:], y[150:]) == pytest.approx(expected, abs=1e-6)


def test_faint_columns_are_told_of():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((300, 8)), rng.standard_normal((300, 2))
    x[:, 5] *= 1e-9
    for call in (
        lambda: AffineStitcher().fit(x, y),
        lambda: AffineStitcher().partial_fit(x, y).coef_,
        lambda: misalignment(x, y),
        lambda: run_trials(x, y, {"affine": AffineStitcher()}),
        lambda: RidgeStitcher("loo").fit(x, y),
    ):
        with pytest.warns(ka.AlignmentWarning, match="x: 1 columns hardly vary") as caught:
            call()
        assert {warning.filename for warning in caught} == {__file__}
