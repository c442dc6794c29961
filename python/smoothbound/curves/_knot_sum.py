"""Theorem 2 for any curve, knot by knot, in NumPy; the core has it in cpp/src/knot_sum.cpp."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from smoothbound.curves._ablation import Ablation
from smoothbound.curves._curve import Curve
from smoothbound.curves._gaussian import CDF_ERROR
from smoothbound.curves._tabulated import Tabulated

__all__ = ["KnotSum", "largest_radius", "probabilities"]

Vector = NDArray[np.float64]

_UNIT = 2.0**-53
_BLOCK = 64  # the error of the sum of a block is as many units
_RESOLUTION = 1e-14  # of r, in units of 1 + r


def probabilities(z: Vector) -> tuple[Vector, Vector]:
    """Return Phi(z), rounded down, and 1 - Phi(z), rounded up."""
    p = np.maximum(ndtr(z) * (1.0 - CDF_ERROR) - 1e-323, 0.0)
    return p, ndtr(-z) * (1.0 + CDF_ERROR) + 1e-323


@dataclass(frozen=True)
class KnotSum:
    """The gaps between knots, with bounds on the probability of a score beyond each knot."""

    gaps: Vector
    p: Vector
    q: Vector
    curve: Curve

    def __call__(self, r: float) -> float:
        """Sum gap * psi_r(p), rounded down."""
        weights = self.curve.between(self.p, self.q, r)
        blocks = np.add.reduceat(self.gaps * weights, np.arange(0, self.gaps.size, _BLOCK))
        safe = math.fsum(blocks) * (1.0 - (_BLOCK + 16) * _UNIT)
        return max(0.0, safe - 1e-323 * (self.gaps.size + 1.0))

    def certified_radius(self, target: float) -> float:
        """Find the largest radius whose sum is above the target; NaN if R = 0 fails."""
        return largest_radius(self.curve, lambda r: self(r) - target)


def largest_radius(curve: Curve, excess: Callable[[float], float]) -> float:
    """Find the largest radius whose excess is above 0; NaN if R = 0 fails."""
    if not excess(0.0) > 0.0:
        return math.nan
    if isinstance(curve, Ablation):
        return _last(range(curve.pixels - curve.kept + 1), excess)
    if isinstance(curve, Tabulated):
        return _last((0.0, *curve.radii), excess)
    return _largest(excess)


def _last(radii: Sequence[float], excess: Callable[[float], float]) -> float:
    """Find the last of some radii, of which the first passes, by halving."""
    low, high = 0, len(radii)
    while high - low > 1:
        middle = (low + high) // 2
        if excess(float(radii[middle])) > 0.0:
            low = middle
        else:
            high = middle
    return float(radii[low])


def _largest(excess: Callable[[float], float]) -> float:
    """Find the end of an excess that is positive at 0, by the Illinois rule."""
    low, low_weight = 0.0, excess(0.0)
    high, high_weight = 1.0, excess(1.0)
    while high_weight > 0.0:
        low, low_weight = high, high_weight
        high *= 2.0
        high_weight = excess(high)
    side: bool | None = None  # the end that the last step moved; the other's weight is halved
    for step in range(200):
        if high - low <= _RESOLUTION * (1.0 + low):
            break
        r = low + (high - low) * low_weight / (low_weight - high_weight)
        least = 0.5 * _RESOLUTION * (1.0 + low)  # so that the bracket closes around the root
        r = max(low + least, min(r, high - least))
        if step % 8 == 7 or not low < r < high:
            r = low + 0.5 * (high - low)
        if not low < r < high:
            break
        found, before = excess(r), side
        side = found > 0.0
        if side:
            low, low_weight = r, found
            high_weight *= 0.5 if before is side else 1.0
        else:
            high, high_weight = r, found
            low_weight *= 0.5 if before is side else 1.0
    return low
