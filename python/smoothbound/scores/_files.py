"""Scores from a file, a few rows at a time: .npy, .npz, Parquet, Arrow IPC and CSV.

Each row holds the scores of one input, and all rows hold the same number of scores. No data is
unpickled. Files need not fit in memory, because .npy and Arrow files are memory-mapped and the
others are streamed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from smoothbound._files.plain import memory_limit, require_plain
from smoothbound._utils import checks
from smoothbound.errors import StoreError
from smoothbound.scores._arrow_files import open_arrow, open_parquet
from smoothbound.scores._csv import open_csv
from smoothbound.scores._many import files_of, is_folder, open_many
from smoothbound.scores._numpy_files import open_npy, open_npz
from smoothbound.scores._score_file import ScoreFile

__all__ = ["open_scores"]


def open_scores(path: str | Path | Sequence[str | Path], key: str | None = None) -> ScoreFile:
    """Open a file of scores, several files, or a folder of Parquet files.

    Parameters
    ----------
    path : str, Path, or a sequence of them
        A .npy file of shape (n_inputs, n_draws); an .npz file with such an array; a Parquet file or
        an Arrow IPC file (.arrow, .feather) or stream (.arrows) with a column of lists, one list of
        scores per input; or a .csv file with one line per input. In a CSV file whose first line is
        a header, the scores are the columns whose names are one word with a number after it, such
        as s0, s1, s2 or 0, 1, 2. Without a header all columns are scores. Several files, or a
        folder of Parquet files at any depth, make one table with the rows of all files in order,
        and with the file of each row in the column "file". All rows must have the same number of
        scores. A folder named ``key=value`` gives a column ``key``.
    key : str, optional
        Name of the array, of the column, or of the columns of a CSV file without their numbers. It
        is needed if there are several.

    Returns
    -------
    ScoreFile
        The size of the table, with an iterator over its rows, about 64 MB at a time.

    Raises
    ------
    StoreError
        If a file is missing, is damaged, has another format or does not hold a table of scores, or
        if the files do not match.
    """
    checks.optional("key", key, str)
    if isinstance(path, str | Path) and not is_folder(checks.path("path", path)):
        return _open_one(checks.path("path", path), key)
    paths = checks.paths("path", [path] if isinstance(path, str | Path) else path)
    found = files_of(paths)
    if not found:
        raise StoreError("path must name at least one file of scores, got none")
    if len(found) == 1 and not found[0][1] and found[0][0] in paths:
        return _open_one(found[0][0], key)
    return open_many(found, key, _open_one)


def _open_one(path: Path, key: str | None) -> ScoreFile:
    kinds: dict[str, Callable[[Path, str | None], ScoreFile]] = {
        ".npy": open_npy,
        ".npz": open_npz,
        ".parquet": open_parquet,
        ".arrow": open_arrow,
        ".arrows": open_arrow,
        ".feather": open_arrow,
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
    except Exception as error:  # for damaged files the readers raise more types than they document
        raise StoreError(f"{path} cannot be read: {error}") from error
    if file.n_draws * file.dtype.itemsize > memory_limit():
        raise StoreError(f"{path} claims {file.n_draws} draws in a row, more than memory holds")
    return file
