"""Opens files of arrays as representations: mapped where the format allows, never unpickled, never beyond what fits.

A header is compared with the size of its file before any memory is asked for, so that a truncated or lying file is one
ValueError. A mapped file must not be truncated while it is in use: the operating system answers a read beyond the new
end with SIGBUS, which ends the process. Copy files that another program may still rewrite.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from kernalign._base.memory import check_memory
from kernalign.sources.contents import Members, members_of, members_of_unit
from kernalign.sources.formats import FORMATS
from kernalign.sources.names import naturally
from kernalign.sources.place import Place, shown
from kernalign.sources.shards import Unit
from kernalign.sources.stored import NoNumbersError, NoRowsError, Stored

Spec = str | os.PathLike[str]
SHAPES = {2: "2-D (items, features)", 3: "3-D (items, layers, features)"}

_ENDINGS = "|".join(map(re.escape, sorted(FORMATS, key=len, reverse=True)))
_SPEC = re.compile(rf"(?P<path>.*?(?:{_ENDINGS})):(?P<key>.+)", re.DOTALL | re.IGNORECASE)


@dataclass
class Source:
    """One array of a file, read or mapped when it is first asked for; it stays valid as long as something refers to
    it.

    See Also
    --------
    open_source : opens one

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from kernalign import sources
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder) / "x.npy", np.eye(4))
    ...     source = sources.open_source(Path(folder) / "x.npy")
    ...     shape, trace = source.shape, source.array.trace()
    >>> shape, float(trace)
    ((4, 4), 4.0)
    """

    name: str
    place: Place
    key: str | None
    stored: Stored | None
    max_bytes: int | None = None
    beside: Members = field(default_factory=dict)  # all arrays of the file, those of words too
    _array: NDArray[Any] | None = None

    @property
    def spec(self) -> str:
        """``"file"`` or ``"file:key"``."""
        return _spec(self.place, self.key)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._stored.shape

    @property
    def array(self) -> NDArray[Any]:
        """Read-only."""
        if self._array is None:
            self._array = self._stored.array(self.max_bytes)
        return self._array

    def name_rows(self, key: str) -> None:
        """Call the rows by another array of the file."""
        if self.beside.get(key) is None:
            raise ValueError(f"{self.place} has no array or column {key!r} of ids; it holds: {_listing(self.beside)}")
        self._stored.names = self.beside[key]

    @property
    def labels(self) -> Sequence[Any] | None:
        """The names of the rows, if the file has any."""
        return self._stored.labels

    def close(self) -> None:
        """Let go of the array; its memory map is closed once nobody else uses it."""
        self._array = self.stored = None

    def __enter__(self) -> NDArray[Any]:
        return self.array

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _stored(self) -> Stored:
        if self.stored is None:
            raise ValueError(f"{self.name} is closed")
        return self.stored


def open_source(
    path: Spec, *, key: str | None = None, dimensions: tuple[int, ...] = (), max_bytes: int | None = None
) -> Source:
    """Open one array of a file.

    Parameters
    ----------
    path : of this machine, or a URL that fsspec opens
    key : the array's name, needed where the file holds several; ``.npy`` files have none.
    dimensions : how many the array may have: 2, 3; any number if empty.
    max_bytes : the most memory that an array which cannot be mapped may take; None: most of what is free.

    Raises
    ------
    ValueError
        Unknown suffix or key, a file whose header and size disagree, objects (pickles), other dimensions, or more than
        ``max_bytes``.
    OSError
        The file cannot be read.
    ImportError
        The format needs a package that is not installed; the message says which extra brings it.

    See Also
    --------
    open_sources : all arrays of a file
    open_layers : a file as one model with layers

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from kernalign import sources
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder) / "run.npz", early=np.zeros((5, 2)), late=np.ones((5, 3)))
    ...     late = sources.open_source(Path(folder) / "run.npz", key="late").array
    >>> late.shape, late.flags.writeable
    ((5, 3), False)
    """
    place = Place(path)
    members = members_of(place)
    if key is None and None not in members:
        choice = [key for key, member in members.items() if not member.refusal] or list(members)
        if len(choice) != 1:
            raise ValueError(f"{place} holds {len(members)} arrays; choose one by its key: {_listing(members)}")
        [key] = choice
    elif list(members) == [None] and key is not None:
        raise ValueError(f"{place} holds a single array without a name, so it takes no key; got {key!r}")
    elif key not in members:
        raise ValueError(f"{place} has no array {key!r}; it holds: {_listing(members)}")
    return _checked(place, members, key, dimensions, max_bytes)


def _checked(place: Place, members: Members, key: str | None, dimensions: tuple[int, ...], most: int | None) -> Source:
    refusal, shape = members[key].refusal, members[key].shape
    if refusal:
        raise refusal
    if dimensions and len(shape) not in dimensions:
        kinds = " or ".join(SHAPES.get(count, f"{count}-D") for count in dimensions)
        raise (ValueError if len(shape) > 1 else NoRowsError)(f"{_spec(place, key)} must be {kinds}, got shape {shape}")
    return _sources(place, members, [key], most)[0]


def open_sources(spec: Spec, *, dimensions: tuple[int, ...] = (2,), max_bytes: int | None = None) -> list[Source]:
    """Open what ``"file"`` or ``"file:key"`` names: without a key, every array of the file that has such dimensions.

    Raises
    ------
    ValueError, OSError, ImportError
        As ``open_source``; ``max_bytes`` counts for all arrays of the file together.

    See Also
    --------
    open_source : one array of a file

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from kernalign import sources
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder) / "run.npz", early=np.zeros((5, 2)), late=np.ones((5, 3)), labels=np.arange(5))
    ...     found = sources.open_sources(Path(folder) / "run.npz")
    ...     shapes = {source.name: source.shape for source in found}
    >>> shapes
    {'early': (5, 2), 'late': (5, 3)}
    """
    place, key = split_spec(spec)
    members = members_of(place)
    if key is not None:
        return [open_source(place, key=key, dimensions=dimensions, max_bytes=max_bytes)]
    return _of_dimensions(place, members, dimensions, max_bytes)


def open_unit(unit: Unit, dimensions: tuple[int, ...], max_bytes: int | None = None) -> list[Source]:
    """Open the arrays of a file, or of its parts as one, that have such dimensions. Raises as ``open_sources``."""
    return _of_dimensions(unit.place, members_of_unit(unit), dimensions, max_bytes)


def _of_dimensions(place: Place, members: Members, dimensions: tuple[int, ...], most: int | None) -> list[Source]:
    keys = [None] if None in members else [key for key, one in members.items() if one.ndim in dimensions]
    keys = [key for key in keys if not members[key].refusal]
    if keys == [None]:
        return [_checked(place, members, None, dimensions, most)]
    refusals = [member.refusal for member in members.values() if member.refusal]
    if not keys and len(refusals) == len(members) == 1:
        raise refusals[0]
    if not keys:
        kinds = " or ".join(f"{count}-D" for count in dimensions)
        raise NoRowsError(f"{place} holds no {kinds} array (items, features); found: {_listing(members)}")
    return _sources(place, members, keys, most)


def open_layers(
    spec: Spec, *, dimensions: tuple[int, ...] = tuple(SHAPES), max_bytes: int | None = None
) -> list[Source]:
    """Open what ``"file"`` or ``"file:key"`` names as one representation: one 2-D or 3-D array, or several 2-D layers.

    The layers are in the order of their names, in which layer2 comes before layer10.

    Raises
    ------
    ValueError, OSError, ImportError
        As ``open_sources``, and where one of several arrays is 3-D.

    See Also
    --------
    open_source, by_name

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from kernalign import sources
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder) / "model.npz", layer2=np.zeros((5, 2)), layer10=np.ones((5, 3)))
    ...     names = [source.name for source in sources.open_layers(Path(folder) / "model.npz")]
    >>> names
    ['layer2', 'layer10']
    """
    found = open_sources(spec, dimensions=dimensions, max_bytes=max_bytes)
    if not are_layers(found) and len(found) > 1:
        listing = ", ".join(f"{one.key} {one.shape}" for one in found)
        raise ValueError(
            f"{shown(spec)} must hold one array or 2-D layers of one model; choose one by its key: {listing}"
        )
    return by_name(found)


def are_layers(found: Sequence[Source]) -> bool:
    """Whether the arrays of one file can be the layers of one model: several, all 2-D.

    See Also
    --------
    open_layers : opens them as one representation

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from kernalign import sources
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder) / "run.npz", one=np.zeros((5, 2)), two=np.ones((5, 3)))
    ...     layers = sources.are_layers(sources.open_sources(Path(folder) / "run.npz"))
    >>> layers
    True
    """
    return len(found) > 1 and all(len(one.shape) == 2 for one in found)


def by_name(found: Sequence[Source]) -> list[Source]:
    """In the order of their names as people read them: the numbers in them by value.

    See Also
    --------
    open_layers : orders layers like this

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from kernalign import sources
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder) / "run.npz", block10=np.zeros((5, 2)), block9=np.ones((5, 2)))
    ...     found = sources.by_name(sources.open_sources(Path(folder) / "run.npz"))
    >>> [source.name for source in found]
    ['block9', 'block10']
    """
    return sorted(found, key=lambda one: naturally(one.name))


def array_names(path: Spec) -> list[str]:
    """Names of the numeric arrays of a file, of any shape; none for a ``.npy`` file. Raises as ``open_source``.

    See Also
    --------
    open_source : opens one of them

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from kernalign import sources
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder) / "run.npz", x=np.zeros((5, 2)), steps=np.arange(3))
    ...     names = sources.array_names(Path(folder) / "run.npz")
    >>> sorted(names)
    ['steps', 'x']
    """
    return [key for key, member in members_of(Place(path)).items() if key is not None and not member.refusal]


def split_spec(spec: Spec) -> tuple[Place, str | None]:
    """Split ``"file.npz:key"`` into path and key; a path that exists as it stands has no key.

    See Also
    --------
    open_source : takes what this splits

    Examples
    --------
    >>> from kernalign import sources
    >>> place, key = sources.split_spec("features.npz:layer3/mean")
    >>> str(place), key
    ('features.npz', 'layer3/mean')
    """
    text = os.fspath(spec)
    match = _SPEC.fullmatch(text)
    whole = Place(text)
    if whole.url is None and whole.exists:
        return whole, None
    if match is None:  # a directory may be a store by what is in it
        head, _, key = text.rpartition(":")
        store = Place(head)
        found = head and not key.startswith("//") and store.is_directory
        return (store, key) if found else (whole, None)
    return Place(match["path"]), match["key"]


def _sources(place: Place, members: Members, keys: list[str | None], most: int | None) -> list[Source]:
    wanted = sum(members[key].nbytes for key in keys if not members[key].mapped)
    if wanted:
        what = f"array {keys[0]!r}" if keys[0] is not None and len(keys) == 1 else f"{len(keys)} arrays"
        remedy = "stored uncompressed (numpy.savez or .npy), they are mapped instead"
        check_memory(wanted, f"{place}: its {what}", most, remedy)
    return [Source(place.stem if key is None else key, place, key, members[key], most, members) for key in keys]


def _spec(place: Place, key: str | None) -> str:
    return str(place) if key is None else f"{place}:{key}"


def _listing(members: Members, most: int = 12) -> str:
    listed = [
        f"{'an array without a name' if key is None else key} {'(no numbers)' if one.refusal else one.shape}"
        for key, one in list(members.items())[:most]
    ]
    return ", ".join(listed) + (f" and {len(members) - most} more" if len(members) > most else "") or "nothing"


__all__ = [
    "SHAPES",
    "NoNumbersError",
    "NoRowsError",
    "Source",
    "are_layers",
    "array_names",
    "by_name",
    "open_layers",
    "open_source",
    "open_sources",
    "split_spec",
]
