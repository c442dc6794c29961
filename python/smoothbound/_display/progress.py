"""Progress of a long run with the time left: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from smoothbound._display import console as printing

__all__ = ["Running", "progress"]

_SECONDS_BETWEEN_LINES = 30.0
_SECONDS_BETWEEN_LOOKS = 0.1  # of a bar


@dataclass(frozen=True)
class Running:
    """A display of progress, to be called with the number of steps just done.

    Parameters
    ----------
    advance : callable
        Takes the number of steps just done.
    console : Console
        The console that shows the progress.
    """

    advance: Callable[[int], None]
    console: Console

    def __call__(self, count: int) -> None:
        """Count steps that are done."""
        self.advance(count)

    def say(self, text: str) -> None:
        """Print lines on the standard output: above the bar, where both are on a terminal."""
        together = self.console.is_terminal and sys.stdout.isatty()
        printing.say(text, self.console if together else None)


@contextmanager
def progress(
    what: str,
    total: int,
    *,
    done: int = 0,
    steps: int = 1,
    describe: Callable[[], str] | None = None,
) -> Iterator[Running]:
    """Show how far a run is, on the standard error stream.

    Parameters
    ----------
    what : str
        What is counted, such as ``"inputs certified"``.
    total, done : int
        Number of inputs or other units in all, and of those that were done before.
    steps : int
        Steps in one unit. The time left is estimated from the steps.
    describe : callable, optional
        Returns what is shown in place of the number done and the time left. It is called when steps
        are done; 0 steps bring it up to date.

    Yields
    ------
    Running
        To be called with the number of steps just done.
    """
    console = Console(stderr=True)
    show = _bar if console.is_terminal else _lines
    with show(console, what, total, done, steps, describe) as advance:
        yield Running(advance, console)


@contextmanager
def _bar(
    console: Console,
    what: str,
    total: int,
    done: int,
    steps: int,
    describe: Callable[[], str] | None,
) -> Iterator[Callable[[int], None]]:
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn()]
    if describe is None:
        columns += [TaskProgressColumn(), TimeElapsedColumn(), TextColumn("gone,")]
        columns += [TimeRemainingColumn(), TextColumn("left")]
    else:
        columns += [TimeElapsedColumn(), TextColumn("gone")]
    # The estimate looks back an hour, because a single step can take minutes.
    with Progress(*columns, console=console, speed_estimate_period=3600) as bar:

        def shown(completed: float) -> str:
            return describe() if describe else f"{int(completed) // steps} of {total} {what}"

        task = bar.add_task(shown(done * steps), total=total * steps, completed=done * steps)
        last = -math.inf

        def advance(count: int) -> None:
            nonlocal last
            completed, now = bar.tasks[task].completed + count, time.monotonic()
            if now - last < _SECONDS_BETWEEN_LOOKS and completed < total * steps:
                bar.update(task, completed=completed)
                return
            last = now
            bar.update(task, completed=completed, description=shown(completed))

        yield advance


@contextmanager
def _lines(
    console: Console,
    what: str,
    total: int,
    done: int,
    steps: int,
    describe: Callable[[], str] | None,
) -> Iterator[Callable[[int], None]]:
    completed = start = done * steps
    began = last = time.monotonic()

    def advance(count: int) -> None:
        nonlocal completed, last
        completed += count
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            if describe is not None:
                console.print(describe())
                return
            left = (total * steps - completed) * (now - began) / (completed - start)
            console.print(
                f"{completed // steps} of {total} {what}, {timedelta(seconds=int(left))} left"
            )

    yield advance
