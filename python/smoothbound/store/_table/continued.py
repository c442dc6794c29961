"""The rows of a finished run and of the journal that goes on with it, in the order of the index."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smoothbound.store._table.finished import FinishedFile
from smoothbound.store._table.unfinished import UnfinishedFile

__all__ = ["ContinuedRows"]


class ContinuedRows:
    """The rows of both; of an input that both have, one row.

    Parameters
    ----------
    earlier : FinishedFile or None
        The finished run, if there is one.
    later : UnfinishedFile
        The journal.
    replaces : bool
        Whether a row of the journal replaces that of the finished run; otherwise it is left out.
    """

    def __init__(
        self, earlier: FinishedFile | None, later: UnfinishedFile, *, replaces: bool
    ) -> None:
        self._earlier, self._later = earlier, later
        held = np.empty(0, np.int64)
        if earlier is not None:
            parts = [table["index"].to_numpy() for table in earlier.read({"index"})]
            held = np.concatenate([held, *parts])
        self._new = later.index if replaces else np.setdiff1d(later.index, held)
        self._kept: NDArray[np.int64] = np.setdiff1d(held, self._new)

    def __len__(self) -> int:
        return len(self._kept) + len(self._new)

    def tables(self, names: list[str]) -> Iterator[pa.Table]:
        """Yield the rows in the order of the index, some at a time."""
        done = 0
        for table in () if self._earlier is None else self._earlier.read(set(names)):
            index = table["index"].to_numpy()
            until = int(np.searchsorted(self._new, index[-1], side="right"))
            kept = table.filter(pa.array(np.isin(index, self._kept))).select(names)
            between = self._of_journal(names, done, until)
            yield pa.concat_tables([kept, *between]).sort_by("index")
            done = until
        yield from self._of_journal(names, done, len(self._new))

    def _of_journal(self, names: list[str], start: int, stop: int) -> Iterator[pa.Table]:
        for table in self._later.read(set(names), self._new[start:stop]):
            yield table.select(names)
