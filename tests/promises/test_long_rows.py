"""One row that is far longer than all others leaves them their digits: against arithmetic of 60 digits."""

import warnings

import kernalign as ka
import numpy as np
import pytest
from reference import digits

FORMS = {
    "one side": lambda x, y, long: (long(x, 0), y),
    "other items": lambda x, y, long: (long(x, -1), long(y, 2)),
    "the same item": lambda x, y, long: (long(x, 2), long(y, 2)),
}
CALLS = {
    "cka": ka.cka,
    "cka biased": lambda x, y: ka.cka(x, y, estimator="biased"),
    "hsic": ka.hsic,
    "kernel_alignment": ka.kernel_alignment,
    "distance_correlation": ka.distance_correlation,
    "cka rbf": lambda x, y: ka.cka(x, y, kernel=ka.RBF(1.5)),
    "mmd": lambda x, y: ka.mmd(x, y, kernel=ka.RBF(1.5)),
    "energy_distance": ka.energy_distance,
}


def pair(form, factor, n=9, p=4, q=2):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, p))
    y = x[:, :1] + rng.normal(size=(n, q))

    def long(side, item):
        side = side.copy()
        side[item] *= factor
        return side

    return FORMS[form](x, y, long)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
@pytest.mark.parametrize("shape", [(9, 4, 2), (6, 12, 10)], ids=str)
@pytest.mark.parametrize("factor", [1e6, 1e8])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("call", CALLS)
def test_a_long_row_costs_the_others_few_digits(call, form, factor, shape):
    """About the mean, cka of two rows 10^6 times as long as the others was wrong in its fourth digit, nan at 10^8."""
    x, y = pair(form, factor, *shape)
    if call in ("mmd", "energy_distance"):
        x, y = x[:, :2], y[:, :2]
    wanted = digits.CALLS[call](x, y)
    unit = 1.0 if call.startswith(("cka", "kernel", "distance")) else abs(wanted)
    unit /= abs(digits.CALLS["cka"](x, y)) if call == "hsic" else 1.0  # the product of both norms
    assert CALLS[call](x, y) == pytest.approx(wanted, abs=max(1e-9, 1e-15 * factor) * 10 * unit)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
@pytest.mark.parametrize("factor", [1e4, 1e6, 1e8])
@pytest.mark.parametrize("metric", ["cka", "kernel_alignment"])
def test_the_jackknife_deletes_it(metric, factor):
    x, y = pair("the same item", factor, 30, 5, 4)
    call = getattr(ka, metric)
    deleted = np.array([float(call(np.delete(x, i, 0), np.delete(y, i, 0))) for i in range(30)])
    stderr = np.sqrt(29 / 30 * ((deleted - deleted.mean()) ** 2).sum())
    assert call(x, y, uncertainty="jackknife").stderr == pytest.approx(stderr, rel=1e-4)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_its_p_value_is_that_of_pairings():
    x, y = pair("the same item", 1e7, 30, 5, 4)
    score, short = ka.cka(x, y), ka.cka(*pair("the same item", 1e3, 30, 5, 4))
    assert score.p_value == pytest.approx(short.p_value, abs=0.01)
    assert score.settings["p_method"] == short.settings["p_method"] == "999 random pairings, seed 0"


def test_rows_that_one_item_alone_has_stay_undefined():
    x = np.zeros((30, 2))
    x[3] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ka.AlignmentWarning)
        assert np.isnan(ka.cka(x, np.random.default_rng(0).normal(size=(30, 3))))
