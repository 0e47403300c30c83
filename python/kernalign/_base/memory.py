"""How much memory this process may still take, so that what would not fit is refused before it is asked for."""

from __future__ import annotations

import sys
from pathlib import Path

_SHARE = 0.8  # of what is free: results and tiles need room beside the input
_GROUPS = Path("/sys/fs/cgroup")


def available() -> int:
    """Bytes that are free now, within the limits of the control group; as good as no limit where no system says."""
    found = [limit - used for limit, used in _group_limits()]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        pass
    return max(0, min(found, default=sys.maxsize))


def check_memory(nbytes: int, what: str, budget: int | None = None, remedy: str = "") -> None:
    """Raise unless this many bytes are within a budget: if None, most of what is free."""
    allowed = int(_SHARE * available()) if budget is None else budget
    if nbytes > allowed:
        limit = "that are free" if budget is None else "that max_bytes allows"
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
