"""Figures from the counted scores: one input in full, the choice of knots, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from smoothbound import calibration, figures, knots
from smoothbound.evaluation import Evaluation, Ints
from smoothbound.report.choosing import radii_of
from smoothbound.report.drawing import Figure, Panel, draw
from smoothbound.sketch import ScoreSketch

__all__ = ["calibration_under_attack", "choice_of_knots", "one_input"]

_MOST_INPUTS = 100  # whose knots are compared; more would change little and take time


def one_input(
    evaluation: Evaluation, thresholds: Sequence[float], example: int | None
) -> Iterator[Figure]:
    """Draw the scores of one input, their band, and what it certifies over the radius."""
    index = evaluation.typical() if example is None else example
    if index is None:
        return
    chosen = "the correct input of median confidence" if example is None else "as asked for"
    panels: list[Panel] = []
    caption = ""
    if evaluation.sketch is not None and index in evaluation.sketch.inputs:
        panels = [
            partial(figures.score_distribution, evaluation=evaluation, index=index),
            partial(figures.survival_function, evaluation=evaluation, index=index),
        ]
        caption = (
            f"From draws to a certificate. Left: the {evaluation.measure} of every draw. Middle: "
            "the share of draws above each level, and lower confidence bands of its true value, on "
            "the scale of Φ⁻¹, where a radius R shifts everything down by R/σ: the higher a band "
            "reaches, the further the certificate. Right: "
        )
    panels.append(
        partial(
            figures.certified_confidence, evaluation=evaluation, index=index, thresholds=thresholds
        )
    )
    yield draw(
        f"{evaluation.name}_confidence",
        evaluation.name,
        f"{caption}{'c' if caption else 'C'}ertified confidence of input {index} ({chosen}) over "
        "the radius. Markers are what was computed; between two, the bound of the larger radius is "
        "drawn.",
        panels,
        alike=len(panels) == 1,
    )


def choice_of_knots(evaluation: Evaluation, thresholds: Sequence[float]) -> Iterator[Figure]:
    """Draw what equal counts, equal widths and every draw certify."""
    sketch = _sketch(evaluation, _spread(evaluation.index))
    if sketch is None or evaluation.alpha is None:
        return
    radius = next((r for r in radii_of(evaluation, thresholds[0]) if r > 0), None)
    if radius is None:
        return
    found = [
        knots.choices(sketch, radius=radius, alpha=evaluation.alpha, band=band)
        for band in ("dkw", "ell")
    ]
    yield draw(
        f"{evaluation.name}_knots",
        evaluation.name,
        f"The choice of knots in Theorem 2: mean certified {evaluation.measure} of "
        f"{found[0].n_inputs} inputs at R = {radius:g}, by the number of intervals. Knots stand at "
        f"edges of a sketch of {sketch.edges.size - 1} intervals; “every draw” is all of them, "
        f"which loses less than one interval to the exact bound. {_winner(found[0])}",
        [partial(figures.choice_of_knots, found=one) for one in found],
    )


def calibration_under_attack(evaluation: Evaluation) -> Iterator[Figure]:
    """Draw bounds on the Brier score and the expected calibration error, from both sides."""
    rows = np.flatnonzero(evaluation.predicted >= 0)
    sketch = _sketch(evaluation, evaluation.index[rows])
    if sketch is None or evaluation.alpha is None or evaluation.measure != "score":
        return
    alpha = evaluation.alpha / len(rows)  # so that all intervals hold together
    certified = sketch.certify(radii=evaluation.radii, alpha=alpha, sides="both")
    assert certified.lower is not None
    assert certified.upper is not None
    right = evaluation.correct[rows][np.argsort(evaluation.index[rows])]  # as the sketch has them
    bounds = calibration.certified(certified.lower, certified.upper, right)
    yield draw(
        f"{evaluation.name}_calibration",
        evaluation.name,
        "Calibration under attack: the ranges in which the Brier score and the expected "
        "calibration error (ten bins) of the predicted class stay when each of the "
        f"{len(rows)} inputs not abstained from is moved by up to R. From lower and upper "
        f"certified scores (Theorem 2, ell, each at level {evaluation.alpha:g}/{len(rows)}), so "
        f"that everything shown holds with probability at least 1 − {evaluation.alpha:g}.",
        [
            partial(
                figures.certified_calibration,
                radii=evaluation.radii,
                lower=lower,
                upper=upper,
                error=error,
            )
            for error, lower, upper in (
                ("Brier score", bounds.brier_lower, bounds.brier_upper),
                ("expected calibration error", bounds.ece_lower, bounds.ece_upper),
            )
        ],
        alike=False,
    )


def _sketch(evaluation: Evaluation, index: Ints) -> ScoreSketch | None:
    """Return the counted scores of some inputs; None where one of them has none."""
    sketch = evaluation.sketch
    if sketch is None or not len(index) or not np.isin(index, sketch.inputs).all():
        return None
    return sketch.only(np.sort(index))


def _spread(index: Ints) -> Ints:
    """Take at most so many of the inputs, spread evenly over all."""
    places = np.unique(np.linspace(0, len(index) - 1, min(len(index), _MOST_INPUTS)).astype(int))
    chosen: Ints = index[places]
    return chosen


def _winner(found: knots.KnotChoices) -> str:
    """Say how many intervals each choice takes to come close to every draw."""
    needs = [
        f"{name} {bins if bins is not None else f'more than {found.n_bins[-1]}'}"
        for name, bins in (
            ("equal count takes", found.bins_for(found.equal_count)),
            ("equal width", found.bins_for(found.equal_width)),
        )
    ]
    return f"To come within 1 % of every draw with {found.band}, {' intervals, '.join(needs)}."
