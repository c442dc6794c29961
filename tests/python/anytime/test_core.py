"""The wealth of a question, from the compiled core."""

import numpy as np
import pytest
from scipy.special import expit

from smoothbound import _core

ALPHA = 1e-3


def record_of(scores, guess=10):
    record = _core.DrawRecord(0.0, 1.0, "lower")
    assert record.guess(scores[None, :guess]) == -1
    assert record.add(scores[None, guess:]) == -1
    return record


def test_a_question_that_is_true_is_shown_soon_and_one_that_is_false_is_not():
    scores = expit(4 + 1.5 * np.random.default_rng(0).standard_normal(5000))
    record = record_of(scores)
    assert 10 < _core.EProcess(0.5, 1.0).advance(record, ALPHA) < 150
    assert _core.EProcess(0.9, 2.0).advance(record, ALPHA) == 0


def test_the_wealth_does_not_depend_on_how_the_draws_are_cut():
    scores = np.random.default_rng(1).beta(20, 1, size=3000).astype(np.float32)
    whole = record_of(scores)
    parts = record_of(scores[:100])
    process = _core.EProcess(0.8, 1.0)
    for start in range(100, 3000, 290):
        assert parts.add(scores[None, start : start + 290]) == -1
        process.advance(parts, 1e-300)
    other = _core.EProcess(0.8, 1.0)
    other.advance(whole, 1e-300)
    assert process.log_wealth == other.log_wealth > 0


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
def test_a_bad_score_is_refused_and_nothing_is_taken(bad):
    record = record_of(np.full(50, 0.5))
    assert record.add(np.array([[0.5, bad, 0.5]])) == 1
    assert record.n_draws == 40
