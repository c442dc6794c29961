"""How many draws an input gets, and what its budget and its label have to do with it."""

import math

import numpy as np
import pytest
from scipy.special import expit, ndtr, ndtri

from smoothbound.anytime import Budget, Decide, FindConfidence, FindRadius, Plan
from smoothbound.anytime._chain import Chain

SIGMA = 0.25


def plan(*questions, **options):
    return Plan(questions=questions, **{"sigma": SIGMA} | options)


def logistic(mean, spread, n, seed=0):
    rng = np.random.default_rng(seed)
    return expit(mean + spread * rng.standard_normal(n)).astype(np.float32)


def played(made, scores, *, cut=None, guess=10, **options):
    """The job of an input whose draws are these, delivered in parts of at most `cut`."""
    job, at = made.start(**options), guess
    job.begin(0, scores[:guess])
    while job.remaining:
        k = min(job.remaining, cut or job.remaining)
        job.update(scores[at : at + k])
        at += k
    assert job.test.n_draws == at - guess
    return job


def test_a_clear_input_takes_few_draws_and_a_hopeless_one_not_many_more():
    made = plan(Decide(0.5, SIGMA))
    clear, hopeless = (played(made, logistic(m, 1.0, 60_000)) for m in (5, -1))
    assert clear.test.answers[0].certified
    assert clear.test.n_draws < 100
    assert not hopeless.test.answers[0].certified
    assert hopeless.test.n_draws < 100
    assert clear.outcome == hopeless.outcome == "answered"


def test_all_draws_are_made_where_the_answer_is_near():
    made = plan(FindRadius(0.5, precision=0.01), n=3000, strictness=1e6)
    job = played(made, logistic(3, 1.5, 4000))
    assert job.outcome == "exhausted"
    assert 3000 * 31 / 32 <= job.test.n_draws <= 3000
    assert job.most_remaining == 0


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_the_draws_do_not_depend_on_how_they_are_delivered(cut):
    made = plan(Decide(0.8, SIGMA), FindConfidence(0.0, 0.05), n=5000)
    scores = logistic(4, 1.5, 6000)
    whole, parts = played(made, scores), played(made, scores, cut=cut)
    assert parts.test.answers == whole.test.answers
    assert parts.test.n_draws == whole.test.n_draws


def test_a_question_that_is_given_up_does_not_hold_up_the_others():
    easy, hard = Decide(0.5, 0.0), Decide(0.9, 3 * SIGMA)
    scores = logistic(3, 1.5, 60_000)
    both = played(plan(easy, hard), scores)
    assert both.test.answers[0].certified
    assert not both.test.answers[1].certified
    assert both.test.n_draws < 1000


def test_a_stricter_plan_gives_up_later():
    scores = logistic(0.2, 1.5, 60_000, seed=3)
    draws = [
        played(plan(Decide(0.55, 0.0), strictness=w), scores).test.n_draws for w in (0, 0.2, 5)
    ]
    assert draws[0] < draws[1] < draws[2]


def test_questions_aside_cost_no_draws():
    asked, aside = Decide(0.9, SIGMA), Decide(0.5, 0.0)
    scores = logistic(1.5, 1.0, 60_000)
    with_it = played(plan(asked, aside=(aside,)), scores)
    assert with_it.test.n_draws == played(plan(asked), scores).test.n_draws
    assert with_it.test.answers[1].certified


def votes(p, n, seed=0):
    return np.float32(np.random.default_rng(seed).random(n) < p)


def test_a_question_ends_when_its_opposite_is_shown():
    """P(1) is 0.9, so that Phi^-1(0.9) sigma = 0.32 is the radius of the class."""
    asked = (Decide(0.5, 0.25), Decide(0.5, 0.4))
    opposite = tuple(Decide(float(ndtr(one.radius / SIGMA)), 0.0) for one in asked)
    made = plan(*asked, aside=(Decide(0.6, 0.0),), opposite=opposite, measure="vote", n=20_000)
    job = played(made, votes(0.9, 30_000))
    assert job.outcome == "answered"
    answers = job.test.answers
    assert [one.alpha for one in answers] == [0.0005] * 10
    near, far, aside = made.lower(answers)
    assert near.certified
    assert not far.certified
    assert aside.certified
    assert [one.certified for one in made.opposites(answers)] == [False, True]
    assert job.test.n_draws < 2000
    parts = played(made, votes(0.9, 30_000), cut=1)
    assert parts.test.to_bytes() == job.test.to_bytes()


