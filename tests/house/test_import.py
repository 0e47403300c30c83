"""What importing the package costs: no library that only a few functions need."""

import subprocess
import sys

import pytest

LATER = ("scipy.stats", "scipy.optimize", "scipy.sparse.linalg", "matplotlib", "pandas", "sklearn", "faiss", "torch")


@pytest.mark.parametrize("package", ["kernalign", "kernalign.cli"])
def test_slow_libraries_are_left_for_later(package: str) -> None:
    code = f"import sys, {package}; print(*[name for name in {LATER} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.split() == []


def test_public_modules_are_there_when_they_are_used() -> None:
    code = """
import sys, kernalign as ka
before = dir(ka)
assert "kernalign.stitching" not in sys.modules
assert ka.stitching.AffineStitcher().fit is not None
assert ka.compat.platonic.AlignmentMetrics.SUPPORTED_METRICS
assert all(getattr(ka, name) is not None for name in before)
assert ka.theory.task.cumulative_power is ka.cumulative_power
assert dir(ka) == before
try:
    ka.stiching
except AttributeError as error:
    assert str(error) == "module 'kernalign' has no attribute 'stiching'"
else:
    raise SystemExit("found what is not there")
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
