"""The bounds in numba, for machines without the C++ core, whose certificates they equal to 1e-12.

The structure is that of the core (cpp/src/certify_row.hpp): distances from the safe end of the
range, gaps between knots, levels as normal quantiles, and margins that round every step to the safe
side. NumPy and SciPy do the sorting and Phi^-1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import (
    betainc,
    betaincc,
    betainccinv,
    betaincinv,
    betaln,
    ndtri,
    xlog1py,
    xlogy,
)

from smoothbound._numba._means.aimed import AimedBets
from smoothbound._numba._means.joint import JointBound
from smoothbound._numba._means.mean import CDF_ERROR, UNIT, Tally, bernstein_lower
from smoothbound._numba._means.tangent import TangentBound
from smoothbound._numba.jit import jit
from smoothbound._numba.order import permuted
from smoothbound.backends._chernoff import LEAST_LEVEL, chernoff_lower
from smoothbound.backends._names import JOINT_BAND_SHARE, Band, Bound, Mean, Order, Side
from smoothbound.curves._curve import Curve
from smoothbound.curves._knot_sum import KnotSum, largest_radius, probabilities
from smoothbound.curves._named import GAUSSIAN

__all__ = [
    "ConfidenceBand",
    "Plan",
    "ScoreCounter",
    "bound_counts",
    "lower_quantile",
    "order_quantiles",
    "quiet",
]

Vector = NDArray[np.float64]
Counts = NDArray[np.uint32]

_SUM_ERROR = 1e-14  # math.fsum-like accuracy of the blocked sums below
_QUANTILE_ERROR = 1e-14  # relative, of scipy.special.ndtri
_BETA_ERROR = 1e-12  # relative, of scipy.special.betaincinv and a step of Newton's method
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
            x -= abs(x) * 1.5 * UNIT
            block += gaps[i] * (0.5 * math.erfc(-x * math.sqrt(0.5)))
        after = total + block
        part = after - total
        lost += (total - (after - part)) + (block - part)
        total = after
    safe = (total + lost) * (1.0 - CDF_ERROR - _SUM_ERROR)
    return max(0.0, safe - 1e-323 * (gaps.size + 1.0))


def _deviation(n_draws: int, alpha: float) -> float:
    return math.sqrt(-math.log(alpha) / (2.0 * n_draws)) * (1.0 + 8 * UNIT)


def lower_quantile(p: NDArray[Any], complement: NDArray[Any]) -> Vector:
    """Bound Phi^-1(p) from below, from a lower bound on p and an upper bound on 1 - p."""
    with quiet():
        z = np.where(p < 0.5, ndtri(np.maximum(p, 0.0)), -ndtri(np.minimum(complement, 1.0)))
        return np.where(np.isfinite(z), z - np.abs(z) * _QUANTILE_ERROR, -np.inf)


def order_quantiles(k: NDArray[np.int64], n_draws: int, level: float) -> Vector:
    """Bound Phi^-1 of the level-quantiles of Beta(k, n_draws + 1 - k) from below, k >= 1."""
    rest = n_draws + 1 - k
    with quiet():
        if level < LEAST_LEVEL:
            p, q = chernoff_lower(k, n_draws, level)
        else:
            p = np.asarray(betaincinv(k, rest, level), np.float64)
            q = np.asarray(betainccinv(rest, k, level), np.float64)
            p = p - _step(betainc(k, rest, p) - level, p, k, rest)
            q = q + _step(betaincc(rest, k, q) - level, q, rest, k)
    return lower_quantile(p * (1 - _BETA_ERROR), q * (1 + _BETA_ERROR))


def _step(excess: Any, x: Vector, a: NDArray[np.int64], b: NDArray[np.int64]) -> Vector:
    """Return a step of Newton's method, because the inverses of SciPy err by up to 1e-9."""
    density = np.exp(xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b))
    step = excess / density
    return np.asarray(np.where(np.isfinite(step), step, 0.0))


