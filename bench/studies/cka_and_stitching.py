"""Does high CKA mean that models can be stitched? Many pairs of real representations, the answer in a table and words.

    python -m bench.studies.cka_and_stitching REPRESENTATIONS.npz ITEMS.json [NAME ...]

NAMEs choose arrays of the file. See README.md beside this file.
"""

from __future__ import annotations

import csv
import datetime
import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import kernalign as ka
import numpy as np
from scipy import stats

from bench.studies.asked import asked
from bench.studies.labelled import Task, folder_tasks, representations, without_traps
from bench.studies.stitched_pairs import Pair, measure

OUTPUT = Path(__file__).with_suffix(".csv")

# Fixed before any number was seen.
HIGH_CKA = 0.5  # unbiased
LOW_CKA = 0.2
BADLY = 0.5  # the best map keeps less than this share of the native probe's accuracy above chance
WELL = 0.8


def findings(pairs: Sequence[Pair]) -> list[str]:
    """What the pairs of one task say, in sentences."""
    usable = [pair for pair in pairs if math.isfinite(pair.kept)]
    high = sorted((pair for pair in usable if pair.cka >= HIGH_CKA), key=lambda pair: pair.kept)
    bad = [pair for pair in high if pair.kept < BADLY]
    said = [
        f"{len(high)} of {len(usable)} pairs whose target reads the task above chance have a CKA of {HIGH_CKA} or more"
        f" ({len(pairs) - len(usable)} pairs are left out)."
    ]
    if bad:
        said.append(f"Of these, {len(bad)} stitch badly (keep less than {BADLY:.0%}):")
        said[-1] += "".join(f"\n  * {_told(pair)}" for pair in bad[:6])
        said.append(_blame(bad))
    elif high:
        said.append(f"None of them stitches badly (keeps less than {BADLY:.0%}). The worst: {_told(high[0])}.")
    else:
        said.append("So the question has no answer here.")
    low = [pair for pair in usable if pair.cka < LOW_CKA and pair.kept >= WELL]
    below = sum(pair.cka < LOW_CKA for pair in usable)
    said.append(f"Of {below} pairs with a CKA below {LOW_CKA}, {len(low)} keep {WELL:.0%} or more.")
    if low:
        said.append(f"The best of these: {_told(max(low, key=lambda pair: pair.kept))}.")
    said += [_promise(high)] if high else []
    said += [_bounds(pairs), _optimism(pairs)]
    return said + _ranking(usable) + _directions(usable)


def _told(pair: Pair) -> str:
    return (
        f"{pair.source} → {pair.target}, CKA {pair.cka:.2f}, accuracy {_best(pair):.2f} stitched against"
        f" {pair.native:.2f} native, {pair.native_source:.2f} of the source's own probe and {pair.chance:.2f} by"
        f" chance: {pair.kept:.0%} kept (McNemar p = {pair.kept_p:.2g})"
    )


def _blame(bad: Sequence[Pair]) -> str:
    """Whether the source could have done better: its own probe knows."""
    able = [pair for pair in bad if pair.native_source >= pair.native]
    fair = [
        pair for pair in bad if _best(pair) - pair.chance < BADLY * (min(pair.native, pair.native_source) - pair.chance)
    ]
    lacking = " The others lack what the task asks for: CKA does not look at the task." if len(fair) < len(bad) else ""
    return (
        f"The sources' own probes do as well as the targets' in {len(able)} of these {len(bad)}; held against the"
        f" worse of the two native probes, {len(fair)} still keep less than {BADLY:.0%}.{lacking}"
        f" CKA had not promised much: R² of {min(pair.promised for pair in bad):.2f} to"
        f" {max(pair.promised for pair in bad):.2f}, at a flatness of the sources of"
        f" {min(pair.source_flatness for pair in bad):.2f} to {max(pair.source_flatness for pair in bad):.2f}."
    )


def _best(pair: Pair) -> float:
    return max(pair.ridge, pair.affine, pair.procrustes, pair.low_rank)


def _promise(pairs: Sequence[Pair]) -> str:
    promised, caught = (
        np.median(values) for values in zip(*((p.promised, 1 - p.misalignment_cv_ridge) for p in pairs), strict=True)
    )
    flat, wide = (
        np.median(values) for values in zip(*((p.source_flatness, p.target_participation) for p in pairs), strict=True)
    )
    return (
        f"What CKA can promise is R² ≥ CKA (biased) × flatness / √participation. Over these {len(pairs)} pairs the"
        f" source's flatness is {flat:.2f} at the median (|eta1| / max eta1; 1: one direction rules) and the target's"
        f" participation ratio {wide:.1f}, so it promises {promised:.0%} of the target's variance, where a ridge map"
        f" catches {caught:.0%} on items left out. What goes beyond the promise, CKA does not control."
    )


def _bounds(pairs: Sequence[Pair]) -> str:
    empty = sum(pair.bound >= pair.constant for pair in pairs)
    bound, stitched = (np.median([getattr(pair, name) for pair in pairs]) for name in ("bound", "stitched_risk"))
    return (
        f"The certificate's bound held for all {len(pairs)} pairs, but is above {pairs[0].constant:.2f}, the risk of"
        f" the best constant, for {empty}: the median bound is {bound:.2g}, the median stitched risk {stitched:.2g}."
    )


def _optimism(pairs: Sequence[Pair]) -> str:
    inside, affine, ridge = (
        np.median([getattr(pair, name) for pair in pairs])
        for name in ("misalignment", "misalignment_cv", "misalignment_cv_ridge")
    )
    full = sum(pair.source_width >= pair.n - 1 for pair in pairs)
    return (
        f"{full} of {len(pairs)} pairs have as many features as items: their misalignment is 0 in-sample whatever they"
        f" are. In-sample misalignment flatters: {inside:.2f} of the variance at the median, {affine:.2f} on items left"
        f" out (above 1 is worse than the mean), {ridge:.2f} with a ridge."
    )


