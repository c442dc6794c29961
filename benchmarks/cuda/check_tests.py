"""The tests that are marked `gpu`, or those of them that `--keyword` names.

Without a GPU they are collected, and skipped.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

import records

ROOT = Path(__file__).parents[2]


class Writer:
    """Writes the outcome of each test when it is known."""

    def __init__(self, step: records.Step) -> None:
        self.step = step
        self.outcomes: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        self.outcomes[report.outcome] += 1
        why = {} if report.outcome == "passed" else {"why": str(report.longrepr)[-400:]}
        seconds = records.rounded(report.duration)
        self.step.write(test=report.nodeid, outcome=report.outcome, seconds=seconds, **why)


def main() -> None:
    step, given = records.step(
        "tests", name={"help": "the name of this step"}, keyword={"help": "as for pytest -k"}
    )
    if given.name:
        step = records.Step(given.name, step.path, step.small, step.data)
    tests = sorted((ROOT / "tests" / "python").rglob("test_*.py"))
    files = [path for path in tests if "pytest.mark.gpu" in path.read_text(encoding="utf-8")]
    options = ["-m", "gpu", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
    options += ["-W", "default"]  # other versions than the project is tested with may warn
    options += ["-k", given.keyword] if given.keyword else []
    writer = Writer(step)
    status = pytest.main([*options, *map(str, files)], plugins=[writer])
    step.write(what="summary", **writer.outcomes)
    found_none = not writer.outcomes.total()
    all_skipped = not step.small and not writer.outcomes["passed"]
    sys.exit(1 if status or found_none or all_skipped else 0)


if __name__ == "__main__":
    main()
