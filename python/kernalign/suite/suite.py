"""A suite: what suite.toml describes, done block by block where the ledger of its run does not hold it yet."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from kernalign._base.memory import budget_of
from kernalign._base.progress import ProgressArgument, reporting
from kernalign.comparison.tasks.pools import workers_of
from kernalign.comparison.tidy import as_csv
from kernalign.suite.blocks import Block, blocks, pairs_of, wanted
from kernalign.suite.data import Digests, entries, items_of, shapes_of
from kernalign.suite.description import Description, read
from kernalign.suite.executors import executor_of, worked
from kernalign.suite.labelled import Reading, readings
from kernalign.suite.ledger import Ledger
from kernalign.suite.members import Members
from kernalign.suite.run import Run
from kernalign.suite.work import work


class Suite:
    """What suite.toml describes, ready to be run; see `kernalign.suite.load`.

    See Also
    --------
    load : makes it
    Run : what its ``run`` returns

    Examples
    --------
    >>> import tempfile
    >>> import kernalign as ka
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     suite = ka.suite.load("builtin:quick", directory=folder)
    ...     before = suite.status()
    ...     run = suite.run()
    ...     after = suite.status()
    >>> before["known"], after["known"] == after["scores"]
    (0, True)
    """

    def __init__(self, description: Description, directory: Path | None = None) -> None:
        self.description = description
        self.executor = description.executor
        self.directory = directory or description.directory / "runs" / description.name

    def __repr__(self) -> str:
        return f"Suite({self.description.name!r}, {len(self.description.metrics)} metrics, {str(self.directory)!r})"

    def members(self) -> dict[str, Members]:
        """Sets with models and the scores they need; files that are not known by their stamp are read once."""
        digests = Digests(self.directory / "digests.json", self.description.directory)
        found = {}
        for one in self.description.sets:
            items, models = items_of(self.description, one), entries(self.description, one)
            known = {entry.name: digests.of(entry, items) for entry in models}
            scores = wanted(self.description, models, known, items)
            found[one.name] = Members(items, tuple(models), known, tuple(scores))
        digests.save()
        return found

    def run(self, executor: Executor | None = None, *, progress: ProgressArgument = False) -> Run:
        """Do what is not done yet, and write the results.

        Parameters
        ----------
        executor : any ``concurrent.futures.Executor``, Dask's ``Client.get_executor()`` too; None: what suite.toml says
            ("serial", "threads", "processes" or "dask://scheduler:8786")
        progress : as for `kernalign.cka`

        Notes
        -----
        A score is known by what it is of and how it is made, not by names: a killed run goes on where it was, a model
        that is added costs its own pairs, and one that is renamed nothing. Interrupted, it waits for the blocks that
        are under way, and keeps them.
        """
        begun = time.perf_counter()
        members = self.members()
        self.directory.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(self.directory / "ledger.jsonl")
        with ledger.writing(), executor_of(executor, self.executor) as working:
            threads, workers = (None, 1) if working is None else (1, workers_of(working))
            todo = self._missing(members, ledger, threads, workers)
            with reporting(progress, "suite") as said:
                for done, line in enumerate(worked(todo, working), 1):
                    ledger.append(line)
                    if said is not None:
                        said(done, len(todo))
        run = Run(self, members, ledger)
        run.write(time.perf_counter() - begun, len(todo))
        return run

    def status(self) -> dict[str, int]:
        """How many scores there are, how many are known, and how many blocks are to be done; computes none."""
        members, ledger = self.members(), Ledger(self.directory / "ledger.jsonl")
        scores = [one for own in members.values() for one in own.wanted]
        known = sum(one.key in ledger.scores for one in scores)
        unreadable = sum(one.reason is not None for own in members.values() for one in own.known.values())
        left = len(self._missing(members, ledger))
        return {"scores": len(scores), "known": known, "blocks left": left, "unreadable models": unreadable}

    def check(self) -> list[dict[str, Any]]:
        """A dict for every set: models, items, scores, estimates of seconds and bytes; reads headers and ids only."""
        found = []
        for one in self.description.sets:
            items, models = items_of(self.description, one), entries(self.description, one)
            shapes = {entry.name: shapes_of(entry, items) for entry in models}
            read = [own for own in shapes.values() if not isinstance(own, str)]
            widths = [width for own in read for _, width in own]
            n = max([rows for own in read for rows, _ in own], default=0)
            layers = len(widths) / max(1, len(read))
            pairs = sum(1 for _ in pairs_of(self.description, models))
            scores = sum(pairs * (1 if metric.record.symmetric else 2) for metric in self.description.metrics)
            found.append(
                {
                    "set": one.name,
                    "items": n,
                    "models": len(models),
                    "layers": len(widths),
                    "scores": scores,
                    "unreadable": {name: own for name, own in shapes.items() if isinstance(own, str)},
                    "seconds": round(_seconds(n, widths, scores, layers), 1),
                    "bytes": int(8 * n * 2 * 16 * layers * (max(widths, default=0) + 64)),
                }
            )
        return found

    def gc(self) -> int:
        """Forget scores that the suite no longer asks for; how many these were."""
        ledger = Ledger(self.directory / "ledger.jsonl")
        members = self.members().values()
        keys = {one.key for own in members for one in own.wanted}
        keys |= {one.key for own in members for one in readings(self.description, own)}
        with ledger.writing():
            return ledger.keep(keys)

    def verify(self, count: int = 3) -> list[str]:
        """What does not agree: inputs with the lock file, results with the ledger, some scores with those made anew."""
        run, told = self.last(), []
        for name, what in (("suite.lock.toml", run.lock()), ("results.csv", as_csv(run.rows))):
            path = self.directory / name
            if not path.exists() or path.read_bytes() != what.encode():
                told.append(f"{name} is not what the inputs and the ledger say now")
        if run.missing:
            told.append(f"{run.missing} scores are missing")
        for name, own in run.members.items():
            known = [one for one in own.wanted if one.key in run.ledger.scores]
            chosen = random.Random(self.description.seed).sample(known, min(count, len(known)))
            for block in blocks(self.description, name, own.entries, own.known, chosen, own.items, {}):
                names = {key: called.split("\n") for called, (key, _) in block.keys.items()}
                for key, score in work(block)["scores"].items():
                    pair = zip(run.ledger.scores[key]["cells"], score["cells"], strict=True)
                    if not all(math.isclose(*(cell.get("score", 0.0) for cell in both), rel_tol=1e-9) for both in pair):
                        metric, x, y = names[key]
                        told.append(f"{name}: {metric} of {x} × {y} comes out otherwise now")
        return told

    def last(self) -> Run:
        """The run as far as it is, without doing anything."""
        return Run(self, self.members(), Ledger(self.directory / "ledger.jsonl"))

    def _missing(
        self, members: Mapping[str, Members], ledger: Ledger, threads: int | None = None, workers: int = 1
    ) -> list[Block | Reading]:
        budget = budget_of(self.description.memory, "run.memory")
        options = {"threads": threads, "memory_budget": None if budget is None else budget // workers}
        found: list[Block | Reading] = []
        for name, own in members.items():
            missing = [one for one in own.wanted if one.key not in ledger.scores]
            found += blocks(self.description, name, own.entries, own.known, missing, own.items, options)
            found += [one for one in readings(self.description, own) if one.key not in ledger.readings]
        return found


def _seconds(n: int, widths: Sequence[int], scores: int, layers: float) -> float:
    """A guess: states of layers a few times each, and about a millisecond a pair of layers."""
    states = sum(n * n * width * 1e-11 + n * 1e-5 for width in widths) * 6
    return states + scores * layers**2 * (5e-4 + n * 5e-7)


def load(path: str | os.PathLike[str], directory: str | os.PathLike[str] | None) -> Suite:
    """See `kernalign.suite.load`."""
    return Suite(read(path), None if directory is None else Path(directory))
