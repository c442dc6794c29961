"""The same classifier under noise of another level."""

import numpy as np
import pytest
import torch

import smoothbound as sb


def network(x):
    return torch.stack([x.sum(dim=1), -x.sum(dim=1)], dim=1)


X = np.array([[51, 102, 0], [255, 0, 51], [0, 51, 51]], np.float32) / 255


def test_is_the_classifier_that_the_level_makes():
    one = sb.SmoothedClassifier(network, 0.25).certify(X, n=500, radii=[0, 0.1], grid=255)
    smoothed = sb.SmoothedClassifier(network, 0.5)
    assert smoothed.with_sigma(0.25).certify(X, n=500, radii=[0, 0.1], grid=255) == one
    assert smoothed.sigma == 0.5
    with pytest.raises(ValueError, match="sigma must be positive and finite, got 0"):
        smoothed.with_sigma(0)


def test_draws_at_levels_of_their_own_are_certified_together():
    smoothed = sb.SmoothedClassifier(network, 0.5)
    sigma = [0.25, 0.5, 0.125]
    draws = [
        smoothed.with_sigma(level).draw(x, n=500, index=i, grid=255)
        for i, (x, level) in enumerate(zip(X, sigma, strict=True))
    ]
    together = sb.certify_scores(
        np.stack([one.scores for one in draws]),
        sigma=sigma,
        radii=[0, 0.1],
        constant_within=0.05,
        order="drawn",
    )
    for i, level in enumerate(sigma):
        alone = smoothed.with_sigma(level).certify(
            X[i : i + 1], n=500, radii=[0, 0.1], index=[i], grid=255
        )
        assert together.lower[i, 0] == alone.lower[0, 0]
        assert together.lower[i, 1] == 0.0  # beyond the ball
