"""Do better language models see more like vision models, and does alignment tell what a model can do?

    python -m bench.studies.modalities features.npz items.json

After Huh et al. 2024, figures 3 and 4. Arrays are named ``modality/model/layer``: make_stamps.py makes such a file. The
page is modalities_features.md.
"""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import kernalign as ka
import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from bench.studies import labelled, members
from bench.studies.asked import asked
from bench.studies.members import Model

Array = NDArray[np.float64]

K = 10
PERMUTATIONS = 999
LEVEL = 0.05
RULE = "Held: the correlation is two errors above 0, and its p below 0.05; refuted: it is below 0."
OUTPUT = Path(__file__).parent


@dataclass(frozen=True)
class Pair:
    """A model of one modality with one of another: the best of their layers, and what the best would be by chance."""

    x: str
    y: str
    layers: str
    score: float
    chance: float
    p_value: float


@dataclass(frozen=True)
class Trend:
    """Alignment of the models of two modalities over both accuracies."""

    modalities: tuple[str, str]
    pairs: list[Pair]
    raw: ka.MapCorrelation
    calibrated: ka.MapCorrelation
    sides: tuple[tuple[float, float, float], ...]  # of either, over its models, as `alone` gives them


def competence(models: Sequence[Model], labels: NDArray[np.str_], items: NDArray[np.int64]) -> dict[str, Array]:
    """Accuracy of a probe on every layer of every model."""
    return {
        model.name: np.array([members.accuracy(rows[items], labels) for rows in model.layers.values()])
        for model in models
    }


def trend(models: Sequence[Model], x: str, y: str, able: Mapping[str, Array]) -> Trend:
    """All pairs of two modalities; the search over layers is calibrated."""
    xs, ys = ({one.name: dict(one.layers) for one in models if one.modality == side} for side in (x, y))
    made = ka.compare(xs, ys, metrics={"near": ("mutual_knn", {"k": K})})
    best = made.best("near")
    score, chance, p = (np.asarray(values, dtype=np.float64) for values in (best.score, best.chance, best.p_value))
    pairs = [
        Pair(a, b, "/".join(map(str, best.layers[i, j])), score[i, j], chance[i, j], p[i, j])
        for (i, a), (j, b) in itertools.product(enumerate(xs), enumerate(ys))
    ]
    sums = np.add.outer([able[name].max() for name in xs], [able[name].max() for name in ys])
    how = {"permutations": PERMUTATIONS, "alternative": "greater", "bipartite": True}
    tests = [ka.mantel_test(values, sums, **how) for values in (score, (score - chance) / (1 - chance))]
    one, two = (np.array([able[name].max() for name in side]) for side in (xs, ys))
    sides = alone(one, score.mean(axis=1)), alone(two, score.mean(axis=0))
    return Trend((x, y), pairs, tests[0], tests[1], sides)


def alone(accuracy: Array, score: Array) -> tuple[float, float, float]:
    """Spearman's correlation over a few models, the one-sided p of pairings, and the least that p could be."""
    found = stats.permutation_test(
        (score,),
        lambda values: stats.spearmanr(values, accuracy).statistic,
        permutation_type="pairings",
        n_resamples=PERMUTATIONS,
        alternative="greater",
        rng=0,
    )
    alike = np.unique(accuracy, return_counts=True)[1]
    least = max(np.prod(special.factorial(alike)) / special.factorial(len(score)), 1 / (PERMUTATIONS + 1))
    return float(found.statistic), float(found.pvalue), float(least)


@dataclass(frozen=True)
class Foretold:
    """Over the layers of one modality: alignment with the other's best model against the probe's accuracy."""

    modality: str
    reference: str
    layers: list[tuple[str, float, float]]
    correlation: float
    error: float  # leaving out models
    single: float  # over models, each by its best layer
    single_p: float


