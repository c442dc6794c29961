"""What keeping the scores coarsely costs, in draws.

A question takes about ln(1/alpha) / growth draws, where growth is that of the best bet. A finite
distribution is kept exactly, with a knot at every score, and as a record keeps it. Questions that
take thousands of draws are close to false; then the small difference counts for more.
"""

import math

import numpy as np
import pytest
from scipy.special import expit, ndtri
from scipy.stats import beta

from smoothbound.backends import reference_anytime as reference

QUANTILES = (np.arange(300) + 0.5) / 300
SCORES = {
    "saturated": expit(7 + ndtri(QUANTILES)),
    "spread": beta(3, 1.5).ppf(QUANTILES),
    "margin": (1 + np.tanh(1 + ndtri(QUANTILES))) / 2,
    "logistic": expit(3 + 1.5 * ndtri(QUANTILES)),
    "votes": np.where(QUANTILES < 0.95, 1.0, 0.0),
}
UNSEEN = 1e-9  # of the mass, at the safe end, which the projection raises


def exact_distribution(scores):
    """Return knots, every score among them, and the masses there."""
    knots, counts = np.unique([0.0, 1.0, *scores], return_counts=True)
    p = counts - np.isin(knots, [0.0, 1.0])
    return knots, (1 - UNSEEN) * p / p.sum() + UNSEEN * (knots == 0)


def best_growth(p, target, r, knots):
    """The growth at the projection, which damped steps approach."""
    q, best = p, 0.0
    for _ in range(60):
        bet = reference.bet_at(q, p, target, r, knots)
        best = max(best, bet.log_factor(p))
        q = 0.5 * q + 0.5 * bet.tilted(p)
    return best


@pytest.mark.parametrize("r", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", SCORES)
def test_the_record_costs_at_most_one_percent_of_the_draws(kind, r):
    scores = SCORES[kind]
    knots, p = exact_distribution(scores)
    shared = (1 - UNSEEN) * reference.masses(scores).mean(axis=0)
    shared[0] += UNSEEN
    limits = []
    for part in (0.3, 0.6, 0.9, 0.98):
        target = part * reference.functional(p, r, knots)
        exact = best_growth(p, target, r, knots)
        limits.append(math.log(1000) / exact)
        if limits[-1] > 10_000:
            break
        loss = exact / best_growth(shared, target, r, reference.KNOTS) - 1
        allowed = 1e-6 if kind == "votes" else 0.01 if limits[-1] < 2000 else 0.02
        assert -1e-3 < loss < allowed
    assert limits[0] < 100
