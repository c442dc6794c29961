"""Indices of inputs from their content, for libraries whose inputs have no indices."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound.noise._streams import MAX_INDEX

__all__ = ["row_keys"]


def row_keys(rows: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Return an index for each row, from 0 to 2^31 - 1, that depends only on its content.

    The noise of a row then does not depend on the order of the rows or on other rows. Two rows have
    the same noise with probability 2^-31. Their certificates, which hold one by one, allow this.

    Parameters
    ----------
    rows : ndarray of float, shape (n_rows, ...)

    Examples
    --------
    >>> one, two, three = row_keys(np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]])).tolist()
    >>> one == two, one == three
    (True, False)
    """
    plain = np.ascontiguousarray(rows + 0.0, dtype="<f8")  # -0.0 becomes 0.0
    words = [int.from_bytes(blake2b(row, digest_size=4).digest(), "little") for row in plain]
    return np.array(words, np.int64) & MAX_INDEX
