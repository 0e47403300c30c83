"""What can mislead each metric, measured on the emoji that ship with the package.

    python -m bench.studies.caveats

prints the table of docs/which_metric.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import kernalign as ka
import numpy as np
from kernalign import demo, stitching
from numpy.typing import NDArray

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """One number beside the number to hold against it."""

    caveat: str
    case: str
    value: float
    against: str
    reference: float


def figures() -> Iterator[Figure]:
    """All figures, caveat by caveat."""
    given = {name: np.asarray(rows, dtype=np.float64) for name, rows in demo.representations().items()}
    vision, english, words = given["vision"], given["use_en"], given["glove"]
    shuffled = english[np.random.default_rng(0).permutation(len(english))]
    yield from dominance(vision, shuffled)
    yield from biased(vision, shuffled)
    yield from saturation(vision, english, shuffled)
    yield from ties(words)
    yield from duplicates(vision, english)
    yield from optimism(vision, words)
    yield from penalties(vision, english)


def dominance(vision: Rows, shuffled: Rows) -> Iterator[Figure]:
    """One direction that both sides share, of nine tenths of the variance: the length of the name, say."""
    length = np.array([len(item["en"]) for item in demo.items()], dtype=np.float64)
    length = (length - length.mean()) / length.std()
    x, y = (np.hstack([rows, 3 * np.sqrt(rows.var(axis=0).sum()) * length[:, None]]) for rows in (vision, shuffled))
    case = "unrelated rows + the length of the name with 90 % of the variance"
    yield Figure("one direction rules", f"cka, {case}", ka.cka(x, y), "without it", ka.cka(vision, shuffled))
    near, before = ka.mutual_knn(x, y), ka.mutual_knn(vision, shuffled)
    yield Figure("one direction rules", "mutual_knn, the same", near, "without it", before)


def biased(vision: Rows, shuffled: Rows) -> Iterator[Figure]:
    """Fewer items than features."""
    x, y = vision[:100], shuffled[:100]
    both = ka.cka(x, y, estimator="biased"), ka.cka(x, y)
    yield Figure("biased estimates", "cka(estimator='biased'), 100 unrelated rows", both[0], "unbiased", both[1])


def saturation(vision: Rows, english: Rows, shuffled: Rows) -> Iterator[Figure]:
    """320 features for 539 items."""
    yield Figure("saturation", "cca, paired", ka.cca(vision, english), "shuffled", ka.cca(vision, shuffled))
    inside = ka.linear_predictivity(vision, english), ka.linear_predictivity(vision, shuffled)
    yield Figure("saturation", "linear_predictivity, paired", inside[0], "shuffled", inside[1])
    outside = ka.linear_predictivity(vision, english, cv=5), ka.linear_predictivity(vision, shuffled, cv=5)
    yield Figure("saturation", "linear_predictivity(cv=5), paired", outside[0], "shuffled", outside[1])


def ties(words: Rows) -> Iterator[Figure]:
    """Eight signs per word: few distinct rows."""
    x, y = (np.where(words[:, columns] > 0, 1.0, -1.0) for columns in (slice(0, 8), slice(8, 16)))
    y = y[np.random.default_rng(0).permutation(len(y))]
    rate = ka.describe(x).tie_rate
    assert rate is not None
    yield Figure("ties", "share of rows that tie at the 10th place, 8 signs each", rate, "50 floats", _tie_rate(words))
    by_index, shared = ka.mutual_knn(x, y, ties="index"), ka.mutual_knn(x, y)
    assert shared.chance is not None
    yield Figure("ties", "mutual_knn(ties='index'), unrelated signs", by_index, "its chance", shared.chance)
    yield Figure("ties", "mutual_knn, unrelated signs", shared, "its chance", shared.chance)


def _tie_rate(rows: Rows) -> float:
    rate = ka.describe(rows).tie_rate
    assert rate is not None
    return rate


def duplicates(vision: Rows, english: Rows) -> Iterator[Figure]:
    """Every item five times, on both sides."""
    alone = ka.mutual_knn(vision[:100], english[:100])
    again = ka.mutual_knn(np.repeat(vision[:100], 5, axis=0), np.repeat(english[:100], 5, axis=0))
    yield Figure("duplicates", "mutual_knn, every one of 100 items five times", again, "once", alone)


def optimism(vision: Rows, words: Rows) -> Iterator[Figure]:
    """A map scored on the items it was fitted to."""
    x, y = vision - vision.mean(axis=0), words - words.mean(axis=0)
    inside, outside = (stitching.misalignment(x, y, cv=cv).settings["relative"] for cv in (None, 5))
    yield Figure("in-sample optimism", "misalignment / variance, pictures → words", inside, "cv=5", outside)
    ridge = stitching.run_trials(vision, words, {"ridge": stitching.RidgeStitcher("gcv")}, folds=5)[0]
    both = 1 - ridge.r2_in_sample, 1 - ridge.r2
    yield Figure("in-sample optimism", "the same by a ridge map", both[0], "cv=5", both[1])


def penalties(vision: Rows, english: Rows) -> Iterator[Figure]:
    """A ridge fitted to 250 items with 320 features, its penalty chosen by generalised cross-validation."""
    missed = []
    for last in (0, 249):  # the first item once more, or another one
        items = [*range(249), last]
        fitted = stitching.RidgeStitcher("gcv").fit(vision[items], english[items])
        missed.append(1 - fitted.score(vision[250:], english[250:], multioutput="variance_weighted"))
    case = "variance missed on other items, 320 features for 250 items, one of them twice"
    yield Figure("GCV and repeated items", case, missed[0], "none twice", missed[1])


def main() -> None:
    """Print the table in Markdown."""
    warnings.simplefilter("ignore", ka.AlignmentWarning)
    print("| caveat | what was measured | figure | against |\n|---|---|---|---|")
    for found in figures():
        print(f"| {found.caveat} | {found.case} | {found.value:.3f} | {found.against}: {found.reference:.3f} |")


if __name__ == "__main__":
    main()
