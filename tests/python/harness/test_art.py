"""The estimator for the Adversarial Robustness Toolbox, beside the toolbox's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("art")

from art.defences.preprocessor import GaussianAugmentation  # noqa: E402
from art.estimators.certification.randomized_smoothing import (  # noqa: E402
    PyTorchRandomizedSmoothing,
)
from forks import run  # noqa: E402
from toolbox import measured, options  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import smoothbound as sb  # noqa: E402
from smoothbound.harness import PyTorchCertifiedSmoothing  # noqa: E402
from smoothbound.smoothing import class_radius  # noqa: E402

SCALE = 0.25
X0 = np.array([0.9, 0.3, 0.15, 0.0, -0.2, -0.8], np.float32)
X = np.stack([X0, np.full(6, 7.0, np.float32)], axis=1)


class FirstElement(nn.Module):
    """Two classes; the first where the first element is positive. The radius of x is |x0|."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, 0], -x[:, 0]], dim=1)


def made(kind: Any = PyTorchCertifiedSmoothing, **given: Any) -> Any:
    return kind(**(options(FirstElement(), 2) | given))


def test_predictions_are_those_of_the_toolbox_and_radii_below_the_truth() -> None:
    pytest.importorskip("statsmodels")  # with which the toolbox certifies
    np.random.seed(0)  # noqa: NPY002 the toolbox draws from it
    predicted, radius = made().certify(X, n=2000)
    theirs, their_radius = made(PyTorchRandomizedSmoothing).certify(X, n=2000, batch_size=500)
    clear = X0 != 0.0
    np.testing.assert_array_equal(predicted[clear], theirs[clear])
    assert predicted[3] == -1
    assert radius[3] == 0.0
    assert (radius <= np.abs(X0)).all()
    np.testing.assert_allclose(radius[clear], their_radius[clear], atol=0.06)  # of other draws
    assert (predicted.dtype.kind, radius.dtype) == ("i", np.float64)
    # The same votes give the same radius, but for what lattice noise gives up and the rounding.
    votes = int(FirstElement()(torch.tensor(X[:1])).argmax() == 0) * 1990
    bound = made(PyTorchRandomizedSmoothing)._lower_confidence_bound(votes, 2000)
    own = class_radius(votes, 2000, sigma=SCALE, alpha=1e-3)
    from scipy.stats import norm

    assert own == pytest.approx(SCALE * norm.ppf(bound), rel=1e-6)


def test_predict_abstains_with_a_row_of_zeros() -> None:
    np.random.seed(0)  # noqa: NPY002
    found, theirs = made().predict(X), made(PyTorchRandomizedSmoothing).predict(X)
    clear = np.abs(X0) > 0.2
    np.testing.assert_array_equal(found[clear], theirs[clear])
    assert found.tolist()[0] == [1.0, 0.0]
    assert found.tolist()[3] == [0.0, 0.0]
    decided = made().predict(X, is_abstain=False)
    np.testing.assert_array_equal(decided.sum(axis=1), 1.0)
    assert made(nb_classes=4).predict(X).shape == (6, 4)


def test_the_confidence_is_certified_as_by_the_classifier_itself() -> None:
    smoothed = made(grid=None, seed=5)
    cert = smoothed.certify_confidence(X, n=1000, radii=[0.0, 0.1], thresholds=[0.6])
    plain = sb.SmoothedClassifier(FirstElement(), SCALE).certify(
        X, n0=100, n=1000, radii=[0.0, 0.1], thresholds=[0.6], seed=5, index=cert.index
    )
    np.testing.assert_array_equal(cert.lower, plain.lower)
    np.testing.assert_array_equal(cert.radius, plain.radius)
    turned = smoothed.certify_confidence(X[::-1], n=1000, radii=[0.0, 0.1], thresholds=[0.6])
    np.testing.assert_array_equal(turned.lower[::-1], cert.lower)
    margin = smoothed.certify_confidence(X, n=1000, measure="margin")
    assert margin.settings.measure == "margin"


