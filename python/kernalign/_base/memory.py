"""How much memory this process may still take, so that what would not fit is refused before it is asked for."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from kernalign._base import checks

_SHARE = 0.8  # of what is free: results and tiles need room beside the input
_GROUPS = Path("/sys/fs/cgroup")
_UNITS = {"": 1, "B": 1, **{f"{unit}B": 1000**at for at, unit in enumerate("KMGT", 1)}}
_UNITS |= {f"{unit}IB": 1024**at for at, unit in enumerate("KMGT", 1)}
_SIZE = re.compile(rf"\s*(?P<number>[0-9]+(\.[0-9]*)?)\s*(?P<unit>{'|'.join(_UNITS)})\s*", re.IGNORECASE)


def available() -> int:
    """Bytes that are free now, within the limits of the control group; as good as no limit where no system says."""
    found = [limit - used for limit, used in _group_limits()]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        pass
    return max(0, min(found, default=sys.maxsize))


def check_memory(nbytes: int, what: str, budget: int | None = None, remedy: str = "", name: str = "max_bytes") -> None:
    """Raise unless this many bytes are within a budget: if None, most of what is free."""
    allowed = int(_SHARE * available()) if budget is None else budget
    if nbytes > allowed:
        limit = "that are free" if budget is None else f"that {name} allows"
        raise ValueError(
            f"{what} would take {nbytes:,} bytes of memory, more than the {allowed:,} {limit}"
            + (f"; {remedy}" if remedy else "")
        )


def _group_limits() -> list[tuple[int, int]]:
    """Limit and use of every control group that this process is in."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, limit, used = (
            (_GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
            if controllers
            else (_GROUPS, "memory.max", "memory.current")
        )
        group = root / path.lstrip("/")
        for place in (group, *group.parents):
            if place == root.parent:
                break
            found += _limit(place, limit, used)
    return found


def _limit(group: Path, limit: str, used: str) -> list[tuple[int, int]]:
    try:
        facts = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        most, now = ((group / name).read_text(encoding="ascii").strip() for name in (limit, used))
        return [] if most == "max" else [(int(most), int(now) - int(facts.get("inactive_file", 0)))]
    except (OSError, ValueError):
        return []


def budget_of(given: object, name: str = "memory_budget") -> int | None:
    """A user's budget in bytes: a number, or text like "8 GB" or "500 MiB"; None stays None."""
    if given is None:
        return None
    found = _SIZE.fullmatch(given) if isinstance(given, str) else None
    if found is not None:
        nbytes = int(float(found["number"]) * _UNITS[found["unit"].upper()])
    elif isinstance(given, int) and not isinstance(given, bool):
        nbytes = given
    else:
        raise TypeError(f"{name} must be bytes or text like '8 GB', got {checks.shown(given)}")
    if nbytes < 1:
        raise ValueError(f"{name} must be at least one byte, got {checks.shown(given)}")
    return nbytes
