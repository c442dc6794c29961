"""Recognition of scores that were counted before, because counting twice makes certificates false.

Two kinds of data are kept. The *beginnings* of the latest arrays show that a whole array is
repeated. A sample of *stretches*, which are 32 consecutive draws of an input, shows that a part of
an earlier array is repeated. The part may begin anywhere, because only the scores of a stretch
decide whether it is in the sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from smoothbound._files.checksum import digest
from smoothbound._utils.spread import evenly_spread

__all__ = ["Marks", "Seen", "begin", "mark", "marks"]

_ROWS, _DRAWS = 4, 32  # rows and draws of a beginning; a stretch has as many draws
_BITS = 64  # other draws have the same beginning with probability at most 2^-64
_STRETCH_BITS = 96  # more, because more stretches than beginnings are compared
_REMEMBERED = 4096  # beginnings
_SAMPLE = 1024  # stretches
_BLOCK = 2**20  # scores at a time
_CHUNK = 2**16  # scores whose ranks stay in the cache
_LEVELS = 2**64 // 64  # number of keys of one level
_FIRST_LEVEL = 3  # one stretch in 2^3 is examined
_VARIED = 64  # least number of different values among 1024; with fewer, chance repeats stretches

_FACTOR = np.uint32(0xC2B2AE35)  # chosen so that 0, 1/2, 1 and -1 do not begin a stretch
_PLACES = np.arange(1, _DRAWS + 1, dtype=np.uint64) << np.uint64(32)

Keys = NDArray[np.uint64]  # ascending; the 6 high bits are 63 - level, the others a digest
_NONE: Keys = np.empty(0, np.uint64)


class Marks(NamedTuple):
    """Marks that identify the scores of an array.

    Attributes
    ----------
    beginning : bytes or None
        Digest of the beginning; None if the beginning could repeat by chance.
    stretches : ndarray of uint64
        Keys of a sample of the stretches.
    repeats : bool
        Whether a stretch of the sample occurs twice in the array itself.
    """

    beginning: bytes | None
    stretches: Keys = _NONE
    repeats: bool = False


class Seen:
    """The beginnings of the latest arrays, and a sample of stretches of all arrays.

    The sample holds at most 1024 stretches for any number of scores. Suppose that n scores are
    counted, and m consecutive ones among them a second time. The probability of missing this is
    about exp(-1024 m / n), or exp(-m / 8) for n below 8192.
    """

    def __init__(self, beginnings: Iterable[bytes] = (), stretches: Keys = _NONE) -> None:
        self._beginnings = dict.fromkeys(list(beginnings)[-_REMEMBERED:])
        self._stretches = _ascending(stretches)[:_SAMPLE]

    def __or__(self, other: Seen) -> Seen:
        stretches = np.concatenate([self._stretches, other._stretches])
        return Seen([*self._beginnings, *other._beginnings], stretches)

    @property
    def beginnings(self) -> tuple[bytes, ...]:
        """Beginnings of arrays, the latest last."""
        return tuple(self._beginnings)

    @property
    def stretches(self) -> Keys:
        """The sample."""
        return self._stretches

    def copy(self) -> Seen:
        """Return an independent copy."""
        return self | Seen()

    def marks(self, index: NDArray[np.int64], scores: NDArray[np.floating]) -> Marks:
        """Return the marks of an array without stretches that cannot enter the sample."""
        return marks(index, scores, _level(self._stretches))

    def has(self, made: Marks) -> bool:
        """Return whether scores with these marks were counted before, or twice in one array."""
        known = made.beginning in self._beginnings
        return known or made.repeats or bool(np.isin(made.stretches, self._stretches).any())

    def add(self, made: Marks) -> None:
        """Remember an array."""
        if made.beginning is not None:
            self._beginnings[made.beginning] = None
            if len(self._beginnings) > _REMEMBERED:
                del self._beginnings[next(iter(self._beginnings))]
        joined = np.concatenate([self._stretches, made.stretches])
        self._stretches = _ascending(joined)[:_SAMPLE]


def begin(scores: Any) -> tuple[NDArray[np.int64], Any]:
    """Return some rows of an array or tensor, and the first scores of these rows."""
    rows = evenly_spread(len(scores), _ROWS)
    return rows, [scores[row, :_DRAWS] for row in rows.tolist()]


def mark(index: NDArray[np.int64], beginning: NDArray[np.floating]) -> bytes | None:
    """Return a digest that identifies a beginning; None if the beginning could repeat by chance.

    Parameters
    ----------
    index : ndarray of int64, shape (n_rows,)
        Id of the input of each row.
    beginning : ndarray, shape (n_rows, n_draws)

    Notes
    -----
    A sequence of m independent draws has probability at most exp(-m H) under every distribution,
    where H is the entropy of its own frequencies. Among sequences with D different values, H is
    smallest if one value has all the other draws, so m H >= (D - 1) log m.

    Examples
    --------
    >>> rows = np.random.default_rng(0).uniform(size=(2, 100))
    >>> ids = np.array([3, 5])
    >>> mark(ids, rows) == mark(ids, rows.copy()), mark(ids, rows) == mark(ids, rows[:, 1:])
    (True, False)
    >>> mark(ids, np.ones((2, 100))) is None
    True
    """
    wide = beginning.astype(np.float64)
    if _different(wide).sum() * np.log2(wide.shape[1]) < _BITS:
        return None
    return digest(index.tobytes(), wide.tobytes())


def marks(index: NDArray[np.int64], scores: NDArray[np.floating], level: int) -> Marks:
    """Return the marks of an array, with the stretches of a level and above.

    Examples
    --------
    >>> rows = np.random.default_rng(0).uniform(size=(2, 1000))
    >>> ids = np.array([3, 5])
    >>> whole, half = marks(ids, rows, 0), marks(ids, rows[:, 500:], 0)
    >>> len(half.stretches) > 50, bool(np.isin(half.stretches, whole.stretches).all())
    (True, True)
    >>> len(marks(ids, np.round(rows), 0).stretches)  # zeros and ones
    0
    """
    rows, beginning = begin(scores)
    found, repeats = _NONE, False
    level = max(level, int(scores.size / (2 * _SAMPLE)).bit_length())
    for ids, block in _blocks(index, scores):
        new = _stretches(ids, block, max(level, _level(found)))
        joined = np.concatenate([found, new])
        found = _ascending(joined)
        repeats |= found.size < joined.size
        found = found[:_SAMPLE]
    return Marks(mark(index[rows], np.stack(beginning)), found, repeats)


def _blocks(
    index: NDArray[np.int64], scores: NDArray[np.floating]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield the ids and the scores of parts of an array; each stretch lies in one part."""
    n_rows, n_draws = scores.shape
    height = max(1, _BLOCK // n_draws)
    for top in range(0, n_rows, height):
        for left in range(0, n_draws - _DRAWS + 1, _BLOCK):
            block = scores[top : top + height, left : left + _BLOCK + _DRAWS - 1]
            yield index[top : top + height], np.ascontiguousarray(block, np.float32)


def _stretches(index: NDArray[np.int64], block: NDArray[np.float32], level: int) -> Keys:
    """Return the keys of the stretches of a level and above that do not repeat by chance."""
    scores, width = block.ravel(), block.shape[1]
    if _different(scores[None, :1024])[0] + 1 < min(_VARIED, block.size):
        return _NONE
    starts = _starts(scores.view(np.uint32), max(level, _FIRST_LEVEL))
    rows, places = np.divmod(starts, width)
    whole = places <= width - _DRAWS  # other stretches would extend into the next row
    starts, rows = starts[whole], rows[whole]
    windows = sliding_window_view(scores, _DRAWS)[starts]
    rare = _different(windows) * np.log2(_DRAWS) >= _STRETCH_BITS
    starts, rows, windows = starts[rare], rows[rare], windows[rare]
    summed = _mixed(windows.view(np.uint32) + _PLACES).sum(axis=1, dtype=np.uint64)
    key = _mixed(summed ^ _mixed(index[rows].astype(np.uint64)))
    ranks = scores.view(np.uint32)[starts] * _FACTOR
    ones = 32 - np.frexp((~ranks).astype(np.float64))[1]  # leading ones of the rank
    keys: Keys = (63 - ones.astype(np.uint64)) * np.uint64(_LEVELS) + key % np.uint64(_LEVELS)
    return keys


def _starts(bits: NDArray[np.uint32], level: int) -> NDArray[np.int64]:
    """Return where stretches of a level begin: at scores whose rank begins with `level` ones.

    The rank of a score is the product of its bits with a constant, modulo 2^32. This function reads
    every score, so its arrays fit in the cache and are reused.
    """
    least = np.uint32(2**32 - 2 ** (32 - level))
    ranks, chosen = np.empty(_CHUNK, np.uint32), np.empty(_CHUNK, np.bool_)
    found = [np.empty(0, np.int64)]
    for start in range(0, bits.size, _CHUNK):
        part = bits[start : start + _CHUNK]
        np.multiply(part, _FACTOR, out=ranks[: part.size])
        np.greater_equal(ranks[: part.size], least, out=chosen[: part.size])
        found.append(start + np.flatnonzero(chosen[: part.size]))
    return np.concatenate(found)


def _different(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the number of different values of each row, minus one."""
    ordered = np.sort(values, axis=1)
    return np.asarray(np.count_nonzero(ordered[:, 1:] != ordered[:, :-1], axis=1))


def _mixed(numbers: Keys) -> Keys:
    """Spread numbers over 64 bits (the last step of SplitMix64; Steele, Lea, Flood 2014)."""
    mixed: Keys = numbers >> np.uint64(30)
    mixed ^= numbers
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _ascending(keys: Keys) -> Keys:
    """Return keys in ascending order without repetition."""
    ordered = np.sort(keys)
    return np.concatenate([ordered[:1], ordered[1:][ordered[1:] != ordered[:-1]]])


def _level(keys: Keys) -> int:
    """Return the level below which stretches cannot enter a sample any more."""
    return 0 if keys.size < _SAMPLE else 63 - int(keys[-1]) // _LEVELS
