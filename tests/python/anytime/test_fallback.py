"""The anytime test without the compiled core: the same records, bets, states and answers."""

import numpy as np
import pytest

from smoothbound import _numba
from smoothbound._numba._anytime import record_state
from smoothbound.anytime import AnytimeTest, Decide, FindRadius
from smoothbound.backends import reference_anytime as reference

_core = pytest.importorskip("smoothbound._core")


def scores_of(n, seed=0):
    rng = np.random.default_rng(seed)
    kinds = (
        rng.beta(20, 1, n),
        rng.choice(reference.PLACES, n),
        rng.integers(0, 2, n),
        rng.random(n),
    )
    return np.choose(rng.integers(0, 4, n), kinds)


def records_of(scores, guess=10, a=0.0, b=1.0, side="lower"):
    made = [module.DrawRecord(a, b, side) for module in (_core, _numba)]
    for record in made:
        assert record.guess(scores[None, :guess]) == -1
        assert record.add(scores[None, guess:]) == -1
    return made


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("n", [10, 11, 74, 75, 3000])
def test_records_are_the_same_to_the_last_bit(n, side, dtype):
    scores = (2 * scores_of(n) - 1).astype(dtype)
    core, own = records_of(scores, a=-1.0, b=1.0, side=side)
    for name in ("a", "b", "side", "n_draws", "n_guess", "n_looks"):
        assert getattr(own, name) == getattr(core, name), name
    for name in ("looks", "guessed", "between_looks", "since_last_look"):
        assert getattr(own, name).dtype == getattr(core, name).dtype
        assert getattr(own, name).tolist() == getattr(core, name).tolist(), name
    assert own.to_bytes() == core.to_bytes()
    assert _numba.record_from_bytes(core.to_bytes()).to_bytes() == core.to_bytes()
    assert _core.record_from_bytes(own.to_bytes()).to_bytes() == core.to_bytes()


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
def test_a_bad_score_is_refused_and_nothing_is_taken(bad):
    for record in records_of(scores_of(50)):
        before = record.to_bytes()
        assert record.add(np.array([[0.5, bad, 0.5]])) == 1
        assert record.to_bytes() == before
        with pytest.raises(ValueError, match="the first guess must come before the first draw"):
            record.guess(np.full((1, 5), 0.75))


def outcome(module, state):
    """The record that a state becomes, in bytes again, or why it is refused."""
    try:
        return module.record_from_bytes(state).to_bytes()
    except ValueError as error:
        return str(error).partition(", got")[0]


def test_a_damaged_state_is_refused_for_the_same_reason():
    state = records_of(scores_of(100))[0].to_bytes()
    changed = [state[:at] + bytes([state[at] ^ 1]) + state[at + 1 :] for at in range(len(state))]
    for other in [*changed, state[:-1], state + b"\0", b""]:
        assert outcome(_numba, other) == outcome(_core, other)
        assert outcome(_numba, other).startswith("state must be ")


def test_a_state_with_numbers_that_no_record_has_is_refused():
    """The checksum is right, and every number in turn is another."""
    contents = records_of(scores_of(80))[0].to_bytes()[:-8]
    refused = 0
    for at in range(5, len(contents)):
        other = contents[:at] + bytes([contents[at] ^ 0x41]) + contents[at + 1 :]
        sealed = other + record_state.checksum(other)
        assert outcome(_numba, sealed) == outcome(_core, sealed)
        refused += outcome(_numba, sealed) == "state must hold numbers that a record can have"
    assert refused > len(contents) // 2


@pytest.mark.parametrize("order", ["drawn", "unknown"])
def test_many_rows_get_the_same_answers(order):
    options = {
        "targets": np.array([0.3, 0.6, 0.6, 0.6]), "r": np.array([0.5, 0.0, 0.2, 4.0]),
        "chained": np.array([False, False, True, True]), "alpha": 1e-3, "a": 0.0, "b": 1.0,
        "side": "lower", "n_guess": 10, "order": order, "seed": 3, "first_row": 5, "threads": 2,
    }  # fmt: skip
    scores = np.random.default_rng(1).beta(3, 1, (6, 300)).astype(np.float32)
    core, own = (module.test_rows(scores, **options) for module in (_core, _numba))
    assert core[1] == own[1] == -1
    assert core[0].tolist() == own[0].tolist()
    assert (core[0][:, :3] > 0).any(axis=0).all()
    scores[[2, 4], 7] = np.nan
    assert [module.test_rows(scores, **options)[1] for module in (_core, _numba)] == [2, 2]


@pytest.mark.parametrize("r", [0.0, 1.0, 4.0])
def test_estimates_are_the_same(r):
    core, own = records_of(scores_of(700))
    expected = _core.estimate_functional(core, r)
    np.testing.assert_allclose(_numba.estimate_functional(own, r), expected, rtol=1e-9, atol=1e-12)
    empty = _numba.DrawRecord(0.0, 1.0, "lower")
    assert np.isnan(_numba.estimate_functional(empty, r)).all()


def test_answers_while_the_draws_come_are_those_of_the_core():
    core, own = records_of(scores_of(3000))
    for first in (0, 5, 100):
        for target, r in [(0.3, 0.0), (0.2, 0.5), (0.9, 0.0)]:
            one, other = _core.EProcess(target, r, first), _numba.EProcess(target, r, first)
            for alpha in (0.5, 1e-3, 1e-3, 1e-100):
                assert one.advance(core, alpha) == other.advance(own, alpha)
                assert other.log_wealth == pytest.approx(one.log_wealth, abs=1e-7)
                assert other.highest == pytest.approx(one.highest, abs=1e-7)
                assert other.growth == pytest.approx(one.growth, abs=1e-7)


def test_the_wealth_does_not_depend_on_how_the_draws_are_cut():
    scores = scores_of(1000)
    _, whole = records_of(scores)
    _, parts = records_of(scores[:10])
    process, other = _numba.EProcess(0.3, 0.5), _numba.EProcess(0.3, 0.5)
    for start in range(10, 1000, 37):
        assert parts.add(scores[None, start : start + 37]) == -1
        process.advance(parts, 1e-300)
    other.advance(whole, 1e-300)
    assert parts.to_bytes() == whole.to_bytes()
    assert process.log_wealth == other.log_wealth > 0


def test_a_test_goes_on_with_the_other_backend():
    scores, questions = scores_of(600), [Decide(0.3, 0.5), FindRadius(0.2, precision=0.1)]
    tests = [AnytimeTest(questions, sigma=1.0, backend=one) for one in ("cpp", "numba", "cpp")]
    for test in tests:
        test.update(scores[:200])
    moved = AnytimeTest.from_bytes(tests[2].to_bytes(), backend="numba")
    tests[2] = AnytimeTest.from_bytes(moved.to_bytes(), backend="cpp")
    for test in (*tests, moved):
        test.update(scores[200:])
    assert repr(tests[0].answers) == repr(tests[2].answers)
    assert repr(tests[1].answers) == repr(moved.answers)
    for core, own in zip(tests[0].answers, tests[1].answers, strict=True):
        assert core.certified
        assert (core.radius, core.confidence, core.n_draws) == (
            own.radius, own.confidence, own.n_draws,
        )  # fmt: skip
