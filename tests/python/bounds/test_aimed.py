"""The bets that aim at the last draw, `mean="betting"`, against the same game in 50 digits."""

from decimal import Decimal, localcontext
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom

import smoothbound as sb
from smoothbound._numba._means import aimed as numba_aimed
from smoothbound.backends import reference

ALPHA = 0.001
SPARE = Decimal.from_float(1e-3)  # the double of aimed.cpp
ONE, ZERO = Decimal(1), Decimal(0)


def bets_of(backend, alpha):
    if backend == "numba":
        return numba_aimed.AimedBets(alpha)
    return pytest.importorskip("smoothbound._core").AimedBets(alpha)


def lines_of(bets):
    return [(Decimal(h), Decimal(s)) for h, s in np.reshape(bets.lines, (-1, 2)).tolist()]


def tail(k, n, p):
    """P(Binomial(n, p) >= k), summed from the probability of n ones downwards."""
    if k <= 0:
        return ONE
    total, term = ZERO, p**n
    for i in range(n, k - 1, -1):
        total += term
        term *= (1 - p) * i / (p * (n - i + 1))
    return total


@lru_cache(maxsize=1000)
def vote_mean(k, n, level):
    """The mean at which P(Binomial(n, c) >= k) is the level."""
    near = Decimal(float(beta.ppf(float(level), k, n + 1 - k)))
    low, high = near * (1 - Decimal("1e-9")), near * (1 + Decimal("1e-9"))
    assert tail(k, n, low) < level < tail(k, n, high)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(k, n, middle) <= level else (low, middle)
    return low


def beta_count(n, c, level):
    """About the least k with P(Binomial(n, c) >= k) <= level."""
    return binom.isf(level, n, min(c, 1.0))


def final_wealth(draws, alpha, bets, c):
    """The wealth of the player who doubts the mean c: 1 or more if it ever was."""
    n, c = len(draws), Decimal(c)
    level = min(Decimal(alpha), Decimal("0.5"))
    votes = 0
    while votes < n and draws[votes] in (0.0, 1.0):
        votes += 1
    ones = int(sum(draws[:votes]))
    k = max(1, int(beta_count(n, float(c), float(level))) - 1)
    while k <= n and tail(k, n, c) > level:
        k += 1
    assert k == 1 or tail(k - 1, n, c) > level
    if k > n:
        return ZERO
    mean, left, x = vote_mean(k, n, level), n - votes - 1, Decimal(float(draws[votes]))
    wealth = (1 - x) * tail(k - ones, left, mean) + x * tail(k - ones - 1, left, mean)
    lines = lines_of(bets)
    rest = slice(votes + 1, None)
    for x, scale in zip(draws[rest].tolist(), bets.scales[rest].tolist(), strict=True):
        if wealth >= 1:
            break
        near = piece_of(float(wealth))
        stake = min(h + s * wealth for h, s in lines[max(near - 1, 0) : near + 2])
        stake = min(stake * Decimal(scale), wealth / (c + SPARE))
        wealth += stake * (Decimal(x) - c)
    return wealth


def piece_of(wealth):
    fraction, exponent = np.frexp(wealth)
    piece = (int(exponent) + 63) * 16 + int((2 * fraction - 1) * 16)
    return 0 if wealth == 0.0 or piece < 0 else min(piece + 1, 1024)


def rows(rng, n):
    """Draws with ties, both ends, tiny gaps and tiny values."""
    votes = (rng.random(n) < 0.7) * 1.0
    return [
        rng.random(n),
        np.full(n, rng.random()),
        np.full(n, 0.9999),
        votes,
        np.ones(n),
        np.where(rng.random(n) < 0.9, votes, rng.random(n)),
        np.where(rng.random(n) < 0.9, 1.0, rng.random(n)),
        1 - 10.0 ** rng.uniform(-17, 0, n),
        10.0 ** rng.uniform(-320, 0, n),
        rng.beta(20, 1, n),
        np.sort(rng.random(n)),
        np.sort(rng.random(n))[::-1].copy(),
    ]


@pytest.mark.parametrize("alpha", [1 - 2.0**-53, 0.9, 0.5, 0.05, 1e-3, 1e-9])
@pytest.mark.parametrize("n", [1, 2, 20, 60])
def test_never_above_50_digits_and_close(backend, alpha, n):
    rng = np.random.default_rng(n)
    certified = 0
    with localcontext() as context:
        context.prec = 50
        for draws in rows(rng, n):
            bets = bets_of(backend, alpha)
            c = bets(draws)
            if c == 0.0:
                continue
            certified += 1
            if set(draws.tolist()) <= {0.0, 1.0}:
                level = min(Decimal(alpha), Decimal("0.5"))
                assert tail(int(draws.sum()), n, Decimal(c)) <= level
                assert tail(int(draws.sum()), n, Decimal(c) * (1 + Decimal("1e-10"))) >= level
                continue
            mean = float(draws.mean())
            assert c <= mean
            assert final_wealth(draws, alpha, bets, c) >= 1
            beyond = c + (mean - c) / 500 + 1e-9 * mean
            if beyond < mean:
                assert final_wealth(draws, alpha, bets, beyond) < 1
    assert certified > 3 or n < 20


