"""Radii and thresholds that nobody asked for are usual ones, and stay apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from reported import SETTINGS, make_run

from smoothbound import store
from smoothbound.analysis.reading import evaluate
from smoothbound.cli._options import default_radii
from smoothbound.report import _write as report
from smoothbound.report._defaults import headline_radii, radii_of


@pytest.mark.usefixtures("undrawn")
def test_radii_and_thresholds_that_share_six_digits_stay_apart(tmp_path: Path) -> None:
    radii, thresholds = (0.0, 0.5, 0.50000001), (0.6, 0.60000001)
    settings = replace(SETTINGS, radii=radii, thresholds=thresholds)
    runs = [make_run(tmp_path / "one", settings), make_run(tmp_path / "two", settings)]
    report.write_report(runs, tmp_path / "out", thresholds=thresholds)
    text = (tmp_path / "out" / "report.md").read_text()
    for line in text.splitlines():
        if line.startswith("| R |"):
            titles = line.split(" | ")
            assert len(set(titles)) == len(titles)
            assert "c = 0.60000001" in line
    assert "| 0.50000001 |" in text


def test_headline_radii_are_easy_to_read(tmp_path: Path) -> None:
    settings = replace(SETTINGS, radii=tuple(default_radii(0.25)))
    one = evaluate(store.load(make_run(tmp_path / "run", settings, means=(0.999, 0.9999))), "run")
    assert radii_of(one, 0.5) == [0.25, 0.75, 1.0]
    few = replace(SETTINGS, radii=(0.0, 0.1875))
    one = evaluate(store.load(make_run(tmp_path / "few", few, means=(0.999, 0.9999))), "few")
    assert radii_of(one, 0.5) == [0.1875]


@pytest.mark.parametrize(
    ("sigma", "means", "shown"),
    [
        (0.25, (0.999, 0.9999), [0.25, 0.75, 1.0]),
        (0.25, (0.6, 0.65), [0.25]),
        (0.5, (0.9, 0.95), [0.25, 0.5, 0.75]),
        (0.06, (0.9, 0.9), [0.06, 0.18, 0.24]),  # 0.25 is not reached
    ],
)
def test_radii_that_nobody_asked_for_are_usual_ones(
    tmp_path: Path, sigma: float, means: tuple[float, float], shown: list[float]
) -> None:
    settings = replace(SETTINGS, sigma=sigma, radii=tuple(default_radii(sigma)))
    one = evaluate(store.load(make_run(tmp_path / "run", settings, means=means)), "run")
    assert headline_radii(one, 0.5) == shown
    own = replace(settings, radii=(0.0, sigma * 0.375))
    one = evaluate(store.load(make_run(tmp_path / "own", own, means=means)), "own")
    assert headline_radii(one, 0.5) == [sigma * 0.375]
