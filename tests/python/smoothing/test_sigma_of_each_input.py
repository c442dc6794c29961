"""A noise level for each input of a certificate: the draws and the numbers of `with_sigma`."""

from dataclasses import fields

import numpy as np
import pytest
import torch

import smoothbound as sb
from smoothbound.anytime import Budget

SIGMA = np.array([0.25, 0.5, 0.25, 0.125, 0.5])
X = np.random.default_rng(0).integers(0, 256, size=(5, 3)).astype(np.float32) / np.float32(255)
X[0], X[1] = 0.0, 1.0
X = X.astype(np.float32)
ASKED = {"n": 600, "radii": [0, 0.1, 0.3], "thresholds": [0.5, 0.6]}
WAYS = [
    {"grid": 255},
    {},
    {"noise": "gaussian", "sides": "both"},
    {"grid": 255, "bound": "tangent"},
    {"grid": 255, "classes": "all"},
    {"grid": 255, "adaptive": True, "radius_precision": 0.1},
    {"adaptive": True},
]


def network(x):
    return torch.stack([2 * x.sum(dim=1), 3 - x.sum(dim=1), x[:, 0]], dim=1)


@pytest.fixture
def smoothed():
    return sb.SmoothedClassifier(network, 0.4)


@pytest.mark.filterwarnings("ignore:x.0. lies on the grid")
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_each_input_is_certified_as_at_its_level_alone(smoothed, way, tmp_path):
    options = ASKED | way | {"seed": 3}
    together = smoothed.certify(X, sigma=SIGMA, index=[4, 1, 7, 9, 2], **options)
    np.testing.assert_array_equal(together.sigma, SIGMA)
    for i, index in enumerate([4, 1, 7, 9, 2]):
        one = smoothed.with_sigma(float(SIGMA[i]))
        alone = one.certify(X[[i]], index=[index], **options)
        _same(together[[i]], alone)
    assert (together.status.count("failed"), len(set(together.selected.tolist()))) == (0, 2)
    together.save(tmp_path / "cert.parquet")
    assert sb.SmoothedCertificate.load(tmp_path / "cert.parquet") == together
    assert "sigma" in together.to_pandas()
    assert "sigma from 0.125 to 0.5," in repr(together)


def _same(row, alone):
    for name in [part.name for part in fields(alone)]:
        if name not in ("settings", "sigma"):
            np.testing.assert_array_equal(getattr(row, name), getattr(alone, name), err_msg=name)


def test_the_settings_have_the_least_level_and_the_largest_displacement(smoothed):
    together = smoothed.certify(X + np.float32(1e-4), sigma=SIGMA, **ASKED)
    alone = [
        smoothed.with_sigma(s).certify(X[:1] + np.float32(1e-4), **ASKED) for s in (0.125, 0.5)
    ]
    assert together.settings.sigma == 0.125
    assert together.settings.displacement == alone[1].settings.displacement
    assert together.settings.displacement > alone[0].settings.displacement
    assert together.settings.noise.sigma is None
    assert together.settings.noise.kind == "lattice"


def test_one_level_is_that_of_with_sigma(smoothed):
    one = smoothed.certify(X, sigma=0.25, grid=255, **ASKED)
    assert one == smoothed.with_sigma(0.25).certify(X, grid=255, **ASKED)
    assert one.sigma is None
    assert smoothed.certify(X, grid=255, **ASKED).settings.sigma == 0.4


@pytest.mark.parametrize("way", [{}, {"adaptive": True, "radius_precision": 0.1}], ids=str)
def test_nothing_is_certified_beyond_the_ball(smoothed, way):
    reach = np.array([0.0, 0.05, 0.2, np.inf, 0.3])
    options = ASKED | way | {"sigma": SIGMA, "grid": 255}
    free = smoothed.certify(X, **options)
    held = smoothed.certify(X, constant_within=reach, **options)
    beyond = np.array(ASKED["radii"]) > reach[:, None]
    np.testing.assert_array_equal(held.lower, np.where(beyond, 0.0, free.lower))
    np.testing.assert_array_equal(held.radius, np.minimum(free.radius, reach[:, None]))
    np.testing.assert_array_equal(held.class_radius, np.minimum(free.class_radius, reach))
    assert (free.class_radius > reach).any()
    np.testing.assert_array_equal(held.constant_within, reach)
    np.testing.assert_array_equal(held.n_draws, free.n_draws)
    assert smoothed.certify(X, constant_within=0.1, grid=255, **ASKED).class_radius.max() == 0.1


