"""Certify the box of a detector by percentiles of its sides, after Chiang et al. (2020).

The detector of this example computes the sides of a box from an image with four linear filters, so
the exact answer is known.

    python docs/examples/detector_box.py
"""

import numpy as np

import smoothbound as sb

SIDES = ("left", "top", "right", "bottom")
SIGMA, RADII, N, ALPHA = 0.25, [0.0, 0.1, 0.2], 5_000, 0.001
FILTERS = np.random.default_rng(7).normal(0.0, 0.5, size=(4, 64))  # for images of 8 x 8 pixels
OFFSETS = np.array([1.0, 1.0, 6.0, 6.0])


def detect(images):
    """Return the sides of one box in each image, shape (n_images, 4)."""
    return images.reshape(-1, 64) @ FILTERS.T / 8.0 + OFFSETS


def certify(image, rng):
    """Return bounds on the median of each side under noise, (4, n_radii), that all hold at once."""
    noisy = image.reshape(64) + rng.normal(0.0, SIGMA, size=(N, 64))
    cert = sb.certify_scores(
        detect(noisy).T,  # a row for each side
        sigma=SIGMA,
        radii=RADII,
        statistic="quantile",
        levels=[0.5],
        sides="both",
        alpha=ALPHA / 4,  # of each side, so that the box holds at ALPHA
    )
    return cert.lower[:, 0], cert.upper[:, 0]


if __name__ == "__main__":
    random = np.random.default_rng(0)
    image = random.uniform(size=(8, 8))
    lower, upper = certify(image, random)
    print("without noise:", dict(zip(SIDES, detect(image)[0].round(2).tolist(), strict=True)))
    for j, radius in enumerate(RADII):
        outer = [*lower[:2, j], *upper[2:, j]]  # holds the box of every attacked image
        inner = [*upper[:2, j], *lower[2:, j]]  # lies within every such box
        print(f"within {radius}: outer box {np.round(outer, 2)}, inner box {np.round(inner, 2)}")
