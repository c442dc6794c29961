"""Quantiles in a report: each level, and bounds that are infinite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reported import table

import smoothbound as sb
from smoothbound.analysis.reading import read
from smoothbound.errors import StoreError
from smoothbound.report import _write as report


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("statistic", ["probability", "quantile"])
def test_each_level_of_a_certificate_is_reported(tmp_path: Path, statistic: Any) -> None:
    scores = np.random.default_rng(0).beta(8, 2, size=(6, 400))
    cert = sb.certify_scores(
        scores,
        sigma=0.25,
        radii=[0.0, 0.1],
        statistic=statistic,
        levels=[0.25, 0.75],
        thresholds=[0.5],
        score_range=(0, 1),
    )
    cert.save(tmp_path / "levels.parquet")
    report.write_report([tmp_path / "levels.parquet"], tmp_path / "out", thresholds=[0.5])
    rows = table(tmp_path / "out")
    assert len(rows) == 2 * 2
    for row in rows:
        level = float(row["name"].removeprefix("levels-"))
        j, k = (0.25, 0.75).index(level), (0.0, 0.1).index(float(row["radius"]))
        assert int(row["certified"]) == (cert.lower[:, j, k] > 0.5).sum()
    page = (tmp_path / "out" / "report.md").read_text()
    name = "P(score ≥ 0.75)" if statistic == "probability" else "0.75-quantile of the score"
    assert name in {row["measure"] for row in rows}
    assert "for Clopper-Pearson at each radius and threshold" in page


def test_quantiles_without_a_range_are_shown_over_their_finite_bounds(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal([[0.0], [7.0], [9.0]], size=(3, 400))
    scores[0] = -np.inf
    cert = sb.certify_scores(
        scores, sigma=1, radii=[0.0, 0.5], statistic="quantile", levels=[0.5], thresholds=[6.5]
    )
    cert.save(tmp_path / "levels.parquet")
    [one] = read([tmp_path / "levels.parquet"])
    finite = cert.lower[1:]
    assert one.shown_range[0] < finite.min() < finite.max() < one.shown_range[1]
    assert np.ptp(one.shown_range) < 1.2 * np.ptp(finite)
    at, accuracy = one.by_threshold(one.bounds[0], 0.0)
    assert np.isfinite(at).all()
    assert accuracy[0] == pytest.approx(2 / 3)
    assert one.select(np.array([1])).shown_range == one.shown_range
    report.write_report([tmp_path / "levels.parquet"], tmp_path / "out", thresholds=[3.0, 8.0, 99])
    rows = table(tmp_path / "out")
    assert {(row["threshold"], row["radius"], row["certified"]) for row in rows} == {
        (f"{c}", f"{radius}", str((cert.lower[:, 0, j] > c).sum()))
        for c in (3.0, 8.0, 99.0)
        for j, radius in enumerate((0.0, 0.5))
    }
    report.write_report([tmp_path / "levels.parquet"], tmp_path / "default")
    assert {row["threshold"] for row in table(tmp_path / "default")} == {"6.5"}
    replace(
        cert, settings=replace(cert.settings, thresholds=()), radius=cert.radius[:, :, :0]
    ).save(tmp_path / "without.parquet")
    report.write_report([tmp_path / "without.parquet"], tmp_path / "without")
    shown = {float(row["threshold"]) for row in table(tmp_path / "without")}
    assert len(shown) == 3
    assert finite.min() < min(shown) < max(shown) < finite.max()


def test_quantiles_that_are_all_infinite_have_no_axis(tmp_path: Path) -> None:
    made = sb.certify_scores(
        np.full((2, 100), -np.inf), sigma=1, statistic="quantile", levels=[0.5]
    )
    made.save(tmp_path / "levels.parquet")
    with pytest.raises(StoreError, match="no finite bound"):
        report.write_report([tmp_path / "levels.parquet"], tmp_path / "out")
