"""Networks that are no classifiers of one label: certified through a measure of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

import smoothbound as sb
from smoothbound.errors import ModelError
from smoothbound.measures import Measure
from smoothbound.smoothing._classifier import SmoothedCertificate, SmoothedClassifier

SIGMA, RADII = 0.5, (0.0, 0.2, 0.5)
Z, WEIGHT = np.polynomial.hermite_e.hermegauss(180)


class Heads(nn.Module):
    """Three outputs of one network: 4 x0, 4 x1 and 4 x0 - 4 x1."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(2, 3, bias=False)
        with torch.no_grad():
            self.out.weight.copy_(torch.tensor([[4.0, 0.0], [0.0, 4.0], [4.0, -4.0]]))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.out(x)
        return logits


def smoothed_mean(function: Any, center: Any, spread: float) -> Any:
    """E function(center + spread z), by quadrature."""
    return function(np.asarray(center)[..., None] + spread * Z) @ WEIGHT / np.sqrt(2 * np.pi)


def certify(measure: Measure, *points: tuple[float, float], **options: Any) -> SmoothedCertificate:
    smoothed = SmoothedClassifier(Heads(), SIGMA, measure=measure, outputs="raw")
    return smoothed.certify(np.array(points, np.float32), n=20_000, radii=RADII, **options)


def sigmoid(v: Any) -> Any:
    return 1 / (1 + np.exp(-v))


@pytest.mark.parametrize(
    ("label", "center", "steep"), [(0, 2.4, 4.0), (1, 1.2, 4.0), (2, 1.2, 32**0.5)]
)
def test_one_label_of_many(label: int, center: float, steep: float) -> None:
    """The logit moves by `steep` times the radius, and has `steep` times the noise."""
    measure = sb.custom(lambda out, _: out[:, label].sigmoid(), (0.0, 1.0), name=f"label {label}")
    cert = certify(measure, (0.6, 0.3), sides="both", thresholds=[0.5])
    shift = steep * np.array(RADII)
    lowest = smoothed_mean(sigmoid, center - shift, steep * SIGMA)
    highest = smoothed_mean(sigmoid, center + shift, steep * SIGMA)
    assert cert.lower is not None
    assert cert.upper is not None
    assert cert.radius is not None
    assert (cert.lower[0] <= lowest).all()
    assert (cert.lower[0] >= lowest - 0.05).all()
    assert (cert.upper[0] >= highest).all()
    assert (cert.upper[0] <= highest + 0.05).all()
    half = smoothed_mean(sigmoid, center - steep * cert.radius[0], steep * SIGMA)
    assert 0.5 <= half <= 0.55
    assert cert.settings.measure == f"label {label}"
    assert cert.settings.cutoff is None


def test_several_labels_are_several_certificates_of_the_same_draws() -> None:
    """What holds of all labels at once: the least of their scores is a measure too."""
    all_of = sb.custom(lambda out, _: out[:, :2].sigmoid().amin(dim=1), (0.0, 1.0), name="both")
    one = [sb.custom(lambda out, _, i=i: out[:, i].sigmoid(), (0.0, 1.0)) for i in (0, 1)]
    both = certify(all_of, (1.5, 0.9)).lower
    each = [certify(measure, (1.5, 0.9)).lower for measure in one]
    assert (both <= np.minimum(*each)).all()
    assert (both[0, 0] > 0.5).all()


def clipped_mean(center: Any, spread: float, low: float, high: float) -> Any:
    """E of center + spread z, clipped: the ends have atoms, and between them it is normal."""
    a, b = (low - center) / spread, (high - center) / spread
    between = center * (norm.cdf(b) - norm.cdf(a)) - spread * (norm.pdf(b) - norm.pdf(a))
    return low * norm.cdf(a) + between + high * norm.sf(b)


def test_a_regression_head_within_its_declared_range() -> None:
    """The value is clipped by the measure, which is the function that is then certified."""
    low, high = -1.0, 3.0
    clipped = sb.custom(lambda out, _: out[:, 0].clamp(low, high), (low, high), name="value")
    cert = certify(clipped, (0.25, 0.0), (-0.4, 0.0), sides="both")
    center, shift = np.array([[1.0], [-1.6]]), 4 * np.array(RADII)
    assert (cert.lower <= clipped_mean(center - shift, 4 * SIGMA, low, high)).all()
    assert (cert.lower >= clipped_mean(center - shift, 4 * SIGMA, low, high) - 0.2).all()
    assert (cert.upper >= clipped_mean(center + shift, 4 * SIGMA, low, high)).all()
    assert (cert.upper <= clipped_mean(center + shift, 4 * SIGMA, low, high) + 0.2).all()


def test_a_value_outside_the_declared_range_is_never_clipped() -> None:
    plain = sb.custom(lambda out, _: out[:, 0], (-1.0, 3.0), name="value")
    with pytest.raises(ModelError, match=r"measure 'value' has the range \[-1.0, 3.0\], and"):
        certify(plain, (0.25, 0.0))
