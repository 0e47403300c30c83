"""Which metric finds orders that are known: repeats the suites with other networks, writes docs/leaderboard.md."""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import kernalign as ka
import numpy as np
from kernalign.suite import builtin
from scipy import stats

PAGE = Path(__file__).parents[1] / "docs" / "leaderboard.md"
TABLE = Path(__file__).parent / "studies" / "leaderboard.csv"
SUITES = ("resi-digits", "layer-id", "ding")
MINUTES = 1.7  # of a repeat
COLUMNS = {
    ("resi-digits", "labels", "separation"): "wrong labels",
    ("resi-digits", "shortcuts", "separation"): "shortcuts",
    ("resi-digits", "noise", "separation"): "noise",
    ("resi-digits", "layers", "nested"): "layers nested",
    ("resi-digits", "outputs", "known"): "outputs",
    ("layer-id", "layers", "same_layer"): "same layer",
    ("ding", "h1", "noticed"): "noticed, h1",
    ("ding", "h3", "noticed"): "noticed, h3",
    ("ding", "h5", "noticed"): "noticed, h5",
    ("ding", "h1", "known"): "probes, h1",
    ("ding", "h3", "known"): "probes, h3",
    ("ding", "h5", "known"): "probes, h5",
}
Column = tuple[str, str, str]
Numbers = Mapping[Column, Mapping[str, Sequence[float]]]


def measure(repeats: int) -> Iterator[list[dict[str, str]]]:
    """Rows of every repeat: one for each suite, set, check and metric."""
    ka.set_threads(1)
    for seed in range(1, repeats + 1):
        rows = []
        for name in SUITES:
            directory = tempfile.mkdtemp()
            begun = time.process_time()
            run = builtin.load(name, directory, seed=seed).run()
            shutil.rmtree(directory)
            for claim in run.claims:
                value = "nan" if claim.value is None else f"{claim.value:.5g}"
                rows.append(
                    {
                        "repeat": str(seed),
                        "suite": name,
                        "set": claim.set,
                        "check": claim.kind,
                        "metric": claim.metric,
                        "value": value,
                    }
                )
            print(f"repeat {seed}, {name}: {time.process_time() - begun:.0f} s", flush=True)
        yield rows


def gathered(rows: Sequence[Mapping[str, str]]) -> Numbers:
    """The repeats of every column and metric."""
    found: dict[Column, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row["suite"], row["set"], row["check"]][row["metric"]].append(float(row["value"]))
    return found


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of the 95 % t interval over repeats, which are independent."""
    spread = np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(stats.t.ppf(0.975, len(values) - 1) * spread)


def leaders(own: Mapping[str, Sequence[float]]) -> list[str]:
    """The metric of the highest mean, and those that it does not beat in paired repeats (t test, p > 0.05)."""
    best = max(own, key=lambda metric: float(np.mean(own[metric])))
    tied = [best]
    for metric, values in own.items():
        gap, half = interval(np.subtract(own[best], values).tolist())
        if metric != best and gap <= half:
            tied.append(metric)
    return tied


def table(numbers: Numbers, columns: Sequence[Column]) -> list[str]:
    """Means with intervals; leaders are bold."""
    lines = ["| metric | " + " | ".join(COLUMNS[one] for one in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    first = {one: leaders(numbers[one]) for one in columns}
    for metric in numbers[columns[0]]:
        cells = []
        for one in columns:
            mean, half = interval(numbers[one][metric])
            digits = 1 if one[2] == "noticed" else 2
            text = f"{mean:.{digits}f} ± {half:.{digits}f}"
            cells.append(f"**{text}**" if metric in first[one] else text)
        lines.append(f"| {metric} | " + " | ".join(cells) + " |")
    return lines


CLAIMS = (
    ("Procrustes finds wrong labels best", "wrong labels", ("procrustes", "nbs")),
    ("Procrustes finds noise best", "noise", ("procrustes", "nbs")),
    ("Procrustes finds the same layer best", "same layer", ("procrustes", "nbs")),
    ("Neighbours find shortcuts best", "shortcuts", ("mutual_knn", "jaccard_knn")),
    ("Neighbours follow outputs best", "outputs", ("mutual_knn", "jaccard_knn")),
)


def words(numbers: Numbers) -> str:
    """What a first reading, of one draw of other networks, had claimed, held against the intervals."""
    named = {name: numbers[at] for at, name in COLUMNS.items()}
    sentences = []
    for claim, column, metrics in CLAIMS:
        first = leaders(named[column])
        verdict = "refuted" if not set(first) & set(metrics) else "undecided" if "cka" in first else "held"
        own = ", ".join(f"{metric} {_said(named[column][metric])}" for metric in metrics if metric in named[column])
        rival = "" if verdict != "refuted" else f"; {first[0]} {_said(named[column][first[0]])}"
        others = ", ".join(f"`{metric}`" for metric in first if metric not in (*metrics, "cka"))
        shared = f" The lead is shared with {others}." if verdict == "held" and others else ""
        sentences.append(f"**{claim}: {verdict}.** {own}; cka {_said(named[column]['cka'])}{rival}.{shared}")
    layers = named["same layer"]
    if "nbs" in layers:
        sentences.append(
            "`procrustes` sees how large representations are, which `nbs` does not: on the same layer"
            f" {_said(layers['procrustes'])} against {_said(layers['nbs'])}."
        )
    noticed = [named[name]["cka"] for name in COLUMNS.values() if name.startswith("noticed")]
    inside = all(0.5 <= interval(one)[0] <= 3.5 for one in noticed)
    sentences.append(
        f"**CKA notices deletion only where 1 to 3 of 96 components are left: {'held' if inside else 'refuted'}.** By"
        f" layer"
        f" {', '.join(_said(one) for one in noticed)}."
    )
    ahead = [metric for metric in numbers[next(iter(COLUMNS))] if all(metric in leaders(one) for one in named.values())]
    sentences.append(
        f"**No metric wins: {'refuted' if ahead else 'held'}.** {', '.join(ahead) or 'None'} leads everywhere."
    )
    return "\n".join(f"* {one}" for one in sentences) + "\n"


def _said(values: Sequence[float]) -> str:
    mean, half = interval(values)
    return f"{mean:.2f} ± {half:.2f}"


def page(rows: Sequence[Mapping[str, str]]) -> str:
    """docs/leaderboard.md."""
    numbers = gathered(rows)
    repeats = len({row["repeat"] for row in rows})
    order = list(COLUMNS)
    won = {one: leaders(numbers[one]) for one in order}
    often = {metric: sum(metric in own for own in won.values()) for metric in numbers[order[0]]}
    most = max(often.values())
    return _PAGE.format(
        repeats=repeats,
        tests=len(order),
        most=most,
        who=", ".join(f"`{metric}`" for metric, count in often.items() if count == most),
        never=", ".join(f"`{metric}`" for metric, count in often.items() if count == 0) or "none",
        resi="\n".join(table(numbers, order[:6])),
        ding="\n".join(table(numbers, order[6:])),
        minutes=round(MINUTES * repeats),
        words=words(numbers),
    )


_PAGE = """# Leaderboard: orders that are known

