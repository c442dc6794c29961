"""The normal distribution in the digits of mpmath, and ranges that are hard, for comparisons."""

from __future__ import annotations

import mpmath as mp

__all__ = ["RANGES", "SMALLEST", "cdf", "tangent"]

RANGES = [(0.0, 1.0), (-1.0, 1.0), (0.0, 1e-300), (-3.0, 1e6), (1.0, 1.0 + 1e-9)]
SMALLEST = 5e-324


def cdf(z: mp.mpf) -> mp.mpf:
    """Return Phi(z)."""
    return mp.erfc(-z / mp.sqrt(2)) / 2


def tangent(z: mp.mpf, r: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    """Return the slope of the tangent to psi_r at Phi(z), and its value at 1."""
    if r == 0:
        return mp.mpf(1), mp.mpf(1)
    slope = mp.exp(r * z - r * r / 2)
    return slope, cdf(z - r) + slope * cdf(-z)
