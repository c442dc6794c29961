"""The least number of draws that can certify a level."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtri

from smoothbound._display.rounding import exact
from smoothbound.bounds._request import OneSide, Request
from smoothbound.curves._named import GAUSSIAN

__all__ = ["require_draws_for_levels"]

_MOST_DRAWS = 2**32 - 1
_MOST_LEVEL = 0.5  # a larger alpha is treated as this one
_MARGIN = 1e-11  # relative; larger than the margin that the backends subtract from a probability


class _Goal(NamedTuple):
    """The value that psi of a probability must exceed at a radius, and Phi^-1 of it."""

    what: str
    value: float
    z: float
    radius: float


def require_draws_for_levels(n_draws: int, request: Request) -> None:
    """Refuse too few draws to certify a level at the least radius, or above a threshold.

    If all draws agree, the bound of Clopper and Pearson is p = alpha^(1/n). To certify a
    probability, p must exceed the highest threshold. A lower bound on a q-quantile needs psi_R(p) >
    1 - q, and an upper bound needs psi_R(p) > q.

    Raises
    ------
    ValueError
        If there are too few draws. The error states the number needed.
    """
    for share in (request.share("lower"), request.share("upper")):
        if share is None:
            continue
        for goal in _goals(request, share):
            _require(n_draws, goal, request, share.alpha)


def _goals(request: Request, share: OneSide) -> Iterator[_Goal]:
    if request.statistic == "probability":
        if share.thresholds:
            highest = max(share.thresholds)
            what = f"a probability above {exact(highest)}"
            yield _Goal(what, highest, float(ndtri(highest)), 0.0)
        return
    radius = 0.0 if share.thresholds else min(request.radii, default=0.0)
    below = share.side == "lower"
    for level in request.levels:
        what = f"the {exact(level)}-quantile from {'below' if below else 'above'}"
        what += f" within R = {exact(radius)}" if radius else ""
        z = float(ndtri(level))
        yield _Goal(what, 1.0 - level if below else level, -z if below else z, radius)


def _require(n_draws: int, goal: _Goal, request: Request, alpha: float) -> None:
    """Refuse n draws if psi of alpha^(1/n) is not above the goal."""
    log_alpha = math.log(min(alpha, _MOST_LEVEL))
    if request.curve == GAUSSIAN:
        log_share = float(log_ndtr(goal.z + goal.radius / request.sigma))
        if log_alpha > n_draws * log_share:
            return
        least = math.inf if log_share == 0.0 else math.floor(log_alpha / log_share) + 1
    else:
        r = request.curve.scaled(goal.radius, request.sigma)

        def is_enough(n: int) -> bool:
            p = np.array([math.exp(log_alpha / n) * (1.0 - _MARGIN)])
            q = np.array([-math.expm1(log_alpha / n) * (1.0 + _MARGIN)])
            return bool(request.curve.between(p, q, r)[0] > goal.value)

        if is_enough(n_draws):
            return
        least = 1 + bisect_left(range(1, _MOST_DRAWS + 1), True, key=is_enough)
    needed = (
        f"at least n = {least} are needed"
        if least <= _MOST_DRAWS
        else "no number of draws below 2^32 is enough"
    )
    raise ValueError(
        f"n = {n_draws} draws are too few to certify {goal.what} at alpha = {alpha:g}, "
        f"even if all of them agree; {needed}"
    )
