"""Sketches merge exactly, and no draw is counted twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sketches import bits, filled, parts_of_draws

from smoothbound import ScoreSketch


@given(parts_of_draws())
def test_merging_is_associative_and_commutative_bit_for_bit(parts):
    a, b, c = parts
    before = bits(a)
    expected = bits((a + b) + c)
    assert bits(a + (b + c)) == expected
    assert bits((c + a) + b) == expected
    assert bits(b + (c + a)) == expected
    assert bits(a) == before


@given(st.integers(1, 59), st.integers(0, 3))
def test_merged_parts_are_the_whole(cut, inputs_of_one):
    scores = np.random.default_rng(cut).uniform(size=(4, 60))
    whole = ScoreSketch(4, edges=16)
    whole.update(scores)
    one, two = ScoreSketch(4, edges=16), ScoreSketch(4, edges=16)
    one.update(scores[:, :cut])
    two.update(scores[:, cut:], first_draw=cut)
    assert one + two == whole == two + one


def test_draws_with_gaps_are_kept_apart_until_the_gap_is_filled():
    def part(first, n):
        sketch = ScoreSketch()
        sketch.update(np.full((1, n), 0.5), first_draw=first)
        return sketch

    ends = part(0, 10) + part(20, 10)
    assert ends.draws.tolist() == [[0, 0, 10], [0, 20, 30]]
    assert (ends + part(10, 10)).draws.tolist() == [[0, 0, 30]]
    ends.update(np.full((1, 5), 0.5))
    assert ends.draws.tolist() == [[0, 0, 10], [0, 20, 35]]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (lambda: filled(10, edges=100), "4097 and 101 edges"),
        (lambda: filled(10, edges=np.linspace(0, 1, 4097) ** 2), "edge 1 is"),
        (lambda: filled(10, score_range=(-1, 1)), "score ranges differ"),
        (lambda: filled(10, measure="margin"), "measures differ: 'score' and 'margin'"),
        (lambda: filled(10, sigma=0.5), "noise levels sigma differ: None and 0.5"),
        (lambda: filled(10, selected=[-1, 3]), "classes of input 5 differ: None and 3"),
        (lambda: filled(10, noise="gaussian"), "kinds of noise differ: None and 'gaussian'"),
        (lambda: filled(9), "for input 1, the draws 0 to 9 and 9 to 18 overlap"),
    ],
)
def test_merges_that_would_be_wrong_are_refused(other, reason):
    with pytest.raises(ValueError, match=reason):
        filled() + other()


def test_only_sketches_can_be_added():
    with pytest.raises(TypeError):
        filled() + 1
    assert filled() != 1
