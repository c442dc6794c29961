"""A noise level for each input, and the ball on which it is constant."""

import numpy as np
import pytest

import smoothbound as sb
from sigma_per_input import BORDER, certified, true_radius

SCORES = np.random.default_rng(0).beta(8, 1, size=(7, 600)).astype(np.float32)
SIGMA = np.array([0.5, 0.25, 0.25, 0.5, 1.0, 0.25, 0.5])
OPTIONS = {"radii": [0, 0.2, 0.6], "thresholds": [0.5, 0.7]}
METHODS = [
    {},
    {"band": "dkw", "n_bins": 50, "sides": "both"},
    {"bound": "mean"},
    {"bound": "mean", "mean": "betting"},
    {"bound": "tangent", "sides": "both"},
    {"bound": "tangent", "order": "drawn"},
    {"curve": "l1-laplace"},
]


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_each_row_is_as_by_itself(backend, method):
    """Also rows that are permuted: by their number, as when all are certified at once."""
    options = OPTIONS | method | {"seed": 5, "backend": backend}
    if method.get("sides") == "both":
        options |= {"thresholds": [0.5]}
    together = sb.certify_scores(SCORES, sigma=SIGMA, first_row=3, **options)
    for i, sigma in enumerate(SIGMA):
        alone = sb.certify_scores(SCORES[i : i + 1], sigma=sigma, first_row=3 + i, **options)
        for name in ("lower", "upper", "radius"):
            whole, part = getattr(together, name), getattr(alone, name)
            assert (whole is None) == (part is None)
            if part is not None:
                np.testing.assert_array_equal(whole[i : i + 1], part)
    np.testing.assert_array_equal(together.sigma, SIGMA)
    assert together.settings.sigma == 0.25
    assert alone.sigma is None


def test_a_sketch_certifies_each_input_as_by_itself(backend):
    sketch = sb.ScoreSketch([3, 5, 8, 9, 11, 20, 30])
    sketch.update(SCORES)
    sketch.update(SCORES[:1, ::-1][:, :100], index=[3])  # one input has other numbers of draws
    options = {**OPTIONS, "alpha": 0.01, "backend": backend}
    together = sketch.certify(sigma=SIGMA, **options)
    for i, sigma in enumerate(SIGMA):
        alone = sketch.select(sketch.index[i : i + 1]).certify(sigma=sigma, **options)
        np.testing.assert_array_equal(together.lower[i : i + 1], alone.lower)
        np.testing.assert_array_equal(together.radius[i : i + 1], alone.radius)
        assert (together.index[i], together.n_draws[i]) == (alone.index[0], alone.n_draws[0])
    assert together.settings.n == 600
    np.testing.assert_array_equal(together.sigma, SIGMA)


def test_nothing_is_certified_beyond_the_ball_of_constant_sigma():
    reach = np.array([0.0, 0.1, 0.2, 0.3, np.inf, 0.6, 0.25])
    options = OPTIONS | {"sides": "both", "score_range": (0.0, 1.0)}
    free = sb.certify_scores(SCORES, sigma=SIGMA, **options)
    held = sb.certify_scores(SCORES, sigma=SIGMA, constant_within=reach, **options)
    beyond = np.array(OPTIONS["radii"]) > reach[:, None]
    np.testing.assert_array_equal(held.lower, np.where(beyond, 0.0, free.lower))
    np.testing.assert_array_equal(held.upper, np.where(beyond, 1.0, free.upper))
    np.testing.assert_array_equal(held.radius, np.minimum(free.radius, reach[:, None]))
    assert np.isnan(free.radius).any() == np.isnan(held.radius).any()
    np.testing.assert_array_equal(held.constant_within, reach)
    one = sb.certify_scores(SCORES, sigma=0.5, constant_within=0.3, **OPTIONS)
    assert one.constant_within.tolist() == [0.3] * 7
    assert (one.radius <= 0.3).all()


def test_sketches_know_the_ball_too():
    sketch = sb.ScoreSketch(7)
    sketch.update(SCORES)
    held = sketch.certify(sigma=SIGMA, constant_within=0.1, **OPTIONS)
    assert (held.radius <= 0.1).all()
    assert (held.lower[:, 1:] == 0.0).all()


def test_the_ball_matters():
    """Where sigma changes at a border, radii without the ball are false, and none with it."""
    x = np.linspace(0.61, 1.6, 100)
    truth = true_radius(x)
    free, held = (certified(x, 2000, known=known) for known in (False, True))
    assert np.count_nonzero(free > truth) > 20
    assert (held <= truth).all()
    assert np.count_nonzero(held == np.abs(x - BORDER)) > 20  # and they use all of it


def test_columns_files_and_parts(tmp_path):
    cert = sb.certify_scores(SCORES, sigma=SIGMA, constant_within=SIGMA, **OPTIONS)
    cert.save(tmp_path / "cert.parquet")
    assert sb.Certificate.load(tmp_path / "cert.parquet") == cert
    assert cert.to_pandas()["sigma"].tolist() == SIGMA.tolist()
    assert cert[2:4].sigma.tolist() == [0.25, 0.5]
    assert cert != sb.certify_scores(SCORES, sigma=SIGMA, **OPTIONS)
    assert "sigma from 0.25 to 1," in repr(cert)
    plain = sb.certify_scores(SCORES, sigma=0.25, **OPTIONS)
    assert "sigma" not in plain.to_arrow().column_names
    assert "sigma = 0.25," in repr(plain)


