"""What `import kernalign` costs: no library is imported that only a few functions need."""

import subprocess
import sys

LATER = ("scipy.stats", "scipy.optimize", "scipy.sparse.linalg", "matplotlib", "pandas", "sklearn", "faiss", "torch")


def test_importing_the_package_leaves_slow_libraries_for_later() -> None:
    code = f"import sys, kernalign; print(*[name for name in {LATER} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.split() == []


def test_so_does_the_command_line() -> None:
    code = f"import sys, kernalign.cli; print(*[name for name in {LATER} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.split() == []
