"""Scores in many files, or in a folder of Parquet files, as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from smoothbound.errors import StoreError
from smoothbound.scores._score_file import ScoreFile, Scores, regrouped, rows_per_chunk

__all__ = ["files_of", "is_folder", "open_many"]

FILE = "file"
"""Name of the column with the file of each row."""


def files_of(paths: Sequence[Path]) -> list[tuple[Path, dict[str, str]]]:
    """Return all files of paths, each with the values from the names of its folders.

    A folder is a data set of all Parquet files in it at any depth, in the order of their paths. A
    folder inside it with a name ``key=value`` gives the value of a column ``key``. Names that begin
    with a dot or an underscore are left out, as by other readers of such data sets.

    Raises
    ------
    StoreError
        If a folder holds no Parquet file, or a file is named twice.
    """
    found: list[tuple[Path, dict[str, str]]] = []
    for path in paths:
        if is_folder(path):
            parts = sorted(
                one
                for one in path.rglob("*")
                if one.suffix.lower() == ".parquet" and one.is_file() and _is_data(path, one)
            )
            if not parts:
                raise StoreError(f"{path} holds no file that ends in .parquet")
            found += [(one, _stated(path, one)) for one in parts]
        else:
            found.append((path, {}))
    seen: set[Path] = set()
    for path, _ in found:
        place = path.resolve()
        if place in seen:
            raise StoreError(f"{path} is named twice; its rows would be certified twice")
        seen.add(place)
    return found


def is_folder(path: Path) -> bool:
    """Return whether there is a folder of this name; False if no file can have this name."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _is_data(folder: Path, file: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)


def _stated(folder: Path, file: Path) -> dict[str, str]:
    pairs = (part.partition("=") for part in file.relative_to(folder).parent.parts)
    return {key: value for key, equals, value in pairs if equals and key}


def open_many(
    found: Sequence[tuple[Path, dict[str, str]]],
    key: str | None,
    open_one: Callable[[Path, str | None], ScoreFile],
) -> ScoreFile:
    """Open files as one table with the rows of the files in order.

    Parameters
    ----------
    found : sequence of (Path, dict)
        The result of `files_of`.
    key : str, optional
        As for `open_scores`, for each file.
    open_one : callable Opens a file.

    Raises
    ------
    StoreError
        If a file cannot be read, the files have different numbers of draws, or their other columns
        do not match.
    """
    files = [open_one(path, key) for path, _ in found]
    first = files[0]
    for (path, _), file in zip(found, files, strict=True):
        if file.n_draws != first.n_draws:
            raise StoreError(
                f"all files must hold the same number of draws in a row: {path} has {file.n_draws} "
                f"and {found[0][0]} has {first.n_draws}; certify them into files of their own"
            )
    dtype = np.result_type(*(file.dtype for file in files))
    rows = rows_per_chunk(first.n_draws, dtype.itemsize)
    starts = accumulate((file.n_inputs for file in files[:-1]), initial=0)
    return ScoreFile(
        sum(file.n_inputs for file in files),
        first.n_draws,
        dtype,
        regrouped(_chunks(files, dtype), rows),
        _ids(found, files),
        tuple(dict.fromkeys(name for file in files for name in file.left_out)),
        tuple((start, path) for start, (path, _) in zip(starts, found, strict=True)),
    )


def _chunks(files: Sequence[ScoreFile], dtype: np.dtype[np.floating]) -> Iterator[Scores]:
    for file in files:
        for chunk in file.chunks:
            yield chunk.astype(dtype, copy=False)


def _ids(found: Sequence[tuple[Path, dict[str, str]]], files: Sequence[ScoreFile]) -> pa.Table:
    """Join the other columns, after a column with the file of each row.

    The files are a categorical column, because their names would take more memory than all other
    columns.
    """
    tables = []
    for (path, stated), file in zip(found, files, strict=True):
        columns: dict[str, Any] = {}
        for name, value in {FILE: str(path), **stated}.items():
            if name in file.ids.column_names:
                raise StoreError(
                    f"{path} has a column {name!r}, which would also hold "
                    f"{'the file of each row' if name == FILE else 'what its folder states'}; "
                    "rename it"
                )
            codes: Any = pa.array(np.zeros(file.n_inputs, np.int32))
            columns[name] = pa.DictionaryArray.from_arrays(codes, pa.array([value]))
        columns |= {name: file.ids[name] for name in file.ids.column_names}
        tables.append(pa.table(columns))
    try:
        return pa.concat_tables(tables, promote_options="default").unify_dictionaries()
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise StoreError(
            f"the columns beside the scores do not match: {error}; save the files without "
            "them, or with the same types"
        ) from error
