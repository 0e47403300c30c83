"""Calls with an argument that has an entry for each row, by the function and the argument, and how to reorder it."""

from __future__ import annotations

from functools import partial
from typing import Any

import kernalign as ka
import numpy as np
import pandas as pd
from kernalign import embedding, stitching
from samples import related

N = 24
RNG = np.random.default_rng(5)
X, Y = related(N, 4, 4)
Z = X[:, :2] + RNG.normal(size=(N, 2))
NAMES = np.array([f"item {at}" for at in range(N)])
ORDERS = [RNG.permutation(N) for _ in range(3)]
PAIRS = RNG.permutation(N) // 2  # labels of rows, two of each
CLASSES = RNG.permutation(N) % 2
TRAIN = RNG.permutation(N) < N // 2
FOLDS = [(np.flatnonzero(TRAIN), np.flatnonzero(~TRAIN)), (np.flatnonzero(~TRAIN), np.flatnonzero(TRAIN))]
DISTANCES = [((side[:, None] - side) ** 2).sum(axis=2) for side in (X, Y, X + Y)]
FEW = {"permutations": 19}


def of_score(score: ka.Score) -> list[float]:
    return [float(score), score.chance or 0.0, score.p_value or 0.0, score.stderr or 0.0]


def single(name: str, argument: str, **more: Any):
    return lambda x, y, beside, **options: of_score(getattr(ka, name)(x, y, **{argument: beside}, **more, **options))


def compared(name: str, argument: str, **more: Any):
    def run(x, y, beside, **options):
        given = {"metric_options": {name: {argument: beside, **more}}} if argument != "groups" else {"groups": beside}
        if "ids" in options:
            options["ids"] = dict(zip("ab", options["ids"], strict=True))
        found = ka.compare({"a": x, "b": y}, metrics=(name,), k=3, errors="raise", **given, **options)
        return [found.scores[name]["a", "b"][0, 0], np.nan_to_num(found.p_values[name]["a", "b"][0, 0])]

    return run


def permuted(name: str, argument: str, **more: Any):
    def run(x, y, beside, **options):
        metric = (
            partial(getattr(ka, name), **{argument: beside, **more}) if argument not in ("groups", "blocks") else name
        )
        own = {argument: beside} if metric is name else {}
        found = ka.permutation_test(metric, x, y, **own, **FEW, **options)
        return [found.score, found.p_value]

    return run


def against_z(x, y, beside, **options):
    if "ids" in options:
        options["ids"] = (*options["ids"], options["ids"][0])
    found = ka.compare_scores("cka", x, y, x, groups=beside, **options)
    return [found.difference, found.stderr]


def curve(x, y, beside, **options):
    return ka.rnx_curve(x, y, [2, 4], groups=beside, **options).r_nx


