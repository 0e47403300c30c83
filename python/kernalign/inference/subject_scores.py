"""Mean scores of models with subjects: of samples of subjects and conditions, their variance, and chance."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.progress import Report
from kernalign._statistics.compared_pairs import ORDERED, Compared, Weighting, ceilings, tied
from kernalign._statistics.triangle_null import mean_concordance_p, mean_pairing_p
from kernalign.inference.subject_dissimilarities import Given
from kernalign.metrics.kernel.rsa_sums import WHITENED

Array: TypeAlias = NDArray[np.float64]

LEAST_CONDITIONS = 4  # of a sample, different ones
_INSIDE = 100  # samples of conditions in which subjects are left out


def scored(given: Given, weighting: Weighting) -> tuple[Array, Array]:
    """(models, subjects) scores, and the two mean bounds of the ceiling."""
    compared: Compared = given.compared
    scores, count = compared(given.of_models, given.of_subjects, weighting), len(given.subjects)
    if count < 2:
        return scores, np.full(2, np.nan)
    scaled = compared.scale(given.of_subjects, weighting)
    return scores, ceilings(compared, scaled, weighting, np.ones(count, dtype=np.intp)).mean(axis=1)


def variances_of(given: Given, over: str, samples: int, seed: int, report: Report) -> Array:
    """(models + 1, models + 1) variance of the difference of two of models and ceiling; on the diagonal, of each.

    Over subjects it is the jackknife's, over conditions that of samples with replacement.
    """
    n, plain = given.compared.n, Weighting(np.ones(given.compared.n, dtype=np.intp))
    of_subjects = np.zeros(()) if over == "conditions" else _left_out(given, plain)
    if over == "subjects":
        return of_subjects
    rng, drawn, inside = np.random.default_rng(seed), [], []
    for done in range(samples):
        counts = np.zeros(n, dtype=np.intp)
        while (counts > 0).sum() < LEAST_CONDITIONS:
            counts = np.bincount(rng.integers(n, size=n), minlength=n)
        weighting = Weighting(counts)
        scores, bounds = scored(given, weighting)
        drawn.append(np.append(scores.mean(axis=1), bounds[0]))
        if over == "both" and done % -(-samples // _INSIDE) == 0:
            inside.append(_left_out(given, weighting))
        if report is not None:
            report(done + 1, samples)
    of_conditions = _of_differences(np.array(drawn)) * n / (n - 1)
    if over == "conditions":
        return of_conditions
    both = of_subjects + of_conditions - (_mean(np.array(inside)) - of_subjects) * n / (n - 1)
    return np.asarray(np.maximum(both, np.maximum(of_subjects, of_conditions)))


def _left_out(given: Given, weighting: Weighting) -> Array:
    """The jackknife over subjects; nan for the ceiling of two."""
    compared, count = given.compared, len(given.subjects)
    scores = compared(given.of_models, given.of_subjects, weighting)
    scaled = compared.scale(given.of_subjects, weighting)
    others = 1 - np.eye(count, dtype=np.intp)
    lower = [ceilings(compared, scaled, weighting, one, upper=False)[0, one > 0].mean() for one in others]
    deleted = np.vstack([(scores.sum(axis=1, keepdims=True) - scores) / (count - 1), lower])
    deleted[np.isnan(deleted).any(axis=1)] = np.nan
    return (count - 1) * _of_differences(deleted.T)


def _of_differences(drawn: Array) -> Array:
    """Mean square of the differences of two columns about their mean, of rows with both; on the diagonal, of each."""
    known = ~np.isnan(drawn)
    centred = np.where(known, drawn - _mean(drawn), 0.0)
    with np.errstate(invalid="ignore"):
        products = centred.T @ centred / (known.T.astype(np.float64) @ known)
    own = products.diagonal()
    found = np.maximum(own[:, None] + own - 2 * products, 0.0)
    np.fill_diagonal(found, own)
    return found


def _mean(drawn: Array) -> Array:
    """Of the numbers among them, over the first axis; nan where there is none."""
    known = ~np.isnan(drawn)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, drawn, 0.0).sum(axis=0) / known.sum(axis=0))


def chance_of(given: Given, given_covariance: bool) -> Array:
    """Mean over subjects of the mean score of random pairings of the conditions."""
    comparison, n = given.compared.comparison, given.compared.n
    if comparison == "cosine":
        sides = [(one.mean(axis=1) / np.sqrt((one**2).mean(axis=1))) for one in (given.of_models, given.of_subjects)]
    elif comparison == "whitened_cosine":
        if given_covariance:
            return np.full(len(given.models), np.nan)
        plain = Weighting(np.ones(n, dtype=np.intp))
        traces = [given.compared.scale(one, plain)[:, :n].sum(axis=1) for one in (given.of_models, given.of_subjects)]
        sides = [one / math.sqrt(n - 1) for one in traces]
    else:
        return np.zeros(len(given.models))
    return np.asarray(sides[0] * sides[1].mean())


def p_of_pairings(given: Given) -> Array:
    """The p-value of each model's mean score among those of random pairings of the conditions."""
    compared, n = given.compared, given.compared.n
    plain = Weighting(np.ones(n, dtype=np.intp))
    if compared.comparison in ORDERED:
        pairs = len(given.of_models[0]) * (len(given.of_models[0]) - 1) / 2
        untied = [[pairs - tied(one) for one in side] for side in (given.of_models, given.of_subjects)]
        weights = 1 / np.sqrt(np.outer(untied[0], untied[1]))  # of tau-b; of tau-a all alike
        weights = weights if compared.comparison == "tau_b" else np.ones_like(weights)
        return mean_concordance_p(given.of_models, given.of_subjects, n, weights)
    models, subjects = (compared.units(side, plain) for side in (given.of_models, given.of_subjects))
    mean = subjects.mean(axis=0)
    if compared.comparison not in WHITENED:
        return mean_pairing_p(models, mean, n)
    return mean_pairing_p(models[:, n:], mean[n:], n, (models[:, :n], mean[:n]))
