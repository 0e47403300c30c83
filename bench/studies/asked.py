"""Arguments of a study that reads files, and the command as its page tells it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path


def asked(study: str, about: str | None, files: Mapping[str, str], *, arrays: bool = False) -> argparse.Namespace:
    """The paths that ``files`` names and explains, with ``arrays`` also names of arrays; ``command`` is what to type,
    files that lie elsewhere by their names."""
    parser = argparse.ArgumentParser(description=(about or study).splitlines()[0])
    for name, said in files.items():
        parser.add_argument(name, type=Path, help=said)
    if arrays:
        parser.add_argument("names", nargs="*", help="arrays to take; all if none is named")
    given = parser.parse_args()
    paths = [getattr(given, name) for name in files]
    here = [path.name if path.is_absolute() or ".." in path.parts else path.as_posix() for path in paths]
    given.command = " ".join(["python -m", f"bench.studies.{study}", *here, *(given.names if arrays else [])])
    return given
