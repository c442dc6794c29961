"""Joining of results folders: those of one run, or of other inputs with the same settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._files import sealed
from smoothbound._files.atomic import clear_drafts
from smoothbound._utils import checks
from smoothbound.errors import StoreError
from smoothbound.store._folder import RESULTS, is_there, load_single, require_folder
from smoothbound.store._results import as_array
from smoothbound.store._settings import FORMAT, RunSettings
from smoothbound.store._shards.record import SHARDS, read_record
from smoothbound.store._shards.union import ClosedFile, JoinedRows, Source, open_shards
from smoothbound.store._table.memory import MemoryTable
from smoothbound.store._table.schema import schema
from smoothbound.store._writer import refuse_other_files

__all__ = ["merge"]

_SHOWN = 3  # missing inputs that an error names


def merge(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    advance: Callable[[int], object] = lambda count: None,
) -> Path:
    """Join results folders into one, with all rows in the order of `index`.

    The folders hold one run, in shards or not, each any part of its inputs; or finished runs with
    the same settings on other inputs. An input that is in several folders must have the same row in
    each, apart from the seconds. A kill leaves nothing in `out` but a hidden draft, which the next
    merge deletes.

    Parameters
    ----------
    folders : sequence of str or Path
        Results folders, one or more.
    out : str or Path
        Folder to write, empty or missing. If it holds the same results already, nothing is done.
    advance : callable
        Called with the number of rows just written.

    Returns
    -------
    Path
        The results file in `out`.

    Raises
    ------
    ValueError
        If there is no folder, or `out` is one of them.
    StoreError
        If the folders do not belong together, are not finished or are damaged, or if `out` holds
        something else or cannot be written.

    Examples
    --------
    >>> import smoothbound as sb
    >>> sb.store.merge(["a/", "b/"], "both/")  # doctest: +SKIP
    PosixPath('both/results.parquet')
    """
    paths, out = checks.paths("folders", folders), checks.path("out", out)
    if not paths:
        raise ValueError("folders must name at least one results folder, got none")
    if any(path.resolve() == out.resolve() for path in paths):
        raise ValueError(f"out must be another folder than those that are joined, got {out}")
    opened = [_opened(require_folder(path)) for path in paths]
    _require_same_settings(opened)
    settings = _settings(opened)
    sources = [source for one in opened for source in one.sources]
    file = out / RESULTS
    clear_drafts(file)
    if not is_there(file):
        refuse_other_files(out)
        try:
            _write(file, JoinedRows(out, settings, True, sources, True, out), advance)
        except FileExistsError:  # another merge was quicker
            pass
        else:
            return file
    _require_same_results(file, settings, sources)
    return file


def _opened(folder: Path) -> JoinedRows:
    if is_there(folder / RESULTS):
        file = ClosedFile.check(folder / RESULTS)
        return JoinedRows(folder, file.settings, True, [file])
    if is_there(folder / SHARDS):
        return open_shards(folder)
    held = load_single(folder)
    rows = MemoryTable(folder, held.settings, held.table, held.complete)
    return JoinedRows(folder, held.settings, held.complete, [rows])


def _require_same_settings(opened: Sequence[JoinedRows]) -> None:
    """Refuse folders whose runs differ in more than their inputs."""
    first = opened[0]
    records = [read_record(one.path) for one in opened]
    known = next((record for record in records if record is not None), None)
    for one, record in zip(opened, records, strict=True):
        if one.settings.format != FORMAT:
            raise StoreError(
                f"{one.path} has format {one.settings.format}, which this version reads but does "
                f"not write: folders of format {FORMAT} can be joined"
            )
        differences = _of_all(first.settings).differences(_of_all(one.settings))
        if record is not None and known is not None and record.data != known.data:
            differences.append("data: its labels or its first image are others")
        if differences:
            raise StoreError(
                f"{one.path} does not belong together with {first.path}: {'; '.join(differences)}"
            )


def _of_all(settings: RunSettings) -> RunSettings:
    """Return settings without the choice of inputs."""
    return replace(settings, skip=1, max_inputs=None, indices=None, shard=None, n_inputs=1)


def _settings(opened: Sequence[JoinedRows]) -> RunSettings:
    """Return the settings of the joined runs, all of whose inputs must be there.

    Raises
    ------
    StoreError
        If inputs are missing.
    """
    settings = opened[0].settings
    if not any(settings.differences(one.settings) for one in opened):
        _require_all(opened)
        return settings
    for one in opened:
        _require_all([one])
        budget = one.settings.adaptive and one.settings.adaptive.budget
        if budget and (budget.draws is not None or budget.seconds is not None):
            raise StoreError(
                f"{one.path} has a budget for all its inputs together, so it cannot be joined with "
                "another run"
            )
    there = np.unique(np.concatenate([np.asarray(one.settings.inputs) for one in opened]))
    return replace(settings, **_selection(there), shard=None, n_inputs=len(there))


def _require_all(opened: Sequence[JoinedRows]) -> None:
    """Refuse folders of the same inputs if one of these is finished in none of them."""
    inputs = np.asarray(opened[0].settings.inputs, np.int64)
    done = np.zeros(len(inputs), np.bool_)
    for source in (source for one in opened for source in one.sources):
        for table in source.read({"index", "status"}):
            finished = as_array(table["index"])[as_array(table["status"]) != "stopped"]
            place = np.minimum(np.searchsorted(inputs, finished), len(inputs) - 1)
            done[place[inputs[place] == finished]] = True
    if not done.all():
        raise _unfinished(opened, inputs[~done])


def _unfinished(opened: Sequence[JoinedRows], missing: NDArray[np.int64]) -> StoreError:
    settings = opened[0].settings
    names = " and ".join(str(one.path) for one in opened)
    shown = ", ".join(map(str, missing[:_SHOWN].tolist()))
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    record = read_record(opened[0].path)
    which = ""
    if record is not None:
        ranks = np.searchsorted(np.asarray(settings.inputs), missing)
        shards = np.unique(ranks % record.shards).tolist()
        which = f", of the shards {', '.join(map(str, shards))} of {record.shards}"
    return StoreError(
        f"{len(missing)} of {settings.n_inputs} inputs are not finished in {names}{which}: inputs "
        f"{shown}{more}. Finish the run first; smoothbound status says how far it is"
    )


def _selection(index: NDArray[np.int64]) -> dict[str, Any]:
    """Return the settings that choose these inputs.

    Examples
    --------
    >>> _selection(np.array([0, 20, 40]))
    {'skip': 20, 'max_inputs': 3, 'indices': None}
    >>> _selection(np.array([3, 5, 8]))
    {'skip': 1, 'max_inputs': None, 'indices': (3, 5, 8)}
    """
    skip = int(index[1]) if len(index) > 1 else 1
    if np.array_equal(index, np.arange(len(index)) * skip):
        return {"skip": skip, "max_inputs": len(index), "indices": None}
    return {"skip": 1, "max_inputs": None, "indices": tuple(index.tolist())}


def _write(file: Path, rows: JoinedRows, advance: Callable[[int], object]) -> None:
    columns = schema(rows.settings)
    with sealed.writing(file, columns, once=True) as write:
        for table in rows.read({*columns.names}):
            write(table.select(columns.names))
            advance(len(table))


def _require_same_results(file: Path, settings: RunSettings, sources: Sequence[Source]) -> None:
    """Refuse a results file that holds other rows than the sources."""
    there = ClosedFile.check(file)
    differences = there.settings.differences(settings)
    if not differences:
        rows = JoinedRows(file.parent, settings, True, [there, *sources], True, file.parent)
        try:
            for _ in rows.read({*schema(settings).names}):
                pass
        except StoreError as error:
            differences = [str(error)]
    if differences:
        raise StoreError(
            f"{file.parent} holds other results ({'; '.join(differences)}); choose another folder"
        )
