"""Ctrl-C while the command line is still importing, or already at its end, ends it in one line or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

# Runs the command as its own name, with Ctrl-C at the import of a module in the middle.
SCRIPT = """
import importlib.abc, os, runpy, signal, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ["/usr/bin/{command}", "info"]
from kernalign.cli import main
main()
"""


@pytest.mark.parametrize("module", ["kernalign._core", "scipy.special", "kernalign.cli.outcome", "kernalign.cli.suite"])
def test_the_command_says_one_line(module: str) -> None:
    command = [sys.executable, "-c", SCRIPT.format(module=module, command="kernalign")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "kernalign: interrupted\n")


def test_another_program_that_imports_the_package_is_let_be() -> None:
    command = [sys.executable, "-c", SCRIPT.format(module="kernalign.cli.suite", command="other")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("KeyboardInterrupt\n")


@pytest.mark.parametrize(("arguments", "status"), [(["info"], 0), (["compare", "no.npy", "no.npy"], 2)])
def test_ctrl_c_that_comes_too_late_changes_nothing(arguments: list[str], status: int, tmp_path: Path) -> None:
    """Handlers that run at the exit, what Python takes down after them, and what it remembers of Ctrl-C before."""
    script = f"""
import atexit, os, signal, sys
class Late:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.late = Late()
sys.argv = ["/usr/bin/kernalign", *{arguments}]
from kernalign.cli import main
try:
    exec("raise KeyboardInterrupt")  # in text: Python remembers it until it runs text again
except KeyboardInterrupt:
    main()
"""
    (tmp_path / "late.py").write_text(script)
    done = subprocess.run([sys.executable, "-m", "late"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (status, bool(status))
