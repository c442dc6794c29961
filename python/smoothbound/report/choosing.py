"""Which thresholds and radii a report shows where none are asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smoothbound import checks
from smoothbound.evaluation import Evaluation

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
    """Spread up to three radii over those at which one input in twenty is still certified."""
    counts = evaluation.counts(evaluation.bounds[-1], [threshold])[:, 0]
    last = int((20 * counts >= len(evaluation.index)).sum()) - 1
    columns = {round(last * k / _RADII) for k in range(1, _RADII + 1)} if last > 0 else {0}
    return [float(evaluation.radii[column]) for column in sorted(columns)]
