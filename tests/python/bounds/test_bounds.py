"""The fast backends against the slow reference, on whatever hypothesis throws at them."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from layouts import LAYOUTS, laid_out

import smoothbound as sb
from smoothbound.backends import reference
from smoothbound.bounds._band import local_level

TOLERANCE = 1e-12
ALPHA = 0.05

rows = st.one_of(
    hnp.arrays(np.float64, st.integers(6, 400), elements=st.floats(0, 1)),
    # many ties, and ties with the ends of the range
    hnp.arrays(np.float64, st.integers(6, 400), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    hnp.arrays(np.float32, st.integers(6, 400), elements=st.floats(0, 1, width=32)),
    hnp.arrays(np.float16, st.integers(6, 400), elements=st.floats(0, 1, width=16)),
)
bins = st.one_of(st.none(), st.integers(1, 500))
methods = st.sampled_from([("mean", None), ("cdf", "dkw"), ("cdf", "ell")])


def certify(scores, backend, **options):
    return sb.certify_scores(scores[None, :], alpha=ALPHA, backend=backend, **options)


def options_of(bound, band, n_bins):
    return {"bound": bound} if band is None else {"bound": bound, "band": band, "n_bins": n_bins}


def level_of(scores, band, n_bins):
    return local_level(len(scores), alpha=ALPHA, n_bins=n_bins) if band == "ell" else None


def reference_lower(bound, scores, r, n_bins, level):
    if bound == "mean":
        return reference.lower_mean(scores, r, ALPHA)
    return reference.lower_cdf(scores, r, ALPHA, n_bins=n_bins, level=level)


@given(rows, bins, st.floats(0, 12), methods)
@example(np.array([1.0] * 6 + [np.nextafter(1.0, 0.0)] * 3), None, 0.0, ("cdf", "ell"))
@example(np.array([0.0, 5e-324, 1e-310, 1e-300, 1.0, 1.0]), None, 1.0, ("cdf", "dkw"))
@example(np.arange(400) / 400, 400, 60.0, ("cdf", "ell"))
@example(np.array([1.0, 1e-47, 0.0, 0.0, 0.0, 0.0]), 2, 0.0, ("cdf", "dkw"))
def test_both_sides_agree_with_the_reference(backend, scores, n_bins, r, method):
    bound, band = method
    options = options_of(bound, band, n_bins)
    level = level_of(scores, band, n_bins)
    cert = certify(scores, backend, sigma=1.0, radii=[r], sides="lower", **options)
    lower = reference_lower(bound, scores, r, n_bins, level)
    assert lower - TOLERANCE <= cert.lower[0, 0] <= lower + 1e-15
    cert = certify(scores, backend, sigma=1.0, radii=[r], sides="upper", **options)
    seen = 1.0 - (1.0 - scores.astype(np.float64))  # distances from 1 round, and may then tie
    upper = reference.upper_bound(bound, seen, r, ALPHA, n_bins=n_bins, level=level)
    assert upper - 1e-15 <= cert.upper[0, 0] <= upper + TOLERANCE


@given(rows, bins, st.floats(0.01, 0.99), methods)
def test_radius_agrees_with_the_reference(backend, scores, n_bins, share, method):
    bound, band = method
    level = level_of(scores, band, n_bins)
    at_zero = reference_lower(bound, scores, 0.0, n_bins, level)
    threshold = at_zero * share
    if not 1e-9 < threshold < 0.28:  # 6 draws cannot reach higher
        return
    options = options_of(bound, band, n_bins)
    cert = certify(scores, backend, sigma=0.5, thresholds=[threshold], **options)
    expected = reference.certified_radius(
        bound, scores, threshold, ALPHA, n_bins=n_bins, level=level
    )
    radius = cert.radius[0, 0] / 0.5
    assert radius <= expected + 1e-14
    assert reference_lower(bound, scores, radius, n_bins, level) <= threshold + 5e-12
    # A radius is known less well where the bound is flat: rounding moves the bound by 1e-15.
    further = reference_lower(bound, scores, radius + 1e-3, n_bins, level)
    slope = (threshold - further) / 1e-3
    assert radius == pytest.approx(expected, abs=1e-10 + 1e-14 / slope)


def test_radius_is_nan_where_even_zero_fails(backend):
    scores = np.full((1, 1000), 0.6)
    cert = sb.certify_scores(scores, sigma=1, thresholds=[0.3, 0.7], backend=backend)
    assert cert.radius[0, 0] > 0
    assert np.isnan(cert.radius[0, 1])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("m", [50, 255, 256, 257, 2049, 70_000])
def test_sorts_every_type_and_size(dtype, m):
    rng = np.random.default_rng(m)
    scores = rng.uniform(-1, 1, (3, m)).astype(dtype)
    scores[0, :5] = [0.0, -0.0, 1.0, -1.0, 0.0]
    options = {
        "sigma": 1.0,
        "radii": [0.0, 0.7],
        "score_range": (-1, 1),
        "alpha": ALPHA,
        "sides": "both",
        "bound": "cdf",
    }
    for n_bins in (None, 37, m // 3):
        cpp, numba = (
            sb.certify_scores(scores, backend=backend, n_bins=n_bins, **options)
            for backend in ("cpp", "numba")
        )
        np.testing.assert_allclose(cpp.lower, numba.lower, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(cpp.upper, numba.upper, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout(backend, layout):
    scores = np.random.default_rng(0).uniform(size=(6, 800)).astype("f4")
    view = laid_out(scores, layout)
    options = {"sigma": 1.0, "radii": [0.0, 0.5], "backend": backend}
    expected = sb.certify_scores(scores, **options)
    np.testing.assert_array_equal(sb.certify_scores(view, **options).lower, expected.lower)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_do_not_change_a_bit(backend, threads):
    scores = np.random.default_rng(0).beta(5, 1, size=(11, 3000))
    options = {"sigma": 1.0, "radii": [0, 1, 2], "thresholds": [0.5], "backend": backend}
    one = sb.certify_scores(scores, threads=1, **options)
    many = sb.certify_scores(scores, threads=threads, **options)
    np.testing.assert_array_equal(one.lower, many.lower)
    np.testing.assert_array_equal(one.radius, many.radius)
