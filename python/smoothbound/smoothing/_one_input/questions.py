"""The questions about an input whose draws stop when they are answered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from scipy.special import ndtr, ndtri

from smoothbound._utils import checks
from smoothbound.anytime._job.budget import Budget
from smoothbound.anytime._job.job import Plan
from smoothbound.anytime._questions import (
    Decide,
    FindRadius,
    Question,
    checked_radius,
    radius_precision,
)
from smoothbound.anytime._record import AdaptiveRecord, BudgetRecord
from smoothbound.backends._names import Band, Bound, Mean
from smoothbound.bounds._method import Method
from smoothbound.bounds._request import Request

__all__ = [
    "AdaptiveDraws",
    "above",
    "adaptive_draws",
    "method_of",
    "questions_of",
    "require_questions",
]


@dataclass(frozen=True, kw_only=True)
class AdaptiveDraws:
    """The rules by which the adaptive draws of an input end, apart from their largest number n.

    Parameters
    ----------
    radius_precision : float, optional
        Precision of certified radii, in multiples of sigma. If it is given, the radius of each
        threshold is searched. Otherwise the questions are only about each threshold at each radius.
    strictness : float
        The number of draws that a certificate is worth, as a share of n; see
        `smoothbound.anytime.Plan`.
    correct_only : bool
        Whether an input is given up if its selected class is not its label.
    both_answers : bool
        Whether the opposite questions are asked too, for votes: that no number of draws certifies a
        radius. Each side then has half of alpha.
    budget : Budget, optional
        Limit on the draws or seconds of all inputs together.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.
    """

    radius_precision: float | None = None
    strictness: float = Plan.strictness
    correct_only: bool = False
    both_answers: bool = False
    budget: Budget | None = None

    def __post_init__(self) -> None:
        if self.radius_precision is not None:
            radius_precision("radius_precision", self.radius_precision)
        checks.non_negative("strictness", self.strictness)
        checks.flag("correct_only", self.correct_only)
        checks.flag("both_answers", self.both_answers)
        checks.optional("budget", self.budget, Budget)

    def record(self) -> AdaptiveRecord:
        """Return the rules in the form that results record."""
        budget = self.budget or Budget()
        return AdaptiveRecord(
            asked="Decide" if self.radius_precision is None else "FindRadius",
            precision=self.radius_precision,
            strictness=self.strictness,
            correct_only=self.correct_only,
            both_answers=self.both_answers,
            budget=BudgetRecord(draws=budget.draws, seconds=budget.seconds),
        )


def adaptive_draws(
    adaptive: bool, radius_precision: float | None, strictness: float, budget: Budget | None
) -> AdaptiveDraws | None:
    """Return the rules of adaptive draws; None for a fixed number."""
    if not checks.flag("adaptive", adaptive):
        changed = checks.non_negative("strictness", strictness) != AdaptiveDraws.strictness
        if changed or radius_precision is not None or budget is not None:
            raise ValueError("radius_precision, strictness and budget are for adaptive=True")
        return None
    return AdaptiveDraws(radius_precision=radius_precision, strictness=strictness, budget=budget)


def method_of(
    rules: AdaptiveDraws | None,
    bound: Bound | None,
    band: Band | None,
    n_bins: int | None,
    mean: Mean | None,
) -> Method | None:
    """Return the method that is stated, or the test of adaptive draws; None if neither applies."""
    if rules is None:
        return Method.of(bound, band, n_bins, mean)
    if any(one is not None for one in (bound, band, n_bins, mean)):
        raise ValueError(
            f"bound, band, n_bins and mean must be left out for adaptive draws, which use a test "
            f"of their own (docs/anytime.md); got {bound!r}, {band!r}, {n_bins!r} and {mean!r}"
        )
    return Method("anytime")


class Asked(NamedTuple):
    """The questions about an input, in the form of the arguments of `smoothbound.anytime.Plan`."""

    questions: tuple[Question, ...]
    aside: tuple[Question, ...]
    opposite: tuple[Decide, ...]


def require_questions(request: Request, rules: AdaptiveDraws, measure: str) -> None:
    """Refuse a request that adaptive draws cannot answer.

    Raises
    ------
    ValueError
        If there are no questions, the upper side is requested, or opposite questions are requested
        for a measure other than votes.
    """
    if request.sides != "lower":
        raise ValueError(
            f"sides must be 'lower' for adaptive draws, got {request.sides!r}; "
            "smoothbound.anytime.AnytimeTest tests the other side"
        )
    if not request.thresholds:
        raise ValueError(
            "adaptive draws answer questions about thresholds, got none: state "
            "thresholds=[0.5], with radii=[0.25] (is the confidence above 0.5 within 0.25?) or "
            "radius_precision=0.05 (up to which radius is it?)"
        )
    if not request.radii and rules.radius_precision is None:
        raise ValueError(
            "radii must hold at least one radius for adaptive draws, or radius_precision must "
            "be stated, to look for the radius of each threshold"
        )
    if rules.both_answers and measure != "vote":
        raise ValueError(
            f"both_answers must be False for the measure {measure!r}: only of votes, "
            "measure='vote', it is certified that no number of draws certifies a radius"
        )


def questions_of(
    request: Request, rules: AdaptiveDraws, cutoff: float | None, displacement: float
) -> Asked:
    """Return the questions of a request: about each threshold at each radius, and the cut-off.

    Raises
    ------
    TypeError, ValueError
        If a threshold or a radius is out of range.
    """
    for i, radius in enumerate(request.radii):
        checked_radius(f"radii[{i}]", radius, request.sigma, displacement)
    precision = rules.radius_precision
    # Every confidence is above a cut-off that lies below the range.
    cutoffs = [] if cutoff is None or cutoff < request.score_range[0] else [cutoff]
    b = request.score_range[1]
    about_cutoff = tuple(Decide(_asked("cutoff", c, b), 0.0) for c in cutoffs)
    # An answer about a lower threshold comes before it, and counts only if the class is kept.
    awaited = any(min(request.thresholds) < c for c in cutoffs)
    asked = [_asked(f"thresholds[{i}]", c, b) for i, c in enumerate(request.thresholds)]
    decisions = [Decide(c, R) for c in asked for R in request.radii]
    finds = [FindRadius(c, precision) for c in asked if precision]
    opposite = tuple(
        Decide(_least_vote(c, radius + 2.0 * displacement, request.sigma), 0.0)
        for c in request.thresholds
        for radius in request.radii
        if rules.both_answers
    )
    return Asked(
        questions=(*decisions, *finds, *(about_cutoff if awaited else ())),
        aside=() if awaited else about_cutoff,
        opposite=opposite,
    )


def above(threshold: float) -> float:
    """Return the next larger float, a lower bound on every confidence above the threshold."""
    return math.nextafter(threshold, math.inf)


def _least_vote(threshold: float, radius: float, sigma: float) -> float:
    """Return the least share of votes that may be above a threshold within a radius.

    With a smaller share q, Phi(Phi^-1(q) - radius / sigma) <= threshold. Rounded down.
    """
    z = float(ndtri(threshold)) + radius / sigma
    share = float(ndtr(z - 1e-12 * (1.0 + abs(z)))) * (1.0 - 2.0**-50)
    return min(share, math.nextafter(1.0, 0.0))


def _asked(name: str, threshold: float, b: float) -> float:
    """Return the threshold of the question for a threshold; `name` is the argument in errors."""
    if not above(threshold) < b:
        raise ValueError(
            f"{name} must be smaller: for adaptive draws a float has to lie between it and {b}, "
            f"the end of the score range; got {threshold!r}"
        )
    return above(threshold)
