"""Forecasts of adaptive runs: near what runs give, and intervals that hold as often as they say."""

from __future__ import annotations

import shlex
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reported import SETTINGS
from scipy.special import expit
from scipy.stats import beta, binom
from typer.testing import CliRunner, Result

from smoothbound import ScoreSketch, store
from smoothbound.anytime import Decide, Plan
from smoothbound.cli._app import app
from smoothbound.cli._commands.of_results._recommend_adaptive import settings_for
from smoothbound.recommend import Estimate, Pilot, recommend_adaptive
from smoothbound.recommend._simulation import Population, select_class
from smoothbound.recommend._statistics import mean_of, median_of
from smoothbound.store._commands import certify_command

SIGMA = 0.25


def pilot_of(scores: np.ndarray, sigma: float = SIGMA, **fields: Any) -> Pilot:
    index = np.arange(len(scores))
    sketch = ScoreSketch(len(scores), sigma=sigma)
    sketch.update(scores)
    given = {"label": index % 3, "selected": index % 3, "n0": 100} | fields
    return Pilot(f"pilot-{sigma}", sketch, index, **given)


def drawn(means: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw scores logistic(mean + 1.5 N) of some inputs."""
    return expit(means[:, None] + 1.5 * rng.standard_normal((means.size, n)))


# --- estimates from a few inputs ----------------------------------------------------------------


@pytest.mark.parametrize(("count", "total"), [(0, 20), (1, 20), (31, 50), (20, 20)])
def test_the_interval_of_a_share_is_that_of_clopper_and_pearson(count: int, total: int) -> None:
    values = np.repeat([1.0, 0.0], [count, total - count])[:, None]
    share, low, high = mean_of(values, (0.0, 1.0))
    assert share == count / total
    assert low == pytest.approx(beta.ppf(0.025, count, total - count + 1) if count else 0, abs=0.01)
    least = beta.ppf(0.975, count + 1, total - count) if count < total else 1
    assert high == pytest.approx(least, abs=0.01)


def test_the_interval_of_a_median_is_that_of_the_signs() -> None:
    """Between the order statistics whose numbers enclose 95 % of Binomial(n, 1/2)."""
    values = np.random.default_rng(0).permutation(np.arange(101.0))[:, None]
    median, low, high = median_of(values, (-1000.0, 1000.0))
    assert median == 50
    ranks = binom.ppf([0.025, 0.975], 101, 0.5)
    assert low == pytest.approx(ranks[0], abs=2)
    assert high == pytest.approx(ranks[1], abs=2)


def test_an_interval_allows_for_values_that_no_input_has() -> None:
    same = np.full((50, 3), 20.0)
    for estimate in (mean_of(same, (0.0, 1000.0)), median_of(same, (0.0, 1000.0))):
        assert estimate.value == 20
    mean = mean_of(same, (0.0, 1000.0))
    assert mean.low < 20 < mean.high
    assert mean.high - 20 > 20 - mean.low  # the greatest value is further away
    assert mean.times(2.0) == Estimate(40.0, 2 * mean.low, 2 * mean.high)


def test_runs_that_differ_widen_an_interval() -> None:
    apart, level = np.tile([0.0, 1.0], (40, 1)), np.full((40, 2), 0.5)
    one, other = mean_of(apart, (0.0, 1.0)), mean_of(level, (0.0, 1.0))
    assert one.value == other.value == 0.5
    assert one.low < other.low < 0.5 < other.high < one.high


# --- made-up draws ------------------------------------------------------------------------------


def test_made_up_draws_are_those_of_the_pilot() -> None:
    cells, rng = np.array([0.0, 0.25, 0.5, 0.75, 1.0]), np.random.default_rng(0)
    counts = np.array([0, 300, 0, 600, 100], np.uint32)
    shares = []
    for _ in range(50):
        scores = Population(cells, counts, rng).draw(1000)
        assert ((scores >= 0) & (scores <= 1)).all()
        shares.append([(scores == cell).mean() for cell in cells])
    np.testing.assert_allclose(np.mean(shares, axis=0), counts / 1000, atol=0.01)
    # A thousand draws of a pilot and a thousand made-up ones: twice the variance of one of them.
    assert np.var(shares, axis=0)[3] == pytest.approx(2 * 0.6 * 0.4 / 1000, rel=0.5)


def test_draws_that_the_pilot_did_not_see_are_allowed_for() -> None:
    cells, rng = np.array([-1.0, 0.0, 1.0]), np.random.default_rng(0)
    counts = np.array([0, 0, 10], np.uint32)
    unseen = [(Population(cells, counts, rng).draw(100) < 1).mean() for _ in range(400)]
    assert np.mean(unseen) == pytest.approx(0.5 / 10.5, rel=0.25)


@pytest.mark.parametrize(
    ("score", "n0", "n_selection"), [(0.9, 100, 10), (0.2, 100, 100), (0.9, 4, 4), (0.9, 0, 0)]
)
def test_a_selection_ends_when_the_class_is_clear(score: float, n0: int, n_selection: int) -> None:
    cells = np.array([0.0, score, 1.0])
    counts = np.array([0, 2**31, 0], np.uint32)
    population = Population(cells, counts, np.random.default_rng(0))
    assert select_class(population, n0, 0.5).tolist() == [score] * n_selection


def test_a_class_that_is_on_top_with_low_scores_is_soon_selected() -> None:
    scores = np.full((6, 200), 0.3)  # one of many classes
    options = {"thresholds": [0.1], "radii": [0.0], "max_draws": 500}
    (unknown,) = recommend_adaptive([pilot_of(scores)], **options).together
    pilot = pilot_of(scores, top_count=np.full(6, 200))
    (known,) = recommend_adaptive([pilot], **options).together
    assert unknown.certified.value == known.certified.value == 1
    assert unknown.median.value - known.median.value == pytest.approx(90, abs=10)


# --- forecasts ----------------------------------------------------------------------------------


def true_run(plan: Plan, mean: float, rng: np.random.Generator) -> tuple[bool, int]:
    """Run the job itself on draws of one input; its selection is ten draws."""
    job = plan.start()
    job.begin(0, drawn(np.array([mean]), 10, rng)[0])
    while job.remaining:
        job.update(drawn(np.array([mean]), job.remaining, rng)[0])
    return job.test.answers[0].certified, 10 + job.test.n_draws


def test_a_forecast_is_near_what_runs_of_the_same_inputs_give() -> None:
    rng = np.random.default_rng(5)
    means = rng.uniform(3.0, 6.0, 60)  # the selection ends after about ten draws
    question = Decide(0.85, SIGMA)
    plan = Plan(questions=(question,), sigma=SIGMA, n=2000)
    came = np.array([[true_run(plan, mean, rng) for _ in range(2)] for mean in means], float)
    pilot = pilot_of(drawn(means, 1000, rng))
    advice = recommend_adaptive([pilot], thresholds=[0.85], radii=[SIGMA], max_draws=2000, n_runs=2)
    (told,) = advice.together
    assert 0.4 < told.certified.value < 0.9
    assert told.certified.value == pytest.approx(came[..., 0].mean(), abs=0.05)
    assert told.mean.value == pytest.approx(came[..., 1].mean(), rel=0.2)
    assert told.median.value == pytest.approx(np.median(came[..., 1]), rel=0.2)


@pytest.mark.slow
def test_intervals_hold_about_as_often_as_they_say() -> None:
    """Of 20 pilots with 25 inputs; of each 95 % interval more than 3 misses have P < 0.016."""
    rng = np.random.default_rng(1)
    plan = Plan(questions=(Decide(0.5, SIGMA),), sigma=SIGMA, n=1000)
    came = np.array([true_run(plan, mean, rng) for mean in rng.normal(4.0, 2.0, 1000)], float)
    truth = came[:, 0].mean(), came[:, 1].mean(), np.median(came[:, 1])
    misses, widths = np.zeros(3), []
    for seed in range(20):
        pilot = pilot_of(drawn(rng.normal(4.0, 2.0, 25), 300, rng))
        (told,) = recommend_adaptive(
            [pilot], thresholds=[0.5], radii=[SIGMA], max_draws=1000, n_runs=2, seed=seed
        ).together
        estimates = (told.certified, told.mean, told.median)
        misses += [not one.low <= x <= one.high for one, x in zip(estimates, truth, strict=True)]
        widths.append(told.certified.high - told.certified.low)
    assert (misses <= 3).all()
    assert np.mean(widths) < 0.42  # that of a share of 25 inputs, with certain outcomes: 0.40


def test_questions_by_themselves_and_together() -> None:
    rng = np.random.default_rng(2)
    means = np.linspace(1, 5, 10)
    pilots = [pilot_of(drawn(means - 0.5, 500, rng), 0.5), pilot_of(drawn(means, 500, rng))]
    advice = recommend_adaptive(
        pilots, thresholds=[0.8, 0.5, 0.8], radii=[0.25, 0.0], max_draws=1000, n_runs=3
    )
    assert [one.sigma for one in advice.pilots] == [0.25, 0.5]
    assert advice.questions == tuple(Decide(c, r) for c in (0.5, 0.8) for r in (0.0, 0.25))
    for pilot, singly, together in zip(advice.pilots, advice.singly, advice.together, strict=True):
        assert [one.questions for one in singly] == [(one,) for one in advice.questions]
        assert together.questions == advice.questions
        assert {one.pilot for one in singly} == {pilot}
        assert together.certified.value <= min(one.certified.value for one in singly) + 0.1
        assert together.mean.value >= max(one.mean.value for one in singly) * 0.9
        assert singly[0].certified.value > singly[3].certified.value
    assert advice.total == 10
    totals = [sum(one.certified.value for one in singly) for singly in advice.singly]
    assert advice.place == int(np.argmax(totals))
    assert advice.pilot is advice.pilots[advice.place]
    again = recommend_adaptive(
        pilots, thresholds=[0.5, 0.8], radii=[0.0, 0.25], max_draws=1000, n_runs=3
    )
    assert [one.mean for one in again.together] == [one.mean for one in advice.together]


def test_wrong_classes_and_missing_draws_are_not_certified() -> None:
    scores = np.full((6, 200), 0.99)
    plain = pilot_of(scores, seconds_per_draw=0.5)
    (told,) = recommend_adaptive([plain], thresholds=[0.5], radii=[0.1], max_draws=500).together
    assert told.certified.value == 1
    assert told.seconds == told.mean.times(0.5)
    wrong = pilot_of(scores, selected=np.array([0, 1, 9, 9, 9, 2]))
    (told_wrong,) = recommend_adaptive(
        [wrong], thresholds=[0.5], radii=[0.1], max_draws=500
    ).together
    assert told_wrong.certified.value == 0.5
    assert told_wrong.mean == told.mean
    assert told_wrong.seconds is None
    missing = Pilot("missing", plain.sketch, np.arange(8), np.arange(8) % 3, np.arange(8) % 3)
    (told_some,) = recommend_adaptive(
        [missing], thresholds=[0.5], radii=[0.1], max_draws=500
    ).together
    assert told_some.certified.value == 0.75
    assert told_some.mean.value == pytest.approx(0.75 * told.mean.value)


def test_nothing_certified_and_equal_pilots() -> None:
    low = recommend_adaptive(
        [pilot_of(np.full((4, 99), 0.3))], thresholds=[0.5], radii=[0], max_draws=100
    )
    assert low.place is None
    assert low.pilot is None
    dear, cheap = np.full((4, 99), 0.8), np.full((4, 99), 0.99)
    both = [pilot_of(dear, 0.25), pilot_of(cheap, 0.5)]
    advice = recommend_adaptive(both, thresholds=[0.5], radii=[0], max_draws=1000)
    assert [one.certified.value for one in advice.together] == [1, 1]
    assert advice.place == 1  # it takes fewer draws


def test_progress_is_counted_to_its_end() -> None:
    shown = []

    @contextmanager
    def progress(what: str, total: int) -> Any:
        shown.append([what, total])
        yield shown.append

    pilots = [pilot_of(np.full((3, 50), 0.9), sigma) for sigma in (0.25, 0.5)]
    recommend_adaptive(
        pilots, thresholds=[0.5], radii=[0, 0.1], max_draws=400, n_runs=1, progress=progress
    )
    assert shown[0] == ["inputs forecast", 18]  # two questions and both together
    assert sum(shown[1:]) == 18


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pilots": []}, "at least one results folder"),
        ({"thresholds": [1.0]}, "thresholds must lie strictly inside"),
        ({"thresholds": []}, "thresholds and radii must make 1 to 100 questions, got 0 x 1"),
        ({"radii": np.linspace(0, 1, 101)}, "must make 1 to 100 questions, got 1 x 101"),
        ({"radii": [-0.1]}, "radii must be finite and >= 0"),
        ({"radii": [20.0]}, "radius must be at most 50 sigma"),
        ({"radii": [3.0]}, "must be smaller: with sigma = 0.25 even perfect scores do not"),
        ({"max_draws": 0}, "max_draws must be at least 1"),
        (
            {"max_draws": 20},
            r"max_draws must be at least \d+, got 20: fewer draws do not certify a conf",
        ),
        ({"alpha": 0.0}, "alpha must lie strictly"),
        ({"n_runs": 0}, "n_runs must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"backend": "gpu"}, "backend must be one of"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    given = {"pilots": [pilot_of(np.full((3, 50), 0.9))], "thresholds": [0.6], "radii": [0.25]}
    with pytest.raises(ValueError, match=message):
        recommend_adaptive(**(given | arguments))


# --- the command --------------------------------------------------------------------------------


def smoothbound(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def pilots(digits_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network, and a pilot with each of two sigmas, in folders of these names."""
    folder = tmp_path_factory.mktemp("adaptive-pilots")
    shutil.copy(digits_network, folder)
    for sigma in (0.25, 0.5):
        run = smoothbound(
            "certify", "--data", "digits", "--checkpoint", folder / "model.pt", "--sigma", sigma,
            "--out", folder / str(sigma), "--skip", 25, "--n", 300, "--n0", 20, "--seed", 3,
        )  # fmt: skip
        assert run.exit_code == 0, run.output
    return folder


def test_the_table_and_the_command(pilots: Path, tmp_path: Path) -> None:
    result = smoothbound(
        "recommend", pilots / "0.5", pilots / "0.25", "--adaptive", "--radii", "0.1",
        "--thresholds", "0.6", "--max-draws", 2000,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "adaptive runs with at most n = 2000 draws, from 12 inputs, with 95 %" in said
    assert "its score above c within R" in said
    assert "0.6, 0.1 0.25" in said
    rows = [line for line in result.output.splitlines() if line.count("–") == 4]
    assert len(rows) == 2  # whole numbers with their intervals, also on a narrow screen
    assert "A run that answers the question takes" in said
    assert "minutes. A forecast, not a certificate: the 300 draws" in said
    *_, command = result.output.strip().splitlines()
    words = shlex.split(command)
    assert "--adaptive" in words
    assert words[words.index("--seed") + 1] == "4"
    words[words.index("--out") + 1] = str(tmp_path / "results")
    run = smoothbound(*words[1:], "--skip", 25)
    assert run.exit_code == 0, run.output
    settings = store.load(tmp_path / "results").settings
    assert (settings.n, settings.radii, settings.thresholds) == (2000, (0.1,), (0.6,))
    assert settings.adaptive


def test_several_questions_have_a_row_each_and_one_together(pilots: Path) -> None:
    result = smoothbound(
        "recommend", pilots / "0.25", "--adaptive", "--radii", "0,0.1", "--max-draws", 400
    )
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    for words in ("0.5, 0 0.25", "0.5, 0.1 0.25", "all 2 0.25", "that answers all questions"):
        assert words in said
    assert "--radii 0.0,0.1 --thresholds=0.5" in said


def test_none_of_these(pilots: Path) -> None:
    result = smoothbound(
        "recommend", pilots / "0.25", "--adaptive", "--radii", 0.5, "--thresholds", 0.9,
        "--max-draws", 20_000,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "None of these: no input is forecast to be certified" in result.output
    assert "What would help: a lower threshold" in result.output
    assert "smoothbound certify" not in result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--threshold and --radius must be stated, as in"),
        (["--threshold", 0.5], "--threshold and --radius must be stated, as in"),
        (["--adaptive"], "--radii must be stated with --adaptive, as in --radii 0,0.25"),
        (["--adaptive", "--radii", 0, "--threshold", 0.5], "--threshold belongs to runs with a"),
        (["--adaptive", "--radii", 0, "--share", 0.5], "--share belongs to runs with a fixed"),
        (["--radii", 0.1], "--radii needs --adaptive; without it state one --threshold"),
        (["--adaptive", "--radii", "far"], "--radii must be numbers separated by commas"),
        (["--adaptive", "--radii", 0, "--thresholds", 1], "--thresholds must lie strictly inside"),
        (["--adaptive", "--radii", 0, "--max-draws", 5], "--max-draws must be at least 11, got 5"),
    ],
)
def test_the_command_refuses(pilots: Path, options: list[Any], said: str) -> None:
    result = smoothbound("recommend", pilots / "0.25", *options)
    assert result.exit_code == 2
    assert result.output.startswith("error: ")
    assert said in result.output


def test_the_settings_of_the_next_run() -> None:
    pilot = pilot_of(np.full((3, 99), 0.95), 0.5)
    advice = recommend_adaptive(
        [pilot], thresholds=[0.5], radii=[0.1, 0], max_draws=500, alpha=0.01
    )
    wanted = settings_for(advice, SETTINGS, seed=8)
    assert (wanted.n, wanted.seed, wanted.alpha) == (500, 8, 0.01)
    assert (wanted.radii, wanted.thresholds) == ((0.0, 0.1), (0.5,))
    assert (wanted.skip, wanted.max_inputs, wanted.indices) == (1, None, None)
    words = certify_command(wanted, "out").split()
    assert "--adaptive" in words
    assert "--bound" not in words
