"""The tables of benchmarks/README.md, from what pytest-benchmark writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import table


def measured(row: str, column: str, seconds: float, items: int) -> dict[str, Any]:
    cell = {"row": row, "column": column, "items": items, "unit": "ms", "against": "first row"}
    return {"group": "Bounds, ms an input", "extra_info": cell, "stats": {"min": seconds}}


def test_a_cell_has_the_median_of_the_runs_and_of_their_ratios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = []
    for run, (core, numpy) in enumerate([(0.064, 0.128), (0.032, 0.128), (0.064, 0.640)]):
        cells = [
            measured("C++ core", "1000 draws", core, 64),
            measured("NumPy", "1000 draws", numpy, 64),
            measured("NumPy", "every draw", 0.5, 1),
        ]
        paths.append(tmp_path / f"{run}.json")
        paths[-1].write_text(json.dumps({"benchmarks": cells}))
    monkeypatch.setattr(sys, "argv", ["table.py", *map(str, paths)])
    table.main()
    assert capsys.readouterr().out.splitlines() == [
        "### Bounds, ms an input",
        "",
        "| | 1000 draws | ratio | every draw | ratio |",
        "|---|---|---|---|---|",
        "| C++ core | 1 | 1 | | |",
        "| NumPy | 2 | 4 | 500 | |",
        "",
    ]


def test_a_ratio_can_be_to_the_first_column() -> None:
    cells = [measured("network", column, time, 1) for column, time in (("bare", 2), ("ours", 3))]
    for cell in cells:
        cell["extra_info"]["against"] = "first column"
    (found,) = table.tables({"benchmarks": cells}).values()
    assert table.lines_of([found])[-1] == "| network | 2000 | 1 | 3000 | 1.5 |"


def test_a_page_gets_the_tables_below_their_titles(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("## Time\n\n### Bounds, ms\n\n| old |\n|---|\n\nThe end.\n\n| other |\n")
    table.put(page, {"Bounds, ms": ["| new |", "|---|", "| 1 |"]})
    expected = "## Time\n\n### Bounds, ms\n\n| new |\n|---|\n| 1 |\n\nThe end.\n\n| other |\n"
    assert page.read_text() == expected
    with pytest.raises(SystemExit, match="must have one table below '### Noise', and has 0"):
        table.put(page, {"Noise": ["| 1 |"]})
    assert page.read_text() == expected
