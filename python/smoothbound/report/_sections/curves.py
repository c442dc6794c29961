"""Figures over all inputs of one evaluation: certified accuracy, and the class radius."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from smoothbound._display.rounding import exact
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.figures._accuracy import (
    certified_accuracy_vs_radius,
    certified_accuracy_vs_threshold,
)
from smoothbound.figures._class_radius import MOST_MARKERS, score_vs_class_radius
from smoothbound.report._defaults import radii_of
from smoothbound.report._drawing import Figure, draw

__all__ = ["SHADED", "accuracy_figures", "against_class_radius"]


SHADED = (
    "The shaded areas are 95 % intervals over inputs (Clopper-Pearson), for each point by itself."
)


def accuracy_figures(
    evaluation: Evaluation, thresholds: Sequence[float], radii: Sequence[float]
) -> Iterator[Figure | str]:
    """Draw certified accuracy over radius and threshold; a str states why a figure is missing."""
    name = evaluation.name
    if _is_one_number(evaluation, thresholds):
        yield (
            "certified accuracy against the radius (one radius was asked about, at one threshold: "
            "the table has the number)"
        )
    else:
        yield _against_the_radius(evaluation, thresholds)
    if evaluation.adaptive:
        yield "certified accuracy against the threshold (certify without --adaptive)"
        return
    yield draw(
        f"{name}_accuracy_vs_threshold",
        evaluation.title,
        "Certified accuracy against the threshold, at each radius, counted at every threshold. "
        f"{SHADED}",
        [
            partial(certified_accuracy_vs_threshold, evaluation=evaluation, radius=r)
            for r in radii or radii_of(evaluation, thresholds[0])
        ],
    )


def _is_one_number(evaluation: Evaluation, thresholds: Sequence[float]) -> bool:
    """Return whether adaptive draws answer a single question, whose curve would be flat."""
    searched = any(one.has_radius for one in evaluation.bounds)
    one = len(evaluation.radii) == len(thresholds) == 1
    return evaluation.adaptive and one and not searched


def _against_the_radius(evaluation: Evaluation, thresholds: Sequence[float]) -> Figure:
    """Draw certified accuracy over the radius, with a panel for each threshold."""
    return draw(
        f"{evaluation.name}_accuracy_vs_radius",
        evaluation.title,
        f"Certified accuracy against the radius, for the {evaluation.measure} to stay above each "
        f"threshold. {_how_computed(evaluation, thresholds)} {SHADED}",
        [
            partial(certified_accuracy_vs_radius, evaluation=evaluation, threshold=c)
            for c in thresholds
        ],
    )


def against_class_radius(evaluation: Evaluation) -> Figure | str:
    """Draw confidence against class radius; a str states why the figure is missing."""
    name, what = evaluation.name, f"{evaluation.measure} against class radius"
    n_inputs, evaluation = evaluation.n_inputs, evaluation.sample
    if evaluation.class_radius is None:
        return f"{what} (for a log: --class-radius)"
    if evaluation.radii[0] != 0:
        return f"{what} (certify with 0 among --radii)"
    return draw(
        f"{name}_score_vs_class_radius",
        evaluation.title,
        f"Certified {evaluation.measure} at R = 0 by {evaluation.bounds[-1].method.label} "
        "against the certified radius of the class (Cohen et al. 2019), within which the "
        "majority vote keeps its class. "
        f"{_ceiling(evaluation)}{_sampled(evaluation, n_inputs)}",
        [partial(score_vs_class_radius, evaluation=evaluation)],
        table="class_radius",
        rows=[
            {
                "name": name,
                "index": int(index),
                "label": int(label),
                "predicted": int(predicted),
                "class_radius": float(class_radius),
                f"certified_{evaluation.measure}": float(lower),
            }
            for index, label, predicted, class_radius, lower in zip(
                evaluation.index,
                evaluation.label,
                evaluation.predicted,
                evaluation.class_radius,
                evaluation.bounds[-1].lower[:, 0],
                strict=True,
            )
        ],
    )


def _sampled(evaluation: Evaluation, n_inputs: int) -> str:
    """Return a text about the inputs that are drawn, if not all are."""
    count = evaluation.n_inputs
    text = "" if count == n_inputs else f" Of {n_inputs} inputs, {count} are shown, spread evenly."
    if (pairs := int(evaluation.paired.sum())) > MOST_MARKERS:
        text += f" {MOST_MARKERS} of the {pairs} are drawn."
    return text


def _how_computed(evaluation: Evaluation, thresholds: Sequence[float]) -> str:
    """Return a sentence about how the curves over the radius were computed."""
    grid = (
        "{} drawn from the bounds at the marked radii. Between two radii, the value of the larger "
        "one is drawn, because nothing more is certified there. A curve that ends above 0 ends at "
        "the last radius that was computed."
    )
    searched = [exact(c) for c in thresholds if c in evaluation.thresholds]
    if not searched or not all(one.has_radius for one in evaluation.bounds):
        return grid.format("The curves are")
    text = f"At c = {', '.join(searched)}, the certified radius of every input is drawn."
    return text if len(searched) == len(thresholds) else f"{text} {grid.format('The others are')}"


def _ceiling(evaluation: Evaluation) -> str:
    """Return a sentence about the inputs that reached the largest class radius."""
    assert evaluation.class_radius is not None
    radius = evaluation.class_radius[evaluation.paired]
    ties = int((radius == radius.max(initial=0.0)).sum())
    text = f"{len(radius)} inputs have both."
    if ties > 1:
        text += f" {ties} have the largest class radius that the draws can certify."
    return text
