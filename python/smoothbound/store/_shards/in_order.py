"""Rows in the order of their index, whatever their order, in memory that does not grow with them.

Rows are held until they take `_HELD` bytes. More rows go to a temporary file, in buckets: each
bucket has the rows of a range of inputs. The buckets are then read one after the other, in the same
way if they are too large for memory. So each source is read once, from start to end, and one file
besides the source is open for each time that the rows are divided by `_MOST`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smoothbound._files.closing import Closing
from smoothbound.errors import StoreError
from smoothbound.store._results import as_array

__all__ = ["in_order"]

_HELD = 1 << 24  # bytes of the rows that are in memory at once
_MOST = 64  # buckets, so that what is written for one at a time is not small


def in_order(
    tables: Iterable[pa.Table], inputs: NDArray[np.int64], scratch: Path | None = None
) -> Iterator[pa.Table]:
    """Yield rows in the order of their index; those of one index keep their order.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        With equal columns, among them `index`.
    inputs : ndarray of int64
        The inputs whose index the rows may have, ascending.
    scratch : Path, optional
        Folder of the temporary file, which has no name there; by default that of `tempfile`.

    Yields
    ------
    pyarrow.Table
        All rows of an input are in one table.

    Raises
    ------
    StoreError
        If the temporary file cannot be written.
    """
    held, size, buckets = list[pa.Table](), 0, None
    with ExitStack() as stack:
        for table in tables:
            held.append(table)
            size += table.nbytes
            if size > _HELD and len(inputs) > 1:
                if buckets is None:
                    ends = _ends(inputs, sum(map(len, held)))
                    buckets = stack.enter_context(_Buckets(ends, scratch))
                buckets.add(_sorted(held))
                held, size = [], 0
        if buckets is None:
            if held:
                yield _sorted(held)
            return
        if held:
            buckets.add(_sorted(held))
            held = []
        for least, most, rows in buckets:
            first, end = np.searchsorted(inputs, (least, most), side="right")
            yield from in_order(rows, inputs[first:end], scratch)


class _Buckets(Closing):
    """Rows in a temporary file, by ranges of their index.

    Parameters
    ----------
    ends : ndarray of int64
        The largest index of each bucket but the last, ascending.
    scratch : Path or None
        Folder of the file.
    """

    def __init__(self, ends: NDArray[np.int64], scratch: Path | None) -> None:
        self._ends = [*ends.tolist(), np.iinfo(np.int64).max]
        self._places: list[list[tuple[int, int]]] = [[] for _ in self._ends]
        self._where = scratch or Path(tempfile.gettempdir())
        try:
            self._file: BinaryIO = tempfile.TemporaryFile(dir=self._where)  # noqa: SIM115
        except OSError as error:
            raise self._cannot(error) from error

    def close(self) -> None:
        """Close the file, which deletes it."""
        self._file.close()

    def add(self, table: pa.Table) -> None:
        """Add rows in the order of their index."""
        after = np.searchsorted(as_array(table["index"]), self._ends, side="right")
        start = 0
        for places, stop in zip(self._places, after.tolist(), strict=True):
            if stop > start:
                places.append(self._write(table.slice(start, stop - start)))
            start = stop

    def _write(self, table: pa.Table) -> tuple[int, int]:
        stream = pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
        data = stream.getvalue()
        try:
            start = self._file.seek(0, 2)
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise self._cannot(error) from error
        return start, len(data)

    def __iter__(self) -> Iterator[tuple[int, int, Iterator[pa.Table]]]:
        """Yield the range of each bucket, whose lower end is not in it, and its rows."""
        least = -1
        for most, places in zip(self._ends, self._places, strict=True):
            yield least, most, map(self._read, places)
            least = most

    def _read(self, place: tuple[int, int]) -> pa.Table:
        self._file.seek(place[0])
        with pa.ipc.open_stream(self._file.read(place[1])) as reader:
            return reader.read_all()

    def _cannot(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot write a temporary file in {self._where}: {error.strerror or error}"
        )


def _ends(inputs: NDArray[np.int64], fitting: int) -> NDArray[np.int64]:
    """Return the largest input of each bucket but the last; `fitting` rows fit into memory."""
    n = len(inputs)
    n_buckets = min(max(-(-n // fitting), 2), _MOST, n)
    return inputs[np.arange(1, n_buckets) * n // n_buckets - 1]


def _sorted(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of tables by index; those of one index keep their order."""
    table = pa.concat_tables(tables)
    order: Any = np.argsort(as_array(table["index"]), kind="stable")
    return table.take(order).combine_chunks()
