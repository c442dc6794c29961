"""From scores to certificates."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks
from smoothbound._utils.kept import kept
from smoothbound._version import __version__
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend, Band, Bound, Mean, Order, Sides, Statistic
from smoothbound.bounds import _band as bands
from smoothbound.bounds._certificate import Certificate
from smoothbound.bounds._levels.arguments import default_range
from smoothbound.bounds._levels.certify import certify_levels
from smoothbound.bounds._method import Method
from smoothbound.bounds._per_input import groups, joined, within
from smoothbound.bounds._request import OneSide, Request, Settings, sigma_of
from smoothbound.bounds._sample_size import default_method, require_draws
from smoothbound.curves._curve import Curve
from smoothbound.curves._named import curve as curve_of
from smoothbound.scores._arrays import as_scores, outside_range

__all__ = ["certify_each", "certify_rows", "certify_scores"]

_TRANSPOSED = (  # appended to other errors about scores of this shape
    "these scores are {} inputs with {} draws each; if each column is an input, transpose them"
)

Vector = NDArray[np.float64]


def certify_scores(
    scores: Any,
    *,
    sigma: float | ArrayLike | None = None,
    curve: str | Curve = "gaussian",
    alpha: float = 1e-3,
    score_range: tuple[float, float] | None = None,
    radii: ArrayLike = (0.0,),
    thresholds: ArrayLike = (),
    bound: Bound | None = None,
    band: Band | None = None,
    n_bins: int | None = None,
    mean: Mean | None = None,
    pilot: float = 0.1,
    sides: Sides = "lower",
    order: Order = "unknown",
    seed: int = 0,
    first_row: int = 0,
    statistic: Statistic = "mean",
    levels: ArrayLike = (),
    backend: Backend | None = None,
    threads: int | None = None,
    constant_within: ArrayLike | None = None,
) -> Certificate:
    """Certify the confidence of a smoothed classifier from the scores of its noisy draws.

    Parameters
    ----------
    scores : array of float16, float32 or float64, shape (n_inputs, n_draws)
        Row i holds the scores h(x_i + delta) of independent draws of the noise. For the Gaussian,
        delta ~ N(0, sigma^2 I). The array is from NumPy, torch (any device) or Arrow, or has
        DLPack, the buffer protocol or the array interface. `smoothbound.scores.as_scores` states
        which of them are copied.
    sigma : float or array-like, shape (n_inputs,)
        Noise level, > 0, in the units of the model's input before normalisation. Leave it out with
        a `curve` that has no scale. If each input has a noise level of its own, sigma(x), a
        certificate holds only at points x' with sigma(x') = sigma(x): state their distance by
        `constant_within`.
    curve : {"gaussian", "l1-uniform", "l1-laplace", "ablation-K-of-D"} or Curve
        The noise of the draws and the measure of distance: radii are distances in the norm of the
        curve (`smoothbound.curves`, docs/other-noises.md). Only the Gaussian takes
        ``bound="tangent"`` and ``"joint"``, and ``bound="mean"`` needs a convex curve.
        Probabilities and quantiles take every curve.
    alpha : float
        Failure probability of each certificate, at least 1e-300 and below 1. 0.5 or more brings a
        warning, because it looks like a confidence level.
    score_range : (float, float), optional
        Range [a, b] of the confidence measure: (0, 1) for the score, (-1, 1) for the margin. b - a
        must be finite and at least 1e-300. The default is (0, 1). For a probability or a quantile
        either end may be infinite, and by default there is no range.
    radii : array-like, shape (n_radii,)
        Radii, >= 0, at which to bound the confidence: l2 distances in the units of the input, like
        sigma. With another `curve` they are distances in its norm.
    thresholds : array-like, shape (n_thresholds,)
        Confidence thresholds, strictly inside the range, for which to find the certified radius.
        For a probability they lie in (0, 1). For a quantile they are scores.
    bound : {"joint", "cdf", "mean", "tangent"}, optional
        "joint" is the joint bound, usually the tightest at all radii at once (docs/joint.md). "cdf"
        is Theorem 2, which uses the distribution of the scores, and "mean" is Theorem 1, which uses
        their mean (docs/bounds.md). "tangent" is the tangent bound, usually the tightest at one
        radius at a time (docs/tangent.md). With Gaussian noise, ``order="drawn"`` and enough draws
        (22 at alpha = 0.001), the default is "joint". Otherwise it is "cdf", which needs no order.
        docs/joint.md has the rule, and ``settings.method`` the result.
    band : {"ell", "dkw"}, optional
        Confidence band of the survival function for ``bound="cdf"``: equal local levels, the
        default, or the paper's Dvoretzky-Kiefer-Wolfowitz band. If only a band is stated, the bound
        is "cdf".
    n_bins : int, optional
        Number of equal-count bins for ``bound="cdf"``; the paper uses 10 000. By default every draw
        is a knot, which gives the tightest bound. If only bins are stated, the bound is "cdf".
    mean : {"hoeffding", "bernstein", "betting"}, optional
        How a mean is bounded. ``bound="mean"`` takes all three: the default is Hoeffding's
        inequality, as in the paper, and "betting" is the tightest. ``bound="tangent"`` takes
        "betting", the default, and "bernstein". ``bound="joint"`` takes "betting" only.
    pilot : float
        Share of each row's draws, in (0, 1), from which ``bound="tangent"`` and ``"joint"`` choose
        the tangents. These pilot draws are the first in the `order`, and the bound is computed from
        the other draws. Other methods ignore it.
    sides : {"lower", "upper", "both"}
        The sides to bound. "both" gives each side alpha / 2.
    order : {"unknown", "drawn"}
        Order in which betting, the tangent and the joint bound use the draws. "unknown" means that
        a row may be sorted or arranged by value, so its positions are permuted at random first.
        "drawn" means that a row is in the order of drawing, or in another order that does not
        depend on the values, and the order is kept. Other methods ignore it.
    seed : int
        Key of the permutation, together with the number of the row; from 0 to 2^64 - 1. `alpha` is
        then a probability over the draws and the key, so fix the seed before you see the scores.
    first_row : int
        Number of the first row, from 0 to 2^63 - 1. State it if you certify the rows in parts: each
        row then has the same permutation as when all rows are certified at once.
    statistic : {"mean", "probability", "quantile"}
        The quantity to bound: the mean of the scores, which is the confidence; the probability that
        a score is at least a level; or a quantile of the scores at a level (docs/levels.md). The
        last two do not use `bound`, `band`, `n_bins`, `mean`, `pilot`, `order` and `seed`, and
        allow infinite scores.
    levels : array-like, shape (n_levels,)
        For a probability, finite scores to reach. For a quantile, its levels, in (0, 1); 0.5 is the
        median.
    backend : {"cpp", "numba"}, optional
        The implementation to use: by default the C++ core, or numba if the core is missing.
    threads : int, optional
        Number of threads, from 1 to 1024. By default it depends on the work and the machine. The
        result does not depend on it.
    constant_within : float or array-like, shape (n_inputs,), optional
        Radius, >= 0, of a ball around each input on which sigma is constant. Bounds at larger radii
        become the ends of the range (0 and 1 for a probability), and certified radii are capped at
        this radius (docs/other-noises.md). Leaving it out states that sigma is constant within
        every certified radius.

    Returns
    -------
    Certificate
        It is a `LevelCertificate` for a probability or a quantile.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range stated above, a score is NaN or
        outside `score_range`, or there are too few draws to certify anything at this alpha.

    Notes
    -----
    Let G(s) = P(h(x + delta) >= s), r = R / sigma and psi(p) = Phi(Phi^-1(p) - r). Theorem 2 takes
    knots a = s_0 < s_1 < ... < s_k and lower bounds p_j on G(s_j), which hold simultaneously. At
    every point within R of x the expected score is at least

        a + sum over j of (s_j - s_(j-1)) psi(p_j).

    The joint bound adds tangents to Theorem 2 (docs/joint.md). Theorem 1 takes a lower bound e on
    the expected score at x. At every point within R of x the expected score is at least a + (b - a)
    psi((e - a) / (b - a)). An upper bound is a + b minus the lower bound of the scores a + b - h.
    docs/bounds.md has the proofs. All rounding is conservative.

    Another `curve` has its own psi in place of this one.

    A probability has the lower bound P(h(x' + delta) >= t) >= psi(p), where p is the bound of
    Clopper and Pearson from the number of draws >= t. The upper bound is 1 - psi(p), where p is the
    bound from the number of draws < t. The bound on a quantile at level q is one of the draws. Its
    rank is the least with psi(p) > 1 - q for a lower bound, and with psi(p) > q for an upper bound.
    The rank depends only on n, alpha, q and R.

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
    noise, rows = curve_of(curve), as_scores(scores)
    each = checks.levels("sigma", sigma, len(rows))
    stated = Method.for_statistic(statistic, bound, band, n_bins, mean)
    one = sigma if each is None else float(min(each, default=1.0))
    request = Request(
        sigma=sigma_of(noise, one),
        alpha=checks.alpha("alpha", alpha),
        score_range=default_range(statistic) if score_range is None else score_range,
        radii=checks.floats("radii", radii),
        thresholds=checks.floats("thresholds", thresholds),
        method=stated
        or default_method(
            rows.shape[1], alpha=alpha, order=order, sides=sides, pilot=pilot, curve=noise
        ),
        pilot=pilot,
        sides=sides,
        order=order,
        order_seed=seed,
        statistic=statistic,
        levels=checks.floats("levels", levels),
        curve=noise,
    )
    certificate = certify_each(
        rows, request, each, first_row=first_row, backend=backend, threads=threads
    )
    if constant_within is None:
        return certificate
    return within(certificate, checks.distances("constant_within", constant_within, len(rows)))


def certify_each(
    scores: Any,
    request: Request,
    sigma: Vector | None,
    *,
    first_row: int = 0,
    backend: Backend | None = None,
    threads: int | None = None,
) -> Certificate:
    """Certify rows that have noise levels of their own. Rows with the same level share a call.

    If `sigma` is None, all rows have the noise level of the request.
    """
    certify = partial(certify_rows, backend=backend, threads=threads)
    if sigma is None or not sigma.size:
        return certify(scores, request, first_row=first_row)
    rows = as_scores(scores)
    first_row = checks.count("first_row", first_row, 0, 2**63 - 1)
    in_succession = request.order == "unknown" and request.method.uses_order
    parts = []
    for where in groups(sigma, in_succession=in_succession):
        asked = replace(request, sigma=float(sigma[where[0]]))
        first = first_row + int(where[0])
        made = certify(rows[where], asked, first_row=first, positions=where)
        parts.append((where, made))
    return joined(parts, sigma)


def certify_rows(
    scores: Any,
    request: Request,
    *,
    first_row: int = 0,
    backend: Backend | None = None,
    threads: int | None = None,
    positions: NDArray[np.int64] | None = None,
) -> Certificate:
    """Certify each row of scores by a request; `certify_scores` with checked arguments.

    If positions are given, an error names a row by its position.
    """
    first_row = checks.count("first_row", first_row, 0, 2**63 - 1)
    rows = as_scores(scores)
    backend = backends.resolve(backend)
    threads = backends.choose_threads(threads, rows.size)
    if request.statistic != "mean":
        return certify_levels(rows, request, backend=backend, threads=threads, positions=positions)
    try:
        made = _plans(request, rows.shape[1], backend, threads)
    except ValueError as error:
        if rows.shape[0] <= rows.shape[1]:
            raise
        raise ValueError(f"{error}; {_TRANSPOSED.format(*rows.shape)}") from None
    lower = upper = radius = None
    if made.lower is not None:
        lower, radius = _bounds(made.lower, rows, first_row, request.score_range, positions)
    if made.upper is not None:
        upper, _ = _bounds(made.upper, rows, first_row, request.score_range, positions)
    return Certificate(made.settings, lower, upper, radius)


class _Plan(Protocol):
    """A backend's plan (_core.pyi)."""

    def certify(
        self, scores: NDArray[Any], first_row: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int]: ...


class _Plans(NamedTuple):
    """The settings and the plan of each side, which do not depend on the scores."""

    settings: Settings
    lower: _Plan | None
    upper: _Plan | None


def _size(request: Request, *_: Any) -> int:
    """Count the numbers of a request. Its plans keep some hundred bytes for each of them."""
    return 100 + len(request.radii) + len(request.thresholds) + request.curve.size


@kept(most=10_000, size=_size)  # helps callers that certify a few rows at a time
def _plans(request: Request, n_draws: int, backend: Backend, threads: int) -> _Plans:
    require_draws(n_draws, request)
    settings = Settings(
        **vars(request),
        n=n_draws,
        n_pilot=request.method.n_pilot(n_draws, request.pilot),
        backend=backend,
        version=__version__,
    )
    make = partial(_plan, settings, threads)
    lower, upper = request.share("lower"), request.share("upper")
    return _Plans(settings, lower and make(lower), upper and make(upper))


def _plan(settings: Settings, threads: int, share: OneSide) -> _Plan:
    """Make a backend's plan for one side."""
    method, backend, n_draws = settings.method, settings.backend, settings.n
    a, b = settings.score_range
    band = None
    if (used := method.band_of(share.alpha)) is not None:
        kind, alpha = used
        n_bins = min(method.n_bins or 0, n_draws)
        band = bands.confidence_band(backend, kind, n_draws, alpha, n_bins)
    made: _Plan = backends.load(backend).Plan(
        n_draws,
        sigma=settings.sigma,
        alpha=share.alpha,
        a=a,
        b=b,
        side=share.side,
        bound=method.bound,
        band=band,
        mean=method.mean or "hoeffding",  # a bound without a mean ignores it
        n_pilot=settings.n_pilot,
        order=settings.order,
        seed=settings.order_seed,
        radii=settings.radii,
        thresholds=share.thresholds,
        threads=threads,
        curve=backends.curve_of(backend, settings.curve),
    )
    return made


def _bounds(
    plan: _Plan,
    rows: NDArray[Any],
    first_row: int,
    score_range: tuple[float, float],
    positions: NDArray[np.int64] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bounds and the radii of one side; refuse scores outside the range."""
    bounds, radius, bad = plan.certify(rows, first_row)
    if bad >= 0:
        named = bad if positions is None else int(positions[bad])
        raise outside_range(rows[bad], score_range, i=named)
    return bounds, radius
