"""Reading of a results folder from the disk, a few rows at a time, whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.printable import printable
from smoothbound._files import sealed
from smoothbound._utils import checks
from smoothbound.errors import StoreError
from smoothbound.store._results import (
    RESULTS,
    Results,
    as_array,
    is_there,
    load,
    require_folder,
    settings_of,
    sketch_of,
    summary,
)
from smoothbound.store._settings import RunSettings
from smoothbound.store._table.checks import require_sound
from smoothbound.store._table.schema import column_names, read_for, schema, upgraded

if TYPE_CHECKING:
    from smoothbound.sketch._score_sketch import ScoreSketch

__all__ = ["StoredResults", "open_folder"]

_Read = Callable[[set[str], NDArray[np.int64] | None], Iterator[pa.Table]]

_ROWS = 1 << 14  # of an unfinished run, at a time
_SKETCHES = 1000  # inputs whose counts are in memory at once: 32 MiB


class StoredResults:
    """The contents of a results folder, which stay on the disk; made by `open_folder`.

    Memory holds a few megabytes of them at a time, whatever the number of inputs. Close it after
    use, as at the end of a ``with`` statement. It holds the run of the moment when it was opened,
    also if the folder is replaced.

    Attributes
    ----------
    settings : RunSettings
        The settings of the run.
    complete : bool
        Whether the run is finished.
    name : str
        Name of the folder.

    Examples
    --------
    >>> import smoothbound as sb
    >>> with sb.store.open_folder("results/") as stored:  # doctest: +SKIP
    ...     for part in stored.batches(["index", "lower_cdf_ell"], [("status", "=", "certified")]):
    ...         print(part["index"], part["lower_cdf_ell"])
    """

    def __init__(
        self, path: Path, settings: RunSettings, n: int, read: _Read, file: pq.ParquetFile | None
    ) -> None:
        self.settings = settings
        self.complete = file is not None
        self.name = (path if file is None else path.parent).resolve().name or "results"
        self._path, self._n, self._read, self._file = path, n, read, file

    def __len__(self) -> int:
        """Return the number of inputs."""
        return self._n

    def __repr__(self) -> str:
        return printable(f"StoredResults of {summary(self.settings, len(self), self.complete)}")

    def __enter__(self) -> StoredResults:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close(force=True)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns; `docs/results.md` explains them."""
        return column_names(self.settings)

    def batches(
        self,
        columns: Iterable[str] | None = None,
        filters: Sequence[Any] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield the rows in the order of `index`, a few megabytes at a time.

        Parameters
        ----------
        columns : iterable of str, optional
            Names of the columns to read; by default all.
        filters : list of tuple, optional
            Which rows to keep: ``[(column, operator, value), ...]``, all of which must hold, or a
            list of such lists, one of which must hold, as for `pyarrow.parquet.read_table`.

        Raises
        ------
        StoreError
            If a number cannot be right, or the file is damaged.
        ValueError
            If there is no such column.
        """
        wanted = self.column_names if columns is None else list(dict.fromkeys(columns))
        expression, tested = None, list[str]()
        if filters is not None:
            expression = pq.filters_to_expression(list(filters))
            tested = _columns_of(filters)
        for name in (*wanted, *tested):
            checks.choice("name", name, self.column_names)
        for table in self._batches({*wanted, *tested}, None):
            kept = table if expression is None else table.filter(expression)
            if len(kept):
                yield kept.select(wanted)

    def _batches(self, names: set[str], index: NDArray[np.int64] | None) -> Iterator[pa.Table]:
        """Yield rows with these columns and those that their checks need, in this version's form.

        With an `index`, rows far from all of it may be left out.
        """
        needed = names | {"index"} | ({"selected", "status"} if "predicted" in names else set())
        last = -1
        for table in self._read(needed, index):
            require_sound(self._path, self.settings, _reading(table), names=needed, after=last)
            last = int(as_array(table["index"])[-1]) if len(table) else last
            yield table

    def sketches(
        self, index: ArrayLike | None = None, *, at_a_time: int = _SKETCHES
    ) -> Iterator[ScoreSketch]:
        """Yield the counted scores of inputs in the order of their index, some at a time.

        Parameters
        ----------
        index : array-like of int, optional
            Index of each input, each once; by default of all whose scores were kept.
        at_a_time : int
            Number of inputs of a sketch, each of which takes 32 KiB.

        Raises
        ------
        StoreError
            If the draws were adaptive, an input has no counted scores, or the counts are damaged.
        """
        at_a_time = checks.count("at_a_time", at_a_time)
        wanted = None if index is None else np.unique(checks.positions("index", index))
        for table in self._with_scores(wanted):
            for start in range(0, len(table), at_a_time):
                yield sketch_of(self.settings, table.slice(start, at_a_time))

    def _with_scores(self, wanted: NDArray[np.int64] | None) -> Iterator[pa.Table]:
        """Yield the rows of the inputs whose scores were kept."""
        if self.settings.adaptive is not None:
            raise StoreError("adaptive draws leave no sketch: certify without --adaptive")
        found = 0
        for table in self._batches({"index", "selected", "n_draws", "sketch"}, wanted):
            kept = as_array(table["n_draws"]) > 0
            here = as_array(table["index"])
            if wanted is not None:
                named = np.isin(here, wanted)
                if (named & ~kept).any():
                    raise _without_sketch(int(here[named & ~kept][0]))
                kept &= named
            found += int(kept.sum())
            yield table.filter(pa.array(kept))
        if wanted is not None and found < len(wanted):
            held = np.concatenate([as_array(t["index"]) for t in self._batches({"index"}, wanted)])
            raise _without_sketch(int(np.setdiff1d(wanted, held)[0]))

    def load(self) -> Results:
        """Read all of it into memory."""
        tables = list(self.batches())
        table = pa.concat_tables(tables) if tables else self.schema.empty_table()
        return Results(self.settings, table.cast(self.schema), self.complete)

    @property
    def schema(self) -> pa.Schema:
        """The columns with their types, and the settings as metadata."""
        return upgraded(schema(self.settings).empty_table(), self.settings).schema


def open_folder(folder: str | Path) -> StoredResults:
    """Open a results folder of any size, finished or not, to read it a few rows at a time.

    The checksum of a finished run is checked now, which reads the file once. The numbers are
    checked when they are read.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    StoredResults

    Raises
    ------
    StoreError
        If there is no such folder, it holds no results, or they are damaged.
    """
    folder = require_folder(folder)
    finished = folder / RESULTS
    return _open_finished(finished) if is_there(finished) else _of_memory(folder, load(folder))


def _open_finished(path: Path) -> StoredResults:
    file, is_sealed = sealed.open_file(path)
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

    def read(names: set[str], index: NDArray[np.int64] | None) -> Iterator[pa.Table]:
        groups = None if index is None else _groups(file, index)
        for batch in sealed.batches(path, file, read_for(settings, names), groups):
            yield upgraded(pa.Table.from_batches([batch]), settings)

    return StoredResults(path, settings, n, read, file)


def _of_memory(folder: Path, results: Results) -> StoredResults:
    """Return the rows of a journal, which are read at once."""

    def read(names: set[str], index: NDArray[np.int64] | None) -> Iterator[pa.Table]:
        chosen = results.table.select([one for one in results.table.column_names if one in names])
        for start in range(0, len(chosen), _ROWS):
            yield chosen.slice(start, _ROWS)

    return StoredResults(folder, results.settings, len(results), read, None)


def _groups(file: pq.ParquetFile, index: NDArray[np.int64]) -> list[int]:
    """Return the row groups that may hold one of these inputs, by their statistics."""
    metadata = file.metadata
    place = file.schema_arrow.get_field_index("index")  # the first column, which is no list
    found = []
    for i in range(metadata.num_row_groups):
        known = metadata.row_group(i).column(place).statistics
        low, high = (known.min, known.max) if known and known.has_min_max else (None, None)
        if low is None or high is None or ((index >= low) & (index <= high)).any():
            found.append(i)
    return found


def _columns_of(filters: Sequence[Any]) -> list[str]:
    """Return the names of the columns that filters test."""
    return [
        str(test[0])
        for part in filters
        for test in ([part] if part and isinstance(part[0], str) else part)
    ]


def _reading(table: pa.Table) -> Callable[[str], NDArray[Any]]:
    return lambda name: as_array(table.column(name))


def _without_sketch(index: int) -> StoreError:
    return StoreError(f"input {index} has no sketch: it is not there, or has failed")
