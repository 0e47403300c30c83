"""A feature that one item alone has: every unbiased kernel statistic is 0/0, whichever item it is."""

import kernalign as ka
import numpy as np
import pytest

KERNELS = {
    "linear": ka.Linear(),
    "rbf": ka.RBF(1.0),
    "narrow": ka.RBF(0.1),
    "laplacian": ka.Laplacian(1.0),
    "wide": ka.Laplacian(5.0),
    "polynomial": ka.Polynomial(degree=3),
}
METRICS = {
    **{name: lambda x, y, kernel=kernel: ka.cka(x, y, kernel=kernel) for name, kernel in KERNELS.items()},
    "distance correlation": ka.distance_correlation,
}
REASON = "its U-centred Gram matrix is zero"


def active(n, item, value, dtype):
    feature = np.zeros((n, 1))
    feature[item] = value
    return feature.astype(dtype)


@pytest.mark.filterwarnings("ignore::kernalign.UndefinedScoreWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [4, 5, 10, 64, 127, 513])
@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_one_active_item(metric, n, dtype):
    for item in {0, 1, n // 2, n - 1}:
        for value in (1, 0.1, 7e3):
            score = metric(active(n, item, value, dtype), active(n, (7 * item + 3) % n, 1, dtype))
            assert np.isnan(float(score)), (item, value)
            assert score.reason.endswith(REASON)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::kernalign.UndefinedScoreWarning")
@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_one_active_item_of_any_number(metric):
    for n in [*range(4, 130), 255, 1000, 3000, 10_000]:
        item = (13 * n) % n
        assert np.isnan(float(metric(active(n, item, 1, np.float64), active(n, (7 * item + 3) % n, 1, np.float64)))), n


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_two_active_items_are_defined(metric):
    """Of one matrix: two items that are alike and unlike all others, on both sides."""
    x = active(40, [3, 8], 1, np.float64)
    assert float(metric(x, x)) == pytest.approx(1, rel=1e-9)


@pytest.mark.filterwarnings("ignore::kernalign.UndefinedScoreWarning", "ignore:.*rows are zero")
def test_other_ways_to_the_same_sums():
    x, y = active(100, 10, 1, np.float64), active(100, 73, 1, np.float64)
    found = ka.permutation_test("distance_correlation", x, y, permutations=20)
    assert np.isnan(found.score)
    assert np.isnan(found.p_value)
    assert np.isnan(float(ka.Moments().update(x, y).cka()))
    scores = ka.compare({"x": x}, {"y": y}, metrics=["distance_correlation", "cka"]).scores
    assert all(np.isnan(cells["x", "y"]).all() for cells in scores.values())
    assert np.isnan(ka.independence_test(x, y, kernel=ka.RBF(1.0)).p_value)
