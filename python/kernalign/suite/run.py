"""A run of a suite: blocks that are not in its ledger are done, the others are read; then rows, tables and a report."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
import random
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernalign import _core
from kernalign._base.files import atomic_write
from kernalign._base.memory import budget_of
from kernalign._base.progress import ProgressArgument, reporting
from kernalign.comparison import tidy
from kernalign.comparison.result import Comparison
from kernalign.comparison.tables import Caveat
from kernalign.inference.model_maps import false_discovery
from kernalign.suite import claims, report, tables
from kernalign.suite.blocks import Block, Wanted, blocks, describe_options, options_of, pairs_of, wanted
from kernalign.suite.data import Digests, Entry, Items, Known, digest, entries, items_of, shapes_of
from kernalign.suite.description import Description, read
from kernalign.suite.ledger import Ledger
from kernalign.suite.work import CELL, work

if TYPE_CHECKING:
    from pandas import DataFrame

_IN_FLIGHT = 4  # blocks for each worker


@dataclass(frozen=True)
class Members:
    """A set with its models and the scores that it needs."""

    items: Items
    entries: tuple[Entry, ...]
    known: Mapping[str, Known]
    wanted: tuple[Wanted, ...]

    def absent(self, description: Description) -> Iterator[tuple[str, str, str, str]]:
        """Metric, x, y and reason of scores of models that cannot be read."""
        bad = {name: one.reason for name, one in self.known.items() if one.reason is not None}
        for x, y in pairs_of(description, self.entries) if bad else ():
            if x in bad or y in bad:
                reason = str(bad.get(x) or bad.get(y))
                for metric in description.metrics:
                    yield metric.id, x, y, reason
                    if not metric.record.symmetric:
                        yield metric.id, y, x, reason


class Suite:
    """What suite.toml describes, ready to be run; see `kernalign.suite.load`."""

    def __init__(self, description: Description, directory: Path | None = None) -> None:
        self.description = description
        self.executor = description.executor
        self.directory = directory or description.directory / "runs" / description.name

    def __repr__(self) -> str:
        return f"Suite({self.description.name!r}, {len(self.description.metrics)} metrics, {str(self.directory)!r})"

    def members(self) -> dict[str, Members]:
        """Sets with models and the scores they need; files that are not known by their stamp are read once."""
        self.directory.mkdir(parents=True, exist_ok=True)
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
        executor : any `concurrent.futures.Executor`, Dask's ``Client.get_executor()`` too; None: what suite.toml says
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
        ledger = Ledger(self.directory / "ledger.jsonl")
        own, executor, workers = _executor(executor, self.executor)
        todo = self._missing(members, ledger, 1 if executor else None, 1 if executor is None else workers)
        try:
            with ledger.writing(), reporting(progress, "suite") as said:
                for done, line in enumerate(_worked(todo, executor, workers), 1):
                    ledger.append(line)
                    if said is not None:
                        said(done, len(todo))
        finally:
            if own is not None:
                own.shutdown(cancel_futures=True)
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
        return ledger.keep({one.key for own in self.members().values() for one in own.wanted})

    def verify(self, count: int = 3) -> list[str]:
        """What does not agree: inputs with the lock file, results with the ledger, some scores with those made anew."""
        run, told = self.last(), []
        for name, what in (("suite.lock.toml", run.lock()), ("results.csv", as_csv(run.rows))):
            path = self.directory / name
            if not path.exists() or path.read_text(encoding="utf-8") != what:
                told.append(f"{name} is not what the inputs and the ledger say now")
        if run.missing:
            told.append(f"{run.missing} scores are missing")
        for name, own in run.members.items():
            known = [one for one in own.wanted if one.key in run.ledger.scores]
            chosen = random.Random(self.description.seed).sample(known, min(count, len(known)))
            for block in blocks(self.description, name, own.entries, own.known, chosen, own.items, {}):
                for key, score in work(block)["scores"].items():
                    pair = zip(run.ledger.scores[key]["cells"], score["cells"], strict=True)
                    if not all(math.isclose(*(cell.get("score", 0.0) for cell in both), rel_tol=1e-9) for both in pair):
                        told.append(f"{name}: a score of {next(iter(block.keys))!r} comes out otherwise now")
        return told

    def last(self) -> Run:
        """The run as far as it is, without doing anything."""
        return Run(self, self.members(), Ledger(self.directory / "ledger.jsonl"))

    def _missing(
        self, members: Mapping[str, Members], ledger: Ledger, threads: int | None = None, workers: int = 1
    ) -> list[Block]:
        budget = budget_of(self.description.memory, "run.memory")
        options = {"threads": threads, "memory_budget": None if budget is None else budget // workers}
        found = []
        for name, own in members.items():
            missing = [one for one in own.wanted if one.key not in ledger.scores]
            found += blocks(self.description, name, own.entries, own.known, missing, own.items, options)
        return found


def _seconds(n: int, widths: Sequence[int], scores: int, layers: float) -> float:
    """A guess: states of layers a few times each, and about a millisecond a pair of layers."""
    states = sum(n * n * width * 1e-11 + n * 1e-5 for width in widths) * 6
    return states + scores * layers**2 * (5e-4 + n * 5e-7)


def _executor(given: Executor | None, named: str) -> tuple[Executor | None, Executor | None, int]:
    """What must be shut down, what works (None: this thread), and how many workers that has."""
    if given is not None:
        return None, given, getattr(given, "_max_workers", None) or os.cpu_count() or 1
    count = os.cpu_count() or 1
    if named.startswith("dask://"):
        from distributed import Client

        client = Client(named.removeprefix("dask://"))
        return None, client.get_executor(), max(1, len(client.scheduler_info()["workers"]))
    if named == "serial":
        return None, None, 1
    made = ThreadPoolExecutor(count) if named == "threads" else ProcessPoolExecutor(count, initializer=_go_on)
    return made, made, count


def _go_on() -> None:
    """Ctrl-C is for the process that drains; a worker finishes its block."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _worked(todo: Sequence[Block], executor: Executor | None, workers: int) -> Iterator[dict[str, Any]]:
    """Lines as they are finished; at most four blocks a worker are given away at a time."""
    if executor is None:
        yield from map(work, todo)
        return
    waiting, flying = iter(todo), set[Future[Any]]()
    try:
        while True:
            for block in waiting:
                flying.add(executor.submit(work, block))
                if len(flying) >= _IN_FLIGHT * workers:
                    break
            if not flying:
                return
            done, flying = wait(flying, return_when=FIRST_COMPLETED)
            for one in done:
                yield one.result()
    except KeyboardInterrupt:
        for one in flying:
            one.cancel()
        for one in flying:
            if not one.cancelled():
                yield one.result()
        raise


