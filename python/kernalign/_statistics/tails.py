"""Upper tails of the laws that null distributions are read from."""

from __future__ import annotations

import math

from scipy import special


def normal_tail(z: float) -> float:
    """P(Z >= z) of a standard normal."""
    return float(special.ndtr(-z))


def pearson3_tail(z: float, skew: float) -> float:
    """P(Z >= z) of the standardised Pearson type III law with the given skewness (Kazi-Aoual et al. 1995)."""
    if math.isnan(z) or math.isnan(skew):
        return math.nan
    if abs(skew) < 1e-3:
        return normal_tail(z)
    shape = 4 / skew**2
    argument = max(0.0, shape + 2 * z / skew)
    return float(special.gammaincc(shape, argument) if skew > 0 else special.gammainc(shape, argument))
