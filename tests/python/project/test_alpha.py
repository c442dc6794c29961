"""An alpha that looks like a confidence level: each public call warns, once, where it is made."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scored import FIXED, make
from sklearn.linear_model import LogisticRegression
from torch import nn

import smoothbound as sb
from smoothbound import anytime, bounds, harness, recommend, smoothing

SCORES = np.linspace(0.5, 1.0, 300)[None]
X = torch.tensor([[1.5], [-1.5]])
DECIDE = anytime.Decide(0.5, 0.1)
SMOOTHED = sb.SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), sigma=0.5)
FIRST = SMOOTHED.certify(X, n=200, radii=[0.0], thresholds=[0.5], adaptive=True)
TEST = anytime.AnytimeTest(DECIDE, sigma=0.5)
ROWS, LABELS = np.array([[-1.0], [1.0], [2.0], [-2.0]]), np.array([0, 1, 1, 0])
ESTIMATOR = harness.SmoothedEstimator(LogisticRegression(), sigma=0.1, n=100).fit(ROWS, LABELS)


def sketch() -> sb.ScoreSketch:
    made = sb.ScoreSketch(1, sigma=0.5)
    made.update(SCORES)
    return made


PILOT = recommend.Pilot("own", sketch(), np.arange(1), np.zeros(1, int), np.zeros(1, int))
QUESTION: dict[str, Any] = {"sigma": 0.5}
CALLS: dict[str, Callable[[float], object]] = {
    "certify_scores": lambda alpha: sb.certify_scores(SCORES, sigma=0.5, alpha=alpha),
    "required_draws": lambda alpha: sb.required_draws(0.5, alpha=alpha),
    "tightest_bound": lambda alpha: sb.tightest_bound(100, alpha=alpha),
    "local_level": lambda alpha: bounds.local_level(20, alpha=alpha),
    "Request": lambda alpha: bounds.Request(sigma=1.0, method=bounds.Method("mean"), alpha=alpha),
    "ScoreSketch.certify": lambda alpha: sketch().certify(alpha=alpha),
    "ClassSketch.certify": lambda alpha: sb.ClassSketch.from_scores(
        np.full((1, 50, 2), 0.5), sigma=0.5
    ).certify(alpha=alpha),
    "SmoothedClassifier.certify": lambda alpha: SMOOTHED.certify(X, n=100, alpha=alpha),
    "SmoothedClassifier.predict": lambda alpha: SMOOTHED.predict(X, n=100, alpha=alpha),
    "SmoothedClassifier.certify_further": lambda alpha: SMOOTHED.certify_further(
        X, FIRST, alpha=alpha, thresholds=[0.6]
    ),
    "anytime_class_radius": lambda alpha: smoothing.anytime_class_radius(
        [9], 10, alpha=alpha, **QUESTION
    ),
    "class_radius": lambda alpha: smoothing.class_radius([9], 10, alpha=alpha, **QUESTION),
    "clopper_pearson_lower": lambda alpha: smoothing.clopper_pearson_lower([9], 10, alpha),
    "majority_class": lambda alpha: smoothing.majority_class([9, 1], alpha),
    "AnytimeTest": lambda alpha: anytime.AnytimeTest(DECIDE, alpha=alpha, **QUESTION),
    "AnytimeTest.ask": lambda alpha: TEST.ask(DECIDE, alpha=alpha),
    "AnytimeTest.follow_up": lambda alpha: TEST.follow_up(DECIDE, alpha=alpha),
    "Plan": lambda alpha: anytime.Plan(questions=(DECIDE,), alpha=alpha, **QUESTION),
    "answer_scores": lambda alpha: anytime.answer_scores(SCORES, DECIDE, alpha=alpha, **QUESTION),
    "anytime.required_draws": lambda alpha: anytime.required_draws(DECIDE, alpha=alpha, **QUESTION),
    "forecast": lambda alpha: recommend.forecast(sketch(), 1000, alpha=alpha),
    "recommend": lambda alpha: recommend.recommend(
        [PILOT], threshold=0.7, radius=0.1, alpha=alpha, max_draws=100
    ),
    "recommend_adaptive": lambda alpha: recommend.recommend_adaptive(
        [PILOT], thresholds=[0.6], radii=[0.0], max_draws=100, alpha=alpha, n_runs=1
    ),
    "CertifiedAccuracy": lambda alpha: harness.CertifiedAccuracy(alpha=alpha, **QUESTION),
    "CertifiedConfidence": lambda alpha: harness.CertifiedConfidence(alpha=alpha, **QUESTION),
    "CertifiedRadius": lambda alpha: harness.CertifiedRadius(alpha=alpha, **QUESTION),
    "MaiteModel": lambda alpha: harness.MaiteModel(SMOOTHED, 2, alpha=alpha),
    "PyTorchCertifiedSmoothing": lambda alpha: harness.PyTorchCertifiedSmoothing(
        nn.Linear(1, 2), nn.CrossEntropyLoss(), (1,), 2, device_type="cpu", alpha=alpha
    ),
    "SmoothedEstimator.predict": lambda alpha: ESTIMATOR.set_params(alpha=alpha).predict(ROWS),
    "SmoothedEstimator.score": lambda alpha: ESTIMATOR.set_params(alpha=alpha).score(ROWS, LABELS),
    "SmoothedEstimator.certify": lambda alpha: ESTIMATOR.certify(ROWS, alpha=alpha, n=100),
}
CALLED_ELSEWHERE = {"recertify_results", "SmoothedEstimator"}  # in a test, and by its methods
WITHOUT_EXTRA = {"certified_mean", "SmoothedVerificationModule"}  # the tests do not install them
# These only record the alpha of results; what makes the results warns.
RECORDS = {"AdaptiveRecommendation", "Answer", "ClassSettings", "Evaluation", "Method.band_of"}
RECORDS |= {"Recommendation", "RunSettings", "ScoreAnswers"}


def told(call: Callable[[float], object], alpha: float) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(alpha)
    return [one for one in caught if "alpha" in str(one.message)]


@pytest.mark.parametrize("name", CALLS)
def test_a_confidence_level_as_alpha_is_warned_of_once(name: str) -> None:
    (warning,) = told(CALLS[name], 0.95)
    assert warning.category is UserWarning
    assert warning.filename == __file__  # the place of the call
    assert str(warning.message) == (
        "alpha=0.95: alpha is the probability that a certificate is false; for a confidence of "
        "95 % take alpha=0.05"
    )
    assert not told(CALLS[name], 0.05)


def test_the_warning_begins_at_a_half() -> None:
    assert told(CALLS["certify_scores"], 0.5)
    assert not told(CALLS["certify_scores"], float(np.nextafter(0.5, 0.0)))


def test_results_that_are_certified_again_or_read_back(tmp_path: Path) -> None:
    folder = make(tmp_path / "run", FIXED)
    again = iter(range(9))

    def certified_again(alpha: float) -> None:
        sb.verify.recertify_results(folder, tmp_path / f"out{next(again)}", alpha=alpha)

    (warning,) = told(certified_again, 0.95)
    assert warning.filename == __file__
    assert not told(lambda _: sb.store.load(tmp_path / "out0"), 0.95)

    def saved_and_loaded(alpha: float) -> None:
        cert = sb.certify_scores(SCORES, sigma=0.5, alpha=alpha)
        cert.save(tmp_path / "cert.parquet")
        sb.Certificate.load(tmp_path / "cert.parquet")
        anytime.AnytimeTest.from_bytes(TEST.to_bytes())

    assert len(told(saved_and_loaded, 0.95)) == 1  # the reader did not choose the alpha


def test_every_public_call_with_an_alpha_is_tried() -> None:
    found = {name for name, one in public_calls() if takes_alpha(one)}
    settings = {name for name in found if name.endswith(("Settings", "settings_class"))}
    assert {"certify_scores", "ScoreSketch.certify", "CertifiedRadius", "Request"} <= found
    assert found - settings - set(CALLS) - CALLED_ELSEWHERE - WITHOUT_EXTRA - RECORDS == set()


def public_calls() -> Iterator[tuple[str, Any]]:
    """Yield all public functions, classes and methods whose extras are installed."""
    modules = [one for one in (getattr(sb, name) for name in dir(sb)) if inspect.ismodule(one)]
    for module in [sb, *modules]:
        for name in dir(module):
            with suppress(ImportError):
                made = getattr(module, name)
                yield name, made
                if inspect.isclass(made):
                    methods = (each for each in dir(made) if not each.startswith("_"))
                    yield from ((f"{name}.{each}", getattr(made, each)) for each in methods)


def takes_alpha(made: Any) -> bool:
    if not callable(made) or not str(getattr(made, "__module__", "")).startswith("smoothbound."):
        return False
    with suppress(ValueError):  # an exception has no signature
        return "alpha" in inspect.signature(made).parameters
    return False
