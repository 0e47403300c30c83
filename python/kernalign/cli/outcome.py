"""How a command ends: an exit status and, if it failed, one line on standard error."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

import click

from kernalign._base.interrupts import INTERRUPTED, command_has_begun, command_is_over
from kernalign._base.readable import said
from kernalign.cli.output import say

_KEYWORD = re.compile(r"""\b(\w+)=(['"])(\w+)\2""")
_HINT = re.compile(r""" \((\w+)=(?:True|(['"])\w+\2) [^()]*\)""")


def in_flags(text: str, command: click.Command | None) -> str:
    """What the library says of its keywords, name="value", in the options of a command that has them.

    What it advises in brackets, (name="value" does so), is left out where the command has no such option.
    """
    flags = {param.name: param.opts[-1] for param in command.params} if command else {}
    if command and not isinstance(command, click.Group):  # suite.toml has names of its own
        text = _HINT.sub(lambda found: found[0] if found[1] in flags else "", text)
    return _KEYWORD.sub(lambda found: f"{flags[found[1]]} {found[3]}" if found[1] in flags else found[0], text)


class Failure(click.ClickException):
    """An error that the user sees as one line; the exit status is 1."""


class Outcome(click.Group):
    """A group whose errors are one line each and never a traceback, unless ``--debug`` asks for it."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode, **extra)
        try:
            status = super().main(args, prog_name, complete_var, False, **extra)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else self.name
            _say(f"{error.format_message()} (see {command} --help)")
            status = error.exit_code
        except click.ClickException as error:
            _say(error.format_message())
            status = error.exit_code
        except click.Abort:
            status = INTERRUPTED
        command_is_over()
        sys.exit(status if isinstance(status, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            command_has_begun()
            return super().invoke(ctx)
        except KeyboardInterrupt:
            return self._interrupted(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:
            if _comes_of_ctrl_c(error):
                return self._interrupted(ctx)
            known = isinstance(error, (OSError, MemoryError, ValueError, TypeError, ImportError))
            told = said(error) if known else f"{type(error).__name__}: {error} (--debug shows where)"
            raise self._failure(ctx, told, error) from error

    def _interrupted(self, ctx: click.Context) -> None:
        _say("interrupted")
        ctx.exit(INTERRUPTED)

    def _failure(self, ctx: click.Context, message: str, error: Exception) -> Exception:
        if ctx.params.get("debug"):
            return error
        return Failure(in_flags(message, self.commands.get(ctx.invoked_subcommand or "")))


def _comes_of_ctrl_c(error: BaseException | None) -> bool:
    """Whether it was Ctrl-C: Python makes a RuntimeError of it in a class that is being made, others an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


def _say(message: str) -> None:
    say("kernalign: " + " ".join(message.split()), err=True)
