"""Certificates of many inputs in one file, written a few rows at a time: Parquet or CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from smoothbound.certificate import Certificate
from smoothbound.errors import StoreError
from smoothbound.printable import spreadsheet_cell
from smoothbound.replacing import replacing
from smoothbound.sealed import seal

__all__ = ["KINDS", "require_kind", "writing"]

KINDS = (".parquet", ".csv")

Write = Callable[[pa.Table, Certificate], None]


def require_kind(path: Path) -> None:
    """Refuse a file whose ending is of no kind that can be written.

    Raises
    ------
    StoreError
        If the name does not end in one of `KINDS`.
    """
    if path.suffix.lower() not in KINDS:
        raise StoreError(
            f"--out must end in {' or '.join(KINDS)}, which decides what is written; got {path}"
        )


@contextmanager
def writing(path: Path) -> Iterator[Write]:
    """Write a file of certificates, which takes the place of `path` once complete.

    Parameters
    ----------
    path : Path
        Ends in .parquet, for the columns of `Certificate.to_arrow` with the settings in the
        metadata; or in .csv, for the columns of `Certificate.to_pandas` without the settings.

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
    kind = _parquet if path.suffix.lower() == ".parquet" else _csv
    with replacing(path) as file, kind(file) as write:
        yield write


@contextmanager
def _parquet(file: BinaryIO) -> Iterator[Write]:
    writer: pq.ParquetWriter | None = None

    def write(ids: pa.Table, certificate: Certificate) -> None:
        nonlocal writer
        table = certificate.to_arrow()
        joined = _joined(ids, table.column_names, table.columns)
        joined = joined.replace_schema_metadata(table.schema.metadata)
        if writer is None:
            # Hardly any number occurs twice: a dictionary would only cost time.
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
def _csv(file: BinaryIO) -> Iterator[Write]:
    import pyarrow.csv

    header = True

    def write(ids: pa.Table, certificate: Certificate) -> None:
        nonlocal header
        names, columns = certificate.flat()
        options = pyarrow.csv.WriteOptions(include_header=header, quoting_style="needed")
        pyarrow.csv.write_csv(_joined(_harmless(ids), names, columns), file, options)
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
    """Keep a spreadsheet from computing texts of the input."""
    for j, column in enumerate(ids.columns):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            cells = [spreadsheet_cell(text) for text in column.to_pylist()]
            ids = ids.set_column(j, ids.column_names[j], pa.array(cells, column.type))
    return ids.rename_columns([str(spreadsheet_cell(name)) for name in ids.column_names])
