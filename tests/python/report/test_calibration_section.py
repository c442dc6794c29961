"""Calibration under attack in a report: for all inputs, and allowing for rounded sums."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reported import SETTINGS, make_run

from smoothbound.report import _write as report
from smoothbound.sketch._score_sketch import ScoreSketch


@pytest.mark.usefixtures("undrawn")
def test_calibration_is_certified_for_all_inputs_whichever_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The draws that bound an input also decide whether it is abstained from."""
    levels = []
    certify = ScoreSketch.certify

    def noted(sketch: ScoreSketch, **options: Any) -> Any:
        if options.get("sides") == "both":
            levels.append((options["alpha"], len(sketch.index)))
        return certify(sketch, **options)

    monkeypatch.setattr(ScoreSketch, "certify", noted)
    for low in (0.45, 0.2):
        run = make_run(tmp_path / f"{low}", means=(low, 0.8))
        report.write_report([run], tmp_path / "out")
    (one, first), (two, second) = levels
    assert one == two == 0.001 / 12
    assert first > second > 0


@pytest.mark.usefixtures("undrawn")
def test_calibration_allows_for_probabilities_that_miss_the_sum_of_1(tmp_path: Path) -> None:
    """Another class has at most 1 - L, and what the sum of all scores may be above 1."""
    logits = make_run(tmp_path / "logits")
    stated = make_run(tmp_path / "stated", replace(SETTINGS, outputs="probabilities"))
    report.write_report([logits, stated], tmp_path / "out")
    with (tmp_path / "out" / "calibration.csv").open() as file:
        worst = {
            (row["name"], row["radius"]): float(row["brier_upper"]) for row in csv.DictReader(file)
        }
    assert worst["stated", "0.25"] > worst["logits", "0.25"]
    one = report.read([stated])[0]
    assert one.sum_error == 0.004 > report.read([logits])[0].sum_error
