"""Where a file lies: a path of this machine or a URL that fsspec opens; its size, its bytes, and a map of them."""

from __future__ import annotations

import ctypes
import errno
import io
import mmap
import os
import re
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from kernalign._base.cached import cached_property

Bytes = NDArray[np.uint8]
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


class Place:
    """A file or a directory, by its path or URL; as text, what errors call it."""

    def __init__(self, given: str | os.PathLike[str]) -> None:
        text = os.fspath(given).removeprefix("file://")
        self.url = text if _URL.match(text) else None
        self.path: PurePath = Path(text) if self.url is None else PurePosixPath(text.split("://")[-1].split("?")[0])
        self._text = text
        self._map: weakref.ref[Bytes] | None = None

    def __str__(self) -> str:
        return shown(self._text)

    def __fspath__(self) -> str:
        return self._text

    def __reduce__(self) -> tuple[Any, ...]:
        return Place, (self._text,)

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()

    @property
    def stem(self) -> str:
        return shown(self.path.stem)

    @property
    def local(self) -> Path | None:
        return Path(self.path) if self.url is None else None

    @property
    def exists(self) -> bool:
        return Path(self.path).exists() if self.url is None else self._remote[0].exists(self._remote[1])

    @property
    def is_directory(self) -> bool:
        return Path(self.path).is_dir() if self.url is None else self._remote[0].isdir(self._remote[1])

    @property
    def is_link(self) -> bool:
        return self.url is None and Path(self.path).is_symlink()

    @property
    def identity(self) -> str:
        """The same of all links to one place."""
        return os.path.realpath(self.path) if self.url is None else self._head

    @property
    def is_file(self) -> bool:
        return Path(self.path).is_file() if self.url is None else self._remote[0].isfile(self._remote[1])

    @property
    def size(self) -> int:
        return os.stat(self.path).st_size if self.url is None else int(self._remote[0].size(self._remote[1]) or 0)

    def stamp(self) -> str:
        """Changes when the file is written anew."""
        if self.url is not None:
            return str(self._remote[0].ukey(self._remote[1]))
        found = os.stat(self.path)
        return f"{os.path.abspath(self.path)} {found.st_size} {found.st_mtime_ns}"

    def inside(self, name: str) -> Place:
        """A file in this directory."""
        return Place(self.path / name) if self.url is None else Place(f"{self._head}/{name}")

    def beside(self, name: str) -> Place:
        """A file in the directory of this one."""
        return Place(self.path.parent / name) if self.url is None else Place(f"{self._head.rpartition('/')[0]}/{name}")

    def children(self) -> list[Place]:
        """All that is in this directory, in no order."""
        if self.url is None:
            return [Place(path) for path in Path(self.path).iterdir()]
        system, path = self._remote
        return [self.inside(str(one).rstrip("/").rpartition("/")[2]) for one in system.ls(path, detail=False)]

    @property
    def _head(self) -> str:
        return self._text.split("?")[0].removesuffix("/")

    def open(self) -> BinaryIO:
        """The bytes, which can be sought."""
        if self.url is None:
            return open(self.path, "rb")
        return io.BufferedReader(self._remote[0].open(self._remote[1], "rb"))  # files of stores have but some methods

    def read(self, offset: int, into: Bytes) -> None:
        """Fill an array with bytes of the file, which must still have them."""
        view, done = into.data, 0
        with self.open() as file:
            file.seek(offset)
            while done < len(view) and (got := file.readinto(view[done:])):  # type: ignore[attr-defined]
                done += got
        if done < len(view):
            raise ValueError(
                f"{self} requires {offset + len(view):,} bytes, but there are {offset + done:,}: it was cut short"
            )

    def mapped(self) -> Bytes:
        """All bytes of a local file, read-only and not read yet: one map, and no open file, however many ask."""
        known = None if self._map is None else self._map()
        if known is None:
            known = _map(Path(self.path))
            self._map = weakref.ref(known)
        return known

    @cached_property
    def _remote(self) -> tuple[Any, str]:
        try:
            from fsspec import url_to_fs
        except ImportError as error:
            raise ImportError(f"{self} needs fsspec: pip install 'kernalign[io]'") from error
        found: tuple[Any, str] = url_to_fs(self.url)
        return found


def shown(path: str | os.PathLike[str]) -> str:
    """A path in words: what of it is not UTF-8 is escaped, as no text file takes it."""
    text = os.fspath(path)
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return text.encode("utf-8", "backslashreplace").decode()


@contextmanager
def intact(what: object, kind: str) -> Iterator[None]:
    """Turn what a reader raises of a damaged file into one ValueError that names it."""
    try:
        yield
    except ImportError:
        raise
    except MemoryError as error:
        raise ValueError(f"{what} asks for more memory than there is: {one_line(error)}") from error
    except Exception as error:
        system = isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)  # EINVAL: a seek to nowhere
        if system or (isinstance(error, ValueError) and str(error).startswith(str(what))):
            raise
        raise ValueError(f"{what} must be an intact {kind}: {one_line(error) or type(error).__name__}") from error


def one_line(value: object, most: int = 160) -> str:
    """In words of no more than a line."""
    text = " ".join(str(value).split())
    return text if len(text) <= most else text[:most] + "…"


def _map(path: Path) -> Bytes:
    """NumPy's own maps keep their file open, so that a process runs out of files long before it runs out of maps."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = libc.munmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64)
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return np.empty(0, np.uint8)
        address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
    if address == ctypes.c_void_p(-1).value:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(path))
    buffer = (ctypes.c_ubyte * size).from_address(address)
    weakref.finalize(buffer, libc.munmap, address, size).atexit = False  # arrays may be read until the very end
    return np.frombuffer(memoryview(buffer).toreadonly(), np.uint8)
