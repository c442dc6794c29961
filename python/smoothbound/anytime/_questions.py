"""Questions about the confidence of one input, and the claims that answer them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound.backends._names import Side

__all__ = [
    "KINDS",
    "MOST_CLAIMS",
    "MOST_SIGMAS",
    "Claim",
    "Decide",
    "FindConfidence",
    "FindRadius",
    "Question",
    "checked_question",
    "checked_radius",
    "claim_of",
    "radius_precision",
]

MOST_CLAIMS = 2**14
"""The largest number of claims of a question."""

# Touching points are at most 9 in size, so that no test shows anything beyond 9 - Phi^-1(target),
# where the second term is at most 38.
MOST_SIGMAS = 50.0


@dataclass(frozen=True)
class Decide:
    """Ask whether the confidence is above a threshold within a radius.

    Parameters
    ----------
    threshold : float
        c, strictly inside the range of the scores.
    radius : float
        l2 radius R >= 0, in the units of the input, like sigma.
    """

    threshold: float
    radius: float


@dataclass(frozen=True)
class FindRadius:
    """Ask for the radius within which the confidence stays above a threshold.

    Parameters
    ----------
    threshold : float
        c, strictly inside the range of the scores.
    precision : float
        Step of the grid of radii, > 0, in multiples of sigma. At most this much radius is lost.
    """

    threshold: float
    precision: float


@dataclass(frozen=True)
class FindConfidence:
    """Ask for the confidence that holds within a radius.

    Parameters
    ----------
    radius : float
        l2 radius R >= 0, in the units of the input, like sigma.
    precision : float
        Step of the grid of confidences, > 0, in the units of the scores. At most this much
        confidence is lost.
    """

    radius: float
    precision: float


Question = Decide | FindRadius | FindConfidence
KINDS = {kind.__name__: kind for kind in (Decide, FindRadius, FindConfidence)}


class Claim(NamedTuple):
    """The claim that the confidence is above (upper side: below) a threshold within a radius."""

    threshold: float
    radius: float


def claim_of(
    question: Question, i: int, *, sigma: float, score_range: tuple[float, float], side: Side
) -> Claim | None:
    """Return the claim with number i of a question; None after the last claim.

    Each claim implies those before it. The claims do not depend on the draws.

    Parameters
    ----------
    question : Decide, FindRadius or FindConfidence
    i : int
        Number of the claim, from 0.
    sigma : float
        Noise level, in the units of the radii.
    score_range : (float, float)
        Range of the scores.
    side : {"lower", "upper"}
        Whether the claims state that the confidence is above a threshold, or below it.

    Examples
    --------
    >>> find = FindRadius(0.5, precision=0.1)
    >>> claim_of(find, 3, sigma=0.25, score_range=(0, 1), side="lower")
    Claim(threshold=0.5, radius=0.07500000000000001)
    """
    if i >= (1 if isinstance(question, Decide) else MOST_CLAIMS):
        return None
    if isinstance(question, Decide):
        return Claim(question.threshold, question.radius)
    if isinstance(question, FindRadius):
        return Claim(question.threshold, i * question.precision * sigma)
    a, b = score_range
    step = (i + 1) * question.precision
    threshold = a + step if side == "lower" else b - step
    return Claim(threshold, question.radius) if a < threshold < b else None


def checked_question(
    name: str,
    question: object,
    *,
    sigma: float,
    score_range: tuple[float, float],
    displacement: float = 0.0,
) -> Question:
    """Return a question after checks of its numbers; `name` is the argument that errors name.

    Raises
    ------
    TypeError, ValueError
        If it is not a question, or one of its numbers has the wrong type or is out of range.
    """
    if isinstance(question, Decide):
        return Decide(
            _threshold(question.threshold, score_range),
            checked_radius("radius", question.radius, sigma, displacement),
        )
    if isinstance(question, FindRadius):
        return FindRadius(
            _threshold(question.threshold, score_range),
            radius_precision("precision", question.precision),
        )
    if isinstance(question, FindConfidence):
        a, b = score_range
        precision = _precision("precision", question.precision, b - a)
        if not (a < a + precision < b and a < b - precision < b):
            raise ValueError(
                f"precision must lie between 0 and the width of the range ({a}, {b}), and be large "
                f"enough to separate its ends from the next threshold, got {question.precision!r}"
            )
        radius = checked_radius("radius", question.radius, sigma, displacement)
        return FindConfidence(radius, precision)
    raise TypeError(
        f"{name} must be Decide(threshold, radius), FindRadius(threshold, precision) or "
        f"FindConfidence(radius, precision), got {checks.shown(question)}"
    )


def _threshold(value: object, score_range: tuple[float, float]) -> float:
    threshold, (a, b) = checks.number("threshold", value), score_range
    if not a < threshold < b:
        raise ValueError(
            f"threshold must lie strictly inside the range of the scores ({a}, {b}), got "
            f"{threshold!r}"
        )
    return threshold


def checked_radius(name: str, value: object, sigma: float, displacement: float) -> float:
    """Return a radius after checks that a test can reach it; `name` is the argument."""
    radius = checks.non_negative(name, value)
    if not radius + 2.0 * displacement <= MOST_SIGMAS * sigma:
        raise ValueError(
            f"{name} must be at most {MOST_SIGMAS:g} sigma = {exact(MOST_SIGMAS * sigma)}, because "
            f"no test can show anything at larger radii; got {value!r}"
        )
    return radius


def radius_precision(name: str, value: object) -> float:
    """Return a precision of radii after checks; `name` is the argument that errors name."""
    return _precision(name, value, 16.0)


def _precision(name: str, value: object, reach: float) -> float:
    """Return a precision after checks that at most MOST_CLAIMS claims cover `reach`."""
    precision = checks.positive(name, value)
    if precision * MOST_CLAIMS < reach:
        raise ValueError(
            f"{name} must be at least {exact(reach / MOST_CLAIMS)}, which makes {MOST_CLAIMS} "
            f"claims, got {value!r}"
        )
    return precision
