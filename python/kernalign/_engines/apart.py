"""Runs long calls of other libraries, which nothing can stop, on a thread of their own: Ctrl-C ends the wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from kernalign import _core

Result = TypeVar("Result")

_SHORT = 1 << 15
_STEP = 0.05  # seconds between two chances for Ctrl-C


def apart(size: int, function: Callable[..., Result], *given: Any, **options: Any) -> Result:
    """What the function returns or raises, at once where ``size`` entries take milliseconds; after Ctrl-C it works on
    by itself until it is done."""
    if size <= _SHORT:
        return function(*given, **options)
    found: list[Result] = []
    failed: list[BaseException] = []
    over = threading.Event()

    def run() -> None:
        here = _core.Unstoppable()
        try:
            found.append(function(*given, **options))
        except BaseException as error:
            failed.append(error)
        finally:
            del here
            over.set()

    try:
        threading.Thread(target=run, daemon=True).start()
    except RuntimeError:  # no thread to be had: the work is done all the same
        return function(*given, **options)
    while not over.wait(_STEP):
        pass
    if failed:
        raise failed[0]
    return found[0]
