"""Whatever writes a file leaves the old one or the new one whole: killed at any step, on a full disk, and tidily."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kernalign as ka
import numpy as np
import pytest
from click.testing import CliRunner
from kernalign import stitching, suite
from kernalign.cli import main
from kernalign.compat.sentence_transformers import SimilarityEvaluator
from kernalign.gpucheck.check import Check
from samples import related

X, Y = related(40, 4, 3)
KILLED = 9
SUITE = """
[suite]
name = "small"
[sets.main]
ids = "by-position"
[[models]]
glob = "*.npy"
[[metrics]]
id = "cka"
"""


def command(*arguments: str) -> Callable[[], None]:
    def call() -> None:
        done = CliRunner().invoke(main, arguments)
        if done.exit_code:
            raise OSError(done.stderr) if "File too large" in done.stderr else AssertionError(done.output)

    return call


def outputs(*arguments: str) -> dict[str, Callable[[], None]]:
    """A command once for each file that it writes."""
    return {
        f"{arguments[0]} {name}": command(*arguments, "--output", name, "--force")
        for name in ("o.json", "o.csv", "o.svg")
        if arguments[0] != "describe" or name != "o.svg"
    }


def comparison() -> ka.Comparison:
    return ka.compare({"a": X, "b": Y}, metrics=("cka",))


def evaluate() -> None:
    evaluator = SimilarityEvaluator(["text"], X, metrics="cka")
    evaluator._write(Path("."), {"epoch": 1, "steps": 2, "cka": 0.5})


def execute() -> None:
    plan = ka.plan("cka", "x.npy", "y.npy")
    ka.execute(plan, checkpoint="o.states", progress=False)


SAVES: dict[str, Callable[[], Any]] = {
    "Moments": lambda: ka.Moments().update(X, Y).save("o", overwrite=True),
    "Comparison": lambda: comparison().save("o", overwrite=True),
    "Comparison.to_csv": lambda: comparison().to_csv("o.csv", overwrite=True),
    "stitcher": lambda: stitching.AffineStitcher().fit(X, Y).save("o", overwrite=True),
    "execute": execute,
    "suite": lambda: suite.load(".").run(),
    "Run.report": lambda: suite.load(".").last().report(),
    "Run.report, elsewhere": lambda: suite.load(".").last().report("o.html"),
    "Run.to_parquet": lambda: suite.load(".").last().to_parquet("o.parquet", overwrite=True),
    "Suite.gc": lambda: suite.load(".").gc(),
    "builtin suite": lambda: suite.load("builtin:quick", directory="o"),
    "gpucheck": lambda: Check("cuda", Path("o.json"), {"one": lambda check: 1}).run(("one",)),
    "SimilarityEvaluator": evaluate,
    "suite export": command("suite", "export", ".", "--json", "--force"),
    **outputs("compare", "x.npy", "y.npy"),
    **outputs("describe", "x.npy"),
    **outputs("stitch", "x.npy", "y.npy"),
}
FEW = ("Moments", "suite", "SimilarityEvaluator", "compare o.json")  # of those that share one way to write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("y.npy", Y)
    Path("suite.toml").write_text(SUITE)
    return tmp_path


def files(of: str = "*") -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(".").rglob(of) if path.is_file()}


def is_whole(name: str, data: bytes) -> bool:
    """Whether it is all of a file; of states, loading says so."""
    if name.endswith(".json"):
        json.loads(data)
    elif name.endswith(".jsonl"):
        [json.loads(line) for line in data.split(b"\n")[:-1]]  # a ledger writes over the last one if it is torn
    elif name.endswith(".csv"):
        return data.endswith(b"\n") and len({len(row) for row in csv.reader(io.StringIO(data.decode()))}) == 1
    elif name.endswith((".svg", ".html")):
        return data.rstrip().endswith((b"</svg>", b"</html>"))
    elif name.endswith(".npy"):
        np.load(io.BytesIO(data))
    elif name.endswith(".parquet"):
        return data.endswith(b"PAR1")
    return True


def killed_at(step: int, save: Callable[[], Any]) -> bool:
    """Whether a process that saves ends at this step of those that change a directory, and is not done before it."""
    child = os.fork()
    if child == 0:
        seen, steps = 0, ("os.rename", "os.link", "os.remove", "os.mkdir", "fcntl.flock")

        def watch(event: str, given: Any) -> None:
            nonlocal seen
            opened = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
            if opened or event in steps:
                seen += 1
                if seen == step:
                    os._exit(KILLED)

        code = 1
        try:
            warnings.simplefilter("ignore")
            sys.addaudithook(watch)
            save()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


def saved(save: Callable[[], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save()


def check(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    for name, data in after.items():
        if not name.endswith(".tmp"):
            assert data == before.get(name) or is_whole(name, data), name
    assert {name for name in before if not name.endswith(".tmp")} <= {*after}


def every_step(name: str, most: int) -> int:
    """Kill it at every step, or at so many; the next save is right, and leaves nothing but what it makes."""
    save = SAVES[name]
    if name.startswith(("Run", "Suite", "suite export")):
        saved(SAVES["suite"])
    begun = files()
    saved(save)
    wanted = {*files()}
    for path in wanted - {*begun}:
        Path(path).unlink()
    step = 0
    while step < most:
        before = files()
        if not killed_at(step + 1, save):
            return step
        check(before, files())
        for path in files("*.tmp"):
            os.utime(path, (0, 0))
        step += 1
    saved(save)
    assert {*files()} == wanted
    return step


@pytest.mark.parametrize("name", FEW)
def test_a_process_that_is_killed_while_it_saves(name: str, folder: Path) -> None:
    assert every_step(name, 9) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", SAVES)
def test_a_process_that_is_killed_at_any_step_of_any_save(name: str, folder: Path) -> None:
    assert every_step(name, 1000) >= 3


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """As a full disk, for every file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", SAVES)
def test_a_full_disk_is_an_error_that_names_the_file(name: str, folder: Path) -> None:
    save = SAVES[name]
    if name.startswith(("Run", "Suite", "suite export")):
        saved(SAVES["suite"])
    before = files()
    with room_for(10), pytest.raises(OSError, match="File too large") as told:
        saved(save)
    check(before, files())
    assert not files("*.tmp")
    assert told.value.filename or any(path in str(told.value) for path in ("o.", "results"))
    saved(save)
