"""The demo trains, certifies and reports, and goes on where it was stopped."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smoothbound import store
from smoothbound.cli._app import app


@pytest.mark.slow
@pytest.mark.usefixtures("plainly_drawn")
def test_the_demo_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    demo = importlib.import_module("smoothbound.cli._commands.demo")
    monkeypatch.setattr(demo, "_SKIP", 60)
    monkeypatch.setattr(demo, "_N", 400)
    monkeypatch.setitem(demo._QUESTION, "n", 4000)
    out = tmp_path / "demo"
    first = CliRunner().invoke(app, ["demo", "--out", str(out)])
    assert first.exit_code == 0, first.output
    assert first.output.count("\n$ smoothbound ") == 5
    assert first.output.count("\n  Theorem 2 (dkw)  ") == 6  # rows of tables
    assert "for Theorem 1, Theorem 2 (dkw) and Theorem 2 (ell) at all radii" in first.output
    for measure in ("score", "margin"):
        results = store.load(out / measure)
        assert results.complete
        assert results.settings.measure == measure
        assert (results.array("predicted") == results.array("label")).mean() >= 0.6
    adaptive = store.load(out / "adaptive")
    assert adaptive.complete
    assert adaptive.array("n_draws").mean() < 4000
    assert "Adaptive draws: on average" in first.output
    assert "% saved)" in first.output
    assert len(list((out / "report").glob("*.png"))) >= 6
    assert not list((out / "report").glob("adaptive_*.png"))  # one question: curves are flat
    page = (out / "report" / "report.md").read_text()
    assert "certify one level at most, whose curve is flat" in page
    assert "one radius was asked about, at one threshold: the table has the number" in page
    assert "| R | anytime, c = 0.7 |" in page
    assert not (out / "training.pt").exists()

    request.getfixturevalue("undrawn")
    (out / "margin" / "results.parquet").unlink()
    (out / "training.pt").write_text("of a demo that was stopped")
    before = (out / "score" / "results.parquet").read_bytes()
    again = CliRunner().invoke(app, ["demo", "--out", str(out)])
    assert again.exit_code == 0, again.output
    assert "$ smoothbound train" not in again.output
    assert store.load(out / "margin").complete
    assert (out / "score" / "results.parquet").read_bytes() == before
