"""Rows as pandas tables, where pandas is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame


def as_frame(rows: Iterable[Mapping[str, Any]], what: str) -> DataFrame:
    """Rows as a pandas table, for the method ``what``."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f"{what} needs pandas: pip install 'kernalign[plot]'") from error
    return pandas.DataFrame(list(rows))
