"""Results are shown on one short line, whatever they hold."""

import dataclasses
import re

import kernalign as ka
import numpy as np
import pytest
from kernalign import embedding, pmi, robustness, stitching
from kernalign._base.readable import counted
from samples import related

X, Y = related(300, 20, 12)
HEAD = np.ones((2, 12))
ARRAYS = re.compile("Array|Values|Matrix|Hits")
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
    "Comparison": lambda: ka.compare({"x": X, "y": Y, "z": X[:, :5]}),
    "Best": lambda: ka.compare({"x": X, "y": Y, "z": X[:, :5]})["cka"],
    "Description": lambda: ka.describe(X),
    "Neighbors": lambda: ka.knn(X, 5),
    "Moments": lambda: ka.Moments().update(X, Y),
    "PermutationTest": lambda: ka.permutation_test("cka", X, Y, permutations=99),
    "IndependenceTest": lambda: ka.independence_test(X, Y),
    "PairedDifference": lambda: ka.compare_scores("cka", X, X[:, :5], Y),
    "PairingCheck": lambda: ka.check_pairing(X, Y),
    "MapCorrelation": lambda: ka.mantel_test(X[:8] @ X[:8].T, Y[:8] @ Y[:8].T, permutations=99),
    "MetricAgreement": lambda: ka.metric_agreement({"a": X[:8] @ X[:8].T, "b": Y[:8] @ Y[:8].T}, permutations=99),
    "McNemar": lambda: stitching.mcnemar(X[:, 0] > 0, Y[:, 0] > 0),
    "Score": lambda: ka.cka(X, Y, uncertainty="jackknife"),
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


@pytest.mark.parametrize("name", sorted(set(RESULTS) - {"LinearHead", "MLPHead"}))
def test_results_are_short_tables_in_notebooks(name: str) -> None:
    page = RESULTS[name]()._repr_html_()
    assert page.startswith("<table>")
    assert page.count("<tr>") == page.count("</tr>") >= 1 or name == "Comparison"
    assert len(page) < 6000


def test_every_result_with_arrays_is_short() -> None:
    """A dataclass shows its arrays in full otherwise."""
    wrong = []
    for module in (ka, stitching, embedding, pmi, robustness):
        for name in getattr(module, "__all__", dir(module)):
            public = getattr(module, name)
            if isinstance(public, type) and dataclasses.is_dataclass(public):
                held = [part for part in dataclasses.fields(public) if part.repr and ARRAYS.search(str(part.type))]
                if held and "_repr_html_" not in dir(public):
                    wrong.append(name)
    assert wrong == []


def test_names_are_text_in_notebooks() -> None:
    """Names come from files of others."""
    evil = "<img src=x onerror=alert(1)>\u202e&"
    models = {evil: X, "y": Y, f"{evil}z": np.ones_like(X)}
    with pytest.warns(ka.UndefinedScoreWarning):
        found = ka.compare(models, metrics={f"{evil}m": "cka"})
    pages = [found._repr_html_(), found[f"{evil}m"]._repr_html_()]
    pages.append(ka.permutation_test(_named(evil), X, Y, permutations=9)._repr_html_())
    for page in pages:
        assert "&lt;img src=x onerror=alert(1)&gt;\\u202e&amp;" in page
        assert "<img" not in page
        assert "\u202e" not in page


def _named(name: str):
    def score(x, y):
        return float((x[:, 0] * y[:, 0]).sum())

    score.__name__ = name
    return score


def test_a_notebook_computes_no_p_value_to_show_a_score() -> None:
    score = ka.cka(X, Y)
    assert '<th style="text-align:left">p value' not in score._repr_html_()
    assert score.p_value is not None
    assert "p value" in score._repr_html_()


def test_many_models_are_a_few_lines() -> None:
    rng = np.random.default_rng(0)
    models = {f"model {i}": rng.normal(size=(20, 3)) for i in range(40)}
    found = ka.compare(models, metrics=("cka",), p_values=False)
    assert len(repr(found)) < 200
    assert len(found._repr_html_()) < 3000
    assert "and 32 more rows and columns" in found["cka"]._repr_html_()


def test_numbers_have_six_digits_and_arrays_their_shape() -> None:
    assert repr(stitching.MLPHead([HEAD, np.ones((3, 2))])) == "MLPHead(12 -> 2 -> 3, relu)"
    shown = repr(ka.kare(X, Y[:, :1], [0.1, 1 / 3]))
    assert shown.startswith("KarePath(ridges=[0.1, 0.333333], risk=[")
    assert repr(pmi.pmi_kernel(np.ones((9, 9)))) == "PmiKernel(kernel=array(9, 9), kept=array(9,))"


def test_one_of_something_is_not_several() -> None:
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [counted(n, "row is", "rows are") for n in (1, 2)] == ["1 row is", "2 rows are"]
