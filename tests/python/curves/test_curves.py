"""The named curves against their closed forms in 50 digits, and against the events themselves."""

from itertools import combinations

import numpy as np
import pytest
from exact_curves import exact_psi
from hypothesis import assume, given
from hypothesis import strategies as st

import smoothbound as sb
from smoothbound import curves

NAMES = ["gaussian", "l1-uniform", "l1-laplace", "ablation-45-of-784", "ablation-3-of-7"]
LOOSEST = 1e-12  # how far a bound may lie below the exact one

probabilities = st.one_of(
    st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1e-9).map(lambda q: 1 - q)
)


@pytest.mark.usefixtures("fifty_digits")
@pytest.mark.parametrize("name", NAMES)
@given(probabilities, st.one_of(st.floats(0, 8), st.integers(0, 7).map(float)))
def test_is_the_closed_form_rounded_to_the_safe_side(name, p, r):
    assume(p == 0 or p > 1e-30)  # below it the 50 digits of the inverse are too few
    curve = curves.curve(name)
    exact, mirrored = exact_psi(name, p, r), 1 - exact_psi(name, 1 - p, r)
    lower, upper = curve.lower(p, r), curve.upper(p, r)
    assert exact - LOOSEST <= lower <= exact
    if 1 - (1 - p) == p:  # else 1 - p is rounded
        assert mirrored <= upper <= mirrored + LOOSEST
    assert 0 <= lower <= p <= upper <= 1


@pytest.mark.parametrize("name", NAMES)
def test_increases_with_p_and_decreases_with_the_radius(name):
    curve = curves.curve(name)
    p = np.sort(np.append(np.random.default_rng(0).uniform(size=500), [0.0, 0.5, 1.0]))
    table = np.array([curve.lower(p, r) for r in np.linspace(0, 7, 29)])
    assert (np.diff(table, axis=0) <= 1e-15).all()
    assert (np.diff(table, axis=1) >= -1e-15).all()
    middle = curve.lower(0.5 * (p[1:] + p[:-1]), 1.0)
    assert (middle <= 0.5 * (table[4, 1:] + table[4, :-1]) + 1e-12).all()  # convex


@pytest.mark.parametrize("name", ["l1-uniform", "l1-laplace"])
@pytest.mark.parametrize("r", [0.3, 1.0, 1.7])
def test_is_what_the_most_powerful_event_loses(name, r):
    """Neyman and Pearson: the event that takes first the points that lose most by the shift."""
    cells = 100_000
    edges = np.linspace(-25, 25, cells + 1)
    middles = 0.5 * (edges[1:] + edges[:-1])
    if name == "l1-uniform":
        here, there = ((np.abs(middles - at) <= 1.0) / 2 * (edges[1] - edges[0]) for at in (0.0, r))
    else:
        here, there = (np.exp(-np.abs(middles - at)) / 2 * (edges[1] - edges[0]) for at in (0.0, r))
    first = np.argsort(there / np.maximum(here, 1e-300), kind="stable")
    first = first[here[first] > 0]
    p, q = np.cumsum(here[first]), np.cumsum(there[first])
    at = np.linspace(0.01, 0.99, 99)
    found = np.interp(at, p, q)
    assert found == pytest.approx(curves.curve(name).lower(at, r), abs=1e-3)


@pytest.mark.parametrize(("d", "k"), [(5, 2), (4, 1), (4, 3)])
def test_of_ablation_bounds_every_event_and_is_met_by_one(d, k):
    """All choices of the pixels that stay; those that show a changed pixel may turn out anyhow."""
    curve = curves.Ablation(pixels=d, kept=k)
    choices = list(combinations(range(d), k))
    for changed in range(d + 1):
        unseen = [not set(choice) & set(range(changed)) for choice in choices]
        lost = 1 - np.mean(unseen)
        p = np.arange(len(choices) + 1) / len(choices)
        worst = np.maximum(p - lost, 0)
        assert curve.lower(p, changed) == pytest.approx(worst, abs=1e-14)
        assert (curve.lower(p, changed) <= worst + 1e-16).all()


@pytest.mark.parametrize("name", ["l1-uniform", "l1-laplace"])
def test_holds_in_several_coordinates(name):
    """Random half-spaces and boxes in the plane: their probabilities before and after a shift."""
    rng = np.random.default_rng(1)
    noise = rng.uniform(-1, 1, (50_000, 2)) if "uniform" in name else rng.laplace(size=(50_000, 2))
    curve = curves.curve(name)
    for _ in range(20):
        shift = rng.uniform(-0.5, 0.5, 2)
        normal, at = rng.normal(size=2), rng.normal()
        before = np.mean(noise @ normal <= at)
        after = np.mean((noise + shift) @ normal <= at)
        assert after >= curve.lower(before, float(np.abs(shift).sum())) - 0.02


def test_a_fraction_of_a_pixel_cannot_change():
    curve = curves.curve("ablation-2-of-9")
    assert curve.lower(0.9, 2.9) == curve.lower(0.9, 2) > curve.lower(0.9, 3)
    assert curve.lower(0.9, 8) == 0
    core = pytest.importorskip("smoothbound._core").Curve(**curve.for_core())
    for radius in (0.0, 0.5, 1.9, 6.5, 7.0, 7.5, 8.0, 1e300):  # two of nine stay, up to R = 7
        assert abs(core.lower(1.0, 0.0, radius) - curve.lower(1.0, radius)) < 1e-14


