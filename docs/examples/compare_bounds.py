"""The certified radius of one input by every method, from few draws to many."""

import numpy as np

import smoothbound as sb

METHODS = {
    "Theorem 1": {"bound": "mean"},
    "Theorem 1, betting": {"bound": "mean", "mean": "betting"},
    "Theorem 2, dkw (the paper)": {"bound": "cdf", "band": "dkw"},
    "Theorem 2, ell": {"bound": "cdf", "band": "ell"},
    "tangent": {"bound": "tangent"},
    "joint, for all radii at once (default)": {"bound": "joint"},
}

rng = np.random.default_rng(0)
logits = 4 + 1.5 * rng.normal(size=(1, 10_000))
scores = 1 / (1 + np.exp(-logits))  # of one class, for noisy copies of one input

print(f"{'R / sigma with the confidence above 0.5':40}", *(f"{n:>8}" for n in (1_000, 10_000)))
for name, method in METHODS.items():
    radii = [
        sb.certify_scores(
            scores[:, :n], sigma=1.0, thresholds=[0.5], order="drawn", **method
        ).radius
        for n in (1_000, 10_000)
    ]
    print(f"{name:40}", *(f"{radius.item():8.3f}" for radius in radii))
