"""The table at the end of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from smoothbound._display.console import say, say_table
from smoothbound._display.interval import interval_ends
from smoothbound._display.rounding import exact, floor_decimal, percent
from smoothbound.analysis._statistics.accuracy import UNKNOWN, share
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.analysis.reading import (
    describe_draws,
    describe_false,
    describe_family,
    describe_unreachable,
    evaluate,
)
from smoothbound.report._defaults import radii_to_tell
from smoothbound.store._results import Results
from smoothbound.store._stored import StoredResults

__all__ = ["show"]

_MOST_COLUMNS = 7


def show(results: Results | StoredResults, folder: Path) -> None:
    """Print the certified accuracy of a finished run, one table for each threshold."""
    evaluation, adaptive = evaluate(results, folder.name), results.settings.adaptive
    total = evaluation.n_inputs
    for threshold in results.settings.thresholds:
        say(
            f"Certified accuracy, % of {total} inputs: correct, and {evaluation.measure} above "
            f"{exact(threshold)} within R; below each share its 95 % interval over inputs"
        )
        say_table(_accuracy(evaluation, threshold))
        if adaptive is not None and adaptive.asked == "FindRadius":
            say(_radii_found(evaluation, threshold))
    if adaptive is not None:
        say(f"Adaptive draws: {describe_draws(results)}")
    for line in describe_unreachable(results):
        say(line)
    if text := describe_false(evaluation, of="alpha"):
        say(text)
    if family := describe_family(results, of="alpha"):
        say(family)
    failed = f"{results.failed} inputs failed; " if results.failed else ""
    correct = percent(evaluation.n_correct, total)
    say(
        f"{correct} % correct, {_others(results, evaluation)}; "
        f"{failed}{results.totals.seconds / total:.3g} s an input. Results: {folder}"
    )


def _others(results: Results | StoredResults, evaluation: Evaluation) -> str:
    """Return a text about the share of abstentions, or about why it is not known."""
    total = evaluation.n_inputs
    if evaluation.correct_only:
        wrong = results.totals.by_status.get("misclassified", 0)
        return (
            f"{percent(wrong, total)} % wrong, without draws; abstention is not known, because "
            "--correct-only asks for certified accuracy alone"
        )
    return f"{percent(evaluation.n_abstained - results.failed, total)} % abstained"


def _accuracy(evaluation: Evaluation, threshold: float) -> Table:
    total = evaluation.n_inputs
    radii = radii_to_tell(evaluation, threshold)
    counts = [evaluation.counts_at(one, threshold, radii) for one in evaluation.bounds]
    shown = _columns(int(np.count_nonzero(np.max(counts, axis=0))), len(radii))
    table = Table(box=box.SIMPLE)
    table.add_column("R =", no_wrap=True)
    for column in shown:
        table.add_column(exact(radii[column]), justify="right", no_wrap=True)
    for one, count in zip(evaluation.bounds, counts, strict=True):
        table.add_row(one.method.label, *(share(count[column], total) for column in shown))
        table.add_row("", *(_interval(count[column], total) for column in shown), style="dim")
    return table


def _interval(count: int, total: int) -> str:
    """Return the interval of a share over inputs; empty if the count is not known."""
    return "" if count == UNKNOWN else "–".join(interval_ends(count, total))


def _radii_found(evaluation: Evaluation, threshold: float) -> str:
    """Return the median and the range of the radii of the correct inputs, rounded down, as text."""
    reach = evaluation.reach(evaluation.bounds[-1], threshold)
    assert reach is not None
    found = np.sort(reach[evaluation.correct & np.isfinite(reach)])
    text = (
        f"Certified radius with the {evaluation.measure} above {exact(threshold)}: found for "
        f"{len(found)} of {len(reach)} inputs"
    )
    if not len(found):
        return f"{text}."
    least, middle, most = (
        floor_decimal(float(found[k])) for k in (0, (len(found) - 1) // 2, len(found) - 1)
    )
    return f"{text}, from {least} to {most}, median {middle}. The results have that of each input."


def _columns(certified: int, total: int) -> list[int]:
    """Return the columns to show, up to the first radius at which no input is certified.

    They are all radii, or every second, fourth, ... radius, so that the table is not too wide.

    Examples
    --------
    >>> _columns(5, 17), _columns(9, 17)
    ([0, 1, 2, 3, 4, 5], [0, 2, 4, 6, 8, 10])
    """
    last = min(certified, total - 1)
    step = 1
    while -(-last // step) >= _MOST_COLUMNS:
        step *= 2
    return sorted({*range(0, last, step), min(-(-last // step) * step, total - 1)})