def test_a_bad_score_is_named_by_its_row():
    scores = SCORES.copy()
    scores[5, 3] = np.nan
    with pytest.raises(ValueError, match=r"\[5, 3\]|\[5\]\[3\]|input 5|row 5"):
        sb.certify_scores(scores, sigma=SIGMA)


@pytest.mark.parametrize(
    ("options", "need"),
    [
        ({"sigma": [0.5, 0.25]}, "sigma must have one number for each of the 7 inputs, got 2"),
        ({"sigma": [0.5] * 8}, "sigma must have one number for each of the 7 inputs, got 8"),
        ({"sigma": [0.5] * 6 + [0.0]}, r"sigma must be positive and finite, got sigma\[6\] = 0"),
        ({"sigma": [np.nan] + [0.5] * 6}, r"got sigma\[0\] = nan"),
        ({"sigma": [np.inf] + [0.5] * 6}, r"got sigma\[0\] = inf"),
        ({"sigma": 0.5, "constant_within": [1.0]}, "constant_within must have one number"),
        ({"sigma": 0.5, "constant_within": -1.0}, r"constant_within must be at least 0, got"),
        ({"sigma": 0.5, "constant_within": np.nan}, r"constant_within must be at least 0, got"),
        ({"sigma": [0.5] * 7, "curve": "ablation-2-of-9"}, "sigma must be left out"),
    ],
)
def test_refuses(options, need):
    with pytest.raises(ValueError, match=need):
        sb.certify_scores(SCORES, **options)
    if "curve" not in options:
        sketch = sb.ScoreSketch(7)
        sketch.update(SCORES)
        with pytest.raises(ValueError, match=need):
            sketch.certify(**options)


def test_refuses_another_shape():
    with pytest.raises(TypeError, match="sigma must be numbers in one dimension"):
        sb.certify_scores(SCORES, sigma=np.full((7, 1), 0.5))


def test_a_sketch_of_known_sigma_has_that_of_its_draws():
    sketch = sb.ScoreSketch(7, sigma=0.25)
    sketch.update(SCORES)
    with pytest.raises(ValueError, match=r"sigma must be that of the draws, 0\.25"):
        sketch.certify(sigma=SIGMA)


@pytest.mark.parametrize("reach", [None, np.linspace(0.0, 0.7, 7)], ids=["free", "held"])
@pytest.mark.parametrize("sides", ["lower", "both"])
@pytest.mark.parametrize(
    ("asked", "ends"),
    [
        ({"statistic": "probability", "levels": [0.5, 0.9], "thresholds": [0.6]}, (0.0, 1.0)),
        ({"statistic": "quantile", "levels": [0.2, 0.5], "thresholds": [0.7]}, (-np.inf, np.inf)),
    ],
    ids=["probability", "quantile"],
)
def test_levels_of_each_row_are_as_by_themselves(backend, asked, ends, sides, reach, tmp_path):
    options = {"radii": [0, 0.1, 0.3], "sides": sides, "backend": backend, **asked}
    together = sb.certify_scores(SCORES, sigma=SIGMA, constant_within=reach, **options)
    sketch = sb.ScoreSketch(7, edges=16)
    sketch.update(SCORES)
    sketched = sketch.certify(sigma=SIGMA, constant_within=reach, **options)
    for i, sigma in enumerate(SIGMA):
        own = None if reach is None else reach[i]
        alone = sb.certify_scores(SCORES[i : i + 1], sigma=sigma, **options)
        _same_but_held(together[[i]], alone, own, ends)
        _same_but_held(sketched[[i]], sketch.select([i]).certify(sigma=sigma, **options), own)
    for one in (together, sketched):
        np.testing.assert_array_equal(one.sigma, SIGMA)
        one.save(tmp_path / "levels.parquet")
        assert type(one).load(tmp_path / "levels.parquet") == one


def _same_but_held(held, free, reach, ends=(0.0, 1.0)):
    """Check a certificate of one input against the one without a ball, number by number."""
    assert (held.upper is None) == (free.upper is None)
    for j in range(len(held.settings.levels)):
        for k, radius in enumerate(held.settings.radii):
            beyond = reach is not None and radius > reach
            assert held.lower[0, j, k] == (ends[0] if beyond else free.lower[0, j, k])
            if held.upper is not None:
                assert held.upper[0, j, k] == (ends[1] if beyond else free.upper[0, j, k])
        expected = free.radius[0, j, 0]
        if reach is not None and expected > reach:
            expected = reach
        np.testing.assert_array_equal(held.radius[0, j, 0], expected)


def test_a_bad_score_is_named_by_its_row_with_levels():
    scores = SCORES.copy()
    scores[5, 3] = np.nan
    with pytest.raises(ValueError, match=r"\[5, 3\]|\[5\]\[3\]|input 5|row 5"):
        sb.certify_scores(scores, sigma=SIGMA, statistic="quantile", levels=[0.5])
