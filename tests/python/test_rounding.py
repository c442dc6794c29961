"""Printed certificates stay true."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from smoothbound.rounding import ceil_decimal, floor_decimal

numbers = st.floats(-1e6, 1e6)


@given(numbers, st.integers(0, 12))
def test_direction_and_distance(x, digits):
    low, high = Decimal(floor_decimal(x, digits)), Decimal(ceil_decimal(x, digits))
    step = Decimal(1).scaleb(-digits)
    assert low <= Decimal(x) <= high
    assert high - low in (0, step)


def test_never_prints_minus_zero():
    assert floor_decimal(-0.0) == ceil_decimal(-1e-9) == "0.000"
