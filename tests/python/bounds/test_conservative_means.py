"""The tangent bound and the bounds on a mean are on the safe side of exact arithmetic.

The exact bound comes from the same draws, touching points and stake (any that do not depend on the
draws are valid), by mpmath at 50 digits: from the logarithm at every draw, where the fast code adds
up chords between the knots. Certificates must lie at or below it (upper bounds at or above), and
close to the exact bound with chords.
"""

from collections import Counter
from functools import cache
from itertools import pairwise, product
from typing import NamedTuple

import exact
import mpmath as mp
import numpy as np
import pytest
from exact import RANGES, SMALLEST, cdf

import smoothbound as sb
from smoothbound._numba._means import tangent as _tangent

UNIT = 2.0**-53
TOLERANCE = {"cpp": 1e-12, "numba": 1e-11}  # of a bound on a mean by betting, and of the rest
ROOT_TOLERANCE = {"cpp": 1e-6, "numba": 5e-6}  # by Bernstein: the root of the error of a variance

pytestmark = pytest.mark.usefixtures("fifty_digits")


tangent = cache(exact.tangent)  # bounds on a mean share touching points for the same draws


class Choice(NamedTuple):
    """What a backend chose from the pilot: knots, touching points, stake."""

    knots: np.ndarray
    z: np.ndarray
    stake: float


def shares_of(scores, a, b):
    """The draws as the backends see them: distances from a in units of the range, rounded down."""
    shares = np.nextafter((scores - a) / (b - a) * (1.0 - 4 * UNIT), -np.inf)
    return np.sort(np.maximum(shares, 0.0))


def choice(backend, mean, alpha, pilot, draws, r):
    if backend == "cpp":
        core = pytest.importorskip("smoothbound._core")
        tangent = core.TangentBound(mean, alpha, pilot, draws)
    else:
        tangent = _tangent.TangentBound(mean, alpha, pilot, draws)
    tangent(r)
    return Choice(tangent.knots, tangent.z, tangent.stake)


class Exact:
    """v = phi / phi(1) of a choice at r, and the constant, in 50 digits."""

    def __init__(self, chosen, r):
        self.knots = [mp.mpf(x) for x in chosen.knots.tolist()]
        self.floats, self.stake = chosen.knots, mp.mpf(chosen.stake)
        phi, self.constant, tangents = [mp.mpf(0)], mp.mpf(0), {}
        for (low, high), z in zip(pairwise(self.knots), chosen.z.tolist(), strict=True):
            if z not in tangents:
                tangents[z] = tangent(mp.mpf(z), r)
            weight, height = tangents[z]
            phi.append(phi[-1] + (high - low) * weight)
            self.constant += (high - low) * height
        self.greatest = phi[-1]
        self.v = [value / phi[-1] for value in phi]

    def at(self, x, value):
        """Interpolate at x between the values at the knots, which `value` returns."""
        i = int(np.searchsorted(self.floats, float(x), side="right")) - 1
        i = min(max(i, 0), len(self.knots) - 2)
        low, high = self.knots[i], self.knots[i + 1]
        return value(i) + (x - low) / (high - low) * (value(i + 1) - value(i))

    def value(self, x):
        return self.at(x, self.v.__getitem__)

    def bernstein(self, draws, alpha):
        return bernstein([(self.value(x), n) for x, n in draws], alpha)

    def betting(self, draws, alpha, *, chords):
        if chords:
            log = cache(lambda i: mp.log1p(self.stake * self.v[i]))
            total = mp.fsum(n * self.at(x, log) for x, n in draws)
        else:
            total = mp.fsum(n * mp.log1p(self.stake * self.value(x)) for x, n in draws)
        growth = (total + mp.log(mp.mpf(alpha))) / sum(n for _, n in draws)
        return max(mp.mpf(0), mp.expm1(growth) / self.stake)

    def distance(self, share):
        return max(mp.mpf(0), self.constant - self.greatest * (1 - share))


