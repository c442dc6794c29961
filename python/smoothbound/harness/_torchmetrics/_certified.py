"""Metrics of torchmetrics: certified accuracy, confidence and radius, over a data set."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.harness._torchmetrics._certified_batch import CertifiedBatch, Question
from smoothbound.harness._torchmetrics._fixed_point import UNITS, whole_units
from smoothbound.harness._torchmetrics._metric import CertifiedMean
from smoothbound.measures import Measure
from smoothbound.measures import measure as measure_of

__all__ = ["CertifiedAccuracy", "CertifiedConfidence", "CertifiedRadius"]

Places: TypeAlias = float | Sequence[float]

_DOWN = 1.0 - 1e-15  # more than the rounding of a difference and a quotient


class CertifiedAccuracy(CertifiedMean):
    """The share of the inputs whose true class is certified, as a metric of torchmetrics.

    An input counts if the smoothed classifier does not abstain, its class is the true one, and the
    confidence in it is certified to stay above the threshold within the radius. The counts are
    whole numbers, so the metric does not depend on the batches and the number of processes.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise of the draws, > 0.
    radius : float or sequence of float, default 0
        Radius in the units of sigma. With a sequence `compute` returns one number for each.
    threshold : float, optional
        The confidence to exceed; by default the cut-off of the measure, 0.5 for the score.
    measure : {"score", "margin", "vote"} or Measure, default "score"
        The confidence; see `smoothbound.measures`. Custom measures are distinguished by name and
        range.
    alpha : float, default 0.001
        Failure probability of the certificate of each input. The metric is a mean of certificates
        of single inputs, and alpha is not the failure probability of the mean.
    n0 : int, default 100
        Number of draws that select the class if `update` gets probabilities.
    n_inputs : int, optional
        Size of the data set. If it is given, every input counts once, even if it occurs several
        times: ``torch.utils.data.DistributedSampler`` repeats inputs to give every process the same
        number. `update` then needs the `index` of each input, and the states have n_inputs rows.
    **kwargs
        As for `torchmetrics.Metric`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    >>> import torch
    >>> from smoothbound import SmoothedClassifier
    >>> smoothed = SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), sigma=0.5)
    >>> cert = smoothed.certify(torch.tensor([[1.5], [0.4], [-1.5]]), n=1000, radii=[0.25, 0.5])
    >>> accuracy = CertifiedAccuracy(sigma=0.5, radius=[0.25, 0.5])
    >>> accuracy.update(cert, torch.tensor([0, 0, 0]))
    >>> accuracy.compute()
    tensor([0.6667, 0.3333])
    """

    plot_upper_bound = 1.0
    plot_legend_name = "radius"

    def __init__(
        self,
        sigma: float,
        radius: Places = 0.0,
        threshold: float | None = None,
        *,
        measure: str | Measure = "score",
        alpha: float = 1e-3,
        n0: int = 100,
        n_inputs: int | None = None,
        **kwargs: Any,
    ) -> None:
        own = measure_of(measure)
        radii = _radii(radius)
        one = None if threshold is None else checks.number("threshold", threshold)
        (self._threshold,) = _thresholds(one, own)
        question = _question(sigma, own, checks.alpha("alpha", alpha), n0, radii=radii)
        super().__init__(question, single=np.ndim(radius) == 0, n_inputs=n_inputs, **kwargs)

    def _named_settings(self) -> dict[str, object]:
        return super()._named_settings() | {"threshold": self._threshold}

    def _units(self, batch: CertifiedBatch, correct: NDArray[np.bool_]) -> NDArray[np.int64]:
        return UNITS * (correct[:, None] & (batch.lower > self._threshold)).astype(np.int64)


class CertifiedConfidence(CertifiedMean):
    """Mean certified confidence in the true class, as a metric of torchmetrics.

    An input counts with the certified lower bound on the confidence in its true class within the
    radius. This is the smallest value of the measure if the smoothed classifier abstains or selects
    another class, because nothing else is certified about the true class.

    Parameters
    ----------
    sigma, radius, measure, alpha, n0, n_inputs, **kwargs
        As for `CertifiedAccuracy`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    Probabilities of two classes in 500 draws of one input, of which 100 select the class:

    >>> import torch
    >>> draws = torch.tensor([0.9, 0.1]).expand(1, 500, 2)
    >>> confidence = CertifiedConfidence(sigma=0.25, radius=0.1)
    >>> round(float(confidence(draws, torch.tensor([0]))), 2)
    0.85
    """

    plot_lower_bound = None
    plot_legend_name = "radius"

    def __init__(
        self,
        sigma: float,
        radius: Places = 0.0,
        *,
        measure: str | Measure = "score",
        alpha: float = 1e-3,
        n0: int = 100,
        n_inputs: int | None = None,
        **kwargs: Any,
    ) -> None:
        question = _question(
            sigma, measure_of(measure), checks.alpha("alpha", alpha), n0, radii=_radii(radius)
        )
        super().__init__(question, single=np.ndim(radius) == 0, n_inputs=n_inputs, **kwargs)

    def _units(self, batch: CertifiedBatch, correct: NDArray[np.bool_]) -> NDArray[np.int64]:
        a, b = self.question.measure.score_range
        known = correct[:, None] & (batch.lower > a)  # False with NaN
        return whole_units(np.where(known, batch.lower - a, 0.0) / (b - a) * _DOWN)

    def _scale(self, mean: Fraction) -> Fraction:
        a, b = map(Fraction, self.question.measure.score_range)
        return a + (b - a) * mean


class CertifiedRadius(CertifiedMean):
    """Mean certified radius of the true class, as a metric of torchmetrics.

    An input counts with the radius within which the confidence in its true class is certified to
    stay above the threshold, and with 0 if there is none. With ``measure="vote"`` and the threshold
    0.5 this is the average certified radius (ACR) of Zhai et al. 2020.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise of the draws, > 0. The result is in the same units.
    threshold : float or sequence of float, optional
        The confidence to exceed; by default the cut-off of the measure, 0.5 for the score. With a
        sequence `compute` returns one number for each.
    measure, alpha, n0, n_inputs, **kwargs
        As for `CertifiedAccuracy`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    References
    ----------
    Zhai et al., "MACER: Attack-free and scalable robust training via maximizing certified radius",
    ICLR 2020.

    Examples
    --------
    >>> import torch
    >>> votes = torch.tensor([1.0, 0.0]).expand(1, 100_100, 2)
    >>> radius = CertifiedRadius(sigma=0.25, measure="vote")
    >>> radius.update(votes, torch.tensor([0]))
    >>> round(float(radius.compute()), 2)
    0.95
    """

    plot_legend_name = "threshold"

    def __init__(
        self,
        sigma: float,
        threshold: Places | None = None,
        *,
        measure: str | Measure = "score",
        alpha: float = 1e-3,
        n0: int = 100,
        n_inputs: int | None = None,
        **kwargs: Any,
    ) -> None:
        own = measure_of(measure)
        question = _question(
            sigma, own, checks.alpha("alpha", alpha), n0, thresholds=_thresholds(threshold, own)
        )
        single = threshold is None or np.ndim(threshold) == 0
        super().__init__(question, single=single, n_inputs=n_inputs, **kwargs)

    def _units(self, batch: CertifiedBatch, correct: NDArray[np.bool_]) -> NDArray[np.int64]:
        known = correct[:, None] & (batch.radius > 0.0)  # False with NaN
        return whole_units(np.where(known, batch.radius, 0.0) / self.question.sigma * _DOWN)

    def _scale(self, mean: Fraction) -> Fraction:
        return mean * Fraction(self.question.sigma)


def _radii(value: Places) -> tuple[float, ...]:
    return _some("radius", checks.tuple_of_radii("radius", value))


def _thresholds(value: Places | None, measure: Measure) -> tuple[float, ...]:
    """Return the thresholds; the default is the cut-off of the measure."""
    if value is None:
        if measure.cutoff is None:
            raise ValueError(
                f"threshold must be stated for the measure {measure.name!r}, which has no cut-off"
            )
        value = measure.cutoff
    found = checks.tuple_of_thresholds("threshold", value, measure.score_range)
    return _some("threshold", found)


def _some(name: str, places: tuple[float, ...]) -> tuple[float, ...]:
    if not places:
        raise ValueError(f"{name} must hold one number or more, got none")
    return places


def _question(
    sigma: float,
    measure: Measure,
    alpha: float,
    n0: int,
    *,
    radii: tuple[float, ...] = (),
    thresholds: tuple[float, ...] = (),
) -> Question:
    return Question(
        sigma=checks.positive("sigma", sigma),
        alpha=alpha,
        measure=measure,
        radii=radii,
        thresholds=thresholds,
        n0=checks.count("n0", n0),
    )
