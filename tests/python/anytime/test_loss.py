"""What keeping the scores coarsely costs, in draws.

A question takes about ln(1/alpha) / growth draws, where growth is that of the best bet. A
distribution is kept exactly, with a knot at each of 2000 scores, and as a record keeps it.
Questions that take many draws are close to false; then the small difference counts for more.
"""

import math
from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, ndtr
from scipy.stats import beta

from smoothbound.backends import reference_anytime as reference

Z = np.linspace(-6, 6, 2000)
WEIGHTS = np.diff(ndtr(np.concatenate([[-np.inf], (Z[1:] + Z[:-1]) / 2, [np.inf]])))
SCORES = {
    "saturated": expit(7 + Z),
    "Beta(20, 1)": beta(20, 1).ppf(ndtr(Z)),
    "logistic": expit(4 + 1.5 * Z),
    "spread": beta(3, 1.5).ppf(ndtr(Z)),
    "narrow": expit(1 + 0.5 * Z),
    "margin": (1 + np.tanh(1 + Z)) / 2,
    "votes": np.where(Z < -1.6, 0.0, 1.0),
}
UNSEEN = 1e-9  # of the mass, at the safe end, which the projection raises
EVIDENCE = math.log(1000)


@cache
def distributions(kind):
    """Return knots, every score among them, the masses there, and those at the record's knots."""
    knots, place = np.unique([0.0, 1.0, *SCORES[kind]], return_inverse=True)
    p = np.bincount(place, np.append([UNSEEN, 0.0], (1 - UNSEEN) * WEIGHTS))
    shared = (1 - UNSEEN) * WEIGHTS @ reference.masses(SCORES[kind])
    shared[0] += UNSEEN
    return knots, p, shared


def best_growth(p, target, r, knots):
    """The growth at the projection, which damped steps approach."""
    q, best, last = p, 0.0, 0.0
    for _ in range(60):
        bet = reference.bet_at(q, p, target, r, knots)
        growth = bet.log_factor(p)
        best = max(best, growth)
        if abs(growth - last) <= 1e-7 * growth:
            break
        last, q = growth, 0.5 * q + 0.5 * bet.tilted(p)
    return best


def target_for(limit, p, r, knots):
    """Return a target that takes about so many draws."""

    def too_many(part):
        growth = best_growth(p, part * true, r, knots)
        return math.log(max(EVIDENCE / limit, 1e-12) / max(growth, 1e-12))

    true = reference.functional(p, r, knots)
    return true * brentq(too_many, 1e-6, 1 - 1e-6, xtol=1e-5)


@pytest.mark.parametrize("limit", [300, 5000, 50_000])
@pytest.mark.parametrize("r", [0.0, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("kind", SCORES)
def test_the_record_costs_less_than_one_percent_of_the_draws(kind, r, limit):
    knots, p, shared = distributions(kind)
    target = target_for(limit, p, r, knots)
    exact = best_growth(p, target, r, knots)
    assert EVIDENCE / exact == pytest.approx(limit, rel=0.05)
    loss = exact / best_growth(shared, target, r, reference.KNOTS) - 1
    assert -1e-5 < loss < (1e-10 if kind == "votes" else 0.01)


def test_few_values_off_the_knots_cost_much(monkeypatch):
    values = (np.arange(10) + 0.5) / 10
    monkeypatch.setitem(SCORES, "ten values", values[np.arange(2000) % 10])
    monkeypatch.setattr(f"{__name__}.WEIGHTS", np.full(2000, 1 / 2000))
    knots, p, shared = distributions("ten values")
    for limit, stated in ((300, 0.027), (5000, 0.24), (50_000, 1.72)):  # as docs/anytime.md
        target = target_for(limit, p, 2.0, knots)
        exact = best_growth(p, target, 2.0, knots)
        loss = exact / best_growth(shared, target, 2.0, reference.KNOTS) - 1
        assert loss == pytest.approx(stated, rel=0.03)
