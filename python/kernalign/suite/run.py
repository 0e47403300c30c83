"""A run of a suite: rows, tables, claims and a report of what its ledger holds."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernalign import _core
from kernalign._base.cached import cached_property
from kernalign._base.files import atomic_write
from kernalign._base.frames import as_frame
from kernalign.comparison.result import Comparison
from kernalign.comparison.tables import Caveat
from kernalign.comparison.tidy import as_csv, known
from kernalign.inference.model_maps import false_discovery
from kernalign.suite import claims, report, tables
from kernalign.suite.blocks import describe_options
from kernalign.suite.data import digest
from kernalign.suite.ledger import Ledger
from kernalign.suite.members import Members
from kernalign.suite.rows import rows_of
from kernalign.suite.written import Files

if TYPE_CHECKING:
    from pandas import DataFrame


class Run:
    """What a suite's ledger holds, under the names that it has now.

    Attributes
    ----------
    suite : what was run
    directory : where its files are

    See Also
    --------
    Suite : runs
    kernalign.Comparison : of one set of a run

    Examples
    --------
    >>> import tempfile
    >>> import kernalign as ka
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = ka.suite.load("builtin:quick", directory=folder).run()
    ...     comparison = run.comparison()
    >>> run.failed, comparison.metrics, len(run.rows)
    (0, ('cka', 'mknn10'), 42)
    """

    def __init__(self, suite: Any, members: Mapping[str, Members], ledger: Ledger) -> None:
        self.suite, self._members, self.ledger = suite, members, ledger
        self.directory: Path = suite.directory

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r}, {len(self.rows)} scores, {self.failed} failed)"

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """One dict for every score, with the columns of `Comparison.rows`."""
        found = [row for name, own in self._members.items() for row in rows_of(self, name, own)]
        together: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in found:
            together.setdefault((row["set"], row["metric_id"]), []).append(row)
        for own in together.values():
            for row, q in zip(own, false_discovery([row["p_value"] for row in own]).tolist(), strict=True):
                row["q_value"] = q
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
        return claims.judge(self.suite.description, self.rows, self._members, self.ledger.readings)

    @property
    def members(self) -> Mapping[str, Members]:
        """Sets by name."""
        return self._members

    def frame(self) -> DataFrame:
        """The rows as a pandas table."""
        return as_frame(self.rows, "frame")

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
            rows = [{key: known(value) for key, value in row.items()} for row in self.rows]
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
        """Write one HTML file that holds all there is to see; where it is. ``report.html`` of the run is left as it is
        where it is of the same.

        Raises
        ------
        ImportError
            Jinja2 is not installed.
        """
        if path is None:
            self._files.write("report.html", lambda: report.html(self))
            return self.directory / "report.html"
        with atomic_write(path, overwrite=True) as file:
            file.write(report.html(self).encode())
        return Path(path)

    def write(self, seconds: float, done: int) -> None:
        """results.csv, caveats.jsonl, provenance.json and suite.lock.toml."""
        told = (json.dumps({"set": name, **one._asdict()}, default=str) + "\n" for name, one in self.caveats)
        files = self._files
        files.write("results.csv", lambda: as_csv(self.rows))
        files.write("caveats.jsonl", lambda: "".join(told))
        files.write("suite.lock.toml", self.lock)
        files.write("provenance.json", lambda: json.dumps(self.provenance(seconds, done), indent=2))

    @property
    def _files(self) -> Files:
        about = [
            [own.items.labels, own.items.groups_digest, [one.reason for one in own.known.values()]]
            for own in self._members.values()
        ]
        description = repr(replace(self.suite.description, path=Path()))
        what = [self.directory.name, description, self.lock(), about, self.ledger.content.hexdigest(), report.page()]
        return Files(self.directory, digest(what))

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
