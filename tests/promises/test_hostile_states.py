"""Saved states with a good checksum and anything inside: one ValueError, or an object that answers; never a hang."""

from __future__ import annotations

import copy
import functools
import json
import math
import os
import random
import signal
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import kernalign as ka
import numpy as np
import pytest
from blake3 import blake3
from kernalign import suite
from kernalign._base import checkpoint
from kernalign._engines.states import Store
from kernalign.stitching import AffineStitcher, LowRankStitcher, ProcrustesStitcher, RidgeStitcher, load_stitcher
from samples import related

FILES = 100  # of each kind; the slow test makes this many thousand
SECONDS = 5  # of work for one file, however much else the machine does
X, Y = related(60, 4, 3)
VALUES = [
    None,
    True,
    -1,
    0,
    1,
    2,
    10**6,
    10**400,
    -(2**63),
    0.5,
    math.nan,
    math.inf,
    "",
    "x",
    "cka",
    [],
    [1],
    {},
    {"n": 1},
]
NUMBERS = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-320, 1e308, -1.0, 2.0**53, 0.5]
QUESTIONS = ("cka", "hsic", "kernel_alignment", "procrustes", "nbs", "angular_distance", "cca", "linear_predictivity")


def ask_moments(path: Path) -> None:
    for question in (*QUESTIONS, "centred_products"):
        answer(getattr(ka.Moments.load(path), question))
    state = ka.Moments.load(path)
    answer(lambda: state.update(X, Y).cka())
    answer(lambda: ka.Moments.load(path).merge(ka.Moments.load(path)).cka())


def ask_comparison(path: Path) -> None:
    found = ka.Comparison.load(path)
    for metric in found.metrics:
        for table in (found.scores, found.chance, found.p_values):
            answer(lambda table=table, metric=metric: table[metric])
        for method in (found.best, found.distances, found.largest, found.record):
            answer(lambda method=method, metric=metric: method(metric))
    words = (found.__repr__, found.__str__, found._repr_html_)
    for question in (*words, found.to_dict, lambda: found.failed, lambda: found.notes):
        answer(question)
    answer(lambda: found.merge(ka.Comparison.load(path)))
    answer(lambda: found.save(path.with_suffix(".again"), overwrite=True))


def ask_stitcher(path: Path) -> None:
    stitcher = load_stitcher(path)
    answer(lambda: stitcher.transform(X))
    answer(lambda: stitcher.score(X, Y))
    answer(stitcher.__repr__)


def moments(path: Path) -> None:
    ka.Moments().update(*related(1100, 3, 2)).save(path)


def comparison(path: Path) -> None:
    layers = {"a": [X, X[:, :2]], "b": Y}
    ka.compare(layers, metrics=("cka", "mutual_knn", "rsa")).save(path)


def best(path: Path) -> None:
    ka.compare({"a": [X, X[:, :2]], "b": Y}, metrics=("cka", "mutual_knn"), layers="best").save(path)


def stitcher(make: Callable[[], Any]) -> Callable[[Path], None]:
    return lambda path: make().fit(X, Y).save(path)


def rows_nearby(path: Path) -> tuple[Path, Path]:
    """Files of rows in the same directory, made when they are first asked for."""
    files = path.parent / "x.npy", path.parent / "y.npy"
    if not files[0].exists():
        for file, rows in zip(files, (X, Y), strict=True):
            np.save(file, rows)
    return files


@functools.cache
def plan_of_layers() -> Any:
    return ka.plan(("cka", "mutual_knn", "cknna", "rsa", "svcca", "procrustes"), {"a": [X, X[:, :2]], "b": Y}, k=5)


def plan_of_stream(metric: str, **sizes: int) -> Callable[[Path], Any]:
    return lambda path: ka.plan(metric, *rows_nearby(path), **sizes)


def ledger(plan: Callable[[Path], Any]) -> tuple[Callable[[Path], None], Callable[[Path], None]]:
    """What `execute` leaves on disk, and takes up again."""

    def make(path: Path) -> None:
        ka.execute(plan(path), checkpoint=path, progress=False)

    def ask(path: Path) -> None:
        made = plan(path)
        Store.load(path, plan=made.digest)
        answer(lambda: ka.execute(made, checkpoint=path, progress=False))

    return make, ask


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "Moments": (moments, ask_moments),
    "Comparison": (comparison, ask_comparison),
    "Comparison of best layers": (best, ask_comparison),
    "AffineStitcher": (stitcher(AffineStitcher), ask_stitcher),
    "LowRankStitcher": (stitcher(lambda: LowRankStitcher(rank=1)), ask_stitcher),
    "RidgeStitcher": (stitcher(RidgeStitcher), ask_stitcher),
    "ProcrustesStitcher": (stitcher(ProcrustesStitcher), ask_stitcher),
    "Ledger of layers": ledger(lambda path: plan_of_layers()),
    "Ledger of a stream": ledger(plan_of_stream("cka", chunk=1024)),
    "Ledger of a search": ledger(plan_of_stream("mutual_knn", chunk=2000, queries=20, k=5)),
}


def answer(question: Callable[[], Any]) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with suppress(ValueError, TypeError):
            question()


@contextmanager
def limited(what: str) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise AssertionError(f"it takes over {SECONDS} s: {what}")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def taken_apart(data: bytes) -> tuple[bytes, dict[str, Any], bytearray]:
    """The magic word, the facts and the raw arrays of a file."""
    begin = data.index(b'{"version"')
    (length,) = struct.unpack_from("<Q", data, begin - 8)
    return data[: begin - 8], json.loads(data[begin : begin + length]), bytearray(data[begin + length : -32])


