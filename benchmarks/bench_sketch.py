"""The path through a sketch, from scores to counts to certificates.

There are 64 inputs of 100 000 float32 draws, 4096 equal intervals, 7 radii, one threshold and one
thread. Every run checks its answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

import smoothbound as sb
from measure import ALPHA, RADII, SIGMA, THRESHOLD, Measure, draw
from rivals import BestNumpy, Vector

N_INPUTS, M, BINS = 64, 100_000, 4096


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


@pytest.fixture(scope="module")
def expected() -> tuple[Vector, Vector]:
    """Return the answer that all must give, which is slightly below that of all scores."""
    scores = draw(N_INPUTS, M)
    found = sketch_path(scores, "cpp")
    exact = sb.certify_scores(scores, sigma=SIGMA, alpha=ALPHA, radii=RADII, band="dkw").lower
    assert exact is not None
    assert (found[0] <= exact + 1e-13).all()
    assert (found[0] >= exact - 1 / BINS).all()
    return found


LIBRARIES: dict[str, tuple[Callable[..., Any], Callable[..., tuple[Vector, Vector]]]] = {
    "C++ core": (lambda scores: count(scores, "cpp"), lambda sketch: certify(sketch, "cpp")),
    "best NumPy and SciPy": (numpy_counts, numpy_certify),
    "numba": (lambda scores: count(scores, "numba"), lambda sketch: certify(sketch, "numba")),
}


@pytest.mark.benchmark(group="Sketches, ns a score")
@pytest.mark.parametrize("step", ["count", "certify", "both"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_sketch(measure: Measure, expected: tuple[Vector, Vector], library: str, step: str) -> None:
    scores = draw(N_INPUTS, M)
    counting, certifying = LIBRARIES[library]
    counts = counting(scores)  # numba compiles
    certifying(counts)
    steps = {
        "count": lambda: counting(scores),
        "certify": lambda: certifying(counts),
        "both": lambda: certifying(counting(scores)),
    }
    found = measure(steps[step], row=library, column=step, items=scores.size, unit="ns")
    assert_same(certifying(found) if step == "count" else found, expected)


@pytest.mark.benchmark(group="Sketches, ns a score")
def test_sum(measure: Measure) -> None:
    scores = draw(N_INPUTS, M)
    found = measure(scores.sum, 1, row="np.sum", column="count", items=scores.size, unit="ns")
    assert found.shape == (N_INPUTS,)
