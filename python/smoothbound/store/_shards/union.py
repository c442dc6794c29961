"""The rows of several parts as one table, read from the disk in the order of their index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from smoothbound._files.atomic import file_identity
from smoothbound.errors import StoreError
from smoothbound.store._folder import RESULTS, is_there, read_single
from smoothbound.store._results import as_array
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.in_order import in_order
from smoothbound.store._shards.parts import parts_of, require_of_run, shard_name
from smoothbound.store._shards.record import RECORD, SHARDS, RunRecord, read_record
from smoothbound.store._table.finished import FinishedFile
from smoothbound.store._table.memory import MemoryTable
from smoothbound.store._table.schema import schema, upgraded

__all__ = ["ClosedFile", "JoinedRows", "Source", "distinct", "open_shards"]

_ROWS = 1 << 14  # of a table that is yielded


class Source(Protocol):
    """A place of rows, in the order of their index."""

    @property
    def path(self) -> Path:
        """Its place, for errors."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def read(self, names: set[str], index: NDArray[np.int64] | None = None) -> Iterator[pa.Table]:
        """Yield some columns; see `FinishedFile.read`."""


@dataclass(frozen=True)
class ClosedFile:
    """The file of a finished run, which is opened when it is read: a run can have thousands."""

    path: Path
    settings: RunSettings
    _identity: tuple[int, int] | None

    @classmethod
    def check(cls, path: Path) -> ClosedFile:
        """Return a file after a check of its settings, number of rows and checksum.

        Raises
        ------
        StoreError
            If it is missing or damaged.
        """
        identity = file_identity(path)
        with FinishedFile.open(path) as file:
            return cls(path, file.settings, identity)

    def __len__(self) -> int:
        return self.settings.n_inputs

    def read(self, names: set[str], index: NDArray[np.int64] | None = None) -> Iterator[pa.Table]:
        """Yield some columns; see `FinishedFile.read`."""
        with FinishedFile.open(self.path, check=False) as file:
            if file_identity(self.path) != self._identity:
                raise StoreError(f"{self.path} was replaced while it was read: read it again")
            yield from file.read(names, index)


@dataclass(frozen=True, eq=False)
class JoinedRows:
    """The rows of several sources as one table; `StoredResults` reads from it.

    Attributes
    ----------
    path : Path
        The folder, for errors.
    settings : RunSettings
        Of the whole run.
    complete : bool
        Whether there is a row of every input.
    """

    path: Path
    settings: RunSettings
    complete: bool
    sources: Sequence[Source]
    repeats: bool = False  # whether sources may hold the same input
    scratch: Path | None = None  # folder of temporary files; by default that of `tempfile`

    def __len__(self) -> int:
        return sum(map(len, self.sources))

    def close(self) -> None:
        """Do nothing: no file is open."""

    def read(self, names: set[str], index: NDArray[np.int64] | None = None) -> Iterator[pa.Table]:
        """Yield some columns, a few megabytes at a time; see `FinishedFile.read`.

        Raises
        ------
        StoreError
            If a row belongs to no input of the run.
        """
        inputs = np.asarray(self.settings.inputs, np.int64)
        for table in in_order(self._tables(names, index, inputs), inputs, self.scratch):
            whole = distinct(self.path, table) if self.repeats else table
            for first in range(0, len(whole), _ROWS):
                yield whole.slice(first, _ROWS)

    def _tables(
        self, names: set[str], index: NDArray[np.int64] | None, inputs: NDArray[np.int64]
    ) -> Iterator[pa.Table]:
        """Yield the rows of one source after the other, with the same columns."""
        kinds = upgraded(schema(self.settings).empty_table(), self.settings).schema
        columns = pa.schema([field for field in kinds if field.name in names])
        for source in self.sources:
            for table in source.read(names, index):
                here = as_array(table["index"])
                place = np.minimum(np.searchsorted(inputs, here), len(inputs) - 1)
                if (others := here[inputs[place] != here]).size:
                    raise StoreError(
                        f"{source.path} holds input {others[0]}, which is none of the run of "
                        f"{self.path}"
                    )
                yield table.select(columns.names).cast(columns)


def open_shards(folder: Path) -> JoinedRows:
    """Return the rows of a run in shards, finished or not.

    Raises
    ------
    StoreError
        If a part is damaged or does not belong to the run, or the run has written nothing yet.
    """
    record = read_record(folder)
    parts = parts_of(folder)
    if record is None:
        raise StoreError(
            f"{folder / SHARDS / RECORD} is missing, and the settings of the run with it. Restore "
            "it from a copy; or run one of the shards again, which writes it anew"
        )
    finished: dict[str, ClosedFile] = {}
    for part in parts:
        if is_there(part / RESULTS):
            file = ClosedFile.check(part / RESULTS)
            require_of_run(part, file.settings, record)
            finished.setdefault(shard_name(part), file)
    rest = []
    for part in parts:
        # What another machine left of a finished shard is in the file that finished it.
        held = None if shard_name(part) in finished else read_single(part)
        if held is not None:
            require_of_run(part, held.settings, record)
            rest.append(held.table)
    return _joined(folder, record, list(finished.values()), rest)


def _joined(
    folder: Path, record: RunRecord, finished: list[ClosedFile], rest: list[pa.Table]
) -> JoinedRows:
    sources: list[Source] = [*finished]
    n_done = sum(map(len, finished))
    if rest:
        columns = rest[0].schema.remove_metadata()
        table = distinct(folder, pa.concat_tables([one.cast(columns) for one in rest]))
        n_done += int((as_array(table["status"]) != "stopped").sum())
        sources.append(MemoryTable(folder, record.settings, table, complete=False))
    return JoinedRows(folder, record.settings, n_done == record.settings.n_inputs, sources)


def distinct(path: Path, table: pa.Table) -> pa.Table:
    """Return one row for each input, in the order of the index, of rows that may repeat inputs.

    The row of a finished input goes before one that was stopped, and more draws before fewer.

    Parameters
    ----------
    path : Path
        Place of the rows, for errors.
    table : pyarrow.Table
        With all columns.

    Raises
    ------
    StoreError
        If two rows of a finished input differ in more than the seconds.
    """
    index, stopped = as_array(table["index"]), as_array(table["status"]) == "stopped"
    order = np.lexsort((-as_array(table["n_draws"]), stopped, index))
    table = table.take(order).combine_chunks()
    index, stopped = index[order], stopped[order]
    first = np.flatnonzero(np.diff(index, prepend=-1))
    repeat = np.setdiff1d(np.flatnonzero(~stopped), first)
    of = first[np.searchsorted(first, repeat, "right") - 1]
    for name in table.column_names:
        same = _equal(table[name].take(of), table[name].take(repeat))
        if name != "seconds" and not same.all():
            raise StoreError(
                f"{path}: input {index[repeat[np.argmin(same)]]} was certified twice, and {name} "
                "differs: two processes had another network, other data or other arithmetic. "
                "Certify it again, or leave one of them out"
            )
    return table.take(first)


def _equal(a: pa.ChunkedArray[Any], b: pa.ChunkedArray[Any]) -> NDArray[np.bool_]:
    """Return for each row whether two columns have the same bits."""
    if pa.types.is_string(a.type) or pa.types.is_binary(a.type):
        return np.asarray(pc.equal(a, b).to_numpy(), np.bool_)
    one, other = (as_array(column).view(np.int64) for column in (a, b))  # NaN equals NaN
    return np.asarray((one == other).all(axis=tuple(range(1, one.ndim))))
