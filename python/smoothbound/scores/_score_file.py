"""An open file of scores, and the functions that the readers of all formats share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smoothbound.errors import StoreError

__all__ = [
    "ScoreFile",
    "Scores",
    "between",
    "check_type",
    "choose",
    "readable",
    "regrouped",
    "rows_per_chunk",
    "without_categories",
]

Scores = NDArray[Any]

CHUNK_BYTES = 1 << 26


@dataclass(frozen=True)
class ScoreFile:
    """Scores of `n_inputs` inputs with `n_draws` draws each, read a few rows at a time.

    Parameters
    ----------
    n_inputs, n_draws : int
        Rows and columns.
    dtype : dtype
        float16, float32 or float64.
    chunks : iterator of ndarray, shape (n_rows, n_draws)
        The rows in order, about 64 MB at a time.
    ids : pyarrow.Table of n_inputs rows, optional
        The other columns that hold numbers, texts or dates.
    left_out : tuple of str
        The names of columns that are not read.
    parts : tuple of (int, Path)
        If the rows come from several files, the first row of each file with its path.
    """

    n_inputs: int
    n_draws: int
    dtype: np.dtype[Any]
    chunks: Iterator[Scores]
    ids: pa.Table = field(default_factory=lambda: pa.table({}))
    left_out: tuple[str, ...] = ()
    parts: tuple[tuple[int, Path], ...] = ()


def readable(path: Path, chunks: Iterator[Scores]) -> Iterator[Scores]:
    """Yield chunks; turn errors into a `StoreError`, because damage may show only here."""
    try:
        yield from chunks
    except StoreError:
        raise
    except Exception as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def between(rows: range, chunks: Iterable[Scores]) -> Iterator[Scores]:
    """Yield the parts of chunks that hold a range of rows."""
    at = 0
    for chunk in chunks:
        part = chunk[max(rows.start - at, 0) : max(rows.stop - at, 0)]
        if len(part):
            yield part
        at += len(chunk)
        if at >= rows.stop:
            return


def check_type(what: str, dtype: np.dtype[Any]) -> None:
    """Refuse scores that are not float16, float32 or float64."""
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise StoreError(
            f"{what} must hold float16, float32 or float64 scores, got {dtype}; "
            "convert them yourself if nothing is lost, e.g. scores.astype('float64')"
        )


def choose(path: Path, kind: str, key: str | None, names: list[str]) -> str:
    """Return `key` if it is one of the names; without a key, the only name."""
    found = ", ".join(map(repr, names)) or "none"
    if key is not None and key not in names:
        raise StoreError(f"{path} has no {key!r} among its {kind}; it has {found}")
    if key is None and len(names) != 1:
        raise StoreError(
            f"{path} must have exactly one among its {kind}, or name one with --key; it has {found}"
        )
    return names[0] if key is None else key


def regrouped(pieces: Iterable[Scores], rows: int) -> Iterator[Scores]:
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


def rows_per_chunk(n_draws: int, itemsize: int) -> int:
    """Return the number of rows to read at a time."""
    return max(1, CHUNK_BYTES // (n_draws * itemsize))


def without_categories(ids: pa.Table) -> pa.Table:
    """Replace categories by their values, because their codes may differ from chunk to chunk."""
    for j, column in enumerate(ids.columns):
        if pa.types.is_dictionary(column.type):
            ids = ids.set_column(j, ids.column_names[j], column.cast(column.type.value_type))
    return ids
