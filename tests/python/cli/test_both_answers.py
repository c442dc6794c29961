"""`certify --both-answers`: votes certify a radius, or that no number of draws certifies it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import ndtr
from stopped_runs import certify, contents, interrupted_at, said
from typer.testing import CliRunner

from smoothbound import store
from smoothbound._files import sealed
from smoothbound.anytime import AnytimeTest, Decide
from smoothbound.cli._app import app

pytestmark = pytest.mark.usefixtures("one_thread")

RADII, C = (0.1, 0.3, 0.5), 0.5
RUN = ["--adaptive", "--measure", "vote", "--sigma", "0.25", "--no-channels-last", "--n0", "20"]
RUN += ["--batch-size", "100", "--skip", "15", "--n", "3000", "--radii", "0.1,0.3,0.5"]


@pytest.fixture(scope="module")
def network(digits_network: Path) -> Path:
    return digits_network


@pytest.fixture(scope="module")
def run(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("both") / "results"
    result = certify(network, *RUN, "--both-answers", "--out", out)
    assert result.exit_code == 0, result.output
    return out


def command(*words: Any) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_each_question_has_one_answer_or_none(run: Path) -> None:
    results = store.load(run)
    assert results.settings.both_answers
    lower, unreachable = results.array("lower_anytime"), results.array("unreachable_anytime")
    yes, no = lower > C, unreachable <= np.array(RADII)
    assert yes.any(axis=0).all()
    assert no.any(axis=0).all()
    assert not (yes & no).any()
    assert (yes | no).mean() > 0.8
    assert (np.isnan(unreachable) | np.isin(unreachable, RADII)).all()
    for row, refuted in zip(results.table.to_pylist(), no, strict=True):
        test = AnytimeTest.from_bytes(row["state"])
        assert (test.side, test.alpha) == ("both", 0.001)
        found = {(one.question, one.side): one.certified for one in test.answers}
        for radius, known in zip(RADII, refuted, strict=True):
            (question,) = [
                one
                for one in test.questions
                if isinstance(one, Decide)
                and one.radius == 0.0
                and one.threshold == pytest.approx(ndtr(radius / 0.25), abs=1e-9)
            ]
            assert question.threshold < ndtr(radius / 0.25)
            assert found[question, "upper"] == known


@pytest.mark.usefixtures("undrawn")
def test_the_command_and_the_report_say_how_many(run: Path, tmp_path: Path) -> None:
    counts = (store.load(run).array("unreachable_anytime") <= np.array(RADII)).sum(axis=0)
    words = ", ".join(
        f"R = {radius:g} for {count} of 20 inputs"
        for radius, count in zip(RADII, counts, strict=True)
    )
    line = f"Certified no at c = 0.5: by this theorem no number of draws certifies {words}."
    shown = command("report", run, "--out", tmp_path / "report")
    assert shown.exit_code == 0, shown.output
    page = (tmp_path / "report" / "report.md").read_text()
    assert line in page
    assert "Each of the two answers to a question holds at α / 2 = 0.0005." in page
    assert "--both-answers" in page  # in the command that makes it again


def test_a_run_of_both_answers_is_stopped_continued_and_followed(
    network: Path, run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    with interrupted_at(8):
        assert certify(network, *RUN, "--both-answers", "--out", out).exit_code == 130
    assert certify(network, *RUN, "--both-answers", "--out", out, "--resume").exit_code == 0
    assert contents(out) == contents(run)
    result = certify(network, "--continue", out, "--n", 6000)
    assert result.exit_code == 0, result.output
    assert "Certified no at c = 0.5" in said(result)
    assert (
        store.load(out).array("unreachable_anytime") <= store.load(run).array("unreachable_anytime")
    )[~np.isnan(store.load(run).array("unreachable_anytime"))].all()
    more = tmp_path / "more"
    result = certify(network, "--continue", run, "--out", more, "--radii", "0.2")
    assert result.exit_code == 0, result.output
    assert store.load(more).settings.both_answers
    for folder in (out, more):
        verified = command("verify", folder)
        assert verified.exit_code == 0, verified.output
        assert "unreachable_anytime" in verified.output


def test_verify_finds_a_radius_that_is_in_reach(run: Path, tmp_path: Path) -> None:
    results = store.load(run)
    unreachable = results.array("unreachable_anytime").copy()
    which = int(np.flatnonzero(results.array("lower_anytime")[:, 0] > C)[0])
    unreachable[which] = 0.1
    place = results.table.column_names.index("unreachable_anytime")
    kind = results.table.schema.field(place)
    changed = results.table.set_column(place, kind, pa.array(unreachable.tolist(), kind.type))
    sealed.write_table(changed, tmp_path / "results.parquet")
    verified = command("verify", tmp_path)
    assert verified.exit_code == 1
    assert "unreachable_anytime at c = 0.5 is 0.1, and the state proves" in said(verified)


def test_some_of_the_radii_are_certified_again(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "some"
    made = command("recertify", run, "--radii", "0.1,0.5", "--out", out)
    assert made.exit_code == 0, made.output
    before, after = store.load(run), store.load(out)
    least = before.array("unreachable_anytime")
    np.testing.assert_array_equal(
        after.array("unreachable_anytime"), np.where(least == 0.3, 0.5, least)
    )
    assert command("verify", out).exit_code == 0
    exported = command("export", run, "--format", "csv", "--out", tmp_path / "run.csv")
    assert exported.exit_code == 0, exported.output
    assert "unreachable_anytime@0.5" in (tmp_path / "run.csv").read_text().splitlines()[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--measure", "score"], "--both-answers must be False for the measure 'score'"),
        ([], "--correct-only and --both-answers need --adaptive"),
    ],
)
def test_only_votes_of_adaptive_draws_have_both_answers(
    network: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    options = [*RUN, "--both-answers", *words] if words else [*RUN[1:], "--both-answers"]
    result = certify(network, *options, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert message in said(result)
