"""Figures from the counted scores: a single input, the choice of knots, and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import numpy as np

from smoothbound._display.rounding import exact
from smoothbound._utils.spread import evenly_spread
from smoothbound.analysis import calibration, knots
from smoothbound.analysis._sources.stored import MOST_IN_MEMORY
from smoothbound.analysis._statistics.rows import Floats, Ints
from smoothbound.analysis.evaluation import WITHOUT_DRAWS, Evaluation
from smoothbound.figures._calibration import certified_calibration
from smoothbound.figures._confidence import certified_confidence
from smoothbound.figures._distribution import score_distribution, survival_function
from smoothbound.figures._knots import choice_of_knots
from smoothbound.report._defaults import radii_of
from smoothbound.report._drawing import Figure, Panel, draw

__all__ = ["calibration_under_attack", "knots_compared", "one_input"]

_MOST_INPUTS = 100  # in the comparison of knots; more inputs take time and change little
_NO_SCORES = "(certify without --adaptive; a log has no scores)"


def one_input(
    evaluation: Evaluation, thresholds: Sequence[float], index: int | None
) -> Figure | str:
    """Draw the scores of one input, their band and the certified confidence over the radius."""
    chosen = "the correct input of median confidence" if index is None else "as asked for"
    if index is None and (index := evaluation.typical()) is None:
        return "one input in full (no input has the true class without abstention)"
    one = evaluation.select(np.array([index]))
    if one.adaptive and len(_levels(one)) < 2:
        return (
            f"one input in full (the draws of input {index} certify one level at most, whose curve "
            "is flat: certify without --adaptive, or ask about more --thresholds)"
        )
    if index in one.with_scores and one.alpha is not None:
        with suppress(ValueError):  # with too few draws for a band, show only the certificate
            return _of_one(one, thresholds, index, chosen, scores=True)
    return _of_one(one, thresholds, index, chosen, scores=False)


def _levels(one: Evaluation) -> set[float]:
    """Return the levels above which the confidence of an input is certified at some radius."""
    bounds, (a, _) = one.bounds[-1], one.score_range
    levels = {level for level in bounds.lower[0].tolist() if level > a}
    if bounds.radius is not None:
        found = np.nextafter(one.thresholds[np.isfinite(bounds.radius[0])], np.inf)
        levels |= set(found.tolist())
    return levels


def _of_one(
    evaluation: Evaluation, thresholds: Sequence[float], index: int, chosen: str, *, scores: bool
) -> Figure:
    panels: list[Panel] = []
    caption = ""
    if scores:
        panels = [
            partial(score_distribution, evaluation=evaluation, index=index),
            partial(survival_function, evaluation=evaluation, index=index),
        ]
        caption = (
            f"From draws to a certificate. Left: the {evaluation.measure} of every draw. Middle: "
            "the share of draws above each level, and lower confidence bands of its true value, on "
            "the scale of Φ⁻¹, where a radius R shifts everything down by R/σ: the higher a band "
            "reaches, the further the certificate. Right: "
        )
    panels.append(
        partial(certified_confidence, evaluation=evaluation, index=index, thresholds=thresholds)
    )
    return draw(
        f"{evaluation.name}_confidence",
        evaluation.title,
        f"{caption}{'c' if caption else 'C'}ertified confidence of input {index} ({chosen}) over "
        "the radius. Markers show the computed bounds; between two, the bound of the larger radius "
        "is drawn.",
        panels,
        alike=len(panels) == 1,
    )


def knots_compared(evaluation: Evaluation, thresholds: Sequence[float]) -> Figure | str:
    """Draw the certified confidence with knots at equal counts, equal widths and every draw."""
    what = "the choice of knots"
    kept = evaluation.with_scores
    index = kept[evenly_spread(len(kept), _MOST_INPUTS)]
    if not len(index) or evaluation.alpha is None:
        return f"{what} {_NO_SCORES}"
    radius = next((r for r in radii_of(evaluation, thresholds[0]) if r > 0), None)
    if radius is None:
        return f"{what} (no input in twenty is certified at any --radii above 0)"
    sketch = evaluation.sketch(index)
    try:
        found = [
            knots.choices(
                sketch, sigma=evaluation.sigma, radius=radius, alpha=evaluation.alpha, band=band
            )
            for band in ("dkw", "ell")
        ]
    except ValueError as error:  # too few draws for alpha
        return f"{what} ({error})"
    return draw(
        f"{evaluation.name}_knots",
        evaluation.title,
        f"The choice of knots in Theorem 2: mean certified {evaluation.measure} of "
        f"{found[0].n_inputs} inputs at R = {exact(radius)}, by the number of intervals. Knots "
        f"stand at edges of a sketch of {sketch.edges.size - 1} intervals; “every draw” is all of "
        f"them, which loses less than one interval to the exact bound. {_winner(found[0])}",
        [partial(choice_of_knots, found=one) for one in found],
        table="knots",
        rows=[
            {
                "name": evaluation.name,
                "band": one.band,
                "radius": radius,
                "intervals": bins,
                "equal_count": by_count,
                "equal_width": by_width,
                "every_draw": one.every_draw,
            }
            for one in found
            for bins, by_count, by_width in zip(
                one.n_bins, one.equal_count, one.equal_width, strict=True
            )
        ],
    )


def calibration_under_attack(evaluation: Evaluation) -> Figure | str:
    """Draw bounds on the Brier score and the expected calibration error of an evaluation.

    Both follow from lower and upper certified scores; see docs/calibration.md.
    """
    what = "calibration under attack"
    if evaluation.correct_only:
        return f"abstention, mean confidence and calibration ({WITHOUT_DRAWS})"
    if evaluation.n_inputs > MOST_IN_MEMORY:
        return f"{what} (more than {MOST_IN_MEMORY} inputs)"
    kept = np.isin(evaluation.index, evaluation.with_scores) & ~evaluation.abstained
    if evaluation.alpha is None or not len(evaluation.with_scores):
        return f"{what} {_NO_SCORES}"
    if not kept.any():
        return f"{what} (the classifier abstains on every input)"
    order = np.argsort(evaluation.index)
    rows = order[kept[order]]  # in the order of the sketch
    total = len(evaluation.index)
    try:
        # Every input gets a share of alpha, even if the classifier abstains, because the same draws
        # decide on abstention. All intervals then hold at once.
        lower, upper = _intervals(evaluation, rows, evaluation.alpha / total)
    except ValueError as error:  # too few draws for so small a share
        return f"{what} ({error})"
    bounds = calibration.certified(
        np.maximum(lower - evaluation.sum_error, 0.0),
        np.minimum(upper + evaluation.sum_error, 1.0),
        evaluation.correct[rows],
    )
    return draw(
        f"{evaluation.name}_calibration",
        evaluation.title,
        "Calibration under attack: the ranges in which the Brier score and the expected "
        "calibration error (ten bins) of the predicted class stay if each of the "
        f"{len(rows)} inputs without abstention is changed by up to R. The Brier score is the mean "
        "square of the confidence minus 1 if the class is right, and minus 0 if it is wrong; "
        "the calibration error is the mean distance of confidence and accuracy over bins of equal "
        "width in the confidence, weighted by their inputs. They follow from lower and "
        "upper certified scores (Theorem 2, ell, each at level "
        f"{exact(evaluation.alpha)}/{total}). All of them hold at once with probability at least "
        f"1 − {exact(evaluation.alpha)}.",
        [
            partial(
                certified_calibration,
                radii=evaluation.radii,
                lower=lower,
                upper=upper,
                error=error,
            )
            for error, lower, upper in (
                ("Brier score", bounds.brier_lower, bounds.brier_upper),
                ("calibration error (ECE)", bounds.ece_lower, bounds.ece_upper),
            )
        ],
        alike=False,
        table="calibration",
        rows=[
            {"name": evaluation.name, "radius": float(radius), "inputs": len(rows)}
            | {field: float(getattr(bounds, field)[i]) for field in vars(bounds)}
            for i, radius in enumerate(evaluation.radii)
        ],
    )


def _intervals(evaluation: Evaluation, rows: Ints, alpha: float) -> tuple[Floats, Floats]:
    """Certify both sides of the confidence of inputs from their counts, each side at a level."""
    lower, upper = np.empty((2, len(rows), len(evaluation.radii)))
    done = 0
    for sketch in evaluation.sketches(evaluation.index[rows]):
        part = slice(done, done + len(sketch.index))
        certified = sketch.certify(radii=evaluation.radii, alpha=alpha, sides="both")
        lower[part], upper[part] = certified.lower, certified.upper
        done = part.stop
    return lower, upper


def _winner(found: knots.KnotChoices) -> str:
    """Return a text about how many intervals each choice needs to come close to every draw."""
    needs = [
        f"{name} {bins if bins is not None else f'more than {found.n_bins[-1]}'}"
        for name, bins in (
            ("equal count takes", found.bins_for(found.equal_count)),
            ("equal width", found.bins_for(found.equal_width)),
        )
    ]
    return (
        f"To lose less than 1 % of the range to every draw with {found.band}, "
        f"{' intervals, '.join(needs)}."
    )
