"""Reading of a results folder from the disk, a few rows at a time, whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.printable import printable
from smoothbound._files.closing import Closing
from smoothbound._utils import checks
from smoothbound.errors import StoreError
from smoothbound.store._folder import JOURNAL, RESULTS, is_there, load_single, require_folder
from smoothbound.store._results import (
    Counted,
    Results,
    Totals,
    as_array,
    class_sketch_of,
    sketch_of,
    summary,
)
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.parts import parts_of
from smoothbound.store._shards.record import SHARDS, read_record
from smoothbound.store._shards.union import open_shards
from smoothbound.store._table.checks import require_sound
from smoothbound.store._table.finished import FinishedFile
from smoothbound.store._table.memory import MemoryTable
from smoothbound.store._table.schema import column_names, schema, upgraded
from smoothbound.store._table.unfinished import UnfinishedFile

if TYPE_CHECKING:
    from smoothbound.classes._class_sketch import ClassSketch
    from smoothbound.sketch._score_sketch import ScoreSketch

__all__ = ["StoredResults", "load", "of_memory", "open_folder", "opened", "recorded_settings"]

_SKETCHES = 1000  # inputs whose counts are in memory at once: 32 MiB


class _Rows(Protocol):
    """Where the rows of a folder are."""

    @property
    def path(self) -> Path: ...
    @property
    def settings(self) -> RunSettings: ...
    @property
    def complete(self) -> bool: ...
    def __len__(self) -> int: ...
    def close(self) -> None: ...
    def read(
        self, names: set[str], index: NDArray[np.int64] | None = None
    ) -> Iterator[pa.Table]: ...


class StoredResults(Counted, Closing):
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

    def __init__(self, folder: Path, rows: _Rows) -> None:
        self.settings = rows.settings
        self.complete = rows.complete
        self.name = folder.resolve().name or "results"
        self._rows = rows
        self._sound: set[str] = set()  # columns whose numbers were all checked

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self._rows)

    def __repr__(self) -> str:
        return printable(f"StoredResults of {summary(self.settings, len(self), self.complete)}")

    def __del__(self) -> None:
        if hasattr(self, "_rows"):
            self.close()

    def close(self) -> None:
        """Close the file, which also happens when the object is no longer used."""
        self._rows.close()

    @property
    def column_names(self) -> list[str]:
        """Names of the columns; `docs/results.md` explains them."""
        return column_names(self.settings)

    def batches(
        self,
        columns: Iterable[str] | None = None,
        filters: Sequence[Any] | None = None,
        *,
        index: ArrayLike | None = None,
    ) -> Iterator[pa.Table]:
        """Yield the rows in the order of `index`, a few megabytes at a time.

        Parameters
        ----------
        columns : iterable of str, optional
            Names of the columns to read; by default all.
        filters : list of tuple, optional
            Which rows to keep: ``[(column, operator, value), ...]``, all of which must hold, or a
            list of such lists, one of which must hold, as for `pyarrow.parquet.read_table`.
        index : array-like of int, optional
            Index of the inputs to keep; others are not read where they lie far from all of these.

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
        only = None if index is None else np.unique(checks.positions("index", index))
        for table in self._batches({*wanted, *tested}, only):
            if only is not None:
                table = table.filter(pa.array(np.isin(as_array(table["index"]), only)))
            if expression is not None:
                table = table.filter(expression)
            if len(table):
                yield table.select(wanted)

    def _batches(self, names: set[str], index: NDArray[np.int64] | None) -> Iterator[pa.Table]:
        """Yield rows with these columns and those that their checks need, in this version's form.

        With an `index`, rows far from all of it may be left out.
        """
        names = names | {"index"}
        new = names - self._sound
        needed = names | ({"selected", "status"} if "predicted" in new else set())
        last, where = -1, self._rows.path
        for table in self._rows.read(needed, index):
            checked = {"index", *new}
            require_sound(where, self.settings, _reading(table), names=checked, after=last)
            last = int(as_array(table["index"])[-1]) if len(table) else last
            yield table
        if index is None:
            self._sound |= new

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

    def sketch(self, index: ArrayLike) -> ScoreSketch:
        """Return the counted scores of a few inputs; see `sketches`."""
        wanted = np.unique(checks.positions("index", index))
        tables = [table for table in self._with_scores(wanted) if len(table)]
        return sketch_of(self.settings, pa.concat_tables(tables))

    def class_sketch(self, index: ArrayLike | None = None) -> ClassSketch:
        """Return the counts of all classes of a few inputs, by default of all that did not fail.

        Raises
        ------
        StoreError
            If the run did not count classes, an input has no counts, or the counts are damaged.
        """
        wanted = None if index is None else np.unique(checks.positions("index", index))
        names = sorted({"index", "n_draws", "class_counts"} & {*self.column_names})
        tables = [self.schema.empty_table().select(names)]
        for table in self._batches({*names}, wanted):
            chosen = table.select(names)
            if wanted is not None:
                chosen = chosen.filter(pa.array(np.isin(as_array(chosen["index"]), wanted)))
            tables.append(chosen)
        found = pa.concat_tables(tables)
        kept = as_array(found["index"])[as_array(found["n_draws"]) > 0]
        if wanted is not None and len(missing := np.setdiff1d(wanted, kept)):
            raise _without_sketch(int(missing[0]))
        return class_sketch_of(self.settings, found)

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
            held = [as_array(table["index"]) for table in self._batches({"index"}, wanted)]
            missing = np.setdiff1d(wanted, np.concatenate([wanted[:0], *held]))
            raise _without_sketch(int(missing[0]))

    @cached_property
    def totals(self) -> Totals:  # type: ignore[override]
        """Sums over the inputs."""
        names = [name for name in Totals.names if name in self.column_names]
        return Totals.of(self.batches(names))

    def load(self) -> Results:
        """Read all of it into memory."""
        tables = list(self.batches())
        table = pa.concat_tables(tables) if tables else self.schema.empty_table()
        return Results(self.settings, table.cast(self.schema), self.complete)

    @property
    def schema(self) -> pa.Schema:
        """The columns with their types, and the settings as metadata."""
        return upgraded(schema(self.settings).empty_table(), self.settings).schema


