"""Brier score and expected calibration error under attack, from certified confidence.

Lower and upper certified confidence bound the smoothed score of a class within the radius. This
module derives bounds on the agreement of confidence and correctness over a whole data set, for
every perturbation of the inputs within the radius. docs/calibration.md has the proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks
from smoothbound.analysis._statistics.extremes import (
    brier_range,
    ece_range,
    ece_range_of_predicted,
)

__all__ = [
    "Calibration",
    "brier",
    "certified",
    "certified_classes",
    "classwise",
    "each_class",
    "ece",
    "mean_of_classes",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_MOST_BINS = 30  # because 2^(n_bins / 2) vectors of signs are tried
_MOST_BINS_OF_CLASSES = 15  # because 2^n_bins are tried


@dataclass(frozen=True, eq=False)
class Calibration:
    """Bounds on calibration under attack, one for each radius.

    Parameters
    ----------
    brier_lower, brier_upper : ndarray, shape (n_radii,)
        The smallest and the largest Brier score of the predicted class that the intervals allow,
        in [0, 1].
    ece_lower, ece_upper : ndarray, shape (n_radii,)
        Bounds on the expected calibration error, in [0, 1]. The upper bound is the largest error
        that the intervals allow, if a confidence on the edge of two bins may count in either. The
        lower bound may be below the smallest error that they allow.
    """

    brier_lower: Floats
    brier_upper: Floats
    ece_lower: Floats
    ece_upper: Floats


def certified(
    lower: ArrayLike, upper: ArrayLike, right: ArrayLike, *, n_bins: int = 10
) -> Calibration:
    """Bound the Brier score and the expected calibration error under any attack.

    Parameters
    ----------
    lower, upper : array_like, shape (n_inputs, n_radii)
        Certified confidence, in [0, 1], `lower` <= `upper`. Within each radius, the smoothed score
        of the class predicted for the input lies between them, and the scores of all classes sum to
        1. Pass 0 and 1 if nothing is known, such as for an input without a prediction.
    right : array_like of bool, shape (n_inputs,)
        Whether the class of `lower` and `upper` is the label.
    n_bins : int, default 10
        Number of bins of equal width for the calibration error, at most 30. In the worst case two
        more bins double the time.

    Returns
    -------
    Calibration
        The bounds, rounded outward. They hold if all intervals hold, which has probability at least
        1 - n_inputs * alpha if each interval has the level alpha.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, or is out of range.

    Examples
    --------
    The first input keeps its class, because 0.6 > 1/2; the second one may lose it.

    >>> bounds = certified([[0.6], [0.4]], [[0.9], [0.8]], [True, True])
    >>> bounds.brier_lower.round(3), bounds.brier_upper.round(3)
    (array([0.025]), array([0.26]))
    >>> bounds.ece_lower.round(3), bounds.ece_upper.round(3)
    (array([0.]), array([0.5]))
    """
    lower, upper = _unit("lower", lower, 2), _unit("upper", upper, 2)
    right, n_bins = _right(right, len(lower)), _n_bins(n_bins)
    if lower.shape != upper.shape:
        raise ValueError(
            f"lower and upper must have the same shape, got {lower.shape} and {upper.shape}"
        )
    if (crossed := lower > upper).any():
        i, j = np.argwhere(crossed)[0].tolist()
        raise ValueError(
            f"lower must not exceed upper, got lower[{i}, {j}] = {lower[i, j]} "
            f"and upper[{i}, {j}] = {upper[i, j]}"
        )
    columns = []
    for low, high in zip(lower.T, upper.T, strict=True):
        reach = _highest(low, high, right)
        columns.append((*brier_range(low, *reach), *ece_range_of_predicted(low, *reach, n_bins)))
    return Calibration(*np.array(columns).T)


def certified_classes(
    lower: ArrayLike, upper: ArrayLike, labels: ArrayLike, *, n_bins: int = 10
) -> Calibration:
    """Bound calibration under any attack from the intervals of all classes.

    The class with the largest smoothed score is the prediction. Its score is at least the largest
    lower bound of all classes, and at most its own upper bound. A class whose upper bound is below
    that lower bound cannot be the prediction. The bounds are therefore tighter than those of
    `certified`, especially if no class is certain to have more than 1/2.

    Parameters
    ----------
    lower, upper : array_like, shape (n_inputs, n_classes, n_radii)
        Certified scores of all classes of the model, in [0, 1], which hold at once, such as those
        of `smoothbound.ClassCertificate`. Pass 0 and 1 if nothing is known.
    labels : array_like of int, shape (n_inputs,)
        The label of each input, as a column of `lower`. ``ClassCertificate.columns`` returns these
        columns, which are in the order in which the classes were counted.
    n_bins : int, default 10
        As for `certified`, at most 15.

    Returns
    -------
    Calibration
        The bounds, rounded outward. They hold if all intervals hold, which has probability at least
        1 - n_inputs * alpha if the intervals of each input hold at once at alpha.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, or is out of range.

    Examples
    --------
    Neither class of the second input is certain to be above 1/2, but the first stays the
    prediction.

    >>> lower = [[[0.6], [0.1]], [[0.45], [0.2]]]
    >>> upper = [[[0.9], [0.4]], [[0.5], [0.4]]]
    >>> bounds = certified_classes(lower, upper, [0, 0])
    >>> bounds.brier_lower.round(3), bounds.brier_upper.round(3)
    (array([0.13]), array([0.231]))
    """
    low, high, own, bins = _all_classes(lower, upper, labels, n_bins)
    columns = []
    for r in range(low.shape[2]):
        least = low[:, :, r].max(axis=1)
        right = np.where(own, high[:, :, r], -np.inf).max(axis=1)
        wrong = np.where(own, -np.inf, high[:, :, r]).max(axis=1)
        wrong, right = (np.where(most >= least, most, -np.inf) for most in (wrong, right))
        reach = least, wrong, right
        columns.append((*brier_range(*reach), *ece_range(*reach, bins)))
    return Calibration(*np.array(columns).T)


def classwise(
    lower: ArrayLike, upper: ArrayLike, labels: ArrayLike, *, n_bins: int = 10
) -> Calibration:
    """Bound the calibration of the scores of all classes under any attack, class by class.

    For each class the confidence is its smoothed score, and it is right if the class is the label,
    whatever the prediction is. The Brier score is the mean over the inputs of the sum over the
    classes of (score - right)^2. The calibration error is the mean over the classes of their
    calibration errors: the classwise ECE of Kull et al. 2019.

    Parameters
    ----------
    lower, upper, labels, n_bins
        As for `certified_classes`. The scores of some classes of a model are allowed too. A label
        that is not among them is -1.

    Returns
    -------
    Calibration
        The bounds, rounded outward. They hold with the probability of those of `certified_classes`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, or is out of range.

    References
    ----------
    Kull, Perello Nieto, Kaengsepp, Silva Filho, Song, Flach, "Beyond temperature scaling",
    NeurIPS 2019.

    Examples
    --------
    >>> bounds = classwise([[[0.6], [0.1]]], [[[0.9], [0.4]]], [0])
    >>> bounds.brier_lower.round(3), bounds.brier_upper.round(3), bounds.ece_upper.round(3)
    (array([0.02]), array([0.32]), array([0.4]))
    """
    return mean_of_classes(each_class(lower, upper, labels, n_bins=n_bins))


def each_class(
    lower: ArrayLike, upper: ArrayLike, labels: ArrayLike, *, n_bins: int = 10
) -> Calibration:
    """Bound the calibration of each class separately; `classwise` combines the bounds.

    Parameters
    ----------
    lower, upper, labels, n_bins
        As for `classwise`.

    Returns
    -------
    Calibration
        Arrays of shape (n_classes, n_radii). The bounds on all classes hold at once, like those of
        `classwise`, so a class may be chosen after a look at them.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, or is out of range.

    Examples
    --------
    >>> each_class([[[0.6], [0.1]]], [[[0.9], [0.4]]], [0]).ece_upper.round(3).tolist()
    [[0.4], [0.4]]
    """
    low, high, own, bins = _all_classes(lower, upper, labels, n_bins)
    n_classes, n_radii = low.shape[1:]
    found = np.empty((4, n_classes, n_radii))
    for k in range(n_classes):
        for r in range(n_radii):
            most = high[:, k, r]
            wrong, right = (np.where(own[:, k] == is_right, most, -np.inf) for is_right in (0, 1))
            reach = low[:, k, r], wrong, right
            found[:, k, r] = *brier_range(*reach), *ece_range(*reach, bins)
    return Calibration(*found)


def mean_of_classes(each: Calibration) -> Calibration:
    """Return the bounds of `classwise` from those of `each_class`.

    Parameters
    ----------
    each : Calibration
        Arrays of shape (n_classes, n_radii).

    Returns
    -------
    Calibration
        The sum of the Brier scores and the mean of the calibration errors over the classes,
        rounded outward, shape (n_radii,).
    """
    n_classes = len(each.brier_lower)
    # The error of a sum of n_classes terms of size up to 1 is less than n_classes^2 2^-53.
    margin = n_classes**2 * 2.0**-52
    low = [np.maximum(x.sum(axis=0) - margin, 0.0) for x in (each.brier_lower, each.ece_lower)]
    high = [x.sum(axis=0) + margin for x in (each.brier_upper, each.ece_upper)]
    return Calibration(
        low[0],
        np.minimum(high[0], n_classes),
        low[1] / n_classes * (1.0 - 2.0**-52),
        np.minimum(high[1] / n_classes * (1.0 + 2.0**-52), 1.0),
    )


def brier(confidence: ArrayLike, right: ArrayLike) -> float:
    """Return the Brier score of the predicted class, the mean of (confidence - right)^2.

    Parameters
    ----------
    confidence : array_like, shape (n_inputs,)
        Confidence in the predicted class, in [0, 1].
    right : array_like of bool, shape (n_inputs,)
        Whether the predicted class is the label.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, or is out of range.

    Examples
    --------
    >>> round(brier([0.9, 0.7], [True, False]), 3)
    0.25
    """
    confidence = _unit("confidence", confidence, 1)
    return float(np.mean((confidence - _right(right, len(confidence))) ** 2))


def ece(confidence: ArrayLike, right: ArrayLike, n_bins: int = 10) -> float:
    """Return the expected calibration error with bins of equal width.

    It is the sum over the bins of abs(sum of (right - confidence) in the bin), divided by the
    number of inputs.
    Bin k is ((k - 1) / n_bins, k / n_bins], and 0 is in the first bin (Guo et al. 2017).

    Parameters
    ----------
    confidence, right
        As for `brier`, which also has the same errors.
    n_bins : int, default 10
        Number of bins.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> round(ece([0.95, 0.93, 0.7], [True, True, False]), 3)
    0.273
    """
    confidence, n_bins = _unit("confidence", confidence, 1), checks.count("n_bins", n_bins)
    gap = _right(right, len(confidence)) - confidence
    inner = np.arange(1, n_bins) / n_bins
    return float(np.abs(np.bincount(np.searchsorted(inner, confidence), gap)).sum() / len(gap))


def _unit(name: str, values: ArrayLike, n_dims: int) -> Floats:
    """Return `values` as a float64 array after checks that they are numbers in [0, 1]."""
    raw = checks.array(name, values)
    if raw.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be numbers, got {raw.dtype}")
    shape = ("(n_inputs,)", "(n_inputs, n_radii)", "(n_inputs, n_classes, n_radii)")[n_dims - 1]
    if raw.ndim != n_dims or not raw.size:
        raise ValueError(f"{name} needs shape {shape}, none of them 0, got {raw.shape}")
    array = raw.astype(np.float64)
    if (outside := ~((array >= 0.0) & (array <= 1.0))).any():  # NaN compares False
        at = np.argwhere(outside)[0].tolist()
        raise ValueError(
            f"{name} must lie in [0, 1], got {name}{at} = {array[tuple(at)]} "
            "(where nothing is certified: lower = 0, upper = 1)"
        )
    return array


def _all_classes(
    lower: ArrayLike, upper: ArrayLike, labels: ArrayLike, n_bins: int
) -> tuple[Floats, Floats, Bools, int]:
    """Return the checked bounds of all classes, which classes are the labels, and the bins."""
    low, high = _unit("lower", lower, 3), _unit("upper", upper, 3)
    if low.shape != high.shape or (low > high).any():
        raise ValueError(
            f"lower must not exceed upper, and must have its shape; got {low.shape} and "
            f"{high.shape}"
        )
    classes = checks.array("labels", labels)
    n_inputs, n_classes = low.shape[:2]
    if classes.shape != (n_inputs,) or classes.dtype.kind not in "iu":
        raise TypeError(
            f"labels must be a whole number for each of {n_inputs} inputs, got "
            f"{checks.shown(labels)}"
        )
    if ((classes < -1) | (classes >= n_classes)).any():
        raise ValueError(
            f"labels must be columns of lower, from 0 to {n_classes - 1}, or -1; got "
            f"{checks.shown(labels)}"
        )
    bins = checks.count("n_bins", n_bins, 1, _MOST_BINS_OF_CLASSES)
    return low, high, classes[:, None] == np.arange(n_classes), bins


def _right(right: ArrayLike, n: int) -> Bools:
    """Return `right` as an array after checks that it holds `n` booleans."""
    array = checks.array("right", right)
    if array.dtype != np.bool_:
        raise TypeError(f"right must be booleans, such as predicted == label, got {array.dtype}")
    if array.shape != (n,):
        raise ValueError(f"right needs one boolean for each of {n} inputs, got {array.shape}")
    return array


def _n_bins(n_bins: int) -> int:
    n_bins = checks.count("n_bins", n_bins)
    if n_bins > _MOST_BINS:
        raise ValueError(f"n_bins must be at most {_MOST_BINS}, got {n_bins}")
    return n_bins


def _highest(lower: Floats, upper: Floats, right: Bools) -> tuple[Floats, Floats]:
    """Return the highest confidence in a wrong class and in the right class; -inf if impossible.

    The lowest confidence is `lower` in both cases.
    """
    other = np.where(lower <= 0.5, 1.0 - lower, -np.inf)
    wrong = np.where(right, other, np.maximum(upper, other))
    return wrong, np.where(right, upper, other)
