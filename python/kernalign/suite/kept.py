"""States of layers that this process has made, by what they are of: the next block need not make them again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any

from kernalign._engines.gram_source import Side
from kernalign._engines.states import KERNEL
from kernalign.comparison.plan import bytes_of
from kernalign.comparison.run import Run
from kernalign.metrics.kernel.rsa_ranks import Ranks

_KINDS = ("lists", "edges", "ranks", KERNEL)
_MOST = 1 << 29  # bytes


class States:
    """Those of the layers that were used last, up to so many bytes.

    A layer is known by the digest of its model, its label, and ``how`` its rows are prepared.
    """

    def __init__(self, most: int = _MOST) -> None:
        self.most, self.held = most, 0
        self._found: OrderedDict[tuple[str, str, str], dict[Any, tuple[Any, int]]] = OrderedDict()
        self._lock = Lock()

    def lend(self, run: Run, digests: Mapping[str, str], how: str) -> None:
        """Put what is known of the layers of a comparison where it will look for it."""
        with self._lock:
            for place in run.shop.layers:
                at = digests[place.name], place.label, how
                if at in self._found:
                    self._found.move_to_end(at)
                    for key, (state, _) in self._found[at].items():
                        run.shop.store[key._replace(place=place)] = state

    def keep(self, run: Run, digests: Mapping[str, str], how: str) -> None:
        """Take in what a comparison has made of single layers, without their rows."""
        with self._lock:
            for key, state in run.shop.store.items():
                if isinstance(state, Side):
                    key, state = key._replace(kind=KERNEL), state.of(())
                if key.place is None or key.kind not in _KINDS:
                    continue
                own = self._found.setdefault((digests[key.place.name], key.place.label, how), {})
                if isinstance(state, (Side, Ranks)):  # which may have found more since they were lent
                    held = state.nbytes
                else:
                    held = bytes_of(key, run.plan.asked.n, run.shop.layers[key.place].width)
                self.held += held - own.get(key._replace(place=None), (None, 0))[1]
                own[key._replace(place=None)] = state, held
            while self.held > self.most:
                self.held -= sum([held for _, held in self._found.popitem(last=False)[1].values()])
