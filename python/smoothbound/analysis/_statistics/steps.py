"""Counts of numbers of a stream that are at least, or above, each value, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_VALUES", "Steps"]

MOST_VALUES = 2**17
"""Largest number of different values for which `Steps` is exact."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Steps:
    """The different values of a stream of numbers with their counts.

    Up to `most` different values are kept exactly. If there are more, evenly spread ones are kept,
    and each of the others counts as the kept value below it. The number of values that are at
    least, or above, any x is therefore never larger than in the stream.

    Parameters
    ----------
    most : int
        Number of different values that are kept exactly.

    Examples
    --------
    >>> steps = Steps()
    >>> steps.add(np.array([0.5, 0.25, 0.5]))
    >>> steps.values, steps.at_least
    (array([0.25, 0.5 ]), array([3, 2]))
    """

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._values: Floats = np.empty(0)
        self._counts: Ints = np.empty(0, np.int64)
        self._waiting: list[Floats] = []
        self._n_waiting = 0

    def add(self, values: Floats) -> None:
        """Add numbers, none of which is NaN."""
        self._waiting.append(values)
        self._n_waiting += values.size
        if self._n_waiting > self._most:
            self._merge()

    def _merge(self) -> None:
        new = np.concatenate([np.empty(0), *self._waiting])
        self._waiting, self._n_waiting = [], 0
        counts = np.concatenate([self._counts, np.ones(new.size, np.int64)])
        self._values, place = np.unique(np.append(self._values, new), return_inverse=True)
        self._counts = np.bincount(place, counts, self._values.size).astype(np.int64)
        if self._values.size > 2 * self._most:
            kept = np.arange(self._most, dtype=np.int64) * self._values.size // self._most
            self._values = self._values[kept]
            self._counts = np.add.reduceat(self._counts, kept)

    @property
    def total(self) -> int:
        """The number of numbers."""
        return int(self._counts.sum()) + self._n_waiting

    @property
    def values(self) -> Floats:
        """The kept values, ascending."""
        self._merge()
        return self._values

    @property
    def at_least(self) -> Ints:
        """The number of numbers that count as at least each kept value."""
        self._merge()
        return np.cumsum(self._counts[::-1], dtype=np.int64)[::-1]

    @property
    def above(self) -> Ints:
        """The number of numbers that count as above each kept value."""
        return self.at_least - self._counts
