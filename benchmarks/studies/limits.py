"""How few draws any test can do with: ln(1/alpha) / KL_inf, for recorded scores.

KL_inf is the least divergence KL(P || Q) between the distribution P of the scores and any Q for
which the claim "the confidence within R = r sigma is above c" is false. No test of level alpha
that certifies P surely needs fewer draws on average (docs/anytime.md).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

Vector = NDArray[np.float64]

POINTS, STEPS = 2048, 30
KEPT = 0.3  # of q in a step: whole steps may go to and fro
SPREAD = 1e-9  # mass at 0, where the nearest Q may have some though P has none


def least_draws(scores: NDArray[Any], c: float, r: float, alpha: float) -> float:
    """Return the limit; infinite if the claim is false for the distribution of these scores."""
    at, p = atoms(scores)
    growth, q = 0.0, p
    for _ in range(STEPS):
        phi, most = tangent(at, q, c, r)
        x = phi - most
        if most <= 0.0 or p @ x <= 0.0:
            break
        stake = best_stake(p, x, most)
        growth = max(growth, float(p @ np.log1p(stake * x)))
        q = KEPT * q + (1 - KEPT) * p / (1 + stake * x)
    return math.log(1 / alpha) / growth if growth > 0.0 else math.inf


def atoms(scores: NDArray[Any]) -> tuple[Vector, Vector]:
    """Return some points and their shares of the scores, each rounded down to a point.

    The points are dense where scores are, in the tails, and near both ends.
    """
    crowded = np.quantile(scores, np.linspace(0.0, 1.0, POINTS + 1), method="lower")
    near = 2.0 ** np.linspace(-24.0, -9.0, 256)
    even = np.linspace(0.0, 1.0, POINTS + 1)
    points = np.unique(np.concatenate([crowded.astype(np.float64), near, even, 1.0 - near]))
    counts = np.bincount(np.searchsorted(points, scores, side="right") - 1, minlength=points.size)
    p = counts / counts.sum()
    p[0] += SPREAD
    kept = p > 0.0
    return points[kept], p[kept] / p.sum()


def tangent(at: Vector, q: Vector, c: float, r: float) -> tuple[Vector, float]:
    """Return phi at the points and the largest mean of phi under the null hypothesis.

    phi has the slopes of the tangents at q; its mean is at most this wherever the claim is false.
    """
    reach = np.clip(np.cumsum(q[::-1])[::-1][1:], 1e-300, 1 - 1e-16)  # share at or above each
    z = ndtri(reach)
    slopes = np.exp(r * z - r * r / 2)
    gaps = np.diff(at)
    phi = np.concatenate([[0.0], np.cumsum(gaps * slopes)])
    return phi, float(c - gaps @ (ndtr(z - r) - slopes * reach))


def best_stake(p: Vector, x: Vector, most: float) -> float:
    """Return the stake that grows the wealth most; `most` is -x[0]."""

    def slope(stake: float) -> float:
        return float(p @ (x / (1 + stake * x)))

    top = (1 - 1e-12) / most
    return top if slope(top) >= 0.0 else float(brentq(slope, 0.0, top, rtol=1e-9))
