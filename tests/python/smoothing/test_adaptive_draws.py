"""Adaptive draws from end to end: what is certified is true, cheap, repeatable and recorded."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from two_classes import SIGMA, exact, inputs, model, truth

from smoothbound.anytime import AnytimeTest, Budget, Decide, FindRadius
from smoothbound.smoothing._classifier import SmoothedClassifier
from smoothbound.smoothing._one_input.anytime_draws import AnytimeProcedure
from smoothbound.smoothing._one_input.questions import AdaptiveDraws, _least_vote

X0 = (3.0, 2.0, 1.0, 0.6, 0.3, 0.02)
RADII, THRESHOLDS = [0.0, 0.4], [0.6, 0.8]


def decide(x0: Any = X0, base: Any = model, size: int = 1000, **options: Any) -> Any:
    smoothed = SmoothedClassifier(base, SIGMA, batch_size=size)
    asked = {"n": 20_000, "radii": RADII, "thresholds": THRESHOLDS, "adaptive": True}
    return smoothed.certify(inputs(*x0), **asked | options)


def test_answers_are_true_and_take_few_draws() -> None:
    cert = decide()
    fixed = decide(adaptive=False, bound="tangent")
    for k, radius in enumerate(RADII):
        worst = truth(np.array(X0) - radius)
        assert (cert.lower[:, k] <= worst).all()
        for c in THRESHOLDS:
            np.testing.assert_array_equal(cert.lower[:, k] > c, fixed.lower[:, k] > c)
    assert set(cert.lower.ravel()) <= {0.0, *np.nextafter(THRESHOLDS, 1.0)}
    assert cert.n_draws.mean() < 0.15 * 20_000
    assert (cert.n_draws[:2] < 200).all()
    assert (cert.n_selection[:2] < 20).all()
    assert cert.n_selection.max() <= 100
    assert cert.predicted[0] == 0
    assert cert.predicted[-1] == -1
    assert "is not certified to be above the cut-off 0.5" in cert.reason[-1]
    assert "4 of 4 questions certified after" in cert.reason[0]
    assert (cert.class_radius[:3] <= X0[:3]).all()


def test_a_threshold_has_the_greatest_of_the_radii_that_were_asked_about() -> None:
    cert = decide()
    for j, c in enumerate(THRESHOLDS):
        shown = cert.lower > c
        expected = np.where(shown.all(axis=1), 0.4, np.where(shown[:, 0], 0.0, np.nan))
        np.testing.assert_array_equal(cert.radius[:, j], expected)


def test_a_radius_is_found_in_steps_of_the_precision() -> None:
    x0 = np.array([2.0, 1.0, 0.02])
    cert = decide(x0, radii=[0.0], thresholds=[0.6], radius_precision=0.1)
    found = cert.radius[:2, 0]
    assert (truth(x0[:2] - found) >= 0.6).all()
    assert truth(x0[:2] - found) == pytest.approx(0.6, abs=0.25)
    np.testing.assert_allclose(found / (0.1 * SIGMA), np.round(found / (0.1 * SIGMA)), atol=0.01)
    assert np.isnan(cert.radius[2, 0])
    assert cert.n_draws.mean() < 20_000


def test_the_question_of_the_cut_off_is_answered_without_draws_of_its_own() -> None:
    hard = decide([0.6], thresholds=[0.99], radii=[0.4])
    assert hard.n_draws[0] < 500
    assert hard.lower[0, 0] == 0.0
    assert hard.predicted[0] == 0


def test_a_class_is_abstained_from_if_the_cut_off_itself_is_not_certified() -> None:
    smoothed = SmoothedClassifier(model, SIGMA, cutoff=float(truth(np.array(1.0))) + 0.01)
    easy = smoothed.certify(inputs(1.0), n=20_000, radii=[0.0], thresholds=[0.6], adaptive=True)
    assert easy.lower[0, 0] > 0.6
    assert easy.predicted[0] == -1


@pytest.mark.parametrize("precision", [None, 0.1])
def test_an_answer_below_the_cut_off_waits_for_it(precision: float | None) -> None:
    options: dict[str, Any] = {"radii": [0.0], "radius_precision": precision}
    low = decide([0.6, 0.3], thresholds=[0.2], **options)
    assert (low.lower[:, 0] > 0.2).all()
    np.testing.assert_array_equal(low.predicted, low.selected)
    assert low.reason[0].startswith(f"{1 + bool(precision)} of {1 + bool(precision)} questions")


@pytest.mark.parametrize("cutoff", [-1.0, -np.inf])
def test_a_cut_off_below_all_scores_is_always_exceeded(cutoff: float) -> None:
    smoothed = SmoothedClassifier(model, SIGMA, cutoff=cutoff)
    cert = smoothed.certify(inputs(0.02), n=100, radii=[0.0], thresholds=[0.6], adaptive=True)
    assert cert.predicted[0] == cert.selected[0]


@pytest.mark.parametrize("size", [1, 7, 399, 10_000])
def test_packing_changes_nothing(size: int) -> None:
    x0, options = (0.5, 0.1, 2.0, 1.0, 0.9), {"n": 2000, "n0": 20}
    packed = decide(x0, exact, size, **options)
    alone = [decide([x0[i]], exact, 400, index=[i], **options) for i in range(len(x0))]
    for name in ("lower", "radius", "predicted", "reason", "class_radius", "n_draws", "mean_score"):
        one_by_one = [getattr(cert, name)[0] for cert in alone]
        np.testing.assert_array_equal(getattr(packed, name), np.array(one_by_one))


def test_draws_by_hand_answer_alike() -> None:
    cert = decide([0.9], thresholds=[0.6], radii=[0.4], seed=5, alpha=0.01)
    sampler = SmoothedClassifier(model, SIGMA, batch_size=1000)
    n = int(cert.n_draws[0])
    draws = sampler.draw(inputs(0.9)[0], n=n, seed=5, index=0, early_selection=True)
    assert draws.n0 == cert.n_selection[0]
    assert cert.mean_score[0] == draws.mean
    # The selection draws, which were the first guess, do not come out of `draw`.
    question = Decide(np.nextafter(0.6, 1), 0.4)
    test = AnytimeTest(question, sigma=SIGMA, alpha=0.01, displacement=draws.displacement)
    test.update(draws)
    test.update(sampler.draw(inputs(0.9)[0], n=n, seed=5, index=0, first_draw=n))
    assert test.answers[0].certified
    assert n / 2 < test.answers[0].n_draws < 2 * n


def test_a_budget_keeps_what_is_certified() -> None:
    whole = decide(size=100)
    budget = Budget(draws=3000)
    cert = decide(size=100, budget=budget)
    assert cert.n_draws.sum() == budget.spent == 3000
    assert 0 < cert.status.count("budget") < len(X0)
    for i, status in enumerate(cert.status):
        if status == "budget":
            assert f"after {cert.n_draws[i]} draws" in cert.reason[i]
            assert (cert.lower[i] <= truth(X0[i] - np.array(RADII))).all()
        else:
            assert cert.reason[i] == whole.reason[i]
            np.testing.assert_array_equal(cert.lower[i], whole.lower[i])


@pytest.mark.parametrize("size", [50, 400])
def test_a_short_budget_decides_those_first_that_need_the_fewest_draws(size: int) -> None:
    x0 = [0.24, 2.0, 0.26, 3.0, 0.25, 2.5] * 5  # every second one is hard
    options: dict[str, Any] = {"radii": [0.0], "thresholds": [0.69], "n": 5000, "strictness": 9.0}
    whole = decide(x0, exact, size, **options)
    easy = whole.n_draws < 100
    assert easy.sum() == len(x0) / 2
    assert (whole.n_draws[~easy] > 300).all()
    spent = int(whole.n_draws[easy].sum()) + 300
    cert = decide(x0, exact, size, **options, budget=Budget(draws=spent))
    assert cert.n_draws.sum() == spent
    for i in np.flatnonzero(easy):
        assert cert.status[i] == whole.status[i]
        assert cert.state[i] == whole.state[i]
    assert [status == "budget" for status in cert.status] == (~easy).tolist()


def test_inputs_that_a_budget_never_reached_begin_when_they_go_on() -> None:
    smoothed, x = SmoothedClassifier(exact, SIGMA, batch_size=100), inputs(*X0)
    asked: dict[str, Any] = {"radii": [0.0], "thresholds": [0.6], "adaptive": True, "n": 2000}
    budget = Budget(draws=1)
    budget.take(1)
    none = smoothed.certify(x, budget=budget, **asked)
    assert set(none.status) == {"budget"}
    assert none.n_selection.sum() == 0
    assert (none.selected == -1).all()
    assert set(none.state) == {b""}
    whole = smoothed.certify(x, **asked)
    further = smoothed.certify_further(x, none)
    for name in ("lower", "n_draws", "n_selection", "selected", "predicted", "state", "status"):
        np.testing.assert_array_equal(getattr(further, name), getattr(whole, name))
    later = smoothed.certify_further(x, none, thresholds=[0.7])
    np.testing.assert_array_equal(later.selected, whole.selected)


def test_without_a_single_draw_nothing_is_certified() -> None:
    cert = decide(X0, budget=Budget(seconds=1.0, clock=iter([0.0, *[10.0] * 1000]).__next__))
    none = cert.n_draws == 0
    assert none.sum() >= 5
    assert (cert.predicted[none] == -1).all()
    assert (cert.lower[none] == 0.0).all()
    assert np.isnan(cert.radius[none]).all()
    assert np.isnan(cert.class_radius[none]).all()


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
    assert cert.status[1] == "failed"
    assert np.isnan(cert.lower[1]).all()


def test_the_rules_are_recorded() -> None:
    cert = decide([3.0], budget=Budget(draws=10_000), strictness=3.0)
    settings = json.loads(cert.to_arrow().schema.metadata[b"smoothbound"])
    assert settings["adaptive"] == {
        "asked": "Decide",
        "test": "anytime",
        "precision": None,
        "strictness": 3.0,
        "correct_only": False,
        "budget": {"draws": 10_000, "seconds": None},
    }
    assert (settings["n"], settings["radii"], settings["thresholds"]) == (20_000, RADII, THRESHOLDS)
    assert cert.settings.method.name == "anytime"
    assert decide([3.0], adaptive=False).settings.adaptive is None


def test_votes_certify_the_class_radius_of_cohen() -> None:
    smoothed = SmoothedClassifier(model, SIGMA, measure="vote")
    x0 = np.array([1.0, 0.5])
    cert = smoothed.certify(
        inputs(*x0), n=20_000, radii=[0.25], thresholds=[0.5], adaptive=True, radius_precision=0.1
    )
    assert (cert.radius[:, 0] <= x0).all()
    assert (cert.radius[:, 0] > x0 - 0.25).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thresholds": []}, "adaptive draws answer questions about thresholds"),
        ({"thresholds": [1.0]}, "thresholds"),
        ({"radii": []}, "^radii must hold at least one radius for adaptive draws"),
        ({"radius_precision": 0.0}, "^radius_precision must be"),
        ({"radius_precision": 1e-9}, "^radius_precision must be at least"),
        ({"radii": [0.0, 60.0]}, r"^radii\[1\] must be at most 50 sigma"),
        ({"sides": "both"}, "sides must be 'lower' for adaptive draws"),
        ({"bound": "tangent"}, "must be left out for adaptive draws"),
        ({"n": 5}, "^n = 5 draws are too few to certify any score .* at least n = .* are needed$"),
        ({"thresholds": [0.99], "radii": [12.0]}, "^no run can certify any score .* smaller radii"),
        (
            {"thresholds": [1.0 - 2.0**-53]},
            r"^thresholds\[0\] must be smaller: .* it and 1\.0, .* got 0\.9999999999999999$",
        ),
        ({"strictness": -1}, "strictness must"),
        ({"adaptive": False, "radius_precision": 0.1}, "are for adaptive=True"),
        ({"adaptive": False, "budget": Budget(draws=1)}, "are for adaptive=True"),
        ({"adaptive": False, "strictness": 3.0}, "are for adaptive=True"),
    ],
)
def test_what_cannot_be_answered_is_refused_before_a_draw(
    options: dict[str, Any], message: str
) -> None:
    def never(x: Tensor) -> Tensor:
        raise AssertionError("the model was called")

    with pytest.raises(ValueError, match=message):
        decide([1.0], never, **options)


def test_the_questions_of_a_request() -> None:
    from smoothbound.bounds._method import Method
    from smoothbound.bounds._request import Request

    request = Request(sigma=0.25, radii=(0.1,), thresholds=(0.5,), method=Method("anytime"))
    rules = AdaptiveDraws(radius_precision=0.1)
    made = AnytimeProcedure.of(request, rules, n=100, cutoff=0.5, measure="score")
    above = np.nextafter(0.5, 1.0)
    assert made.plan.questions == (Decide(above, 0.1), FindRadius(above, 0.1))
    assert made.plan.aside == (Decide(above, 0.0),)


def test_a_resumed_budget_counts_what_was_spent() -> None:
    budget = Budget(draws=1000, seconds=5.0, clock=lambda: 0.0)
    budget.resume(600, 2.0)
    assert budget.take(401) == 400
    assert budget.take(1) == 0
    budget.resume(0, 3.0)
    assert budget.take(0) == 0


def test_the_vote_from_which_on_a_radius_is_in_reach_is_rounded_down() -> None:
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(0)
    with mpmath.workdps(50):
        for c, r in zip(rng.uniform(1e-6, 1.0, 300), rng.uniform(0.0, 9.0, 300), strict=True):
            z = mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(c) - 1) + mpmath.mpf(r)
            exactly = mpmath.erfc(-z / mpmath.sqrt(2)) / 2
            share = _least_vote(float(c), float(r) * 0.25, 0.25)
            assert 0.0 < share < 1.0
            assert mpmath.mpf(share) <= exactly
            assert exactly - share < 1e-11
