"""Every ``progress`` callable is told of numbers that never go back and reach their total once, at the end."""

import inspect
import itertools

import kernalign as ka
import numpy as np
import pytest
from kernalign.metrics.registry import METRICS
from kernalign.stitching import ridge_path
from samples import related

X, Y = related(90, 6, 6)
GROUPS = np.arange(90) // 3
FAR = [((v[:12, None] - v[:12]) ** 2).sum(axis=2) for v in (X, Y)]
CALLS = {
    name: lambda report, name=name: getattr(ka, name)(X, Y, progress=report)
    for name in METRICS
    if name != "subspace_overlap"
}
CALLS |= {
    "cka of clipped rows": lambda report: ka.cka(X, Y, clip_quantile=0.9, progress=report),
    "cka, jackknife": lambda report: ka.cka(X, Y, uncertainty="jackknife", progress=report),
    "cka, Grams": lambda report: ka.cka(X, Y, kernel=ka.RBF(), progress=report),
    "mmd": lambda report: ka.mmd(X, Y, progress=report),
    "mutual_knn with groups": lambda report: ka.mutual_knn(X, Y, 5, groups=GROUPS, progress=report),
    "mutual_knn, shared ties": lambda report: ka.mutual_knn(np.round(X), Y, 5, ties="fractional", progress=report),
    "knn": lambda report: ka.knn(X, 5, progress=report),
    "Moments.update": lambda report: ka.Moments().update(X, Y, progress=report),
    "describe": lambda report: ka.describe(X, progress=report),
    "compare": lambda report: ka.compare({"x": X, "y": Y}, metrics=["cka", "mutual_knn", "cca"], progress=report),
    "compare_scores": lambda report: ka.compare_scores("cka", X, Y, Y[::-1], progress=report),
    "subspace_overlap": lambda report: ka.subspace_overlap(X, Y, 2, progress=report),
    "permutation_test": lambda report: ka.permutation_test("cka", X, Y, permutations=99, progress=report),
    "evaluate_models": lambda report: ka.evaluate_models({"x": FAR[0]}, FAR, samples=20, progress=report),
    "spectrum": lambda report: ka.spectrum(X, progress=report),
    "spectral_overlap": lambda report: ka.spectral_overlap(X, Y, 2, progress=report),
    "cumulative_power": lambda report: ka.cumulative_power(X, Y, cv=3, progress=report),
    "kare": lambda report: ka.kare(X, Y, [0.1], progress=report),
    "linear_predictivity, folds": lambda report: ka.linear_predictivity(X, Y, cv=3, progress=report),
    "ridge_path": lambda report: ridge_path(X, Y, leave_one_out=True, progress=report),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(CALLS))
def test_reports_reach_their_total_once(name):
    reports = []
    CALLS[name](lambda done, total: reports.append((done, total)))
    assert reports
    for (done, total), (later, larger) in itertools.pairwise(reports):
        assert 0 <= done < later
        assert done < total <= larger
    assert reports[-1][0] == reports[-1][1]


def test_the_table_holds_every_public_function_of_pairs_that_reports():
    """All that take ``progress`` by name; those of METRICS take it among their options. Those of many models
    are told by the same means."""
    named = {name for name in dir(ka) if callable(getattr(ka, name)) and "progress" in _parameters(getattr(ka, name))}
    elsewhere = {"noise_curve", "seed_stability", "mantel_test", "metric_agreement", "execute", "run_task"}
    assert named - elsewhere <= {name.split()[0].strip(",") for name in CALLS}


def _parameters(function):
    try:
        return inspect.signature(function).parameters
    except ValueError:
        return {}
