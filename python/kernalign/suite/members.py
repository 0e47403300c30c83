"""A set of a suite with its models, what was read of them, and the scores that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kernalign.suite.blocks import Wanted, pairs_of
from kernalign.suite.data import Entry, Items, Known
from kernalign.suite.description import Description


@dataclass(frozen=True)
class Members:
    """A set with its models and the scores that it needs."""

    items: Items
    entries: tuple[Entry, ...]
    known: Mapping[str, Known]
    wanted: tuple[Wanted, ...]

    def absent(self, description: Description) -> Iterator[tuple[str, str, str, str]]:
        """Metric, x, y and reason of scores of models that cannot be read."""
        bad = {name: one.reason for name, one in self.known.items() if one.reason is not None}
        for x, y in pairs_of(description, self.entries) if bad else ():
            if x in bad or y in bad:
                reason = str(bad.get(x) or bad.get(y))
                for metric in description.metrics:
                    yield metric.id, x, y, reason
                    if not metric.record.symmetric:
                        yield metric.id, y, x, reason
