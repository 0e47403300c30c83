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
