"""The table that closes a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from smoothbound.evaluation import Evaluation, percent
from smoothbound.printing import say, say_table
from smoothbound.report.reading import drawn, evaluate
from smoothbound.rounding import exact
from smoothbound.store import Results

__all__ = ["show"]

_COLUMNS = 7


def show(results: Results, folder: Path) -> None:
    """Print the certified accuracy of a finished run, one table for each threshold."""
    evaluation = evaluate(results, folder.name)
    total = len(evaluation.index)
    for threshold in results.settings.thresholds:
        say(
            f"Certified accuracy, % of {total} inputs: correct, and {evaluation.measure} above "
            f"{exact(threshold)} within R"
        )
        say_table(_accuracy(evaluation, threshold))
    if results.settings.adaptive is not None:
        say(f"Adaptive draws: {drawn(results)}")
    correct, without = int(evaluation.correct.sum()), int((evaluation.predicted < 0).sum())
    failed = f"{results.failed} inputs failed; " if results.failed else ""
    say(
        f"{percent(correct, total)} % correct, "
        f"{percent(without - results.failed, total)} % abstained; {failed}"
        f"{results.array('seconds').mean():.3g} s an input. Results: {folder}"
    )


def _accuracy(evaluation: Evaluation, threshold: float) -> Table:
    total = len(evaluation.index)
    counts = [evaluation.counts(one, [threshold])[:, 0] for one in evaluation.bounds]
    shown = _spread(int(np.count_nonzero(np.max(counts, axis=0))), len(evaluation.radii))
    table = Table(box=box.SIMPLE)
    table.add_column("R =", no_wrap=True)
    for column in shown:
        table.add_column(exact(evaluation.radii[column]), justify="right", no_wrap=True)
    for one, count in zip(evaluation.bounds, counts, strict=True):
        table.add_row(one.method.label, *(percent(count[column], total) for column in shown))
    return table


def _spread(certified: int, total: int) -> list[int]:
    """Spread up to seven columns over the radii with something certified and the next one."""
    last = min(certified, total - 1)
    return sorted({round(last * k / (_COLUMNS - 1)) for k in range(_COLUMNS)})
