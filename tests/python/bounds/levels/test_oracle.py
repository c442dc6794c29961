"""Certified probabilities and quantiles against the slow reference and exact ranks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

import smoothbound as sb
from smoothbound.backends import reference

DTYPES = (np.float16, np.float32, np.float64)
FINITE = st.floats(-10, 10, width=16)


def certify(scores, statistic, levels, **options):
    options = {"sigma": 0.5, "alpha": 0.05, "sides": "both", "radii": [0.0, 0.3]} | options
    return sb.certify_scores(scores, statistic=statistic, levels=levels, **options)


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.lists(
            st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 3.0, np.inf]) | FINITE,
            min_size=12,
            max_size=12,
        ),
        min_size=1,
        max_size=3,
    ),
    level=st.sampled_from([-1.0, 0.0, 0.5, 3.0]) | FINITE,
    dtype=st.sampled_from(DTYPES),
)
def test_probabilities_equal_the_reference(backend, rows, level, dtype):
    scores = np.array(rows, dtype)
    made = certify(scores, "probability", [level, 0.25], backend=backend, thresholds=[0.2])
    for i, row in enumerate(scores.astype(np.float64)):
        for j, t in enumerate([level, 0.25]):
            for m, radius in enumerate([0.0, 0.3]):
                lower = reference.lower_probability(row, t, radius / 0.5, 0.025)
                below = -np.nextafter(t, -np.inf)  # h < t is -h >= the next number after -t
                upper = 1 - reference.lower_probability(-row, below, radius / 0.5, 0.025)
                assert lower - 1e-10 <= made.lower[i, j, m] <= lower
                assert upper <= made.upper[i, j, m] <= upper + 1e-10
            reached = int((row >= t).sum())
            p = reference.clopper_pearson(reached, 12, 0.025)
            expected = 0.5 * (norm.ppf(p) - norm.ppf(0.2)) if p > 0.2 else np.nan
            np.testing.assert_allclose(made.radius[i, j, 0], expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=60)
@given(
    row=st.lists(st.sampled_from([-np.inf, 0.0, -0.0, np.inf]) | FINITE, min_size=25, max_size=25),
    q=st.floats(0.25, 0.75),
    dtype=st.sampled_from(DTYPES),
)
def test_quantiles_equal_the_reference(backend, row, q, dtype):
    scores = np.array([row], dtype)
    made = certify(scores, "quantile", [q], backend=backend)
    values = scores[0].astype(np.float64)
    for m, radius in enumerate([0.0, 0.3]):
        assert made.lower[0, 0, m] == reference.lower_quantile(values, q, radius / 0.5, 0.025)
        assert made.upper[0, 0, m] == -reference.lower_quantile(-values, 1 - q, radius / 0.5, 0.025)


@pytest.mark.parametrize("n", [50, 1000, 100_000])
@pytest.mark.parametrize("alpha", [0.3, 1e-3, 1e-12])
@pytest.mark.parametrize("q", [0.1, 0.5, 0.99])
def test_the_rank_is_the_least_that_fails_rarely_enough(backend, n, alpha, q):
    # Position k of 0, 1, ..., n - 1 tells the rank. The k-th largest draw is above every quantile
    # with the probability of k or more successes at Phi(Phi^-1(1 - q) + r).
    r = 0.25
    options = {"sigma": 1.0, "alpha": alpha, "radii": [r], "backend": backend, "sides": "lower"}
    worst = norm.cdf(norm.ppf(1 - q) + r)
    if alpha ** (1 / n) <= worst:
        with pytest.raises(ValueError, match="are too few to certify"):
            certify(np.arange(n, dtype=np.float64)[None], "quantile", [q], **options)
        return
    made = certify(np.arange(n, dtype=np.float64)[None], "quantile", [q], **options)
    k = n - int(made.lower[0, 0, 0])
    assert binom.sf(k - 1, n, worst) <= alpha < binom.sf(k - 2, n, worst)


def test_backends_agree_on_long_rows():
    rng = np.random.default_rng(5)
    for dtype in DTYPES:
        scores = rng.normal(size=(3, 20_011)).astype(dtype)[:, ::-1]
        for statistic, levels in (("probability", [-1.0, 0.1, 4.0]), ("quantile", [0.01, 0.5])):
            one, other = (
                certify(scores, statistic, levels, thresholds=[0.3], backend=name)
                for name in ("cpp", "numba")
            )
            for part in ("lower", "upper", "radius"):
                np.testing.assert_allclose(
                    getattr(one, part), getattr(other, part), rtol=1e-11, atol=1e-13
                )


@pytest.mark.parametrize("alpha", [1e-300, 1e-250, 0.5, 0.999])
def test_any_alpha_gives_a_sound_order(backend, alpha):
    scores = np.random.default_rng(1).uniform(size=(2, 3000))
    made = certify(
        scores, "probability", [0.0, 0.2, 0.9, 1.5], alpha=alpha, backend=backend, radii=[0, 1, 60]
    )
    assert (made.lower <= made.upper).all()
    assert (np.diff(made.lower, axis=1) <= 0).all()
    assert (np.diff(made.lower, axis=2) <= 0).all()
    assert (np.diff(made.upper, axis=2) >= 0).all()
    assert made.lower[:, 0].max() < 1.0 == made.upper[:, 0, 0].max()
    assert (made.lower[:, -1] == 0).all()
    assert made.upper[:, -1, 0].max() < 1.0


def test_rows_do_not_depend_on_threads_or_layout():
    scores = np.random.default_rng(2).normal(size=(7, 5000)).astype(np.float32)
    made = certify(scores, "quantile", [0.2, 0.6])
    assert certify(scores, "quantile", [0.2, 0.6], threads=4) == made
    assert certify(np.asfortranarray(scores), "quantile", [0.2, 0.6]) == made
    assert certify(np.sort(scores), "quantile", [0.2, 0.6]) == made
