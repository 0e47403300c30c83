"""Checks of known orders on scores made by hand, the networks that they are put to, and suites of these in small."""

import sys
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from kernalign import suite
from kernalign.suite import builtin, claims, description, known_orders, networks, trained
from kernalign.suite.gathered import standings
from kernalign.suite.scored import Scores


def rows_of(scores, **more):
    """Rows of one metric from scores by pair."""
    return [
        {"x": x, "y": y, "score": score, "x_layer": "", "y_layer": "", "x_side": x[0], "y_side": y[0], **more}
        for (x, y), score in scores.items()
    ]


@pytest.mark.parametrize("sign", [1, -1])
def test_nested_layers(sign):
    alike = {
        ("a1", "a2"): 0.9,
        ("a2", "a3"): 0.5,
        ("a1", "a3"): 0.6,
        ("b1", "b2"): 0.4,
        ("b3", "b2"): 0.5,
        ("b1", "b3"): 0.1,
    }
    rows = rows_of({pair: sign * score for pair, score in alike.items()})
    check = {"metric": "m", "order": ["a1", "a2", "a3", "b1", "b2", "b3"]}
    found = known_orders.nested(check, Scores(rows, sign))
    assert found.value == 0.75  # one of the outer pairs is closer than one that it holds
    assert found.verdict == "held"
    assert known_orders.nested({**check, "least": 0.8}, Scores(rows, sign)).verdict == "refuted"
    assert known_orders.nested(check, Scores([], sign)).verdict == "undecided"


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("twice", [False, True])
def test_same_layer(sign, twice):
    """p's second layer is closest to q's first; with scores of both orders, by their sum."""
    table = {("1", "1"): 0.9, ("1", "2"): 0.1, ("2", "1"): 0.8, ("2", "2"): 0.7}
    rows = [{"x": "p", "y": "q", "x_layer": a, "y_layer": b, "score": sign * s} for (a, b), s in table.items()]
    if twice:
        rows += [{"x": "q", "y": "p", "x_layer": b, "y_layer": a, "score": sign * s} for (a, b), s in table.items()]
    assert known_orders.same_layer({"metric": "m"}, Scores(rows, sign)).value == 0.75


@pytest.mark.parametrize("sign", [1, -1])
def test_known_pairs_and_noticed_damage(sign):
    alike = {
        ("a", "b"): 0.5,
        ("a", "a1"): 0.9,
        ("a", "a2"): 0.4,
        ("a", "a3"): 0.1,
        ("b", "b1"): 0.8,
        ("b", "b2"): 0.7,
        ("b", "b3"): 0.3,
    }
    scores = Scores(rows_of({pair: sign * score for pair, score in alike.items()}), sign)
    values = [["a", "a1", 3], ["a2", "a", 2], ["a", "a3", 1], ["a", "nothing", 5]]
    assert known_orders.known({"metric": "m", "values": values}, scores).value == pytest.approx(1)
    cut = {"a": ["a1", "a2", "a3"], "b": ["b1", "b2", "b3"]}
    check = {"metric": "m", "whole": ["a", "b"], "cut": cut, "sizes": [8, 4, 1], "of": "16"}
    assert known_orders.noticed(check, scores).value == 2.5  # 4 of a, 1 of b


def layered_rows(scores):
    return [
        {"x": "a", "y": "b", "x_layer": f"l{at}", "y_layer": "", "score": one, "p_value": p, "x_family": "f"}
        | {"y_family": "f"}
        for at, (one, p) in enumerate(scores)
    ]


