"""A results table with one number a column, for readers of CSV and for data frames."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from smoothbound._display.rounding import exact
from smoothbound.store._settings import RunSettings

__all__ = ["flat"]


def flat(table: pa.Table, settings: RunSettings) -> pa.Table:
    """Return a table without its binary columns, whose lists are split into their numbers.

    Columns are named ``lower_<method>@R`` by the radius and ``radius_<method>@c`` by the threshold,
    both with all their digits. A radius that is requested twice has one column.
    """
    thresholds = settings.thresholds
    grids = {"lower": settings.radii, "radius": thresholds, "unreachable": thresholds}
    columns: dict[str, Any] = {}
    for field in table.schema:
        column = table[field.name]
        if pa.types.is_fixed_size_list(field.type):
            grid = grids[field.name.partition("_")[0]]
            columns |= {
                f"{field.name}@{exact(at)}": pc.list_element(column, i) for i, at in enumerate(grid)
            }
        elif not pa.types.is_binary(field.type):
            columns[field.name] = column
    return pa.table(columns)
