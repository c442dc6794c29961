"""Bounds on the mean of draws that are counted between knots, for machines without the C++ core.

The structure is that of the core (cpp/src/mean.cpp), whose comments derive the margins. NumPy and
SciPy do the arithmetic over all knots at once.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["CDF_ERROR", "SUM_ERROR", "UNIT", "Tally", "bernstein_lower", "betting_lower"]

Vector = NDArray[np.float64]

UNIT = 2.0**-53
# Relative error of Phi. erfc of the C library, like ndtr of SciPy, is good to a few units, but its
# argument z / sqrt(2) is rounded, and erfc magnifies that by up to 2 z^2 / 2 units: at z = -38,
# where it underflows, by 3e-13.
CDF_ERROR = 4e-13
SUM_ERROR = 1e-13  # relative, of a sum over the knots in NumPy, and of each of its terms


class Tally:
    """Draws in [0, 1], counted between knots that ascend from 0 to 1."""

    def __init__(self, knots: Vector, draws: Vector) -> None:
        self.draws = len(draws)
        interval = np.minimum(np.searchsorted(knots, draws, side="right") - 1, len(knots) - 2)
        f = (draws - knots[interval]) / np.diff(knots)[interval]
        n = len(knots) - 1
        self._count = np.bincount(interval, minlength=n).astype(np.float64)
        self._part = np.bincount(interval, f, minlength=n)
        self._square = np.bincount(interval, f * f, minlength=n)
        # np.bincount adds one by one, which can err by n units in the last place.
        self.error = SUM_ERROR + self.draws * UNIT

    def sum(self, values: Vector) -> float:
        """Sum v(x) over the draws, v linear between its values at the knots."""
        return float(self._count @ values[:-1] + self._part @ np.diff(values))

    def sum_of_squares(self, values: Vector) -> float:
        """Sum v(x)^2 over the draws."""
        low, step = values[:-1], np.diff(values)
        squares = self._count * low**2 + 2 * self._part * low * step + self._square * step**2
        return float(squares.sum())


def _evidence(alpha: float) -> float:
    return -math.log(alpha) * (1 + 10 * UNIT)


def bernstein_lower(tally: Tally, values: Vector, alpha: float) -> float:
    """Bound E v(X) from below by Maurer & Pontil's inequality."""
    n = tally.draws
    if n < 2:
        return 0.0
    mean = tally.sum(values) / n
    spread = tally.sum_of_squares(values) / n - mean**2
    error = 4 * (tally.error + SUM_ERROR)
    variance = (max(spread, 0.0) + error) * n / (n - 1)
    needed = _evidence(0.5 * alpha)
    slack = math.sqrt(2 * variance * needed / n) + 7 * needed / (3 * (n - 1))
    return max(0.0, mean * (1 - error) - slack * (1 + 16 * UNIT))


def betting_lower(tally: Tally, logs: Vector, stake: float, alpha: float) -> float:
    """Bound E v(X) from below by Markov's inequality for prod (1 + stake v)."""
    n = tally.draws
    level = (tally.sum(logs) * (1 - tally.error) - _evidence(alpha)) / n
    safe = level - SUM_ERROR * (1 + float(logs[-1])) - abs(level) * (4 * UNIT)
    if not safe > 0.0:
        return 0.0
    return min(max(math.expm1(safe) * (1 - SUM_ERROR) / stake, 0.0), 1.0)
