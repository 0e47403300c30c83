"""States of some rows: joined so that the order in which they come cannot matter, and that none counts twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.packing import pack_as, packable
from kernalign._engines.states import StateKey, Store
from kernalign.metrics.moments import Moments

MOMENTS, NEAREST = "moments", "nearest"

pack_as(Moments, lambda moments: dict(zip(("facts", "packed"), moments._state(), strict=True)), Moments._restored)


@packable
class Nearest(NamedTuple):
    """The nearest of some rows among those of some blocks: (similarity descending, index ascending), -1 where there
    are no more."""

    indices: NDArray[np.int64]
    similarities: NDArray[np.float64]

    def join(self, other: Nearest) -> Nearest:
        """The nearest among the blocks of both; a row that both hold is one."""
        length = self.indices.shape[1]
        indices, similarities = (np.concatenate(pair, axis=1) for pair in zip(self, other, strict=True))
        order = np.lexsort((indices, -similarities), axis=1)
        indices, similarities = (np.take_along_axis(one, order, axis=1) for one in (indices, similarities))
        again = np.zeros(indices.shape, dtype=bool)
        again[:, 1:] = (indices[:, 1:] == indices[:, :-1]) & (indices[:, 1:] >= 0)
        if again.any():
            first = np.argsort(again, axis=1, kind="stable")
            similarities = np.where(again, -np.inf, similarities)
            indices = np.where(again, -1, indices)
            indices, similarities = (np.take_along_axis(one, first, axis=1) for one in (indices, similarities))
        return Nearest(indices[:, :length].copy(), similarities[:, :length].copy())


class _Kind(NamedTuple):
    """How states of neighbouring blocks are joined, and whether only as halves of one whole: where rounding depends on
    the order, the order is fixed."""

    join: Callable[[Any, Any], Any]
    halves: bool


_KINDS = {
    MOMENTS: _Kind(lambda a, b: Moments().merge(a).merge(b), True),
    NEAREST: _Kind(Nearest.join, False),
}


def part_key(kind: str, lane: tuple[str | int, ...], start: int, stop: int | None = None) -> StateKey:
    """The key of what was made of blocks start .. stop."""
    return StateKey(kind, (*lane, start, start + 1 if stop is None else stop))


def merge(a: Store, b: Store) -> Store:
    """The parts of both, which may come in any order, in a new store.

    Raises
    ------
    ValueError
        Both hold a part of the same rows, which would count twice.

    See Also
    --------
    run_task : makes what is merged
    finish : what is made of it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((2000, 4))
    >>> plan = ka.plan("cka", x, -x, chunk=1024)
    >>> first, *others = [ka.run_task(plan, task) for task in plan.tasks]
    >>> merged = first
    >>> for part in reversed(others):
    ...     merged = ka.merge(merged, part)
    >>> round(ka.finish(plan, merged), 6)
    1.0
    """
    for parts, name in ((a, "a"), (b, "b")):
        checks.check_type(parts, name, Store, "what tasks made")
    merged = Store().merge(a)
    for key, state in b.items():
        lane = _lane(merged, key) if key.kind in _KINDS else [key] if key in merged else []
        for other in lane:
            if key.kind not in _KINDS or (_span(other)[0] < _span(key)[1] and _span(key)[0] < _span(other)[1]):
                raise ValueError(f"both parts hold {_words(key)}, which would count twice")
        merged[key] = state
        if key.kind in _KINDS:
            _collapse(merged, key)
    return merged


def covered(store: Store, key: StateKey) -> bool:
    """Whether a store holds the part of this key, alone or joined with others."""
    if key.kind not in _KINDS:
        return key in store
    start, stop = _span(key)
    return any(begin <= start and stop <= end for begin, end in map(_span, _lane(store, key)))


def whole(store: Store, kind: str, lane: tuple[str | int, ...], blocks: int) -> Any:
    """The state of all blocks.

    Raises
    ------
    ValueError
        Some block is missing.
    """
    parts = sorted(_lane(store, part_key(kind, lane, 0)), key=_span)
    spans = [_span(part) for part in parts]
    if [0, *(stop for _, stop in spans)] != [*(start for start, _ in spans), blocks]:
        raise ValueError(f"{blocks} parts of {kind} of {lane} are needed, got {spans}")
    found = store[parts[0]]
    for part in parts[1:]:
        found = _KINDS[kind].join(found, store[part])
    return found


def _lane(store: Store, key: StateKey) -> list[StateKey]:
    """The keys of what was made of other blocks in the same way."""
    return [other for other, _ in store.items() if other.kind == key.kind and other.options[:-2] == key.options[:-2]]


def _span(key: StateKey) -> tuple[int, int]:
    start, stop = key.options[-2:]
    return int(start), int(stop)


def _collapse(store: Store, key: StateKey) -> None:
    """Join with neighbours for as long as there are some that may be joined."""
    join, halves = _KINDS[key.kind]
    while True:
        start, stop = _span(key)
        size, lane = stop - start, {_span(other): other for other in _lane(store, key)}
        for other, neighbour in lane.items():
            [first, last] = sorted((other, (start, stop)))
            alike = other[1] - other[0] == size and first[0] % (2 * size) == 0
            if first[1] == last[0] and (alike or not halves):
                joined = join(store[lane[first]], store[lane[last]])
                del store[neighbour], store[key]
                key = part_key(key.kind, key.options[:-2], first[0], last[1])
                store[key] = joined
                break
        else:
            return


def _words(key: StateKey) -> str:
    return f"{key.kind} of {', '.join(map(str, key.options))}" if key.place is None else f"{key.kind} of {key.place}"
