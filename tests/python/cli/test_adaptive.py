"""`certify --adaptive`: few draws, rules on record, and the same result however often killed."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import forks
import numpy as np
import pytest
from forks import run_command
from killer import kill_and_resume
from stopped_runs import certify_words, contents, interrupted_at, stopped_after, terminate_at
from typer.testing import CliRunner, Result

from smoothbound import store
from smoothbound._display.rounding import floor_decimal, percent
from smoothbound.analysis.reading import evaluate
from smoothbound.anytime import AnytimeTest
from smoothbound.anytime._job.job import Job
from smoothbound.anytime._record import BudgetRecord
from smoothbound.cli._app import app

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS: dict[str, Any] = {
    "sigma": 0.25,
    "skip": 30,
    "n0": 20,
    "n": 8000,
    "radii": "0,0.2",
    "thresholds": "0.6,0.7",
    "batch-size": 100,
}
KILLS = 10


def arguments(model: Path, *flags: str, **changes: Any) -> list[str]:
    return certify_words(model, "--adaptive", *flags, **OPTIONS | changes)


def run(model: Path, out: Path, *flags: str, **changes: Any) -> Result:
    return CliRunner().invoke(app, arguments(model, *flags, **changes, out=out))


@pytest.fixture(scope="module")
def model(digits_network: Path) -> Path:
    return digits_network


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "results"
    result = run(model, out)
    assert result.exit_code == 0, result.output
    assert "Adaptive draws: on average" in result.output
    return out


@pytest.mark.usefixtures("plainly_drawn")
def test_a_run_answers_with_few_draws_and_keeps_its_rules(
    model: Path, whole: Path, tmp_path: Path
) -> None:
    results = store.load(whole)
    settings = results.settings
    assert settings.adaptive is not None
    assert settings.adaptive.asked == "Decide"
    assert settings.adaptive.budget == BudgetRecord()
    assert [method.name for method in settings.methods] == ["anytime"]
    draws, lower = results.array("n_draws"), results.array("lower_anytime")
    assert 10 < draws.mean() < 2000
    assert (lower > 0.6).any(axis=0).all()
    assert (results.array("n_selection") <= 20).all()
    assert (results.array("n_selection") < 20).any()

    report = CliRunner().invoke(app, ["report", str(whole), "--out", str(tmp_path / "report")])
    assert report.exit_code == 0, report.output
    page = (tmp_path / "report" / "report.md").read_text()
    assert f"adaptive draws, on average {draws.mean():.0f} of at most 8000 per input" in page
    assert "| R | anytime, c = 0.6 |" in page  # and no threshold that nobody asked about


def test_each_input_keeps_the_state_of_its_test(whole: Path) -> None:
    results = store.load(whole)
    lower = results.array("lower_anytime")
    for i, state in enumerate(results.table["state"].to_pylist()):
        test = AnytimeTest.from_bytes(state)
        assert test.n_draws == results.array("n_draws")[i]
        shown = [answer.certified for answer in test.answers[:4]]
        assert shown == [lower[i, k] > c for c in (0.6, 0.7) for k in range(2)]


@pytest.mark.usefixtures("undrawn")
def test_curves_are_drawn_where_they_say_more_than_a_table(
    model: Path, whole: Path, tmp_path: Path
) -> None:
    def figures(folder: Path) -> set[str]:
        out = tmp_path / f"report of {folder.name}"
        shown = CliRunner().invoke(app, ["report", str(folder), "--out", str(out)])
        assert shown.exit_code == 0, shown.output
        return {path.stem.partition("_")[2] for path in out.glob("*.png")}

    assert {"accuracy_vs_radius", "confidence"} <= figures(whole)  # two thresholds, two radii
    one = tmp_path / "one"
    assert run(model, one, radii="0.2", thresholds="0.6").exit_code == 0
    assert not figures(one)
    found = tmp_path / "found"
    changes = {"radii": None, "thresholds": "0.6", "radius-precision": 0.1}
    assert run(model, found, **changes).exit_code == 0
    assert "accuracy_vs_radius" in figures(found)
    assert "confidence" not in figures(found)


@pytest.mark.usefixtures("plainly_drawn")
def test_a_radius_is_found(model: Path, tmp_path: Path) -> None:
    changes = {"radii": None, "thresholds": "0.6", "radius-precision": 0.1}
    result = run(model, tmp_path / "out", **changes)
    assert result.exit_code == 0, result.output
    results = store.load(tmp_path / "out")
    assert results.settings.adaptive is not None
    assert results.settings.adaptive.asked == "FindRadius"
    assert results.settings.adaptive.precision == 0.1
    radius, lower = results.array("radius_anytime")[:, 0], results.array("lower_anytime")[:, 0]
    assert np.nanmax(radius) > 0.2
    np.testing.assert_array_equal(np.isnan(radius), lower <= 0.6)

    found = np.sort(radius[(results.array("predicted") == results.array("label")) & (radius >= 0)])
    least, median, most = (floor_decimal(found[k]) for k in (0, (len(found) - 1) // 2, -1))
    assert f"found for {len(found)} of 10 inputs, from {least} to {most}" in result.output
    assert f"median {median}" in result.output
    shown = CliRunner().invoke(
        app, ["report", str(tmp_path / "out"), "--out", str(tmp_path / "report")]
    )
    assert shown.exit_code == 0, shown.output
    page = (tmp_path / "report" / "report.md").read_text()
    assert "| 0.125 | " in page  # radii beyond the only one of the bounds, which is 0


def test_a_budget_ends_a_run_in_time(model: Path, whole: Path, tmp_path: Path) -> None:
    out, unlimited = tmp_path / "out", store.load(whole)
    half = int(unlimited.array("n_draws").sum()) // 2
    result = run(model, out, **{"budget-draws": half})
    assert result.exit_code == 0, result.output
    results = store.load(out)
    assert results.complete
    assert results.array("n_draws").sum() == half
    assert 0 < results.stopped_by_budget < 10
    assert f"the budget ended {results.stopped_by_budget} of 10 inputs" in result.output
    rows = zip(results.table.to_pylist(), unlimited.table.to_pylist(), strict=True)
    for row, other in rows:
        if row["status"] == "budget":
            assert row["n_draws"] <= other["n_draws"]
        else:
            assert repr({**row, "seconds": 0}) == repr({**other, "seconds": 0})  # NaN and all


def test_a_budget_without_draws_is_no_fault_of_the_network(model: Path, tmp_path: Path) -> None:
    result = run(model, tmp_path / "out", **{"budget-seconds": 1e-9})
    assert result.exit_code == 0, result.output
    assert "the budget ended 10 of 10 inputs" in result.output
    assert "note:" not in result.output


@pytest.mark.parametrize(
    "option", ["--strictness=3", "--radius-precision=0.1", "--budget-draws=9", "--correct-only"]
)
def test_options_of_adaptive_draws_need_them(model: Path, tmp_path: Path, option: str) -> None:
    options = arguments(model, option, out=tmp_path / "out")
    options.remove("--adaptive")
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 2
    assert "need --adaptive" in " ".join(result.output.split())


def test_a_resumed_budget_counts_the_draws_before(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with stopped_after(3):
        assert run(model, out, **{"budget-draws": 300}).exit_code == 130
    assert 0 < store.load(out).array("n_draws").sum() <= 300
    other = run(model, out, "--resume", **{"budget-draws": 400})
    assert other.exit_code == 2
    assert "adaptive budget: was {'draws': 300" in other.output
    assert run(model, out, "--resume", **{"budget-draws": 300}).exit_code == 0
    assert store.load(out).complete
    assert store.load(out).array("n_draws").sum() <= 300


def test_an_interrupted_run_goes_on_from_the_draws_it_made(
    model: Path, whole: Path, tmp_path: Path
) -> None:
    out, drawn, most_stopped = tmp_path / "out", 0, 0
    while drawn == 0 or not store.load(out).complete:
        with interrupted_at(12):
            result = run(model, out, "--resume")
        now = store.load(out)
        if now.complete:
            break
        assert result.exit_code == 130, result.output
        if now.stopped:
            assert f"and {now.stopped} more with their draws" in " ".join(result.output.split())
        before, drawn = drawn, int(now.array("n_draws").sum())
        assert drawn >= before
        most_stopped = max(most_stopped, now.stopped)
    assert most_stopped > 0
    assert contents(out) == contents(whole)


def test_the_draws_of_a_stopped_input_certify_at_once(
    model: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with interrupted_at(8):
        run(model, out)
    results, final = store.load(out), store.load(whole)
    rows = np.flatnonzero(results.array("status") == "stopped")
    assert rows.size
    for i in rows:
        (same,) = np.flatnonzero(final.array("index") == results.array("index")[i])
        assert 0 < results.array("n_draws")[i] <= final.array("n_draws")[same]
        assert (results.array("lower_anytime")[i] <= final.array("lower_anytime")[same]).all()
        assert "questions certified after" in results.array("reason")[i]


def test_sigterm_ends_a_run_as_by_hand(model: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = run_command(arguments(model, out=out), partial(terminate_at, 8))
    assert process.returncode == 143, process.stderr
    assert "go on with --resume" in " ".join(process.stderr.split())
    assert store.load(out).stopped
    assert run(model, out, "--resume").exit_code == 0
    assert contents(out) == contents(whole)


def test_a_stopped_input_whose_class_has_changed_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with interrupted_at(8):
        run(model, out)
    with monkeypatch.context() as patch:
        begin = Job.begin
        patch.setattr(Job, "begin", lambda self, selected, scores: begin(self, 11, scores))
        result = run(model, out, "--resume")
    assert result.exit_code == 2
    assert "select class 11 now, but selected class" in " ".join(result.output.split())


@pytest.mark.usefixtures("undrawn")
def test_only_correct_classes_are_drawn_where_only_they_count(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shown = run(model, out, "--correct-only", skip=6)
    assert shown.exit_code == 0
    results = store.load(out)
    wrong = results.array("selected") != results.array("label")
    assert wrong.any()
    np.testing.assert_array_equal(results.array("status") == "misclassified", wrong)
    assert (results.array("n_draws")[wrong] == 0).all()
    assert (results.array("lower_anytime")[wrong] == 0.0).all()
    said = " ".join(shown.output.split())
    assert f"{percent(int(wrong.sum()), len(wrong))} % wrong, without draws" in said
    assert "% abstained" not in said
    assert "abstention is not known, because --correct-only asks for certified accuracy" in said
    evaluation = evaluate(results, "correct")
    with pytest.raises(ValueError, match="abstention of correct is not known: inputs whose"):
        evaluation.abstained  # noqa: B018

    report = CliRunner().invoke(app, ["report", str(out), "--out", str(tmp_path / "report")])
    assert report.exit_code == 0, report.output
    page = (tmp_path / "report" / "report.md").read_text()
    assert "abstention, mean confidence and calibration (inputs whose selected class" in page
    assert "**Certified accuracy only**: inputs whose selected class is not the label" in page


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kills_change_nothing(model: Path, tmp_path: Path) -> None:
    undisturbed, folder = tmp_path / "whole", tmp_path / "killed"
    done = forks.run(kill_and_resume, KILLS, undisturbed, folder, arguments(model))
    assert done.returncode == 0, done.stderr
    expected = contents(undisturbed)
    for one in folder.iterdir():
        assert contents(one) == expected


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"radii": None}, "state --radii 0,0.25 and --thresholds"),
        ({"bound": "cdf"}, "must be left out with --adaptive"),
        ({"n": 5}, "n = 5 draws are too few"),
        ({"budget-draws": 0}, "draws must be at least 1"),
        ({"strictness": -1}, "--strictness must be"),
        ({"radius-precision": 1e-9}, "--radius-precision must be at least"),
        ({"radii": 20}, "--radii[0] must be at most 50 sigma"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    model: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    result = run(model, tmp_path / "out", **changes)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_a_resumed_run_keeps_its_question(model: Path, whole: Path) -> None:
    options = arguments(model, "--resume", out=whole)
    options.remove("--adaptive")
    fixed = CliRunner().invoke(app, options)
    assert fixed.exit_code == 2
    assert "adaptive asked: was 'Decide', now None" in fixed.output
    limited = CliRunner().invoke(app, [*options, "--budget-draws", "10"])
    assert "need --adaptive" in limited.output