class ConfidenceBand:
    """A one-sided band and its levels at equal-count knots, as in the core (band.hpp)."""

    def __init__(self, kind: Band, n_draws: int, alpha: float, n_bins: int, level: float) -> None:
        n_knots = min(n_bins or n_draws, n_draws)
        self.n_draws = n_draws
        self.positions = np.arange(n_knots, dtype=np.int64) * n_draws // n_knots
        self._deviation = _deviation(n_draws, alpha)
        self._ell = self._ell_levels(level) if kind == "ell" else None
        self.z = self.quantiles(n_draws - self.positions)

    def _ell_levels(self, level: float) -> Vector:
        return order_quantiles(self.n_draws - self.positions, self.n_draws, level)

    def quantiles(self, counts: NDArray[np.int64]) -> Vector:
        """Bound Phi^-1(G) from below at points that these numbers of draws reach."""
        if self._ell is not None:
            knot = np.searchsorted(self.positions, self.n_draws - counts)
            return np.append(self._ell, -np.inf)[knot]
        miss = ((self.n_draws - counts) / self.n_draws + self._deviation) * (1 + 4 * UNIT)
        return lower_quantile(1.0 - miss - UNIT, miss)

    def quantile(self, count: int) -> float:
        """Bound Phi^-1(G) from below at a point that `count` draws reach."""
        return float(self.quantiles(np.array([count]))[0])


