"""The record, the shard and the errors that the driver and the workers of a run share."""

from __future__ import annotations

from pathlib import Path

from smoothbound.errors import CheckpointError, ClusterError, DataError, ModelError, StoreError
from smoothbound.store._shards.record import SHARDS, RunRecord, read_record
from smoothbound.store._shards.shard import Shard

__all__ = ["TOLD", "WHOLE", "is_of_worker", "record_of"]

WHOLE = Shard(0, 1)
"""The only shard of the run."""

_KINDS = (CheckpointError, ClusterError, DataError, ModelError, StoreError, TypeError, ValueError)

TOLD = {kind.__name__: kind for kind in _KINDS}
"""Errors that a worker reports to the driver, by name."""


def record_of(folder: Path, where: str) -> RunRecord:
    """Return the record of a run, which the first worker wrote."""
    record = read_record(folder)
    if record is None:
        raise StoreError(
            f"{folder} is not the same folder on {where} as on the first worker, which has written "
            f"{SHARDS} there: the results folder must be on a file system that all nodes share"
        )
    return record


def is_of_worker(part: Path) -> bool:
    """Return whether a part was written by a worker, and not by the driver."""
    return part.name.count(".") > 1
