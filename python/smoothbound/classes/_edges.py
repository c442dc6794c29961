"""The edges over which the scores of all classes are counted unless others are stated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_BINS", "default_edges"]

MAX_BINS = 2**13  # the cells of an input are numbered in 16 bits, twice each at most
_EQUAL = 2**10  # equal intervals
_SMALLEST = -16  # exponent of the narrowest interval


def default_edges() -> NDArray[np.float64]:
    """Return 1024 equal intervals of [0, 1], the first and the last cut by halves down to 2^-16.

    Most classes have scores close to 0, and the selected class often has scores close to 1. The
    narrow intervals there keep the bounds on such scores close, and take few cells. Every edge is a
    float32.

    Returns
    -------
    ndarray of float64, shape (1037,)

    Examples
    --------
    >>> edges = default_edges()
    >>> edges[:8].tolist() == [0, 2**-16, 2**-15, 2**-14, 2**-13, 2**-12, 2**-11, 2**-10]
    True
    >>> bool((edges == 1 - edges[::-1]).all()), 0.5 in edges
    (True, True)
    """
    equal = np.arange(_EQUAL + 1) / _EQUAL
    halves = 2.0 ** np.arange(_SMALLEST, np.log2(equal[1]))
    return np.sort(np.concatenate([equal, halves, 1.0 - halves]))
