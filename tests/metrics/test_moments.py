"""ka.Moments: batching, merging and saving must not change the answer."""

import copy
import json
import math
import os
import pickle
import resource
import signal
import struct
import subprocess
import sys
import time
import warnings
from functools import cache
from itertools import pairwise

import kernalign as ka
import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import alignment as oracle
from samples import related

METRICS = ("cka", "hsic", "kernel_alignment")
ESTIMATORS = ("biased", "unbiased")
N, P, Q = 2200, 6, 9  # two whole blocks of 1024 and a part
dtypes = pytest.mark.parametrize("dtype,rel", [(np.float32, 1e-6), (np.float64, 1e-9)], ids=["f32", "f64"])


def stream(x, y, batch, state=None):
    state = ka.Moments() if state is None else state
    for begin in range(0, len(x), batch):
        state.update(x[begin : begin + batch], y[begin : begin + batch])
    return state


def answers(state):
    """Every metric and estimator, as plain floats that compare bit by bit."""
    return [float(getattr(state, name)(estimator=estimator)) for name in METRICS for estimator in ESTIMATORS]


def expected(x, y):
    """What ``answers`` must be, by the oracle."""
    return [oracle.metric(name, estimator, x, y) for name in METRICS for estimator in ESTIMATORS]


@cache
def standard(dtype):
    """The usual stream, its one-shot answers and what they must be."""
    x, y = related(N, P, Q, dtype=dtype)
    return x, y, answers(ka.Moments().update(x, y)), expected(x, y)


# Batches


@dtypes
@pytest.mark.parametrize("batch", [1, 7, 64, 211, 1024, 1500])
def test_batches_equal_one_shot_bit_for_bit(dtype, rel, batch):
    x, y, one_shot, values = standard(dtype)
    assert answers(stream(x, y, batch)) == one_shot
    assert one_shot == pytest.approx(values, rel=rel)


@dtypes
def test_stream_equals_the_function(dtype, rel):
    x, y = related(N, P, Q, dtype=dtype)
    state = stream(x, y, 211)
    for name in METRICS:
        for estimator in ESTIMATORS:
            score = getattr(ka, name)(x, y, estimator=estimator)
            assert score.settings["route"] == "feature"
            assert getattr(state, name)(estimator=estimator) == pytest.approx(score, rel=rel)


@dtypes
@settings(max_examples=12)
@given(cuts=st.lists(st.integers(0, N), max_size=12))
def test_ragged_batches_equal_one_shot_bit_for_bit(dtype, rel, cuts):
    x, y = related(N, P, Q, dtype=dtype)
    edges = [0, *sorted(set(cuts) - {0, N}), N]
    state = ka.Moments()
    for begin, end in pairwise(edges):
        state.update(x[begin:end], y[begin:end])
    assert answers(state) == answers(ka.Moments().update(x, y))


@dtypes
def test_layout_of_a_batch_does_not_matter(dtype, rel):
    x, y = related(N, P, Q, dtype=dtype)
    state = ka.Moments()
    state.update(np.asfortranarray(x[:700]), y[:700])
    state.update(x[700:1100][::-1].copy()[::-1], y[700:1100].astype(y.dtype.newbyteorder(">")))
    state.update(np.repeat(x[1100:], 2, axis=1)[:, ::2], y[1100:])
    assert answers(state) == answers(ka.Moments().update(x, y))


@pytest.mark.parametrize("n", [4, 5, 1023, 1024, 1025, 2048])
def test_lengths_around_a_block_agree_with_the_oracle(n):
    x, y = related(n, 3, 2, seed=n)
    assert answers(stream(x, y, 100)) == pytest.approx(expected(x, y), rel=1e-9)


def test_reading_an_answer_in_the_middle_changes_nothing():
    x, y = related(N, P, Q)
    state = ka.Moments().update(x[:600], y[:600])
    assert answers(state) == pytest.approx(expected(x[:600], y[:600]), rel=1e-9)
    state.update(x[600:], y[600:])
    assert answers(state) == answers(ka.Moments().update(x, y))


