"""Scores from a file, a few rows at a time: .npy, .npz, Parquet, Arrow IPC and CSV.

Each row holds the scores of one input, all rows the same number of them. Nothing in a file is
ever unpickled, and no file needs to fit into memory: .npy and Arrow files are mapped, the others
are streamed.
"""

from __future__ import annotations

import io
import mmap
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from smoothbound._files.plain import memory_limit, open_plain, require_plain
from smoothbound._utils import checks
from smoothbound.errors import StoreError

__all__ = ["ScoreFile", "Scores", "choose", "open_scores", "readable", "rows_per_chunk"]

Scores = NDArray[Any]

CHUNK_BYTES = 1 << 26
_LONGEST_HEADER = 9999  # bytes that NumPy reads of the header of an array
_HEADERS = {  # by version of the format: bytes of the header's length, and what reads both
    (1, 0): (2, np.lib.format.read_array_header_1_0),
    (2, 0): (4, np.lib.format.read_array_header_2_0),
}
_PAGE_BYTES = 1 << 20  # of Parquet, read at a time; a row group may hold the whole file
_IDS = (  # types of columns that say which input a row is about
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_temporal,
)


@dataclass(frozen=True)
class ScoreFile:
    """Scores of `n_inputs` inputs with `n_draws` draws each.

    Parameters
    ----------
    n_inputs, n_draws : int
        Rows and columns.
    dtype : dtype
        float16, float32 or float64.
    chunks : iterator of ndarray, shape (n_rows, n_draws)
        The rows in their order, about 64 MB at a time.
    ids : pyarrow.Table of n_inputs rows, optional
        The columns beside the scores that hold numbers, text or dates.
    left_out : tuple of str
        The names of the columns that hold anything else.
    """

    n_inputs: int
    n_draws: int
    dtype: np.dtype[Any]
    chunks: Iterator[Scores]
    ids: pa.Table = field(default_factory=lambda: pa.table({}))
    left_out: tuple[str, ...] = ()


def open_scores(path: str | Path, key: str | None = None) -> ScoreFile:
    """Open a file of scores.

    Parameters
    ----------
    path : str or Path
        A .npy file, shape (n_inputs, n_draws); an .npz file with such an array; a Parquet file or
        an Arrow IPC file (.arrow, .feather) or stream (.arrows) with a column of lists, one list
        of scores per input; or a .csv file with one line per input. In a CSV file whose first line
        is a header, the scores are the columns with one name and a number after it, such as s0,
        s1, s2 or 0, 1, 2; without a header every column is one of scores.
    key : str, optional
        Name of the array, of the column, or of the columns of a CSV file without their numbers,
        where there is more than one.

    Returns
    -------
    ScoreFile

    Raises
    ------
    StoreError
        If the file is missing, damaged, of another kind, or does not hold a table of scores.
    """
    from smoothbound.scores._csv import open_csv

    path = checks.path("path", path)
    checks.optional("key", key, str)
    kinds: dict[str, Callable[[Path, str | None], ScoreFile]] = {
        ".npy": _open_npy,
        ".npz": _open_npz,
        ".parquet": _open_parquet,
        ".arrow": _open_arrow,
        ".arrows": _open_arrow,
        ".feather": _open_arrow,
        ".csv": open_csv,
    }
    suffix = path.suffix.lower()
    if suffix not in kinds:
        raise StoreError(f"scores must be in a file ending in {', '.join(kinds)}; got {path}")
    try:
        if not path.exists() or path.is_dir():
            raise StoreError(f"there is no file {path}")
        require_plain(path, path.stat())  # a pipe would wait for a writer
        file = kinds[suffix](path, key)
    except StoreError:
        raise
    except Exception as error:  # the readers raise more kinds on damaged files than they document
        raise StoreError(f"{path} cannot be read: {error}") from error
    if file.n_draws * file.dtype.itemsize > memory_limit():
        raise StoreError(f"{path} claims {file.n_draws} draws in a row, more than memory holds")
    return file


