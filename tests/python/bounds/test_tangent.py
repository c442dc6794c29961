"""The tangent bound: tight, never above the truth, and wrong at most as often as stated."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import binom
from some_scores import DRAWS, scores_of_a_row

import smoothbound as sb
from smoothbound.backends import reference
from smoothbound.bounds._method import Method

ALPHA = 0.05
MEANS = ["betting", "bernstein"]


def certify(scores, **options):
    options = {"sigma": 1.0, "alpha": ALPHA, "bound": "tangent", **options}
    return sb.certify_scores(np.atleast_2d(scores), **options)


def allowed(trials):
    """More failures than this are a sign, at one in ten thousand, that the rate exceeds alpha."""
    return binom.ppf(1 - 1e-4, trials, ALPHA)


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("mean", MEANS)
def test_agrees_with_the_reference(backend, draws, mean):
    scores = DRAWS[draws](np.random.default_rng(0), 3000)
    for r in (0.0, 0.5, 1.5):
        options = {"radii": [r], "mean": mean, "order": "drawn", "backend": backend}
        lower = certify(scores, **options).lower[0, 0]
        expected = reference.lower_tangent(scores, 300, r, ALPHA, mean=mean)
        # The backends stop looking for the stake earlier than the reference, and take chords.
        assert lower == pytest.approx(expected, abs=1e-3)


RADII = np.array([0.0, 0.1, 1.0, 4.0, 9.0, 60.0])


@given(scores_of_a_row, st.floats(0.01, 0.99), st.sampled_from([1e-300, 1e-3, 0.3]))
def test_bounds_stay_in_the_range_and_mirror(backend, scores, pilot, alpha):
    options = {"radii": RADII, "pilot": pilot, "alpha": alpha, "backend": backend, "sides": "both"}
    try:
        plain = certify(scores, **options)
    except ValueError as error:
        assert "too few" in str(error)  # noqa: PT017
        return
    assert (plain.lower >= 0).all()
    assert (plain.upper <= 1).all()
    assert (plain.lower[:, -1] < 1e-9).all()
    mirror = certify(-scores, score_range=(-1, 0), **options)
    np.testing.assert_allclose(mirror.upper, -plain.lower, rtol=0, atol=1e-13)
    np.testing.assert_allclose(mirror.lower, -plain.upper, rtol=0, atol=1e-13)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("offset", [-0.2, 0.3, 0.8])
def test_never_above_the_truth(backend, mean, offset):
    # h(x) = Phi(w.x / s): as in test_truth.py, the worst point within R is known.
    sigma, s, radii = 0.5, 0.3, np.array([0.0, 0.1, 0.25, 0.5, 1.0])
    rng = np.random.default_rng(0)
    scores = ndtr((offset + sigma * rng.standard_normal((5, 50_000))) / s)
    lowest, highest = ndtr((offset + np.array([-1, 1])[:, None] * radii) / np.hypot(s, sigma))
    options = {"sigma": sigma, "alpha": 1e-3, "mean": mean, "backend": backend}
    cert = certify(scores, radii=radii, sides="both", **options)
    assert (cert.lower <= lowest).all()
    assert (cert.upper >= highest).all()
    assert (cert.lower >= lowest - 0.06).all()
    radius = certify(scores, thresholds=[0.3], **options).radius[:, 0]
    truth = offset - np.hypot(s, sigma) * ndtri(0.3)
    assert (np.nan_to_num(radius) <= max(truth, 0.0)).all()


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("r", [0.0, 0.5, 1.5])
def test_failure_rate_of_both_sides(mean, r):
    repeats = 3000
    scores = np.random.default_rng(7).uniform(size=(repeats, 150))
    s = (np.arange(20_000) + 0.5) / 20_000  # G(s) = 1 - s
    options = {"radii": [r], "mean": mean, "pilot": 0.3}
    lower = certify(scores, sides="lower", **options).lower[:, 0]
    upper = certify(scores, sides="upper", **options).upper[:, 0]
    assert (lower > ndtr(ndtri(1 - s) - r).mean()).sum() <= allowed(repeats)
    assert (upper < ndtr(ndtri(1 - s) + r).mean()).sum() <= allowed(repeats)


@pytest.mark.parametrize(("p", "threshold"), [(0.9, 0.6), (0.6, 0.55), (0.98, 0.2)])
def test_the_certified_radius_covers(p, threshold):
    # Bernoulli scores: the confidence at radius r is exactly Phi(Phi^-1(p) - r).
    repeats = 2000
    truth = ndtri(p) - ndtri(threshold)
    scores = (np.random.default_rng(3).uniform(size=(repeats, 200)) < p) * 1.0
    radius = np.nan_to_num(certify(scores, thresholds=[threshold]).radius[:, 0])
    assert (radius >= truth).sum() <= allowed(repeats)
    assert (radius >= truth).sum() > 0  # it comes close enough to be wrong at times
    assert np.median(radius) < truth


def test_the_radius_moves_on_a_grid_that_the_pilot_fixes(backend):
    rng = np.random.default_rng(0)
    pilot = rng.beta(8, 1, 100)
    rows = np.concatenate([np.tile(pilot, (30, 1)), rng.beta(8, 1, (30, 900))], axis=1)
    cert = certify(rows, thresholds=[0.5], order="drawn", backend=backend)
    radius = np.unique(cert.radius)
    steps = np.diff(radius)
    assert steps.min() >= 2**-11 - 1e-12
    assert len(radius) < 30  # rows that stop at the same point stop at the same bits


@pytest.mark.parametrize(
    ("draws", "threshold", "m", "least"),
    [
        ("saturated", 0.5, 100_000, 3.77),
        ("beta(20, 1)", 0.5, 100_000, 3.27),
        ("beta(20, 1)", 0.8, 100_000, 1.925),
        ("beta(3, 1.5)", 0.5, 100_000, 0.779),
        ("mixture", 0.8, 100_000, 0.731),
        ("logistic", 0.5, 10_000, 2.36),
        ("logistic", 0.8, 10_000, 1.25),
        ("logistic", 0.5, 100_000, 2.55),
        ("logistic", 0.8, 100_000, 1.345),
    ],
)
def test_tightness(draws, threshold, m, least):
    rng = np.random.default_rng(0)
    scores = np.stack([DRAWS[draws](rng, m) for _ in range(6)]).astype("f4")
    cert = certify(scores, alpha=1e-3, thresholds=[threshold])
    assert cert.radius.mean() > least
    band = sb.certify_scores(scores, sigma=1.0, bound="cdf", thresholds=[threshold], band="dkw")
    assert (cert.radius > band.radius).all()


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("end", [0.0, 1.0])
@pytest.mark.parametrize("m", [2, 3, 50, 5000])
def test_all_ties_at_an_end(backend, mean, end, m):
    scores = np.full((1, m), end)
    options = {"alpha": 0.5, "mean": mean, "backend": backend, "radii": RADII}
    if m == 2 and mean == "bernstein":
        with pytest.raises(ValueError, match="too few"):
            certify(scores, **options)
        return
    try:
        cert = certify(scores, sides="both", **options)
    except ValueError as error:
        assert "too few" in str(error)  # noqa: PT017
        return
    rest = m - max(1, m // 10)
    assert (cert.lower <= end).all()
    assert (cert.upper >= end).all()
    if end == 1.0:
        assert (cert.lower <= ndtr(ndtri(0.25 ** (1 / rest)) - RADII) + 1e-15).all()


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.9])
@pytest.mark.parametrize(
    ("bound", "mean"),
    [("tangent", "betting"), ("tangent", "bernstein"), ("mean", "betting"), ("mean", "bernstein")],
)
def test_required_draws_is_the_least_number_that_can_certify(threshold, bound, mean):
    n = sb.required_draws(threshold, bound=bound, mean=mean)
    options = {"sigma": 1.0, "bound": bound, "mean": mean}
    assert sb.certify_scores(np.ones((1, n)), **options).lower[0, 0] > threshold
    if n == 1:
        assert (threshold, bound, mean) == (0.0, "mean", "betting")
        return
    with pytest.raises(ValueError, match=f"at least n = {n} are needed"):
        sb.certify_scores(
            np.ones((1, n - 1)), thresholds=[threshold] if threshold else [], **options
        )


def test_settings_are_recorded():
    scores = np.random.default_rng(0).beta(8, 1, size=(2, 505))
    cert = certify(scores, pilot=0.2)
    assert cert.settings.n == 505
    assert cert.settings.n_pilot == 101
    settings = json.loads(cert.settings.to_json())
    assert settings["method"]["mean"] == "betting"
    assert sb.certify_scores(scores, sigma=1.0).settings.n_pilot == 0
    assert sb.certify_scores(scores, sigma=1.0, bound="mean").settings.n_pilot == 0
    both = certify(scores, sides="both")
    half = certify(scores, alpha=ALPHA / 2)
    np.testing.assert_array_equal(both.lower, half.lower)


def test_names():
    assert Method("tangent").name == "tangent"
    assert Method("tangent", mean="bernstein").name == "tangent_bernstein"
    assert Method("mean", mean="betting").name == "mean_betting"
    assert Method("mean", mean="hoeffding") == Method("mean")
    assert Method("mean").name == "mean"
    with pytest.raises(ValueError, match="band and n_bins are for bound='cdf'"):
        Method.of("tangent", "dkw", 100)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"mean": "hoeffding"}, "bound='tangent' takes mean='betting' or 'bernstein'"),
        ({"mean": "wald"}, "got 'wald'"),
        ({"bound": "cdf", "mean": "betting"}, "it bounds no mean"),
        ({"pilot": 0.0}, "pilot must lie strictly between 0 and 1"),
        ({"pilot": 1.0}, "pilot"),
    ],
)
def test_bad_options(options, match):
    with pytest.raises(ValueError, match=match):
        certify(np.full(100, 0.5), **options)
