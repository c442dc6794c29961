"""The draws of one input as the anytime test keeps them, where the C++ core is missing.

The record is that of the core to the last bit (cpp/include/smoothbound/draw_record.hpp, which says
what it holds and why).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from smoothbound._numba._anytime import record_state
from smoothbound._numba._anytime.knots import KNOTS, MOST_DRAWS, look_after, places, shared_out
from smoothbound.backends._names import Side

__all__ = ["DrawRecord", "record_from_bytes"]

Masses = NDArray[np.int64]


class DrawRecord:
    """The masses at the knots of the draws between looks, as in the core."""

    def __init__(self, a: float, b: float, side: Side) -> None:
        self.a, self.b, self.side = a, b, side
        self.n_draws = self.n_guess = 0
        self._looks = [0]
        self._blocks: list[Masses] = []
        self._guessed, self._open = np.zeros((2, len(KNOTS)), np.int64)

    def guess(self, scores: NDArray[np.floating]) -> int:
        """Take a row that is the first guess; return -1, or where the first bad score is."""
        if self.n_draws:
            raise ValueError("the first guess must come before the first draw")
        found, bad = self._places(scores, self.n_guess)
        if bad < 0:
            self._guessed += shared_out(found)
            self.n_guess += len(found)
        return bad

    def add(self, scores: NDArray[np.floating]) -> int:
        """Take a row of draws; return -1, or where the first bad score is."""
        found, bad = self._places(scores, self.n_draws)
        while bad < 0 and len(found):
            look = look_after(self._looks[-1])
            block, found = np.split(found, [look - self.n_draws])
            self._open += shared_out(block)
            self.n_draws += len(block)
            if self.n_draws == look:
                self._close()
        return bad

    def _places(self, scores: NDArray[np.floating], before: int) -> tuple[Masses, int]:
        """Return the places of a row and -1, or nothing and where the first bad score is."""
        x = scores[0].astype(np.float64)
        if before + len(x) > MOST_DRAWS:
            raise ValueError(f"the number of draws must be at most 2^28, got {before + len(x)}")
        bad = np.flatnonzero(~((x >= self.a) & (x <= self.b)))
        if len(bad):
            return np.empty(0, np.int64), int(bad[0])
        lower = self.side == "lower"
        distance, far = (x - self.a, self.b) if lower else (self.b - x, self.a)
        # A share is known to 4 units: that of the far end is 1.
        share = distance / (self.b - self.a) * (1.0 - 2.0**-50)
        return places(np.where(x == far, 1.0, np.minimum(share, 1.0))), -1

    def _close(self) -> None:
        self._blocks.append(self._open)
        self._looks.append(self.n_draws)
        self._open = np.zeros(len(KNOTS), np.int64)

    @property
    def n_looks(self) -> int:
        return len(self._looks)

    @property
    def looks(self) -> NDArray[np.uint64]:
        return np.array(self._looks, np.uint64)

    @property
    def guessed(self) -> NDArray[np.uint64]:
        return self._guessed.astype(np.uint64)

    @property
    def between_looks(self) -> NDArray[np.uint32]:
        return np.array(self._blocks, np.uint32).reshape(-1, len(KNOTS))

    @property
    def since_last_look(self) -> NDArray[np.uint64]:
        return self._open.astype(np.uint64)

    def blocks_from(self, look: int) -> Iterator[tuple[int, Masses]]:
        """Yield the number of draws at each look from this one on, and the masses up to it."""
        yield from zip(self._looks[look + 1 :], self._blocks[look:], strict=True)

    def to_bytes(self) -> bytes:
        """Return the record in bytes, the same on every machine."""
        blocks = [*self._blocks, self._open]
        whole = record_state.Contents(
            self.a, self.b, self.side, self.n_guess, self._guessed, self.n_draws, blocks
        )
        return record_state.to_bytes(whole)


def record_from_bytes(state: bytes) -> DrawRecord:
    """Return the record that was saved; a ValueError says why other bytes are refused."""
    whole = record_state.from_bytes(state)
    record = DrawRecord(whole.a, whole.b, whole.side)
    record.n_guess, record.n_draws = whole.n_guess, whole.n_draws
    record._guessed = whole.guessed
    *record._blocks, record._open = whole.blocks
    for _ in record._blocks:
        record._looks.append(look_after(record._looks[-1]))
    return record
