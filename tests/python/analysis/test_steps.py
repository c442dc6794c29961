"""Steps count numbers exactly while they are few, and never too many when they are many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smoothbound.analysis._statistics.steps import Steps

NUMBERS = st.lists(st.floats(-1, 1), max_size=60)


def steps_of(values: list[float], most: int, size: int) -> Steps:
    steps = Steps(most)
    for start in range(0, len(values), size):
        steps.add(np.array(values[start : start + size]))
    return steps


@settings(max_examples=200, deadline=None)
@given(values=NUMBERS, size=st.integers(1, 20))
def test_few_values_are_counted_exactly(values: list[float], size: int) -> None:
    steps = steps_of(values, 60, size)
    assert steps.values.tolist() == sorted(set(values))
    assert steps.total == len(values)
    assert steps.at_least.tolist() == [sum(y >= x for y in values) for x in sorted(set(values))]
    assert steps.above.tolist() == [sum(y > x for y in values) for x in sorted(set(values))]


@settings(max_examples=300, deadline=None)
@given(values=NUMBERS, size=st.integers(1, 20), most=st.integers(1, 8))
def test_many_values_are_never_counted_too_high(values: list[float], size: int, most: int) -> None:
    steps = steps_of(values, most, size)
    assert len(steps.values) <= 2 * most
    assert set(steps.values) <= set(values)
    assert steps.total == len(values)
    for value, at_least, above in zip(steps.values, steps.at_least, steps.above, strict=True):
        assert at_least <= sum(y >= value for y in values)
        assert above <= sum(y > value for y in values)


def test_many_values_are_counted_closely() -> None:
    values = np.random.default_rng(0).beta(3, 1, 200_000)
    steps = Steps(2000)
    for part in np.array_split(values, 37):
        steps.add(part)
    exact = np.array([np.count_nonzero(values >= value) for value in steps.values])
    assert 2000 <= len(steps.values) <= 4000
    assert (exact - steps.at_least <= 0.01 * len(values)).all()


def test_steps_may_be_read_and_go_on() -> None:
    steps = Steps()
    assert (steps.values.tolist(), steps.at_least.tolist(), steps.total) == ([], [], 0)
    for k in range(3):
        steps.add(np.array([0.5, float(k)]))
        assert steps.total == 2 * (k + 1)
        assert steps.at_least[0] == 2 * (k + 1)
    assert steps.values == pytest.approx([0.0, 0.5, 1.0, 2.0])
