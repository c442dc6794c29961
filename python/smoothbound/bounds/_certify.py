"""The bounds engine: from scores to certificates."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound._utils.kept import kept
from smoothbound._version import __version__
from smoothbound.backends import _select as backends
from smoothbound.bounds import _band as bands
from smoothbound.bounds._certificate import Certificate, Settings
from smoothbound.bounds._method import Method
from smoothbound.scores._arrays import as_scores

__all__ = ["certify_scores", "required_draws"]

SIDES = ("lower", "upper", "both")
ORDERS = ("unknown", "drawn")
MAX_SEED = 2**64 - 1
MAX_THREADS = 1024
_MOST_DRAWS = 2**24  # to look for the number of draws that would do
_DRAWS_PER_THREAD = 50_000  # below it another thread costs more than it brings


def certify_scores(
    scores: Any,
    *,
    sigma: float,
    alpha: float = 1e-3,
    score_range: tuple[float, float] = (0.0, 1.0),
    radii: ArrayLike = (0.0,),
    thresholds: ArrayLike = (),
    bound: str = "cdf",
    band: str = "ell",
    n_bins: int | None = None,
    mean: str | None = None,
    pilot: float = 0.1,
    sides: str = "lower",
    order: str = "unknown",
    seed: int = 0,
    first_row: int = 0,
    backend: str | None = None,
    threads: int | None = None,
) -> Certificate:
    """Certify the confidence of a smoothed classifier from the scores of its noisy draws.

    Parameters
    ----------
    scores : array of float16, float32 or float64, shape (n_inputs, n_draws)
        Row i holds the scores h(x_i + delta) of independent draws delta ~ N(0, sigma^2 I).
        NumPy, torch (any device), Arrow, or anything with DLPack, the buffer protocol or the
        array interface, without a copy where `smoothbound.scores.as_scores` can do without.
    sigma : float
        Noise level, > 0, in the units of the model's input before normalisation.
    alpha : float
        Failure probability of each certificate, at least 1e-300 and below 1.
    score_range : (float, float)
        Range [a, b] of the confidence measure: (0, 1) for the score, (-1, 1) for the margin.
        b - a must be finite and at least 1e-300.
    radii : array-like, shape (n_radii,)
        l2 radii at which to bound the confidence, >= 0, in the units of the input, as sigma.
    thresholds : array-like, shape (n_thresholds,)
        Confidence thresholds, strictly inside the range, for which to find the radius.
    bound : {"cdf", "mean", "tangent"}
        Theorem 2 (the distribution of the scores), Theorem 1 (their mean), or the tangent bound,
        which is the tightest at one radius at a time (docs/tangent.md).
    band : {"ell", "dkw"}
        Confidence band of the survival function, for ``bound="cdf"``: equal local levels, or the
        paper's Dvoretzky-Kiefer-Wolfowitz band.
    n_bins : int, optional
        Number of equal-count bins for ``bound="cdf"`` (the paper uses 10 000). By default every
        draw is a knot, which is the tightest.
    mean : {"hoeffding", "bernstein", "betting"}, optional
        How a mean is bounded. For ``bound="mean"`` by default Hoeffding's inequality, the paper's;
        for ``bound="tangent"`` betting by default, or "bernstein".
    pilot : float
        Share of each row's draws, the first ones in its `order`, from which the stakes of betting
        and the tangents are chosen; the others are bounded. In (0, 1); without effect for other
        methods.
    sides : {"lower", "upper", "both"}
        Which side to bound. "both" gives each side alpha / 2.
    order : {"unknown", "drawn"}
        In which order a method with a pilot uses the draws. "unknown": all positions of a row are
        permuted first, because the row may be sorted or arranged by value. "drawn": the order is
        kept, because it does not depend on the values, as that of drawing. Without effect for
        other methods.
    seed : int
        Key of the permutation, together with the number of the row, in 0 ... 2^64 - 1. `alpha` is
        then over the draws and the key, so the seed must be fixed before the scores are seen.
    first_row : int
        Number of the first row, where the rows come in parts: each row then has a permutation of
        its own, the same as if all came at once. In 0 ... 2^63 - 1.
    backend : {"cpp", "numba"}, optional
        By default the C++ core, or numba where the core is missing.
    threads : int, optional
        Number of threads, 1 to 1024; by default as many as the work and the machine are good for.
        The result does not depend on it.

    Returns
    -------
    Certificate

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or in the range stated above, a score is NaN or outside
        `score_range`, or there are too few draws to certify anything at this alpha.

    References
    ----------
    Kumar, Levine, Feizi, Goldstein, "Certifying Confidence via Randomized Smoothing",
    NeurIPS 2020, Theorems 1 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.random.default_rng(0).beta(20, 1, size=(2, 10_000))
    >>> cert = certify_scores(scores, sigma=0.25, radii=[0, 0.25], thresholds=[0.5])
    >>> cert.lower.shape, cert.radius.shape
    ((2, 2), (2, 1))
    >>> bool((cert.lower[:, 0] > 0.9).all() and (cert.radius > 0.25).all())
    True
    """
    sigma = checks.positive("sigma", sigma)
    alpha = checks.alpha("alpha", alpha)
    a, b = checks.score_range("score_range", score_range)
    grid = checks.radii("radii", radii)
    method = Method.of(bound, band, n_bins, mean)
    pilot = checks.probability("pilot", pilot)
    checks.choice("sides", sides, SIDES)
    checks.choice("order", order, ORDERS)
    seed = checks.count("seed", seed, 0, MAX_SEED)
    first_row = checks.count("first_row", first_row, 0, 2**63 - 1)
    cuts = checks.thresholds("thresholds", thresholds, (a, b))
    rows = as_scores(scores)
    n = rows.shape[1]
    n_pilot = _n_pilot(n, pilot) if method.splits_pilot else 0
    plan = _plan(
        sigma,
        alpha,
        (a, b),
        tuple(grid.tolist()),
        tuple(cuts.tolist()),
        method,
        sides,
        n,
        n_pilot,
        pilot,
        order,
        seed,
        backends.resolve(backend),
        choose_threads(threads, rows.size),
    )
    lower = upper = radius = None
    if plan.lower is not None:
        lower, radius = _run(plan.lower, rows, first_row, (a, b))
    if plan.upper is not None:
        upper, _ = _run(plan.upper, rows, first_row, (a, b))
    return Certificate(plan.settings, lower, upper, radius)


_Certifier = Callable[[NDArray[Any], int], tuple[NDArray[np.float64], NDArray[np.float64], int]]


class _Plan(NamedTuple):
    """What does not depend on the scores: the settings, and a certifier for each side."""

    settings: Settings
    lower: _Certifier | None
    upper: _Certifier | None


def _size_of_plan(*arguments: Any) -> int:
    """Count the numbers that a plan is asked for; with each it keeps some hundred bytes."""
    return 100 + sum(len(one) for one in arguments if isinstance(one, tuple))


@kept(most=10_000, size=_size_of_plan)  # for callers that bring a few rows at a time
def _plan(
    sigma: float,
    alpha: float,
    score_range: tuple[float, float],
    radii: tuple[float, ...],
    thresholds: tuple[float, ...],
    method: Method,
    sides: str,
    n: int,
    n_pilot: int,
    pilot: float,
    order: str,
    seed: int,
    backend: str,
    threads: int,
) -> _Plan:
    a, b = score_range
    share = alpha / 2 if sides == "both" else alpha
    has_lower, has_upper = sides != "upper", sides != "lower"
    require_draws(n, thresholds if has_lower else (), share, score_range, method, pilot)
    make = partial(
        backends.load(backend).certifier,
        n,
        sigma=sigma,
        alpha=share,
        a=a,
        b=b,
        bound=method.bound,
        band=_band(backend, method, n, share),
        mean=method.mean or "hoeffding",
        n_pilot=n_pilot,
        order=order,
        seed=seed,
        radii=radii,
        threads=threads,
    )
    settings = Settings(
        sigma=sigma,
        alpha=alpha,
        alpha_lower=share if has_lower else None,
        alpha_upper=share if has_upper else None,
        score_range=score_range,
        radii=radii,
        thresholds=thresholds,
        method=method,
        sides=sides,
        n=n,
        n_pilot=n_pilot,
        order=order,
        order_seed=seed,
        backend=backend,
        version=__version__,
    )
    return _Plan(
        settings,
        make(side="lower", thresholds=thresholds) if has_lower else None,
        make(side="upper", thresholds=()) if has_upper else None,
    )


def _run(
    certifier: _Certifier, rows: NDArray[Any], first_row: int, score_range: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    bounds, radius, bad = certifier(rows, first_row)
    if bad >= 0:
        a, b = score_range
        row = rows[bad].astype(np.float64)  # a and b would be rounded to the type of the row
        j = int(np.argmax(~((row >= a) & (row <= b))))
        hint = (
            "the model or the data is at fault"
            if np.isnan(row[j])
            else "state the range of the measure in score_range, e.g. (-1, 1) for the margin"
        )
        raise ValueError(
            f"scores must be finite and within score_range [{a}, {b}], "
            f"got scores[{bad}, {j}] = {row[j]}; {hint}"
        )
    return bounds, radius


def _n_pilot(n: int, pilot: float) -> int:
    return max(1, math.floor(n * pilot))


def choose_threads(threads: int | None, draws: int) -> int:
    if threads is not None:
        return checks.count("threads", threads, 1, MAX_THREADS)
    wanted = draws // _DRAWS_PER_THREAD
    return min(backends.usable_threads(), wanted) if wanted > 1 else 1


def _band(backend: str, method: Method, n: int, alpha: float) -> Any:
    """Make or find the band of a method; None where it uses none."""
    if method.band is None:
        return None
    return bands.prepared(backend, method.band, n, alpha, min(method.n_bins or 0, n))


def required_draws(
    threshold: float,
    *,
    alpha: float = 1e-3,
    score_range: tuple[float, float] = (0.0, 1.0),
    bound: str = "cdf",
    band: str = "ell",
    mean: str | None = None,
    pilot: float = 0.1,
) -> int:
    """Count the draws with which perfect scores would be certified above a threshold at R = 0.

    With fewer, no input whatever can be certified above the threshold.

    Parameters
    ----------
    threshold : float
        Confidence threshold, a <= threshold < b.
    alpha, score_range, bound, band, mean, pilot
        As in `certify_scores`.

    Returns
    -------
    int
        The least n with which a row of scores b is certified.

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
    a, b = checks.score_range("score_range", score_range)
    method = Method.of(bound, band, None, mean)
    pilot = checks.probability("pilot", pilot)
    threshold = checks.number("threshold", threshold)
    if not a <= threshold < b:
        raise ValueError(f"threshold must lie in [{a}, {b}), got {threshold}")
    return _draws_needed((threshold - a) / (b - a), alpha, method, pilot)


