"""How much of the possible each method certifies: certified radius against the population limit.

    python benchmarks/studies/tightness.py           # the table of docs/tightness.md
    python benchmarks/studies/tightness.py pilots    # the table of pilots in docs/tangent.md

For each score distribution and threshold c: the mean certified radius (a failure counts as 0), as a
percentage of the radius that Theorem 2 gives with the true survival function, which no method can
pass.  alpha = 0.001.  Draws are seeded, so that the table repeats itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, ndtr, ndtri
from scipy.stats import beta, norm

import smoothbound as sb

Vector = NDArray[np.float64]
Sampler = Callable[[np.random.Generator, int], Vector]

REPEATS, SIZES = 8, (1_000, 10_000, 100_000)
METHODS: dict[str, dict[str, Any]] = {
    "Theorem 1, Hoeffding": {"bound": "mean"},
    "Theorem 1, betting": {"bound": "mean", "mean": "betting"},
    "Theorem 2, dkw (the paper)": {"bound": "cdf", "band": "dkw"},
    "Theorem 2, ell": {"bound": "cdf", "band": "ell"},
    "tangent, Bernstein": {"bound": "tangent", "mean": "bernstein"},
    "tangent, betting": {"bound": "tangent"},
    "joint": {"bound": "joint"},
}


def mixture_survival(s: Vector) -> Vector:
    return 0.9 * beta.sf(s, 50, 1) + 0.1 * (1 - s)


def mixture(rng: np.random.Generator, m: int) -> Vector:
    return np.where(rng.uniform(size=m) < 0.9, rng.beta(50, 1, m), rng.uniform(size=m))


DISTRIBUTIONS: dict[str, tuple[Sampler, Callable[[Vector], Vector] | None, tuple[float, ...]]] = {
    "saturated (all 0.9999)": (lambda rng, m: np.full(m, 0.9999), None, (0.5,)),
    "Beta(20, 1)": (
        lambda rng, m: rng.beta(20, 1, m),
        lambda s: beta.sf(s, 20, 1),
        (0.5, 0.8),
    ),
    "Beta(5, 0.5)": (
        lambda rng, m: rng.beta(5, 0.5, m),
        lambda s: beta.sf(s, 5, 0.5),
        (0.5, 0.8),
    ),
    "Beta(3, 1.5)": (lambda rng, m: rng.beta(3, 1.5, m), lambda s: beta.sf(s, 3, 1.5), (0.5,)),
    "0.9 Beta(50, 1) + 0.1 uniform": (mixture, mixture_survival, (0.5, 0.8)),
    "logistic(4 + 1.5 N)": (
        lambda rng, m: expit(4 + 1.5 * rng.standard_normal(m)),
        lambda s: norm.sf((np.log(s) - np.log1p(-s) - 4) / 1.5),
        (0.5, 0.8),
    ),
}


def population(survival: Callable[[Vector], Vector], c: float) -> float:
    """The r at which the integral of psi_r(G) over [0, 1] is c."""
    nodes, weights = np.polynomial.legendre.leggauss(4000)
    s, weights = (nodes + 1) / 2, weights / 2
    z = ndtri(np.clip(survival(s), 1e-300, 1 - 1e-16))
    return float(brentq(lambda r: weights @ ndtr(z - r) - c, 0.0, 40.0))


def ceiling(m: int, score: float, c: float) -> float:
    """For draws all alike: no bound on P(Z >= score) from m of m passes alpha ** (1 / m)."""
    return float(ndtri(1e-3 ** (1 / m)) - ndtri(c / score))


def mean_radius(rows: Vector, c: float, options: dict[str, Any]) -> float:
    try:
        radius = sb.certify_scores(rows, sigma=1.0, thresholds=[c], **options).radius
    except ValueError:  # too few draws for this threshold, even if all were perfect
        return 0.0
    assert radius is not None
    return float(np.nan_to_num(radius).mean())


def row(name: str, c: float, m: int, limit: float, rows: Vector) -> str:
    cells = [f"{100 * mean_radius(rows, c, options) / limit:.1f}" for options in METHODS.values()]
    return " | ".join([f"| {name}", f"{c:g}", f"{m:,}".replace(",", " "), f"{limit:.3f}", *cells])


def main() -> None:
    print("| scores | c | m | limit R/σ | " + " | ".join(METHODS) + " |")
    print("|---|---|---|---|" + "---|" * len(METHODS))
    for name, (sample, survival, thresholds) in DISTRIBUTIONS.items():
        for c in thresholds:
            for m in SIZES:
                rng = np.random.default_rng([m, len(name)])
                rows = np.stack([sample(rng, m) for _ in range(REPEATS)])
                limit = ceiling(m, 0.9999, c) if survival is None else population(survival, c)
                print(row(name, c, m, limit, rows) + " |", flush=True)
    for c in (0.5, 0.8):
        for m, limit, rows in real(c):
            print(row("digits network, σ = 0.25", c, m, limit, rows) + " |", flush=True)


def pilots() -> None:
    """Print the radius of logistic scores by the share of the pilot: mean and spread of seeds."""
    sample, _, thresholds = DISTRIBUTIONS["logistic(4 + 1.5 N)"]
    shares, seeds = (0.03, 0.05, 0.1, 0.15, 0.2), 100
    found = np.zeros((seeds, len(shares), len(thresholds)))
    for seed in range(seeds):
        rows = sample(np.random.default_rng(seed), SIZES[-1]).astype(np.float32)[None]
        for j, share in enumerate(shares):
            cert = sb.certify_scores(
                rows, sigma=1.0, thresholds=thresholds, bound="tangent", pilot=share
            )
            assert cert.radius is not None
            found[seed, j] = cert.radius[0]
    print("| c | " + " | ".join(f"pilot {share:.0%}" for share in shares) + " |")
    print("|---|" + "---|" * len(shares))
    for k, c in enumerate(thresholds):
        cells = [f"{x.mean():.3f} ({x.std(ddof=1):.3f})" for x in found[:, :, k].T]
        print(f"| {c:g} | " + " | ".join(cells) + " |")


def real(c: float) -> list[tuple[int, float, Vector]]:
    """Scores of the demo's network on test images, correctly classified with radius above 0.2.

    The limit is Theorem 2's with the empirical distribution of 400 000 draws, of each image.
    """
    return [(m, *real_rows(m, c)) for m in SIZES]


def real_rows(m: int, c: float) -> tuple[float, Vector]:
    scores = digits_scores()
    gaps = np.diff(np.sort(scores, axis=1), axis=1, prepend=0.0)
    n = scores.shape[1]
    z = ndtri(np.clip((n - np.arange(n)) / n, 0, 1 - 0.5 / n))
    limits = [brentq(lambda r, g=g: g @ ndtr(z - r) - c, -1.0, 40.0) for g in gaps]
    keep = [i for i, limit in enumerate(limits) if limit > 0.2]
    return float(np.mean([limits[i] for i in keep])), scores[keep, :m]


_CACHE: list[Vector] = []


def digits_scores() -> Vector:
    if not _CACHE:
        import torch

        from smoothbound.data._loading import load
        from smoothbound.train._loop import train

        torch.set_num_threads(1)
        model = train(load("digits", "train"), "digits_cnn", sigma=0.25)
        smoothed = sb.SmoothedClassifier(model, sigma=0.25, batch_size=250)
        images = load("digits", "test")
        draws = [smoothed.draw(images[i][0], n=400_000, index=i) for i in range(0, 160, 20)]
        _CACHE.append(np.stack([d.scores for d in draws]).astype(np.float64))
    return _CACHE[0]


if __name__ == "__main__":
    if sys.argv[1:] == ["pilots"]:
        pilots()
    else:
        main()
