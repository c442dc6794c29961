"""The wrapper for scikit-learn: its conventions, and the votes and certificates of the library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

import smoothbound as sb
from smoothbound.harness import SmoothedEstimator

ROWS, CLASSES = make_blobs(120, centers=[[-2, 0], [2, 0], [0, 3]], random_state=0)
SIGMA = 0.5

ABSTAINS = {
    "check_classifiers_train": (
        "predict abstains where the votes do not tell the class, and predict_proba has no column "
        "for abstention, so that its largest column is another answer there"
    ),
}
DEFAULT = {
    **ABSTAINS,
    "check_classifiers_classes": (
        "-1 is a class of this check and the default of abstain, which is refused, because nobody "
        "could tell the two apart"
    ),
}


@pytest.fixture(scope="module")
def smoothed() -> SmoothedEstimator:
    return SmoothedEstimator(LogisticRegression(C=10), SIGMA, n=400).fit(ROWS, CLASSES)


@pytest.mark.parametrize(("abstain", "expected"), [(None, DEFAULT), (0, ABSTAINS)])
def test_the_checks_of_scikit_learn_pass(abstain: Any, expected: dict[str, str]) -> None:
    estimator = SmoothedEstimator(LogisticRegression(), n=100, abstain=abstain)
    ended = check_estimator(estimator, expected_failed_checks=expected, on_skip=None)
    failed = {each["check_name"] for each in ended if each["status"] == "xfail"}
    assert failed == set(expected)  # none is expected in vain
    assert sum(each["status"] == "passed" for each in ended) > 40


def test_predictions_are_the_votes_of_the_smoothed_classifier(smoothed: SmoothedEstimator) -> None:
    plain = sb.SmoothedClassifier(smoothed.estimator_, SIGMA)
    keys = smoothed.certify(ROWS, n=20, n0=1).index
    votes = plain.votes(ROWS, n=400, index=keys)
    np.testing.assert_array_equal(smoothed.predict_proba(ROWS), votes / 400)
    predicted = smoothed.predict(ROWS)
    np.testing.assert_array_equal(predicted, plain.predict(ROWS, n=400, index=keys))
    assert 0.01 < (predicted == -1).mean() < 0.3
    assert (predicted == CLASSES)[predicted != -1].mean() > 0.9
    assert predicted.dtype == CLASSES.dtype


def test_neither_order_nor_other_rows_change_a_result(smoothed: SmoothedEstimator) -> None:
    order = np.random.default_rng(0).permutation(len(ROWS))
    shares, cert = smoothed.predict_proba(ROWS), smoothed.certify(ROWS, n=300, radii=[0.1])
    np.testing.assert_array_equal(smoothed.predict_proba(ROWS[order]), shares[order])
    np.testing.assert_array_equal(smoothed.predict_proba(ROWS[7:9]), shares[7:9])
    some = smoothed.certify(ROWS[order[:20]], n=300, radii=[0.1])
    np.testing.assert_array_equal(some.lower, cert.lower[order[:20]])
    np.testing.assert_array_equal(some.index, cert.index[order[:20]])
    assert len(np.unique(cert.index)) == len(ROWS)
    twice = smoothed.predict_proba(np.repeat(ROWS[:1], 2, axis=0))
    np.testing.assert_array_equal(twice[0], twice[1])
    other = SmoothedEstimator(FrozenEstimator(smoothed.estimator_), SIGMA, n=400, seed=1)
    assert (other.fit(ROWS, CLASSES).predict_proba(ROWS) != shares).any()


def test_certificates_bound_the_shares_that_are_estimated(smoothed: SmoothedEstimator) -> None:
    cert = smoothed.certify(ROWS, n=5000, radii=[0.0, 0.25], thresholds=[0.5])
    assert cert.settings.measure == "vote"
    assert cert.settings.alpha == 1e-3
    shares = smoothed.predict_proba(ROWS)[np.arange(len(ROWS)), cert.selected]
    assert (cert.lower[:, 0] <= shares + 4 * np.sqrt(0.25 / 400)).all()
    assert (cert.lower[:, 1] < cert.lower[:, 0]).all()
    score = SmoothedEstimator(LogisticRegression(), SIGMA, measure="score", alpha=0.01)
    made = score.fit(ROWS, CLASSES).certify(ROWS[:3], n=500)
    assert (made.settings.measure, made.settings.alpha) == ("score", 0.01)


def test_a_fitted_classifier_is_left_as_it_is() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS, columns=["width", "height"])
    fitted = LogisticRegression().fit(frame, CLASSES)
    before = fitted.coef_.copy()
    smoothed = SmoothedEstimator(FrozenEstimator(fitted), SIGMA, n=100).fit(frame, CLASSES)
    np.testing.assert_array_equal(fitted.coef_, before)
    assert smoothed.feature_names_in_.tolist() == ["width", "height"]
    assert (smoothed.predict(frame) == CLASSES).mean() > 0.8
    with pytest.raises(ValueError, match="feature names"):
        smoothed.predict(frame[["height", "width"]])


def test_noise_in_training_belongs_to_sigma_and_seed() -> None:
    options: dict[str, Any] = {"sigma": 2.0, "n": 20}
    one, same, more, plain = (
        SmoothedEstimator(LogisticRegression(), copies=copies, **options).fit(ROWS, CLASSES)
        for copies in (4, 4, 8, 0)
    )
    np.testing.assert_array_equal(one.estimator_.coef_, same.estimator_.coef_)
    assert (one.estimator_.coef_ != more.estimator_.coef_).any()
    alone = LogisticRegression().fit(ROWS, CLASSES)
    np.testing.assert_array_equal(plain.estimator_.coef_, alone.coef_)
    # noise flattens the classifier
    assert np.abs(one.estimator_.coef_).sum() < 0.8 * np.abs(alone.coef_).sum()


@pytest.mark.parametrize(
    ("labels", "abstain", "expected"),
    [
        ([3, 5], None, [3, -1, 5]),
        ([3, 5], 5, [3, 5, 5]),
        ([3, 5], 0.5, [3, 0.5, 5]),
        (["no", "yes"], None, ["no", -1, "yes"]),
        (["no", "yes"], "undecided", ["no", "undecided", "yes"]),
        ([False, True], None, [False, -1, True]),
        ([-1, 1], 0, [-1, 0, 1]),
        ([-1, 1], -1, [-1, -1, 1]),
    ],
)
def test_abstention_is_a_value_of_your_choice(labels: Any, abstain: Any, expected: Any) -> None:
    rows = np.array([[-2.0], [-1.5], [1.5], [2.0]])
    smoothed = SmoothedEstimator(LogisticRegression(C=10), 0.5, n=100, copies=0, abstain=abstain)
    found = smoothed.fit(rows, np.repeat(labels, 2)).predict([[-3.0], [0.0], [3.0]])
    assert found.tolist() == expected


@pytest.mark.parametrize("abstain", [None, "undecided", 0.5])
@pytest.mark.parametrize("names", [[0, 1, 2], ["a", "b", "c"], [True, False, False]])
def test_abstention_of_any_type_counts_as_a_wrong_class(names: Any, abstain: Any) -> None:
    labels = np.array(names)[CLASSES]
    smoothed = SmoothedEstimator(LogisticRegression(C=10), 2.0, n=50, abstain=abstain)
    found = smoothed.fit(ROWS, labels).predict(ROWS).tolist()
    right = [a == b for a, b in zip(found, labels.tolist(), strict=True)]
    assert 0 < found.count(-1 if abstain is None else abstain) < len(ROWS)
    assert smoothed.score(ROWS, labels) == np.mean(right)
    weights = np.arange(len(ROWS))
    weighted = np.average(right, weights=weights)
    assert smoothed.score(ROWS, labels, sample_weight=weights) == weighted
    folds = cross_val_score(smoothed, ROWS, labels, cv=2, error_score="raise")
    assert ((folds > 0) & (folds < 1)).all()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        smoothed.score(ROWS, labels[:3])


def test_it_takes_part_in_a_search() -> None:
    search = GridSearchCV(
        SmoothedEstimator(LogisticRegression(), n=50), {"sigma": [0.1, 20.0]}, cv=2
    )
    search.fit(ROWS, CLASSES)
    assert search.best_params_ == {"sigma": 0.1}


def test_what_cannot_be_smoothed_is_refused_by_name(smoothed: SmoothedEstimator) -> None:
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        SmoothedEstimator(LinearSVC()).fit(ROWS, CLASSES)
    smooths = "model must be a base classifier, got {} with a method certify, which smooths already"
    whole = make_pipeline(StandardScaler(), smoothed)
    for name, estimator in (
        ("SmoothedEstimator", smoothed),
        ("Pipeline of a SmoothedEstimator", whole),
        ("FrozenEstimator of a SmoothedEstimator", FrozenEstimator(whole)),
        ("CalibratedClassifierCV of a SmoothedEstimator", CalibratedClassifierCV(smoothed)),
    ):
        with pytest.raises(TypeError, match=smooths.format(name)):
            SmoothedEstimator(estimator).fit(ROWS, CLASSES)
        with pytest.raises(TypeError, match=smooths.format(name)):
            sb.SmoothedClassifier(estimator, SIGMA)
    with pytest.raises(
        TypeError, match="model must be a base classifier, got a SmoothedClassifier"
    ):
        sb.SmoothedClassifier(sb.SmoothedClassifier(smoothed.estimator_, SIGMA), SIGMA)
    with pytest.raises(ValueError, match=r"abstain must be one value, got \[1, 2\]"):
        SmoothedEstimator(LogisticRegression(), abstain=[1, 2]).fit(ROWS, CLASSES)
    with pytest.raises(ValueError, match="abstain must be one value"):
        clone(smoothed).fit(ROWS, CLASSES).set_params(abstain=[1, 2]).predict(ROWS)
    with pytest.raises(ValueError, match="abstain must be stated if -1 is a class"):
        SmoothedEstimator(LogisticRegression()).fit(ROWS, np.where(CLASSES == 0, -1, 1))
    with pytest.raises(NotFittedError):
        SmoothedEstimator(LogisticRegression()).predict(ROWS)
    with pytest.raises(ValueError, match="at least n = 11 are needed"):
        SmoothedEstimator(LogisticRegression(), n=10).fit(ROWS, CLASSES).predict(ROWS)
    for name, value in (("sigma", -1.0), ("copies", -1), ("copies", 0.5), ("seed", -1)):
        with pytest.raises((TypeError, ValueError), match=name):
            SmoothedEstimator(LogisticRegression(), **{name: value}).fit(ROWS, CLASSES)
    for name, value in (("n", 0), ("alpha", 2.0), ("grid", -1), ("noise", "white"), ("measure", 3)):
        odd = SmoothedEstimator(LogisticRegression(), **{name: value}).fit(ROWS, CLASSES)
        with pytest.raises((TypeError, ValueError), match=name):
            odd.predict(ROWS)
