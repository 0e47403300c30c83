"""Protects digests of arrays: what they are, and what they tell apart."""

import hashlib

import numpy as np
import pytest
from kernalign import _core
from kernalign._rows.numeric import digest_of


def _of_lanes(given):
    """BLAKE2b of every eighth word, from each of the first eight."""
    words = np.frombuffer(given + bytes(-len(given) % 64), dtype="<u8").reshape(-1, 8)
    return b"".join(hashlib.blake2b(words[:, lane].tobytes()).digest() for lane in range(8))


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 20_000])
def test_lanes_are_plain_blake2b_however_the_stream_is_cut(count):
    generator = np.random.default_rng(count)
    given = generator.integers(0, 256, count, dtype=np.uint8)
    for pieces in (0, 1, 5):
        made = _core.LaneDigest()
        for piece in np.split(given, np.sort(generator.integers(0, count + 1, pieces))):
            made.update(piece)
        assert made.hashes() == _of_lanes(given.tobytes())


def test_a_digest_names_type_shape_and_entries_and_nothing_else():
    rows = np.random.default_rng(0).standard_normal((300, 50)).astype(np.float32)
    kind = f"{rows.dtype.str} {rows.shape} ".encode()
    assert digest_of(rows, False) == hashlib.blake2b(kind + _of_lanes(rows.tobytes()), digest_size=20).hexdigest()
    assert digest_of(np.asfortranarray(rows), False) == digest_of(np.tile(rows, 2)[:, :50], False)
    changed = rows.copy()
    changed[-1, -1] = np.nextafter(changed[-1, -1], np.float32(9))
    bits = rows.view(np.uint16)
    others = [changed, rows[:-1], rows.reshape(50, 300), rows.view(np.int32), np.zeros((1, 1)), np.zeros((1, 2)), bits]
    found = {digest_of(other, False) for other in [rows, *others]} | {digest_of(bits, True)}
    assert len(found) == len(others) + 2


def test_large_arrays_of_any_layout_are_read_in_pieces():
    rows = np.random.default_rng(0).standard_normal((4000, 100))
    assert digest_of(rows, False) == digest_of(np.asfortranarray(rows), False)
