"""The anytime test, slow and obvious, in NumPy and SciPy, which the tests trust.

As in `reference`, nothing is rounded to the safe side except the scores, which the record keeps
coarsely. So the fast backends have no more wealth than this with the same bets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaln, ndtr, ndtri

from smoothbound.backends.reference import shift

__all__ = [
    "KNOTS",
    "PLACES",
    "Bet",
    "State",
    "best_bet",
    "best_stake",
    "bet_at",
    "class_radius",
    "crossing",
    "functional",
    "looks",
    "masses",
    "shares",
    "touching_points",
    "wealth",
    "wealth_of_blocks",
]

Vector = NDArray[np.float64]

_TAIL = [2.0**octave * (1 + eighth / 8) for octave in range(-17, -5) for eighth in range(8)]
_MIDDLE = [i / 256 for i in range(8, 249)]
KNOTS: Vector = np.array([0.0, *_TAIL, *_MIDDLE, *(1 - x for x in reversed(_TAIL)), 1.0])
# Where a score may lie: multiples of 1/512 of an interval between knots. All are exact doubles.
PLACES: Vector = np.append(
    (KNOTS[:-1, None] + np.diff(KNOTS)[:, None] * np.arange(512) / 512).ravel(), 1.0
)


def looks(n_draws: int) -> list[int]:
    """Return the numbers of draws, up to this one, at which the test looks."""
    found = [0]
    while True:
        last = found[-1]
        after = last + (1 if last < 64 else last // 32)
        if after > n_draws:
            return found
        found.append(after)


def shares(scores: Vector, score_range: tuple[float, float], side: str) -> Vector:
    """Return the distances from the safe end in units of the range, rounded down."""
    a, b = score_range
    x = np.asarray(scores, dtype=np.float64)
    distance, far_end = (x - a, b) if side == "lower" else (b - x, a)
    return np.where(x == far_end, 1.0, distance / (b - a) * (1 - 2.0**-50))


def masses(
    scores: Vector, score_range: tuple[float, float] = (0.0, 1.0), side: str = "lower"
) -> Vector:
    """Return the mass of each draw at each knot, shape (n_draws, n_knots)."""
    place = np.searchsorted(PLACES, shares(scores, score_range, side), side="right") - 1
    out = np.zeros((len(place), len(KNOTS)))
    for row, at in zip(out, place.tolist(), strict=True):
        knot, beyond = divmod(at, 512)
        row[knot] = 1 - beyond / 512
        if beyond:
            row[knot + 1] = beyond / 512
    return out


@dataclass(frozen=True)
class Bet:
    """Touching points Phi(z_i) on the intervals between knots, and a stake.

    The null hypothesis is that the integral of psi_r(G) is at most `target`, G the survival
    function of a score in [0, 1].
    """

    target: float
    r: float
    z: Vector
    stake: float
    knots: Vector

    @cached_property
    def phi(self) -> Vector:
        """The integral of the slopes psi_r'(Phi(z)) = exp(r z - r^2/2) from 0 to each knot."""
        slopes = np.exp(self.r * self.z - self.r**2 / 2)
        return np.concatenate([[0.0], np.cumsum(np.diff(self.knots) * slopes)])

    @cached_property
    def values(self) -> Vector:
        """The function v at the knots, from 0 to 1."""
        return np.asarray(self.phi / self.phi[-1])

    @cached_property
    def null_mean(self) -> float:
        """The greatest E v of a distribution that the null hypothesis allows.

        The tangent at Phi(z) is Phi(z - r) + w Phi(-z) - w (1 - p), w its slope.
        """
        w = np.exp(self.r * self.z - self.r**2 / 2)
        constants = ndtr(self.z - self.r) + w * ndtr(-self.z)
        return 1 - (math.fsum(np.diff(self.knots) * constants) - self.target) / float(self.phi[-1])

    def tilted(self, p: Vector) -> Vector:
        """Return the distribution against which this bet is the likelihood ratio of p."""
        odds = (1 + self.stake * self.null_mean) / (1 + self.stake * self.values)
        return np.asarray(p * odds)

    def log_factor(self, masses: Vector) -> float:
        """Return how much draws of these masses at the knots add to the logarithm of the wealth."""
        if self.stake == 0.0:
            return 0.0
        gain = masses @ np.log1p(self.stake * self.values)
        return float(gain - masses.sum() * math.log1p(self.stake * self.null_mean))


def functional(p: Vector, r: float, knots: Vector = KNOTS) -> float:
    """Return the integral of psi_r(G), G the survival function of a distribution on the knots."""
    survival = np.clip(np.cumsum(p[::-1])[-2::-1], 0.0, 1.0)
    return math.fsum(np.diff(knots) * [shift(g, r) for g in survival])


def touching_points(p: Vector) -> Vector:
    """Return Phi^-1 of the survival function of a distribution on the knots, in [-9, 9]."""
    before, beyond = np.cumsum(p)[:-1], np.cumsum(p[::-1])[-2::-1]
    z = np.where(beyond < 0.5, ndtri(np.minimum(beyond, 0.5)), -ndtri(np.minimum(before, 0.5)))
    return np.asarray(np.clip(z, -9.0, 9.0))