@pytest.mark.parametrize(
    ("check", "scores", "verdict", "why"),
    [
        ({"kind": "monotone", "x": "a"}, [(0.1, 1), (0.2, 1), (0.3, 1)], "held", "layer and score 1.000"),
        ({"kind": "monotone", "x": "a"}, [(0.3, 1), (0.2, 1), (0.1, 1)], "refuted", "layer and score -1.000"),
        ({"kind": "monotone", "x": "a", "y": "c"}, [(0.3, 1)], "undecided", "it has 0 layers"),
        ({"kind": "monotone", "x": "b", "y": "a"}, [(0.3, 1)] * 3, "undecided", "it has 1 layers"),
        ({"kind": "uniform"}, [(0.0, at / 40) for at in range(40)], "held", "5.0% are below 0.05"),
        ({"kind": "uniform"}, [(0.0, 0.001)] * 40, "refuted", "100.0% are below 0.05"),
        ({"kind": "uniform"}, [(0.0, None)] * 40, "undecided", "there are 0"),
        ({"kind": "above_chance"}, [(0.0, 0.01), (0.0, np.nan)], "held", "0 of 1 p-values are above 0.05"),
        ({"kind": "above_chance"}, [(0.0, 0.1)], "refuted", "1 of 1 p-values are above 0.05; the largest is 0.1"),
        ({"kind": "above_chance"}, [(0.0, None)], "undecided", "no p-values are known"),
        ({"kind": "bound", "x": "c"}, [(0.0, 1)], "undecided", "there is no such score"),
        ({"kind": "separation"}, [(0.0, 1)], "undecided", "no pairs of either kind"),
        ({"kind": "order", "x": "a", "expect": ["b", "c"]}, [(0.0, 1)], "undecided", "there is no score of c"),
    ],
)
def test_checks_of_made_up_scores(check, scores, verdict, why):
    rows = layered_rows(scores)
    found = claims._KINDS[check["kind"]]({"metric": "m", **check}, Scores(rows, 1))
    assert found.verdict == verdict
    assert why in found.why
    if check["kind"] == "separation":
        agreement = claims._KINDS["agreement"]({"metric": "m", "other": "o"}, Scores(rows, 1), Scores(rows, 1))
        assert (agreement.verdict, agreement.why) == ("undecided", "there are 1 pairs that both have")


def test_models_of_no_family_are_of_none():
    families = {"a": "f", "b": "f", "c": "g", "d": None, "e": None}
    scores = {("a", "b"): 0.9, ("a", "c"): 0.1, ("b", "c"): 0.2, ("d", "e"): 0.0, ("a", "d"): 1.0, ("e", "c"): 1.0}
    rows = [{"x_family": families[x], "y_family": families[y], "score": one} for (x, y), one in scores.items()]
    found = claims._KINDS["separation"]({"metric": "m"}, Scores(rows, 1))
    assert (found.verdict, found.value) == ("held", 1.0)
    alone = claims._KINDS["separation"]({"metric": "m"}, Scores(rows[3:], 1))
    assert (alone.verdict, alone.why) == ("undecided", "there are no pairs of either kind")


