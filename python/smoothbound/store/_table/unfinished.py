"""The journal of an unfinished run, whose rows stay on the disk until they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smoothbound._files.closing import Closing
from smoothbound._files.plain import open_plain
from smoothbound.errors import StoreError
from smoothbound.store._settings import RunSettings
from smoothbound.store._table.journal import FileBytes, Journal
from smoothbound.store._table.schema import read_for, settings_of, upgraded

__all__ = ["UnfinishedFile"]


@dataclass(frozen=True, eq=False)
class UnfinishedFile(Closing):
    """An open journal, with the rows that it had when it was opened.

    A run that goes on only appends to it, or cuts what follows the last whole row.

    Attributes
    ----------
    path : Path
    settings : RunSettings
    index : ndarray of int64
        Index of each row, ascending.
    """

    path: Path
    settings: RunSettings
    _journal: Journal
    index: NDArray[np.int64]
    _places: NDArray[np.int64]  # of these rows in the journal
    _file: BinaryIO

    @classmethod
    def open(cls, path: Path) -> UnfinishedFile:
        """Open a journal after a check of all its frames and settings.

        Raises
        ------
        StoreError
            If it is missing, damaged, or ends before the settings.
        """
        file = open_plain(path)
        try:
            journal = Journal.parse(path, FileBytes(file))
            if journal.schema is None:
                raise StoreError(
                    f"{path.parent} holds no results yet: its run was stopped at the very start"
                )
            return cls.of(path, journal, file)
        except BaseException:
            file.close()
            raise

    @classmethod
    def of(cls, path: Path, journal: Journal, file: BinaryIO) -> UnfinishedFile:
        """Return a journal with settings that was parsed from the bytes of an open file."""
        assert journal.schema is not None
        return cls(path, settings_of(path, journal.schema), journal, *_order(journal), file)

    @property
    def complete(self) -> bool:
        """False, because the run is not finished."""
        return False

    def __len__(self) -> int:
        return len(self.index)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, names: set[str], index: NDArray[np.int64] | None = None) -> Iterator[pa.Table]:
        """Yield some columns, some rows at a time; see `FinishedFile.read`."""
        places = self._places
        if index is not None:
            places = places[np.isin(self.index, index)]
        for table in self._journal.tables(read_for(self.settings, names), places.tolist()):
            yield upgraded(table, self.settings)


def _order(journal: Journal) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return index and place of each row, by index, without those that a later row replaces."""
    indices, stopped = [np.empty(0, np.int64)], [np.empty(0, np.bool_)]
    for table in journal.tables(["index", "status"]):
        indices.append(table["index"].to_numpy())
        status = table["status"].to_pylist() if "status" in table.column_names else []
        stopped.append(np.array([one == "stopped" for one in status] or [False] * len(table)))
    index, places = np.concatenate(indices), np.arange(len(journal.rows))
    last = np.zeros(len(index), np.bool_)
    last[len(index) - 1 - np.unique(index[::-1], return_index=True)[1]] = True
    kept = places[last | ~np.concatenate(stopped)]
    kept = kept[np.argsort(index[kept], kind="stable")]
    return index[kept], kept
