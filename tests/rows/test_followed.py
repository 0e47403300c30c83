"""Arguments that have an entry for each row follow the rows: by their labels, and where rows are dropped or joined."""

from __future__ import annotations

import inspect
from functools import partial
from itertools import combinations

import kernalign as ka
import numpy as np
import pandas as pd
import public_arguments
import pytest
from kernalign import robustness
from rows.followed_cases import (
    ALIGNED,
    BY_PLACE,
    DISTANCES,
    FEW,
    FOLDS,
    FOLLOWED,
    NAMES,
    NOT_OF_ITEMS,
    OF_ITEMS,
    ORDERS,
    PAIRS,
    N,
    X,
    Y,
    follow,
    labelled,
    without,
)


@pytest.mark.parametrize("case", FOLLOWED, ids=" ".join)
def test_an_argument_of_items_is_found_by_labels_and_follows_rows(case) -> None:
    run, beside = FOLLOWED[case]
    wanted, argument = run(X, Y, beside), case[1].split()[0]
    close = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)
    x, y = labelled(X, np.arange(N)), labelled(Y, ORDERS[0])
    close(run(x, y, follow(beside, argument, ORDERS[1])), wanted)
    close(run(X, Y, follow(beside, argument, np.arange(N))), wanted)  # x carries none: by position
    # By position where that is asked for, whatever the labels are.
    turned = beside if argument in BY_PLACE else beside[ORDERS[1]]
    apart = run(x, labelled(Y, np.arange(N)), follow(beside, argument, ORDERS[1]), pairing="position")
    close(apart, run(X, Y, turned))
    # Of dropped rows, and of those that one side has alone.
    kept = np.delete(np.arange(N), [3, 11])
    some = run(X[kept], Y[kept], without(beside, argument, kept))
    x_bad, y_bad = X.copy(), Y.copy()
    x_bad[3], y_bad[11, 1] = np.nan, np.inf
    close(run(x_bad, y_bad, beside, nan_rows="drop_pair"), some)
    aligned = run(
        labelled(x_bad, np.arange(N)),
        labelled(y_bad, ORDERS[0]),
        follow(beside, argument, ORDERS[1]),
        nan_rows="drop_pair",
    )
    close(aligned, some)
    close(run(X, Y[kept], beside, ids=(NAMES, NAMES[kept]), pairing="ids"), some)
    if argument not in BY_PLACE:
        close(run(X, Y[kept], labelled(beside, ORDERS[1]), ids=(NAMES, NAMES[kept]), pairing="ids"), some)
        with pytest.raises(ValueError, match=rf"{argument}.*item 1|item 1.*{argument}|2 of .* are not in {argument}"):
            run(x, y, labelled(beside, np.arange(N)).iloc[2:])
        with pytest.raises(ValueError, match=f"{argument} must hold one .* per row, got 23 for 24 rows"):
            run(X, Y, beside[1:])


@pytest.mark.parametrize("case", ALIGNED, ids=" ".join)
def test_inputs_with_labels_are_taken_in_one_order(case) -> None:
    run, given = ALIGNED[case]
    orders = [np.arange(N), *ORDERS, ORDERS[0]]
    found = run(*(labelled(one, order) for one, order in zip(given, orders, strict=False)))
    np.testing.assert_allclose(
        np.asarray(found, dtype=float), np.asarray(run(*given), dtype=float), rtol=1e-9, atol=1e-12
    )


def test_no_argument_of_items_is_forgotten() -> None:
    """Every parameter whose name says that it has an entry for each item is in a table above."""
    known = {(name, argument.split()[0]) for name, argument in (*FOLLOWED, *ALIGNED)} | NOT_OF_ITEMS
    functions = {
        value: f"{module}.{name}"[1:]
        for module in public_arguments.MODULES
        for name, value in public_arguments._public(module)
    }
    found = {
        (label, name)
        for function, label in functions.items()
        if inspect.isfunction(function)
        for name in inspect.signature(function).parameters
        if name in OF_ITEMS
    }
    assert found - known == set()
    assert len(found) > 40


def test_what_can_be_read_once_serves_every_pair() -> None:
    models = {"a": X, "b": Y, "c": X + Y}
    options = {"linear_predictivity": {"cv": ((iter(train), iter(test)) for train, test in FOLDS)}}
    found = ka.compare(models, metrics=("linear_predictivity",), metric_options=options, errors="raise")
    for (a, b), score in found.scores["linear_predictivity"].items():
        assert score == ka.linear_predictivity(models[a], models[b], cv=FOLDS)
    planned = ka.plan(("cka",), models, groups=iter(PAIRS))
    for made in (ka.compare(models, metrics=("cka",), groups=iter(PAIRS)), ka.execute(planned)):
        assert made.p_values["cka"]["b", "c"] == ka.cka(Y, X + Y, groups=iter(PAIRS)).p_value
    test = ka.permutation_test(partial(ka.linear_predictivity, cv=iter(FOLDS)), X, Y, **FEW)
    assert test.score == ka.linear_predictivity(X, Y, cv=FOLDS)


