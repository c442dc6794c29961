"""The state of a test: saved, continued, and refused where it is not whole."""

import copy
import json
import pickle

import numpy as np
import pytest
from scipy.special import expit

from smoothbound._files.checksum import digest
from smoothbound.anytime import AnytimeTest, Decide, FindConfidence, FindRadius
from smoothbound.anytime import _state as states
from smoothbound.sampling import Draws

SIGMA = 0.25
QUESTIONS = [Decide(0.5, SIGMA), FindRadius(0.5, 0.1), FindConfidence(SIGMA, 0.05)]
OPTIONS = {"sigma": SIGMA, "alpha": 0.01, "score_range": (-1.0, 1.0), "measure": "margin"}


def scores_of(n, seed=0):
    return expit(4 + 1.5 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def begun(**options):
    made = OPTIONS | {"side": "both", "guess": scores_of(10, 1), "displacement": 0.001} | options
    test = AnytimeTest(QUESTIONS, **made)
    known = {"sigma": SIGMA, "measure": "margin", "seed": 3, "index": 7, "noise": "lattice"}
    test.update(Draws(scores_of(101), 2, 100, 10, displacement=0.001, **known))
    test.ask(Decide(0.7, SIGMA), alpha=0.05)
    return test


@pytest.mark.parametrize(
    "copied",
    [
        lambda test: AnytimeTest.from_bytes(test.to_bytes()),
        lambda test: AnytimeTest.from_bytes(bytearray(test.to_bytes())),
        lambda test: pickle.loads(pickle.dumps(test)),
        copy.deepcopy,
    ],
)
def test_a_saved_test_goes_on_as_the_first_would(copied):
    test = begun()
    other = copied(test)
    assert other.to_bytes() == test.to_bytes()
    assert repr(other) == repr(test)
    for one in (test, other):
        one.update(scores_of(500, 2), first_draw=101)
    assert repr(other.answers) == repr(test.answers)
    assert other.answers[-2].first_draw == 102
    assert other.to_bytes() == test.to_bytes()
    with pytest.raises(ValueError, match="index = 7, like earlier draws"):
        other.update(Draws(scores_of(5), 2, 5, 10, first_draw=601, index=8))


def test_a_state_goes_on_in_either_backend(backend):
    test = begun(backend=backend)
    other = AnytimeTest.from_bytes(test.to_bytes())
    back = AnytimeTest.from_bytes(other.to_bytes(), backend=backend)
    assert back.to_bytes() == other.to_bytes() == test.to_bytes()
    assert [one.n_draws for one in back.answers] == [one.n_draws for one in other.answers]
    damaged = bytearray(states.unpack(test.to_bytes())[1][0])
    damaged[-9] ^= 1
    about, records = states.unpack(test.to_bytes())
    with pytest.raises(ValueError, match="state is inconsistent"):
        AnytimeTest.from_bytes(states.pack(about, [bytes(damaged), records[1]]), backend=backend)


def test_answers_that_were_read_do_not_change_the_state():
    test = begun()
    before = test.to_bytes()
    assert len(test.answers) == 8
    assert test.to_bytes() == before


def test_a_state_is_small():
    test = AnytimeTest(QUESTIONS, sigma=SIGMA)
    test.update(scores_of(10_000))
    assert len(test.to_bytes()) < 60_000


def test_every_flipped_bit_is_found():
    state = begun(side="lower").to_bytes()
    for i in range(len(state)):
        damaged = bytearray(state)
        damaged[i] ^= 1 << i % 8
        with pytest.raises(ValueError, match=r"^state "):
            AnytimeTest.from_bytes(bytes(damaged))


@pytest.mark.parametrize("keep", [0, 1, 10, 100, -1])
def test_a_state_that_is_cut_is_refused(keep):
    with pytest.raises(ValueError, match=r"^state (must be bytes|is damaged|must be of version)"):
        AnytimeTest.from_bytes(begun().to_bytes()[:keep])


@pytest.mark.parametrize("state", [None, "SBAT", 3, np.zeros(3)])
def test_a_state_is_bytes(state):
    with pytest.raises((TypeError, ValueError), match="state must be bytes that to_bytes made"):
        AnytimeTest.from_bytes(state)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"sigma": -1.0}, "sigma must be positive"),
        ({"score_range": [0.0, 1.0]}, "records"),
        ({"side": "upper"}, "records"),
        ({"alpha": 2.0}, "alpha must lie"),
        ({"extra": 1}, "extra"),
        ({"source": {"other": 1}}, "other"),
        ({"asked": [{}]}, "kind"),
        ({"asked": 3}, "int"),
        ({"measure": 3}, "measure must be the name"),
    ],
)
def test_a_state_that_contradicts_itself_is_refused(change, match):
    about, records = states.unpack(begun().to_bytes())
    with pytest.raises(ValueError, match=rf"^state is inconsistent: .*{match}"):
        AnytimeTest.from_bytes(states.pack(about | change, records))