def bernstein(values, alpha):
    n = sum(k for _, k in values)
    mean = mp.fsum(v * k for v, k in values) / n
    variance = mp.fsum(k * (v - mean) ** 2 for v, k in values) / (n - 1)
    evidence = mp.log(2 / mp.mpf(alpha))
    slack = mp.sqrt(2 * variance * evidence / n) + 7 * evidence / (3 * (mp.mpf(n) - 1))
    return max(mp.mpf(0), mean - slack)


def shifted(share, r):
    """psi_r; for a share below what 50 digits tell from 0, by Newton's method."""
    if share <= 0:
        return mp.mpf(0)
    if share > 1e-20:
        return cdf(mp.sqrt(2) * mp.erfinv(2 * share - 1) - r)
    start = -mp.sqrt(-2 * mp.log(share))
    z = mp.findroot(lambda x: mp.log(cdf(x)) - mp.log(share), start)
    return cdf(z - r)


def counted(scores, a, b):
    """Exact shares of the range, each once, with how many draws have it."""
    width = mp.mpf(b) - mp.mpf(a)
    return [((mp.mpf(x) - mp.mpf(a)) / width, n) for x, n in Counter(scores.tolist()).items()]


class Case(NamedTuple):
    scores: np.ndarray
    r: float
    alpha: float
    a: float
    b: float

    def mirrored(self):
        return Case(-self.scores, self.r, self.alpha, -self.b, -self.a)

    @property
    def n_pilot(self):
        return max(1, len(self.scores) // 10)


def limits(case, bound, mean, backend):
    """The exact distance from a in units of the range, and the least that is close enough.

    A bound on a mean is known to the tolerances above: by betting to that times 1 + 1 / stake.
    """
    scores, r, alpha, a, b = case
    tolerance, root = TOLERANCE[backend], ROOT_TOLERANCE[backend]
    if bound == "mean" and mean == "bernstein":
        exact = bernstein(counted(scores, a, b), alpha)
        return shifted(exact, mp.mpf(r)), shifted(exact - root, mp.mpf(r))
    pilot, draws = scores[: case.n_pilot], scores[case.n_pilot :]
    up = float(np.nextafter(r, np.inf)) if r else 0.0  # where the tangents are chosen
    chosen = choice(backend, mean, alpha, shares_of(pilot, a, b), shares_of(draws, a, b), up)
    exact, x = Exact(chosen, mp.mpf(r)), counted(draws, a, b)
    if mean == "bernstein":
        share = exact.bernstein(x, alpha)
        least = share - root
    else:
        share = exact.betting(x, alpha, chords=False)
        least = exact.betting(x, alpha, chords=True) - tolerance * (1 + 1 / exact.stake)
    return exact.distance(share), exact.distance(least) - tolerance * (1 + exact.greatest)


def certify(case, bound, mean, backend, **options):
    return sb.certify_scores(
        case.scores[None], sigma=1.0, radii=[float(case.r)], alpha=case.alpha,
        score_range=(case.a, case.b), bound=bound, mean=mean, backend=backend, order="drawn",
        **options,
    )  # fmt: skip


def check(case, bound, mean, backend):
    """Compare both sides; return whether the lower one certified anything."""
    try:
        lower = certify(case, bound, mean, backend).lower[0, 0]
        upper = certify(case, bound, mean, backend, sides="upper").upper[0, 0]
    except ValueError as error:
        assert "too few" in str(error)  # noqa: PT017
        return False
    width = mp.mpf(case.b) - mp.mpf(case.a)
    rounding = 4 * np.spacing(max(abs(case.a), abs(case.b)))  # of scores and bounds
    slack = TOLERANCE[backend] * width + rounding
    exact, least = limits(case, bound, mean, backend)
    distance = mp.mpf(float(lower)) - mp.mpf(case.a)
    assert least * width - slack <= distance <= exact * width
    exact, least = limits(case.mirrored(), bound, mean, backend)
    distance = mp.mpf(case.b) - mp.mpf(float(upper))
    assert least * width - slack <= distance <= exact * width
    return lower > case.a


ALPHAS = [1 - 2.0**-53, 1 - 1e-12, 0.9, 0.5, 0.05, 1e-3, 1e-9]


KINDS_OF_SHARES, KINDS_OF_R = 8, 4


def random_case(rng, kind, kind_of_r, alpha):
    """Scores of one input, with ties, ends of the range and tiny gaps; a radius up to 60."""
    a, b = RANGES[rng.integers(len(RANGES))]
    m = int(rng.choice([2, 3, 7, 20, 60]))
    u = [
        rng.uniform(size=m),
        np.ones(m),
        np.full(m, rng.uniform()),
        rng.integers(0, 3, m) / 2,
        1 - 10.0 ** rng.uniform(-17, 0, m),
        10.0 ** rng.uniform(-320, 0, m),
        np.where(rng.uniform(size=m) < 0.8, 1.0, SMALLEST),
        rng.beta(20, 1, m),
    ][kind]
    scores = np.clip(a + (b - a) * u, a, b)
    r = [0.0, rng.uniform(0, 1), rng.uniform(0, 10), 60 * rng.uniform()][kind_of_r]
    return Case(scores, r, alpha, a, b)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bound", "mean", "rounds"),
    [("mean", "bernstein", 5), ("tangent", "bernstein", 1), ("tangent", "betting", 2)],
)
def test_every_kind_of_scores_radius_and_alpha(backend, bound, mean, rounds):
    rng = np.random.default_rng(0)
    kinds = list(product(range(KINDS_OF_SHARES), range(KINDS_OF_R), ALPHAS)) * rounds
    kinds = kinds if backend == "cpp" else kinds[::3]  # each pair of a kind and an alpha or r
    certified = sum(check(random_case(rng, *kind), bound, mean, backend) for kind in kinds)
    assert certified > len(kinds) // 20


