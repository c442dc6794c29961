"""The bounds engine against other means, side by side; every run checks its answer.

    pytest benchmarks/python/test_engine.py --benchmark-group-by=group

The published algorithm takes seconds an input, so it is given one input, and the others as many
as keep them busy: compare the column of milliseconds an input in the extra information, or run
benchmarks/python/ratios.py, which prints the ratios.
"""

from __future__ import annotations

import numpy as np
import pytest

import smoothbound as sb
from rivals import BestNumpy, authors

SIGMA, ALPHA, THRESHOLD = 0.25, 1e-3, 0.5
RADII = np.arange(7) * 0.125
SIZES = [1_000, 10_000, 100_000]


def draw(n_inputs: int, m: int) -> np.ndarray:
    return np.random.default_rng(0).beta(8, 1, size=(n_inputs, m)).astype(np.float32)


def certify(scores: np.ndarray, backend: str, n_bins: int | None):
    options = {"sigma": SIGMA, "radii": RADII, "thresholds": [THRESHOLD], "backend": backend}
    cdf = sb.certify_scores(scores, n_bins=n_bins, threads=1, **options)
    mean = sb.certify_scores(scores, bound="mean", threads=1, **options)
    return cdf.lower, mean.lower, cdf.radius[:, 0]


def expected(scores: np.ndarray, n_bins: int | None):
    return certify(scores, "cpp", n_bins)


@pytest.mark.parametrize("m", SIZES)
@pytest.mark.parametrize("backend", ["cpp", "numba"])
def test_smoothbound(benchmark, backend: str, m: int) -> None:
    n_inputs, n_bins = 16, min(m, 10_000)
    benchmark.group = f"m = {m}"
    scores = draw(n_inputs, m)
    certify(scores[:1], backend, n_bins)  # compiles
    found = benchmark(certify, scores, backend, n_bins)
    benchmark.extra_info["ms an input"] = benchmark.stats["median"] / n_inputs * 1e3
    for mine, theirs in zip(found, expected(scores, n_bins), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize("m", SIZES)
def test_best_numpy(benchmark, m: int) -> None:
    n_inputs, n_bins = 16, min(m, 10_000)
    benchmark.group = f"m = {m}"
    scores = draw(n_inputs, m)
    found = benchmark(BestNumpy(SIGMA, ALPHA, n_bins), scores, RADII, THRESHOLD)
    benchmark.extra_info["ms an input"] = benchmark.stats["median"] / n_inputs * 1e3
    cdf, mean, radius = expected(scores, n_bins)
    # Ties at a knot count for less in the matrix product; they are rare in these scores.
    np.testing.assert_allclose(found[0], cdf, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1], mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[2], radius, rtol=0, atol=1e-6)


@pytest.mark.parametrize("m", SIZES)
def test_authors(benchmark, m: int) -> None:
    n_bins = min(m, 10_000)
    benchmark.group = f"m = {m}"
    scores = draw(1, m)
    found = benchmark.pedantic(
        authors, args=(scores[0], RADII, ALPHA, n_bins, SIGMA), rounds=1, iterations=1
    )
    benchmark.extra_info["ms an input"] = benchmark.stats["median"] * 1e3
    cdf, mean, _ = expected(scores, n_bins)
    np.testing.assert_allclose(found[0], cdf[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1], mean[0], rtol=0, atol=1e-7)
