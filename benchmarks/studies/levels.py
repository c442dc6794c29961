"""How often certified probabilities and quantiles are false, and the figure of docs/levels.md.

The score is one coordinate, so that the worst case within a radius is a shifted distribution of the
noise. For ablation it is a vote that uses all that the curve allows. The table has the share of
false bounds at a loose alpha.

    OMP_NUM_THREADS=1 python benchmarks/studies/levels.py [--figure docs/figures/levels.png]
"""

from __future__ import annotations

import argparse
import runpy
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import laplace, norm, uniform

import smoothbound as sb

ALPHA, REPEATS, N, RADIUS = 0.05, 20_000, 200, 0.5
SIDES = ("lower", "upper")
LEVELS = {"probability": (-1.0, 0.0, 1.0), "quantile": (0.1, 0.5, 0.9)}
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "policy_returns.py"


class Noise(NamedTuple):
    """Draws of an input whose scores at the worst point within a radius are known."""

    curve: str
    sigma: float | None
    radius: float
    levels: dict[str, tuple[float, ...]]
    noise: Any  # the distribution of one coordinate; None for ablation

    def __str__(self) -> str:
        return self.curve

    def scores(self, side: str, rng: np.random.Generator, repeats: int) -> NDArray[np.float64]:
        """Draw N scores of the input, `repeats` times."""
        if self.noise is not None:
            return np.asarray(self.noise.rvs(size=(repeats, N), random_state=rng))
        votes = VOTES[rng.integers(len(VOTES), size=(repeats, N))]
        return votes if side == "lower" else 1.0 - votes

    def truth(self, statistic: str, level: float, side: str, far: float) -> float:
        """Return the worst probability, or the quantile that is the hardest to bound."""
        lower = side == "lower"
        if self.noise is not None:
            shift = -far if lower else far
            if statistic == "probability":
                return float(self.noise.sf(level - shift))
            return float(self.noise.ppf(level) + shift)
        no = 1.0 - LEAST_VOTE  # the probability of the rarer answer rises to this
        if statistic == "probability":
            return LEAST_VOTE if lower else no
        return float(no < level) if lower else float(level >= 1.0 - no)


# Ablation: 3 of 8 pixels stay. The vote is 1 unless pixels 6 and 7 stay and 0 does not. If pixel 0
# is changed, it is 0 wherever that pixel stays, so that it loses Delta, all that the curve allows.
CHOICES = [set(kept) for kept in combinations(range(8), 3)]
VOTES = np.array([float(0 in kept or not {6, 7} <= kept) for kept in CHOICES])
LEAST_VOTE = float(np.mean([0 not in kept and not {6, 7} <= kept for kept in CHOICES]))


def noises() -> list[Noise]:
    """Return the cases of the table of other noises."""
    shares = (0.1, 0.5, 0.9)
    return [
        Noise("gaussian", 1.0, RADIUS, LEVELS, norm()),
        Noise(
            "l1-uniform",
            1.0,
            RADIUS,
            {"probability": (-0.8, 0.0, 0.4), "quantile": (0.3, 0.5, 0.7)},
            uniform(-1, 2),
        ),
        Noise(
            "l1-laplace", 1.0, RADIUS, {"probability": (-1, 0, 1), "quantile": shares}, laplace()
        ),
        Noise(
            "ablation-3-of-8",
            None,
            1.0,
            {"probability": (0.5,), "quantile": (0.46, 0.54)},
            None,
        ),
    ]


def false_share(
    statistic: Any,
    level: float,
    side: Any,
    rng: np.random.Generator,
    case: Noise,
    repeats: int = REPEATS,
    far: float = 1.0,
) -> float:
    """Return the share of bounds at the radius of a case that are false, in some repetitions.

    The truth is that of a shift of `far` times the radius.
    """
    cert = sb.certify_scores(
        case.scores(side, rng, repeats),
        sigma=case.sigma,
        curve=case.curve,
        radii=[case.radius],
        alpha=ALPHA,
        statistic=statistic,
        levels=[level],
        sides=side,
    )
    truth = case.truth(statistic, level, side, far * case.radius)
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
    print("| noise | bound | level | lower | upper |\n|---|---|---|---|---|")
    for case in noises():
        for statistic, levels in case.levels.items():
            for level in levels:
                shares = [false_share(statistic, level, side, rng, case) for side in SIDES]
                print(f"| {case} | {statistic} | {level:g} | {shares[0]:.4f} | {shares[1]:.4f} |")


if __name__ == "__main__":
    main()
