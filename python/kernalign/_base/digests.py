"""The digest that tells contents apart: of rows, files, plans and saved states."""

from __future__ import annotations

from collections.abc import Iterable

from blake3 import blake3

Running = blake3  # of what is still growing: `update(part)`, then `digest()` or `hexdigest()`


def digest(parts: Iterable[bytes | memoryview]) -> bytes:
    """The 32 bytes of BLAKE3 of all parts in turn, which depend on neither machine, threads nor where parts end."""
    made = blake3()
    for part in parts:
        made.update(part)
    return made.digest()


def digest_of_text(text: str) -> str:
    """The same of a text, in hexadecimal digits."""
    return digest([text.encode()]).hex()
