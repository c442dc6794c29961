"""How often certificates under other noises fail, and how far they reach.

    python benchmarks/studies/other_noises.py                   # the table of docs/other-noises.md
    python benchmarks/studies/other_noises.py --figure o.png    # its figure
    python benchmarks/studies/other_noises.py --limits          # what tighter bounds could add

The truth is known: in one dimension, with a score that rises with the input, the worst shift takes
all that psi allows, and its confidence is an integral; for ablation all choices of the pixels that
stay, and all perturbations, are tried.  The figure compares noises of the same standard deviation
against l1 perturbations, by the limit of Theorem 2 for the true distribution of the scores.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import smoothbound as sb
from smoothbound import curves

Vector = NDArray[np.float64]

N_DRAWS, ALPHA = 60, 0.3
PIXELS, KEPT = 8, 3


class Case(NamedTuple):
    """Draws of an input whose confidence at the worst point within a radius is known."""

    curve: str
    sigma: float | None
    radius: float
    scores: Vector  # (repetitions, draws)
    worst: float  # least confidence within the radius
    best: float  # greatest

    def failures(self, **options: object) -> tuple[float, float]:
        """Return the share of false lower and of false upper bounds, each at level ALPHA."""
        cert = sb.certify_scores(
            self.scores,
            sigma=self.sigma,
            curve=self.curve,
            radii=[self.radius],
            alpha=2 * ALPHA,
            sides="both",
            **options,
        )
        lower, upper = cert.lower[:, 0], cert.upper[:, 0]
        return float(np.mean(lower > self.worst)), float(np.mean(upper < self.best))


def rising(y: Vector) -> Vector:
    """Score an input of one dimension; half of the noise of scale 1 saturates it."""
    return np.clip(0.5 + y, 0.0, 1.0)


def vote(y: Vector) -> Vector:
    return (y >= -0.4).astype(np.float64)


def noise_of(curve: str, rng: np.random.Generator, shape: tuple[int, ...]) -> Vector:
    return rng.uniform(-1, 1, shape) if curve == "l1-uniform" else rng.laplace(size=shape)


def expected(curve: str, score: object, x: float) -> float:
    """Return the confidence at x, by quantiles of the noise at a million even levels."""
    u = (np.arange(1_000_000) + 0.5) / 1_000_000
    tail = -np.log(2 * np.minimum(u, 1 - u))
    y = 2 * u - 1 if curve == "l1-uniform" else np.sign(u - 0.5) * tail
    return float(np.mean(score(x + y)))  # type: ignore[operator]


def shifted(curve: str, score: object, radius: float, n_rows: int, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    scores = score(noise_of(curve, rng, (n_rows, N_DRAWS)))  # type: ignore[operator]
    worst, best = expected(curve, score, -radius), expected(curve, score, radius)
    return Case(curve, 1.0, radius, scores, worst, best)


def ablated(changed: int, n_rows: int, seed: int) -> Case:
    """Score the square of the share of ones among the pixels that stay."""
    choices = np.array(list(combinations(range(PIXELS), KEPT)))
    x = np.array([1, 1, 1, 1, 1, 1, 0, 0], np.float64)

    def scores_of(x: Vector) -> Vector:
        return np.asarray(x[choices].mean(axis=1) ** 2)

    means = []
    for where in combinations(range(PIXELS), changed):
        for value in (0.0, 1.0):
            perturbed = x.copy()
            perturbed[list(where)] = value
            means.append(float(scores_of(perturbed).mean()))
    draws = np.random.default_rng(seed).integers(len(choices), size=(n_rows, N_DRAWS))
    name = f"ablation-{KEPT}-of-{PIXELS}"
    return Case(name, None, changed, scores_of(x)[draws], min(means), max(means))


def cases(n_rows: int) -> dict[str, Case]:
    """Return the cases of the table, by their names."""
    return {
        "uniform, a vote, R = σ/2": shifted("l1-uniform", vote, 0.5, n_rows, 1),
        "uniform, a rising score, R = σ/2": shifted("l1-uniform", rising, 0.5, n_rows, 2),
        "Laplace, a vote, R = σ/2": shifted("l1-laplace", vote, 0.5, n_rows, 3),
        "Laplace, a rising score, R = σ/2": shifted("l1-laplace", rising, 0.5, n_rows, 4),
        "ablation, 3 of 8 stay, R = 1": ablated(1, n_rows, 5),
        "ablation, 3 of 8 stay, R = 2": ablated(2, n_rows, 6),
    }


METHODS: dict[str, dict[str, object]] = {
    "cdf, ell": {},
    "cdf, dkw": {"band": "dkw"},
    "mean, betting": {"bound": "mean", "mean": "betting", "order": "drawn"},
}


def table(n_rows: int) -> None:
    print("| case | " + " | ".join(METHODS) + " |")
    print("|---|" + "---|" * len(METHODS))
    for name, case in cases(n_rows).items():
        rates = [case.failures(**options) for options in METHODS.values()]
        cells = " | ".join(f"{low:.3f}, {high:.3f}" for low, high in rates)
        print(f"| {name} | {cells} |")


def limits() -> None:
    """Print what some bounds certify, beside Theorem 2 for the true distribution of the scores.

    The scores have the distribution Beta(6, 1). A bound from the scores and psi
    passes this limit only if it fails.
    """
    scores = np.random.default_rng(0).beta(6, 1, size=(20, 10_000))
    s = np.linspace(0, 1, 200_001)
    betting = {"bound": "mean", "mean": "betting", "order": "drawn"}
    methods = {"mean": betting, "cdf": {}, "tangent": {"bound": "tangent", "order": "drawn"}}
    print("| noise | R | mean, betting | cdf, ell | tangent | limit |")
    print("|---|---|---|---|---|---|")
    for name, radius in (
        ("gaussian", 0.5),
        ("gaussian", 1.0),
        ("l1-laplace", 0.5),
        ("l1-laplace", 1.0),
        ("l1-uniform", 0.5),
        ("ablation-45-of-784", 5.0),
    ):
        curve = curves.curve(name)
        options = {"sigma": 1.0 if curve.has_scale else None, "curve": name, "radii": [radius]}
        found = [
            f"{sb.certify_scores(scores, **options, **how).lower.mean():.4f}"
            if method != "tangent" or name == "gaussian"
            else "–"
            for method, how in methods.items()
        ]
        limit = np.trapezoid(curve.lower(1 - s**6, radius), s)
        print(f"| {name} | {radius:g} | {' | '.join(found)} | {limit:.4f} |")


def figure(path: Path) -> None:
    """Draw psi at one radius, and the confidence of one input over the l1 radius."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    deviation = 0.5
    scale = {"gaussian": 1.0, "l1-uniform": 3**0.5, "l1-laplace": 0.5**0.5}
    p = np.linspace(0, 1, 501)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.2), layout="constrained")
    for name, of_deviation in scale.items():
        curve, sigma = curves.curve(name), deviation * of_deviation
        left.plot(p, curve.lower(p, deviation, sigma), label=name)
        rng = np.random.default_rng(0)
        weights = np.full(16, 0.6)
        noise = {
            "gaussian": lambda rng=rng, s=sigma: rng.normal(scale=s, size=(20_000, 16)),
            "l1-uniform": lambda rng=rng, s=sigma: rng.uniform(-s, s, size=(20_000, 16)),
            "l1-laplace": lambda rng=rng, s=sigma: rng.laplace(scale=s, size=(20_000, 16)),
        }[name]()
        scores = 1 / (1 + np.exp(-2.2 - noise @ weights))
        radii = np.linspace(0, 2.5, 101)
        cert = sb.certify_scores(scores[None], sigma=sigma, curve=name, radii=radii)
        right.plot(radii, cert.lower[0], label=name)
    left.plot(p, p, color="0.7", lw=0.8, zorder=0)
    left.set(xlabel="probability p at x", ylabel="ψ(p)", title="R = one standard deviation")
    right.set(xlabel="ℓ1 radius R", ylabel="certified confidence", title="standard deviation 0.5")
    right.set_ylim(0, 1)
    left.legend(frameon=False)
    fig.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", type=Path, help="where to draw it, instead of the table")
    parser.add_argument("--limits", action="store_true", help="the table of the limits instead")
    parser.add_argument("--rows", type=int, default=20_000, help="repetitions")
    options = parser.parse_args()
    if options.limits:
        limits()
        return
    figure(options.figure) if options.figure else table(options.rows)


if __name__ == "__main__":
    main()
