"""permutation_test of rsa, whose dissimilarities are made once, against calls for every pairing."""

from functools import partial

import kernalign as ka
import numpy as np
import pytest
from samples import related

COMPARISONS = ("spearman", "rho_a", "pearson", "cosine")


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("distance", ["correlation", "cosine", "euclidean", "sqeuclidean"])
def test_pairings_score_as_calls_do(comparison, distance):
    x, y = related(14, 6, 9)
    tested = partial(ka.rsa, distance=distance, comparison=comparison)
    found = ka.permutation_test(tested, x, y, permutations=30)
    slow = ka.permutation_test(lambda a, b: tested(a, b), x, y, permutations=30)
    np.testing.assert_allclose(found.null, slow.null, rtol=1e-9, atol=1e-13)
    assert found.score == pytest.approx(float(tested(x, y)), rel=1e-12)
    assert found.p_value == slow.p_value


def test_layers_groups_and_preprocessing():
    x, y = related(16, 6, 9)
    layers = [x, np.round(x), x**3]
    groups = np.arange(16) // 2
    found = ka.permutation_test("rsa", layers, y, permutations=30, groups=groups, normalize="standardize")
    scores = [ka.rsa(one, y, normalize="standardize") for one in layers]
    np.testing.assert_allclose(found.scores[:, 0], np.array(scores, dtype=float), rtol=1e-10)
    assert found.score == pytest.approx(max(map(float, scores)), rel=1e-10)
    slow = ka.permutation_test(lambda a, b: ka.rsa(a, b), layers, y, permutations=30, groups=groups)
    plain = ka.permutation_test("rsa", layers, y, permutations=30, groups=groups)
    np.testing.assert_allclose(plain.null, slow.null, rtol=1e-9, atol=1e-13)


def test_what_has_no_score_has_none_here():
    y = related(9, 3, 3)[0]
    with pytest.warns(ka.UndefinedScoreWarning):
        assert np.isnan(ka.permutation_test(partial(ka.rsa, distance="euclidean"), np.eye(9), y, permutations=9).score)
    with pytest.raises(ValueError, match="row 4 is constant"):
        ka.permutation_test("rsa", np.where(np.arange(9)[:, None] == 4, 1.0, y), y, permutations=9)
