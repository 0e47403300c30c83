"""Plots of trials: what is left over, or risk, stitched risk and bound, against rank and solver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kernalign._base import checks
from kernalign._base.figures import discarding, need_matplotlib, new_figure
from kernalign.stitching.trials import Trial

_WORST = 1.0  # what is left over of y by its mean: the axis reaches that far at least
_BEYOND = {False: 2.0, True: 30.0}  # times the median of what is left over, of risks, above which one is at the edge
_ROUNDING = 1e-12  # of the largest risk
_ABOVE = 1.02  # where the edge is


def plot_trials(groups: Mapping[str, Sequence[Trial]]) -> list[Any]:
    """Axes of a new figure, one for each group (title -> trials), low-rank maps as curves, others as points.

    With a head: risk, stitched risk and bound, on a logarithmic axis. Without: 1 - R^2, cross-validated and in-sample.
    What is over 2 times the median and over 1, the mean of y alone (of risks, over 30 times the median), is an arrow at
    the upper edge with its number, so that it leaves room for the others; so is, at the lower edge of risks, what is
    0 or rounding, below 1e-12 of the largest.

    Parameters
    ----------
    groups : title -> trials of `run_trials`

    Returns
    -------
    list of matplotlib Axes
        of a new figure, which is pyplot's where that is in use

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        ``groups`` is no dict of trials, or some of the trials have a head and others none.

    See Also
    --------
    run_trials : what is drawn

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> x = np.random.default_rng(0).standard_normal((100, 4))
    >>> trials = stitching.run_trials(x, x[:, :2], {"affine": stitching.AffineStitcher()})
    >>> [axes] = stitching.plot_trials({"x to y": trials})
    >>> axes.get_ylabel()
    '1 − R²'
    """
    checks.check_type(groups, "groups", Mapping, "a dict of titles and trials")
    groups = {str(title): checks.items(trials, "groups", "trials for every title") for title, trials in groups.items()}
    drawn = [trial for trials in groups.values() for trial in trials]
    for trial in drawn:
        checks.check_type(trial, "groups", Trial, "a dict of titles and trials of run_trials")
    if not drawn or not all(groups.values()):
        raise ValueError(f"groups must hold a trial for every title, got {checks.shown(groups)}")
    if len({trial.risk is None for trial in drawn}) > 1:
        raise ValueError("groups must hold trials that all have a head, or that all have none")
    need_matplotlib()
    figure = new_figure((2.5 + 4.5 * len(groups), 4.2))
    with discarding(figure):
        axes = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
        with_head = drawn[0].risk is not None
        values = [value for trials in groups.values() for own in _series(trials).values() for value in own]
        bottom = _bottom(values) if with_head else -np.inf
        top = _top([value for value in values if value > bottom], with_head)
        for axis, (title, trials) in zip(axes, groups.items(), strict=True):
            axis.set_title(title, parse_math=False, pad=6 + _draw(axis, trials, bottom, top))
            axis.spines[["top", "right"]].set_visible(False)
        if with_head and bottom > 0:
            axes[0].set_yscale("log")
            axes[0].set_ylim(top=top * _ABOVE**10)
            if min(values) < bottom:
                axes[0].set_ylim(bottom=bottom)
        else:
            axes[0].set_ylim(0.0, top * _ABOVE)
        axes[0].set_ylabel("mean squared error" if with_head else "1 − R²")
        figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    return list(axes)


def _bottom(values: Sequence[float]) -> float:
    """The least number that a logarithmic axis of these holds; 0 if all are 0."""
    known = np.array([value for value in values if np.isfinite(value)])
    largest = float(known.max(initial=0.0))
    shown = known[known > _ROUNDING * largest]
    return float(shown.min()) / 2 if shown.size else 0.0


def _top(values: Sequence[float], with_head: bool) -> float:
    """The largest number that the axis holds; what is above is an arrow."""
    known = np.array([value for value in values if np.isfinite(value)])
    if not known.size:
        return _WORST
    limit = _BEYOND[with_head] * float(np.median(known))
    limit = limit if with_head else max(limit, _WORST)
    return float(known[known <= limit].max(initial=0.0)) or _WORST


def _draw(axis: Any, trials: Sequence[Trial], bottom: float, top: float) -> float:
    """Lines and points of one group; the points that numbers above the edge take."""
    heights: dict[Any, int] = {}
    ranked = any(_ranked(trial) for trial in trials)
    if ranked:
        axis.set_xscale("log", base=2)
        axis.set_xlabel("rank of the map")
    for number, (label, values) in enumerate(_series(trials).items()):
        shown = [min(max(value, bottom), top) for value in values]
        curve = [(trial.rank, value) for trial, value in zip(trials, shown, strict=True) if _ranked(trial)]
        points = [(trial, value) for trial, value in zip(trials, shown, strict=True) if not _ranked(trial)]
        if curve:
            axis.plot(*zip(*sorted(curve), strict=True), marker=".", color=f"C{number}", label=label)
        for index, (trial, value) in enumerate(points):
            style = {"color": f"C{number}", "marker": "osD^v"[index % 5], "linestyle": "none", "fillstyle": "none"}
            named = f"{trial.name}: {label}" if curve else label if not index else None
            axis.plot([trial.rank if curve else trial.name], [value], label=named, **style)
        for trial, value in zip(trials, values, strict=True):
            if not (value > top or value < bottom):
                continue
            place = trial.rank if ranked else trial.name
            end, turn = (top, 0) if value > top else (bottom, 180)
            axis.plot([place], [end], marker=(3, 0, turn), color=f"C{number}", linestyle="none", clip_on=False)
            if value < bottom:
                continue
            told = f"{value:.2g}" if _ranked(trial) else f"{trial.name} {value:.3g}"
            height = heights[place] = heights.get(place, -1) + 1
            axis.annotate(
                told, (place, top), (0, 5 + 9 * height), textcoords="offset points", ha="center", fontsize=7,
                color=f"C{number}", parse_math=False, gid="beyond",
            )  # fmt: skip
    return 9 * (max(heights.values(), default=-1) + 1)


def _ranked(trial: Trial) -> bool:
    return trial.name.startswith("low-rank")


def _series(trials: Sequence[Trial]) -> dict[str, list[float]]:
    if trials[0].risk is None:
        return {"held out": [1 - t.r2 for t in trials], "in-sample": [1 - t.r2_in_sample for t in trials]}
    names = {"bound": "bound", "stitched_risk": "stitched risk", "risk": "risk"}
    return {label: [getattr(t, field) for t in trials] for field, label in names.items()}
