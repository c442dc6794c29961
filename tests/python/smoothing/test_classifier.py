"""The smoothed classifier: true, repeatable, complete, and quick to refuse."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from two_classes import SIGMA, exact, inputs, model, truth

from smoothbound._files import sealed
from smoothbound.bounds._certify import certify_scores
from smoothbound.bounds._sample_size import required_draws
from smoothbound.errors import ModelError
from smoothbound.measures import at_least, custom
from smoothbound.noise._displaced import inward, outward
from smoothbound.noise._kinds import CAVEAT
from smoothbound.noise._noise import Noise
from smoothbound.smoothing._certificate import SmoothedCertificate
from smoothbound.smoothing._class_radius import class_radius, majority_class
from smoothbound.smoothing._classifier import SmoothedClassifier
from smoothbound.smoothing._one_input.result import abstention

RADII = (0.0, 0.1, 0.25, 0.5)


def same(one: SmoothedCertificate, two: SmoothedCertificate) -> bool:
    names = [field.name for field in fields(SmoothedCertificate) if field.name != "settings"]
    for name in names:
        np.testing.assert_equal(getattr(one, name), getattr(two, name))
    return one.settings == two.settings


# --- what is certified is true ---------------------------------------------------------------


@pytest.mark.parametrize("bound", ["mean", "cdf"])
def test_certificates_hold_at_the_worst_point_and_theorem_2_comes_close(bound: str) -> None:
    x0 = [0.4, 1.0, 2.0]
    cert = SmoothedClassifier(model, SIGMA, batch_size=10_000).certify(
        inputs(*x0), n=100_000, radii=RADII, thresholds=[0.5, 0.6], bound=bound
    )
    worst = truth(np.subtract.outer(x0, RADII))  # the worst direction lowers x0
    assert cert.predicted.tolist() == [0, 0, 0]
    assert (cert.lower <= worst).all()
    if bound == "cdf":
        assert (cert.lower[:2] >= worst[:2] - 0.03).all()  # less close where all scores near 1
    for i, j in np.ndindex(cert.radius.shape):
        assert truth(x0[i] - cert.radius[i, j]) >= (0.5, 0.6)[j]
    # h's vote is for class 0 where x0 + noise > 0: its radius is x0 itself.
    assert (cert.class_radius <= x0).all()
    assert (cert.class_radius[:2] > np.array(x0[:2]) - 0.02).all()
    np.testing.assert_allclose(cert.mean_score, truth(x0), atol=0.005)


def test_upper_and_two_sided_certificates_enclose_the_truth() -> None:
    smoothed = SmoothedClassifier(model, SIGMA)
    both = smoothed.certify(inputs(0.4), n=20_000, radii=RADII, sides="both")
    upper = smoothed.certify(inputs(0.4), n=20_000, radii=RADII, sides="upper")
    assert (both.lower <= truth(0.4 - np.array(RADII))).all()
    assert (both.upper >= truth(0.4 + np.array(RADII))).all()
    assert (upper.upper <= both.upper).all()  # with all of alpha
    assert upper.lower is None
    assert upper.radius is None
    assert both.settings.alpha_lower == both.settings.alpha_upper == 0.0005


def test_failures_are_no_more_frequent_than_alpha() -> None:
    repetitions, alpha, n, x0 = 600, 0.05, 60, 0.2
    cert = SmoothedClassifier(model, SIGMA, cutoff=-np.inf).certify(
        np.repeat(inputs(x0), repetitions, axis=0), n=n, n0=20, alpha=alpha, radii=(0.0, 0.3)
    )
    first = cert.predicted == 0  # the selection may pick the other class
    sign = np.where(first, 1.0, -1.0)
    allowed = stats.binom.ppf(1 - 1e-6, repetitions, alpha)
    for j, radius in enumerate(cert.settings.radii):
        assert (cert.lower[:, j] > truth(sign * x0 - radius)).sum() <= allowed
    wrong_vote = cert.class_radius > np.where(first, x0, 0.0)
    assert 0 < wrong_vote.sum() <= allowed  # Clopper-Pearson spends nearly all of alpha
    assert 0.5 < first.mean() < 1.0


def test_margin_of_two_classes_is_the_score_stretched() -> None:
    options: dict[str, Any] = {"n": 5000, "radii": RADII}
    score = SmoothedClassifier(model, SIGMA).certify(inputs(0.8), **options)
    margin = SmoothedClassifier(model, SIGMA, measure="margin").certify(inputs(0.8), **options)
    np.testing.assert_allclose(margin.lower, 2 * score.lower - 1, atol=1e-5)
    assert margin.settings.score_range == (-1.0, 1.0)
    assert margin.settings.cutoff == 0.0


@pytest.mark.parametrize("bound", ["cdf", "mean", "tangent", "joint"])
def test_the_radius_of_the_vote_is_that_of_the_class(bound: Any) -> None:
    # The first class is on top where x0 + SIGMA z > 0, so that its true radius is x0.
    x0 = np.array([0.2, 0.6, 1.0])
    voting = SmoothedClassifier(model, SIGMA, measure="vote")
    cert = voting.certify(inputs(*x0), n=20_000, thresholds=[0.5], bound=bound)
    assert voting.sampler.select == "votes"
    assert cert.settings.cutoff == 0.5
    assert cert.radius is not None
    assert (cert.radius[:, 0] <= cert.class_radius).all()  # Clopper and Pearson's is exact
    assert (cert.class_radius < x0).all()
    slack = {"cdf": 0.02, "mean": 0.1, "tangent": 0.02, "joint": 0.02}[bound]
    assert (cert.radius[:, 0] > cert.class_radius - slack).all()
    draws = voting.draw(inputs(0.2)[0], n=20_000)
    assert set(draws.scores.tolist()) == {0.0, 1.0}
    assert draws.top_count == draws.scores.sum() == pytest.approx(20_000 * cert.mean_score[0])


# --- the class without a certificate ------------------------------------------------------------


def test_predict_is_the_vote_of_the_draws_and_abstains_on_the_boundary() -> None:
    x0 = [2.0, 0.3, 0.0, -0.3, -2.0]
    smoothed = SmoothedClassifier(exact, SIGMA, batch_size=700)
    predicted = smoothed.predict(inputs(*x0), n=400, seed=3, index=[9, 8, 7, 6, 5])
    assert predicted.tolist() == [0, 0, -1, 1, 1]
    draws = smoothed.draw(inputs(0.3)[0], n=400, seed=3, index=8)
    assert majority_class([draws.top_count, 400 - draws.top_count], 1e-3) == 0
    # The measure, the cut-off and the order of the inputs do not matter.
    other = SmoothedClassifier(exact, SIGMA, measure="margin", cutoff=0.9)
    np.testing.assert_array_equal(
        other.predict(inputs(*x0[::-1]), n=400, seed=3, index=[5, 6, 7, 8, 9]), predicted[::-1]
    )
    assert other.measure.name == "margin"


def test_predict_is_wrong_no_more_often_than_alpha() -> None:
    repetitions, alpha = 1000, 0.2
    x = np.repeat(inputs(0.01), repetitions, axis=0)  # class 0 has the probability 0.508
    predicted = SmoothedClassifier(exact, SIGMA).predict(x, n=60, alpha=alpha)
    assert 0 < (predicted == 1).sum() <= stats.binom.ppf(1 - 1e-6, repetitions, alpha)
    assert (predicted == -1).mean() > 0.5


def test_predict_counts_the_votes_of_many_classes_of_any_kind_of_outputs() -> None:
    def raw(x: Tensor) -> Tensor:  # class 700 wins where the noise does not make 0.9 negative
        outputs = torch.zeros(len(x), 1000)
        outputs[:, 700] = x[:, 0]
        outputs[:, 31] = 0.001
        return outputs

    measure = custom(lambda out, _: out[:, 5], (-1.0, 1.0))
    smoothed = SmoothedClassifier(raw, SIGMA, outputs="raw", measure=measure)
    assert smoothed.predict(inputs(0.9, -0.9), n=200).tolist() == [700, 31]


def test_predict_refuses_what_it_cannot_do() -> None:
    smoothed = SmoothedClassifier(model, SIGMA)
    assert smoothed.predict(inputs(9.0), n=11).tolist() == [0]
    with pytest.raises(ValueError, match=r"n = 10 draws are too few .* at least n = 11 are needed"):
        smoothed.predict(inputs(9.0), n=10)
    with pytest.raises(ValueError, match="index must be 1 whole numbers"):
        smoothed.predict(inputs(9.0), index=[1, 2])

    def fails_below(x: Tensor) -> Tensor:
        if bool((x[:, 0] < -5).any()):
            raise RuntimeError("too dark")
        return model(x)

    with pytest.raises(ModelError, match=r"input 1: the model raised RuntimeError.*too dark"):
        SmoothedClassifier(fails_below, SIGMA, check_rows=False).predict(inputs(9.0, -9.0))


# --- in floating point too -----------------------------------------------------------------------


def residue(x: Tensor) -> Tensor:
    """Two classes; the first where a small element has digits below 2^-30.

    Noise of float32 has them around 0. Around 1.5 * 2^-7 its sum with the input never has.
    """
    small = x.abs() < 2.0**-10
    fine = (x * 2.0**30).frac() != 0
    return exact((small & fine).any(dim=1, keepdim=True).float() - 0.5)


def test_floating_point_noise_is_certified_falsely_and_the_default_is_not() -> None:
    sigma, x = 0.25, torch.zeros(1, 3072)
    other = x + 1.5 * 2.0**-7
    radius = float((other - x).norm()) + 1e-6
    smoothed = SmoothedClassifier(residue, sigma)

    def certified_and_true(noise: str | None) -> tuple[float, float]:
        cert = smoothed.certify(x, n=5000, radii=[radius], noise=noise)
        seen = smoothed.draw(other[0], n=500, noise=noise)
        mean = seen.mean if seen.selected == cert.predicted[0] else 1.0 - seen.mean
        return float(cert.lower[0, 0]), mean

    certified, true = certified_and_true("gaussian")
    assert (certified > 0.5, true) == (True, 0.0)
    certified, true = certified_and_true(None)
    assert 0.5 < certified <= true


def test_the_displacement_is_paid_by_every_certificate() -> None:
    x = inputs(0.4, 1.0, 0.02)
    options: dict[str, Any] = {"n": 2000, "sides": "both", "thresholds": [0.3, 0.55]}
    smoothed = SmoothedClassifier(exact, SIGMA)
    cert = smoothed.certify(x, radii=RADII, **options)
    d = cert.settings.displacement
    assert d == pytest.approx(SIGMA / 2**14 * np.sqrt(2), rel=1e-5)
    assert cert.settings.radii == RADII
    scores = [smoothed.draw(row, n=2000, index=i) for i, row in enumerate(x)]
    wider = certify_scores(
        np.stack([draws.scores for draws in scores]),
        sigma=SIGMA,
        radii=np.array(RADII) + 2.000001 * d,
        sides="both",
        thresholds=[0.3, 0.55],
        order="drawn",
    )
    plain = certify_scores(
        np.stack([draws.scores for draws in scores]),
        sigma=SIGMA,
        radii=RADII,
        sides="both",
        order="drawn",
    )
    np.testing.assert_allclose(cert.lower, wider.lower, atol=1e-6)
    np.testing.assert_allclose(cert.upper, wider.upper, atol=1e-6)
    np.testing.assert_allclose(cert.radius, wider.radius - 2 * d, atol=1e-7)
    assert (cert.lower < plain.lower).all()
    assert (cert.upper > plain.upper).all()
    assert (cert.radius < wider.radius)[np.isfinite(wider.radius)].all()
    votes = [class_radius(one.top_count, 2000, sigma=SIGMA, alpha=0.001) for one in scores]
    np.testing.assert_allclose(cert.class_radius, np.array(votes) - 2 * d, atol=1e-9)


def test_gaussian_noise_says_what_it_does_not_promise() -> None:
    cert = SmoothedClassifier(model, SIGMA).certify(inputs(1.0), n=100, noise="gaussian")
    assert cert.settings.noise.caveat == CAVEAT
    assert "floating-point noise, so no proof" in repr(cert).splitlines()[0]
    assert cert.settings.noise.displacement is None


def test_images_on_a_grid_that_was_not_stated_are_named() -> None:
    x = (torch.arange(64).float() / 255)[None]
    smoothed = SmoothedClassifier(lambda b: b[:, :2], SIGMA)
    with pytest.warns(UserWarning, match="whole multiples of 1/255: state grid=255"):
        smoothed.certify(x, n=100)
    smoothed.certify(x, n=100, grid=255)  # warnings are errors here


# --- it is the engine's certificate of the sampler's draws --------------------------------------


def test_certify_is_the_bound_of_the_draws() -> None:
    smoothed = SmoothedClassifier(model, SIGMA, measure="margin")
    options: dict[str, Any] = {"alpha": 0.01, "bound": "cdf", "n_bins": 50}
    cert = smoothed.certify(
        inputs(0.3, -0.9), n0=50, n=3000, seed=8, radii=[0.2, 0.1], thresholds=[0.25], **options
    )
    for i, x in enumerate(inputs(0.3, -0.9)):
        draws = smoothed.draw(x, n0=50, n=3000, seed=8, index=i)
        alone = certify_scores(
            draws.scores[None],
            sigma=SIGMA,
            score_range=(-1, 1),
            radii=outward([0.2, 0.1], draws.displacement),
            thresholds=[0.25],
            **options,
        )
        np.testing.assert_array_equal(cert.lower[i], alone.lower[0])
        np.testing.assert_array_equal(cert.radius[i], inward(alone.radius[0], draws.displacement))
        assert cert.predicted[i] == draws.selected == i
        vote = class_radius(draws.top_count, 3000, sigma=SIGMA, alpha=0.01)
        assert cert.class_radius[i] == inward(vote, draws.displacement)
        assert cert.mean_score[i] == pytest.approx(draws.scores.mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("measure", "options", "name"),
    [
        ("score", {}, "joint"),
        ("score", {"n": 12}, "cdf_ell"),
        ("margin", {"band": "dkw"}, "cdf_dkw"),
        ("vote", {}, "mean_betting"),
        ("vote", {"bound": "joint"}, "joint"),
        (at_least(0.4), {}, "mean_betting"),
    ],
)
def test_the_default_bound_depends_on_the_measure(
    measure: Any, options: dict[str, Any], name: str
) -> None:
    smoothed = SmoothedClassifier(model, SIGMA, measure=measure, cutoff=-np.inf)
    cert = smoothed.certify(inputs(2.5), **{"n": 500, **options})
    assert cert.settings.method.name == name


def test_votes_have_the_bound_of_clopper_and_pearson() -> None:
    smoothed = SmoothedClassifier(model, SIGMA, measure="vote")
    cert = smoothed.certify(inputs(0.4, 1.0), n=1000, grid=10, thresholds=[0.5])
    np.testing.assert_allclose(cert.radius[:, 0], cert.class_radius, atol=1e-9)


def test_an_input_is_certified_the_same_in_any_company_and_order() -> None:
    smoothed = SmoothedClassifier(model, SIGMA, batch_size=64)
    x = inputs(0.5, 0.1, -0.3, 2.0)
    together = smoothed.certify(x, n=500, radii=RADII)
    some = smoothed.certify(x[[3, 1]], n=500, radii=RADII, index=[3, 1])
    np.testing.assert_array_equal(some.lower, together.lower[[3, 1]])
    np.testing.assert_array_equal(some.predicted, together.predicted[[3, 1]])
    np.testing.assert_array_equal(some.class_radius, together.class_radius[[3, 1]])
    assert some.index.tolist() == [3, 1]
    assert not np.array_equal(smoothed.certify(x, n=500, radii=RADII, seed=1).lower, together.lower)


@pytest.mark.parametrize("size", [1, 7, 64, 399, 400, 401, 10_000])
def test_packing_changes_nothing(size: int) -> None:
    x, options = inputs(0.5, 0.1, -0.3, 2.0, 1.0), {"n": 300, "radii": RADII, "thresholds": [0.6]}
    packed = SmoothedClassifier(exact, SIGMA, batch_size=size).certify(x, **options)
    assert packed.settings.batch_size == size
    for i in range(len(x)):
        alone = SmoothedClassifier(exact, SIGMA, batch_size=400).certify(
            x[i : i + 1], index=[i], **options
        )
        for name in ("lower", "radius", "predicted", "class_radius", "mean_score"):
            np.testing.assert_array_equal(getattr(packed, name)[i], getattr(alone, name)[0])


def test_tensors_arrays_and_inputs_without_axes() -> None:
    smoothed = SmoothedClassifier(model, SIGMA)
    x = inputs(0.5, 1.0)
    assert same(smoothed.certify(x, n=100), smoothed.certify(torch.tensor(x), n=100))
    scalar = SmoothedClassifier(lambda x: torch.stack([x, -x], dim=1), SIGMA)
    assert scalar.certify(np.array([3.0, -3.0]), n=100).predicted.tolist() == [0, 1]


def test_progress_is_told_after_each_input() -> None:
    seen: list[tuple[int, int]] = []
    SmoothedClassifier(model, SIGMA).certify(
        inputs(1, 2, 3), n=50, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


# --- abstention ------------------------------------------------------------------------------


def test_abstains_below_the_cut_off_and_says_why() -> None:
    x = inputs(3.0, 0.02)
    cert = SmoothedClassifier(model, SIGMA).certify(x, n=2000, radii=[0.1])
    assert cert.predicted.tolist() == [0, -1]
    assert cert.reason[0] == ""
    assert cert.reason[1].startswith("the certified score of class 0 at R = 0 is 0.4")
    assert cert.reason[1].endswith(", not above the cut-off 0.5")
    assert cert.lower.shape == (2, 1)


@pytest.mark.parametrize(("cutoff", "expected"), [(0.3, 0), (0.6, -1), (-np.inf, 0), (-1, 0)])
def test_the_cut_off_can_be_set(cutoff: float, expected: int) -> None:
    smoothed = SmoothedClassifier(model, SIGMA, cutoff=cutoff)
    cert = smoothed.certify(inputs(0.1), n=2000)
    assert cert.predicted.tolist() == [expected]
    assert cert.settings.cutoff == (None if cutoff == -np.inf else cutoff)


def test_upper_bounds_and_measures_without_a_cut_off_never_abstain() -> None:
    x = inputs(0.0)
    upper = SmoothedClassifier(model, SIGMA).certify(x, n=500, sides="upper")
    own = custom(lambda p, y: p[:, 1] - p[:, 0], (-1.0, 1.0), name="gap")
    gap = SmoothedClassifier(model, SIGMA, measure=own).certify(x, n=500)
    for cert in (upper, gap):
        assert cert.predicted[0] >= 0
        assert cert.reason == ("",)
        assert cert.settings.cutoff is None
    assert gap.settings.measure == "gap"


@given(
    st.integers(0, 9),
    st.floats(-1, 1),
    st.one_of(st.none(), st.floats(-1, 1)),
)
def test_abstention(selected: int, lower: float, cutoff: float | None) -> None:
    why = abstention(selected, lower, cutoff)
    assert (why == "") == (cutoff is None or lower > cutoff)
    assert not why or f"of class {selected} at R = 0" in why


def test_nan_is_abstained_from() -> None:
    assert "is nan, not above the cut-off 0.5" in abstention(3, np.nan, 0.5)


# --- what comes with the result --------------------------------------------------------------


def test_files_of_older_versions_have_a_status_too(tmp_path: Path) -> None:
    smoothed = SmoothedClassifier(model, SIGMA, batch_size=32)
    cert = smoothed.certify(inputs(3.0, 0.0), n0=7, n=200, radii=[0.1])
    assert cert.status == ("certified", "abstained")
    older = cert.to_arrow().drop_columns(["status", "n_selection", "state", "digest"])
    sealed.write_table(older, tmp_path / "old.parquet")
    assert SmoothedCertificate.load(tmp_path / "old.parquet") == cert


def test_tables_hold_everything_and_what_is_needed_to_repeat_it() -> None:
    smoothed = SmoothedClassifier(model, SIGMA, batch_size=32)
    cert = smoothed.certify(
        inputs(3.0, 0.0), n0=7, n=200, seed=4, radii=[0.0, 0.1], thresholds=[0.6], index=[5, 9]
    )
    table = cert.to_arrow()
    assert table.column_names == [
        "index",
        "selected",
        "predicted",
        "status",
        "reason",
        "class_radius",
        "n_selection",
        "n_draws",
        "top_count",
        "mean_score",
        "state",
        "digest",
        "class_counts",
        "lower",
        "radius",
    ]
    assert table["index"].to_pylist() == [5, 9]
    assert table["predicted"].to_pylist() == [0, -1]
    assert table["status"].to_pylist() == ["certified", "abstained"]
    assert table["selected"].to_pylist()[0] == 0
    assert table["selected"].to_pylist()[1] in (0, 1)  # also where it abstained
    assert table["n_draws"].to_pylist() == [200, 200]
    assert table["lower"].to_pylist() == cert.lower.tolist()
    settings = json.loads(table.schema.metadata[b"smoothbound"])
    expected = {
        "sigma": SIGMA,
        "alpha": 0.001,
        "measure": "score",
        "cutoff": 0.5,
        "outputs": "logits",
        "n0": 7,
        "n": 200,
        "seed": 4,
        "batch_size": 32,
        "precision": "float32",
        "channels_last": False,
        "compile": None,
        "select": "score",
        "device": "cpu",
        "radii": [0.0, 0.1],
        "thresholds": [0.6],
        "score_range": [0.0, 1.0],
    }
    assert {name: settings[name] for name in expected} == expected
    assert settings["noise"]["kind"] == "lattice"
    assert settings["noise"]["grid"] is None
    assert settings["noise"]["displacement"] == Noise("lattice", SIGMA).displacement(2)
    lattice = smoothed.certify(np.zeros((1, 2), np.float32), n=50, grid=255)
    assert lattice.settings.noise.kind == "lattice"
    assert lattice.settings.noise.grid == 255
    assert cert.settings.method.name == "joint"


def test_pandas_has_one_column_a_number() -> None:
    pytest.importorskip("pandas")
    cert = SmoothedClassifier(model, SIGMA).certify(
        inputs(3.0, 0.0), n=200, radii=[0.1], thresholds=[0.6]
    )
    frame = cert.to_pandas()
    assert {"predicted", "reason", "class_radius", "lower@0.1", "radius@0.6"} <= set(frame.columns)
    assert frame["lower@0.1"].tolist() == cert.lower[:, 0].tolist()


# --- what is refused, before a single draw ------------------------------------------------------


def test_draws_that_are_too_few_are_refused_with_how_many_would_do() -> None:
    for measure, bound, alpha in (("score", "cdf", 0.001), ("margin", "mean", 1e-6)):
        smoothed = SmoothedClassifier(model, SIGMA, measure=measure)
        needed = required_draws(
            smoothed.cutoff, alpha=alpha, score_range=smoothed.measure.score_range, bound=bound
        )
        smoothed.certify(inputs(9.0), n=needed, alpha=alpha, bound=bound)
        with pytest.raises(ValueError, match=f"too few .* at least n = {needed} are needed"):
            smoothed.certify(inputs(9.0), n=needed - 1, alpha=alpha, bound=bound)
    with pytest.raises(ValueError, match=r"too few .* above the threshold 0\.99"):
        smoothed.certify(inputs(9.0), n=100, thresholds=[0.99])


def test_half_of_alpha_needs_more_draws() -> None:
    smoothed = SmoothedClassifier(model, SIGMA)
    few = required_draws(0.5, alpha=0.001)
    with pytest.raises(ValueError, match=f"at least n = {required_draws(0.5, alpha=0.0005)}"):
        smoothed.certify(inputs(9.0), n=few, sides="both")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": [[1.0]]}, TypeError, "NumPy array or a torch tensor"),
        ({"x": np.array(1.0)}, ValueError, r"shape \(n_inputs, ...\)"),
        ({"x": np.ones((0, 2), np.float32)}, ValueError, "x is empty"),
        ({"x": inputs(1.0, np.nan)}, ValueError, "x must be finite"),
        ({"x": inputs(1.0).astype(int)}, TypeError, "got int64"),
        ({"n": 0}, ValueError, "n must be at least 1"),
        ({"n0": 0}, ValueError, "n0 must be at least 1"),
        ({"alpha": 0.0}, ValueError, "alpha must lie strictly between 0 and 1"),
        ({"radii": [0.1, -1.0]}, ValueError, r"radii\[1\] = -1.0"),
        ({"radii": [np.nan]}, ValueError, r"radii\[0\] = nan"),
        ({"thresholds": [1.5]}, ValueError, "thresholds must lie strictly inside"),
        ({"bound": "both"}, ValueError, "bound must be one of"),
        ({"band": "wide"}, ValueError, "band must be one of"),
        ({"sides": "left"}, ValueError, "sides must be one of"),
        ({"n_bins": 0}, ValueError, "n_bins must be at least 1"),
        ({"backend": "gpu"}, ValueError, "backend must be one of"),
        ({"threads": 0}, ValueError, "threads must be at least 1"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"noise": "white"}, ValueError, "noise must be one of"),
        ({"x": inputs(1e30)}, ValueError, "x must lie within"),
        ({"x": inputs(1.0, 0.3), "grid": 2}, ValueError, "must lie on the grid"),
        ({"index": [0, 1]}, ValueError, "index must be 1 whole numbers"),
        ({"index": [0.5]}, ValueError, "index must be 1 whole numbers"),
        ({"index": [-1]}, ValueError, "index must lie between 0 and"),
    ],
)
def test_certify_refuses_before_it_draws(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    def never(x: Tensor) -> Tensor:
        raise AssertionError("the model was called")

    with pytest.raises(error, match=message):
        SmoothedClassifier(never, SIGMA).certify(**({"x": inputs(1.0), "n": 100} | arguments))


@pytest.mark.parametrize("cutoff", [1.0, 2.0, np.nan, np.inf])
def test_a_cut_off_that_nothing_can_pass_is_refused(cutoff: float) -> None:
    with pytest.raises(ValueError, match="cutoff must be below the top of the range"):
        SmoothedClassifier(model, SIGMA, cutoff=cutoff)


def test_images_of_8_bits_under_noise_meant_for_0_to_1_are_told() -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    x = torch.arange(64.0).mul(4).view(1, 1, 8, 8)
    with pytest.warns(UserWarning, match=r"x holds whole numbers up to 252.* Divide x by 255"):
        SmoothedClassifier(model, 0.25).certify(x, n=100, n0=5, grid=1)
    SmoothedClassifier(model, 12.0).certify(x, n=100, n0=5, grid=1)
    SmoothedClassifier(model, 0.25).certify(x / 255, n=100, n0=5, grid=255)
    SmoothedClassifier(model, 0.25).certify(x - 128, n=100, n0=5, grid=1)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 8, 8, 3)])
def test_a_model_that_raises_on_every_input_is_told_as_what_they_were_read(
    shape: tuple[int, ...],
) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 8), torch.nn.Flatten())
    with pytest.raises(ModelError, match="the model raised RuntimeError") as error:
        SmoothedClassifier(net, 0.25).certify(torch.zeros(shape), n=500, grid=255)
    count, *one = shape
    assert str(error.value).endswith(
        f"; x of shape {shape} was read as {count} inputs of shape {tuple(one)}. A single input "
        "is x[None]"
    )
    assert isinstance(error.value.__cause__, RuntimeError)
    with pytest.raises(ModelError, match=r"returned torch\.int64") as error:
        SmoothedClassifier(lambda x: x.argmax(1), 0.25).certify(torch.zeros(shape), n=500, grid=255)
    assert "was read as" not in str(error.value)


def test_a_list_of_images_is_refused_with_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"got list; torch\.stack makes one of a list of images"):
        SmoothedClassifier(model, SIGMA).certify([torch.zeros(1)])  # type: ignore[arg-type]


def test_the_old_name_of_the_index_works_and_warns() -> None:
    smoothed = SmoothedClassifier(model, SIGMA)
    now = smoothed.certify(inputs(1.0), n=500, index=[7])
    with pytest.warns(DeprecationWarning, match="examples is now called index"):
        before = smoothed.certify(inputs(1.0), n=500, examples=[7])  # type: ignore[call-arg]
    assert before.index.tolist() == now.index.tolist() == [7]
    assert before.mean_score.tolist() == now.mean_score.tolist()
