"""The bounds in numba: the same certificates as the C++ core's, to 1e-12, where it is missing.

The structure is that of the core (cpp/src/certify_row.hpp): distances from the safe end of the
range, gaps between knots, levels as normal quantiles, and margins that round every step to the safe
side.  Sorting and Phi^-1 are left to NumPy and SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainccinv, betaincinv, ndtri

from smoothbound._numba.jit import jit
from smoothbound._numba.order import permuted
from smoothbound._numba.tangent import Tally, TangentBound, bernstein_lower
from smoothbound.backends._chernoff import LEAST_LEVEL, chernoff_lower

__all__ = ["ConfidenceBand", "ScoreCounter", "certifier", "certify_counts"]

Vector = NDArray[np.float64]
Counts = NDArray[np.uint32]

_UNIT = 2.0**-53
# erfc of the C library is good to a few units, but its argument z / sqrt(2) is rounded, which
# erfc magnifies by up to 2 z^2 / 2 units: at z = -38, where it underflows, 3e-13.
_CDF_ERROR = 4e-13
_SUM_ERROR = 1e-14  # math.fsum-like accuracy of the blocked sums below
_QUANTILE_ERROR = 1e-14  # relative, of scipy.special.ndtri
_BETA_ERROR = 1e-12  # relative, of scipy.special.betaincinv
_BLOCK = 64


@jit
def _shifted_sum(gaps: Vector, z: Vector, r: float) -> float:
    """Sum gaps[i] * Phi(z[i] - r), rounded down."""
    total = 0.0
    lost = 0.0
    for start in range(0, gaps.size, _BLOCK):
        block = 0.0
        for i in range(start, min(start + _BLOCK, gaps.size)):
            x = z[i] - r
            x -= abs(x) * 1.5 * _UNIT
            block += gaps[i] * (0.5 * math.erfc(-x * math.sqrt(0.5)))
        after = total + block
        part = after - total
        lost += (total - (after - part)) + (block - part)
        total = after
    safe = (total + lost) * (1.0 - _CDF_ERROR - _SUM_ERROR)
    return max(0.0, safe - 1e-323 * (gaps.size + 1.0))


@jit
def _certified_radius(gaps: Vector, z: Vector, target: float) -> float:
    """Find the largest r whose bound is above the target, by the Illinois rule."""
    low, low_excess = 0.0, _shifted_sum(gaps, z, 0.0) - target
    if not low_excess > 0.0:
        return math.nan
    high, high_excess = 1.0, _shifted_sum(gaps, z, 1.0) - target
    while high_excess > 0.0:
        low, low_excess = high, high_excess
        high *= 2.0
        high_excess = _shifted_sum(gaps, z, high) - target
    low_weight, high_weight = low_excess, high_excess
    for step in range(300):
        if high - low <= 1e-15 * (1.0 + low):
            break
        spread = low_weight - high_weight
        r = low + (high - low) * low_weight / spread if spread > 0.0 else low
        if step % 4 == 3 or not low < r < high:
            r = low + 0.5 * (high - low)
        if not low < r < high:
            break
        excess = _shifted_sum(gaps, z, r) - target
        if excess > 0.0:
            low, low_weight = r, excess
            high_weight *= 0.5
        else:
            high, high_weight = r, excess
            low_weight *= 0.5
    return low


def _deviation(m: int, alpha: float) -> float:
    return math.sqrt(-math.log(alpha) / (2.0 * m)) * (1.0 + 8 * _UNIT)


def _lower_quantile(p: NDArray[Any], complement: NDArray[Any]) -> Vector:
    """Bound Phi^-1(p) from below, from a lower bound on p and an upper bound on 1 - p."""
    with quiet():
        z = np.where(p < 0.5, ndtri(np.maximum(p, 0.0)), -ndtri(np.minimum(complement, 1.0)))
        return np.where(np.isfinite(z), z - np.abs(z) * _QUANTILE_ERROR, -np.inf)


class ConfidenceBand:
    """A one-sided band and its levels at equal-count knots, as in the core (band.hpp)."""

    def __init__(self, kind: str, draws: int, alpha: float, n_bins: int, level: float) -> None:
        n_knots = min(n_bins or draws, draws)
        self.draws = draws
        self.positions = np.arange(n_knots, dtype=np.int64) * draws // n_knots
        self._deviation = _deviation(draws, alpha)
        self._ell = self._ell_levels(level) if kind == "ell" else None
        self.z = self.quantiles(draws - self.positions)

    def _ell_levels(self, level: float) -> Vector:
        m, ranks = self.draws, self.draws - self.positions
        with quiet():
            if level < LEAST_LEVEL:
                p, q = chernoff_lower(ranks, m, level)
            else:
                p = np.asarray(betaincinv(ranks, m + 1 - ranks, level), np.float64)
                q = np.asarray(betainccinv(m + 1 - ranks, ranks, level), np.float64)
        return _lower_quantile(p * (1 - _BETA_ERROR), q * (1 + _BETA_ERROR))

    def quantiles(self, counts: NDArray[np.int64]) -> Vector:
        """Bound Phi^-1(G) from below at points that so many draws reach."""
        if self._ell is not None:
            knot = np.searchsorted(self.positions, self.draws - counts)
            return np.append(self._ell, -np.inf)[knot]
        miss = ((self.draws - counts) / self.draws + self._deviation) * (1 + 4 * _UNIT)
        return _lower_quantile(1.0 - miss - _UNIT, miss)

    def quantile(self, count: int) -> float:
        """Bound Phi^-1(G) from below at a point that `count` draws reach."""
        return float(self.quantiles(np.array([count]))[0])


@dataclass(frozen=True)
class _Task:
    """What does not depend on the scores."""

    m: int
    a: float
    b: float
    side: str
    bound: str
    alpha: float
    mean: str
    n_pilot: int
    order: str
    seed: int
    deviation: float
    band: ConfidenceBand | None
    r: Vector
    targets: Vector

    @property
    def width(self) -> float:
        return self.b - self.a

    def distance(self, x: Vector) -> Vector:
        return x - self.a if self.side == "lower" else self.b - x

    def confidence(self, distance: float) -> float:
        distance = min(max(distance, 0.0), self.width)
        if self.side == "lower":
            return max(self.a, math.nextafter(self.a + distance, -math.inf))
        return min(self.b, math.nextafter(self.b - distance, math.inf))

    def shares(self, row: NDArray[np.floating]) -> Vector:
        """Distances in units of the range, rounded down, in ascending order."""
        shares = self.distance(row.astype(np.float64)) / self.width * (1.0 - 4 * _UNIT)
        return np.sort(np.maximum(np.nextafter(shares, -np.inf), 0.0))

    def tangent(self, row: NDArray[np.floating], number: int) -> TangentBound:
        if self.order == "unknown":  # the order within the pilot and within the rest has no effect
            row = permuted(row, self.n_pilot, self.seed, number)
        pilot, draws = row[: self.n_pilot], row[self.n_pilot :]
        return TangentBound(self.mean, self.alpha, self.shares(pilot), self.shares(draws))

    def by_tangent(
        self, row: NDArray[np.floating], number: int, bounds: Vector, radius: Vector
    ) -> None:
        tangent = self.tangent(row, number)
        for j, r in enumerate(self.r):
            bounds[j] = self.confidence(tangent(float(r)) * self.width * (1.0 - 4 * _UNIT))
        for k, target in enumerate(self.targets):
            radius[k] = tangent.certified_radius(target / self.width * (1.0 + 4 * _UNIT))

    def by_tallied_mean(self, row: NDArray[np.floating], number: int) -> tuple[Vector, Vector]:
        if self.mean == "betting":
            share = self.tangent(row, number)(0.0)
        else:
            identity = np.array([0.0, 1.0])
            share = bernstein_lower(Tally(identity, self.shares(row)), identity, self.alpha)
        p = np.array([share])
        return np.array([self.width]), _lower_quantile(p, 1.0 - p)

    def by_mean(self, row: Vector, number: int) -> tuple[Vector, Vector]:
        if self.mean != "hoeffding":
            return self.by_tallied_mean(row, number)
        scale = 2.0**-64 if self.width > 1.0 else 1.0  # so that no sum overflows
        total = math.fsum(self.distance(row) * scale)
        mean = total / (self.m * (self.width * scale)) * (1.0 - 16 * _UNIT)
        p = np.array([mean - self.deviation - _UNIT])
        q = np.array([((1.0 - mean) + self.deviation) * (1 + 4 * _UNIT)])
        return np.array([self.width]), _lower_quantile(p, q)

    def by_cdf(self, row: NDArray[np.floating]) -> tuple[Vector, Vector]:
        ordered = np.sort(row).astype(np.float64)
        distances = self.distance(ordered if self.side == "lower" else ordered[::-1])
        assert self.band is not None
        knots = distances[self.band.positions]
        gaps = np.diff(knots, prepend=0.0)
        first = np.searchsorted(distances, knots, side="left")  # m - first draws reach the knot
        z = self.band.z.copy()
        tied = first != self.band.positions
        z[tied] = self.band.quantiles(self.m - first[tied])
        return gaps, z

    def __call__(
        self, row: NDArray[np.floating], number: int, bounds: Vector, radius: Vector
    ) -> None:
        if self.bound == "tangent":
            self.by_tangent(row, number, bounds, radius)
            return
        if self.bound == "mean":
            gaps, z = self.by_mean(row.astype(np.float64), number)
        else:
            gaps, z = self.by_cdf(row)
        for j, r in enumerate(self.r):
            bounds[j] = self.confidence(_shifted_sum(gaps, z, r))
        for k, target in enumerate(self.targets):
            radius[k] = _certified_radius(gaps, z, target)


def quiet() -> np.errstate:
    """Let infinities and underflow pass, whatever the caller told NumPy to do about them."""
    return np.errstate(all="ignore")


def _scaled_radii(radii: Vector, sigma: float) -> Vector:
    with quiet():
        return np.where(radii == 0.0, 0.0, np.nextafter(radii / sigma, np.inf))


def _input_radii(r: Vector, sigma: float) -> Vector:
    with quiet():
        radii = r * sigma
        return np.where(radii > 0.0, np.nextafter(radii, -np.inf), radii)


def certifier(
    n_draws: int, *, radii: tuple[float, ...], thresholds: tuple[float, ...], **options: Any
) -> Callable[..., tuple[Vector, Vector, int]]:
    """Return `certify` with its options; as in the C++ core, but with nothing prepared."""
    return partial(certify, radii=np.array(radii), thresholds=np.array(thresholds), **options)


def certify(
    scores: NDArray[np.floating],
    first_row: int = 0,
    *,
    sigma: float,
    alpha: float,
    a: float,
    b: float,
    side: str,
    bound: str,
    band: ConfidenceBand | None,
    mean: str,
    n_pilot: int,
    order: str,
    seed: int,
    radii: Vector,
    thresholds: Vector,
    threads: int,
) -> tuple[Vector, Vector, int]:
    """Certify every row; arguments and results as in the C++ core's batch call."""
    n_inputs, m = scores.shape
    bounds = np.empty((n_inputs, radii.size))
    radius = np.empty((n_inputs, thresholds.size))
    # float64: a comparison with a and b in the type of the row would round these.
    wide = (row.astype(np.float64) for row in scores)
    valid = [bool(np.all((row >= a) & (row <= b))) for row in wide]
    if not all(valid):
        return bounds, radius, valid.index(False)
    r = _scaled_radii(radii, sigma)
    distances = thresholds - a if side == "lower" else b - thresholds
    task = _Task(
        m=m,
        a=a,
        b=b,
        side=side,
        bound=bound,
        alpha=alpha,
        mean=mean,
        n_pilot=n_pilot,
        order=order,
        seed=seed,
        deviation=_deviation(m, alpha),
        band=band,
        r=r,
        targets=np.nextafter(distances, np.inf),
    )
    _for_each_row(task, threads, scores, range(first_row, first_row + n_inputs), bounds, radius)
    return bounds, _input_radii(radius, sigma), -1