{repeats} repeats of `builtin:resi-digits`, `builtin:layer-id` and `builtin:ding`, each with networks of its own; means
± half of the 95 % interval over repeats. Bold: the highest mean, and what it does not beat in paired repeats (t test,
p > 0.05, not corrected for their number). `python -m bench.leaderboard` makes this page and
bench/studies/leaderboard.csv, in {minutes} minutes of one core. The design was frozen after one repeat (seed 0), which
is not among these. Networks are trained in float32: where a BLAS rounds otherwise, as on another kind of processor,
other networks come out, and numbers differ as those of other repeats do. These are of NumPy's OpenBLAS for AVX-512.

Of {tests} tests the most that one metric leads or shares is {most} ({who}). Without a lead: {never}.

What a first reading of one draw had claimed; undecided where `cka` shares the lead:

{words}
Whether neighbours follow outputs best is asked again, of 100 repeats, in bench/studies/like_outputs.md.

## Conditions, layers, outputs

Networks: five hidden layers of 96, ReLU, Adam, 500 steps on 1247 digits; representations of 300 others.

* *wrong labels*, *shortcuts*, *noise*: a pair of networks of one level is closer than a pair of two, share of
  comparisons (0.5 by chance): 25 networks of 5 levels, last hidden layers.
* *layers nested*: of three layers of one network an inner pair is closer than the outer pair (0.5 by chance).
* *outputs*: rank correlation with the Jensen-Shannon divergence of outputs, downwards, over 45 pairs of networks that
  differ in their seed (0 by chance).
* *same layer*: of each of six layers the closest of another network is the same one (0.17 by chance).

{resi}

## Deleted components

Of a layer (the first, third, fifth) the smallest principal components are deleted. *noticed*: how many of 96 are left
when a network is less like itself than two networks of other seeds are (median); more is more sensitive. *probes*: rank
correlation, over whole networks and damaged ones of other seeds, with how far the accuracies of linear probes are
apart, downwards.

{ding}
"""


def main() -> None:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--page-only", action="store_true", help="write the page from the table that is there")
    given = parser.parse_args()
    if not given.page_only:
        with TABLE.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, ("repeat", "suite", "set", "check", "metric", "value"), lineterminator="\n")
            writer.writeheader()
            for rows in measure(given.repeats):
                writer.writerows(rows)
                stream.flush()
    with TABLE.open(newline="", encoding="utf-8") as stream:
        PAGE.write_text(page(list(csv.DictReader(stream))), encoding="utf-8")


if __name__ == "__main__":
    main()
