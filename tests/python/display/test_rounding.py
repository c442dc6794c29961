"""Printed certificates stay true."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import smoothbound as sb
from smoothbound._display.rounding import (
    ceil_decimal,
    ceil_significant,
    exact,
    floor_decimal,
    floor_significant,
    floored,
)

numbers = st.floats(-1e6, 1e6)
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(numbers, st.integers(0, 12))
def test_direction_and_distance(x, digits):
    low, high = Decimal(floor_decimal(x, digits)), Decimal(ceil_decimal(x, digits))
    step = Decimal(1).scaleb(-digits)
    assert low <= Decimal(x) <= high
    assert high - low in (0, step)


def test_never_prints_minus_zero():
    assert floor_decimal(-0.0) == ceil_decimal(-1e-9) == "0.000"


@given(finite, st.integers(0, 20))
def test_every_finite_number_prints_to_its_safe_side(x, digits):
    assert Decimal(floor_decimal(x, digits)) <= Decimal(x) <= Decimal(ceil_decimal(x, digits))
    assert floored(x, digits) <= x


@given(finite, st.integers(1, 28))
def test_significant_digits_go_to_the_safe_side_too(x, digits):
    low, high = Decimal(floor_significant(x, digits)), Decimal(ceil_significant(x, digits))
    assert low <= Decimal(x) <= high
    for rounded in (low, high):
        assert len(rounded.normalize().as_tuple().digits) <= digits
    step = Decimal(1).scaleb(Decimal(x).adjusted() - digits + 1)
    assert high - low <= step


@given(finite, finite)
def test_exact_numbers_round_trip_and_never_share_a_name(x, y):
    assert float(exact(x)) == x
    assert (exact(x) == exact(y)) == (x == y)
    assert not exact(x).endswith(".0")


def test_messages_hold_every_digit_of_a_threshold():
    threshold = 0.4999999999
    with pytest.raises(ValueError, match=f"above the threshold {threshold} at alpha"):
        sb.certify_scores(np.full((1, 5), 0.5), sigma=1.0, thresholds=[threshold])
    repeated = repr(sb.ScoreSketch(1, score_range=(0.0, 1.0000001)))
    assert "[0, 1.0000001]" in repeated


def test_the_reason_for_abstaining_holds_every_digit_of_the_cut_off():
    one_input = pytest.importorskip("smoothbound.smoothing._one_input.result", exc_type=ImportError)
    assert one_input.abstention(1, 0.4999, 0.4999999999) == (
        "the certified confidence of class 1 at R = 0 is 0.499, not above the cut-off 0.4999999999"
    )