def _for_each_row(task: Callable[..., None], threads: int, *columns: Any) -> None:
    """Call the task with the elements of each row of the columns."""

    def run(*row: Any) -> None:
        with quiet():  # in the thread that runs it
            task(*row)

    if threads == 1 or len(columns[0]) == 1:
        for row in zip(*columns, strict=True):
            run(*row)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, *columns))


@jit
def _count(row: Vector, edges: Vector, first: NDArray[np.int64], scale: float, out: Counts) -> bool:
    """Add the scores of a row to the cells that the edges make; False where one is bad."""
    last = first.size - 2
    for x in row:
        if not (x >= edges[0] and x <= edges[-1]):
            return False
        guess = min(int((x - edges[0]) * scale), last)
        low, high = first[guess], first[guess + 1]  # of the number of edges <= x
        while low < high:
            middle = (low + high) // 2
            if edges[middle] <= x:
                low = middle + 1
            else:
                high = middle
        out[2 * low - 2 if edges[low - 1] == x else 2 * low - 1] += 1
    return True


class ScoreCounter:
    """Count scores into the cells of fixed edges, as the class of the C++ core does."""

    def __init__(self, edges: Vector) -> None:
        self._edges = edges
        n = 2 * (edges.size - 1)
        with quiet():
            scale = n / (edges[-1] - edges[0])
            self._scale = float(scale) if np.isfinite(scale) else 0.0
            cells = np.minimum(((edges - edges[0]) * self._scale).astype(np.int64), n)
        self._first = np.searchsorted(cells, np.arange(n + 2))

    def count(self, scores: NDArray[np.floating], counts: Counts, threads: int) -> int:
        """Add every row to its counts; or none, and return the first row with a bad score."""
        found = np.zeros_like(counts)

        def count_row(row: NDArray[np.floating], out: Counts) -> bool:
            return bool(_count(row.astype(np.float64), self._edges, self._first, self._scale, out))

        with ThreadPoolExecutor(threads) as pool:
            valid = list(pool.map(count_row, scores, found))
        if not all(valid):
            return valid.index(False)
        counts += found
        return -1


