"""Every warning of a public call points at the user's own line, however many calls of the package lie between."""

from __future__ import annotations

import warnings
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from kernalign import stitching

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 40, 6))
CONSTANT = np.ones((40, 6))
TIED = np.repeat(RNG.standard_normal((4, 6)), 10, axis=0)
MEAN = X + 50.0
DOMINANT = X * [100.0, 1, 1, 1, 1, 1]
FAINT = X * [1e-9, 1, 1, 1, 1, 1]
WIDE = RNG.standard_normal((40, 60))


def streamed(x, y):
    return ka.Moments().update(x, y)


CALLS = {
    "cka of a constant": lambda: ka.cka(CONSTANT, Y),
    "cka of one direction": lambda: ka.cka(DOMINANT, Y),
    "hsic beyond float64": lambda: ka.hsic(X * 1e160, Y * 1e160, estimator="biased"),
    "kernel_alignment of a mean": lambda: ka.kernel_alignment(MEAN, Y),
    "distance_correlation": lambda: ka.distance_correlation(CONSTANT, Y),
    "mutual_knn of ties": lambda: ka.mutual_knn(TIED, TIED, 3, ties="index"),
    "mutual_knn of lists": lambda: ka.mutual_knn(ka.knn(TIED, 3), ka.knn(TIED, 3), 3),
    "edit_knn of ties": lambda: ka.edit_knn(TIED, TIED, 3),
    "cca": lambda: ka.cca(CONSTANT, Y),
    "cca that is perfect": lambda: ka.cca(WIDE, WIDE[:, ::-1]),
    "svcca": lambda: ka.svcca(CONSTANT, Y),
    "procrustes": lambda: ka.nbs(CONSTANT, Y),
    "matching": lambda: ka.one_to_one(CONSTANT, Y),
    "predictivity": lambda: ka.linear_predictivity(X, CONSTANT),
    "rsa": lambda: ka.rsa(CONSTANT, Y, distance="euclidean"),
    "standardize": lambda: ka.mutual_knn(FAINT, Y, normalize="standardize"),
    "target alignment": lambda: ka.kernel_target_alignment(CONSTANT, Y[:, 0]),
    "measure": lambda: ka.measure("cka", CONSTANT, Y),
    "measure of ties": lambda: ka.measure("lcs_knn", TIED, TIED, k=3),
    "independence_test": lambda: ka.independence_test(CONSTANT, Y),
    "permutation_test": lambda: ka.permutation_test("cka", CONSTANT, Y, permutations=9),
    "compare_scores": lambda: ka.compare_scores("cka", CONSTANT, X, Y),
    "compare": lambda: ka.compare({"x": CONSTANT}, {"y": Y}),
    "compare of layers": lambda: ka.compare({"x": np.stack([DOMINANT, X], 1)}, {"y": Y}, metrics=("cka",)),
    "Moments": lambda: streamed(CONSTANT, Y).cka(),
    "Moments of one direction": lambda: streamed(DOMINANT, Y).cka(),
    "Moments of a mean": lambda: streamed(MEAN, Y).kernel_alignment(),
    "Moments.cca": lambda: streamed(CONSTANT, Y).cca(),
    "stitcher's score": lambda: stitching.AffineStitcher().fit(X, CONSTANT).score(X, CONSTANT),
    "probe": lambda: stitching.LinearProbe().fit(FAINT, np.arange(40) % 2),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_warning_points_at_the_users_line(call) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    ours = [one for one in caught if issubclass(one.category, ka.AlignmentWarning)]
    assert ours
    line = call.__code__.co_firstlineno
    for one in caught:
        assert Path(one.filename) == Path(__file__), str(one.message)
        assert one.lineno == line, str(one.message)
