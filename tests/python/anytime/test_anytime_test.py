"""Questions about one input, answered while its draws come."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, ndtr, ndtri

from smoothbound import _core
from smoothbound.anytime import AnytimeTest, Decide, FindConfidence, FindRadius
from smoothbound.sampling import Draws

SIGMA = 0.25
DECIDE = Decide(0.5, radius=SIGMA)
FIND_RADIUS = FindRadius(0.5, precision=0.1)
FIND_CONFIDENCE = FindConfidence(SIGMA, precision=0.05)
ALL = [DECIDE, FIND_RADIUS, FIND_CONFIDENCE]


def scores_of(n, seed=0):
    return expit(4 + 1.5 * np.random.default_rng(seed).standard_normal(n))


def asked(questions, scores=None, **options):
    test = AnytimeTest(questions, **({"sigma": SIGMA, "guess": scores_of(10, 1)} | options))
    test.update(scores_of(3000) if scores is None else scores)
    return test


def draws(scores, **options):
    known = {"sigma": SIGMA, "measure": "score", "seed": 1, "index": 7}
    return Draws(np.asarray(scores, np.float32), 3, 0, 10, **(known | options))


# what is certified --------------------------------------------------------------------------------


def test_a_decision_is_that_of_the_core():
    scores = scores_of(3000)
    record = _core.DrawRecord(0.0, 1.0, "lower")
    record.guess(scores_of(10, 1)[None])
    record.add(scores[None])
    process = _core.EProcess(0.5, 1.0)
    (answer,) = asked(DECIDE, scores).answers
    assert answer.n_draws == process.advance(record, 1e-3) > 10
    assert (answer.radius, answer.confidence) == (SIGMA, 0.5)
    assert answer.log_wealth == process.log_wealth
    assert (answer.certified, answer.remaining) == (True, 0.0)


@pytest.mark.parametrize(
    ("question", "decide"),
    [
        (FIND_RADIUS, lambda i: Decide(0.5, i * 0.1 * SIGMA)),
        (FIND_CONFIDENCE, lambda i: Decide((i + 1) * 0.05, SIGMA)),
    ],
)
@pytest.mark.parametrize("n", [0, 20, 300, 3000])
def test_a_chain_ends_before_the_first_claim_that_is_not_decided(question, decide, n):
    (found,) = asked(question, scores_of(n)).answers
    decisions = []
    while not decisions or decisions[-1].certified:
        decisions += asked(decide(len(decisions)), scores_of(n)).answers
    *shown, last = decisions
    assert found.certified == bool(shown)
    assert found.log_wealth == last.log_wealth
    assert found.n_draws == max((one.n_draws for one in shown), default=0)
    if shown:
        assert (found.radius, found.confidence) == (shown[-1].radius, shown[-1].confidence)
    else:
        assert math.isnan(found.radius)
        assert math.isnan(found.confidence)


def test_answers_are_the_same_however_the_draws_are_cut_and_read():
    scores = scores_of(1000)
    whole = asked(ALL, scores, side="both")
    parts = asked(ALL, scores[:0], side="both")
    for start in range(0, 1000, 37):
        parts.update(scores[start : start + 37])
        assert len(parts.answers) == 6
    assert repr(parts.answers) == repr(whole.answers)  # which has NaN in it


def test_threads_may_read_while_another_updates():
    scores = scores_of(2000)
    test = asked(ALL, scores[:0])
    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(lambda: test.answers) for _ in range(50)]
        for start in range(0, 2000, 20):
            test.update(scores[start : start + 20], first_draw=start)
            readers.append(threads.submit(lambda: test.answers))
    assert all(len(reader.result()) == len(ALL) for reader in readers)
    assert test.answers == asked(ALL, scores).answers


def test_votes_certify_the_radius_of_the_class_soon():
    """All 1: no test of this level can do with fewer draws than ln(alpha) / ln Phi(r)."""
    test = asked(Decide(0.5, SIGMA), np.ones(1000), guess=np.ones(10))
    limit = math.log(1e-3) / math.log(ndtr(1.0))
    assert limit < test.answers[0].n_draws < 1.3 * limit


def test_votes_tell_that_no_number_of_draws_certifies_a_radius():
    """The radius is sigma: P(1) < Phi(1.2) is a claim of the upper side at R = 0."""
    votes = np.float32(np.random.default_rng(4).random(3000) < ndtr(1.0))
    (yes,) = asked(Decide(0.5, 1.2 * SIGMA), votes, guess=()).answers
    (no,) = asked(Decide(float(ndtr(1.2)), 0.0), votes, guess=(), side="upper").answers
    assert (yes.certified, no.certified) == (False, True)
    assert (yes.remaining, no.confidence) == (math.inf, ndtr(1.2))


def test_the_upper_side_is_the_lower_side_of_the_reflected_scores():
    scores = scores_of(2000)
    lower = asked([Decide(0.5, 0.1), FIND_RADIUS, FIND_CONFIDENCE], scores).answers
    upper = asked(
        [Decide(-0.5, 0.1), FindRadius(-0.5, 0.1), FIND_CONFIDENCE],
        -scores,
        guess=-scores_of(10, 1),
        score_range=(-1.0, 0.0),
        side="upper",
    ).answers
    for one, other in zip(lower, upper, strict=True):
        assert other.certified
        assert other.radius == one.radius
        assert other.confidence == pytest.approx(-one.confidence, abs=1e-12)
        assert other.log_wealth == one.log_wealth


def test_both_sides_have_half_of_alpha_each():
    lower, upper = asked(FindConfidence(0.0, 0.01), side="both").answers
    assert (lower.side, upper.side) == ("lower", "upper")
    assert lower.alpha == upper.alpha == 5e-4
    assert lower.confidence < scores_of(10**5, 2).mean() < upper.confidence
    (alone,) = asked(FindConfidence(0.0, 0.01), side="lower", alpha=5e-4).answers
    assert alone == lower


def test_a_displacement_takes_its_part_of_the_radius():
    (answer,) = asked(DECIDE, displacement=0.01).answers
    (farther,) = asked(Decide(0.5, SIGMA + 0.02)).answers
    assert answer.radius == SIGMA
    assert answer.n_draws == farther.n_draws
    assert answer.log_wealth == pytest.approx(farther.log_wealth, abs=1e-9)


def test_a_forecast_tells_about_how_many_draws_it_takes():
    hard = Decide(0.8, SIGMA)
    (early,) = asked(hard, scores_of(400)).answers
    (late,) = asked(hard, scores_of(10_000)).answers
    assert not early.certified
    assert 0.3 < (400 + early.remaining) / late.n_draws < 3.0
    (hopeless,) = asked(Decide(0.99, SIGMA)).answers
    assert hopeless.remaining == math.inf


@pytest.mark.parametrize("alpha", [0.1, 0.3])
def test_false_answers_are_no_more_than_alpha(alpha):
    """P(1) = p and c = Phi(Phi^-1(p) - 1): the claim is false by nothing at R = sigma."""
    p, repeats, false = 0.9, 400, np.zeros(3)
    c = float(ndtr(ndtri(p) - 1.0))
    questions = [Decide(c, SIGMA), FindRadius(c, 0.125), FindConfidence(SIGMA, c / 8)]
    rng = np.random.default_rng(5)
    for _ in range(repeats):
        votes = np.float32(rng.random(600) < p)
        test = asked(questions, votes, guess=(), alpha=alpha)
        decided, radius, confidence = test.answers
        false += [decided.certified, radius.radius >= SIGMA, confidence.confidence >= c - 1e-9]
    assert (false / repeats < alpha + 3 * math.sqrt(alpha * (1 - alpha) / repeats)).all()
    assert (false > 0).any()


# questions that are asked later -------------------------------------------------------------------


def test_a_later_question_is_answered_from_later_draws():
    test = asked(DECIDE, np.ones(66))
    test.ask(Decide(0.6, SIGMA), alpha=1e-4)
    later = test.answers[1]
    assert (later.alpha, later.first_draw, later.log_wealth) == (1e-4, 66, 0.0)
    test.update(np.zeros(1000))
    assert test.answers[0].certified
    assert not test.answers[1].certified
    assert test.questions == (DECIDE, Decide(0.6, SIGMA))


def test_a_later_question_begins_at_a_look():
    test = asked(DECIDE, scores_of(101))
    test.ask(DECIDE)
    assert test.answers[1].first_draw == 102
    assert test.next_look == 102
    test.update(scores_of(500, 3))
    assert test.answers[1].n_draws > 102


def test_a_question_before_the_first_draw_is_like_those_before_it():
    test = asked(DECIDE, scores_of(0))
    test.ask(DECIDE)
    test.update(scores_of(500))
    one, other = test.answers
    assert one == other


# other questions, on the draws after those so far -------------------------------------------------


def test_a_test_that_follows_counts_later_draws_alone():
    test = asked(DECIDE, np.ones(1000))
    later = test.follow_up(Decide(0.6, SIGMA), alpha=1e-4)
    assert (later.alpha, later.first_draw, later.next_draw, later.n_draws) == (1e-4, 1000, 1000, 0)
    assert later.questions == (Decide(0.6, SIGMA),)
    later.update(np.zeros(1000), first_draw=1000)
    assert not later.answers[0].certified
    assert test.answers[0].certified  # and stays as it was
    assert test.n_draws == 1000
    test.update(np.ones(10))


@pytest.mark.parametrize("side", ["lower", "upper", "both"])
def test_the_first_guess_of_a_test_that_follows_is_all_that_was_drawn(backend, side):
    options = {"score_range": (-2.0, 3.0), "guess": 5 * scores_of(50, 1) - 2, "side": side}
    test = asked(Decide(1.0, 0.0), 5 * scores_of(971, 2) - 2, backend=backend, **options)
    later = test.follow_up(Decide(2.0, 0.0))
    assert later.n_guess == 1021
    assert later.first_draw == 971
    assert later.backend == backend
    whole = asked(Decide(2.0, 0.0), scores_of(0), backend=backend, **options | {"guess": ()})
    whole.update(np.concatenate([5 * scores_of(50, 1) - 2, 5 * scores_of(971, 2) - 2]))
    mine, theirs = later.estimate(0), whole.estimate(0)
    # The upper side sees the record of the lower side, or 971 draws up to a look.
    assert mine.above == pytest.approx(theirs.above, abs=0.01)
    assert mine.deviation == pytest.approx(theirs.deviation, rel=0.05)


def test_a_test_that_follows_decides_soon_what_the_draws_before_have_shown():
    test = asked(Decide(0.8, SIGMA), scores_of(50_000), guess=())
    easy = test.follow_up(Decide(0.5, 0.0))
    easy.update(scores_of(1000, 3))
    assert 0 < easy.answers[0].n_draws < 20


def test_a_test_that_follows_goes_on_from_its_state_and_has_followers_of_its_own():
    source = {"index": 7, "seed": 1}
    test = AnytimeTest(DECIDE, sigma=SIGMA)
    test.update(draws(scores_of(50), **source))
    later = test.follow_up(FindRadius(0.5, 0.1))
    later.update(draws(scores_of(60, 2), first_draw=50, **source))
    state = AnytimeTest.from_bytes(later.to_bytes())
    assert (state.first_draw, state.next_draw) == (50, 110)
    assert repr(state) == repr(later)
    assert repr(state).endswith("after 60 draws from number 50 on")
    with pytest.raises(ValueError, match=r"must be 110, .* only once"):
        state.update(draws(scores_of(60, 2), first_draw=50, **source))
    with pytest.raises(ValueError, match="index = 7, like earlier draws"):
        state.update(draws(scores_of(5), first_draw=110, **source | {"index": 8}))
    assert state.follow_up(DECIDE).first_draw == 110
    state.ask(DECIDE)
    assert [answer.first_draw for answer in state.answers] == [50, 110]


def test_a_question_that_the_draws_chose_is_false_no_more_often_than_alpha():
    """The claim is false by nothing, and asked when the draws so far speak for it most."""
    p, repeats, alpha, false, tempting = 0.9, 300, 0.1, 0, 0.0
    c = float(ndtr(ndtri(p) - 1.0))
    rng = np.random.default_rng(6)
    for _ in range(repeats):
        votes = np.float32(rng.random(600) < p)
        shares = np.cumsum(votes) / np.arange(1, 601)
        n = 100 + int(np.argmax(shares[100:]))
        tempting += shares[n] / repeats
        later = asked(Decide(0.5, 0.0), votes[:n], guess=()).follow_up(
            Decide(c, SIGMA), alpha=alpha
        )
        later.update(np.float32(rng.random(400) < p))
        false += later.answers[0].certified
    assert tempting > p + 0.01
    assert 0 < false / repeats < alpha + 3 * math.sqrt(alpha * (1 - alpha) / repeats)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda test: test.follow_up([]), "questions must be a question or a list"),
        (lambda test: test.follow_up(Decide(1.0, 0.0)), "threshold must"),
        (lambda test: test.follow_up(DECIDE, alpha=0.0), "alpha must"),
    ],
)
def test_a_test_that_follows_needs_questions(call, match):
    with pytest.raises((TypeError, ValueError), match=match):
        call(asked(DECIDE))


# what is refused ----------------------------------------------------------------------------------


def unchanged(test, call, kind, match):
    before = repr(test), repr(test.answers)
    with pytest.raises(kind, match=match):
        call()
    assert (repr(test), repr(test.answers)) == before


@pytest.mark.parametrize(
    ("scores", "options", "kind", "match"),
    [
        ([0.5, np.nan], {}, ValueError, r"scores must be finite .* got scores\[1\] = nan"),
        ([0.5, 1.5], {}, ValueError, r"scores must be finite .* got scores\[1\] = 1.5"),
        ([[0.5]], {}, TypeError, "scores must be one row"),
        (np.ones(3, int), {}, TypeError, "scores must be one row .* of int64"),
        ("half", {}, TypeError, "scores must be one row"),
        ([0.5], {"first_draw": 2999}, ValueError, "must be 3000, .* passed only once"),
        ([0.5], {"first_draw": 3001}, ValueError, "must be 3000, .* left out"),
        ([0.5], {"first_draw": -1}, ValueError, "first_draw must be at least 0"),
        ([0.5], {"first_draw": "0"}, TypeError, "first_draw must be a whole number"),
    ],
)
def test_bad_scores_change_nothing(scores, options, kind, match):
    test = asked(ALL, side="both")
    unchanged(test, lambda: test.update(scores, **options), kind, match)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"first_draw": 40}, "must be 50, .* passed only once"),
        ({"first_draw": 60}, "must be 50, .* left out"),
        ({"index": 8}, "index = 7, like earlier draws, got draws with index = 8"),
        ({"seed": 2}, "seed = 1, like earlier draws"),
        ({"noise": "gaussian"}, "noise = 'lattice', like earlier draws"),
        ({"sigma": 0.5}, "sigma = 0.25, like the test, got draws with sigma = 0.5"),
        ({"measure": "margin"}, "measure = 'score', like the test"),
        ({"displacement": 0.1}, "make the test with displacement=0.1 or more"),
    ],
)
def test_draws_of_something_else_change_nothing(options, match):
    test = asked(DECIDE, draws(scores_of(50), noise="lattice"))
    further = draws(scores_of(20), **({"noise": "lattice", "first_draw": 50} | options))
    unchanged(test, lambda: test.update(further), ValueError, match)
    test.update(draws(scores_of(20), first_draw=50))
    assert test.n_draws == 70


def test_draws_that_are_given_again_are_refused_by_their_number():
    once = draws(scores_of(50))
    test = asked(DECIDE, once)
    unchanged(test, lambda: test.update(once), ValueError, "passed only once")
    renumbered = "first_draw must be 0, the number of the draws"
    unchanged(test, lambda: test.update(once, first_draw=50), ValueError, renumbered)


@pytest.mark.parametrize(
    ("question", "match"),
    [
        (Decide(0.0, 0.1), "threshold must lie strictly inside"),
        (Decide(1.0, 0.1), r"threshold must lie strictly inside .* \(0\.0, 1\.0\), got 1\.0$"),
        (Decide(math.nan, 0.1), "threshold must lie strictly inside"),
        (Decide(0.5, -0.1), "radius must be at least 0"),
        (Decide(0.5, math.inf), "radius must be at least 0 and finite"),
        (Decide(0.5, 13.0), "radius must be at most 50 sigma = 12.5"),
        (FindRadius(0.5, 0.0), "precision must be positive"),
        (FindRadius(0.5, 1e-5), r"precision must be at least 0\.0009765625, which"),
        (FindRadius(2.0, 0.1), "threshold must lie strictly inside"),
        (FindConfidence(0.1, 1.0), "precision must lie between 0 and the width"),
        (FindConfidence(0.1, 1e-5), r"precision must be at least 6\.103515625e-05, which"),
        (FindConfidence(-0.1, 0.1), "radius must be at least 0"),
        ((0.5, 0.1), r"question\S* must be Decide"),
        (Decide("0.5", 0.1), "threshold must be a number"),
        (None, "question"),
    ],
)
def test_a_question_that_is_none_or_outside_the_range_is_refused(question, match):
    with pytest.raises((TypeError, ValueError), match=match):
        AnytimeTest([question], sigma=SIGMA)
    test = asked(DECIDE)
    unchanged(test, lambda: test.ask(question), (TypeError, ValueError), match)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"questions": []}, "questions must be a question or a list of them"),
        ({"questions": 3}, "questions must be a question or a list of them"),
        ({"sigma": 0.0}, "sigma must be positive"),
        ({"alpha": 1.0}, "alpha must lie strictly between"),
        ({"score_range": (1, 0)}, "score_range must be finite with a < b"),
        ({"side": "left"}, "side must be one of 'lower', 'upper', 'both'"),
        ({"measure": 3}, "measure must be the name of a measure"),
        ({"displacement": -1.0}, "displacement must be at least 0"),
        ({"displacement": 1e308}, "displacement must be at most 25 sigma"),
        ({"backend": "gpu"}, "backend must be one of"),
        ({"guess": [0.5, 2.0]}, r"guess must be finite and within .* got guess\[1\] = 2.0"),
        ({"guess": 0.5}, "guess must be one row"),
    ],
)
def test_a_wrong_argument_is_named(options, match):
    with pytest.raises((TypeError, ValueError), match=match):
        AnytimeTest(**({"questions": DECIDE, "sigma": SIGMA} | options))


def test_a_precision_that_floats_do_not_resolve_is_refused():
    wide = {"sigma": SIGMA, "score_range": (1e16, 1e16 + 8)}
    with pytest.raises(ValueError, match=r"precision .* large enough to separate its ends"):
        AnytimeTest(FindConfidence(0.0, 0.5), **wide)
    AnytimeTest(FindConfidence(0.0, 2.0), side="both", **wide)


def test_more_draws_than_a_test_takes_are_refused():
    test = asked(DECIDE, np.ones(64, np.float16))
    many = np.broadcast_to(np.float16(1), 2**28 - 63)
    unchanged(test, lambda: test.update(many), ValueError, "at most 268435456 draws in all")


def test_it_shows_what_it_is():
    shown = repr(asked([DECIDE, FIND_RADIUS]))
    assert shown == (
        "AnytimeTest([Decide(threshold=0.5, radius=0.25), FindRadius(threshold=0.5, "
        "precision=0.1)], sigma=0.25, alpha=0.001, score_range=(0.0, 1.0), measure='score', "
        "side='lower') after 3000 draws"
    )


def test_an_estimate_is_of_one_side() -> None:
    test = asked(Decide(0.5, 0.0), np.float32(np.arange(1000) % 10 > 0), guess=(), side="both")
    lower, upper = test.estimate(0, "lower"), test.estimate(0, "upper")
    assert test.estimate(0) == lower
    assert lower.above == pytest.approx(0.4, abs=0.01)
    assert upper.above == pytest.approx(-0.4, abs=0.01)
    with pytest.raises(ValueError, match="side must be one of 'lower'"):
        asked(DECIDE).estimate(0, "upper")


def test_a_question_that_is_answered_has_no_estimate() -> None:
    test = AnytimeTest(Decide(0.5, 0.0), sigma=0.25)
    test.update(np.ones(100))
    assert test.answers[0].certified
    with pytest.raises(
        ValueError, match="i must be the index of a question with an open claim, got 0"
    ):
        test.estimate(0)
    for i in (-1, 1):
        with pytest.raises(ValueError, match=f"i must .*got {i}"):
            test.estimate(i)


def test_the_estimate_of_the_upper_side_is_that_of_the_reflected_scores(backend: Any) -> None:
    scores = np.random.default_rng(3).beta(3, 1.5, size=400)
    options = {"sigma": SIGMA, "backend": backend}
    upper = AnytimeTest(Decide(0.9, 0.5 * SIGMA), side="upper", **options)
    upper.update(scores)
    reflected = AnytimeTest(Decide(0.1, 0.5 * SIGMA), **options)
    reflected.update(1.0 - scores)
    np.testing.assert_allclose(upper.estimate(0), reflected.estimate(0), atol=1e-3)
