"""Adaptive draws that decide about a probability: rarely wrong, and cheap."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom, norm
from two_classes import SIGMA, SLOPE, inputs, model

import smoothbound as sb

LEVEL, C, RADIUS = 0.6, 0.8, 0.2
EDGE = np.log(LEVEL / (1 - LEVEL)) / SLOPE  # the score is at least LEVEL from here on


def decide(x0: np.ndarray, **options: object) -> sb.SmoothedCertificate:
    smoothed = sb.SmoothedClassifier(
        model, SIGMA, measure=sb.measures.at_least(LEVEL), batch_size=4000
    )
    asked = {"radii": [RADIUS], "thresholds": [C], "adaptive": True, "n": 2000}
    return smoothed.certify(inputs(*x0), **(asked | options))


def test_a_probability_at_the_threshold_is_rarely_certified() -> None:
    # At distance RADIUS the probability is exactly C: every certificate is false.
    x0 = np.full(400, EDGE + SIGMA * norm.ppf(C) + RADIUS)
    cert = decide(x0, alpha=0.1, seed=5)
    assert (cert.lower[:, 0] > C).sum() <= binom.ppf(1 - 1e-4, 400, 0.1)
    assert np.isnan(cert.radius[:, 0]).mean() > 0.85


def test_probabilities_are_certified_with_few_draws() -> None:
    cert = decide(np.array([2.0, EDGE + 0.2]), alpha=0.001)
    assert cert.settings.measure == "score >= 0.6"
    assert cert.lower[0, 0] > C
    assert cert.n_draws[0] < 200
    assert cert.lower[1, 0] < C
    fixed = decide(np.array([2.0]), adaptive=False, bound="mean", mean="betting")
    assert C < fixed.lower[0, 0] < norm.cdf((2.0 - RADIUS - EDGE) / SIGMA)
