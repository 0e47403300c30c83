"""Energy distance: whether two samples, not paired, come from the same distribution, by their distances."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, Unpack

from kernalign._base import checks
from kernalign._base.kernels import Distance
from kernalign._base.progress import reporting
from kernalign._base.score import Score
from kernalign._engines.gram_source import make_side
from kernalign._rows import arrays
from kernalign._rows.labels import sample_groups
from kernalign._rows.options import Options
from kernalign.metrics.kernel.mmd import held_by, of_whole

Estimator: TypeAlias = Literal["unbiased", "biased"]


def energy_distance(
    x: Any, y: Any, *, estimator: Estimator = "unbiased", groups: Any = None, **options: Unpack[Options]
) -> Score:
    """Energy distance of two samples, whose rows are not paired: 2 E|X - Y| - E|X - X'| - E|Y - Y'|.

    Parameters
    ----------
    x, y : (n, p) and (m, p) arrays, n and m at least 2.
    estimator : "unbiased": means over pairs of different rows, which may be negative; "biased": over all pairs, the
        zero distances of rows to themselves included, >= 0 (the statistic of R's energy is n m / (n + m) times that).
    groups, **options : as for :func:`kernalign.mmd`.

    Returns
    -------
    Score
        In the units of the data; 0 (in the limit) only if the distributions are the same. It is MMD^2 of the kernel
        -|a - b|, and has its null: rows dealt to the two samples at random, with exact mean, variance and, for
        "unbiased", third moment, or the random deals themselves; p is that of "unbiased" for both. With groups these
        change sides whole. ``n`` counts the rows of both samples; settings["sizes"] has both. Invariant to rotation and
        translation of both alike.

    Notes
    -----
    O((n + m)^2 p); holds a few tiles, O(n + m) numbers and converted rows of at most 32 MB; with groups 4 (n + m)^2
    bytes twice.

    Warns
    -----
    AlignmentWarning
        Rows repeat others of their own sample and hardly any of the other one, as for :func:`kernalign.mmd`.

    Raises
    ------
    TypeError, ValueError
        For input that is not two numeric, finite 2-D arrays with the same number of columns, or fewer than 2 rows.

    See Also
    --------
    mmd : by a kernel, which sees what is alike on its own scale
    distance_correlation : of paired rows

    References
    ----------
    Szekely and Rizzo 2004, 2013; Sejdinovic et al. 2013 (its equality with MMD).

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, same, moved = rng.standard_normal((3, 200, 4))
    >>> abs(ka.energy_distance(x, same[:150])) < 0.05
    True
    >>> score = ka.energy_distance(x, moved + 1)
    >>> round(score, 1), score.p_value < 1e-9
    (1.1, True)
    """
    checks.check_choice(estimator, "estimator", ("unbiased", "biased"))
    pair = arrays.samples(x, y, grouped=groups is not None, **options)
    n, m = pair.x.shape[0], pair.y.shape[0]
    labels = sample_groups(groups, x, y, (n, m))
    for count, name in ((n, "x"), (m, "y")):
        checks.check_count(count, 2, f"energy_distance ({estimator}) of {name}")
    pair.afford("energy_distance", held_by(n + m, labels))
    with reporting(pair.progress, "energy_distance") as report:
        side = make_side([pair.x, pair.y], Distance(), pair.threads, report)
        settings = {**pair.settings, "sizes": (n, m), "accumulation": "float64", "backend": "cpu"}
        keywords: dict[str, Any] = {"estimator": estimator, "settings": settings, "maximum": None}
        return of_whole(pair, side, report, keywords, labels, "energy_distance", sign=-1.0)