def test_update_and_merge_return_the_state_and_n_counts_rows():
    x, y = related(1500, 3, 2)
    state = ka.Moments()
    assert state.n == 0
    assert state.update(x[:10], y[:10]) is state
    assert state.n == 10
    state.update(x[10:1300], y[10:1300])
    assert state.n == 1300
    assert state.merge(ka.Moments().update(x[1300:], y[1300:])) is state
    assert state.n == 1500
    assert state.cka().n == 1500


@pytest.mark.parametrize("kind", [np.float16, np.int8, np.int64])
def test_narrow_and_integer_batches(kind):
    x, y = (np.clip(a * 20, -127, 127).astype(kind) for a in related(1500, 4, 3))
    rel = 1e-6 if kind is np.float16 else 1e-9
    assert answers(stream(x, y, 211)) == pytest.approx(expected(x, y), rel=rel)


@dtypes
def test_constant_first_block_then_signal(dtype, rel):
    """Shift and scale come from the first block; it may know nothing of the rest."""
    x, y = related(N, P, Q, dtype=dtype)
    x[:1024], y[:1500] = 3, -2
    state = stream(x, y, 211)
    assert state.cka() == pytest.approx(oracle.metric("cka", "unbiased", x, y), rel=rel)
    assert state.hsic(estimator="biased") == pytest.approx(oracle.metric("hsic", "biased", x, y), rel=rel)


@pytest.mark.parametrize("ratio", [1e30, 1e60, 1e100, 1e200])
def test_first_block_many_orders_smaller_than_the_rest(ratio):
    """The scale comes from the first block; sums of fourth powers must not overflow for that."""
    x, y = related(N, P, Q)
    y[:1024] /= ratio
    value = oracle.metric("cka", "unbiased", x, y)
    assert stream(x, y, 211).cka() == pytest.approx(value, rel=1e-9)
    parts = [ka.Moments().update(x[a:b], y[a:b]) for a, b in [(0, 1024), (1024, N)]]
    assert merged(parts, []).cka() == pytest.approx(value, rel=1e-9)
    assert ka.cka(x, y) == pytest.approx(value, rel=1e-9)


def test_later_blocks_many_orders_larger_in_float32():
    x, y = related(N, P, Q, dtype=np.float32)
    x[:1024] *= np.float32(1e-18)
    y[1024:] *= np.float32(1e-15)
    state = stream(x, y, 211)
    assert state.cka() == pytest.approx(oracle.metric("cka", "unbiased", x, y), rel=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_do_not_change_a_bit(threads):
    x, y = related(5000, 40, 30, dtype=np.float32)
    assert answers(ka.Moments().update(x, y, threads=threads)) == answers(stream(x, y, 1700))


# Merging


def merged(states, order):
    """Merge pairs of states, picked by ``order``, until one is left: any tree."""
    states = list(states)
    for pick in order:
        if len(states) == 1:
            break
        right = states.pop(pick % len(states))
        states[pick % len(states)].merge(right)
    while len(states) > 1:
        states[0].merge(states.pop())
    return states[0]


@cache
def drifting(dtype, offset):
    """Chunks have different means; with the oracle's answers."""
    x, y = related(N, P, Q, dtype=dtype)
    x += np.linspace(-offset, offset, N, dtype=dtype)[:, None]
    return x, y, expected(x, y)


@dtypes
@settings(max_examples=20)
@given(
    cuts=st.lists(st.integers(0, N), min_size=1, max_size=9),
    order=st.lists(st.integers(0, 99), max_size=9),
    offset=st.sampled_from([0, 30]),
)
def test_any_merge_tree_agrees_with_the_oracle(dtype, rel, cuts, order, offset):
    x, y, values = drifting(dtype, offset)
    edges = [0, *sorted(cuts), N]  # repeated cuts give empty states
    states = [ka.Moments() for _ in edges[1:]]
    for state, begin, end in zip(states, edges, edges[1:], strict=False):
        if begin < end:
            state.update(x[begin:end], y[begin:end])
    state = merged(states, order)
    assert state.n == N
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ka.AlignmentWarning)
        assert answers(state) == pytest.approx(values, rel=rel)


