"""How many sums the fallback makes for a certified radius, and which levels it computes once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import smoothbound as sb
from smoothbound._numba import bounds
from smoothbound.curves._knot_sum import KnotSum

SCORES = np.random.default_rng(0).beta(20, 1, size=(5, 1000))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    made: Counter[str] = Counter()

    def counted(owner: Any, name: str) -> None:
        inner = getattr(owner, name)

        def call(*args: Any) -> Any:
            made[name] += args[0].size if name == "probabilities" else 1
            return inner(*args)

        monkeypatch.setattr(owner, name, call)

    counted(bounds, "_shifted_sum")
    counted(bounds, "probabilities")
    counted(KnotSum, "__call__")
    return made


@pytest.mark.parametrize("curve", ["gaussian", "l1-uniform", "l1-laplace", "ablation-5-of-50"])
def test_a_radius_takes_a_few_sums(calls: Counter[str], curve: str) -> None:
    sigma = None if curve.startswith("ablation") else 0.5
    options: dict[str, Any] = {"sigma": sigma, "curve": curve, "radii": [], "thresholds": [0.5]}
    fast = sb.certify_scores(SCORES, backend="numba", threads=1, **options)
    sums = calls["_shifted_sum" if curve == "gaussian" else "__call__"]
    assert 0 < sums <= 20 * len(SCORES)
    assert calls["probabilities"] == (0 if curve == "gaussian" else SCORES.shape[1])  # once
    if sb.build_info()["extension"]:
        core = sb.certify_scores(SCORES, backend="cpp", **options)
        np.testing.assert_allclose(fast.radius, core.radius, rtol=0.0, atol=1e-12)


def test_ties_have_the_levels_of_all_their_draws(calls: Counter[str]) -> None:
    rows = np.round(SCORES, 3)
    options: dict[str, Any] = {"sigma": 0.5, "curve": "l1-laplace", "radii": [0.0, 0.1]}
    fast = sb.certify_scores(rows, backend="numba", threads=1, **options)
    assert calls["probabilities"] > rows.shape[1]  # those of the band, and of tied knots
    plain = sb.certify_scores(rows, backend="numba", threads=1, band="ell", n_bins=1000, **options)
    np.testing.assert_array_equal(fast.lower, plain.lower)
    if sb.build_info()["extension"]:
        core = sb.certify_scores(rows, backend="cpp", **options)
        np.testing.assert_allclose(fast.lower, core.lower, rtol=0.0, atol=1e-12)
