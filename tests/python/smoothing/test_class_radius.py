"""Certified radius of the class: exact Clopper-Pearson, rounded down."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from smoothbound.smoothing._class_radius import (
    anytime_class_radius,
    class_radius,
    clopper_pearson_lower,
    least_votes,
    majority_class,
)

mpmath = pytest.importorskip("mpmath")

alphas = st.sampled_from([0.5, 0.05, 0.001, 1e-6, 1e-12])


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.one_of(st.integers(1, 300), st.integers(301, 10**7)))
    k = draw(st.one_of(st.integers(0, n), st.just(n), st.integers(max(0, n - 50), n)))
    return k, n


def tail(k: int, n: int, p: float) -> float:
    """P(Bin(n, p) >= k) at 40 digits."""
    with mpmath.workdps(40):
        return mpmath.betainc(k, n - k + 1, 0, mpmath.mpf(p), regularized=True)


@settings(deadline=None)
@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))), alphas)
def test_bound_is_the_exact_quantile_rounded_down(kn: tuple[int, int], alpha: float) -> None:
    k, n = kn
    p = float(clopper_pearson_lower(k, n, alpha))
    assert tail(k, n, p) <= alpha
    assert tail(k, n, p * (1 + 1e-7)) > alpha


@pytest.mark.parametrize("alpha", [1e-200, 1e-245, 1e-279, 1e-290, 1e-300, 1e-302])
@pytest.mark.parametrize(
    ("k", "n"), [(90, 100), (4, 5), (50, 100), (969, 1000), (1966, 2000), (2000, 2000)]
)
def test_bound_holds_where_floats_lose_their_digits(k: int, n: int, alpha: float) -> None:
    p = float(clopper_pearson_lower(k, n, alpha))
    assert p >= 0.0
    assert tail(k, n, p) <= alpha


@given(counts(), alphas)
def test_bound_lies_below_the_observed_share_and_grows_with_it(
    kn: tuple[int, int], alpha: float
) -> None:
    k, n = kn
    low, high = clopper_pearson_lower([max(k - 1, 0), k], n, alpha)
    assert 0.0 <= low <= high < 1.0
    if alpha < 0.5:
        assert high <= k / n


@pytest.mark.parametrize("n", [1, 10, 1000, 100_000, 10_000_000])
def test_all_successes_give_the_closed_form(n: int) -> None:
    p = float(clopper_pearson_lower(n, n, 0.001))
    with mpmath.workdps(40):
        exact = mpmath.mpf("0.001") ** (mpmath.mpf(1) / n)
    assert p <= exact
    assert p == pytest.approx(float(exact), rel=1e-9)


def test_no_successes_give_zero() -> None:
    assert clopper_pearson_lower(0, 100, 0.001) == 0.0


def test_agrees_with_an_independent_implementation() -> None:
    ours = clopper_pearson_lower([3, 55, 90, 99], 100, 0.01)
    theirs = [
        stats.binomtest(k, 100, alternative="greater")
        .proportion_ci(confidence_level=0.99, method="exact")
        .low
        for k in (3, 55, 90, 99)
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-7)


def test_coverage_is_at_least_one_minus_alpha_for_every_count() -> None:
    n, alpha = 60, 0.05
    bounds = clopper_pearson_lower(np.arange(n + 1), n, alpha)
    for p in np.linspace(0.01, 0.99, 197):
        wrong = stats.binom.pmf(np.arange(n + 1), n, p)[bounds > p].sum()
        assert wrong <= alpha


@settings(deadline=None)
@given(counts(), alphas, st.floats(0.01, 10.0))
def test_radius_is_rounded_down_and_nan_where_there_is_none(
    kn: tuple[int, int], alpha: float, sigma: float
) -> None:
    k, n = kn
    radius = float(class_radius(k, n, sigma=sigma, alpha=alpha))
    p = float(clopper_pearson_lower(k, n, alpha))
    if np.isnan(radius):
        assert p <= 0.5 * (1 + 1e-12)
        return
    assert radius > 0.0
    with mpmath.workdps(40):
        exact = sigma * mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1)
        assert radius <= exact
    assert radius == pytest.approx(float(exact), rel=1e-6, abs=1e-12 * sigma)


def test_radius_at_the_usual_settings() -> None:
    # No input can have more: sigma Phi^-1(alpha ** (1 / n)) with n = 100 000, alpha = 0.001.
    radius = class_radius([100_000, 50_000, 0], 100_000, sigma=0.25, alpha=0.001)
    assert round(float(radius[0]), 3) == 0.953
    assert np.isnan(radius[1:]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"top_count": 11}, ValueError, "between 0 and n = 10"),
        ({"top_count": -1}, ValueError, "between 0 and n = 10"),
        ({"top_count": 9.0}, TypeError, "whole numbers"),
        ({"n": 0}, ValueError, "n must be at least 1"),
        ({"alpha": 1.0}, ValueError, "alpha must lie strictly between 0 and 1"),
        ({"sigma": -1.0}, ValueError, "sigma must be positive"),
    ],
)
def test_refuses(arguments: dict, error: type[Exception], message: str) -> None:
    good = {"top_count": 9, "n": 10, "sigma": 1.0, "alpha": 0.1}
    with pytest.raises(error, match=message):
        class_radius(**(good | arguments))


@pytest.mark.parametrize("sigma", [5e-324, 1e-322, 3e-321, 1e-310, 1e-300, 1.7e308])
def test_radius_is_rounded_down_for_every_sigma(sigma: float) -> None:
    top = [100, 99, 95, 90, 80]
    with mpmath.workdps(40):
        for k, radius in zip(top, class_radius(top, 100, sigma=sigma, alpha=0.001), strict=True):
            p = mpmath.mpf(float(clopper_pearson_lower(k, 100, 0.001)))
            exact = mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1) * sigma
            assert 0.0 <= radius <= exact
            assert radius >= min(exact * (1 - 1e-9) - 1e-323, 1.7e308)


def test_the_anytime_radius_fails_at_any_time_with_probability_at_most_alpha() -> None:
    alpha, p, n, runs = 0.1, 0.8, 400, 2000
    votes = np.random.default_rng(0).uniform(size=(runs, n)) < p
    failed = np.zeros(runs, bool)
    for k in range(1, n + 1):
        counted = votes[:, :k].sum(axis=1)
        failed |= anytime_class_radius(counted, k, sigma=1.0, alpha=alpha) > stats.norm.ppf(p)
    assert 0.0 < failed.mean() <= alpha


@pytest.mark.parametrize(("k", "n"), [(50, 50), (990, 1000), (60_000, 100_000)])
def test_the_anytime_radius_costs_little_of_that_of_a_fixed_number(k: int, n: int) -> None:
    fixed = float(class_radius(k, n, sigma=1.0, alpha=1e-3))
    anytime = float(anytime_class_radius(k, n, sigma=1.0, alpha=1e-3))
    assert 0.8 * fixed < anytime < fixed


def test_the_anytime_radius_is_rounded_down() -> None:
    k, n, alpha = 990, 1000, 1e-3
    p = stats.norm.cdf(float(anytime_class_radius(k, n, sigma=1.0, alpha=alpha)))
    with mpmath.workdps(50):
        found = mpmath.mpf(float(p))
        mixture = sum(
            mpmath.beta(a + k, 0.5 + n - k) / mpmath.beta(a, 0.5) for a in (mpmath.mpf(0.5), 10)
        )
        wealth = mixture / 2 / (found**k * (1 - found) ** (n - k))
        assert 1 / alpha < wealth < 1.001 / alpha


# --- the class that wins the vote ---------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=5), alphas)
def test_the_class_of_the_vote_is_that_of_the_two_sided_binomial_test(
    votes: list[int], alpha: float
) -> None:
    second, first = sorted([0, *votes])[-2:]
    p = stats.binomtest(first, first + second).pvalue if first else 1.0
    if abs(p / alpha - 1) > 1e-6:  # where neither rounding decides
        assert majority_class(votes, alpha) == (votes.index(first) if p < alpha else -1)


@pytest.mark.parametrize("alpha", [0.5, 0.05, 0.001, 1e-12, 1e-150, 1e-250, 1e-300])
def test_the_least_votes_are_the_fewest_that_name_a_class(alpha: float) -> None:
    n = least_votes(alpha)
    assert majority_class([n], alpha) == 0
    assert majority_class([n - 1], alpha) == -1
    assert n - 1 <= 1 - np.log2(alpha) <= n + 1e-9  # 2^(1 - n) <= alpha


def test_another_class_is_returned_no_more_often_than_alpha() -> None:
    """Exactly, for three classes of which two share the lead, the worst case for the test."""
    n, alpha = 40, 0.05
    wrong = 0.0
    for k in range(n + 1):  # votes of the third class, which loses
        for j in range(n - k + 1):
            if majority_class([j, n - k - j, k], alpha) not in (-1, 0):
                wrong += stats.multinomial.pmf([j, n - k - j, k], n, [0.45, 0.45, 0.1])
    assert 0.01 < wrong <= alpha  # one half of the two-sided test


@pytest.mark.parametrize("counts", [[], [[1, 2]], [-1, 3], [0.5], 7])
def test_votes_of_another_kind_are_refused(counts: object) -> None:
    with pytest.raises((TypeError, ValueError), match="counts must"):
        majority_class(counts, 0.05)  # type: ignore[arg-type]