def test_the_ball_matters():
    """Sigma is 1 below 1 and 0.01 from there on: the certificate holds only up to the jump."""

    def gap(x):
        inside = ((x > 0.99) & (x < 1.1)).float()
        return torch.cat([1.0 - inside, inside], dim=1)

    smoothed = sb.SmoothedClassifier(gap, 1.0, outputs="probabilities")
    here = np.array([[0.9]], np.float32)
    free = smoothed.certify(here, n=4000, sigma=[1.0], thresholds=[0.5])
    held = smoothed.certify(here, n=4000, sigma=[1.0], thresholds=[0.5], constant_within=[0.1])
    there = smoothed.with_sigma(0.01).votes(np.array([[1.05]], np.float32), n=1000)
    assert there.tolist() == [[0, 1000]]
    assert free.radius[0, 0] > 0.15  # false: it reaches 1.05
    assert free.class_radius[0] > 0.15
    assert held.radius[0, 0] == held.class_radius[0] == 0.1


def test_draws_go_on_level_by_level(smoothed):
    options = ASKED | {"grid": 255, "adaptive": True}
    together = smoothed.certify(X, sigma=SIGMA, constant_within=0.2, **options)
    with pytest.raises(ValueError, match=r"the inputs must have one noise level for this, got"):
        smoothed.certify_further(X, together, thresholds=[0.7])
    rows = np.flatnonzero(SIGMA == 0.25)
    one = smoothed.with_sigma(0.25)
    further = one.certify_further(X[rows], together[rows], thresholds=[0.7])
    alone = one.certify(X[rows], index=rows, **options)
    expected = one.certify_further(X[rows], alone, thresholds=[0.7])
    assert further.radius is not None
    np.testing.assert_array_equal(further.radius, np.minimum(expected.radius, 0.2))
    np.testing.assert_array_equal(further.constant_within, [0.2, 0.2])
    assert further.state == expected.state
    with pytest.raises(ValueError, match=r"sigma was 0\.25, and is 0\.4"):
        smoothed.certify_further(X[rows], together[rows], thresholds=[0.7])


@pytest.mark.parametrize("reach", [None, [0.02, np.inf, 0.1, 0.01, 0.3]], ids=["free", "held"])
def test_a_sketch_of_all_classes_has_each_level(smoothed, reach):
    index = np.array([4, 1, 7, 9, 2])
    options = ASKED | {"classes": "all", "grid": 255}
    together = smoothed.certify(X, sigma=SIGMA, constant_within=reach, index=index, **options)
    sketch = together.class_sketch()
    order = np.argsort(index)
    np.testing.assert_array_equal(sketch.sigma, SIGMA[order])
    made = sketch.certify(radii=[0, 0.1])
    for row, i in enumerate(order.tolist()):
        one = smoothed.with_sigma(float(SIGMA[i])).certify(X[[i]], index=[index[i]], **options)
        limit = np.inf if reach is None else reach[i]
        alone = one.class_sketch().certify(radii=[0, 0.1], constant_within=limit)
        for name in ("lower", "upper", "top", "top_radius", "vote_lower", "class_radius"):
            np.testing.assert_array_equal(getattr(made, name)[[row]], getattr(alone, name), name)
        if reach is None:
            assert sketch.select([index[i]]) == one.class_sketch() == together[[i]].class_sketch()
        else:
            assert max(made.top_radius[row], made.class_radius[row]) <= limit


def test_a_sketch_without_a_grid_has_the_largest_displacement(smoothed):
    x = X + np.float32(1e-4)
    together = smoothed.certify(x, sigma=SIGMA, classes="all", **ASKED)
    sketch = together.class_sketch()
    assert sketch.displacement == together.settings.displacement > 0
    alone = smoothed.with_sigma(0.125).certify(x[[3]], index=[3], classes="all", **ASKED)
    own = alone.class_sketch()
    assert own.displacement < sketch.displacement
    np.testing.assert_array_equal(sketch.votes[[3]], own.votes)
    assert sketch.certify().class_radius[3] < own.certify().class_radius[0]


@pytest.mark.parametrize("way", [{"grid": 255}, {}, {"noise": "gaussian"}], ids=str)
def test_each_input_has_the_votes_of_its_level_alone(smoothed, way):
    index = [4, 1, 7, 9, 2]
    options = {"n": 300, "seed": 3} | way
    votes = smoothed.votes(X, sigma=SIGMA, index=index, **options)
    classes = smoothed.predict(X, sigma=SIGMA, index=index, **options)
    for i, level in enumerate(SIGMA.tolist()):
        one = smoothed.with_sigma(level)
        own = one.votes(X[[i]], index=[index[i]], **options)[0]
        np.testing.assert_array_equal(votes[i, : own.size], own)
        assert not votes[i, own.size :].any()
        assert one.predict(X[[i]], index=[index[i]], **options) == classes[i]
        assert one.predict(X[[i]], index=[index[i]], **options) == smoothed.predict(
            X[[i]], index=[index[i]], sigma=level, **options
        )
    assert len(set(classes.tolist())) > 1
    np.testing.assert_array_equal(
        smoothed.votes(X, **options), smoothed.with_sigma(0.4).votes(X, **options)
    )


