"""The curves of the named noises from their definitions, in the digits of mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import mpmath as mp

__all__ = ["exact_psi", "plain_psi"]


def exact_psi(name: str, p: float, r: float) -> mp.mpf:
    """Return psi_r(p) of a named curve, r = R / sigma, from the theorem of its noise."""
    p, r = mp.mpf(p), mp.mpf(r)
    if r == 0 or (p in (0, 1) and name in ("gaussian", "l1-laplace")):
        return p
    if name == "gaussian":
        return mp.erfc((r - mp.sqrt(2) * mp.erfinv(2 * p - 1)) / mp.sqrt(2)) / 2
    if name == "l1-uniform":
        return max(p - r / 2, mp.mpf(0))
    if name == "l1-laplace":  # half-lines are the most powerful events: F(F^-1(p) - r)
        quantile = mp.log(2 * p) if p <= 0.5 else -mp.log(2 * (1 - p))
        x = quantile - r
        return mp.exp(x) / 2 if x <= 0 else 1 - mp.exp(-x) / 2
    _, kept, _, pixels = name.split("-")
    d, k, changed = int(pixels), int(kept), math.floor(r)
    hidden = Fraction(math.comb(max(d - changed, 0), k), math.comb(d, k))
    return max(p - mp.mpf(hidden.denominator - hidden.numerator) / hidden.denominator, mp.mpf(0))


@cache
def _loss(d: int, k: int, changed: int) -> float:
    return float(1 - Fraction(math.comb(max(d - changed, 0), k), math.comb(d, k)))


def plain_psi(name: str) -> Callable[[float, float], float]:
    """Return psi of a named curve in plain arithmetic, for the slow reference."""
    if name == "l1-uniform":
        return lambda p, r: max(p - r / 2, 0.0)
    if name == "l1-laplace":

        def laplace(p: float, r: float) -> float:
            if p in (0.0, 1.0):
                return p
            x = (math.log(2 * p) if p <= 0.5 else -math.log(2 * (1 - p))) - r
            return math.exp(x) / 2 if x <= 0 else 1 - math.exp(-x) / 2

        return laplace
    _, kept, _, pixels = name.split("-")
    return lambda p, r: max(p - _loss(int(pixels), int(kept), math.floor(r)), 0.0)
