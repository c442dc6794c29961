"""Exact sums of scores, so that the mean does not depend on how draws are divided into parts."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ["in_units", "unit_of"]

_DIGITS = 40  # binary digits to which a score is rounded, so that sums are exact


def unit_of(score_range: tuple[float, float]) -> Fraction:
    """Return the unit of the sums of scores in a range, a power of two."""
    return Fraction(math.ldexp(1.0, math.frexp(max(map(abs, score_range)))[1] - _DIGITS))


def in_units(scores: NDArray[np.floating], unit: Fraction) -> int:
    """Return the exact sum of scores that are rounded to multiples of the unit.

    Examples
    --------
    >>> in_units(np.float32([0.5, 0.25]), Fraction(1, 8))
    6
    """
    units = np.rint(scores.astype(np.float64) / float(unit)).astype(np.int64)
    half = _DIGITS // 2  # so that no sum overflows
    return (int((units >> half).sum()) << half) + int((units & ((1 << half) - 1)).sum())