def test_votes_of_all_levels_share_batches():
    rows = []
    counting = sb.SmoothedClassifier(
        lambda x: rows.append(len(x)) or network(x), 0.4, batch_size=64, check_rows=False
    )
    counting.votes(X, n=50, sigma=0.4)
    at_one_level = list(rows)
    rows.clear()
    counting.votes(X, n=50, sigma=SIGMA)
    assert rows == at_one_level
    assert len(rows) < len(X)


@pytest.mark.parametrize(
    ("sigma", "kind", "need"),
    [
        ([0.5], ValueError, "sigma must have one number for each of the 5 inputs, got 1"),
        ([0.5] * 4 + [0], ValueError, r"positive and finite, got sigma\[4\] = 0"),
        ([0.5] * 3 + [1e-9, 1.0], ValueError, r"with sigma\[3\] = 1e-09: sigma must be"),
        ("0.5", TypeError, "sigma must be a number, got '0.5'"),
    ],
)
def test_votes_refuse(smoothed, sigma, kind, need):
    with pytest.raises(kind, match=need):
        smoothed.votes(X, sigma=sigma, grid=255)
    with pytest.raises(kind, match=need):
        smoothed.predict(X, sigma=sigma, grid=255)


def test_a_budget_is_that_of_all_inputs(smoothed):
    options = ASKED | {"sigma": SIGMA, "grid": 255, "adaptive": True}
    free = smoothed.certify(X, **options)
    budget = Budget(draws=200)
    held = smoothed.certify(X, budget=budget, **options)
    assert free.n_draws.sum() > 200 >= held.n_draws.sum()
    assert "budget" in held.status


def test_inputs_that_fail_do_not_end_the_others():
    def failing(x):
        if bool((x > 2.5).any()):
            raise RuntimeError("too large")
        return torch.cat([x, -x], dim=1)

    x = np.array([[0.0], [3.0], [0.5]], np.float32)
    options = {"n": 500, "sigma": [0.05, 0.01, 0.05], "radii": [0, 0.1], "sides": "both"}
    cert = sb.SmoothedClassifier(failing, 0.1).certify(x, constant_within=0.05, **options)
    assert [status == "failed" for status in cert.status] == [False, True, False]
    assert cert.sigma.tolist() == [0.05, 0.01, 0.05]
    np.testing.assert_array_equal(cert.lower[:, 1], [0.0, np.nan, 0.0])  # beyond the ball
    np.testing.assert_array_equal(cert.upper[:, 1], [1.0, np.nan, 1.0])


@pytest.mark.parametrize(
    ("options", "kind", "need"),
    [
        (
            {"sigma": [0.5]},
            ValueError,
            "sigma must have one number for each of the 5 inputs, got 1",
        ),
        ({"sigma": [0.5] * 4 + [0]}, ValueError, r"positive and finite, got sigma\[4\] = 0"),
        ({"sigma": [0.5] * 4 + [-1]}, ValueError, r"positive and finite, got sigma\[4\] = -1"),
        ({"sigma": [np.nan] + [0.5] * 4}, ValueError, r"got sigma\[0\] = nan"),
        ({"sigma": [np.inf] + [0.5] * 4}, ValueError, r"got sigma\[0\] = inf"),
        ({"sigma": 0.0}, ValueError, "sigma must be positive and finite, got 0"),
        ({"sigma": np.full((5, 1), 0.5)}, TypeError, "sigma must be numbers in one dimension"),
        ({"sigma": ["a"] * 5}, TypeError, "sigma must be numbers in one dimension"),
        ({"sigma": "0.5"}, TypeError, "sigma must be a number, got '0.5'"),
        ({"sigma": [0.5] * 3 + [1e-9, 1.0]}, ValueError, r"with sigma\[3\] = 1e-09: sigma must be"),
        ({"constant_within": [0.1] * 4}, ValueError, "constant_within must have one number for"),
        ({"constant_within": -0.1}, ValueError, "constant_within must be at least 0"),
        ({"constant_within": np.nan}, ValueError, "constant_within must be at least 0"),
        (
            {"sigma": [0.5] * 4 + [0.001], "adaptive": True, "radii": [0.5], "thresholds": [0.9]},
            ValueError,
            r"sigma\[4\] = 0\.001: ",
        ),
    ],
)
def test_refuses(smoothed, options, kind, need):
    drawn = []
    smoothed.sampler.model._forward = lambda x: drawn.append(x) or network(x)
    with pytest.raises(kind, match=need):
        smoothed.certify(X, grid=255, n=300, **options)
    assert not drawn


def test_a_metric_takes_inputs_of_its_own_level(smoothed):
    pytest.importorskip("torchmetrics")
    from smoothbound.harness import CertifiedConfidence

    together = smoothed.certify(X, sigma=SIGMA, grid=255, **ASKED)
    metric = CertifiedConfidence(sigma=0.25, radius=0.1)
    metric.update(together[SIGMA == 0.25], torch.tensor([1, 1]))
    with pytest.raises(ValueError, match=r"0\.125"):
        metric.update(together, torch.ones(5, dtype=torch.int64))