@dataclass(frozen=True)
class Plan:
    """Certify rows of scores; options, arguments and results are those of the C++ core's class."""

    n_draws: int
    _: KW_ONLY
    sigma: float
    alpha: float
    a: float
    b: float
    side: Side
    bound: Bound
    band: ConfidenceBand | None
    mean: Mean
    n_pilot: int
    order: Order
    seed: int
    radii: Sequence[float]
    thresholds: Sequence[float]
    threads: int
    curve: Curve | None = None  # None: the Gaussian

    @cached_property
    def shifts(self) -> Vector:
        """R / sigma of each radius, rounded up."""
        radii = np.asarray(self.radii, np.float64)
        if not self.has_scale:
            return radii
        with quiet():
            return np.where(radii == 0.0, 0.0, np.nextafter(radii / self.sigma, np.inf))

    @cached_property
    def targets(self) -> Vector:
        """Distance of each threshold from the safe end of the range, rounded up."""
        return np.nextafter(self.distance(np.asarray(self.thresholds, np.float64)), np.inf)

    @property
    def has_scale(self) -> bool:
        return self.curve is None or self.curve.has_scale

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

    def certify(
        self, scores: NDArray[np.floating], first_row: int = 0
    ) -> tuple[Vector, Vector, int]:
        """Return the bounds, the radii and -1; or the number of the first row with a bad score."""
        bounds, radius = self.empty(len(scores))
        # In float64, because a comparison in the type of the row would round a and b.
        wide = (row.astype(np.float64) for row in scores)
        valid = [bool(np.all((row >= self.a) & (row <= self.b))) for row in wide]
        if not all(valid):
            return bounds, radius, valid.index(False)
        numbers = range(first_row, first_row + len(scores))
        _for_each_row(self.certify_row, self.threads, scores, numbers, bounds, radius)
        return bounds, self.input_radii(radius), -1

    def empty(self, n_inputs: int) -> tuple[Vector, Vector]:
        """Return room for the bounds and the radii."""
        return np.empty((n_inputs, len(self.radii))), np.empty((n_inputs, len(self.thresholds)))

    def input_radii(self, r: Vector) -> Vector:
        """Return R = r sigma, rounded down."""
        if not self.has_scale:
            return r
        with quiet():
            radii = r * self.sigma
            return np.where(radii > 0.0, np.nextafter(radii, -np.inf), radii)

    def certify_row(
        self, row: NDArray[np.floating], number: int, bounds: Vector, radius: Vector
    ) -> None:
        if self.bound in ("tangent", "joint"):
            self.by_pilot(row, number, bounds, radius)
            if self.bound == "joint":
                self.improve_by_band(row, bounds, radius)
        elif self.bound == "mean":
            self.by_curve(*self.mean_curve(row.astype(np.float64), number), bounds, radius)
        else:
            self.by_curve(*self.cdf_curve(row), bounds, radius)

    def by_curve(self, gaps: Vector, z: Vector, bounds: Vector, radius: Vector) -> None:
        """Fill the results from the sum over the gaps between knots, at levels Phi(z)."""
        if self.curve is not None:
            knots = KnotSum(gaps, *self.probabilities(z), self.curve)
            bounds[:] = [self.confidence(knots(float(r))) for r in self.shifts]
            radius[:] = [knots.certified_radius(float(target)) for target in self.targets]
            return

        def excess(r: float, target: float) -> float:
            return float(_shifted_sum(gaps, z, r) - target)

        bounds[:] = [self.confidence(_shifted_sum(gaps, z, r)) for r in self.shifts]
        radius[:] = [largest_radius(GAUSSIAN, partial(excess, target=c)) for c in self.targets]

    @cached_property
    def band_probabilities(self) -> tuple[Vector, Vector]:
        """The levels of the band at the knots, as probabilities p and 1 - p."""
        assert self.band is not None
        return probabilities(self.band.z)

    def probabilities(self, z: Vector) -> tuple[Vector, Vector]:
        """Return levels as probabilities; without ties all are those of the band."""
        if self.band is None or z.size != self.band.z.size:
            return probabilities(z)
        p, q = (known.copy() for known in self.band_probabilities)
        tied = z != self.band.z
        p[tied], q[tied] = probabilities(z[tied])
        return p, q

    def by_pilot(
        self, row: NDArray[np.floating], number: int, bounds: Vector, radius: Vector
    ) -> None:
        """Fill the results from the tangent or the joint bound."""
        bound = self.pilot_bound(row, number)
        for j, r in enumerate(self.shifts):
            bounds[j] = self.confidence(bound(float(r)) * self.width * (1.0 - 4 * UNIT))
        for k, target in enumerate(self.targets):
            radius[k] = bound.certified_radius(target / self.width * (1.0 + 4 * UNIT))

    def improve_by_band(self, row: NDArray[np.floating], bounds: Vector, radius: Vector) -> None:
        """Replace the results of the joint bound where Theorem 2 has better ones."""
        by_band, of_band = np.empty_like(bounds), np.empty_like(radius)
        self.by_curve(*self.cdf_curve(row), by_band, of_band)
        better = np.maximum if self.side == "lower" else np.minimum
        better(bounds, by_band, out=bounds)
        np.fmax(radius, of_band, out=radius)  # either may be NaN

    def pilot_bound(self, row: NDArray[np.floating], number: int) -> TangentBound | JointBound:
        row = self.ordered(row, self.n_pilot, number)  # within both parts it has no effect
        pilot, draws = self.shares(row[: self.n_pilot]), self.shares(row[self.n_pilot :])
        if self.bound == "joint":
            return JointBound(self.alpha * (1.0 - JOINT_BAND_SHARE), pilot, draws)
        return TangentBound(self.mean, self.alpha, pilot, draws)

    def ordered(self, row: NDArray[np.floating], n_first: int, number: int) -> NDArray[np.floating]:
        """Permute a row whose order is unknown: its first places have to be random."""
        return permuted(row, n_first, self.seed, number) if self.order == "unknown" else row

    def shares_in_order(self, row: NDArray[np.floating]) -> Vector:
        """Distances in units of the range, rounded down; 1 at the far end of the range."""
        scores = row.astype(np.float64)
        shares = self.distance(scores) / self.width * (1.0 - 4 * UNIT)
        lowered = np.maximum(np.nextafter(shares, -np.inf), 0.0)
        far_end = self.b if self.side == "lower" else self.a
        return np.where(scores == far_end, 1.0, lowered)

    def shares(self, row: NDArray[np.floating]) -> Vector:
        """Distances in units of the range, rounded down, in ascending order."""
        shares = self.distance(row.astype(np.float64)) / self.width * (1.0 - 4 * UNIT)
        return np.sort(np.maximum(np.nextafter(shares, -np.inf), 0.0))

    def mean_curve(self, row: Vector, number: int) -> tuple[Vector, Vector]:
        """Return one gap, the whole range, and the level of the bound on the mean."""
        if self.mean != "hoeffding":
            share = self.share_of_mean(row, number)
            p = np.array([share])
            return np.array([self.width]), lower_quantile(p, 1.0 - p)
        scale = 2.0**-64 if self.width > 1.0 else 1.0  # so that no sum overflows
        total = math.fsum(self.distance(row) * scale)
        mean = total / (self.n_draws * (self.width * scale)) * (1.0 - 16 * UNIT)
        deviation = _deviation(self.n_draws, self.alpha)
        p = np.array([mean - deviation - UNIT])
        q = np.array([((1.0 - mean) + deviation) * (1 + 4 * UNIT)])
        return np.array([self.width]), lower_quantile(p, q)

    def share_of_mean(self, row: NDArray[np.floating], number: int) -> float:
        """Bound the mean distance, in units of the range, by betting or Bernstein's inequality."""
        if self.mean == "betting":
            ordered = self.ordered(row, len(row), number)
            return AimedBets(self.alpha)(self.shares_in_order(ordered))
        identity = np.array([0.0, 1.0])
        return bernstein_lower(Tally(identity, self.shares(row)), identity, self.alpha)

    def cdf_curve(self, row: NDArray[np.floating]) -> tuple[Vector, Vector]:
        """Return the gaps between the knots of a row and the levels of the band there."""
        ordered = np.sort(row).astype(np.float64)
        distances = self.distance(ordered if self.side == "lower" else ordered[::-1])
        assert self.band is not None
        knots = distances[self.band.positions]
        gaps = np.diff(knots, prepend=0.0)
        tied = np.flatnonzero(distances[self.band.positions[1:] - 1] == knots[1:]) + 1
        first = np.searchsorted(distances, knots[tied], side="left")
        z = self.band.z.copy()
        z[tied] = self.band.quantiles(self.n_draws - first)  # as many draws reach the knot
        return gaps, z


