"""Decimal printing that keeps the direction of a certificate.

A lower bound or a radius is printed rounded down and an upper bound rounded up, from the exact
value of the float, so that a printed certificate is still true: 0.9996 is never shown as 1.000.
A number that the user asked for, such as a radius or a threshold, is printed by `exact`.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks

__all__ = [
    "ceil_decimal",
    "ceil_significant",
    "exact",
    "exact_levels",
    "floor_decimal",
    "floor_significant",
    "floored",
    "percent",
]

_PLACES = 400  # more than the digits of any float before its decimal point


def exact(x: float) -> str:
    """Print `x` with as few digits as give the same float when they are read.

    Two different numbers never print alike. Column names and labels use it for the radii and the
    thresholds that were asked for.

    Examples
    --------
    >>> exact(0.25), exact(2.0), exact(0.1 + 0.2), exact(-0.0), exact(1e-7)
    ('0.25', '2', '0.30000000000000004', '0', '1e-07')
    """
    return repr(checks.number("x", x) + 0.0).removesuffix(".0")  # + 0.0 turns -0 into 0


def exact_levels(symbol: str, usual: float, each: NDArray[np.float64] | None) -> str:
    """Print the noise level of all inputs, or the least and the largest one.

    Examples
    --------
    >>> exact_levels("sigma", 0.25, None), exact_levels("sigma", 0.25, np.array([0.5, 0.25]))
    ('sigma = 0.25', 'sigma from 0.25 to 0.5')
    """
    if each is None or not each.size:
        return f"{symbol} = {exact(usual)}"
    return f"{symbol} from {exact(each.min())} to {exact(each.max())}"


def floor_decimal(x: float, digits: int = 3) -> str:
    """Print `x` rounded down to `digits` decimals.

    Examples
    --------
    >>> floor_decimal(0.9996), floor_decimal(-0.00004), floor_decimal(float("nan"))
    ('0.999', '-0.001', 'nan')
    """
    return _to_decimals(x, digits, ROUND_FLOOR)


def ceil_decimal(x: float, digits: int = 3) -> str:
    """Print `x` rounded up to `digits` decimals.

    Examples
    --------
    >>> ceil_decimal(0.9991), ceil_decimal(-0.00004)
    ('1.000', '0.000')
    """
    return _to_decimals(x, digits, ROUND_CEILING)


def floor_significant(x: float, digits: int = 6) -> str:
    """Print `x` rounded down to `digits` significant digits, for numbers of any size.

    Examples
    --------
    >>> floor_significant(0.0308642), floor_significant(2 / 3, 3), floor_significant(12345.6, 3)
    ('0.0308642', '0.666', '12300')
    """
    return _to_significant(x, digits, ROUND_FLOOR)


def ceil_significant(x: float, digits: int = 6) -> str:
    """Print `x` rounded up to `digits` significant digits, for numbers of any size.

    Examples
    --------
    >>> ceil_significant(2 / 3, 3), ceil_significant(-2 / 3, 3), ceil_significant(1e-9 / 3, 2)
    ('0.667', '-0.666', '3.4e-10')
    """
    return _to_significant(x, digits, ROUND_CEILING)


def floored(x: float, digits: int = 3) -> float:
    """Round `x` down to `digits` decimals.

    Examples
    --------
    >>> floored(0.9996), exact(floored(0.25))
    (0.999, '0.25')
    """
    return float(floor_decimal(x, digits))  # the float nearest to a decimal <= x is <= x too x


def percent(count: int, total: int) -> str:
    """Print a share in percent, rounded down to one decimal.

    Counted in whole numbers: a share that is exact in decimals is not lost to binary rounding.

    Examples
    --------
    >>> percent(177, 500), percent(9999, 10_000)
    ('35.4', '99.9')
    """
    total = checks.count("total", total)
    tenths = 1000 * checks.count("count", count, 0, total) // total
    return f"{tenths // 10}.{tenths % 10}"


def _to_decimals(x: float, digits: int, rounding: str) -> str:
    value = Decimal(checks.number("x", x))
    digits = checks.count("digits", digits, 0, _PLACES)
    if not value.is_finite():
        return str(float(x))
    step = Decimal(1).scaleb(-digits)
    return _text(value.quantize(step, rounding, Context(prec=_PLACES + digits)))


def _to_significant(x: float, digits: int, rounding: str) -> str:
    value = Decimal(checks.number("x", x))
    digits = checks.count("digits", digits, 1, _PLACES)
    if not value.is_finite():
        return str(float(x))
    rounded = Context(prec=digits, rounding=rounding).normalize(value)
    # Plain digits where they are few.
    return _text(rounded) if -5 <= rounded.adjusted() < 16 else f"{rounded:e}"


def _text(value: Decimal) -> str:
    return f"{abs(value) if value.is_zero() else value:f}"