def _draws_needed(share: float, alpha: float, method: Method, pilot: float) -> int:
    """Find the least n whose perfect scores are certified above a share of the range."""
    if method.band == "ell":
        return _draws_of_ell(share, alpha)
    if method.mean in (None, "hoeffding"):
        return math.floor(math.log(1 / alpha) / (2 * (1 - share) ** 2)) + 1
    return _least_draws(share, alpha, method, pilot)


def _draws_of_ell(share: float, alpha: float) -> int:
    """Find the least n with ``level ** (1 / n) > share``, the bound at n of n draws."""
    n, more = 0, 1
    while more > n:  # the level depends little on n
        n = more
        level = bands.level_of(n, alpha, 0)
        more = 1 if share <= 0.0 else math.floor(math.log(level) / math.log(share)) + 1
    return n


def _least_draws(share: float, alpha: float, method: Method, pilot: float) -> int:
    """Find the least n whose perfect scores are certified above a share of the range."""
    low, high = 1, 2
    while not _perfect(high, alpha, method, pilot) > share:
        low, high = high, 2 * high
        if high > _MOST_DRAWS:
            raise ValueError(
                f"more than {_MOST_DRAWS} draws would be needed to certify a score above "
                f"{share!r} of the range at alpha = {alpha:g} by {method.label}"
            )
    while high - low > 1:
        middle = (low + high) // 2
        if _perfect(middle, alpha, method, pilot) > share:
            high = middle
        else:
            low = middle
    return high