def test_labels_beside_a_side_without_any_are_refused_where_they_could_be_of_either() -> None:
    with pytest.raises(ValueError, match=r"groups has the labels of y in another order, but x has none"):
        ka.cka(X, labelled(Y, ORDERS[0]), groups=labelled(PAIRS, ORDERS[1]))
    with pytest.raises(ValueError, match=r"groups has the row labels of x \(0 to 23\) in another order"):
        ka.cka(pd.DataFrame(X), Y, groups=pd.Series(PAIRS).iloc[ORDERS[0]])
    with pytest.raises(ValueError, match="groups must have an entry for every item taken, but 2 of their labels"):
        ka.cka(X, Y, ids=(NAMES, NAMES), pairing="ids", groups=labelled(PAIRS, ORDERS[0]).drop(["item 1", "item 7"]))


def test_ids_are_of_the_rows_of_their_table() -> None:
    """Ids from a table of their own are in its order; a column of the table itself needs none of the ids."""
    x, other = labelled(X, np.arange(N)), np.arange(100, 100 + N)
    ids = pd.Series(other, index=NAMES).iloc[ORDERS[0]]
    assert ka.cka(x, Y[ORDERS[1]], ids=(ids, other[ORDERS[1]])) == ka.cka(X, Y)
    wanted = ka.cka(X, Y, groups=PAIRS).p_value
    assert ka.cka(x, Y, ids=(other, other), groups=labelled(PAIRS, ORDERS[0])).p_value == wanted
    nameless = pd.DataFrame(X, index=[None, *NAMES[1:]])
    assert ka.cka(nameless, Y, ids=(other, other)) == ka.cka(X, Y)


@pytest.mark.parametrize("pairing", ["auto", "ids"])
def test_an_index_that_counts_says_nothing_beside_ids(pairing) -> None:
    """Numbers from 0 are no ids of a column, even where ids are numbers from 0 in another order."""
    wanted = ka.cka(X, Y, groups=PAIRS).p_value
    ids = ORDERS[0], ORDERS[0][ORDERS[1]]
    assert ka.cka(X, Y[ORDERS[1]], ids=ids, pairing=pairing, groups=pd.Series(PAIRS)).p_value == wanted
    assert ka.cka(pd.DataFrame(X), Y[ORDERS[1]], ids=ids, pairing=pairing, groups=pd.Series(PAIRS)).p_value == wanted
    with pytest.raises(ValueError, match=r"x has the row labels of groups \(0 to 23\) in another order"):
        ka.cka(pd.DataFrame(X, index=ORDERS[0]), Y, ids=ids, groups=pd.Series(PAIRS))


def test_what_is_made_of_labelled_rows_knows_their_order() -> None:
    x, y = labelled(X, np.arange(N)), labelled(Y, ORDERS[0])
    assert ka.mutual_knn(ka.knn(x, 3), ka.knn(labelled(Y, np.arange(N)), 3)) == ka.mutual_knn(X, Y, k=3)
    assert ka.mutual_knn(ka.knn(x, 3), ka.knn(Y, 3)) == ka.mutual_knn(X, Y, k=3)
    for run in (
        lambda: ka.mutual_knn(ka.knn(x, 3), ka.knn(y, 3)),
        lambda: ka.permutation_test("mutual_knn", ka.knn(x, 3), ka.knn(y, 3), k=3),
        lambda: ka.spectral_overlap(ka.spectrum(x), ka.spectrum(y), 2),
        lambda: ka.plan("cka", x, y),  # rows are read as they come
        lambda: ka.plan("mutual_knn", {"one": x}, {"two": y}, k=3),
    ):
        with pytest.raises(
            ValueError, match=r"must have rows in the order of those of x(\['one'\])? here, got their labels"
        ):
            run()
    groups = labelled(PAIRS, ORDERS[1])
    lists = ka.knn(x, 12), ka.knn(Y, 12)
    assert ka.mutual_knn(*lists, k=3, groups=groups) == ka.mutual_knn(X, Y, k=3, groups=PAIRS)
    test = ka.permutation_test("mutual_knn", *lists, k=3, groups=groups, **FEW)
    assert test.p_value == ka.permutation_test("mutual_knn", X, Y, k=3, groups=PAIRS, **FEW).p_value


