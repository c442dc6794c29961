"""Recommendations of sigma and of the number of draws for a given threshold and radius.

A larger sigma lowers the confidence at small radii and certifies larger radii, so the best sigma
grows with the radius (Kumar et al. 2020, answer to the reviewers). It depends on the networks and
the data, and short runs, the pilots, show it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound._utils.renamed import formerly, renamed
from smoothbound.backends._names import Backend, Band
from smoothbound.bounds._sample_size import required_draws
from smoothbound.recommend._forecast import MOST_DRAWS, forecast
from smoothbound.recommend._pilots import Pilot, common_inputs, positions
from smoothbound.recommend._statistics import differ, share_interval

__all__ = ["Recommendation", "RunnerUp", "draw_counts", "recommend"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class RunnerUp(NamedTuple):
    """The second-best pilot, compared with the recommended one at the largest number of draws.

    Attributes
    ----------
    place : int
        Its position among the pilots.
    lost, won : int
        Inputs that only the recommended one certifies, and inputs that only this one certifies.
    significant : bool
        Whether a sign test at 5 % finds the two different.
    """

    place: int
    lost: int
    won: int
    significant: bool


@dataclass(frozen=True, eq=False)
class Recommendation:
    """Forecasts for each pilot and number of draws, with the recommendation.

    Attributes
    ----------
    threshold, radius, alpha, band, share
        The arguments of `recommend`.
    pilots : tuple of Pilot
        The pilots, in ascending order of sigma.
    index : ndarray of int64, shape (n_inputs,)
        Positions in the data set of the inputs that all pilots have. Shares are shares of these.
    draws : tuple of int
        The numbers of draws in the forecast, ascending.
    certified : ndarray of bool, shape (n_pilots, n_draws, n_inputs)
        Whether an input is forecast to be certified: it has the true class, the classifier does not
        abstain, and its confidence is certified strictly above the threshold within the radius.
    place, step : int or None
        Positions of the recommended pilot and number of draws; None if no pilot certifies anything.
    rule : tuple of (float, float or None)
        Half the radius, the radius and twice the radius, each with the best sigma.
    furthest : ndarray of float64, shape (n_pilots,)
        Largest forecast radius of a correct input at the threshold and the largest number of draws;
        NaN if there is none.
    highest : ndarray of float64, shape (n_pilots,)
        Largest forecast confidence of a correct input within the radius; NaN if there is none.
    """

    threshold: float
    radius: float
    alpha: float
    band: Band
    share: float
    pilots: tuple[Pilot, ...] = field(repr=False)
    index: Ints = field(repr=False)
    draws: tuple[int, ...]
    certified: Bools = field(repr=False)
    place: int | None
    step: int | None
    rule: tuple[tuple[float, float | None], ...]
    furthest: Floats
    highest: Floats

    @property
    def counts(self) -> Ints:
        """Number of inputs that are forecast to be certified, shape (n_pilots, n_draws)."""
        return np.asarray(self.certified.sum(axis=2), np.int64)

    @property
    def total(self) -> int:
        """Number of inputs, the denominator of every share."""
        return int(self.index.size)

    @property
    def pilot(self) -> Pilot | None:
        """The recommended pilot."""
        return None if self.place is None else self.pilots[self.place]

    @property
    def sigma(self) -> float | None:
        """The recommended sigma, in the units of the input."""
        return None if self.pilot is None else self.pilot.sigma

    @property
    def n(self) -> int | None:
        """The recommended number of draws of each input, without those that select the class."""
        return None if self.step is None else self.draws[self.step]

    @property
    def count(self) -> int:
        """Number of inputs that are forecast to be certified with the recommended sigma and n."""
        if self.place is None or self.step is None:
            return 0
        return int(self.counts[self.place, self.step])

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share `count` / `total`."""
        return share_interval(self.count, self.total)

    @property
    def runner_up(self) -> RunnerUp | None:
        """The second-best pilot; None if there is only one pilot, or no recommendation."""
        if self.place is None or len(self.pilots) < 2:
            return None
        last = self.certified[:, -1]
        order = np.argsort(-last.sum(axis=1), kind="stable")
        place = int(next(i for i in order if i != self.place))
        lost = int((last[self.place] & ~last[place]).sum())
        won = int((last[place] & ~last[self.place]).sum())
        return RunnerUp(place, lost, won, differ(lost, won))

    rival = formerly("rival", "runner_up")


