"""How often certified probabilities and quantiles fail, where the truth has a closed form.

A score that grows with one coordinate has its worst case at the end of the ball: at x - R for the
lower side, at x + R for the upper. So the truth within the ball is that of a shifted normal.
"""

import numpy as np
import pytest
from scipy.stats import binom, norm

import smoothbound as sb

ALPHA, REPEATS, N = 0.05, 4000, 120
SIGMA, RADIUS = 0.5, 0.2
DRAWS = np.random.default_rng(11).normal(0.3, SIGMA, size=(REPEATS, N))


def allowed(trials, alpha=ALPHA):
    """More failures than this are a sign, at one in ten thousand, that the rate exceeds alpha."""
    return binom.ppf(1 - 1e-4, trials, alpha)


def certify(scores, **options):
    return sb.certify_scores(scores, sigma=SIGMA, radii=[0, RADIUS], alpha=ALPHA, **options)


def worst(side, radius):
    """The distribution of the coordinate at the end of the ball."""
    return norm(0.3 + (-radius if side == "lower" else radius), SIGMA)


@pytest.mark.parametrize("level", [-0.5, 0.3, 1.0])
def test_probabilities_fail_at_most_at_alpha(level):
    for side in ("lower", "upper"):
        made = certify(DRAWS, statistic="probability", levels=[level], sides=side)
        bounds = getattr(made, side)[:, 0]
        truth = np.array([worst(side, radius).sf(level) for radius in (0, RADIUS)])
        wrong = bounds > truth if side == "lower" else bounds < truth
        assert (wrong[:, 0] == wrong[:, 1]).all()  # all radii hold at once: psi keeps the order
        assert wrong[:, 0].sum() <= allowed(REPEATS)
        assert wrong[:, 0].sum() > 0.2 * ALPHA * REPEATS  # and the bound is not slack
    both = certify(DRAWS, statistic="probability", levels=[level], sides="both")
    wrong = both.lower[:, 0, 1] > worst("lower", RADIUS).sf(level)
    wrong |= both.upper[:, 0, 1] < worst("upper", RADIUS).sf(level)
    assert wrong.sum() <= allowed(REPEATS)


def test_the_test_can_fail():
    share = (DRAWS >= 0.3).mean(axis=1)
    assert (share > 0.5).sum() > allowed(REPEATS)


def test_radii_fail_at_most_at_alpha():
    # P(coordinate >= 0) is Phi((0.3 - R) / sigma), above 0.6 for R < 0.3 - sigma Phi^-1(0.6).
    made = certify(DRAWS, statistic="probability", levels=[0.0], thresholds=[0.6])
    truth = 0.3 - SIGMA * norm.ppf(0.6)
    assert (np.nan_to_num(made.radius[:, 0, 0]) > truth).sum() <= allowed(REPEATS)
    # The median is at least 0.1 within R = 0.2.
    made = certify(DRAWS, statistic="quantile", levels=[0.5], thresholds=[0.1])
    assert (np.nan_to_num(made.radius[:, 0, 0]) > 0.2).sum() <= allowed(REPEATS)


@pytest.mark.parametrize("q", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("step", [0.0, 0.5])
def test_quantiles_fail_at_most_at_alpha(q, step):
    # With a step, the score is the coordinate rounded down to multiples, so that draws are tied.
    scores = np.floor(DRAWS / step) * step if step else DRAWS
    for side in ("lower", "upper"):
        bounds = getattr(certify(scores, statistic="quantile", levels=[q], sides=side), side)[:, 0]
        truth = np.array([worst(side, radius).ppf(q) for radius in (0, RADIUS)])
        truth = np.floor(truth / step) * step if step else truth
        wrong = bounds > truth if side == "lower" else bounds < truth
        assert (wrong.sum(axis=0) <= allowed(REPEATS)).all()
        if not step:
            assert (wrong.sum(axis=0) > 0.2 * ALPHA * REPEATS).all()


def test_every_quantile_lies_within_the_bounds_where_there_are_many():
    # A fair coin: every number in [0, 1] is a median. No bound may lie strictly inside.
    coin = (np.random.default_rng(3).uniform(size=(REPEATS, N)) < 0.5).astype(np.float32)
    for side in ("lower", "upper"):
        made = sb.certify_scores(
            coin, sigma=1, alpha=ALPHA, statistic="quantile", levels=[0.5], sides=side
        )
        bounds = getattr(made, side)[:, 0, 0]
        assert set(bounds.tolist()) <= {0.0, 1.0}
        assert (bounds == (1.0 if side == "lower" else 0.0)).sum() <= allowed(REPEATS)


def test_infinite_scores_are_ranked():
    # A detector without a box has the score -inf: a tenth of the draws here.
    rng = np.random.default_rng(4)
    scores = np.where(rng.uniform(size=(REPEATS, N)) < 0.1, -np.inf, 1.0)
    made = certify(scores, statistic="quantile", levels=[0.05, 0.5])
    assert (made.lower[:, 0, 0] == -np.inf).all()
    assert (made.lower[:, 1, 0] == 1.0).all()
    probability = certify(scores, statistic="probability", levels=[0.0]).lower[:, 0, 0]
    assert (probability > 0.9).sum() <= allowed(REPEATS)
