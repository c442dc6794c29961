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
"""How many claims a question is made of, at most."""

# Touching points are at most 9 in size, so that no test shows anything beyond 9 - Phi^-1(target),
# where the second term is at most 38.
MOST_SIGMAS = 50.0


@dataclass(frozen=True)
class Decide:
    """The question whether the confidence at a radius is above a threshold.

    Parameters
    ----------
    threshold : float
        c, strictly inside the range of the scores.
    radius : float
        l2 radius R >= 0, in the units of the input, as sigma.
    """

    threshold: float
    radius: float


@dataclass(frozen=True)
class FindRadius:
    """The question how far out the confidence stays above a threshold.

    Parameters
    ----------
    threshold : float
        c, strictly inside the range of the scores.
    precision : float
        How much certified radius may be given up, > 0, in multiples of sigma.
    """

    threshold: float
    precision: float


@dataclass(frozen=True)
class FindConfidence:
    """The question how high the confidence stays within a radius.

    Parameters
    ----------
    radius : float
        l2 radius R >= 0, in the units of the input, as sigma.
    precision : float
        How much certified confidence may be given up, > 0, in the units of the scores.
    """

    radius: float
    precision: float


Question = Decide | FindRadius | FindConfidence
KINDS = {kind.__name__: kind for kind in (Decide, FindRadius, FindConfidence)}


class Claim(NamedTuple):
    """That the confidence is above a threshold within a radius; on the upper side, below it."""

    threshold: float
    radius: float


def claim_of(
    question: Question, i: int, *, sigma: float, score_range: tuple[float, float], side: Side
) -> Claim | None:
    """Return the claim number i of a question, None if there is none.

    Each claim implies those before it. They are the same for all draws.

    Parameters
    ----------
    question : Decide, FindRadius or FindConfidence
    i : int
        From 0.
    sigma : float
        Noise level, in the units of the radii.
    score_range : (float, float)
        Range of the scores.
    side : {"lower", "upper"}
        Whether the claims say that the confidence is above a threshold, or below.

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
    """Return a question whose numbers are floats in their ranges; `name` is that of the argument.

    Raises
    ------
    TypeError, ValueError
        If it is no question, or a number of it is of the wrong kind or outside its range.
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
                f"enough to tell its ends from the next threshold, got {question.precision!r}"
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
    """Return a radius that a test can show something about; `name` is that of the argument."""
    radius = checks.non_negative(name, value)
    if not radius + 2.0 * displacement <= MOST_SIGMAS * sigma:
        raise ValueError(
            f"{name} must be at most {MOST_SIGMAS:g} sigma = {exact(MOST_SIGMAS * sigma)}, because "
            f"no test can show anything further out; got {value!r}"
        )
    return radius


def radius_precision(name: str, value: object) -> float:
    """Return a precision of radii; `name` is that of the argument."""
    return _precision(name, value, 16.0)


def _precision(name: str, value: object, reach: float) -> float:
    """Return a precision with which the claims reach far enough."""
    precision = checks.positive(name, value)
    if precision * MOST_CLAIMS < reach:
        raise ValueError(
            f"{name} must be at least {exact(reach / MOST_CLAIMS)}, which makes {MOST_CLAIMS} "
            f"claims, got {value!r}"
        )
    return precision
