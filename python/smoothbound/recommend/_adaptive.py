"""Forecasts of adaptive runs: certified inputs, draws and time, with their uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound.anytime._anytime_test import MOST_DRAWS
from smoothbound.anytime._job.job import Plan
from smoothbound.anytime._questions import Decide
from smoothbound.anytime._sample_size import required_draws
from smoothbound.backends._names import Backend
from smoothbound.recommend._pilots import Pilot, common_inputs, positions
from smoothbound.recommend._simulation import Runs, simulate
from smoothbound.recommend._statistics import Estimate, mean_of, median_of

__all__ = ["AdaptiveForecast", "AdaptiveRecommendation", "recommend_adaptive"]

Ints = NDArray[np.int64]
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]

_MOST_QUESTIONS = 100
_MOST_RUNS = 1000


@dataclass(frozen=True, eq=False)
class AdaptiveForecast:
    """The forecast of an adaptive run with one sigma, from its pilot.

    The intervals are for averages over all images from which the inputs were taken.

    Attributes
    ----------
    pilot : Pilot
    questions : tuple of Decide
        The questions about each input. The run draws until each of them is answered.
    certified : Estimate
        Share of the inputs that have the true class and for which all questions are certified.
    mean, median : Estimate
        Mean and median number of draws of an input, including those that select the class.
    """

    pilot: Pilot = field(repr=False)
    questions: tuple[Decide, ...]
    certified: Estimate
    mean: Estimate
    median: Estimate

    @property
    def seconds(self) -> Estimate | None:
        """Mean time of an input at the speed of the pilot; None if it is not known."""
        seconds_per_draw = self.pilot.seconds_per_draw
        return None if seconds_per_draw is None else self.mean.times(seconds_per_draw)


@dataclass(frozen=True, eq=False)
class AdaptiveRecommendation:
    """Forecasts of adaptive runs for each pilot, with the recommended sigma.

    Attributes
    ----------
    max_draws, alpha
        The arguments of `recommend_adaptive`.
    pilots : tuple of Pilot
        In ascending order of sigma.
    index : ndarray of int64, shape (n_inputs,)
        Positions in the data set of the inputs that all pilots have.
    questions : tuple of Decide
        The questions, sorted by threshold and radius.
    singly : tuple of tuple of AdaptiveForecast
        For each pilot, forecasts of runs with one question each.
    together : tuple of AdaptiveForecast
        For each pilot, the forecast of one run with all questions.
    place : int or None
        Position of the recommended pilot, which certifies most on average over the questions. None
        if no pilot certifies anything.
    """

    max_draws: int
    alpha: float
    pilots: tuple[Pilot, ...] = field(repr=False)
    index: Ints = field(repr=False)
    questions: tuple[Decide, ...]
    singly: tuple[tuple[AdaptiveForecast, ...], ...]
    together: tuple[AdaptiveForecast, ...]
    place: int | None

    @property
    def total(self) -> int:
        """Number of inputs, the denominator of every share."""
        return int(self.index.size)

    @property
    def pilot(self) -> Pilot | None:
        """The recommended pilot."""
        return None if self.place is None else self.pilots[self.place]


def recommend_adaptive(
    pilots: Sequence[Pilot],
    *,
    thresholds: ArrayLike,
    radii: ArrayLike,
    max_draws: int = 100_000,
    alpha: float = 1e-3,
    n_runs: int = 8,
    seed: int = 0,
    backend: Backend | None = None,
    progress: Progress | None = None,
) -> AdaptiveRecommendation:
    """Forecast adaptive runs, and recommend the sigma that certifies most.

    A few runs are simulated for each input of each pilot. The draws of a run come from a
    distribution that the counted draws suggest, and the run selects the class, asks questions and
    stops like ``certify --adaptive``. The intervals allow for the small numbers of draws and of
    inputs.

    Parameters
    ----------
    pilots : sequence of Pilot
        Short runs of the same images and measure, usually one for each sigma. Their inputs
        represent all images, so they must not be chosen by their scores.
    thresholds, radii : array-like of float
        The questions: is the confidence above each threshold within each radius?
        There are at most 100.
    max_draws : int
        Largest number of draws of an input, without those that select its class.
    alpha : float
        Failure probability of each certificate, in (0, 1).
    n_runs : int
        Number of simulated runs of each input, from 1 to 1000.
    seed : int
        Of the made-up draws.
    backend : {"cpp", "numba"}, optional
        The implementation to use: by default the C++ core, or numba if the core is missing.
    progress : callable, optional
        Shows the progress. It is called as ``progress(what, total)`` and returns a context manager
        that yields a function of the number of inputs just done.

    Returns
    -------
    AdaptiveRecommendation

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range stated above, the pilots cannot be
        compared, or `max_draws` draws could not certify anything.

    Notes
    -----
    The intervals are for averages of a run over all images. With 50 inputs, intervals of shares
    missed the true value in 25 of 600 forecasts, those of medians in 3, and those of means in none,
    because the latter allow for one more input that takes all draws
    (benchmarks/studies/forecasts.py).

    Examples
    --------
    >>> from smoothbound import ScoreSketch
    >>> def pilot(sigma, skew):
    ...     sketch = ScoreSketch(5, sigma=sigma)
    ...     sketch.update(np.random.default_rng(0).beta(skew, 1, size=(5, 1000)))
    ...     classes = np.zeros(5, np.int64)
    ...     return Pilot(f"sigma {sigma}", sketch, np.arange(5), classes, classes)
    >>> pilots = [pilot(0.25, 20), pilot(0.5, 8)]
    >>> advice = recommend_adaptive(pilots, thresholds=[0.7], radii=[0.5], max_draws=5000)
    >>> advice.pilot.sigma, advice.together[1].certified.value
    (0.5, 1.0)
    """
    index, label = common_inputs(pilots)
    pilots = sorted(pilots, key=lambda one: one.sigma)
    questions = _questions(thresholds, radii, pilots[0].sketch.score_range)
    max_draws = checks.count("max_draws", max_draws, 1, MOST_DRAWS)
    alpha = checks.alpha("alpha", alpha)
    n_runs = checks.count("n_runs", n_runs, 1, _MOST_RUNS)
    seed = checks.count("seed", seed, 0, 2**64 - 1)
    asked = [(one,) for one in questions] + [questions] * (len(questions) > 1)
    plan = partial(_plan, n=max_draws, alpha=alpha, backend=backend)
    _require_draws(questions[0], plan(pilots[-1], asked[0]))
    show = progress or (lambda what, total: nullcontext(lambda count: None))
    with show("inputs forecast", len(pilots) * len(asked) * index.size) as advance:
        runs = partial(simulate, n_runs=n_runs, seed=seed, advance=advance)
        forecasts = [
            tuple(_forecast(pilot, index, label, plan(pilot, each), each, runs) for each in asked)
            for pilot in pilots
        ]
    singly = tuple(one[: len(questions)] for one in forecasts)
    return AdaptiveRecommendation(
        max_draws=max_draws,
        alpha=alpha,
        pilots=tuple(pilots),
        index=index,
        questions=questions,
        singly=singly,
        together=tuple(one[-1] for one in forecasts),
        place=_choose(singly),
    )


def _questions(
    thresholds: ArrayLike, radii: ArrayLike, score_range: tuple[float, float]
) -> tuple[Decide, ...]:
    cuts = np.unique(checks.thresholds("thresholds", thresholds, score_range)).tolist()
    reach = np.unique(checks.radii("radii", radii)).tolist()
    questions = tuple(Decide(c, r) for c in cuts for r in reach)
    if not 1 <= len(questions) <= _MOST_QUESTIONS:
        raise ValueError(
            f"thresholds and radii must make 1 to {_MOST_QUESTIONS} questions, got "
            f"{len(cuts)} x {len(reach)}"
        )
    return questions


def _plan(pilot: Pilot, questions: tuple[Decide, ...], **options: Any) -> Plan:
    """Return the plan of a run with the sigma of a pilot."""
    sketch = pilot.sketch
    return Plan(
        questions=questions,
        sigma=pilot.sigma,
        score_range=sketch.score_range,
        displacement=sketch.displacement,
        **options,
    )


def _require_draws(question: Decide, easiest: Plan) -> None:
    """Refuse a number of draws that certifies nothing, even with the largest sigma."""
    claim = f"a confidence above {exact(question.threshold)} within {exact(question.radius)}"
    try:
        least = required_draws(
            question,
            sigma=easiest.sigma,
            alpha=easiest.alpha,
            score_range=easiest.score_range,
            displacement=easiest.displacement,
            backend=easiest.backend,
        )
    except ValueError as error:
        raise ValueError(
            f"thresholds and radii must be smaller: with sigma = {exact(easiest.sigma)} even "
            f"perfect scores do not certify {claim}"
        ) from error
    if easiest.n < least:
        raise ValueError(
            f"max_draws must be at least {least}, got {easiest.n}: fewer draws do not certify "
            f"{claim} at alpha = {exact(easiest.alpha)}, even if all scores are perfect"
        )


def _forecast(
    pilot: Pilot,
    index: Ints,
    label: Ints,
    plan: Plan,
    questions: tuple[Decide, ...],
    simulated: Callable[..., Runs],
) -> AdaptiveForecast:
    """Forecast one run from one pilot."""
    sketch = pilot.sketch
    drawn = np.isin(index, sketch.index[sketch.n_draws > 0])
    rows = np.searchsorted(sketch.index, index[drawn])
    place = positions(pilot, index)
    top_count = None if pilot.top_count is None else pilot.top_count[place[drawn]]
    runs = simulated(sketch, rows, plan, top_count=top_count, n0=pilot.n0)
    right = pilot.selected[place] == label
    certified, n_draws = np.zeros((2, index.size, runs.n_draws.shape[1]))
    certified[drawn], n_draws[drawn] = runs
    most = float(pilot.n0 + plan.n)
    return AdaptiveForecast(
        pilot=pilot,
        questions=questions,
        certified=mean_of(certified * right[:, None], (0.0, 1.0)),
        mean=mean_of(n_draws, (0.0, most)),
        median=median_of(n_draws, (0.0, most)),
    )


def _choose(singly: Sequence[Sequence[AdaptiveForecast]]) -> int | None:
    """Choose the pilot that certifies most and, among equal ones, the one with fewer draws."""
    certified = [sum(one.certified.value for one in forecasts) for forecasts in singly]
    n_draws = [sum(one.mean.value for one in forecasts) for forecasts in singly]
    place = min(range(len(singly)), key=lambda i: (-certified[i], n_draws[i]))
    return place if certified[place] > 0.0 else None
