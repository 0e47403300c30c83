"""Keyword arguments that every metric takes, and what they ask for, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, TypedDict

from kernalign._base.checks import check_choice, check_options, check_threads
from kernalign._base.memory import budget_of
from kernalign._base.progress import ProgressArgument, check_progress
from kernalign._rows import on_device
from kernalign._rows.items import BAD_ROWS, BadRows, Given, Items, Undirected, common_items
from kernalign._rows.pairing import PAIRINGS, Pairing

Normalize: TypeAlias = Literal["l2", "standardize"] | None

NORMALIZE = (None, "l2", "standardize")


class Options(TypedDict, total=False):
    """Keyword arguments that every metric takes; they mean what they mean everywhere."""

    normalize: Normalize
    clip_quantile: float | None
    zero_rows: BadRows
    nan_rows: BadRows
    pairing: Pairing
    ids: tuple[Any, Any] | None
    threads: int | None
    device: str | None
    progress: ProgressArgument
    memory_budget: int | str | None


class Asked(NamedTuple):
    """What the options ask for, checked; the threads as an engine takes them."""

    threads: int = 0
    normalize: Normalize = None
    clip_quantile: float | None = None
    zero_rows: BadRows = "error"
    nan_rows: BadRows = "error"
    pairing: Pairing = "auto"
    ids: tuple[Any, ...] | None = None
    progress: ProgressArgument = False
    device: str | int | None = None
    budget: int | None = None

    @property
    def all_items(self) -> bool:
        """Whether arrays without labels are taken as they are."""
        return self.ids is None and self.pairing != "ids" and self.zero_rows == self.nan_rows == "error"

    @property
    def reads_first(self) -> bool:
        """Whether all rows must be looked at before any is read for a metric."""
        return not self.all_items or self.normalize == "standardize" or self.clip_quantile is not None

    def common_items(
        self,
        given: Sequence[Given],
        undirected: Undirected | Sequence[Undirected],
        *,
        square: bool | Sequence[bool],
    ) -> Items:
        if self.ids is not None and len(self.ids) != len(given):
            names = ", ".join(one.name for one in given)
            raise ValueError(f"ids must be one sequence of labels for each of {names}, got {len(self.ids)}")
        bad: Any = {"zero_rows": self.zero_rows, "nan_rows": self.nan_rows}
        found = common_items(given, self.pairing, self.ids, undirected=undirected, square=square, **bad)
        for error in found.errors:
            if error is not None:
                raise error
        return found


PLAIN = Asked()
_ALONE = {threads: Asked(threads) for threads in range(1, 9)}  # which many small calls ask for


def check_asked(options: Options) -> None:
    """Raise unless these are options that all metrics take, each one that it may be."""
    asked(options)


def asked(options: Options, devices: bool = False) -> Asked:
    if len(options) == 1 and "threads" in options:
        threads = options["threads"]
        known = _ALONE.get(threads) if type(threads) is int else None
        return known or Asked(check_threads(threads))
    check_options(options, Options)
    get: Any = options.get
    found = Asked(
        check_threads(get("threads")),
        get("normalize"),
        get("clip_quantile"),
        get("zero_rows", "error"),
        get("nan_rows", "error"),
        get("pairing", "auto"),
        get("ids"),
        get("progress", False),
        _device(get("device"), devices),
        budget_of(get("memory_budget")),
    )
    if found.normalize is not None:
        check_choice(found.normalize, "normalize", NORMALIZE)
    for name in ("zero_rows", "nan_rows"):
        check_choice(getattr(found, name), name, BAD_ROWS)
    check_choice(found.pairing, "pairing", PAIRINGS)
    check_progress(found.progress)
    if found.ids is not None:
        if not isinstance(found.ids, (tuple, list)):
            raise TypeError(
                f"ids must be a tuple of labels, one sequence for each input, got {type(found.ids).__name__}"
            )
        if found.pairing == "position":
            raise ValueError("ids must be left out where pairing='position' ignores labels")
    return found


def check_one_sided(options: Options, what: str) -> None:
    """Raise where pairs of rows are asked for, but rows are not paired."""
    how = asked(options, devices=True)
    for name, usual in (("zero_rows", "error"), ("nan_rows", "error"), ("pairing", "auto"), ("ids", None)):
        if (given := getattr(how, name)) != usual:
            raise ValueError(f"{name} must be {usual!r} where {what}, got {given!r}")


def _device(device: Any, devices: bool) -> str | int | None:
    """What ``device`` names, CUDA devices only where they serve."""
    if devices:
        return on_device.check_device(device)
    if device is not None:
        check_choice(device, "device", (None, "cpu"))
    return None if device is None else "cpu"
