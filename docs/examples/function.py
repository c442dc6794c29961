"""A model that is a plain NumPy function: the nearest mean image of ten digits."""

import numpy as np
from sklearn.datasets import load_digits

from smoothbound import SmoothedClassifier, adapters

pixels, labels = load_digits(return_X_y=True)
images = (pixels / 16).astype(np.float32)
means = np.stack([images[:1500][labels[:1500] == digit].mean(axis=0) for digit in range(10)])


def nearest_mean(batch):
    """Return logits, shape (batch, 10): minus the squared distances to the mean images."""
    return -((batch[:, None] - means) ** 2).sum(axis=2)


smoothed = SmoothedClassifier(adapters.numpy(nearest_mean), sigma=0.25, outputs="logits")
cert = smoothed.certify(images[1500:1510], n=1_000, radii=[0, 0.25], thresholds=[0.5], grid=16)
for label, predicted, radius, reason in zip(
    labels[1500:1510], cert.predicted, cert.radius[:, 0], cert.reason, strict=True
):
    print(label, predicted, f"radius {radius:.3f}", reason)
