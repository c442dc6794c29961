"""The cost of permuting rows of unknown history before pilot draws are set aside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import smoothbound as sb
from measure import Measure

METHODS: dict[str, dict[str, Any]] = {
    "tangent, one radius": {"bound": "tangent", "radii": [0.5]},
    "tangent, one threshold": {"bound": "tangent", "radii": [], "thresholds": [0.5]},
    "mean by betting": {"bound": "mean", "mean": "betting", "radii": [0.5]},
}
ROWS = {1_000: 1000, 10_000: 100, 100_000: 10}
ORDERS = {"kept": "drawn", "permuted": "unknown"}


@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", ORDERS)
def test_order(measure: Measure, order: str, method: str, n: int) -> None:
    measure.benchmark.group = f"Order of the draws, ms an input: {method}"
    scores = np.random.default_rng(0).beta(20, 1, size=(ROWS[n], n)).astype("f4")
    options = {"sigma": 1.0, "threads": 1, "order": ORDERS[order], **METHODS[method]}
    cert = measure(
        lambda: sb.certify_scores(scores, **options),
        row=order,
        column=f"{n} draws",
        items=len(scores),
    )
    again = sb.certify_scores(scores[:1], **options)
    found, expected = (cert.lower, again.lower) if options["radii"] else (cert.radius, again.radius)
    np.testing.assert_array_equal(found[:1], expected)
