"""The tangent bound, for machines without the C++ core.

The structure is that of the core (cpp/src/tangent.cpp), whose comments derive the margins.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smoothbound._numba._means.mean import (
    CDF_ERROR,
    SUM_ERROR,
    UNIT,
    Tally,
    bernstein_lower,
    betting_lower,
)
from smoothbound.backends._names import Mean

__all__ = ["Z_LIMIT", "TangentBound", "tangent_lines"]

Vector = NDArray[np.float64]

# The choices below are those of the core, so that both find the same tangents.
_PILOT_KNOTS, _EVEN_KNOTS = 128, 128
_PRIOR_WEIGHT = 0.1
Z_LIMIT = 9.0
_LEAST_STAKE, _GREATEST_STAKE = 2.0**-20, 2.0**30
_MOST_STEPS, _SETTLED_STEP = 16, 2.0**-8
_FINEST_STEP, _COARSEST_SHARE = 2.0**-11, 1 / 16


def tangent_lines(z: Vector, r: float) -> tuple[Vector, Vector]:
    """Return weights and constants of tangents: psi_r(p) >= constant - weight (1 - p)."""
    x = r * z - 0.5 * r * r
    slack = (16.0 * r + r * r + 16.0) * 2 * UNIT
    w = np.exp(np.maximum(x, -700.0))
    shifted = z - r
    height = np.where(x > -700.0, w * (1 - slack) * ndtr(-z), 0.0)
    constants = (ndtr(shifted - np.abs(shifted) * 2 * UNIT) + height) * (1 - CDF_ERROR)
    return w * (1 + slack), constants - 1e-322


class TangentBound:
    """The tangent bound of one input, from its pilot draws and its other draws, both ascending.

    `knots`, `z` (Phi^-1 of the points where the tangents touch), `weights` (their slopes) and
    `stake` are those of the latest bound. They depend only on the pilot draws.
    """

    def __init__(self, mean: Mean, alpha: float, pilot: Vector, draws: Vector) -> None:
        self._mean, self._alpha = mean, alpha
        n_pilot = len(pilot)
        n = min(_PILOT_KNOTS, n_pilot)
        even = np.arange(_EVEN_KNOTS) / _EVEN_KNOTS
        quantiles = pilot[np.arange(n, dtype=np.int64) * n_pilot // n]
        knots = np.unique(np.concatenate([[1.0], even, quantiles, pilot[-1:]]))
        self._tally = Tally(knots, draws)
        self.knots: Vector = knots
        self._lengths = np.diff(knots)
        interval = np.minimum(np.searchsorted(knots, pilot, side="right") - 1, len(knots) - 2)
        f = (pilot - knots[interval]) / self._lengths[interval]
        masses = np.bincount(interval, 1 - f, minlength=len(knots))
        masses += np.bincount(interval + 1, f, minlength=len(knots))
        padded = np.concatenate([[0.0], self._lengths, [0.0]])
        masses += _PRIOR_WEIGHT * 0.5 * (padded[:-1] + padded[1:])
        self._masses: Vector = masses / (n_pilot + _PRIOR_WEIGHT)
        self._restart()

    def _restart(self) -> None:
        self._worst, self.stake = self._masses, 1.0
        self._damping = 1.0

    def _find_touching_points(self) -> None:
        before = np.cumsum(self._worst)[:-1]
        beyond = np.cumsum(self._worst[::-1])[::-1][1:]
        z = np.where(before <= 0.5, -ndtri(np.minimum(before, 0.5)), ndtri(np.minimum(beyond, 0.5)))
        self.z: Vector = np.clip(z, -Z_LIMIT, Z_LIMIT)

    def _place_tangents(self, r: float) -> None:
        self._find_touching_points()
        self.weights, constants = tangent_lines(self.z, r)
        phi = np.concatenate([[0.0], np.cumsum(self._lengths * self.weights)])
        self._greatest = float(phi[-1])
        self._values = phi / phi[-1]
        self._logs = np.log1p(self.stake * self._values)
        self._constant = float(self._lengths @ constants) * (1 - SUM_ERROR)

    def _missing(self) -> float:
        """E (phi(1) - phi(X)), rounded up."""
        if self._mean == "betting":
            share = betting_lower(self._tally, self._logs, self.stake, self._alpha)
        else:
            share = bernstein_lower(self._tally, self._values, self._alpha)
        return self._greatest * (1 + SUM_ERROR) * (1 - share + 2 * UNIT)

    def _bound(self) -> float:
        return min(max(self._constant - self._missing(), 0.0), 1.0)

    def _next_step(self) -> float:
        odds = 1.0 / (1.0 + self.stake * self._values)
        tilted = self._masses * odds
        total = float(tilted.sum())
        divergence = float(self._masses @ self._logs) + math.log(total)
        slope = self.stake * float(tilted @ self._values - (tilted * odds) @ self._values / total)
        if not (divergence > 0.0 and slope > 0.0):
            return 1.0
        wanted = -math.log(self._alpha) / self._tally.draws
        step = math.log(wanted / divergence) * divergence / slope
        return min(max(step, -3.0), 3.0)

    def _change_stake(self, step: float, last: float) -> None:
        left = step / last if last else 1.0
        if left < 1.0:
            self._damping = min(max(self._damping / (1.0 - left), 0.125), 1.0)
        stake = self.stake * math.exp(self._damping * step)
        self.stake = min(max(stake, _LEAST_STAKE), _GREATEST_STAKE)
        worst = self._masses / (1.0 + self.stake * self._values)
        self._worst = worst / worst.sum()

    def _settle(self, r: float) -> None:
        last = math.inf
        for steps in range(_MOST_STEPS + 1):
            self._place_tangents(r)
            step = self._next_step()
            settled = abs(step) < _SETTLED_STEP and abs(last) < 16 * _SETTLED_STEP
            if steps == _MOST_STEPS or settled:
                return
            self._change_stake(step, last)
            last = step

    def __call__(self, r: float) -> float:
        """Bound the distance at r = R / sigma from below, in units of the range."""
        self._restart()
        self._settle(r)
        return self._bound()

    def shortfall(self, r: float) -> float:
        """Bound E (phi(1) - phi(X)) from above for tangents at r, found from the last ones."""
        self._settle(r)
        return self._missing()

    def _forecast(self, r: float) -> float:
        self._settle(r)
        return self._constant - self._greatest * (1 - float(self._worst @ self._values))

    def _forecast_radius(self, target: float) -> float:
        self._restart()
        low, high = 0.0, 1.0
        while high < 64.0 and self._forecast(high) > target:
            low, high = high, 2 * high
        for _ in range(8):
            middle = 0.5 * (low + high)
            if self._forecast(middle) > target:
                low = middle
            else:
                high = middle
        return low

    def certified_radius(self, target: float) -> float:
        """Return the last point of the pilot's grid up to which every bound is above the target."""
        guess = self._forecast_radius(target)
        self._restart()
        certified, r = math.nan, 0.0
        while True:
            self._settle(r)
            if not self._bound() > target:
                return certified
            certified = r
            r += max(_FINEST_STEP, _COARSEST_SHARE * abs(r - guess))
