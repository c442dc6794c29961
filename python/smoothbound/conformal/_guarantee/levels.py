"""How the allowed failure probability is split, and the rank of the threshold that it allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from smoothbound._utils import checks

__all__ = [
    "Split",
    "Threshold",
    "failure_probability",
    "rank_of",
    "round_down",
    "round_up",
    "split",
    "too_few_points",
]

# The share of beta for the finite number of draws. With a smaller share, more draws are needed;
# with a larger share, the threshold falls. Set sizes change by at most 6 % from 0.05 to 0.2
# (docs/conformal.md).
_SHARE = Fraction(1, 10)


@dataclass(frozen=True)
class Threshold:
    """The result of a calibration, with its split of beta = 1 - confidence_level.

    Parameters
    ----------
    score : float
        The score of the calibration point with this rank. Its meaning depends on the method.
    rank : int
        Rank of that point among the calibration points, from the lowest.
    n_points, n_draws, n_classes : int
        Numbers of calibration points, of draws of each point, and of classes.
    beta_points : float
        Upper bound on the probability that the clean test point is below the threshold.
    beta_draws : float
        Upper bound on the probability that the draws at a perturbed point leave the label out if
        the clean point is not below the threshold. The label is therefore left out with probability
        at most ``beta_points + (1 - beta_points) * beta_draws``, which is at most beta. For sets
        that cover each perturbation, beta is not split between the two, and this is beta -
        beta_points.
    votes : (int, int), optional
        Number of draws of a calibration point that reach its score, and number of draws of a test
        input that must reach the threshold for a class to be in its set; None for `CAS`.
    displacement : float
        Largest distance between an input and the point around which its draws were made, as far as
        it is known. The sets allow for it.
    """

    score: float
    rank: int
    n_points: int
    n_draws: int
    n_classes: int
    beta_points: float
    beta_draws: float
    votes: tuple[int, int] | None = None
    displacement: float = 0.0


def failure_probability(confidence_level: object) -> Fraction:
    """Return beta = 1 - confidence_level, exactly.

    The level is taken as the decimal number of its repr, so 0.9 means nine tenths.

    Examples
    --------
    >>> failure_probability(0.9)
    Fraction(1, 10)
    """
    level = checks.probability("confidence_level", confidence_level)
    if level < 0.5:
        raise ValueError(
            "confidence_level must be at least 0.5: it is the share of inputs whose set holds the "
            f"label, such as 0.9, got {level!r}"
        )
    return 1 - Fraction(Decimal(repr(level)))


def rank_of(beta: Fraction, n_points: int) -> int:
    """Return the largest rank j with j / (n_points + 1) <= (1 - share) beta.

    The j-th lowest of n_points numbers is above another number, exchangeable with them, with
    probability at most j / (n_points + 1).

    Raises
    ------
    ValueError
        If there is no such rank. The error states how many points are needed.

    Examples
    --------
    >>> rank_of(Fraction(1, 10), 500)
    45
    """
    rank = math.floor((1 - _SHARE) * beta * (n_points + 1))
    if rank == 0:
        raise too_few_points(n_points, math.ceil(1 / ((1 - _SHARE) * beta)) - 1, beta)
    return rank


def too_few_points(n_points: int, needed: int, beta: Fraction) -> ValueError:
    """Return the error about too few calibration points."""
    return ValueError(
        f"labels and scores must hold at least {needed} calibration points for confidence_level="
        f"{float(1 - beta):g}, got {n_points}; calibrate with more points, or with a lower level"
    )


@dataclass(frozen=True)
class Split:
    """A split of beta into failures of the three steps (docs/conformal.md).

    Parameters
    ----------
    calibration_draws : float
        epsilon, the probability that the draws of a calibration point overstate it.
    points : float
        Upper bound on the probability that the clean test point is below the threshold.
    draws : float
        Upper bound on the probability that the draws at a perturbed point understate it.
    """

    calibration_draws: float
    points: float
    draws: float


def split(beta: Fraction, rank: int, n_points: int, part: Fraction) -> Split:
    """Split the beta that a rank leaves: draws at a perturbed point get `part` of the maximum.

    With b = rank / (n_points + 1), points = (beta - draws) / (1 - draws) and epsilon = 1 - b /
    points. Each number is rounded down and computed from the rounded number before it, so b / (1 -
    epsilon) <= points and points + (1 - points) draws <= beta hold exactly.

    Examples
    --------
    >>> found = split(Fraction(1, 10), 45, 500, Fraction(1, 2))
    >>> round(found.calibration_draws, 4), round(found.points, 4), round(found.draws, 4)
    (0.0539, 0.0949, 0.0056)
    """
    below = Fraction(rank, n_points + 1)
    draws = round_down(part * (beta - below) / (1 - below))
    points = round_down((beta - Fraction(draws)) / (1 - Fraction(draws)))
    return Split(round_down(1 - below / Fraction(points)), points, draws)


def round_down(exact: Fraction) -> float:
    """Return the largest float that is not above a number."""
    nearest = float(exact)
    return nearest if Fraction(nearest) <= exact else math.nextafter(nearest, -math.inf)


def round_up(exact: Fraction) -> float:
    """Return the smallest float that is not below a number."""
    return -round_down(-exact)
