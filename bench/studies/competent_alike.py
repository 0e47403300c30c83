"""Are competent models more alike? Networks for noisy digits that are weak for two reasons, on disjoint items.

    python -m bench.studies.competent_alike

After Huh et al. 2024, figure 2: "all strong models are alike, each weak model is weak in its own way".
"""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import kernalign as ka
import numpy as np
from kernalign.suite.networks import CLASSES, Digits, digits, trained
from numpy.typing import NDArray

Array = NDArray[np.float64]

WIDTHS, DEPTHS = (16, 32, 64), (2, 4)
STEPS = (0, 15, 40, 120, 500)  # of training
WRONG = (1.0, 0.75, 0.5, 0.25, 0.0)  # share of labels that are drawn anew
NOISE, LONG = 0.5, 500
METRICS: dict[str, tuple[str, dict[str, str]]] = {
    "mutual_knn": ("mutual_knn", {"metric": "euclidean"}),
    "cka": ("cka", {}),
}
THIRDS = ("weak", "middling", "strong")
PERMUTATIONS = 999
OUTPUT = Path(__file__).with_suffix(".md")


@dataclass(frozen=True)
class Network:
    """One of a sweep: which architecture and half of the items, how good, and its last hidden layer."""

    family: str
    level: str
    half: int
    accuracy: float
    rows: Array


def networks(
    data: Digits, sweep: str, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS, long: int = LONG
) -> list[Network]:
    """Every width, depth and level, on either half of the training items; all read the same noisy other items."""
    half = len(data.x) // 2
    x = np.stack([data.x[:half], data.x[half : 2 * half]])
    labels = np.stack([data.labels[:half], data.labels[half : 2 * half]])
    rng = np.random.default_rng(0)
    held = data.held_x + NOISE * rng.standard_normal(data.held_x.shape).astype(np.float32)
    wrong = rng.random(labels.shape), rng.integers(0, CLASSES, labels.shape)
    found = []
    seeds = itertools.count(0, 2)
    for width, depth, level in itertools.product(widths, depths, STEPS if sweep == "training" else WRONG):
        taught = np.where(wrong[0] < level, wrong[1], labels) if sweep == "labels" else labels
        steps = int(level) if sweep == "training" else long
        begin = next(seeds)
        made = trained(x, taught, range(begin, begin + 2), hidden=(width,) * depth, noise=NOISE, steps=steps)
        *_, last, logits = made.layers(held)
        right = (logits.argmax(axis=-1) == data.held_labels).mean(axis=1)
        name = f"{level:g} steps" if sweep == "training" else f"{level:.0%} wrong"
        found += [
            Network(f"{depth} x {width}", name, at, float(right[at]), last[at].astype(np.float64)) for at in range(2)
        ]
    return found


@dataclass(frozen=True)
class Found:
    """One sweep and one metric.

    ``correlation``: of the scores of pairs with the accuracy of the worse network, over all pairs; its ``error`` by
    leaving out architectures, ``p_value`` by renaming networks. ``bins``: mean score of pairs inside each third by
    accuracy, of unlike architecture and other items, with the same kind of error.
    """

    sweep: str
    metric: str
    correlation: float
    error: float
    p_value: float
    bins: list[tuple[float, float]]
    chance: float

    @property
    def verdict(self) -> str:
        if self.correlation > 2 * self.error and self.p_value < 0.05:
            return "held"
        return "refuted" if self.correlation < 0 else "undecided"


def measure(sweep: str, given: Sequence[Network]) -> list[Found]:
    """All pairs of a sweep."""
    names = [f"{at} {one.family}, {one.level}, half {one.half}" for at, one in enumerate(given)]
    rows = {name: one.rows for name, one in zip(names, given, strict=True)}
    made = ka.compare(rows, metrics=METRICS, p_values=False)
    accuracy = np.array([one.accuracy for one in given])
    worse = np.minimum(accuracy[:, None], accuracy)
    families = [one.family for one in given]
    third = np.searchsorted(np.quantile(accuracy, [1 / 3, 2 / 3]), accuracy)
    found = []
    for metric in METRICS:
        best = made.best(metric)
        scores = np.asarray(best.score, dtype=np.float64)
        test = ka.mantel_test(scores, worse, families=families, permutations=PERMUTATIONS, alternative="greater")
        bins = [_inside(scores, np.flatnonzero(third == at), given) for at in range(3)]
        chance = float(np.nanmean(np.asarray(best.chance, dtype=np.float64)))
        found.append(Found(sweep, metric, test.value, test.stderr, test.p_value, bins, chance))
    return found


