"""Upper tails of the laws that null distributions are read from."""

from __future__ import annotations

import math

from scipy import special

_NORMAL_SKEW = 1e-3


def normal_tail(z: float) -> float:
    """P(Z >= z) of a standard normal."""
    return float(special.ndtr(-z))


def pearson3_tail(z: float, skew: float) -> float:
    """P(Z >= z) of the standardised Pearson type III law with the given skewness (Kazi-Aoual et al. 1995)."""
    if math.isnan(z) or math.isnan(skew):
        return math.nan
    if abs(skew) < _NORMAL_SKEW:
        return normal_tail(z)
    shape = 4 / skew**2
    argument = max(0.0, shape + 2 * z / skew)
    return float(special.gammaincc(shape, argument) if skew > 0 else special.gammainc(shape, argument))


def pearson3_quantile(alpha: float, skew: float) -> float:
    """What a standardised Pearson type III variable of the given skewness exceeds with probability alpha."""
    if abs(skew) < _NORMAL_SKEW:
        return float(-special.ndtri(alpha))
    shape = 4 / skew**2
    gamma = special.gammainccinv(shape, alpha) if skew > 0 else special.gammaincinv(shape, alpha)
    return float(math.copysign(1.0, skew) * (gamma - shape) / math.sqrt(shape))