@pytest.mark.parametrize("m", [2, 1000, 100_000])
def test_all_ties(m):
    """All draws alike, next to either end: whatever m, a bet on one number."""
    for score in (SMALLEST, 1e-310, 0.25, np.nextafter(1.0, 0.0), 1.0):
        for r in (0.0, 1e-9, 3.0, 60.0):
            check(Case(np.full(m, score), r, 1 - 2.0**-53, 0.0, 1.0), "tangent", "betting", "cpp")
            for bound in ("mean", "tangent"):
                check(Case(np.full(m, score), r, 0.1, 0.0, 1.0), bound, "bernstein", "cpp")


@pytest.mark.parametrize(
    ("bound", "mean"),
    [("tangent", "betting"), ("tangent", "bernstein"), ("mean", "bernstein")],
)
def test_many_draws(backend, bound, mean):
    rng = np.random.default_rng(3)
    assert check(Case(rng.beta(20, 1, 3000), 1.0, 1e-3, 0.0, 1.0), bound, mean, backend)
    near = 1 - 10.0 ** rng.uniform(-17, 0, 3000)
    assert check(Case(near, 0.3, 1e-3, -1.0, 1.0), bound, mean, backend)


def test_the_certified_radius_is_a_point_of_the_walk_that_passed(monkeypatch):
    """The radius is rounded down, and every point up to it passed by the exact bound as well."""
    walk = []

    class Recorded(_tangent.TangentBound):
        def _bound(self):
            walk.append((Choice(self.knots, self.z, self.stake), self.r))
            return super()._bound()

        def _settle(self, r):
            self.r = r
            super()._settle(r)

    monkeypatch.setattr("smoothbound._numba.bounds.TangentBound", Recorded)
    rng = np.random.default_rng(2)
    for sigma, threshold in [(0.1, 0.4), (0.7, 0.9), (3.0, 0.6)]:
        scores = rng.beta(20, 1, 60)
        walk.clear()
        cert = sb.certify_scores(
            scores[None], sigma=sigma, alpha=0.5, radii=[], thresholds=[threshold],
            bound="tangent", order="drawn", backend="numba",
        )  # fmt: skip
        radius = mp.mpf(float(cert.radius[0, 0])) / mp.mpf(sigma)
        passed = [(chosen, r) for chosen, r in walk if r < walk[-1][1]]
        assert passed[-1][1] - 1e-12 < radius <= passed[-1][1]
        for chosen, r in [*passed[::8], passed[-1]]:
            exact = Exact(chosen, mp.mpf(r))
            share = exact.betting(counted(scores[6:], 0.0, 1.0), 0.5, chords=False)
            assert exact.distance(share) > threshold