def test_the_noise_comes_before_the_preprocessing() -> None:
    """The model sees (x - 7) / 2: the boundary of x0 is at 7, and the radius in units of x."""
    shifted = X + np.array([7.0, 0.0], np.float32)
    smoothed = made(preprocessing=(7.0, 2.0))
    predicted, radius = smoothed.certify(shifted, n=2000)
    assert predicted[[0, 1, 4, 5]].tolist() == [0, 0, 1, 1]
    assert (radius <= np.abs(X0) + 1e-6).all()
    assert radius[0] > 0.6
    by_channel = made(preprocessing=(np.array([7.0, 0.0]), np.array([2.0, 1.0])))
    np.testing.assert_allclose(by_channel.certify(shifted, n=2000)[1], radius, atol=1e-6)
    with pytest.raises(ValueError, match=r"preprocessing must be the identity, \(0, 1\), to fit"):
        smoothed.fit(X, np.array([0, 0, 0, 1, 1, 1]))


def test_it_is_an_estimator_of_the_toolbox() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    model = nn.Linear(2, 2)
    smoothed = made(model=model, optimizer=torch.optim.Adam(model.parameters(), 0.05))
    assert isinstance(smoothed, PyTorchRandomizedSmoothing)
    smoothed.fit(x, y, batch_size=50, nb_epochs=20)
    assert (smoothed.predict(x).argmax(axis=1) == y).mean() > 0.85
    assert smoothed.loss_gradient(x[:3], np.eye(2, dtype=np.float32)[y[:3]]).shape == (3, 2)
    assert smoothed.get_params()["seed"] == 0
    smoothed.set_params(scale=0.5, grid=16)
    assert (smoothed.scale, smoothed.grid) == (0.5, 16)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_draws_as_the_toolbox_does(
    record_property: pytest.RecordProperty,
) -> None:
    pytest.importorskip("statsmodels")
    taken = {}
    for ours in (True, False):
        done = run(measured, ours, 8000)
        assert done.returncode == 0, done.stderr
        seconds, mebibytes = map(float, done.stdout.split())
        taken[ours] = mebibytes
        record_property("ours" if ours else "theirs", f"{seconds:.2f} s, {mebibytes:.0f} MiB")
    copies = 8000 * 3072 * 4 / 2**20
    assert taken[True] < copies / 4
    assert taken[False] > copies


def test_what_cannot_be_certified_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"model must inherit from `nn.Module`"):
        made(model=made())  # smoothed already
    for kind in (PyTorchCertifiedSmoothing, PyTorchRandomizedSmoothing):
        with pytest.raises(TypeError, match=f"got {kind.__name__} .* which smooths already"):
            sb.SmoothedClassifier(made(kind), SCALE)
    with (
        pytest.raises(ValueError, match="preprocessing_defences must be left out"),
        pytest.warns(UserWarning, match="AFTER the application of preprocessing defences"),
    ):
        made(preprocessing_defences=GaussianAugmentation(augmentation=False))
    with pytest.raises(ValueError, match="preprocessing must be the pair of mean"):
        made(preprocessing=GaussianAugmentation(augmentation=False))
    with pytest.raises(ValueError, match="at least n = 11 are needed"):
        made(sample_size=10).predict(X)
    assert made(sample_size=10).predict(X, is_abstain=False).any()
    with pytest.raises(ValueError, match="nb_classes must be that of the model, got 2, and class"):
        made(model=nn.Sequential(FirstElement(), nn.ConstantPad1d((0, 1), 9.0))).predict(X)
    for kind in (np.complex64, str, object):
        for call in (made().predict, lambda x: made().certify(x, n=100)):
            with pytest.raises(TypeError, match="x must hold real numbers, got"):
                call(X.astype(kind))
    for name, value in (("scale", 0.0), ("alpha", 1.0), ("sample_size", 0), ("sample_size", 1.5)):
        with pytest.raises((TypeError, ValueError), match=name):
            made(**{name: value})
