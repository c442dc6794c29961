"""Why a certificate with a sigma for each input needs a ball on which sigma is constant.

    python benchmarks/studies/sigma_per_input.py                  # how many radii are false
    python benchmarks/studies/sigma_per_input.py --figure s.png   # its figure

The input has one dimension, and sigma is 1 below a border at 0.6 and 0.25 from there on. The score
is Phi(y / 0.25), which rises with the input, so that the smoothed classifier, its least value on a
ball and its true radius are known in closed form.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

import smoothbound as sb

Vector = NDArray[np.float64]

WIDTH, BORDER, THRESHOLD = 0.25, 0.6, 0.8


def sigma_at(x: ArrayLike) -> Vector:
    return np.where(np.asarray(x) < BORDER, 1.0, 0.25)


def smoothed(x: ArrayLike, sigma: ArrayLike) -> Vector:
    """Return E[Phi((x + e) / WIDTH)] for Gaussian noise e of standard deviation sigma."""
    return np.asarray(ndtr(np.asarray(x) / np.hypot(WIDTH, sigma)))


def true_radius(x: Vector) -> Vector:
    """Return the distance from x to the nearest point whose confidence is not above THRESHOLD."""
    below, above = ndtri(THRESHOLD) * np.hypot(WIDTH, [1.0, 0.25])  # least input at each level
    assert below > BORDER > above  # confident from the border on, and nowhere below it
    return np.maximum(x - BORDER, 0.0)


def draws(x: Vector, n: int, seed: int) -> Vector:
    noise = np.random.default_rng(seed).standard_normal((x.size, n))
    return np.asarray(ndtr((x[:, None] + sigma_at(x)[:, None] * noise) / WIDTH))


def certified(x: Vector, n: int, *, known: bool) -> Vector:
    """Return the certified radii at x; `known` passes the distance to the border."""
    cert = sb.certify_scores(
        draws(x, n, seed=0),
        sigma=sigma_at(x),
        thresholds=[THRESHOLD],
        constant_within=np.abs(x - BORDER) if known else None,
    )
    assert cert.radius is not None
    return np.nan_to_num(cert.radius[:, 0])


def count() -> None:
    x = np.random.default_rng(1).uniform(0, 1.6, 2000)
    for known in (False, True):
        wrong = np.count_nonzero(certified(x, 10_000, known=known) > true_radius(x))
        print(f"{'with' if known else 'without'} constant_within: {wrong} of {x.size} radii false")


def figure(path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    x = np.linspace(0, 1.6, 321)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.2), layout="constrained")
    for here, label in ((x < BORDER, "σ = 1"), (x >= BORDER, "σ = 0.25")):
        left.plot(x[here], smoothed(x[here], sigma_at(x[here])), label=label)
    left.axhline(THRESHOLD, color="0.7", lw=0.8, ls="--")
    left.set(xlabel="input x", ylabel="smoothed confidence", title="threshold 0.8, dashed")
    right.plot(x, true_radius(x), color="0.6", lw=4, alpha=0.6, label="true radius")
    for known, style, label in (
        (False, "C3:", "without constant_within: false"),
        (True, "C0-", "with constant_within"),
    ):
        right.plot(x, certified(x, 10_000, known=known), style, label=label)
    right.set(xlabel="input x", ylabel="radius", title="n = 10 000, α = 0.001")
    for axes in (left, right):
        axes.legend(frameon=False)
    fig.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--figure", type=Path, help="where to draw it, instead of the counts")
    options = parser.parse_args()
    figure(options.figure) if options.figure else count()


if __name__ == "__main__":
    main()
