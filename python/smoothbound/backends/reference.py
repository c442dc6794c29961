"""Slow and simple bounds in NumPy and SciPy, written as the theorems are, for the tests.

Nothing is rounded to the safe side here. The fast backends therefore lie below these lower bounds
and above these upper bounds, by at most about 1e-12 of the range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count as numbers_from
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaincinv, ndtr, ndtri
from scipy.stats import beta, binom, poisson

__all__ = [
    "Tangent",
    "aimed",
    "bernstein",
    "betting",
    "binom_quantiles",
    "certified_radius",
    "class_radius",
    "clopper_pearson",
    "dkw",
    "ell",
    "ell_failure",
    "ell_level",
    "equal_count_knots",
    "hoeffding",
    "lower_cdf",
    "lower_edges",
    "lower_mean",
    "lower_probability",
    "lower_quantile",
    "lower_steps",
    "lower_tangent",
    "permutation",
    "philox",
    "stay_probability",
    "survival_bounds",
    "tangent_from_pilot",
    "upper_bound",
    "upper_edges",
]

Vector = NDArray[np.float64]
Psi = Callable[[float, float], float]  # psi_r(p) as a function of p and r


def shift(p: float, r: float) -> float:
    """Return psi_r(p) = Phi(Phi^-1(p) - r), with psi_r(0) = 0 and psi_r(1) = 1."""
    return float(p) if p in (0.0, 1.0) else float(ndtr(ndtri(p) - r))


def deviation(n_draws: int, alpha: float) -> float:
    """Return sqrt(ln(1/alpha) / (2 n_draws)), of Hoeffding's and of Massart's inequality."""
    return math.sqrt(math.log(1.0 / alpha) / (2.0 * n_draws))


def dkw(count: int, n_draws: int, alpha: float) -> float:
    """Bound G(s) from below where `count` of `n_draws` draws are >= s (Massart 1990)."""
    return max(count / n_draws - deviation(n_draws, alpha), 0.0)


def philox(counter: tuple[int, int, int, int], key: int) -> tuple[int, int, int, int]:
    """Return the four words of Philox 4x32-10 (Salmon et al. 2011) for a counter and a key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key % 2**32, key >> 32
    for _ in range(10):
        left, right = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (
            (right >> 32) ^ c1 ^ k0,
            right % 2**32,
            (left >> 32) ^ c3 ^ k1,
            left % 2**32,
        )
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def permutation(n: int, seed: int, row: int) -> NDArray[np.int64]:
    """Return the order in which the draws of a row are used if their own order is unknown.

    Fisher and Yates: for i = 0, 1, ..., position i changes places with position i + u, u uniform
    on 0, ..., n - i - 1. Random words are used one after the other; u is the high half of the
    product of a word and n - i, and a word whose product has a low half below 2^32 mod (n - i) is
    passed over (Lemire 2019).
    """
    words = (
        word
        for block in numbers_from()
        for word in philox((block, row % 2**32, 2**31, row >> 32), seed)
    )
    order = list(range(n))
    for i in range(n - 1):
        high, low = 0, -1
        while low < 2**32 % (n - i):
            high, low = divmod(next(words) * (n - i), 2**32)
        order[i], order[i + high] = order[i + high], order[i]
    return np.array(order, dtype=np.int64)


def hoeffding(values: Vector, alpha: float) -> float:
    """Bound a mean in [0, 1] from below (Hoeffding 1963)."""
    return math.fsum(values) / len(values) - deviation(len(values), alpha)


def bernstein(values: Vector, alpha: float) -> float:
    """Bound a mean in [0, 1] from below (Maurer & Pontil 2009, Theorem 4)."""
    n, evidence = len(values), math.log(2.0 / alpha)
    variance = float(np.var(values, ddof=1))
    slack = math.sqrt(2.0 * variance * evidence / n) + 7.0 * evidence / (3.0 * (n - 1))
    return float(np.mean(values)) - slack


