"""Upper tails of the laws that null distributions are read from."""

from __future__ import annotations

import math

from scipy import special

_NORMAL_SKEW = 1e-3
_LEAST, _EPSILON, _TERMS = 1e-290, 1e-15, 100_000


def normal_tail(z: float) -> float:
    """P(Z >= z) of a standard normal."""
    return float(special.ndtr(-z))


def student_tail(t: float, freedom: int) -> float:
    """P(T >= t) of Student's t."""
    return float(special.stdtr(freedom, -t))


def pearson3_tail(z: float, skew: float) -> float:
    """P(Z >= z) of the standardised Pearson type III law with the given skewness (Kazi-Aoual et al. 1995)."""
    if math.isnan(z) or math.isnan(skew):
        return math.nan
    if abs(skew) < _NORMAL_SKEW:
        return normal_tail(z)
    shape = 4 / skew**2
    argument = max(0.0, shape + 2 * z / skew)
    return float(special.gammaincc(shape, argument) if skew > 0 else special.gammainc(shape, argument))


def pearson3_log10_tail(z: float, skew: float) -> float:
    """Decimal logarithm of `pearson3_tail`, also where that is below the least number; -inf beyond the law's end."""
    p = pearson3_tail(z, skew)
    if not p < _LEAST:
        return math.log10(p)
    if abs(skew) < _NORMAL_SKEW:
        return float(special.log_ndtr(-z)) / math.log(10)
    shape = 4 / skew**2
    argument = shape + 2 * z / skew
    if argument <= 0:
        return -math.inf
    front = shape * math.log(argument) - argument - math.lgamma(shape)
    factor = _upper_fraction(shape, argument) if skew > 0 else _lower_series(shape, argument)
    return (front + math.log(factor)) / math.log(10)


def _upper_fraction(a: float, x: float) -> float:
    """Gamma(a, x) e^x x^-a of x > a, by its continued fraction (Lentz)."""
    b = x + 1 - a
    c, d = math.inf, 1 / b
    product = d
    for i in range(1, _TERMS):
        numerator = i * (a - i)
        b += 2
        d, c = 1 / (b + numerator * d), b + numerator / c
        product *= c * d
        if abs(c * d - 1) < _EPSILON:
            break
    return product


def _lower_series(a: float, x: float) -> float:
    """gamma(a, x) e^x x^-a of x < a, by its series."""
    term = total = 1 / a
    for i in range(1, _TERMS):
        term *= x / (a + i)
        total += term
        if term < _EPSILON * total:
            break
    return total


def pearson3_quantile(alpha: float, skew: float) -> float:
    """What a standardised Pearson type III variable of the given skewness exceeds with probability alpha."""
    if abs(skew) < _NORMAL_SKEW:
        return float(-special.ndtri(alpha))
    shape = 4 / skew**2
    gamma = special.gammainccinv(shape, alpha) if skew > 0 else special.gammaincinv(shape, alpha)
    return float(math.copysign(1.0, skew) * (gamma - shape) / math.sqrt(shape))
