"""The joint bound, slowly and as docs/joint.md states it, for the tests.

Nothing is rounded to the safe side here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import ndtr

from smoothbound.backends.reference import betting, ell_level, lower_cdf, tangent_from_pilot

__all__ = ["RADII", "dual", "lower_joint"]

Vector = NDArray[np.float64]

RADII = (0.0, 0.4, 0.9, 1.8, 3.3)


def dual(
    r: float, mixture: Sequence[float] | Vector, lengths: Vector, weights: Vector, means: Vector
) -> float:
    """Return sum lambda_k W_k + sum h_i inf over p of (psi_r(p) - u_i p), u = sum lambda_k w_k.

    Examples
    --------
    One interval with the weight 1, whose mean is at least 0.9, at r = 0.

    >>> dual(0.0, [1.0], np.array([1.0]), np.array([[1.0]]), np.array([0.9]))
    0.9
    """
    chosen = np.asarray(mixture)
    u = chosen @ weights
    if r == 0.0:
        least = np.minimum(0.0, 1.0 - u)
    else:
        z = (np.log(np.maximum(u, 1e-300)) + r * r / 2) / r
        least = ndtr(z - r) - u * ndtr(z)
    return float(chosen @ means + lengths @ least)


def lower_joint(
    scores: Vector,
    n_pilot: int,
    r: float,
    alpha: float,
    score_range: tuple[float, float] = (0.0, 1.0),
) -> float:
    """Bound the confidence at r by the tangents at RADII and by a band, at 7/8 and 1/8 of alpha."""
    level = ell_level(len(scores), alpha / 8)
    return max(
        lower_from_tangents(scores, n_pilot, r, alpha * 7 / 8, score_range),
        lower_cdf(scores, r, alpha / 8, score_range, level=level),
    )


def lower_from_tangents(
    scores: Vector, n_pilot: int, r: float, alpha: float, score_range: tuple[float, float]
) -> float:
    """Bound the confidence at r by the tangents at RADII, each mean bounded at alpha / 5."""
    a, b = score_range
    x = (np.asarray(scores, dtype=np.float64) - a) / (b - a)
    pilot, draws = x[:n_pilot], x[n_pilot:]
    weights, means = [], []
    for of_tangents in RADII:
        level = alpha / len(RADII)
        tangent = tangent_from_pilot(pilot, of_tangents, level, len(draws))
        greatest = float(tangent.phi(np.ones(1), of_tangents)[0])
        values = tangent.phi(draws, of_tangents) / greatest
        means.append(greatest * betting(values, tangent.stake, level))
        weights.append(np.exp(of_tangents * tangent.z - of_tangents**2 / 2))
    lengths = np.diff(tangent.knots)

    def loss(roots: Vector) -> float:  # lambda = root^2 >= 0
        return -dual(r, roots**2, lengths, np.array(weights), np.array(means))

    found = [
        -float(minimize(loss, start, method="Powell", options={"xtol": 1e-6, "ftol": 1e-9}).fun)
        for start in np.eye(len(RADII))
    ]
    return a + (b - a) * min(max(*found, 0.0), 1.0)