def betting(values: Vector, stake: float, alpha: float) -> float:
    """Bound the mean of non-negative values from below, with a stake fixed before they were seen.

    The bound is the smallest mean mu at which the capital prod (1 + stake v) / (1 + stake mu)
    stays below 1 / alpha (Waudby-Smith & Ramdas 2024, for one stake; Markov's inequality).
    """

    def capital(mu: float) -> float:
        return math.fsum(np.log1p(stake * values) - math.log1p(stake * mu))

    if capital(0.0) <= math.log(1.0 / alpha):
        return 0.0
    high = float(np.max(values))
    return float(brentq(lambda mu: capital(mu) - math.log(1.0 / alpha), 0.0, high, xtol=1e-15))


def aimed(values: Vector, alpha: float) -> float:
    """Bound the mean of draws in [0, 1] from below, by bets that aim at the last draw.

    The smallest mean at which the wealth, alpha before the first draw, stays below 1. Up to the
    first value that is not 0 or 1 the player bets as if the count of ones were to decide.
    """
    n = len(values)
    votes = 0
    while votes < n and values[votes] in (0.0, 1.0):
        votes += 1
    ones = int(np.sum(values[:votes]))
    exact = binom_quantiles(n, alpha)
    if votes == n:
        return float(exact[ones])
    # The mean and the standard deviation before each draw, with two draws of deviation 1/2.
    deviations = [0.5]
    for i in range(1, n):
        squares = 0.5 + i * float(np.var(values[:i]))
        deviations.append(math.sqrt(squares / (i + 2)))

    def final_wealth(mu: float) -> float:
        k = int(np.searchsorted(exact, mu))
        if k > n:
            return 0.0
        zero = float(binom.sf(k - ones - 1, n - votes - 1, exact[k]))
        one = float(binom.sf(k - ones - 2, n - votes - 1, exact[k]))
        wealth = zero + (one - zero) * float(values[votes])
        for i in range(votes + 1, n):
            if wealth >= 1.0 or wealth <= 0.0:
                break
            height = math.exp(-0.5 * float(ndtri(0.9 * wealth)) ** 2) / math.sqrt(2 * math.pi)
            stake = height / 0.9 / (deviations[i] * math.sqrt(n - i))
            wealth += min(stake, wealth / (mu + 1e-3)) * (float(values[i]) - mu)
        return wealth

    low, high = 0.0, float(np.mean(values))
    while high - low > 1e-6:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if final_wealth(middle) >= 1.0 else (low, middle)
    return low


def binom_quantiles(n: int, alpha: float) -> Vector:
    """Return the means at which P(Binomial(n, c) >= k) = alpha, of k = 0, ..., n."""
    return np.concatenate([[0.0], beta.ppf(alpha, np.arange(1, n + 1), np.arange(n, 0, -1))])


