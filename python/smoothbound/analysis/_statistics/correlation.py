"""The correlation of two numbers of each input."""

from __future__ import annotations

import numpy as np

from smoothbound._utils import checks
from smoothbound.analysis._statistics.rows import Floats

__all__ = ["FEW", "correlation"]

FEW = 3
"""The smallest number of points for which a correlation is computed."""


def correlation(x: Floats, y: Floats) -> tuple[float, float]:
    """Return Pearson's and Spearman's correlation; NaN for constant or few values.

    Fewer than `FEW` points have no meaningful correlation, because two points always lie on a line.

    Examples
    --------
    >>> pearson, spearman = correlation(np.arange(5.0), np.arange(5.0) ** 3)
    >>> round(pearson, 3), round(spearman, 3)
    (0.906, 1.0)
    """
    from scipy.stats import pearsonr, spearmanr

    x, y = checks.vector("x", x), checks.vector("y", y)
    if len(x) != len(y):
        raise ValueError(f"x and y must be of one length, got {len(x)} and {len(y)}")
    if len(x) < FEW or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan"), float("nan")
    x, y = (side / np.abs(side).max() for side in (x, y))  # sums of large numbers overflow
    return float(pearsonr(x, y).statistic), float(spearmanr(x, y).statistic)
