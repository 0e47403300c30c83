"""A metric whose values are other than those of the last release has a higher version, so that suites make them anew.

``python tests/metrics/test_versions.py`` writes the values down; before the first release there are none to keep to.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest

VALUES = Path(__file__).with_name("values.json")
NEEDED = {"rank": 3}


def values(name: str) -> list[float]:
    """Score, chance level and p-value of some rows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 5))
    y = x @ rng.normal(size=(5, 5)) + 2 * rng.normal(size=(40, 5))
    score = ka.measure(name, x, y, **{key: NEEDED[key] for key in ka.METRICS[name].needs})
    return [math.nan if one is None else float(one) for one in (score, score.chance, score.p_value)]


@pytest.mark.parametrize("name", ka.METRICS)
def test_other_values_have_another_version(name: str) -> None:
    version, *known = json.loads(VALUES.read_text("utf-8"))[name]
    found = values(name)
    assert ka.METRICS[name].version == version, "a version is raised with the values that are written down"
    same = found == pytest.approx(known, rel=1e-6, abs=1e-12, nan_ok=True)
    assert same, "write the values down, and raise the version if the last release had these"


if __name__ == "__main__":
    lines = (f'"{name}": {json.dumps([info.version, *values(name)])}' for name, info in ka.METRICS.items())
    VALUES.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