class Run:
    """What a suite's ledger holds, under the names that it has now.

    Attributes
    ----------
    suite : what was run
    directory : where its files are
    """

    def __init__(self, suite: Suite, members: Mapping[str, Members], ledger: Ledger) -> None:
        self.suite, self._members, self.ledger = suite, members, ledger
        self.directory = suite.directory

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r}, {len(self.rows)} scores, {self.failed} failed)"

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """One dict for every score, with the columns of `Comparison.rows`."""
        found = [row for name, own in self._members.items() for row in self._rows_of(name, own)]
        for set_name in self._members:
            for metric in self.suite.description.metrics:
                own = [row for row in found if row["set"] == set_name and row["metric_id"] == metric.id]
                for row, q in zip(own, false_discovery([row["p_value"] for row in own]), strict=True):
                    row["q_value"] = float(q)
        return found

    @property
    def failed(self) -> int:
        """How many scores could not be made."""
        return sum(row["status"] == "failed" for row in self.rows)

    @property
    def missing(self) -> int:
        """How many scores were not asked for yet."""
        return sum(one.key not in self.ledger.scores for own in self._members.values() for one in own.wanted)

    @property
    def caveats(self) -> list[tuple[str, Caveat]]:
        """Sets, and what makes numbers of theirs mean less than they seem to."""
        found = []
        for name, own in self._members.items():
            names = {one.digest: key for key, one in own.known.items() if one.digest}
            for about, told in self.ledger.caveats.items():
                models = [names.get(one) for one in about.split()]
                if all(models):
                    both = (*models, None)[:2]
                    found += [
                        (name, Caveat(kind, str(both[0]), both[1], x, y, math.nan if value is None else value, text))
                        for kind, x, y, value, text in told
                    ]
        return found

    @cached_property
    def claims(self) -> list[claims.Claim]:
        """The checks of suite.toml, held, refuted or undecided."""
        return claims.judge(self.suite.description, self.rows, self._members)

    @property
    def members(self) -> Mapping[str, Members]:
        """Sets by name."""
        return self._members

    def frame(self) -> DataFrame:
        """The rows as a pandas table."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("frame needs pandas: pip install 'kernalign[plot]'") from error
        return pandas.DataFrame(self.rows)

    def to_parquet(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the rows to a Parquet file.

        Raises
        ------
        ImportError
            pyarrow is not installed.
        """
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise ImportError("Parquet needs pyarrow: pip install 'kernalign[io]'") from error
        with atomic_write(path, overwrite=overwrite) as file:
            rows = [{key: _known(value) for key, value in row.items()} for row in self.rows]
            parquet.write_table(pyarrow.Table.from_pylist(rows), file)

    def comparison(self, set: str | None = None) -> Comparison:
        """The scores of a set (needed where there are several) as a `Comparison`.

        Raises
        ------
        ValueError
            The pairs are neither all of one set of models nor all across two sides, or some are not done.
        """
        return tables.comparison(self, set)

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write one HTML file that holds all there is to see; where it is.

        Raises
        ------
        ImportError
            Jinja2 is not installed.
        """
        return report.write(self, self.directory / "report.html" if path is None else Path(path))

    def write(self, seconds: float, done: int) -> None:
        """results.csv, caveats.jsonl, provenance.json and suite.lock.toml."""
        with atomic_write(self.directory / "results.csv", overwrite=True) as file:
            file.write(as_csv(self.rows).encode())
        with atomic_write(self.directory / "caveats.jsonl", overwrite=True) as file:
            for name, one in self.caveats:
                file.write(json.dumps({"set": name, **one._asdict()}, default=str).encode() + b"\n")
        with atomic_write(self.directory / "suite.lock.toml", overwrite=True) as file:
            file.write(self.lock().encode())
        with atomic_write(self.directory / "provenance.json", overwrite=True) as file:
            file.write(json.dumps(self.provenance(seconds, done), indent=2).encode())

    def provenance(self, seconds: float = 0.0, done: int = 0) -> dict[str, Any]:
        """With what, where and when the run was made."""
        return {
            "suite": self.suite.description.name,
            "kernalign": _core.build_info()["version"],
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": platform.system(),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
            "blocks_done": done,
            "scores": len(self.rows),
            "failed": self.failed,
            "results": digest([[row["key"], row["score"]] for row in self.rows]),
        }

    def lock(self) -> str:
        """suite.lock.toml: every file that was found, by its digest."""
        words = json.dumps
        lines = [f"suite = {words(self.suite.description.name)}", f"kernalign = {words(_core.build_info()['version'])}"]
        for name, own in self._members.items():
            lines += ["", f"[sets.{words(name)}]", f"ids = {words(own.items.digest)}"]
            for entry in own.entries:
                known = own.known[entry.name]
                lines += ["", "[[models]]", f"set = {words(name)}", f"name = {words(entry.name)}"]
                files = [os.path.relpath(one, self.suite.description.directory) for one in entry.paths]
                lines.append(f"files = {words(files)}")
                lines += [f"digest = {words(known.digest)}", f"layers = {words(list(known.layers))}"]
        for metric in self.suite.description.metrics:
            lines += ["", "[[metrics]]", f"id = {words(metric.id)}", f"metric = {words(metric.name)}"]
            lines += [f"version = {metric.record.version}", f"options = {words(describe_options(metric))}"]
        return "\n".join(lines) + "\n"

    def _rows_of(self, name: str, own: Members) -> Iterator[dict[str, Any]]:
        metrics = {one.id: one for one in self.suite.description.metrics}
        by_name = {one.name: one for one in own.entries}
        told: dict[tuple[Any, ...], set[str]] = {}
        for set_name, caveat in self.caveats:
            if set_name == name:
                told.setdefault((caveat.x, caveat.y), set()).add(caveat.kind)
        common = {
            "run": self.directory.name,
            "set": name,
            "ids_digest": own.items.digest or None,
        }
        constant = {
            metric.id: {
                **common,
                "metric_id": metric.id,
                "metric": metric.name,
                "estimator": options_of(metric).get("estimator"),
                "options": describe_options(metric),
                "metric_version": metric.record.version,
            }
            for metric in metrics.values()
        }
        for one in own.wanted:
            stored = self.ledger.scores.get(one.key)
            if stored is None:
                continue
            x, y = by_name[one.x], by_name[one.y]
            kinds: set[str] = set().union(
                *(told.get(about, ()) for about in ((one.x, None), (one.y, None), (one.x, one.y)))
            )
            of_pair = {
                **constant[one.metric],
                **_side("x", x),
                **_side("y", y),
                "n": stored["n"],
                "dropped": stored["dropped"],
                "caveats": "; ".join(sorted(kinds)) or None,
                "key": one.key,
                **{key: stored.get(key) for key in ("seconds", "kernalign", "finished_at")},
            }
            for cell in stored["cells"]:
                yield _row(of_pair, cell, own, one, metrics[one.metric].record, turned=stored["turned"] != one.turned)
        for metric, x_name, y_name, reason in own.absent(self.suite.description):
            sides = _side("x", by_name[x_name]) | _side("y", by_name[y_name])
            failed: dict[str, Any] = dict.fromkeys(CELL, math.nan) | {
                "z": math.nan,
                "corrected": math.nan,
                "q_value": math.nan,
            }
            failed |= {"status": "failed", "reason": reason}
            yield {**dict.fromkeys(tidy.COLUMNS), **constant[metric], **sides, **failed}


def _side(side: str, entry: Entry) -> dict[str, Any]:
    return {side: entry.name, f"{side}_family": entry.family, f"{side}_side": entry.side, f"{side}_seed": entry.seed}


def _row(
    of_pair: Mapping[str, Any], cell: Mapping[str, Any], own: Members, one: Wanted, record: Any, *, turned: bool
) -> dict[str, Any]:
    layers = cell["layers"][::-1] if turned else cell["layers"]
    numbers = {name: cell.get(name, math.nan) for name in CELL}
    score, chance, sd = (numbers[name] for name in ("score", "chance", "chance_sd"))
    inputs = [own.known[name].layers.get(layer or "") for name, layer in zip((one.x, one.y), layers, strict=True)]
    return {
        **dict.fromkeys(tidy.COLUMNS),
        **of_pair,
        **numbers,
        "x_layer": layers[0],
        "y_layer": layers[1],
        "z": (score - chance) / sd if sd > 0 else math.nan,
        "corrected": tidy.corrected(record, score, chance),
        "p_x": inputs[0] and inputs[0].features,
        "p_y": inputs[1] and inputs[1].features,
        "x_digest": inputs[0] and inputs[0].digest,
        "y_digest": inputs[1] and inputs[1].digest,
        **{name: cell.get(name) for name in ("p_method", "status", "reason", "selection")},
    }


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV; numbers that do not exist are empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, tidy.COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _known(value) for key, value in row.items()})
    return stream.getvalue()


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def load(path: str | os.PathLike[str], directory: str | os.PathLike[str] | None) -> Suite:
    """See `kernalign.suite.load`."""
    return Suite(read(path), None if directory is None else Path(directory))
