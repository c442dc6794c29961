"""The commands, as a user types them: help, completion, and what a mistyped word is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import smoothbound
from typer.testing import CliRunner

import smoothbound as sb
from smoothbound.cli._app import app


@pytest.mark.parametrize("command", ["demo", "train", "certify", "bounds", "report"])
def test_every_command_explains_itself(command: str) -> None:
    result = smoothbound(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output
    assert "--out" in result.output


def test_the_version() -> None:
    assert smoothbound("--version").output == f"smoothbound {sb.__version__}\n"


def test_a_mistyped_command_is_told() -> None:
    result = smoothbound("certfy")
    assert result.exit_code == 2
    assert "certfy" in result.output


def test_a_command_without_its_options_names_the_first_that_is_missing() -> None:
    result = smoothbound("certify")
    assert result.exit_code == 2
    assert "--data" in result.output


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("smoothbound cert", ["certify"]),
        ("smoothbound certify --ra", ["--radii", "--radius-precision", "--ray"]),
        ("smoothbound certify --continue nowhere --ray --worker-", ["--worker-gpus"]),
        ("smoothbound report --out= --comp", ["--compare"]),
    ],
)
def test_a_shell_completes_commands_and_options(typed: str, expected: list[str]) -> None:
    words = {
        "_SMOOTHBOUND_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    done = CliRunner().invoke(app, [], prog_name="smoothbound", env=words)
    assert done.output.split() == expected


def test_help_does_not_wait_for_torch() -> None:
    script = "import sys, smoothbound.cli; assert not {'torch', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_missing_option_is_named(scores: Path) -> None:
    result = smoothbound("bounds", scores, "--out", "b.parquet")
    assert result.exit_code == 2
    assert "--sigma" in result.output


@pytest.mark.parametrize(
    ("typed", "meant"), [("--sigm", "--sigma"), ("--treshold", "--threshold"), ("--ot", "--out")]
)
def test_a_mistyped_option_is_answered_with_the_right_one(typed: str, meant: str) -> None:
    result = smoothbound("certify", typed, 1)
    assert result.exit_code == 2
    assert meant in result.output


@pytest.mark.parametrize(
    ("command", "groups"),
    [("train", ("The recipe", "How it runs")), ("bounds", ("The scores", "How it runs"))],
)
def test_options_stand_in_groups_where_they_are_many(command: str, groups: tuple[str, ...]) -> None:
    text = smoothbound(command, "--help").output
    assert [group for group in groups if f"─ {group} ─" in text] == list(groups)


def test_the_many_options_of_certify_stand_in_groups() -> None:
    text = smoothbound("certify", "--help").output
    groups = (
        "The network, and how it runs",
        "Which inputs",
        "Adaptive draws",
        "Runs that were stopped",
    )
    members = ("--threads", "--indices", "--budget-draws", "--resume ")
    places = [text.index(f"{start} {words}") for pair in zip(groups, members, strict=True)
              for start, words in zip("─│", pair, strict=True)]  # fmt: skip
    assert places == sorted(places)


@pytest.mark.usefixtures("undrawn")
def test_the_old_name_of_an_option_works_and_is_noted(scores: Path) -> None:
    results, out = scores.with_name("b.parquet"), scores.with_name("report")
    smoothbound("bounds", scores, "--sigma", 0.25, "--radii", "0,1", "--out", results)
    done = smoothbound("report", results, "--out", out, "--example", 7)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("note: --example is now called --index") == 1
    assert "input 7 (as asked for)" in (out / "report.md").read_text()
    assert "--example" not in smoothbound("report", "--help").output


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [
        ("certify", "--max-draws", "--budget-draws"),
        ("certify", "--max-seconds", "--budget-seconds"),
        ("recommend", "--max-n", "--max-draws"),
    ],
)
def test_old_names_of_limits_reach_the_new_ones(command: str, old: str, new: str) -> None:
    needed = {
        "certify": ("--data", "digits", "--sigma", 0.25, "--out", "out", "--adaptive", "--radii=0"),
        "recommend": ("none", "--threshold", 0.5, "--radius", 0),
    }
    for words in ((old, "many"), (f"{old}=many",)):
        refused = smoothbound(command, *needed[command], *words)
        assert refused.stderr.count(f"note: {old} is now called {new}") == 1
        assert f"Invalid value for '{new}'" in refused.stderr
    both = smoothbound(command, *needed[command], f"{new}=1", f"{old}=1")
    assert f"{old} is now called {new}: give one of the two" in both.stderr
