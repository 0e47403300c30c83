"""Ends our command in one line where Ctrl-C comes while it is still importing."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

INTERRUPTED = 130


def end_command_in_one_line() -> None:
    """Until `command_has_begun`; nothing in a process that is not our command, or where Ctrl-C means something else."""
    command = next(iter(getattr(sys, "argv", [])), "")
    ours = os.path.basename(command) == "kernalign" or (command == "-m" and "kernalign" in sys.orig_argv)
    if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def command_has_begun() -> None:
    """From here on the command itself says how it ends."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_: Any) -> None:
    os.write(2, b"kernalign: interrupted\n")
    os._exit(INTERRUPTED)
