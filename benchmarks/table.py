"""Make the tables of README.md from the results of pytest-benchmark.

    python benchmarks/table.py                 # runs all benchmarks three times, then prints
    python benchmarks/table.py a.json b.json   # prints what was measured before

A cell has the least time of an item in a run, and the ratio to the first row of its table in the
same run. Of several runs it has the median. Libraries have one thread. The clock is the time of the
processor, so that other work on the machine counts less, or elapsed time where a benchmark says so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PER_SECOND = {"s": 1, "ms": 1e3, "µs": 1e6, "ns": 1e9}

Table = dict[tuple[str, str], float]  # the time of each row and column


def measured(path: Path) -> None:
    """Run all benchmarks once, and leave what they measured in the file."""
    command = [sys.executable, "-m", "pytest", HERE, "--benchmark-only", "--quiet"]
    command += ["--benchmark-timer=time.process_time", f"--benchmark-json={path}"]
    subprocess.run(command, env=os.environ | ONE_THREAD, check=True)


def tables(report: dict[str, Any]) -> dict[str, Table]:
    """Return the tables of one run by their titles, in the order in which they were measured."""
    found: dict[str, Table] = defaultdict(dict)
    for each in report["benchmarks"]:
        cell = each["extra_info"]
        time = each["stats"]["min"] / cell["items"] * PER_SECOND[cell["unit"]]
        found[each["group"]][cell["row"], cell["column"]] = time
    return found


def ratio(table: Table, row: str, column: str) -> float | None:
    """Return the time over that of the first row which has this column, if there is another."""
    rows = [each for each, other in table if other == column]
    return table[row, column] / table[rows[0], column] if len(rows) > 1 else None


def printed(title: str, runs: list[Table]) -> str:
    """Return a table in Markdown."""
    cells = list(runs[0])
    columns = list(dict.fromkeys(column for _, column in cells))
    lines = [f"### {title}", "", "| |" + "".join(f" {column} | ratio |" for column in columns)]
    lines.append("|---|" + "---|---|" * len(columns))
    for row in dict.fromkeys(row for row, _ in cells):
        line = f"| {row} |"
        for column in columns:
            times = [run[row, column] for run in runs if (row, column) in run]
            ratios = [ratio(run, row, column) for run in runs if (row, column) in run]
            known = [each for each in ratios if each is not None]
            line += f" {statistics.median(times):.4g} |" if times else " |"
            line += f" {statistics.median(known):.3g} |" if known else " |"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="*", type=Path, help="what --benchmark-json wrote")
    parser.add_argument("--runs", type=int, default=3, help="how often to run the benchmarks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reports = options.reports or [Path(folder) / f"{i}.json" for i in range(options.runs)]
        if not options.reports:
            for path in reports:
                measured(path)
        runs = [tables(json.loads(path.read_text(encoding="utf-8"))) for path in reports]
    for title in runs[0]:
        print(printed(title, [run[title] for run in runs if title in run]), end="\n\n")


if __name__ == "__main__":
    main()
