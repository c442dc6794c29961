"""The joint bound at seven radii: the core against numba, a plain loop, and other bounds.

One thread. The plain loop (backends/reference_joint.py) takes one input and one radius after the
other, with SciPy's optimiser. The other bounds of the core are for comparison: Theorem 2 holds at
all radii at once as well, the tangent bound at each radius alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import smoothbound as sb
from measure import ALPHA, RADII, SIGMA, THRESHOLD, Measure, Scores, draw
from smoothbound.backends import reference_joint

ROWS = {1_000: 256, 10_000: 64, 100_000: 8}


def certify(scores: Scores, radii: Any = RADII, **options: Any) -> sb.Certificate:
    return sb.certify_scores(
        scores, sigma=SIGMA, alpha=ALPHA, radii=radii, order="drawn", threads=1, **options
    )


def plain(scores: Scores) -> Any:
    row = scores[0].astype(np.float64)
    return [reference_joint.lower_joint(row, len(row) // 10, r / SIGMA, ALPHA) for r in RADII]


LIBRARIES: dict[str, Callable[[Scores], Any]] = {
    "C++ core": lambda scores: certify(scores, bound="joint", backend="cpp").lower,
    "numba": lambda scores: certify(scores, bound="joint", backend="numba").lower,
    "plain loop": plain,
    "Theorem 2, ell": lambda scores: certify(scores, bound="cdf").lower,
    "tangent": lambda scores: certify(scores, bound="tangent").lower,
}


@pytest.mark.benchmark(group="Joint bound at seven radii, ms an input")
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("n", ROWS)
def test_joint(measure: Measure, library: str, n: int) -> None:
    slow = library == "plain loop"
    if slow and n > min(ROWS):
        pytest.skip("takes minutes")
    scores = draw(1 if slow else ROWS[n], n)
    run = LIBRARIES[library]
    if not slow:
        run(scores[:1])  # the band is calibrated
    found = measure(
        run, scores, row=library, column=f"{n} draws", items=len(scores), rounds=1 if slow else None
    )
    if library in ("numba", "plain loop"):
        expected = certify(scores, bound="joint", backend="cpp").lower
        np.testing.assert_allclose(np.atleast_2d(found), expected, rtol=0, atol=2e-3)


@pytest.mark.benchmark(group="Radius of one threshold, ms an input")
@pytest.mark.parametrize("bound", ["cdf", "tangent", "joint"])
@pytest.mark.parametrize("n", ROWS)
def test_radius(measure: Measure, bound: str, n: int) -> None:
    scores = draw(ROWS[n], n)
    options: dict[str, Any] = {"radii": [], "thresholds": [THRESHOLD], "bound": bound}
    certify(scores[:1], **options)  # the band is calibrated
    found = measure(
        lambda: certify(scores, **options).radius, row=bound, column=f"{n} draws", items=len(scores)
    )
    np.testing.assert_array_equal(found[:1], certify(scores[:1], **options).radius)
