"""Ends our command in one line where Ctrl-C comes while it is still importing, or is at its end."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

INTERRUPTED = 130


def end_command_in_one_line() -> None:
    """Until `command_has_begun`; nothing in a process that is not our command, or where Ctrl-C means something else."""
    if _is_ours():
        signal.signal(signal.SIGINT, _end)


def command_has_begun() -> None:
    """From here on the command itself says how it ends."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def command_is_over() -> None:
    """From here on Ctrl-C comes too late: Python, which is taking itself down, would end by the signal instead."""
    if _is_ours():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        exec("")  # after Ctrl-C while text was run (data classes run some), Python would end by the signal as well


def _is_ours() -> bool:
    """Whether this process is our command, and Ctrl-C means what it usually does."""
    command = next(iter(getattr(sys, "argv", [])), "")
    as_module = command == "-m" or command.endswith(os.path.join("kernalign", "__main__.py"))
    ours = os.path.basename(command) == "kernalign" or (as_module and "kernalign" in sys.orig_argv)
    return ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _end(*_: Any) -> None:
    os.write(2, b"kernalign: interrupted\n")
    os._exit(INTERRUPTED)
