"""How commands end: what a run says about itself, and what an interruption leaves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import fails, smoothbound


def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> tuple[object, ...]:
    """Write a factory of networks for digits into the current folder; return what names it."""
    name = f"nets_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(f"import torch\nfrom torch import nn\n{body}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return ("certify", "--data", "digits", "--sigma", 0.25, "--model", f"{name}:net", "--n", 200,
            "--n0", 10, "--skip", 12, "--out", "out")  # fmt: skip


ONE_CLASS = """
class Flat(nn.Module):
    def forward(self, x):
        return torch.tensor([9.0] + [0.0] * 9).expand(len(x), 10)
def net(): return Flat()
"""
GUESSES = """
class Guess(nn.Module):
    def forward(self, x):
        picked = (x.abs().sum((1, 2, 3)) * 1000).long() % 10
        return 9.0 * nn.functional.one_hot(picked, 10).float()
def net(): return Guess()
"""


def test_a_run_that_abstains_everywhere_says_so_and_why_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear = "nn.Flatten(), nn.Linear(64, 10)"
    result = smoothbound(*net(tmp_path, monkeypatch, f"def net(): return nn.Sequential({linear})"))
    assert result.exit_code == 0, result.output
    assert "the classifier abstained on every input. Likely causes: " in result.output
    assert "sigma 0.25" in result.output
    assert "the cut-off 0.5 is too high" in result.output
    assert "taken as logits" in result.output  # in [-0.8, 0.98]: these are no probabilities
    assert "probabilities" not in result.output


def test_probabilities_are_a_cause_where_the_outputs_look_like_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = "nn.Flatten(), nn.Linear(64, 10), nn.Softmax(1)"
    result = smoothbound(*net(tmp_path, monkeypatch, f"def net(): return nn.Sequential({layers})"))
    assert result.exit_code == 0, result.output
    assert "probabilities, but --outputs is logits" in result.output


def test_a_network_that_gives_one_class_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = smoothbound(*net(tmp_path, monkeypatch, ONE_CLASS))
    assert result.exit_code == 0, result.output
    assert "the network predicts class 0 for every input" in result.output


def test_classes_that_are_right_by_chance_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = smoothbound(*net(tmp_path, monkeypatch, GUESSES))
    assert result.exit_code == 0, result.output
    assert "no more than by chance among 10 classes" in result.output


def test_a_good_run_ends_without_concerns(model: Path, tmp_path: Path) -> None:
    words = ("--data", "digits", "--sigma", 0.25, "--n", 200, "--n0", 10, "--skip", 12)
    result = smoothbound("certify", "--checkpoint", model, *words, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "Likely causes" not in result.output
    assert "every input" not in result.output


def test_a_failed_input_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (
        "class Bad(nn.Module):\n    def forward(self, x):\n        raise ValueError('out \\x1b[2J')"
    )
    result = smoothbound(*net(tmp_path, monkeypatch, f"{body}\ndef net(): return Bad()"))
    assert result.exit_code in (2, 3), result.output
    assert "out \\x1b[2J" in result.output
    assert "\x1b" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["report", "recommend", "bounds"])
def test_what_the_system_refuses_is_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "secret\x1b[2J"))

    for name in ("analysis.reading.open_folder", "store._stored.load", "scores._files.open_scores"):
        monkeypatch.setattr(f"smoothbound.{name}", refuse)
    (tmp_path / "in").mkdir()
    rest = {
        "report": ["--out", tmp_path / "out"],
        "recommend": ["--threshold", 0.5, "--radius", 0],
        "bounds": ["--sigma", 1, "--out", tmp_path / "out.parquet"],
    }
    said = fails(command, tmp_path / "in", *rest[command])
    assert "secret\\x1b[2J: Permission denied" in said.replace("\n", "")


def test_ctrl_c_ends_every_command_with_130_and_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("smoothbound.analysis.reading.open_folder", interrupt)
    (tmp_path / "in").mkdir()
    result = smoothbound("report", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert result.output == "note: stopped\n"


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(tmp_path: Path) -> None:
    script = (
        "from smoothbound._display import console\nfrom smoothbound.cli import app, main\n"
        "@app.command()\ndef chatter():\n"
        "    for k in range(100_000): console.say(f'line {k}')\n"
        "import sys; sys.argv = ['smoothbound', 'chatter']; main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line 0\n"
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
        assert process.wait() == 1


@pytest.mark.parametrize(("resume", "said"), [([], " with --resume"), (["--resume"], "")])
def test_ctrl_c_before_the_first_input_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: list[str], said: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("smoothbound.data._loading.load", interrupt)
    words = ("--model", "a:b", "--data", "digits", "--sigma", 1, "--out", tmp_path / "out")
    result = smoothbound("certify", *words, *resume)
    assert result.exit_code == 130
    assert f"stopped: the same command{said} goes on with what is finished" in result.output
    assert "the same command goes on" in smoothbound("demo", "--out", tmp_path / "demo").output


@pytest.mark.parametrize("package", ["typer", "torch"])
def test_ctrl_c_during_the_imports_shows_no_traceback(tmp_path: Path, package: str) -> None:
    (tmp_path / f"{package}.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
    )
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['smoothbound', 'demo']\n"
        "from smoothbound.__main__ import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert ended.returncode == 130
    assert "note: stopped" in ended.stderr
    assert "Traceback" not in ended.stderr
