"""Probabilities, radii and ranks are on the safe side of exact arithmetic, by mpmath."""

from functools import cache

import mpmath as mp
import numpy as np
import pytest
from exact import cdf
from exact_curves import exact_psi

import smoothbound as sb
from smoothbound.backends import _select

pytestmark = pytest.mark.usefixtures("fifty_digits")


def quantile(p):
    return mp.sqrt(2) * mp.erfinv(2 * p - 1)


def tail(k, n, p):
    """The probability that k or more of n draws succeed."""
    return mp.betainc(k, n - k + 1, 0, p, regularized=True)


@cache
def exact_level(k, n, alpha):
    """The p at which k or more of n draws succeed with probability alpha, by bisection."""
    low, high = mp.mpf(0), mp.mpf(1)
    for _ in range(120):
        p = (low + high) / 2
        low, high = (p, high) if tail(k, n, p) <= alpha else (low, p)
    return low


CASES = [
    (k, n, alpha)
    for n in (1, 7, 100, 3000)
    for k in sorted({1, n // 3, n - 1, n} - {0})
    for alpha in (0.5, 1e-3, 1e-9)
]


@pytest.mark.parametrize(("k", "n", "alpha"), CASES)
def test_the_level_of_a_count_is_rounded_down(backend, k, n, alpha):
    z = mp.mpf(_select.load(backend).binomial_quantile(k, n, alpha))
    assert tail(k, n, cdf(z)) <= mp.mpf(alpha) < tail(k, n, cdf(z + mp.mpf("1e-11") * (1 + abs(z))))


@pytest.mark.parametrize("n", [10**4, 10**6, 10**8, 2**32 - 1])
@pytest.mark.parametrize("alpha", [0.5, 0.4, 1e-3, 1e-20])
def test_the_level_of_many_draws_that_nearly_agree_is_rounded_down(backend, n, alpha):
    # 1 - p is small here, and has to keep its digits.
    for missed in (0, 1, 2, 5):
        z = mp.mpf(_select.load(backend).binomial_quantile(n - missed, n, alpha))
        found = []
        for at in (z, z + mp.mpf("1e-11") * (1 + abs(z))):
            q = cdf(-at)
            terms = (mp.binomial(n, j) * q**j * (1 - q) ** (n - j) for j in range(missed + 1))
            found.append(mp.fsum(terms))
        assert found[0] <= mp.mpf(alpha) < found[1]


@pytest.mark.parametrize("n", [1, 2**32 - 1])
def test_the_level_of_one_success_at_the_least_alpha_is_rounded_down(backend, n):
    z = _select.load(backend).binomial_quantile(1, n, 1e-300)
    with mp.workdps(400):
        assert z == -np.inf or 1 - (1 - cdf(mp.mpf(z))) ** n <= mp.mpf(1e-300)


@pytest.mark.parametrize("k", [1, 40, 99, 100])
@pytest.mark.parametrize("r", [0.0, 0.7, 5.0, 32.75, 36.0])
def test_probabilities_and_radii_are_on_the_safe_side(backend, k, r):
    scores = np.zeros((1, 100))
    scores[0, :k] = 1.0
    made = sb.certify_scores(
        scores,
        sigma=1.0,
        alpha=0.01,
        radii=[r],
        thresholds=[0.25],
        statistic="probability",
        levels=[0.5],
        backend=backend,
    )
    z = quantile(exact_level(k, 100, mp.mpf(0.01)))
    exact, lower = cdf(z - mp.mpf(r)), mp.mpf(made.lower[0, 0, 0])
    assert exact * (1 - mp.mpf("1e-9")) - mp.mpf("1e-322") <= lower <= exact
    radius = z - quantile(mp.mpf(0.25))
    if radius > 0:
        assert radius - mp.mpf("1e-11") <= mp.mpf(made.radius[0, 0, 0]) <= radius
    else:
        assert np.isnan(made.radius).all()
    upper = sb.certify_scores(
        1.0 - scores,
        sigma=1.0,
        alpha=0.01,
        radii=[r],
        statistic="probability",
        levels=[0.5],
        sides="upper",
        backend=backend,
    ).upper
    exact = cdf(mp.mpf(r) - z)  # 1 - psi_r
    assert exact <= mp.mpf(upper[0, 0, 0]) <= exact * (1 + mp.mpf("1e-9")) + mp.mpf("1e-322")


@pytest.mark.parametrize("name", ["l1-uniform", "l1-laplace", "ablation-3-of-29"])
@pytest.mark.parametrize("k", [1, 60, 99, 100])
@pytest.mark.parametrize("r", [0.0, 0.3, 1.0, 5.0])
def test_with_other_noises_all_is_on_the_safe_side(backend, name, k, r):
    scores = np.zeros((1, 100))
    scores[0, :k] = 1.0
    options = {"curve": name, "alpha": 0.01, "radii": [r], "backend": backend}
    options["sigma"] = None if name.startswith("ablation") else 1.0
    chance = {"statistic": "probability", "levels": [0.5]} | options
    p = exact_level(k, 100, mp.mpf(0.01))
    exact = exact_psi(name, p, r)
    made = sb.certify_scores(scores, thresholds=[0.25], **chance)
    assert exact - mp.mpf("1e-11") <= mp.mpf(made.lower[0, 0, 0]) <= exact
    upper = sb.certify_scores(1.0 - scores, sides="upper", **chance).upper[0, 0, 0]
    assert 1 - exact <= mp.mpf(upper) <= 1 - exact + mp.mpf("1e-11")
    radius = made.radius[0, 0, 0]
    assert np.isnan(radius) == (p <= 0.25)
    if p > 0.25:
        step = 1.0 if name.startswith("ablation") else 1e-9
        assert exact_psi(name, p, radius) > 0.25 >= exact_psi(name, p, radius + step)
    # The k-th largest draw bounds a quantile if psi is above 1 - q, and the one before is not.
    for q in (0.2, 0.5) if k == 60 and r < 1 else ():
        made = sb.certify_scores(
            np.arange(100.0)[None], statistic="quantile", levels=[q], **options
        )
        rank = 100 - int(made.lower[0, 0, 0])
        ranks = [exact_psi(name, exact_level(j, 100, mp.mpf(0.01)), r) for j in (rank, rank - 1)]
        assert ranks[0] > 1 - mp.mpf(q) >= ranks[1]
