"""Options of metrics: what each is for, and what a metric that lacks one says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click
from click.shell_completion import CompletionItem

from kernalign._base.checks import nearest_or_all
from kernalign._base.kernels import RBF, Cosine, Laplacian, Linear
from kernalign.metrics import registry

KERNELS = ("linear", "cosine", "rbf", "laplacian")
P_VALUES: dict[str, Any] = {"exact": True, "exact-or-permutation": "permutation", "none": False}  # as in suite.toml

# What metrics take, and the options that give it.
_GIVEN = {
    "k": "-k",
    "estimator": "--estimator",
    "kernel": "--kernel",
    "rank": "--rank",
    "distance": "--distance",
    "comparison": "--comparison",
    "cv": "--cv",
    "uncertainty": "--uncertainty",
    "groups": "--groups",
}
_OWN = ("rank", "cv", "kernel", "distance", "comparison")  # which `kernalign.compare` takes for a metric alone


class MetricName(click.ParamType):  # type: ignore[type-arg]
    """A metric that can be called with what the command line offers, in any case."""

    name = "metric"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        known = _offered()
        found: str = registry.as_named(value)
        if found not in known:
            self.fail(f"there is no metric {value!r}{nearest_or_all(value, known)}", param, ctx)
        return found

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[{'|'.join(registry.METRICS)}]"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        names = [name for name in _offered() if name.startswith(incomplete.lower())]
        return [CompletionItem(name, help=registry.METRICS[name].description) for name in names]


def _offered() -> list[str]:
    return [name for name, record in registry.METRICS.items() if set(record.needs) <= set(_GIVEN)]


def metric_options(metrics: Sequence[str], asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What single metrics are told of ``asked``, the options that were given, by keyword; None was not.

    Raises where none of the metrics has an option that was given, or one needs an option that was not.
    """
    records = {metric: registry.METRICS[metric] for metric in metrics}
    for keyword, value in asked.items():
        if value is not None and not any(record.takes(keyword) for record in records.values()):
            has = [name for name in _offered() if registry.METRICS[name].takes(keyword)]
            raise click.UsageError(f"{_GIVEN[keyword]} is for {_listed(has)}, not for {_listed(metrics)}")
    options: dict[str, dict[str, Any]] = {metric: {} for metric in metrics}
    for metric, record in records.items():
        for keyword in record.needs:
            if asked.get(keyword) is None:
                raise click.UsageError(f"{metric} needs {_GIVEN[keyword]}")
        for keyword in _OWN:
            if asked.get(keyword) is not None and record.takes(keyword):
                options[metric][keyword] = asked[keyword]
        if asked.get("uncertainty") is not None and (method := record.uncertainty(options[metric])) is not None:
            options[metric]["uncertainty"] = method
    return options


def kernel_of(name: str | None, bandwidth: str | None) -> Any:
    """The kernel of these options, None for the metrics' own."""
    if bandwidth is not None and name not in ("rbf", "laplacian"):
        raise click.UsageError(f"--bandwidth is for --kernel rbf and laplacian, not for {name or 'linear'}")
    if name in (None, "linear", "cosine"):
        return {None: None, "linear": Linear(), "cosine": Cosine()}[name]
    given: Any = bandwidth or "median"
    with suppress(ValueError):
        given = float(given)
    try:
        return RBF(given) if name == "rbf" else Laplacian(given)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--bandwidth") from error


def p_values_of(name: str | None, permutations: int | None) -> Any:
    """What `kernalign.compare` takes as ``p_values``."""
    if permutations is None:
        return P_VALUES[name or "exact"]
    if name not in (None, "exact-or-permutation"):
        raise click.UsageError(f"--permutations is for --p exact-or-permutation, not for --p {name}")
    return permutations


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
