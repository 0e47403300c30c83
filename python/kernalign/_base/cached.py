"""A property that is made when it is first read: before Python 3.12 functools has threads wait for each other there."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functools import cached_property
else:

    class cached_property(functools.cached_property):
        """Without the lock of Python 3.11, one for all objects of a class: calls of several threads took turns, and a
        process that was forked meanwhile waited for ever."""

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            if instance is None:
                return self
            found = instance.__dict__[self.attrname] = self.func(instance)
            return found


__all__ = ["cached_property"]
