"""What the choices of the anytime test cost: draws until certified, against the limit.

    python benchmarks/studies/anytime_choices.py     # the tables of docs/anytime.md

For each choice the mean number of draws until the confidence at R is certified above c, the draws
of the first guess included, divided by ln(1/alpha) / KL_inf, which no test of this level can beat
on average. The tables have the geometric mean of this ratio over the cases, and the greatest. An
input that is not certified within 20 000 draws counts as 20 000. Draws are seeded, so that the
tables repeat themselves. The test is the reference in NumPy, with constants that can be changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from smoothbound.backends.reference_anytime import KNOTS, PLACES, Bet, touching_points

Vector = NDArray[np.float64]
Places = NDArray[np.int64]
Sampler = Callable[[np.random.Generator, int], Vector]

ALPHA = 1e-3
REPEATS, MOST_DRAWS, POPULATION = 40, 20_000, 200_000
SPAN = 512  # places between two knots


def mixture(low: float) -> Sampler:
    """Return a sampler of scores near 1, of which a share is low."""
    return lambda rng, n: np.where(
        rng.random(n) < 1 - low, expit(5 + rng.standard_normal(n)), 0.3 * rng.random(n)
    )


def logistic(mean: float, spread: float) -> Sampler:
    return lambda rng, n: expit(mean + spread * rng.standard_normal(n))


CASES: dict[str, tuple[Sampler, tuple[tuple[float, float], ...]]] = {
    "logistic(6 + N)": (logistic(6, 1), ((0.5, 0.0), (0.5, 1.0))),
    "logistic(4 + 1.5 N)": (logistic(4, 1.5), ((0.5, 1.0), (0.8, 1.0), (0.5, 2.0))),
    "logistic(1 + 0.5 N)": (logistic(1, 0.5), ((0.5, 0.5),)),
    "logistic(2 + 3 N)": (logistic(2, 3), ((0.5, 0.3),)),
    "votes, P(1) = 0.99": (lambda rng, n: 1.0 * (rng.random(n) < 0.99), ((0.5, 1.0),)),
    "all 1": (lambda rng, n: np.ones(n), ((0.5, 1.0),)),
    "Beta(20, 1)": (lambda rng, n: rng.beta(20, 1, n), ((0.8, 1.0),)),
    "mixture": (mixture(0.05), ((0.5, 1.0), (0.8, 0.3))),
}


@dataclass(frozen=True)
class Choice:
    """The constants of the test; by default those of the library."""

    prior: float = 0.5  # draws spread over the knots before there are any
    by_length: bool = False  # whether a knot has them in proportion to its intervals
    refresh: int = 4  # bets are chosen again when the draws have grown by one part in so many
    look: int = 32  # the same for looks
    first_steps: int = 5
    later_steps: int = 1
    kept: float = 0.3  # of the distribution before a step
    n_guess: int = 10


def main() -> None:
    cases = list(population())
    usual = Choice()
    print("| scores | c | R / sigma | limit | mean draws | median |\n|---|---|---|---|---|---|")
    for case in cases:
        draws = case.draws(usual)
        print(
            f"| {case.scores} | {case.c:g} | {case.r:g} | {case.limit:.0f} | {np.mean(draws):.0f} "
            f"| {np.median(draws):.0f} |"
        )
    print()
    tables = {
        "those of the library": [("", usual)],
        "draws of the first guess": [(f"{n}", replace(usual, n_guess=n)) for n in (5, 20, 30)],
        "mass before there are draws": [
            (f"{prior} {'by length' if by_length else 'a knot'}", Choice(prior, by_length))
            for by_length in (False, True)
            for prior in (0.25, 0.5, 1.0)
        ],
        "bets chosen again after": [(f"1/{n}", replace(usual, refresh=n)) for n in (2, 8)],
        "looks after": [(f"1/{n}", replace(usual, look=n)) for n in (16, 64)],
        "steps": [
            ("5, then 2", replace(usual, later_steps=2)),
            ("5, then 4", replace(usual, later_steps=4)),
            ("11, then 1", replace(usual, first_steps=11)),
        ],
        "kept by a step": [(f"{kept:g}", replace(usual, kept=kept)) for kept in (0.0, 0.5)],
    }
    print("| choice | | mean ratio to the limit | greatest |\n|---|---|---|---|")
    for name, choices in tables.items():
        for words, choice in choices:
            ratios = [case.ratio(choice) for case in cases]
            mean = math.exp(np.mean(np.log(ratios)))
            print(f"| {name} | {words} | {mean:.3f} | {max(ratios):.2f} |", flush=True)


@dataclass(frozen=True)
class Case:
    """A question about scores of a known distribution, and the limit of its draws."""

    scores: str
    c: float
    r: float
    rows: list[Places]
    limit: float

    def draws(self, choice: Choice) -> list[int]:
        return [certified_at(row, self.c, self.r, choice) for row in self.rows]

    def ratio(self, choice: Choice) -> float:
        return float(np.mean(self.draws(choice))) / self.limit


def population() -> Iterator[Case]:
    """Yield the cases."""
    rng = np.random.default_rng(1)
    for name, (sample, questions) in CASES.items():
        rows = [places(sample(rng, MOST_DRAWS)) for _ in range(REPEATS)]
        # A little mass everywhere: the nearest distribution of the null hypothesis may have some.
        p = masses(places(sample(rng, POPULATION))) / POPULATION + 1e-9 / KNOTS.size
        for c, r in questions:
            bet, _ = approach(p, p, c, r, 1.0, 40, 0.3)
            yield Case(name, c, r, rows, math.log(1 / ALPHA) / float(growths(bet) @ p))


def places(scores: Vector) -> Places:
    return np.searchsorted(PLACES, scores, side="right") - 1


def masses(at: Places) -> Vector:
    """Return the mass of scores at each knot, shared between the two beside each score."""
    knot, beyond = at // SPAN, (at % SPAN) / SPAN
    size = KNOTS.size + 1  # the last knot has nothing beyond it
    shared = np.bincount(knot, 1 - beyond, size) + np.bincount(knot + 1, beyond, size)
    return shared[:-1]


def certified_at(row: Places, c: float, r: float, choice: Choice) -> int:
    """Return the number of draws at the crossing, those of the guess included."""
    row, total = row[choice.n_guess :], masses(row[: choice.n_guess])
    prior = np.full(KNOTS.size, 1 / KNOTS.size)
    if choice.by_length:
        lengths = np.diff(KNOTS)
        prior = (np.append(lengths, 0) + np.append(0, lengths)) / 2
    n, refresh_at, log_wealth, stake, q = 0, 0, 0.0, 0.0, total
    while log_wealth < math.log(1 / ALPHA):
        if n >= refresh_at:
            p = (total + choice.prior * prior) / (n + choice.n_guess + choice.prior)
            warm = stake > 0.0
            steps = choice.later_steps if warm else choice.first_steps
            start, guess = (q, stake) if warm else (p, 1.0)
            bet, q = approach(p, start, c, r, guess, steps, choice.kept)
            stake, growth = bet.stake, growths(bet)
            refresh_at = n + 2 + n // choice.refresh
        after = n + max(1, n // choice.look)
        if after > row.size:
            return MOST_DRAWS
        block = masses(row[n:after])
        log_wealth += float(growth @ block)
        total += block
        n = after
    return n + choice.n_guess


def growths(bet: Bet) -> Vector:
    """Return how much a draw at each knot adds to the logarithm of the wealth."""
    return np.log1p(bet.stake * bet.values) - math.log1p(bet.stake * bet.null_mean)


def approach(
    p: Vector, q: Vector, c: float, r: float, stake: float, steps: int, kept: float
) -> tuple[Bet, Vector]:
    """Return the bet after some steps towards the projection of p, and where its tangents touch."""
    bet = best_at(q, p, c, r, stake)
    for _ in range(steps):
        if bet.stake == 0.0:
            break
        q = kept * q + (1 - kept) * bet.tilted(p)
        bet = best_at(q, p, c, r, bet.stake)
    return bet, q


def best_at(q: Vector, p: Vector, c: float, r: float, guess: float) -> Bet:
    """Return the bet whose tangents touch at q, with the best stake for draws of p."""
    bet = Bet(c, r, touching_points(q), 0.0, KNOTS)
    return replace(bet, stake=best_stake(p, bet.values, bet.null_mean, guess))


def best_stake(p: Vector, v: Vector, m: float, guess: float) -> float:
    """Return the stake that grows the wealth most, by Newton's method for its logarithm."""
    if m >= 1.0 or p @ v <= m:
        return 0.0
    low, high, at = -30.0, 40.0, math.log(guess)
    for _ in range(60):
        odds = 1 / (1 + math.exp(at) * v)
        value, slope = p @ ((v - m) * odds), math.exp(at) * (p @ ((v - m) * v * odds**2))
        low, high = (at, high) if value > 0 else (low, at)
        step = float(np.clip(value / slope, -2, 2)) if slope > 0 else math.inf
        following = at + step if low < at + step < high else (low + high) / 2
        if abs(following - at) < 1e-3:
            return math.exp(following)
        at = following
    return math.exp(at)


if __name__ == "__main__":
    main()
