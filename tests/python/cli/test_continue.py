"""`certify --continue`: more draws for the inputs of a finished run that are still undecided."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stopped_runs import FOUR_QUESTIONS, certify, contents, interrupted_at, said
from typer.testing import CliRunner

from smoothbound import store
from smoothbound.anytime import AnytimeTest
from smoothbound.cli._app import app
from smoothbound.errors import StoreError
from smoothbound.models import checkpoint
from smoothbound.smoothing import _going_on as going_on
from smoothbound.store._results import require_anytime

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
        (["--n", MANY, "--alpha", "0.01"], "alpha: was 0.001, now 0.01"),
        (
            ["--n", MANY, "--thresholds", "0.5"],
            "thresholds: was (0.6, 0.7), now (0.5,). Only n",
        ),
        (["--thresholds", "0.5"], "needs later draws of its own: add --out and another folder"),
        (["--n", MANY, "--radius-precision", "0.1"], "adaptive precision: was None, now 0.1"),
        (
            ["--n", MANY, "--out", "elsewhere"],
            "--thresholds or --radii or --radius-precision or --alpha must be stated",
        ),
    ],
)
def test_what_does_not_go_on_is_refused(
    model: Path, folder: Path, options: list[Any], words: str
) -> None:
    before = contents(folder)
    result = certify(model, "--continue", folder, *options)
    assert result.exit_code == 2
    assert words in said(result)
    assert contents(folder) == before


def test_options_that_agree_may_be_stated(model: Path, folder: Path) -> None:
    result = certify(model, "--continue", folder, "--n", MANY, "--sigma", 0.25, "--out", folder)
    assert result.exit_code == 0, result.output


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


def test_a_network_is_needed(folder: Path) -> None:
    words = ["certify", "--continue", str(folder), "--data", "digits", "--n", str(MANY)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "a checkpoint is needed" in said(result)
