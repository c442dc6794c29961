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
from scipy.special import betaincinv, ndtr, ndtri
from scipy.stats import poisson

__all__ = [
    "certified_radius",
    "dkw",
    "ell",
    "ell_level",
    "equal_count_knots",
    "lower_cdf",
    "lower_edges",
    "lower_mean",
    "stay_probability",
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


def stay_probability(m: int, lower: Vector, upper: Vector | None = None) -> float:
    """Return P(lower[k-1] <= V_(k) <= upper[k-1] for all k) of the order statistics of m uniforms.

    NaN stands for no bound.  The count of uniforms below t is a Poisson process of rate m given
    its value at 1: its distribution goes from bound to bound by convolution, and what violates a
    bound is set to zero (Khmaladze & Shinjikashvili 2001).
    """
    events = [(t, k, True) for k, t in enumerate(lower, 1) if not math.isnan(t)]
    if upper is not None:
        events += [(t, k, False) for k, t in enumerate(upper, 1) if not math.isnan(t)]
    p, first, time = np.array([1.0]), 0, 0.0  # p[i] is the probability of the count first + i
    for t, k, is_lower in [*sorted(events), (1.0, m, False)]:
        mean = m * (t - time)
        counts = np.arange(int(mean + 15 * math.sqrt(mean)) + 30)
        p = np.convolve(p, poisson.pmf(counts, mean))[: m + 1 - first]
        count = first + np.arange(len(p))
        p[count >= k if is_lower else count < k] = 0.0
        kept = np.flatnonzero(p > 1e-25)
        if not kept.size:
            return 0.0
        first, p, time = first + kept[0], p[kept[0] : kept[-1] + 1], t
    return float(p[m - first] / poisson.pmf(m, m))


def ell_bounds(m: int, level: float, n_bins: int | None = None) -> tuple[NDArray[np.int64], Vector]:
    """Return the ranks of equal-count knots, ascending, and the quantiles l_k at their ranks."""
    n = m if n_bins is None else min(n_bins, m)
    ranks = np.sort(m - np.arange(n, dtype=np.int64) * m // n)
    return ranks, np.asarray(betaincinv(ranks, m + 1 - ranks, level), dtype=np.float64)


def ell_level(m: int, alpha: float, n_bins: int | None = None, *, two_sided: bool = False) -> float:
    """Return the local level of the equal-local-levels band (Aldor-Noiman et al. 2013)."""

    def excess(log_level: float) -> float:
        ranks, bounds = ell_bounds(m, math.exp(log_level), n_bins)
        lower = np.full(m, np.nan)
        lower[ranks - 1] = bounds
        upper = 1.0 - lower[::-1] if two_sided else None
        return math.log(max(1.0 - stay_probability(m, lower, upper), 1e-300)) - math.log(alpha)

    low = math.log(alpha / (2.1 * m))  # so little fails even if the points failed one by one
    if excess(low) > 0.0 or alpha < 1e-9:  # too rare to be told from rounding
        return math.exp(low)
    root = brentq(excess, low, math.log(alpha) + 1e-9, xtol=1e-9, rtol=1e-12)
    return math.exp(root - 2e-9)


def ell(count: int, m: int, level: float, n_bins: int | None = None) -> float:
    """Bound G(s) from below where `count` of `m` draws are >= s, from the next lower knot."""
    ranks, bounds = ell_bounds(m, level, n_bins)
    at = np.searchsorted(ranks, count, side="right")
    return float(bounds[at - 1]) if at else 0.0


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
    level: float | None = None,
) -> float:
    """Theorem 2 at equal-count knots, their draws counted one knot at a time.

    With the DKW band, or, where its local level is given, with the equal-local-levels band.
    """
    a, _ = score_range
    x = np.asarray(scores, dtype=np.float64)
    terms = []
    previous = a
    for knot in equal_count_knots(x, n_bins):
        if knot == previous:
            continue
        count = int(np.count_nonzero(x >= knot))
        p = dkw(count, len(x), alpha) if level is None else ell(count, len(x), level, n_bins)
        terms.append((knot - previous) * shift(p, r))
        previous = knot
    return a + math.fsum(terms)


def lower_edges(
    scores: Vector, edges: Vector, r: float, alpha: float, level: float | None = None
) -> float:
    """Theorem 2 with given edges, from a to b, as knots: one comparison after another.

    With the DKW band, or, where its local level is given, with the equal-local-levels band.
    """
    x = np.asarray(scores, dtype=np.float64)
    terms = []
    for previous, edge in pairwise(float(edge) for edge in edges):
        count = sum(1 for score in x if score >= edge)
        p = dkw(count, len(x), alpha) if level is None else ell(count, len(x), level)
        terms.append((edge - previous) * shift(p, r))
    return float(edges[0]) + math.fsum(terms)


def upper_edges(
    scores: Vector, edges: Vector, r: float, alpha: float, level: float | None = None
) -> float:
    """Return the upper bound at given edges: the reflection of the lower one."""
    return -lower_edges(-np.asarray(scores, dtype=np.float64), -edges[::-1], r, alpha, level)


def upper_bound(
    bound: str,
    scores: Vector,
    r: float,
    alpha: float,
    score_range: tuple[float, float] = (0.0, 1.0),
    n_bins: int | None = None,
    level: float | None = None,
) -> float:
    """Return the upper bound: the reflection of the lower bound of the reflected scores."""
    a, b = score_range
    mirrored = -np.asarray(scores, dtype=np.float64)
    if bound == "mean":
        return -lower_mean(mirrored, r, alpha, (-b, -a))
    return -lower_cdf(mirrored, r, alpha, (-b, -a), n_bins, level)


def certified_radius(
    bound: str,
    scores: Vector,
    threshold: float,
    alpha: float,
    score_range: tuple[float, float] = (0.0, 1.0),
    n_bins: int | None = None,
    level: float | None = None,
) -> float:
    """Return the r = R / sigma at which the lower bound meets the threshold; NaN if none does."""

    def excess(r: float) -> float:
        if bound == "mean":
            return lower_mean(scores, r, alpha, score_range) - threshold
        return lower_cdf(scores, r, alpha, score_range, n_bins, level) - threshold

    if excess(0.0) <= 0.0:
        return math.nan
    high = 1.0
    while excess(high) > 0.0:
        high *= 2.0
    return float(brentq(excess, 0.0, high, xtol=1e-15, rtol=1e-15))
