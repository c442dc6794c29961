"""The same certificates by other programs, for comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import norm

Vector = NDArray[np.float64]


def authors(
    scores: Vector, radii: Vector, alpha: float, n_bins: int, sigma: float
) -> tuple[Vector, Vector]:
    """Follow the algorithm of the published experiments, in our words.

    For one input and each radius: visit every knot, ask scipy.stats.norm for the shifted level,
    add the slice.  Theorem 1 likewise, from the mean.  No radius for a threshold.
    """
    ordered = np.sort(scores)
    m = len(ordered)
    knots = [float(ordered[i * m // n_bins]) for i in range(n_bins)]
    epsilon = math.sqrt(math.log(1 / alpha) / (2 * m))
    by_cdf, by_mean = [], []
    for radius in radii:
        bound, previous = 0.0, 0.0
        for i, knot in enumerate(knots):
            level = max((n_bins - i) / n_bins - epsilon, 0.0)
            bound += (knot - previous) * norm.cdf(norm.ppf(level) - radius / sigma)
            previous = knot
        by_cdf.append(bound)
        by_mean.append(norm.cdf(norm.ppf(max(scores.mean() - epsilon, 0.0)) - radius / sigma))
    return np.array(by_cdf), np.array(by_mean)


@dataclass
class BestNumpy:
    """NumPy and SciPy with every trick we know, for distinct scores in [0, 1].

    One vectorised sort of all rows; levels and weights computed once for all rows; all radii in
    one matrix product; the search over the radius for all rows together, by the secant rule in
    the coordinate Phi^-1(bound), started from the bounds at the given radii.
    """

    sigma: float
    alpha: float
    n_bins: int | None

    def __call__(
        self, scores: NDArray[np.float32], radii: Vector, threshold: float
    ) -> tuple[Vector, Vector, Vector]:
        m = scores.shape[1]
        n = self.n_bins or m
        epsilon = math.sqrt(math.log(1 / self.alpha) / (2 * m))
        shifts = radii / self.sigma
        by_mean = ndtr(ndtri(scores.mean(axis=1, dtype=np.float64) - epsilon)[:, None] - shifts)
        positions = np.arange(n) * m // n
        ordered = np.sort(scores, axis=1)
        knots = ordered if n == m else ordered[:, positions]
        gaps = np.diff(knots.astype(np.float64), axis=1, prepend=0.0)
        z = ndtri(np.maximum((m - positions) / m - epsilon, 0.0))
        weights = ndtr(z[:, None] - shifts)
        by_cdf = gaps @ weights
        return by_cdf, by_mean, self.sigma * self._search(gaps, z, by_cdf, shifts, threshold)

    @staticmethod
    def _search(
        gaps: Vector, z: Vector, bounds: Vector, shifts: Vector, threshold: float
    ) -> Vector:
        goal = ndtri(threshold)
        height = ndtri(bounds) - goal
        last = np.maximum((bounds > threshold).sum(axis=1) - 1, 0)
        rows = np.arange(len(gaps))
        other = np.minimum(last + 1, len(shifts) - 1)
        r, h = shifts[last], height[rows, last]
        r_old, h_old = shifts[other], height[rows, other]
        for _ in range(12):
            moving = np.abs(h) > 1e-13
            if not moving.any():
                break
            with np.errstate(invalid="ignore", divide="ignore"):
                step = np.where(moving, h * (r - r_old) / (h_old - h), 0.0)
            r_old, h_old = r, h
            r = r + step
            h = np.array(
                [
                    ndtri(g @ ndtr(z - x)) - goal if go else y
                    for g, x, y, go in zip(gaps, r, h, moving, strict=True)
                ]
            )
        return r