def _ranking(pairs: Sequence[Pair]) -> list[str]:
    """Spearman's correlation of each number with the share kept."""
    signs = {"cka": 1, "mutual_knn": 1, "nbs": 1, "misalignment": -1, "misalignment_cv_ridge": -1, "native_source": 1}
    columns = {name: [getattr(pair, name) for pair in pairs] for name in (*signs, "kept")}
    if any(len(set(column)) < 3 for column in columns.values()):
        return []
    ranks = {
        name: sign * float(stats.spearmanr(columns[name], columns["kept"]).statistic) for name, sign in signs.items()
    }
    listed = ", ".join(f"{name} {rank:.2f}" for name, rank in sorted(ranks.items(), key=lambda item: -item[1]))
    return [
        "Rank correlation with the share kept, misalignments counted downwards (pairs share models: no p-values):"
        f" {listed}."
    ]


def _directions(pairs: Sequence[Pair]) -> list[str]:
    """CKA is symmetric, stitching is not."""
    found = {(pair.source, pair.target): pair for pair in pairs}
    both = [(pair, found[pair.target, pair.source]) for pair in pairs if (pair.target, pair.source) in found]
    if not both:
        return []
    there, back = max(both, key=lambda ways: ways[0].kept - ways[1].kept)
    return [
        f"CKA has no direction, stitching has: {there.source} → {there.target} keeps {there.kept:.0%} and the way back"
        f" {back.kept:.0%}, at one CKA of {there.cka:.2f}."
    ]


def write(pairs: Sequence[Pair], tasks: Sequence[Task], output: Path, command: str, seconds: float) -> None:
    """OUTPUT.csv, every number; OUTPUT.md, the words and the pairs of highest CKA."""
    names = [field.name for field in fields(Pair)]
    with output.with_suffix(".csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        for pair in pairs:
            writer.writerow(f"{v:.4g}" if isinstance(v, float) else v for v in asdict(pair).values())
    output.with_suffix(".md").write_text(report(pairs, tasks, command, seconds), encoding="utf-8")


def report(pairs: Sequence[Pair], tasks: Sequence[Task], command: str, seconds: float) -> str:
    """The study in Markdown."""
    lines = [
        "# CKA and stitching",
        "",
        "**Claims**: models of high CKA can be stitched, and models of low CKA cannot.",
        "",
        f"{datetime.date.today()}, kernalign {ka.__version__}: `{command}`, {seconds:.0f} s of CPU.",
        "",
        f"Thresholds, fixed beforehand: high CKA ≥ {HIGH_CKA}; badly < {BADLY:.0%} of accuracy above chance kept.",
        "Items whose row repeats an earlier one in any representation are left out, and so are dead columns.",
    ]
    shown = ("source", "target", "cka", "mutual_knn", "nbs", "misalignment", "misalignment_cv_ridge", "promised")
    shown += ("risk", "stitched_risk", "bound", "native", "ridge", "affine", "procrustes", "low_rank", "chance", "kept")
    for task in tasks:
        mine = [pair for pair in pairs if pair.task == task.name]
        lines += ["", f"## Task: {task.name}", "", f"Labels: {task.rule}.", ""]
        lines += [f"* {sentence}" for sentence in findings(mine)]
        lines += ["", "The pairs of highest CKA:", "", "| " + " | ".join(shown) + " |", "|---" * len(shown) + "|"]
        for pair in sorted(mine, key=lambda pair: -pair.cka)[:12]:
            cells = (getattr(pair, name) for name in shown)
            lines.append("| " + " | ".join(c if isinstance(c, str) else f"{c:.3g}" for c in cells) + " |")
    return "\n".join([*lines, "", _verdict(pairs), "", _CHANGE]) + "\n"


_CHANGE = (
    "**What would change the verdict**: tasks that need what CKA sees most of, the directions of large variance; maps"
    " that are not linear; more items than features everywhere."
)


def _verdict(pairs: Sequence[Pair]) -> str:
    """Whether either claim held, over the tasks."""
    high = [pair for pair in pairs if math.isfinite(pair.kept) and pair.cka >= HIGH_CKA]
    low = [pair for pair in pairs if math.isfinite(pair.kept) and pair.cka < LOW_CKA]
    bad, well = sum(pair.kept < BADLY for pair in high), sum(pair.kept >= WELL for pair in low)
    said = [
        f"**{claim}: {'undecided' if not of else 'refuted' if count else 'held'}**, {count} of {of} {what}."
        for claim, count, of, what in (
            ("No pair of high CKA stitches badly", bad, len(high), f"keep less than {BADLY:.0%}"),
            ("No pair of low CKA stitches well", well, len(low), f"keep {WELL:.0%} or more"),
        )
    ]
    return " ".join(said)


def main() -> None:
    """Read the arguments, measure, write."""
    files = {"file": "arrays (items, features), rows paired", "items": 'JSON list of {"id": "folder/.../name"}'}
    given = asked("cka_and_stitching", __doc__, files, arrays=True)
    begun = time.process_time()
    live, usable = without_traps(representations(given.file, given.names))
    tasks = folder_tasks(given.items, usable)
    warnings.simplefilter("ignore", ka.AlignmentWarning)
    pairs = []
    for pair in measure(live, tasks):
        pairs.append(pair)
        print(f"{pair.task}: {_told(pair)}", flush=True)
    write(pairs, tasks, OUTPUT, given.command, time.process_time() - begun)


if __name__ == "__main__":
    main()
