"""The numbers of the draws in a sketch, as intervals, so that no draw is counted twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LAST", "Draws", "after_last", "join", "totals"]

LAST = 2**63 - 1  # the largest int64

Draws = NDArray[np.int64]  # (n, 3): input, first draw, draw after the last


def join(*parts: Draws) -> Draws:
    """Sort intervals of draws and join adjacent ones, so that equal sets have equal intervals.

    Raises
    ------
    ValueError
        If two intervals overlap.
    """
    draws: Draws = np.concatenate(parts)
    draws = draws[np.lexsort((draws[:, 1], draws[:, 0]))]
    same_input = draws[1:, 0] == draws[:-1, 0]
    overlap = same_input & (draws[1:, 1] < draws[:-1, 2])
    if overlap.any():
        i = int(np.argmax(overlap))
        one, two = draws[i], draws[i + 1]
        raise ValueError(
            f"a draw must be counted only once: for input {one[0]}, the draws {one[1]} to "
            f"{one[2] - 1} and {two[1]} to {two[2] - 1} overlap; if they are different draws, "
            "number them differently with first_draw"
        )
    begins = np.ones(len(draws), bool)
    begins[1:] = ~(same_input & (draws[1:, 1] == draws[:-1, 2]))
    ends = np.ones(len(draws), bool)
    ends[:-1] = begins[1:]
    return np.column_stack([draws[begins, :2], draws[ends, 2]])


def totals(draws: Draws, index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of draws of each input. The ids in `index` ascend."""
    total: NDArray[np.int64] = np.zeros(index.size, np.int64)
    np.add.at(total, np.searchsorted(index, draws[:, 0]), draws[:, 2] - draws[:, 1])
    return total


def after_last(draws: Draws, index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number after the last draw of each input. The ids in `index` ascend."""
    after: NDArray[np.int64] = np.zeros(index.size, np.int64)
    np.maximum.at(after, np.searchsorted(index, draws[:, 0]), draws[:, 2])
    return after