def _inside(scores: Array, members: NDArray[np.intp], given: Sequence[Network]) -> tuple[float, float]:
    """Mean over pairs of unlike architecture and other items, and its jackknife error over architectures."""
    pairs = [
        (a, b)
        for a, b in itertools.combinations(members, 2)
        if given[a].family != given[b].family and given[a].half != given[b].half
    ]

    def mean(without: str | None) -> float:
        kept = [scores[a, b] for a, b in pairs if without not in (given[a].family, given[b].family)]
        return float(np.mean(kept)) if kept else float("nan")

    families = sorted({given[at].family for at in members})
    left = np.array([mean(family) for family in families])
    error = float(np.sqrt((len(left) - 1) * left.var()))
    return mean(None), error


def report(found: Sequence[Found], given: dict[str, Sequence[Network]], seconds: float) -> str:
    """The page."""
    names = {"training": "trained for too short a time", "labels": "taught wrong labels"}
    one = next(iter(given.values()))
    lines = [
        "# Are competent models alike?",
        "",
        "**Claim** (Huh et al. 2024, figure 2): models that solve more tasks are more alike; all strong models are"
        " alike, each weak model is weak in its own way.",
        "",
        f"`python -m bench.studies.competent_alike`, {seconds:.0f} s of one core. Two sweeps of {len(one)} networks for"
        f" scikit-learn's digits under Gaussian noise of {NOISE}: {len(WIDTHS) * len(DEPTHS)} architectures, five"
        f" levels, either half of 1247 training items. Networks are weak because they were {names['training']}"
        f" ({', '.join(map(str, STEPS))} steps), or because they were {names['labels']}"
        f" ({', '.join(f'{share:.0%}' for share in WRONG)} of them). Last hidden layers of 550 other items. Levels,"
        f" metrics and bins were fixed before the first run, which failed, as rows of narrow layers may be zero:"
        f" neighbours are by distance since.",
        "",
        "* *with competence*: Spearman's correlation over pairs of the score with the accuracy of the worse network ±"
        " jackknife error over architectures; p by renaming networks (999). Held: two errors above 0, p below 0.05;"
        " refuted: below 0.",
        "* thirds by accuracy: mean score inside, of pairs of unlike architecture that were taught other items, ± the"
        " same kind of error.",
        "",
        "| weak networks were | metric | with competence | p | " + " | ".join(THIRDS) + " | chance |",
        "|---" * 8 + "|",
    ]
    for row in found:
        bins = " | ".join(f"{mean:.3f} ± {error:.3f}" for mean, error in row.bins)
        lines.append(
            f"| {names[row.sweep]} | {row.metric} | {row.correlation:.2f} ± {row.error:.2f} | {row.p_value:.3f} |"
            f" {bins} | {row.chance:.3f} |"
        )
    lines += [
        "",
        "Accuracies by level:",
        "",
        "| weak networks were | accuracy, from the weakest level on |",
        "|---|---|",
    ]
    for sweep, members in given.items():
        levels = list(dict.fromkeys(member.level for member in members))
        means = [np.mean([member.accuracy for member in members if member.level == level]) for level in levels]
        told = ", ".join(f"{level}: {mean:.2f}" for level, mean in zip(levels, means, strict=True))
        lines.append(f"| {names[sweep]} | {told} |")
    lines += ["", *(f"* {sentence}" for sentence in words(found, names)), ""]
    lines += [
        "**What would change the verdict**: models of other kinds and tasks than perceptrons on digits; models"
        " that are weak in one and the same way. Pretrained networks are in"
        " [modalities_stamps.md](modalities_stamps.md).",
    ]
    return "\n".join(lines) + "\n"


def words(found: Sequence[Found], names: dict[str, str]) -> list[str]:
    """What the numbers say, whichever way they point."""
    sentences = []
    for row in found:
        weak, strong = row.bins[0], row.bins[-1]
        gap, error = strong[0] - weak[0], float(np.hypot(strong[1], weak[1]))
        alike = "less alike than" if gap > 2 * error else "more alike than" if gap < -2 * error else "as alike as"
        sentences.append(
            f"**{row.metric}, of networks {names[row.sweep]}: {row.verdict}.** The weak ones are {alike} the strong"
            f" ones ({weak[0]:.2f} and {strong[0]:.2f})."
        )
    return sentences


def main() -> None:
    """Train, measure, write."""
    ka.set_threads(1)
    warnings.simplefilter("ignore", ka.AlignmentWarning)
    begun = time.process_time()
    data = digits()
    given: dict[str, Sequence[Network]] = {sweep: networks(data, sweep) for sweep in ("training", "labels")}
    found = [row for sweep, members in given.items() for row in measure(sweep, members)]
    OUTPUT.write_text(report(found, given, time.process_time() - begun), encoding="utf-8")


if __name__ == "__main__":
    main()