def foretold(models: Sequence[Model], modality: str, other: str, able: Mapping[str, Array]) -> Foretold:
    """The reference is the model, and the layer of it, that its own probe reads best."""
    against = max((one for one in models if one.modality == other), key=lambda one: able[one.name].max())
    layer = list(against.layers)[int(able[against.name].argmax())]
    found, owner = [], []
    for one in models:
        if one.modality == modality:
            for name, rows, accuracy in zip(one.layers, one.layers.values(), able[one.name], strict=True):
                score = float(ka.mutual_knn(rows, against.layers[layer], K))
                found.append((f"{one.name}/{name}", score, float(accuracy)))
                owner.append(one.name)
    owners = np.array(owner)
    score, accuracy = np.array([(a, b) for _, a, b in found]).T

    def correlation(kept: NDArray[np.bool_]) -> float:
        return float(stats.spearmanr(score[kept], accuracy[kept]).statistic)

    left = np.array([correlation(owners != name) for name in np.unique(owners)])
    error = float(np.sqrt((len(left) - 1) * left.var()))
    tops = [np.flatnonzero(owners == name)[accuracy[owners == name].argmax()] for name in np.unique(owners)]
    single, single_p, _ = alone(accuracy[tops], score[tops])
    every = np.ones(len(owners), dtype=bool)
    return Foretold(modality, f"{against.name}/{layer}", found, correlation(every), error, single, single_p)


def verdict(value: float, error: float, p: float) -> str:
    """Held where the correlation is two errors above 0 and p below 5 %."""
    return "held" if value > 2 * error and p < LEVEL else "refuted" if value < 0 else "undecided"


