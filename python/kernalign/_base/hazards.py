"""What makes scores mean less than they seem to: the one place for the thresholds and the sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base.readable import counted

DOMINANT, MEAN, TIES, OUTLIER = 0.9, 0.5, 0.01, 10.0
HIGH, NEAR_CHANCE = 0.3, 0.05
FAINT = 1e-6  # of the median standard deviation: ten times the rounding of float32
_RANK_1 = 1e-12


class Hazard(str):
    """A sentence, with a word for its kind and the number that it is about."""

    kind: str
    value: float

    def __new__(cls, kind: str, value: float, text: str) -> Hazard:
        self = super().__new__(cls, text)
        self.kind, self.value = kind, float(value)
        return self

    def __getnewargs__(self) -> Any:
        return self.kind, self.value, str(self)

    def of(self, what: str) -> Hazard:
        """The same, said of something."""
        return Hazard(self.kind, self.value, f"{what}: {self}")


def top_share_bound(trace: float, squares: float) -> float:
    """Least share of the sum that the largest of non-negative numbers can have, from their sum and sum of squares.

    Tight where one number holds nearly all; 0 where all are 0, and where exactly one is not: then there is no rest that
    a score could miss.
    """
    ratio = squares / trace**2 if trace > 0 else 0.0
    if not ratio < 1 - _RANK_1:
        return 0.0
    return (1 + math.sqrt(2 * ratio - 1)) / 2 if ratio > 0.5 else ratio


def dominant(share: float, of: str = "", *, at_least: bool = False) -> Hazard | None:
    """One principal direction holds nearly all of the variance."""
    if not share > DOMINANT:
        return None
    shown = f"at least {math.floor(1000 * share) / 10:.1f} %" if at_least else f"{share:.1%}"
    return Hazard(
        "dominant",
        share,
        f"one direction holds {shown} of the variance{of}: linear CKA is blind to the rest; compare with"
        " mutual_knn, and with normalize='standardize' or clip_quantile",
    )


def zero_rows(count: int) -> Hazard | None:
    """Rows of zeros have no direction."""
    if not count:
        return None
    what = counted(count, "row is", "rows are")
    text = f"{what} zero; cosine and normalize='l2' refuse them unless zero_rows='drop_pair'"
    return Hazard("zero_rows", count, text)


def duplicate_rows(count: int) -> Hazard | None:
    """Repeated items find each other."""
    if not count:
        return None
    return Hazard(
        "duplicate_rows",
        count,
        f"{counted(count, 'row repeats', 'rows repeat')} an earlier row: repeated items are each other's nearest"
        " neighbours, which raises neighbour overlap where both sides repeat them; keep one of each, or pass groups",
    )


def counting_column(column: int, share: float) -> Hazard:
    """An index that was read as a feature."""
    return Hazard(
        "counting_column",
        share,
        f"column {column} counts the rows (0, 1, 2, ...) and holds {share:.0%} of the variance: an index that was read"
        " as a feature rules the score; leave it out, or pass it as ids",
    )


def dissimilarities_as_features() -> Hazard:
    """A matrix of dissimilarities that is read as features."""
    text = (
        "symmetric with a zero diagonal, as dissimilarities are, but rows are read as features: rsa with"
        " distance='precomputed' compares dissimilarities"
    )
    return Hazard("dissimilarities", 1.0, text)


def swapped_axes(layers: int, n: int) -> Hazard:
    """More layers than items: the axes of a stack are likely others."""
    return Hazard(
        "swapped_axes",
        layers,
        f"{layers} layers of {n} items: are the axes (items, layers, features)? x.swapaxes(0, 1) makes them so of"
        " (layers, items, features)",
    )


ONE_THING = "if they are one thing"  # of every hazard of repeated items
_WRONG = "chance levels and p-values are wrong unless groups= says so; otherwise keep one of each"


def repeated_items(count: int, name: str, consequence: str = _WRONG) -> Hazard:
    """Repeated items are no independent evidence."""
    return Hazard(
        "repeated_items",
        count,
        f"{counted(count, f'row of {name} repeats', f'rows of {name} repeat')} an earlier row: {ONE_THING}"
        f" (captions of an image, trials of a stimulus), {consequence}",
    )


def near_items(share: float, name: str) -> Hazard:
    """Items that nearly repeat others are no independent evidence either."""
    return Hazard(
        "near_items",
        share,
        f"{share:.0%} of the rows of {name} that were looked at nearly repeat another: {ONE_THING} (copies,"
        " augmentations, trials of a stimulus), chance levels and p-values are wrong unless groups= says so",
    )


def large_mean(share: float) -> Hazard | None:
    """A common mean row is most of what uncentred products see."""
    if not share > MEAN:
        return None
    return Hazard(
        "large_mean",
        share,
        f"the mean row holds {share:.0%} of the energy: cosine similarities crowd near 1 and"
        " kernel_alignment is high for any pair; centred metrics are not affected",
    )


def common_mean(metric: str, shares: Mapping[str, float], consequence: str) -> Hazard | None:
    """The same of one score, for the side (the first of equals) whose mean holds most."""
    name = max(shares, key=lambda side: shares[side])
    if not shares[name] > MEAN:
        return None
    text = f"{metric}: the mean holds {shares[name]:.0%} of the energy of {name}{consequence}"
    return Hazard("common_mean", shares[name], text)


def faint(deviations: NDArray[np.float64]) -> int:
    """How many columns that are not constant hardly vary beside the others, from their standard deviations."""
    return int((deviations < FAINT * np.median(deviations)).sum()) if len(deviations) else 0


def rounded_columns(count: int) -> Hazard | None:
    """Columns that differ from a constant by rounding alone are taken for constant."""
    if not count:
        return None
    text = f"{count} columns vary by no more than the rounding of their dtype and are taken for constant"
    return Hazard("rounded_columns", count, text)


def faint_columns(count: int) -> Hazard | None:
    """Columns whose variation may be nothing but rounding errors of earlier steps."""
    if not count:
        return None
    return Hazard(
        "faint_columns",
        count,
        f"{count} columns hardly vary (standard deviation below {FAINT:.0e} of the median column's): standardised or"
        " fitted, what may be rounding errors weighs as much as any signal; drop them unless they are in other units",
    )


def outlier(longest: float, median: float) -> Hazard | None:
    """A few rows are far longer than the others."""
    if not longest > OUTLIER * median:
        return None
    times = longest / median if median else math.inf
    return Hazard(
        "outlier",
        times,
        f"the longest row has {times:.3g} times the median norm: a few items decide dot products, linear CKA and HSIC",
    )


def saturation(n: int, p: int) -> Hazard | None:
    """Features are so many that a linear fit of n items is perfect, or close to it."""
    if p >= n - 1:
        return Hazard(
            "saturation",
            p / n,
            f"{p} features for {n} items: linear fits, CCA and predictivity are perfect whatever the data, and"
            " biased CKA is far from 0 by chance",
        )
    if p > n / 2:
        text = (
            f"{p} features for {n} items: fitted in-sample they explain {p / (n - 1):.0%} of unrelated data, and"
            " squared correlations of CCA are as high by chance"
        )
        return Hazard("saturation", p / n, text)
    return None


def ties(rate: float | None, k: int) -> Hazard | None:
    """The k-th neighbour of many rows is one of several."""
    if rate is None or not rate > TIES:
        return None
    text = f"{rate:.1%} of the rows examined tie at the {k}-th neighbour: use ties='fractional'"
    return Hazard("ties", rate, text)


def mostly_chance(score: float, chance: float | None) -> Hazard | None:
    """A CKA, the biased one, that unrelated data would nearly have."""
    if chance is None or not chance > 0.5 * max(score, NEAR_CHANCE):
        return None
    text = f"cka {score:.3f} is mostly chance ({chance:.3f}): the biased estimate grows with p / n"
    return Hazard("mostly_chance", chance, text)


def disagreement(cka: float, cka_chance: float | None, knn: float, knn_chance: float | None) -> Hazard | None:
    """CKA is high, but neighbourhoods have nothing in common; silent where a chance level is not known, or is 1."""
    if knn_chance is None or not knn_chance < 1 or math.isnan(cka):
        return None
    base = 0.0 if cka_chance is None or math.isnan(cka_chance) else cka_chance
    if not (_above(cka, base) >= HIGH and _above(knn, knn_chance) < NEAR_CHANCE):
        return None
    return Hazard(
        "disagreement",
        cka,
        f"cka {cka:.3f} is high but mutual_knn {knn:.3f} is near its chance level {knn_chance:.3f}: a few coarse"
        " directions agree and neighbourhoods do not, as a confound or an outlier would have it",
    )


def _above(score: float, chance: float) -> float:
    """The score above chance, as a share of the most that it could be."""
    return (score - chance) / (1 - chance) if chance < 1 else 0.0
