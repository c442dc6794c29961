"""The permutation of draws whose order is unknown, for machines without the C++ core.

It is that of the core, bit for bit: Fisher and Yates, by the words of Philox 4x32-10 with the seed
as key and the number of the row in the counter. The comments of
cpp/include/smoothbound/detail/permute.hpp say why and how.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._numba.jit import jit

__all__ = ["permuted"]

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@jit
def _philox(number: int, row: int, seed: int, out: NDArray[np.uint64]) -> None:
    """Fill `out` with the four words of the block of a row and a number."""
    c0, c1 = np.uint64(number), row & _LOW
    c2, c3 = np.uint64(0x80000000), row >> _HALF
    k0, k1 = seed & _LOW, seed >> _HALF
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c0
        p1 = np.uint64(0xCD9E8D57) * c2
        c0 = (p1 >> _HALF) ^ c1 ^ k0
        c1 = p1 & _LOW
        c2 = (p0 >> _HALF) ^ c3 ^ k1
        c3 = p0 & _LOW
        k0 = (k0 + np.uint64(0x9E3779B9)) & _LOW
        k1 = (k1 + np.uint64(0xBB67AE85)) & _LOW
    out[0], out[1], out[2], out[3] = c0, c1, c2, c3


@jit
def _permute(draws: NDArray[Any], steps: int, seed: int, row: int) -> None:
    words = np.empty(4, np.uint64)
    used = 0
    for i in range(steps):
        n = np.uint64(draws.size - i)
        rest = np.uint64(1 << 32) % n  # words whose low half is below it would favour small numbers
        while True:
            if used % 4 == 0:
                _philox(used // 4, row, seed, words)
            product = words[used % 4] * n
            used += 1
            if product & _LOW >= rest:
                break
        j = i + np.int64(product >> _HALF)
        draws[i], draws[j] = draws[j], draws[i]


def permuted(draws: NDArray[np.floating], steps: int, seed: int, row: int) -> NDArray[Any]:
    """Return a copy of a row after the first `steps` steps of its permutation, as float64.

    Its first `steps` elements are those of the whole permutation.
    """
    copy = draws.astype(np.float64)
    _permute(copy, steps, np.uint64(seed), np.uint64(row))
    return copy
