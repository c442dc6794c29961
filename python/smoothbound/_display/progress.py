"""Progress of a long run with the time left: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

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
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from smoothbound._display import console as printing

__all__ = ["Running", "progress"]

_SECONDS_BETWEEN_LINES = 30.0


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
def progress(what: str, total: int, *, done: int = 0, steps: int = 1) -> Iterator[Running]:
    """Show how far a run is, on the standard error stream.

    Parameters
    ----------
    what : str
        What is counted, such as ``"inputs certified"``.
    total, done : int
        Number of inputs or other units in all, and of those that were done before.
    steps : int
        Steps in one unit. The time left is estimated from the steps.

    Yields
    ------
    Running
        To be called with the number of steps just done.
    """
    console = Console(stderr=True)
    show = _bar if console.is_terminal else _lines
    with show(console, what, total, done, steps) as advance:
        yield Running(advance, console)


@contextmanager
def _bar(
    console: Console, what: str, total: int, done: int, steps: int
) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("gone,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    # The estimate looks back an hour, because a single step can take minutes.
    with Progress(*columns, console=console, speed_estimate_period=3600) as bar:

        def describe(completed: float) -> str:
            return f"{int(completed) // steps} of {total} {what}"

        task = bar.add_task(describe(done * steps), total=total * steps, completed=done * steps)

        def advance(count: int) -> None:
            completed = bar.tasks[task].completed + count
            bar.update(task, completed=completed, description=describe(completed))

        yield advance


@contextmanager
def _lines(
    console: Console, what: str, total: int, done: int, steps: int
) -> Iterator[Callable[[int], None]]:
    completed = start = done * steps
    began = last = time.monotonic()

    def advance(count: int) -> None:
        nonlocal completed, last
        completed += count
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            left = (total * steps - completed) * (now - began) / (completed - start)
            console.print(
                f"{completed // steps} of {total} {what}, {timedelta(seconds=int(left))} left"
            )

    yield advance
