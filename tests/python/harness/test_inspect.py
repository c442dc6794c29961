"""The metric of inspect_ai: exact for one sample, never too high for several."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

inspect_ai = pytest.importorskip("inspect_ai")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from inspect_ai import Epochs, Task, task  # noqa: E402
from inspect_ai._util.registry import registry_info  # noqa: E402
from inspect_ai.dataset import Sample  # noqa: E402
from inspect_ai.scorer import (  # noqa: E402
    SampleScore,
    Score,
    Target,
    accuracy,
    scorer,
)
from inspect_ai.scorer._metric import metric_create  # noqa: E402
from inspect_ai.solver import Generate, TaskState, solver  # noqa: E402
from scipy.stats import beta, binom  # noqa: E402

import smoothbound as sb  # noqa: E402
from smoothbound.harness import certified_mean  # noqa: E402
from smoothbound.harness._inspect import _bound  # noqa: E402

# What inspect_ai imports is deprecated, and it leaves streams to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("DeprecationWarning", "ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
]
PAGE = Path(__file__).parents[3] / "docs/howto/harness/inspect-ai.md"


def scored(*rows: list[Any]) -> list[SampleScore]:
    """Return the scores of samples, as inspect_ai gives them to a metric."""
    return [
        SampleScore(score=Score(value=value), sample_id=f"sample {i}")
        for i, row in enumerate(rows)
        for value in row
    ]


def clopper_pearson(k: int, n: int, alpha: float = 0.05) -> float:
    return float(beta.ppf(alpha, k, n - k + 1)) if k else 0.0


# --- an evaluation --------------------------------------------------------------------------------


@solver
def no_answer() -> Any:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        return state  # counting the words of an answer needs the network

    return solve


@scorer(metrics=[accuracy(), certified_mean(epochs=20)])
def first_epoch_wrong() -> Any:
    async def score(state: TaskState, target: Target) -> Score:
        return Score(value="I" if state.epoch == 1 else "C")

    return score


@scorer(metrics=[certified_mean(epochs=20, alpha=0.01)])
def first_epoch_unscored() -> Any:
    async def score(state: TaskState, target: Target) -> Score:
        return Score.unscored() if state.epoch == 1 else Score(value="C")

    return score


@scorer(metrics=[certified_mean(epochs=20, samples=3)])
def first_epoch_of_three_wrong() -> Any:
    return first_epoch_wrong()


@scorer(metrics=[certified_mean(epochs=20, samples=3)])
def question_1_unscored() -> Any:
    async def score(state: TaskState, target: Target) -> Score:
        return Score.unscored() if "1" in state.input_text else Score(value="C")

    return score


def evaluated(scored_by: Any, n_samples: int, folder: Any) -> dict[str, float]:
    @task
    def questions() -> Task:
        samples = [Sample(input=f"question {i}", target="yes") for i in range(n_samples)]
        return Task(dataset=samples, solver=no_answer(), scorer=scored_by)

    (log,) = inspect_ai.eval(
        questions(),
        model="mockllm/model",
        epochs=Epochs(20),
        log_dir=str(folder),
        display="none",
    )
    assert log.status == "success", log.error
    return {name: one.value for score in log.results.scores for name, one in score.metrics.items()}


@pytest.mark.parametrize(
    ("scored_by", "n_samples"), [(first_epoch_wrong, 1), (first_epoch_of_three_wrong, 3)]
)
def test_an_evaluation_with_19_of_20_right(tmp_path: Any, scored_by: Any, n_samples: int) -> None:
    found = evaluated(scored_by(), n_samples, tmp_path)
    exact = clopper_pearson(19 * n_samples, 20 * n_samples)
    assert exact - 1e-8 < found["certified_mean"] <= exact


def test_what_inspect_leaves_unscored_counts_as_zero(tmp_path: Any) -> None:
    found = evaluated(first_epoch_unscored(), 1, tmp_path)
    assert found["certified_mean"] == pytest.approx(clopper_pearson(19, 20, 0.01), abs=1e-8)


def test_a_sample_without_any_score_counts_as_zero(tmp_path: Any) -> None:
    found = evaluated(question_1_unscored(), 3, tmp_path)
    assert found["certified_mean"] == pytest.approx(clopper_pearson(40, 60), abs=1e-8)


def test_the_page_runs_as_it_stands(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "page"}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], names)  # type: ignore[index]
    assert names["log"].status == "success"
    assert names["found"] == pytest.approx({"accuracy": 0.95, "certified_mean": 0.7839}, abs=1e-4)


def test_it_is_made_by_its_name_as_from_a_log() -> None:
    made = metric_create(registry_info(certified_mean).name, epochs=2)
    assert made(scored(["C", "C"])) == pytest.approx(0.05**0.5)


# --- coverage -------------------------------------------------------------------------------------


def test_one_sample_is_covered_as_stated_and_exactly() -> None:
    lower = np.array(
        [certified_mean(epochs=20)(scored([1] * k + [0] * (20 - k))) for k in range(21)]
    )
    ones = np.arange(21)
    for p in np.linspace(0.001, 0.999, 999):
        assert binom.pmf(ones[lower > p], 20, p).sum() <= 0.05
    at = lower[19] * (1 - 1e-9)  # a little below the bound of 19 of 20, which is then too high
    assert binom.pmf(ones[lower > at], 20, at).sum() == pytest.approx(0.05, abs=1e-7)


def poisson_binomial(p: np.ndarray) -> np.ndarray:
    found = np.ones(1)
    for one in p:
        found = np.convolve(found, [1 - one, one])
    return found


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=5),
    st.integers(1, 6),
    st.floats(0.001, 0.9),
)
def test_samples_of_other_difficulty_are_covered(p: list[float], epochs: int, alpha: float) -> None:
    chances = poisson_binomial(np.repeat(p, epochs))
    n = epochs * len(p)
    rows = {i: [0.0] * epochs for i in range(len(p))}
    false = 0.0
    for k in range(n + 1):
        ones = iter([1.0] * k + [0.0] * (n - k))
        made = {i: [next(ones) for _ in row] for i, row in rows.items()}
        if _bound(made, epochs, alpha, len(p)) > np.mean(p):
            false += chances[k]
    assert false <= alpha + 1e-12


def test_a_single_one_among_several_samples_bounds_nothing() -> None:
    """Bin(2, 0.02) has a one with probability 0.0396, but questions of 0.04 and 0 with 0.04."""
    assert (
        sb.certify_scores(
            [[1.0, 0.0]], sigma=1, alpha=0.0398, radii=[0], bound="mean", mean="betting"
        ).lower[0, 0]
        > 0.02
    )
    assert certified_mean(epochs=1, alpha=0.0398, samples=2)(scored([1], [0])) == 0.0


def test_fractions_of_one_sample_are_bounded_by_betting() -> None:
    rng = np.random.default_rng(0)
    draws = rng.beta(8, 2, (300, 20))
    lower = [certified_mean(epochs=20)(scored(row.tolist())) for row in draws]
    assert np.mean(np.array(lower) > 0.8) <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5
    assert np.mean(lower) > 0.6


@pytest.mark.parametrize(("epochs", "alpha"), [(10, 0.05), (10, 0.01), (20, 0.05)])
@pytest.mark.parametrize("value", [0.5, 0.9, 0.99])
def test_fractions_with_unscored_epochs_are_covered(
    epochs: int, alpha: float, value: float
) -> None:
    """Scores of one value or none: those that are there come first, which their order must not."""
    made = certified_mean(epochs=epochs, alpha=alpha)
    lower = np.array([made(scored([value] * k)) for k in range(epochs + 1)])
    for p in np.linspace(0.02, 0.98, 49):
        assert binom.pmf(np.arange(epochs + 1)[lower > p * value], epochs, p).sum() <= alpha


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[0.5, 1.0], [1.0, 1.0]], "scores of several samples, here 2, must be 0 or 1, got .*0.5"),
        ([[1.0, 1.5]], r"scores must be in \[0, 1\], got 1.5 of sample 'sample 0'"),
        ([[1.0, float("nan")]], r"scores must be in \[0, 1\], got nan"),
        ([[1.0] * 3], "epochs must be that of the evaluation, got 2, and sample 'sample 0' has 3"),
        ([[{"a": 1}]], "scores must be single values, got the dict"),
        ([[1.0]] * 3, "samples must be the number of samples of the evaluation, got 2, and 3 have"),
    ],
)
def test_scores_that_it_cannot_bound_are_refused(rows: list[list[Any]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        certified_mean(epochs=2, samples=2)(scored(*rows))


@pytest.mark.parametrize(
    "given",
    [
        {"epochs": 0},
        {"epochs": 2, "alpha": 0.0},
        {"epochs": 2, "to_float": 3},
        {"epochs": 2, "samples": 0},
    ],
)
def test_wrong_arguments_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=list(given)[-1]):
        certified_mean(**given)


def test_no_scores_bound_nothing() -> None:
    assert certified_mean(epochs=20)([]) == 0.0


def test_a_to_float_decides_what_counts() -> None:
    strict = certified_mean(epochs=4, to_float=lambda value: float(value >= 0.7))
    assert strict(scored([0.9, 0.8, 0.75, 0.1])) == pytest.approx(clopper_pearson(3, 4), abs=1e-8)


def test_the_order_of_the_samples_and_epochs_does_not_matter_for_votes() -> None:
    known = {certified_mean(epochs=3)(scored(list(row))) for row in product([0, 1], repeat=3)}
    assert len(known) == 4
