"""What follows from CKA and from the traces of its matrices: an angle, and a number of shared dimensions."""

from __future__ import annotations

import math
from typing import Any, Unpack

from kernalign._base.kernels import Kernels, Linear
from kernalign._base.score import Null, Score, undefined
from kernalign._rows.options import Options
from kernalign.metrics.kernel.cka import sums_of
from kernalign.metrics.kernel.finish import Estimator, finish_cka, warn_of_dominance

_NARROW = 0.1  # standard deviations in the way to 1: the next order is below a hundredth of the spread


def angular_cka(
    x: Any,
    y: Any,
    *,
    estimator: Estimator = "biased",
    kernel: Kernels = Linear(),  # noqa: B008 (frozen)
    **options: Unpack[Options],
) -> Score:
    """Angle between two centred Gram matrices: the arc cosine of CKA, a metric.

    Parameters
    ----------
    x, y, kernel, **options : as for :func:`cka`.
    estimator : "biased", of which the triangle inequality holds, or "unbiased".

    Returns
    -------
    Score
        Radians in [0, pi / 2] ("biased", positive kernels) or [0, pi]; 0 for equal geometry. ``p_value`` is that of
        CKA, small where the angle is. ``chance`` and ``chance_sd`` follow from the exact moments of CKA to second
        order, where these are narrow enough (a standard deviation below a tenth of the way to 1), else None. ensd's
        distance is this over pi / 2.

    Notes
    -----
    Cost, memory and errors as for :func:`cka`. Angles below 1e-7 are rounding.

    See Also
    --------
    cka : its cosine
    angular_distance : the angle of shapes

    References
    ----------
    Williams et al. 2021; Lange et al. 2023.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, y, z = rng.standard_normal((3, 100, 5))
    >>> xy, yz, xz = ka.angular_cka(x, y), ka.angular_cka(y, z), ka.angular_cka(x, z)
    >>> bool(xz <= xy + yz), round(ka.angular_cka(x, 2 * x + 1), 4)
    (True, 0.0)
    """
    sums, _ = sums_of("angular_cka", x, y, estimator, kernel, None, options)
    warn_of_dominance(sums, "angular_cka")
    found = finish_cka(sums, estimator, metric="angular_cka")
    keywords: dict[str, Any] = {"estimator": estimator, "settings": found.settings, "maximum": None}
    if found.reason is not None:
        return Score(math.nan, metric="angular_cka", n=found.n, reason=found.reason, **keywords)
    value = math.acos(min(1.0, max(-1.0, float(found))))
    tail = None if found._null is None else found._null.p_value
    mean, sd = _angle_by_chance(found.chance, found.chance_sd)
    null = None if tail is None and mean is None else Null(mean, sd, p_value=tail)
    return Score(value, metric="angular_cka", n=found.n, null=null, **keywords)


def _angle_by_chance(mean: float | None, sd: float | None) -> tuple[float | None, float | None]:
    """Mean and standard deviation of the arc cosine of a narrow score, to second order."""
    if mean is None or sd is None or not sd < _NARROW * (1 - abs(mean)):
        return None, None
    slope = 1 / math.sqrt(1 - mean**2)
    return math.acos(mean) - sd**2 * mean * slope**3 / 2, sd * slope


def ensd(
    x: Any,
    y: Any,
    *,
    kernel: Kernels = Linear(),  # noqa: B008 (frozen)
    **options: Unpack[Options],
) -> Score:
    """Effective number of shared dimensions: biased CKA times the geometric mean of the participation ratios.

    Parameters
    ----------
    x, y, kernel, **options : as for :func:`cka`; n >= 2.

    Returns
    -------
    Score
        tr K tr L <K, L> / (|K|^2 |L|^2) of centred Gram matrices, >= 0: of x with itself the participation ratio of its
        spectrum, and never above the geometric mean of both. ``chance`` is the exact mean under random pairing, the
        product of both participation ratios over n - 1, ``chance_sd`` exact too; ``p_value`` is that of unbiased CKA.
        nan, with ``reason``, where a side is constant.

    Notes
    -----
    Cost, memory and errors as for :func:`cka`.

    See Also
    --------
    cka : the same without the numbers of dimensions
    describe : the participation ratio

    References
    ----------
    Giaffar et al. 2024.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, other = rng.standard_normal((2, 500, 8))
    >>> y = np.hstack([x[:, :4], other[:, :4]])
    >>> round(ka.ensd(x, x)), round(ka.ensd(x, y)), round(ka.ensd(x, other))
    (8, 4, 0)
    """
    sums, _ = sums_of("ensd", x, y, "biased", kernel, None, options)
    warn_of_dominance(sums, "ensd")
    settings = sums.describe()
    reason = sums.why_undefined("biased")
    if reason is not None:
        return undefined("ensd", sums.n, reason, estimator="biased", settings=settings, maximum=None)
    ratios = [sums.centred_trace(side) ** 2 / sums.centred(side, side) for side in (0, 1)]
    dimensions = math.sqrt(ratios[0]) * math.sqrt(ratios[1])
    found = finish_cka(sums, "biased")
    null, chance, sd = None, found.chance, found.chance_sd
    if found._null is not None and chance is not None:
        null = Null(chance * dimensions, None if sd is None else sd * dimensions, p_value=found._null.p_value)
    value = float(found) * dimensions
    return Score(value, metric="ensd", n=sums.n, estimator="biased", settings=settings, null=null, maximum=None)