@lru_cache(maxsize=1024)
def _perfect(n: int, alpha: float, method: Method, pilot: float) -> float:
    """Certify n draws that are all 1, in [0, 1], at R = 0."""
    n_pilot = _n_pilot(n, pilot) if method.splits_pilot else 0
    if n_pilot >= n:
        return 0.0
    certify = backends.load(backends.resolve(None)).certifier(
        n,
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
    bounds, _, _ = certify(np.ones((1, n)), 0)
    return float(bounds[0, 0])


def require_draws(
    n: int,
    thresholds: tuple[float, ...],
    alpha: float,
    score_range: tuple[float, float],
    method: Method,
    pilot: float,
) -> None:
    """Refuse draws that could not certify anything, or not the highest threshold."""
    a, b = score_range
    threshold = max(thresholds, default=a)
    share = (threshold - a) / (b - a)
    if highest_share(n, alpha, method, pilot) > share:
        return
    needed = _draws_needed(share, alpha, method, pilot)
    what = f"above the threshold {exact(threshold)}" if thresholds else "at all"
    raise ValueError(
        f"n = {n} draws are too few to certify any input {what} at alpha = {alpha:g} "
        f"by {method.label}, even if every score were {b:g}; "
        f"at least n = {needed} are needed"
    )


def highest_share(n: int, alpha: float, method: Method, pilot: float) -> float:
    """Return the share of the range that perfect scores certify at R = 0."""
    if method.mean not in (None, "hoeffding"):
        return _perfect(n, alpha, method, pilot)
    if method.band == "ell":
        level = bands.level_of(n, alpha, method.n_bins or 0)
        return math.exp(math.log(level) / n)
    return 1.0 - math.sqrt(math.log(1 / alpha) / (2 * n))
