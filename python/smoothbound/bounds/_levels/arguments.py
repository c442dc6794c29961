"""Checks of the arguments about a mean, a probability or a quantile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from smoothbound._utils import checks
from smoothbound.backends._names import MethodBound, Statistic

__all__ = [
    "default_range",
    "levels",
    "quantity",
    "range_from_json",
    "range_to_json",
    "require_method",
    "score_range",
    "thresholds",
]


def default_range(statistic: Statistic) -> tuple[float, float]:
    """Return the default range of the scores."""
    return (0.0, 1.0) if statistic == "mean" else (-math.inf, math.inf)


def score_range(statistic: Statistic, value: object) -> tuple[float, float]:
    """Return `value` as (a, b). Both ends must be finite for the mean."""
    if statistic == "mean":
        return checks.score_range("score_range", value)
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise TypeError(f"score_range must be a pair (a, b), got {checks.shown(value)}")
    a, b = (checks.number(f"score_range[{i}]", value[i]) for i in (0, 1))
    if not a < b:
        raise ValueError(
            f"score_range must be (a, b) with a < b, got ({a}, {b}); omit it if the scores "
            "have no range"
        )
    return a, b


def levels(statistic: Statistic, values: tuple[float, ...]) -> tuple[float, ...]:
    """Return `values` as levels: scores for a probability, numbers in (0, 1) for quantiles."""
    found = checks.floats("levels", values)
    if statistic == "mean":
        if found:
            raise ValueError(
                f"levels must be empty for statistic='mean', got {list(found)}; "
                "state statistic='probability' or statistic='quantile'"
            )
        return found
    if not found:
        example = "levels=[0.5] for the median"
        if statistic == "probability":
            example = "levels=[0.5] for the probability of a score of at least 0.5"
        raise ValueError(f"levels must hold at least one level for {statistic=}, as in {example}")
    for i, level in enumerate(found):
        if statistic == "probability" and not math.isfinite(level):
            raise ValueError(f"levels must be finite scores, got levels[{i}] = {level}")
        if statistic == "quantile" and not 0.0 < level < 1.0:
            raise ValueError(
                "levels of quantiles must lie strictly between 0 and 1 (0.5 is the median), "
                f"got levels[{i}] = {level}"
            )
    return found


def thresholds(
    statistic: Statistic, values: tuple[float, ...], score_range: tuple[float, float]
) -> tuple[float, ...]:
    """Return `values` as thresholds, strictly inside the range of the bounded quantity."""
    if statistic != "probability":
        return checks.tuple_of_thresholds("thresholds", values, score_range)
    found = checks.floats("thresholds", values)
    for i, threshold in enumerate(found):
        if not 0.0 < threshold < 1.0:
            raise ValueError(
                "thresholds of probabilities must lie strictly between 0 and 1, "
                f"got thresholds[{i}] = {threshold}; the score to reach is a level"
            )
    return found


def require_method(statistic: Statistic, bound: MethodBound) -> None:
    """Refuse a bound on a mean for a probability or a quantile, and the other way round."""
    if (bound == "binomial") != (statistic != "mean"):
        needed = "a bound on a mean" if statistic == "mean" else "'binomial'"
        raise ValueError(f"bound must be {needed} for {statistic=}, got {bound!r}")


def quantity(measure: str, statistic: Statistic) -> str:
    """Return the name of the bounded quantity, for titles and axes.

    Examples
    --------
    >>> quantity("confidence", "mean"), quantity("margin", "probability")
    ('confidence', 'probability of a margin of at least the level')
    """
    if statistic == "probability":
        return f"probability of a {measure} of at least the level"
    return measure if statistic == "mean" else f"quantile of the {measure}"


def range_to_json(score_range: tuple[float, float]) -> list[float | None]:
    """Return the range for JSON, which has no infinity: None stands for an infinite end.

    Examples
    --------
    >>> range_to_json((0.0, math.inf))
    [0.0, None]
    """
    return [end if math.isfinite(end) else None for end in score_range]


def range_from_json(ends: Any) -> Any:
    """Return the range that `range_to_json` wrote. The checks refuse other values.

    Examples
    --------
    >>> range_from_json([0.0, None])
    (0.0, inf)
    """
    infinite = (-math.inf, math.inf)
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        return ends
    return tuple(infinite[i] if end is None else end for i, end in enumerate(ends))
