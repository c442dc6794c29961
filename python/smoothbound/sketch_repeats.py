"""Arrays of scores that were counted before: a draw counted twice makes certificates false."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from smoothbound.sealed import digest

__all__ = ["Seen", "mark"]

_ROWS, _DRAWS = 4, 32  # of an array, that are looked at
_BITS = 64  # other draws look the same with a probability of at most 2^-64
_REMEMBERED = 4096  # updates


class Seen:
    """What the latest arrays began with."""

    def __init__(self, marks: Iterable[bytes] = ()) -> None:
        self._marks = dict.fromkeys(marks)

    def __or__(self, other: Seen) -> Seen:
        return Seen([*self._marks, *other._marks][-_REMEMBERED:])

    @property
    def marks(self) -> tuple[bytes, ...]:
        """What is remembered, the latest last."""
        return tuple(self._marks)

    def copy(self) -> Seen:
        """Return one that remembers the same."""
        return Seen(self._marks)

    def refuse(self, mark: bytes | None) -> None:
        """Refuse an array that was counted before.

        Raises
        ------
        ValueError
            If it has this mark.
        """
        if mark in self._marks:
            raise ValueError(
                "scores must be of other draws than those counted before, and begin with the very "
                "same ones; a draw must be counted once only (if they are other draws all the "
                "same, number them with first_draw)"
            )

    def add(self, mark: bytes | None) -> None:
        """Remember an array."""
        if mark is not None:
            self._marks[mark] = None
            if len(self._marks) > _REMEMBERED:
                del self._marks[next(iter(self._marks))]


def mark(inputs: NDArray[np.int64], scores: NDArray[np.floating]) -> bytes | None:
    """Return what tells an array from those of other draws; None where chance could repeat it.

    Parameters
    ----------
    inputs : ndarray of int64, shape (n_inputs,)
        Ids of the rows.
    scores : ndarray, shape (n_inputs, n_draws)

    Notes
    -----
    Of m independent draws with D different values among them, the sequence has probability at most
    exp(-m H), where H is the entropy of its own frequencies, whatever the distribution. Given D it
    is least where one value has all the others, so that m H >= (D - 1) log m.

    Examples
    --------
    >>> rows = np.random.default_rng(0).uniform(size=(2, 100))
    >>> ids = np.array([3, 5])
    >>> mark(ids, rows) == mark(ids, rows.copy()), mark(ids, rows) == mark(ids, rows[:, 1:])
    (True, False)
    >>> mark(ids, np.ones((2, 100))) is None
    True
    """
    rows = np.linspace(0, len(scores) - 1, min(_ROWS, len(scores))).astype(np.int64)
    begin = scores[rows, :_DRAWS].astype(np.float64)
    different = np.count_nonzero(np.diff(np.sort(begin, axis=1), axis=1))
    if different * np.log2(begin.shape[1]) < _BITS:
        return None
    return digest(inputs[rows].tobytes(), begin.tobytes())
