"""Progress names what is done, of how much, and the time left."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from smoothbound._display import progress as module


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_counts_whole_inputs_and_tells_the_time_left(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(
        module, "Console", lambda stderr: Console(file=file, force_terminal=terminal, width=120)
    )
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_LINES", 0.0)
    with module.progress("inputs certified", 5, done=2, steps=10) as advance:
        advance(9)
        assert terminal or "2 of 5 inputs certified" in file.getvalue()
        advance(21)
    shown = file.getvalue()
    assert "5 of 5 inputs certified" in shown
    assert "left" in shown


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_may_describe_itself(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    file, decided = io.StringIO(), 2
    monkeypatch.setattr(
        module, "Console", lambda stderr: Console(file=file, force_terminal=terminal, width=120)
    )
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_LINES", 0.0)
    with module.progress("inputs", 5, done=2, describe=lambda: f"{decided} decided") as advance:
        advance(0)
        decided = 5
        advance(3)
    shown = file.getvalue()
    assert "5 decided" in shown
    assert terminal or shown.splitlines() == ["2 decided", "5 decided"]
    assert "left" not in shown


def test_a_quick_run_is_quiet_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with module.progress("inputs certified", 5) as advance:
        advance(5)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("piped", [True, False])
def test_lines_stand_above_the_bar_and_reach_a_pipe(
    terminal: bool, piped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen, out = io.StringIO(), io.StringIO()
    monkeypatch.setattr(
        module, "Console", lambda stderr: Console(file=screen, force_terminal=terminal, width=80)
    )
    monkeypatch.setattr(out, "isatty", lambda: not piped, raising=False)
    monkeypatch.setattr(sys, "stdout", out)
    with module.progress("epochs", 5) as running:
        running(1)
        running.say("epoch 1: loss 0.5")
        running(1)
    shown = screen.getvalue() if terminal and not piped else out.getvalue()
    assert "epoch 1: loss 0.5\n" in shown
    assert "epoch 1" not in (out.getvalue() if terminal and not piped else screen.getvalue())
