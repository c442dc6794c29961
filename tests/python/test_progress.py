"""Progress names what is done, of how much, and the time left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from smoothbound import progress as module


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


def test_a_quick_run_is_quiet_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with module.progress("inputs certified", 5) as advance:
        advance(5)
    assert capsys.readouterr().err == ""
