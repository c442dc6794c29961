"""Chernoff's bound on a probability of success, for levels at which SciPy loses its digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, xlogy

__all__ = ["LEAST_LEVEL", "chernoff_lower"]

Vector = NDArray[np.float64]

LEAST_LEVEL = 1e-200  # scipy.special.betaincinv is wrong by many orders from 1e-245 downwards
_LEAST_LOGIT, _MOST_LOGIT = -800.0, 40.0  # beyond them p underflows, or 1 - p is lost beside 1
_STEPS = 64  # halve the interval until it is below the resolution of floats


def chernoff_lower(k: NDArray[Any], n: int, level: float) -> tuple[Vector, Vector]:
    """Bound from below the p at which `k` or more of `n` draws succeed with probability `level`.

    That probability is at most exp(-n KL(k/n || p)) for p < k/n (Chernoff 1952). The bound is the p
    at which this is `level`. It is exact for k = n.

    Parameters
    ----------
    k : ndarray of int or float
        Whole numbers, each from 1 to `n`.
    n : int
        Number of draws.
    level : float
        Probability, in (0, 1).

    Returns
    -------
    p, q : ndarray of float64
        A lower bound on p, and 1 - p, each to 1e-12 of itself.

    Examples
    --------
    >>> p, q = chernoff_lower(np.array([90, 100]), 100, 1e-250)
    >>> p.round(6), (p + q).tolist()
    (array([0.001163, 0.003162]), [1.0, 1.0])
    """
    misses = n - k
    entropy = -xlogy(k, k / n) - xlogy(misses, misses / n)
    # The sum of three rounded terms errs by a few units of the entropy and of log(level).
    goal = math.log(level) - 1e-14 * (entropy + 1000.0)
    low = np.full(k.shape, _LEAST_LOGIT)
    high = np.minimum(logit(k / n), _MOST_LOGIT)
    for _ in range(_STEPS):
        z = 0.5 * (low + high)
        log_tail = entropy - k * np.logaddexp(0.0, -z) - misses * np.logaddexp(0.0, z)
        low, high = np.where(log_tail < goal, z, low), np.where(log_tail < goal, high, z)
    return expit(low), expit(-low)
