"""One evaluation by itself."""

from __future__ import annotations

from collections.abc import Sequence

from smoothbound.evaluation import Evaluation
from smoothbound.report.curves import curves
from smoothbound.report.parts import Part
from smoothbound.report.scores import calibration_under_attack, choice_of_knots, one_input
from smoothbound.report.tables import accuracy_table

__all__ = ["alone"]


def alone(
    evaluation: Evaluation,
    thresholds: Sequence[float],
    radii: Sequence[float],
    example: int | None,
) -> Part:
    """Show all that one evaluation has to show."""
    figures = [
        *curves(evaluation, thresholds, radii),
        *one_input(evaluation, thresholds, example),
        *choice_of_knots(evaluation, thresholds),
        *calibration_under_attack(evaluation),
    ]
    table = accuracy_table(evaluation, thresholds)
    return Part(evaluation.name, (), figures, table, len(evaluation.index))
