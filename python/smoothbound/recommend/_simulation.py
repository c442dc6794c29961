"""Simulated adaptive runs, whose draws have a distribution that the draws of a pilot suggest.

A pilot does not determine the distribution of the scores exactly. Each simulated run of an input
therefore has a distribution of its own: the counted scores with random weights (the Bayesian
bootstrap, Rubin 1981). Half a draw is spread evenly over the range, because there may be a tail
that the pilot did not reach. The anytime test does the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smoothbound.anytime._job.job import Plan
from smoothbound.sampling._in_flight import CLEAR_LEAD
from smoothbound.sketch._content import cell_centers
from smoothbound.sketch._score_sketch import ScoreSketch

__all__ = ["Population", "Runs", "least_on_top", "select_class", "simulate"]

Floats = NDArray[np.float64]

_UNSEEN = 0.5  # draws


class Runs(NamedTuple):
    """Simulated runs of some inputs.

    Attributes
    ----------
    certified : ndarray of bool, shape (n_inputs, n_runs)
        Whether all questions were certified.
    n_draws : ndarray of int64, shape (n_inputs, n_runs)
        Number of draws, including those that selected the class.
    """

    certified: NDArray[np.bool_]
    n_draws: NDArray[np.int64]


class Population:
    """A random distribution of the scores of one input, generated from its counted draws.

    Parameters
    ----------
    scores : ndarray of float64, shape (n_cells,)
        One score for each cell of a sketch, ascending; the first and the last are the range.
    counts : ndarray of uint32, shape (n_cells,)
        Number of draws in each cell.
    generator : numpy.random.Generator
        Generates the weights, and later the draws.
    """

    def __init__(
        self, scores: Floats, counts: NDArray[np.uint32], generator: np.random.Generator
    ) -> None:
        held = np.flatnonzero(counts)
        weights = generator.standard_gamma(np.append(counts[held], _UNSEEN))
        self._up_to = np.cumsum(weights[:-1] / weights.sum())
        self._held = scores[held]
        self._range = scores[0], scores[-1]
        self._generator = generator

    def draw(self, n: int) -> Floats:
        """Simulate the scores of n draws."""
        cell = np.searchsorted(self._up_to, self._generator.random(n), side="right")
        seen = cell < self._held.size
        scores = self._generator.uniform(*self._range, size=n)
        scores[seen] = self._held[cell[seen]]
        return scores


def least_on_top(scores: Floats, counts: NDArray[np.uint32], top_count: int) -> float:
    """Return the smallest score at which the class is assumed to have the largest output.

    The number of counted draws with this score or a larger one equals the number of votes of the
    class, because the votes of single draws are not stored.

    Examples
    --------
    >>> least_on_top(np.array([0.0, 0.5, 1.0]), np.array([5, 3, 2], np.uint32), 4)
    0.5
    """
    reached = counts[::-1].cumsum(dtype=np.int64)
    place = int(np.searchsorted(reached, top_count))
    return float(scores[::-1][place]) if 0 < top_count <= reached[-1] else np.inf


def select_class(population: Population, n0: int, on_top: float) -> Floats:
    """Simulate the draws that select the class, and return their scores.

    The selection ends like that of an adaptive run: when the class leads clearly, and after n0
    draws at the latest. A draw counts for the class if its score is at least `on_top`, and
    otherwise for a single other class, so the selection may take a little longer than with several.
    """
    scores = population.draw(n0)
    lead = np.cumsum(np.where(scores >= on_top, 1, -1))
    clear = np.flatnonzero(lead >= CLEAR_LEAD)
    return scores[: clear[0] + 1] if clear.size else scores


def simulate(
    sketch: ScoreSketch,
    rows: NDArray[np.int64],
    plan: Plan,
    *,
    top_count: NDArray[np.int64] | None,
    n0: int,
    n_runs: int,
    seed: int,
    advance: Callable[[int], object] = lambda count: None,
) -> Runs:
    """Simulate adaptive runs of some inputs of a sketch.

    Parameters
    ----------
    sketch : ScoreSketch
    rows : ndarray of int64, shape (n_inputs,)
        Positions of the inputs in the sketch, which must have draws.
    plan : Plan
        The questions about each input.
    top_count : ndarray of int64, shape (n_inputs,), optional
        Number of draws in which the class had the largest output; by default the draws with a score
        above the middle of the range.
    n0 : int
        Largest number of draws that select a class.
    n_runs : int
        Number of runs of each input.
    seed : int
        Of the made-up draws.
    advance : callable
        Takes the number of inputs just done.

    Returns
    -------
    Runs
    """
    scores, counts = cell_centers(sketch.edges), sketch.counts
    if top_count is None:
        top_count = counts[rows][:, scores > sum(sketch.score_range) / 2].sum(axis=1)
    certified = np.zeros((rows.size, n_runs), np.bool_)
    n_draws = np.zeros((rows.size, n_runs), np.int64)
    for i, row in enumerate(rows):
        generator = np.random.default_rng([seed, int(sketch.index[row])])
        on_top = least_on_top(scores, counts[row], int(top_count[i]))
        for k in range(n_runs):
            population = Population(scores, counts[row], generator)
            first = select_class(population, n0, on_top)
            certified[i, k], n_estimation = _run(plan, population, first)
            n_draws[i, k] = first.size + n_estimation
        advance(1)
    return Runs(certified, n_draws)


def _run(plan: Plan, population: Population, first: Floats) -> tuple[bool, int]:
    """Draw until the questions are answered; return whether all are certified, and the draws."""
    job = plan.start()
    job.begin(0, first)
    while job.remaining:
        job.update(population.draw(job.remaining))
    return all(answer.certified for answer in job.test.answers), job.test.n_draws
