"""The command that a report states makes the results of a network of one's own again."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from stopped_runs import contents
from typer.testing import CliRunner

from smoothbound import store
from smoothbound.cli._app import app
from smoothbound.store._commands import FOLDER

NETWORK = """
from torch import nn

def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""
RUN = ["--data", "digits", "--sigma=0.25", "--n=200", "--n0=10", "--thresholds=0.2"]


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a network of one's own and a file of two of its states."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("stated_nets.py").write_text(NETWORK)
    generator = torch.Generator().manual_seed(0)
    states = {
        name: {
            "1.weight": torch.randn(10, 64, generator=generator),
            "1.bias": torch.zeros(10),
        }
        for name in ("model", "model_ema")
    }
    torch.save(states, "own.pt")
    return tmp_path


def test_the_command_of_a_report_makes_the_results_again(folder: Path) -> None:
    own = ["--checkpoint", "own.pt", "--model", "stated_nets:make", "--state-dict", "model_ema"]
    done = run("certify", *own, *RUN, "--max-inputs=3", "--out", "first")
    assert done.exit_code == 0, done.output
    assert run("report", "first", "--out", "report").exit_code == 0
    page = (folder / "report" / "report.md").read_text()
    assert "stated_nets:make (own.pt, model_ema) on digits" in page
    (stated,) = re.findall(r"smoothbound certify .* --out ", page)
    assert " --checkpoint DIR/own.pt --model stated_nets:make --state-dict model_ema " in stated
    words = shlex.split(stated.replace(FOLDER, str(folder)))
    done = run(*words[1:], "again")
    assert done.exit_code == 0, done.output
    assert contents(Path("again")) == contents(Path("first"))


def test_a_run_does_not_go_on_with_another_network_of_the_same_file(folder: Path) -> None:
    own = ["--checkpoint", "own.pt", "--model", "stated_nets:make"]
    begun = [*own, *RUN, "--max-inputs=2", "--out=a"]
    assert run("certify", *begun, "--state-dict=model").exit_code == 0
    more = [*begun, "--max-inputs=3", "--resume"]
    other = run("certify", *more, "--state-dict=model_ema")
    assert other.exit_code == 2
    assert "--state-dict: was 'model', now 'model_ema'" in " ".join(other.output.split())
    assert run("certify", *more, "--state-dict=model").exit_code == 0
    assert len(store.load(folder / "a")) == 3


@pytest.mark.parametrize("model", ["stated_nets:make", "hf:net"])
def test_parameters_of_no_file_are_refused(folder: Path, model: str) -> None:
    done = run("certify", "--model", model, "--state-dict=model", *RUN, "--out", "results")
    assert done.exit_code == 2
    assert "--state-dict must be left out without" in " ".join(done.output.split())
    assert not (folder / "results").exists()
