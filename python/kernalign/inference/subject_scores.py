"""Mean scores of models with subjects: of samples of subjects and conditions, their variance, and chance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._statistics.compared_pairs import ORDERED, Compared, Weighting, ceilings, tied
from kernalign._statistics.triangle_null import mean_concordance_p, mean_pairing_p
from kernalign.inference.subject_dissimilarities import Given
from kernalign.metrics.kernel.rsa_sums import WHITENED

Array: TypeAlias = NDArray[np.float64]
Sizes: TypeAlias = tuple[int | None, int | None]  # of what is drawn: subjects, conditions

LEAST_CONDITIONS = 4  # of a sample, different ones


def scored(given: Given, weighting: Weighting, times: list[NDArray[np.intp]]) -> tuple[Array, Array]:
    """(models, subjects) scores, and (times, 2) the mean bounds of the ceiling where subjects count several times."""
    compared: Compared = given.compared
    scores = compared(given.of_models, given.of_subjects, weighting)
    bounds = np.full((len(times), 2), np.nan)
    if len(given.subjects) > 1:
        scaled = compared.scale(given.of_subjects, weighting)
        for at, own in enumerate(times):
            there = own > 0
            found = ceilings(compared, scaled, weighting, own)
            bounds[at] = found[:, there] @ own[there] / own.sum()
    return scores, bounds


def samples_of(given: Given, bootstrap: str, samples: int, seed: int) -> Iterator[Array]:
    """Mean scores of the models and the lower bound of the ceiling, (kinds, models + 1), of samples of subjects, of
    conditions and of both, in this order, or of the only kind."""
    rng, count, n = np.random.default_rng(seed), len(given.subjects), given.compared.n
    once, plain = np.ones(count, dtype=np.intp), Weighting(np.ones(n, dtype=np.intp))
    fixed = given.compared(given.of_models, given.of_subjects, plain)
    scaled = given.compared.scale(given.of_subjects, plain)
    for _ in range(samples):
        found = []
        own = np.bincount(rng.integers(count, size=count), minlength=count) if bootstrap != "conditions" else once
        if bootstrap != "conditions":
            there = own > 0
            lower = ceilings(given.compared, scaled, plain, own)[0, there] @ own[there] / count
            found.append(np.append(fixed @ own / count, lower))
        if bootstrap != "subjects":
            counts = np.zeros(n, dtype=np.intp)
            while (counts > 0).sum() < LEAST_CONDITIONS:
                counts = np.bincount(rng.integers(n, size=n), minlength=n)
            times = [once] if bootstrap == "conditions" else [once, own]
            scores, bounds = scored(given, Weighting(counts), times)
            found += [np.append(scores @ one / count, bound[0]) for one, bound in zip(times, bounds, strict=True)]
        yield np.array(found)


def variances_of(drawn: Array, sizes: Sizes) -> Array:
    """(models + 1, models + 1) variance of the difference of two of models and ceiling; on the diagonal, of each."""
    known = ~np.isnan(drawn)
    counts = np.einsum("ski,skj->kij", known, known, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        drawn = np.where(known, drawn - np.where(known, drawn, 0.0).sum(axis=0) / known.sum(axis=0), 0.0)
        products = np.einsum("ski,skj->kij", drawn, drawn) / counts
    own = products.diagonal(axis1=1, axis2=2)
    raw = np.maximum(own[:, :, None] + own[:, None, :] - 2 * products, 0.0)
    at = np.arange(raw.shape[1])
    raw[:, at, at] = own
    large = [size / (size - 1) for size in sizes if size is not None]
    if len(raw) == 1:
        return np.asarray(raw[0] * large[0])
    alone = [factor * one for factor, one in zip(large, raw, strict=False)]
    both = alone[0] + alone[1] - math.prod(large) * (raw[2] - raw[0] - raw[1])
    return np.asarray(np.maximum(both, np.maximum(*alone)))


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
