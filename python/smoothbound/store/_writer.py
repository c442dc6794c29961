"""Writing of a results folder, one finished input at a time, so that a kill loses none of them.

Every finished input is one frame of the journal (`_table.journal`), forced to the disk before the
next input begins. A kill can cut the last frame only, which is dropped when the run is resumed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, KeysView, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smoothbound._files import sealed
from smoothbound._files.atomic import (
    atomic_write,
    clear_drafts,
    file_identity,
    lock,
    missing_folders,
    remove_empty,
    sync_folder,
)
from smoothbound._files.closing import Closing
from smoothbound._files.plain import open_plain, read_plain
from smoothbound._utils import checks
from smoothbound.errors import StoreError
from smoothbound.store._folder import JOURNAL, RESULTS, is_there
from smoothbound.store._results import as_array
from smoothbound.store._settings import FORMAT, RunSettings
from smoothbound.store._shards.record import SHARDS
from smoothbound.store._table.checks import require_sound
from smoothbound.store._table.continued import ContinuedRows
from smoothbound.store._table.finished import FinishedFile
from smoothbound.store._table.journal import FileBytes, Journal, beginning, frame, schema_frames
from smoothbound.store._table.schema import schema
from smoothbound.store._table.unfinished import UnfinishedFile

__all__ = ["DAMAGED", "Writer", "refuse_other_files"]

DAMAGED = "journal.damaged"


class Writer(Closing):
    """Write a results folder, one finished input at a time; use it in a ``with`` statement.

    Parameters
    ----------
    folder : str or Path
        The folder, which is made if it is missing. One writer at a time holds it.
    settings : RunSettings
        The settings of the run.
    resume : bool
        Whether to resume a run that was stopped, or to add inputs to a finished one. In an empty or
        missing folder a new run begins.
    salvage : bool
        Whether to keep the whole frames of a damaged journal, and a copy of the damaged file as
        `journal.damaged`.
    goes_on : callable, optional
        Whether a row of a finished run, a dict, is drawn further, with the larger `n` or the budget
        of the settings. A new row then replaces it when the run is finished. By default none is.

    Attributes
    ----------
    digests : dict of int to bytes
        Digest of each input that is finished and on the disk, and of its label, by index.
    failed : dict of int to str
        Reason of each finished input that failed, by index.
    stopped : dict of int to dict
        Row of each input that was drawn when the run was stopped, or is drawn further, by index.

    Raises
    ------
    StoreError
        If another run writes to the folder, if it holds results and `resume` is false, if its
        settings differ from `settings`, if it holds files of other programs, or if it is damaged or
        cannot be read or written. Nothing in the folder is changed then.

    Notes
    -----
    Only one thread at a time may use a writer.
    """

    def __init__(
        self,
        folder: str | Path,
        settings: RunSettings,
        *,
        resume: bool = False,
        salvage: bool = False,
        goes_on: Callable[[dict[str, Any]], bool] | None = None,
    ) -> None:
        self.folder = checks.path("folder", folder)
        if settings.format != FORMAT:
            raise StoreError(
                f"settings must have format {FORMAT} to be written, got {settings.format}; this "
                "version reads older folders, and cannot resume them: certify into another folder"
            )
        self.settings = settings
        self.digests: dict[int, bytes] = {}
        self.failed: dict[int, str] = {}
        self.stopped: dict[int, dict[str, Any]] = {}
        self._goes_on = goes_on
        self._spent: dict[int, tuple[int, float]] = {}
        self._schema = schema(settings)
        self._finished: RunSettings | None = None  # of the finished run to which inputs are added
        self._end = 0
        self._fd = -1
        self._undo: int | None = None  # length of the journal to which `close` returns
        self._new_folders = missing_folders(self.folder)
        try:
            self._open(resume, salvage)
        except BaseException:
            self.close()
            raise

    @property
    def done(self) -> KeysView[int]:
        """Indices of the inputs that are finished and on the disk."""
        return self.digests.keys()

    @property
    def spent(self) -> tuple[int, float]:
        """Number of draws and seconds of the inputs that are on the disk."""
        draws, seconds = zip(*self._spent.values(), strict=True) if self._spent else ((), ())
        return sum(draws), sum(seconds, 0.0)

    def close(self) -> None:
        """Release the lock on the folder. Appended inputs are already on the disk.

        If none was appended, the folder is again as it was before, so that a refusal leaves no
        trace.
        """
        if self._fd >= 0:
            if self._undo is not None:
                self._leave_no_trace(self._undo)
            os.close(self._fd)
            self._fd = -1
        remove_empty(self._new_folders)

    def _leave_no_trace(self, length: int) -> None:
        """Take back what was written to the journal since it had a length."""
        with suppress(OSError):
            if length:
                os.ftruncate(self._fd, length)
            else:
                (self.folder / JOURNAL).unlink()

    def append(self, row: Mapping[str, object]) -> None:
        """Add an input; on return it is on the disk.

        Parameters
        ----------
        row : mapping
            One value for each column of `schema`. With the status "stopped" the input is not
            finished, and a later row replaces this one.

        Raises
        ------
        StoreError
            If it cannot be written, or one of its numbers cannot be right. Earlier inputs are kept.
        ValueError
            If a column is missing, unknown, or of the wrong type or length, or if the input was
            appended before.
        """
        if set(row) != set(self._schema.names):
            wrong = sorted(set(row) ^ set(self._schema.names))
            raise ValueError(f"row must have exactly the columns of the table; see {wrong}")
        if empty := [name for name, value in row.items() if value is None]:
            raise ValueError(f"row needs a value in each column, got None in {empty}")
        index = row["index"]
        if not isinstance(index, int) or index in self.done:
            raise ValueError(f"index must be an int that is not done yet, got {index!r}")
        self._add(pa.Table.from_pylist([dict(row)], schema=self._schema))

    def adopt(self, table: pa.Table) -> None:
        """Add the rows of inputs that another writer of the same run has finished or stopped.

        Inputs that are finished here, or were stopped after as many draws, are left out.

        Parameters
        ----------
        table : pyarrow.Table
            Rows with the columns of `schema`, each index once.

        Raises
        ------
        StoreError
            If they cannot be written, or a number cannot be right.
        """
        known = table.select(["index", "status", "n_draws"]).to_pylist()
        news = [
            row["index"] not in self.done
            and (row["status"] != "stopped" or row["n_draws"] > self._draws(row["index"]))
            for row in known
        ]
        if any(news):
            self._add(table.filter(pa.array(news)).cast(self._schema))

    def _draws(self, index: int) -> int:
        """Return the number of draws of an input that was stopped; -1 if it is not there."""
        return int(self.stopped[index]["n_draws"]) if index in self.stopped else -1

    def _add(self, table: pa.Table) -> None:
        require_sound("row", self.settings, _reading(table))
        rows = [table.slice(i, 1).combine_chunks().to_batches()[0] for i in range(len(table))]
        self._write(b"".join(frame(row.serialize().to_pybytes()) for row in rows))
        self._undo = None
        self._know(table)

    def finish(self) -> Path:
        """Turn the journal into `results.parquet` and return its path.

        Raises
        ------
        StoreError
            If inputs are missing, or the file cannot be written. The journal is then kept.
        """
        path = self.folder / RESULTS
        if self._fd < 0 and path.exists():  # it was finished before
            return path
        if len(self.done) != self.settings.n_inputs:
            raise StoreError(
                f"{self.folder} holds {len(self.done)} of {self.settings.n_inputs} inputs"
            )
        try:
            self._write_finished(path)
        except StoreError as error:
            raise StoreError(f"{error}. {self._what_is_kept()}") from error
        (self.folder / JOURNAL).unlink(missing_ok=True)
        self._undo = None
        self.close()
        return path

    def _write_finished(self, path: Path) -> None:
        """Write the rows of the journal, and those of the finished run that it goes on with."""
        before = self._finished
        replaces = before is None or self.settings.draws_further_than(before)
        with ExitStack() as stack:
            later = stack.enter_context(UnfinishedFile.open(self.folder / JOURNAL))
            earlier = None
            if before is not None:
                earlier = stack.enter_context(FinishedFile.open(path))
            rows = ContinuedRows(earlier, later, replaces=replaces)
            if len(rows) != self.settings.n_inputs:
                raise StoreError(
                    f"{self.folder} holds {len(rows)} of {self.settings.n_inputs} inputs"
                )
            with sealed.writing(path, self._schema) as write:
                for table in rows.tables(self._schema.names):
                    write(table)

    def _open(self, resume: bool, salvage: bool) -> None:
        """Compare the settings with those in the folder, lock the folder, and only then write."""
        results, path = self.folder / RESULTS, self.folder / JOURNAL
        seen = file_identity(results)
        if is_there(results):
            with FinishedFile.open(results) as finished:
                self._finished = finished.settings
                self._resume_from(finished, resume)
        if not is_there(path):
            if self._finished is None:
                refuse_other_files(self.folder)
            elif self._has_finished():
                return
        self._fd = lock(path)
        if file_identity(results) != seen:
            if not os.fstat(self._fd).st_size:  # made by the lock
                path.unlink()
            raise StoreError(
                f"another run has just finished in {self.folder}; look at its results, then try "
                "again or choose another folder"
            )
        clear_drafts(results)
        with open_plain(path) as file:
            journal, damaged = self._journal(path, file, salvage)
            self._read_journal(journal, damaged, file, resume)

    def _read_journal(self, journal: Journal, damaged: bytes, file: BinaryIO, resume: bool) -> None:
        """Go on with the inputs of the journal, or begin it if it has none of its own."""
        path = self.folder / JOURNAL
        left = UnfinishedFile.of(path, journal, file) if len(journal.rows) else None
        index = np.empty(0, np.int64) if left is None else self._new(left)
        if left is not None and len(index) and not self._has_finished():
            self._resume_from(left, resume, index)
        if damaged:
            self._replace(path, damaged, journal)
        if self._has_finished():
            # A kill between the last two steps of `finish` leaves a journal without new inputs. A
            # journal with new inputs belongs to a run with more of them, and stays.
            if not len(index):
                path.unlink(missing_ok=True)
            self.close()
            return
        if left is None or not len(index):
            self._undo = 0
            self._truncate()
            self._write(beginning(self._schema))
            sync_folder(self.folder)
            return
        self._undo = self._end = journal.end
        self._truncate()
        if left.settings.differences(self.settings):
            self._write(schema_frames(self._schema))

    def _has_finished(self) -> bool:
        return self._finished is not None and not self._finished.differences(self.settings)

    def _new(self, left: UnfinishedFile) -> NDArray[np.int64]:
        """Return the index of each input of a journal that the finished run does not have."""
        if self._finished is None:
            return left.index
        if not self._finished.goes_on_as(left.settings, more_draws=True):
            differences = self._finished.differences(left.settings)
            raise StoreError(
                f"{self.folder} holds two runs: {JOURNAL} is not of the run that finished in "
                f"{RESULTS} ({'; '.join(differences)}). Nothing was changed; move one of them away"
            )
        if left.settings.draws_further_than(self._finished):
            return left.index
        return np.setdiff1d(left.index, np.array([*self._spent], np.int64))

    def _resume_from(
        self,
        found: FinishedFile | UnfinishedFile,
        resume: bool,
        index: NDArray[np.int64] | None = None,
    ) -> None:
        """Compare the settings of a file with those of the run, and take its inputs as known."""
        if not resume:
            state = "a finished run" if found.complete else "a run that was stopped"
            n = len(found) if index is None else len(index)
            raise StoreError(
                f"{self.folder} already holds the results of {state} ({n} of "
                f"{found.settings.n_inputs} inputs); go on with --resume, or choose another folder"
            )
        more_draws = found.complete and self._goes_on is not None
        if not found.settings.goes_on_as(self.settings, more_draws=more_draws):
            raise StoreError(
                f"cannot resume {self.folder} with other settings: "
                f"{'; '.join(found.settings.differences(self.settings))}"
            )
        after = -1
        for table in found.read({*self._schema.names} - {"sketch"}, index):
            require_sound(found.path, found.settings, _reading(table), after=after)
            after = int(as_array(table["index"])[-1])
            if found.complete and (as_array(table["status"]) == "stopped").any():
                raise StoreError(
                    f"{found.path} must not hold inputs that were stopped: it is of a finished run"
                )
            self._know(table, self._goes_on if more_draws else None)

    def _know(
        self, table: pa.Table, goes_on: Callable[[dict[str, Any]], bool] | None = None
    ) -> None:
        """Count inputs as finished, or as those that are drawn further."""
        names = ["index", "status", "n_draws", "seconds", "digest", "reason"]
        known = table.select(names).to_pylist()
        for i, row in enumerate(known):
            index = row["index"]
            self._spent[index] = row["n_draws"], row["seconds"]
            self.failed.pop(index, None)
            if row["status"] == "failed":
                self.failed[index] = row["reason"]
            if row["status"] == "stopped" or goes_on is not None:
                (whole,) = table.slice(i, 1).to_pylist()
                if row["status"] == "stopped" or (goes_on is not None and goes_on(whole)):
                    self.digests.pop(index, None)
                    self.stopped[index] = whole
                    continue
            self.stopped.pop(index, None)
            self.digests[index] = bytes(row["digest"])

    def _journal(self, path: Path, file: BinaryIO, salvage: bool) -> tuple[Journal, bytes]:
        """Return the journal, and the bytes that its whole frames will replace if it is damaged."""
        try:
            return Journal.parse(path, FileBytes(file)), b""
        except StoreError:
            if not salvage:
                raise
        data = read_plain(path)
        return Journal.parse(path, Journal.salvage(path, data).to_bytes()), data

    def _replace(self, path: Path, damaged: bytes, journal: Journal) -> None:
        """Replace a damaged journal by its whole frames, and keep a copy of it."""
        with atomic_write(self.folder / DAMAGED) as file:
            file.write(damaged)
        with atomic_write(path) as file:
            file.write(journal.to_bytes())
        held, self._fd = self._fd, lock(path)
        os.close(held)

    def _truncate(self) -> None:
        os.ftruncate(self._fd, self._end)

    def _write(self, data: bytes) -> None:
        try:
            rest, end = memoryview(data), self._end
            while rest:
                written = os.pwrite(self._fd, rest, end)
                rest, end = rest[written:], end + written
            os.fsync(self._fd)
        except OSError as error:
            with suppress(OSError):
                self._truncate()
            raise StoreError(
                f"cannot write {self.folder / JOURNAL}: {error.strerror}. {self._what_is_kept()}"
            ) from error
        self._end += len(data)

    def _what_is_kept(self) -> str:
        return (
            f"The {len(self.done)} finished inputs of {self.settings.n_inputs} are kept; "
            "put it right and go on with --resume"
        )


def _reading(table: pa.Table) -> Callable[[str], NDArray[Any]]:
    return lambda name: as_array(table.column(name))


def refuse_other_files(folder: Path, but: Collection[str] = ()) -> None:
    """Refuse a folder for a new run that holds any file, hidden ones and those of `but` apart.

    Raises
    ------
    StoreError
        If it does, or cannot be read.
    """
    try:
        others = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise StoreError(f"cannot read {folder}: {error.strerror}") from error
    others = [name for name in others if not name.startswith(".") and name not in but]
    if SHARDS in others:
        raise StoreError(
            f"{folder} holds a run in shards: state --shard i/n to go on with one of them, or "
            "choose another folder"
        )
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise StoreError(
            f"{folder} must be empty or missing for a new run, and holds {others[0]}{more}; choose "
            "another folder"
        )
