"""The file of a finished run, whose rows stay on the disk until they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from smoothbound._files import sealed
from smoothbound._files.closing import Closing
from smoothbound.errors import StoreError
from smoothbound.store._settings import RunSettings
from smoothbound.store._table.schema import read_for, settings_of, upgraded

__all__ = ["FinishedFile"]


@dataclass(frozen=True, eq=False)
class FinishedFile(Closing):
    """The open file of a finished run; close it after use, as at the end of a ``with`` statement.

    Attributes
    ----------
    path : Path
    settings : RunSettings
    """

    path: Path
    settings: RunSettings
    _file: pq.ParquetFile

    @classmethod
    def open(cls, path: Path, *, check: bool = True) -> FinishedFile:
        """Open a file after a check of its settings, number of rows and checksum.

        Parameters
        ----------
        path : Path
        check : bool
            Whether to check the checksum, for which the whole file is read.

        Raises
        ------
        StoreError
            If it is missing or damaged, or no file of a finished run.
        """
        file, is_sealed = sealed.open_file(path, check=check)
        try:
            settings = settings_of(path, file.schema_arrow)
            if settings.format >= 4:
                sealed.require(path, is_sealed)
            n = file.metadata.num_rows
            if n != settings.n_inputs:
                raise StoreError(f"{path} holds {n} inputs, its settings say {settings.n_inputs}")
        except BaseException:
            file.close(force=True)
            raise
        return cls(path, settings, file)

    @property
    def complete(self) -> bool:
        """True, because an unfinished run has no such file."""
        return True

    def __len__(self) -> int:
        return self.settings.n_inputs

    def close(self) -> None:
        """Close the file."""
        self._file.close(force=True)

    def read(self, names: set[str], index: NDArray[np.int64] | None = None) -> Iterator[pa.Table]:
        """Yield some columns, a few megabytes at a time, in the form of this version.

        Parameters
        ----------
        names : set of str
            Names of the columns.
        index : ndarray of int64, optional
            Indices of the inputs that are wanted; rows far from all of them may be left out. By
            default all.

        Raises
        ------
        StoreError
            If the file is damaged.
        """
        groups = None if index is None else self._groups(index)
        columns = read_for(self.settings, names)
        for batch in sealed.batches(self.path, self._file, columns, groups):
            yield upgraded(pa.Table.from_batches([batch]), self.settings)

    def _groups(self, index: NDArray[np.int64]) -> list[int]:
        """Return the row groups that may hold one of these inputs, by their statistics."""
        metadata = self._file.metadata
        # `index` is the first column, which is no list
        place = self._file.schema_arrow.get_field_index("index")
        found = []
        for i in range(metadata.num_row_groups):
            known = metadata.row_group(i).column(place).statistics
            low, high = (known.min, known.max) if known and known.has_min_max else (None, None)
            if low is None or high is None or ((index >= low) & (index <= high)).any():
                found.append(i)
        return found
