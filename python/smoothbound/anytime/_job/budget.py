"""A budget of draws or seconds that the jobs of many inputs share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Lock

from smoothbound._utils import checks

__all__ = ["Budget"]


class Budget:
    """A budget of draws or seconds that many jobs share. Threads may share it.

    Draws are taken from the budget before they are made. Seconds count from the first request. A
    run over many inputs gives a limited budget first to the inputs that need the fewest further
    draws (`Job.expected`).

    Parameters
    ----------
    draws : int, optional
        Largest number of draws for all jobs together.
    seconds : float, optional
        Time after which no new draws are started.
    clock : callable Returns seconds.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is not positive.

    Examples
    --------
    >>> budget = Budget(draws=1500)
    >>> budget.take(1000), budget.take(1000), budget.take(500), budget.spent
    (1000, 500, 0, 1500)
    """

    def __init__(
        self,
        *,
        draws: int | None = None,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.draws = None if draws is None else checks.count("draws", draws)
        self.seconds = None if seconds is None else checks.positive("seconds", seconds)
        self.spent = 0
        self._clock = clock
        self._start: float | None = None
        self._lock = Lock()

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self.draws is not None or self.seconds is not None

    @property
    def left(self) -> tuple[float, float]:
        """The draws and the seconds that are left; infinite without a limit."""
        with self._lock:
            gone = 0.0 if self._start is None else self._clock() - self._start
            draws = math.inf if self.draws is None else self.draws - self.spent
            return draws, math.inf if self.seconds is None else max(0.0, self.seconds - gone)

    @property
    def exhausted(self) -> bool:
        """Whether the budget is spent."""
        with self._lock:
            return self._left(1) == 0

    def resume(self, draws: int, seconds: float) -> None:
        """Count the draws and the seconds that an earlier part of the same run spent."""
        with self._lock:
            self.spent += draws
            self._start = (self._clock() if self._start is None else self._start) - seconds

    def take(self, draws: int) -> int:
        """Take draws from the budget, as many as are left at most; return their number."""
        with self._lock:
            granted = self._left(draws)
            self.spent += granted
            return granted

    def _left(self, draws: int) -> int:
        """Return how many of these draws may still be made."""
        now = self._clock()
        self._start = now if self._start is None else self._start
        if self.seconds is not None and now - self._start >= self.seconds:
            return 0
        return draws if self.draws is None else min(draws, self.draws - self.spent)
