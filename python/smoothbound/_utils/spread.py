"""Some of many items, spread evenly over all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["evenly_spread"]


def evenly_spread(total: int, most: int) -> NDArray[np.int64]:
    """Return the positions of at most `most` of `total` items, spread evenly over all of them.

    Examples
    --------
    >>> evenly_spread(11, 3), evenly_spread(2, 3)
    (array([ 0,  5, 10]), array([0, 1]))
    """
    return np.linspace(0, total - 1, min(total, most)).astype(np.int64)
