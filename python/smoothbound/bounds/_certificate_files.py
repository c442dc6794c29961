"""Writing and reading certificates as Parquet or CSV files, whole or a few rows at a time.

Settings and numbers that are read are checked like arguments.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smoothbound._display.printable import printable, spreadsheet_cell
from smoothbound._files.atomic import atomic_write
from smoothbound._files.sealed import (
    METADATA_KEY,
    open_file,
    read_table,
    require,
    seal,
    write_table,
)
from smoothbound._utils import checks
from smoothbound.bounds._request import Settings
from smoothbound.errors import StoreError
from smoothbound.scores._arrays import as_scores

__all__ = [
    "KINDS",
    "part_file",
    "parts_in",
    "read",
    "require_kind",
    "require_same_run",
    "require_whole_part",
    "rows_of_part",
    "settings_beside",
    "write",
    "writing",
]

KINDS = (".parquet", ".csv")
_PART = re.compile(r"([0-9]{1,10})-of-([0-9]{1,10})\.parquet")

CLASS_KEY = b"smoothbound class"  # metadata key of the name of the class of certificates
TABLE_KEY = b"smoothbound scores"  # metadata key of a shard: which table of scores it is a part of
SHARD_KEY = b"smoothbound shard"  # metadata key of a shard: its name, because files can be renamed


class Tabular(Protocol):
    """The two tables of a certificate, either of which can be written."""

    def to_arrow(self) -> pa.Table: ...
    def flat(self) -> tuple[list[str], list[Any]]: ...


_OF_INPUTS = {"sigma": checks.levels, "constant_within": checks.distances}  # absent in most files
_Write = Callable[[pa.Table, Tabular], None]
_FORMERLY = {"index": ("example", "inputs")}  # names that columns have in older files


def write(certificate: Tabular, path: str | Path) -> None:
    """Write a certificate to a Parquet file; see `Certificate.save`."""
    if checks.path("path", path).suffix.lower() != ".parquet":
        raise ValueError(
            f"path must end in .parquet, got {path}; for a CSV file use to_pandas().to_csv(path)"
        )
    table = certificate.to_arrow()
    if not table.num_columns:
        raise ValueError("certificate has nothing to save: it has neither radii nor thresholds")
    write_table(table, path, compression="lz4", use_dictionary=False)


def read(path: str | Path, class_named: Callable[[str], Any]) -> Any:
    """Read a certificate; see `Certificate.load`.

    Parameters
    ----------
    path : str or Path
        A file, or a folder with the files of all shards.
    class_named : callable
        A function that takes the name of a class of certificates, which the file states. It returns
        the class or raises a LookupError.
    """
    path = checks.path("path", path)
    table, is_sealed = _of_all_parts(path) if path.is_dir() else read_table(path)
    metadata = table.schema.metadata or {}
    try:
        kind = class_named(metadata.get(CLASS_KEY, b"Certificate").decode())
        text = metadata[METADATA_KEY]
        if "order" in json.loads(text):  # older versions wrote neither an order nor a seal
            require(path, is_sealed)
        settings = kind.settings_class.from_json(text)
        table = kind.upgraded(table, settings)
        names = [part.name for part in fields(kind) if part.name != "settings"]
        return kind(settings, **{name: _part(kind, name, settings, table) for name in names})
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        words = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise StoreError(f"{path} holds no valid certificate: {words}") from error


def _part(kind: Any, name: str, settings: Settings, table: pa.Table) -> Any:
    """Return one field of a kind of certificate: an array, a tuple of text, or None."""
    side = settings.alpha_upper if name == "upper" else settings.alpha_lower
    if name in _OF_INPUTS and name not in table.column_names:
        return None
    if name not in ("lower", "upper", "radius"):
        names = [name, *_FORMERLY.get(name, ())]
        name = next((old for old in names if old in table.column_names), name)
        column = table[name].combine_chunks()
        if column.null_count:
            raise ValueError(f"{name} must not be empty")
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            return tuple(column.to_pylist())
        values = np.array(column.to_numpy(zero_copy_only=False))
        return _OF_INPUTS[name](name, values, len(table)) if name in _OF_INPUTS else values
    if side is None:
        return None
    shape = kind.shape_of(name, settings)
    if not math.prod(shape):
        return np.empty((len(table), *shape))
    lists: Any = table[name]
    for count in shape[:-1]:  # lists of lists
        lists = lists.combine_chunks()
        if lists.null_count or getattr(lists.type, "list_size", None) != count:
            raise ValueError(f"{name} must hold {count} lists in each row")
        lists = lists.flatten()
    values = as_scores(lists)
    if values.dtype != np.float64 or values.shape[1] != shape[-1]:
        raise ValueError(f"{name} must hold {shape[-1]} float64 numbers in each row")
    values = values.reshape(len(table), *shape)
    low, high = kind.limits_of(name, settings)
    if not (np.isnan(values) | ((values >= low) & (values <= high))).all():
        raise ValueError(f"{name} must lie in [{low}, {high}]")
    return values


def part_file(folder: Path, index: int, count: int) -> Path:
    """Return the file of a shard. Sorted by name, the files are in the order of their rows."""
    return folder / f"{index:0{len(str(count - 1))}}-of-{count}.parquet"


def rows_of_part(index: int, count: int, n_inputs: int) -> range:
    """Return the rows of a shard, which are consecutive, so that the shards read each file once.

    Examples
    --------
    >>> [rows_of_part(i, 3, 10) for i in range(3)]
    [range(0, 3), range(3, 6), range(6, 10)]
    """
    return range(n_inputs * index // count, n_inputs * (index + 1) // count)


def parts_in(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return the files of finished shards in a folder, with the index and the number of shards.

    Files with names that `part_file` does not produce are left out.
    """
    found = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        name = _PART.fullmatch(file.name)
        index, count = (0, 0) if name is None else (int(name[1]), int(name[2]))
        if index < count and file == part_file(folder, index, count):
            found[file] = (index, count)
    return found


