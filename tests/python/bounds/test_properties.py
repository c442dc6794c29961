"""What must hold of every certificate, whatever the scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import smoothbound as sb

ALPHA = 0.05
scores_of_a_row = hnp.arrays(np.float64, st.integers(6, 300), elements=st.floats(0, 1))
bounds = st.sampled_from(["mean", "cdf"])
BANDS = ["dkw", "ell"]
RADII = np.array([0.0, 0.1, 0.5, 1.0, 2.0, 4.0, 9.0])


def certify(scores, backend, **options):
    options = {"sigma": 1.0, "alpha": ALPHA, "radii": RADII, **options}
    return sb.certify_scores(np.atleast_2d(scores), backend=backend, **options)


@given(scores_of_a_row, bounds)
def test_bounds_stay_in_the_range_and_in_order(backend, scores, bound):
    cert = certify(scores, backend, bound=bound, sides="both")
    assert (cert.lower >= 0).all()
    assert (cert.upper <= 1).all()
    assert (cert.lower <= cert.upper).all()


@given(scores_of_a_row, bounds)
def test_bounds_widen_with_the_radius(backend, scores, bound):
    cert = certify(scores, backend, bound=bound, sides="both")
    assert (np.diff(cert.lower, axis=1) <= 0).all()
    assert (np.diff(cert.upper, axis=1) >= 0).all()


@given(scores_of_a_row, bounds, st.randoms(use_true_random=False))
def test_order_of_draws_does_not_matter(backend, scores, bound, random):
    shuffled = np.array(random.sample(scores.tolist(), len(scores)))
    np.testing.assert_allclose(
        certify(scores, backend, bound=bound).lower,
        certify(shuffled, backend, bound=bound).lower,
        rtol=0,
        atol=1e-14 if bound == "mean" else 0,
    )


@given(scores_of_a_row, st.integers(1, 20), st.integers(2, 10))
def test_more_bins_from_nested_knots_are_never_looser(backend, scores, n, factor):
    few, many = (
        certify(scores[: n * factor * 10], backend, n_bins=bins, sides="both", band="dkw")
        for bins in (n, n * factor)
        # knots floor(i m / n) are among floor(j m / (n k)) for every m
    )
    assert (many.lower >= few.lower - 1e-13).all()
    assert (many.upper <= few.upper + 1e-13).all()


@given(scores_of_a_row, bounds, st.floats(-5, 5), st.floats(0.01, 100))
def test_translating_and_scaling_the_range_commutes(backend, scores, bound, shift, scale):
    def move(x):
        return shift + scale * np.asarray(x)

    plain = certify(scores, backend, bound=bound, sides="both")
    a, b = shift, float(move(1.0))
    moved_scores = np.clip(move(scores), a, b)  # rounding may step over the end by one unit
    moved = certify(moved_scores, backend, bound=bound, sides="both", score_range=(a, b))
    # Scores closer together than a unit of the moved range become ties: a knot's gain of 1e-15.
    tolerance = 1e-12 * max(scale, abs(shift), 1.0)
    np.testing.assert_allclose(moved.lower, move(plain.lower), rtol=0, atol=tolerance)
    np.testing.assert_allclose(moved.upper, move(plain.upper), rtol=0, atol=tolerance)


@given(scores_of_a_row, bounds)
def test_reflecting_the_range_swaps_the_sides(backend, scores, bound):
    plain = certify(scores, backend, bound=bound, sides="both")
    mirror = certify(-scores, backend, bound=bound, sides="both", score_range=(-1, 0))
    np.testing.assert_allclose(mirror.upper, -plain.lower, rtol=0, atol=1e-14)
    np.testing.assert_allclose(mirror.lower, -plain.upper, rtol=0, atol=1e-14)


def test_lower_confidence_at_the_certified_radius_is_above_the_threshold(backend):
    scores = np.random.default_rng(0).beta(8, 1, size=(50, 5000))
    radius = certify(scores, backend, bound="cdf", thresholds=[0.5]).radius[:, 0]
    for row, r in zip(scores, radius, strict=True):
        assert certify(row, backend, bound="cdf", radii=[r]).lower[0, 0] >= 0.5 - 1e-15
        assert certify(row, backend, bound="cdf", radii=[r + 1e-9]).lower[0, 0] < 0.5


def test_sigma_scales_the_radius(backend):
    scores = np.random.default_rng(0).beta(8, 1, size=(3, 500))
    one = certify(scores, backend, thresholds=[0.5])
    quarter = certify(scores, backend, thresholds=[0.5], sigma=0.25, radii=RADII / 4)
    np.testing.assert_array_equal(one.lower, quarter.lower)
    np.testing.assert_allclose(quarter.radius, one.radius / 4, rtol=1e-15)


def test_both_sides_share_alpha(backend):
    scores = np.random.default_rng(0).beta(8, 1, size=(3, 500))
    both = certify(scores, backend, sides="both")
    half = certify(scores, backend, sides="lower", alpha=ALPHA / 2)
    np.testing.assert_array_equal(both.lower, half.lower)
    assert both.settings.alpha_lower == both.settings.alpha_upper == ALPHA / 2
    assert half.upper is None
    assert half.settings.alpha_upper is None


def test_theorem_2_beats_theorem_1_with_many_draws(backend):
    scores = np.random.default_rng(0).beta(5, 0.5, size=(1, 100_000)).astype("f4")
    cdf = certify(scores, backend, bound="cdf", radii=[0.5, 1.0, 2.0])
    mean = certify(scores, backend, bound="mean", radii=[0.5, 1.0, 2.0])
    assert (cdf.lower > mean.lower + 0.01).all()


@pytest.mark.parametrize("n_bins", [None, 3])
def test_ties_use_the_true_count(backend, n_bins):
    # 90 of 100 draws are 0.5: the knot at 0.5 is reached by all 100, whatever its position.
    scores = np.array([0.5] * 90 + [0.75] * 10)
    cert = certify(scores, backend, n_bins=n_bins, radii=[0.0], band="dkw")
    deviation = np.sqrt(np.log(1 / ALPHA) / 200)
    assert cert.lower[0, 0] == pytest.approx(0.5 * (1 - deviation), abs=1e-12)
