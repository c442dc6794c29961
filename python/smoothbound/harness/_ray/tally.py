"""The progress of a run on Ray as text."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence

from smoothbound._display.outlook import about

__all__ = ["Tally"]

_SHOWN, _LONGEST = 3, 60  # reasons of failures that the progress shows, and letters of each


class Tally:
    """Counts the inputs that are done, and failed inputs by reason."""

    def __init__(self, total: int, done: int, failed: Counter[str]) -> None:
        self._total, self._done, self._failed = total, done, failed
        self._before, self._start = done, math.nan  # start of the rate, after loading the model

    def add(self, reasons: Sequence[str]) -> None:
        """Count inputs, with the reason why each failed or ""."""
        self._done += len(reasons)
        if math.isnan(self._start):
            self._before, self._start = self._done, time.monotonic()
        self._failed.update(filter(None, reasons))

    def text(self) -> str:
        """Return a text about the progress of the run."""
        shown = f"{self._done} of {self._total} inputs"
        if self._done > self._before:
            rate = (self._done - self._before) / max(time.monotonic() - self._start, 1e-3)
            shown += f", {rate:.3g} a second, {about((self._total - self._done) / rate)} left"
        for reason, count in self._failed.most_common(_SHOWN):
            shown += f"; {count} {reason[:_LONGEST]}"
        return shown
