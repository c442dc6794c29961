"""Adaptive draws from end to end: what is certified is true, cheap, repeatable and recorded."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from two_classes import SIGMA, exact, inputs, model, truth

from smoothbound import adaptive
from smoothbound.adaptive import Budget, Decide, FindRadius
from smoothbound.bounds._certify import certify_scores
from smoothbound.noise._displaced import inward, outward
from smoothbound.noise._noise import Noise
from smoothbound.smoothing._class_radius import class_radius
from smoothbound.smoothing._classifier import SmoothedClassifier

DISPLACEMENT = Noise("lattice", SIGMA).displacement(2)  # of inputs with two elements
X0 = (3.0, 2.0, 1.0, 0.6, 0.3, 0.02)


def decide(x0: Any = X0, base: Any = model, size: int = 1000, **options: Any) -> Any:
    smoothed = SmoothedClassifier(base, SIGMA, batch_size=size)
    asked = {"n": 20_000, "radii": [0.4], "thresholds": [0.6], "adaptive": True}
    return smoothed.certify(inputs(*x0), **asked | options)


def test_decisions_are_true_and_take_fewer_draws() -> None:
    cert = decide()
    fixed = decide(adaptive=False, bound="tangent")
    worst = truth(np.array(X0) - 0.4)
    assert (cert.lower[:, 0] <= worst).all()
    certified = cert.lower[:, 0] > 0.6
    np.testing.assert_array_equal(certified, fixed.lower[:, 0] > 0.6)
    np.testing.assert_array_equal(cert.radius[:, 0], np.where(certified, 0.4, np.nan))
    np.testing.assert_array_equal(certified, worst > 0.6)
    assert cert.n_draws.mean() < 0.2 * 20_000
    assert (cert.n_draws[:2] < 1000).all()
    for draws, sure, reason in zip(cert.n_draws, certified, cert.reason, strict=True):
        assert str(draws) in reason
        assert sure == ("certified after" in reason)
    assert cert.predicted[0] == 0
    assert cert.predicted[-1] == -1
    assert "not above the cut-off 0.5; given up after" in cert.reason[-1]
    assert (cert.class_radius[:3] <= X0[:3]).all()


def test_a_radius_is_found_to_the_precision() -> None:
    cert = decide((2.0, 1.0, 0.02), radii=[0.0], radius_precision=0.1)
    assert truth(np.array([2.0, 1.0]) - cert.radius[:2, 0]) == pytest.approx(0.6, abs=0.2)
    assert (truth(np.array([2.0, 1.0]) - cert.radius[:2, 0]) >= 0.6).all()
    assert (cert.lower[:, 0] <= truth([2.0, 1.0, 0.02])).all()
    assert np.isnan(cert.radius[2, 0])
    assert (cert.n_draws <= 20_000).all()
    assert cert.n_draws.mean() < 20_000


def test_answers_are_those_of_the_jobs_fed_one_by_one() -> None:
    cert = decide(seed=5, alpha=0.01)
    sampler = SmoothedClassifier(model, SIGMA, batch_size=1000)
    plan = adaptive.plan(
        Decide(0.6, 0.4),
        sigma=SIGMA,
        alpha=0.01,
        n_max=20_000,
        n_bins=None,
        displacement=DISPLACEMENT,
    )
    for i, x in enumerate(inputs(*X0)):
        draws = sampler.draw(x, n=20_000, seed=5, index=i)
        job, fed = plan.start(), 0
        while job.remaining:
            start, fed = fed, fed + job.remaining
            job.update(draws.scores[start:fed])
        answer = job.answer
        assert answer is not None
        assert cert.n_draws[i] == answer.n_draws
        assert cert.lower[i, 0] == answer.lower
        assert cert.mean_score[i] == draws.scores[: answer.n_draws].mean(dtype=np.float64)
        # The radius of the class, at the level of the last look.
        vote = sampler.draw(x, n=answer.n_draws, seed=5, index=i).top_count
        expected = (
            class_radius(vote, answer.n_draws, sigma=SIGMA, alpha=answer.level)
            if answer.level
            else np.nan
        )
        np.testing.assert_equal(cert.class_radius[i], float(inward(expected, DISPLACEMENT)))


@pytest.mark.parametrize("size", [1, 7, 399, 1000, 10_000])
def test_packing_changes_nothing(size: int) -> None:
    x0, options = (0.5, 0.1, 2.0, 1.0, 0.9), {"n": 2000, "n0": 20}
    packed = decide(x0, exact, size, **options)
    alone = [decide([x0[i]], exact, 400, index=[i], **options) for i in range(len(x0))]
    for name in ("lower", "radius", "predicted", "reason", "class_radius", "n_draws", "mean_score"):
        one_by_one = [getattr(cert, name)[0] for cert in alone]
        np.testing.assert_array_equal(getattr(packed, name), np.array(one_by_one))


def test_a_budget_of_draws_leaves_the_rest_to_abstain() -> None:
    whole = decide(size=100)
    budget = Budget(draws=3000)
    cert = decide(size=100, budget=budget)
    assert cert.n_draws.sum() == budget.spent <= 3000
    for i, reason in enumerate(cert.reason):
        if "budget spent" in reason:
            assert f"budget spent after {cert.n_draws[i]} draws" in reason
            assert cert.lower[i, 0] <= truth(X0[i] - 0.4)
        else:
            assert reason == whole.reason[i]
            assert cert.lower[i, 0] == whole.lower[i, 0]
    assert cert.predicted[0] == 0
    ended = ["budget spent" in reason for reason in cert.reason]
    assert any(ended)
    assert not all(ended)


def test_without_a_single_draw_nothing_is_certified() -> None:
    ticks = iter([0.0, *[10.0] * 10])
    cert = decide(X0, budget=Budget(seconds=1.0, clock=lambda: next(ticks)), size=100)
    assert cert.n_draws[0] > 0  # begun in time, and finished
    assert cert.predicted[1:].tolist() == [-1] * 5
    assert cert.reason[1:] == ("budget spent after 0 draws",) * 5
    assert cert.lower[1:, 0].tolist() == [0.0] * 5
    assert np.isnan(cert.radius[1:]).all()
    assert np.isnan(cert.class_radius[1:]).all()
    assert np.isnan(cert.mean_score[1:]).all()


def test_an_input_that_fails_leaves_the_others_alone() -> None:
    def fragile(x: Tensor) -> Tensor:
        out = model(x)
        out[x[:, 1] > 100] = torch.nan
        return out

    x = inputs(3.0, 3.0, 3.0)
    x[1, 1] = 1000.0
    smoothed = SmoothedClassifier(fragile, SIGMA)
    cert = smoothed.certify(x, n=5000, radii=[0.25], thresholds=[0.5], adaptive=True)
    assert cert.predicted.tolist() == [0, -1, 0]
    assert cert.reason[1].startswith("failed: ")
    assert np.isnan(cert.lower[1]).all()


def test_the_plan_is_recorded() -> None:
    cert = decide([3.0], budget=Budget(draws=10_000))
    settings = json.loads(cert.to_arrow().schema.metadata[b"smoothbound"])
    plan = adaptive.plan(
        Decide(0.6, 0.4), sigma=SIGMA, n_max=20_000, n_bins=None, displacement=DISPLACEMENT
    )
    assert settings["adaptive"] == json.loads(json.dumps(plan.record())) | {
        "budget": {"draws": 10_000, "seconds": None}
    }
    assert (settings["n"], settings["alpha"], settings["alpha_lower"]) == (20_000, 1e-3, 1e-3)
    assert cert.settings.method.name == "tangent"
    assert decide([3.0], adaptive=False).settings.adaptive is None


def test_other_bounds_can_look() -> None:
    cert = decide([3.0], bound="cdf", band="dkw", n_bins=100)
    assert cert.settings.method.name == "cdf_dkw"
    scores = SmoothedClassifier(model, SIGMA).draw(inputs(3.0)[0], n=int(cert.n_draws[0])).scores
    plan = adaptive.plan(
        Decide(0.6, 0.4), sigma=SIGMA, n_max=20_000, bound="cdf", band="dkw", n_bins=100
    )
    level = next(stage.alpha for stage in plan.stages if stage.n == cert.n_draws[0])
    last = certify_scores(
        scores[None],
        sigma=SIGMA,
        alpha=level,
        radii=outward([0.4], DISPLACEMENT),
        band="dkw",
        n_bins=100,
    )
    assert last.lower is not None
    assert cert.lower[0, 0] == pytest.approx(last.lower[0, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radii": [0.1, 0.2]}, "radii must be one number for adaptive draws"),
        ({"thresholds": []}, "thresholds must be one number for adaptive draws"),
        ({"radius_precision": 0.1}, "radii must be left out where a radius is to be found"),
        ({"radii": [0.0], "radius_precision": 0.0}, "precision must be"),
        ({"sides": "both"}, "sides must be 'lower' for adaptive draws"),
        ({"n": 10}, "n_max = 10 draws are too few"),
        ({"adaptive": False, "radius_precision": 0.1}, "are for adaptive=True"),
        ({"adaptive": False, "budget": Budget(draws=1)}, "are for adaptive=True"),
    ],
)
def test_what_cannot_be_answered_is_refused_before_a_draw(
    options: dict[str, Any], message: str
) -> None:
    def never(x: Tensor) -> Tensor:
        raise AssertionError("the model was called")

    with pytest.raises(ValueError, match=message):
        decide([1.0], never, **options)


def test_a_cut_off_out_of_reach_is_refused() -> None:
    smoothed = SmoothedClassifier(model, SIGMA, cutoff=0.999)
    with pytest.raises(ValueError, match="too few to certify any score above the cut-off"):
        smoothed.certify(inputs(3.0), n=2000, radii=[0.1], thresholds=[0.5], adaptive=True)


def test_questions() -> None:
    assert adaptive.ask((0.25,), 0.5) == Decide(0.5, 0.25)
    assert adaptive.ask((0.0,), 0.5, 0.1) == FindRadius(0.5, 0.1)


def test_a_resumed_budget_counts_what_was_spent() -> None:
    budget = Budget(draws=1000, seconds=5.0, clock=lambda: 0.0)
    budget.resume(600, 2.0)
    assert not budget.take(401)
    assert budget.take(400)
    budget.resume(0, 3.0)
    assert not budget.take(0)
