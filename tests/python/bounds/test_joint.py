"""The joint bound: tight, never above the truth, and wrong at most as often as stated, at once."""

from itertools import pairwise
from typing import NamedTuple

import exact
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import binom
from some_scores import DRAWS, scores_of_a_row

import smoothbound as sb
from smoothbound._numba._means import joint as numba_joint
from smoothbound.backends import reference_joint
from smoothbound.bounds._method import Method

ALPHA = 0.1
GRID = np.array([0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.1, 1.4, 1.8, 2.2, 2.7, 3.3, 4.0])


def certify(scores, **options):
    options = {"sigma": 1.0, "alpha": ALPHA, "bound": "joint", **options}
    return sb.certify_scores(np.atleast_2d(scores), **options)


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):  # as the fallback computes rows
        yield


def joint(backend, alpha, pilot, draws):
    if backend == "numba":
        return numba_joint.JointBound(alpha, pilot, draws)
    return pytest.importorskip("smoothbound._core").JointBound(alpha, pilot, draws)


@pytest.mark.parametrize("draws", DRAWS)
def test_agrees_with_the_reference(backend, draws):
    scores = DRAWS[draws](np.random.default_rng(0), 1000)
    options = {"order": "drawn", "backend": backend}
    for r in (0.0, 1.2):
        lower = certify(scores, radii=[r], **options).lower[0, 0]
        expected = reference_joint.lower_joint(scores, 100, r, ALPHA)
        # The backends stop looking for the stake earlier than the reference, and take chords.
        assert lower == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("draws", DRAWS)
def test_no_other_mixture_is_better(backend, draws):
    rng = np.random.default_rng(1)
    x = np.sort(DRAWS[draws](rng, 2000).clip(0, 1 - 1e-9))
    bound = joint(backend, ALPHA, x[::10], x)
    for r in (0.05, 0.4, 0.7, 1.2, 2.5, 4.5):
        found = bound(r)
        knots, weights, stakes, mixture, _ = bound.choices
        terms = (np.diff(knots), np.array(weights))
        means = []
        for w, stake in zip(weights, stakes, strict=True):
            phi = np.concatenate([[0.0], np.cumsum(terms[0] * w)])
            logs = np.interp(x, knots, np.log1p(stake * phi / phi[-1])).sum()
            share = np.expm1((logs + np.log(ALPHA / 5)) / len(x)) / stake
            means.append(phi[-1] * max(share, 0.0))
        means = np.array(means)
        best = reference_joint.dual(r, mixture, *terms, means)
        assert found == pytest.approx(max(best, 0.0), abs=1e-9)
        for _ in range(40):
            other = np.maximum(mixture * rng.uniform(0.9, 1.1, 5) + rng.exponential(0.01, 5), 0)
            assert reference_joint.dual(r, other, *terms, means) <= best + 1e-6


