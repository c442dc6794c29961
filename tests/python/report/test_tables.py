"""The tables of a report have the numbers of its figures."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from reported import MARGIN, SETTINGS, make_run, table

from smoothbound import store
from smoothbound.report import _write as report


@pytest.mark.usefixtures("undrawn")
def test_table_of_a_run_by_a_plain_loop(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    report.write_report([run], tmp_path / "out", thresholds=[0.5, 0.6])
    results = store.load(run).table.to_pylist()
    for row in table(tmp_path / "out"):
        column = SETTINGS.radii.index(float(row["radius"]))  # the run's radii are not sorted
        expected = sum(
            one["predicted"] != -1
            and one["predicted"] == one["label"]
            and one[f"lower_{row['method']}"][column] > float(row["threshold"])
            for one in results
        )
        assert int(row["certified"]) == expected
    assert len(table(tmp_path / "out")) == 4 * 2 * 2


@pytest.mark.usefixtures("undrawn")
def test_tables_have_the_numbers_of_the_figures(tmp_path: Path) -> None:
    wide = replace(SETTINGS, sigma=1.0)
    runs = [
        make_run(tmp_path / "score"),
        make_run(tmp_path / "margin", MARGIN),
        make_run(tmp_path / "wide", wide, means=(0.6, 0.99)),
    ]
    written = report.write_report(runs, tmp_path / "out", thresholds=[0.5])

    def rows(name: str) -> list[dict[str, str]]:
        assert tmp_path / "out" / name in written
        with (tmp_path / "out" / name).open(newline="") as file:
            return list(csv.DictReader(file))

    results = [store.load(run) for run in runs]
    for row in rows("best_by_radius.csv"):  # of the two runs of the score
        counts = [
            int(
                (
                    (one.array("predicted") == one.array("label"))
                    & (one.array("radius_cdf_dkw")[:, 0] >= float(row["radius"]))
                ).sum()
            )
            for one in (results[0], results[2])
        ]
        assert int(row["certified"]) == max(counts)
        assert row["best"] == ("score" if counts[0] >= counts[1] else "wide")
    assert [int(row["index"]) for row in rows("spread.csv")] == list(range(12))
    assert len(rows("class_radius.csv")) == 3 * 12
    assert [row["certified_margin"] != "" for row in rows("class_radius.csv")] == [
        row["name"] == "margin" for row in rows("class_radius.csv")
    ]
    assert {row["name"] for row in rows("knots.csv")} == {"score", "margin", "wide"}
    bounds = [row for row in rows("calibration.csv") if row["name"] == "score"]
    assert [float(row["radius"]) for row in bounds] == [0, 0.25, 0.5, 1]
    for error in ("brier", "ece"):
        upper = [float(row[f"{error}_upper"]) for row in bounds]
        lower = [float(row[f"{error}_lower"]) for row in bounds]
        assert upper == sorted(upper)
        assert lower == sorted(lower, reverse=True)
        assert lower[0] < upper[0]
