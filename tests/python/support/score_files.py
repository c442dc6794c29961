"""Scores, written to files of every kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq

SCORES = np.random.default_rng(0).random((7, 5))


def lists(array: np.ndarray[Any, Any], kind: Callable[..., pa.DataType] = pa.list_) -> pa.Array:
    return pa.array(array.tolist(), kind(pa.from_numpy_dtype(array.dtype)))


def write(path: Path, array: np.ndarray[Any, Any]) -> Path:
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, scores=array)
    else:
        table = pa.table({"name": ["x"] * len(array), "scores": lists(array)})
        write_table(path, table)
    return path


def write_table(path: Path, table: pa.Table, rows_a_batch: int = 3) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=rows_a_batch)
        return
    kind = pa.ipc.new_stream if path.suffix == ".arrows" else pa.ipc.new_file
    with kind(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows_a_batch)


ARRAYS = [".npy", ".npz"]
TABLES = [".parquet", ".arrow", ".arrows"]
