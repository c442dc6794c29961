"""The class radius of Cohen et al. with bounds on both classes, from the votes of all classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from smoothbound.backends._binomial import clopper_pearson

__all__ = ["radius_of_two", "vote_bounds"]

Floats = NDArray[np.float64]
_ROUNDING = 1e-14  # of a probability and of a quantile; the error of ndtri is about 1e-15


def vote_bounds(
    votes: NDArray[np.int64], n: NDArray[np.int64], alpha: float
) -> tuple[Floats, Floats]:
    """Bound the probability of each class from its votes, with each bound at `alpha`.

    Parameters
    ----------
    votes : ndarray of int64, shape (n_inputs, n_classes)
    n : ndarray of int64, shape (n_inputs,)
        Numbers of draws.

    Returns
    -------
    lower, upper : ndarray of float64, shape (n_inputs, n_classes)
        The one-sided bounds of Clopper and Pearson, rounded outward.
    """
    lower, upper = np.empty(votes.shape), np.empty(votes.shape)
    for i, (own, draws) in enumerate(zip(votes, n.tolist(), strict=True)):
        lower[i] = clopper_pearson(own, draws, alpha)
        upper[i] = np.nextafter(1.0 - clopper_pearson(draws - own, draws, alpha), 2.0)
    return lower, np.minimum(upper, 1.0)


def radius_of_two(
    lower: Floats, upper: Floats, voted: NDArray[np.int64], sigma: float | Floats
) -> Floats:
    """Return sigma / 2 (Phi^-1(p_A) - Phi^-1(p_B)), rounded down; NaN where p_A is not above p_B.

    p_A is the lower bound of the class A. p_B is the smaller one of the largest upper bound of the
    other classes and of 1 - p_A, because the probabilities of all classes sum to 1. Both follow
    from the same bounds.

    Parameters
    ----------
    lower, upper : ndarray, shape (n_inputs, n_classes)
        Bounds on the probabilities of all classes of the model, which hold at once.
    voted : ndarray of int64, shape (n_inputs,)
        The column of A.
    sigma : float or ndarray, shape (n_inputs,)

    Examples
    --------
    >>> lower, upper = np.array([[0.4, 0.2, 0.1]]), np.array([[0.5, 0.3, 0.2]])
    >>> radius_of_two(lower, upper, np.array([0]), sigma=1.0).round(3)
    array([0.136])
    """
    rows = np.arange(len(lower))
    p_a = lower[rows, voted]
    others = upper.copy()
    others[rows, voted] = 0.0
    p_b = np.minimum(others.max(axis=1), np.nextafter(1.0 - p_a, 2.0))
    with np.errstate(invalid="ignore"):
        high, low = ndtri(p_a * (1.0 - _ROUNDING)), ndtri(np.minimum(p_b * (1.0 + _ROUNDING), 1.0))
        gap = high - low - _ROUNDING * (2.0 + np.abs(high) + np.abs(low))
        radius = np.nextafter(sigma / 2.0 * gap * (1.0 - _ROUNDING), -np.inf)
    return np.where((p_a > p_b) & (gap > 0.0), np.maximum(radius, 0.0), np.nan)
