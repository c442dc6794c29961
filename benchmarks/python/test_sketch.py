"""The sketch path, from scores to certificates through counts; every run checks its answer.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/python/test_sketch.py
    pytest benchmarks/python/test_sketch.py --benchmark-group-by=group

64 inputs of 100 000 float32 draws, 4096 equal intervals, 7 radii, one threshold, one thread.  Run
as a program it prints medians of alternating runs, in nanoseconds of processor time a score, and
the ratios.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from time import process_time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

import smoothbound as sb
from rivals import BestNumpy, Vector
from test_engine import ALPHA, RADII, SIGMA, THRESHOLD, draw

N_INPUTS, M, BINS, ROUNDS = 64, 100_000, 4096, 7


def count(scores: NDArray[np.float32], backend: str) -> sb.ScoreSketch:
    sketch = sb.ScoreSketch(len(scores), edges=BINS)
    sketch.update(scores, backend=backend, threads=1)
    return sketch


def certify(sketch: sb.ScoreSketch, backend: str) -> tuple[Vector, Vector]:
    cert = sketch.certify(
        sigma=SIGMA,
        alpha=ALPHA,
        radii=RADII,
        thresholds=[THRESHOLD],
        band="dkw",
        backend=backend,
        threads=1,
    )
    assert cert.lower is not None
    assert cert.radius is not None
    return cert.lower, cert.radius[:, 0]


def sketch_path(scores: NDArray[np.float32], backend: str) -> tuple[Vector, Vector]:
    return certify(count(scores, backend), backend)


def numpy_counts(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count by np.bincount of the scaled scores: np.histogram takes several times as long.

    A row at a time, in memory that stays in the cache; a float32 times 4096 is exact.
    """
    counts = np.empty((len(scores), BINS + 1), np.int64)
    scaled = np.empty(scores.shape[1], np.float32)
    cells = np.empty(scores.shape[1], np.intp)
    for row, out in zip(scores, counts, strict=True):
        np.multiply(row, np.float32(BINS), out=scaled)
        cells[:] = scaled
        out[:] = np.bincount(cells, minlength=BINS + 1)
    return counts


def numpy_certify(counts: NDArray[np.int64]) -> tuple[Vector, Vector]:
    """Certify with every trick we know: levels of all counts and their shifts in tables.

    The tables are shared by all inputs.  The search over the radius is that of `BestNumpy`; it
    starts from the bounds at the given radii, and only cells that hold draws are summed.
    """
    m = int(counts[0].sum())
    shifts = RADII / SIGMA
    reached = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    asked = np.unique(reached)
    z_table = ndtri(np.maximum(asked / m - math.sqrt(math.log(1 / ALPHA) / (2 * m)), 0.0))
    weights = ndtr(z_table - shifts[:, None])
    place = np.zeros(m + 1, np.intp)
    place[asked] = np.arange(asked.size)
    at = place[reached]
    bounds = np.stack([w[at].sum(axis=1) for w in weights], axis=1) / BINS
    radius = np.empty(len(counts))
    for i, row in enumerate(at):
        first = np.flatnonzero(np.diff(row, prepend=-1))
        gaps = np.diff(np.append(first, row.size)) / BINS
        radius[i] = BestNumpy._search(
            gaps[None, :], z_table[row[first]], bounds[i : i + 1], shifts, THRESHOLD
        )[0]
    return bounds, SIGMA * radius


def numpy_path(scores: NDArray[np.float32]) -> tuple[Vector, Vector]:
    return numpy_certify(numpy_counts(scores))


def assert_same(found: tuple[Vector, Vector], expected: tuple[Vector, Vector]) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize("backend", ["cpp", "numba"])
def test_smoothbound(benchmark, backend: str) -> None:
    benchmark.group = "sketch path"
    scores = draw(N_INPUTS, M)
    sketch_path(scores[:1], backend)  # compiles
    found = benchmark(sketch_path, scores, backend)
    benchmark.extra_info["ns a score"] = benchmark.stats["median"] / scores.size * 1e9
    assert_same(found, numpy_path(scores))
    exact = sb.certify_scores(scores, sigma=SIGMA, alpha=ALPHA, radii=RADII, band="dkw")
    assert (found[0] <= exact.lower + 1e-13).all()
    assert (found[0] >= exact.lower - 1 / BINS).all()


def test_best_numpy(benchmark) -> None:
    benchmark.group = "sketch path"
    scores = draw(N_INPUTS, M)
    found = benchmark(numpy_path, scores)
    benchmark.extra_info["ns a score"] = benchmark.stats["median"] / scores.size * 1e9
    assert_same(found, sketch_path(scores, "cpp"))


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    scores = draw(N_INPUTS, M)
    counts = numpy_counts(scores)
    sketches = {backend: count(scores, backend) for backend in ("cpp", "numba")}
    assert_same(sketch_path(scores, "cpp"), numpy_path(scores))
    steps: dict[tuple[str, str], Callable[[], object]] = {
        ("np.sum", "count"): lambda: scores.sum(axis=1),
        ("best NumPy and SciPy", "count"): lambda: numpy_counts(scores),
        ("best NumPy and SciPy", "certify"): lambda: numpy_certify(counts),
    }
    for name, backend in (("C++ core", "cpp"), ("numba", "numba")):
        certify(sketches[backend], backend)  # compiles
        steps[name, "count"] = lambda b=backend: count(scores, b)
        steps[name, "certify"] = lambda b=backend: certify(sketches[b], b)
    times: dict[tuple[str, str], list[float]] = {step: [] for step in steps}
    for _ in range(ROUNDS):
        for step, run in steps.items():
            start = process_time()
            run()
            times[step].append((process_time() - start) / scores.size * 1e9)
    median = {step: statistics.median(t) for step, t in times.items()}
    core = median["C++ core", "count"] + median["C++ core", "certify"]
    table = Table("means", "count, ns a score", "certify, ns a score", "both", "ratio")
    for name in dict.fromkeys(name for name, _ in steps):
        parts = [median.get((name, step), 0.0) for step in ("count", "certify")]
        both = sum(parts)
        table.add_row(name, *(f"{x:.2f}" for x in (*parts, both, both / core)))
    Console().print(table)


if __name__ == "__main__":
    main()
