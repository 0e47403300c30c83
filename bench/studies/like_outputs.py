"""Which metric is highest where outputs are alike? Many repeats of one column of the leaderboard, with new networks.

    python -m bench.studies.like_outputs

Ten repeats had left open whether neighbours are ahead there.
"""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kernalign as ka
import numpy as np
from kernalign.suite.networks import apart, digits, softmax, trained
from kernalign.suite.trained import METRICS
from scipy import stats

from bench.leaderboard import interval, leaders

REPEATS, NETWORKS, ITEMS, HIDDEN = 100, 10, 300, (96,) * 5
NEIGHBOURS = ("mutual_knn", "jaccard_knn")
OUTPUT = Path(__file__).with_suffix(".md")


def followed(repeat: int) -> dict[str, float]:
    """For every metric the rank correlation, over pairs of networks, of closeness and likeness of outputs."""
    data = digits()
    seeds = [int(one) for one in np.random.SeedSequence([repeat, 2]).generate_state(NETWORKS)]
    layers = trained(data.x, data.labels, seeds, hidden=HIDDEN).layers(data.held_x)
    outputs, rows = softmax(layers[-1].astype(np.float64)), layers[-2][:, :ITEMS]
    pairs = list(itertools.combinations(range(NETWORKS), 2))
    alike = [-apart(outputs[a], outputs[b]) for a, b in pairs]
    return {one["id"]: _correlation(one, rows, pairs, alike) for one in METRICS}


def _correlation(one: Mapping[str, Any], rows: Any, pairs: Sequence[tuple[int, int]], alike: Sequence[float]) -> float:
    name = one.get("metric", one["id"])
    options = {"k": one["k"]} if "k" in one else {}
    if "kernel" in one:
        options["kernel"] = ka.RBF()
    sign = 1 if ka.METRICS[name].larger_is_closer else -1
    orders = (0,) if ka.METRICS[name].symmetric else (0, 1)
    close = [
        sign * sum(float(ka.measure(name, rows[pair[at]], rows[pair[1 - at]], **options)) for at in orders)
        for pair in pairs
    ]
    return float(stats.spearmanr(close, alike).statistic)


def report(found: Mapping[str, Sequence[float]], seconds: float) -> str:
    """The page."""
    repeats = len(next(iter(found.values())))
    first = leaders(found)
    lines = [
        "# Which metric follows outputs?",
        "",
        "**Claim** (a first reading of one draw of networks): neighbours follow outputs best. Ten repeats of the"
        " [leaderboard](../../docs/leaderboard.md) could not tell.",
        "",
        f"`python -m bench.studies.like_outputs`, {seconds:.0f} s of one core. The leaderboard's column *outputs*,"
        f" {repeats} times with other networks than there: Spearman's correlation, over the 45 pairs of {NETWORKS}"
        " networks that differ in their seed, of closeness of last hidden layers and of likeness of outputs"
        " (Jensen-Shannon divergence, downwards). Means ± half of the 95 % t interval over repeats, which share no"
        " network; differences repeat by repeat, p of the t test, not corrected for their number. Repeats, and the rule"
        " (below), were fixed beforehand; two repeats with yet other networks tried the script.",
        "",
        "| metric | correlation | above 0 in | less cka | p |",
        "|---|---|---|---|---|",
    ]
    for metric in sorted(found, key=lambda name: -float(np.mean(found[name]))):
        mean, half = interval(found[metric])
        share = np.mean(np.array(found[metric]) > 0)
        gap = ["–", "–"] if metric == "cka" else _gap(np.subtract(found[metric], found["cka"]))
        name = f"**{metric}**" if metric in first else metric
        lines.append(f"| {name} | {mean:.2f} ± {half:.2f} | {share:.0%} | {' | '.join(gap)} |")
    lines += ["", f"Bold: the highest mean, and what it does not beat. {_verdict(found, first)}", "", _CHANGE]
    return "\n".join(lines) + "\n"


def _gap(values: Any) -> list[str]:
    mean, half = interval(values.tolist())
    return [f"{mean:+.2f} ± {half:.2f}", f"{stats.ttest_1samp(values, 0).pvalue:.2g}"]


def _verdict(found: Mapping[str, Sequence[float]], first: Sequence[str]) -> str:
    verdict = "refuted" if not set(first) & set(NEIGHBOURS) else "undecided" if "cka" in first else "held"
    others = [one for one in first if one not in NEIGHBOURS]
    shared = f" The lead is shared with {', '.join(others)}." if others and verdict == "held" else ""
    mean, half = interval(np.subtract(found[NEIGHBOURS[0]], found["cka"]).tolist())
    best = max(float(np.mean(values)) for values in found.values())
    ahead = f"{NEIGHBOURS[0]} less cka is {mean:+.2f} ± {half:.2f}"
    return (
        f"**Neighbours follow outputs best: {verdict}**: {ahead}.{shared} Held: a metric of neighbours is bold and cka"
        f" is not; refuted: none is bold. No metric follows outputs closely: {best:.2f} at most."
    )


_CHANGE = (
    "**What would change the verdict**: networks that differ in more than their seed, whose outputs are further apart;"
    " other k; the rank of all items' outputs in place of one number a pair."
)


def main() -> None:
    """Measure, write."""
    ka.set_threads(1)
    warnings.simplefilter("ignore", ka.AlignmentWarning)
    begun = time.process_time()
    repeats = [followed(repeat) for repeat in range(REPEATS)]
    found = {metric: [one[metric] for one in repeats] for metric in repeats[0]}
    OUTPUT.write_text(report(found, time.process_time() - begun), encoding="utf-8")


if __name__ == "__main__":
    main()
