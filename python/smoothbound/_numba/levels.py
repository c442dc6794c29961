"""Probabilities and quantiles of scores without the core, as in cpp/src/levels.cpp."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smoothbound._numba._means.mean import CDF_ERROR
from smoothbound._numba.bounds import order_quantiles, quiet
from smoothbound.backends._names import Side
from smoothbound.curves._curve import Curve
from smoothbound.curves._knot_sum import largest_radius, probabilities

__all__ = ["binomial_quantile", "bound_level_counts", "bound_levels"]

Vector = NDArray[np.float64]
Counts = NDArray[np.int64]

_MOST_LEVEL = 0.5  # as in the core: a larger alpha counts as this
_QUANTILE_ERROR = 1e-14  # relative, of scipy.special.ndtri
_LEAST = 5e-324


def _quantiles(counts: Counts, n_draws: int, alpha: float) -> Vector:
    """Bound Phi^-1(p) from below, p the bound of Clopper and Pearson; -inf for a count of 0."""
    level, k = min(alpha, _MOST_LEVEL), np.maximum(counts, 1)
    return np.where(counts == 0, -np.inf, order_quantiles(k, n_draws, level))


def binomial_quantile(k: int, n_draws: int, alpha: float) -> float:
    """Bound Phi^-1(p) from below, p the bound of Clopper and Pearson from k of n_draws draws."""
    return float(_quantiles(np.array([k]), n_draws, alpha)[0])


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What all rows share; the arguments are those of the core's functions."""

    n_draws: int
    statistic: str
    levels: Vector
    sigma: float
    alpha: float
    a: float
    b: float
    side: Side
    radii: Vector
    thresholds: Vector
    threads: int
    curve: Curve | None = None  # None: the Gaussian

    @property
    def counted(self) -> Vector:
        """The scores at which a row has to be counted."""
        return self.levels if self.statistic == "probability" else self.thresholds

    @cached_property
    def shifts(self) -> Vector:
        """R / sigma of each radius, rounded up; R where there is no scale."""
        if self.curve is not None and not self.curve.has_scale:
            return self.radii
        with quiet():
            shifts = np.nextafter(self.radii / self.sigma, np.inf)
            return np.where(self.radii == 0.0, 0.0, shifts)

    @cached_property
    def goals(self) -> Vector:
        """Upper bounds on what a probability has to be above; for the Gaussian on their Phi^-1."""
        if self.curve is not None:
            if self.statistic == "probability":
                return self.thresholds
            return np.nextafter(1 - self.levels, 2) if self.side == "lower" else self.levels
        if self.statistic == "probability":
            z = np.asarray(ndtri(self.thresholds))
        else:
            z = np.asarray(ndtri(self.levels)) * (-1.0 if self.side == "lower" else 1.0)
        return np.nextafter(z + np.abs(z) * _QUANTILE_ERROR, np.inf)

    @cached_property
    def ranks(self) -> Counts:
        """The ranks of the draws that bound the quantiles, (n_levels, n_radii); 0: none does."""
        shape = (self.levels.size, self.radii.size)
        low, high = np.zeros(shape, np.int64), np.full(shape, self.n_draws)
        none = ~self._passes(high)
        while (high - low > 1).any():
            middle = np.where(high - low > 1, (low + high) // 2, high)
            passes = self._passes(middle)
            low, high = np.where(passes, low, middle), np.where(passes, middle, high)
        return np.where(none, 0, high)

    def _passes(self, counts: Counts) -> NDArray[np.bool_]:
        """Say whether counts, (n_levels, n_radii), have psi of their levels above the goals."""
        z = self._level_of(counts)
        if self.curve is None:
            return np.asarray(z > np.nextafter(self.goals[:, None] + self.shifts, np.inf))
        return np.asarray(self._psi(self.curve, z) > self.goals[:, None])

    def _psi(self, curve: Curve, z: Vector) -> Vector:
        """Bound psi at the radii, which are along the last axis, from below."""
        p, q = probabilities(z)
        p, q = (np.broadcast_to(each, (*z.shape[:-1], self.shifts.size)) for each in (p, q))
        at = [curve.between(p[..., j], q[..., j], r) for j, r in enumerate(self.shifts.tolist())]
        return np.stack(at, axis=-1) if at else np.empty(p.shape)

    def _level_of(self, counts: Counts) -> Vector:
        return _quantiles(counts, self.n_draws, self.alpha)

    def results(self, counts: Counts, ranked: Vector) -> tuple[Vector, Vector]:
        """Return bounds and radii from the counts of all rows, or from their ranked draws."""
        z = self._level_of(counts)[..., None]
        with quiet():
            bounds = self._bounds(z) if self.statistic == "probability" else ranked
            return bounds, self._radius(z)

    def _bounds(self, z: Vector) -> Vector:
        if self.curve is not None:
            kept = self._psi(self.curve, z)
            lost = np.where(kept > 0.0, np.minimum(np.nextafter(1.0 - kept, 2.0), 1.0), 1.0)
            return kept if self.side == "lower" else lost
        if self.side == "lower":
            p = ndtr(np.nextafter(z - self.shifts, -np.inf))
            return np.asarray(np.maximum(p - p * CDF_ERROR - _LEAST, 0.0))
        p = ndtr(np.nextafter(self.shifts - z, np.inf))
        return np.asarray(np.minimum(p + p * CDF_ERROR + _LEAST, 1.0))

    def _radius(self, z: Vector) -> Vector:
        if not self.thresholds.size:
            return np.empty((len(z), self.levels.size, 0))
        if self.curve is None:
            r = np.nextafter(z - self.goals, -np.inf)
            r = np.where(r >= 0.0, r, np.nan)
        else:
            found = [[self._farthest(self.curve, at) for at in row] for row in z]
            r = np.array(found).reshape(*z.shape[:-1], self.goals.size)
        radius = r
        if self.curve is None or self.curve.has_scale:
            radius = r * self.sigma
            radius = np.where(radius > 0.0, np.nextafter(radius, -np.inf), radius)
        return radius if self.statistic == "probability" else np.swapaxes(radius, 1, 2)

    def _farthest(self, curve: Curve, z: Vector) -> list[float]:
        """Return the largest r for each goal, with psi of one level above it; NaN without one."""
        p, q = probabilities(z)

        def excess(r: float, goal: float) -> float:
            return float(curve.between(p, q, r)[0]) - goal

        return [largest_radius(curve, partial(excess, goal=goal)) for goal in self.goals.tolist()]

    def trivial(self, n_inputs: int) -> Vector:
        """Return bounds on quantiles that are the end of the range."""
        shape = (n_inputs, self.levels.size, self.radii.size)
        return np.full(shape, self.a if self.side == "lower" else self.b)


def bound_levels(scores: NDArray[np.floating], **options: Any) -> tuple[Vector, Vector, int]:
    """Certify every row; arguments and results as in the C++ core."""
    plan = _Plan(n_draws=scores.shape[1], **options)
    counts = np.zeros((len(scores), plan.counted.size), np.int64)
    ranked = plan.trivial(len(scores))
    for i, narrow in enumerate(scores):
        row = narrow.astype(np.float64)
        if not ((row >= plan.a) & (row <= plan.b)).all():
            return ranked, np.empty((len(scores), plan.levels.size, plan.thresholds.size)), i
        for j, level in enumerate(plan.counted):
            reach = int(np.count_nonzero(row >= level))
            counts[i, j] = reach if plan.side == "lower" else row.size - reach
        if plan.statistic == "quantile":
            ranked[i] = _ranked(np.sort(row), plan, ranked[i])
    return *plan.results(counts, ranked), -1


def _ranked(ordered: Vector, plan: _Plan, trivial: Vector) -> Vector:
    """Return the draws of all ranks; `trivial` where there is none."""
    place = ordered.size - plan.ranks if plan.side == "lower" else plan.ranks - 1
    drawn = ordered[np.where(plan.ranks > 0, place, 0)] + 0.0  # one zero, whatever its sign
    return np.where(plan.ranks > 0, drawn, trivial)


def bound_level_counts(
    edges: Vector, counts: NDArray[np.uint32], n_draws: int, **options: Any
) -> tuple[Vector, Vector]:
    """Certify every row of counts; arguments and results as in the C++ core."""
    plan = _Plan(n_draws=n_draws, a=float(edges[0]), b=float(edges[-1]), **options)
    lower = plan.side == "lower"
    at = np.searchsorted(edges, plan.counted)
    # The first cell that reaches a level wholly, or the first that is not wholly below it.
    cells = 2 * at if lower else 2 * at - (np.append(edges, np.nan)[at] != plan.counted)
    cells = np.clip(cells, 0, 2 * edges.size - 1)
    reached = np.empty((len(counts), plan.counted.size), np.int64)
    ranked = plan.trivial(len(counts))
    for i, row in enumerate(counts):
        before = np.append(0, np.cumsum(row, dtype=np.int64))
        reached[i] = n_draws - before[cells] if lower else before[cells]
        if plan.statistic == "quantile":
            place = n_draws - plan.ranks if lower else plan.ranks - 1
            cell = np.searchsorted(before, np.where(plan.ranks > 0, place, 0), side="right") - 1
            drawn = edges[cell // 2 if lower else (cell + 1) // 2] + 0.0
            ranked[i] = np.where(plan.ranks > 0, drawn, ranked[i])
    return plan.results(reached, ranked)
