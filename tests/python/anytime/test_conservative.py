"""The wealth is never above that of exact arithmetic with the same bets and draws.

The exact wealth comes from the touching points, slopes and stakes that the code chose, by mpmath at
50 digits: at every score, and from its mass as it is shared between two knots, which is less.
Any slope that is not below the tangent's gives a true inequality (docs/tangent.md), so the slopes
are checked to be such and then taken as they are.
"""

from itertools import product
from typing import NamedTuple

import mpmath as mp
import numpy as np
import pytest
from exact import RANGES, SMALLEST, cdf, tangent

from smoothbound.backends import _select as backends
from smoothbound.backends import reference_anytime as reference

CLOSE = {"cpp": 1e-13, "numba": 1e-12}  # relative, of the null mean and 1 + stake v
HARD_RANGES = [*RANGES, (-1e300, 1e300)]
KNOTS = [mp.mpf(x) for x in reference.KNOTS.tolist()]

pytestmark = pytest.mark.usefixtures("fifty_digits")


class Case(NamedTuple):
    """Scores that are a first guess, those of the draws, and a question."""

    guess: np.ndarray
    scores: np.ndarray
    target: float
    r: float
    a: float = 0.0
    b: float = 1.0
    side: str = "lower"

    def shares(self, scores):
        """Exact distances from the safe end in units of the range, and how many draws have each."""
        a, b = mp.mpf(self.a), mp.mpf(self.b)
        for x, n in zip(
            *(each.tolist() for each in np.unique(scores, return_counts=True)), strict=True
        ):
            yield (mp.mpf(x) - a if self.side == "lower" else b - mp.mpf(x)) / (b - a), n


class Exact:
    """A bet of a process in 50 digits."""

    def __init__(self, process, target, r):
        self.stake = mp.mpf(process.stake)
        r = mp.mpf(r)
        constant, phi = mp.mpf(0), [mp.mpf(0)]
        lines = {}
        for i, (z, weight) in enumerate(
            zip(process.z.tolist(), process.weights.tolist(), strict=True)
        ):
            if (z, weight) not in lines:
                slope, height = tangent(mp.mpf(z), r)
                assert slope <= weight <= max(slope * (1 + mp.mpf(2e-12)), 1e-303)
                lines[z, weight] = mp.mpf(weight), height
            weight, height = lines[z, weight]
            length = KNOTS[i + 1] - KNOTS[i]
            phi.append(phi[-1] + length * weight)
            constant += length * height
        self.v = [value / phi[-1] for value in phi]
        self.null_mean = 1 - (constant - mp.mpf(target)) / phi[-1]
        assert 0 <= self.null_mean <= process.null_mean or not self.stake
        self.logs = {}
        self.log_null = mp.log1p(self.stake * self.null_mean)

    def gain(self, shares):
        """What the draws at these exact shares add to the logarithm of the wealth."""
        return mp.fsum(n * (mp.log1p(self.stake * self.at(u)) - self.log_null) for u, n in shares)

    def at(self, u):
        i = min(int(np.searchsorted(reference.KNOTS, float(u), side="right")) - 1, len(KNOTS) - 2)
        i -= u < KNOTS[i]  # float(u) was rounded up
        low, high = KNOTS[i], KNOTS[i + 1]
        return self.v[i] + (u - low) / (high - low) * (self.v[i + 1] - self.v[i])

    def gain_of_masses(self, masses):
        """The same of the masses at the knots."""
        at = np.flatnonzero(masses).tolist()
        return mp.fsum(mp.mpf(float(masses[k])) * (self.log(k) - self.log_null) for k in at)

    def log(self, k):
        """Return log(1 + stake v) at knot k; few bets ask for it at every knot."""
        if k not in self.logs:
            self.logs[k] = mp.log1p(self.stake * self.v[k])
        return self.logs[k]

    def slack(self, error):
        """What a draw may lose where the null mean and 1 + stake v have this error."""
        return error * (
            1 + self.log(len(KNOTS) - 1) + self.stake / (1 + self.stake * self.null_mean)
        )


def check(case, backend):
    """Compare at every look; return the logarithm of the wealth at the last one."""
    module = backends.load(backend)
    record = module.DrawRecord(case.a, case.b, case.side)
    assert record.guess(case.guess[None]) == -1
    process = module.EProcess(case.target, case.r)
    exact = shared = slack = mp.mpf(0)
    bet, key, last = None, None, 0
    for n in reference.looks(len(case.scores)):
        block = case.scores[last:n]
        assert record.add(block[None]) == -1
        process.advance(record, 1e-302)
        if len(block):
            exact += bet.gain(case.shares(block))
            shared += bet.gain_of_masses(masses_of(block, case))
            slack += len(block) * bet.slack(CLOSE[backend] * (1 + case.r**2))
        assert shared - slack - 1e-15 * abs(shared) <= process.log_wealth <= shared <= exact
        if key != (key := (process.stake, process.null_mean, process.z.tobytes())):
            bet = Exact(process, case.target, case.r)
        if process.log_wealth > 695:
            break  # where the process stops
        last = n
    return process.log_wealth


