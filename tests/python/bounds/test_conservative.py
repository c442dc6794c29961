"""Every bound is on the safe side of exact arithmetic, by mpmath at 50 digits.

The exact bound is computed from the same draws by the formula, with exact levels; certificates
must lie at or below it (upper bounds at or above), and within 1e-12 of the range.
"""

from functools import cache

import mpmath as mp
import numpy as np
import pytest
from exact import RANGES, SMALLEST, cdf

import smoothbound as sb
from smoothbound.bounds._band import local_level

TOLERANCE = 1e-12

pytestmark = pytest.mark.usefixtures("fifty_digits")


@cache
def quantile(p):
    """Phi^-1 for 0 < p < 1, whichever tail."""
    return mp.sqrt(2) * mp.erfinv(2 * p - 1)


@cache
def dkw(count, m, alpha):
    return mp.mpf(count) / m - mp.sqrt(mp.log(1 / mp.mpf(alpha)) / (2 * m))


@cache
def ell(count, m, level):
    """The level-quantile of Beta(count, m + 1 - count), by bisection on its polynomial."""
    low, high = mp.mpf(0), mp.mpf(1)

    def tail(x):  # P(Binomial(m, x) >= count)
        return mp.fsum(mp.binomial(m, j) * x**j * (1 - x) ** (m - j) for j in range(count, m + 1))

    for _ in range(120):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) <= level else (low, middle)
    return low


def exact_lower(scores, r, alpha, a, b, band, level=None):
    """Theorem 1 (band None) or Theorem 2 with every draw a knot, in 50 digits."""
    x = [mp.mpf(float(s)) for s in np.sort(scores)]
    m, a, b = len(x), mp.mpf(a), mp.mpf(b)
    if band is None:
        deviation = mp.sqrt(mp.log(1 / mp.mpf(alpha)) / (2 * m))
        p = mp.fsum(s - a for s in x) / (m * (b - a)) - deviation
        return a + ((b - a) * cdf(quantile(p) - r) if p > 0 else 0)
    total, previous = a, a
    for i, s in enumerate(x):
        if s == previous:
            continue
        p = dkw(m - i, m, alpha) if band == "dkw" else ell(m - i, m, level)
        if p > 0:
            total += (s - previous) * cdf(quantile(p) - r)
        previous = s
    return total


def check(scores, r, alpha, a, b, band, backend):
    """Compare both sides; return whether the lower one certified anything."""
    options = {"bound": "mean"} if band is None else {"band": band}
    options |= {"sigma": 1.0, "alpha": alpha, "score_range": (a, b), "radii": [float(r)]}
    cert = {
        side: sb.certify_scores(scores[None], sides=side, backend=backend, **options)
        for side in ("lower", "upper")
    }
    level = local_level(len(scores), alpha=alpha) if band == "ell" else None
    exact = exact_lower(scores, mp.mpf(float(r)), alpha, a, b, band, level)
    mirrored = -exact_lower(-scores, mp.mpf(float(r)), alpha, -b, -a, band, level)
    lower, upper = cert["lower"].lower[0, 0], cert["upper"].upper[0, 0]
    # The mean of Theorem 1 is good to 1e-14; next to 1, only the deviation is left of 1 - p.
    tolerance = TOLERANCE if band or alpha < 0.9 else 1e-8
    assert lower <= exact <= lower + tolerance * (b - a) + 2 * np.spacing(abs(a))
    assert upper >= mirrored >= upper - tolerance * (b - a) - 2 * np.spacing(abs(b))
    return lower > a


def random_case(rng):
    """Scores of one input, with ties, ends of the range and tiny gaps; a radius up to 60."""
    a, b = RANGES[rng.integers(len(RANGES))]
    m = int(rng.choice([1, 2, 3, 7, 20]))
    u = [
        rng.uniform(size=m),
        np.ones(m),
        rng.integers(0, 3, m) / 2,
        1 - 10.0 ** rng.uniform(-17, 0, m),
        10.0 ** rng.uniform(-320, 0, m),
    ][rng.integers(5)]
    scores = np.clip(a + (b - a) * u, a, b)
    r = [0.0, rng.uniform(0, 1), rng.uniform(0, 10), 60 * rng.uniform()][rng.integers(4)]
    return scores, r, a, b


