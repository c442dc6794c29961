"""Rows of results that are in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smoothbound.store._settings import RunSettings

__all__ = ["MemoryTable"]

_ROWS = 1 << 14  # at a time


@dataclass(frozen=True, eq=False)
class MemoryTable:
    """A table in the order of `index`, as `FinishedFile` offers one on the disk.

    Attributes
    ----------
    path : Path
        Its place, for errors.
    settings : RunSettings
    table : pyarrow.Table
        In the form of this version.
    complete : bool
        Whether it holds all inputs of the settings.
    """

    path: Path
    settings: RunSettings
    table: pa.Table
    complete: bool

    def __len__(self) -> int:
        return len(self.table)

    def close(self) -> None:
        """Do nothing: no file is open."""

    def read(self, names: set[str], index: NDArray[np.int64] | None = None) -> Iterator[pa.Table]:
        """Yield some columns, a few rows at a time; see `FinishedFile.read`."""
        chosen = self.table.select([name for name in self.table.column_names if name in names])
        for start in range(0, len(chosen), _ROWS):
            yield chosen.slice(start, _ROWS)
