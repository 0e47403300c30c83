"""Writes a file so that it appears whole or not at all."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from kernalign._base.checks import check_flag, check_path

_TEMPORARY = re.compile(r"\.kernalign-[0-9a-f]{16}\.tmp")
_STALE = 60.0  # seconds without a byte after which a temporary file that nobody holds was left by a process that died


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes ``path`` when the block ends without an error; until then nobody sees it.

    The bytes go to a temporary file in the same directory, are flushed to the disk and then renamed. An error in the
    block removes the temporary file and leaves ``path`` as it was; a process that is killed leaves it, and the next one
    that writes to the directory removes it.

    Raises
    ------
    FileExistsError
        ``path`` exists and ``overwrite`` is False (checked before and, without a race, at the end).
    OSError
        The directory is missing or cannot be written to.
    """
    path, overwrite = check_path(path), check_flag(overwrite, "overwrite")
    if not overwrite and os.path.lexists(path):
        raise _exists(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} must be a file, but is a directory")
    if path.exists() and not path.is_file():  # which would be gone: root may rename a file to /dev/null
        raise OSError(f"{path} must be a file, but is a device or a pipe")
    try:
        temporary = path.parent / f".kernalign-{secrets.token_hex(8)}.tmp"
        file = open(temporary, "xb")  # noqa: SIM115 (an error here and an error in the block are told apart)
    except OSError as error:
        raise type(error)(f"cannot write to the directory {path.parent}: {error.strerror}") from error
    try:
        with file:
            with suppress(OSError):  # some file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_left(path.parent, _stale)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if overwrite:
                os.replace(temporary, path)
            else:
                _rename_new(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno and not error.filename:
            error.filename = str(path)  # which a full disk does not say
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_directory(path.parent)


def regular(path: Path) -> Path:
    """The path, unless it is that of a device or a pipe, which may hold anything without end."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} must be a regular file")
    return path


def remove_left(directory: Path, left: Callable[[BinaryIO], bool]) -> None:
    """Remove temporary files that nobody holds and that are ``left`` by processes that are no more."""
    for path in directory.glob(".kernalign-*.tmp"):
        with suppress(OSError):
            if not (_TEMPORARY.fullmatch(path.name) and stat.S_ISREG(path.lstat().st_mode)):
                continue
            with open(path, "rb") as file:
                if left(file):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()


def _stale(file: BinaryIO) -> bool:
    """Whether nothing was written for so long that a process that lives would have."""
    return time.time() - os.fstat(file.fileno()).st_mtime >= _STALE


def _rename_new(temporary: Path, path: Path) -> None:
    """Rename unless ``path`` has come into being meanwhile; file systems without hard links get a plain check."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:
        if os.path.lexists(path):
            raise _exists(path) from None
        os.replace(temporary, path)
    else:
        temporary.unlink()


def _exists(path: Path) -> FileExistsError:
    return FileExistsError(f"{path} exists already (overwrite=True replaces it)")


def _sync_directory(directory: Path) -> None:
    with suppress(OSError):  # some file systems cannot; the rename itself is atomic all the same
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
