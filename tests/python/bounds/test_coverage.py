"""How often a certificate fails, over many repetitions at a loose alpha: at most alpha."""

import numpy as np
import pytest
from scipy.stats import binom

import smoothbound as sb
from smoothbound.backends import gaussian

ALPHA, REPEATS, M = 0.05, 4000, 200


def allowed(trials, alpha=ALPHA):
    """More failures than this are a sign, at one in ten thousand, that the rate exceeds alpha."""
    return binom.ppf(1 - 1e-4, trials, alpha)


def uniform_truth(r):
    """Integrate psi_r(1 - s) over [0, 1]: the score 'P' of P(Z >= s) = 1 - s after a shift r."""
    s = (np.arange(20_000) + 0.5) / 20_000
    return gaussian.cdf(gaussian.quantile(1 - s) - r).mean()


@pytest.mark.parametrize(("bound", "band"), [("mean", None), ("cdf", "dkw"), ("cdf", "ell")])
@pytest.mark.parametrize("r", [0.0, 0.5])
def test_failure_rate_of_both_sides(bound, band, r):
    scores = np.random.default_rng(7).uniform(size=(REPEATS, M))
    options = {"sigma": 1.0, "alpha": ALPHA, "radii": [r], "bound": bound, "band": band}
    lower = sb.certify_scores(scores, sides="lower", **options).lower[:, 0]
    upper = sb.certify_scores(scores, sides="upper", **options).upper[:, 0]
    assert (lower > uniform_truth(r)).sum() <= allowed(REPEATS)
    assert (upper < uniform_truth(-r)).sum() <= allowed(REPEATS)
    both = sb.certify_scores(scores, sides="both", **options)
    failed = (both.lower[:, 0] > uniform_truth(r)) | (both.upper[:, 0] < uniform_truth(-r))
    assert failed.sum() <= allowed(REPEATS)


def test_the_test_can_fail():
    """With the deviation left out the rate is far above alpha, so the test above sees it."""
    scores = np.random.default_rng(7).uniform(size=(REPEATS, M))
    assert (scores.mean(axis=1) > 0.5).sum() > allowed(REPEATS)
    # ... and a certificate at ten times alpha, read as one at alpha, still has to be checked
    lower = sb.certify_scores(scores, sigma=1.0, alpha=0.999, bound="mean").lower[:, 0]
    assert (lower > 0.5).sum() > allowed(REPEATS)


def test_the_certified_radius_covers():
    # Bernoulli scores: e(x) = p, and the worst case at radius r is Phi(Phi^-1(p) - r) exactly.
    p, threshold = 0.9, 0.6
    truth = float(gaussian.quantile(p) - gaussian.quantile(threshold))
    scores = (np.random.default_rng(3).uniform(size=(REPEATS, M)) < p).astype(np.float64)
    cert = sb.certify_scores(scores, sigma=1.0, alpha=ALPHA, thresholds=[threshold])
    assert (np.nan_to_num(cert.radius[:, 0]) > truth).sum() <= allowed(REPEATS)
