"""Adaptive sampling: stages, stopping, budgets; stopping early never makes a proof wrong."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import beta, binom

import smoothbound as sb
from smoothbound import adaptive
from smoothbound.adaptive import Budget, Decide, FindRadius
from smoothbound.backends import gaussian
from smoothbound.smoothing._class_radius import class_radius
from tightness import population

SATURATED = np.full(5000, 0.9999)


def plan(question, n_max=4000, **options):
    return adaptive.plan(question, **{"sigma": 1.0, "n_max": n_max} | options)


def replay(planned, scores, budget=None):
    job, at = planned.start(budget), 0
    while wanted := job.remaining:
        job.update(scores[at : at + wanted])
        at += wanted
    return job.answer


def beta_scores(seed, m, *shape):
    return np.random.default_rng(seed).beta(*shape, m)


# stages ----------------------------------------------------------------------------------------


@given(st.integers(1, 300_000), st.floats(1e-9, 0.999), st.integers(1, 300_000))
def test_the_levels_of_the_stages_sum_to_at_most_alpha_exactly(n_max, alpha, least):
    stages = adaptive._stages(adaptive._sizes(n_max), alpha, lambda n, level: n >= least)
    assert all((stage.alpha > 0) == (stage.n >= least) for stage in stages)
    total = sum(Fraction(stage.alpha) for stage in stages)
    assert total <= Fraction(alpha)
    assert total == 0 or total > Fraction(alpha) * (1 - Fraction(1, 10**12))
    sizes = [stage.n for stage in stages]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == n_max


def test_a_stage_too_small_to_certify_anything_gets_no_alpha():
    stages = plan(Decide(0.5, radius=2.0), n_max=10_000).stages
    levels = [stage.alpha for stage in stages]
    none = levels.count(0.0)
    assert 0 < none < len(stages)
    assert levels[:none] == [0.0] * none
    for n, level in stages:
        bound = sb.certify_scores(
            np.ones((1, n)), sigma=1.0, alpha=level or 1e-3, radii=[2.0], bound="tangent"
        ).lower[0, 0]
        assert (bound > 0.5) == (level > 0)


@pytest.mark.parametrize(
    "method", [{"bound": "cdf", "band": "dkw"}, {"bound": "cdf"}, {"bound": "mean"}, {}]
)
def test_a_radius_is_looked_for_only_where_the_draws_can_show_it(method):
    planned = plan(FindRadius(0.97, precision=1e-6), n_max=8000, **method)
    assert planned.stages[0].alpha == 0
    answer = replay(planned, np.ones(8000))
    assert answer.certified
    assert answer.outcome == "exhausted"


@pytest.mark.parametrize("question", [Decide(0.9, radius=2.0), FindRadius(0.999, precision=0.1)])
def test_too_few_draws_for_the_question_are_refused_with_the_number_needed(question):
    with pytest.raises(ValueError, match=r"n_max = 1000 draws are too few .* fewer than \d") as e:
        plan(question, n_max=1000)
    least = float(str(e.value).split()[-1])
    assert plan(question, n_max=2 * int(least)).stages[-1].alpha > 0
    with pytest.raises(ValueError, match="fewer than inf"):
        plan(Decide(0.5, radius=60.0))


@pytest.mark.parametrize(
    ("question", "options", "error", "match"),
    [
        (Decide(1.0, 0.5), {}, ValueError, "threshold must lie strictly inside"),
        (Decide(0.5, -0.5), {}, ValueError, "radius must be finite"),
        (FindRadius(0.0, 0.1), {}, ValueError, "threshold must lie strictly inside"),
        (FindRadius(0.5, 0.0), {}, ValueError, "precision must be positive"),
        ((0.5, 0.5), {}, TypeError, "question must be Decide"),
        (Decide(0.5, 0.5), {"n_max": 0}, ValueError, "n_max must be at least 1"),
        (Decide(0.5, 0.5), {"alpha": 0.0}, ValueError, "alpha must lie"),
        (Decide(0.5, 0.5), {"bound": "best"}, ValueError, "bound must be one of"),
    ],
)
def test_wrong_arguments_are_named(question, options, error, match):
    with pytest.raises(error, match=match):
        plan(question, **options)


def test_the_record_holds_the_split_of_alpha():
    planned = plan(FindRadius(0.5, precision=0.1))
    record = json.loads(json.dumps(planned.record()))
    assert record["asked"] == "FindRadius"
    assert record["question"] == {"threshold": 0.5, "precision": 0.1}
    assert [(s["n"], s["alpha"]) for s in record["stages"]] == list(planned.stages)


# draws in, answer out --------------------------------------------------------------------------


@pytest.mark.parametrize("question", [Decide(0.5, radius=0.7), FindRadius(0.5, precision=0.02)])
@pytest.mark.parametrize("options", [{}, {"bound": "cdf"}, {"bound": "mean"}])
def test_each_stage_is_bounded_at_its_level_on_all_draws_so_far(question, options, monkeypatch):
    monkeypatch.setattr(adaptive, "_FUTILITY_ERRORS", np.inf)  # look at every stage
    planned = plan(question, **options)
    scores = beta_scores(3, 4000, 3, 1.5)
    answer = replay(planned, scores)
    radius = getattr(question, "radius", 0.0)
    options = {"bound": "tangent"} | options | ({"n_bins": 1000} if "cdf" in str(options) else {})
    lower, found, spent = [], [], []
    for n, alpha in planned.stages[: answer.stage]:
        if alpha == 0.0:
            continue
        cert = sb.certify_scores(
            scores[None, :n],
            sigma=1.0,
            alpha=alpha,
            radii=[0.0, radius],
            thresholds=[0.5] if isinstance(question, FindRadius) else [],
            order="drawn",
            **options,
        )
        lower.append(cert.lower[0])
        found.append(cert.radius[0])
        spent.append(alpha)
    assert [answer.lower_at_zero, answer.lower] == np.max(lower, axis=0).tolist()
    assert answer.n_draws == planned.stages[answer.stage - 1].n
    assert answer.alpha_spent == pytest.approx(sum(spent))
    assert answer.alpha_spent <= planned.alpha
    assert answer.level == spent[-1]
    if isinstance(question, FindRadius):
        assert answer.radius == np.nanmax(found)
        assert answer.certified
    else:
        assert answer.certified == (answer.lower > 0.5)


@given(st.lists(st.integers(0, 900), max_size=30), st.sampled_from([0.2, 0.5, 1.5]))
def test_the_answer_does_not_depend_on_how_the_draws_arrive(sizes, radius):
    planned, scores = plan(Decide(0.5, radius), n_max=N_MAX), beta_scores(4, N_MAX, 3, 1.5)
    job, at = planned.start(), 0
    for size in [*sizes, *[N_MAX] * 10]:
        new = scores[at : at + min(size, job.remaining)]
        job.update(new)
        at += len(new)
    assert repr(job.answer) == repr(replay(planned, scores))  # NaN is not equal to itself
    assert (job.scores == scores[: job.answer.n_draws]).all()


def test_scores_are_copied_and_checked():
    job = plan(Decide(0.5, 0.5)).start()
    buffer = np.full(50, 0.5, np.float32)
    job.update(buffer)
    buffer[:] = 0.0
    assert (job.scores == 0.5).all()
    wants = job.remaining
    for bad, error, match in [
        (
            np.full(job.remaining + 1, 0.5),
            ValueError,
            f"wants {wants} more scores, got {wants + 1}",
        ),
        ([np.nan], ValueError, "finite and within"),
        ([1.5], ValueError, r"score_range \[0.0, 1.0\]"),
        ([1, 0], TypeError, "int64"),
        ([[0.5]], TypeError, r"shape \(1, 1\)"),
    ]:
        with pytest.raises(error, match=match):
            job.update(bad)
        assert job.remaining == wants


def test_an_answered_job_takes_no_more():
    job = plan(Decide(0.5, 0.5)).start()
    while job.remaining:
        job.update(SATURATED[: job.remaining])
    with pytest.raises(ValueError, match="wants 0 more"):
        job.update([0.9])
    before = job.answer
    job.stop()
    assert job.answer is before


def test_each_backend_answers_alike(backend):
    if backend == "numba":
        pytest.importorskip("numba")
    answer = replay(plan(Decide(0.5, 0.5), n_max=400, backend=backend), SATURATED)
    reference = replay(plan(Decide(0.5, 0.5), n_max=400), SATURATED)
    assert (answer.reason, answer.n_draws) == (reference.reason, reference.n_draws)
    assert answer.lower == pytest.approx(reference.lower, abs=1e-9)


# stopping --------------------------------------------------------------------------------------


def test_a_clear_claim_is_certified_and_a_hopeless_one_given_up_at_once():
    planned = plan(Decide(0.5, radius=0.5), n_max=100_000)
    first = planned.stages[0].n
    yes = replay(planned, SATURATED)
    assert (yes.certified, yes.radius, yes.outcome) == (True, 0.5, "certified")
    no = replay(planned, beta_scores(1, 5000, 2, 3))
    assert (no.certified, no.outcome, no.stage) == (False, "futile", 1)
    assert np.isnan(no.radius)
    assert yes.n_draws <= 2 * first
    assert no.n_draws == first
    expected = f"given up after {first} draws: even 100000 draws are not expected to certify "
    assert no.reason == expected + "more than 0.5"


def test_a_hopeless_radius_is_not_looked_for():
    answer = replay(plan(FindRadius(0.5, precision=0.1)), beta_scores(1, 5000, 2, 3))
    assert (answer.certified, answer.outcome, answer.stage) == (False, "futile", 1)


def test_a_close_call_takes_all_draws():
    answer = replay(plan(Decide(0.5, radius=0.7)), beta_scores(4, 4000, 3, 1.5))
    assert (answer.certified, answer.outcome, answer.n_draws) == (False, "exhausted", 4000)


def test_a_radius_is_found_to_its_precision():
    """In nearly all of 20 repetitions all 20 000 draws gain no more than the precision."""
    precision, missed, draws = 0.1, 0, []
    planned = plan(FindRadius(0.5, precision), n_max=20_000)
    for seed in range(20):
        scores = beta_scores(seed, 20_000, 5, 1)
        answer = replay(planned, scores)
        whole = sb.certify_scores(
            scores[None], sigma=1.0, alpha=planned.stages[-1].alpha, thresholds=[0.5],
            bound="tangent",
        ).radius[0, 0]  # fmt: skip
        missed += whole - answer.radius > precision
        draws.append(answer.n_draws)
        assert answer.outcome in ("precise", "exhausted")
    assert missed <= 1
    assert np.mean(draws) < 12_000


def test_futility_takes_certificates_away_and_never_adds_one():
    """Near the boundary, where it costs most: at most one certificate in ten."""
    planned = plan(Decide(0.5, radius=0.712))
    rows = [beta_scores(seed, 4000, 3, 1.5) for seed in range(150)]
    quick = [replay(planned, row) for row in rows]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(adaptive, "_FUTILITY_ERRORS", np.inf)
        patient = [replay(planned, row) for row in rows]
    for a, b in zip(quick, patient, strict=True):
        assert repr(a) == repr(b) if a.outcome != "futile" else a.n_draws < b.n_draws
    found, possible = (sum(a.certified for a in answers) for answers in (quick, patient))
    assert 30 < possible < 120
    assert 0.9 * possible <= found <= possible
    assert {"certified", "futile"} <= {a.outcome for a in quick}


@pytest.mark.parametrize("r", [0.0, 0.5, 1.5])
def test_the_uncertainty_is_that_of_theorem_2_at_the_empirical_distribution(r):
    def value(ordered, r):
        reach = np.clip(1 - np.arange(ordered.shape[1]) / ordered.shape[1], 0, 1 - 1e-12)
        return np.diff(ordered, prepend=0) @ gaussian.cdf(gaussian.quantile(reach) - r)

    rows = np.sort(np.random.default_rng(0).beta(3, 1.5, (2000, 500)), axis=1)
    error, slope = np.array([adaptive._uncertainty(row, 0.0, r) for row in rows]).mean(axis=0)
    assert error == pytest.approx(value(rows, r).std(), rel=0.1)
    rise = (value(rows, r - 1e-3) - value(rows, r + 1e-3)).mean() / 2e-3
    assert slope == pytest.approx(rise, rel=0.06)


# budgets ---------------------------------------------------------------------------------------


def test_draws_run_out_between_stages_and_what_is_finished_stays():
    planned = plan(FindRadius(0.5, precision=1e-6))
    first, second = (stage.n for stage in planned.stages[:2])
    budget = Budget(draws=first + second)
    whole = replay(planned, SATURATED, budget)
    assert (whole.outcome, whole.n_draws) == ("budget", second)
    assert whole.reason == f"budget spent after {second} draws"
    assert whole.radius > 0.5
    assert budget.spent == second
    late = replay(planned, SATURATED, budget)
    assert (late.n_draws, late.stage) == (first, 1)
    assert late.alpha_spent == late.level == planned.stages[0].alpha
    never = planned.start(budget)
    assert never.remaining == 0
    assert (never.answer.certified, never.answer.n_draws, never.answer.lower) == (False, 0, 0.0)
    assert never.answer.reason == "budget spent after 0 draws"
    assert never.answer.level == 0.0


def test_seconds_run_out():
    now = iter([100.0, 104.0, 105.0])
    budget = Budget(seconds=5.0, clock=lambda: next(now))
    assert [budget.take(10) for _ in range(3)] == [True, True, False]
    assert budget.spent == 20


def test_a_stopped_job_answers_from_its_finished_stages():
    job = plan(FindRadius(0.5, precision=1e-6)).start()
    job.update(SATURATED[: job.remaining])
    job.update(SATURATED[:7])
    job.stop()
    assert (job.remaining, job.answer.outcome, job.answer.stage) == (0, "budget", 1)
    assert job.answer.n_draws == job.plan.stages[0].n + 7
    assert job.answer.radius > 0


def test_wrong_budgets_are_named():
    with pytest.raises(ValueError, match="draws must be at least 1"):
        Budget(draws=0)
    with pytest.raises(ValueError, match="seconds must be positive"):
        Budget(seconds=-1.0)


# coverage --------------------------------------------------------------------------------------

ALPHA, REPEATS, N_MAX = 0.1, 1000, 800


def allowed(trials, alpha):
    """More failures than this are a sign, at one in ten thousand, that the rate exceeds alpha."""
    return binom.ppf(1 - 1e-4, trials, alpha)


# Scores, the threshold c, and the radius (sigma = 1) at which the worst confidence is just c.
BOUNDARY = {
    "0 or 1": (lambda g, m: (g.uniform(size=m) < 0.9) * 1.0, 0.6, ndtri(0.9) - ndtri(0.6)),
    "uniform": (lambda g, m: g.uniform(size=m), 0.3, population(lambda s: 1 - s, 0.3)),
    "Beta(5, 0.5)": (
        lambda g, m: g.beta(5, 0.5, m),
        0.8,
        population(lambda s: beta.sf(s, 5, 0.5), 0.8),
    ),
    "Beta(3, 1.5)": (
        lambda g, m: g.beta(3, 1.5, m),
        0.5,
        population(lambda s: beta.sf(s, 3, 1.5), 0.5),
    ),
}


def false_answers(planned, sample, radius):
    rng = np.random.default_rng(11)
    rows = (sample(rng, planned.n_max) for _ in range(REPEATS))
    return sum(replay(planned, row).radius >= radius for row in rows)  # NaN is below


@pytest.mark.parametrize("name", BOUNDARY)
@pytest.mark.parametrize("bound", ["tangent", "cdf", "mean"])
@pytest.mark.parametrize("further", [1e-6, 0.02])
def test_false_claims_are_certified_with_probability_at_most_alpha(name, bound, further):
    """Claims false by nothing (1e-6 outweighs the error of the quadrature), and by a little."""
    sample, c, limit = BOUNDARY[name]
    planned = plan(Decide(c, limit + further), n_max=N_MAX, alpha=ALPHA, bound=bound)
    assert len(planned.stages) > 2
    assert false_answers(planned, sample, limit + further) <= allowed(REPEATS, ALPHA)


@pytest.mark.parametrize("name", BOUNDARY)
def test_radii_are_too_large_with_probability_at_most_alpha(name):
    sample, c, limit = BOUNDARY[name]
    planned = plan(FindRadius(c, precision=0.2), n_max=N_MAX, alpha=ALPHA, bound="cdf")
    assert false_answers(planned, sample, limit + 1e-6) <= allowed(REPEATS, ALPHA)


def test_other_certificates_at_the_level_of_the_last_look_cover_too():
    """The radius of the class by Cohen et al., from the votes for it."""
    limit = ndtri(0.9)
    planned = plan(Decide(0.6, limit - ndtri(0.6)), n_max=N_MAX, alpha=ALPHA)
    rng, false = np.random.default_rng(12), 0
    for _ in range(REPEATS):
        votes = (rng.uniform(size=N_MAX) < 0.9) * 1.0
        answer = replay(planned, votes)
        n = planned.stages[answer.stage - 1].n
        false += class_radius(int(votes[:n].sum()), n, sigma=1.0, alpha=answer.level) > limit
    assert false <= allowed(REPEATS, ALPHA)


def test_the_test_above_can_fail(monkeypatch):
    """Looks that spend far more than alpha err more often than alpha."""
    monkeypatch.setattr(adaptive.Stage, "alpha", 0.9)
    sample, c, limit = BOUNDARY["0 or 1"]
    planned = plan(Decide(c, limit + 1e-6), n_max=N_MAX, alpha=ALPHA)
    assert false_answers(planned, sample, limit) > allowed(REPEATS, ALPHA)
