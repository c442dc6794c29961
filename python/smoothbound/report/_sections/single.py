"""One evaluation by itself."""

from __future__ import annotations

from collections.abc import Sequence

from smoothbound.analysis.evaluation import Evaluation
from smoothbound.report._drawing import Figure
from smoothbound.report._parts import Part
from smoothbound.report._sections.classes import calibration_of_classes
from smoothbound.report._sections.curves import accuracy_figures, against_class_radius
from smoothbound.report._sections.scores import calibration_under_attack, knots_compared, one_input
from smoothbound.report._tables import accuracy_table

__all__ = ["single"]


def single(
    evaluation: Evaluation,
    thresholds: Sequence[float],
    radii: Sequence[float],
    index: int | None,
) -> Part:
    """Return the part with the figures of one evaluation; `absent` names figures without data."""
    made = [
        *accuracy_figures(evaluation, thresholds, radii),
        against_class_radius(evaluation),
        one_input(evaluation, thresholds, index),
        knots_compared(evaluation, thresholds),
        calibration_under_attack(evaluation)
        if evaluation.measure == "score" or evaluation.correct_only
        else None,
        calibration_of_classes(evaluation),
    ]
    figures = [one for one in made if isinstance(one, Figure)]
    absent = [one for one in made if isinstance(one, str)]
    if not all(one.has_radius for one in evaluation.bounds) and not evaluation.adaptive:
        absent.insert(0, "curves from the certified radius of every input (certify --thresholds)")
    table = accuracy_table(evaluation, thresholds)
    name, title = evaluation.name, evaluation.title
    return Part(
        name,
        (),
        figures,
        table,
        evaluation.n_inputs,
        absent,
        title="" if title == name else f"{name}: {title}",
    )
