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


@dataclass(frozen=True)
class _Run:
    """What a display shows: `total` and `done` are steps, and `steps` of them are one unit."""

    what: str
    total: int
    done: int
    steps: int
    describe: Callable[[], str] | None

    def shown(self, completed: float) -> str:
        """Return how far the run is after so many steps, without the time left."""
        if self.describe is not None:
            return self.describe()
        return f"{int(completed) // self.steps} of {self.total // self.steps} {self.what}"


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
    with show(console, _Run(what, total * steps, done * steps, steps, describe)) as advance:
        yield Running(advance, console)


@contextmanager
def _bar(console: Console, run: _Run) -> Iterator[Callable[[int], None]]:
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn()]
    if run.describe is None:
        columns += [TaskProgressColumn(), TimeElapsedColumn(), TextColumn("gone,")]
        columns += [TimeRemainingColumn(), TextColumn("left")]
    else:
        columns += [TimeElapsedColumn(), TextColumn("gone")]
    # The estimate looks back an hour, because a single step can take minutes.
    with Progress(*columns, console=console, speed_estimate_period=3600) as bar:
        task = bar.add_task(run.shown(run.done), total=run.total, completed=run.done)
        last = -math.inf

        def advance(count: int) -> None:
            nonlocal last
            completed, now = bar.tasks[task].completed + count, time.monotonic()
            if now - last < _SECONDS_BETWEEN_LOOKS and completed < run.total:
                bar.update(task, completed=completed)
                return
            last = now
            bar.update(task, completed=completed, description=run.shown(completed))

        yield advance


@contextmanager
def _lines(console: Console, run: _Run) -> Iterator[Callable[[int], None]]:
    completed = run.done
    began = last = time.monotonic()

    def advance(count: int) -> None:
        nonlocal completed, last
        completed += count
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last, left = now, ""
            if run.describe is None:
                seconds = (run.total - completed) * (now - began) / (completed - run.done)
                left = f", {timedelta(seconds=int(seconds))} left"
            console.print(run.shown(completed) + left)

    yield advance
