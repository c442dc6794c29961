"""Scores from Parquet files, which are streamed, and Arrow IPC files, which are memory-mapped."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from smoothbound._files.plain import memory_limit
from smoothbound.errors import StoreError
from smoothbound.scores._score_file import (
    ScoreFile,
    Scores,
    check_type,
    choose,
    readable,
    regrouped,
    rows_per_chunk,
    without_categories,
)

__all__ = ["open_arrow", "open_parquet"]

_PAGE_BYTES = 1 << 20  # of Parquet read at a time, because a row group may hold the whole file
_IDS_ROWS = 4096  # rows of the other columns read at a time
_IDS = (  # types of columns that identify the input of a row
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_temporal,
)


def open_parquet(path: Path, key: str | None) -> ScoreFile:
    """Open a Parquet file of scores; see `open_scores`."""

    def open_file() -> pq.ParquetFile:
        return pq.ParquetFile(
            path, pre_buffer=False, buffer_size=_PAGE_BYTES, page_checksum_verification=True
        )

    with open_file() as file:
        name, what, dtype = _list_column(path, key, file.schema_arrow)
        n_inputs = file.metadata.num_rows
        if not n_inputs:
            raise StoreError(f"{what} has no rows")
        first = next(file.iter_batches(1, columns=[name]))
        n_draws = _rows(what, 0, first.column(0), None).shape[1]
        kept, left_out = _others(file.schema_arrow, name)
        ids = _gathered(path, file.iter_batches(_IDS_ROWS, columns=kept) if kept else ())
    rows = rows_per_chunk(n_draws, dtype.itemsize)

    def pieces() -> Iterator[Scores]:
        row = 0
        with open_file() as file:
            for batch in file.iter_batches(rows, columns=[name]):
                yield _rows(what, row, batch.column(0), n_draws)
                row += len(batch)

    chunks = readable(path, regrouped(pieces(), rows))
    return ScoreFile(n_inputs, n_draws, dtype, chunks, ids, left_out)


def open_arrow(path: Path, key: str | None) -> ScoreFile:
    """Open an Arrow IPC file or stream of scores; see `open_scores`."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    schema, batches = _arrow_batches(mapped)
    name, what, dtype = _list_column(path, key, schema)
    n_inputs = n_draws = 0
    kept, left_out = _others(schema, name)
    for batch in batches:
        if not n_inputs and len(batch):
            n_draws = _rows(what, 0, batch.column(name)[:1], None).shape[1]
        n_inputs += len(batch)
    if not n_inputs:
        raise StoreError(f"{what} has no rows")
    rows = rows_per_chunk(n_draws, dtype.itemsize)

    def pieces() -> Iterator[Scores]:
        row = 0
        for batch in _arrow_batches(mapped)[1]:
            column = batch.column(name)
            column.validate(full=True)  # lists may reach beyond the file
            for start in range(0, len(batch), rows):
                part = column[start : start + rows]
                yield _rows(what, row, part, n_draws)
                row += len(part)
                if hasattr(mmap, "MADV_DONTNEED"):  # pages that were read stay in memory otherwise
                    mapped.madvise(mmap.MADV_DONTNEED)

    chunks = readable(path, regrouped(pieces(), rows))
    ids = _gathered(path, (each.select(kept) for each in _arrow_batches(mapped)[1]) if kept else ())
    return ScoreFile(n_inputs, n_draws, dtype, chunks, ids, left_out)


def _arrow_batches(mapped: mmap.mmap) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Return the schema and the batches of an Arrow IPC file or stream, without copies."""
    source = pa.BufferReader(pa.py_buffer(mapped))
    if mapped[:6] == b"ARROW1":
        file = pa.ipc.open_file(source)
        return file.schema, (file.get_batch(i) for i in range(file.num_record_batches))
    stream = pa.ipc.open_stream(source)
    return stream.schema, iter(stream)


def _list_column(path: Path, key: str | None, schema: pa.Schema) -> tuple[str, str, np.dtype[Any]]:
    """Return the name of the column of scores, its name for errors, and its type."""
    lists = [each.name for each in schema if _is_list(each.type)]
    if not lists:
        raise StoreError(
            f"{path} has no column of lists: the scores of each input must be one list, as in "
            "pyarrow.table({'scores': list(scores)}). One column per draw is for .csv files only"
        )
    name = choose(path, "columns of lists", key, lists)
    what = f"{name} of {path}"
    dtype = np.dtype(schema.field(name).type.value_type.to_pandas_dtype())
    check_type(what, dtype)
    return name, what, dtype


def _others(schema: pa.Schema, scores: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of the other columns to keep, and of those to leave out."""
    kept: list[str] = []
    left_out: list[str] = []
    for each in schema:
        kind = each.type.value_type if pa.types.is_dictionary(each.type) else each.type
        if each.name != scores:
            (kept if any(is_one(kind) for is_one in _IDS) else left_out).append(each.name)
    return kept, tuple(left_out)


def _gathered(path: Path, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Read the other columns, a few rows at a time, if they fit in memory.

    A small file can hold a large column, because a repeated text is stored only once.
    """
    parts: list[pa.Table] = []
    size = 0
    for batch in batches:
        batch.validate(full=True)  # texts may reach beyond the file
        for start in range(0, len(batch), _IDS_ROWS):
            part = without_categories(pa.Table.from_batches([batch[start : start + _IDS_ROWS]]))
            size += part.nbytes
            if size > memory_limit():
                raise StoreError(
                    f"{path} has columns beside the scores, {', '.join(part.column_names)}, that "
                    "are more than memory holds: save the file without them"
                )
            parts.append(part)
    return pa.concat_tables(parts) if parts else pa.table({})


def _rows(what: str, start: int, column: pa.Array[Any], n_draws: int | None) -> Scores:
    """Return lists as the rows of an array; `start` is the number of the first row for errors."""
    import pyarrow.compute as pc  # takes a tenth of a second

    lengths = pc.list_value_length(column)
    wanted = (lengths[0].as_py() or 0) if n_draws is None else n_draws
    ends: Any = pc.min_max(lengths).as_py()  # pa.scalar() would take half a second for pandas
    if not wanted or column.null_count or ends["min"] != wanted or ends["max"] != wanted:
        found = [length or 0 for length in lengths.to_pylist()]
        i = next(i for i, length in enumerate(found) if length != wanted or not length)
        raise StoreError(
            f"{what} must hold the same number of scores in each row, at least one: row "
            f"{start + i} has {found[i]}" + ("" if n_draws is None else f", row 0 has {n_draws}")
        )
    values = pc.list_flatten(column)
    if values.null_count:
        i = values.is_null().index(True).as_py()
        raise StoreError(f"{what} has an empty score in row {start + i // wanted}")
    # Not values.to_numpy(), which takes half a second to import pandas.
    dtype = np.dtype(values.type.to_pandas_dtype())
    data: Any = values.buffers()[1]
    numbers = np.frombuffer(data, dtype, len(values), values.offset * dtype.itemsize)
    return numbers.reshape(len(column), wanted)


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
