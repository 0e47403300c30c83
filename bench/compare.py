"""Compares two result files of bench.run: old time / new time with a 95 % band.

    python -m bench.compare OLD.json NEW.json

A change counts only if its band excludes 1.00. The band is a bootstrap of the ratio of medians. Peers did not change
between two versions of kernalign, so their ratios show how much the machine itself did.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np


def ratio_with_band(old: list[float], new: list[float], draws: int = 4000) -> tuple[float, float, float]:
    """Ratio of medians old / new, with the 2.5th and 97.5th percentile of its bootstrap."""
    generator = np.random.default_rng(0)
    medians = [
        np.median(np.asarray(times)[generator.integers(0, len(times), (draws, len(times)))], axis=1)
        for times in (old, new)
    ]
    low, high = np.percentile(medians[0] / medians[1], [2.5, 97.5])
    return float(np.median(old) / np.median(new)), float(low), float(high)


def verdict(low: float, high: float) -> str:
    """What the band allows to say."""
    return "faster" if low > 1 else "SLOWER" if high < 1 else "no change shown"


def rows(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str, float, float, float]]:
    """(case, contestant, ratio, low, high) for everything measured in both files on the same work."""
    found = []
    for name, case in new["cases"].items():
        before = old["cases"].get(name)
        if before is None or any(before[key] != case[key] for key in ("n", "d", "k", "data", "clock")):
            continue
        for contestant, times in case["seconds"].items():
            if contestant in before["seconds"]:
                found.append((name, contestant, *ratio_with_band(before["seconds"][contestant], times)))
    return found


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description="Old time / new time, with a band.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args(arguments)
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (options.old, options.new))
    if old["machine"]["cpu"] != new["machine"]["cpu"]:
        print(f"WARNING different CPUs: {old['machine']['cpu']} and {new['machine']['cpu']}")
    print(f"{'case':26s}{'contestant':26s}{'old/new':>8s}   95 % band")
    for case, contestant, ratio, low, high in rows(old, new):
        print(f"{case:26s}{contestant:26s}{ratio:7.2f}x   {low:.2f}-{high:.2f}   {verdict(low, high)}")


if __name__ == "__main__":
    main()
