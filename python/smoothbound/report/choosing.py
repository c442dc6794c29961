"""Which thresholds and radii a report shows where none are asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smoothbound import checks
from smoothbound.evaluation import Evaluation
from smoothbound.rounding import exact

__all__ = ["FRACTIONS", "radii_of", "thresholds_of"]

FRACTIONS = (0.5, 0.7, 0.9)  # thresholds shown by default, as fractions of the range
_RADII = 3  # at most


def thresholds_of(evaluation: Evaluation, asked: Sequence[float]) -> list[float]:
    """Return the thresholds asked for, or those of the run and some of the range."""
    default = [evaluation.threshold_at(fraction) for fraction in FRACTIONS]
    values = list(asked) or [*default, *evaluation.thresholds]
    try:
        checked = checks.thresholds("thresholds", values, evaluation.score_range)
    except ValueError as error:
        raise ValueError(f"{evaluation.name}: {error}") from None
    return [float(c) for c in np.unique(checked)]


def radii_of(evaluation: Evaluation, threshold: float) -> list[float]:
    """Spread up to three radii over those at which one input in twenty is still certified.

    Of those near each place, the one that takes the fewest digits is the easiest to read.
    """
    counts = evaluation.counts(evaluation.bounds[-1], [threshold])[:, 0]
    last = int((20 * counts >= len(evaluation.index)).sum()) - 1
    if last < 1:
        return [float(evaluation.radii[0])]
    known = evaluation.radii[1 : last + 1].tolist()
    step = known[-1] / _RADII
    return sorted({_round_one(known, k * step, step / 3) for k in range(1, _RADII + 1)})


def _round_one(radii: Sequence[float], place: float, reach: float) -> float:
    """Return the radius with the fewest digits near a place, or the nearest one if none is near."""

    def distance(radius: float) -> float:
        return abs(radius - place)

    near = [radius for radius in radii if distance(radius) <= reach]
    return min(near or radii, key=lambda r: (len(exact(r)) if near else 0, distance(r)))
