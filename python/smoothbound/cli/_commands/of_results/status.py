"""`smoothbound status`: the progress of a run by shard."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from smoothbound._display.console import note, say, say_table
from smoothbound.cli._statuses import FAILED_INPUTS, RUNNING, UNFINISHED

if TYPE_CHECKING:
    from rich.table import Table

    from smoothbound.store._shards.status import RunStatus, ShardStatus

__all__ = ["status"]

_MOST_ROWS = 40  # rows of a table; with more shards, finished ones are left out


def status(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS",
            help="Results folder of certify, in shards or not.",
            show_default=False,
        ),
    ],
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Update the table until the run is finished."),
    ] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", help="With --watch: time between two updates.")
    ] = 5.0,
) -> None:
    """Show the progress of a run: inputs done, failed and missing by shard, draws and time left.

    The command only reads files, so it can run at any time and on any machine. A shard is running
    if a process holds the lock of its file. The exit status is 0 if the run is finished, 3 if it is
    finished and inputs have failed, 5 if all unfinished shards are running, and 6 if a shard is
    stopped, damaged or not started.
    """
    from smoothbound._utils import checks
    from smoothbound.store._shards.status import StatusReader

    checks.positive("every", every)
    reader = StatusReader(results)
    run = reader.read()
    _show(run)
    while watch and not run.complete:
        time.sleep(every)
        run = reader.read()
        _show(run)
    code = _code(run)
    if code:
        raise typer.Exit(code)


def _code(run: RunStatus) -> int:
    """Return the exit status for a run."""
    if run.complete:
        return FAILED_INPUTS if run.total("failed") else 0
    return (
        RUNNING if run.count("running") + run.count("finished") == len(run.shards) else UNFINISHED
    )


def _show(run: RunStatus) -> None:
    say_table(_table(run))
    for one in run.shards:
        if one.reason:
            note(f"shard {one.shard}: {one.reason}" if one.shard else one.reason)
    say(_words(run))


def _table(run: RunStatus) -> Table:
    from rich import box
    from rich.table import Table

    shown = [one for one in run.shards if len(run.shards) <= _MOST_ROWS or one.state != "finished"]
    table = Table(box=box.SIMPLE)
    table.add_column("shard")
    table.add_column("state")
    for name in ("done", "failed", "missing", "draws", "draws/s", "left"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in shown:
        table.add_row("all" if one.shard is None else str(one.shard), one.state, *_numbers(one))
    return table


def _numbers(one: ShardStatus) -> tuple[str, ...]:
    left = one.seconds_left if one.state == "running" else None
    return (
        str(one.done),
        str(one.failed),
        str(one.n_inputs - one.done),
        str(one.n_draws),
        "" if one.rate is None else f"{one.rate:.3g}",
        "" if left is None else _clock(left),
    )


def _words(run: RunStatus) -> str:
    from smoothbound.store._shards.status import State

    total, done = run.settings.n_inputs, run.total("done")
    counts = [f"{n} {state}" for state in get_args(State) if (n := run.count(state))]
    text = (
        f"{done} of {total} inputs are done, {run.total('failed')} of them failed, {total - done} "
        f"are missing; {run.total('n_draws')} draws. "
        f"{'Run' if len(run.shards) == 1 else f'{len(run.shards)} shards'}: {', '.join(counts)}"
    )
    if run.count("running"):
        text += f"; {run.rate:.3g} draws/s"
        if run.seconds_left is not None:
            text += f", {_clock(run.seconds_left)} left for those that run"
    return f"{text}."


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=int(seconds)))
