"""Certificates of all classes: each is that of the class alone at its share of alpha."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import binom

from smoothbound import ClassSketch
from smoothbound.classes._certify import largest, share_of_alpha
from smoothbound.classes._votes import radius_of_two, vote_bounds

RADII = (0.0, 0.1, 0.3)


def softmax(means, n_inputs=1, n_draws=2000, seed=0):
    logits = np.random.default_rng(seed).normal(means, 1.0, (n_inputs, n_draws, len(means)))
    scores = np.exp(logits - logits.max(axis=2, keepdims=True))
    return (scores / scores.sum(axis=2, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def sketch():
    return ClassSketch.from_scores(softmax([3.0, 1.0, 0.5, -4.0], n_inputs=2), sigma=0.25)


@pytest.mark.parametrize("band", ["ell", "dkw"])
def test_each_bound_is_that_of_the_class_alone(sketch, band, backend):
    cert = sketch.certify(radii=RADII, alpha=0.01, band=band, backend=backend)
    assert cert.settings.n_bounds == 8
    assert 8 * cert.settings.alpha_each <= 0.01
    for k in range(4):
        alone = {"radii": RADII, "alpha": cert.settings.alpha_each, "band": band}
        for side in ("lower", "upper"):
            one = sketch.sketch_of(k).certify(**alone, sides=side, backend=backend)
            assert np.array_equal(getattr(cert, side)[:, k], getattr(one, side))


def test_the_margin_is_put_together_from_two_classes(sketch):
    cert = sketch.certify(radii=RADII)
    assert cert.top.tolist() == [0, 0]
    for i in range(2):
        for j in range(3):
            exact = mpmath.mpf(cert.lower[i, 0, j]) - mpmath.mpf(cert.upper[i, 1:, j].max())
            assert mpmath.mpf(cert.margin()[i, j]) <= exact
            assert cert.margin()[i, j] > float(exact) - 1e-15
    other = cert.margin([2, 1])
    assert (other < 0).all()
    assert other[0, 1] <= cert.lower[0, 2, 1] - cert.upper[0, 0, 1]


@pytest.mark.parametrize("means", [[2.0, 1.0, 0.0], [1.0] * 12, [4.0, *[0.0] * 30], [9.0, 0.0]])
def test_the_class_stays_on_top_up_to_its_radius_and_hardly_beyond(means):
    sketch = ClassSketch.from_scores(softmax(means), sigma=0.5)
    cert = sketch.certify()
    radius = float(cert.top_radius[0])
    if np.isnan(radius):
        assert cert.margin()[0, 0] <= 0
        return
    margins = sketch.certify(radii=[0, radius / 2, radius, radius + 2e-5]).margin(cert.top)[0]
    assert (margins[:3] > -1e-15).all()
    assert margins[3] <= 0


def test_fewer_classes_have_no_radius_against_the_others():
    scores = softmax([3.0, 1.0, 0.5])
    every = ClassSketch.from_scores(scores, sigma=0.25).certify(alpha=0.003)
    some = ClassSketch.from_scores(scores, sigma=0.25, classes=[2, 0]).certify(alpha=0.002)
    assert some.top_radius is None
    assert some.class_radius is None
    assert np.allclose(some.lower, every.lower[:, [2, 0]], atol=1e-12)
    assert some.top.tolist() == [0]
    assert some.voted.tolist() == [0]
    with pytest.raises(ValueError, match="2 of 3 classes of the model are bounded"):
        some.margin()
    assert some.margin(over=[2]) == pytest.approx(every.margin(over=[2]), abs=1e-12)
    assert some.margin([2], over=[0, 2]) == pytest.approx(every.margin([2], over=[0]), abs=1e-12)
    assert "2 of 3 classes" in repr(some)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 0}, "alpha must lie strictly between"),
        ({"sigma": 0.5}, "sigma must be that of the draws, 0.25, got 0.5"),
        ({"radii": [-1]}, "radii"),
        ({"band": "none"}, "band must be one of"),
        ({"backend": "none"}, "backend must be one of"),
    ],
)
def test_bad_arguments_are_named(sketch, change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        sketch.certify(**change)


def test_bad_classes_of_a_margin_are_named(sketch):
    cert = sketch.certify()
    with pytest.raises(ValueError, match="classes must be among those of the certificate, got 4"):
        cert.margin([0, 4])
    with pytest.raises(TypeError, match="classes must be a whole number for each of the 2 inputs"):
        cert.margin([0])
    with pytest.raises(ValueError, match="over must be among those of the certificate"):
        cert.margin(over=[4])
    with pytest.raises(ValueError, match=r"over must name a class besides .* got \[1\]"):
        cert.margin([0, 1], over=[1])
    one = ClassSketch.from_scores(softmax([1.0, 2.0]), sigma=1, classes=[1]).certify()
    for over in ("all", [1]):
        with pytest.raises(ValueError, match="over must name"):
            one.margin(over=over)
    few = ClassSketch.from_scores(softmax([1.0, 2.0], n_draws=10), sigma=1)
    with pytest.raises(ValueError, match="n = 10 draws are too few to certify any input at all"):
        few.certify(alpha=1e-12, band="dkw")
    with pytest.raises(ValueError, match="sigma must be given"):
        ClassSketch.from_scores(softmax([1.0, 2.0])).certify()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_margins_and_columns_are_those_of_a_loop(sketch, data):
    kept = data.draw(st.lists(st.integers(0, 3), min_size=2, unique=True))
    cert = ClassSketch.from_scores(
        softmax([3.0, 1.0, 0.5, -4.0], n_inputs=2), sigma=0.25, classes=kept
    ).certify(radii=RADII, band="dkw")
    every = sketch.certify(
        radii=RADII, band="dkw", alpha=share_of_alpha(1e-3, 2 * len(kept)) * 8 * (1 + 2**-50)
    )
    own = data.draw(st.lists(st.sampled_from(kept), min_size=2, max_size=2))
    over = data.draw(st.lists(st.sampled_from(kept), min_size=2, unique=True))
    margin = cert.margin(own, over=over)
    for i, a in enumerate(own):
        for j in range(len(RADII)):
            most = max(every.upper[i, b, j] for b in over if b != a)
            assert margin[i, j] == pytest.approx(every.lower[i, a, j] - most, abs=1e-12)
    columns = cert.columns([-1, 0, 1, 2, 3]).tolist()
    assert columns == [-1, *(kept.index(k) if k in kept else -1 for k in range(4))]


def test_bad_labels_are_named(sketch):
    cert = sketch.certify()
    assert cert.columns([[3, -1]]).tolist() == [[3, -1]]
    for labels in ([4], [-2], np.array([2**63], np.uint64)):
        with pytest.raises(ValueError, match="labels must be among the 4 classes of the model"):
            cert.columns(labels)
    with pytest.raises(TypeError, match="labels must be whole numbers"):
        cert.columns([0.5])


def test_the_drawing_shows_the_bounds(sketch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    cert = sketch.certify(radii=RADII)
    ax = cert.plot(1)
    assert [line.get_label() for line in ax.lines[::2]] == ["class 0", "class 1", "class 2"]
    assert np.array_equal(ax.lines[0].get_ydata(), cert.lower[1, 0])
    assert np.array_equal(ax.lines[1].get_ydata(), cert.upper[1, 0])
    ax = cert.plot(0, ax=pyplot.figure().subplots(), classes=[3])
    assert np.array_equal(ax.lines[0].get_ydata(), cert.lower[0, 3])
    for change in ({"row": 2}, {"classes": [4]}, {"classes": "all"}):
        with pytest.raises(ValueError, match=r"row must|classes must be among"):
            cert.plot(**change)
    pyplot.close("all")


# --- votes ------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    votes=st.lists(st.integers(0, 400), min_size=2, max_size=6).filter(any),
    alpha=st.sampled_from([0.5, 0.01, 1e-6, 1e-250]),
)
def test_the_radius_of_votes_is_below_exact_arithmetic(votes, alpha):
    n = sum(votes)
    low, high = vote_bounds(np.array([votes]), np.array([n]), alpha)
    a = int(np.argmax(votes))
    radius = radius_of_two(low, high, np.array([a]), sigma=0.5)[0]
    with mpmath.workdps(50):
        for k, count in enumerate(votes):
            # P(Bin(n, p) >= count) at the lower bound is at most alpha, and so is the mirror image.
            for hits, p in ((count, low[0, k]), (n - count, 1 - mpmath.mpf(high[0, k]))):
                if hits and p > 0:
                    tail = mpmath.betainc(hits, n - hits + 1, 0, p, regularized=True)
                    assert tail <= alpha
        p_a, p_b = (
            mpmath.mpf(low[0, a]),
            max(mpmath.mpf(high[0, k]) for k in range(len(votes)) if k != a),
        )
        p_b = min(p_b, 1 - p_a)
        if np.isnan(radius):
            assert p_a <= p_b * (1 + mpmath.mpf("1e-12")) or p_b == 0
            return
        assert p_a > p_b
        exact = (quantile(p_a) - quantile(p_b)) / 4
        assert exact - mpmath.mpf("1e-10") <= radius <= exact


def quantile(p):
    return mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1)


def test_a_class_without_a_majority_has_a_radius():
    low, high = vote_bounds(np.array([[4500, 3000, 2500]]), np.array([10_000]), 1e-3)
    assert radius_of_two(low, high, np.array([0]), sigma=1.0)[0] > 0.15
    assert low[0, 0] < 0.5


# --- search and shares ------------------------------------------------------------------------


@given(at=st.floats(0, 20))
def test_the_search_finds_the_last_radius(at):
    found = largest(lambda radii: radii <= at, 16.0)
    assert found <= at
    assert found >= min(at, 16.0) - 16.0 / 16**5 * 1.01


@given(alpha=st.floats(1e-12, 0.5), n=st.integers(1, 4000))
def test_shares_add_up_to_at_most_alpha(alpha, n):
    assert mpmath.mpf(share_of_alpha(alpha, n)) * n <= alpha


# --- coverage ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("band", ["ell", "dkw"])
def test_all_bounds_hold_at_once_with_the_stated_probability(band):
    """At alpha = 0.2, of draws from a known distribution: scores at R = 0, and votes."""
    rng, alpha, repetitions, n = np.random.default_rng(7), 0.2, 400, 150
    atoms = softmax([1.0, 0.5, 0.0, -1.0, -1.0], n_draws=40, seed=3)[0]
    mean = atoms.astype(np.float64).mean(axis=0)
    share = np.bincount(atoms.argmax(axis=1), minlength=5) / 40
    draws = atoms[rng.integers(0, 40, (repetitions, n))]
    cert = ClassSketch.from_scores(draws, sigma=1.0, edges=64).certify(alpha=alpha, band=band)
    bad = (cert.lower[:, :, 0] > mean) | (cert.upper[:, :, 0] < mean)
    bad_votes = (cert.vote_lower > share) | (cert.vote_upper < share)
    # 3 standard deviations of a frequency at alpha: 0.06.
    for wrong in (bad, bad_votes):
        assert wrong.any(axis=1).mean() <= alpha
    assert bad_votes.any(axis=1).mean() > 0.02  # not idle: the shares of alpha are used


@pytest.mark.slow
@pytest.mark.parametrize("band", ["ell", "dkw"])
@pytest.mark.parametrize("score", [lambda z: (z > 0) * 1.0, lambda z: expit(6 * z)])
def test_radii_of_two_classes_are_false_at_most_at_alpha(band, score):
    """Scores s(z) and 1 - s(z) = s(-z) have the same mean, and the same votes, at z = 0 alone."""
    rng, alpha, repetitions, at = np.random.default_rng(9), 0.2, 1000, 0.25
    z = at + rng.normal(size=(repetitions, 150))
    scores = np.stack([score(z), score(-z)], axis=2)
    cert = ClassSketch.from_scores(scores, sigma=1.0).certify(alpha=alpha, band=band)
    most = binom.ppf(1 - 1e-4, repetitions, alpha)
    for of, radius in ((cert.top, cert.top_radius), (cert.voted, cert.class_radius)):
        assert (radius > np.where(of == 0, at, -1.0)).sum() <= most  # NaN is no radius
    false = (cert.class_radius > at) & (cert.voted == 0)
    assert false.sum() > 0.02 * repetitions  # about a quarter of alpha: it is not idle
    assert np.isfinite(cert.top_radius[cert.top == 0]).mean() > 0.02
