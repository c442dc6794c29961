"""Scores from a file, a few rows at a time: .npy, .npz and Parquet.

Each row holds the scores of one input, all rows the same number of them. Nothing in a file is
ever unpickled. A .npy file is mapped and a Parquet file is streamed, so that neither needs to fit
into memory; an array of an .npz file does.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from smoothbound.errors import StoreError

__all__ = ["ScoreFile", "open_scores"]

Scores = NDArray[Any]

CHUNK_BYTES = 1 << 26


@dataclass(frozen=True)
class ScoreFile:
    """Scores of `n_inputs` inputs with `n_draws` draws each.

    Parameters
    ----------
    n_inputs, n_draws : int
        Rows and columns.
    chunks : iterator of ndarray, shape (n_rows, n_draws)
        The rows in their order, float16, float32 or float64, about 64 MB at a time.
    """

    n_inputs: int
    n_draws: int
    chunks: Iterator[Scores]


def open_scores(path: str | Path, key: str | None = None) -> ScoreFile:
    """Open a file of scores.

    Parameters
    ----------
    path : str or Path
        A .npy file, shape (n_inputs, n_draws); an .npz file with such an array; or a Parquet file
        with a column of lists, one list of scores per input.
    key : str, optional
        Name of the array or column, where there is more than one.

    Returns
    -------
    ScoreFile

    Raises
    ------
    StoreError
        If the file is missing, damaged, of another kind, or does not hold a table of scores.
    """
    path = Path(path)
    kinds: dict[str, Callable[[Path, str | None], ScoreFile]] = {
        ".npy": _open_npy,
        ".npz": _open_npz,
        ".parquet": _open_parquet,
    }
    if path.suffix not in kinds:
        raise StoreError(f"scores must be in a file ending in {', '.join(kinds)}; got {path}")
    if not path.is_file():
        raise StoreError(f"there is no file {path}")
    try:
        return kinds[path.suffix](path, key)
    except (OSError, EOFError, ValueError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def _open_npy(path: Path, key: str | None) -> ScoreFile:
    if key is not None:
        raise StoreError(f"{path} holds one array without a name; leave out the key {key!r}")
    return _from_array(str(path), lambda: np.lib.format.open_memmap(path, mode="r"))


def _open_npz(path: Path, key: str | None) -> ScoreFile:
    if not zipfile.is_zipfile(path):
        raise StoreError(f"{path} cannot be read: it is cut short, damaged or not an .npz file")
    with np.load(path, allow_pickle=False) as file:
        name = _choose(path, "arrays", key, file.files)
        array = file[name]
    return _from_array(f"{name} of {path}", lambda: array)


def _from_array(what: str, read: Callable[[], Scores]) -> ScoreFile:
    array = read()
    shape = getattr(array, "shape", "none")  # what is no array in an .npz file comes as bytes
    if len(shape) != 2 or 0 in shape:
        raise StoreError(
            f"{what} must have shape (n_inputs, n_draws) with neither 0, got shape {shape}"
        )
    _check_type(what, array.dtype)
    n_inputs, n_draws = array.shape
    native, rows = array.dtype.newbyteorder("="), _rows_per_chunk(n_draws, array.itemsize)

    def chunks() -> Iterator[Scores]:
        for start in range(0, n_inputs, rows):
            # Mapped anew each time: pages that were read count as memory until they are unmapped.
            yield np.ascontiguousarray(read()[start : start + rows], dtype=native)

    return ScoreFile(n_inputs, n_draws, chunks())


def _open_parquet(path: Path, key: str | None) -> ScoreFile:
    file = pq.ParquetFile(path, page_checksum_verification=True)
    try:
        lists = [field.name for field in file.schema_arrow if _is_list(field.type)]
        name = _choose(path, "columns of lists", key, lists)
        dtype = np.dtype(file.schema_arrow.field(name).type.value_type.to_pandas_dtype())
        what = f"{name} of {path}"
        _check_type(what, dtype)
        if not file.metadata.num_rows:
            raise StoreError(f"{what} has no rows")
        first = next(file.iter_batches(1, columns=[name]))
        n_draws = _rows(what, 0, first.column(0), None).shape[1]
    except BaseException:
        file.close()
        raise

    def chunks() -> Iterator[Scores]:
        row = 0
        with file:
            for batch in file.iter_batches(
                _rows_per_chunk(n_draws, dtype.itemsize), columns=[name]
            ):
                yield _rows(what, row, batch.column(0), n_draws)
                row += len(batch)

    return ScoreFile(file.metadata.num_rows, n_draws, _readable(path, chunks()))


def _readable(path: Path, chunks: Iterator[Scores]) -> Iterator[Scores]:
    """Damage in the middle of a file shows only when that part is read."""
    try:
        yield from chunks
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def _rows(what: str, start: int, column: pa.Array[Any], n_draws: int | None) -> Scores:
    """Return lists, the first of which is row `start`, as an array."""
    lengths = np.asarray(pc.list_value_length(column).fill_null(0))
    wanted = int(lengths[0]) if n_draws is None else n_draws
    wrong = (lengths != wanted) | (lengths == 0)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise StoreError(
            f"{what} must hold the same number of scores in each row, at least one: row "
            f"{start + i} has {lengths[i]}" + ("" if n_draws is None else f", row 0 has {n_draws}")
        )
    values = pc.list_flatten(column)
    if values.null_count:
        i = int(np.argmax(np.asarray(values.is_null())))
        raise StoreError(f"{what} has an empty score in row {start + i // wanted}")
    return np.asarray(values.to_numpy()).reshape(len(column), wanted)


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _check_type(what: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise StoreError(f"{what} must hold float16, float32 or float64 scores, got {dtype}")


def _choose(path: Path, kind: str, key: str | None, names: list[str]) -> str:
    found = ", ".join(map(repr, names)) or "none"
    if key is not None and key not in names:
        raise StoreError(f"{path} has no {key!r} among its {kind}; it has {found}")
    if key is None and len(names) != 1:
        raise StoreError(
            f"{path} must have exactly one among its {kind}, or name one with --key; it has {found}"
        )
    return names[0] if key is None else key


def _rows_per_chunk(n_draws: int, itemsize: int) -> int:
    return max(1, CHUNK_BYTES // (n_draws * itemsize))
