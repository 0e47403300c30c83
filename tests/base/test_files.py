"""A file that is written appears whole or not at all."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from kernalign._base.files import atomic_write


def test_the_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    with atomic_write(path) as file:
        file.write(b"hello")
        assert not path.exists()
    assert path.read_bytes() == b"hello"
    assert os.listdir(tmp_path) == ["out.bin"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "out") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_everything_as_it_was(tmp_path: Path, overwrite: bool, error: type[BaseException]) -> None:
    path = tmp_path / "out"
    if overwrite:
        path.write_bytes(b"before")
    with pytest.raises(error), atomic_write(path, overwrite=overwrite) as file:
        file.write(b"half")
        raise error
    assert os.listdir(tmp_path) == (["out"] if overwrite else [])
    assert not overwrite or path.read_bytes() == b"before"


def test_existing_files_are_kept_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"before")
    with pytest.raises(FileExistsError, match="exists already"), atomic_write(path):
        pytest.fail("must not get this far")
    with atomic_write(path, overwrite=True) as file:
        file.write(b"after")
    assert path.read_bytes() == b"after"
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_that_comes_into_being_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with pytest.raises(FileExistsError, match="exists already"), atomic_write(path) as file:
        file.write(b"mine")
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["out"]


def test_file_systems_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    with atomic_write(tmp_path / "out") as file:
        file.write(b"x")
    assert os.listdir(tmp_path) == ["out"]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place, error in ((tmp_path / "missing" / "out", FileNotFoundError), (tmp_path / "file" / "out", OSError)):
        with pytest.raises(error, match="cannot write to the directory"), atomic_write(place):
            pytest.fail("must not get this far")
    with pytest.raises(IsADirectoryError, match="is a directory"), atomic_write(tmp_path, overwrite=True):
        pytest.fail("must not get this far")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a device or a pipe"), atomic_write(tmp_path / "pipe", overwrite=True):
        pytest.fail("must not get this far")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="cannot write to the directory"), atomic_write(tmp_path / "out"):
        pytest.fail("must not get this far")


LEFT = ".kernalign-0123456789abcdef.tmp"


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """Only files of our name that are old and that no living process holds."""
    stale, fresh, foreign = tmp_path / LEFT, tmp_path / LEFT.replace("0", "a"), tmp_path / ".kernalign-notes.tmp"
    for path in (stale, fresh, foreign):
        path.write_bytes(b"half")
    for path in (stale, foreign):
        os.utime(path, (0, 0))
    with atomic_write(tmp_path / "slow") as slow:
        held = next(path for path in tmp_path.glob(".kernalign-*") if path not in (stale, fresh, foreign))
        os.utime(held, (0, 0))
        with atomic_write(tmp_path / "quick") as quick:
            quick.write(b"whole")
        slow.write(b"whole too")
    assert sorted(os.listdir(tmp_path)) == sorted(["slow", "quick", fresh.name, foreign.name])
    assert (tmp_path / "slow").read_bytes() == b"whole too"


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_process_that_is_killed_leaves_no_half_file(tmp_path: Path, name: str) -> None:
    code = f"""
import os, signal, sys
from kernalign._base.files import atomic_write
with atomic_write("out") as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.{name})
    signal.pause()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert done.returncode == -getattr(signal, name)
    (left,) = tmp_path.iterdir()
    assert left.name != "out"
    os.utime(left, (0, 0))
    with atomic_write(tmp_path / "out") as file:
        file.write(b"whole")
    assert os.listdir(tmp_path) == ["out"]
