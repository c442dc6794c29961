"""The interval of a share of inputs, if they are a sample of many more."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.rounding import ceil_decimal, floor_decimal
from smoothbound._utils import checks

__all__ = ["CONFIDENCE", "interval_ends", "interval_of", "product"]

CONFIDENCE = 0.95
"""How often the interval holds the share of the whole population, at least."""


def interval_of(counts: ArrayLike, total: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two-sided interval of Clopper and Pearson (1934) of a share, from 0 to 1.

    Parameters
    ----------
    counts : array_like of int
        How many inputs have a property, from 0 to `total`.
    total : int
        Number of inputs, drawn independently of each other.

    Returns
    -------
    low, high : ndarray of float64
        The ends, of the shape of `counts`. Each fails with probability at most
        (1 - CONFIDENCE) / 2.

    Examples
    --------
    >>> low, high = interval_of([0, 177, 500], 500)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.312, 0.993], [0.007, 0.398, 1.0])
    """
    from scipy.special import betaincinv

    k, n = np.asarray(counts, np.float64), checks.count("total", total)
    tail = (1.0 - CONFIDENCE) / 2.0
    some, rest = np.maximum(k, 1.0), np.maximum(n - k, 1.0)
    low = np.where(k > 0, betaincinv(some, n - some + 1.0, tail), 0.0)
    high = np.where(k < n, betaincinv(n - rest + 1.0, rest, 1.0 - tail), 1.0)
    return low, high


def interval_ends(count: int, total: int) -> tuple[str, str]:
    """Print both ends of the interval in percent, rounded outward to one decimal.

    Examples
    --------
    >>> interval_ends(177, 500), interval_ends(0, 500)
    (('31.2', '39.8'), ('0.0', '0.8'))
    """
    low, high = interval_of(checks.count("count", count, 0, total), total)
    return floor_decimal(100.0 * float(low), 1), ceil_decimal(100.0 * float(high), 1)


def product(count: int, alpha: float) -> str:
    """Print the product of a count and a float in all its decimals.

    Examples
    --------
    >>> product(500, 0.001), product(3, 0.1)
    ('0.5', '0.3')
    """
    exact = Decimal(repr(checks.number("alpha", alpha))) * checks.count("count", count, 0)
    return f"{float(exact):.6g}" if exact < Decimal("1e-4") else f"{exact.normalize():f}"
