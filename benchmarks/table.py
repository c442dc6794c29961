"""Make the tables of README.md from the results of pytest-benchmark.

    python benchmarks/table.py                 # runs all benchmarks three times, then prints
    python benchmarks/table.py a.json b.json   # prints what was measured before
    python benchmarks/table.py --page README.md a.json   # puts it into the page

A cell has the least time of an item in a run, and the ratio to the first row or column of its table
in the same run. Of several runs it has the median. Libraries have one thread. The clock is the time
of the processor, so that other work on the machine counts less, or elapsed time where a benchmark
says so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PER_SECOND = {"s": 1, "ms": 1e3, "µs": 1e6, "ns": 1e9}


@dataclass(frozen=True)
class Cell:
    """A time, and whether its ratio is to the first column of its row, not to the first row."""

    time: float
    across: bool


Table = dict[tuple[str, str], Cell]  # by row and column


def measured(path: Path) -> None:
    """Run all benchmarks once, and leave what they measured in the file."""
    command = [sys.executable, "-m", "pytest", HERE, "--benchmark-only", "--quiet"]
    command += ["--benchmark-timer=time.process_time", f"--benchmark-json={path}"]
    subprocess.run(command, env=os.environ | ONE_THREAD, check=True)


def tables(report: dict[str, Any]) -> dict[str, Table]:
    """Return the tables of one run by their titles, in the order in which they were measured."""
    found: dict[str, Table] = defaultdict(dict)
    for each in report["benchmarks"]:
        about = each["extra_info"]
        time = each["stats"]["min"] / about["items"] * PER_SECOND[about["unit"]]
        cell = Cell(time, about["against"] == "first column")
        found[each["group"]][about["row"], about["column"]] = cell
    return found


def ratio(table: Table, row: str, column: str) -> float | None:
    """Return the time over that of the first cell of its column or row, if there is another."""
    cell = table[row, column]
    peers = [
        other
        for (its_row, its_column), other in table.items()
        if (its_row == row if cell.across else its_column == column)
    ]
    return cell.time / peers[0].time if len(peers) > 1 else None


def lines_of(runs: list[Table]) -> list[str]:
    """Return the lines of a table in Markdown."""
    cells = list(runs[0])
    columns = list(dict.fromkeys(column for _, column in cells))
    lines = ["| |" + "".join(f" {column} | ratio |" for column in columns)]
    lines.append("|---|" + "---|---|" * len(columns))
    for row in dict.fromkeys(row for row, _ in cells):
        line = f"| {row} |"
        for column in columns:
            times = [run[row, column].time for run in runs if (row, column) in run]
            ratios = [ratio(run, row, column) for run in runs if (row, column) in run]
            known = [each for each in ratios if each is not None]
            line += f" {statistics.median(times):.4g} |" if times else " |"
            line += f" {statistics.median(known):.3g} |" if known else " |"
        lines.append(line)
    return lines


def put(page: Path, found: dict[str, list[str]]) -> None:
    """Put each table below the heading of the page that has its title, in place of the old one."""
    text = page.read_text(encoding="utf-8")
    for title, lines in found.items():
        table = re.compile(rf"(?<=^### {re.escape(title)}\n\n)(\|.*\n)+", re.MULTILINE)
        text, n = table.subn(lambda _, lines=lines: "\n".join(lines) + "\n", text)
        if n != 1:
            raise SystemExit(f"{page} must have one table below '### {title}', and has {n}")
    page.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="*", type=Path, help="what --benchmark-json wrote")
    parser.add_argument("--runs", type=int, default=3, help="how often to run the benchmarks")
    parser.add_argument("--page", type=Path, help="a page whose tables are replaced")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reports = options.reports or [Path(folder) / f"{i}.json" for i in range(options.runs)]
        if not options.reports:
            for path in reports:
                measured(path)
        runs = [tables(json.loads(path.read_text(encoding="utf-8"))) for path in reports]
    found = {title: lines_of([run[title] for run in runs if title in run]) for title in runs[0]}
    if options.page:
        put(options.page, found)
    for title, lines in found.items():
        print(f"### {title}", "", *lines, "", sep="\n")


if __name__ == "__main__":
    main()