def masses_of(scores, case):
    """The masses of the draws together, each different score once."""
    each, counts = np.unique(scores, return_counts=True)
    return counts @ reference.masses(each, (case.a, case.b), case.side)


KINDS_OF_SHARES, KINDS_OF_R, KINDS_OF_TARGET = 10, 4, 4


def random_shares(rng, n, kind):
    places = rng.choice(reference.PLACES if rng.uniform() < 0.5 else reference.KNOTS, n)
    return [
        places,
        np.nextafter(places, 0.0),
        np.nextafter(places, 1.0),
        np.ones(n),
        np.full(n, rng.uniform()),
        rng.integers(0, 3, n) / 2,
        1 - 10.0 ** rng.uniform(-17, 0, n),
        10.0 ** rng.uniform(-320, 0, n),
        np.where(rng.uniform(size=n) < 0.9, 1.0, SMALLEST),
        rng.beta(20, 1, n),
    ][kind]


def random_case(rng, kind=None, kind_of_r=None, kind_of_target=None):
    """Hard scores, in hard ranges; r up to 40; targets near 0 and 1."""
    if kind is None:
        kind, kind_of_r, kind_of_target = rng.integers(
            [KINDS_OF_SHARES, KINDS_OF_R, KINDS_OF_TARGET]
        )
    a, b = HARD_RANGES[rng.integers(len(HARD_RANGES))]
    n, n_guess = int(rng.choice([3, 30, 80])), int(rng.choice([0, 1, 10]))
    u = random_shares(rng, n + n_guess, kind)
    side = str(rng.choice(["lower", "upper"]))
    with np.errstate(over="ignore"):
        scores = np.clip(a + (b - a) * u if side == "lower" else b - (b - a) * u, a, b)
    r = [0.0, rng.uniform(0, 1), rng.uniform(0, 4), rng.uniform(0, 40)][kind_of_r]
    target = [
        rng.uniform(),
        1 - 10.0 ** rng.uniform(-16, 0),
        10.0 ** rng.uniform(-5, 0),
        10.0 ** rng.uniform(-r * r / 4 - 5, 0),
    ][kind_of_target]
    return Case(scores[:n_guess], scores[n_guess:], max(target, 1e-300), r, a, b, side)


@pytest.mark.parametrize("seed", range(3))
def test_some_cases(backend, seed):
    rng = np.random.default_rng(seed)
    assert sum(check(random_case(rng), backend) > 1 for _ in range(5)) > 0


@pytest.mark.slow
def test_scores_of_every_kind_with_every_kind_of_radius_and_of_target(backend):
    rng = np.random.default_rng(10)
    kinds = product(range(KINDS_OF_SHARES), range(KINDS_OF_R), range(KINDS_OF_TARGET))
    # Either backend has every pair of kinds, the core thrice; both together have all kinds.
    kinds = [one for one in kinds if (sum(one) % KINDS_OF_TARGET == 0) == (backend == "numba")]
    gained = sum(check(random_case(rng, *one), backend) > 1 for one in kinds)
    assert gained > len(kinds) // 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("score", "target", "r"),
    [
        (0.5, 0.4999, 0.0),
        (np.nextafter(0.5, 0.0), 0.4999, 0.0),
        (1.0, 0.9999, 0.5),
        (SMALLEST, 1e-9, 0.0),
        (1 - 2.0**-17, 1 - 2.0**-16.5, 0.0),
        (0.75, 0.4, 1.0),
    ],
)
def test_a_million_equal_draws(backend, score, target, r):
    n = 2_000_000 if backend == "cpp" else 200_000
    check(Case(np.full(10, score), np.full(n, score), target, r), backend)


@pytest.mark.parametrize("r", [0.0, 0.3, 3.0, 40.0])
def test_scores_at_the_far_end_at_any_radius(backend, r):
    """For votes the claim is P(1) > Phi(1), at targets down to 1e-300."""
    target = float(max(cdf(mp.mpf(1 - r)), mp.mpf("1e-300")))
    ones = np.ones(200)
    assert check(Case(ones[:10], ones, target, r), backend) > 0
    assert check(Case(1 - ones[:10], 1 - ones, target, r, side="upper"), backend) > 0
