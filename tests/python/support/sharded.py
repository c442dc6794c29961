"""A small run in shards with made-up rows, for the tests of the store."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

from stored import SETTINGS, row

from smoothbound import store
from smoothbound._files import atomic, sealed
from smoothbound.store import Shard
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.parts import join, record_first, require_same_run
from smoothbound.store._shards.record import RunRecord, write_record

WHOLE = replace(SETTINGS, skip=1, n_inputs=10)
SHARDS = 3
RECORD = RunRecord(SHARDS, "0" * 32, WHOLE)


def made(index: int, **changes: object) -> dict[str, object]:
    """Return the row of an input, with numbers that can be right for any index."""
    usual = {"mean_score": 0.5, "lower_mean": [0.1, 1 / 3, index / 1000]}
    return row(index) | usual | changes


def joined(folder: Path, index: int, record: RunRecord = RECORD) -> tuple[Path, RunSettings]:
    """Join a run as one of its shards; return the part and its settings."""
    found = record_first(folder, record)
    require_same_run(folder, found, record)
    shard = Shard(index, record.shards)
    return join(folder, found, shard), found.of(shard)


def certify(
    folder: Path, index: int, at_most: int = 10, record: RunRecord = RECORD, **changes: object
) -> Path:
    """Certify some inputs of a shard, and finish it if they are all; return its part."""
    part, settings = joined(folder, index, record)
    with store.Writer(part, settings, resume=True) as writer:
        left = [one for one in settings.inputs if one not in writer.done]
        for one in left[:at_most]:
            writer.append(made(one, **changes))
        if len(left) <= at_most:
            writer.finish()
    return part


def write_own_record(folder: Path, batch_size: int) -> None:
    """Write the record with a setting of its own, and print that of the record which stays."""
    own = replace(RECORD, settings=replace(WHOLE, batch_size=batch_size))
    print(write_record(folder, own).settings.batch_size)


def merge(folders: list[Path], out: Path) -> None:
    """Join folders."""
    store.merge(folders, out)


def merge_and_die(function: str, folders: list[Path], out: Path) -> None:
    """Join folders, and be killed at the call of a function that writes files."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    for module in (atomic, sealed):
        if hasattr(module, function):
            setattr(module, function, die)
    store.merge(folders, out)


def whole(folder: Path, settings: RunSettings = WHOLE) -> Path:
    """Write the same run without shards."""
    with store.Writer(folder, settings) as writer:
        for one in settings.inputs:
            writer.append(made(one))
        writer.finish()
    return folder


def contents(folder: Path) -> tuple[RunSettings, str]:
    """Return what a folder holds, apart from timings."""
    results = store.load(folder)
    return results.settings, repr(results.table.drop_columns(["seconds"]).to_pylist())
