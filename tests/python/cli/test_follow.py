"""`certify --continue --out`: questions that are added after a look, on later draws alone."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import forks
import numpy as np
import pyarrow as pa
import pytest
import torch
from killer import kill_and_resume
from stopped_runs import FOUR_QUESTIONS, certify, contents, interrupted_at, said, stopped_after
from typer.testing import CliRunner

from smoothbound import store
from smoothbound._files import sealed
from smoothbound._files.checksum import digest
from smoothbound.anytime import AnytimeTest
from smoothbound.cli._app import app
from smoothbound.data._loading import load
from smoothbound.models import checkpoint
from smoothbound.sampling import Sampler
from smoothbound.store._commands import FOLDER, certify_command

pytestmark = pytest.mark.usefixtures("one_thread")

N = 1000
RUN = [*FOUR_QUESTIONS, "--n", N]
MORE = ["--radii", "0.1", "--thresholds", "0.5,0.8", "--alpha", "0.01"]


@pytest.fixture(scope="module")
def model(digits_network: Path) -> Path:
    return digits_network


@pytest.fixture(scope="module")
def first(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("first") / "results"
    result = certify(model, "--adaptive", *RUN, "--out", out)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def later(model: Path, first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("later") / "more"
    result = certify(model, "--continue", first, "--out", out, *MORE)
    assert result.exit_code == 0, result.output
    assert "These questions were added after results (its settings have the" in said(result)
    assert "together with probability at least 1 - (0.001 + 0.01)" in said(result)
    return out


def test_other_questions_have_a_folder_of_their_own(first: Path, later: Path) -> None:
    before, after = store.load(first), store.load(later)
    settings = after.settings
    assert (settings.radii, settings.thresholds, settings.alpha) == ((0.1,), (0.5, 0.8), 0.01)
    assert (settings.n, settings.seed, settings.n0) == (N, 0, 20)
    assert settings.adaptive is not None
    follows = settings.adaptive.follows
    assert follows is not None
    assert follows.name == "results"
    assert follows.alphas == (0.001,)
    assert follows.fingerprint == digest(before.settings.to_json().encode()).hex()
    np.testing.assert_array_equal(after.array("first_draw"), before.array("n_draws"))
    np.testing.assert_array_equal(after.array("selected"), before.array("selected"))
    np.testing.assert_array_equal(after.array("n_selection"), before.array("n_selection"))
    lower = after.array("lower_anytime")[:, 0]
    assert set(lower.tolist()) <= {0.0, np.nextafter(0.5, 1), np.nextafter(0.8, 1)}
    assert (lower > 0.5).sum() >= 5
    assert contents(first)  # as it was


def test_their_draws_are_those_after_the_first_run(model: Path, first: Path, later: Path) -> None:
    before, after = store.load(first), store.load(later)
    network, _ = checkpoint.load(model)
    sampler = Sampler(network, 0.25, outputs="logits", batch_size=100, channels_last=False)
    dataset = load("digits", "test")
    rows = zip(before.table.to_pylist(), after.table.to_pylist(), strict=True)
    for old, new in list(rows)[:3]:
        draws = sampler.draw(
            dataset[new["index"]][0],
            n0=20,
            n=new["n_draws"],
            index=new["index"],
            first_draw=new["first_draw"],
            grid=dataset.grid,
            early_selection=True,
        )
        assert new["mean_score"] == pytest.approx(draws.mean, abs=1e-9)
        assert new["top_count"] == draws.top_count
        state = AnytimeTest.from_bytes(new["state"])
        whole = AnytimeTest.from_bytes(old["state"]).follow_up(state.questions, alpha=0.01)
        whole.update(draws.scores, first_draw=new["first_draw"])
        assert state.to_bytes() == whole.to_bytes()
        assert {answer.first_draw for answer in state.answers} == {old["n_draws"]}


@pytest.mark.usefixtures("plainly_drawn")
def test_a_report_says_that_they_are_a_family_of_their_own(later: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["report", str(later), "--out", str(tmp_path / "report")])
    assert shown.exit_code == 0, shown.output
    page = (tmp_path / "report" / "report.md").read_text()
    assert "These questions were added after results" in page
    assert "they are a family of their own at α = 0.01, only on later draws" in page


def test_the_command_that_a_report_states_makes_the_results_again(
    model: Path, first: Path, later: Path, tmp_path: Path
) -> None:
    stated = certify_command(
        store.load(later).settings, tmp_path / "again", data="digits", checkpoint=model
    )
    words = shlex.split(stated.replace(FOLDER, str(first.parent)))
    assert words[words.index("--continue") + 1] == str(first)
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / "again") == contents(later)


@pytest.mark.parametrize("damage", ["another", "cut", "gone"])
def test_a_state_that_is_not_that_of_its_row_is_refused(
    model: Path, first: Path, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "results"
    table = store.load(first).table
    states = table["state"].to_pylist()
    states[0] = {"another": states[1], "cut": states[0][:-5], "gone": b""}[damage]
    place = table.schema.get_field_index("state")
    table = table.set_column(place, table.schema.field(place), pa.array(states, pa.binary()))
    folder.mkdir()
    sealed.write_table(table, folder / "results.parquet")
    before = (folder / "results.parquet").read_bytes()
    for words in (["--n", 2000], ["--out", tmp_path / "more", *MORE]):
        result = certify(model, "--continue", folder, *words)
        assert result.exit_code == 2
        assert "cannot go on with the state of input 0: " in said(result)
        assert (folder / "results.parquet").read_bytes() == before


def test_the_same_command_goes_on_wherever_it_was_stopped(
    model: Path, first: Path, later: Path, tmp_path: Path
) -> None:
    out, stops = tmp_path / "more", 0
    while True:
        with interrupted_at(3 + stops):  # the selections alone take two batches or more
            result = certify(model, "--continue", first, "--out", out, *MORE)
        if result.exit_code == 0:
            break
        assert result.exit_code == 130, result.output
        assert "the same command goes on" in said(result)
        stops += 1
    assert stops > 1
    assert contents(out) == contents(later)
    again = certify(model, "--continue", first, "--out", out, *MORE)
    assert again.exit_code == 0
    assert contents(out) == contents(later)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kills_change_no_answer_to_later_questions(
    model: Path, first: Path, later: Path, tmp_path: Path
) -> None:
    words = ["certify", "--data", "digits", "--checkpoint", str(model), "--continue", str(first)]
    done = forks.run(kill_and_resume, 6, tmp_path / "whole", tmp_path / "killed", [*words, *MORE])
    assert done.returncode == 0, done.stderr
    for one in [tmp_path / "whole", *(tmp_path / "killed").iterdir()]:
        assert contents(one) == contents(later)


def test_a_run_that_follows_is_resumed_with_the_run_that_it_follows(
    model: Path, first: Path, tmp_path: Path
) -> None:
    out = tmp_path / "more"
    with stopped_after(3):
        certify(model, "--continue", first, "--out", out, *MORE)
    alone = certify(model, "--adaptive", *RUN, *MORE, "--resume", "--out", out)
    assert alone.exit_code == 2
    assert "as in certify --continue results --out more" in said(alone)
    other = certify(model, "--continue", first, "--out", out, "--radii", "0.15")
    assert other.exit_code == 2
    assert "radii: was (0.1,), now (0.15,)" in said(other)


def test_it_goes_on_itself_and_is_followed_in_turn(
    model: Path, first: Path, later: Path, tmp_path: Path
) -> None:
    more = Path(shutil.copytree(later, tmp_path / "more"))
    result = certify(model, "--continue", more, "--n", 3 * N)
    assert result.exit_code == 0, result.output
    before, after = store.load(later), store.load(more)
    assert after.settings.differences(before.settings) == [f"n: was {3 * N}, now {N}"]
    np.testing.assert_array_equal(after.array("first_draw"), before.array("first_draw"))
    assert (after.array("n_draws") >= before.array("n_draws")).all()
    assert (after.array("n_draws") > before.array("n_draws")).any()

    third = tmp_path / "third"
    result = certify(model, "--continue", later, "--out", third, "--radius-precision", "0.2")
    assert result.exit_code == 0, result.output
    assert "at least 1 - (0.001 + 0.01 + 0.01)" in said(result)
    results = store.load(third)
    assert results.settings.radii == (0.0,)
    assert results.settings.thresholds == (0.5, 0.8)
    drawn = before.array("first_draw") + before.array("n_draws")
    np.testing.assert_array_equal(results.array("first_draw"), drawn)


def test_inputs_that_failed_have_no_class_to_draw_further(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load("digits", "test")
    bad = torch.as_tensor(dataset[30][0])

    network, _ = checkpoint.load(model)
    forward = type(network).forward

    def fails(self: Any, x: torch.Tensor) -> torch.Tensor:
        out = forward(self, x)
        out[((x - bad).flatten(1).std(dim=1) - 0.25).abs() < 0.15] = torch.nan
        return out

    with monkeypatch.context() as patch:
        patch.setattr(type(network), "forward", fails)
        first = tmp_path / "first"
        ran = certify(model, "--adaptive", *RUN, "--out", first)
    assert ran.exit_code == 3, ran.output
    before = store.load(first)
    assert 0 < before.failed < len(before)
    assert certify(model, "--continue", first, "--out", tmp_path / "more", *MORE).exit_code == 3
    after = store.load(tmp_path / "more")
    failed = before.array("status") == "failed"
    np.testing.assert_array_equal(after.array("status") == "failed", failed)
    assert after.array("reason")[failed].tolist() == before.array("reason")[failed].tolist()


def test_only_correct_classes_may_count_for_later_questions(
    model: Path, first: Path, tmp_path: Path
) -> None:
    out = tmp_path / "more"
    result = certify(model, "--continue", first, "--out", out, *MORE, "--correct-only")
    assert result.exit_code == 0, result.output
    results = store.load(out)
    wrong = results.array("selected") != results.array("label")
    np.testing.assert_array_equal(results.array("status") == "misclassified", wrong)
    assert (results.array("n_draws")[wrong] == 0).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "other questions than"),
        (["--radii", "0.1", "--seed", "1"], "seed: was 0, now 1"),
        (["--radii", "0.1", "--sigma", "0.5"], "sigma: was 0.25, now 0.5"),
        (["--radii", "0.1", "--skip", "10"], "--skip: was 30, now 10. Leave out what differs"),
        (["--radii", "0.1", "--shard", "0/2"], "--shard must be left out with --continue"),
        (["--radii", "0.1", "--n", "3"], "n = 3 draws are too few to certify any score"),
    ],
)
def test_what_does_not_follow_is_refused(
    model: Path, first: Path, tmp_path: Path, options: list[Any], words: str
) -> None:
    result = certify(model, "--continue", first, "--out", tmp_path / "more", *options)
    assert result.exit_code == 2
    assert words in said(result)
    assert not (tmp_path / "more").exists()


def test_a_run_of_other_inputs_or_of_another_network_is_not_followed(
    model: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / model.name
    network, _ = checkpoint.load(model)
    torch.save(network.state_dict(), other)
    result = certify(other, "--continue", first, "--out", tmp_path / "more", *MORE)
    assert "checkpoint_sha256: was" in said(result)
    assert "State the network and the data of the run" in said(result)

    from smoothbound.smoothing import _going_on as going_on

    monkeypatch.setattr(going_on, "digest_of", lambda image, label: b"another")
    result = certify(model, "--continue", first, "--out", tmp_path / "more", *MORE)
    assert result.exit_code == 2
    assert "input 0 of digits is not the one that was certified" in said(result)
    assert not (tmp_path / "more").exists()


def test_a_class_that_has_changed_is_refused(
    model: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smoothbound.anytime._job.job import Job

    begin = Job.begin
    monkeypatch.setattr(Job, "begin", lambda self, selected, scores: begin(self, 11, scores))
    result = certify(model, "--continue", first, "--out", tmp_path / "more", *MORE)
    assert result.exit_code == 2
    assert "select class 11 now, but selected class" in said(result)
    assert not (tmp_path / "more").exists()


def test_a_run_that_is_stopped_before_its_first_input_leaves_nothing(
    model: Path, first: Path, tmp_path: Path
) -> None:
    out = tmp_path / "some" / "more"
    words = ("--continue", first, "--out", out, *MORE)
    with interrupted_at(1):
        result = certify(model, *words)
    assert result.exit_code == 130
    assert "is unchanged; start again with the same command" in said(result)
    assert not out.parent.exists()
    assert certify(model, *words).exit_code == 0


def test_a_run_that_is_not_finished_is_not_followed(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with interrupted_at(4):
        certify(model, "--adaptive", *RUN, "--out", out)
    result = certify(model, "--continue", out, "--out", tmp_path / "more", *MORE)
    assert result.exit_code == 2
    assert "finish it with --resume first" in said(result)


def test_settings_say_which_run_they_follow(later: Path) -> None:
    settings = store.load(later).settings
    assert store.RunSettings.from_json(settings.to_json()) == settings
    assert settings.adaptive is not None
    alone = replace(settings, adaptive=replace(settings.adaptive, follows=None))
    (difference,) = settings.differences(alone)
    assert difference.startswith("adaptive follows: was {'name': 'results'")
