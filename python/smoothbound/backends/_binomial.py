"""The lower bound of Clopper and Pearson on a probability, rounded down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv

from smoothbound.backends._chernoff import LEAST_LEVEL, chernoff_lower

__all__ = ["clopper_pearson"]

_SLACK = 1e-9  # relative, of alpha; the incomplete beta function errs by about 1e-13


def clopper_pearson(k: NDArray[np.integer[Any]], n: int, alpha: float) -> NDArray[np.float64]:
    """Return the p at which `k` or more of `n` draws succeed with probability `alpha`.

    Arguments are not checked. For `alpha` below 1e-200 it is Chernoff's bound, a little lower.

    Examples
    --------
    >>> clopper_pearson(np.array([0, 1, 100]), 100, alpha=0.001).round(4)
    array([0.    , 0.    , 0.9333])
    """
    some = np.maximum(k, 1).astype(np.float64)  # 0 is handled last, because the quantile needs 1
    if alpha < LEAST_LEVEL:
        p, _ = chernoff_lower(some, n, alpha)
        return np.where(k == 0, 0.0, p * (1.0 - 1e-12))
    rest = n - some + 1.0
    bound = betaincinv(some, rest, alpha * (1.0 - _SLACK))
    step = 1e-13
    while (high := betainc(some, rest, bound) > alpha * (1.0 - _SLACK / 2)).any():
        bound = np.where(high, bound * (1.0 - step), bound)
        step *= 2.0
    # betaincinv returns NaN if it fails.
    return np.where((k == 0) | np.isnan(bound), 0.0, bound)