def report(
    trends: Sequence[Trend],
    told: Sequence[Foretold],
    able: Mapping[str, Array],
    models: Sequence[Model],
    task: str,
    n: int,
    seconds: float,
    command: str,
) -> str:
    """The page."""
    lines = [
        "# Modalities: the trend, and what alignment tells",
        "",
        "**Claims** (Huh et al. 2024, figures 3 and 4): the better models of language and of vision are, the more alike"
        " they are; and the more a language model is aligned with vision, the better it does at other tasks. Speech,"
        " where there is some, is not in the paper's figures.",
        "",
        f"`{command}`, {seconds:.0f} s of one core. {n} items; mutual-kNN, k = {K}, of the best pair of layers, held"
        f" against what the best would be by chance (its null is simulated from exact moments). Competence is the"
        f" accuracy of a probe on items left out, at the model's best layer; {task}. Metric, k, probe and task were"
        f" fixed before the first run, which was that of the drawings.",
        "",
        "| model | modality | layers | probe |",
        "|---|---|---|---|",
    ]
    for one in sorted(models, key=lambda one: (one.modality, -able[one.name].max())):
        lines.append(f"| {one.name} | {one.modality} | {len(one.layers)} | {able[one.name].max():.2f} |")
    lines += ["", "## The trend", ""]
    lines += [
        "Spearman's correlation, over pairs, of the score with the sum of both probes' accuracies ± node jackknife; p"
        " by renaming the models of either side (999). *Calibrated*: the score's part above what a search over as many"
        " layers finds by chance. *Over models*: of the accuracies of one side's models and their mean scores with the"
        " other side, with the p of pairings.",
        "",
        "| | pairs | beyond chance (p < 0.05) | raw | calibrated | p | over models of the first | of the second |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in trends:
        beyond, raw, left = sum(pair.p_value < LEVEL for pair in one.pairs), one.raw, one.calibrated
        lines.append(
            f"| {' × '.join(one.modalities)} | {len(one.pairs)} | {beyond} | {raw.value:.2f} ± {raw.stderr:.2f} |"
            f" {left.value:.2f} ± {left.stderr:.2f} | {left.p_value:.3f} |"
            + "".join(f" {value:.2f} (p {p:.3f}) |" for value, p, _ in one.sides)
        )
    for one in trends:
        ys = list(dict.fromkeys(pair.y for pair in one.pairs))
        lines += ["", f"Best scores (by chance {one.pairs[0].chance:.3f} to {max(p.chance for p in one.pairs):.3f}):"]
        lines += ["", f"| {' × '.join(one.modalities)} | " + " | ".join(ys) + " |", "|---" * (len(ys) + 1) + "|"]
        for name in dict.fromkeys(pair.x for pair in one.pairs):
            lines.append(f"| {name} | " + " | ".join(f"{p.score:.3f}" for p in one.pairs if p.x == name) + " |")
    lines += ["", *(f"* {sentence}" for sentence in _trend_words(trends)), "", RULE, "", "## What alignment tells", ""]
    lines += [
        "Over all layers of a modality: Spearman's correlation of mutual-kNN with the other modality's best layer and"
        " of the probe's accuracy, ± jackknife error over models, whose layers are not independent; and over models,"
        " each at its best layer, with the p of random pairings.",
        "",
        "| | aligned with | layers | correlation | of models | p |",
        "|---|---|---|---|---|---|",
    ]
    for row in told:
        lines.append(
            f"| {row.modality} | {row.reference} | {len(row.layers)} | {row.correlation:.2f} ± {row.error:.2f} |"
            f" {row.single:.2f} | {row.single_p:.3f} |"
        )
    top = {row.modality: max(accuracy for _, _, accuracy in row.layers) for row in told}
    lines += ["", *(f"* {sentence}" for sentence in _told_words(told)), ""]
    lines += [
        f"The probe's best accuracy is {', '.join(f'{value:.2f} ({name})' for name, value in top.items())}: where it is"
        f" close to 1 for all models it cannot tell them apart. It is of the items whose representations are compared,"
        f" and so nearer to them than the paper's tasks.",
        "",
        "**What would change the verdict**: more models, for errors are by leaving out whole models and there are few;"
        " a task that has nothing to do with what pictures show; captions that were not made for the pictures.",
    ]
    return "\n".join(lines) + "\n"


def _trend_words(trends: Sequence[Trend]) -> list[str]:
    sentences = []
    for one in trends:
        left, top = one.calibrated, max(one.pairs, key=lambda pair: pair.score)
        said = verdict(left.value, left.stderr, left.p_value)
        shown = [name for name, (value, p, _) in zip(one.modalities, one.sides, strict=True) if value > 0 and p < LEVEL]
        if said == "held" and len(shown) < 2:
            said = f"held, but for {' and '.join(shown) or 'neither'} alone"
        sentences.append(
            f"**{' × '.join(one.modalities)}: {said}.** The best pair is {top.x} and {top.y}, {top.score:.3f} against"
            f" {top.chance:.3f} by chance. Over the models of one side alone it shows for"
            f" {' and '.join(shown) or 'neither'}{_blind(one)}."
        )
    return sentences


def _blind(one: Trend) -> str:
    """Sides of which nothing could be shown."""
    return "".join(
        f"; of {name} it could not, whatever the scores are (least p {least:.2f}: models are too few, or equally able)"
        for name, (*_, least) in zip(one.modalities, one.sides, strict=True)
        if least >= LEVEL
    )


def _told_words(told: Sequence[Foretold]) -> list[str]:
    return [
        f"**{row.modality}: {verdict(row.correlation, row.error, row.single_p)}**, by the correlation over layers and"
        f" the p over models."
        for row in told
    ]


def main() -> None:
    """Read, measure, write."""
    ka.set_threads(1)
    warnings.simplefilter("ignore", ka.AlignmentWarning)
    given = asked("modalities", __doc__, members.FILES)
    begun = time.process_time()
    models, usable = members.read(given.features)
    task = labelled.folder_tasks(given.items, usable)[1]
    at = np.searchsorted(usable, task.items)
    able = competence(models, task.labels, at)
    modalities = list(dict.fromkeys(one.modality for one in models))
    trends = [trend(models, x, y, able) for x, y in itertools.combinations(modalities, 2)]
    told = [foretold(models, "text", "vision", able), foretold(models, "vision", "text", able)]
    seconds = time.process_time() - begun
    largest = np.unique(task.labels, return_counts=True)[1].max() / len(task.labels)
    said = f"{task.rule.rsplit(',', 1)[0]}; the largest class has {largest:.2f} of them"
    page = report(trends, told, able, models, said, len(usable), seconds, given.command)
    (OUTPUT / f"modalities_{given.features.stem}.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