@pytest.mark.parametrize("band", [None, "dkw"])
def test_thousands_of_cases(backend, band):
    rng = np.random.default_rng(0)
    certified = 0
    for _ in range(1500 if backend == "cpp" else 300):
        scores, r, a, b = random_case(rng)
        # alpha just below 1 leaves levels just below 1, and such that little is left, near 0
        alpha = float(rng.choice([0.2, 0.5, 0.9, 1 - 1e-12, np.exp(-2 * len(scores)) * 1.001]))
        if alpha <= np.exp(-2 * len(scores)):
            continue
        certified += check(scores, r, alpha, a, b, band, backend)
    assert certified > 100


def test_equal_local_levels(backend):
    rng = np.random.default_rng(1)
    for _ in range(250 if backend == "cpp" else 60):
        scores, r, a, b = random_case(rng)
        alpha = float(rng.choice([0.5, 0.05, 1e-6, 1e-12]))
        check(scores[:7], r, alpha, a, b, "ell", backend)


@pytest.mark.parametrize("m", [1, 10, 1_000_000])
@pytest.mark.parametrize("r", [0.0, 1e-9, 3.0, 25.0, 60.0])
def test_all_ties(m, r):
    """All draws alike: the exact bound is a single term, whatever m."""
    for score in (SMALLEST, 1e-310, 0.25, np.nextafter(1.0, 0.0), 1.0):
        scores = np.full(m, score)
        alpha = 0.5
        p = dkw(m, m, alpha)
        exact = mp.mpf(score) * cdf(quantile(p) - mp.mpf(r))
        cert = sb.certify_scores(scores[None], sigma=1.0, alpha=alpha, radii=[r], band="dkw")
        assert 0 <= cert.lower[0, 0] <= exact <= cert.lower[0, 0] + TOLERANCE


@pytest.mark.parametrize("band", [None, "dkw"])
def test_the_certified_radius_is_certified(backend, band):
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(300 if backend == "cpp" else 60):
        scores, _, a, b = random_case(rng)
        alpha, sigma = 0.9, float(10.0 ** rng.uniform(-3, 3))
        highest = float(exact_lower(scores, mp.mpf(0), alpha, a, b, band))
        threshold = a + (highest - a) * rng.uniform(1e-3, 1)
        options = {"bound": "mean"} if band is None else {"band": band}
        options |= {"score_range": (a, b), "alpha": alpha, "backend": backend}
        if not a < threshold < b:
            continue
        try:
            cert = sb.certify_scores(scores[None], sigma=sigma, thresholds=[threshold], **options)
        except ValueError:  # not even perfect scores reach this threshold
            continue
        radius = cert.radius[0, 0]
        if np.isnan(radius):
            continue
        found += 1
        r = mp.mpf(float(radius)) / mp.mpf(sigma)
        assert exact_lower(scores, r, alpha, a, b, band) > threshold
    assert found > 20


@pytest.mark.parametrize("backend", ["cpp", "numba"])
def test_radii_are_scaled_to_the_safe_side(backend):
    # 0.1 / 0.3 and the like are not exact: the bound at R is that at R / sigma, rounded up.
    scores = np.linspace(0.2, 1.0, 12)
    for sigma, radius in [(0.3, 0.1), (0.1, 0.7), (1e-5, 3e-5), (7.0, 0.1)]:
        options = {"band": "dkw", "alpha": 0.3, "radii": [radius], "backend": backend}
        cert = sb.certify_scores(scores[None], sigma=sigma, **options)
        exact = exact_lower(scores, mp.mpf(radius) / mp.mpf(sigma), 0.3, 0.0, 1.0, "dkw")
        assert cert.lower[0, 0] <= exact <= cert.lower[0, 0] + TOLERANCE