def test_merged_chunks_far_apart_in_place_and_size():
    x, y = related(N, P, Q)
    x[1200:] = x[1200:] * 1e8 + 1e5
    y[:900] = y[:900] * 1e-8 - 1e3
    states = [stream(x[a:b], y[a:b], 300) for a, b in [(0, 900), (900, 1200), (1200, N)]]
    assert merged(states, [2, 0]).cka() == pytest.approx(oracle.metric("cka", "unbiased", x, y), rel=1e-9)


def test_empty_states_merge():
    x, y = related(100, 3, 2)
    one = ka.Moments().update(x, y)
    before = answers(one)
    assert answers(one.merge(ka.Moments())) == before
    assert answers(ka.Moments().merge(one)) == before
    assert ka.Moments().merge(ka.Moments()).n == 0


def test_merge_leaves_the_other_state_alone():
    x, y = related(3000, 3, 2)
    left, right = ka.Moments().update(x[:1300], y[:1300]), ka.Moments().update(x[1300:], y[1300:])
    before = answers(right)
    left.merge(right)
    assert answers(right) == before
    assert right.n == 1700
    right.update(x[:1300], y[:1300])
    assert answers(right) == pytest.approx(answers(left), rel=1e-9)


def test_merge_with_itself_doubles_every_item():
    x, y = related(600, 3, 2)
    state = ka.Moments().update(x, y)
    state.merge(state)
    assert state.n == 1200
    twice = np.vstack([x, x]), np.vstack([y, y])
    assert answers(state) == pytest.approx(expected(*twice), rel=1e-9)


def test_update_continues_after_a_merge():
    x, y = related(N, P, Q)
    state = ka.Moments().update(x[:300], y[:300]).merge(ka.Moments().update(x[300:1700], y[300:1700]))
    stream(x[1700:], y[1700:], 77, state)
    assert answers(state) == pytest.approx(expected(x, y), rel=1e-9)


# What is refused


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("taken", [0, 100, 1500])
@pytest.mark.parametrize("side", ["x", "y"])
@dtypes
def test_a_bad_batch_leaves_the_state_as_it_was(value, taken, side, dtype, rel):
    x, y = related(7000, 4, 3, dtype=dtype)
    state = stream(x[:taken], y[:taken], 211)
    bad = {"x": x[taken:].copy(), "y": y[taken:].copy()}
    bad[side][5321, 2] = value
    with pytest.raises(ValueError, match=rf"{side}.*row 5321.*column 2"):
        state.update(bad["x"], bad["y"])
    assert state.n == taken
    state.update(x[taken:], y[taken:])
    assert answers(state) == answers(ka.Moments().update(x, y))


def test_columns_must_not_change():
    x, y = related(50, 4, 3)
    state = ka.Moments().update(x, y)
    before = answers(state)
    for a, b in [(x[:, :3], y), (x, y[:, :2]), (y, x)]:
        with pytest.raises(ValueError, match="column"):
            state.update(a, b)
        with pytest.raises(ValueError, match="column"):
            state.merge(ka.Moments().update(a, b))
    assert answers(state) == before


def test_bad_batches_are_refused_by_name():
    x, y = related(50, 4, 3)
    state = ka.Moments()
    with pytest.raises(ValueError, match="same number of rows, got 50 and 49"):
        state.update(x, y[:49])
    with pytest.raises(ValueError, match="x_batch must be 2-D"):
        state.update(x[:, 0], y)
    with pytest.raises(TypeError, match="y_batch must hold numbers"):
        state.update(x, y.astype(str))
    with pytest.raises(TypeError, match="Moments"):
        state.merge(3)
    assert state.n == 0


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_items_say_so(n):
    state = ka.Moments()
    if n:
        state.update(*related(n, 3, 2))
    with pytest.raises(ValueError, match=rf"at least 4 rows, got {n}"):
        state.cka()


