"""The thresholds and radii that a report shows by default."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound._utils.radii import default_radii
from smoothbound.analysis._statistics.rows import Floats
from smoothbound.analysis.evaluation import Evaluation

__all__ = ["FRACTIONS", "headline_radii", "radii_of", "radii_to_tell", "thresholds_of"]

FRACTIONS = (0.5, 0.7, 0.9)  # thresholds shown by default, as fractions of the range
_RADII = 3  # largest number of radii


def thresholds_of(evaluation: Evaluation, asked: Sequence[float]) -> list[float]:
    """Return the given thresholds, or those of the run and some of the range.

    A range that comes from the data has no thresholds of its own if the run has some.
    """
    has_own = evaluation.axis is not None and len(evaluation.thresholds)
    default = [] if has_own else [evaluation.threshold_at(fraction) for fraction in FRACTIONS]
    values = list(asked) or [
        *(c for c in default if evaluation.tells(c)),
        *evaluation.thresholds,
    ]
    try:
        checked = checks.thresholds("thresholds", values, evaluation.score_range)
    except ValueError as error:
        raise ValueError(f"{evaluation.name}: {error}") from None
    return [float(c) for c in np.unique(checked)]


def radii_of(evaluation: Evaluation, threshold: float) -> list[float]:
    """Choose up to three radii, spread over those at which 5 % of the inputs are certified."""
    return _spread_over(evaluation, threshold, evaluation.radii)


def radii_to_tell(evaluation: Evaluation, threshold: float) -> Floats:
    """Return the radii of a table: those of the bounds, or default ones if radii were searched."""
    exact_radii = evaluation.by_radius(evaluation.bounds[-1], threshold)[2]
    if len(evaluation.radii) > 1 or not exact_radii or evaluation.sigma is None:
        return evaluation.radii
    return np.asarray(default_radii(evaluation.sigma))


def headline_radii(evaluation: Evaluation, threshold: float) -> list[float]:
    """Choose up to three radii of the table as `radii_of` does."""
    return _spread_over(evaluation, threshold, radii_to_tell(evaluation, threshold))


def _spread_over(evaluation: Evaluation, threshold: float, radii: Floats) -> list[float]:
    """Choose evenly spread radii, each with the fewest digits near its place.

    From default radii, only those that papers state are chosen: the multiples of 0.25, or the
    multiples of sigma if no multiple of 0.25 is reached.
    """
    counts = evaluation.counts_at(evaluation.bounds[-1], threshold, radii)
    last = int((20 * counts >= evaluation.n_inputs).sum()) - 1
    if last < 1:
        return [float(radii[0])]
    known = _stated(radii[1 : last + 1].tolist(), radii, evaluation.sigma)
    step = known[-1] / _RADII
    return sorted({_round_one(known, k * step, step / 3) for k in range(1, _RADII + 1)})


def _stated(reached: list[float], radii: Floats, sigma: float | None) -> list[float]:
    if sigma is None or radii.tolist() != default_radii(sigma):
        return reached
    quarters = [radius for radius in reached if radius % 0.25 == 0]
    return (
        quarters or [radius for radius in reached if radius in default_radii(4 * sigma)] or reached
    )


def _round_one(radii: Sequence[float], place: float, reach: float) -> float:
    """Return the radius with the fewest digits near a place, or the nearest one if none is near."""

    def distance(radius: float) -> float:
        return abs(radius - place)

    near = [radius for radius in radii if distance(radius) <= reach]
    return min(near or radii, key=lambda r: (len(exact(r)) if near else 0, distance(r)))
