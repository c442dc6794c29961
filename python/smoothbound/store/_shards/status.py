"""How far a run is, by shard: read from its files, without disturbing the processes that write."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from smoothbound._files.atomic import is_locked
from smoothbound.errors import StoreError
from smoothbound.store._folder import JOURNAL, RESULTS, is_there, read_single, require_folder
from smoothbound.store._results import as_array
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.parts import parts_of, require_of_run
from smoothbound.store._shards.record import RECORD, SHARDS, RunRecord, read_record
from smoothbound.store._shards.shard import Shard
from smoothbound.store._shards.union import distinct
from smoothbound.store._table.finished import FinishedFile

__all__ = ["RunStatus", "ShardStatus", "State", "StatusReader", "status"]

State = Literal["finished", "running", "stopped", "not started", "damaged"]
"""``running``: a process holds the lock of its file. ``stopped``: none does, as far as the locks of
the file system tell. ``damaged``: its files cannot be read."""

_COLUMNS = ["index", "status", "n_selection", "n_draws", "seconds"]


@dataclass(frozen=True)
class ShardStatus:
    """How far a shard is, or a run that is not in shards.

    Attributes
    ----------
    shard : Shard or None
        None for a run that is not in shards.
    state : {"finished", "running", "stopped", "not started", "damaged"}
    n_inputs, done, failed : int
        Number of its inputs, of those that are finished, and of those among them that failed.
    n_draws : int
        Number of draws of the finished inputs, also for the selection.
    seconds : float
        Time that the finished inputs took.
    reason : str
        Why it is damaged; empty otherwise.
    workers : int
        Number of processes that certify it; a run on Ray can have many.
    """

    shard: Shard | None
    state: State
    n_inputs: int
    done: int = 0
    failed: int = 0
    n_draws: int = 0
    seconds: float = 0.0
    reason: str = ""
    workers: int = 1

    @property
    def rate(self) -> float | None:
        """Draws per second of the finished inputs; None if there are none yet."""
        return self.workers * self.n_draws / self.seconds if self.seconds else None

    @property
    def seconds_left(self) -> float | None:
        """Time for the other inputs at the rate of the finished ones; None if it is not known."""
        if self.done == self.n_inputs:
            return 0.0
        seconds = self.seconds / self.workers
        return (self.n_inputs - self.done) * seconds / self.done if self.done else None


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Attributes
    ----------
    settings : RunSettings
        Of the whole run.
    shards : tuple of ShardStatus
        One for each shard; a single one for a run that is not in shards.
    """

    settings: RunSettings
    shards: tuple[ShardStatus, ...]

    @property
    def complete(self) -> bool:
        """Whether all shards are finished."""
        return self.count("finished") == len(self.shards)

    def count(self, state: State) -> int:
        """Return the number of shards in a state."""
        return sum(one.state == state for one in self.shards)

    def total(self, name: Literal["done", "failed", "n_draws"]) -> int:
        """Return the sum of a count over the shards."""
        return sum(getattr(one, name) for one in self.shards)

    @property
    def rate(self) -> float:
        """Draws per second of the shards that run."""
        return sum(one.rate or 0.0 for one in self.shards if one.state == "running")

    @property
    def seconds_left(self) -> float | None:
        """Time until the last running shard ends; None if it is not known, or none runs."""
        left = [one.seconds_left for one in self.shards if one.state == "running"]
        known = [one for one in left if one is not None]
        return max(known) if known and len(known) == len(left) else None


def status(folder: str | Path) -> RunStatus:
    """Say how far the run of a results folder is, by shard, without disturbing it.

    Parameters
    ----------
    folder : str or Path
        A results folder, in shards or not, finished or not.

    Returns
    -------
    RunStatus

    Raises
    ------
    StoreError
        If there is no such folder, or it holds no run.

    Examples
    --------
    >>> import smoothbound as sb
    >>> run = sb.store.status("results/")  # doctest: +SKIP
    >>> run.complete, run.total("done"), run.settings.n_inputs  # doctest: +SKIP
    (False, 120, 500)
    """
    return StatusReader(folder).read()


