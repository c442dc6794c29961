"""`certify --continue`: more draws for the inputs of a finished run that are still undecided."""

from __future__ import annotations

import importlib
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stopped_runs import FOUR_QUESTIONS, certify, contents, files, interrupted_at, said
from typer.testing import CliRunner

from smoothbound import data, store
from smoothbound.anytime import AnytimeTest
from smoothbound.cli._app import app
from smoothbound.errors import StoreError
from smoothbound.models import checkpoint
from smoothbound.noise._streams import Stream
from smoothbound.sampling._batches import Batches
from smoothbound.sampling._model.outputs import BatchError
from smoothbound.smoothing import _going_on as going_on
from smoothbound.store._folder import require_anytime

pytestmark = pytest.mark.usefixtures("one_thread")

FEW, MANY = 100, 3000
RUN = [*FOUR_QUESTIONS, "--n", FEW]


@pytest.fixture(scope="module")
def model(digits_network: Path) -> Path:
    return digits_network


@pytest.fixture(scope="module")
def few(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("few") / "results"
    result = certify(model, "--adaptive", *RUN, "--out", out)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
def folder(few: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(few, tmp_path / "results"))


@pytest.fixture(scope="module")
def continued(model: Path, few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = shutil.copytree(few, tmp_path_factory.mktemp("continued") / "results")
    result = certify(model, "--continue", out, "--n", MANY)
    assert result.exit_code == 0, result.output
    return Path(out)


def test_undecided_inputs_get_more_draws_and_the_others_keep_their_rows(
    few: Path, continued: Path
) -> None:
    before, after = store.load(few), store.load(continued)
    assert after.settings.n == MANY
    assert after.settings.differences(before.settings) == [f"n: was {MANY}, now {FEW}"]
    rows = zip(before.table.to_pylist(), after.table.to_pylist(), strict=True)
    changed = [(old, new) for old, new in rows if repr(old) != repr(new)]
    assert 0 < len(changed) < len(before)
    for old, new in changed:
        assert old["n_draws"] < new["n_draws"] <= MANY
        for name in ("index", "label", "selected", "n_selection", "digest"):
            assert new[name] == old[name]
        assert new["top_count"] >= old["top_count"]
        assert new["seconds"] > old["seconds"]
        test = AnytimeTest.from_bytes(new["state"])
        assert test.n_draws == new["n_draws"]
        assert all(answer.first_draw == 0 for answer in test.answers)
    lower = [results.array("lower_anytime") for results in (before, after)]
    assert (lower[1] >= lower[0]).all()
    assert (lower[1] > lower[0]).any()


def test_inputs_that_were_given_up_go_on_with_a_larger_strictness(
    model: Path, tmp_path: Path
) -> None:
    early, late = tmp_path / "early", tmp_path / "late"
    run = ["--adaptive", *FOUR_QUESTIONS, "--n", MANY]
    for folder, strictness in ((early, 0.001), (late, 1.0)):
        result = certify(model, *run, "--strictness", strictness, "--out", folder)
        assert result.exit_code == 0, result.output
    before = store.load(early)
    result = certify(model, "--continue", early, "--strictness", 1.0)
    assert result.exit_code == 0, result.output
    after, whole = store.load(early), store.load(late)
    assert not after.settings.differences(whole.settings)
    assert after.array("n_draws").sum() > before.array("n_draws").sum()
    # A claim that was given up is taken up again, and ends as if it had never been given up.
    for column in ("lower_anytime", "status", "n_draws"):
        assert after.array(column).tolist() == whole.array(column).tolist()


def test_the_mean_is_that_of_all_draws(model: Path, few: Path, continued: Path) -> None:
    before, after = store.load(few), store.load(continued)
    n, mean = after.array("n_draws"), after.array("mean_score")
    k, first = before.array("n_draws"), before.array("mean_score")
    grown = n > k
    rest = (mean * n - first * k)[grown] / (n - k)[grown]
    assert ((rest >= 0.0) & (rest <= 1.0)).all()
    assert (np.abs(rest - first[grown]) < 0.1).all()  # draws of the same distribution


def test_a_continued_run_may_be_stopped_at_any_moment(
    model: Path, folder: Path, continued: Path
) -> None:
    stops = 0
    while store.load(folder).settings.n == FEW:
        with interrupted_at(8):
            result = certify(model, "--continue", folder, "--n", MANY)
        if result.exit_code == 0:
            break
        assert result.exit_code == 130, result.output
        assert "the same command goes on" in said(result)
        assert store.load(folder).complete  # the run before it can still be read
        stops += 1
    assert stops > 0
    assert contents(folder) == contents(continued)


def test_a_run_killed_at_its_very_end_is_whole_and_goes_on_again(
    model: Path, folder: Path, continued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, journal = store.Writer.finish, folder / "journal.bin"

    def killed(self: store.Writer) -> Path:
        rows = journal.read_bytes()
        path = finish(self)
        journal.write_bytes(rows)
        return path

    with monkeypatch.context() as patch:
        patch.setattr(store.Writer, "finish", killed)
        assert certify(model, "--continue", folder, "--n", MANY).exit_code == 0
    assert journal.exists()
    assert store.load(folder).settings.n == MANY
    twice, other = folder, Path(shutil.copytree(folder, folder.parent / "other"))
    result = certify(model, "--adaptive", *RUN, "--n", MANY, "--resume", "--out", twice)
    assert result.exit_code == 0, result.output
    assert contents(twice) == contents(continued)
    for one in (twice, other):
        assert certify(model, "--continue", one, "--n", 2 * MANY).exit_code == 0
    assert contents(twice) == contents(other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--n", FEW], "--n must be larger than the n = 100"),
        ([], "--n must be larger than the n = 100"),
        (["--n", MANY, "--alpha", "0.01"], "--alpha: was 0.001, now 0.01. Questions or an alpha"),
        (
            ["--n", MANY, "--thresholds", "0.5"],
            "--thresholds: was (0.6, 0.7), now (0.5,). Questions or an alpha that are chosen after",
        ),
        (["--thresholds", "0.5"], "state --out, another folder, with --thresholds and --radii"),
        (
            ["--n", MANY, "--radius-precision", "0.1"],
            "--radius-precision: was None, now 0.1. Questions",
        ),
        (["--n", MANY, "--correct-only"], "--correct-only: was False, now True. Questions"),
        (["--strictness", "0.2"], "--n must be larger than the n = 100"),
        (["--n", MANY, "--max-inputs", "5"], "--max-inputs: was None, now 5. Leave out what"),
        (["--n", MANY, "--n0", "7", "--seed", "1"], "--n0: was 20, now 7; --seed: was 0, now 1. L"),
        (["--n", MANY, "--budget-draws", "9"], "--budget-draws must be larger than the "),
        (["--n", MANY, "--shard", "0/2"], "--shard must be left out with --continue"),
        (
            ["--n", MANY, "--out", "elsewhere"],
            "--thresholds or --radii or --radius-precision or --alpha must be given",
        ),
    ],
)
def test_what_does_not_go_on_is_refused(
    model: Path, folder: Path, options: list[Any], words: str
) -> None:
    before = files(folder)
    result = certify(model, "--continue", folder, *options)
    assert result.exit_code == 2
    assert words in said(result)
    assert files(folder) == before


def test_more_inputs_are_added_before_the_draws_go_on(
    model: Path, folder: Path, tmp_path: Path
) -> None:
    some = tmp_path / "some"
    run = ("--adaptive", *RUN, "--out", some)
    assert certify(model, *run, "--max-inputs", 4).exit_code == 0
    refused = certify(model, "--continue", some, "--n", MANY, "--max-inputs", 8)
    assert "--max-inputs: was 4, now 8. To add inputs, certify them first" in said(refused)
    assert certify(model, *run, "--max-inputs", 8, "--resume").exit_code == 0
    result = certify(model, "--continue", some, "--n", MANY)
    assert result.exit_code == 0, result.output
    assert len(store.load(some)) == 8


def test_some_questions_of_a_run_do_not_go_on_without_the_others(
    folder: Path, tmp_path: Path
) -> None:
    some = tmp_path / "some"
    chosen = CliRunner().invoke(app, ["recertify", str(folder), "--radii", "0", "--out", str(some)])
    assert chosen.exit_code == 0, chosen.output
    before = files(some)
    result = certify(Path("no network"), "--continue", some, "--n", MANY)  # nothing is loaded
    assert result.exit_code == 2
    assert "which recertify has chosen, and its draws were made for all of them" in said(result)
    assert files(some) == before


NETWORK = """
import torch

SCALE = {scale}

class Network(torch.nn.Module):
    def forward(self, x):
        halves = torch.stack([x[..., :4].mean((1, 2, 3)), x[..., 4:].mean((1, 2, 3))], dim=1)
        return torch.cat([SCALE * halves, torch.full((len(x), 8), -9.0)], dim=1)
"""


@pytest.fixture
def scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that certifies by a network without parameters, of a scale."""
    monkeypatch.syspath_prepend(tmp_path)

    def run(scale: float, *words: object) -> Any:
        (tmp_path / "scaled_network.py").write_text(NETWORK.format(scale=scale))
        sys.modules.pop("scaled_network", None)
        importlib.invalidate_caches()
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        model = ["certify", "--data", "digits", "--model", "scaled_network:Network"]
        return CliRunner().invoke(app, [*model, *map(str, words)])

    return run


def test_a_network_that_has_changed_is_noticed_by_its_selection_scores(
    scaled: Any, tmp_path: Path
) -> None:
    out, more, stopped = tmp_path / "out", tmp_path / "more", tmp_path / "stopped"
    ask = ["--radii", "0.1", "--thresholds", "0.5"]
    assert scaled(20.0, "--adaptive", *RUN, "--out", out).exit_code == 0
    with interrupted_at(5):
        assert scaled(20.0, "--adaptive", *RUN, "--out", stopped).exit_code == 130
    assert "stopped" in store.load(stopped).array("status")
    kept = files(out), files(stopped)
    for words in (
        ["--continue", out, "--n", MANY],
        ["--continue", out, "--out", more, *ask],
        ["--adaptive", *RUN, "--out", stopped, "--resume"],
    ):
        result = scaled(25.0, *words)
        assert result.exit_code == 2, result.output
        assert "the score of the selection draws is 0." in said(result)
        assert "it, the network or its arithmetic has changed" in said(result)
    assert not more.exists()
    assert (files(out), files(stopped)) == kept
    assert scaled(20.0001, "--continue", out, "--out", more, *ask).exit_code == 0  # as by rounding
    assert scaled(20.0001, "--continue", out, "--n", MANY).exit_code == 0


@pytest.fixture(scope="module")
def short(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that a budget of 150 draws ended."""
    out = tmp_path_factory.mktemp("short") / "results"
    result = certify(model, "--adaptive", *RUN, "--out", out, "--budget-draws", 150)
    assert result.exit_code == 0, result.output
    assert store.load(out).stopped_by_budget > 2
    return out


def test_a_budget_holds_for_the_run_that_had_it_alone(
    model: Path, few: Path, short: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(short, tmp_path / "results"))
    result = certify(model, "--continue", folder)
    assert result.exit_code == 0, result.output
    after, whole, before = store.load(folder), store.load(few), store.load(short)
    assert after.settings == whole.settings
    ended = before.array("status") == "budget"
    rows = zip(after.table.to_pylist(), whole.table.to_pylist(), ended, strict=True)
    for row, other, drawn in rows:
        assert row["lower_anytime"] == other["lower_anytime"]
        if not drawn:
            assert repr({**row, "seconds": 0}) == repr({**other, "seconds": 0})
    again = certify(model, "--continue", folder)
    assert again.exit_code == 2
    assert "--n must be larger than the n = 100" in said(again)


def test_a_new_budget_counts_all_draws_of_the_folder(
    model: Path, short: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(short, tmp_path / "results"))
    spent = certify(model, "--continue", folder, "--budget-draws", 150)
    assert spent.exit_code == 2
    assert "--budget-draws must be larger than the 150 of" in said(spent)
    assert "--budget-seconds must be larger than" in said(
        certify(model, "--continue", folder, "--budget-seconds", 1e-9)
    )
    with interrupted_at(2):
        stopped = certify(model, "--continue", folder, "--budget-draws", 250)
    assert stopped.exit_code == 130
    assert store.load(folder).settings == store.load(short).settings
    result = certify(model, "--continue", folder, "--budget-draws", 250)
    assert result.exit_code == 0, result.output
    after = store.load(folder)
    assert after.settings.adaptive is not None
    assert after.settings.adaptive.budget.draws == 250
    assert 150 < after.array("n_draws").sum() <= 250
    assert (after.array("n_draws") >= store.load(short).array("n_draws")).all()
    assert after.stopped_by_budget
    assert certify(model, "--continue", folder, "--n", MANY).exit_code == 0
    assert not store.load(folder).stopped_by_budget


def failing(patch: pytest.MonkeyPatch, which: int) -> None:
    """Let the network fail on the estimation draws of one input."""
    key = Batches._key

    def outputs_of(self: Batches, segments: Any) -> Any:
        if any(s.input.item.index == which and s.stream is Stream.ESTIMATION for s in segments):
            raise BatchError("RuntimeError", "the model raised RuntimeError: no memory is left")
        return key(self, segments)

    patch.setattr(Batches, "_key", outputs_of)


def test_an_input_that_fails_when_it_is_drawn_further_keeps_its_certificates(
    model: Path, few: Path, continued: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = store.load(continued).array("n_draws") > store.load(few).array("n_draws")
    which = int(np.flatnonzero(grown)[0])
    index = int(store.load(few).array("index")[which])
    with monkeypatch.context() as patch:
        failing(patch, index)
        result = certify(model, "--continue", folder, "--n", MANY)
    assert result.exit_code == 0, result.output
    rows = [store.load(one).table.to_pylist()[which] for one in (few, folder)]
    assert rows[1]["reason"] == (
        f"{rows[0]['reason']}; further draws failed: the model raised RuntimeError: no memory is "
        "left"
    )
    for row in rows:
        del row["reason"], row["seconds"]
    assert repr(rows[0]) == repr(rows[1])
    others = [store.load(one).array("n_draws")[grown][1:] for one in (folder, continued)]
    np.testing.assert_array_equal(*others)
    verified = CliRunner().invoke(app, ["verify", str(folder)])
    assert verified.exit_code == 0, verified.output


def test_a_stopped_input_that_fails_keeps_its_certificates(
    model: Path, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with interrupted_at(6):
        certify(model, "--adaptive", *RUN, "--out", out)
    stopped = store.load(out)
    (places, *_) = np.nonzero(stopped.array("status") == "stopped")
    assert places.size
    before = stopped.table.to_pylist()[places[0]]
    with monkeypatch.context() as patch:
        failing(patch, before["index"])
        result = certify(model, "--adaptive", *RUN, "--out", out, "--resume")
    assert result.exit_code == 0, result.output
    results = store.load(out)
    (row,) = [one for one in results.table.to_pylist() if one["index"] == before["index"]]
    assert row["lower_anytime"] == before["lower_anytime"]
    assert row["n_draws"] == before["n_draws"]
    assert row["status"] == ("certified" if before["predicted"] >= 0 else "abstained")
    assert "further draws failed: the model raised RuntimeError" in row["reason"]
    assert "stopped" not in row["reason"]
    assert AnytimeTest.from_bytes(row["state"]).n_draws == before["n_draws"]
    verified = CliRunner().invoke(app, ["verify", str(out)])
    assert verified.exit_code == 0, verified.output


def test_options_that_agree_may_be_stated(model: Path, folder: Path) -> None:
    result = certify(model, "--continue", folder, "--n", MANY, "--sigma", 0.25, "--out", folder)
    assert result.exit_code == 0, result.output


def test_a_run_on_data_without_splits_goes_on(model: Path, tmp_path: Path) -> None:
    digits = data.load("digits")
    images = np.stack([digits[i][0] for i in range(3)])
    np.savez(tmp_path / "three.npz", images=images, labels=digits.labels[:3])
    out, source = tmp_path / "run", ("--data", f"npz:{tmp_path / 'three.npz'}")
    asked = ("--sigma", 0.25, "--radii", 0.2, "--thresholds", 0.7, "--n", FEW)
    first = certify(model, *source, "--adaptive", *asked, "--out", out)
    assert first.exit_code == 0, first.output
    assert store.load(out).settings.split == "all"
    result = certify(model, *source, "--continue", out, "--n", MANY)
    assert result.exit_code == 0, result.output
    assert store.load(out).settings.n == MANY


def test_runs_with_a_fixed_number_of_draws_do_not_go_on(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "fixed"
    assert certify(model, *RUN, "--out", out).exit_code == 0
    result = certify(model, "--continue", out, "--n", MANY)
    assert result.exit_code == 2
    assert "a run with a fixed number of draws, to which none may be added" in said(result)


def test_a_stopped_run_is_finished_first(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with interrupted_at(4):
        certify(model, "--adaptive", *RUN, "--out", out)
    result = certify(model, "--continue", out, "--n", MANY)
    assert result.exit_code == 2
    assert "finish it with --resume first" in said(result)


def test_another_network_is_refused(model: Path, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / model.name
    parameters, _ = checkpoint.load(model)
    torch.save(parameters.state_dict(), other)
    result = certify(other, "--continue", folder, "--n", MANY)
    assert result.exit_code == 2
    assert "checkpoint_sha256: was" in said(result)


def test_other_inputs_are_refused(
    model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(going_on, "digest_of", lambda image, label: b"another")
    result = certify(model, "--continue", folder, "--n", MANY)
    assert result.exit_code == 2
    assert "input 0 of digits is not the one that was certified" in said(result)


def test_draws_in_stages_do_not_go_on(few: Path) -> None:
    results = store.load(few)
    settings = replace(results.settings, adaptive={"asked": "Decide"})
    with pytest.raises(StoreError, match="adaptive draws in stages"):
        require_anytime(few, replace(results, settings=settings))


def test_a_run_that_is_stopped_before_it_draws_says_how_it_goes_on(
    model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    before = files(folder)
    monkeypatch.setattr("smoothbound.cli._network.Network.load", stopped)
    result = certify(model, "--continue", folder, "--n", MANY)
    assert result.exit_code == 130
    assert "stopped: the same command goes on with what is finished" in said(result)
    assert files(folder) == before


def test_a_network_is_needed(folder: Path) -> None:
    words = ["certify", "--continue", str(folder), "--data", "digits", "--n", str(MANY)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "a checkpoint is needed" in said(result)
