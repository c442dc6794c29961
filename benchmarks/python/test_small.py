"""One call for one input of few draws: what it costs beyond the work itself.

    pytest benchmarks/python/test_small.py --benchmark-columns=median,iqr

The work is the time of a row among many in one call. The extra information has the difference, in
microseconds.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest

import smoothbound as sb

MANY = 2_000
OPTIONS = {"sigma": 0.25, "radii": [0, 0.25, 0.5], "thresholds": [0.5], "threads": 1}


def work(scores: np.ndarray) -> float:
    """Seconds of one row out of many, the least of a few runs."""
    many = np.repeat(scores, MANY, axis=0)
    taken = []
    for _ in range(5):
        start = perf_counter()
        sb.certify_scores(many, **OPTIONS)
        taken.append(perf_counter() - start)
    return min(taken) / MANY


@pytest.mark.parametrize("m", [100, 300, 1000])
def test_one_call(benchmark, m: int) -> None:
    scores = np.random.default_rng(0).beta(8, 1, size=(1, m)).astype(np.float32)
    cert = benchmark(sb.certify_scores, scores, **OPTIONS)
    beyond = benchmark.stats["min"] - work(scores)
    benchmark.extra_info["microseconds beyond the work"] = round(beyond * 1e6, 1)
    together = sb.certify_scores(np.repeat(scores, 3, axis=0), **OPTIONS)
    np.testing.assert_array_equal(cert.lower, together.lower[1:2])
    np.testing.assert_array_equal(cert.radius, together.radius[1:2])


@pytest.mark.parametrize("m", [100, 300, 1000])
def test_no_work(benchmark, m: int) -> None:
    """A call without a row: checks, settings, conversions."""
    cert = benchmark(sb.certify_scores, np.empty((0, m), np.float32), **OPTIONS)
    assert cert.lower.shape == (0, 3)
