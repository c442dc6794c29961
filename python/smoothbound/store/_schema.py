"""The columns of a results table, also for the tables that older versions wrote."""

from __future__ import annotations

from typing import Literal, get_args

import pyarrow as pa

from smoothbound.store._settings import RunSettings

__all__ = [
    "SETTINGS_KEY",
    "SKETCH_EDGES",
    "STATUSES",
    "Status",
    "older_status",
    "schema",
    "with_status",
]

SKETCH_EDGES = 4097  # of the counted scores: 4096 intervals
SETTINGS_KEY = b"smoothbound"  # of the settings, in the metadata of the table

Status = Literal["certified", "abstained", "failed", "budget"]
"""What became of an input.

``certified``: it has a class. ``abstained``: its certified confidence at R = 0 is not above the
cut-off. ``failed``: the model or the measure failed on it. ``budget``: a budget ended its adaptive
draws; it has a class where the draws before that certify one.
"""
STATUSES: tuple[Status, ...] = get_args(Status)


def schema(settings: RunSettings) -> pa.Schema:
    """Columns of a results table, with the settings in its metadata.

    `selected` is the class that was selected on the selection draws, -1 where there were none.
    `predicted` is that class, or -1 where the run abstained. `status` is one of `STATUSES`, and
    `reason` says why in words for people. `class_radius` is Cohen's radius of the class (NaN: not
    certified). Where sampling failed, the numbers are NaN or 0. `sketch` holds the packed counts
    of the scores over `SKETCH_EDGES` equally spaced edges; it is empty where drawing was adaptive
    or failed. `digest` is that of the input and its label, as they were read. For each method,
    ``lower_<name>`` holds the certified confidence at each radius and ``radius_<name>`` the
    certified radius for each threshold (NaN where even R = 0 fails).

    Tables of format 3 lack `digest` and `status`, tables of format 4 lack `status`.
    """
    columns = [
        ("index", pa.int64()),
        ("label", pa.int64()),
        ("selected", pa.int64()),
        ("predicted", pa.int64()),
        ("reason", pa.string()),
        ("class_radius", pa.float64()),
        ("n_draws", pa.int64()),
        ("top_count", pa.int64()),
        ("mean_score", pa.float64()),
        ("sketch", pa.binary()),
        ("seconds", pa.float64()),
    ]
    if settings.format >= 4:
        columns.append(("digest", pa.binary()))
    if settings.format >= 5:
        columns.append(("status", pa.string()))
    for method in settings.methods:
        columns += [
            (f"lower_{method.name}", pa.list_(pa.float64(), len(settings.radii))),
            (f"radius_{method.name}", pa.list_(pa.float64(), len(settings.thresholds))),
        ]
    return pa.schema(
        [pa.field(name, kind, nullable=False) for name, kind in columns],
        metadata={SETTINGS_KEY: settings.to_json().encode()},
    )


def with_status(table: pa.Table) -> pa.Table:
    """Return a table with the column `status`, which older formats say in the reason alone."""
    if "status" in table.column_names:
        return table
    rows = zip(table["reason"].to_pylist(), table["predicted"].to_pylist(), strict=True)
    statuses = pa.array([older_status(str(why), int(y or 0)) for why, y in rows], pa.string())
    return table.append_column(pa.field("status", pa.string(), nullable=False), statuses)


def older_status(reason: str, predicted: int) -> Status:
    """Return the status of an input of an older file, whose reason begins or ends with it.

    Examples
    --------
    >>> older_status("failed: the model returned NaN or infinity", -1)
    'failed'
    >>> older_status("budget spent after 400 draws", -1)
    'budget'
    >>> older_status("certified after 400 draws", 3)
    'certified'
    """
    if reason.startswith("failed: "):
        return "failed"
    if "budget spent after" in reason:
        return "budget"
    return "certified" if predicted >= 0 else "abstained"
