"""The least number of draws for a threshold, and the tightest bound for a number of draws."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound.backends import _select as backends
from smoothbound.backends._names import (
    JOINT_BAND_SHARE,
    ORDERS,
    SIDES,
    Band,
    Bound,
    Mean,
    Order,
    Sides,
)
from smoothbound.bounds import _band as bands
from smoothbound.bounds._method import Method
from smoothbound.bounds._request import Request
from smoothbound.curves._curve import Curve
from smoothbound.curves._named import GAUSSIAN

__all__ = ["draws_above", "highest_share", "require_draws", "required_draws", "tightest_bound"]

_MOST_DRAWS = 2**24  # where the search for the least number of draws ends
_MOST_CALIBRATED = 2**32 - 1  # draws of a band
_SOON_CALIBRATED = 100_000  # draws of a band for an error, which nobody wants to wait for
_ENOUGH_DRAWS = 10_000  # more draws do not change which bound is tightest
_ALL_RADII = (Method("joint"), Method("cdf", "ell"))  # the tightest ones at all radii at once


def required_draws(
    threshold: float,
    *,
    alpha: float = 1e-3,
    score_range: tuple[float, float] = (0.0, 1.0),
    bound: Bound | None = None,
    band: Band | None = None,
    mean: Mean | None = None,
    pilot: float = 0.1,
    order: Order = "unknown",
) -> int:
    """Return the least number of draws that can certify an input above a threshold at R = 0.

    It is the least number of draws that certifies a row whose scores all equal b. With fewer draws
    no input can be certified above the threshold.

    Let t = (threshold - a) / (b - a). For the DKW band and for Hoeffding's inequality the number is
    floor(ln(1 / alpha) / (2 (1 - t)^2)) + 1. For the band of equal local levels, with the local
    level eta(n), it is the least n with eta(n)^(1 / n) > t. For the other methods it is found by
    bisection. If no method is stated, it is the number of the band of equal local levels. With
    ``order="drawn"`` it is that of the joint bound if that is less.

    Parameters
    ----------
    threshold : float
        Confidence threshold, a <= threshold < b.
    alpha, score_range, bound, band, mean, pilot, order
        As in `certify_scores`.

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range that `certify_scores` states, or
        betting or Bernstein's inequality would need more than 2^24 draws, or the band `ell` more
        than 2^32 - 1.

    Examples
    --------
    >>> required_draws(0.5, band="dkw"), required_draws(0.99, band="dkw")
    (14, 34539)
    >>> required_draws(0.5), required_draws(0.99)
    (14, 1113)
    >>> required_draws(0.5, bound="tangent"), required_draws(0.99, bound="tangent")
    (11, 764)
    """
    alpha = checks.alpha("alpha", alpha)
    score_range = checks.score_range("score_range", score_range)
    method = Method.of(bound, band, mean=mean)
    unknown = checks.choice("order", order, ORDERS) == "unknown"
    pilot = checks.probability("pilot", pilot)
    threshold = checks.number("threshold", threshold)
    return min(
        draws_above(threshold, alpha, score_range, one, pilot)
        for one in ((method,) if method else _ALL_RADII[-1:] if unknown else _ALL_RADII)
    )


def draws_above(
    threshold: float, alpha: float, score_range: tuple[float, float], method: Method, pilot: float
) -> int:
    """Return the number of `required_draws` for a method. Only `threshold` is checked."""
    a, b = score_range
    if not a <= threshold < b:
        raise ValueError(f"threshold must lie in [{a}, {b}), got {threshold}")
    share = (threshold - a) / (b - a)
    needed = _draws_needed(share, alpha, method, pilot)
    if needed > _MOST_CALIBRATED and method.band == "ell":
        raise _too_many(_MOST_CALIBRATED, share, alpha, method)
    return needed


def _draws_needed(
    share: float, alpha: float, method: Method, pilot: float, most: int = _MOST_CALIBRATED
) -> int:
    """Find the least n whose perfect scores are certified above a share of the range.

    With the band `ell`, a number above `most` is only known to be too small or just enough.
    """
    if method.band == "ell":
        return _draws_of_ell(share, alpha, most)
    if method.mean in (None, "hoeffding"):
        return math.floor(math.log(1 / alpha) / (2 * (1 - share) ** 2)) + 1
    if method.bound == "joint":
        by_band = _draws_of_ell(share, alpha * JOINT_BAND_SHARE, most)
        return min(max(by_band, 2), _least_draws(share, alpha, method, pilot))  # one is the pilot
    return _least_draws(share, alpha, method, pilot)


def _draws_of_ell(share: float, alpha: float, most: int) -> int:
    """Find the least n with ``level ** (1 / n) > share``, where the power bounds n of n draws.

    The steps ascend to it, and end at the first one above `most`.
    """
    n, more = 0, 1
    while more > n:  # ends soon, because the level depends little on n
        n = more
        if n > most:
            break
        level = bands.level_of(n, alpha, 0)
        more = 1 if share <= 0.0 else math.floor(math.log(level) / math.log(share)) + 1
    return n


def _least_draws(share: float, alpha: float, method: Method, pilot: float) -> int:
    """Find the least n whose perfect scores are certified above a share of the range."""
    low, high = 0, 1
    while not _perfect(high, alpha, method, pilot) > share:
        low, high = high, 2 * high
        if high > _MOST_DRAWS:
            raise _too_many(_MOST_DRAWS, share, alpha, method)
    while high - low > 1:
        middle = (low + high) // 2
        if _perfect(middle, alpha, method, pilot) > share:
            high = middle
        else:
            low = middle
    return high


def _too_many(most: int, share: float, alpha: float, method: Method) -> ValueError:
    return ValueError(
        f"more than {most} draws are needed to certify a score above {share!r} of the range at "
        f"alpha = {alpha:g} by {method.label}"
    )


@lru_cache(maxsize=1024)
def _perfect(n_draws: int, alpha: float, method: Method, pilot: float) -> float:
    """Return the bound at R = 0 by a bound on the mean of draws in [0, 1] that are all 1."""
    n_pilot = method.n_pilot(n_draws, pilot)
    if n_pilot >= n_draws:
        return 0.0
    if method.bound == "joint":  # its tangents alone
        share, ones = 1.0 - JOINT_BAND_SHARE, np.ones(n_draws)
        module = backends.load(backends.resolve(None))
        return float(module.JointBound(alpha * share, ones[:n_pilot], ones[n_pilot:])(0.0))
    plan = backends.load(backends.resolve(None)).Plan(
        n_draws,
        sigma=1.0,
        alpha=alpha,
        a=0.0,
        b=1.0,
        side="lower",
        bound=method.bound,
        band=None,
        mean=method.mean,
        n_pilot=n_pilot,
        order="drawn",
        seed=0,
        radii=(0.0,),
        thresholds=(),
        threads=1,
    )
    bounds, _, _ = plan.certify(np.ones((1, n_draws)), 0)
    return float(bounds[0, 0])


def require_draws(n_draws: int, request: Request) -> None:
    """Refuse too few draws to certify anything, or to certify above the highest threshold.

    Raises
    ------
    ValueError
        If there are too few draws. The error states the number needed.
    """
    a, b = request.score_range
    share = request.share("lower") or request.share("upper")
    assert share is not None
    threshold = max(share.thresholds, default=a)
    needed = (threshold - a) / (b - a)  # of the range
    method, pilot = request.method, request.pilot
    if highest_share(n_draws, share.alpha, method, pilot) > needed:
        return
    least = _draws_needed(needed, share.alpha, method, pilot, _SOON_CALIBRATED)
    what = f"above the threshold {exact(threshold)}" if share.thresholds else "at all"
    raise ValueError(
        f"n = {n_draws} draws are too few to certify any input {what} at alpha = {share.alpha:g} "
        f"by {method.label}, even if every score were {b:g}; "
        f"at least n = {least} are needed"
    )


def highest_share(n_draws: int, alpha: float, method: Method, pilot: float) -> float:
    """Return the share of the range that perfect scores certify at R = 0."""
    if method.mean not in (None, "hoeffding"):
        of_mean = _perfect(n_draws, alpha, method, pilot)
        if method.bound != "joint" or n_draws == 1:  # a single draw is the pilot
            return of_mean
        return max(of_mean, _perfect_by_ell(n_draws, alpha * JOINT_BAND_SHARE))
    if method.band == "ell":
        return _perfect_by_ell(n_draws, alpha, method.n_bins or 0)
    return 1.0 - math.sqrt(math.log(1 / alpha) / (2 * n_draws))


def _perfect_by_ell(n_draws: int, alpha: float, n_bins: int = 0) -> float:
    level = bands.level_of(n_draws, alpha, n_bins)
    return math.exp(math.log(level) / n_draws)


def tightest_bound(
    n_draws: int,
    *,
    alpha: float = 1e-3,
    radii: ArrayLike = (0.0,),
    thresholds: ArrayLike = (),
    sides: Sides = "lower",
    pilot: float = 0.1,
) -> Bound:
    """Return the tightest bound for a request, to fix before the scores are seen.

    It is "tangent" if the request is for one number per side: a bound at one radius, or the radius
    of one threshold. Otherwise the bound holds at all radii and thresholds at once. It is then
    "joint", or "cdf" with the band of equal local levels if "cdf" certifies more when all scores
    are b. That is the case with a dozen draws, and with more if alpha is tiny. Numbers of draws
    above 10 000 count as 10 000. docs/joint.md compares the bounds. The result is for Gaussian
    noise and arrays of scores, because the tangent and the joint bound do not take other noises or
    sketches.

    Parameters
    ----------
    n_draws : int
        Number of draws of each input.
    alpha, radii, thresholds, sides, pilot
        As in `certify_scores`. The result depends on the numbers of radii and thresholds, and not
        on their values.

    Returns
    -------
    {"tangent", "joint", "cdf"}

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range that `certify_scores` states.
        Thresholds may be any numbers, because the range of the scores is not an argument.

    Examples
    --------
    >>> tightest_bound(1000, radii=[0.5])
    'tangent'
    >>> tightest_bound(1000, radii=[0, 0.25, 0.5], thresholds=[0.5])
    'joint'
    >>> tightest_bound(12, radii=[0, 0.25, 0.5])
    'cdf'
    """
    n_draws = checks.count("n_draws", n_draws)
    alpha = checks.alpha("alpha", alpha)
    pilot = checks.probability("pilot", pilot)
    numbers = len(checks.tuple_of_radii("radii", radii)) + len(
        checks.floats("thresholds", thresholds)
    )
    if checks.choice("sides", sides, SIDES) == "both":
        alpha /= 2
    tangent = (Method("tangent"),) if numbers <= 1 else ()
    return _strongest(n_draws, alpha, pilot, (*tangent, *_ALL_RADII)).bound  # type: ignore[return-value]


def default_method(
    n_draws: int,
    *,
    alpha: float,
    order: Order,
    sides: Sides = "lower",
    pilot: float = 0.1,
    curve: Curve = GAUSSIAN,
) -> Method:
    """Return the default method, which is the tightest at all radii at once.

    It is the joint bound for draws in an order that does not depend on their values. It is Theorem
    2 with the band of equal local levels if the order is unknown, if the noise is not Gaussian, or
    if that certifies more when all scores are b (docs/joint.md#which-bound).

    Examples
    --------
    >>> [default_method(n, alpha=1e-3, order="drawn").name for n in (1000, 10)]
    ['joint', 'cdf_ell']
    >>> default_method(1000, alpha=1e-3, order="unknown").name
    'cdf_ell'
    """
    order = checks.choice("order", order, ORDERS)
    alpha = checks.alpha("alpha", alpha)
    if checks.choice("sides", sides, SIDES) == "both":
        alpha /= 2
    pilot = checks.probability("pilot", pilot)
    if order == "unknown" or curve != GAUSSIAN or n_draws < 1:
        return _ALL_RADII[-1]
    return _strongest(n_draws, alpha, pilot, _ALL_RADII)


@lru_cache(maxsize=1024)
def _strongest(n_draws: int, alpha: float, pilot: float, methods: tuple[Method, ...]) -> Method:
    """Return the first method that certifies more of perfect scores than the last, or else that."""
    n, last = min(n_draws, _ENOUGH_DRAWS), methods[-1]
    band = highest_share(n, alpha, last, pilot)
    better = (one for one in methods[:-1] if highest_share(n, alpha, one, pilot) > band)
    return next(better, last)
