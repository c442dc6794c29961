"""Forecasts of certificates for another number of draws, from the counts of a few draws.

A forecast treats the empirical distribution of the available draws as the true one. It is not a
certificate, but an expectation for draws that are still to be made.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks
from smoothbound._utils.renamed import renamed
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend, Band
from smoothbound.bounds._method import Method
from smoothbound.sketch._certify import bound_counts
from smoothbound.sketch._content import rows_of
from smoothbound.sketch._score_sketch import ScoreSketch

__all__ = ["MOST_DRAWS", "Forecast", "forecast", "scaled"]

MOST_DRAWS = 10**7  # in a forecast, because a band of more takes minutes and gigabytes
_ROWS = 256  # number of inputs at a time, because scaled counts take memory


class Forecast(NamedTuple):
    """The expected bounds of n draws.

    Attributes
    ----------
    lower : ndarray of float64, shape (n_inputs, n_radii)
        Forecast certified confidence at each radius.
    radius : ndarray of float64, shape (n_inputs, n_thresholds)
        Forecast certified radius of each threshold; NaN if R = 0 fails.
    """

    lower: NDArray[np.float64]
    radius: NDArray[np.float64]


def scaled(counts: NDArray[np.uint32], n: int) -> NDArray[np.uint32]:
    """Scale the counts of cells to n draws, moving fractions of a draw to lower scores.

    Parameters
    ----------
    counts : ndarray of uint32, shape (n_inputs, n_cells)
        Counts of n_draws >= 1 draws of each input over cells in ascending order.
    n : int
        Number of draws to scale to, at most `MOST_DRAWS`.

    Returns
    -------
    ndarray of uint32, shape (n_inputs, n_cells)
        Counts of n draws. For every j, the cells from j upward together hold n / n_draws times
        their former count, rounded down. For n = n_draws the counts are unchanged.

    Examples
    --------
    >>> scaled(np.array([[1, 0, 1, 1]], np.uint32), 4)
    array([[2, 0, 1, 1]], dtype=uint32)
    """
    reached = counts[:, ::-1].cumsum(axis=1, dtype=np.int64)  # draws in a cell or above it
    reached = reached * n // reached[:, -1:]
    cells = np.diff(reached, axis=1, prepend=0)[:, ::-1]
    return np.ascontiguousarray(cells, dtype=np.uint32)


@renamed(inputs="index")
def forecast(
    sketch: ScoreSketch,
    n: int,
    *,
    radii: ArrayLike = (0.0,),
    thresholds: ArrayLike = (),
    index: ArrayLike | None = None,
    alpha: float = 1e-3,
    band: Band = "ell",
    backend: Backend | None = None,
    threads: int | None = None,
) -> Forecast:
    """Forecast the certificates of n draws of each input of a sketch, by Theorem 2.

    The counts are scaled to n draws (see `scaled`) and bounded by the band of n draws, with the
    edges as knots. For n equal to the number of draws in the sketch, the forecast equals the result
    of `ScoreSketch.certify`.

    Parameters
    ----------
    sketch : ScoreSketch
        Counts of the draws of each input, with their sigma.
    n : int
        Number of draws to forecast, 1 to 2^31 - 1.
    radii, thresholds, alpha, band, backend, threads
        As in `certify_scores`.
    index : array-like of int, shape (n_inputs,), optional
        Ids of the inputs; by default all inputs of the sketch, in their order.

    Returns
    -------
    Forecast

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range stated above, the sketch does not
        record its sigma, or an input is not in it or has no draws.

    Notes
    -----
    The forecast treats the distribution of the draws in the sketch as the true one. Scaled counts
    are rounded down, by less than one draw. Because psi_r is convex, the forecast from few draws is
    too high on average for R > 0. A tail that the draws did not reach is assumed to be empty.

    Examples
    --------
    >>> pilot = ScoreSketch(sigma=0.25)
    >>> pilot.update(np.random.default_rng(0).beta(20, 1, size=(1, 1000)))
    >>> few, many = (forecast(pilot, n, radii=[0.25]).lower[0, 0] for n in (1000, 100_000))
    >>> bool(few == pilot.certify(radii=[0.25]).lower[0, 0] < many)
    True
    """
    n = _checked_n(n)
    sigma = checks.instance("sketch", sketch, ScoreSketch).sigma
    if not isinstance(sigma, float):
        raise ValueError(
            "sketch must record the sigma of its draws, one for all inputs: make it with "
            "ScoreSketch(sigma=)"
        )
    alpha = checks.alpha("alpha", alpha)
    Method("cdf", band)
    grid = checks.radii("radii", radii)
    cuts = checks.thresholds("thresholds", thresholds, sketch.score_range)
    backend = backends.resolve(backend)
    rows, counts = _rows(sketch, index), sketch.counts
    lower, radius = np.empty((rows.size, grid.size)), np.empty((rows.size, cuts.size))
    for start in range(0, rows.size, _ROWS):
        part = slice(start, start + _ROWS)
        cells = scaled(counts[rows[part]], n)
        lower[part], radius[part] = bound_counts(
            sketch.edges,
            backend,
            band,
            cells,
            np.full(len(cells), n),
            displacement=sketch.displacement,
            side="lower",
            sigma=sigma,
            alpha=alpha,
            radii=grid,
            thresholds=cuts,
            threads=backends.choose_threads(threads, cells.size),
        )
    return Forecast(lower, radius)


def _checked_n(n: int) -> int:
    n = checks.count("n", n)
    if n > MOST_DRAWS:
        raise ValueError(f"n must be at most {MOST_DRAWS}, got {n}")
    return n


def _rows(sketch: ScoreSketch, index: ArrayLike | None) -> NDArray[np.int64]:
    """Return the rows of these inputs in the sketch, which must have draws."""
    rows = rows_of(sketch.index, "index", index)
    drawn = sketch.n_draws[rows] > 0
    if not drawn.all():
        undrawn = sketch.index[rows[~drawn]]
        raise ValueError(f"input {undrawn[0]} has no draws; update the sketch first")
    return rows
