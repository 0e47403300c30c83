"""Opens array files as representations: memory-mapped where the format allows, never unpickled, never beyond a budget.

A header is compared with the size of its file before any memory is asked for, so that a truncated or lying file is one
ValueError. A mapped file must not be truncated while it is in use: the operating system answers a read beyond the new
end with SIGBUS, which ends the process. Copy files that another program may still rewrite.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from numpy.typing import NDArray

from kernalign.sources import npy, npz, safetensors
from kernalign.sources.layout import MAX_BYTES, Member


class _Format(Protocol):
    def members(self, path: Path) -> dict[str | None, Member]: ...


SHAPES = {2: "2-D (items, features)", 3: "3-D (items, layers, features)"}

_FORMATS: dict[str, _Format] = {".npy": npy, ".npz": npz, ".safetensors": safetensors}
_SPEC = re.compile(rf"(?P<path>.*?(?:{'|'.join(map(re.escape, _FORMATS))})):(?P<key>.+)", re.DOTALL | re.IGNORECASE)


@dataclass
class Source:
    """One array of a file; ``array`` is read-only and stays valid for as long as something refers to it."""

    name: str
    path: Path
    key: str | None
    array: NDArray[Any] | None

    @property
    def spec(self) -> str:
        """``"file"`` or ``"file:key"``."""
        return _spec(self.path, self.key)

    def close(self) -> None:
        """Let go of the array; its memory map is closed once nobody else uses it."""
        self.array = None

    def __enter__(self) -> NDArray[Any]:
        if self.array is None:
            raise ValueError(f"{self.name} is closed")
        return self.array

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_source(
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    dimensions: tuple[int, ...] = (),
    max_bytes: int = MAX_BYTES,
) -> Source:
    """Open one array of a ``.npy``, ``.npz`` or ``.safetensors`` file.

    Parameters
    ----------
    key : the array's name, needed where the file holds several; ``.npy`` files have none.
    dimensions : how many the array may have: 2, 3; any number if empty.
    max_bytes : the most memory that arrays which cannot be mapped (compressed ones) may take.

    Raises
    ------
    ValueError
        Unknown suffix or key, a file whose header and size disagree, objects (pickles), other dimensions, or more than
        ``max_bytes``.
    OSError
        The file cannot be read.
    """
    path = Path(path)
    members = _members(path)
    if key is None:
        choice = [key for key, member in members.items() if not member.refusal] or list(members)
        if len(choice) != 1:
            raise ValueError(f"{path} holds {len(members)} arrays; choose one by its key: {_listing(members)}")
        [key] = choice
    elif None in members:
        raise ValueError(f"{path} holds a single array without a name, so it takes no key; got {key!r}")
    elif key not in members:
        raise ValueError(f"{path} has no array {key!r}; it holds: {_listing(members)}")
    refusal, shape = members[key].refusal, members[key].shape
    if refusal:
        raise refusal
    if dimensions and len(shape) not in dimensions:
        kinds = " or ".join(SHAPES[count] for count in dimensions)
        raise ValueError(f"{_spec(path, key)} must be {kinds}, got shape {shape}")
    return _open(path, members, [key], max_bytes)[0]


def open_sources(
    spec: str | os.PathLike[str], *, dimensions: tuple[int, ...] = (2,), max_bytes: int = MAX_BYTES
) -> list[Source]:
    """Open what ``"file"`` or ``"file:key"`` names: without a key, every array of the file that has such dimensions.

    Raises
    ------
    ValueError, OSError
        As ``open_source``; ``max_bytes`` counts for all arrays of the file together.
    """
    path, key = split_spec(spec)
    members = _members(path)
    if key is not None or None in members:
        return [open_source(path, key=key, dimensions=dimensions, max_bytes=max_bytes)]
    keys = [key for key, member in members.items() if len(member.shape) in dimensions]
    refusals = [member.refusal for member in members.values() if member.refusal]
    if not keys and len(refusals) == len(members) == 1:
        raise refusals[0]
    if not keys:
        kinds = " or ".join(f"{count}-D" for count in dimensions)
        raise ValueError(f"{path} holds no {kinds} array (items, features); found: {_listing(members)}")
    return _open(path, members, keys, max_bytes)


def open_layers(spec: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> list[Source]:
    """Open what ``"file"`` or ``"file:key"`` names as one representation: one 2-D or 3-D array, or several 2-D layers.

    The layers are in the order of their names, in which layer2 comes before layer10.

    Raises
    ------
    ValueError, OSError
        As ``open_sources``, and where one of several arrays is 3-D.
    """
    found = open_sources(spec, dimensions=tuple(SHAPES), max_bytes=max_bytes)
    if not are_layers(found) and len(found) > 1:
        listing = ", ".join(f"{one.key} {() if one.array is None else one.array.shape}" for one in found)
        raise ValueError(f"{spec} must hold one array or 2-D layers of one model; choose one by its key: {listing}")
    return by_name(found)


def shown(path: str | os.PathLike[str]) -> str:
    """A path in words: bytes of it that are not UTF-8 are escaped, as no text file takes them."""
    return os.fspath(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def are_layers(found: Sequence[Source]) -> bool:
    """Whether the arrays of one file can be the layers of one model: several, all 2-D."""
    return len(found) > 1 and all(one.array is not None and one.array.ndim == 2 for one in found)


def by_name(found: Sequence[Source]) -> list[Source]:
    """In the order of their names as people read them: the numbers in them by value."""
    return sorted(found, key=lambda one: _natural(one.name))


def _natural(name: str) -> tuple[Any, ...]:
    parts = re.split("([0-9]+)", name)
    numbers = [part.lstrip("0") for part in parts[1::2]]
    return (*zip(parts[::2], [*((len(digits), digits) for digits in numbers), (0, "")], strict=True), name)


def files_of(directory: str | os.PathLike[str]) -> list[Path]:
    """The files of a directory that can be opened, by name; not those of its own directories.

    Raises
    ------
    ValueError
        There is none.
    """
    found = sorted(p for p in Path(directory).iterdir() if p.suffix.lower() in _FORMATS and p.is_file())
    if not found:
        raise ValueError(f"{directory} holds no file that ends in {', '.join(_FORMATS)}")
    return found


def array_names(path: str | os.PathLike[str]) -> list[str]:
    """Names of the numeric arrays of a file, of any shape; none for a ``.npy`` file. Raises as ``open_source``."""
    return [key for key, member in _members(Path(path)).items() if key is not None and not member.refusal]


def split_spec(spec: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """Split ``"file.npz:key"`` into path and key; a path that exists as it stands has no key."""
    match = _SPEC.fullmatch(os.fspath(spec))
    if match is None or Path(spec).exists():
        return Path(spec), None
    return Path(match["path"]), match["key"]


def _members(path: Path) -> dict[str | None, Member]:
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if not path.is_file():
        raise ValueError(f"{path} must be a regular file" + (", but is a directory" if path.is_dir() else ""))
    if path.suffix.lower() not in _FORMATS:
        raise ValueError(f"{path} must end in {', '.join(_FORMATS)}, got {path.suffix or 'no suffix'!r}")
    return _FORMATS[path.suffix.lower()].members(path)


def _open(path: Path, members: dict[str | None, Member], keys: list[str | None], max_bytes: int) -> list[Source]:
    wanted = sum(members[key].nbytes for key in keys if not members[key].mappable)
    if wanted > max_bytes:
        what = f"array {keys[0]!r}" if len(keys) == 1 else f"{len(keys)} arrays"
        raise ValueError(
            f"{path}: its compressed {what} would take {wanted:,} bytes of memory, over max_bytes = {max_bytes:,}; "
            "store it uncompressed (numpy.savez or .npy), which is mapped instead"
        )
    return [Source(shown(path.stem) if key is None else key, path, key, members[key].load()) for key in keys]


def _spec(path: Path, key: str | None) -> str:
    return shown(path) if key is None else f"{shown(path)}:{key}"


def _listing(members: dict[str | None, Member], most: int = 12) -> str:
    listed = [f"{key} {'(no numbers)' if one.refusal else one.shape}" for key, one in list(members.items())[:most]]
    return ", ".join(listed) + (f" and {len(members) - most} more" if len(members) > most else "") or "nothing"
