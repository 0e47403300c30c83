"""Measures pairs of representations, one row for each pair and metric."""

from __future__ import annotations

import itertools
import math
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from kernalign._base.checks import check_same_rows
from kernalign._base.progress import ProgressArgument, Report, reporting
from kernalign._base.score import AlignmentWarning
from kernalign._rows import arrays
from kernalign.comparison import caveats
from kernalign.metrics import registry

_SPECIAL = ("k", "estimator", "uncertainty", "rank")  # the options that not all metrics take


class MetricName(click.ParamType):  # type: ignore[type-arg]
    """A metric that can be called with what the command line offers."""

    name = "metric"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        known = [name for name, record in registry.METRICS.items() if set(record.needs) <= set(_SPECIAL)]
        if value not in known:
            self.fail(f"{value!r} is not one of {', '.join(map(repr, known))}.", param, ctx)
        return value

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[{'|'.join(registry.METRICS)}]"


@dataclass(frozen=True)
class Named:
    """A representation and what to call it."""

    name: str
    array: NDArray[Any]


@dataclass(frozen=True)
class Row:
    """One metric on one pair: the numbers of its Score and the seconds that they took."""

    x: str
    y: str
    metric: str
    value: float
    chance: float | None
    corrected: float | None
    z: float | None
    p_value: float | None
    n: int
    seconds: float
    reason: str | None
    stderr: float | None
    low: float | None
    high: float | None
    settings: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For JSON and CSV: numbers that do not exist are None."""
        return {key: plain(value) for key, value in asdict(self).items()}


def measure_pairs(representations: Sequence[Named], metrics: Sequence[str], **options: Any) -> Iterator[Row]:
    """Every metric on every pair; ``options`` are handed to the metrics that take them.

    One progress bar for all of them, on standard error and only if that is a terminal.
    """
    for x, y in itertools.pairwise(representations):
        check_same_rows(x.array.shape[0], y.array.shape[0], x.name, y.name)
    pairs = itertools.combinations(representations, 2)
    tasks = [
        (*pair, metric)
        for x, y in pairs
        for metric in metrics
        for pair in ([(x, y)] if registry.METRICS[metric].symmetric else [(x, y), (y, x)])
    ]
    done: dict[tuple[str, str], dict[str, Row]] = {}
    with reporting(sys.stderr.isatty(), "comparing") as report:
        for index, (x, y, metric) in enumerate(tasks):
            row = measure(x, y, metric, **options, progress=_share(report, index, len(tasks)))
            done.setdefault((x.name, y.name), {})[metric] = row
            yield row
    for one in representations:
        _note(one.name, caveats.row_notes(arrays.as_matrix(one.array, one.name)[0], metrics))
    biased = options.get("estimator") == "biased"
    for (first, second), rows in done.items():
        found = {name: (row.value, row.chance) for name, row in rows.items()}
        cka, knn = found.get("cka"), found.get("mutual_knn")
        _note(f"{first} × {second}", caveats.pair_notes(cka, knn, biased=biased))


def _note(where: str, texts: Sequence[str]) -> None:
    for text in texts:
        click.echo(f"note: {where}: {text}", err=True)


def measure(x: Named, y: Named, metric: str, **options: Any) -> Row:
    """One metric on one pair, with notes on standard error about what makes the number less than it seems."""
    taken = {name: value for name, value in options.items() if name not in _SPECIAL or _takes(metric, name)}
    for name in ("estimator", "rank"):
        if taken.get(name, "") is None:
            del taken[name]
    if not registry.METRICS[metric].paired:
        taken = {name: value for name, value in taken.items() if name not in ("zero_rows", "nan_rows")}
    begin = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AlignmentWarning)
        try:
            score = registry.measure(metric, x.array, y.array, **taken)
            p_value = score.p_value  # computed now, so that its time counts
        except (TypeError, ValueError) as error:
            raise ValueError(f"{metric} of x = {x.name} and y = {y.name}: {error}") from error
    seconds = time.perf_counter() - begin
    _note(f"{x.name} × {y.name}", [str(warning.message) for warning in caught])
    low, high = (None, None) if score.stderr is None else score.interval()
    return Row(
        x.name,
        y.name,
        metric,
        float(score),
        score.chance,
        score.corrected,
        score.z,
        p_value,
        score.n,
        seconds,
        score.reason,
        score.stderr,
        low,
        high,
        score.settings,
    )


def _takes(metric: str, option: str) -> bool:
    """Whether the metric takes an option; the uncertainty meant here is the jackknife of Gram metrics."""
    record = registry.METRICS[metric]
    return record.takes(option) and (option != "uncertainty" or record.takes("estimator"))


def _share(report: Report, index: int, count: int) -> ProgressArgument:
    """Progress of one task as a part of ``count`` equal ones."""
    if report is None:
        return False
    return lambda done, total: report(index * total + done, count * total)


def plain(value: Any) -> Any:
    """The value in types that JSON knows; what is not finite becomes None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (np.bool_, np.integer)):
        return value.item()
    if isinstance(value, int):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return str(value)
