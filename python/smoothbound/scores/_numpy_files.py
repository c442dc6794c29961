"""Scores from .npy files, which are memory-mapped, and from .npz files, which are streamed."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from smoothbound._files.npy import array_header
from smoothbound._files.plain import memory_limit, open_plain
from smoothbound.errors import StoreError
from smoothbound.scores._score_file import (
    ScoreFile,
    Scores,
    check_type,
    choose,
    readable,
    rows_per_chunk,
)

__all__ = ["open_npy", "open_npz"]

_Header = tuple[tuple[int, ...], bool, np.dtype[Any], int]  # shape, by columns, type, bytes


def open_npy(path: Path, key: str | None) -> ScoreFile:
    """Open a .npy file of scores; see `open_scores`."""
    if key is not None:
        raise StoreError(f"{path} holds one array without a name; leave out the key {key!r}")
    with open_plain(path) as file:
        shape, by_columns, dtype = array_header(str(path), file)
        start_of_scores, end = file.tell(), file.seek(0, os.SEEK_END)
    n_inputs, n_draws = _check_array(str(path), shape, dtype)
    size = end - start_of_scores
    if size < n_inputs * n_draws * dtype.itemsize:
        raise StoreError(f"{path} cannot be read: it holds {size} bytes, not {shape} of {dtype}")
    native, rows = dtype.newbyteorder("="), rows_per_chunk(n_draws, dtype.itemsize)
    order: Literal["F", "C"] = "F" if by_columns else "C"

    def chunks() -> Iterator[Scores]:
        for start in range(0, n_inputs, rows):
            # Mapped again each time, because pages that were read stay in memory while mapped.
            mapped = np.memmap(path, dtype, "r", start_of_scores, shape, order)
            yield np.ascontiguousarray(mapped[start : start + rows], dtype=native)

    return ScoreFile(n_inputs, n_draws, native, readable(path, chunks()))


def open_npz(path: Path, key: str | None) -> ScoreFile:
    """Open an .npz file of scores; see `open_scores`."""
    if not zipfile.is_zipfile(path):
        raise StoreError(f"{path} cannot be read: it is cut short, damaged or not an .npz file")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        members = {name.removesuffix(".npy"): name for name in names}
        if len(members) < len(names):
            raise StoreError(f"{path} holds two arrays of the same name; save it again")
        headers = _headers(archive, members)
        tables = [name for name, (shape, _, dtype, _) in headers.items() if _is_table(shape, dtype)]
        among = tables if key is None and len(tables) == 1 else list(members)
        name = choose(path, "arrays", key, among)
        what = f"{name} of {path}"
        if name not in headers:
            with archive.open(members[name]) as stream:
                array_header(what, stream)  # raises the error that says why
        shape, by_columns, dtype, size = headers.pop(name)
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
    kept = [other for other, header in headers.items() if _is_column(header, n_inputs)]
    left_out = tuple(other for other in members if other not in (name, *kept))
    ids = _columns(path, {other: members[other] for other in kept}, headers)

    def chunks() -> Iterator[Scores]:
        with zipfile.ZipFile(path) as archive, archive.open(members[name]) as stream:
            array_header(what, stream)
            for start in range(0, n_inputs, rows):
                count = min(rows, n_inputs - start)
                data = stream.read(count * row_bytes)
                yield np.frombuffer(data, dtype).reshape(count, n_draws).astype(native, copy=False)

    return ScoreFile(n_inputs, n_draws, native, readable(path, chunks()), ids, left_out)


def _headers(archive: zipfile.ZipFile, members: dict[str, str]) -> dict[str, _Header]:
    """Return the shape, order, type and number of bytes of each member that is an array."""
    headers: dict[str, _Header] = {}
    for name, member in members.items():
        with archive.open(member) as stream, suppress(StoreError):
            header = array_header(name, stream)
            headers[name] = *header, archive.getinfo(member).file_size - stream.tell()
    return headers


def _is_table(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    return len(shape) == 2 and dtype.kind == "f"


def _is_column(header: _Header, n_inputs: int) -> bool:
    """Whether an array has one number or text for each input, such as an id."""
    shape, _, dtype, size = header
    is_id = dtype.kind in "iubU" or (dtype.kind == "f" and dtype.itemsize <= 8)
    return shape == (n_inputs,) and is_id and size == n_inputs * dtype.itemsize > 0


def _columns(path: Path, members: dict[str, str], headers: dict[str, _Header]) -> pa.Table:
    """Read the arrays that identify the inputs."""
    if sum(headers[name][3] for name in members) > memory_limit():
        raise StoreError(
            f"{path} has arrays beside the scores, {', '.join(members)}, that are more than memory "
            "holds: save the file without them"
        )
    columns: dict[str, pa.Array[Any]] = {}
    with zipfile.ZipFile(path) as archive:
        for name, member in members.items():
            with archive.open(member) as stream:
                dtype = array_header(name, stream)[2]
                values = np.frombuffer(stream.read(), dtype)
            columns[name] = pa.array(values.astype(dtype.newbyteorder("=")))
    return pa.table(columns)


def _check_array(what: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int]:
    if len(shape) != 2 or min(shape) < 1:
        advice = {
            1: "; for one input save scores[None, :]",
            3: "; for the scores of class k among those of all save scores[:, :, k]",
        }.get(len(shape), "")
        raise StoreError(
            f"{what} must have shape (n_inputs, n_draws) with at least one of each, "
            f"got shape {shape}{advice}"
        )
    check_type(what, dtype)
    return shape[0], shape[1]
