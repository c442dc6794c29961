"""The bound on a mean by bets that aim at the last draw, for machines without the C++ core.

The structure is that of the core (cpp/src/aimed.cpp), whose comments derive the margins.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, ndtri

from smoothbound._numba.jit import jit
from smoothbound.backends._chernoff import LEAST_LEVEL, chernoff_lower

__all__ = ["AimedBets"]

Vector = NDArray[np.float64]

_UNIT = 2.0**-53
# The choices below are those of the core, so that both make the same bets.
_GOAL = 1 / 0.9
_PRIOR_DRAWS, _PRIOR_SQUARES = 2.0, 0.5
_SPARE = 1e-3
_OCTAVES, _PIECES = 64, 16
_FINEST_SHARE, _FINEST = 2.0**-10, 2.0**-40
_MULTIPLES = np.array([4.0, 2.0, 1.25, 0.8])
_QUANTILE_MARGIN = 4e-12  # relative, of a quantile of a beta distribution in SciPy


def _lines() -> Vector:
    """Return height and slope of the stake as a function of the wealth, in each piece."""
    i = np.arange(_OCTAVES * _PIECES + 1)
    wealth = np.ldexp(1.0 + (i % _PIECES) / _PIECES, i // _PIECES - _OCTAVES)
    z = ndtri(wealth / _GOAL)
    stake = _GOAL / math.sqrt(2 * math.pi) * np.exp(-0.5 * z * z)
    slope = np.diff(stake) / np.diff(wealth)
    first = [[0.0, stake[0] / wealth[0]]]
    return np.concatenate([first, np.column_stack([stake[:-1] - slope * wealth[:-1], slope])])


@jit
def _scales_of(draws: Vector) -> Vector:
    """Return 1 / (s sqrt(N)) before each draw: s of the draws before it, N draws left."""
    n = len(draws)
    scales = np.empty(n)
    mean, squares = draws[0], _PRIOR_SQUARES
    for i in range(n):
        scales[i] = 1.0 / math.sqrt((n - i) * squares / (i + _PRIOR_DRAWS))
        difference = draws[i] - mean
        mean += difference / (i + 1.0)
        squares += difference * (draws[i] - mean)
    return scales


@jit
def _final_wealth(
    draws: Vector, scales: Vector, first: int, lines: Vector, c: float, start: float
) -> float:
    """Bound the wealth after the last draw from below, 1 or more if it ever was."""
    wealth, most = start, 1.0 / (c + _SPARE)
    for i in range(first, len(draws)):
        if wealth >= 1.0:
            break
        fraction, exponent = math.frexp(wealth)
        piece = (exponent - 1 + _OCTAVES) * _PIECES + int((2 * fraction - 1) * _PIECES)
        line = 0 if wealth == 0.0 or piece < 0 else piece + 1
        stake = min((lines[line, 0] + lines[line, 1] * wealth) * scales[i], wealth * most)
        wealth += stake * (draws[i] - c) - (wealth + stake) * (8 * _UNIT)
        wealth = max(wealth, 0.0)
    return wealth


def _votes_of(draws: Vector) -> Vector:
    """Return the draws before the first that is not 0 or 1."""
    other = np.flatnonzero((draws != 0.0) & (draws != 1.0))
    return draws[: other[0]] if other.size else draws


def _vote_quantile(k: int, n: int, alpha: float) -> float:
    """Return c_k, at which P(Binomial(n, c) >= k) = alpha; for k = 0, it is 0."""
    if k == 0:
        return 0.0
    if alpha < LEAST_LEVEL:
        return float(chernoff_lower(np.array([k]), n, alpha)[0][0])
    return float(betaincinv(k, n + 1 - k, min(alpha, 0.5)))


def _start(draws: Vector, votes: Vector, alpha: float, c: float) -> float:
    """Return the wealth after the votes and the draw after them.

    Until then it is the probability, at c_k, that k of all draws are 1, with the least c_k >= c.
    """
    n, ones, low, k = len(draws), int(votes.sum()), 0, len(draws) + 1
    while k - low > 1:
        middle = (low + k) // 2
        if _vote_quantile(middle, n, alpha) * (1 - _QUANTILE_MARGIN) >= c:
            k = middle
        else:
            low = middle
    if k > n:
        return 0.0
    mean, left, x = _vote_quantile(k, n, alpha), n - len(votes) - 1, float(draws[len(votes)])
    wealth = (1 - x) * _tail(k - ones, left, mean) + x * _tail(k - ones - 1, left, mean)
    return max(0.0, wealth * (1 - (1e-9 + _QUANTILE_MARGIN * n)))


def _tail(k: int, n: int, p: float) -> float:
    """Return P(Binomial(n, p) >= k)."""
    if k <= 0:
        return 1.0
    return float(betainc(k, n + 1 - k, p)) if k <= n else 0.0


class AimedBets:
    """The bound for one level, and the pieces and factors of its stakes, as in the core."""

    lines: Vector = _lines()

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha
        self.scales: Vector = np.empty(0)

    def __call__(self, draws: Vector) -> float:
        """Bound the mean of draws in [0, 1], in an order without regard to values, from below."""
        n, votes = len(draws), _votes_of(draws)
        self.scales = _scales_of(draws)
        if len(votes) == n:
            return _vote_quantile(int(votes.sum()), n, self._alpha) * (1 - _QUANTILE_MARGIN)

        def passes(c: float) -> bool:
            start = _start(draws, votes, self._alpha, c)
            return _final_wealth(draws, self.scales, len(votes) + 1, self.lines, c, start) >= 1.0

        deviation = math.sqrt((_PRIOR_SQUARES + n * float(draws.var())) / n)
        likely = -float(ndtri(min(self._alpha, 0.25))) * deviation / math.sqrt(n)
        return _search(passes, float(draws.mean()), likely)


def _search(passes: Callable[[float], bool], middle: float, likely: float) -> float:
    """Return the greatest mean below the middle that passes, as far as the search resolves it."""
    low, high = 0.0, middle
    means = np.maximum(0.0, middle - np.minimum(_MULTIPLES * likely, high))
    while True:
        for c in means.tolist():
            if not passes(c):
                high = c
                break
            low = max(low, c)
        if not high - low > max(_FINEST_SHARE * (middle - low), _FINEST * middle):
            return low
        means = low + np.arange(1, 5) * (high - low) / 5
