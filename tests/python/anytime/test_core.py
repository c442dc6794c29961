"""The wealth of a question, from the compiled core."""

import numpy as np
import pytest
from scipy.special import expit, ndtr, ndtri

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


def masses_by_definition(scores):
    """Share the mass of each score between its neighbours, in 512ths."""
    knots = _core.anytime_knots
    masses = np.zeros(len(knots), np.uint64)
    for x in scores:
        lower = min(np.searchsorted(knots, x, side="right") - 1, len(knots) - 2)
        beyond = int((x * (1 - 2**-50) - knots[lower]) / np.diff(knots)[lower] * 512)
        beyond = 512 if x == 1.0 else beyond
        masses[lower] += np.uint64(512 - beyond)
        masses[lower + 1] += np.uint64(beyond)
    return masses


def test_the_masses_of_a_record_can_be_read():
    scores = np.random.default_rng(2).beta(8, 1, size=1000)
    scores[::17] = 1.0
    record = record_of(scores)
    assert (record.a, record.b, record.side) == (0.0, 1.0, "lower")
    assert record.guessed.tolist() == masses_by_definition(scores[:10]).tolist()
    assert record.between_looks.shape == (record.n_looks - 1, len(_core.anytime_knots))
    assert record.looks.tolist()[:3] == [0, 1, 2]
    for look in (0, 40, 100):
        begin, end = 10 + record.looks[look : look + 2].astype(int)
        expected = masses_by_definition(scores[begin:end])
        assert record.between_looks[look].tolist() == expected.tolist()
    rest = scores[10 + int(record.looks[-1]) :]
    assert record.since_last_look.tolist() == masses_by_definition(rest).tolist()


def test_a_record_comes_back_from_its_bytes():
    scores = np.random.default_rng(3).beta(8, 1, size=900)
    record = record_of(scores)
    state = record.to_bytes()
    again = _core.record_from_bytes(state)
    assert again.to_bytes() == state
    assert again.n_guess == 10
    process, other = _core.EProcess(0.7, 0.5), _core.EProcess(0.7, 0.5)
    assert process.advance(record, ALPHA) == other.advance(again, ALPHA) > 0
    assert process.log_wealth == other.log_wealth


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: state[:-1], "state must be whole and unchanged"),
        (lambda state: state[:50] + b"x" + state[51:], "state must be whole and unchanged"),
        (lambda state: b"x" + state[1:], "state must be what a record was saved to"),
        (lambda state: state[:4] + b"\1" + state[5:], r"state must be of version 2 \(.*, got 1"),
        (lambda _: b"", "state must be what a record was saved to"),
    ],
)
def test_other_bytes_are_refused(change, match):
    state = record_of(np.full(200, 0.75)).to_bytes()
    with pytest.raises(ValueError, match=match):
        _core.record_from_bytes(change(state))


def ask_rows(scores, **options):
    asked = {
        "targets": np.array([0.5, 0.6, 0.6, 0.6]),
        "r": np.array([1.0, 0.0, 0.5, 4.0]),
        "chained": np.array([False, False, True, True]),
        "alpha": ALPHA, "a": 0.0, "b": 1.0, "side": "lower", "n_guess": 10, "order": "drawn",
        "seed": 0, "first_row": 0, "threads": 1,
    }  # fmt: skip
    return _core.test_rows(scores, **(asked | options))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_many_rows_are_asked_in_one_call(dtype):
    scores = expit(3 + np.random.default_rng(4).standard_normal((5, 700))).astype(dtype)
    shown, bad = ask_rows(scores)
    assert bad == -1
    for row, found in zip(scores, shown, strict=True):
        record = record_of(row)
        alone = [_core.EProcess(0.5, 1.0), _core.EProcess(0.6, 0.0), _core.EProcess(0.6, 0.5)]
        assert found.tolist()[:3] == [process.advance(record, ALPHA) for process in alone]
        assert found[3] == 0
    assert (shown[:, :3] > 0).all()
    assert (ask_rows(scores, threads=2)[0] == shown).all()
    permuted = ask_rows(np.sort(scores), order="unknown", seed=1)[0]
    assert (permuted[:, :2] > 0).all()
    assert (
        ask_rows(np.sort(scores)[1:], order="unknown", seed=1, first_row=1)[0] == permuted[1:]
    ).all()


def test_a_bad_row_and_wrong_questions_are_named():
    scores = np.full((3, 50), 0.75)
    scores[1, 4] = np.nan
    assert ask_rows(scores)[1] == 1
    with pytest.raises(ValueError, match="n_guess must be at most n_draws"):
        ask_rows(scores, n_guess=51)
    with pytest.raises(ValueError, match="targets, r and chained must be as many"):
        ask_rows(scores, targets=np.array([0.5]))
    with pytest.raises(ValueError, match="chained must be false for the first"):
        ask_rows(scores, chained=np.ones(4, bool))


def test_a_guess_after_the_first_draw_is_refused():
    record = record_of(np.full(50, 0.75))
    with pytest.raises(ValueError, match="the first guess must come before the first draw"):
        record.guess(np.full((1, 5), 0.75))


def test_the_estimate_is_the_functional_of_the_draws():
    votes = np.random.default_rng(5).random(1034) < 0.9
    record = record_of(votes.astype(float))
    mean = votes.mean()
    value, deviation = _core.estimate_functional(record, 0.5)
    assert value == pytest.approx(ndtr(ndtri(mean) - 0.5), abs=0.01)
    assert np.sqrt(mean * (1 - mean)) < deviation < 1
    assert np.isnan(_core.estimate_functional(_core.DrawRecord(0.0, 1.0, "lower"), 1.0)[0])
