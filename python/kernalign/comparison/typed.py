"""What type checkers know of compare: its options, and that `layers` decides what a table is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypedDict

from kernalign._base.kernels import Kernels
from kernalign._base.progress import ProgressArgument
from kernalign._rows.items import BadRows
from kernalign._rows.options import Normalize
from kernalign._rows.pairing import Pairing
from kernalign.comparison.plan import PValues
from kernalign.comparison.result import Comparison
from kernalign.comparison.tables import Array, Names


class Options(TypedDict, total=False):
    """Keyword arguments of compare but `layers`; a test holds them to its signature."""

    metrics: Iterable[str] | Mapping[str, Any]
    k: int
    normalize: Normalize
    clip_quantile: float | None
    concatenated: bool
    estimator: str | None
    kernel: Kernels | None
    metric_options: Mapping[str, Mapping[str, Any]] | None
    p_values: PValues
    uncertainty: bool
    groups: Any
    threads: int | None
    device: str | None
    progress: ProgressArgument
    errors: Literal["record", "raise"]
    pairing: Pairing
    ids: Mapping[str, Any] | None
    zero_rows: BadRows
    nan_rows: BadRows
    memory_budget: int | str | None


class AllLayers(Comparison):
    """Of ``layers="all"``."""

    scores: Mapping[str, dict[Names, Array]]
    chance: Mapping[str, dict[Names, Array]]
    chance_sd: Mapping[str, dict[Names, Array]]
    p_values: Mapping[str, dict[Names, Array]]


class BestLayers(Comparison):
    """Of ``layers="best"``."""

    scores: Mapping[str, Array]
    chance: Mapping[str, Array]
    chance_sd: Mapping[str, Array]
    p_values: Mapping[str, Array]