def equal_count_knots(scores: Vector, n_bins: int | None = None) -> Vector:
    """Return the scores at positions floor(i n_draws / n_knots) of the ascending order."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    n_draws = len(ordered)
    n_knots = n_draws if n_bins is None else min(n_bins, n_draws)
    return np.array([ordered[i * n_draws // n_knots] for i in range(n_knots)])


def stay_probability(n_draws: int, lower: Vector, upper: Vector | None = None) -> float:
    """Return P(lower[k-1] <= V_(k) <= upper[k-1] for all k) of the order statistics of uniforms.

    NaN stands for no bound. The count of the n_draws uniforms below t is a Poisson process of rate
    n_draws, given its value at 1. Its distribution goes from bound to bound by convolution, and the
    probability of counts that violate a bound is set to zero (Khmaladze & Shinjikashvili 2001).
    """
    events = [(t, k, True) for k, t in enumerate(lower, 1) if not math.isnan(t)]
    if upper is not None:
        events += [(t, k, False) for k, t in enumerate(upper, 1) if not math.isnan(t)]
    p, first, time = np.array([1.0]), 0, 0.0  # p[i] is the probability of the count first + i
    for t, k, is_lower in [*sorted(events), (1.0, n_draws, False)]:
        mean = n_draws * (t - time)
        counts = np.arange(int(mean + 15 * math.sqrt(mean)) + 30)
        p = np.convolve(p, poisson.pmf(counts, mean))[: n_draws + 1 - first]
        count = first + np.arange(len(p))
        p[count >= k if is_lower else count < k] = 0.0
        kept = np.flatnonzero(p > 1e-25)
        if not kept.size:
            return 0.0
        first, p, time = first + kept[0], p[kept[0] : kept[-1] + 1], t
    return float(p[n_draws - first] / poisson.pmf(n_draws, n_draws))


def ell_bounds(
    n_draws: int, level: float, n_bins: int | None = None
) -> tuple[NDArray[np.int64], Vector]:
    """Return the ranks of equal-count knots, ascending, and the quantiles l_k at their ranks."""
    n_knots = n_draws if n_bins is None else min(n_bins, n_draws)
    ranks = np.sort(n_draws - np.arange(n_knots, dtype=np.int64) * n_draws // n_knots)
    return ranks, np.asarray(betaincinv(ranks, n_draws + 1 - ranks, level), dtype=np.float64)


def ell_failure(
    n_draws: int, level: float, n_bins: int | None = None, *, two_sided: bool = False
) -> float:
    """Return the probability that some bound fails at a local level."""
    ranks, bounds = ell_bounds(n_draws, level, n_bins)
    lower = np.full(n_draws, np.nan)
    lower[ranks - 1] = bounds
    upper = 1.0 - lower[::-1] if two_sided else None
    return 1.0 - stay_probability(n_draws, lower, upper)


def ell_level(
    n_draws: int, alpha: float, n_bins: int | None = None, *, two_sided: bool = False
) -> float:
    """Return the local level of the equal-local-levels band (Aldor-Noiman et al. 2013)."""

    def excess(log_level: float) -> float:
        failure = ell_failure(n_draws, math.exp(log_level), n_bins, two_sided=two_sided)
        return math.log(max(failure, 1e-300)) - math.log(alpha)

    most = math.log(0.5)  # the quantiles lose digits above it, and a smaller level is valid too
    # The union bound over the points proves this level.
    low = min(math.log(alpha / (2.1 * n_draws)), most)
    if excess(low) > 0.0 or alpha < 1e-9:  # rounding errors hide a failure this rare
        return math.exp(low)
    if excess(most) <= 0.0:
        return math.exp(most)
    root = brentq(excess, low, min(math.log(alpha) + 1e-9, most), xtol=1e-9, rtol=1e-12)
    return math.exp(root - 2e-9)


def ell(count: int, n_draws: int, level: float, n_bins: int | None = None) -> float:
    """Bound G(s) from below where `count` of `n_draws` draws are >= s, from the next lower knot."""
    ranks, bounds = ell_bounds(n_draws, level, n_bins)
    reached = np.searchsorted(ranks, count, side="right")
    return float(bounds[reached - 1]) if reached else 0.0


def lower_mean(
    scores: Vector,
    r: float,
    alpha: float,
    score_range: tuple[float, float] = (0.0, 1.0),
    mean: str = "hoeffding",
    psi: Psi = shift,
) -> float:
    """Theorem 1: the mean bounded by an inequality above, then shifted by a convex psi."""
    a, b = score_range
    x = (np.asarray(scores, dtype=np.float64) - a) / (b - a)
    if mean == "hoeffding":
        p = hoeffding(x, alpha)
    elif mean == "bernstein":
        p = bernstein(x, alpha)
    else:
        p = aimed(x, alpha)
    return a + (b - a) * psi(max(p, 0.0), r)


def lower_cdf(
    scores: Vector,
    r: float,
    alpha: float,
    score_range: tuple[float, float] = (0.0, 1.0),
    n_bins: int | None = None,
    level: float | None = None,
    psi: Psi = shift,
) -> float:
    """Theorem 2 at equal-count knots; the draws are counted one knot at a time.

    The band is DKW, or equal local levels if `level` is given.
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
        terms.append((knot - previous) * psi(p, r))
        previous = knot
    return a + math.fsum(terms)


def lower_edges(
    scores: Vector,
    edges: Vector,
    r: float,
    alpha: float,
    level: float | None = None,
    psi: Psi = shift,
) -> float:
    """Theorem 2 with given edges, from a to b, as knots; the draws are counted one by one.

    The band is DKW, or equal local levels if `level` is given.
    """
    x = np.asarray(scores, dtype=np.float64)
    terms = []
    for previous, edge in pairwise(float(edge) for edge in edges):
        count = sum(1 for score in x if score >= edge)
        p = dkw(count, len(x), alpha) if level is None else ell(count, len(x), level)
        terms.append((edge - previous) * psi(p, r))
    return float(edges[0]) + math.fsum(terms)