def test_a_class_of_ones_own_is_refused():
    class Steep(curves.Curve):
        name = "steep"

        def _between(self, p, q, r):
            return p - r

    with pytest.raises(TypeError, match="own curve as a Tabulated"):
        curves.curve(Steep())


def test_sigma_is_the_scale_of_the_noise():
    for name in ("gaussian", "l1-uniform", "l1-laplace"):
        curve = curves.curve(name)
        one, other = curve.lower(0.9, 0.25, sigma=0.5), curve.lower(0.9, 1.0, sigma=2.0)
        assert one == other


@pytest.mark.parametrize("name", NAMES[:4])
def test_a_name_is_read_back(name):
    curve = curves.curve(name)
    assert curve.name == name
    assert curves.curve(curve.plain()) == curve
    assert curves.curve(curve) is curve


@pytest.mark.parametrize(
    ("call", "need"),
    [
        (lambda: curves.curve("l1-cauchy"), "curve must be one of 'gaussian'"),
        (lambda: curves.curve("ablation-5-of-4"), "kept must be at most 4, got 5"),
        (lambda: curves.curve("ablation-0-of-4"), "kept must be at least 1"),
        (lambda: curves.curve({}), "curve must be.*the keys 'radii', 'p' and 'values'.*got {}"),
        (lambda: curves.curve({"radii": [1]} | {1: 2}), "curve must be.*must have the keys"),
        (lambda: curves.curve("gaussian").lower(1.5, 0.1), r"p must lie in \[0, 1\], got 1.5"),
        (lambda: curves.curve("gaussian").lower(np.nan, 0.1), r"p must lie in \[0, 1\], got nan"),
        (lambda: curves.curve("gaussian").lower(0.5, -1), "radius must be at least 0"),
        (lambda: curves.curve("gaussian").lower(0.5, 1, 0), "sigma must be positive"),
        (lambda: curves.curve("ablation-1-of-4").lower(0.5, 1, 2), "sigma must be left out"),
    ],
)
def test_refuses(call, need):
    with pytest.raises(ValueError, match=need):
        call()


@pytest.mark.parametrize(
    ("value", "need"),
    [
        (7, "curve must be one of 'gaussian'.*got 7"),
        (None, "curve must be one of"),
        (curves.Gaussian, "curve must be one of"),
        ({"radii": None, "p": [1.0], "values": [0.5]}, "curve must be a table.*radii must be"),
        ({"radii": [1.0], "p": [1.0], "values": "half"}, "curve must be a table.*values must be"),
    ],
)
def test_refuses_what_is_of_another_kind(value, need):
    for call in (curves.curve, in_scores, in_a_sketch):
        with pytest.raises(TypeError, match=need):
            call(value)


def in_scores(curve):
    sb.certify_scores(np.full((1, 500), 0.9), sigma=1.0, curve=curve)


def in_a_sketch(curve):
    sketch = sb.ScoreSketch(1)
    sketch.update(np.full((1, 500), 0.9))
    sketch.certify(sigma=1.0, curve=curve)


@pytest.mark.parametrize(
    ("name", "deviation"), [("gaussian", 1.0), ("l1-uniform", 3**-0.5), ("l1-laplace", 2**0.5)]
)
def test_noise_has_its_scale(name, deviation):
    x = np.array([[1.0, -2.0, 5.0]])
    draws = curves.curve(name).sample(x, 40_000, np.random.default_rng(0), sigma=0.5)
    assert draws.shape == (40_000, 1, 3)
    assert draws.mean(axis=0) == pytest.approx(x, abs=0.02)
    assert draws.std(axis=0) == pytest.approx(np.full((1, 3), 0.5 * deviation), rel=0.02)


def test_ablation_keeps_pixels_with_their_channels_evenly():
    x = np.arange(24.0).reshape(3, 2, 4)  # three channels
    draws = curves.Ablation(pixels=8, kept=3).sample(x, 4000, np.random.default_rng(0))
    shown = ~np.isnan(draws)
    assert (shown.reshape(4000, 3, 8).sum(axis=2) == 3).all()
    assert (shown[:, 0] == shown[:, 2]).all()
    assert (np.where(shown, draws, x) == x).all()
    assert shown[:, 0].mean(axis=0) == pytest.approx(np.full((2, 4), 3 / 8), abs=0.03)


def test_refuses_to_sample_what_it_cannot():
    rng, table = np.random.default_rng(0), curves.Tabulated([1.0], [0.5], [0.2])
    with pytest.raises(ValueError, match="curve must be of a noise that is known"):
        table.sample([1.0], 2, rng)
    with pytest.raises(ValueError, match=r"x must have 8 pixels.*got shape \(9,\)"):
        curves.Ablation(pixels=8, kept=3).sample(np.zeros(9), 2, rng)
    with pytest.raises(ValueError, match="sigma must be left out"):
        curves.Ablation(pixels=8, kept=3).sample(np.zeros(8), 2, rng, sigma=0.5)


@pytest.mark.parametrize("name", ["ablation-3-of-2", "ablation-0-of-2", "ablation-1-of-0"])
def test_an_ablation_that_does_not_exist_is_refused_by_its_name(name):
    with pytest.raises(ValueError, match=f"curve must keep .* got '{name}': "):
        curves.curve(name)
