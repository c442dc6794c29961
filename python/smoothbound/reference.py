"""Slow, obvious bounds in NumPy and SciPy, straight from the theorems: what the tests trust.

Nothing is rounded to the safe side here, so the fast backends lie below these lower bounds and
above these upper bounds, by at most about 1e-12 of the range.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

__all__ = [
    "certified_radius",
    "dkw",
    "equal_count_knots",
    "lower_cdf",
    "lower_edges",
    "lower_mean",
    "upper_bound",
    "upper_edges",
]

Vector = NDArray[np.float64]


def shift(p: float, r: float) -> float:
    """Return psi_r(p) = Phi(Phi^-1(p) - r), with psi_r(0) = 0 and psi_r(1) = 1."""
    return float(p) if p in (0.0, 1.0) else float(ndtr(ndtri(p) - r))


def deviation(m: int, alpha: float) -> float:
    """Return sqrt(ln(1/alpha) / 2m), of Hoeffding's and of Massart's inequality."""
    return math.sqrt(math.log(1.0 / alpha) / (2.0 * m))


def dkw(count: int, m: int, alpha: float) -> float:
    """Bound G(s) from below where `count` of `m` draws are >= s (Massart 1990)."""
    return max(count / m - deviation(m, alpha), 0.0)


def equal_count_knots(scores: Vector, n_bins: int | None = None) -> Vector:
    """Return the scores at positions floor(i m / n) of the ascending order."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    m = len(ordered)
    n = m if n_bins is None else min(n_bins, m)
    return np.array([ordered[i * m // n] for i in range(n)])


def lower_mean(
    scores: Vector, r: float, alpha: float, score_range: tuple[float, float] = (0.0, 1.0)
) -> float:
    """Theorem 1: the mean bounded by Hoeffding's inequality, then shifted."""
    a, b = score_range
    x = np.asarray(scores, dtype=np.float64)
    p = math.fsum((x - a) / (b - a)) / len(x) - deviation(len(x), alpha)
    return a + (b - a) * shift(max(p, 0.0), r)


def lower_cdf(
    scores: Vector,
    r: float,
    alpha: float,
    score_range: tuple[float, float] = (0.0, 1.0),
    n_bins: int | None = None,
) -> float:
    """Theorem 2 with the DKW band at equal-count knots, their draws counted one knot at a time."""
    a, _ = score_range
    x = np.asarray(scores, dtype=np.float64)
    terms = []
    previous = a
    for knot in equal_count_knots(x, n_bins):
        if knot == previous:
            continue
        count = int(np.count_nonzero(x >= knot))
        terms.append((knot - previous) * shift(dkw(count, len(x), alpha), r))
        previous = knot
    return a + math.fsum(terms)


def lower_edges(scores: Vector, edges: Vector, r: float, alpha: float) -> float:
    """Theorem 2 with the DKW band at given edges, from a to b, one comparison after another."""
    x = np.asarray(scores, dtype=np.float64)
    terms = []
    for previous, edge in pairwise(float(edge) for edge in edges):
        count = sum(1 for score in x if score >= edge)
        terms.append((edge - previous) * shift(dkw(count, len(x), alpha), r))
    return float(edges[0]) + math.fsum(terms)


def upper_edges(scores: Vector, edges: Vector, r: float, alpha: float) -> float:
    """Return the upper bound at given edges: the reflection of the lower one."""
    return -lower_edges(-np.asarray(scores, dtype=np.float64), -edges[::-1], r, alpha)


def upper_bound(
    bound: str,
    scores: Vector,
    r: float,
    alpha: float,
    score_range: tuple[float, float] = (0.0, 1.0),
    n_bins: int | None = None,
) -> float:
    """Return the upper bound: the reflection of the lower bound of the reflected scores."""
    a, b = score_range
    mirrored = -np.asarray(scores, dtype=np.float64)
    if bound == "mean":
        return -lower_mean(mirrored, r, alpha, (-b, -a))
    return -lower_cdf(mirrored, r, alpha, (-b, -a), n_bins)


def certified_radius(
    bound: str,
    scores: Vector,
    threshold: float,
    alpha: float,
    score_range: tuple[float, float] = (0.0, 1.0),
    n_bins: int | None = None,
) -> float:
    """Return the r = R / sigma at which the lower bound meets the threshold; NaN if none does."""

    def excess(r: float) -> float:
        if bound == "mean":
            return lower_mean(scores, r, alpha, score_range) - threshold
        return lower_cdf(scores, r, alpha, score_range, n_bins) - threshold

    if excess(0.0) <= 0.0:
        return math.nan
    high = 1.0
    while excess(high) > 0.0:
        high *= 2.0
    return float(brentq(excess, 0.0, high, xtol=1e-15, rtol=1e-15))
