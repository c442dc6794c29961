"""Results as CSV and as JSON Lines, some rows at a time."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from smoothbound._display.printable import spreadsheet_cell
from smoothbound.store._results import as_array
from smoothbound.store._stored import StoredResults
from smoothbound.store._table.flat import flat

__all__ = ["csv_of", "csv_parts", "jsonl_parts"]

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def _told(stored: StoredResults) -> list[str]:
    """Return the names of the columns that text can hold: all but the packed ones."""
    kinds = {field.name: field.type for field in stored.schema}
    return [name for name in stored.column_names if not pa.types.is_binary(kinds[name])]


def csv_parts(stored: StoredResults, advance: Callable[[int], object]) -> Iterator[bytes]:
    """Yield the bytes of a CSV file with one number a column."""
    header = True
    for table in stored.batches(_told(stored)):
        yield csv_of(_without_nan(_harmless(flat(table, stored.settings))), header=header)
        header = False
        advance(len(table))


def csv_of(table: pa.Table, *, header: bool, delimiter: str = ",", quotes: bool = True) -> bytes:
    """Write a table as CSV; a null is an empty cell. No name of a column has quotes."""
    file = io.BytesIO()
    if header:
        names = [f'"{name}"' if quotes else name for name in table.column_names]
        file.write(f"{delimiter.join(names)}\n".encode())
    options = pyarrow.csv.WriteOptions(
        include_header=False,
        delimiter=delimiter,
        quoting_style="needed" if quotes else "none",
    )
    pyarrow.csv.write_csv(table, file, options)
    return file.getvalue()


def _without_nan(table: pa.Table) -> pa.Table:
    """Return a table with nulls in place of NaN."""
    for j, column in enumerate(table.columns):
        if pa.types.is_floating(column.type):
            empty = pa.scalar(None, column.type)
            column = pc.if_else(pc.is_nan(column), empty, column)
            table = table.set_column(j, table.column_names[j], column)
    return table


def _harmless(table: pa.Table) -> pa.Table:
    """Change texts that a spreadsheet would take for formulas."""
    for j, column in enumerate(table.columns):
        if pa.types.is_string(column.type):
            different = column.combine_chunks().dictionary_encode()
            cells = [spreadsheet_cell(text) for text in different.dictionary.to_pylist()]
            safe = pa.array(cells, pa.string()).take(different.indices)
            table = table.set_column(j, table.column_names[j], safe)
    return table


def jsonl_parts(stored: StoredResults, advance: Callable[[int], object]) -> Iterator[bytes]:
    """Yield the bytes of a file with one JSON object an input."""
    names = _told(stored)
    for table in stored.batches(names):
        columns = [_values(table[name]) for name in names]
        lines = (
            _ENCODER.encode(dict(zip(names, row, strict=True)))
            for row in zip(*columns, strict=True)
        )
        yield "".join(f"{line}\n" for line in lines).encode()
        advance(len(table))


def _values(column: pa.ChunkedArray[Any]) -> list[Any]:
    """Return the values of a column, with None in place of NaN."""
    values = as_array(column)
    if values.dtype.kind == "f" and np.isnan(values).any():
        nothing = np.isnan(values)
        values = values.astype(object)
        values[nothing] = None
    found: list[Any] = values.tolist()
    return found
