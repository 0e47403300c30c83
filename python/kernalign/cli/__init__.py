"""The command line: ``kernalign demo``, ``compare``, ``describe``, ``knn-change``, ``stitch``, ``suite``, ``info``."""

from __future__ import annotations

import click

from kernalign import __version__
from kernalign.cli.compare import compare
from kernalign.cli.demo import demo
from kernalign.cli.describe import describe
from kernalign.cli.info import info
from kernalign.cli.knn_change import knn_change
from kernalign.cli.outcome import Outcome
from kernalign.cli.output import say
from kernalign.cli.stitch import stitch
from kernalign.cli.suite import suite


@click.group(cls=Outcome, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kernalign")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def main(ctx: click.Context, debug: bool) -> None:
    """How alike are two representations of the same items?

    Shells complete commands, options, metrics and files after: eval "$(_KERNALIGN_COMPLETE=bash_source kernalign)"
    (zsh_source for zsh; for fish: _KERNALIGN_COMPLETE=fish_source kernalign | source).

    Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


main.add_command(compare)
main.add_command(demo)
main.add_command(describe)
main.add_command(info)
main.add_command(knn_change)
main.add_command(stitch)
main.add_command(suite)
