"""How far a run is whose inputs take numbers of draws that are not known in advance."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable

__all__ = ["Outlook", "about"]

_LEAST_SECONDS = 2.0  # before there is a forecast


class Outlook:
    """Counts the inputs that are decided, and forecasts the time that the others take.

    The draws of an input that is being drawn are its own forecast. An input that has not begun is
    taken to be like the mean of those that have. The time follows from the draws that were made.

    Parameters
    ----------
    total, done : int
        Number of inputs in all, and of those that were decided before.
    limits : callable, optional
        Returns the most draws, and the most seconds, that a budget leaves.
    clock : callable
        Returns seconds.

    Examples
    --------
    >>> now = iter([0.0, 60.0, 60.0])
    >>> outlook = Outlook(4, clock=now.__next__)
    >>> for key in "abc":
    ...     outlook.begin(key, lambda: (100, 50))  # 100 draws so far, about 50 more
    >>> outlook.end("a", 150)
    >>> outlook.text()
    '25 % decided, 3 inputs open, about 50 s'
    """

    def __init__(
        self,
        total: int,
        done: int = 0,
        *,
        limits: Callable[[], tuple[float, float]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._done, self._limits = total, done, limits
        self._clock = clock
        self._start: float | None = None
        self._begun: dict[Hashable, Callable[[], tuple[float, float]]] = {}
        self._ended = self._draws = 0  # number of inputs that ended here, and of their draws

    def begin(self, key: Hashable, draws: Callable[[], tuple[float, float]]) -> None:
        """Begin with an input; `draws` returns how many it has taken, and about how many more."""
        self._start = self._clock() if self._start is None else self._start
        self._begun[key] = draws

    def end(self, key: Hashable, n_draws: int) -> None:
        """End an input that took these draws."""
        self._begun.pop(key, None)
        self._ended += 1
        self._draws += n_draws

    def seconds_left(self) -> float:
        """Return about how many seconds the run still takes; NaN if that is not known."""
        begun = [draws() for draws in self._begun.values()]
        taken = self._draws + sum(so_far for so_far, _ in begun)
        seconds = 0.0 if self._start is None else self._clock() - self._start
        if not (self._ended and taken and seconds >= _LEAST_SECONDS):
            return math.nan
        left = sum(further for _, further in begun)
        mean = (taken + left) / (self._ended + len(begun))
        left += mean * max(0, self._total - self._done - self._ended - len(begun))
        most_draws, most_seconds = (math.inf, math.inf) if self._limits is None else self._limits()
        return max(0.0, min(min(left, most_draws) * seconds / taken, most_seconds))

    def text(self) -> str:
        """Return in words how far the run is."""
        decided = self._done + self._ended
        n_open = self._total - decided
        inputs = f"{n_open:,} input{'s' * (n_open != 1)}".replace(",", " ")
        shown = f"{100 * decided // self._total} % decided, {inputs} open"
        left = self.seconds_left()
        return f"{shown}, {about(left)}" if n_open and math.isfinite(left) else shown


def about(seconds: float) -> str:
    """Return a duration in words, rounded.

    Examples
    --------
    >>> [about(seconds) for seconds in (0.2, 42, 230, 5000, 40_000, 300_000)]
    ['about 10 s', 'about 50 s', 'about 4 min', 'about 1.4 h', 'about 11 h', 'about 3.5 days']
    """
    if seconds <= 50.0:
        return f"about {max(10, 10 * math.ceil(seconds / 10.0))} s"
    for unit, length, most in (("min", 60.0, 60.0), ("h", 3600.0, 48.0)):
        number = seconds / length
        if number < most:
            return f"about {_two_digits(number) if unit == 'h' else max(1, round(number))} {unit}"
    return f"about {_two_digits(seconds / 86400.0)} days"


def _two_digits(number: float) -> str:
    return f"{number:.1f}" if number < 9.95 else f"{number:.0f}"