def require_same_run(
    folder: Path, settings: Settings, count: int, scores: Mapping[str, object]
) -> None:
    """Refuse a folder with shards of another run.

    Parameters
    ----------
    folder : Path
    settings : Settings
    count : int
        Number of shards.
    scores : mapping
        Values that identify the table of all scores, such as its number of rows.

    Raises
    ------
    StoreError
        If a setting differs. The error names each such setting with both values.
    """
    ours = json.loads(settings.to_json()) | dict(scores)
    for path, (_, others) in parts_in(folder).items():
        theirs = _said_by(path)
        told: list[tuple[str, Any, Any]] = []
        told += [("number of shards", others, count)] if others != count else []
        told += [
            (name, theirs.get(name), ours.get(name))
            for name in theirs | ours
            if theirs.get(name) != ours.get(name)
        ]
        if told:
            words = printable(
                "; ".join(f"{name}: was {was!r}, now {now!r}" for name, was, now in told)
            )
            raise StoreError(
                f"{path} is a shard of another run: {words}. All shards need the same options: use "
                "those of the other shards, or another --out"
            )


def _said_by(path: Path) -> dict[str, Any]:
    """Return the settings of a shard and its description of the scores, as decoded from JSON."""
    try:
        file, _ = open_file(path, check=False)
        metadata = file.schema_arrow.metadata or {}
        file.close(force=True)
        return dict(json.loads(metadata[METADATA_KEY])) | dict(json.loads(metadata[TABLE_KEY]))
    except (StoreError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path} is not a valid shard: {printable(str(error))}; delete it and make it again"
        ) from error


def _of_all_parts(folder: Path) -> tuple[pa.Table, bool]:
    """Read the files of all shards as one table, with the metadata of each of them."""
    parts = parts_in(folder)
    if not parts:
        raise StoreError(
            f"{folder} holds no certificate: give a file, or a folder that bounds --shard wrote"
        )
    counts = sorted({count for _, count in parts.values()})
    if len(counts) > 1:
        raise StoreError(f"{folder} holds shards of several runs: of {counts[0]} and {counts[1]}")
    there, lacking = {index for index, _ in parts.values()}, counts[0] - len(parts)
    if lacking:
        missing = islice((i for i in range(counts[0]) if i not in there), 5)
        shown = ", ".join(map(str, missing)) + (", ..." if lacking > 5 else "")
        raise StoreError(
            f"{folder} lacks {lacking} of {counts[0]} shards: {shown}; make them by bounds --shard"
        )
    read = [(path, *_of_part(path)) for path in parts]
    for path, table, _ in read:
        if table.schema.metadata != read[0][1].schema.metadata:
            raise StoreError(
                f"{path} and {read[0][0]} have different settings or scores: delete one "
                "of them and make it again"
            )
    joined = pa.concat_tables([table for _, table, _ in read], promote_options="permissive")
    return joined, all(is_sealed for _, _, is_sealed in read)


def _of_part(path: Path) -> tuple[pa.Table, bool]:
    table, is_sealed = read_table(path)
    metadata = dict(table.schema.metadata or {})
    _require_made_as(path, metadata.pop(SHARD_KEY, b"no shard"))
    return table.replace_schema_metadata(metadata), is_sealed


