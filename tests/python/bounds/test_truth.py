"""Against the exact smoothed score of a classifier for which it is known.

Let h(x) = Phi((w.x - t) / s) with |w| = 1: smoothed with N(0, sigma^2 I), the score at a point at
distance R against w is e(x') = Phi((w.x - R - t) / sqrt(s^2 + sigma^2)), and the worst point
within R is just that one. Scores are draws of h(x + delta) = Phi((w.x - t + sigma N) / s).
Theorem 2 with the true survival function is attained by a monotone h.
"""

import numpy as np
import pytest
from scipy.special import ndtr

import smoothbound as sb
from smoothbound.backends import gaussian

SIGMA, S = 0.5, 0.3
RADII = np.array([0.0, 0.1, 0.25, 0.5, 1.0])


def scores_and_truth(offset, m, seed=0):
    rng = np.random.default_rng(seed)
    scores = ndtr((offset + SIGMA * rng.standard_normal((1, m))) / S)
    at = (offset + np.array([-1, 1])[:, None] * RADII) / np.hypot(S, SIGMA)
    return scores, ndtr(at)


@pytest.mark.parametrize("offset", [-0.2, 0.3, 0.8])
@pytest.mark.parametrize("bound", ["mean", "cdf"])
def test_never_above_the_truth_nor_below_its_upper_bound(backend, offset, bound):
    scores, (lowest, highest) = scores_and_truth(offset, 100_000)
    cert = sb.certify_scores(
        scores, sigma=SIGMA, radii=RADII, bound=bound, sides="both", backend=backend
    )
    assert (cert.lower <= lowest).all()
    assert (cert.upper >= highest).all()


@pytest.mark.parametrize("offset", [-0.2, 0.3, 0.8])
@pytest.mark.parametrize(("band", "close"), [("dkw", 0.015), ("ell", 0.01)])
def test_theorem_2_is_attained_in_the_limit(offset, band, close):
    gaps = []
    for m in (10_000, 100_000, 1_000_000):
        scores, (lowest, highest) = scores_and_truth(offset, m)
        # 1000 bins: a knot every thousandth of the draws loses less than that
        cert = sb.certify_scores(
            scores, sigma=SIGMA, radii=RADII, sides="both", band=band, n_bins=1000
        )
        gaps.append(max((lowest - cert.lower).max(), (cert.upper - highest).max()))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < close


def test_the_certified_radius_reaches_the_true_one():
    offset, threshold = 0.8, 0.6
    scores, _ = scores_and_truth(offset, 1_000_000)
    # ndtr((offset - R) / hypot(S, SIGMA)) = threshold
    truth = offset - np.hypot(S, SIGMA) * gaussian.quantile(threshold)
    radius = sb.certify_scores(scores, sigma=SIGMA, thresholds=[threshold], n_bins=1000).radius[
        0, 0
    ]
    assert 0.98 * truth < radius < truth