def quiet() -> np.errstate:
    """Ignore infinities and underflow, for any settings of NumPy by the caller."""
    return np.errstate(all="ignore")


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
    """Count the scores of a row in the cells of the edges; return False if one is out of range."""
    last = first.size - 2
    for x in row:
        if not (x >= edges[0] and x <= edges[-1]):
            return False
        guess = min(int((x - edges[0]) * scale), last)
        low, high = first[guess], first[guess + 1]  # limits of the number of edges <= x
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
        """Add every row to its counts and return -1; or add none and return the first bad row."""
        found = np.zeros_like(counts)

        def count_row(row: NDArray[np.floating], out: Counts) -> bool:
            return bool(_count(row.astype(np.float64), self._edges, self._first, self._scale, out))

        with ThreadPoolExecutor(threads) as pool:
            valid = list(pool.map(count_row, scores, found))
        if not all(valid):
            return valid.index(False)
        counts += found
        return -1


def bound_counts(
    edges: Vector, counts: Counts, *, band: ConfidenceBand, **options: Any
) -> tuple[Vector, Vector]:
    """Certify every row of counts; arguments and results as in the C++ core's batch call."""
    task = Plan(
        band.n_draws,
        a=float(edges[0]),
        b=float(edges[-1]),
        bound="cdf",
        band=band,
        mean="hoeffding",
        n_pilot=0,
        order="drawn",
        seed=0,
        **options,
    )
    step = 1 if task.side == "lower" else -1  # the upper side begins at the other end
    ordered = edges[::step]

    def certify_row(cells: Counts, bounds: Vector, radius: Vector) -> None:
        passed = np.cumsum(cells[::step], dtype=np.int64)[1::2]  # draws before each edge
        reached = band.n_draws - passed  # each edge but the first
        useful = np.append(reached[1:] < reached[:-1], True) & (reached > 0)
        gaps = np.abs(np.diff(ordered[1:][useful], prepend=ordered[0])) * (1.0 - 2 * UNIT)
        task.by_curve(gaps, band.quantiles(reached[useful]), bounds, radius)

    bounds, radius = task.empty(len(counts))
    _for_each_row(certify_row, task.threads, counts, bounds, radius)
    return bounds, task.input_radii(radius)
