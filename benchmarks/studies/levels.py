"""How often certified probabilities and quantiles are false, and the figure of docs/levels.md.

The score is one coordinate, so that the worst case within a radius is a shifted normal
distribution. The table has the share of false bounds at a loose alpha.

    OMP_NUM_THREADS=1 python benchmarks/studies/levels.py [--figure docs/figures/levels.png]
"""

from __future__ import annotations

import argparse
import runpy
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

import smoothbound as sb

ALPHA, REPEATS, N, SIGMA, RADIUS = 0.05, 20_000, 200, 1.0, 0.5
LEVELS = {"probability": (-1.0, 0.0, 1.0), "quantile": (0.1, 0.5, 0.9)}
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "policy_returns.py"


def false_share(statistic: Any, level: float, side: Any, rng: np.random.Generator) -> float:
    """Return the share of bounds at RADIUS that are false, in REPEATS repetitions."""
    scores = rng.normal(size=(REPEATS, N))
    cert = sb.certify_scores(
        scores,
        sigma=SIGMA,
        radii=[RADIUS],
        alpha=ALPHA,
        statistic=statistic,
        levels=[level],
        sides=side,
    )
    worst = norm(-RADIUS if side == "lower" else RADIUS)
    truth = worst.sf(level) if statistic == "probability" else worst.ppf(level)
    bounds = getattr(cert, side)[:, 0, 0]
    return float(np.mean(bounds > truth if side == "lower" else bounds < truth))


def draw_example(path: Path) -> None:
    """Draw the certified quantiles of the return of the example, and the exact worst case."""
    from matplotlib.figure import Figure

    example = runpy.run_path(str(EXAMPLE))
    rng = np.random.default_rng(0)
    radii = np.linspace(0.0, 0.75, 31)
    cert = sb.certify_scores(
        example["returns"](
            rng.normal(0.0, example["SIGMA"], size=(example["N"], example["STEPS"]))
        )[None],
        sigma=example["SIGMA"],
        radii=radii,
        statistic="quantile",
        levels=[0.05, 0.5],
        sides="both",
    )
    figure = Figure(figsize=(5.2, 3.2), dpi=110, layout="constrained")
    ax = cert.plot(figure.subplots())
    unit = example["returns"](np.eye(example["STEPS"])) - example["returns"](
        np.zeros((1, example["STEPS"]))
    )
    length, center = np.linalg.norm(unit), float(example["returns"](np.zeros((1, 10)))[0])
    for j, q in enumerate(cert.settings.levels):
        for sign in (-1, 1):
            exact = center + sign * radii * length + example["SIGMA"] * length * norm.ppf(q)
            ax.plot(radii, exact, color=f"C{j}", linestyle=":", linewidth=1)
    ax.set(ylabel="certified quantile of the return", xlabel="radius R, length of the attack")
    figure.savefig(path)


def main() -> None:
    """Print the table, or draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=Path)
    figure = parser.parse_args().figure
    if figure is not None:
        draw_example(figure)
        return
    rng = np.random.default_rng(0)
    print("| bound | level | lower | upper |\n|---|---|---|---|")
    for statistic, levels in LEVELS.items():
        for level in levels:
            shares = [false_share(statistic, level, side, rng) for side in ("lower", "upper")]
            print(f"| {statistic} | {level:g} | {shares[0]:.4f} | {shares[1]:.4f} |")


if __name__ == "__main__":
    main()