@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("m", [40, 1000])
def test_it_is_the_better_one_of_tangents_and_band(backend, draws, m, side):
    scores = DRAWS[draws](np.random.default_rng(4), m).astype(np.float32)
    options = {"radii": GRID, "backend": backend, "sides": side}
    made = certify(scores, order="drawn", **options)
    by_band = certify(scores, **options | {"alpha": ALPHA / 8, "bound": "cdf"})
    shares = scores.astype(np.float64) if side == "lower" else 1.0 - scores.astype(np.float64)
    tangents = joint(backend, ALPHA * 7 / 8, np.sort(shares[: m // 10]), np.sort(shares[m // 10 :]))
    both = [np.array([tangents(float(r)) for r in GRID])]  # another rounding may end the search
    if side == "lower":
        both.append(by_band.lower[0])
        np.testing.assert_allclose(made.lower[0], np.max(both, axis=0), rtol=0, atol=2e-5)
        assert (made.lower >= by_band.lower).all()
    else:
        both.append(1.0 - by_band.upper[0])
        np.testing.assert_allclose(made.upper[0], 1.0 - np.max(both, axis=0), rtol=0, atol=2e-5)
        assert (made.upper <= by_band.upper).all()


def test_the_band_gives_radii_where_the_tangents_have_none(backend):
    scores = np.float32(np.arange(200) >= 16)  # votes
    options = {"thresholds": [0.5, 0.7, 0.94], "backend": backend}
    radius = certify(scores, **options).radius[0]
    by_band = certify(scores, **options | {"alpha": ALPHA / 8, "bound": "cdf"}).radius[0]
    assert (radius[:2] >= by_band[:2]).all()
    assert np.isnan(radius[2])


def test_the_bound_falls_with_the_radius(backend):
    r = np.linspace(0, 5, 51)
    for draws in DRAWS.values():
        scores = draws(np.random.default_rng(2), 800)
        lower = certify(scores, radii=r, backend=backend).lower[0]
        assert (np.diff(lower) < 1e-6).all()


RADII = np.array([0.0, 1e-300, 1e-9, 0.1, 1.0, 4.0, 9.0, 60.0])


@settings(max_examples=30)
@given(scores_of_a_row, st.floats(0.01, 0.99), st.sampled_from([1e-300, 1e-3, 0.3]))
def test_bounds_stay_in_the_range_and_mirror(backend, scores, pilot, alpha):
    options = {"radii": RADII, "pilot": pilot, "alpha": alpha, "backend": backend, "sides": "both"}
    try:
        plain = certify(scores, thresholds=[0.3], **options)
    except ValueError as error:
        assert "too few" in str(error)  # noqa: PT017
        return
    assert (plain.lower >= 0).all()
    assert (plain.upper <= 1).all()
    assert (plain.lower[:, -1] < 1e-9).all()
    assert np.isnan(plain.radius[0, 0]) == (plain.lower[0, 0] <= 0.3)
    mirror = certify(-scores, score_range=(-1, 0), **options)
    np.testing.assert_allclose(mirror.upper, -plain.lower, rtol=0, atol=1e-7)
    np.testing.assert_allclose(mirror.lower, -plain.upper, rtol=0, atol=1e-7)


@pytest.mark.parametrize("offset", [-0.2, 0.3, 0.8])
def test_never_above_the_truth(backend, offset):
    # h(x) = Phi(w.x / s): as in test_truth.py, the worst point within R is known.
    sigma, s, radii = 0.5, 0.3, np.array([0.0, 0.1, 0.25, 0.5, 1.0])
    rng = np.random.default_rng(0)
    scores = ndtr((offset + sigma * rng.standard_normal((5, 50_000))) / s)
    lowest, highest = ndtr((offset + np.array([-1, 1])[:, None] * radii) / np.hypot(s, sigma))
    options = {"sigma": sigma, "alpha": 1e-3, "backend": backend}
    cert = certify(scores, radii=radii, sides="both", **options)
    assert (cert.lower <= lowest).all()
    assert (cert.upper >= highest).all()
    assert (cert.lower >= lowest - 0.06).all()
    radius = certify(scores, thresholds=[0.3], **options).radius[:, 0]
    truth = offset - np.hypot(s, sigma) * ndtri(0.3)
    assert (np.nan_to_num(radius) <= max(truth, 0.0)).all()


S = (np.arange(4000) + 0.5) / 4000
KNOWN = {  # how to draw scores, and the bound with their survival function
    "uniform": (lambda rng, size: rng.uniform(size=size), lambda r: ndtr(ndtri(1 - S) - r).mean()),
    "beta(8, 1)": (
        lambda rng, size: rng.beta(8, 1, size),
        lambda r: ndtr(-ndtri(S**8) - r).mean(),
    ),
    "votes": (
        lambda rng, size: (rng.uniform(size=size) < 0.9) * 1.0,
        lambda r: ndtr(ndtri(0.9) - r),
    ),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("n", [60, 300])
def test_all_radii_and_thresholds_fail_together_at_most_as_often_as_stated(name, n):
    repeats, thresholds = 1000, [0.2, 0.4]
    draw, truth_at = KNOWN[name]
    scores = draw(np.random.default_rng(5), (repeats, n))
    truth = np.array([truth_at(r) for r in GRID])
    cert = certify(scores, radii=GRID, thresholds=thresholds, pilot=0.2)
    wrong = (cert.lower > truth).any(axis=1)
    for c, radius in zip(thresholds, np.nan_to_num(cert.radius).T, strict=True):
        wrong |= radius >= brentq(lambda r, c=c: truth_at(r) - c, 0.0, 9.0)
    # More failures than this are a sign, at one in ten thousand, that the rate exceeds alpha.
    assert wrong.sum() <= binom.ppf(1 - 1e-4, repeats, ALPHA)
    upper = certify(1 - scores, radii=GRID, sides="upper", pilot=0.2).upper
    assert (upper < 1 - truth).any(axis=1).sum() <= binom.ppf(1 - 1e-4, repeats, ALPHA)


@pytest.mark.parametrize("draws", [name for name in DRAWS if name != "bernoulli"])
@pytest.mark.parametrize("m", [1000, 10_000])
def test_tighter_than_the_band_at_all_radii(draws, m):
    rng = np.random.default_rng(0)
    scores = np.stack([DRAWS[draws](rng, m) for _ in range(8)]).astype("f4")
    options = {"alpha": 1e-3, "radii": [0, 0.1, 0.25, 0.5, 1, 1.5, 2], "thresholds": [0.5]}
    ours = certify(scores, **options)
    band = sb.certify_scores(scores, sigma=1.0, bound="cdf", **options)
    assert (ours.lower.mean(axis=0) > band.lower.mean(axis=0) - 2e-3).all()
    assert ours.radius.mean() > band.radius.mean()


@pytest.mark.parametrize("end", [0.0, 1.0])
@pytest.mark.parametrize("m", [2, 3, 50, 5000])
def test_all_ties_at_an_end(backend, end, m):
    try:
        cert = certify(np.full((1, m), end), alpha=0.5, backend=backend, radii=RADII, sides="both")
    except ValueError as error:
        assert "too few" in str(error)  # noqa: PT017
        return
    rest = m - max(1, m // 10)
    assert (cert.lower <= end).all()
    assert (cert.upper >= end).all()
    if end == 1.0:
        share = max((0.25 * 7 / 8 / 5) ** (1 / rest), (0.25 / 8) ** (1 / m))
        assert (cert.lower <= ndtr(ndtri(share) - RADII) + 1e-15).all()


@pytest.mark.parametrize("threshold", [0.6, 0.9])
def test_required_draws_is_the_least_number_that_can_certify(threshold):
    n = sb.required_draws(threshold, bound="joint")
    assert certify(np.ones((1, n)), alpha=1e-3).lower[0, 0] > threshold
    with pytest.raises(ValueError, match=f"at least n = {n} are needed"):
        certify(np.ones((1, n - 1)), alpha=1e-3, thresholds=[threshold])


def test_a_single_draw_is_too_few(backend):
    need = "n = 1 draws are too few .* at least n = 2 are needed"
    for sides in ("lower", "upper", "both"):
        with pytest.raises(ValueError, match=need):
            certify(np.ones((1, 1)), alpha=0.1, sides=sides, backend=backend)
    assert certify(np.ones((1, 2)), alpha=0.1, backend=backend).lower[0, 0] > 0.0
    assert sb.required_draws(0.0, alpha=0.1, bound="joint") == 2
    assert sb.required_draws(0.0, alpha=0.1) == 1


def test_the_core_makes_its_own_band():
    core = pytest.importorskip("smoothbound._core")
    scores = np.random.default_rng(0).choice([0.3, 1.0], (20, 300))
    plan = core.Plan(
        300,
        sigma=1.0,
        alpha=ALPHA,
        a=0.0,
        b=1.0,
        side="lower",
        bound="joint",
        band=None,
        mean="betting",
        n_pilot=30,
        order="unknown",
        seed=3,
        radii=(0.0, 1.0),
        thresholds=(0.5,),
        threads=1,
    )
    bounds, radius, bad = plan.certify(scores, 7)
    expected = certify(scores, radii=[0, 1], thresholds=[0.5], seed=3, first_row=7, backend="cpp")
    np.testing.assert_array_equal(bounds, expected.lower)
    np.testing.assert_array_equal(radius, expected.radius)
    assert bad == -1


def test_names_and_settings():
    assert Method("joint").name == Method("joint").label == "joint"
    assert Method.of("joint") == Method("joint", mean="betting")
    with pytest.raises(ValueError, match=r"band and n_bins are for bound='cdf'.*got band='dkw'"):
        Method.of("joint", "dkw", 100)
    assert Method("joint").holds_at_all_radii
    with pytest.raises(ValueError, match="takes mean='betting'"):
        Method("joint", mean="bernstein")
    assert certify(np.linspace(0, 1, 505), pilot=0.2).settings.n_pilot == 101


# --- exact arithmetic -------------------------------------------------------------------------


class Chosen(NamedTuple):
    """What a backend chose: any of it gives a valid bound."""

    knots: np.ndarray
    weights: list
    stakes: np.ndarray
    mixture: np.ndarray
    z: np.ndarray


def shortfall(chosen, k, draws, alpha, *, chords):
    """phi(1) (1 - V) of the tangents k, from the logarithm at every draw or from chords."""
    knots = [mp.mpf(x) for x in chosen.knots.tolist()]
    phi = [mp.mpf(0)]
    for (low, high), w in zip(pairwise(knots), chosen.weights[k].tolist(), strict=True):
        phi.append(phi[-1] + (high - low) * mp.mpf(w))
    stake = mp.mpf(float(chosen.stakes[k]))
    total = mp.mpf(0)
    for x in draws.tolist():
        i = min(int(np.searchsorted(chosen.knots, x, side="right")) - 1, len(knots) - 2)
        f = (mp.mpf(x) - knots[i]) / (knots[i + 1] - knots[i])
        low, high = (phi[j] / phi[-1] for j in (i, i + 1))
        if chords:
            low, high = mp.log1p(stake * low), mp.log1p(stake * high)
            total += low + f * (high - low)
        else:
            total += mp.log1p(stake * (low + f * (high - low)))
    share = max(mp.mpf(0), mp.expm1((total + mp.log(mp.mpf(alpha) / 5)) / len(draws)) / stake)
    return phi[-1] * (1 - share)


def exact_bound(chosen, r, draws, alpha, *, chords):
    mixture = [mp.mpf(x) for x in chosen.mixture.tolist()]
    total, tangents = mp.mpf(0), {}
    for i, (low, high) in enumerate(pairwise(chosen.knots.tolist())):
        z = float(chosen.z[i])
        if z not in tangents:
            tangents[z] = exact.tangent(mp.mpf(z), mp.mpf(r))
        slope, height = tangents[z]
        u = mp.fsum(m * mp.mpf(float(w[i])) for m, w in zip(mixture, chosen.weights, strict=True))
        total += (mp.mpf(high) - mp.mpf(low)) * (height - max(slope - u, mp.mpf(0)))
    for k, m in enumerate(mixture):
        if m:
            total -= m * shortfall(chosen, k, draws, alpha, chords=chords)
    return total


@pytest.mark.usefixtures("fifty_digits")
@pytest.mark.parametrize("alpha", [1 - 2.0**-53, 0.5, 1e-3, 1e-9])
@pytest.mark.parametrize("kind", range(5))
def test_below_exact_arithmetic(backend, kind, alpha):
    rng = np.random.default_rng([kind, 7])
    x = [
        rng.beta(20, 1, 40),
        np.full(40, 0.9999),
        1 - 10.0 ** rng.uniform(-15, 0, 40),
        10.0 ** rng.uniform(-320, 0, 40),
        rng.integers(0, 2, 40) * (1 - 2.0**-51),
    ][kind]
    pilot, draws = np.sort(x[:10]), np.sort(x[10:])
    bound = joint(backend, alpha, pilot, draws)
    for r in (0.0, 1e-9, 0.7, 3.0, 60.0):
        found = bound(r)
        chosen = Chosen(*bound.choices)
        limit = exact_bound(chosen, r, draws, alpha, chords=False)
        least = exact_bound(chosen, r, draws, alpha, chords=True)
        assert mp.mpf(found) <= max(limit, mp.mpf(0))
        size = sum(m * w.max() for m, w in zip(chosen.mixture, chosen.weights, strict=True))
        tolerance = {"cpp": 1e-12, "numba": 1e-11}[backend]
        tolerance *= (1 + size) * float(1 + max(1 / chosen.stakes))
        assert mp.mpf(found) >= least - tolerance