def certify_counts(
    edges: Vector,
    counts: Counts,
    *,
    sigma: float,
    alpha: float,
    side: str,
    band: ConfidenceBand,
    radii: Vector,
    thresholds: Vector,
    threads: int,
) -> tuple[Vector, Vector]:
    """Certify every row of counts; arguments and results as in the C++ core's batch call."""
    a, b, m = float(edges[0]), float(edges[-1]), band.draws
    step = 1 if side == "lower" else -1  # the upper side: cells and edges from the other end
    ordered = edges[::step]
    r = _scaled_radii(radii, sigma)
    targets = np.nextafter(thresholds - a if side == "lower" else b - thresholds, np.inf)
    task = _Task(
        m=m,
        a=a,
        b=b,
        side=side,
        bound="cdf",
        alpha=alpha,
        mean="hoeffding",
        n_pilot=0,
        order="drawn",
        seed=0,
        deviation=_deviation(m, alpha),
        band=band,
        r=r,
        targets=targets,
    )

    def certify_row(cells: Counts, bounds: Vector, radius: Vector) -> None:
        reached = m - np.cumsum(cells[::step], dtype=np.int64)[1::2]  # each edge but the first
        useful = np.append(reached[1:] < reached[:-1], True) & (reached > 0)
        gaps = np.abs(np.diff(ordered[1:][useful], prepend=ordered[0])) * (1.0 - 2 * _UNIT)
        z = band.quantiles(reached[useful])
        bounds[:] = [task.confidence(_shifted_sum(gaps, z, shift)) for shift in r]
        radius[:] = [_certified_radius(gaps, z, target) for target in targets]

    bounds = np.empty((len(counts), radii.size))
    radius = np.empty((len(counts), thresholds.size))
    _for_each_row(certify_row, threads, counts, bounds, radius)
    return bounds, _input_radii(radius, sigma)
