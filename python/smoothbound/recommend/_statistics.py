"""Intervals of shares, means and medians of a few inputs, and a test for a difference of shares."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks

__all__ = ["Estimate", "differ", "mean_of", "median_of", "share_interval"]

Floats = NDArray[np.float64]

_LEVEL = 0.05  # of the sign test, and the probability outside an interval
_TIMES = 4000  # number of random weights for an interval


class Estimate(NamedTuple):
    """An estimate from a few inputs, with its 95 % interval.

    Attributes
    ----------
    value, low, high : float
    """

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Estimate:
        """Return the estimate of a multiple, such as a thousand times the mean."""
        return Estimate(*(factor * number for number in self))


def share_interval(count: int, total: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of the share of `count` among `total` inputs.

    Examples
    --------
    >>> [round(end, 3) for end in share_interval(31, 50)]
    [0.482, 0.741]
    """
    from scipy.stats import binomtest

    total = checks.count("total", total, maximum=2**53)
    count = checks.count("count", count, 0, total)
    low, high = binomtest(count, total).proportion_ci(0.95, method="wilson")
    return float(low), float(high)


def differ(lost: int, won: int) -> bool:
    """Return whether a two-sided sign test at 5 % finds two pilots different.

    Parameters
    ----------
    lost, won : int
        Inputs that only the first one certifies, and inputs that only the second one certifies.

    Examples
    --------
    >>> differ(5, 0), differ(6, 0), differ(0, 0)
    (False, True, False)
    """
    from scipy.stats import binomtest

    lost, won = checks.count("lost", lost, 0), checks.count("won", won, 0)
    return lost + won > 0 and bool(binomtest(lost, lost + won).pvalue < _LEVEL)


def mean_of(values: Floats, value_range: tuple[float, float]) -> Estimate:
    """Estimate the mean over all inputs from a random sample of a few.

    The interval is that of Learned-Miller and Thomas (2019, arXiv 1905.06208): the inputs have
    random weights, and one more input has the smallest or the largest possible value. It therefore
    allows for values that no sampled input has. For values of 0 and 1 it is the interval of Clopper
    and Pearson.

    Parameters
    ----------
    values : ndarray of float64, shape (n_inputs, n_runs)
        Equally likely values of each input. Each set of weights uses one value of each input.
    value_range : (float, float)
        The smallest and the largest possible value of an input.

    Examples
    --------
    >>> values = np.repeat([0.0, 1.0], [4, 6])[:, None]
    >>> [round(number, 1) for number in mean_of(values, (0.0, 1.0))]
    [0.6, 0.3, 0.9]
    """
    picked, weights = _made_up(values)
    means, extra = (picked * weights[:, :-1]).sum(axis=1), weights[:, -1]
    low, high = (np.clip(means + extra * end, *value_range) for end in value_range)
    return Estimate(float(values.mean()), *_interval(low, high))


def median_of(values: Floats, value_range: tuple[float, float]) -> Estimate:
    """Estimate the median over all inputs; see `mean_of`.

    Examples
    --------
    >>> median_of(np.arange(101.0)[:, None], (0.0, 100.0)).value
    50.0
    """
    picked, weights = _made_up(values)
    low, high = (_medians(picked, weights, end) for end in value_range)
    return Estimate(float(np.median(values)), *_interval(low, high))


def _made_up(values: Floats) -> tuple[Floats, Floats]:
    """Return random values, shape (_TIMES, n_inputs), and weights for these and one more input."""
    generator = np.random.default_rng(0)
    n_inputs, n_runs = values.shape
    run = generator.integers(n_runs, size=(_TIMES, n_inputs))
    weights = generator.standard_exponential((_TIMES, n_inputs + 1))
    return values[np.arange(n_inputs), run], weights / weights.sum(axis=1, keepdims=True)


def _medians(picked: Floats, weights: Floats, extra: float) -> Floats:
    """Return the weighted median of each row and one more value."""
    whole = np.column_stack([picked, np.full(len(picked), extra)])
    order = whole.argsort(axis=1)
    below_half = np.take_along_axis(weights, order, axis=1).cumsum(axis=1) < 0.5
    middle = np.take_along_axis(order, below_half.sum(axis=1)[:, None], axis=1)
    return np.take_along_axis(whole, middle, axis=1)[:, 0]


def _interval(low: Floats, high: Floats) -> tuple[float, float]:
    return float(np.quantile(low, _LEVEL / 2)), float(np.quantile(high, 1.0 - _LEVEL / 2))
