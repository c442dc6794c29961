"""BinCP: one binary certificate for the share of draws that reach a threshold."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.conformal._classifier import ConformalClassifier
from smoothbound.conformal._draws import ClassDraws, ConformityScore
from smoothbound.conformal._guarantee.levels import Split, Threshold, rank_of
from smoothbound.conformal._guarantee.shift import Shift
from smoothbound.conformal._guarantee.votes import votes_for_all, votes_for_each
from smoothbound.curves._curve import Curve

__all__ = ["BinCP"]

Perturbations = Literal["all", "each"]
PERTURBATIONS: tuple[Perturbations, ...] = ("all", "each")

_MOST_DRAWS = 2**20  # the largest number of draws that an error advises


class BinCP(ConformalClassifier):
    """Robust prediction sets from the number of draws that reach a threshold; the usual choice.

    The score of a calibration point is the one that ``k = ceil(probability * n_draws)`` of its
    draws reach, for its label. The threshold is a low quantile of these scores. A class is in the
    set of a test input if enough of its draws reach the threshold. The number that is enough
    follows from the smoothing, by one binary certificate. The scores need no range.

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
    perturbations : {"all", "each"}, default "all"
        With "all", the exact smoothed probability of the label passes at all points within the
        radius at once with probability 1 - ``threshold.beta_points``. The draws at one of these
        points then leave the label out with probability at most ``threshold.beta_draws``. With
        "each", the set at any single point within the radius holds the label with probability
        `confidence_level` if the point is chosen before its noise is drawn. These sets are smaller,
        but an attacker who may try many points can find one that fails.
    probability : float, default 0.8
        The share of the draws of a calibration point that reach its score, in (0, 1); p in the
        paper. Fix it before you see sets.
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
    Zargarbashi and Bojchevski, "Robust Conformal Prediction with a Single Binary Certificate", ICLR
    2025. The finite number of draws is treated as in docs/conformal.md, which has the proofs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 3, 200)
    >>> scores = rng.normal(size=(200, 100, 3)) + 3 * np.eye(3)[labels][:, None]
    >>> robust = BinCP(sigma=0.5, radius=0.25).calibrate(scores[:100], labels[:100])
    >>> sets = robust.predict_set(scores[100:])
    >>> sets.shape, robust.threshold.votes
    ((100, 3), (80, 42))
    """

    def __init__(
        self,
        *,
        radius: float,
        sigma: float | None = None,
        confidence_level: float = 0.9,
        perturbations: Perturbations = "all",
        probability: float = 0.8,
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
        self._perturbations: Perturbations = checks.choice(
            "perturbations", perturbations, PERTURBATIONS
        )
        self._probability = checks.probability("probability", probability)

    @property
    def perturbations(self) -> Perturbations:
        """Whether the sets cover all perturbations at once ("all") or each one ("each")."""
        return self._perturbations

    @property
    def probability(self) -> float:
        """The share of the draws of a calibration point that reach its score."""
        return self._probability

    def _found(self, draws: ClassDraws, labels: NDArray[np.int64]) -> Threshold:
        rank = rank_of(self._beta, draws.n_inputs)
        psi = self._psi.farther(draws.displacement)
        votes, parts = self._votes(draws.n_draws, rank, draws.n_inputs, psi)
        if votes == 0:
            raise ValueError(self._too_few_draws(draws.n_draws, rank, draws.n_inputs, psi))
        k = self._k(draws.n_draws)
        reached = np.sort(draws.reached(labels, k))
        return Threshold(
            score=float(reached[rank - 1]),
            rank=rank,
            n_points=draws.n_inputs,
            n_draws=draws.n_draws,
            n_classes=draws.n_classes,
            beta_points=parts.points,
            beta_draws=parts.draws,
            votes=(k, votes),
            displacement=draws.displacement,
        )

    def _sets(self, draws: ClassDraws, threshold: Threshold) -> NDArray[np.bool_]:
        assert threshold.votes is not None
        return draws.at_least(threshold.score) >= threshold.votes[1]

    def _k(self, n_draws: int) -> int:
        """Return how many draws of a calibration point reach its score."""
        return math.ceil(Fraction(repr(self.probability)) * n_draws)

    def _votes(self, n_draws: int, rank: int, n_points: int, psi: Shift) -> tuple[int, Split]:
        needed = votes_for_all if self.perturbations == "all" else votes_for_each
        return needed(n_draws, self._k(n_draws), rank, n_points, self._beta, psi)

    def _too_few_draws(self, n_draws: int, rank: int, n_points: int, psi: Shift) -> str:
        enough = n_draws
        while enough <= _MOST_DRAWS and not self._votes(enough, rank, n_points, psi)[0]:
            enough *= 2
        advice = (
            f"{enough} would do" if enough <= _MOST_DRAWS else f"{_MOST_DRAWS} would not do either"
        )
        return (
            f"scores must hold more than n_draws = {n_draws} for radius = {self.radius:g}, because "
            f"every class would be in every set: {advice}; a larger "
            "probability or a smaller radius needs fewer"
        )