def put_together(magic: bytes, facts: Any, arrays: bytes) -> bytes:
    text = json.dumps(facts).encode()
    body = magic + struct.pack("<Q", len(text)) + text + arrays
    return body + blake3(body).digest()


def places(facts: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key of a JSON value."""
    for key, value in list(facts.items() if isinstance(facts, dict) else enumerate(facts)):
        yield facts, key
        if isinstance(value, (dict, list)):
            yield from places(value)


def mutated(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    magic, facts, arrays = taken_apart(data)
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        way = rng.randrange(6)
        if way < 3:
            container, key = rng.choice(list(places(facts)))
            if way == 0 and isinstance(container, dict):
                done.append(f"without {key!r}")
                del container[key]
            elif way == 1:
                other, name = rng.choice(list(places(facts)))
                done.append(f"{key!r} is that of {name!r}")
                container[key] = json.loads(json.dumps(other[name]))
            else:
                container[key] = copy.deepcopy(rng.choice(VALUES))
                done.append(f"{key!r} is {container[key]!r:.30}")
        elif way < 5 and len(arrays) >= 8:
            at = rng.randrange(len(arrays) // 8) * 8
            value = rng.choice(NUMBERS)
            struct.pack_into("<d", arrays, at, value)
            done.append(f"the number at {at} is {value}")
        elif arrays:
            arrays = arrays[: rng.randrange(len(arrays))] if rng.random() < 0.3 else arrays + b"\0" * 8
            done.append(f"{len(arrays)} bytes of arrays")
    return put_together(magic, facts, bytes(arrays)), "; ".join(done)


def refuses(ask: Callable[[Path], None], path: Path, what: str, words: str) -> bool:
    """Whether a file is refused, in these words."""
    with limited(what):
        try:
            ask(path)
        except ValueError as error:
            said = str(error)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}, after {what}") from error
        else:
            return False
    assert words in said, what
    return True


def ask_of_mutants(kind: str, files: int, seed: int, tmp_path: Path) -> None:
    make, ask = KINDS[kind]
    good, path = tmp_path / "good", tmp_path / "mutant"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make(good)
    data = good.read_bytes()
    path.write_bytes(put_together(*taken_apart(data)))
    ask(path)
    rng = random.Random(seed)
    refused = 0
    for _ in range(files):
        content, what = mutated(data, rng)
        path.write_bytes(content)
        refused += refuses(ask, path, what, str(path))
    assert 0 < refused < files


def test_a_state_under_what_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    checkpoint.write(path, "States", {"plan": "", "states": [{"tuple": [1, 2]}]}, {}, overwrite=False)
    with pytest.raises(ValueError, match=r"x is malformed: the key of a state must be a StateKey, got 1"):
        Store.load(path)


@pytest.mark.parametrize("exponent", [1e308, 0.5, -(2**63), True, None])
def test_exponents_that_are_none_are_refused(exponent: Any, tmp_path: Path) -> None:
    """1e308 was cast, with a warning, and the least of integers is its own magnitude."""
    path = tmp_path / "x"
    moments(path)
    magic, facts, arrays = taken_apart(path.read_bytes())
    facts["digits"][0][2][0] = exponent
    path.write_bytes(put_together(magic, facts, bytes(arrays)))
    with pytest.raises(ValueError, match=r"x is malformed: digits must be"):
        ka.Moments.load(path)


def given() -> tuple[int, int]:
    """Files and the seed of a long run."""
    return int(os.environ.get("KERNALIGN_FILES", 1000 * FILES)), int(os.environ.get("KERNALIGN_SEED", 1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_that_was_tampered_with_is_refused_or_answers(kind: str, tmp_path: Path) -> None:
    ask_of_mutants(kind, FILES, 0, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_very_many_states_that_were_tampered_with(kind: str, tmp_path: Path) -> None:
    ask_of_mutants(kind, *given(), tmp_path)


SUITE = """
[suite]
name = "small"
[sets.main]
ids = "by-position"
[[models]]
glob = "*.npy"
[[metrics]]
id = "cka"
[[metrics]]
id = "mutual_knn"
k = 5
"""


def ask_suite(folder: Path) -> None:
    run = suite.load(folder).last()
    for question in (lambda: run.rows, lambda: run.caveats, run.comparison, run.provenance, run.lock):
        answer(question)
    answer(lambda: suite.load(folder).status())


def altered(value: Any, rng: random.Random) -> Any:
    """A JSON value with something else in one place."""
    container, key = rng.choice(list(places(value)))
    other, name = rng.choice(list(places(value)))
    container[key] = copy.deepcopy(rng.choice([*VALUES, other[name]]))
    return value


def ask_of_suites(files: int, seed: int, folder: Path) -> None:
    rows_nearby(folder / "suite.toml")
    (folder / "suite.toml").write_text(SUITE)
    suite.load(folder).run()
    rng, refused = random.Random(seed), 0
    paths = [folder / "runs" / "small" / name for name in ("ledger.jsonl", "digests.json")]
    good = {path: path.read_bytes() for path in paths}
    for _ in range(files):
        for path, data in good.items():
            path.write_bytes(data)
        path = rng.choice(paths)
        lines = [json.loads(line) for line in good[path].splitlines()]
        at = rng.randrange(len(lines))
        lines[at] = altered(lines[at], rng)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        path.write_text(text)
        refused += refuses(ask_suite, folder, text, f"line {at + 1} of {path}")
    assert 0 < refused < files


def test_a_ledger_of_a_suite_that_was_tampered_with_is_refused_by_line_or_answers(tmp_path: Path) -> None:
    ask_of_suites(FILES // 2, 0, tmp_path)


@pytest.mark.slow
def test_very_many_ledgers_of_suites_that_were_tampered_with(tmp_path: Path) -> None:
    ask_of_suites(*given(), tmp_path)
