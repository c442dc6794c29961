"""Certificates under other noises: 16 inputs of 10 000 float32 draws, every draw a knot, 7 radii.

One threshold, the band dkw, one thread.  The plain loop, over the knots of one input in Python, is
Theorem 2 as it is written.  Every run checks its answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq

import smoothbound as sb
from measure import ALPHA, THRESHOLD, Measure, draw
from rivals import Vector

M = 10_000
GRID = {
    "l1-uniform": (0.5, np.arange(7) * 0.125),
    "l1-laplace": (0.5, np.arange(7) * 0.125),
    "ablation-45-of-784": (None, np.arange(7.0)),
}


def psi_of(curve: str, r: float) -> Callable[[Vector], Vector]:
    """Return psi at a radius R / sigma, by its formula."""
    if curve == "l1-laplace":
        e = math.exp(-r)
        return lambda p: np.where(
            p <= 0.5, p * e, np.where(1 - p >= e / 2, e / (4 * (1 - p)), 1 - (1 - p) / e)
        )
    changed = math.floor(r)
    hidden = math.comb(784 - changed, 45) / math.comb(784, 45)
    loss = r / 2 if curve == "l1-uniform" else 1 - hidden
    return lambda p: np.maximum(p - loss, 0.0)


def core(scores: np.ndarray, curve: str, backend: str) -> tuple[Vector, Vector]:
    sigma, radii = GRID[curve]
    cert = sb.certify_scores(
        scores,
        sigma=sigma,
        curve=curve,
        radii=radii,
        thresholds=[THRESHOLD],
        alpha=ALPHA,
        band="dkw",
        backend=backend,
        threads=1,
    )
    assert cert.lower is not None
    assert cert.radius is not None
    return cert.lower, cert.radius[:, 0]


def search(curve: str, bound: Callable[[float], float]) -> float:
    """Find the largest R / sigma, or number of pixels, with a bound above the threshold."""
    high = 1.0
    while bound(high) > THRESHOLD:
        high *= 2
    if curve.startswith("l1"):
        return float(brentq(lambda r: bound(r) - THRESHOLD, 0.0, high, xtol=1e-13))
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bound(middle) > THRESHOLD else (low, middle)
    return low


def numpy_way(scores: np.ndarray, curve: str) -> tuple[Vector, Vector]:
    """Sort all rows at once, and the levels and weights of the given radii once for all rows."""
    sigma, radii = GRID[curve]
    gaps = np.diff(np.sort(scores, axis=1).astype(np.float64), axis=1, prepend=0.0)
    p = np.maximum(1 - np.arange(M) / M - math.sqrt(math.log(1 / ALPHA) / (2 * M)), 0.0)
    scale = sigma or 1.0
    weights = np.stack([psi_of(curve, radius / scale)(p) for radius in radii], axis=1)
    found = [search(curve, lambda r, row=row: float(row @ psi_of(curve, r)(p))) for row in gaps]
    return gaps @ weights, scale * np.array(found)


def plain_loop(scores: np.ndarray, curve: str) -> tuple[Vector, Vector]:
    """Visit every knot for every radius, as the theorem is written; one input."""
    sigma, radii = GRID[curve]
    epsilon = math.sqrt(math.log(1 / ALPHA) / (2 * M))
    knots = np.sort(scores[0]).astype(np.float64).tolist()

    def bound(r: float) -> float:
        psi, total, previous = psi_of(curve, r), 0.0, 0.0
        for i, knot in enumerate(knots):
            total += (knot - previous) * float(psi(np.float64(max((M - i) / M - epsilon, 0.0))))
            previous = knot
        return total

    return np.array([[bound(radius / (sigma or 1.0)) for radius in radii]]), np.array([np.nan])


WAYS: dict[str, Callable[..., tuple[Vector, Vector]]] = {
    "C++ core": lambda scores, curve: core(scores, curve, "cpp"),
    "numba": lambda scores, curve: core(scores, curve, "numba"),
    "NumPy": numpy_way,
    "plain loop": plain_loop,
}


@pytest.mark.benchmark(group="Other noises, ms an input")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("curve", GRID)
def test_other_noises(measure: Measure, way: str, curve: str) -> None:
    scores = draw(16, M)
    used = scores[:1] if way == "plain loop" else scores
    lower, radius = measure(
        WAYS[way],
        used,
        curve,
        row=way,
        column=curve,
        items=len(used),
        rounds=2 if way == "plain loop" else None,
    )
    expected, reached = core(used, curve, "cpp")
    np.testing.assert_allclose(lower, expected, rtol=0, atol=1e-9)
    if way != "plain loop":  # which does not search for the radius
        np.testing.assert_allclose(radius, reached, rtol=0, atol=1e-8)
