"""The joint bound, for machines without the C++ core.

The structure is that of the core (cpp/src/joint.cpp), whose comments derive the margins.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smoothbound._numba._means.mean import SUM_ERROR
from smoothbound._numba._means.tangent import Z_LIMIT, TangentBound, tangent_lines

__all__ = ["JOINT_RADII", "JointBound"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# The choices below are those of the core, so that both find nearly the same mixtures.
JOINT_RADII = (0.0, 0.4, 0.9, 1.8, 3.3)
_LEAST_MIXED = 1e-300
_MOST_STEPS, _LEAST_GAIN = 24, 2.0**-24
_FIRST_RIDGE, _RIDGE_STEP = 2.0**-20, 8.0
_MOST_CHANGES, _LEAST_SLOPE, _MOST_HALVINGS = 20, 1e-12, 30
_HEIGHT = 0.39894228040143267794  # 1 / sqrt(2 pi)
_RESOLUTION, _MOST_TRIALS = 2.0**-20, 60


class _Point(NamedTuple):
    """A mixture at r: its slopes u, where psi_r has them, and the bound without rounding."""

    mixture: Vector
    mixed: Vector
    z: Vector
    value: float


class JointBound:
    """The joint bound of one input, from the tangents to its pilot draws and its other draws.

    Both are ascending.

    `choices` are the knots, the slopes of the tangents at each radius and their stakes, which
    depend only on the pilot draws, and the mixture and the touching points of the latest bound.
    """

    def __init__(self, alpha: float, pilot: Vector, draws: Vector) -> None:
        level = math.nextafter(alpha / len(JOINT_RADII), 0.0)
        tangent = TangentBound("betting", level, pilot, draws)
        found = [(tangent.shortfall(r), tangent.weights, tangent.stake) for r in JOINT_RADII]
        shortfalls, weights, stakes = zip(*found, strict=True)
        self._shortfalls, self._weights = np.array(shortfalls), np.array(weights)
        self._fixed = (tangent.knots, self._weights, np.array(stakes))
        self._lengths = np.diff(tangent.knots)

    def _at(self, mixture: Vector, r: float) -> _Point:
        mixed = mixture @ self._weights
        if r == 0.0:
            z = np.full(len(mixed), Z_LIMIT)
        else:
            z = (np.log(np.maximum(mixed, _LEAST_MIXED)) + 0.5 * r * r) / r
            z = np.clip(z, -Z_LIMIT, Z_LIMIT)
        value = self._lengths @ (ndtr(z - r) + mixed * ndtr(-z)) - mixture @ self._shortfalls
        return _Point(mixture, mixed, z, float(value))

    def _newton_step(self, at: _Point, r: float, ridge: float) -> tuple[Vector, float]:
        """Return the next mixture and the gain that the slope promises."""
        w = self._lengths * self._weights
        rise = w @ ndtr(-at.z) - self._shortfalls
        heights = _HEIGHT * np.exp(-0.5 * at.z * at.z)
        fall = (w * (heights / (r * np.maximum(at.mixed, _LEAST_MIXED)))) @ self._weights.T
        fall += np.diag(ridge * np.diag(fall) + 1e-300)
        following = _maximised(fall, rise + fall @ at.mixture, at.mixture)
        return following, float(rise @ (following - at.mixture))

    def _best(self, r: float) -> _Point:
        distances = np.abs(np.array(JOINT_RADII) - r)
        mixture = np.zeros(len(JOINT_RADII))
        mixture[int(np.argmin(distances))] = 1.0
        at = self._at(mixture, r)
        for _ in range(_MOST_HALVINGS if r > 0.0 else 0):
            if at.value > 0.0:
                break
            at = self._at(0.5 * at.mixture, r)
        ridge = _FIRST_RIDGE
        for _ in range(_MOST_STEPS if r > 0.0 else 0):
            following, gain = self._newton_step(at, r, ridge)
            if not gain > _LEAST_GAIN * at.value:
                break
            found = self._at(following, r)
            if found.value > at.value:
                at, ridge = found, ridge / _RIDGE_STEP
            else:
                ridge *= _RIDGE_STEP
        return at

    def __call__(self, r: float) -> float:
        """Bound the distance at r = R / sigma from below, in units of the range."""
        mixture, mixed, z, _ = self._best(r)
        self.choices = (*self._fixed, mixture, z)
        slopes, constants = tangent_lines(z, r)
        excess = np.maximum(slopes - mixed * (1.0 - SUM_ERROR), 0.0)
        missing = float(self._lengths @ excess) + float(mixture @ self._shortfalls)
        most = float(self._lengths @ constants) * (1.0 - SUM_ERROR)
        bound = math.nextafter(most - missing * (1.0 + 2 * SUM_ERROR), -math.inf) - 2.0**-1060
        return min(bound, 1.0) if bound > 0.0 else 0.0

    def certified_radius(self, target: float) -> float:
        """Return a radius with the bound above the target, by the Illinois method."""
        found = self(0.0)
        if not found > target:
            return math.nan
        goal = float(ndtri(target))
        low, low_height, high = 0.0, float(ndtri(found)) - goal, 1.0
        while (found := self(high)) > target:
            low, low_height, high = high, float(ndtri(found)) - goal, 2.0 * high
        high_height = float(ndtri(found)) - goal
        for trial in range(_MOST_TRIALS):
            if not high - low > _RESOLUTION * (1.0 + low):
                break
            r = low + (high - low) * _share(low_height, high_height)
            if trial % 4 == 3 or not low < r < high:
                r = 0.5 * (low + high)
            found = self(r)
            height = float(ndtri(found)) - goal
            if found > target:
                low, low_height, high_height = r, height, 0.5 * high_height
            else:
                high, high_height, low_height = r, height, 0.5 * low_height
        return low


def _share(low: float, high: float) -> float:
    """Return where a line from `low` to `high` is 0; 0 where there is none."""
    return low / (low - high) if low > high and math.isfinite(low - high) else 0.0


def _maximised(a: Matrix, b: Vector, x: Vector) -> Vector:
    """Return the greatest b x - x a x / 2 over x >= 0, by Lawson & Hanson's active-set method."""
    free = x > 0.0
    for _ in range(_MOST_CHANGES):
        best = _solved(a, b, free)
        parts = np.where(free & (best <= 0.0), x / (x - best), 1.0)
        parts = np.where(parts < 1.0, parts, 1.0)
        part = float(parts.min())
        x = np.maximum(x + part * (best - x), 0.0)
        if part < 1.0:
            changed = int(np.argmin(parts))
            x[changed], free[changed] = 0.0, False
            continue
        slopes = np.where(free, -np.inf, b - a @ x)
        if not slopes.max() > _LEAST_SLOPE:
            break
        free[int(np.argmax(slopes))] = True
    return x


def _solved(a: Matrix, b: Vector, free: NDArray[np.bool_]) -> Vector:
    """Solve a x = b for the free x, by elimination, which a singular matrix does not stop."""
    a = np.where(np.outer(free, free), a, 0.0) + np.diag(np.where(free, 0.0, 1.0))
    b = np.where(free, b, 0.0)
    n = len(b)
    for i in range(n):
        for j in range(i + 1, n):
            share = a[j, i] / a[i, i]
            a[j] -= share * a[i]
            b[j] -= share * b[i]
    for i in reversed(range(n)):
        b[i] = (b[i] - a[i, i + 1 :] @ b[i + 1 :]) / a[i, i]
    return b