def best_stake(p: Vector, v: Vector, m: float) -> float:
    """Return the stake at which sum p log((1 + stake v) / (1 + stake m)) is greatest."""

    def slope(log_stake: float) -> float:
        return float(p @ ((v - m) / (1 + math.exp(log_stake) * v)))

    if m >= 1.0 or p @ (v - m) <= 0.0:
        return 0.0
    if slope(40.0) > 0.0:
        return math.exp(40.0)
    return math.exp(brentq(slope, -30.0, 40.0, xtol=1e-13)) if slope(-30.0) > 0.0 else 0.0


def bet_at(q: Vector, p: Vector, target: float, r: float, knots: Vector = KNOTS) -> Bet:
    """Return the bet whose tangents touch at q, with the best stake for draws of p."""
    bet = Bet(target, r, touching_points(q), 0.0, knots)
    return replace(bet, stake=best_stake(p, bet.values, bet.null_mean))


@dataclass(frozen=True)
class State:
    """A bet, and the distribution at which its tangents touch."""

    bet: Bet
    worst: Vector


def best_bet(
    p: Vector, target: float, r: float, before: State | None = None, knots: Vector = KNOTS
) -> State:
    """Return the bet that grows the wealth most if the draws have the distribution p.

    The tangents touch at the projection of p onto the null hypothesis, which is the p tilted by
    the bet itself. Five steps from p, or one from the q before, come near. A step keeps 0.3 of
    the q before, because whole steps may go to and fro.
    """
    q = p if before is None else before.worst
    for _ in range(5 if before is None else 1):
        q = 0.3 * q + 0.7 * bet_at(q, p, target, r, knots).tilted(p)
    return State(bet_at(q, p, target, r, knots), q)


def wealth(
    draws: Vector, guess: Vector, target: float, r: float, first: int = 0
) -> Iterator[tuple[int, float, Bet | None]]:
    """Yield the number of draws, the logarithm of the wealth, and the next bet, at every look.

    Parameters
    ----------
    draws, guess
        `masses` of the draws in their order, and of those that serve as a first guess.
    target, r
        The null hypothesis, as in `Bet`.
    first
        The number of the look from which the draws count.
    """
    schedule = looks(len(draws))
    blocks = [draws[start:end].sum(axis=0) for start, end in pairwise(schedule)]
    return wealth_of_blocks(
        schedule, blocks, guess.sum(axis=0), len(guess), target=target, r=r, first=first
    )


def wealth_of_blocks(
    schedule: list[int],
    blocks: Sequence[Vector],
    guess: Vector,
    n_guess: int,
    *,
    target: float,
    r: float,
    first: int = 0,
) -> Iterator[tuple[int, float, Bet | None]]:
    """Yield what `wealth` yields, of draws that are known between the looks of a schedule alone.

    Parameters
    ----------
    schedule
        The numbers of draws at the looks, from 0.
    blocks
        The sum of the masses of the draws between each look and the next.
    guess, n_guess
        The sum of the masses of the first guess, and the number of its scores.
    target, r, first
        As for `wealth`.
    """
    total, refresh_at = 0.0, 0
    counts = guess.copy()
    state: State | None = None
    for look, n in enumerate(schedule):
        if look >= first and n >= refresh_at:
            p = (counts + 0.5 / len(KNOTS)) / (n + n_guess + 0.5)
            state = best_bet(p, target, r, state if state and state.bet.stake else None)
            refresh_at = n + 2 + n // 4
        yield n, total, state.bet if state else None
        if look + 1 < len(schedule):
            counts = counts + blocks[look]
            total += state.bet.log_factor(blocks[look]) if state else 0.0


def crossing(
    draws: Vector, guess: Vector, target: float, r: float, alpha: float, first: int = 0
) -> int:
    """Return the number of draws at the first look with a wealth of 1 / alpha, or 0."""
    for n, log_wealth, _ in wealth(draws, guess, target, r, first):
        if log_wealth >= math.log(1 / alpha):
            return n
    return 0


def class_radius(top_count: int, n_draws: int, sigma: float, alpha: float) -> float:
    """Return the radius within which a class wins the vote, of draws that stopped at any time.

    The bound on its probability is where the mixture of Beta(1/2, 1/2) and Beta(10, 1/2) has the
    likelihood ratio 1 / alpha; NaN if it is not above 1/2.
    """
    k, n = top_count, n_draws

    def log_ratio(p: float) -> float:
        parts = [
            betaln(a + k, b + n - k) - betaln(a, b) - k * math.log(p) - (n - k) * math.log1p(-p)
            for a, b in ((0.5, 0.5), (10.0, 0.5))
        ]
        return float(np.logaddexp(parts[0], parts[1])) - math.log(2.0)

    if 2 * k <= n or log_ratio(0.5) <= math.log(1 / alpha):
        return math.nan
    high = min(k / n, 1.0 - 1e-16)
    if log_ratio(high) > math.log(1 / alpha):
        return sigma * float(ndtri(high))
    p = brentq(lambda p: log_ratio(p) - math.log(1 / alpha), 0.5, high, xtol=1e-16, rtol=1e-15)
    return sigma * float(ndtri(p))
