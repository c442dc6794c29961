"""The selection of a class ends when it is clear, and where it ends depends on its draws alone."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from smoothbound.sampling._in_flight import CLEAR_LEAD, Selection


def leader(votes: list[int]) -> int:
    """The class with most votes; of several the smallest, as argmax has it."""
    counts = Counter(votes)
    return min(counts, key=lambda label: (-counts[label], label))


def ended(votes: list[int], n0: int, cuts: list[int] | None = None) -> Selection:
    """Feed a selection what it asks for, at most so many draws at a time."""
    selection, pieces = Selection(n0, early=True), iter(cuts or [])
    while not selection.done:
        count = min(selection.n_wanted - selection.n_back, next(pieces, n0))
        assert count > 0
        fed = votes[: selection.n_back + count]
        selection.update(np.array(fed[selection.n_back :]), leader(fed))
    return selection


@given(
    st.lists(st.integers(0, 2), min_size=60, max_size=60),
    st.integers(1, 60),
    st.lists(st.integers(1, 9), max_size=20),
)
def test_it_ends_at_the_first_draw_at_which_the_lead_is_clear(
    votes: list[int], n0: int, cuts: list[int]
) -> None:
    def lead(counts: Counter[int]) -> int:
        most = [count for _, count in counts.most_common(2)]
        return most[0] - (most[1] if len(most) > 1 else 0)

    counted = accumulate(votes, lambda counts, y: counts + Counter([y]), initial=Counter[int]())
    clear = [k for k, counts in enumerate(counted) if k and lead(counts) >= CLEAR_LEAD]
    expected = min([n0, *clear])
    for each in (None, cuts):
        selection = ended(votes, n0, each)
        assert selection.n_back == expected
        assert selection.selected == leader(votes[:expected])


@pytest.mark.parametrize("p", [0.6, 0.7, 0.8, 0.95])
def test_another_class_is_selected_no_more_often_than_a_random_walk_or_all_draws_would(
    p: float,
) -> None:
    rng, repetitions, n0 = np.random.default_rng(0), 2000, 100
    runs = [ended((rng.random(n0) > p).astype(int).tolist(), n0) for _ in range(repetitions)]
    wrong = sum(selection.selected for selection in runs)
    of_all = float(stats.binom.cdf(n0 // 2 - 1, n0, p))
    allowed = ((1 - p) / p) ** CLEAR_LEAD + of_all
    assert wrong <= stats.binom.ppf(1 - 1e-6, repetitions, allowed)
    mean = np.mean([selection.n_back for selection in runs])
    assert mean == pytest.approx(CLEAR_LEAD / (2 * p - 1), rel=0.1) or p < 0.7
    assert mean < 70


def test_a_class_that_other_draws_than_the_votes_select_is_not_clear() -> None:
    # Class 0 is on top in every draw, and class 1 has the larger mean score.
    selection = Selection(100, early=True)
    selection.update(np.zeros(10, int), 1)
    assert (selection.n_wanted, selection.done) == (30, False)  # it trails by 10
    selection.update(np.zeros(20, int), 0)
    assert (selection.n_back, selection.done) == (30, True)


def test_without_an_early_end_all_draws_are_made() -> None:
    selection = Selection(30, early=False)
    assert (selection.n_wanted, selection.done) == (30, False)
    selection.update(np.zeros(30, int), 0)
    assert (selection.n_wanted, selection.done) == (30, True)
