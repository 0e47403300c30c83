"""Plots of trials: what is left over, or risk, stitched risk and bound, against rank and solver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kernalign.stitching.trials import Trial


def load_matplotlib() -> Any:
    """matplotlib's Figure class; an ImportError names the extra that brings it."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'kernalign[plot]'") from error
    return Figure


def plot_trials(groups: Mapping[str, Sequence[Trial]]) -> Any:
    """A matplotlib Figure with one panel per group (title -> trials), low-rank maps as curves, others as points.

    With a head: risk, stitched risk and bound, on a logarithmic axis. Without: 1 - R^2, cross-validated and in-sample.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    figure = load_matplotlib()(figsize=(2.5 + 4.5 * len(groups), 4.2), layout="constrained")
    axes = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    for axis, (title, trials) in zip(axes, groups.items(), strict=True):
        with_head = trials[0].risk is not None
        for number, (label, values) in enumerate(_series(trials).items()):
            curve = [(t.rank, v) for t, v in zip(trials, values, strict=True) if t.name.startswith("low-rank")]
            points = [(t, v) for t, v in zip(trials, values, strict=True) if not t.name.startswith("low-rank")]
            if curve:
                axis.plot(*zip(*sorted(curve), strict=True), marker=".", color=f"C{number}", label=label)
            for index, (trial, value) in enumerate(points):
                style = {"color": f"C{number}", "marker": "osD^v"[index % 5], "linestyle": "none", "fillstyle": "none"}
                named = f"{trial.name}: {label}" if curve else label if not index else None
                axis.plot([trial.rank if curve else trial.name], [value], label=named, **style)
        if any(t.name.startswith("low-rank") for t in trials):
            axis.set_xscale("log", base=2)
            axis.set_xlabel("rank of the map")
        if with_head:
            axis.set_yscale("log")
        axis.set_title(title)
    axes[0].set_ylabel("mean squared error" if with_head else "1 − R²")
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    return figure


def _series(trials: Sequence[Trial]) -> dict[str, list[float]]:
    if trials[0].risk is None:
        return {"held out": [1 - t.r2 for t in trials], "in-sample": [1 - t.r2_in_sample for t in trials]}
    names = {"bound": "bound", "stitched_risk": "stitched risk", "risk": "risk"}
    return {label: [getattr(t, field) for t in trials] for field, label in names.items()}
