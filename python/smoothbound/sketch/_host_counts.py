"""Counts of scores in the memory of the host."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend
from smoothbound.sketch._content import SketchContent
from smoothbound.sketch._draw_numbers import Draws

__all__ = ["count"]


def count(
    content: SketchContent,
    scores: NDArray[np.floating],
    rows: NDArray[np.int64],
    draws: Draws,
    *,
    backend: Backend | None,
    threads: int | None,
) -> None:
    """Add scores to the counts of a sketch. If one is bad, none is added.

    Parameters
    ----------
    content : SketchContent
        The sketch. Its counts change, its draws do not.
    scores : ndarray, shape (n_rows, n_draws)
    rows : ndarray of int64, shape (n_rows,)
        The input that each row belongs to.
    draws : ndarray of int64, shape (n_rows, 3)
        The interval of draws of each row, for errors.
    backend, threads
        As in `ScoreSketch.update`.

    Raises
    ------
    ValueError
        If a score is NaN or out of range.
    """
    every = np.array_equal(rows, np.arange(content.index.size))
    width = content.counts.shape[1]
    counts = content.counts if every else np.zeros((rows.size, width), np.uint32)
    counter = _counter(backends.resolve(backend), content.edges.tobytes())
    bad = counter.count(scores, counts, backends.choose_threads(threads, scores.size))
    if bad >= 0:
        a, b = content.score_range
        row = scores[bad].astype(np.float64)  # the type of the row would round a and b
        j = checks.first_outside(row, a, b)
        raise ValueError(
            f"scores must be finite and within score_range [{a}, {b}], got scores[{bad}, {j}] "
            f"= {row[j]} (draw {draws[bad, 1] + j} of input {draws[bad, 0]}); none of these "
            f"{scores.size} scores was counted"
        )
    if not every:
        content.counts[rows] += counts


@lru_cache(maxsize=16)
def _counter(backend: Backend, edges: bytes) -> Any:
    """Return a backend's counter, which all sketches with these edges share."""
    return backends.load(backend).ScoreCounter(np.frombuffer(edges))
