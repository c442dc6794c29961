"""Reading of a results folder, finished or not, as one table.

A finished run is one Parquet file, `results.parquet`, with the settings as JSON in its metadata
(key ``smoothbound``). An unfinished run is a journal (`_table.journal`). A folder holds both while
a finished run is resumed with more inputs.

Checksums cover every byte, and every setting and number is checked when it is read.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from smoothbound._files import sealed
from smoothbound._files.plain import read_plain
from smoothbound._utils import checks
from smoothbound.errors import StoreError
from smoothbound.store._results import Results
from smoothbound.store._shards.record import SHARDS
from smoothbound.store._table.checks import require_sound
from smoothbound.store._table.journal import Journal
from smoothbound.store._table.schema import (
    settings_of,
    upgraded,
    without_replaced,
)

__all__ = [
    "JOURNAL",
    "RESULTS",
    "is_there",
    "load_finished",
    "load_single",
    "read_single",
    "require_anytime",
    "require_folder",
    "results_of",
    "whole_table",
]

RESULTS, JOURNAL = "results.parquet", "journal.bin"


def load_single(folder: Path, *, salvage: bool = False) -> Results:
    """Read a results folder that one run at a time writes; see `smoothbound.store.load`."""
    results = read_single(folder, salvage=salvage)
    if results is None:
        raise StoreError(f"{folder} holds no results yet: its run was stopped at the very start")
    return results


def read_single(folder: Path, *, salvage: bool = False) -> Results | None:
    """Read a results folder as `load_single` does; None if its journal has no settings yet."""
    finished, path = folder / RESULTS, folder / JOURNAL
    if is_there(finished):
        return load_finished(finished)
    try:
        data = read_plain(path)
    except StoreError:
        if is_there(finished):  # the run has finished since, and deleted its journal
            return load_finished(finished)
        raise
    journal = _parse(path, data, salvage=salvage)
    if journal.schema is None:
        return None
    return results_of(path, whole_table(path, journal), complete=False)


def _parse(path: Path, data: bytes, *, salvage: bool) -> Journal:
    try:
        return Journal.parse(path, data)
    except StoreError:
        if not salvage:
            raise
        return Journal.salvage(path, data)


def load_finished(path: Path) -> Results:
    """Read the file of a finished run."""
    table, is_sealed = sealed.read_table(path)
    results = results_of(path, table, complete=True)
    if results.settings.format >= 4:
        sealed.require(path, is_sealed)
    return results


def results_of(path: Path, table: pa.Table, *, complete: bool) -> Results:
    """Return the results of a table that was read from a file, after a check of its contents.

    Raises
    ------
    StoreError
        If the table is not one that a run writes. The error names `path`.
    """
    settings = settings_of(path, table.schema)
    if complete and len(table) != settings.n_inputs:
        raise StoreError(f"{path} holds {len(table)} inputs, its settings say {settings.n_inputs}")
    table = table if complete else without_replaced(table)
    results = Results(settings, upgraded(table.sort_by("index"), settings), complete)
    require_sound(path, settings, results.array)
    if complete and results.stopped:
        raise StoreError(f"{path} must not hold inputs that were stopped: it is of a finished run")
    return results


def whole_table(path: Path, journal: Journal) -> pa.Table:
    """Return all rows of a journal, if memory holds them.

    Raises
    ------
    StoreError
        If it does not.
    """
    try:
        return journal.table()
    except MemoryError as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def require_folder(folder: str | Path) -> Path:
    """Return the path of a results folder.

    Raises
    ------
    StoreError
        If there is no such folder, or it holds neither of the files of a run.
    """
    path = checks.path("folder", folder)
    if not is_there(path) or not path.is_dir():
        raise StoreError(f"there is no results folder {path}")
    # The results come last too, because a run may finish at this moment.
    if not any(is_there(path / name) for name in (RESULTS, JOURNAL, SHARDS, RESULTS)):
        raise StoreError(
            f"{path} holds no results: neither {RESULTS} nor {JOURNAL} nor {SHARDS} is in it"
        )
    return path


def is_there(path: Path) -> bool:
    """Return whether there is anything of this name, also a link to a missing file."""
    try:
        return path.is_symlink() or path.exists()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error


def require_anytime(folder: str | Path, results: Results) -> None:
    """Refuse results that cannot go on with more draws.

    Raises
    ------
    StoreError
        If the run is not finished, or its draws do not rest on the anytime test.
    """
    if not results.complete and is_there(Path(folder) / SHARDS):
        raise StoreError(
            f"{folder} holds shards that are not finished: finish them with certify --shard "
            f"(smoothbound status {folder} shows which), and join them with smoothbound merge"
        )
    if not results.complete:
        raise StoreError(f"the run of {folder} was stopped: finish it with --resume first")
    if results.settings.shard is not None:
        raise StoreError(
            f"{folder} is shard {results.settings.shard} of a run: finish the other shards, join "
            "them with smoothbound merge, and go on with what it writes"
        )
    adaptive = results.settings.adaptive
    if adaptive is None:
        raise StoreError(
            f"{folder} holds a run with a fixed number of draws, to which none may be added after "
            "a look at its results; only draws of certify --adaptive go on (docs/anytime.md)"
        )
    if adaptive.stages is not None:
        raise StoreError(
            f"{folder} holds adaptive draws in stages, which an older version made and which "
            "cannot go on; certify into another folder"
        )
