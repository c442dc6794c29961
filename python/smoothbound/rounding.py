"""Decimal printing that keeps the direction of a certificate.

A lower bound or a radius is printed rounded down and an upper bound rounded up, from the exact
value of the float, so that a printed certificate is still true: 0.9996 is never shown as 1.000.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

__all__ = ["ceil_decimal", "floor_decimal", "floored"]


def _quantize(x: float, digits: int, rounding: str) -> str:
    value = Decimal(float(x))
    if not value.is_finite():
        return str(float(x))
    rounded = value.quantize(Decimal(1).scaleb(-digits), rounding=rounding)
    return str(abs(rounded)) if rounded.is_zero() else str(rounded)


def floor_decimal(x: float, digits: int = 3) -> str:
    """Print `x` rounded down to `digits` decimals.

    Examples
    --------
    >>> floor_decimal(0.9996), floor_decimal(-0.00004), floor_decimal(float("nan"))
    ('0.999', '-0.001', 'nan')
    """
    return _quantize(x, digits, ROUND_FLOOR)


def ceil_decimal(x: float, digits: int = 3) -> str:
    """Print `x` rounded up to `digits` decimals.

    Examples
    --------
    >>> ceil_decimal(0.9991), ceil_decimal(-0.00004)
    ('1.000', '0.000')
    """
    return _quantize(x, digits, ROUND_CEILING)


def floored(x: float, digits: int = 3) -> float:
    """Round `x` down to `digits` decimals.

    Examples
    --------
    >>> floored(0.9996), f"{floored(0.25):g}"
    (0.999, '0.25')
    """
    return float(floor_decimal(x, digits))