def _open_npy(path: Path, key: str | None) -> ScoreFile:
    if key is not None:
        raise StoreError(f"{path} holds one array without a name; leave out the key {key!r}")
    with open_plain(path) as file:
        shape, by_columns, dtype = _npy_header(str(path), file)
        start_of_scores, end = file.tell(), file.seek(0, os.SEEK_END)
    n_inputs, n_draws = _check_array(str(path), shape, dtype)
    size = end - start_of_scores
    if size < n_inputs * n_draws * dtype.itemsize:
        raise StoreError(f"{path} cannot be read: it holds {size} bytes, not {shape} of {dtype}")
    native, rows = dtype.newbyteorder("="), rows_per_chunk(n_draws, dtype.itemsize)
    order: Literal["F", "C"] = "F" if by_columns else "C"

    def chunks() -> Iterator[Scores]:
        for start in range(0, n_inputs, rows):
            # Mapped anew each time: pages that were read count as memory until they are unmapped.
            mapped = np.memmap(path, dtype, "r", start_of_scores, shape, order)
            yield np.ascontiguousarray(mapped[start : start + rows], dtype=native)

    return ScoreFile(n_inputs, n_draws, native, readable(path, chunks()))


def _open_npz(path: Path, key: str | None) -> ScoreFile:
    if not zipfile.is_zipfile(path):
        raise StoreError(f"{path} cannot be read: it is cut short, damaged or not an .npz file")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        members = {name.removesuffix(".npy"): name for name in names}
        if len(members) < len(names):
            raise StoreError(f"{path} holds two arrays of the same name; save it anew")
        name = choose(path, "arrays", key, list(members))
        what = f"{name} of {path}"
        with archive.open(members[name]) as stream:
            shape, by_columns, dtype = _npy_header(what, stream)
            size = archive.getinfo(members[name]).file_size - stream.tell()
    n_inputs, n_draws = _check_array(what, shape, dtype)
    if by_columns:
        raise StoreError(
            f"{what} is stored column by column (Fortran order) and cannot be read row by row; "
            "save np.ascontiguousarray of it, or a .npy file"
        )
    row_bytes = n_draws * dtype.itemsize
    if size != n_inputs * row_bytes:
        raise StoreError(f"{what} cannot be read: it holds {size} bytes, not {shape} of {dtype}")
    native, rows = dtype.newbyteorder("="), rows_per_chunk(n_draws, dtype.itemsize)

    def chunks() -> Iterator[Scores]:
        with zipfile.ZipFile(path) as archive, archive.open(members[name]) as stream:
            _npy_header(what, stream)
            for start in range(0, n_inputs, rows):
                count = min(rows, n_inputs - start)
                data = stream.read(count * row_bytes)
                yield np.frombuffer(data, dtype).reshape(count, n_draws).astype(native, copy=False)

    return ScoreFile(n_inputs, n_draws, native, readable(path, chunks()))


