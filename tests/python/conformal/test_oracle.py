"""The sets against plain loops, and the counts of draws against exact arithmetic."""

import math
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

import smoothbound as sb
from smoothbound.backends.reference import aimed, ell, ell_level, shift
from smoothbound.conformal import CAS, RCP1, BinCP
from smoothbound.conformal._draws import conformity
from smoothbound.conformal._guarantee.binomial import below_at_least, below_at_most
from smoothbound.conformal._guarantee.levels import rank_of, split
from smoothbound.conformal._guarantee.shift import Shift
from smoothbound.conformal._guarantee.votes import votes_for_all, votes_for_each

TENTH = Fraction(1, 10)


def draws(seed, n=30, m=20, n_classes=4, gap=2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, m, n_classes)) + rng.normal(size=(n, 1, n_classes))
    logits += gap * np.eye(n_classes)[labels][:, None]
    odds = np.exp(logits)
    return odds / odds.sum(axis=2, keepdims=True), labels


# the methods ------------------------------------------------------------------------------------


def binary_sets(scores, labels, tests, k, votes, rank):
    reached = []
    for block, label in zip(scores, labels, strict=True):
        descending = sorted((float(draw[label]) for draw in block), reverse=True)
        reached.append(descending[k - 1])
    threshold = sorted(reached)[rank - 1]
    return [
        [sum(float(draw[c]) >= threshold for draw in block) >= votes for c in range(len(block[0]))]
        for block in tests
    ]


