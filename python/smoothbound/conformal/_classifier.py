"""The base of all methods: calibrate once, predict sets, and refuse invalid data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks
from smoothbound.classes._class_sketch import ClassSketch
from smoothbound.conformal._counted import CountedDraws
from smoothbound.conformal._draws import (
    CONFORMITY_SCORES,
    ClassDraws,
    ConformityScore,
    ScoreDraws,
)
from smoothbound.conformal._guarantee.levels import Threshold, failure_probability
from smoothbound.conformal._guarantee.shift import Shift
from smoothbound.conformal._sets import checked_labels
from smoothbound.curves._curve import Curve

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ConformalClassifier"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class ConformalClassifier(ABC):
    """Base of `BinCP`, `RCP1` and `CAS`: prediction sets for inputs under attack.

    `calibrate` takes draws of labelled points. `predict_set` then takes draws of inputs that may be
    perturbed, each by at most `radius`, and returns sets that hold the label with probability
    `confidence_level`. The probability is over the calibration points, the test point and the
    draws of both (docs/conformal.md).

    Parameters
    ----------
    radius : float
        Largest distance between a test input and the clean one, >= 0, in the distance of the curve.
    sigma : float, optional
        Noise level of all draws, > 0, in the units of the model's input. A curve without a scale
        has none.
    curve : str or Curve
        The binary certificate of the noise (`smoothbound.curves`).
    confidence_level : float
        Wanted probability that a set holds the label, in [0.5, 1).
    conformity_score : {"lac", "aps"}
        "lac" is the score of a class itself. "aps" is half the probability of the class plus the
        probabilities of less likely classes.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range stated above.
    """

    def __init__(
        self,
        *,
        radius: float,
        sigma: float | None,
        curve: str | Curve,
        confidence_level: float,
        conformity_score: ConformityScore,
    ) -> None:
        self._psi = Shift.of(curve, radius, sigma)
        self._beta = failure_probability(confidence_level)
        self._confidence_level = float(confidence_level)
        self._conformity_score: ConformityScore = checks.choice(
            "conformity_score", conformity_score, CONFORMITY_SCORES
        )
        self._threshold: Threshold | None = None
        self._seen: dict[bytes, int] = {}

    def __repr__(self) -> str:
        """Return a line about the guarantee of the sets and the state of the calibration."""
        found = self._threshold
        state = "not calibrated" if found is None else f"calibrated with {found.n_points} points"
        return (
            f"{type(self).__name__}(radius={self.radius!r}, sigma={self.sigma!r}, "
            f"confidence_level={self.confidence_level!r}, {state})"
        )

    # The settings are read-only, because the threshold and the sets must be made with the same
    # ones.
    @property
    def confidence_level(self) -> float:
        """Wanted probability that a set holds the label."""
        return self._confidence_level

    @property
    def conformity_score(self) -> ConformityScore:
        """How scores are turned into conformity scores: "lac" or "aps"."""
        return self._conformity_score

    @property
    def radius(self) -> float:
        """Largest distance between a test input and the clean one."""
        return self._psi.radius

    @property
    def sigma(self) -> float:
        """Noise level of all draws; 1 for a curve without a scale."""
        return self._psi.sigma

    @property
    def curve(self) -> Curve:
        """The binary certificate of the noise."""
        return self._psi.curve

    @property
    def threshold(self) -> Threshold:
        """The threshold that `calibrate` found.

        Raises
        ------
        ValueError
            If there was no calibration.
        """
        if self._threshold is None:
            raise ValueError(
                f"{type(self).__name__} must be calibrated first: call calibrate(scores, labels)"
            )
        return self._threshold

    def calibrate(self, scores: Any, labels: ArrayLike) -> Self:
        """Find the threshold from clean points that the model was not trained on.

        Parameters
        ----------
        scores : array of floats, shape (n_points, n_draws, n_classes), or ClassSketch
            Scores of each class in independent noisy draws of each point, as an array that
            `smoothbound.scores.as_scores` reads, or as counts, which round scores down to the
            edges.
        labels : array_like of int, shape (n_points,)
            The classes of the points, from 0. For a sketch they are in the order of its index.

        Returns
        -------
        Self
            This object.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or shape, a point occurs twice, there are too few
            points for the confidence level or too few draws for the radius, or this object was
            calibrated before.
        """
        if self._threshold is not None:
            raise ValueError(
                "calibrate can be called once, because a choice among several calibrations would "
                "break the guarantee; make a new object for other points"
            )
        draws = self._read(scores)
        classes = checked_labels(labels, draws.n_inputs, draws.n_classes)
        seen = _numbered(draws)
        self._threshold = self._found(draws, classes)
        self._seen = seen
        return self

    def predict_set(self, scores: Any) -> Bools:
        """Predict the set of classes of each input.

        Parameters
        ----------
        scores : array of floats, shape (n_inputs, n_draws, n_classes), or ClassSketch
            Scores of each class in noisy draws of each input, which may be perturbed. The noise
            must be independent of the perturbation and of the calibration. The numbers of draws and
            classes must be those of the calibration.

        Returns
        -------
        ndarray of bool, shape (n_inputs, n_classes)
            Whether each class is in the set.

        Raises
        ------
        TypeError, ValueError
            If the scores have the wrong type or shape, the draws of an input are those of a
            calibration point, or this object was not calibrated.
        """
        threshold = self.threshold
        draws = self._read(scores)
        for name in ("n_draws", "n_classes"):
            got, wanted = getattr(draws, name), getattr(threshold, name)
            if got != wanted:
                raise ValueError(
                    f"scores must have {name} = {wanted}, as in the calibration, got {got}"
                )
        if draws.displacement > threshold.displacement:
            raise ValueError(
                f"scores were drawn around points up to {draws.displacement} from the inputs, and "
                f"those of the calibration up to {threshold.displacement}, for which the sets allow"
            )
        for i, digest in enumerate(draws.digests):
            if digest in self._seen:
                raise ValueError(
                    f"scores[{i}] are the draws of calibration point {self._seen[digest]}; a set "
                    "covers only a point that was not used in the calibration"
                )
        return self._sets(draws, threshold)

    def _read(self, scores: Any) -> ClassDraws:
        if callable(getattr(scores, "class_sketch", None)):
            raise TypeError(
                f"scores must be an array or a ClassSketch, got {type(scores).__name__}; pass its "
                "class_sketch()"
            )
        if not isinstance(scores, ClassSketch):
            return ScoreDraws(scores, self.conformity_score)
        if self.conformity_score != "lac":
            raise ValueError(
                f"scores must be arrays for conformity_score={self.conformity_score!r}, because it "
                "needs all classes of a draw together, got a sketch"
            )
        return CountedDraws(scores, self.sigma)

    @abstractmethod
    def _found(self, draws: ClassDraws, labels: Ints) -> Threshold:
        """Return the threshold from draws of labelled points."""

    @abstractmethod
    def _sets(self, draws: ClassDraws, threshold: Threshold) -> Bools:
        """Return the sets for draws whose shape fits the calibration."""


def _numbered(draws: ClassDraws) -> dict[bytes, int]:
    """Return the number of the point with each digest; refuse a point that occurs twice."""
    seen: dict[bytes, int] = {}
    for i, digest in enumerate(draws.digests):
        if digest is None:
            continue
        if digest in seen:
            raise ValueError(
                f"scores[{i}] are the same draws as scores[{seen[digest]}]; each calibration point "
                "must be there once, with draws of its own"
            )
        seen[digest] = i
    return seen
