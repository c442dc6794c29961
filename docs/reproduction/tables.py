"""Certified accuracy and mean certified radius of results folders, as Markdown tables.

python docs/reproduction/tables.py RESULTS...
"""

from __future__ import annotations

import sys

import numpy as np

from smoothbound.analysis.evaluation import Evaluation
from smoothbound.analysis.reading import read
from smoothbound.report._tables import accuracy_table, markdown_rows

THRESHOLDS = (0.5, 0.7, 0.9)


def certified_accuracy(evaluation: Evaluation) -> str:
    """Return a row for each radius, a column for each threshold and method, in percent."""
    return markdown_rows(accuracy_table(evaluation, THRESHOLDS))


def mean_radii(evaluation: Evaluation) -> str:
    """Return the mean certified radii, rounded down; 0 where wrong, abstained or not certified."""
    rows = [["c", *(one.method.label for one in evaluation.bounds)]]
    for column, c in enumerate(evaluation.thresholds):
        row = [f"{c:g}"]
        for one in evaluation.bounds:
            assert one.radius is not None
            radius = np.nan_to_num(one.radius[:, column]) * evaluation.correct
            row.append(f"{np.floor(1e4 * radius.mean()) / 1e4:.4f}")
        rows.append(row)
    return markdown_rows(rows)


def main() -> None:
    """Print the tables of each results folder."""
    for evaluation in read(sys.argv[1:]):
        print(f"\n### {evaluation.name}\n\n{' '.join(evaluation.notes)}\n")
        print(certified_accuracy(evaluation))
        print(f"\nMean certified radius over all inputs:\n\n{mean_radii(evaluation)}")


if __name__ == "__main__":
    main()