def _npy_header(what: str, stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, whether it is stored column by column, and type from the start of an array."""
    try:
        version = np.lib.format.read_magic(stream)
    except ValueError as error:
        raise StoreError(f"{what} cannot be read: it is not an array ({error})") from error
    if version not in _HEADERS:
        raise StoreError(
            f"{what} has the format version {version}, which no array of numbers needs"
        )
    size_of_length, parse = _HEADERS[version]
    length = stream.read(size_of_length)
    text = stream.read(min(int.from_bytes(length, "little"), _LONGEST_HEADER))
    try:
        return parse(io.BytesIO(length + text))
    except Exception as error:  # NumPy evaluates literals, which can end in many ways
        raise StoreError(f"{what} cannot be read: its header is damaged") from error


def _check_array(what: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int]:
    if len(shape) != 2 or min(shape) < 1:
        advice = "; for one input save scores[None, :]" if len(shape) == 1 else ""
        raise StoreError(
            f"{what} must have shape (n_inputs, n_draws) with at least one of each, "
            f"got shape {shape}{advice}"
        )
    _check_type(what, dtype)
    return shape[0], shape[1]


def _open_parquet(path: Path, key: str | None) -> ScoreFile:
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
        ids = _plain(file.read(columns=kept))
    rows = rows_per_chunk(n_draws, dtype.itemsize)

    def pieces() -> Iterator[Scores]:
        row = 0
        with open_file() as file:
            for batch in file.iter_batches(rows, columns=[name]):
                yield _rows(what, row, batch.column(0), n_draws)
                row += len(batch)

    chunks = readable(path, _regrouped(pieces(), rows))
    return ScoreFile(n_inputs, n_draws, dtype, chunks, ids, left_out)


def _open_arrow(path: Path, key: str | None) -> ScoreFile:
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    schema, batches = _arrow_batches(mapped)
    name, what, dtype = _list_column(path, key, schema)
    n_inputs = n_draws = 0
    kept, left_out = _others(schema, name)
    ids = []
    for batch in batches:
        ids.append(batch.select(kept))
        ids[-1].validate(full=True)
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
                if hasattr(mmap, "MADV_DONTNEED"):  # pages that were read count as memory
                    mapped.madvise(mmap.MADV_DONTNEED)

    chunks = readable(path, _regrouped(pieces(), rows))
    table = _plain(pa.Table.from_batches(ids))
    return ScoreFile(n_inputs, n_draws, dtype, chunks, table, left_out)


def _arrow_batches(mapped: mmap.mmap) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Return the schema and the batches of an Arrow IPC file or stream, without copies."""
    source = pa.BufferReader(pa.py_buffer(mapped))
    if mapped[:6] == b"ARROW1":
        file = pa.ipc.open_file(source)
        return file.schema, (file.get_batch(i) for i in range(file.num_record_batches))
    stream = pa.ipc.open_stream(source)
    return stream.schema, iter(stream)


def _list_column(path: Path, key: str | None, schema: pa.Schema) -> tuple[str, str, np.dtype[Any]]:
    """Return the name of the column of scores, what to call it in errors, and its type."""
    lists = [each.name for each in schema if _is_list(each.type)]
    if not lists:
        raise StoreError(
            f"{path} has no column of lists: the scores of each input must be one list, as in "
            "pyarrow.table({'scores': list(scores)}). A column a draw is read from .csv alone"
        )
    name = choose(path, "columns of lists", key, lists)
    what = f"{name} of {path}"
    dtype = np.dtype(schema.field(name).type.value_type.to_pandas_dtype())
    _check_type(what, dtype)
    return name, what, dtype


def _others(schema: pa.Schema, scores: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of the columns beside the scores to keep, and of those to leave out."""
    kept: list[str] = []
    left_out: list[str] = []
    for each in schema:
        kind = each.type.value_type if pa.types.is_dictionary(each.type) else each.type
        if each.name != scores:
            (kept if any(is_one(kind) for is_one in _IDS) else left_out).append(each.name)
    return kept, tuple(left_out)


def _plain(ids: pa.Table) -> pa.Table:
    """Replace categories, whose codes may differ from chunk to chunk, by what they stand for."""
    for j, column in enumerate(ids.columns):
        if pa.types.is_dictionary(column.type):
            ids = ids.set_column(j, ids.column_names[j], column.cast(column.type.value_type))
    return ids


def _regrouped(pieces: Iterable[Scores], rows: int) -> Iterator[Scores]:
    """Yield the rows of all pieces, `rows` at a time."""
    waiting: list[Scores] = []
    missing = rows
    for piece in pieces:
        start = 0
        while start < len(piece):
            part = piece[start : start + missing]
            start += len(part)
            missing -= len(part)
            waiting.append(part)
            if not missing:
                yield np.concatenate(waiting) if len(waiting) > 1 else part
                waiting, missing = [], rows
    if waiting:
        yield np.concatenate(waiting)


def readable(path: Path, chunks: Iterator[Scores]) -> Iterator[Scores]:
    """Turn damage, which shows only when the part of the file is read, into a `StoreError`."""
    try:
        yield from chunks
    except StoreError:
        raise
    except Exception as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def _rows(what: str, start: int, column: pa.Array[Any], n_draws: int | None) -> Scores:
    """Return lists, the first of which is row `start`, as an array."""
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


def _check_type(what: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise StoreError(f"{what} must hold float16, float32 or float64 scores, got {dtype}")


def choose(path: Path, kind: str, key: str | None, names: list[str]) -> str:
    """Return the name that the key chooses, or the only one."""
    found = ", ".join(map(repr, names)) or "none"
    if key is not None and key not in names:
        raise StoreError(f"{path} has no {key!r} among its {kind}; it has {found}")
    if key is None and len(names) != 1:
        raise StoreError(
            f"{path} must have exactly one among its {kind}, or name one with --key; it has {found}"
        )
    return names[0] if key is None else key


def rows_per_chunk(n_draws: int, itemsize: int) -> int:
    """Return how many rows are read at a time."""
    return max(1, CHUNK_BYTES // (n_draws * itemsize))
