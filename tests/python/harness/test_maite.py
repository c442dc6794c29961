"""The model and the metric for MAITE, in its own evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from two_classes import SIGMA, inputs, model, truth  # noqa: E402

import smoothbound as sb  # noqa: E402
from smoothbound.harness import MaiteMetric, MaiteModel  # noqa: E402

X0 = (1.5, 0.6, 0.0, -0.6, -1.5, 0.3)
IMAGES = [row.reshape(1, 1, 2) for row in inputs(*X0)]
LABELS = [0, 0, 0, 1, 0, 0]  # the fifth is wrong
TARGETS = list(np.eye(2)[LABELS])
RADII = [0.0, 0.2]


def smoothed(sigma: float = SIGMA, **given: Any) -> sb.SmoothedClassifier:
    return sb.SmoothedClassifier(lambda x: model(x.flatten(1)), sigma, **given)


def maite_model(*args: Any, **given: Any) -> MaiteModel:
    asked = {"n": 2000, "radii": RADII, "thresholds": [0.5]} | given
    return MaiteModel(smoothed(*args), 2, **asked)


def own_measure(score_range: tuple[float, float]) -> MaiteModel:
    of_first = sb.custom(lambda p, _: p[:, 0], score_range, name="of the first", cutoff=0.1)
    return MaiteModel(smoothed(measure=of_first), 2, n=2000, radii=RADII, thresholds=[0.5])


class Images:
    """A data set of MAITE."""

    metadata = {"id": "two classes"}  # noqa: RUF012

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, i: int) -> tuple[Any, Any, dict[str, int]]:
        return IMAGES[i], TARGETS[i], {"id": i}


def test_maite_evaluates_and_the_numbers_are_those_of_the_certificate() -> None:
    tasks = pytest.importorskip("maite.tasks")
    own = maite_model()
    found = {
        size: tasks.evaluate(
            model=own, metric=MaiteMetric(), dataset=Images(), batch_size=size, return_preds=True
        )
        for size in (1, 4)
    }
    (numbers, batches, _), (others, _, _) = found[1], found[4]
    assert numbers == others
    preds = [pred for batch in batches for pred in batch]
    lower = np.array([pred.certificate.lower[0] for pred in preds])
    radius = np.array([pred.certificate.radius[0, 0] for pred in preds])
    right = np.array([pred.certificate.predicted[0] for pred in preds]) == LABELS
    assert right.tolist() == [True, True, False, True, False, True]
    for j, at in enumerate(("0", "0.2")):
        accuracy = ((lower[:, j] > 0.5) & right).mean()
        assert numbers[f"certified_accuracy@{at}"] == pytest.approx(accuracy, abs=1e-15)
        confidence = np.where(right, lower[:, j], 0).mean()
        assert numbers[f"certified_confidence@{at}"] == pytest.approx(confidence, abs=1e-15)
    mean = np.where(right & (radius > 0), radius, 0).mean()
    assert numbers["certified_radius@0.5"] == pytest.approx(mean, abs=1e-15)
    assert numbers["abstained"] == pytest.approx(1 / 6)
    assert (numbers["n_inputs"], numbers["sigma"], numbers["alpha"]) == (6, SIGMA, 1e-3)


def test_both_satisfy_the_protocols_of_maite() -> None:
    generic = pytest.importorskip("maite._internals.protocols.generic")
    own, metric = maite_model(index2label={0: "left", 1: "right"}, id="mine"), MaiteMetric()
    assert isinstance(own, generic.Model)
    assert isinstance(metric, generic.Metric)
    assert own.metadata == {"id": "mine", "index2label": {0: "left", 1: "right"}}
    assert metric.metadata == {"id": "smoothbound"}


def test_a_prediction_is_a_vector_that_no_confidence_exceeds() -> None:
    preds = maite_model(n=5000, radii=[0.2])(IMAGES)
    for x0, pred in zip(X0, preds, strict=True):
        vector = np.asarray(pred)
        confidence = np.array([truth(x0 - 0.2), 1 - truth(x0 + 0.2)])
        assert vector.shape == (2,)
        assert (vector <= confidence + 1e-9).all()
        assert pred.certificate.predicted[0] in (-1, int(vector.argmax()))
    assert np.asarray(preds[2]).tolist() == [0.0, 0.0]
    assert np.asarray(preds[0], np.float32).dtype == np.float32
    assert maite_model()([]) == []


def test_the_mean_is_rounded_down() -> None:
    metric = MaiteMetric()
    metric.update(maite_model()(IMAGES[:1]) * 3, [TARGETS[0], TARGETS[3], TARGETS[3]], [{}] * 3)
    third = metric.compute()["certified_accuracy@0"]
    assert third == 1 / 3  # which is below 1/3
    metric.update(maite_model()(IMAGES[:1]) * 3, [TARGETS[0]] * 3, [{}] * 3)
    assert metric.compute()["certified_accuracy@0"] < 2 / 3 + 1e-16


def test_reset_forgets() -> None:
    metric = MaiteMetric()
    metric.update(maite_model()(IMAGES[:2]), TARGETS[:2], [{}] * 2)
    metric.reset()
    with pytest.raises(ValueError, match="compute needs at least one input"):
        metric.compute()
    metric.update(maite_model(radii=[0.1])(IMAGES[:2]), TARGETS[:2], [{}] * 2)
    assert metric.compute()["n_inputs"] == 2


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (lambda: maite_model(0.25), "sigma"),
        (lambda: maite_model(alpha=0.01), "alpha"),
        (lambda: maite_model(radii=[0.1]), "radii"),
        (lambda: maite_model(thresholds=[0.6]), "thresholds"),
        (lambda: MaiteModel(smoothed(measure="margin"), 2, n=2000, radii=RADII), "measure"),
        (lambda: own_measure((-1.0, 1.0)), r"score_range \(0.0, 1.0\)"),
    ],
)
def test_predictions_of_other_settings_are_refused_by_name(other: Any, name: str) -> None:
    metric = MaiteMetric()
    first = own_measure((0.0, 1.0)) if name.startswith("score_range") else maite_model()
    metric.update(first(IMAGES[:1]), TARGETS[:1], [{}])
    with pytest.raises(ValueError, match=f"predictions must have the {name}"):
        metric.update(other()(IMAGES[:1]), TARGETS[:1], [{}])
    assert metric.compute()["n_inputs"] == 1


@pytest.mark.parametrize(
    "target", [[1.0, 0.0, 0.0], [0.5, 0.5], [1.0, 1.0], [0.0, 0.0], 0, [[1.0, 0.0]]]
)
def test_targets_that_are_not_one_hot_are_refused(target: Any) -> None:
    with pytest.raises(ValueError, match="each target must be one-hot with 2 classes"):
        MaiteMetric().update(maite_model()(IMAGES[:1]), [target], [{}])


def test_a_model_that_is_smoothed_already_is_refused() -> None:
    for whole, name in ((MaiteModel(smoothed(), 2), "MaiteModel"), (smoothed(), "SmoothedClas")):
        with pytest.raises(TypeError, match=f"model must be a base classifier, got a {name}"):
            sb.SmoothedClassifier(whole, sigma=0.25)  # type: ignore[arg-type]


def test_bad_batches_are_refused() -> None:
    own, metric = maite_model(), MaiteMetric()
    with pytest.raises(ValueError, match="images of a batch must have one shape"):
        own([np.zeros((1, 1, 2), np.float32), np.zeros((1, 2, 2), np.float32)])
    with pytest.raises(TypeError, match="float"):
        own([np.zeros((1, 1, 2), np.uint8)])
    with pytest.raises(ValueError, match="one target for each of the 1 predictions, got 2"):
        metric.update(own(IMAGES[:1]), TARGETS[:2], [{}])
    with pytest.raises(TypeError, match="each prediction must be"):
        metric.update([np.array([0.9, 0.1])], TARGETS[:1], [{}])
    three = sb.SmoothedClassifier(lambda x: 9 * torch.eye(3)[[2]].repeat(len(x), 1), 0.5)
    with pytest.raises(ValueError, match="n_classes must be that of the model, got 2"):
        MaiteModel(three, 2, n=500)(IMAGES[:1])


@pytest.mark.parametrize(
    ("args", "given", "name"),
    [
        ((lambda x: x, 2), {}, "smoothed"),
        ((1,), {}, "n_classes"),
        ((2,), {"radii": []}, "radii"),
        ((2,), {"alpha": 0.0}, "alpha"),
        ((2,), {"n": 0}, "n must"),
        ((2,), {"id": 3}, "id"),
        ((2,), {"thresholds": [1.5]}, "thresholds"),
        ((2,), {"seed": -1}, "seed"),
        ((2,), {"index2label": ["left", "right"]}, "index2label"),
    ],
)
def test_wrong_arguments_are_refused_by_name(args: Any, given: Any, name: str) -> None:
    args = args if callable(args[0]) else (smoothed(), *args)
    with pytest.raises((TypeError, ValueError), match=name):
        MaiteModel(*args, **given)


def test_a_threshold_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold must be finite, got nan"):
        MaiteMetric(threshold=float("nan"))
