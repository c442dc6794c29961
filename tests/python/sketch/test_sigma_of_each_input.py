"""Sketches of draws whose noise level is that of each input."""

import pickle

import numpy as np
import pytest

import smoothbound as sb
from smoothbound import ScoreSketch
from smoothbound.recommend import forecast

SIGMA = [0.25, 0.5, 0.25]
IDS = [2, 5, 9]
SCORES = np.random.default_rng(0).beta(8, 1, size=(3, 600)).astype(np.float32)
ASKED = {"radii": [0, 0.1], "thresholds": [0.5], "alpha": 0.01}


def filled(sigma=tuple(SIGMA), **options):
    sketch = ScoreSketch(IDS, edges=64, sigma=sigma, **options)
    sketch.update(SCORES, first_draw=0)
    return sketch


@pytest.mark.parametrize(
    "asked",
    [{}, {"statistic": "quantile", "levels": [0.5]}, {"sides": "both", "band": "dkw"}],
    ids=["mean", "quantile", "both"],
)
def test_certifies_each_input_at_its_level(asked):
    options = ASKED | asked
    together = filled().certify(**options)
    assert together == filled(sigma=None).certify(sigma=SIGMA, **options)
    assert together == filled().certify(sigma=SIGMA, **options)
    np.testing.assert_array_equal(together.sigma, SIGMA)
    for i, level in enumerate(SIGMA):
        alone = filled(sigma=None).select([IDS[i]]).certify(sigma=level, **options)
        np.testing.assert_array_equal(together.lower[[i]], alone.lower)
        np.testing.assert_array_equal(together.radius[[i]], alone.radius)
    held = filled().certify(constant_within=0.05, **options)
    assert (held.radius <= 0.05).all()


def test_counts_draws_of_several_levels():
    torch = pytest.importorskip("torch")
    smoothed = sb.SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), 1.0)
    x = np.array([[0.3], [-1.0], [2.0]], np.float32)
    draws = [
        smoothed.with_sigma(level).draw(x[i], n=500, index=IDS[i]) for i, level in enumerate(SIGMA)
    ]
    most = max(one.displacement for one in draws)
    sketch = ScoreSketch(IDS, sigma=SIGMA, displacement=most)
    for one in draws:
        sketch.update(one)
    assert sketch.n_draws.tolist() == [500] * 3
    assert sketch.noise == "lattice"
    made = sketch.certify(**ASKED)
    for i, one in enumerate(draws):
        alone = ScoreSketch([IDS[i]], displacement=most)
        alone.update(one)
        expected = alone.certify(**ASKED)
        assert expected.settings.sigma == SIGMA[i]
        np.testing.assert_array_equal(made.lower[[i]], expected.lower)
        np.testing.assert_array_equal(made.radius[[i]], expected.radius)
    later = smoothed.with_sigma(0.25).draw(x[1], n=50, index=5, first_draw=500)
    with pytest.raises(
        ValueError, match=r"scores must be of sigma = 0\.5, like those of the sketch"
    ):
        sketch.update(later)
    with pytest.raises(ValueError, match="make the sketch with displacement="):
        ScoreSketch(IDS, sigma=SIGMA).update(draws[0])


def test_files_copies_parts_and_edges_keep_the_levels(tmp_path):
    sketch = filled()
    sketch.save(tmp_path / "sketch.parquet")
    for other in (
        ScoreSketch.load(tmp_path / "sketch.parquet"),
        pickle.loads(pickle.dumps(sketch)),
        sketch.select([2]) + sketch.select([5, 9]),
        sketch.select([5]) + sketch.select([2, 9]),
    ):
        assert other == sketch
        assert other.sigma.tolist() == SIGMA
        assert other.certify(**ASKED) == sketch.certify(**ASKED)
    assert sketch.select([5]).sigma.tolist() == [0.5]
    assert sketch.coarsen([0, 32, 64]).sigma.tolist() == SIGMA
    with pytest.raises(ValueError, match="read-only"):
        sketch.sigma[0] = 1.0


def test_merges_only_with_the_same_levels():
    sketch = filled()
    more = ScoreSketch([5, 7], edges=64, sigma=[0.5, 1.0])
    more.update(SCORES[:2], first_draw=600)
    merged = sketch + more
    assert merged == more + sketch
    assert (merged.index.tolist(), merged.sigma.tolist()) == ([2, 5, 7, 9], [0.25, 0.5, 1.0, 0.25])
    one = ScoreSketch([7], edges=64, sigma=1.0)
    assert (sketch + one).sigma.tolist() == [0.25, 0.5, 1.0, 0.25]
    for other, need in (
        (ScoreSketch([5], edges=64, sigma=[0.25]), "sigma of input 5 differ: 0.5 and 0.25"),
        (ScoreSketch(IDS, edges=64, sigma=0.25), "sigma of input 5 differ: 0.5 and 0.25"),
        (ScoreSketch(IDS, edges=64), r"if it is the same, call state\(sigma="),
    ):
        with pytest.raises(ValueError, match=need):
            sketch + other
    assert filled(sigma=(0.5,) * 3) == filled(sigma=0.5)


def test_levels_are_stated_later():
    sketch = filled(sigma=None)
    with pytest.raises(ValueError, match="sigma must be given"):
        sketch.certify(**ASKED)
    sketch.state(sigma=SIGMA)
    assert sketch == filled()
    sketch.state(sigma=SIGMA)
    with pytest.raises(ValueError, match="as stated before"):
        sketch.state(sigma=0.25)
    uniform = filled(sigma=0.5)
    uniform.state(sigma=[0.5] * 3)
    assert uniform.sigma == 0.5


@pytest.mark.parametrize(
    ("sigma", "kind", "need"),
    [
        ([0.5], ValueError, "sigma must have one number for each of the 3 inputs, got 1"),
        ([0.5, 0.5, 0.0], ValueError, r"got sigma\[2\] = 0"),
        ([0.5, np.nan, 0.5], ValueError, r"got sigma\[1\] = nan"),
        (np.ones((3, 1)), TypeError, "sigma must be numbers in one dimension"),
        ("wide", TypeError, "sigma must be a number"),
    ],
)
def test_refuses(sigma, kind, need):
    with pytest.raises(kind, match=need):
        ScoreSketch(IDS, sigma=sigma)
    with pytest.raises(kind, match=need):
        filled(sigma=None).state(sigma=sigma)
    with pytest.raises(kind, match=need):
        filled(sigma=None).certify(sigma=sigma)


def test_other_levels_than_those_of_the_draws_are_refused():
    with pytest.raises(ValueError, match=r"that of the draws of input 5, 0\.5, got 0\.25"):
        filled().certify(sigma=0.25)
    with pytest.raises(ValueError, match=r"that of the draws of input 9, 0\.25, got 1\.0"):
        filled().certify(sigma=[0.25, 0.5, 1.0])
    with pytest.raises(ValueError, match="one for all inputs"):
        forecast(filled(), 1000, radii=[0.1])
    with pytest.raises(ValueError, match="sigma must be left out"):
        filled().certify(sigma=SIGMA, curve="ablation-2-of-9")
    assert filled().certify(curve="ablation-2-of-9").sigma is None
