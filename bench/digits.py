"""Writes down what every public call of the installed kernalign answers, and tells two such files apart.

python bench/digits.py dump FILE [--only PATTERN ...]
python bench/digits.py diff OLD NEW [--rtol 1e-12] [--allow PATTERN ...]

Run ``dump`` by its path, so that the kernalign of the interpreter is measured and not the one of a working tree. A
PATTERN is a glob of CASE.ATTRIBUTE (as printed by ``diff``), such as ``*.p_value``.
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import functools
import hashlib
import itertools
import json
import linecache
import math
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402

Leaves = dict[str, Any]

_CLIPART = Path(__file__).resolve().parents[1] / "tests" / "data" / "clipart_small.npz"
_DIGITS = 512  # entries of an array that are written in full; of larger ones so many, evenly spread
_SCORE = ("metric", "estimator", "n", "reason", "chance", "chance_sd", "chance_skew", "z", "p_value", "corrected")
_INTERNAL = {"nulls"}  # fields of results whose types are nobody's business
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\binf\b|\bnan\b)", re.IGNORECASE)


def leaves(value: Any, path: str, into: Leaves) -> None:
    """Add what a value holds to ``into``: the path of every part -> its digits."""
    kind = type(value).__name__
    if kind == "Score":
        into[path] = f"Score({float(value)!r})"
        for name in _SCORE:
            leaves(getattr(value, name), f"{path}.{name}", into)
        leaves(value.stderr, f"{path}.stderr", into)
        if value.stderr is not None:
            leaves(value.interval(), f"{path}.interval", into)
        leaves(value.per_item, f"{path}.per_item", into)
        leaves(value.settings, f"{path}.settings", into)  # last: what was read above has added to them
        leaves(repr(value), f"{path}.repr", into)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        into[path] = kind
        names = [field.name for field in dataclasses.fields(value)]
        names += [
            name
            for name in dir(type(value))
            if isinstance(getattr(type(value), name), (property, functools.cached_property))
        ]
        for name in names:
            if not name.startswith("_") and name not in _INTERNAL:
                leaves(getattr(value, name), f"{path}.{name}", into)
    elif isinstance(value, np.ndarray):
        into[path] = _array(value)
    elif kind == "DataFrame":
        into[path] = f"DataFrame{value.shape}"
        for name in value.columns:
            leaves([str(value[name].dtype), *value[name].tolist()], f"{path}.{name}", into)
    elif isinstance(value, dict) or kind == "mappingproxy":
        into[path] = f"{kind} of {len(value)}"
        for key, part in value.items():
            leaves(part, f"{path}[{key!r}]", into)
    elif isinstance(value, (list, tuple)):
        into[path] = f"{kind} of {len(value)}"
        for place, part in enumerate(value):
            leaves(part, f"{path}[{place}]", into)
    elif isinstance(value, (str, bytes)):
        into[path] = _ADDRESS.sub("0x", str(value))
    else:
        into[path] = _ADDRESS.sub("0x", repr(value))


def _array(values: Any) -> Leaves:
    dense = np.ascontiguousarray(values)
    flat = dense.reshape(-1)
    chosen = flat if flat.size <= _DIGITS else flat[np.linspace(0, flat.size - 1, _DIGITS).astype(np.int64)]
    digits = [part.hex() if isinstance(part, float) else repr(part) for part in chosen.tolist()]
    digest = hashlib.sha256(dense.tobytes()).hexdigest()
    return {"array": f"{values.dtype} {values.shape}", "sha256": digest, "digits": digits}


def answer(call: Callable[[], Any]) -> Leaves:
    """What a call returns or raises, and the warnings it gives, with the line that each points at."""
    found: Leaves = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            leaves(call(), "value", found)
        except Exception as error:
            found["error"] = _ADDRESS.sub("0x", f"{type(error).__name__}: {error}")
    kept = [one for one in caught if not issubclass(one.category, ResourceWarning)]  # those come when memory is freed
    for place, one in enumerate(kept):
        line = linecache.getline(one.filename, one.lineno).strip()
        found[f"warnings[{place}]"] = f"{one.category.__name__}: {one.message}"
        found[f"warnings[{place}].line"] = f"{Path(one.filename).name}: {line}"
    return found


def dump(file: Path, only: list[str]) -> None:
    """Make every call, in an empty folder and on one core, and write the answers."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})  # what is asked for threads=None has one thread
    import digits_cases
    import digits_refusals
    import digits_results
    import digits_stitching
    import kernalign
    import scipy

    begin, file, found, slow = time.perf_counter(), file.resolve(), {}, Counter()
    home = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        shutil.copy(_CLIPART, folder)
        parts = (digits_cases, digits_results, digits_stitching, digits_refusals)
        for name, call in itertools.chain(*(part.cases() for part in parts)):
            if only and not any(fnmatch.fnmatchcase(name, pattern) for pattern in only):
                continue
            if name in found:
                raise ValueError(f"two cases are called {name!r}")
            started = time.perf_counter()
            found[name] = answer(call)
            slow[name] = time.perf_counter() - started
        os.chdir(home)
    about = {"numpy": np.__version__, "scipy": scipy.__version__, "kernalign": kernalign.__version__}
    file.write_text(json.dumps({"about": about, "cases": found}, indent=0), encoding="utf-8")
    print(f"of {Path(kernalign.__file__).parent}:", end=" ")
    errors = sum("error" in one for one in found.values())
    print(f"{len(found)} cases, {errors} of them errors, {sum(map(len, found.values()))} entries", end=" ")
    print(f"in {time.perf_counter() - begin:.0f} s; slowest: {[f'{n} {s:.1f} s' for n, s in slow.most_common(5)]}")


