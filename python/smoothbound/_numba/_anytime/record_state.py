"""A record of draws in bytes, where the C++ core is missing: those of the core.

The layout is stated in cpp/src/record_state.cpp.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smoothbound._numba._anytime.knots import KNOTS, MASS, MOST_DRAWS, look_after
from smoothbound.backends._names import Side

__all__ = ["Contents", "checksum", "from_bytes", "to_bytes"]

_MAGIC, _VERSION = b"SBDR", 2
_CHECKSUM_SIZE = 8
_LEAST_WIDTH = 1e-300


class Contents(NamedTuple):
    """The contents of a record: the range, and the masses at the knots.

    `blocks` are those of the draws between looks, and at the end of those after the last look.
    """

    a: float
    b: float
    side: Side
    n_guess: int
    guessed: NDArray[np.int64]
    n_draws: int
    blocks: list[NDArray[np.int64]]


def checksum(contents: bytes | bytearray) -> bytes:
    """Return FNV-1a of 64 bits."""
    state = 0xCBF29CE484222325
    for byte in contents:
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return state.to_bytes(_CHECKSUM_SIZE, "little")


def _number(x: int) -> Iterable[int]:
    while x >= 0x80:
        yield x % 0x80 | 0x80
        x >>= 7
    yield x


def _masses(dense: NDArray[np.integer]) -> Iterable[int]:
    knots = np.flatnonzero(dense)
    yield from _number(len(knots))
    following = 0
    for knot in knots.tolist():
        yield from _number(knot - following)
        yield from _number(int(dense[knot]))
        following = knot + 1


def to_bytes(whole: Contents) -> bytes:
    """Return a record in bytes, the same on every machine."""
    contents = bytearray(_MAGIC)
    contents += struct.pack("<BBdd", _VERSION, whole.side == "upper", whole.a, whole.b)
    contents += bytes(_number(whole.n_guess)) + bytes(_masses(whole.guessed))
    contents += bytes(_number(whole.n_draws))
    for block in whole.blocks:
        contents += bytes(_masses(block))
    return bytes(contents) + checksum(contents)


class _Reader:
    """Reads bytes from the first to the last; a ValueError without words where they end early."""

    def __init__(self, contents: bytes) -> None:
        self._bytes, self._at = contents, 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._bytes)

    def number(self) -> int:
        """Read a number below 2^56, in as few bytes as it takes."""
        x = 0
        for shift in range(0, 56, 7):
            if self.at_end:
                break
            group = self._bytes[self._at]
            self._at += 1
            x |= (group & 0x7F) << shift
            if group >= 0x80:
                continue
            if group == 0 and shift > 0:
                break
            return x
        raise ValueError

    def draws(self) -> int:
        n = self.number()
        if n > MOST_DRAWS:
            raise ValueError
        return n

    def masses(self, n_draws: int) -> NDArray[np.int64]:
        """Read the masses of a number of draws together."""
        dense = np.zeros(len(KNOTS), np.int64)
        following = 0
        for _ in range(self.number()):
            knot, mass = following + self.number(), self.number()
            if knot >= len(dense) or not 0 < mass <= MASS * n_draws:
                raise ValueError
            dense[knot] = mass
            following = knot + 1
        if int(dense.sum()) != MASS * n_draws:
            raise ValueError
        return dense


def from_bytes(state: bytes) -> Contents:
    """Return the record that was saved; other bytes are refused.

    Raises
    ------
    ValueError
        If the bytes are not those of a record, whole, unchanged and possible.
    """
    size = f", got {len(state)} bytes"
    if len(state) < len(_MAGIC) + 1 + _CHECKSUM_SIZE or not state.startswith(_MAGIC):
        raise ValueError("state must be what a record was saved to" + size)
    if state[len(_MAGIC)] != _VERSION:
        raise ValueError(
            f"state must be of version {_VERSION} (or read it with the smoothbound that wrote it, "
            f"or make the draws again), got {state[len(_MAGIC)]}"
        )
    contents = state[:-_CHECKSUM_SIZE]
    if state[-_CHECKSUM_SIZE:] != checksum(contents):
        raise ValueError("state must be whole and unchanged, as its checksum is" + size)
    try:
        return _read(contents[len(_MAGIC) + 1 :])
    except (ValueError, struct.error):
        raise ValueError("state must hold numbers that a record can have" + size) from None


def _read(contents: bytes) -> Contents:
    head = struct.Struct("<Bdd")
    side, a, b = head.unpack_from(contents)
    if side > 1 or not _LEAST_WIDTH <= b - a < np.inf:
        raise ValueError
    reader = _Reader(contents[head.size :])
    n_guess = reader.draws()
    guessed = reader.masses(n_guess)
    n_draws, blocks, look = reader.draws(), [], 0
    while (following := look_after(look)) <= n_draws:
        blocks.append(reader.masses(following - look))
        look = following
    blocks.append(reader.masses(n_draws - look))
    if not reader.at_end:
        raise ValueError
    return Contents(a, b, "upper" if side else "lower", n_guess, guessed, n_draws, blocks)