def test_a_constant_stream_is_undefined():
    _, y = related(50, 4, 3)
    state = ka.Moments().update(np.full((50, 4), 0.1), y)
    with pytest.warns(ka.UndefinedScoreWarning, match="constant"):
        score = state.cka()
    assert np.isnan(score)
    assert "constant" in score.reason


def test_cka_of_what_varies_by_rounding_alone_is_undefined_in_a_stream_as_it_is_of_rows():
    x, y = related(200, 4, 3)
    rounded = (0.1 + 7e-9 * np.round(np.clip(x, -1, 1))).astype(np.float32)
    assert np.ptp(rounded) > 0
    reason = "x is constant, up to the rounding of float32"
    for made in (ka.Moments().update(rounded, y).cka, lambda: ka.cka(rounded, y)):
        with pytest.warns(ka.UndefinedScoreWarning, match=reason):
            score = made()
        assert np.isnan(score)
        assert score.reason == reason
    for kept in (0.1 + 1e-5 * x, 1e-8 * x):
        assert np.isfinite(ka.Moments().update(kept.astype(np.float32), y).cka())


def test_jackknife_needs_the_rows():
    state = ka.Moments().update(*related(50, 4, 3))
    with pytest.raises((TypeError, ValueError), match="uncertainty"):
        state.cka(uncertainty="jackknife")


# Files


@dtypes
@pytest.mark.parametrize("taken", [0, 1, 700, 1024, 1100, N])
def test_a_saved_stream_goes_on_bit_for_bit(dtype, rel, taken, tmp_path):
    x, y = related(N, P, Q, dtype=dtype)
    path = tmp_path / "state.kam"
    state = stream(x[:taken], y[:taken], 211)
    state.save(path)
    again = ka.Moments.load(path)
    assert again.n == taken
    for each in (state, again):
        if taken < N:
            each.update(x[taken:], y[taken:])
    assert answers(again) == answers(state) == answers(ka.Moments().update(x, y))


@dtypes
@pytest.mark.parametrize("taken", [0, 100, 1500])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copied_stream_goes_on_bit_for_bit_and_by_itself(dtype, rel, taken, copied):
    x, y = related(N, P, Q, 3, dtype)
    state = stream(x[:taken], y[:taken], 100)
    twin = copied(state)
    assert (twin.n, repr(twin)) == (taken, repr(state))
    twin.update(x[taken:], y[taken:])
    assert state.n == taken
    state.update(x[taken:], y[taken:])
    assert answers(twin) == answers(state)
    assert float(twin.cca()) == float(state.cca())


def test_a_reset_stream_is_a_new_one():
    x, y = related(N, P, Q)
    state = stream(x, y, 500)
    assert repr(state) == f"Moments(n={N}, p={P}, q={Q})"
    assert state.reset() is state
    assert repr(state) == "Moments(n=0)"
    assert answers(state.update(y, x)) == answers(stream(y, x, 500))


def test_a_merged_state_survives_saving(tmp_path):
    x, y = related(N, P, Q)
    state = ka.Moments().update(x[:1500], y[:1500]).merge(ka.Moments().update(x[1500:], y[1500:]))
    state.save(str(tmp_path / "state"))
    assert answers(ka.Moments.load(str(tmp_path / "state"))) == answers(state)