def difference(old: Any, new: Any) -> tuple[str, float] | None:
    """Kind and relative size of a difference; None if there is none."""
    if old == new:
        return None
    if isinstance(old, dict) and isinstance(new, dict):
        if old["array"] != new["array"]:
            return "type", math.inf
        if old["digits"] == new["digits"]:
            return "array beyond the digits", math.inf
        return "array", _relative(*(_numbers_of(one["digits"]) for one in (old, new)), together=True)
    if not isinstance(old, str) or not isinstance(new, str):
        return "type", math.inf
    if _NUMBER.sub("#", old) != _NUMBER.sub("#", new):
        return "text", math.inf
    return "number", _relative(*([float(part) for part in _NUMBER.findall(one)] for one in (old, new)))


def _numbers_of(digits: list[str]) -> list[float]:
    try:
        return [
            float.fromhex(part) if "x" in part or part in ("nan", "inf", "-inf") else float(part) for part in digits
        ]
    except ValueError:
        return [float({"True": 1, "False": 0}.get(part, math.nan)) for part in digits]


def _relative(old: list[float], new: list[float], together: bool = False) -> float:
    """Largest difference of two numbers as a share of the larger; of an array, as a share of its largest entry."""
    a, b = np.array(old), np.array(new)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return 0.0 if not together else math.inf  # only spelt differently; of an array: -0.0, or what is no number
    if not np.isfinite(a[~same]).all() or not np.isfinite(b[~same]).all():
        return math.inf
    size = np.maximum(abs(a), abs(b))
    size = np.full(len(a), size[np.isfinite(size)].max()) if together else size
    return float((abs(a - b)[~same] / size[~same]).max())


def differences(old: Leaves, new: Leaves) -> Iterator[tuple[str, str, float, Any, Any]]:
    """Name, kind, relative size and both entries of every difference between two files' cases."""
    for case in [*old, *(name for name in new if name not in old)]:
        if case not in old or case not in new:
            yield case, "case only in " + ("new" if case in new else "old"), math.inf, "", ""
            continue
        a, b = old[case], new[case]
        for path in [*a, *(path for path in b if path not in a)]:
            if path not in a or path not in b:
                kind = "entry only in " + ("new" if path in b else "old")
                yield f"{case}.{path}", kind, math.inf, a.get(path, ""), b.get(path, "")
            elif (found := difference(a[path], b[path])) is not None:
                yield f"{case}.{path}", *found, a[path], b[path]


def diff(old: Path, new: Path, rtol: float, allow: list[str], most: int) -> int:
    """Print the differences, and count them by kind; the exit status."""
    before, after = (json.loads(path.read_text(encoding="utf-8")) for path in (old, new))
    if before["about"] != after["about"]:
        print(f"note: made with {before['about']} and with {after['about']}")
    counts: Counter[str] = Counter()
    beyond = shown = 0
    cases = set()
    for name, kind, size, a, b in differences(before["cases"], after["cases"]):
        allowed = any(fnmatch.fnmatchcase(name, pattern) for pattern in allow)
        exceeds = not allowed and size > rtol
        counts[kind + (" (allowed)" if allowed else f" beyond {rtol:g}" if exceeds else f" within {rtol:g}")] += 1
        beyond += exceeds
        if not allowed:
            cases.add(re.split(r"\.(?:value|error|warnings)", name)[0])
            shown += 1
            if shown <= most:
                print(f"{name}: {kind}, {size:.2g}\n    {_short(a)}\n    {_short(b)}")
    if shown > most:
        print(f"... and {shown - most} more (--most)")
    print(f"{len(before['cases'])} and {len(after['cases'])} cases, {len(cases)} differ")
    for kind, count in sorted(counts.items()):
        print(f"    {count:6}  {kind}")
    return int(beyond > 0)


def _short(entry: Any) -> str:
    text = f"{entry['array']} {' '.join(entry['digits'][:4])}" if isinstance(entry, dict) else str(entry)
    return text if len(text) <= 300 else text[:300] + " ..."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("dump")
    one.add_argument("file", type=Path)
    one.add_argument("--only", action="append", default=[], help="glob of cases; may be given several times")
    two = commands.add_parser("diff")
    two.add_argument("old", type=Path)
    two.add_argument("new", type=Path)
    two.add_argument("--rtol", type=float, default=1e-12)
    two.add_argument("--allow", action="append", default=[], help="glob of CASE.ATTRIBUTE; may be given several times")
    two.add_argument("--most", type=int, default=60, help="differences to print")
    given = parser.parse_args()
    if given.command == "dump":
        dump(given.file, given.only)
        return 0
    return diff(given.old, given.new, given.rtol, given.allow, given.most)


if __name__ == "__main__":
    sys.exit(main())
