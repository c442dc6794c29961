"""Coverage under the worst attack, where it is known in closed form.

A point on a line has the label +1 or -1, and the score of a label is a function of its signed
distance s that grows with it. Moving the point by R against its label is then the worst attack on
every threshold at once: each set of draws above a threshold is a half-line, for which the shift of
the Gaussian is attained. A test point with the signed distance s reaches a threshold q in one draw
with the probability Phi((s - R - q) / sigma) exactly, so the coverage of a calibrated method is an
integral over s. Only the calibration is random.
"""

import numpy as np
import pytest
from scipy.stats import beta, binom, norm

from smoothbound.conformal import CAS, RCP1, BinCP

SIGMA, LEVEL = 0.5, 0.8


def calibrated(make, seed, n, m, spread):
    """Calibrate on points with signed distances from N(1, spread^2), all of label 0."""
    rng = np.random.default_rng(seed)
    distance = rng.normal(1.0, spread, (n, 1)) + rng.normal(0.0, SIGMA, (n, m))
    scores = norm.cdf(np.stack([distance, -distance], axis=2))
    return make().calibrate(scores, np.zeros(n, int))


def exact_coverage(robust, radius, votes, spread):
    """Return P(at least `votes` draws reach the threshold) at the attacked points."""
    found = robust.threshold
    q = norm.ppf(found.score)
    s = 1.0 + spread * norm.ppf((np.arange(500) + 0.5) / 500) if spread else np.ones(1)
    return binom.sf(votes - 1, found.n_draws, norm.cdf((s - radius - q) / SIGMA)).mean()


def interval(values):
    """Return where their mean lies but for one time in 30 000."""
    middle, half = np.mean(values), 4.0 * np.std(values, ddof=1) / np.sqrt(len(values))
    return middle - half, middle + half


def covered(make, radius, *, n=60, m=40, spread=1.0, repeats=200, votes=None):
    found = []
    for seed in range(repeats):
        robust = calibrated(make, seed, n, m, spread)
        needed = robust.threshold.votes[1] if votes is None else votes
        found.append(exact_coverage(robust, radius, needed, spread))
    return interval(found)


@pytest.mark.parametrize("radius", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("perturbations", ["all", "each"])
def test_bincp_covers_the_worst_perturbation(radius, spread, perturbations):
    def make():
        return BinCP(
            sigma=SIGMA, radius=radius, confidence_level=LEVEL, perturbations=perturbations
        )

    _, high = covered(make, radius, spread=spread)
    assert high >= LEVEL


@pytest.mark.parametrize("radius", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
def test_rcp1_covers_the_worst_perturbation(radius, spread):
    def make():
        return RCP1(sigma=SIGMA, radius=radius, confidence_level=LEVEL)

    _, high = covered(make, radius, n=200, m=1, spread=spread)
    assert high >= LEVEL


def test_bincp_keeps_both_parts_of_its_promise():
    """The exact probability passes at all x' but for beta_points, and the draws for beta_draws."""
    radius, missed, undrawn = 0.25, [], []
    s = 1.0 + norm.ppf((np.arange(500) + 0.5) / 500)
    for seed in range(200):
        robust = calibrated(lambda: BinCP(sigma=SIGMA, radius=radius), seed, 60, 40, 1.0)
        found = robust.threshold
        least = _least_probability(found)
        clean = norm.cdf((s - norm.ppf(found.score)) / SIGMA)
        missed.append((clean < least).mean())
        shifted = norm.cdf(norm.ppf(least) - radius / SIGMA)
        undrawn.append(binom.cdf(found.votes[1] - 1, found.n_draws, shifted))
    assert interval(missed)[0] <= found.beta_points
    assert max(undrawn) <= found.beta_draws


def _least_probability(found):
    """Return p: the Clopper-Pearson bound at the level that the split gives calibration draws."""
    eps = 1.0 - found.rank / (found.n_points + 1) / found.beta_points
    k = found.votes[0]
    return float(beta.ppf(eps, k, found.n_draws - k + 1))


@pytest.mark.parametrize("band", ["ell", "dkw"])
@pytest.mark.parametrize("spread", [0.1, 1.0])
def test_cas_covers_the_worst_perturbation(band, spread):
    radius, found = 0.25, []
    for seed in range(60):
        robust = calibrated(
            lambda: CAS(sigma=SIGMA, radius=radius, confidence_level=LEVEL, band=band),
            seed,
            60,
            40,
            spread,
        )
        found.append(_share_covered_by_mean(robust, radius, spread, seed))
    assert interval(found)[1] >= LEVEL


def _share_covered_by_mean(robust, radius, spread, seed):
    rng = np.random.default_rng(10_000 + seed)
    s = rng.normal(1.0, spread, (50, 1)) - radius + rng.normal(0.0, SIGMA, (50, 40))
    return robust.predict_set(norm.cdf(np.stack([s, -s], axis=2)))[:, 0].mean()


# methods that are wrong -------------------------------------------------------------------------


def test_without_the_shift_the_test_fails():
    wrong = {"sigma": SIGMA, "radius": 0.0, "confidence_level": LEVEL}
    for make, options in (
        (lambda: BinCP(**wrong), {"spread": 0.3}),
        (lambda: BinCP(perturbations="each", **wrong), {}),
        (lambda: RCP1(**wrong), {"n": 200, "m": 1}),
    ):
        assert covered(make, 0.5, **options)[1] < LEVEL
    found = []
    for seed in range(50):
        robust = calibrated(lambda: CAS(**wrong), seed, 60, 40, 0.1)
        found.append(_share_covered_by_mean(robust, 1.0, 0.1, seed))
    assert interval(found)[1] < LEVEL


def test_without_the_treatment_of_the_draws_the_test_fails():
    """A plug-in share of votes is too many where all points are alike."""
    votes = int(np.ceil(40 * norm.cdf(norm.ppf(0.8) - 1.0)))

    def make():
        return BinCP(sigma=SIGMA, radius=0.5, confidence_level=0.95)

    assert covered(make, 0.5, votes=votes + 1, spread=0.0)[1] < 0.95


def test_rcp1_has_no_slack_where_all_points_are_alike():
    """The correction of the level is exact: one rank more breaks the promise."""

    def make():
        return RCP1(sigma=SIGMA, radius=0.25, confidence_level=LEVEL)

    low, high = covered(make, 0.25, n=400, m=1, spread=0.0)
    assert high >= LEVEL
    assert low < LEVEL + 0.02
