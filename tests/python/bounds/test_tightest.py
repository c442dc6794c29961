"""The rule that names the tightest bound from n, alpha and the questions."""

import numpy as np
import pytest

import smoothbound as sb

SCORES = {
    "beta(20, 1)": lambda rng, size: rng.beta(20, 1, size),
    "beta(3, 1.5)": lambda rng, size: rng.beta(3, 1.5, size),
    "logistic": lambda rng, size: 1 / (1 + np.exp(-4 - 1.5 * rng.standard_normal(size))),
}


@pytest.mark.parametrize(
    ("n", "options", "bound"),
    [
        (1000, {}, "tangent"),
        (1000, {"radii": [], "thresholds": [0.5]}, "tangent"),
        (1000, {"thresholds": [0.5]}, "joint"),
        (1000, {"radii": [0, 1], "sides": "upper"}, "joint"),
        (100_000, {"radii": [0, 1], "sides": "both"}, "joint"),
        (22, {"radii": [0, 1]}, "joint"),
        (21, {"radii": [0, 1]}, "cdf"),
        (10, {"radii": [0, 1]}, "cdf"),
        (40, {"radii": [0, 1], "alpha": 1e-9}, "cdf"),
        (160, {"radii": [0, 1], "alpha": 1e-9}, "cdf"),
        (161, {"radii": [0, 1], "alpha": 1e-9}, "joint"),
        (1, {}, "cdf"),
    ],
)
def test_the_rule(n, options, bound):
    assert sb.tightest_bound(n, **options) == bound


@pytest.mark.parametrize(
    ("n", "options", "name"),
    [
        (1000, {}, "joint"),
        (1000, {"radii": []}, "joint"),  # never the tangent bound, which holds at one radius
        (1000, {"order": "unknown"}, "cdf_ell"),
        (10, {}, "cdf_ell"),
        (1000, {"band": "dkw"}, "cdf_dkw"),
        (1000, {"n_bins": 50}, "cdf_ell"),
        (1000, {"curve": "l1-laplace"}, "cdf_ell"),
        (100, {"alpha": 1e-9, "sides": "both"}, "cdf_ell"),
    ],
)
def test_the_default_holds_at_all_radii(backend, n, options, name):
    scores = np.random.default_rng(0).beta(20, 1, (1, n))
    options = {"sigma": 1.0, "order": "drawn", "backend": backend, **options}
    made = sb.certify_scores(scores, **options)
    assert made.settings.method.name == name
    assert made.settings.method.holds_at_all_radii


def test_the_default_of_certify_scores_needs_no_order(backend):
    scores = np.random.default_rng(0).random((2, 500))
    options = {"sigma": 1.0, "radii": [0, 0.5], "backend": backend}
    plain = sb.certify_scores(scores, **options).lower
    for other in (scores[:, ::-1], np.sort(scores, axis=1)):
        np.testing.assert_array_equal(sb.certify_scores(other, **options, seed=5).lower, plain)


@pytest.mark.parametrize("threshold", [0.5, 0.9, 0.99])
def test_the_default_of_required_draws_is_that_of_certify_scores(threshold):
    joint, cdf, unknown = (
        sb.required_draws(threshold, bound=bound) for bound in ("joint", "cdf", None)
    )
    assert unknown == cdf
    drawn = sb.required_draws(threshold, order="drawn")
    assert drawn == min(joint, cdf)
    enough = sb.certify_scores(np.ones((1, drawn)), sigma=1, order="drawn")
    assert enough.lower[0, 0] > threshold
    fewer = sb.certify_scores(np.ones((1, drawn - 1)), sigma=1, order="drawn")
    assert fewer.lower[0, 0] <= threshold


@pytest.mark.parametrize("scores", SCORES)
@pytest.mark.parametrize("n", [30, 100, 1000])
def test_the_bound_it_names_certifies_more_than_the_band(scores, n):
    rows = SCORES[scores](np.random.default_rng(0), (64, n))
    for radii in ([0.25], [0, 0.25, 1]):
        bound = sb.tightest_bound(n, radii=radii)
        ours, band = (
            sb.certify_scores(rows, sigma=1.0, radii=radii, bound=one).lower.mean(axis=0)
            for one in (bound, "cdf")
        )
        assert (ours > band).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"sides": "left"}, "sides"),
        ({"alpha": 2}, "alpha"),
        ({"pilot": 0}, "pilot"),
        ({"radii": [0, -1]}, "radii must be finite and >= 0"),
    ],
)
def test_bad_arguments(options, match):
    with pytest.raises(ValueError, match=match):
        sb.tightest_bound(100, **options)