def survival_bounds(
    n_draws: int, alpha: float, level: float | None = None, n_bins: int | None = None
) -> Vector:
    """Return `dkw`, or `ell` if `level` is given, of all counts 0, ..., n_draws."""
    counts = np.arange(n_draws + 1)
    if level is None:
        return np.maximum(counts / n_draws - deviation(n_draws, alpha), 0.0)
    ranks, bounds = ell_bounds(n_draws, level, n_bins)
    return np.concatenate([[0.0], bounds])[np.searchsorted(ranks, counts, side="right")]


def lower_steps(knots: Vector, z: Vector, r: Vector, a: float) -> Vector:
    """Theorem 2 for knots above a, ascending, at each r; Phi(z) bounds the survival function."""
    widths = np.diff(knots, prepend=a)
    return np.array([a + math.fsum(widths * ndtr(z - one)) for one in r])


def class_radius(top_count: int, n_draws: int, sigma: float, alpha: float) -> float:
    """Return the radius of Cohen et al. 2019, Theorem 1, with p_B = 1 - p_A; NaN without one."""
    if not top_count:
        return math.nan
    p = float(beta.ppf(alpha, top_count, n_draws - top_count + 1))
    return sigma * float(ndtri(p)) if p > 0.5 else math.nan


def clopper_pearson(count: int, n_draws: int, alpha: float) -> float:
    """Return the p at which `count` or more of `n_draws` draws succeed with probability alpha."""
    return float(beta.ppf(alpha, count, n_draws - count + 1)) if count else 0.0


def lower_probability(
    scores: Vector, level: float, r: float, alpha: float, psi: Psi = shift
) -> float:
    """Bound P(h >= level) from below: the draws are counted one by one, then shifted."""
    count = sum(1 for score in scores if score >= level)
    return psi(clopper_pearson(count, len(scores), alpha), r)


def lower_quantile(scores: Vector, q: float, r: float, alpha: float, psi: Psi = shift) -> float:
    """Bound every q-quantile from below: try the draws, the largest first; -inf without one.

    The number of draws tried stands for the count, so that ties do not matter.
    """
    n = len(scores)
    for count, score in enumerate(sorted(scores, reverse=True), 1):
        if psi(clopper_pearson(count, n, alpha), r) > 1.0 - q:
            return float(score)
    return -math.inf


def upper_edges(
    scores: Vector,
    edges: Vector,
    r: float,
    alpha: float,
    level: float | None = None,
    psi: Psi = shift,
) -> float:
    """Return the upper bound at given edges: the reflection of the lower one."""
    mirrored = -np.asarray(scores, dtype=np.float64)
    return -lower_edges(mirrored, -edges[::-1], r, alpha, level, psi)


@dataclass(frozen=True)
class Tangent:
    """Touching points Phi(z_i) on the intervals between knots in [0, 1], and a stake."""

    knots: Vector
    z: Vector
    stake: float

    def phi(self, x: Vector, r: float) -> Vector:
        """Integrate the slopes psi_r'(Phi(z)) = exp(r z - r^2/2) from 0 to x."""
        steps = np.diff(self.knots) * np.exp(r * self.z - r * r / 2)
        return np.asarray(np.interp(x, self.knots, np.concatenate([[0.0], np.cumsum(steps)])))

    def constant(self, r: float) -> float:
        """Sum over the intervals of psi_r(p) - psi_r'(p) p at p = Phi(z)."""
        heights = ndtr(self.z - r) - np.exp(r * self.z - r * r / 2) * ndtr(self.z)
        return math.fsum(np.diff(self.knots) * heights)


