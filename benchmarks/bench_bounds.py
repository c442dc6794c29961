"""Both theorems and a radius: the core against numba, NumPy and the published algorithm.

There are one thread, 64 inputs, 7 radii and the radius of one threshold. The published algorithm
gets one input, and does not search for the radius. Every run checks its answer.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

import smoothbound as sb
from measure import ALPHA, RADII, SIGMA, THRESHOLD, Measure, Scores, draw
from rivals import BestNumpy, authors
from smoothbound.backends import gaussian

N_INPUTS, MOST = 64, 100_000
SIZES = [1_000, 10_000, 100_000]
Answer = tuple[Any, Any, Any]  # Theorem 2 and Theorem 1 at the radii; the radius


def certify(scores: Scores, backend: str, n_bins: int | None, threads: int = 1) -> Answer:
    options = {"sigma": SIGMA, "alpha": ALPHA, "radii": RADII, "backend": backend}
    cdf = sb.certify_scores(
        scores, n_bins=n_bins, thresholds=[THRESHOLD], threads=threads, band="dkw", **options
    )
    mean = sb.certify_scores(scores, bound="mean", threads=threads, **options)
    return cdf.lower, mean.lower, cdf.radius[:, 0]


LIBRARIES: dict[str, Callable[[Scores, int | None], Any]] = {
    "C++ core": lambda scores, n_bins: certify(scores, "cpp", n_bins),
    "numba": lambda scores, n_bins: certify(scores, "numba", n_bins),
    "best NumPy and SciPy": lambda scores, n_bins: BestNumpy(SIGMA, ALPHA, n_bins)(
        scores, RADII, THRESHOLD
    ),
    "np.sort alone": lambda scores, n_bins: np.sort(scores, axis=1),
    "published algorithm": lambda scores, n_bins: authors(scores[0], RADII, ALPHA, n_bins, SIGMA),
}
# The largest difference of each answer from that of the core. A matrix product counts ties at a
# knot for less; they are rare in these scores.
ERRORS = {"numba": (1e-11,) * 3, "best NumPy and SciPy": (1e-6, 1e-12, 1e-6)}


@pytest.mark.benchmark(group="Bounds, ms an input")
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bins", ["bins", "every draw"])
def test_bounds(measure: Measure, library: str, size: int, bins: str) -> None:
    published = library == "published algorithm"
    if bins == "every draw" and (published or size < MOST):
        pytest.skip("takes minutes" if published else "the bins are the draws, or nearly so")
    n_bins = min(size, 10_000) if bins == "bins" else None
    scores = draw(1 if published else N_INPUTS, size)
    run = LIBRARIES[library]
    if not published:
        run(scores[:1], n_bins)  # numba compiles
    found = measure(
        run,
        scores,
        n_bins,
        row=library,
        column=f"{size} draws, {bins if n_bins is None else f'{n_bins} bins'}",
        items=len(scores),
        rounds=1 if published else None,
    )
    cdf, mean, radius = certify(scores, "cpp", n_bins)
    if published:
        np.testing.assert_allclose(found, (cdf[0], mean[0]), rtol=0, atol=1e-6)  # in float32
    if library in ERRORS:
        for theirs, ours, error in zip(found, (cdf, mean, radius), ERRORS[library], strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=error)


@pytest.mark.benchmark(group="Threads, ms an input", timer=perf_counter)
@pytest.mark.parametrize("threads", [1, 2])
def test_threads(measure: Measure, threads: int) -> None:
    scores = draw(N_INPUTS, MOST)
    row = f"{threads} thread{'s' * (threads > 1)}"
    found = measure(
        certify, scores, "cpp", 10_000, threads, row=row, column="elapsed", items=N_INPUTS
    )
    for theirs, ours in zip(found, certify(scores, "cpp", 10_000), strict=True):
        np.testing.assert_array_equal(theirs, ours)


@pytest.mark.benchmark(group="Φ, ns a number")
@pytest.mark.parametrize("library", ["C++ core", "scipy.special.ndtr"])
def test_phi(measure: Measure, library: str) -> None:
    z = np.random.default_rng(0).normal(0.0, 3.0, N_INPUTS * 10_000)
    function = gaussian.cdf if library == "C++ core" else ndtr
    found = measure(function, z, row=library, column="Φ", items=z.size, unit="ns")
    np.testing.assert_allclose(found, ndtr(z), rtol=1e-12)
