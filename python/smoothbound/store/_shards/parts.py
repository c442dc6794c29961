"""The parts of a run in shards: the folders of the processes that certify them.

Each process writes a results folder of its own, `shards/<shard>.<machine>`. A part therefore has
one writer at a time: on one machine the lock of the file is certain, and other machines write
elsewhere, also where the locks of a shared file system reach no further than a machine.
"""

from __future__ import annotations

import platform
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from smoothbound._files.atomic import is_locked, remove_empty
from smoothbound.errors import StoreError
from smoothbound.store._folder import JOURNAL, RESULTS, is_there, read_single
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.record import (
    RECORD,
    SHARDS,
    RunRecord,
    read_record,
    write_record,
)
from smoothbound.store._shards.shard import Shard
from smoothbound.store._writer import Writer, refuse_other_files

__all__ = [
    "gather",
    "join",
    "machine",
    "parts_of",
    "record_first",
    "require_of_run",
    "require_same_run",
    "shard_name",
    "withdrawn_if_refused",
]

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def machine() -> str:
    """Return a name of this machine since its last start, which no other machine has.

    Host names alone are not enough, because pods of one job may share theirs.
    """
    host = re.sub(r"[^A-Za-z0-9]+", "-", platform.node())[:40].strip("-") or "host"
    try:
        start = _BOOT.read_text(encoding="ascii")[:8]
    except OSError:  # another system than Linux
        start = f"{uuid.getnode():012x}"
    return f"{host}-{start}"


def parts_of(folder: Path, shard: Shard | None = None) -> list[Path]:
    """Return the parts of a shard, or of all, in the order of their names."""
    try:
        found = [path for path in (folder / SHARDS).iterdir() if path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoreError(f"cannot read {folder / SHARDS}: {error.strerror}") from error
    return sorted(
        path
        for path in found
        if (shard is None or shard_name(path) == shard.name)
        and (is_there(path / RESULTS) or is_there(path / JOURNAL))
    )


def shard_name(part: Path) -> str:
    """Return the name of the shard of a part."""
    return part.name.partition(".")[0]


def record_first(folder: Path, own: RunRecord) -> RunRecord:
    """Return the record of a folder, which is `own` if the folder has none yet.

    Raises
    ------
    ValueError
        If there are more shards than inputs.
    StoreError
        If the folder holds something else, or the record is damaged or cannot be written.
    """
    n_inputs = own.settings.n_inputs
    if own.shards > n_inputs:
        raise ValueError(
            f"shard must be one of at most {n_inputs}, because {n_inputs} inputs are selected, got "
            f"one of {own.shards}"
        )
    record = read_record(folder)
    if record is None:
        refuse_other_files(folder, but=(SHARDS,))
        record = write_record(folder, own)
    return record


@contextmanager
def withdrawn_if_refused(folder: Path, new_folders: Sequence[Path]) -> Iterator[None]:
    """Delete a new record if the block fails and no shard has kept anything.

    A refused shard then leaves no settings behind that the next command would have to agree with.

    Parameters
    ----------
    folder : Path
    new_folders : list of Path
        The folders that were made for the record; if there are none, the record may be older.
    """
    try:
        yield
    except Exception:
        if new_folders and not parts_of(folder):
            with suppress(OSError):
                (folder / SHARDS / RECORD).unlink(missing_ok=True)
            remove_empty(new_folders)
        raise


def require_same_run(folder: Path, record: RunRecord, own: RunRecord) -> None:
    """Refuse a shard whose settings are not those that the folder records.

    Raises
    ------
    StoreError
        The error names each setting that differs.
    """
    kind, recorded = own.settings.device.partition(":")[0], record.settings.device
    if recorded.partition(":")[0] == kind:  # which one of several is no difference
        own = replace(own, settings=replace(own.settings, device=recorded))
    if differences := record.differences(own):
        raise StoreError(
            f"{folder} holds a run in shards with other settings: {'; '.join(differences)}. All "
            "shards need those of the first; put this right, or choose another folder"
        )


def join(folder: Path, record: RunRecord, shard: Shard, *, salvage: bool = False) -> Path:
    """Return the part to which this process writes a shard, with all that is finished of it.

    Finished inputs of other machines are copied into the part. If the shard is finished, this is
    the part that holds it.

    Raises
    ------
    StoreError
        If another process certifies the shard, as far as locks tell, or a part is damaged.
    """
    settings = record.of(shard)
    own = folder / SHARDS / f"{shard.name}.{machine()}"
    others = [part for part in parts_of(folder, shard) if part != own]
    for part in (own, *others):
        if is_there(part / RESULTS):
            return part
    for part in others:
        if is_locked(part / JOURNAL):
            raise StoreError(
                f"another process certifies shard {shard} of {folder}: it is writing to {part}"
            )
    if others:
        with Writer(own, settings, resume=True, salvage=salvage) as writer:
            gather(others, record, writer, salvage=salvage)
    return own


def gather(
    parts: Iterable[Path], record: RunRecord, writer: Writer, *, salvage: bool = False
) -> None:
    """Copy the rows of parts, whose writers may still be at work, into the part of a writer.

    Raises
    ------
    StoreError
        If a part is damaged or does not belong to the run.
    """
    for part in parts:
        held = read_single(part, salvage=salvage)
        if held is not None:
            require_of_run(part, held.settings, record)
            writer.adopt(held.table)


def require_of_run(part: Path, settings: RunSettings, record: RunRecord) -> None:
    """Refuse a part whose settings are not those of the record.

    Raises
    ------
    StoreError
        The error names what differs.
    """
    expected = record.settings if settings.shard is None else record.of(settings.shard)
    differences = expected.differences(settings)
    if settings.shard is not None and settings.shard.count != record.shards:
        differences.append(f"number of shards: was {record.shards}, now {settings.shard.count}")
    if settings.shard is not None and shard_name(part) != settings.shard.name:
        differences.append(f"shard: its files are of {settings.shard}")
    if differences:
        raise StoreError(
            f"{part} does not belong to the run of {SHARDS}/{RECORD}: {'; '.join(differences)}. "
            "Move it away, and certify its shard again"
        )
