"""Print the cost of choosing after a look at the results, for docs/choices.md.

Run it as `OMP_NUM_THREADS=1 python benchmarks/studies/choices.py`. It makes draws whose truth is
known, certifies them at alpha = 0.05, and counts how often what is stated is false. It takes a
minute on one core.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import ndtr, ndtri

import smoothbound as sb

ALPHA, SIGMA, RADIUS, N, RUNS = 0.05, 1.0, 0.5, 1000, 20
LOOKS = range(50, N + 1, 50)
TIMES = (1, 2, 5, 10, 20)
Values = NDArray[np.float64]


def class_radii(draws: Values, alpha: float = ALPHA) -> Values:
    """Return the radius within which the vote stays, by the count of draws of the class."""
    votes = np.sum(draws < 0.9, axis=1)
    return sb.smoothing.class_radius(votes, draws.shape[1], sigma=SIGMA, alpha=alpha)


def confidences(draws: Values, alpha: float = ALPHA) -> Values:
    """Return the confidence certified within RADIUS; the scores are square roots of the draws."""
    cert = sb.certify_scores(
        np.sqrt(draws),
        sigma=SIGMA,
        alpha=alpha,
        radii=[RADIUS],
        bound="tangent",
        order="drawn",
        threads=1,
    )
    return cert.lower[:, 0]


# The truth: the radius of a vote of 0.9, and the confidence within RADIUS of such scores.
VOTE = SIGMA * float(ndtri(0.9))
CONFIDENCE = quad(lambda s: ndtr(ndtri(1 - s**2) - RADIUS / SIGMA), 0, 1)[0]


def shares(found: Sequence[Values], true: float) -> str:
    """Return how often the best of the first 1, 2, 5, ... is above the truth, as cells."""
    best = np.fmax.accumulate(np.array(found), axis=0)
    return " | ".join(f"{np.mean(best[k - 1] > true):.3f}" for k in TIMES)


def main() -> None:
    """Print the tables."""
    rng = np.random.default_rng(0)
    print(f"| | {' | '.join(map(str, TIMES))} |\n|---|{'---|' * len(TIMES)}")
    cases: list[tuple[str, Callable[..., Values], float, int]] = [
        ("class radius", class_radii, VOTE, 20_000),
        ("confidence (tangent)", confidences, CONFIDENCE, 4000),
    ]
    for name, certify, true, repetitions in cases:
        runs = [certify(rng.random((repetitions, N))) for _ in range(RUNS)]
        print(f"| best of k runs: {name} | {shares(runs, true)} |")
        draws = rng.random((repetitions, N))
        looks = [certify(draws[:, :n]) for n in reversed(LOOKS)]
        print(f"| best of k looks at one run: {name} | {shares(looks, true)} |")
    # The smallest alpha at which more than the truth is certified, which is then stated.
    draws = rng.random((20_000, N))
    levels = np.geomspace(1e-3, 0.5, 50)
    stated = np.full(len(draws), np.inf)
    for level in reversed(levels):
        stated[class_radii(draws, level) > VOTE] = level
    print(f"\nalpha chosen afterwards: {np.mean(1 / stated):.1f} times as often as stated")


if __name__ == "__main__":
    main()
