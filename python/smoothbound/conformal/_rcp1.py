"""RCP1: one draw of each point, and a level that is corrected for the perturbation."""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from smoothbound.conformal._classifier import ConformalClassifier
from smoothbound.conformal._draws import ClassDraws, ConformityScore
from smoothbound.conformal._guarantee.levels import (
    Threshold,
    round_down,
    round_up,
    too_few_points,
)
from smoothbound.conformal._guarantee.shift import Shift
from smoothbound.curves._curve import Curve

__all__ = ["RCP1"]

_MOST_POINTS = 2**62


class RCP1(ConformalClassifier):
    """Robust prediction sets from one noisy draw of each input.

    The threshold is a quantile of the scores of the calibration points at a corrected level. A
    class is in the set of a test input if its score in the single draw reaches the threshold. This
    is ordinary conformal prediction at another level, and needs one pass of the model.

    **The sets cover each perturbation, but not all at once**: the set at any single point within
    the radius holds the label with probability `confidence_level` if the point is chosen before its
    noise is drawn. An attacker who may try many points can find one that fails.

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
        Wanted probability that a set holds the label, in [0.5, 1).
    conformity_score : {"lac", "aps"}, default "lac"
        "lac" is the score of a class itself, which may be any number. "aps" is half the probability
        of the class plus the probabilities of less likely classes.
    curve : str or Curve, default "gaussian"
        The binary certificate of the noise (`smoothbound.curves`).

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range stated above.

    References
    ----------
    Zargarbashi, Akhondzadeh and Bojchevski, "One Sample is Enough to Make Conformal Prediction
    Robust", arXiv 2506.16553. docs/conformal.md, Theorem 2, has a proof.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 3, 400)
    >>> scores = rng.normal(size=(400, 1, 3)) + 3 * np.eye(3)[labels][:, None]
    >>> robust = RCP1(sigma=0.5, radius=0.25).calibrate(scores[:200], labels[:200])
    >>> robust.threshold.rank  # of 200; without a perturbation it would be 20
    7
    >>> robust.predict_set(scores[200:]).shape
    (200, 3)
    """

    def __init__(
        self,
        *,
        radius: float,
        sigma: float | None = None,
        confidence_level: float = 0.9,
        conformity_score: ConformityScore = "lac",
        curve: str | Curve = "gaussian",
    ) -> None:
        super().__init__(
            radius=radius,
            sigma=sigma,
            curve=curve,
            confidence_level=confidence_level,
            conformity_score=conformity_score,
        )
        if not self.curve.convex:
            raise ValueError(
                f"curve must be convex for RCP1, got {self.curve.name!r}; use BinCP with "
                "perturbations='each'"
            )

    def _found(self, draws: ClassDraws, labels: NDArray[np.int64]) -> Threshold:
        if draws.n_draws != 1:
            raise ValueError(
                f"scores must hold one draw of each input, got n_draws = {draws.n_draws}; pass "
                "scores[:, :1], or use BinCP, which uses all draws"
            )
        psi = self._psi.farther(draws.displacement)
        rank = self._rank(draws.n_inputs, psi)
        if rank == 0:
            enough = bisect_left(range(_MOST_POINTS), 1, key=partial(self._rank, psi=psi))
            if enough == _MOST_POINTS:
                raise ValueError(
                    f"radius must be smaller for confidence_level={self.confidence_level:g}, got "
                    f"{self.radius:g}: no number of calibration points would do"
                )
            raise too_few_points(draws.n_inputs, enough, self._beta)
        scores = np.sort(draws.reached(labels, 1))
        points = round_up(Fraction(rank, draws.n_inputs + 1))
        return Threshold(
            score=float(scores[rank - 1]),
            rank=rank,
            n_points=draws.n_inputs,
            n_draws=1,
            n_classes=draws.n_classes,
            beta_points=points,
            beta_draws=round_down(self._beta - Fraction(points)),
            votes=(1, 1),
            displacement=draws.displacement,
        )

    def _sets(self, draws: ClassDraws, threshold: Threshold) -> NDArray[np.bool_]:
        return np.asarray(draws.at_least(threshold.score) == 1)

    def _rank(self, n_points: int, psi: Shift) -> int:
        """Return the largest rank j with psi(1 - j / (n_points + 1)) >= 1 - beta, or 0."""

        def fails(rank: int) -> bool:
            at = round_down(1 - Fraction(rank, n_points + 1))
            return Fraction(float(psi(at))) < 1 - self._beta

        return bisect_left(range(1, n_points + 1), True, key=fails)
