"""How often the wealth of a false claim ever reaches 1 / alpha: at most alpha.

Scores that are 0 or 1 are enumerated exactly. The bets change only at refreshes, and depend on how
many draws were 1 between them. So the states are these counts, and between refreshes the wealth
is a function of one count, whose first passage is a sum over a lattice. A state is left out where
the wealth cannot reach 1 / alpha any more: no factor exceeds 1 / p, because no null mean is below
p. A state counts as reached where 1e-9 of the logarithm is missing.
"""

import math
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from smoothbound.backends import _select as backends
from smoothbound.backends import reference_anytime as reference

N = 60
REFRESHES = [0, 2, 4, 7, 10, 14, 19, 25, 33, 43, 55, N]


class Claim:
    """The claim that the confidence at r is above c, false by nothing: P(score = 1) = p."""

    def __init__(self, backend, c, r, alpha, guess):
        self.module, self.guess = backends.load(backend), np.array([guess], np.float64)
        self.c, self.r = c, r
        self.p = float(ndtr(ndtri(c) + r))
        self.enough = math.log(1 / alpha) - 1e-9

    def bet(self, path, log_wealth):
        """Return what a 1 and what a 0 adds to the logarithm of the wealth after this path."""
        record = self.module.DrawRecord(0.0, 1.0, "lower")
        record.guess(self.guess)
        for ones, zeros in path:
            record.add(np.repeat([[1.0, 0.0]], [ones, zeros], axis=1))
        process = self.module.EProcess(self.c, self.r)
        process.advance(record, 1e-302)
        assert process.log_wealth == pytest.approx(log_wealth, abs=1e-8)
        assert process.null_mean >= self.p - 1e-12
        lost = -math.log1p(process.stake * process.null_mean)
        return math.log1p(process.stake) + lost, lost

    def probability(self):
        """Return the probability that the wealth ever reaches 1 / alpha within N draws."""
        states, reached = [((), 0.0, 1.0)], 0.0
        for start, end in pairwise(REFRESHES):
            following = []
            for path, log_wealth, weight in states:
                up, down = self.bet(path, log_wealth)
                left, passed = self.lattice(log_wealth, up, down, end - start)
                reached += weight * passed
                for ones, probability in left.items():
                    zeros = end - start - ones
                    log = log_wealth + ones * up + zeros * down
                    if log - (N - end) * math.log(self.p) >= self.enough:
                        following.append(((*path, (ones, zeros)), log, weight * probability))
            states = following
        return reached

    def lattice(self, log_wealth, up, down, n_draws):
        """Return the probabilities of the numbers of ones that never passed, and of passing."""
        left, passed = {0: 1.0}, 0.0
        for draw in range(1, n_draws + 1):
            after = defaultdict(float)
            for ones, probability in left.items():
                after[ones + 1] += probability * self.p
                after[ones] += probability * (1 - self.p)
            crossed = {k for k in after if log_wealth + k * up + (draw - k) * down >= self.enough}
            passed += sum(after[k] for k in crossed)
            left = {k: probability for k, probability in after.items() if k not in crossed}
        return left, passed


SETTINGS = [
    (0.8, 0.5, 0.1, [1.0] * 10, 0.0786),
    (0.5, 2.0, 0.3, [1.0] * 100, 0.2820),
    (0.9, 0.0, 0.1, [1.0] * 30 + [0.0], 0.0547),
]
MORE_STATES = [
    (0.5, 1.0, 0.1, [1.0] * 10, 0.0789),
    (0.8, 0.5, 0.3, [1.0] * 10, 0.2500),
    (0.9, 0.5, 0.3, [], 0.1486),
]


@pytest.mark.parametrize(
    ("c", "r", "alpha", "guess", "known"),
    [*SETTINGS, *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE_STATES)],
)
def test_no_stopping_time_is_wrong_more_often_than_alpha(c, r, alpha, guess, known):
    pytest.importorskip("smoothbound._core")
    probability = Claim("cpp", c, r, alpha, guess).probability()
    assert known < probability < known + 1e-4
    assert probability <= alpha


@pytest.mark.parametrize(("c", "r", "alpha", "guess", "known"), SETTINGS[:2])
def test_nor_is_any_without_the_core(c, r, alpha, guess, known):
    assert known < Claim("numba", c, r, alpha, guess).probability() < known + 1e-4


# Scores with any number of values: how often, in repetitions --------------------------------------

N_DRAWS, REPEATS = 400, 300


def two_points(low, high, p):
    return lambda rng, shape: np.where(rng.uniform(size=shape) < p, high, low)


def on_edges(rng, shape):
    """Heavy atoms on and beside knots."""
    return rng.choice([0.25, np.nextafter(0.25, 0), 0.5, 1.0, 1 - 2.0**-17], shape)


@pytest.mark.parametrize("alpha", [0.1, 0.3])
@pytest.mark.parametrize(
    ("draw", "r"),
    [
        (two_points(0.3, 0.9, 0.8), 0.7),
        (two_points(0.0, 1.0, 0.9), 1.0),
        (on_edges, 0.5),
        (lambda rng, shape: rng.beta(3, 1.5, shape), 0.5),
    ],
)
def test_false_certificates_are_no_more_than_alpha_at_the_boundary(draw, r, alpha):
    """Threshold and radius are such that the claim is false by nothing."""
    rng = np.random.default_rng(4)
    population = reference.masses(draw(rng, 20_000)).mean(axis=0)
    target = reference.functional(population, r)
    scores = rng.choice(reference.KNOTS, (REPEATS, N_DRAWS), p=population)
    shown, _ = backends.load("cpp").test_rows(
        scores, targets=np.array([target]), r=np.array([r]), chained=np.array([False]),
        alpha=alpha, a=0.0, b=1.0, side="lower", n_guess=10, order="drawn", seed=0, first_row=0,
        threads=1,
    )  # fmt: skip
    false = np.count_nonzero(shown)
    assert 0 < false <= binom.isf(1e-4, REPEATS, alpha)
