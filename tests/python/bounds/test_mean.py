"""Bounds on a mean by betting and by empirical Bernstein, for Theorem 1."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binom

import smoothbound as sb
from smoothbound.backends import reference

ALPHA, REPEATS, M = 0.05, 3000, 150
MEANS = ["hoeffding", "bernstein", "betting"]

rows = st.one_of(
    hnp.arrays(np.float64, st.integers(60, 300), elements=st.floats(0, 1)),
    hnp.arrays(np.float64, st.integers(60, 300), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    hnp.arrays(np.float32, st.integers(60, 300), elements=st.floats(0, 1, width=32)),
    hnp.arrays(np.float16, st.integers(60, 300), elements=st.floats(0, 1, width=16)),
)


def certify(scores, mean, **options):
    options = {"sigma": 1.0, "alpha": ALPHA, "bound": "mean", **options}
    return sb.certify_scores(np.atleast_2d(scores), mean=mean, **options)


def shuffled(scores):
    """Return the scores in another order."""
    return np.random.default_rng(0).permutation(scores)


@given(rows, st.floats(0, 12))
@example(np.ones(60), 0.0)
@example(np.zeros(60), 0.0)
def test_bernstein_agrees_with_the_reference(backend, scores, r):
    lower = certify(scores, "bernstein", radii=[r], backend=backend).lower[0, 0]
    expected = reference.lower_mean(scores, r, ALPHA, mean="bernstein")
    # Where all scores are equal the variance is lost in rounding, and its root is taken.
    assert expected - 2e-6 <= lower <= expected + 1e-15
    upper = certify(scores, "bernstein", radii=[r], backend=backend, sides="upper").upper[0, 0]
    expected = -reference.lower_mean(-scores.astype(float), r, ALPHA, (-1, 0), mean="bernstein")
    assert expected - 1e-15 <= upper <= expected + 2e-6


@pytest.mark.parametrize("draws", ["uniform", "beta", "bernoulli", "saturated"])
def test_betting_agrees_with_the_reference(backend, draws):
    rng = np.random.default_rng(0)
    scores = {
        "uniform": rng.uniform(size=2000),
        "beta": rng.beta(20, 1, size=2000),
        "bernoulli": (rng.uniform(size=2000) < 0.7) * 1.0,
        "saturated": np.full(2000, 0.9999),
    }[draws]
    lower = certify(scores, "betting", order="drawn", backend=backend).lower[0, 0]
    expected = reference.lower_mean(scores, 0.0, ALPHA, mean="betting")
    assert lower == pytest.approx(expected, abs=2e-5)  # chords, and the steps of the search


@given(rows, st.sampled_from(["bernstein", "betting"]))
def test_backends_agree(scores, mean):
    options = {"radii": [0.0, 0.7], "thresholds": [0.3], "sides": "both"}
    try:
        cpp = certify(scores, mean, backend="cpp", **options)
    except ValueError:  # too few draws, or no core
        return
    numba = certify(scores, mean, backend="numba", **options)
    np.testing.assert_allclose(cpp.lower, numba.lower, rtol=0, atol=5e-6)
    np.testing.assert_allclose(cpp.upper, numba.upper, rtol=0, atol=5e-6)


@pytest.mark.parametrize("mean", ["bernstein", "betting"])
@pytest.mark.parametrize("draws", ["uniform", "bernoulli", "beta"])
def test_failure_rate(mean, draws):
    rng = np.random.default_rng(5)
    scores, truth = {
        "uniform": (rng.uniform(size=(REPEATS, M)), 0.5),
        "bernoulli": ((rng.uniform(size=(REPEATS, M)) < 0.9) * 1.0, 0.9),
        "beta": (rng.beta(4, 0.5, size=(REPEATS, M)), 4 / 4.5),
    }[draws]
    allowed = binom.ppf(1 - 1e-4, REPEATS, ALPHA)
    lower = certify(scores, mean).lower[:, 0]
    upper = certify(scores, mean, sides="upper").upper[:, 0]
    assert (lower > truth).sum() <= allowed
    assert (upper < truth).sum() <= allowed
    # ... and the bounds are not so loose that this says nothing
    assert np.median(lower) > truth - 0.2
    if mean == "betting":
        assert (lower > truth).sum() + (upper < truth).sum() > 0


@pytest.mark.parametrize("n", [20, 100, 1000, 100_000])
def test_perfect_scores_come_close_to_the_exact_bound(backend, n):
    # No bound from n ones can exceed alpha^(1/n), the Clopper-Pearson bound.
    lower = certify(np.ones(n), "betting", backend=backend).lower[0, 0]
    assert ALPHA ** (1 / n) - 1e-10 <= lower <= ALPHA ** (1 / n)


def test_betting_beats_bernstein_and_both_beat_hoeffding():
    scores = np.random.default_rng(0).beta(20, 1, size=(20, 2000))
    at_zero = [certify(scores, mean).lower[:, 0].mean() for mean in MEANS]
    assert at_zero[0] < at_zero[1] < at_zero[2] < 20 / 21


def test_the_order_matters_little(backend):
    scores = np.random.default_rng(0).beta(8, 1, size=1000)
    other = shuffled(scores)
    options = {"radii": [0, 1], "order": "drawn", "backend": backend}
    bernstein = [certify(x, "bernstein", **options).lower for x in (scores, other)]
    np.testing.assert_array_equal(*bernstein)
    betting = [certify(x, "betting", **options).lower[0, 0] for x in (scores, other)]
    assert betting[0] != betting[1]
    assert betting[0] == pytest.approx(betting[1], abs=0.1 * (scores.mean() - betting[0]))


@pytest.mark.parametrize("mean", ["bernstein", "betting"])
@pytest.mark.parametrize("alpha", [0.999, 1e-300])
def test_extremes(backend, mean, alpha):
    for scores in (np.zeros((1, 4000)), np.ones((1, 4000))):
        cert = certify(scores, mean, alpha=alpha, radii=[0, 60], sides="both", backend=backend)
        assert (cert.lower >= 0).all()
        assert (cert.upper <= 1).all()
        assert (cert.lower <= scores[0, 0]).all()
        assert (cert.upper >= scores[0, 0]).all()