def test_distances_are_closer_where_they_are_smaller(tmp_path):
    """Separation and order of a distance, which were read as if it were a similarity."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(2, 40, 3))
    for at in range(6):
        np.save(tmp_path / f"m{at}.npy", centres[at % 2] + 0.1 * draw.normal(size=(40, 3)))
    models = "".join(f'[[models]]\nname = "m{at}"\nfamily = "{at % 2}"\nset.s = "m{at}.npy"\n' for at in range(6))
    (tmp_path / "suite.toml").write_text(
        '[sets.s]\nids = "by-position"\n' + models + '[[metrics]]\nid = "procrustes"\n[[metrics]]\nid = "nbs"\n'
        '[[checks]]\nkind = "separation"\nmetric = "procrustes"\n'
        '[[checks]]\nkind = "order"\nmetric = "procrustes"\nx = "m0"\nexpect = ["m2", "m1"]\n'
        '[[checks]]\nkind = "agreement"\nmetric = "procrustes"\nother = "nbs"\n'
    )
    run = suite.load(tmp_path).run()
    assert [claim.verdict for claim in run.claims] == ["held"] * 3
    assert run.claims[0].value == 1


def test_slopes_are_those_of_differences():
    draw = np.random.default_rng(0)
    made = networks.trained(draw.random((30, 5)), draw.integers(0, 10, 30), [1, 2], hidden=(7, 6), steps=3)
    made = networks.Networks([one.astype(float) for one in made.weights], [one.astype(float) for one in made.biases])
    x, labels = draw.random((2, 20, 5)), draw.integers(0, 10, (2, 20))

    def loss():
        chosen = np.take_along_axis(networks.softmax(made.layers(x)[-1]), labels[..., None], -1)
        return -np.log(chosen).mean(axis=(1, 2))

    for values, slope in zip((*made.weights, *made.biases), networks._slopes(made, x, labels), strict=True):
        for at in [(0, 0, 0), (1, values.shape[1] - 1, values.shape[2] - 2)]:
            before, step = values[at], 1e-5
            values[at] = before + step
            above = loss()[at[0]]
            values[at] = before - step
            below = loss()[at[0]]
            values[at] = before
            assert slope[at] == pytest.approx((above - below) / (2 * step), abs=1e-8)


def test_a_network_depends_on_its_own_seed_only():
    draw = np.random.default_rng(0)
    x, labels = draw.random((40, 5), dtype=np.float32), draw.integers(0, 10, 40)
    train = partial(networks.trained, x, labels, hidden=(8,), noise=0.1, steps=20)
    both, alone = train([3, 4]), train([4])
    np.testing.assert_allclose(both.weights[0][1], alone.weights[0][0], rtol=1e-5)
    assert not np.allclose(both.weights[0][0], both.weights[0][1])


@pytest.fixture
def small(monkeypatch):
    """Few networks, items, steps and metrics."""
    pytest.importorskip("sklearn")
    monkeypatch.setattr(trained, "METRICS", [{"id": "cka"}, {"id": "procrustes"}, {"id": "mutual_knn", "k": 5}])
    for name, value in {"_NETWORKS": 3, "_SEEDS": 2, "_ITEMS": 60, "_LEFT": (16, 4, 1), "_LEVELS": (0.0, 1.0)}.items():
        monkeypatch.setattr(trained, name, value)
    monkeypatch.setattr(trained, "trained", partial(networks.trained, steps=80))


@pytest.mark.parametrize("name", trained.MAKERS)
def test_suites_of_networks_run_to_a_report(name, small, tmp_path):
    pytest.importorskip("jinja2")
    run = builtin.load(name, tmp_path).run()
    assert run.failed == 0
    assert all(claim.value is not None for claim in run.claims)
    table = standings(run)
    assert [row[0] for row in table] == ["metric", "cka", "procrustes", "mutual_knn"]
    assert "Metrics under the same checks" in run.report().read_text(encoding="utf-8")
    assert builtin.load(name, tmp_path).last().missing == 0  # without training again
    assert builtin.load(name, tmp_path, seed=1).last().missing > 0


def test_label_noise_is_the_same_for_every_seed_and_nested():
    pytest.importorskip("sklearn")
    data = networks.digits()
    made = trained._conditions(data, np.random.default_rng([0, 0]))
    wrong = made["labels"][1].reshape(len(trained._LEVELS), trained._SEEDS, -1)
    assert (wrong == wrong[:, :1]).all()
    changed = wrong[:, 0] != data.labels
    assert not changed[0].any()
    for less, more in pairwise(changed):
        assert (more | ~less).all()
    assert changed.mean(axis=1)[2] == pytest.approx(0.45, abs=0.03)  # a tenth of random labels is right


def test_unknown_needs_are_named():
    with pytest.raises(ValueError, match="checks noticed must have whole"):
        description._check({"kind": "noticed", "metric": "cka"}, ["cka"], ())
    assert {*claims._KINDS, "probe"} == set(description.CHECKS)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ({"kind": "known", "values": [["a", "b"]]}, r"values must hold \[x, y, number\], got \['a', 'b'\]"),
        (
            {"kind": "noticed", "whole": ["a"], "cut": {"a": ["b"]}, "sizes": [2, 1], "of": "3"},
            "cut must have a model of 'a' for each of sizes, got 1 for 2 sizes",
        ),
    ],
)
def test_what_is_known_must_have_its_form(check, message):
    with pytest.raises(ValueError, match=message):
        description._check({"metric": "cka", **check}, ["cka"], ())


def test_suites_of_digits_name_what_they_need(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"needs scikit-learn: pip install 'kernalign\[sklearn\]'"):
        networks.digits()
