"""Scores of every class in noisy draws, with the interface that the methods need."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.backends._names import Band
from smoothbound.bounds._certify import certify_scores
from smoothbound.conformal._guarantee.shift import Shift
from smoothbound.scores._arrays import as_floats, look_like_logs

__all__ = [
    "CONFORMITY_SCORES",
    "FEWEST_VALUES",
    "ClassDraws",
    "ConformityScore",
    "MeanBound",
    "ScoreDraws",
    "conformity",
]

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

ConformityScore = Literal["lac", "aps"]
CONFORMITY_SCORES: tuple[ConformityScore, ...] = ("lac", "aps")

FEWEST_VALUES = 8  # equal draws with fewer different values may be chance
_COMPARED = 512  # number of scores of the first draws of an input that are compared


@dataclass(frozen=True)
class MeanBound:
    """The setting of bounds on mean scores: how the means may change, their range and the band."""

    psi: Shift
    score_range: tuple[float, float]
    band: Band


class ClassDraws(Protocol):
    """The interface of the draws of some inputs.

    Attributes
    ----------
    n_inputs, n_draws, n_classes : int
    displacement : float
        Largest distance between an input and the point around which its draws were made.
    digests : list of bytes or None
        Digests of the draws of each input; None if the draws are too simple to identify it.
    """

    n_inputs: int
    n_draws: int
    n_classes: int
    displacement: float
    digests: list[bytes | None]

    def reached(self, labels: Ints, k: int) -> Floats:
        """Return the k-th largest score of one class of each input, which `k` draws reach."""

    def at_least(self, score: float) -> Ints:
        """Count the draws that reach a score, shape (n_inputs, n_classes)."""

    def lower_means(self, labels: Ints, alpha: float, ask: MeanBound) -> Floats:
        """Bound the mean score of one class of each input from below, within the radius."""

    def upper_means(self, alpha: float, ask: MeanBound) -> Floats:
        """Bound the mean scores from above, shape (n_inputs, n_classes)."""


class ScoreDraws(ClassDraws):
    """The conformity scores of each class in the draws of each input.

    Parameters
    ----------
    scores : array of floats, shape (n_inputs, n_draws, n_classes)
        The outputs of the model for each class.
    kind : {"lac", "aps"}
        The conformity score that is computed from them; see `conformity`.

    Raises
    ------
    TypeError, ValueError
        If the scores are not finite floats of this shape, with at least two classes.
    """

    def __init__(self, scores: Any, kind: ConformityScore) -> None:
        given = as_floats(scores)
        if given.ndim != 3 or 0 in given.shape or given.shape[2] < 2:
            raise ValueError(
                "scores must have the shape (n_inputs, n_draws, n_classes), with two classes or "
                f"more, got {given.shape}"
            )
        if not np.isfinite(given).all():
            at = np.argwhere(~np.isfinite(given))[0].tolist()
            hint = "the model or the data is at fault"
            if not np.isnan(given[tuple(at)]) and look_like_logs(given):
                hint = "if these are log-probabilities, pass np.exp(scores)"
            raise ValueError(f"scores must be finite, got scores{at} = {given[tuple(at)]}; {hint}")
        _refuse_swapped_axes(given)
        self.n_inputs, self.n_draws, self.n_classes = given.shape
        self.displacement = 0.0
        self.digests = [_digest(block) for block in given]
        self.scores = conformity(given, kind)

    def reached(self, labels: Ints, k: int) -> Floats:
        at = self.n_draws - k
        return np.partition(self._of(labels), at, axis=1)[:, at]

    def at_least(self, score: float) -> Ints:
        reached = self.scores >= self._rounded_up(score)
        return np.asarray(np.count_nonzero(reached, axis=1), np.int64)

    def lower_means(self, labels: Ints, alpha: float, ask: MeanBound) -> Floats:
        self._check_range(ask)
        lower = certify_scores(
            self._of(labels),
            sigma=ask.psi.stated_sigma,
            curve=ask.psi.curve,
            alpha=alpha,
            score_range=ask.score_range,
            radii=[ask.psi.radius],
            band=ask.band,
        ).lower
        assert lower is not None
        return lower[:, 0]

    def upper_means(self, alpha: float, ask: MeanBound) -> Floats:
        """Bound the mean scores from above, by betting, which is tighter than a band."""
        self._check_range(ask)
        upper = certify_scores(
            np.swapaxes(self.scores, 1, 2).reshape(-1, self.n_draws),
            sigma=1.0,  # has no effect at R = 0
            alpha=alpha,
            score_range=ask.score_range,
            bound="mean",
            mean="betting",
            sides="upper",
        ).upper
        assert upper is not None
        return upper.reshape(self.n_inputs, self.n_classes)

    def _check_range(self, ask: MeanBound) -> None:
        a, b = ask.score_range
        outside = (self.scores < a) | (self.scores > b)
        if outside.any():
            at = np.argwhere(outside)[0].tolist()
            raise ValueError(
                f"scores must lie within score_range = ({a}, {b}), got scores{at} = "
                f"{self.scores[tuple(at)]}; pass probabilities, such as those of a softmax "
                "(np.exp(scores) of log-probabilities), or state the range in score_range"
            )

    def _rounded_up(self, score: float) -> np.floating[Any]:
        """Return the smallest number of the type of the scores that is at least `score`.

        NumPy would round `score` to the nearest number.
        """
        with np.errstate(over="ignore"):
            at: np.floating[Any] = self.scores.dtype.type(score)
        if float(at) < score:
            at = np.nextafter(at, self.scores.dtype.type(np.inf))
        return at

    def _of(self, labels: Ints) -> Floats:
        """Return the scores of one class of each input, shape (n_inputs, n_draws)."""
        return self.scores[np.arange(self.n_inputs), :, labels]


def conformity(scores: Floats, kind: ConformityScore) -> Floats:
    """Compute conformity scores, which are large if the class fits the input.

    Parameters
    ----------
    scores : ndarray, shape (..., n_classes)
    kind : {"lac", "aps"}
        "lac" is the scores themselves (Sadinle et al. 2019; also called TPS and THR). "aps" is half
        the probability of the class plus the probabilities of all less likely classes. This is one
        minus the adaptive score of Romano et al. 2020, averaged over its randomisation.

    Raises
    ------
    ValueError
        If `kind` is "aps" and the scores are not probabilities.

    Examples
    --------
    >>> conformity(np.array([0.5, 0.25, 0.25]), "aps").tolist()
    [0.75, 0.125, 0.125]
    """
    if kind == "lac":
        return scores
    _require_probabilities(scores)
    order = np.argsort(scores, axis=-1)
    ascending = np.take_along_axis(scores.astype(np.float64), order, axis=-1)
    below = np.cumsum(ascending, axis=-1) - ascending
    # Classes with the same probability get the sum below the first of them.
    first = np.ones(ascending.shape, dtype=bool)
    first[..., 1:] = ascending[..., 1:] != ascending[..., :-1]
    below = np.maximum.accumulate(np.where(first, below, 0.0), axis=-1)
    found = np.empty_like(below)
    np.put_along_axis(found, order, np.clip(below + ascending / 2, 0.0, 1.0), axis=-1)
    return found


def _refuse_swapped_axes(scores: Floats) -> None:
    """Refuse probabilities of the shape (n_inputs, n_classes, n_draws)."""
    if scores.shape[1] == 1 or _off(scores[:1], 1).any() or not _off(scores, 2).any():
        return
    if not _off(scores, 1).any():
        raise ValueError(
            "scores must have the shape (n_inputs, n_draws, n_classes), and those along the second "
            f"axis of {scores.shape} sum to 1, as those of the classes do; if the last two axes "
            "are swapped, pass np.swapaxes(scores, 1, 2)"
        )


def _off(scores: Floats, axis: int) -> NDArray[np.bool_]:
    """Return where the scores along an axis are not probabilities."""
    sums = scores.sum(axis=axis, dtype=np.float64)
    found = (scores < 0).any(axis=axis) | (np.abs(sums - 1.0) > checks.SUM_TOLERANCE)
    return np.asarray(found, np.bool_)


def _require_probabilities(scores: Floats) -> None:
    sums, off = scores.sum(axis=-1, dtype=np.float64), _off(scores, -1)
    if off.any():
        at = np.argwhere(off)[0].tolist()
        raise ValueError(
            "scores must be probabilities of the classes for conformity_score='aps', such as those "
            f"of a softmax, got scores{at} with the sum {sums[tuple(at)]:g}"
        )


def _digest(block: Floats) -> bytes | None:
    """Return a digest of the draws of an input; None if they are too simple to identify it."""
    first = np.ascontiguousarray(block[: max(_COMPARED // block.shape[1], 1)])
    if np.unique(first).size < FEWEST_VALUES:
        return None
    return blake2b(first.tobytes(), digest_size=16).digest()
