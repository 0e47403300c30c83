"""Results are shown on one short line, whatever they hold."""

import kernalign as ka
import numpy as np
import pytest
from kernalign import embedding, pmi, robustness, stitching
from samples import related

X, Y = related(300, 20, 12)
HEAD = np.ones((2, 12))
RESULTS = {
    "Spectrum": lambda: ka.spectrum(X),
    "SpectralOverlap": lambda: ka.spectral_overlap(X, Y, 10),
    "BandAlignment": lambda: ka.band_alignment(X, Y, [(0, 3), (3, 10)]),
    "CumulativePower": lambda: ka.cumulative_power(X, Y),
    "KarePath": lambda: ka.kare(X, Y, np.logspace(-3, 3, 30)),
    "LearningCurve": lambda: ka.learning_curve(X, Y, np.arange(1, 30)),
    "CCAPath": lambda: ka.ridge_cca(X, Y, np.logspace(-3, 3, 30)),
    "RidgePath": lambda: stitching.ridge_path(X, Y),
    "Certificate": lambda: stitching.stitching_certificate(X, Y, HEAD, Y[:, :2]),
    "Transfer": lambda: stitching.transfer_accuracy(X, Y, Y[:, 0] > 0, np.arange(100)),
    "NoiseCurve": lambda: robustness.noise_resilience(np.asarray, X, np.arange(20)),
    "SeedSensitivity": lambda: robustness.seed_sensitivity([X, Y, X[:, :5]]),
    "Similarity": lambda: embedding.fit_similarity(X, 2 * X),
    "PmiKernel": lambda: pmi.pmi_kernel(np.ones((30, 30))),
    "Cooccurrences": lambda: pmi.cooccurrences(["the quick brown fox jumps"], 2),
    "LinearHead": lambda: stitching.LinearHead(HEAD),
    "MLPHead": lambda: stitching.MLPHead([HEAD, np.ones((3, 2))]),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_shown_on_one_short_line(name: str) -> None:
    shown = repr(RESULTS[name]())
    assert shown.startswith(f"{name}(")
    assert "\n" not in shown
    assert len(shown) < 1200


def test_numbers_have_six_digits_and_arrays_their_shape() -> None:
    assert repr(stitching.MLPHead([HEAD, np.ones((3, 2))])) == "MLPHead(12 -> 2 -> 3, relu)"
    shown = repr(ka.kare(X, Y[:, :1], [0.1, 1 / 3]))
    assert shown.startswith("KarePath(ridges=[0.1, 0.333333], risk=[")
    assert repr(pmi.pmi_kernel(np.ones((9, 9)))) == "PmiKernel(kernel=array(9, 9), kept=array(9,))"
