"""The rounded Gaussian on a grid of inputs: exact thresholds for whole steps.

docs/noise.md has the proof that smoothing by it is smoothing by an exactly Gaussian distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from smoothbound import checks

__all__ = ["MAX_NUMBER", "THRESHOLD_BITS", "Lattice", "lattice"]

THRESHOLD_BITS = 79
MAX_NUMBER = 2**24  # up to here float32 holds every whole number

_FINEST, _COARSEST = 2048, 32  # grid steps in sigma
_WORK_BITS = 192


@dataclass(frozen=True, eq=False)
class Lattice:
    """A grid of inputs, and the Gaussian rounded to it.

    With s the number of grid steps in sigma and delta ~ N(0, s^2), round(delta) = +-|K| with a fair
    sign, and |K| is the number of thresholds that a uniform whole number below 2^79 reaches: the
    k-th is P(|delta| <= k + 1/2) in units of 2^-79, rounded to the nearest.

    Attributes
    ----------
    levels : int
        Inputs are whole multiples of 1 / levels.
    refine : int
        Noise is a whole multiple of 1 / (levels * 2^refine).
    high, low : ndarray of int32 and of uint64, shape (m,)
        Thresholds, ascending: high * 2^64 + low.
    """

    levels: int
    refine: int
    high: NDArray[np.int32]
    low: NDArray[np.uint64]

    @property
    def denominator(self) -> int:
        """Grid steps in one unit of the input."""
        return self.levels << self.refine

    @property
    def largest(self) -> int:
        """Most grid steps that the noise moves an element by."""
        return len(self.high)


def lattice(sigma: float, levels: int) -> Lattice:
    """Return the grid for noise of standard deviation sigma on inputs k / levels.

    The grid is refined by the smallest power of two that puts at least 32 steps into sigma.
    Rounding to it then adds less than 1 / (12 * 32^2) = 0.008 % to the variance of the noise, far
    below what a base classifier trained under floating-point noise can tell; certificates hold for
    every refinement.

    Parameters
    ----------
    sigma : float
        In the units of the input.
    levels : int
        255 for 8-bit images in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or sigma is more than 2048 steps 1 / levels, or so
        small that float32 cannot tell neighbours of the refined grid apart.

    Examples
    --------
    >>> grid = lattice(0.25, 255)
    >>> grid.refine, grid.denominator, grid.largest
    (0, 255, 656)
    """
    sigma, levels = checks.positive("sigma", sigma), checks.count("grid", levels)
    if sigma * levels > _FINEST:
        raise ValueError(
            f"sigma = {sigma} is {sigma * levels:.6g} steps of the grid 1/{levels}, and lattice "
            f"noise takes at most {_FINEST}: use noise='gaussian'"
        )
    refine = 0
    while sigma * (levels << refine) < _COARSEST:
        refine += 1
        if levels << refine > MAX_NUMBER:
            raise ValueError(
                f"sigma = {sigma} is too small for lattice noise: a grid with {_COARSEST} steps in "
                "it is finer than float32 resolves near 1; use noise='gaussian'"
            )
    return _build(sigma, levels, refine)


@cache
def _build(sigma: float, levels: int, refine: int) -> Lattice:
    low_bits = 2**64 - 1
    values = thresholds(Fraction(sigma) * (levels << refine))
    high = np.array([value >> 64 for value in values], dtype=np.int32)
    low = np.array([value & low_bits for value in values], dtype=np.uint64)
    for array in (high, low):
        array.setflags(write=False)
    return Lattice(levels, refine, high, low)


def thresholds(steps: Fraction) -> list[int]:
    """Return 2^79 P(|delta| <= k + 1/2), rounded, for k = 0, 1, ... while below 2^79.

    Parameters
    ----------
    steps : Fraction
        Standard deviation of delta, in grid steps.
    """
    # P(|N(0, 1)| <= 16) = 1 - 1.3e-57: 1 to 188 bits.
    whole = _integral(Fraction(16))
    one = 1 << THRESHOLD_BITS
    found: list[int] = []
    while True:
        part = _integral((len(found) + Fraction(1, 2)) / steps)
        value = (part * one + whole // 2) // whole
        if value == one:
            return found
        found.append(value)


def _integral(z: Fraction) -> int:
    """Return the integral of exp(-x^2 / 2) over 0 <= x <= z <= 16, in units of 2^-192, to 2^-180.

    It is A / E, where A = z + z^3/3 + z^5/(3 5) + ... and E = exp(z^2/2) = 1 + z^2/2 + ... have
    positive terms. In whole numbers each of the fewer than 800 terms is rounded down twice, and a
    unit lost from a term loses at most E units from the sum, so A and E are within 2^-181 E.
    """
    square = (z.numerator**2 << _WORK_BITS) // z.denominator**2
    odd = area = (z.numerator << _WORK_BITS) // z.denominator
    even = growth = 1 << _WORK_BITS
    n = 0
    while even or odd:
        n += 1
        odd = (odd * square >> _WORK_BITS) // (2 * n + 1)
        even = (even * square >> _WORK_BITS) // (2 * n)
        area += odd
        growth += even
    return (area << _WORK_BITS) // growth