def require_whole_part(path: Path) -> None:
    """Check every byte of the file of a shard.

    Raises
    ------
    StoreError
        If the file is damaged, or was made as another shard.
    """
    file, is_sealed = open_file(path)
    made_as = (file.schema_arrow.metadata or {}).get(SHARD_KEY, b"no shard")
    file.close(force=True)
    require(path, is_sealed)
    _require_made_as(path, made_as)


def _require_made_as(path: Path, made_as: bytes) -> None:
    if made_as != path.stem.encode():
        raise StoreError(
            f"{path} was made as {printable(made_as.decode(errors='replace'))}; delete it and make "
            "it again"
        )


def require_kind(path: Path) -> None:
    """Refuse a file with an ending that cannot be written.

    Raises
    ------
    StoreError
        If the name does not end in one of `KINDS`.
    """
    if path.suffix.lower() not in KINDS:
        raise StoreError(
            f"--out must end in {' or '.join(KINDS)}, which decides the format, got {path}"
        )


def settings_beside(path: Path) -> Path:
    """Return the file with the settings of a .csv file, which has that name followed by .json."""
    return path.with_name(f"{path.name}.json")


@contextmanager
def writing(path: Path, scores: Mapping[str, object] | None = None) -> Iterator[_Write]:
    """Write certificates to a file, which replaces `path` once it is complete.

    Parameters
    ----------
    path : Path
        A file that ends in .parquet gets the columns of `Certificate.to_arrow`, with the settings
        in the metadata. A file that ends in .csv gets the columns of `Certificate.to_pandas`, and
        the settings go to the file that `settings_beside` names.
    scores : mapping, optional
        For a shard, which is a .parquet file: values that identify the table of all scores.

    Yields
    ------
    callable
        A function to call with the columns that come first, such as the ids of the inputs, and with
        the certificate of the same inputs. All certificates must have the same settings.

    Raises
    ------
    StoreError
        If the file cannot be written, or one of the first columns has the name of another column.
    """
    if path.suffix.lower() == ".parquet":
        of_shard: dict[bytes, bytes] = {}
        if scores is not None:
            of_shard = {SHARD_KEY: path.stem.encode(), TABLE_KEY: json.dumps(scores).encode()}
        with atomic_write(path) as file, _parquet(file, of_shard) as write:
            yield write
    else:
        with (
            atomic_write(path) as file,
            atomic_write(settings_beside(path)) as beside,
            _csv(file, beside) as write,
        ):
            yield write


@contextmanager
def _parquet(file: BinaryIO, of_shard: dict[bytes, bytes]) -> Iterator[_Write]:
    writer: pq.ParquetWriter | None = None

    def write(ids: pa.Table, certificate: Tabular) -> None:
        nonlocal writer
        table = certificate.to_arrow()
        joined = _joined(ids, table.column_names, table.columns)
        joined = joined.replace_schema_metadata((table.schema.metadata or {}) | of_shard)
        if writer is None:
            # A dictionary would only cost time, because few numbers occur twice.
            options: dict[str, Any] = {"use_dictionary": False, "write_page_checksum": True}
            writer = pq.ParquetWriter(file, joined.schema, compression="lz4", **options)
        writer.write_table(joined)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()
    seal(file)


@contextmanager
def _csv(file: BinaryIO, beside: BinaryIO) -> Iterator[_Write]:
    import pyarrow.csv

    header = True

    def write(ids: pa.Table, certificate: Tabular) -> None:
        nonlocal header
        names, columns = certificate.flat()
        options = pyarrow.csv.WriteOptions(include_header=header, quoting_style="needed")
        if header:
            settings = json.loads((certificate.to_arrow().schema.metadata or {})[METADATA_KEY])
            beside.write(f"{json.dumps(settings, indent=2)}\n".encode())
        joined = _joined(_harmless(ids), names, [pa.array(column) for column in columns])
        pyarrow.csv.write_csv(joined, file, options)
        header = False

    yield write


def _joined(ids: pa.Table, names: list[str], columns: list[Any]) -> pa.Table:
    for name in ids.column_names:
        if name in names:
            raise StoreError(
                f"the table of scores has a column {name!r}, which is the name of a result; "
                "rename it"
            )
    return pa.Table.from_arrays([*ids.columns, *columns], names=[*ids.column_names, *names])


def _harmless(ids: pa.Table) -> pa.Table:
    """Change texts that a spreadsheet would read as formulas."""
    for j, column in enumerate(ids.columns):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            cells = [spreadsheet_cell(text) for text in column.to_pylist()]
            ids = ids.set_column(j, ids.column_names[j], pa.array(cells, column.type))
    return ids.rename_columns([str(spreadsheet_cell(name)) for name in ids.column_names])
