"""Writing and reading of certificates, as Parquet or CSV, whole or a few rows at a time.

Settings and numbers that are read are checked like arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smoothbound._display.printable import spreadsheet_cell
from smoothbound._files.atomic import atomic_write
from smoothbound._files.sealed import METADATA_KEY, read_table, require, seal, write_table
from smoothbound._utils import checks
from smoothbound.bounds._request import Settings
from smoothbound.errors import StoreError
from smoothbound.scores._arrays import as_scores

__all__ = ["KINDS", "read", "require_kind", "settings_beside", "write", "writing"]

KINDS = (".parquet", ".csv")

CLASS_KEY = b"smoothbound class"  # of the metadata: the name of the class of certificates


class Tabular(Protocol):
    """The two tables of a certificate, one of which is written."""

    def to_arrow(self) -> pa.Table: ...
    def flat(self) -> tuple[list[str], list[Any]]: ...


_Write = Callable[[pa.Table, Tabular], None]
_FORMERLY = {"index": ("example", "inputs")}  # names that columns have in older files


def write(certificate: Tabular, path: str | Path) -> None:
    """Write a certificate: `Certificate.save`."""
    if checks.path("path", path).suffix.lower() != ".parquet":
        raise ValueError(
            f"path must end in .parquet, got {path}; for a CSV file use to_pandas().to_csv(path)"
        )
    table = certificate.to_arrow()
    if not table.num_columns:
        raise ValueError("certificate has nothing to save: it has neither radii nor thresholds")
    write_table(table, path, compression="lz4", use_dictionary=False)


def read(path: str | Path, class_named: Callable[[str], Any]) -> Any:
    """Read a certificate: `Certificate.load`.

    Parameters
    ----------
    path : str or Path
    class_named : callable
        Takes the name of a class of certificates, which the file states, and returns the class, or
        raises a LookupError.
    """
    table, is_sealed = read_table(checks.path("path", path))
    metadata = table.schema.metadata or {}
    try:
        kind = class_named(metadata.get(CLASS_KEY, b"Certificate").decode())
        text = metadata[METADATA_KEY]
        if "order" in json.loads(text):  # older versions wrote neither an order nor a seal
            require(path, is_sealed)
        settings = kind.settings_class.from_json(text)
        table = kind.upgraded(table, settings)
        names = [part.name for part in fields(kind) if part.name != "settings"]
        return kind(settings, **{name: _part(name, settings, table) for name in names})
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        words = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise StoreError(f"{path} holds no sound certificate: {words}") from error


def _part(name: str, settings: Settings, table: pa.Table) -> Any:
    """Return one field of a certificate: an array, a tuple of text, or None."""
    width = len(settings.thresholds if name == "radius" else settings.radii)
    side = settings.alpha_upper if name == "upper" else settings.alpha_lower
    if name not in ("lower", "upper", "radius"):
        names = [name, *_FORMERLY.get(name, ())]
        name = next((old for old in names if old in table.column_names), name)
        column = table[name].combine_chunks()
        if column.null_count:
            raise ValueError(f"{name} must not be empty")
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            return tuple(column.to_pylist())
        return np.array(column.to_numpy(zero_copy_only=False))
    if side is None:
        return None
    if not width:
        return np.empty((len(table), 0))
    values = as_scores(table[name])
    if values.dtype != np.float64 or values.shape[1] != width:
        raise ValueError(f"{name} must hold {width} float64 numbers in each row")
    low, high = (0.0, np.inf) if name == "radius" else settings.score_range
    if not (np.isnan(values) | ((values >= low) & (values <= high))).all():
        raise ValueError(f"{name} must lie in [{low}, {high}]")
    return values


def require_kind(path: Path) -> None:
    """Refuse a file with an ending that cannot be written.

    Raises
    ------
    StoreError
        If the name does not end in one of `KINDS`.
    """
    if path.suffix.lower() not in KINDS:
        raise StoreError(
            f"--out must end in {' or '.join(KINDS)}, which decides what is written; got {path}"
        )


def settings_beside(path: Path) -> Path:
    """Return the file with the settings of a .csv file: its name followed by .json."""
    return path.with_name(f"{path.name}.json")


@contextmanager
def writing(path: Path) -> Iterator[_Write]:
    """Write a file of certificates, which replaces `path` once it is complete.

    Parameters
    ----------
    path : Path
        Ends in .parquet, for the columns of `Certificate.to_arrow` with the settings in the
        metadata; or in .csv, for the columns of `Certificate.to_pandas`, with the settings in a
        file of their own, `settings_beside` it.

    Yields
    ------
    callable
        To be called with the columns that come first, such as the ids of the inputs, and with the
        certificate of the same inputs. All certificates must have the same settings.

    Raises
    ------
    StoreError
        If the file cannot be written, or one of the first columns has the name of another.
    """
    if path.suffix.lower() == ".parquet":
        with atomic_write(path) as file, _parquet(file) as write:
            yield write
    else:
        with (
            atomic_write(path) as file,
            atomic_write(settings_beside(path)) as beside,
            _csv(file, beside) as write,
        ):
            yield write


@contextmanager
def _parquet(file: BinaryIO) -> Iterator[_Write]:
    writer: pq.ParquetWriter | None = None

    def write(ids: pa.Table, certificate: Tabular) -> None:
        nonlocal writer
        table = certificate.to_arrow()
        joined = _joined(ids, table.column_names, table.columns)
        joined = joined.replace_schema_metadata(table.schema.metadata)
        if writer is None:
            # A dictionary would only cost time, because hardly any number occurs twice.
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
                f"the scores have a column {name!r} beside them, which is the name of a result; "
                "rename it"
            )
    return pa.Table.from_arrays([*ids.columns, *columns], names=[*ids.column_names, *names])


def _harmless(ids: pa.Table) -> pa.Table:
    """Change texts that a spreadsheet would take for formulas."""
    for j, column in enumerate(ids.columns):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            cells = [spreadsheet_cell(text) for text in column.to_pylist()]
            ids = ids.set_column(j, ids.column_names[j], pa.array(cells, column.type))
    return ids.rename_columns([str(spreadsheet_cell(name)) for name in ids.column_names])
