"""The counts of all classes of one input. Only counts above 0 are kept, in 16 bits each.

A row of the table belongs to a class. It has a column for each cell of the edges, as in a
`ScoreSketch`, and one more for the votes: the number of draws in which the class has the largest
output.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smoothbound._files.plain import memory_limit

__all__ = ["ClassRows"]

_HEAD = struct.Struct("<II")  # classes, entries
_TOTAL = struct.Struct("<I")  # classes of the model; with the counts, whose checksum covers it
_WIDE = 16  # bits of an entry


@dataclass(frozen=True, eq=False)
class ClassRows:
    """The counts of one input that are above 0, class after class.

    An entry is a column of the table with a count below 2^16. A larger count has two entries, of
    which the second repeats the column and holds the upper 16 bits. Columns ascend within a class.

    Attributes
    ----------
    n_model_classes : int
        Number of classes of the model, of which `n_classes` were counted.
    lengths : ndarray of uint16, shape (n_classes,)
        Number of entries of each class.
    columns, counts : ndarray of uint16, shape (n_entries,)
    """

    n_model_classes: int
    lengths: NDArray[np.uint16]
    columns: NDArray[np.uint16]
    counts: NDArray[np.uint16]

    @property
    def nbytes(self) -> int:
        """Number of bytes of the arrays."""
        return self.lengths.nbytes + self.columns.nbytes + self.counts.nbytes

    @classmethod
    def of_table(cls, table: NDArray[np.integer], n_model_classes: int | None = None) -> ClassRows:
        """Keep the counts of a table.

        Parameters
        ----------
        table : ndarray of int, shape (n_classes, n_columns)
            Counts from 0 to 2^32 - 1.
        n_model_classes : int, optional
            By default the table has all classes of the model.

        Examples
        --------
        >>> rows = ClassRows.of_table(np.array([[0, 3, 0], [70_000, 0, 1]]))
        >>> rows.lengths.tolist(), rows.columns.tolist(), rows.counts.tolist()
        ([1, 3], [1, 0, 0, 2], [3, 4464, 1, 1])
        """
        which, columns = np.nonzero(table)
        values = table[which, columns].astype(np.int64)
        upper = values >> _WIDE
        times = 1 + (upper > 0)
        second = np.zeros(int(times.sum()), bool)
        second[np.cumsum(times)[upper > 0] - 1] = True
        low = np.repeat(values & 0xFFFF, times)
        return cls(
            len(table) if n_model_classes is None else n_model_classes,
            np.bincount(np.repeat(which, times), minlength=len(table)).astype(np.uint16),
            np.repeat(columns, times).astype(np.uint16),
            np.where(second, np.repeat(upper, times), low).astype(np.uint16),
        )

    def table(self, n_columns: int) -> NDArray[np.int64]:
        """Return the table of all counts, shape (n_classes, n_columns)."""
        made = np.zeros((self.lengths.size, n_columns), np.int64)
        which, columns, values = self.entries()
        np.add.at(made, (which, columns), values)
        return made

    def entries(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return class, column and value of each entry; values of the same column are summed."""
        which = np.repeat(np.arange(self.lengths.size), self.lengths)
        columns = self.columns.astype(np.int64)
        return which, columns, self.counts.astype(np.int64) << (_WIDE * self._is_second(which))

    def sums(self, first: int, after: int | None = None) -> NDArray[np.int64]:
        """Sum the counts of each class from a column on, up to another column or the last.

        Returns
        -------
        ndarray of int64, shape (n_classes,)
        """
        which, columns, values = self.entries()
        chosen = columns >= first
        if after is not None:
            chosen &= columns < after
        made = np.zeros(self.lengths.size, np.int64)
        np.add.at(made, which[chosen], values[chosen])
        return made

    def _is_second(self, which: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return 1 for an entry with the upper bits of the one before, and 0 for others."""
        second = np.zeros(which.size, np.int64)
        second[1:] = (which[1:] == which[:-1]) & (self.columns[1:] == self.columns[:-1])
        return second

    def check(self, n_classes: int, n_columns: int) -> None:
        """Raise a ValueError if no table of this shape has these entries."""
        if self.n_model_classes < n_classes:
            raise ValueError(f"they are of {n_classes} of {self.n_model_classes} classes")
        if self.lengths.shape != (n_classes,):
            raise ValueError(f"they are of {self.lengths.size} classes and not of {n_classes}")
        if int(self.lengths.sum(dtype=np.int64)) != self.columns.size:
            raise ValueError("the numbers of their entries do not add up")
        if self.columns.size and int(self.columns.max()) >= n_columns:
            raise ValueError(f"a column is {self.columns.max()}, of {n_columns}")
        which = np.repeat(np.arange(n_classes), self.lengths)
        step = self.columns[1:].astype(np.int64) - self.columns[:-1]
        same, second = which[1:] == which[:-1], self._is_second(which)
        if (same & (step < 0)).any() or (second[1:] & second[:-1]).any():
            raise ValueError("the columns of a class do not ascend")
        # The lower half may be 0 where an upper half follows.
        followed = np.append(second[1:], 0)[: which.size]
        if ((self.counts == 0) & (followed == 0)).any():
            raise ValueError("an entry is 0")

    # Bytes

    def pack(self) -> bytes:
        """Pack the counts: little-endian, deflated, after the numbers of classes and entries.

        Examples
        --------
        >>> table = np.zeros((1000, 2074), np.int64)
        >>> table[:, 1] = 100_000
        >>> packed = ClassRows.of_table(table).pack()
        >>> len(packed) < 200, np.array_equal(ClassRows.unpack(packed).table(2074), table)
        (True, True)
        """
        parts = (self.lengths, self.columns, self.counts)
        data = [_TOTAL.pack(self.n_model_classes), *(x.astype("<u2").tobytes() for x in parts)]
        head = _HEAD.pack(self.lengths.size, self.columns.size)
        return head + zlib.compress(b"".join(data))

    @classmethod
    def unpack(cls, packed: bytes) -> ClassRows:
        """Unpack the result of `pack`. Call `check` next, because the numbers are not checked here.

        Raises
        ------
        ValueError
            If the data is damaged.
        """
        if len(packed) < _HEAD.size:
            raise ValueError("they are cut short")
        n_classes, n_entries = _HEAD.unpack_from(packed)
        size = _TOTAL.size + 2 * n_classes + 4 * n_entries
        if size > memory_limit():
            raise ValueError(f"they claim {size} bytes, which are more than memory holds")
        stream = zlib.decompressobj()
        try:
            data = stream.decompress(packed[_HEAD.size :], size + 1)
        except zlib.error as error:
            raise ValueError(f"they cannot be unpacked: {error}") from None
        if len(data) != size or not stream.eof or stream.unused_data:
            raise ValueError(f"{n_classes} classes with {n_entries} entries are needed")
        (total,) = _TOTAL.unpack_from(data)
        numbers = np.frombuffer(data, "<u2", offset=_TOTAL.size).astype(np.uint16)
        lengths, columns, counts = np.split(numbers, [n_classes, n_classes + n_entries])
        return cls(total, lengths, columns, counts)
