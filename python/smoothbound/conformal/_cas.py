"""CAS: the mean conformity score, bounded by Theorem 2 within the radius."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.backends._names import BANDS, Band
from smoothbound.conformal._classifier import ConformalClassifier
from smoothbound.conformal._draws import ClassDraws, ConformityScore, MeanBound
from smoothbound.conformal._guarantee.levels import Threshold, rank_of, split
from smoothbound.curves._curve import Curve

__all__ = ["CAS"]

_PART = Fraction(1, 2)  # share for the draws at a perturbed point


class CAS(ConformalClassifier):
    """Robust prediction sets from the mean score over the noise, bounded by Theorem 2.

    The score of a calibration point is a lower confidence bound on the mean score of its label at
    all points within the radius. The threshold is a low quantile of these scores. A class is in the
    set of a test input if an upper confidence bound on its mean score there reaches the threshold.

    With probability 1 - ``threshold.beta_points`` the exact mean score of the label reaches the
    threshold at all points within the radius at once. The draws at one of these points then leave
    the label out with probability at most ``threshold.beta_draws``.

    Its methods `calibrate` and `predict_set` are those of `ConformalClassifier`.

    Parameters
    ----------
    radius : float
        Largest distance between a test input and the clean one, >= 0: the l2 distance in the units
        of `sigma` for Gaussian noise.
    sigma : float, optional
        Noise level of all draws, > 0, in the units of the model's input. A curve without a scale
        has none.
    confidence_level : float, default 0.9
        Wanted probability that a set holds the label, in [0.5, 1). The failure probability of the
        finite number of draws is part of 1 - confidence_level.
    conformity_score : {"lac", "aps"}, default "lac"
        "lac" is the score of a class itself. "aps" is half the probability of the class plus the
        probabilities of less likely classes, in [0, 1].
    score_range : (float, float), default (0, 1)
        Range of the conformity scores.
    band : {"ell", "dkw"}, default "ell"
        Confidence band of the scores of calibration points, as in `smoothbound.certify_scores`. For
        sketches it is also used for test inputs, whose means are otherwise bounded by betting.
    curve : str or Curve, default "gaussian"
        The binary certificate of the noise (`smoothbound.curves`).

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range stated above.

    References
    ----------
    Zargarbashi, Akhondzadeh and Bojchevski, "Robust Yet Efficient Conformal Prediction Sets", ICML
    2024. Kumar et al., NeurIPS 2020, Theorem 2. The finite number of draws is treated as in
    docs/conformal.md, Theorem 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 3, 200)
    >>> logits = rng.normal(size=(200, 100, 3)) + 3 * np.eye(3)[labels][:, None]
    >>> scores = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    >>> robust = CAS(sigma=0.5, radius=0.25).calibrate(scores[:100], labels[:100])
    >>> robust.predict_set(scores[100:]).shape
    (100, 3)
    """

    def __init__(
        self,
        *,
        radius: float,
        sigma: float | None = None,
        confidence_level: float = 0.9,
        conformity_score: ConformityScore = "lac",
        score_range: tuple[float, float] = (0.0, 1.0),
        band: Band = "ell",
        curve: str | Curve = "gaussian",
    ) -> None:
        super().__init__(
            radius=radius,
            sigma=sigma,
            curve=curve,
            confidence_level=confidence_level,
            conformity_score=conformity_score,
        )
        self._ask = MeanBound(
            self._psi,
            checks.score_range("score_range", score_range),
            checks.choice("band", band, BANDS),
        )

    def _found(self, draws: ClassDraws, labels: NDArray[np.int64]) -> Threshold:
        rank = rank_of(self._beta, draws.n_inputs)
        parts = split(self._beta, rank, draws.n_inputs, _PART)
        lower = draws.lower_means(labels, parts.calibration_draws, self._ask)
        return Threshold(
            score=float(np.sort(lower)[rank - 1]),
            rank=rank,
            n_points=draws.n_inputs,
            n_draws=draws.n_draws,
            n_classes=draws.n_classes,
            beta_points=parts.points,
            beta_draws=parts.draws,
            displacement=draws.displacement,
        )

    def _sets(self, draws: ClassDraws, threshold: Threshold) -> NDArray[np.bool_]:
        return np.asarray(draws.upper_means(threshold.beta_draws, self._ask) >= threshold.score)
