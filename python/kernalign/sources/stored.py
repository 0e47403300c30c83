"""Arrays that lie in a file or in another library's object: what they are, and how their rows are read in blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kernalign._base.cached import cached_property
from kernalign._base.digests import digest, digest_of_text
from kernalign._base.memory import check_memory
from kernalign.sources.place import Place, intact

AnyArray = NDArray[Any]

BFLOAT16 = np.dtype([("bfloat16", "<u2")])  # bit patterns that nobody takes for integers
_BLOCK_BYTES = 32 << 20


class NoNumbersError(ValueError):
    """An array holds nothing that a metric reads; others of the same file may.

    See Also
    --------
    NoRowsError : of a whole file
    open_source : raises it

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from kernalign import sources
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder) / "words.npy", np.array(["a", "b"]))
    ...     try:
    ...         found = sources.open_source(Path(folder) / "words.npy").array
    ...     except sources.NoNumbersError as error:
    ...         found = str(error).rpartition("words.npy ")[2]
    >>> found
    'must hold real numbers, got dtype <U1'
    """


class NoRowsError(ValueError):
    """A file holds arrays, but none whose rows could be items.

    See Also
    --------
    NoNumbersError : of one array
    open_sources : raises it

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from kernalign import sources
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder) / "run.npz", steps=np.arange(3))
    ...     try:
    ...         found = sources.open_sources(Path(folder) / "run.npz")
    ...     except sources.NoRowsError as error:
    ...         found = str(error).rpartition("run.npz ")[2]
    >>> found
    'holds no 2-D array (items, features); found: steps (3,)'
    """


class Stored:
    """An array, not in memory yet.

    Attributes
    ----------
    what : what errors call it
    shape, dtype : as of an array
    step : rows that are stored together, so that blocks of multiples of them are read fastest
    mapped : whether `array` takes no memory
    refusal : why no metric can read it, if that is so
    names : what its rows are called, if that is known: a list, or the array that holds it
    """

    step = 1
    mapped = False

    def __init__(self, what: str, shape: tuple[int, ...], dtype: Any, stamp: Callable[[], str] | None = None) -> None:
        self.what, self.shape, self.dtype = what, tuple(map(int, shape)), np.dtype(dtype)
        self.refusal: NoNumbersError | None = None
        self.names: Stored | list[Any] | None = None
        self._stamp = stamp

    @cached_property
    def labels(self) -> list[Any] | None:
        """The names of the rows, read when they are first asked for."""
        return self.names.texts() if isinstance(self.names, Stored) else self.names

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Of memory, once it is there."""
        return math.prod(self.shape) * int(self.dtype.itemsize)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        return np.asarray(self.array(), dtype)

    def read(self, start: int, stop: int, out: AnyArray) -> None:
        """Fill ``out``, C-contiguous and of the array's dtype, with rows start .. stop."""
        raise NotImplementedError

    def array(self, max_bytes: int | None = None) -> AnyArray:
        """All of it, read-only: mapped where the file allows, else read if that takes no more than ``max_bytes`` (None:
        what is free)."""
        check_memory(self.nbytes, self.what, max_bytes)
        whole = np.empty(self.shape, self.dtype)
        for start, stop in self.spans():
            self.read(start, stop, whole[start:stop])
        whole.flags.writeable = False
        return whole

    def texts(self) -> list[Any]:
        """Its entries as Python objects, bytes as text."""
        return [one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in self.array().tolist()]

    def spans(self, nbytes: int = _BLOCK_BYTES) -> Iterator[tuple[int, int]]:
        """Where blocks of about so many bytes begin and end."""
        rows = max(1, nbytes * len(self) // max(1, self.nbytes) // self.step) * self.step
        for start in range(0, len(self), rows):
            yield start, min(start + rows, len(self))

    def fingerprint(self) -> str:
        """Changes when the content does: of when and where the file was written, or of every row."""
        what = f"{self.what} {self.shape} {self.dtype}"
        return digest_of_text(what + self._stamp()) if self._stamp is not None else digest(self._parts_of(what)).hex()

    def _parts_of(self, what: str) -> Iterator[bytes | memoryview]:
        """What it is, and every block of rows."""
        yield what.encode()
        for start, stop in self.spans():
            block = np.empty((stop - start, *self.shape[1:]), self.dtype)
            self.read(start, stop, block)
            yield block.reshape(-1).view(np.uint8).data


class Mapped(Stored):
    """Rows whose bytes lie in a file as they do in memory."""

    def __init__(
        self,
        place: Place,
        what: str,
        offset: int,
        shape: tuple[int, ...],
        dtype: Any,
        *,
        order: Literal["C", "F"] = "C",
        strides: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(what, shape, dtype, place.stamp)
        self._place, self._offset = place, offset
        layout = np.empty(0, self.dtype)  # strides of any shape, without its memory
        self._strides = strides or _strides(self.shape, layout.itemsize, order)
        self._in_rows = self._strides == _strides(self.shape, layout.itemsize, "C")
        self.mapped = place.local is not None

    def read(self, start: int, stop: int, out: AnyArray) -> None:
        if not self._in_rows:
            out[...] = self.array()[start:stop]
            return
        self._place.read(self._offset + start * self._strides[0], out.reshape(-1).view(np.uint8))

    def array(self, max_bytes: int | None = None) -> AnyArray:
        span = sum((extent - 1) * stride for extent, stride in zip(self.shape, self._strides, strict=True))
        span += self.dtype.itemsize
        if self.mapped:
            whole = self._place.mapped()
            if self._offset + span > len(whole):
                raise ValueError(
                    f"{self.what} requires {self._offset + span:,} bytes of its file, but there are {len(whole):,}:"
                    " it was cut short"
                )
            part = whole[self._offset : self._offset + span]
        else:
            check_memory(span, self.what, max_bytes)
            part = np.empty(span, np.uint8)
            self._place.read(self._offset, part)
            part.flags.writeable = False
        return np.ndarray(self.shape, self.dtype, part, strides=self._strides)


class Sliced(Stored):
    """Rows that another library reads: ``opened`` gives what its slices are taken of."""

    def __init__(
        self,
        what: str,
        opened: Callable[[], AbstractContextManager[Any]],
        given: Any,
        *,
        kind: str = "array",
        stamp: Callable[[], str] | None = None,
        reverse: bool = False,
    ) -> None:
        shape = tuple(given.shape)
        super().__init__(what, shape[::-1] if reverse else shape, given.dtype, stamp)
        self._opened, self._reverse, self._kind = opened, reverse, kind
        self.chunks = _first_chunks(given, reverse)
        self.step = max(1, min(self.chunks[0], len(self))) if self.chunks and self.shape else 1

    def read(self, start: int, stop: int, out: AnyArray) -> None:
        self._check_chunk(None)
        with self._opened() as given, intact(self.what, self._kind):
            self._fill(given, start, stop, out)

    def array(self, max_bytes: int | None = None) -> AnyArray:
        """All of it, opened once."""
        check_memory(self.nbytes, self.what, max_bytes)
        self._check_chunk(max_bytes)
        with self._opened() as given, intact(self.what, self._kind):
            if self._reverse or hasattr(given, "read_direct"):
                whole = np.empty(self.shape, self.dtype)
                for start, stop in self.spans():
                    self._fill(given, start, stop, whole[start:stop])
            else:
                whole = self._rows(given, 0, len(self)).view()  # may be the owner's own memory
        whole.flags.writeable = False
        return whole

    def _check_chunk(self, max_bytes: int | None) -> None:
        check_memory(math.prod(self.chunks) * self.dtype.itemsize, f"one chunk of {self.what}", max_bytes)

    def _fill(self, given: Any, start: int, stop: int, out: AnyArray) -> None:
        if self._reverse:
            out[...] = given[..., start:stop].T
        elif hasattr(given, "read_direct"):
            given.read_direct(out, np.s_[start:stop])
        else:
            out[...] = self._rows(given, start, stop)

    def _rows(self, given: Any, start: int, stop: int) -> AnyArray:
        return np.asarray(given[start:stop])


class Held(Stored):
    """An array that is in memory already, or that ``make`` makes in one piece and at once."""

    def __init__(
        self, what: str, shape: tuple[int, ...], dtype: Any, make: Callable[[], AnyArray], stamp: Callable[[], str]
    ) -> None:
        super().__init__(what, shape, dtype, stamp)
        self._make = make

    def read(self, start: int, stop: int, out: AnyArray) -> None:
        out[...] = self.array()[start:stop]

    def array(self, max_bytes: int | None = None) -> AnyArray:
        check_memory(self.nbytes, self.what, max_bytes)
        whole = self._make()
        whole.flags.writeable = False
        return whole


class Joined(Stored):
    """The rows of several arrays, one after the other."""

    def __init__(self, what: str, parts: Sequence[Stored]) -> None:
        first = parts[0]
        for part in parts[1:]:
            words = first.refusal is not None and part.refusal is not None and first.ndim == part.ndim == 1
            if (part.shape[1:], part.dtype) != (first.shape[1:], first.dtype) and not words:
                raise ValueError(
                    f"{what}: parts must have rows of one kind, got {first.shape[1:]} {first.dtype} in {first.what} and"
                    f" {part.shape[1:]} {part.dtype} in {part.what}"
                )
        shape = (sum(map(len, parts)), *first.shape[1:])
        super().__init__(what, shape, first.dtype, self._stamps)
        self._parts = tuple(parts)
        self.refusal = next((part.refusal for part in parts if part.refusal), None)
        self.step = max(part.step for part in parts)

    @cached_property
    def labels(self) -> list[Any] | None:
        """Those of all parts, if all have any."""
        found = [part.labels for part in self._parts]
        return None if None in found else [label for own in found for label in own or ()]

    def texts(self) -> list[Any]:
        return [one for part in self._parts for one in part.texts()]

    def _stamps(self) -> str:
        return " ".join(part.fingerprint() for part in self._parts)

    def read(self, start: int, stop: int, out: AnyArray) -> None:
        begin = 0
        for part in self._parts:
            first, last = max(start, begin), min(stop, begin + len(part))
            if first < last:
                part.read(first - begin, last - begin, out[first - start : last - start])
            begin += len(part)


def handed(given: Any) -> Callable[[], AbstractContextManager[Any]]:
    """What opens an object that its owner keeps open."""
    return partial(nullcontext, given)


def _strides(shape: tuple[int, ...], itemsize: int, order: Literal["C", "F"]) -> tuple[int, ...]:
    extents = shape[::-1] if order == "C" else shape
    found = [itemsize * math.prod(extents[:axis]) for axis in range(len(extents))]
    return tuple(found[::-1] if order == "C" else found)


def _first_chunks(given: Any, reverse: bool) -> tuple[int, ...]:
    """The extents of what is stored in one piece, or none where nothing is; a shard of Zarr is one."""
    chunks = getattr(given, "shards", None) or getattr(given, "chunks", None) or ()
    found = tuple(one[0] if isinstance(one, tuple) else int(one) for one in chunks)
    return found[::-1] if reverse else found