def test_a_question_that_neither_answer_comes_near_is_given_up():
    radius = float(ndtri(0.9)) * SIGMA
    opposite = (Decide(0.9, 0.0),)
    made = plan(Decide(0.5, radius), opposite=opposite, measure="vote", n=20_000)
    job = played(made, votes(0.9, 30_000))
    assert job.outcome == "answered"
    assert not any(one.certified for one in job.test.answers)
    assert job.test.n_draws < 15_000


def test_false_answers_either_way_are_no_more_than_alpha():
    """Both claims are false by nothing: P(1) is the share at which they meet."""
    p, alpha, repeats, false = 0.9, 0.2, 300, np.zeros(2)
    radius = float(ndtri(p)) * SIGMA
    options = {"opposite": (Decide(p, 0.0),), "measure": "vote", "alpha": alpha, "n": 400}
    made = plan(Decide(0.5, radius), **options, strictness=1e6)
    for seed in range(repeats):
        answers = played(made, votes(p, 500, seed)).test.answers
        false += [made.lower(answers)[0].certified, made.opposites(answers)[0].certified]
    half = alpha / 2
    assert (false / repeats < half + 3 * math.sqrt(half * (1 - half) / repeats)).all()
    assert (false > 0).all()


def test_a_budget_ends_the_draws_and_keeps_what_they_certify():
    scores = logistic(4, 1.5, 60_000)
    made = plan(Decide(0.5, 0.0), FindRadius(0.5, precision=0.02))
    budget = Budget(draws=500)
    first = played(made, scores, budget=budget)
    assert first.outcome == "budget"
    assert first.test.n_draws == budget.spent == 500
    assert first.test.answers[0].certified
    assert first.test.answers[1].radius > 0
    second = played(made, scores, budget=budget)
    assert second.outcome == "budget"
    assert second.test.n_draws == 0


def test_draws_may_be_paid_for_in_parts():
    scores, budget = logistic(4, 1.5, 60_000), Budget(draws=500)
    made = plan(Decide(0.5, 0.0), FindRadius(0.5, precision=0.02))
    job, at = made.start(budget=budget), 10
    job.begin(0, scores[:10])
    while job.due:
        due = job.due
        while job.ungranted:
            before = job.ungranted, budget.spent
            job.take_budget(3)
            assert budget.spent - before[1] <= 3
        assert job.due <= due
        at += job.due
        job.update(scores[at - job.due : at])
    assert budget.spent == at - 10 == 500
    whole = played(made, scores, budget=Budget(draws=500))
    assert job.test.to_bytes() == whole.test.to_bytes()
    assert job.outcome == whole.outcome == "budget"


def test_a_budget_without_limits_only_counts():
    scores, budget = logistic(5, 1.0, 60_000), Budget()
    job = played(plan(Decide(0.5, SIGMA)), scores, budget=budget)
    assert job.ungranted == 0
    assert budget.spent == job.test.n_draws > 0
    assert job.test.to_bytes() == played(plan(Decide(0.5, SIGMA)), scores).test.to_bytes()


def test_no_input_begins_when_the_budget_is_spent():
    budget = Budget(draws=1)
    budget.take(1)
    job = plan(Decide(0.5, SIGMA)).start(budget=budget)
    assert (job.remaining, job.outcome) == (0, "budget")


def test_seconds_end_the_draws_too():
    now = 0.0

    def clock():
        nonlocal now
        now += 1.0
        return now

    job = played(
        plan(FindRadius(0.5, 0.01)), logistic(4, 1.5, 60_000), budget=Budget(seconds=4, clock=clock)
    )
    assert job.outcome == "budget"
    assert 0 < job.test.n_draws < 200