@pytest.mark.parametrize("kept", [slice(0), slice(1), slice(1, 2), slice(None, None, -1)])
def test_records_of_other_sides_are_refused(kept):
    about, records = states.unpack(begun().to_bytes())
    with pytest.raises(ValueError, match="state is inconsistent"):
        AnytimeTest.from_bytes(states.pack(about, records[kept]))


def test_records_of_different_draws_are_refused():
    about, (lower, _) = states.unpack(begun().to_bytes())
    later = begun()
    later.update(scores_of(5))
    _, (_, upper) = states.unpack(later.to_bytes())
    with pytest.raises(ValueError, match=r"state is inconsistent: .* different draws"):
        AnytimeTest.from_bytes(states.pack(about, [lower, upper]))


def test_a_question_that_was_asked_at_no_look_or_after_the_draws_is_refused():
    about, records = states.unpack(begun().to_bytes())
    for first_draw in (101, 1000):
        about["asked"][-1]["first_draw"] = first_draw
        with pytest.raises(ValueError, match=r"state is inconsistent: .*first_draw"):
            AnytimeTest.from_bytes(states.pack(about, records))


def test_a_damaged_record_in_a_whole_state_is_refused():
    about, (lower, upper) = states.unpack(begun().to_bytes())
    with pytest.raises(ValueError, match="state is inconsistent"):
        AnytimeTest.from_bytes(states.pack(about, [lower[:-1], upper]))


@pytest.mark.parametrize("version", [1, 3])
def test_another_version_is_refused_by_its_number(version):
    state = bytearray(begun().to_bytes())
    state[4] = version
    body = bytes(state[:-16])
    with pytest.raises(ValueError, match=rf"state must be of version 2 \(.*\), got {version}$"):
        AnytimeTest.from_bytes(body + digest(body))


def test_the_parts_of_a_state_are_those_that_its_lengths_say():
    state = states.pack({"a": 1}, [b"one"])
    assert states.unpack(state) == ({"a": 1}, [b"one"])
    body = state[:-17]  # the last byte of the last part is gone
    with pytest.raises(ValueError, match="state is damaged: the lengths of its parts"):
        states.unpack(body + digest(body))
    body = state[:6] + (2**63).to_bytes(8, "little") + state[14:-16]
    with pytest.raises(ValueError, match="state is damaged: the lengths of its parts"):
        states.unpack(body + digest(body))
    assert json.loads(states.pack({}, [])[14:-16]) == {}


@pytest.mark.parametrize("about", [b"", b"[1]", b"3", b"{", b"\xff", b"[" * 100_000])
def test_a_state_that_says_nothing_of_itself_is_refused(about):
    state = states.pack({}, [])
    body = state[:6] + len(about).to_bytes(8, "little") + about
    with pytest.raises(ValueError, match="state is damaged: its settings"):
        AnytimeTest.from_bytes(body + digest(body))
