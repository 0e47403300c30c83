"""Two-sided confidence intervals of numbers that are known already."""

from __future__ import annotations

import math

from scipy import special

from kernalign._base.checks import number


def normal_quantile(level: float) -> float:
    """How many standard errors an interval of this level reaches to either side."""
    return float(special.ndtri(_upper(level)))


def student_quantile(level: float, freedom: float) -> float:
    """The same of a standard error that is estimated from ``freedom`` + 1 independent numbers."""
    return float(special.stdtrit(freedom, _upper(level)))


def _upper(level: float) -> float:
    return 0.5 + number(level, "level", "in (0, 1)") / 2


def wilson(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share of n answers (Wilson 1927), inside [0, 1].

    It holds for means of shares in [0, 1], too: their variance is at most that of yes-or-no answers of the same mean.
    """
    z2 = normal_quantile(level) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))