def test_a_stopped_job_goes_on_from_its_test():
    scores = logistic(4, 1.5, 60_000)
    made = plan(Decide(0.8, SIGMA))
    stopped = played(made, scores, budget=Budget(draws=100))
    assert stopped.outcome == "budget"
    job = made.start()
    job.resume(stopped.test)
    at = 10 + stopped.test.n_draws
    while job.remaining:
        k = job.remaining
        job.update(scores[at : at + k])
        at += k
    assert job.outcome == "answered"
    assert job.test.answers[0].n_draws == played(made, scores).test.answers[0].n_draws > 100


def test_a_wrong_class_takes_no_draw_where_only_correct_ones_count():
    made = plan(Decide(0.5, 0.0))
    job = made.start(label=3)
    job.begin(4, np.ones(10, np.float32))
    assert (job.outcome, job.remaining, job.most_remaining) == ("misclassified", 0, 0)
    job = made.start(label=4)
    job.begin(4, np.ones(10, np.float32))
    assert job.outcome is None
    assert job.remaining > 0


@pytest.mark.parametrize("error", [-0.5, -1e-9, 1e-9, 1.0])
def test_what_is_certified_does_not_depend_on_the_forecast(monkeypatch, error):
    """It decides when the answers are read, and what they say follows from the draws.

    Last digits of the forecast are those of the machine where the core is missing.
    """
    made = plan(Decide(0.5, SIGMA), Decide(0.8, 0.5 * SIGMA), n=3000)
    inputs = [logistic(4, 1.5, 4000, seed) for seed in range(10)]
    usual = [played(made, scores) for scores in inputs]
    forecast = Chain.remaining.fget
    monkeypatch.setattr(Chain, "remaining", property(lambda chain: forecast(chain) * (1 + error)))
    for scores, job in zip(inputs, usual, strict=True):
        other = played(made, scores)
        assert other.outcome == job.outcome == "answered"
        for one, two in zip(other.test.answers, job.test.answers, strict=True):
            assert one.certified
            assert (one.certified, one.n_draws) == (two.certified, two.n_draws)
        shown = max(answer.n_draws for answer in job.test.answers)
        assert shown <= other.test.n_draws <= max(shown + 8, 1.25 * shown * 33 / 32)
        if abs(error) < 1e-6:
            assert other.test.n_draws == job.test.n_draws


def test_the_fallback_makes_the_draws_of_the_core():
    pytest.importorskip("smoothbound._core")
    for seed, mean in enumerate((1, 3, 5)):
        scores = logistic(mean, 1.5, 4000, seed)
        core, own = (
            played(plan(Decide(0.5, SIGMA), n=1000, backend=one), scores)
            for one in ("cpp", "numba")
        )
        assert own.test.n_draws == core.test.n_draws
        assert own.outcome == core.outcome


def test_what_is_expected_falls_as_the_wealth_grows():
    job = plan(Decide(0.5, SIGMA)).start()
    scores = logistic(5, 1.0, 200)
    job.begin(0, scores[:10])
    before = job.expected
    assert 10 < before < 200
    job.update(scores[10 : 10 + job.remaining])
    assert job.expected < before
    assert not math.isinf(job.expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"strictness": -1.0}, "strictness must"),
        ({"sigma": 0.0}, "sigma must"),
    ],
)
def test_a_plan_refuses(options, words):
    with pytest.raises(ValueError, match=words):
        plan(Decide(0.5, 0.0), **options)


def test_an_opposite_belongs_to_a_question():
    with pytest.raises(ValueError, match="opposite must have at most one question for each"):
        plan(Decide(0.5, 0.0), opposite=(Decide(0.5, 0.0), Decide(0.6, 0.0)))


def test_a_plan_needs_a_question():
    with pytest.raises(TypeError, match="questions must be a tuple"):
        Plan(questions=(), sigma=SIGMA)