class StatusReader:
    """Reads the status of a folder again and again; files that did not change are read once."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = require_folder(folder)
        self._known: dict[Path, tuple[object, RunSettings, pa.Table]] = {}

    def read(self) -> RunStatus:
        """Return the status of this moment."""
        folder = self._folder
        if is_there(folder / RESULTS) or not is_there(folder / SHARDS):
            held = self._rows(folder)
            if held is None:
                raise StoreError(f"{folder} holds no results yet")
            settings, table = held
            only = _status(settings.shard, settings.n_inputs, [folder], table)
            return RunStatus(settings, (only,))
        record = read_record(folder)
        if record is None:
            raise StoreError(
                f"{folder / SHARDS / RECORD} is missing: no shard has begun, or it was deleted; "
                "the next shard that runs writes it again"
            )
        shards = [Shard(i, record.shards) for i in range(record.shards)]
        parts: dict[str, list[Path]] = {one.name: [] for one in shards}
        for part in parts_of(folder):
            parts.setdefault(part.name.partition(".")[0], []).append(part)
        made = (self._shard(record, one, parts[one.name]) for one in shards)
        return RunStatus(record.settings, tuple(made))

    def _shard(self, record: RunRecord, shard: Shard, parts: list[Path]) -> ShardStatus:
        n_inputs = record.of(shard).n_inputs
        if not parts:
            return ShardStatus(shard, "not started", n_inputs)
        finished = [part for part in parts if is_there(part / RESULTS)]
        tables = []
        try:
            for part in finished[:1] or parts:
                held = self._rows(part)
                if held is not None:
                    require_of_run(part, held[0], record)
                    tables.append(held[1])
            table = distinct(self._folder, pa.concat_tables(tables)) if tables else None
        except StoreError as error:
            return ShardStatus(shard, "damaged", n_inputs, reason=str(error))
        return _status(shard, n_inputs, parts, table)

    def _rows(self, part: Path) -> tuple[RunSettings, pa.Table] | None:
        """Return the settings of a part and some columns of its rows; None if it has none yet."""
        for path in (part / RESULTS, part / JOURNAL, part / RESULTS):  # it may finish meanwhile
            with suppress(FileNotFoundError):
                found = path.stat()
                break
        else:
            return None
        key = path, found.st_ino, found.st_size, found.st_mtime_ns
        if part in self._known and self._known[part][0] == key:
            return self._known[part][1:]
        if path.name == RESULTS:
            with FinishedFile.open(path, check=False) as file:
                settings, tables = file.settings, list(file.read({*_COLUMNS}))
        else:
            held = read_single(part)
            if held is None:
                return None
            settings, tables = held.settings, [held.table]
        table = pa.concat_tables(one.select(_COLUMNS).replace_schema_metadata() for one in tables)
        self._known[part] = key, settings, table
        return settings, table


def _status(
    shard: Shard | None, n_inputs: int, parts: Iterable[Path], table: pa.Table | None
) -> ShardStatus:
    state: State = "stopped"
    n_locked = 0
    if any(is_there(part / RESULTS) for part in parts):
        state = "finished"
    elif n_locked := sum(is_locked(part / JOURNAL) for part in parts):
        state = "running"
    if table is None:
        return ShardStatus(shard, state, n_inputs)
    outcome = as_array(table["status"])
    done = outcome != "stopped"
    selection, draws, seconds = (as_array(table[name])[done].sum() for name in _COLUMNS[2:])
    return ShardStatus(
        shard,
        state,
        n_inputs,
        int(done.sum()),
        int((outcome == "failed").sum()),
        int(selection + draws),
        float(seconds),
        workers=max(1, n_locked - 1),  # the driver of workers holds a part, too
    )
