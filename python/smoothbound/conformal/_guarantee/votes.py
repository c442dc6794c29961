"""The number of draws at a perturbed point that must reach the threshold for a class."""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from functools import lru_cache

import numpy as np
from scipy.special import betainccinv

from smoothbound.conformal._guarantee.binomial import below_at_least, below_at_most
from smoothbound.conformal._guarantee.levels import Split, round_down, round_up, split
from smoothbound.conformal._guarantee.shift import Shift
from smoothbound.smoothing._class_radius import clopper_pearson_lower

__all__ = ["votes_for_all", "votes_for_each"]

_PARTS = 50  # number of splits of beta, or of slopes, of which the best is taken
_ROUNDING = 1e-12  # larger than the errors of a few sums of numbers up to 1

# The compared success probabilities are those at which a count falls below k with these chances.
_TAILS = np.concatenate([np.linspace(1.0, 1e-3, 2000)[1:], np.geomspace(1e-3, 1e-14, 1000)[1:]])


@lru_cache(maxsize=256)
def votes_for_all(
    n_draws: int, k: int, rank: int, n_points: int, beta: Fraction, psi: Shift
) -> tuple[int, Split]:
    """Return the votes that a class needs, and the split of beta, for sets against all x' at once.

    With probability 1 - points, a draw of the clean point reaches the threshold with probability at
    least p. Then a draw at any x' reaches it with probability at least psi(p), and fewer than
    `votes` draws reach it with probability at most `draws`. The votes are the largest number that a
    split allows (docs/conformal.md, Theorem 1).

    Parameters
    ----------
    n_draws : int
        Number of draws of each calibration point and at x'.
    k : int
        Number of draws of a calibration point that reach its score.
    rank, n_points : int
        Rank of the threshold among the calibration points, and their number.
    beta : Fraction
        Allowed failure probability.
    psi : Shift
        The least value to which a probability can fall within the radius.

    Examples
    --------
    >>> from smoothbound.conformal._guarantee.shift import Shift
    >>> psi = Shift.of("gaussian", 0.25, 0.5)
    >>> votes_for_all(150, 120, 45, 500, Fraction(1, 10), psi)[0]
    68
    """
    best = 0, split(beta, rank, n_points, Fraction(1, 2))
    for i in range(1, _PARTS):
        found = split(beta, rank, n_points, Fraction(i, _PARTS))
        p = clopper_pearson_lower(k, n_draws, found.calibration_draws)
        votes = _most_votes(n_draws, float(psi(p)), found.draws)
        if votes > best[0]:
            best = votes, found
    return best


def _most_votes(n_draws: int, p: float, alpha: float) -> int:
    """Return the largest v such that P(fewer than v of the draws succeed) <= `alpha`.

    A draw succeeds with probability `p`.
    """

    def fails(votes: int) -> bool:
        return bool(below_at_most(votes, n_draws, p) > alpha)

    return bisect_left(range(1, n_draws + 1), True, key=fails)


@lru_cache(maxsize=256)
def votes_for_each(
    n_draws: int, k: int, rank: int, n_points: int, beta: Fraction, psi: Shift
) -> tuple[int, Split]:
    """Return the votes that a class needs, and the split of beta, for sets against each x'.

    Suppose that a draw at x reaches the threshold with probability g. Let h(g) be the probability
    that fewer than k draws at x reach it, and f(g) the probability that fewer than v draws at x'
    do. If f <= a h + b for some a and b and all g, then v votes fail with probability at most a
    rank / (n_points + 1) + b. The votes are the largest number for which this is at most beta
    (docs/conformal.md, Theorem 2).

    The arguments are those of `votes_for_all`.

    Examples
    --------
    >>> from smoothbound.conformal._guarantee.shift import Shift
    >>> psi = Shift.of("gaussian", 0.25, 0.5)
    >>> votes_for_each(150, 120, 45, 500, Fraction(1, 10), psi)[0]
    95
    """
    g = np.concatenate([[0.0], np.unique(betainccinv(k, n_draws - k + 1, _TAILS)), [1.0]])
    h, shifted = below_at_least(k, n_draws, g[1:]), psi(g[:-1])
    below = Fraction(rank, n_points + 1)
    slopes = np.linspace(1.0, round_down(beta / below), _PARTS)[:, None]
    most = round_down(beta) - float(below) * slopes[:, 0] - _ROUNDING

    def fails(votes: int) -> bool:
        # On an interval between neighbours, f is largest at the lower end and h is smallest at the
        # upper.
        f = below_at_most(votes, n_draws, shifted)
        return not bool(((f - slopes * h).max(axis=1) <= most).any())

    votes = bisect_left(range(1, n_draws + 1), True, key=fails)
    points = round_up(below)
    return votes, Split(0.0, points, round_down(beta - Fraction(points)))