LISTED = (
    "mutual_knn",
    "jaccard_knn",
    "lcs_knn",
    "edit_knn",
    "rank_similarity",
    "cycle_knn",
    "cknna",
    "second_order_cosine",
)
# What is called with x, y, an argument beside them and options of rows; and that argument.
FOLLOWED: dict[tuple[str, str], tuple[Any, Any]] = {
    **{(name, "groups"): (single(name, "groups", k=3), PAIRS) for name in LISTED},
    **{(name, "groups"): (single(name, "groups"), PAIRS) for name in ("cka", "hsic", "distance_correlation", "rsa")},
    ("rnx_curve", "groups"): (curve, PAIRS),
    ("cka", "given"): (single("cka", "given"), Z),
    ("cka", "given columns"): (single("cka", "given", adjust="columns"), Z),
    ("cka", "given labels"): (single("cka", "given", kernel=(ka.Linear(), ka.Linear(), ka.Delta())), CLASSES),
    ("distance_correlation", "given"): (single("distance_correlation", "given"), Z),
    ("rsa", "conditions"): (single("rsa", "conditions"), PAIRS),
    ("rsa", "covariance"): (single("rsa", "covariance", comparison="whitened_cosine"), np.arange(1.0, N + 1)),
    ("linear_predictivity", "groups"): (single("linear_predictivity", "groups", cv=3), PAIRS),
    ("linear_predictivity", "cv"): (single("linear_predictivity", "cv"), FOLDS),
    ("predictivity", "groups"): (single("predictivity", "groups", cv=3, regression="ridge"), PAIRS),
    ("predictivity", "cv"): (single("predictivity", "cv", regression="ridge"), FOLDS),
    ("mutual_knn", "queries"): (single("mutual_knn", "queries", k=3), np.array([1, 5, 23])),
    ("jaccard_knn", "queries"): (single("jaccard_knn", "queries", k=3), np.array([1, 5, 23])),
    ("compare", "groups"): (compared("cka", "groups"), PAIRS),
    ("compare", "groups of lists"): (compared("mutual_knn", "groups"), PAIRS),
    ("compare", "given"): (compared("cka", "given"), Z),
    ("compare", "conditions"): (compared("rsa", "conditions"), PAIRS),
    ("compare", "covariance"): (compared("rsa", "covariance", comparison="whitened_cosine"), np.arange(1.0, N + 1)),
    ("compare", "cv"): (compared("linear_predictivity", "cv"), FOLDS),
    ("compare", "queries"): (compared("mutual_knn", "queries"), np.array([1, 5, 23])),
    ("permutation_test", "groups"): (permuted("cka", "groups"), PAIRS),
    ("permutation_test", "blocks"): (permuted("cka", "blocks"), CLASSES),
    ("permutation_test", "groups of a metric"): (permuted("mutual_knn", "groups", k=3), PAIRS),
    ("permutation_test", "cv"): (permuted("linear_predictivity", "cv"), FOLDS),
    ("compare_scores", "groups"): (against_z, PAIRS),
    ("independence_test", "groups"): (
        lambda x, y, beside, **options: ka.independence_test(x, y, groups=beside, **options).p_value,
        PAIRS,
    ),
}
BY_PLACE = ("cv", "queries")  # they name rows by their numbers
# Numbers of what takes labelled inputs and drops none.
ALIGNED: dict[tuple[str, str], tuple[Any, tuple[Any, ...]]] = {
    ("dissimilarities", "conditions"): (
        lambda x, conditions: ka.dissimilarities(x, conditions=conditions).values,
        (X, PAIRS),
    ),
    ("dissimilarities", "runs"): (
        lambda x, conditions, runs: (
            ka.dissimilarities(x, distance="crossnobis", conditions=conditions, runs=runs).values
        ),
        (X, np.sort(CLASSES), np.tile([0, 1], N // 2)),
    ),
    ("cumulative_power", "targets"): (lambda x, y: ka.cumulative_power(x, y).power, (X, Y)),
    ("kare", "targets"): (lambda x, y: ka.kare(x, y, ridges=[0.1]).risk, (X, Y)),
    ("kernel_target_alignment", "targets"): (ka.kernel_target_alignment, (X, Y)),
    ("learning_curve", "targets"): (lambda x, y: ka.learning_curve(x, y, [4], ridge=0.1).error, (X, Y)),
    ("source_condition", "targets"): (lambda x, y: ka.source_condition(x, y).source, (X, Y)),
    ("cumulative_power", "targets of a spectrum"): (
        lambda x, y: ka.cumulative_power(ka.spectrum(x), y).power,
        (X, Y),
    ),
    ("stitching.transfer_accuracy", "labels"): (
        lambda a, b, labels, test: stitching.transfer_accuracy(a, b, labels, test).correct,
        (X, Y, CLASSES, TRAIN),
    ),
    ("stitching.transfer_accuracy", "test"): (
        lambda a, test: stitching.transfer_accuracy(a, Y, CLASSES, test).correct,
        (X, TRAIN),
    ),
    ("stitching.stitching_certificate", "targets"): (
        lambda f1, f2, targets: stitching.stitching_certificate(f1, f2, np.eye(4)[:2], targets).bound,
        (X, Y, Z),
    ),
    ("stitching.run_trials", "targets"): (
        lambda x, y, targets: (
            stitching.run_trials(
                x, y, {"one": stitching.AffineStitcher()}, head=np.eye(4)[:2], targets=targets, folds=3
            )[0].stitched_risk
        ),
        (X, Y, Z),
    ),
    ("stitching.mcnemar", "first"): (
        lambda a, b: stitching.mcnemar(a, b).p_value,
        (TRAIN, CLASSES > 0),
    ),
    ("mmd", "groups"): (lambda x, groups: ka.mmd(x, Y, groups=(groups, PAIRS + N)).p_value, (X, PAIRS)),
    ("energy_distance", "groups"): (
        lambda x, groups: of_score(ka.energy_distance(Y, x, groups=(PAIRS + N, groups))),
        (X, PAIRS),
    ),
    ("embedding.raw_stress", "distances"): (embedding.raw_stress, (X, DISTANCES[1])),
    ("noise_ceiling", "subjects"): (lambda *all_of: ka.noise_ceiling(all_of).upper_of, tuple(DISTANCES)),
    ("noise_ceiling", "covariance"): (
        lambda a, b, c: ka.noise_ceiling([a, b], comparison="whitened_cosine", covariance=c).upper_of,
        (*DISTANCES[:2], np.arange(1.0, N + 1)),
    ),
    ("split_half", "covariance"): (
        lambda a, b, c: ka.split_half([a, b], comparison="whitened_pearson", covariance=c).correlations,
        (*DISTANCES[:2], np.arange(1.0, N + 1)),
    ),
    ("evaluate_models", "covariance"): (
        lambda a, b, c, d: (
            ka.evaluate_models({"one": a}, [b, c], comparison="whitened_cosine", covariance=d, samples=9).mean
        ),
        (*DISTANCES, np.arange(1.0, N + 1)),
    ),
    ("mantel_test", "families"): (
        lambda a, b, families: ka.mantel_test(a, b, families=families, **FEW).stderr,
        (*DISTANCES[:2], PAIRS),
    ),
    ("metric_agreement", "families"): (
        lambda a, b, families: ka.metric_agreement({"a": a, "b": b}, families=families, **FEW).stderr,
        (*DISTANCES[:2], PAIRS),
    ),
}
# Names of arguments of items, and where they are something else.
OF_ITEMS = {
    "groups",
    "blocks",
    "given",
    "conditions",
    "runs",
    "covariance",
    "cv",
    "queries",
    "targets",
    "labels",
    "test",
}
OF_ITEMS |= {"families", "first", "second"}
NOT_OF_ITEMS = {
    ("cumulative_power", "cv"),  # a number of folds
    ("stitching.misalignment", "cv"),
    ("stitching.stitching_certificate", "cv"),
    ("knn", "queries"),  # of one array, by number
    ("plan", "queries"),  # a number of rows
    ("cknna", "queries"),
    ("source_condition", "first"),  # of eigenvalues
    ("stitching.mcnemar", "second"),  # with the first
    ("stitching.plot_trials", "groups"),  # of trials
}


def labelled(values: Any, order: np.ndarray) -> Any:
    """A table of these rows in that order, under their names; of a square matrix its columns too."""
    values = np.asarray(values)
    if values.ndim == 1:
        return pd.Series(values[order], index=NAMES[order])
    if values.shape == (N, N):
        return pd.DataFrame(values, index=NAMES, columns=NAMES).iloc[order, order]
    return pd.DataFrame(values[order], index=NAMES[order])


def follow(beside: Any, argument: str, order: np.ndarray) -> Any:
    """The argument in another order of rows; what names rows by number stays as it is."""
    return beside if argument in BY_PLACE else labelled(beside, order)


def without(beside: Any, argument: str, kept: np.ndarray) -> Any:
    """What a user gives for some rows alone."""
    number = {row: at for at, row in enumerate(kept)}
    if argument == "cv":
        return [tuple(np.array([number[row] for row in side if row in number]) for side in fold) for fold in beside]
    return np.array([number[row] for row in beside]) if argument == "queries" else beside[kept]