@renamed(max_n="max_draws")
def recommend(
    pilots: Sequence[Pilot],
    *,
    threshold: float,
    radius: float,
    band: Band = "ell",
    alpha: float = 1e-3,
    max_draws: int = 100_000,
    share: float = 0.95,
    backend: Backend | None = None,
    threads: int | None = None,
) -> Recommendation:
    """Recommend the sigma and n that certify most above a threshold within a radius.

    For each pilot and each of a few numbers of draws n, `forecast` gives the inputs that n draws
    would certify. The recommended sigma has the largest share at `max_draws`, and the recommended n
    is the smallest that reaches `share` of it. Among equal shares, the smaller n is chosen, then
    the smaller sigma.

    Parameters
    ----------
    pilots : sequence of Pilot
        Short runs of the same images and measure, usually one for each sigma.
    threshold : float
        Confidence threshold c, strictly inside the range of the measure.
    radius : float
        l2 radius R, >= 0, in the units of the input, like sigma.
    band : {"ell", "dkw"}
        Confidence band of the planned run.
    alpha : float
        Failure probability of each of its certificates, in (0, 1).
    max_draws : int
        Largest number of draws of an input to consider.
    share : float
        Sufficient share, in (0, 1], of the inputs that `max_draws` draws certify.
    backend, threads
        As in `certify_scores`.

    Returns
    -------
    Recommendation

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range stated above, the pilots cannot be
        compared, or `max_draws` draws could not certify anything at this threshold.

    Examples
    --------
    >>> from smoothbound import ScoreSketch
    >>> def pilot(sigma, skew):
    ...     sketch = ScoreSketch(5, sigma=sigma)
    ...     sketch.update(np.random.default_rng(0).beta(skew, 1, size=(5, 1000)))
    ...     classes = np.zeros(5, np.int64)
    ...     return Pilot(f"sigma {sigma}", sketch, np.arange(5), classes, classes)
    >>> advice = recommend([pilot(0.25, 20), pilot(0.5, 8)], threshold=0.7, radius=0.5)
    >>> advice.sigma, advice.n, advice.count, advice.total
    (0.5, 2000, 5, 5)
    >>> advice.rule
    ((0.25, 0.25), (0.5, 0.5), (1.0, None))
    """
    index, label = common_inputs(pilots)
    pilots = sorted(pilots, key=lambda one: one.sigma)
    alpha = checks.alpha("alpha", alpha)
    radius = float(checks.radii("radius", [radius])[0])
    score_range = pilots[0].sketch.score_range
    threshold = float(checks.thresholds("threshold", [threshold], score_range)[0])
    draws = draw_counts(threshold, max_draws, alpha=alpha, score_range=score_range, band=band)
    share = _checked_share(share)
    radii = np.unique([0.0, radius / 2, radius, 2 * radius])
    options = {"alpha": alpha, "band": band, "backend": backend, "threads": threads}
    forecasts = [
        _forecast_of(one, index, label, threshold, radii, draws, options) for one in pilots
    ]
    certified = np.stack([one.certified for one in forecasts])  # by pilot, n, radius and input
    sigmas = [one.sigma for one in pilots]
    counts, at = certified.sum(axis=3), int(np.searchsorted(radii, radius))
    chosen = [_choose(counts[:, :, k], sigmas, share) for k in range(radii.size)]
    place, step = chosen[at] or (None, None)
    rule = zip(
        radii.tolist(), [None if one is None else sigmas[one[0]] for one in chosen], strict=True
    )
    return Recommendation(
        threshold=threshold,
        radius=radius,
        alpha=alpha,
        band=band,
        share=share,
        pilots=tuple(pilots),
        index=index,
        draws=draws,
        certified=certified[:, :, at],
        place=place,
        step=step,
        rule=tuple((r, sigma) for r, sigma in rule if r > 0),
        furthest=np.array([one.furthest for one in forecasts]),
        highest=np.array([one.highest[at] for one in forecasts]),
    )


