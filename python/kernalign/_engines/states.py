"""States: what layers have been turned into, each once, under keys that say of what and how."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, NamedTuple

from kernalign._base import checkpoint
from kernalign._base.packing import pack, packable, unpack
from kernalign._rows.layered import Place

ROWS = "rows under a kernel"
KERNEL = "kernel of rows"  # what was found of rows under a kernel, without the rows


@packable
class StateKey(NamedTuple):
    """Which state.

    Attributes
    ----------
    kind : what it is: "lists", "edges", "ranks", "sweep" (sums of all pairs of sides), `ROWS` (rows under a kernel, or
        with their principal directions), `KERNEL`, "pair" (what a pair of representations comes to), "null" (what
        that of the best of its layers is made of)
    options : words and numbers that tell apart what is made of the same layers
    place : the layer that it was made of; None for a joint state of all layers that are compared
    """

    kind: str
    options: tuple[str | int | bool, ...] = ()
    place: Place | None = None


def joint_key(kind: str, options: Iterable[str | int | bool], places: Iterable[Place]) -> StateKey:
    """The key of a state of several layers together, which it names."""
    return StateKey(kind, (*options, *chain.from_iterable(places)))


class Store:
    """States by key. A state is made when it is first asked for, or put here by whoever made it."""

    def __init__(self) -> None:
        self._states: dict[StateKey, Any] = {}

    def __contains__(self, key: StateKey) -> bool:
        return key in self._states

    def __len__(self) -> int:
        return len(self._states)

    def __getitem__(self, key: StateKey) -> Any:
        return self._states[key]

    def __setitem__(self, key: StateKey, state: Any) -> None:
        self._states[key] = state

    def __delitem__(self, key: StateKey) -> None:
        del self._states[key]

    def __reduce__(self) -> tuple[Any, ...]:
        arrays: dict[str, Any] = {}
        return _unpacked, (self._packed(arrays), arrays)

    def items(self) -> list[tuple[StateKey, Any]]:
        """Keys and states, in the order in which they came."""
        return list(self._states.items())

    def get(self, key: StateKey) -> Any:
        """The state, or None if it was not made."""
        return self._states.get(key)

    def make(self, key: StateKey, maker: Callable[[], Any]) -> Any:
        """The state; made now if it was not."""
        if key not in self._states:
            self._states[key] = maker()
        return self._states[key]

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False, plan: str = "") -> None:
        """Write the states that are values to a file, which says of what plan; `ROWS` are found again from the
        rows."""
        arrays: dict[str, Any] = {}
        checkpoint.write(path, "States", {"plan": plan, "states": self._packed(arrays)}, arrays, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, plan: str = "") -> Store:
        """Read what `save` wrote of the same plan."""
        with checkpoint.reading(path, "States") as (facts, arrays):
            own = facts["plan"] == plan
            store = _unpacked(facts["states"] if own else [], arrays)
        if not own:
            raise ValueError(f"{path} belongs to other work: other inputs, options or sizes of tasks")
        return store

    def _packed(self, arrays: dict[str, Any]) -> list[Any]:
        return [pack(one, arrays) for one in self._states.items() if one[0].kind != ROWS]

    def only(self, *kinds: str) -> Store:
        """A store of the states of these kinds."""
        found = Store()
        found._states = {key: state for key, state in self._states.items() if key.kind in kinds}
        return found

    def merge(self, other: Store) -> Store:
        """Take in the states that another store holds and this one does not."""
        self._states = {**other._states, **self._states}
        return self


def _unpacked(packed: Any, arrays: Any) -> Store:
    store = Store()
    for one in packed:
        key, state = unpack(one, arrays)
        if not (isinstance(key, StateKey) and isinstance(key.kind, str)):
            raise ValueError(f"the key of a state must be a StateKey, got {key!r:.80}")
        store[key] = state
    return store
