"""Draws in stages: how the library sampled adaptively before it had the anytime test. A rival.

The tangent bound is computed after n / 2^k, ..., n / 4, n / 2 and n draws, each time at a share of
alpha in proportion to the number of draws. A claim is given up if a forecast for n draws misses it
by more than 2.5 standard errors. The class is selected by n0 further draws.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import smoothbound as sb
from smoothbound.backends import gaussian

Vector = NDArray[Any]

GROWTH, SMALLEST, FUTILITY_ERRORS = 2, 200, 2.5
RELATIVE_LEVEL_ERROR = 2.0**-50  # more than the rounding of the levels adds to their sum


class Ended(NamedTuple):
    """Whether an input was certified, and after how many draws its drawing ended."""

    certified: bool
    n_draws: int


class Claim(NamedTuple):
    """That the confidence at R = r sigma is above c, to be shown with n draws or fewer."""

    c: float
    r: float
    alpha: float
    n: int


def decide(scores: Vector, claim: Claim) -> Ended:
    """Decide with the draws of one input in the order of drawing, those of the selection left out.

    Returns the number of draws without those that select the class.
    """
    stages = plan(claim)
    for size, level in stages:
        seen = scores[:size]
        if level > 0.0 and bound(seen, claim.r, level) > claim.c:
            return Ended(True, size)
        if size < claim.n and out_of_reach(seen, claim, stages[-1][1]):
            return Ended(False, size)
    return Ended(False, claim.n)


@lru_cache
def plan(claim: Claim) -> list[tuple[int, float]]:
    """Return the stages: numbers of draws and levels, 0 where even perfect scores do not do."""
    count = math.floor(math.log(claim.n / SMALLEST) / math.log(GROWTH))
    sizes = [math.ceil(claim.n / GROWTH**j) for j in range(count, -1, -1)]
    for first in range(len(sizes)):
        total = math.fsum(sizes[first:])
        levels = [claim.alpha * (n / total) * (1 - RELATIVE_LEVEL_ERROR) for n in sizes[first:]]
        if bound(np.ones(sizes[first]), claim.r, levels[0]) > claim.c:
            return list(zip(sizes, [0.0] * first + levels, strict=True))
    raise ValueError(f"{claim} cannot be shown")


def bound(scores: Vector, r: float, alpha: float) -> float:
    """Return the lower bound on the confidence at R = r sigma."""
    found = sb.certify_scores(
        scores[None],
        sigma=1.0,
        alpha=alpha,
        radii=[0.0, r],
        bound="tangent",
        order="drawn",
        threads=1,
    )
    assert found.lower is not None
    return float(found.lower[0, 1])


def out_of_reach(scores: Vector, claim: Claim, last_level: float) -> bool:
    """Say whether n draws like these would miss the claim, by far."""
    ahead = bound(np.resize(scores, claim.n), claim.r, last_level)
    error = standard_error(scores, claim.r) * math.sqrt(1 - len(scores) / claim.n)
    return ahead + FUTILITY_ERRORS * error <= claim.c


def standard_error(scores: Vector, r: float) -> float:
    """Return that of Theorem 2's value at the empirical distribution."""
    m = len(scores)
    ordered = np.sort(scores.astype(np.float64))
    share = (m - np.arange(m)) / m  # of the draws at or above each
    z = gaussian.quantile(np.clip(share, 0.5 / m, 1 - 0.5 / m))
    phi = np.cumsum(np.diff(ordered, prepend=0.0) * np.exp(r * z - r * r / 2))
    return float(phi.std(ddof=1)) / math.sqrt(m)