def tangent_from_pilot(pilot: Vector, r: float, alpha: float, n: int) -> Tangent:
    """Choose the tangents and the stake from pilot draws, for n others.

    The pilot's draws, and a tenth of a draw that is spread evenly, make a distribution p on the
    knots. Three steps alternate until nothing changes. The distribution q gives v = phi / phi(1).
    The stake is the one at which q' proportional to p / (1 + stake v) has sum p log(p / q') =
    ln(1/alpha) / n. Then q moves halfway to q'.
    """
    x = np.sort(pilot)
    quantiles = [x[i * len(x) // 128] for i in range(128)]
    knots = np.unique([1.0, x[-1], *quantiles, *(np.arange(128) / 128)])
    hats = np.eye(len(knots))
    p = np.array([np.interp(x, knots, hat).sum() for hat in hats])
    p += 0.1 * np.array([np.trapezoid(hat, knots) for hat in hats])
    p /= p.sum()
    q = p
    for _ in range(80):
        before, reached = np.cumsum(q)[:-1], np.cumsum(q[::-1])[-2::-1]
        z = np.where(reached < 0.5, ndtri(reached), -ndtri(before))
        z = np.clip(z, -9.0, 9.0)
        phi = Tangent(knots, z, 1.0).phi(knots, r)
        v = phi / phi[-1]

        def excess(log_stake: float, v: Vector = v) -> float:
            growth = 1.0 + math.exp(log_stake) * v
            divergence = p @ np.log(growth) + math.log(p @ (1.0 / growth))
            return float(divergence) - math.log(1.0 / alpha) / n

        low, high = math.log(2.0**-20), math.log(2.0**30)
        at_limit = excess(high) < 0.0 or excess(low) > 0.0
        stake = math.exp(
            (high if excess(high) < 0 else low) if at_limit else brentq(excess, low, high)
        )
        tilted = p / (1.0 + stake * v)
        # The step goes halfway, because whole steps may go back and forth.
        q = 0.5 * q + 0.5 * tilted / tilted.sum()
    return Tangent(knots, z, stake)


def lower_tangent(
    scores: Vector,
    n_pilot: int,
    r: float,
    alpha: float,
    score_range: tuple[float, float] = (0.0, 1.0),
    mean: str = "betting",
) -> float:
    """Bound the confidence by the tangents and the stake that the first draws suggest."""
    a, b = score_range
    x = (np.asarray(scores, dtype=np.float64) - a) / (b - a)
    pilot, draws = x[:n_pilot], x[n_pilot:]
    tangent = tangent_from_pilot(pilot, r, alpha, len(draws))
    greatest = float(tangent.phi(np.ones(1), r)[0])
    values = tangent.phi(draws, r) / greatest
    share = betting(values, tangent.stake, alpha) if mean == "betting" else bernstein(values, alpha)
    distance = tangent.constant(r) + greatest * max(share, 0.0)
    return a + (b - a) * min(max(distance, 0.0), 1.0)


def upper_bound(
    bound: str,
    scores: Vector,
    r: float,
    alpha: float,
    score_range: tuple[float, float] = (0.0, 1.0),
    n_bins: int | None = None,
    level: float | None = None,
    psi: Psi = shift,
) -> float:
    """Return the upper bound: the reflection of the lower bound of the reflected scores."""
    a, b = score_range
    mirrored = -np.asarray(scores, dtype=np.float64)
    if bound == "mean":
        return -lower_mean(mirrored, r, alpha, (-b, -a), psi=psi)
    return -lower_cdf(mirrored, r, alpha, (-b, -a), n_bins, level, psi)


def certified_radius(
    bound: str,
    scores: Vector,
    threshold: float,
    alpha: float,
    score_range: tuple[float, float] = (0.0, 1.0),
    n_bins: int | None = None,
    level: float | None = None,
    psi: Psi = shift,
) -> float:
    """Return the r = R / sigma at which the lower bound meets the threshold; NaN if none does."""

    def excess(r: float) -> float:
        if bound == "mean":
            return lower_mean(scores, r, alpha, score_range, psi=psi) - threshold
        return lower_cdf(scores, r, alpha, score_range, n_bins, level, psi) - threshold

    if excess(0.0) <= 0.0:
        return math.nan
    high = 1.0
    while excess(high) > 0.0:
        high *= 2.0
    return float(brentq(excess, 0.0, high, xtol=1e-15, rtol=1e-15))
