"""Digests: BLAKE3 of the bytes, wherever parts end, and of rows whatever their layout."""

from __future__ import annotations

import numpy as np
from kernalign._base.digests import digest, digest_of_text
from kernalign._rows.numeric import digest_of


def test_they_are_what_others_compute() -> None:
    """The published vectors: the bytes 0, 1, … 250, 0, … and their first so many."""
    given = bytes(n % 251 for n in range(102_400))
    known = {
        0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        1025: "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
        102_400: "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
    }
    for length, found in known.items():
        body = given[:length]
        assert digest([body]).hex() == found
        assert digest([body[begin : begin + 999] for begin in range(0, length, 999)]).hex() == found
    assert digest_of_text("abc") == digest([b"a", b"", memoryview(b"bc")]).hex()


def test_of_rows_they_follow_content_type_and_shape_but_no_layout() -> None:
    rows = np.random.default_rng(0).normal(size=(700, 301)).astype(np.float32)  # in several blocks
    found = digest_of(rows, False)
    wide = np.zeros((700, 602), np.float32)
    wide[:, ::2] = rows
    assert {digest_of(one, False) for one in (np.asfortranarray(rows), wide[:, ::2], rows[::-1][::-1])} == {found}
    assert found == digest([f"<f4 {rows.shape} ".encode(), rows.tobytes()]).hex()
    changed = rows.copy()
    changed[-1, -1] += 1
    others = (changed, rows.reshape(301, 700), rows.view(np.int32), rows.astype(np.float64))
    assert len({found, *(digest_of(one, False) for one in others)}) == 5
