"""Values that other packages, and manuals, publish of small data."""

import kernalign as ka
import numpy as np
import pytest

LADDER = np.arange(1.0, 10).reshape(3, 3)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
@pytest.mark.parametrize(
    ("other", "published"),
    [([[7, 3, 6], [2, 1, 4], [3, 8, 1]], 0.93387), ([[1, 1, 1], [2, 1, 1], [1, 1, 1]], 0.31623)],
)
def test_biased_distance_correlation_of_r_energy(other, published):
    found = ka.distance_correlation(LADDER, np.array(other, dtype=float), estimator="biased")
    assert found == pytest.approx(published, abs=5e-6)


def test_bias_corrected_distance_correlation_of_r_energy():
    x, y = (np.array(one, dtype=float)[:, None] for one in ([1, 2, 3, 4, 5, 6], [1, 7, 5, 5, 6, 2]))
    assert ka.distance_correlation(x, y) == pytest.approx(-0.41613, abs=5e-6)


def test_distance_correlation_of_hyppo():
    """Theirs is the root of ours."""
    x, y = (np.array(one, dtype=float)[:, None] for one in ([1, 2, 3, 4, 5], [1, 2, 9, 4, 4]))
    assert np.sqrt(ka.distance_correlation(x, y, estimator="biased")) == pytest.approx(0.762676242417, abs=1e-12)


def test_canonical_correlations_of_the_fitness_data():
    """SAS PROC CANCORR of three measures of the body and three exercises of twenty men."""
    data = pytest.importorskip("sklearn.datasets").load_linnerud()
    x, y = data.target - data.target.mean(axis=0), data.data - data.data.mean(axis=0)
    published = [0.795608, 0.200556, 0.072570]
    np.testing.assert_allclose(np.cos(ka.principal_angles(x, y, 3)), published, atol=5e-7)
    assert ka.cca(x, y) == pytest.approx(np.mean(published), abs=5e-7)
    assert ka.cca(x, y, statistic="r2") == pytest.approx(np.mean(np.square(published)), abs=5e-7)


def test_mantel_of_scikit_bio():
    a, b = [[0, 1, 2], [1, 0, 3], [2, 3, 0]], [[0, 2, 7], [2, 0, 6], [7, 6, 0]]
    assert ka.mantel_test(a, b, correlation="pearson", permutations=9).value == pytest.approx(0.7559289, abs=5e-8)


def test_svcca_of_platonic_rep_is_a_distribution():
    """PyTorch's svd_lowrank and scikit-learn's CCA gave 0.609 +- 0.023 over 30 seeds; exact directions are far off."""
    from kernalign import demo
    from kernalign.compat.platonic import AlignmentMetrics

    both = demo.representations()
    x, y = both["use_en"], both["use_fr"]
    drawn = [AlignmentMetrics.svcca(x, y, seed=seed) for seed in range(30)]
    assert np.mean(drawn) == pytest.approx(0.609, abs=4 * 0.023 / np.sqrt(30))
    assert np.std(drawn, ddof=1) == pytest.approx(0.023, abs=0.01)
    assert AlignmentMetrics.svcca(x, y) == pytest.approx(0.7666, abs=5e-4)
    assert max(drawn) < 0.7
