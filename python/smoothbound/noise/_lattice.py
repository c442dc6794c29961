"""The Gaussian rounded to a lattice, and the exact thresholds that draw it.

Inputs lie on a stated grid (`lattice`), or are moved to a fine lattice that depends on sigma
(`fine_lattice`). docs/noise.md proves that smoothing with this noise is smoothing with an exactly
Gaussian distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.rounding import ceil_significant, floor_significant
from smoothbound._utils import checks

__all__ = [
    "FINE_BITS",
    "MAX_FINE_NUMBER",
    "MAX_NUMBER",
    "THRESHOLD_BITS",
    "Lattice",
    "fine_lattice",
    "fine_thresholds",
    "lattice",
    "thresholds",
]

THRESHOLD_BITS = 79
MAX_NUMBER = 2**24  # float32 holds every whole number up to here
FINE_BITS = 13  # 2^13 steps in sigma; docs/noise.md weighs their time against the displacement
MAX_FINE_NUMBER = 2**30  # int32 holds every number of steps up to here with any noise added
_LEAST_SIGMA, _MOST_SIGMA = 2.0**-100, 2.0**100  # so that float32 holds the steps of one unit

_FINEST, _COARSEST = 2048, 32  # grid steps in sigma
_WORK_BITS = 192


@dataclass(frozen=True, eq=False)
class Lattice:
    """A lattice of inputs, and the Gaussian rounded to it.

    Let s be the number of grid steps in sigma, and delta ~ N(0, s^2). Then round(delta) is K or -K,
    with a fair sign. K is the number of thresholds that a uniform whole number below 2^79 reaches.
    The k-th threshold is P(-k - 1/2 <= delta <= k + 1/2) in units of 2^-79, rounded to the nearest.

    Attributes
    ----------
    levels : int or float
        Inputs are whole multiples of 1 / levels. If `fine`, they are moved to the nearest multiple.
    refine : int
        Noise is a whole multiple of 1 / (levels * 2^refine).
    high, low : ndarray of int32 and of uint64, shape (m,)
        Thresholds, ascending: high * 2^64 + low.
    fine : bool
        Whether the lattice was made from sigma. Then its spacing is sigma / 2^13 exactly, and
        `levels` is 2^13 / sigma rounded to float64.
    """

    levels: float
    refine: int
    high: NDArray[np.int32]
    low: NDArray[np.uint64]
    fine: bool = False

    @property
    def denominator(self) -> float:
        """Number of lattice steps in one unit of the input."""
        steps: int = 2**self.refine
        return self.levels * steps

    @property
    def largest(self) -> int:
        """Largest number of grid steps by which the noise moves an element."""
        return len(self.high)


def lattice(sigma: float, levels: int) -> Lattice:
    """Return the grid for noise of standard deviation sigma on inputs k / levels.

    The grid is refined by the smallest power of two that puts at least 32 steps into sigma.
    Rounding to it adds less than 1 / (12 * 32^2) = 0.008 % to the variance of the noise, which does
    not matter to a base classifier that was trained with floating-point noise. Certificates hold
    for every refinement.

    Parameters
    ----------
    sigma : float
        In the units of the input.
    levels : int
        Inputs are whole multiples of 1 / levels: 255 for 8-bit images in [0, 1].

    Returns
    -------
    Lattice

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or sigma is more than 2048 steps 1 / levels, or so small
        that float32 cannot distinguish neighbours of the refined grid.

    Examples
    --------
    >>> grid = lattice(0.25, 255)
    >>> grid.refine, grid.denominator, grid.largest
    (0, 255, 656)
    """
    sigma, levels = checks.positive("sigma", sigma), checks.count("levels", levels, 1, MAX_NUMBER)
    refine = 0
    while sigma * (levels << refine) < _COARSEST and levels << refine + 1 <= MAX_NUMBER:
        refine += 1
    if sigma * levels > _FINEST or sigma * (levels << refine) < _COARSEST:
        finest = levels << (MAX_NUMBER // levels).bit_length() - 1
        low, high = ceil_significant(_COARSEST / finest, 3), floor_significant(_FINEST / levels, 3)
        raise ValueError(
            f"sigma must be from {low} to {high} for inputs on the grid 1/{levels}, got {sigma}: "
            "float32 holds no finer grid, and larger noise takes too many steps. Inputs for which "
            "no grid is stated are placed on a lattice made from sigma"
        )
    return _build(sigma, levels, refine)


@cache
def _build(sigma: float, levels: int, refine: int) -> Lattice:
    return Lattice(levels, refine, *_words(thresholds(Fraction(sigma) * (levels << refine))))


def fine_lattice(sigma: float) -> Lattice:
    """Return the lattice with 2^13 steps per sigma, to which inputs without a grid are moved.

    Its thresholds are the same for every sigma.

    Parameters
    ----------
    sigma : float
        In the units of the input.

    Raises
    ------
    TypeError, ValueError
        If sigma is not a number from 2^-100 to 2^100.

    Examples
    --------
    >>> fine_lattice(0.25).denominator, fine_lattice(0.25).largest
    (32768.0, 84251)
    """
    sigma = checks.positive("sigma", sigma)
    if not _LEAST_SIGMA <= sigma <= _MOST_SIGMA:
        raise ValueError(
            f"sigma must lie between 2^-100 and 2^100 for lattice noise, got {sigma!r}: scale the "
            "inputs and the model, or use noise='gaussian'"
        )
    return _fine(sigma)


@cache
def _fine(sigma: float) -> Lattice:
    return Lattice(2**FINE_BITS / sigma, 0, *_fine_words(), fine=True)


@cache
def _fine_words() -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    return _words(fine_thresholds(FINE_BITS))


def _words(values: list[int]) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    """Split thresholds into their bits above and below 2^64."""
    high = np.array([value >> 64 for value in values], dtype=np.int32)
    low = np.array([value & (2**64 - 1) for value in values], dtype=np.uint64)
    for array in (high, low):
        array.setflags(write=False)
    return high, low


def thresholds(steps: Fraction) -> list[int]:
    """Return 2^79 P(|delta| <= k + 1/2), rounded, for k = 0, 1, ... while below 2^79.

    Parameters
    ----------
    steps : Fraction
        Standard deviation of delta, in grid steps.
    """
    # P(|N(0, 1)| <= 16) = 1 - 1.3e-57, which is 1 to 188 bits.
    whole = _integral(Fraction(16))
    one = 1 << THRESHOLD_BITS
    found: list[int] = []
    while True:
        part = _integral((len(found) + Fraction(1, 2)) / steps)
        value = (part * one + whole // 2) // whole
        if value == one:
            return found
        found.append(value)


def fine_thresholds(bits: int) -> list[int]:
    """Return ``thresholds(2**bits)`` for bits from 12 on, a thousand times as fast.

    Let h = 2^-bits. By the Taylor series at m = k h, the integral of exp(-x^2/2) between
    (k - 1/2) h and (k + 1/2) h is h exp(-m^2/2) (1 + s_1 + s_2 + s_3 + ...), where s_j is
    He_2j(m) (h/2)^2j / (2j + 1)! with the Hermite polynomials He. By Cramer's inequality
    |He_8(m)| exp(-m^2/2) < 218. For 13 bits the terms after s_3 are therefore below 2^-122 h, and a
    threshold is off by at most 1/2 + 2^-40. Each exp(-m^2/2) follows from the previous one by two
    products, whose roundings sum to less than 2^-150.
    """
    one, square = 1 << _WORK_BITS, 1 << (_WORK_BITS - 2 * bits)  # 1 and h^2
    whole = _integral(Fraction(16)) << bits  # in units of h 2^-192, as `area`
    ratio, factor = _exponential(square // 2), _exponential(square)
    density, area, k = one, 0, 0
    found: list[int] = []

    def times(a: int, b: int) -> int:
        return a * b >> _WORK_BITS

    while True:
        u = k * k << (_WORK_BITS - 4 * bits)  # (m h)^2
        series = one + (u - square) // 24
        series += (times(u - 6 * square, u) + 3 * times(square, square)) // 1920
        cubic = times(times(u - 15 * square, u) + 45 * times(square, square), u)
        series += (cubic - 15 * times(times(square, square), square)) // 322560
        part = times(density, series)
        area += part if k else part // 2
        value = ((area << THRESHOLD_BITS) + whole // 2) // whole
        if value >> THRESHOLD_BITS:
            return found
        found.append(value)
        density, ratio, k = times(density, ratio), times(ratio, factor), k + 1


def _exponential(x: int) -> int:
    """Return exp(-x), all in units of 2^-192, for 0 <= x <= 1."""
    term = total = 1 << _WORK_BITS
    n = 0
    while term:
        n += 1
        term = (term * x >> _WORK_BITS) // n
        total += -term if n % 2 else term
    return total


def _integral(z: Fraction) -> int:
    """Return the integral of exp(-x^2 / 2) over 0 <= x <= z <= 16, in units of 2^-192, to 2^-180.

    It is A / E with A = z + z^3/3 + z^5/(3 5) + ... and E = exp(z^2/2) = 1 + z^2/2 + ..., whose
    terms are all positive. In whole numbers each of the fewer than 800 terms is rounded down twice,
    and a unit lost from a term loses at most E units from the sum. The errors of A and E are
    therefore below 2^-181 E.
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
