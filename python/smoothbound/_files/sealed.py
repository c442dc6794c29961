"""Parquet files with a checksum over every byte, which is checked before anything is read.

The seal has 8 bytes that identify it and a BLAKE2b digest of 16 bytes. It lies between the data and
the footer. No reader of Parquet looks there, because columns are found by their distance from the
start and the footer by its distance from the end. The digest covers all the other bytes. A reader
therefore gets the settings and columns that were written, or an error.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from smoothbound._files.atomic import atomic_write
from smoothbound._files.checksum import DIGEST
from smoothbound._files.plain import memory_limit, open_plain, read_plain
from smoothbound.errors import StoreError

__all__ = [
    "METADATA_KEY",
    "batches",
    "open_file",
    "read_table",
    "require",
    "row_width",
    "seal",
    "write_table",
    "writing",
]

METADATA_KEY = b"smoothbound"  # of the metadata: the JSON that describes the table
_MAGIC = b"SBSEAL01"
_SEAL = len(_MAGIC) + DIGEST
_TAIL = 8  # bytes after the footer: its length, and "PAR1"
_BLOCK = 1 << 20  # bytes read at a time, so that a small file cannot fill the memory at once
_UNKNOWN = 4096  # bytes that are allowed for a value of no fixed width
_BATCH = 1 << 24  # bytes of a batch, by the widths of its columns
_MOST_ROWS = 1 << 16  # of a batch
_ROW_GROUP = 1 << 14  # rows: a reader holds those of a few columns at a time


def write_table(table: pa.Table, path: str | Path, **options: Any) -> None:
    """Write a table to a sealed Parquet file, which takes the place of `path` once complete.

    Parameters
    ----------
    table : pyarrow.Table
        The metadata of its schema are kept and sealed too.
    path : str or Path
    **options
        Of `pyarrow.parquet.write_table`.

    Raises
    ------
    StoreError
        If the file cannot be written. `path` then keeps its old content.
    """
    with atomic_write(Path(path)) as file:
        pq.write_table(table, file, write_page_checksum=True, **options)
        seal(file)


@contextmanager
def writing(
    path: str | Path, schema: pa.Schema, *, once: bool = False, **options: Any
) -> Iterator[Callable[[pa.Table], None]]:
    """Write a table to a sealed Parquet file, some rows at a time.

    Parameters
    ----------
    path : str or Path
        The file takes the place of `path` once it is complete.
    schema : pyarrow.Schema
        Its metadata are kept and sealed too.
    once : bool
        As for `atomic_write`.
    **options
        Of `pyarrow.parquet.ParquetWriter`.

    Yields
    ------
    callable
        To be called with a table of the next rows.

    Raises
    ------
    StoreError
        If the file cannot be written. `path` then keeps its old content.
    """
    waiting: list[pa.Table] = []

    def write(table: pa.Table) -> None:
        waiting.append(table.cast(schema))
        if sum(map(len, waiting)) >= _ROW_GROUP:
            flush()

    def flush() -> None:
        if waiting:
            writer.write_table(pa.concat_tables(waiting), _ROW_GROUP)
            waiting.clear()

    with atomic_write(Path(path), once=once) as file:
        with pq.ParquetWriter(file, schema, write_page_checksum=True, **options) as writer:
            yield write
            flush()
        seal(file)


def seal(file: BinaryIO) -> None:
    """Put the seal into a Parquet file that was just written, open for reading and writing."""
    size = file.seek(0, os.SEEK_END)
    file.seek(size - _TAIL)
    footer = size - _TAIL - int.from_bytes(file.read(4), "little")
    made = hashlib.blake2b(digest_size=DIGEST)
    file.seek(0)
    while block := file.read(_BLOCK):
        made.update(block)
    file.seek(footer)
    rest = file.read()
    file.seek(footer)
    file.write(_MAGIC + made.digest() + rest)


def read_table(path: str | Path) -> tuple[pa.Table, bool]:
    """Read a Parquet file whole.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    table : pyarrow.Table
    sealed : bool
        Whether the file has a seal. Files of older versions have none. A seal that does not match
        the bytes is an error.

    Raises
    ------
    StoreError
        If the file does not exist, is damaged, is not Parquet, or does not fit in memory.
    """
    data = read_plain(path)
    sealed = _check(path, io.BytesIO(data))
    try:
        # Read from memory, because pyarrow takes a parent folder such as sigma=0.25 for a column.
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            rows, width = file.metadata.num_rows, row_width(file.schema_arrow.types)
            if max(8 * rows, width) > memory_limit():
                raise StoreError(
                    f"{path} claims {rows} rows of {width} bytes, which are more than memory holds"
                )
            at_a_time = max(1, _BLOCK // width)
            batches = list(_bounded(path, file.iter_batches(at_a_time)))
            table = pa.Table.from_batches(batches, file.schema_arrow)
            table.validate(full=True)
            return table, sealed
    except StoreError:
        raise
    except Exception as error:  # pyarrow raises more kinds on damaged files than it documents
        raise _not_readable(path, error) from error


def require(path: str | Path, sealed: bool) -> None:
    """Refuse a file that has no seal although its version always writes one.

    Raises
    ------
    StoreError
        If `sealed` is false.
    """
    if not sealed:
        raise StoreError(
            f"{path} is damaged or was rewritten by another program: its checksum is gone; restore "
            "it from a copy"
        )


def open_file(path: str | Path, *, check: bool = True) -> tuple[pq.ParquetFile, bool]:
    """Open a Parquet file of any size, after a check of its seal.

    Parameters
    ----------
    path : str or Path
    check : bool
        Whether to check the seal, for which the whole file is read.

    Returns
    -------
    file : pyarrow.parquet.ParquetFile
        To be closed with ``close(force=True)``. `batches` reads from it.
    sealed : bool
        As for `read_table`.

    Raises
    ------
    StoreError
        If the file does not exist, is damaged, or is not Parquet.
    """
    file = open_plain(path)
    try:
        sealed = _check(path, file) if check else True
        file.seek(0)
        # A row group may hold the whole file, so that its pages are read one by one.
        return (
            pq.ParquetFile(
                file, pre_buffer=False, buffer_size=_BLOCK, page_checksum_verification=True
            ),
            sealed,
        )
    except BaseException as error:
        file.close()
        if isinstance(error, StoreError) or not isinstance(error, Exception):
            raise
        raise _not_readable(path, error) from error


def batches(
    path: str | Path,
    file: pq.ParquetFile,
    columns: list[str],
    row_groups: Iterable[int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield some columns of an open file, a few megabytes at a time.

    Parameters
    ----------
    path : str or Path
        For errors.
    file : pyarrow.parquet.ParquetFile
    columns : list of str
    row_groups : iterable of int, optional
        By default all.

    Raises
    ------
    StoreError
        If it is damaged, or a batch is more than memory holds.
    """
    width = row_width([file.schema_arrow.field(name).type for name in columns])
    rows = min(max(_BATCH // width, 1), _MOST_ROWS)
    groups = None if row_groups is None else list(row_groups)
    try:
        for batch in file.iter_batches(rows, row_groups=groups, columns=columns):
            if batch.nbytes > memory_limit():
                raise StoreError(f"{path} cannot be read: its columns are more than memory holds")
            batch.validate(full=True)
            yield batch
    except StoreError:
        raise
    except Exception as error:  # pyarrow raises more kinds on damaged files than it documents
        raise _not_readable(path, error) from error


def _not_readable(path: str | Path, error: Exception) -> StoreError:
    return StoreError(f"{path} is cut short, damaged or not Parquet: {error}")


def _check(path: str | Path, file: BinaryIO) -> bool:
    """Return whether a file has a seal.

    Raises
    ------
    StoreError
        If the seal does not match the bytes.
    """
    size = file.seek(0, os.SEEK_END)
    if size < _TAIL:
        return False
    file.seek(size - _TAIL)
    footer = size - _TAIL - int.from_bytes(file.read(4), "little")
    at = footer - _SEAL
    if at < 0:
        return False
    file.seek(at)
    found = file.read(_SEAL)
    if not found.startswith(_MAGIC):
        return False
    made = hashlib.blake2b(digest_size=DIGEST)
    for start, end in ((0, at), (footer, size)):
        file.seek(start)
        while start < end and (block := file.read(min(_BLOCK, end - start))):
            made.update(block)
            start += len(block)
    if made.digest() != found[len(_MAGIC) :]:
        raise StoreError(
            f"{path} is damaged: its bytes are not those that were written; restore it from a copy"
        )
    return True


def row_width(kinds: Sequence[pa.DataType]) -> int:
    """Return how many bytes a row of columns of these types takes, about; at least one."""
    return max(1, sum(map(_width, kinds)))


def _width(kind: pa.DataType) -> int:
    """Return how many bytes a value takes; a guess for a type of no fixed width."""
    if isinstance(kind, pa.FixedSizeListType):
        return int(kind.list_size) * _width(kind.value_type)
    return int(kind.bit_width) // 8 if pa.types.is_primitive(kind) else _UNKNOWN


def _bounded(path: str | Path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Pass batches on until they are more than memory holds."""
    room = memory_limit()
    for batch in batches:
        room -= batch.nbytes
        if room < 0:
            raise StoreError(f"{path} cannot be read: its columns are more than memory holds")
        yield batch
