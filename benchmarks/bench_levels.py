"""Certified probabilities and quantiles, beside the plain loop in NumPy and SciPy.

There are 7 radii and three levels. Every run checks its answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta, binom, norm

import smoothbound as sb
from measure import ALPHA, RADII, SIGMA, Measure, draw

LEVELS = {"probability": (0.5, 0.7, 0.9), "quantile": (0.1, 0.3, 0.5)}
N_INPUTS = {1_000: 256, 100_000: 16}
Bounds = NDArray[np.float64]


def certify(scores: NDArray[np.float32], statistic: Any, backend: Any) -> Bounds:
    cert = sb.certify_scores(
        scores,
        sigma=SIGMA,
        alpha=ALPHA,
        radii=RADII,
        statistic=statistic,
        levels=LEVELS[statistic],
        backend=backend,
        threads=1,
    )
    assert cert.lower is not None
    return cert.lower


def plain_loop(scores: NDArray[np.float32], statistic: str) -> Bounds:
    """Count the draws of each row and level, and ask SciPy for each number."""
    of_row = plain_probabilities if statistic == "probability" else plain_quantiles
    return np.array([[of_row(row, level) for level in LEVELS[statistic]] for row in scores])


def plain_probabilities(row: NDArray[np.float32], level: float) -> list[float]:
    count = int(np.count_nonzero(row >= level))
    p = beta.ppf(ALPHA, count, row.size - count + 1) if count else 0.0
    return [float(norm.cdf(norm.ppf(p) - radius / SIGMA)) for radius in RADII]


def plain_quantiles(row: NDArray[np.float32], level: float) -> list[float]:
    bounds = []
    for radius in RADII:
        worst = norm.cdf(norm.ppf(1 - level) + radius / SIGMA)
        rank = int(binom.isf(ALPHA, row.size, worst)) + 1  # the least that fails rarely enough
        sound = rank <= row.size
        bounds.append(float(np.partition(row, -rank)[-rank]) if sound else -np.inf)
    return bounds


@pytest.mark.parametrize("n", N_INPUTS)
@pytest.mark.parametrize("statistic", LEVELS)
@pytest.mark.parametrize("row", ["C++ core", "numba", "plain loop"])
def test_levels(measure: Measure, row: str, statistic: str, n: int) -> None:
    measure.benchmark.group = f"Levels, ms an input: {statistic}"
    scores = draw(N_INPUTS[n], n)
    ways: dict[str, Callable[[NDArray[np.float32]], Bounds]] = {
        "C++ core": partial(certify, statistic=statistic, backend="cpp"),
        "numba": partial(certify, statistic=statistic, backend="numba"),
        "plain loop": partial(plain_loop, statistic=statistic),
    }
    found = measure(ways[row], scores, row=row, column=f"{n} draws", items=len(scores))
    expected = plain_loop(scores[:2], statistic)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-9, atol=1e-12)
