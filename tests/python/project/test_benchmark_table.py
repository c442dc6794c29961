"""The tables of benchmarks/README.md, from what pytest-benchmark writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import table


def measured(row: str, column: str, seconds: float, items: int) -> dict[str, Any]:
    cell = {"row": row, "column": column, "items": items, "unit": "ms"}
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
