"""The least number of draws that can certify a level."""

from __future__ import annotations

import math

from scipy.special import log_ndtr, ndtri

from smoothbound._display.rounding import exact
from smoothbound.bounds._request import OneSide, Request

__all__ = ["require_draws_for_levels"]

_MOST_DRAWS = 2**32 - 1
_MOST_LEVEL = 0.5  # a larger alpha counts as this


def require_draws_for_levels(n_draws: int, request: Request) -> None:
    """Refuse too few draws to certify a level at the least radius, or above a threshold.

    If all draws agree, the bound of Clopper and Pearson is alpha^(1/n). A probability needs it
    above the highest threshold; a lower bound on a q-quantile needs it above
    Phi(Phi^-1(1 - q) + R / sigma), and an upper bound above Phi(Phi^-1(q) + R / sigma).

    Raises
    ------
    ValueError
        If there are too few. The error says how many are needed.
    """
    for share in (request.share("lower"), request.share("upper")):
        if share is None:
            continue
        if request.statistic == "quantile":
            _require_for_quantiles(n_draws, request, share)
        elif share.thresholds:
            highest = max(share.thresholds)
            what = f"a probability above {exact(highest)}"
            _require(n_draws, what, float(ndtri(highest)), share.alpha)


def _require_for_quantiles(n_draws: int, request: Request, share: OneSide) -> None:
    radius = min(request.radii, default=0.0)
    if share.thresholds:
        radius = 0.0
    sign = -1.0 if share.side == "lower" else 1.0
    for level in request.levels:
        what = f"the {exact(level)}-quantile from {'below' if sign < 0 else 'above'}"
        what += f" within R = {exact(radius)}" if radius else ""
        _require(n_draws, what, sign * float(ndtri(level)) + radius / request.sigma, share.alpha)


def _require(n_draws: int, what: str, z: float, alpha: float) -> None:
    """Refuse n draws if alpha^(1/n) is at most Phi(z)."""
    log_alpha, log_share = math.log(min(alpha, _MOST_LEVEL)), float(log_ndtr(z))
    if log_alpha > n_draws * log_share:
        return
    least = math.inf if log_share == 0.0 else math.floor(log_alpha / log_share) + 1
    needed = (
        f"at least n = {least} are needed"
        if least <= _MOST_DRAWS
        else "no number of draws below 2^32 is enough"
    )
    raise ValueError(
        f"n = {n_draws} draws are too few to certify {what} at alpha = {alpha:g}, even if all of "
        f"them agree; {needed}"
    )