@pytest.mark.parametrize("perturbations", ["all", "each"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bincp(perturbations, dtype):
    (scores, labels), (tests, _) = draws(0, m=40), draws(1, m=40)
    scores, tests = scores.astype(dtype), tests.astype(np.float32)
    robust = BinCP(sigma=1.0, radius=0.5, confidence_level=0.8, perturbations=perturbations)
    sets = robust.calibrate(scores, labels).predict_set(tests)
    found = robust.threshold
    assert (found.rank, found.votes[0]) == (5, 32)
    assert sets.tolist() == binary_sets(scores, labels, tests, 32, found.votes[1], 5)


def test_rcp1():
    (scores, labels), (tests, _) = draws(2, n=60, m=1), draws(3, m=1)
    robust = RCP1(sigma=1.0, radius=0.5, confidence_level=0.8)
    sets = robust.calibrate(scores, labels).predict_set(tests)
    ranks = [j for j in range(1, 61) if shift(1 - j / 61, 0.5) >= 0.8]
    assert robust.threshold.rank == max(ranks)
    assert sets.tolist() == binary_sets(scores, labels, tests, 1, 1, max(ranks))


def test_cas():
    (scores, labels), (tests, _) = draws(4), draws(5, n=6)
    robust = CAS(sigma=1.0, radius=0.25, confidence_level=0.7)
    sets = robust.calibrate(scores, labels).predict_set(tests)
    parts = split(Fraction(3, 10), 8, 30, Fraction(1, 2))
    level = ell_level(20, parts.calibration_draws)
    bounds = []
    for block, label in zip(scores, labels, strict=True):
        column = block[:, label]
        knots = [0.0, *sorted(column)]
        steps = [
            (s - before) * shift(ell(int((column >= s).sum()), 20, level), 0.25)
            for before, s in pairwise(knots)
        ]
        bounds.append(math.fsum(steps))
    threshold = sorted(bounds)[7]
    assert robust.threshold.rank == 8
    assert robust.threshold.score == pytest.approx(threshold, abs=1e-9)
    for i, block in enumerate(tests):
        for c in range(4):  # betting permutes a row, which changes nothing for the mean alone
            row = sb.certify_scores(
                block[:, c][None],
                sigma=1.0,
                alpha=parts.draws,
                bound="mean",
                mean="betting",
                sides="upper",
                first_row=4 * i + c,
            ).upper[0, 0]
            assert sets[i, c] == (row >= robust.threshold.score)
    assert aimed(np.full(20, 0.5), 0.1) < 0.5


def test_adaptive_scores():
    probabilities, _ = draws(6, n=3, m=4)
    probabilities[0, 0] = [0.25, 0.25, 0.5, 0.0]
    found = conformity(probabilities, "aps")
    for block, got in zip(probabilities.reshape(-1, 4), found.reshape(-1, 4), strict=True):
        plain = [mine / 2 + math.fsum(other for other in block if other < mine) for mine in block]
        np.testing.assert_allclose(got, plain, atol=1e-12)
    assert found[0, 0, 0] == found[0, 0, 1]


# the counts of draws ----------------------------------------------------------------------------


@given(st.integers(50, 5000), st.sampled_from([Fraction(i, 50) for i in (1, 25, 49)]), st.data())
def test_a_split_keeps_its_promises_exactly(n, part, data):
    beta = data.draw(st.sampled_from([TENTH, Fraction(1, 3), Fraction(1, 20)]))
    rank = rank_of(beta, n)
    found = split(beta, rank, n, part)
    below, points, draws = Fraction(rank, n + 1), Fraction(found.points), Fraction(found.draws)
    assert below / (1 - Fraction(found.calibration_draws)) <= points
    assert points + (1 - points) * draws <= beta


@given(st.integers(50, 5000))
def test_sets_against_each_perturbation_state_beta_points_rounded_up(n):
    found = votes_for_each(1, 1, rank_of(TENTH, n), n, TENTH, Shift.of("gaussian", 0.1, 1.0))[1]
    assert Fraction(rank_of(TENTH, n), n + 1) <= Fraction(found.points)
    assert Fraction(found.points) + Fraction(found.draws) <= TENTH


@given(st.integers(1, 400), st.data())
def test_tails_of_counts_are_on_the_stated_side(n, data):
    k = data.draw(st.integers(0, n))
    p = data.draw(st.floats(0.0, 1.0))
    with mpmath.workdps(50):
        terms = (
            mpmath.binomial(n, i) * mpmath.mpf(p) ** i * (1 - mpmath.mpf(p)) ** (n - i)
            for i in range(k)
        )
        exact = mpmath.fsum(terms)
        low, high = below_at_least(k, n, p), below_at_most(k, n, p)
        assert mpmath.mpf(float(low)) <= exact <= mpmath.mpf(float(high))
        assert float(high) <= float(exact) * (1 + 1e-8) + 1e-190


@pytest.mark.parametrize(("m", "k", "r"), [(50, 40, 0.5), (150, 120, 1.0), (150, 75, 0.25)])
def test_votes_for_all_perturbations_follow_from_the_split(m, k, r):
    """Each step of the proof holds in exact arithmetic, and one vote more breaks it."""
    rank, n = rank_of(TENTH, 200), 200
    votes, parts = votes_for_all(m, k, rank, n, TENTH, Shift.of("gaussian", r, 1.0))
    eps, points, missed = map(Fraction, (parts.calibration_draws, parts.points, parts.draws))
    assert Fraction(rank, n + 1) / (1 - eps) <= points + Fraction(1, 10**15)
    assert points + (1 - points) * missed <= TENTH
    # p is the root of P(Bin(m, p) >= k) = epsilon
    low, high = 0.0, 1.0
    for _ in range(60):
        p = (low + high) / 2
        low, high = (low, p) if binom.sf(k - 1, m, p) > float(eps) else (p, high)
    assert binom.cdf(votes - 1, m, shift(low, r)) <= float(missed) * (1 + 1e-6)
    assert binom.cdf(votes, m, shift(low, r)) > float(missed)


def worst_of_mixtures(m, k, votes, r, below):
    """Return the largest E f(G) under E h(G) <= below, over mixtures of two probabilities."""
    g = np.concatenate([np.linspace(0, 1, 501), 1 - np.geomspace(1e-9, 1e-3, 100)])
    h = binom.cdf(k - 1, m, g)
    f = binom.cdf(votes - 1, m, [shift(float(p), r) for p in g])
    worst = f[h <= below].max()
    for i in np.flatnonzero(h > below):
        for j in np.flatnonzero(h <= below):
            share = (below - h[j]) / (h[i] - h[j])
            worst = max(worst, share * f[i] + (1 - share) * f[j])
    return worst


@pytest.mark.parametrize(("m", "k", "r"), [(1, 1, 0.1), (20, 16, 0.5), (100, 80, 1.0)])
def test_votes_for_each_perturbation_are_the_most_that_no_distribution_breaks(m, k, r):
    rank, n = 8, 99
    votes, parts = votes_for_each(m, k, rank, n, TENTH, Shift.of("gaussian", r, 1.0))
    assert parts.points == pytest.approx(rank / (n + 1))
    assert votes >= 1
    assert worst_of_mixtures(m, k, votes, r, rank / (n + 1)) <= 0.1
    if votes < m:
        assert worst_of_mixtures(m, k, votes + 1, r, rank / (n + 1)) > 0.099


@settings(max_examples=40)
@given(st.integers(1, 300), st.floats(0.0, 2.0), st.floats(0.3, 1.0), st.integers(11, 2000))
def test_sets_against_each_perturbation_need_at_least_as_many_votes(m, r, share, n):
    rank, k = rank_of(TENTH, n), math.ceil(share * m)
    psi = Shift.of("gaussian", r, 1.0)
    everywhere, _ = votes_for_all(m, k, rank, n, TENTH, psi)
    each, _ = votes_for_each(m, k, rank, n, TENTH, psi)
    assert everywhere <= each <= m