def test_pairs_of_labelled_conditions_are_taken_by_them() -> None:
    """A vector under the names of pairs has conditions in their order; one that is no triangle is refused."""

    def vector(distances, order):
        found = labelled(distances, order)
        return pd.Series(found.to_numpy()[np.triu_indices(N, 1)], index=list(combinations(found.index, 2)))

    a, b, c = DISTANCES
    wanted = float(ka.rsa(a, b, distance="precomputed"))
    given = vector(a, ORDERS[0]), vector(b, ORDERS[1])
    of_rsa = partial(ka.rsa, distance="precomputed")
    close = partial(np.testing.assert_allclose, rtol=1e-9)
    close(of_rsa(*given), wanted)
    close(of_rsa(given[0], labelled(b, ORDERS[2])), wanted)
    close(of_rsa(given[0].to_numpy(), vector(b, ORDERS[0]).to_numpy()), wanted)
    options = {"metrics": ("rsa",), "metric_options": {"rsa": {"distance": "precomputed"}}}
    close(ka.compare(dict(zip("ab", given, strict=True)), **options).scores["rsa"]["a", "b"], [[wanted]])
    close(ka.permutation_test(of_rsa, *given, **FEW).score, wanted)
    found = ka.compare_scores("rsa", *given, labelled(c, ORDERS[2]), distance="precomputed")
    close(found.difference, ka.compare_scores("rsa", a, b, c, distance="precomputed").difference)
    table = pd.DataFrame([vector(b, ORDERS[1]), vector(c, ORDERS[1])], index=["one", "two"])
    close(
        ka.evaluate_models({"m": given[0]}, table, samples=9).scores,
        ka.evaluate_models({"m": a}, [b, c], samples=9).scores,
    )
    words = [one.rename(index=lambda pair: f"c{pair[0]} vs c{pair[1]}") for one in given]
    close(of_rsa(*words), wanted)
    with pytest.raises(ValueError, match=r"y must hold the pairs .* got '.* vs .*' in place of \('.*', '.*'\)"):
        of_rsa(words[0], words[1].iloc[::-1])
    runs = [one.set_axis([f"run-{at}" for at in range(len(one))]) for one in given]  # which are no pairs
    assert of_rsa(runs[0], runs[1]) == of_rsa(given[0].to_numpy(), given[1].to_numpy())
    with pytest.raises(ValueError, match=r"y must hold the pairs of an upper triangle, row by row, .*to_numpy"):
        of_rsa(given[0], given[1].iloc[::-1])
    with pytest.raises(ValueError, match=r"x must hold the pairs .* got 'a' in place of a pair of conditions"):
        of_rsa(pd.Series([1.0, 2.0, 3.0], index=[("u", "v"), "a", "b"]), np.arange(3.0))


@pytest.mark.parametrize("metric", ["nbs", "cca", lambda a, b: float(ka.cka(np.asarray(a), np.asarray(b)))])
def test_tables_are_permuted_by_rows(metric) -> None:
    """A table that is indexed by numbers gives columns, and one with labels is brought back into its order."""
    wide, other = np.hstack([X, Y] * 4), np.hstack([Y, X] * 4)
    wanted = ka.permutation_test(metric, wide, other, **FEW)
    for index in (None, NAMES):
        found = ka.permutation_test(metric, pd.DataFrame(wide, index=index), pd.DataFrame(other, index=index), **FEW)
        np.testing.assert_array_equal(found.null, wanted.null)


def test_layers_of_one_array_of_a_file_have_its_names(tmp_path) -> None:
    layers, order = np.stack([Y, X, X * Y], axis=1), ORDERS[0]
    np.savez(tmp_path / "x.npz", layers, ids=NAMES)
    np.savez(tmp_path / "y.npz", Y[order], ids=np.array(NAMES)[order])
    wanted = ka.permutation_test("cka", layers, Y, **FEW)
    assert wanted.layers == (0, 0)
    for x in (tmp_path / "x.npz", ka.sources.open_source(tmp_path / "x.npz")):
        found = ka.permutation_test("cka", x, tmp_path / "y.npz", **FEW)
        np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-9)
        np.testing.assert_allclose(found.null, wanted.null, rtol=1e-9)
    with pytest.raises(ValueError, match="labels"):
        ka.permutation_test("cka", x, pd.DataFrame(Y, index=[f"other {name}" for name in NAMES]), **FEW)


def test_rows_of_other_items_are_paired_by_their_labels() -> None:
    sides = X[:6] + Y[:6], Y[:6] - X[:6]
    wanted = ka.mutual_knn(X, Y, k=3, queries=sides)
    tables = labelled(sides[0], np.arange(6)), labelled(sides[1], np.array([3, 1, 0, 5, 4, 2]))
    assert ka.mutual_knn(X, Y, k=3, queries=tables) == wanted


def test_maps_of_models_are_taken_by_the_models() -> None:
    a, b = DISTANCES[:2]
    wanted = ka.mantel_test(a[:6, :9], b[:6, :9], **FEW)
    tables = [pd.DataFrame(one[:6, :9], index=NAMES[:6], columns=NAMES[:9]) for one in (a, b)]
    found = ka.mantel_test(tables[0], tables[1].iloc[::-1, [3, 1, 2, 8, 0, 4, 6, 5, 7]], **FEW)
    assert found.value == pytest.approx(wanted.value, rel=1e-12)


def test_architectures_are_those_of_labelled_scores() -> None:
    scores = pd.DataFrame(np.corrcoef(X), index=NAMES, columns=NAMES)
    families = pd.Series(PAIRS // 3, index=NAMES)
    wanted = robustness.seed_statistics(scores, families, **FEW)
    found = robustness.seed_statistics(scores, families.iloc[ORDERS[0]], **FEW)
    assert (found.contrast, found.architectures) == (wanted.contrast, wanted.architectures)