def opened(results: str | Path | StoredResults) -> AbstractContextManager[StoredResults]:
    """Return results for a ``with`` statement, which closes a folder that it has opened itself."""
    return nullcontext(results) if isinstance(results, StoredResults) else open_folder(results)


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
    return StoredResults(folder, _rows_of(folder))


def _rows_of(folder: Path) -> _Rows:
    finished = folder / RESULTS
    if is_there(finished):
        return FinishedFile.open(finished)
    if is_there(folder / SHARDS):
        return open_shards(folder)
    try:
        return UnfinishedFile.open(folder / JOURNAL)
    except StoreError:
        if is_there(finished):  # the run has finished since, and deleted its journal
            return FinishedFile.open(finished)
        raise


def of_memory(results: Results) -> StoredResults:
    """Return results that are in memory as stored ones."""
    path = Path("results")
    table = MemoryTable(path, results.settings, results.table, results.complete)
    return StoredResults(path, table)


def recorded_settings(folder: str | Path) -> RunSettings:
    """Return the settings of the run of a folder, also if its journal is damaged.

    Raises
    ------
    StoreError
        If it holds no run.
    """
    folder = require_folder(folder)
    if not is_there(folder / RESULTS):
        if (record := read_record(folder)) is not None:
            return record.settings
        for part in parts_of(folder):  # the record was deleted
            with suppress(StoreError):
                return load_single(part, salvage=True).settings
    return load(folder, salvage=True).settings


def load(folder: str | Path, *, salvage: bool = False) -> Results:
    """Read a results folder, finished or not, without disturbing a run that writes to it.

    Parameters
    ----------
    folder : str or Path
    salvage : bool
        Whether to return the whole rows if the journal of an unfinished run is damaged.

    Returns
    -------
    Results

    Raises
    ------
    StoreError
        If there is no such folder, it holds no results, or they are damaged.
    """
    folder = require_folder(folder)
    if is_there(folder / SHARDS) and not is_there(folder / RESULTS):
        with open_folder(folder) as stored:
            return stored.load()
    return load_single(folder, salvage=salvage)


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
