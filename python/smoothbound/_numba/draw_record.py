"""The draws of one input as the anytime test keeps them, where the C++ core is missing.

The record is that of the core to the last bit (cpp/include/smoothbound/draw_record.hpp, which says
what it holds and why).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from smoothbound.backends._names import Side

__all__ = ["KNOTS", "DrawRecord", "first_look_from", "look_after"]

Vector = NDArray[np.float64]
Masses = NDArray[np.int64]

_MOST_DRAWS = 2**28
_ONE = 256  # the mass of one draw, and places in an interval
_TAIL = np.append(0.0, [2.0**k * (1 + i / 4) for k in range(-17, -5) for i in range(4)])
KNOTS: Vector = np.concatenate([_TAIL, np.arange(4, 125) / 128, 1.0 - _TAIL[::-1]])
_LAST_PLACE = _ONE * (len(KNOTS) - 1)


def look_after(look: int) -> int:
    """Return the number of draws at the look after that at this number of draws."""
    return look + (1 if look < 64 else look // 32)


def first_look_from(n_draws: int) -> int:
    """Return the number of the first look at which there are no less draws."""
    index, look = 0, 0
    while look < n_draws:
        index, look = index + 1, look_after(look)
    return index


def _places_in_tail(d: Vector, *, up: bool) -> Masses:
    """Return the places of distances below 2^-5 from an end, rounded down or up.

    The exponent of a double and the first ten bits of its mantissa count the places.
    """
    first = np.float64(2.0**-17).view(np.int64)
    places = (d.view(np.int64) - first + (2**42 - 1 if up else 0)) >> 42
    near = (np.ceil if up else np.floor)(d * 2.0**25)
    return np.where(d < 2.0**-17, near.astype(np.int64), _ONE + places)


def _places(u: Vector) -> Masses:
    """Return where shares lie among the knots, in 256ths of an interval, rounded down.

    No difference is inexact: 1 - u is near 0, and u - 2^-5 has no more digits than u.
    """
    low = _places_in_tail(u, up=False)
    high = _LAST_PLACE - _places_in_tail(1.0 - u, up=True)
    middle = _ONE * len(_TAIL) + np.floor((u - 2.0**-5) * 2.0**15).astype(np.int64)
    return np.where(u < 2.0**-5, low, np.where(u > 1.0 - 2.0**-5, high, middle))


def _shared_out(places: Masses) -> Masses:
    """Return the masses at the knots of draws at these places."""
    knot, beyond = places // _ONE, places % _ONE
    masses = np.bincount(knot, _ONE - beyond, minlength=len(KNOTS) + 1)
    masses += np.bincount(knot + 1, beyond, minlength=len(KNOTS) + 1)
    return masses[:-1].astype(np.int64)  # whole numbers below 2^53


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
        places, bad = self._places(scores, self.n_guess)
        if bad < 0:
            self._guessed += _shared_out(places)
            self.n_guess += len(places)
        return bad

    def add(self, scores: NDArray[np.floating]) -> int:
        """Take a row of draws; return -1, or where the first bad score is."""
        places, bad = self._places(scores, self.n_draws)
        while bad < 0 and len(places):
            look = look_after(self._looks[-1])
            block, places = np.split(places, [look - self.n_draws])
            self._open += _shared_out(block)
            self.n_draws += len(block)
            if self.n_draws == look:
                self._close()
        return bad

    def _places(self, scores: NDArray[np.floating], before: int) -> tuple[Masses, int]:
        """Return the places of a row and -1, or nothing and where the first bad score is."""
        x = scores[0].astype(np.float64)
        if before + len(x) > _MOST_DRAWS:
            raise ValueError(
                f"the number of draws must be at most 2^28, got {float(before + len(x)):g}"
            )
        bad = np.flatnonzero(~((x >= self.a) & (x <= self.b)))
        if len(bad):
            return np.empty(0, np.int64), int(bad[0])
        lower = self.side == "lower"
        distance, far = (x - self.a, self.b) if lower else (self.b - x, self.a)
        # A share is known to 4 units: that of the far end is 1.
        share = distance / (self.b - self.a) * (1.0 - 2.0**-50)
        return _places(np.where(x == far, 1.0, np.minimum(share, 1.0))), -1

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
