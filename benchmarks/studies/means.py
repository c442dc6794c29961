"""Compare lower bounds on a mean: the table of docs/tangent.md.

Run it as `OMP_NUM_THREADS=1 python benchmarks/studies/means.py`. It takes some minutes on one core.
For each distribution and number of draws it prints the mean gap, which is the true mean minus the
lower bound at alpha = 0.001, of

- `mean="betting"` of this library;
- hedged capital (Waudby-Smith & Ramdas 2024), its side for lower bounds, with the stakes for a
  fixed number of draws that they recommend;
- STaR-Bets (Voracek & Orabona 2025) without their last step, and with it: a random number decides
  about a wealth that is not quite enough. The last column leaves it out;
- Clopper and Pearson, for draws that are 0 or 1.

The bounds other than this library's are found by bisection, as if they were monotone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import beta, norm

import smoothbound as sb

ALPHA, SIZES, REPEATS = 0.001, (1_000, 10_000), 200
Vector = NDArray[np.float64]
Wealth = Callable[[Vector, float], float]


@njit
def hedged(x: Vector, c: float) -> float:
    """Return the greatest log capital of a player who bets that the mean is above c."""
    n, evidence = len(x), -math.log(ALPHA)
    total, squares, log_wealth, highest = 0.5, 0.25, 0.0, 0.0
    for i in range(n):
        stake = min(math.sqrt(2 * evidence * (i + 1) / (n * squares)), 0.5 / c)
        log_wealth += math.log(1 + stake * (x[i] - c))
        highest = max(highest, log_wealth)
        total += x[i]
        squares += (x[i] - total / (i + 2)) ** 2
    return highest


@njit
def star(x: Vector, c: float) -> float:
    """Return the log wealth of STaR-Bets after all draws."""
    n, evidence = len(x), -math.log(ALPHA)
    squares, log_wealth = 0.0, 0.0
    for i in range(n):
        t = i + 0.0001
        variance = min(squares / t + (c + 0.0001) * n / t**2, 0.001 + c * (1 - c))
        missing = max(evidence - log_wealth, 0.0)
        stake = min(math.sqrt(2 * missing / ((n - t) * variance)), 1 / (c + 0.001))
        log_wealth += math.log(1 + stake * (x[i] - c))
        squares += (x[i] - c) ** 2
    return log_wealth


def bound(wealth: Wealth, x: Vector, share: float = 1.0) -> float:
    """Return the mean at which the wealth is share / alpha."""
    low, high = 0.0, float(np.mean(x))
    for _ in range(30):
        c = 0.5 * (low + high)
        low, high = (c, high) if wealth(x, c) >= math.log(share / ALPHA) else (low, c)
    return low


def betting(x: Vector) -> float:
    options: dict[str, Any] = {"sigma": 1.0, "alpha": ALPHA, "radii": [0], "threads": 1}
    cert = sb.certify_scores(x[None], bound="mean", mean="betting", order="drawn", **options)
    return float(cert.lower[0, 0])


def clopper_pearson(x: Vector) -> float:
    ones = float(np.sum(x))
    return float(beta.ppf(ALPHA, ones, len(x) - ones + 1)) if set(x) <= {0.0, 1.0} else math.nan


def logistic_mean() -> float:
    nodes, weights = np.polynomial.legendre.leggauss(2000)
    return float(10 * weights @ (expit(4 + 15 * nodes) * norm.pdf(10 * nodes)))


ROWS: dict[str, tuple[Callable[[np.random.Generator, int], Vector], float]] = {
    "0/1, P(1) = 0.99": (lambda rng, m: (rng.random(m) < 0.99) * 1.0, 0.99),
    "0/1, P(1) = 0.7": (lambda rng, m: (rng.random(m) < 0.7) * 1.0, 0.7),
    "all 0.9999": (lambda _, m: np.full(m, 0.9999), 0.9999),
    "Beta(20, 1)": (lambda rng, m: rng.beta(20, 1, m), 20 / 21),
    "Beta(3, 1.5)": (lambda rng, m: rng.beta(3, 1.5, m), 3 / 4.5),
    "logistic(4 + 1.5 N)": (lambda rng, m: expit(4 + 1.5 * rng.normal(size=m)), logistic_mean()),
}


def main() -> None:
    """Print the table."""
    names = ("betting", "hedged capital", "STaR-Bets", "the same, random step", "Clopper-Pearson")
    print(f"| draws | m | {' | '.join(names)} | betting / best |\n|{'---|' * 8}")
    for name, (draw, mean) in ROWS.items():
        for m in SIZES:
            rng = np.random.default_rng(0)
            bounds = []
            for _ in range(REPEATS):
                x = draw(rng, m)
                step = bound(star, x, share=rng.random())
                found = (betting(x), bound(hedged, x), bound(star, x), step, clopper_pearson(x))
                bounds.append(found)
            gaps = mean - np.mean(bounds, axis=0)
            best = np.nanmin(np.delete(gaps, names.index("the same, random step")))
            cells = " | ".join("-" if math.isnan(gap) else f"{gap:.5f}" for gap in gaps)
            print(f"| {name} | {m} | {cells} | {gaps[0] / best:.3f} |", flush=True)


if __name__ == "__main__":
    main()
