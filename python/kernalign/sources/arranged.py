"""Arrays whose axes stand in another order, or have positions to pool, as items, layers and features."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Literal

import numpy as np

from kernalign.sources.objects import stored
from kernalign.sources.stored import BFLOAT16, AnyArray, Held, Stored

_USUAL = {3: "nld", 4: "ndtt"}


def arranged(given: Any, *, axes: str | None = None, pool: Literal["mean", "flatten"] | None = None) -> Stored:
    """Rows of an array of any axes, which every function takes where it takes an array.

    Parameters
    ----------
    given : an array, the path of a file that holds one, or what another library reads
    axes : a letter for each axis: n items, d features, l layers, t positions (tokens, heights, widths) that are pooled.
        "lnd" is (layers, items, features), "ntd" (items, tokens, features), "ndtt" (items, channels, height, width).
        None: "nld" for three axes, "ndtt" for four.
    pool : "mean" over positions, in float32 (float64 for float64 and integers), or "flatten": each position has its own
        features.

    Raises
    ------
    TypeError, ValueError
        The letters do not fit the array, or positions are not said to be pooled.

    See Also
    --------
    open_source : what it takes the array from

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign.sources.arranged import arranged
    >>> tokens = np.zeros((8, 16, 4))  # (items, places, features)
    >>> arranged(tokens, axes="ntd", pool="mean").shape, arranged(tokens, axes="ntd", pool="flatten").shape
    ((8, 4), (8, 64))
    """
    inner = stored(given, "given")
    if not isinstance(inner, Stored):
        array = np.asarray(inner)
        inner = Held("given", array.shape, array.dtype, array.view, lambda: "")
    return Arranged(inner, axes, pool)


class Arranged(Stored):
    """A stored array with its axes in another order, and its positions pooled as its rows are read."""

    def __init__(self, inner: Stored, axes: str | None, pool: str | None) -> None:
        if not (axes is None or isinstance(axes, str)):
            raise TypeError(f"axes must be a string of n, l, t and d, got {axes!r}")
        if pool not in (None, "mean", "flatten"):
            raise ValueError(f"pool must be None, 'mean' or 'flatten', got {pool!r}")
        named = _USUAL.get(inner.ndim, "") if axes is None else axes
        count = Counter(named)
        if not (set(count) <= set("nltd") and count["n"] == count["d"] == 1 and count["l"] < 2):
            raise ValueError(f"axes must name one n, one d, at most one l, and t for the others, got {named!r}")
        if len(named) != inner.ndim:
            raise ValueError(f"axes must have a letter for each axis of {inner.what}, got {named!r} for {inner.shape}")
        if count["t"] and pool is None:
            raise ValueError(f"pool must be 'mean' or 'flatten' where axes has positions (t), got None for {named!r}")
        if not count["t"] and pool is not None:
            raise ValueError(f"pool must be left out where axes has no positions (t), got {pool!r} for {named!r}")
        self._order = [at for letter in "nldt" for at, one in enumerate(named) if one == letter]
        self._inner, self._pool, self._named = inner, pool, named
        extents = [inner.shape[at] for at in self._order]
        kept = 2 + count["l"]
        if pool == "flatten":
            extents[kept - 1] *= math.prod(extents[kept:])
        wide = inner.dtype.kind in "iub" or inner.dtype.itemsize > 4
        dtype: Any = inner.dtype if pool != "mean" else np.float64 if wide else np.float32
        super().__init__(inner.what, tuple(extents[:kept]), dtype, inner.fingerprint)
        self.names, self.step = inner.names, inner.step if named[0] == "n" else 1

    def read(self, start: int, stop: int, out: AnyArray) -> None:
        inner, at = self._inner, self._named.index("n")
        if at == 0 and not inner.mapped:
            block = np.empty((stop - start, *inner.shape[1:]), inner.dtype)
            inner.read(start, stop, block)
        else:
            block = inner.array()[(slice(None),) * at + (slice(start, stop),)]
        if self._pool == "mean" and inner.dtype == BFLOAT16:
            block = (block.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)
        block = block.transpose(self._order)
        if self._pool == "mean":
            block = block.mean(axis=tuple(range(len(self.shape), block.ndim)), dtype=self.dtype)
        out[...] = block.reshape(out.shape)
