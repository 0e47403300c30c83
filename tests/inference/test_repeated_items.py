"""Whatever gives p-values or intervals says, once of each side, that items repeat, and nothing of items in groups."""

import warnings

import kernalign as ka
import numpy as np
import pytest
from kernalign import stitching

RNG = np.random.default_rng(0)
X, Y, B = (np.repeat(RNG.normal(size=(20, p)), 3, axis=0) for p in (4, 5, 6))
GROUPS = np.arange(60) // 3
CLASSES = np.repeat(RNG.integers(0, 2, 20), 3)
FEW = {"permutations": 19}

PAIRED = {name: record for name, record in ka.METRICS.items() if record.paired}
TESTED = ["cka", "mutual_knn", "cknna", "rsa", "nbs", lambda a, b: float(a[:, 0] @ b[:, 0])]


def told(call, *given, **how):
    """The sides that are said to hold repeated items, in order."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*given, **how)
    texts = [str(one.message) for one in caught if "earlier row" in str(one.message)]
    assert all(text.startswith("40 rows of ") for text in texts)
    assert {one.filename for one in caught} <= {__file__}
    return [text[11] for text in texts]


@pytest.mark.parametrize("name", PAIRED)
def test_metrics(name):
    record = PAIRED[name]
    how = dict.fromkeys(record.needs, 2)
    assert told(record.function, X, Y, **how) == ["x", "y"]
    if record.takes("groups"):
        assert told(record.function, X, Y, groups=GROUPS, **how) == []


@pytest.mark.parametrize("metric", TESTED, ids=lambda one: one if isinstance(one, str) else "a function")
def test_permutation_tests(metric):
    assert told(ka.permutation_test, metric, X, Y, **FEW) == ["x", "y"]
    assert told(ka.permutation_test, metric, [X, X + 1], [RNG.normal(size=(60, 2)), Y], **FEW) == ["x", "y"]
    assert told(ka.permutation_test, metric, X, Y, groups=GROUPS, **FEW) == []


@pytest.mark.parametrize("method", ["moments", "gamma", "permutation"])
def test_independence_tests(method):
    given = {"method": method, "permutations": 99, "kernel": ka.Linear()}
    assert set(told(ka.independence_test, X, Y, **given)) == {"x", "y"}
    assert told(ka.independence_test, X, Y, groups=GROUPS, **given) == []
    p = ka.independence_test(X, Y, groups=GROUPS, **given).p_value
    assert p == pytest.approx(ka.cka(X, Y, groups=GROUPS).p_value, abs=0.1)


@pytest.mark.parametrize("metric", ["cka", "hsic", "kernel_alignment", "rsa", "mutual_knn"])
def test_differences_of_scores(metric):
    assert told(ka.compare_scores, metric, X, B, Y) == ["a", "b", "y"]
    assert told(ka.compare_scores, metric, X, B, Y, groups=GROUPS) == []


def test_transferred_probes():
    assert told(stitching.transfer_accuracy, X, Y, CLASSES, GROUPS < 5) == ["a"]
    alone = RNG.normal(size=X.shape)
    assert told(stitching.transfer_accuracy, alone, alone, CLASSES, GROUPS < 5) == []
