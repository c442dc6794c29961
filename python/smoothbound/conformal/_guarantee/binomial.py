"""Tails of binomial counts, rounded to a stated side."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc

__all__ = ["below_at_least", "below_at_most"]

# The relative error of scipy.special.betaincc is about 1e-13, and larger for tiny results.
_RELATIVE, _ABSOLUTE = 1e-9, 1e-200


def below_at_most(k: int, n: int, p: ArrayLike) -> NDArray[np.float64]:
    """Return P(Bin(n, p) < k), rounded up, elementwise.

    Parameters
    ----------
    k : int
        Number of successes, from 0 to `n`.
    n : int
        Number of draws, at least 1.
    p : array_like
        Probabilities of success, in [0, 1].

    Examples
    --------
    >>> round(float(below_at_most(1, 2, 0.5)), 6)
    0.25
    """
    exact = _below(k, n, p)
    return np.asarray(np.minimum(exact * (1.0 + _RELATIVE) + _ABSOLUTE, 1.0) if k else exact)


def below_at_least(k: int, n: int, p: ArrayLike) -> NDArray[np.float64]:
    """Return P(Bin(n, p) < k), rounded down, elementwise; the arguments are as above.

    Examples
    --------
    >>> round(float(below_at_least(2, 2, 0.5)), 6)
    0.75
    """
    return np.asarray(np.maximum(_below(k, n, p) * (1.0 - _RELATIVE) - _ABSOLUTE, 0.0))


def _below(k: int, n: int, p: ArrayLike) -> NDArray[np.float64]:
    at = np.asarray(p, dtype=np.float64)
    return betaincc(k, n - k + 1, at) if k else np.zeros_like(at)
