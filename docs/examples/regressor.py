"""Certify the median prediction of a regressor of scikit-learn.

python docs/examples/regressor.py
"""

import numpy as np
from sklearn.linear_model import Ridge

import smoothbound as sb

SIGMA, RADII, N = 0.5, [0.0, 0.25, 0.5], 10_000


def fit(rng):
    """Return a regressor of three features."""
    features = rng.normal(size=(500, 3))
    target = features @ [2.0, -1.0, 0.5] + 3.0 + rng.normal(0.0, 0.1, 500)
    return Ridge().fit(features, target)


def certify(model, inputs, rng):
    """Return certified bounds on the median prediction under noise, at every radius."""
    noisy = inputs[:, None] + rng.normal(0.0, SIGMA, size=(len(inputs), N, inputs.shape[1]))
    predictions = model.predict(noisy.reshape(-1, inputs.shape[1])).reshape(len(inputs), N)
    return sb.certify_scores(
        predictions,
        sigma=SIGMA,
        radii=RADII,
        statistic="quantile",
        levels=[0.5],
        sides="both",
        alpha=0.001,
    )


if __name__ == "__main__":
    random = np.random.default_rng(0)
    model = fit(random)
    inputs = random.normal(size=(2, 3))
    cert = certify(model, inputs, random)
    for i, predicted in enumerate(model.predict(inputs)):
        print(f"input {i}: predicts {predicted:.3f} without noise")
        for radius, low, high in zip(RADII, cert.lower[i, 0], cert.upper[i, 0], strict=True):
            print(f"  within {radius}: the median prediction lies in [{low:.3f}, {high:.3f}]")
