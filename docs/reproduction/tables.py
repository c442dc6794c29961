"""Tables of certified accuracy of logs and of results folders, in Markdown.

    python docs/reproduction/tables.py RESULTS...

prints them for each results folder of ``smoothbound certify``, with the mean certified radii.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from smoothbound.evaluation import Evaluation, percent
from smoothbound.report.reading import read

THRESHOLDS = (0.5, 0.7, 0.9)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield f"| {' | '.join(head)} |"
    yield "|---:" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def certified_accuracy(
    evaluation: Evaluation, thresholds: Sequence[float] = THRESHOLDS
) -> Iterator[str]:
    """Yield a table: a row for each radius, a column for each threshold and method."""
    total = len(evaluation.index)
    columns = {
        f"{one.method.label}, c = {c:g}": evaluation.counts(one, [c])[:, 0]
        for c in thresholds
        for one in evaluation.bounds
    }
    rows = [
        [f"{radius:g}", *(percent(counts[i], total) for counts in columns.values())]
        for i, radius in enumerate(evaluation.radii)
    ]
    return markdown(["R", *columns], rows)


def mean_radii(evaluation: Evaluation) -> Iterator[str]:
    """Yield a table of mean certified radii; 0 where wrong, abstained or not certified at all."""
    rows = []
    for column, c in enumerate(evaluation.thresholds):
        cells = []
        for one in evaluation.bounds:
            assert one.radius is not None
            radius = np.nan_to_num(one.radius[:, column]) * evaluation.correct
            cells.append(f"{np.floor(1e4 * radius.mean()) / 1e4:.4f}")
        rows.append([f"{c:g}", *cells])
    return markdown(["c", *(one.method.label for one in evaluation.bounds)], rows)


def main() -> None:
    """Print the tables of each results folder."""
    for evaluation in read(sys.argv[1:]):
        print(f"\n### {evaluation.name}\n\n{' '.join(evaluation.notes)}\n")
        print("\n".join(certified_accuracy(evaluation)))
        if len(evaluation.thresholds):
            print("\nMean certified radius over all inputs:\n")
            print("\n".join(mean_radii(evaluation)))


if __name__ == "__main__":
    main()
