"""The class radius of adaptive runs beside the anytime test of votes and the bound at a fixed n.

    python benchmarks/studies/class_radius.py     # a table of docs/anytime.md

Votes are 0 or 1 with a given probability of 1. The table has the mean certified radius in units of
sigma, 0 where the class is not certified, over the same seeded draws. The test gets ten further
votes as its first guess, because a run has them from the selection of the class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smoothbound.anytime import AnytimeTest, FindRadius
from smoothbound.smoothing import anytime_class_radius, class_radius

ALPHA, REPEATS, PRECISION = 1e-3, 20, 0.01
PROBABILITIES, DRAWS = (0.6, 0.75, 0.9, 0.99, 0.999, 1.0), (100, 1000, 10_000, 100_000)

Votes = NDArray[np.float32]


def main() -> None:
    print("| P(1) | draws | mixture | test | fixed n |\n|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for p in PROBABILITIES:
        for n in DRAWS:
            found = [radii(draw(rng, 10, p), draw(rng, n, p)) for _ in range(REPEATS)]
            cells = " | ".join(f"{mean:.2f}" for mean in np.nan_to_num(found).mean(axis=0))
            print(f"| {p:g} | {n} | {cells} |", flush=True)


def draw(rng: np.random.Generator, n: int, p: float) -> Votes:
    return (rng.random(n) < p).astype(np.float32)


def radii(guess: Votes, votes: Votes) -> tuple[float, float, float]:
    """Return the radii in units of sigma by the mixture, by the test and at a fixed n."""
    count, n = [int(votes.sum())], votes.size
    test = AnytimeTest([FindRadius(0.5, precision=PRECISION)], sigma=1.0, alpha=ALPHA, guess=guess)
    test.update(votes)
    mixture, fixed = (
        float(radius(count, n, sigma=1.0, alpha=ALPHA)[0])
        for radius in (anytime_class_radius, class_radius)
    )
    return mixture, test.answers[0].radius, fixed


if __name__ == "__main__":
    main()
