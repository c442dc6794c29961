"""The cost of a call for one input of few draws, beyond the work itself.

The work is the time of a row among many in one call. A call without a row has only checks, settings
and conversions.
"""

from __future__ import annotations

import numpy as np
import pytest

import smoothbound as sb
from measure import Measure

ROWS = {"one row": 1, "a row of 2000": 2_000, "no row": 0}
OPTIONS = {"sigma": 0.25, "radii": [0, 0.25, 0.5], "thresholds": [0.5], "threads": 1}


@pytest.mark.benchmark(group="Small calls, µs")
@pytest.mark.parametrize("n", [100, 300, 1000])
@pytest.mark.parametrize("rows", ROWS)
def test_one_call(measure: Measure, rows: str, n: int) -> None:
    one = np.random.default_rng(0).beta(8, 1, size=(1, n)).astype(np.float32)
    scores = np.repeat(one, ROWS[rows], axis=0)
    cert = measure(
        lambda: sb.certify_scores(scores, **OPTIONS),
        row=rows,
        column=f"{n} draws",
        items=max(len(scores), 1),
        unit="µs",
    )
    together = sb.certify_scores(np.repeat(one, 3, axis=0), **OPTIONS)
    assert cert.lower.shape == (len(scores), 3)
    assert (cert.lower == together.lower[1]).all()
    assert (cert.radius == together.radius[1]).all()