def draw_counts(
    threshold: float,
    max_draws: int,
    *,
    alpha: float = 1e-3,
    score_range: tuple[float, float] = (0.0, 1.0),
    band: Band = "ell",
) -> tuple[int, ...]:
    """Return the numbers of draws for forecasts: 1, 2 and 5 times powers of ten, and `max_draws`.

    Parameters
    ----------
    threshold, alpha, score_range, band
        As in `required_draws`, whose result is a lower limit, because fewer draws cannot certify
        anything.
    max_draws : int
        The largest number.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If `max_draws` draws cannot certify anything above the threshold, or are too many to
        forecast.

    Examples
    --------
    >>> draw_counts(0.7, 3000)
    (50, 100, 200, 500, 1000, 2000, 3000)
    """
    max_draws = checks.count("max_draws", max_draws)
    least = required_draws(threshold, alpha=alpha, score_range=score_range, band=band)
    if not least <= max_draws <= MOST_DRAWS:
        raise ValueError(
            f"max_draws must lie in {least} .. {MOST_DRAWS}, got {max_draws}: fewer than {least} "
            f"draws certify nothing above {exact(threshold)} at alpha = {exact(alpha)}"
        )
    steps = (d * 10**k for k in range(10) for d in (1, 2, 5))
    return (*(n for n in steps if least <= n < max_draws), max_draws)


def _checked_share(share: float) -> float:
    if not 0.0 < checks.number("share", share) <= 1.0:
        raise ValueError(f"share must lie in (0, 1], got {checks.shown(share)}")
    return float(share)


class _PilotForecast(NamedTuple):
    """The forecast from one pilot; `certified` has shape (numbers of draws, n_radii, n_inputs)."""

    certified: Bools
    furthest: float
    highest: Floats


def _forecast_of(
    pilot: Pilot,
    index: Ints,
    label: Ints,
    threshold: float,
    radii: Floats,
    draws: Sequence[int],
    options: dict[str, Any],
) -> _PilotForecast:
    """Forecast the inputs of `index` for each number of draws and radius; the first radius is 0."""
    sketch = pilot.sketch
    held = np.flatnonzero(np.isin(index, sketch.index[sketch.n_draws > 0]))
    selected = pilot.selected[positions(pilot, index)]
    certified = np.zeros((len(draws), radii.size, index.size), np.bool_)
    lower, above = np.empty((0, radii.size)), np.zeros((index.size, radii.size), np.bool_)
    reach, kept = np.empty((0, 1)), np.ones(held.size, np.bool_)
    for k, n in enumerate(draws):
        cuts = [threshold] if n == draws[-1] else []
        lower, reach = forecast(
            sketch, n, radii=radii, thresholds=cuts, index=index[held], **options
        )
        if pilot.cutoff is not None:
            kept = lower[:, 0] > pilot.cutoff
        above[held] = (lower > threshold) & kept[:, None]
        certified[k] = (above & (selected == label)[:, None]).T
    right = (selected == label)[held] & kept
    furthest = reach[right, 0][np.isfinite(reach[right, 0])].max(initial=-math.inf)
    highest = lower[right].max(axis=0, initial=-math.inf)
    return _PilotForecast(
        certified,
        float(furthest) if furthest >= 0 else math.nan,
        np.where(np.isfinite(highest), highest, np.nan),
    )


def _choose(counts: Ints, sigmas: Sequence[float], share: float) -> tuple[int, int] | None:
    """Choose the pilot and the number of draws by counts of shape (n_pilots, n_draws)."""
    last = counts[:, -1]
    if not last.any():
        return None
    enough = np.argmax(counts >= share * last[:, None] - 1e-9, axis=1)
    best = np.flatnonzero(last == last.max()).tolist()
    place = min(best, key=lambda i: (enough[i], sigmas[i]))
    return place, int(enough[place])
