"""The file of a run that may be killed at any moment: the states of all tasks that were finished, under a checksum."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kernalign._base.files import remove_left
from kernalign._engines.states import Store
from kernalign.comparison.tasks.parts import covered, merge

_PAUSE = 1.0  # seconds between writings, and
_SHARE = 10  # so many times as long as the last one took
_ODD = (LookupError, TypeError, AttributeError, OverflowError)  # what comes of states that no task made
_START = 4096  # bytes in which a file says of what plan it is


class Ledger:
    """What was done of a plan, merged; with a path, on disk after every pause, and taken up again from there.

    Raises
    ------
    ValueError
        The file is of other work, or damaged. It is left as it is.
    """

    def __init__(self, path: str | os.PathLike[str] | None, digest: str) -> None:
        self.path, self._digest = None if path is None else Path(path), digest
        self.store = Store()
        self._dirty, self._last, self._took, self._found = False, time.monotonic(), 0.0, False
        if self.path is not None:
            if self.path.exists():
                self.store, self._found = Store.load(self.path, plan=digest), True
            # of earlier runs of the same work; the rest is left to whoever writes here when it is old
            remove_left(self.path.parent, lambda file: digest.encode() in file.read(_START))

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """An error that the states make names the file, if they come from it."""
        try:
            yield
        except _ODD as error:
            if not self._found:
                raise
            raise ValueError(f"{self.path} is malformed: {error}") from error

    def lacks(self, task: Any) -> bool:
        """Whether a task has yet to be done."""
        with self.blamed():
            return not all(covered(self.store, key) for key in task.keys)

    def take(self, part: Store) -> None:
        """Add what a task made, and write it down if that is due."""
        with self.blamed():
            self.store = merge(self.store, part)
        self._dirty = True
        if self.path is not None and time.monotonic() - self._last > max(_PAUSE, _SHARE * self._took):
            self.flush()

    def flush(self) -> None:
        """Write everything down: whole or not at all."""
        if self.path is None or not self._dirty:
            return
        begin = time.monotonic()
        self.store.save(self.path, overwrite=True, plan=self._digest)
        self._dirty, self._last = False, time.monotonic()
        self._took = self._last - begin