def test_an_older_file_is_replaced_only_when_asked(tmp_path):
    x, y = related(N, P, Q)
    path = tmp_path / "state"
    ka.Moments().update(x[:500], y[:500]).save(path)
    with pytest.raises(FileExistsError, match=path.name):
        ka.Moments().update(x, y).save(path)
    assert ka.Moments.load(path).n == 500
    ka.Moments().update(x, y).save(path, overwrite=True)
    assert ka.Moments.load(path).n == N
    assert os.listdir(tmp_path) == ["state"]


@pytest.fixture
def saved(tmp_path):
    x, y = related(30, 2, 3)
    path = tmp_path / "small.state"
    ka.Moments().update(x, y).save(path)
    return path


def refuse(path, data):
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        ka.Moments.load(path)
    assert path.name in str(caught.value)


def test_truncated_files_are_refused(saved):
    data = saved.read_bytes()
    for length in {*range(0, len(data), max(1, len(data) // 150)), *range(min(64, len(data))), len(data) - 1}:
        refuse(saved, data[:length])


def test_flipped_bits_are_refused(saved):
    data = saved.read_bytes()
    rng = np.random.default_rng(0)
    for position in {*range(min(200, len(data))), *rng.integers(0, len(data), 300).tolist(), len(data) - 1}:
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(rng.integers(8))
        refuse(saved, bytes(damaged))


def test_foreign_files_are_refused(saved):
    data = saved.read_bytes()
    for other in (b"", b"\0" * len(data), b"PK\3\4" + data, data + b"\0", data + data, pickle.dumps({"n": 3})):
        refuse(saved, other)
    refuse(saved, np.random.default_rng(0).bytes(5000))


def test_a_file_of_a_newer_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("kernalign._base.checkpoint._VERSION", 99)
    path = tmp_path / "newer.state"
    ka.Moments().update(*related(30, 2, 3)).save(path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"newer\.state.*version 99"):
        ka.Moments.load(path)


@pytest.mark.parametrize("columns", [0, -1, 1, 5, 2**20, 2**31, 2**62, 2**70, 2.5, "two", None, True])
@pytest.mark.parametrize("side", ["p", "q"])
def test_a_header_that_lies_is_refused_even_with_a_right_checksum(columns, side, saved):
    data, digest_bytes, magic = saved.read_bytes(), 32, len(b"KERNALIGN MOMENTS")
    (length,) = struct.unpack_from("<Q", data, magic)
    begin = magic + 8
    header = json.loads(data[begin : begin + length])
    header[side] = columns
    text = json.dumps(header).encode()
    body = data[:magic] + struct.pack("<Q", len(text)) + text + data[begin + length : -digest_bytes]
    refuse(saved, body + blake3(body).digest())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_no_rows_have_is_refused_even_with_a_right_checksum(value, saved):
    data = saved.read_bytes()[:-32]
    begin = len(b"KERNALIGN MOMENTS") + 8
    (length,) = struct.unpack_from("<Q", data, begin - 8)
    count = json.loads(data[begin : begin + length])["arrays"]["numbers"][1][0]
    for place in (2, 5, count // 2, count - 1):  # a sum, an exponent, products, a row that waits for its block
        at = len(data) - 8 * (count - place)
        body = data[:at] + struct.pack("<d", value) + data[at + 8 :]
        refuse(saved, body + blake3(body).digest())


def test_missing_file_and_missing_directory_are_os_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        ka.Moments.load(tmp_path / "absent")
    with pytest.raises(OSError):
        ka.Moments().update(*related(30, 2, 3)).save(tmp_path / "absent" / "state")


def test_a_full_disk_leaves_the_old_file_whole(tmp_path):
    """The file size limit stands in for a full disk."""
    path = tmp_path / "state"
    x, y = related(50, 200, 200)
    ka.Moments().update(x[:40], y[:40]).save(path)
    state = ka.Moments().update(x, y)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError):
            state.save(path, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert ka.Moments.load(path).n == 40
    assert os.listdir(tmp_path) == ["state"]


SAVE_FOR_EVER = """
import sys, numpy as np, kernalign as ka
x = np.random.default_rng(0).normal(size=(50, 300))
states = [ka.Moments().update(x[:n], x[:n]) for n in (40, 50)]
states[0].save(sys.argv[1], overwrite=True)
print("ready", flush=True)
while True:
    for state in states:
        state.save(sys.argv[1], overwrite=True)
"""


@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_killed_while_saving_leaves_a_whole_file(kills, tmp_path):
    path = tmp_path / "state"
    rng = np.random.default_rng(0)
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", SAVE_FOR_EVER, str(path)], stdout=subprocess.PIPE)
        try:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0, 0.1))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        assert ka.Moments.load(path).n in (40, 50)


@pytest.mark.parametrize("scales", [(0.0, 1e-80), (1e-80, 0.0), (1e60, 1e-60)])
def test_states_of_very_different_scales_merge(scales):
    x, y = related(600, 5, 4)
    x[:300] *= scales[0]
    x[300:] *= scales[1]
    whole = ka.Moments().update(x, y).cka()
    merged = ka.Moments().update(x[:300], y[:300]).merge(ka.Moments().update(x[300:], y[300:])).cka()
    assert merged == pytest.approx(float(whole), rel=1e-9)


def test_states_with_means_far_apart_merge():
    x, y = related(600, 5, 4)
    x[300:] += 1e80
    whole = ka.Moments().update(x, y).cka()
    merged = ka.Moments().update(x[:300], y[:300]).merge(ka.Moments().update(x[300:], y[300:])).cka()
    assert merged == pytest.approx(float(whole), rel=1e-6)


@pytest.mark.parametrize("value", [1e100, 1e-100])
def test_raw_moments_of_constant_columns_of_any_size(value):
    constant, y = np.full((500, 3), value), related(500, 3, 4)[1]
    with pytest.warns(ka.AlignmentWarning, match="mean"):
        expected = ka.kernel_alignment(np.ones((500, 3)), y, estimator="biased")
    with pytest.warns(ka.AlignmentWarning, match="mean"):
        assert ka.kernel_alignment(constant, y, estimator="biased") == pytest.approx(float(expected), rel=1e-12)


def test_a_progress_callback_cannot_reach_into_the_state_it_reports_on():
    x = np.random.default_rng(0).normal(size=(60_000, 200)).astype(np.float32)
    moments, seen = ka.Moments(), []

    def report(done: int, total: int) -> None:
        seen.append((moments.n, done, total))
        with pytest.raises(RuntimeError, match="progress callback"):
            moments.update(x[:1], x[:1])

    moments.update(x, x, threads=1, progress=report)
    assert seen
    assert moments.n == len(x)
    assert moments.cka() == pytest.approx(1.0, abs=1e-6)


def test_rounding_of_large_means_costs_no_digits():
    """An offset of 1e6 leaves the mean wrong by 1e-2 of a spread of 1e-8; what that took from it is kept."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((1200, 3))
    x = 1e6 + 1e-8 * (latent @ rng.standard_normal((3, 8)) + rng.standard_normal((1200, 8)))
    y = latent @ rng.standard_normal((3, 6)) + rng.standard_normal((1200, 6))
    from_first = x - x[0]  # exact
    whole = ka.Moments().update(x, y)
    merged = ka.Moments().update(x[:700], y[:700]).merge(ka.Moments().update(x[700:], y[700:]))
    expected = ka.Moments().update(from_first, y)
    assert float(expected.cka()) == pytest.approx(oracle.cka_u(oracle.linear(from_first), oracle.linear(y)), rel=1e-9)
    for moments in (whole, merged):
        for name in ("cka", "cca", "linear_predictivity", "nbs"):
            assert float(getattr(moments, name)()) == pytest.approx(float(getattr(expected, name)()), rel=1e-10), name
        biased = moments.cka(estimator="biased")
        assert float(biased) == pytest.approx(float(expected.cka(estimator="biased")), rel=1e-10)