@pytest.mark.parametrize("score", [0.25, 1e-310, np.nextafter(1.0, 0.0)])
def test_many_draws_all_alike(backend, score):
    draws = np.full(10_000, score)
    bets = bets_of(backend, 0.1)
    c = bets(draws)
    with localcontext() as context:
        context.prec = 50
        assert c == 0.0 or final_wealth(draws, 0.1, bets, c) >= 1
    assert score * (1 - 1e-3) <= c < score or score < 1e-300


def test_the_stake_is_concave(backend):
    """The wealth decreases with the mean because of this."""
    lines = lines_of(bets_of(backend, 0.1))
    slopes = [slope for _, slope in lines]
    assert all(a > b for a, b in pairwise(slopes))
    assert lines[0][0] == 0
    height, slope = lines[-1]
    assert height + slope * 1 > 0


@given(st.integers(0, 10**6), st.floats(1e-6, 0.4), st.integers(2, 200))
def test_a_lower_mean_has_more_wealth(seed, alpha, n):
    rng = np.random.default_rng(seed)
    draws = rows(rng, n)[rng.integers(12)]
    if set(draws.tolist()) <= {0.0, 1.0}:
        return
    bets = numba_aimed.AimedBets(alpha)
    bets(draws)
    means = np.sort(rng.random(6))
    if set(draws.tolist()) & {0.0, 1.0}:
        n = min(n, 30)
        draws = draws[:n]
        if set(draws.tolist()) <= {0.0, 1.0}:
            return
        bets(draws)
    wealth = [min(final_wealth(draws, alpha, bets, c), ONE) for c in means.tolist()]
    assert all(a >= b - Decimal("1e-20") for a, b in pairwise(wealth))


def test_votes_are_clopper_pearsons(backend):
    votes = (np.random.default_rng(0).random((20, 500)) < 0.9) * 1.0
    for order in ("drawn", "unknown"):
        cert = sb.certify_scores(
            votes, sigma=1.0, alpha=ALPHA, bound="mean", mean="betting", order=order,
            backend=backend, sides="lower", radii=[0.0],
        )  # fmt: skip
        ones = votes.sum(axis=1)
        np.testing.assert_allclose(
            cert.lower[:, 0], beta.ppf(ALPHA, ones, 501 - ones), rtol=1e-9, atol=0
        )


def test_the_far_end_of_a_range_is_a_vote(backend):
    scores = np.where(np.random.default_rng(0).random((1, 300)) < 0.9, -1.0, 3.7)
    certify = lambda sides: sb.certify_scores(  # noqa: E731
        scores, sigma=1.0, alpha=ALPHA, score_range=(-1.0, 3.7), bound="mean", mean="betting",
        backend=backend, sides=sides, radii=[0.0],
    )  # fmt: skip
    ones = int((scores == 3.7).sum())
    lower = -1 + 4.7 * beta.ppf(ALPHA, ones, 301 - ones)
    upper = 3.7 - 4.7 * beta.ppf(ALPHA, 300 - ones, 1 + ones)
    assert certify("lower").lower[0, 0] == pytest.approx(lower, abs=1e-9)
    assert certify("upper").upper[0, 0] == pytest.approx(upper, abs=1e-9)


@pytest.mark.parametrize("draws", ["mostly ones", "ends and inside", "two levels"])
def test_failure_rate_where_votes_come_first(draws):
    """The wealth passes from the count of ones to bets on the values."""
    rng, repeats, n, alpha = np.random.default_rng(3), 4000, 60, 0.05
    inside = rng.random((repeats, n))
    scores, truth = {
        "mostly ones": (np.where(inside < 0.1, inside * 10, 1.0), 0.95),
        "ends and inside": (np.clip(2 * inside - 0.7, 0, 1), 0.4),
        "two levels": (np.where(inside < 0.5, 1.0, 0.5), 0.75),
    }[draws]
    lower = sb.certify_scores(
        scores, sigma=1.0, alpha=alpha, bound="mean", mean="betting", order="drawn", radii=[0.0]
    ).lower[:, 0]
    assert 0 < (lower > truth).sum() <= binom.ppf(1 - 1e-4, repeats, alpha)


def test_it_agrees_with_the_reference_after_votes(backend):
    rng = np.random.default_rng(5)
    for scores in (
        np.concatenate([np.ones(20), rng.random(400)]),
        np.concatenate([(rng.random(100) < 0.5) * 1.0, rng.random(300)]),
    ):
        lower = bets_of(backend, ALPHA)(scores)
        expected = reference.aimed(scores, ALPHA)
        assert lower == pytest.approx(expected, abs=3e-3 * (scores.mean() - expected))
