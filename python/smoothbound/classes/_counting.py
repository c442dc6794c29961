"""Counts of the scores of all classes, made in the memory of the host."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend
from smoothbound.classes._rows import ClassRows
from smoothbound.sketch._content import n_cells

__all__ = ["count_scores"]


def count_scores(
    scores: NDArray[np.floating],
    classes: NDArray[np.int64],
    edges: NDArray[np.float64],
    *,
    backend: Backend | None,
    threads: int | None,
) -> list[ClassRows]:
    """Count the scores and votes of each input, and keep those of some classes.

    Parameters
    ----------
    scores : ndarray of floats, shape (n_inputs, n_draws, n_model_classes)
    classes : ndarray of int64, shape (n_classes,)
    edges : ndarray of float64, shape (n_edges,)
    backend, threads
        As in `ScoreSketch.update`.

    Raises
    ------
    ValueError
        If a score is NaN or outside the edges.
    """
    counter = backends.load(backends.resolve(backend)).ScoreCounter(edges)
    total = scores.shape[2]
    made = []
    for i, own in enumerate(scores):
        counts = np.zeros((total, n_cells(edges.size)), np.uint32)
        of_class = np.ascontiguousarray(own.T)
        bad = counter.count(of_class, counts, backends.choose_threads(threads, own.size))
        if bad >= 0:
            j = checks.first_outside(of_class[bad].astype(np.float64), edges[0], edges[-1])
            raise ValueError(
                f"scores must be finite and in [{edges[0]:g}, {edges[-1]:g}], got "
                f"scores[{i}, {j}, {bad}] = {own[j, bad]}"
            )
        votes = np.bincount(own.argmax(axis=1), minlength=total)
        made.append(ClassRows.of_table(np.column_stack([counts, votes])[classes], total))
    return made
