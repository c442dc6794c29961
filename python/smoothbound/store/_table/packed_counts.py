"""Compressed counts of a sketch of one input: a few kilobytes, because most cells are empty."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack", "unpack"]


def pack(counts: NDArray[np.uint32]) -> bytes:
    """Pack counts: little-endian, 32 bits each, deflated.

    Parameters
    ----------
    counts : ndarray of uint32, shape (n_cells,)

    Returns
    -------
    bytes

    Examples
    --------
    >>> counts = np.zeros(8193, np.uint32)
    >>> counts[-1] = 100_000
    >>> len(pack(counts)) < 100, np.array_equal(unpack(pack(counts), 8193), counts)
    (True, True)
    """
    return zlib.compress(counts.astype("<u4").tobytes())


def unpack(packed: bytes, n_cells: int) -> NDArray[np.uint32]:
    """Unpack the result of `pack` for `n_cells` counts. Other data never makes more numbers.

    Raises
    ------
    ValueError
        If the data is damaged, or does not hold `n_cells` counts.
    """
    stream, size = zlib.decompressobj(), 4 * n_cells
    try:
        data = stream.decompress(packed, size)
    except zlib.error as error:
        raise ValueError(f"they cannot be unpacked: {error}") from None
    if len(data) != size or not stream.eof or stream.unused_data:
        raise ValueError(f"{n_cells} counts are needed, not fewer or more")
    return np.frombuffer(data, "<u4").astype(np.uint32)
