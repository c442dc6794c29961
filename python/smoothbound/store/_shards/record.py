"""The record of a run in shards: its settings, which the first shard writes and all others keep.

`shards/settings.json` is written once and never changed. It holds the number of shards, the
settings of the whole run, a digest that tells the data from others of the same name, and a checksum
of all this. The batch size, memory format, precision and threads of the first shard are among the
settings, so that the other shards use the same: the bits of the numbers depend on them.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from smoothbound._files.atomic import atomic_write
from smoothbound._files.checksum import digest
from smoothbound._files.plain import read_plain
from smoothbound._utils import checks
from smoothbound.errors import StoreError
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.shard import Shard

__all__ = ["RECORD", "SHARDS", "RunRecord", "read_record", "write_record"]

SHARDS, RECORD = "shards", "settings.json"
_FIELDS = {"shards", "data", "settings"}


@dataclass(frozen=True)
class RunRecord:
    """What all shards of a run agree on.

    Parameters
    ----------
    shards : int
        Number of shards.
    data : str
        Digest of the first selected input and of all labels.
    settings : RunSettings
        The settings of the whole run.
    """

    shards: int
    data: str
    settings: RunSettings

    def to_bytes(self) -> bytes:
        """Write the record as JSON with a checksum."""
        content = {
            "shards": self.shards,
            "data": self.data,
            "settings": json.loads(self.settings.to_json()),
        }
        return json.dumps({"checksum": _checksum(content), **content}, indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, path: Path, data: bytes) -> RunRecord:
        """Read what `to_bytes` wrote.

        Raises
        ------
        StoreError
            If it is damaged. The error names `path`.
        """
        try:
            content = json.loads(data)
            checksum = content.pop("checksum")
            if set(content) != _FIELDS or checksum != _checksum(content):
                raise ValueError("its checksum does not match")
            count = checks.count("shards", content["shards"])
            settings = RunSettings.from_json(json.dumps(content["settings"]))
            return cls(count, str(content["data"]), settings)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise StoreError(
                f"{path} is damaged ({error}). Restore it from a copy; or delete it, and the next "
                "shard that runs writes it again"
            ) from error

    def of(self, shard: Shard) -> RunSettings:
        """Return the settings of a shard."""
        return replace(self.settings, shard=shard, n_inputs=shard.size(self.settings.n_inputs))

    def differences(self, other: RunRecord) -> list[str]:
        """Return a line for each thing of another record that differs."""
        lines = self.settings.differences(other.settings)
        if self.shards != other.shards:
            lines.insert(0, f"number of shards: was {self.shards}, now {other.shards}")
        if self.data != other.data and not lines:
            lines.append(
                "data: its labels or its first image are others, or images are decoded by another "
                "version"
            )
        return lines


def read_record(folder: Path) -> RunRecord | None:
    """Return the record of a folder; None if it has none.

    Raises
    ------
    StoreError
        If it is damaged or cannot be read.
    """
    path = folder / SHARDS / RECORD
    try:
        there = path.exists()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    return RunRecord.from_bytes(path, read_plain(path)) if there else None


def write_record(folder: Path, record: RunRecord) -> RunRecord:
    """Write a record unless the folder has one, and return the one that it has then.

    Raises
    ------
    StoreError
        If it cannot be written or read.
    """
    path = folder / SHARDS / RECORD
    with suppress(FileExistsError), atomic_write(path, once=True) as file:
        file.write(record.to_bytes())
    return RunRecord.from_bytes(path, read_plain(path))


def _checksum(content: dict[str, object]) -> str:
    return digest(json.dumps(content, sort_keys=True).encode()).hex()
