"""The command line, `smoothbound`: one module for each command.

torch, Matplotlib and other packages are imported when a command runs, so ``--help`` is quick, and a
command needs only the packages that it uses.
"""

from __future__ import annotations

import os
import signal
from typing import Annotated, Any

import typer

from smoothbound._display.console import note, print_error, readable_anywhere
from smoothbound._utils.extras import name_the_extra
from smoothbound.cli._commands._continued import ContinuedCommand
from smoothbound.cli._commands.bounds import bounds
from smoothbound.cli._commands.certify import certify
from smoothbound.cli._commands.demo import demo
from smoothbound.cli._commands.of_results.export import export
from smoothbound.cli._commands.of_results.merge import merge
from smoothbound.cli._commands.of_results.recertify import recertify
from smoothbound.cli._commands.of_results.recommend import recommend
from smoothbound.cli._commands.of_results.report import report
from smoothbound.cli._commands.of_results.status import status
from smoothbound.cli._commands.of_results.verify import verify
from smoothbound.cli._commands.train import train
from smoothbound.cli._statuses import ERROR, STOPPED, TERMINATED
from smoothbound.cli._typed import Command, as_typed, way_on
from smoothbound.errors import CheckpointError, DataError, SmoothboundError, StoreError

__all__ = ["app", "main"]


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command like Ctrl-C."""


def _end_as_by_hand(*_: object) -> None:
    raise _Terminated


class _Commands(typer.core.TyperGroup):
    """A group of commands that prints errors of the user as one line and exits with `ERROR`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with name_the_extra():
                return super().invoke(ctx)
        except (SmoothboundError, ValueError, TypeError) as error:
            print_error(str(error) if _is_of_a_file(error) else as_typed(str(error), ctx))
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise  # the program that reads the output has closed it
            print_error(_words(error))
        except MemoryError as error:
            print_error(f"not enough memory: {error}" if error.args else "not enough memory")
        except KeyboardInterrupt as error:
            note(f"stopped: {error}" if error.args else f"stopped{way_on(ctx)}")
            raise typer.Exit(TERMINATED if isinstance(error, _Terminated) else STOPPED) from None
        except ModuleNotFoundError as error:
            print_error(error)
        raise typer.Exit(ERROR)


def _is_of_a_file(error: Exception) -> bool:
    """Whether an error tells what a check found in a file: its names are not those of options."""
    return isinstance(error, StoreError | CheckpointError | DataError) and isinstance(
        error.__cause__, ArithmeticError | LookupError | TypeError | ValueError | SmoothboundError
    )


def _words(error: OSError) -> str:
    """Name the file, with the system's message about it."""
    if error.strerror is None or error.filename is None:
        return str(error) or type(error).__name__
    return f"{os.fsdecode(error.filename)}: {error.strerror}"


app = typer.Typer(
    name="smoothbound",
    help="Certified confidence for classifiers smoothed with Gaussian noise.",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a bug report needs a plain traceback
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from smoothbound._version import __version__

        typer.echo(f"smoothbound {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for command in (
    demo, train, certify, status, merge, recommend, bounds, report, export, verify, recertify
):  # fmt: skip
    app.command(cls=ContinuedCommand if command is certify else Command)(command)


def main() -> None:
    """Run the command line; the entry point of the `smoothbound` program."""
    readable_anywhere()
    signal.signal(signal.SIGTERM, _end_as_by_hand)
    app(prog_name="smoothbound")  # the same name for python -m smoothbound, for shell completion
