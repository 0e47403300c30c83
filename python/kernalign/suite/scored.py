"""The scores of one metric over the models of a set, as checks ask for them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Verdict = Literal["held", "refuted", "undecided"]


class Found(NamedTuple):
    """What a check says, whether it holds, by what numbers, and the number that decided, where it is one."""

    text: str
    verdict: Verdict
    why: str
    value: float | None = None


@dataclass(frozen=True)
class Scores:
    """The rows of one metric; of distances, ``sign`` is -1, so that the closer is the larger."""

    rows: Sequence[Mapping[str, Any]]
    sign: int

    def of(self, x: str | None, y: str | None) -> list[Mapping[str, Any]]:
        """Rows of a pair in either order; None: of any model."""
        both = (x, y), (y, x)
        return [row for row in self.rows if any(a in (None, row["x"]) and b in (None, row["y"]) for a, b in both)]

    def closeness(self, row: Mapping[str, Any]) -> float:
        return self.sign * float(row["score"])

    def best(self, x: str, y: str) -> Mapping[str, Any] | None:
        return max(self.of(x, y), key=self.closeness, default=None)

    def by_pair(self) -> dict[tuple[str, str], float]:
        """The mean closeness of both orders of every pair, under both, of the best layers where there are several."""
        best: dict[tuple[str, str], float] = {}
        for row in self.rows:
            pair = row["x"], row["y"]
            best[pair] = max(best.get(pair, -math.inf), self.closeness(row))
        return {
            at: (one + best.get((at[1], at[0]), one)) / 2
            for pair, one in best.items()
            for at in (pair, (pair[1], pair[0]))
        }


def spearman(x: Any, y: Any) -> float:
    """Rank correlation."""
    from scipy import stats

    return float(stats.spearmanr(x, y).statistic)


def at_least(text: str, value: float, least: float, why: str) -> Found:
    """A claim that holds if a number is at least another; undecided if there is none."""
    if math.isnan(value):
        return Found(text, "undecided", "there are no scores that tell")
    return Found(text, "held" if value >= least else "refuted", why, value)
