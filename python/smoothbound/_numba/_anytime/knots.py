"""The knots of a record of draws, the places between them, and the looks, as in the core.

cpp/include/smoothbound/draw_record.hpp says what they are and why.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["KNOTS", "MASS", "MOST_DRAWS", "look_after", "places", "shared_out"]

Vector = NDArray[np.float64]
Masses = NDArray[np.int64]

MOST_DRAWS = 2**28
MASS = 512  # the mass of one draw, and places in an interval
_TAIL = np.append(0.0, [2.0**k * (1 + i / 8) for k in range(-17, -5) for i in range(8)])
KNOTS: Vector = np.concatenate([_TAIL, np.arange(8, 249) / 256, 1.0 - _TAIL[::-1]])
_LAST_PLACE = MASS * (len(KNOTS) - 1)


def look_after(look: int) -> int:
    """Return the number of draws at the look after that at this number of draws."""
    return look + (1 if look < 64 else look // 32)


def _places_in_tail(d: Vector, *, up: bool) -> Masses:
    """Return the places of distances below 2^-5 from an end, rounded down or up.

    The exponent of a double and the first twelve bits of its mantissa count the places.
    """
    first = np.float64(2.0**-17).view(np.int64)
    places = (d.view(np.int64) - first + (2**40 - 1 if up else 0)) >> 40
    near = (np.ceil if up else np.floor)(d * 2.0**26)
    return np.where(d < 2.0**-17, near.astype(np.int64), MASS + places)


def places(u: Vector) -> Masses:
    """Return where shares lie among the knots, in 512ths of an interval, rounded down.

    No difference is inexact: 1 - u is near 0, and u - 2^-5 has no more digits than u.
    """
    low = _places_in_tail(u, up=False)
    high = _LAST_PLACE - _places_in_tail(1.0 - u, up=True)
    middle = MASS * len(_TAIL) + np.floor((u - 2.0**-5) * 2.0**17).astype(np.int64)
    return np.where(u < 2.0**-5, low, np.where(u > 1.0 - 2.0**-5, high, middle))


def shared_out(places: Masses) -> Masses:
    """Return the masses at the knots of draws at these places."""
    knot, beyond = places // MASS, places % MASS
    masses = np.bincount(knot, MASS - beyond, minlength=len(KNOTS) + 1)
    masses += np.bincount(knot + 1, beyond, minlength=len(KNOTS) + 1)
    return masses[:-1].astype(np.int64)  # whole numbers below 2^53
