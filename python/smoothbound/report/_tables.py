"""Tables of certified accuracy for the page, in Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np

from smoothbound._display.interval import interval_ends
from smoothbound._display.printable import markdown, spreadsheet_cell
from smoothbound._display.rounding import exact, percent
from smoothbound.analysis._statistics.accuracy import UNKNOWN, share
from smoothbound.analysis._statistics.rows import Floats, Ints
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.curves._named import GAUSSIAN
from smoothbound.report._defaults import headline_radii, radii_to_tell, thresholds_of

__all__ = [
    "accuracy_table",
    "comparison_table",
    "csv_of",
    "headline",
    "markdown_rows",
    "percent_table",
    "share_with_interval",
    "table_rows",
]


_INTERVAL = ("interval_low_percent", "interval_high_percent")


def table_rows(evaluation: Evaluation, thresholds: Sequence[float]) -> list[dict[str, object]]:
    """Return the certified accuracy at every radius, threshold and method, as rows of a table.

    The share in percent is rounded down, and the two counts give it exactly. The interval of the
    share over inputs is rounded outward.

    Examples
    --------
    >>> from smoothbound.analysis.evaluation import Bounds
    >>> from smoothbound.bounds._method import Method
    >>> three = Evaluation(
    ...     name="three", measure="score", score_range=(0.0, 1.0), radii=np.array([0.25]),
    ...     index=np.arange(3), label=np.array([0, 1, 2]), predicted=np.array([0, 1, -1]),
    ...     bounds=(Bounds(Method("mean"), np.array([[.9], [.8], [.1]])),))
    >>> [row] = table_rows(three, [0.5])
    >>> row["certified"], row["inputs"], row["certified_percent"]
    (2, 3, '66.6')
    """
    total = evaluation.n_inputs
    noise = {} if evaluation.curve == GAUSSIAN else {"noise": evaluation.curve.name}
    rows: list[dict[str, object]] = []
    for bounds in evaluation.bounds:
        counts = evaluation.counts(bounds, thresholds)
        for i, radius in enumerate(evaluation.radii):
            for j, threshold in enumerate(thresholds):
                rows.append(
                    {
                        "name": evaluation.name,
                        "measure": evaluation.measure,
                        "method": bounds.method.name,
                        "radius": float(radius),
                        "threshold": float(threshold),
                        "inputs": total,
                        "certified": int(counts[i, j]),
                        "certified_percent": percent(counts[i, j], total),
                        **noise,
                        **dict(zip(_INTERVAL, interval_ends(counts[i, j], total), strict=True)),
                    }
                )
    return rows


def share_with_interval(count: int, total: int) -> str:
    """Return a share in percent with its interval, or a dash if the count is not known.

    Examples
    --------
    >>> share_with_interval(177, 500), share_with_interval(UNKNOWN, 500)
    ('35.4 (31.2–39.8)', '–')
    """
    text = share(count, total)
    return text if count == UNKNOWN else f"{text} ({'–'.join(interval_ends(count, total))})"


def csv_of(rows: Sequence[Mapping[str, object]]) -> str:
    """Write rows as CSV. A column that only some rows have is empty in the others."""
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: spreadsheet_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def accuracy_table(evaluation: Evaluation, thresholds: Sequence[float]) -> list[list[str]]:
    """Return a table in percent with a row per radius and a column per threshold and method."""
    radii = radii_to_tell(evaluation, thresholds[0])
    columns = [
        (f"{one.method.label}, c = {exact(c)}", evaluation.counts_at(one, c, radii))
        for c in thresholds
        for one in evaluation.bounds
    ]
    return percent_table(radii, columns, evaluation.n_inputs)


def percent_table(
    radii: Sequence[float] | Floats, columns: Sequence[tuple[str, Ints]], total: int
) -> list[list[str]]:
    """Return a table with a row per radius and a column of shares per title; – is unknown."""
    return [
        ["R", *(title for title, _ in columns)],
        *(
            [exact(radius), *(share_with_interval(counts[i], total) for _, counts in columns)]
            for i, radius in enumerate(radii)
        ),
    ]


def headline(evaluations: Sequence[Evaluation], asked: Sequence[float]) -> list[list[str]]:
    """Return certified accuracy of every method at up to three radii and its first threshold."""
    # Adaptive draws give bounds at few radii.
    first = max(evaluations, key=lambda one: not one.adaptive)
    radii = headline_radii(first, thresholds_of(first, asked)[0])
    rows = [["results", "method", "c", *(f"R = {exact(radius)}" for radius in radii)]]
    for one in evaluations:
        threshold = thresholds_of(one, asked)[0]
        for bounds in one.bounds:
            counts = one.counts_at(bounds, threshold, radii)
            shares = [share_with_interval(count, one.n_inputs) for count in counts]
            rows.append([one.name, bounds.method.label, exact(threshold), *shares])
    return rows


def comparison_table(group: Sequence[Evaluation], thresholds: Sequence[float]) -> list[list[str]]:
    """Return a table with a row per radius and a column per threshold and evaluation."""
    radii = reduce(np.union1d, (one.radii for one in group))
    columns = [
        (f"{one.name}, c = {exact(c)}", one.counts_at(one.bounds[-1], c, radii))
        for c in thresholds
        for one in group
        if one.tells(c)
    ]
    return percent_table(radii, columns, group[0].n_inputs)


def markdown_rows(table: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown; the first row is the header."""
    head, *rows = ([markdown(cell) for cell in row] for row in table)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---:"] * len(head), *rows])
