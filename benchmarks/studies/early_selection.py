"""Draws that select a class, and how often they select another one: by the lead that ends them.

    python benchmarks/studies/early_selection.py

Two classes, of which the first has the largest output in a draw with probability p. Draws end when
one of them leads by some votes, at the latest after 100. The figures are exact: the distribution of
the lead is carried on from draw to draw. A tie after all draws counts half.
"""

from __future__ import annotations

import numpy as np

N0 = 100
LEADS = (4, 6, 8, 10, 12, N0 + 1)  # the last one is never reached
SHARES = (0.55, 0.6, 0.7, 0.8, 0.9, 0.99)


def walk(p: float, lead: int) -> tuple[float, float]:
    """Return the mean number of draws, and the probability that the other class is selected."""
    at = np.zeros(2 * lead + 1)  # the probability of each lead from -lead to lead, if draws go on
    at[lead] = 1.0
    mean = other = 0.0
    for draws in range(1, N0 + 1):
        moved = np.zeros_like(at)
        moved[1:] += p * at[:-1]
        moved[:-1] += (1.0 - p) * at[1:]
        mean += draws * (moved[0] + moved[-1])
        other += moved[0]
        moved[[0, -1]] = 0.0
        at = moved
    mean += N0 * at.sum()
    other += at[:lead].sum() + at[lead] / 2
    return float(mean), float(other)


def main() -> None:
    print("| lead |" + "".join(f" p = {p} |" for p in SHARES))
    print("|---|" + "---|" * len(SHARES))
    for lead in LEADS:
        cells = (walk(p, lead) for p in SHARES)
        name = lead if lead <= N0 else f"none, {N0} draws"
        print(f"| {name} |" + "".join(f" {mean:.0f}, {other:.2g} |" for mean, other in cells))


if __name__ == "__main__":
    main()
