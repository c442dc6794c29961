"""The interval of a share of a few inputs, and a test whether two shares differ."""

from __future__ import annotations

from smoothbound._utils import checks

__all__ = ["differ", "share_interval"]

_LEVEL = 0.05  # of the sign test


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
    """Say whether a two-sided sign test at 5 % finds two pilots different.

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
