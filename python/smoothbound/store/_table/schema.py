"""The columns of a results table, in this version and in older ones."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa

from smoothbound.errors import StoreError
from smoothbound.store._settings import RunSettings

__all__ = [
    "SETTINGS_KEY",
    "SKETCH_EDGES",
    "STATUSES",
    "Status",
    "column_names",
    "older_status",
    "read_for",
    "schema",
    "settings_of",
    "upgraded",
    "with_selection",
    "with_status",
    "without_replaced",
]

SKETCH_EDGES = 4097  # of the counted scores: 4096 intervals
SETTINGS_KEY = b"smoothbound"  # of the settings, in the metadata of the table

Status = Literal["certified", "abstained", "failed", "budget", "misclassified", "stopped"]
"""The outcome of an input.

- ``certified``: it has a class.
- ``abstained``: its certified confidence at R = 0 is not above the cut-off.
- ``failed``: the model or the measure failed on it.
- ``budget``: a budget ended its adaptive draws. It has a class if the earlier draws certify one.
- ``misclassified``: the selected class is not the label, and the run asked for certificates of
  correct classes only. It has the selected class, without certificates.
- ``stopped``: the run was stopped while the input was drawn, and is not finished. What the earlier
  draws certify holds already. It has a class if they certify one.
"""
STATUSES: tuple[Status, ...] = get_args(Status)


def schema(settings: RunSettings) -> pa.Schema:
    """Return the columns of a results table, with the settings in its metadata.

    - `selected` is the class that the selection draws chose, -1 if there were none.
    - `predicted` is that class, or -1 if the run abstained.
    - `status` is one of `STATUSES`. `reason` explains it in words for people.
    - `class_radius` is Cohen's radius of the class, NaN if it is not certified.
    - `sketch` holds the packed counts of the scores over `SKETCH_EDGES` equally spaced edges. It is
      empty if the draws were adaptive or sampling failed.
    - `digest` is the digest of the input and its label, as they were read.
    - ``lower_<name>`` holds the certified confidence of a method at each radius.
    - ``radius_<name>`` holds the certified radius of a method for each threshold, NaN if even R = 0
      fails.

    - `n_selection` and `n_draws` are the numbers of selection draws and of estimation draws.
    - `state` is the state of the `AnytimeTest` of the input, with which its draws can go on; with
      the status "stopped" that of its `smoothbound.anytime.Job`. It is empty if the number of draws
      was fixed or sampling failed.
    - `first_draw` is the number of the first estimation draw. Only questions that follow another
      run have it, whose draws have the smaller numbers.

    - ``unreachable_<name>`` holds, for each threshold, the smallest of the radii that no number of
      draws certifies, NaN if there is none. Only runs that ask for both answers have it.

    - `class_counts` holds the packed counts of the scores and votes of all counted classes
      (`smoothbound.classes`). It is empty if sampling failed. Only runs that count classes have it.

    If sampling failed, the numbers are NaN or 0. Tables of format 3 lack `digest`, those before
    format 5 `status`, and those before format 6 `n_selection` and `state`.
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
    if settings.format >= 6:
        columns += [("n_selection", pa.int64()), ("state", pa.binary())]
    if settings.adaptive is not None and settings.adaptive.follows is not None:
        columns.append(("first_draw", pa.int64()))
    if settings.classes is not None:
        columns.append(("class_counts", pa.binary()))
    for method in settings.methods:
        columns += [
            (f"lower_{method.name}", pa.list_(pa.float64(), len(settings.radii))),
            (f"radius_{method.name}", pa.list_(pa.float64(), len(settings.thresholds))),
        ]
        if settings.both_answers:
            thresholds = pa.list_(pa.float64(), len(settings.thresholds))
            columns.append((f"unreachable_{method.name}", thresholds))
    return pa.schema(
        [pa.field(name, kind, nullable=False) for name, kind in columns],
        metadata={SETTINGS_KEY: settings.to_json().encode()},
    )


def settings_of(path: Path, found: pa.Schema) -> RunSettings:
    """Return the settings that the metadata of a table hold, whose columns fit to them.

    Raises
    ------
    StoreError
        If the table is not one that a run writes. The error names `path`.
    """
    try:
        settings = RunSettings.from_json((found.metadata or {})[SETTINGS_KEY])
    except KeyError:
        raise StoreError(f"{path} was not written by smoothbound certify: no settings") from None
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from error
    if not found.equals(schema(settings)):
        raise StoreError(
            f"{path} does not have the columns of its settings; expected\n{schema(settings)}\n"
            f"found\n{found}"
        )
    return settings


# The columns that older formats lack, and those from which they are made.
_MADE_OF = {
    "status": ("reason", "predicted"),
    "n_selection": ("selected",),
    "state": ("selected",),
}


def column_names(settings: RunSettings) -> list[str]:
    """Return the names of the columns in the form of this version."""
    names = schema(settings).names
    return [*names, *(name for name in _MADE_OF if name not in names)]


def read_for(settings: RunSettings, names: Collection[str]) -> list[str]:
    """Return the columns of a file from which `upgraded` makes these columns."""
    held = schema(settings).names
    wanted = {
        source
        for name in names
        for source in ([name] if name in held else _MADE_OF.get(name, [name]))
    }
    return [name for name in held if name in wanted]


def upgraded(table: pa.Table, settings: RunSettings) -> pa.Table:
    """Return a table of any readable format, or some columns of it, in the form of this version."""
    held = schema(settings).names
    if "status" not in held and {"reason", "predicted"} <= {*table.column_names}:
        table = with_status(table)
    if "n_selection" not in held and "selected" in table.column_names:
        table = with_selection(table, settings.n0)
    return table


def with_status(table: pa.Table) -> pa.Table:
    """Return a table with the column `status`. In older formats only the reason tells it."""
    if "status" in table.column_names:
        return table
    rows = zip(table["reason"].to_pylist(), table["predicted"].to_pylist(), strict=True)
    statuses = pa.array([older_status(str(why), int(y or 0)) for why, y in rows], pa.string())
    return table.append_column(pa.field("status", pa.string(), nullable=False), statuses)


def with_selection(table: pa.Table, n0: int) -> pa.Table:
    """Return a table with the columns `n_selection` and `state`, which older formats lack."""
    if "n_selection" in table.column_names:
        return table
    selected = table["selected"].to_pylist()
    counts = pa.array([0 if one == -1 else n0 for one in selected], pa.int64())
    table = table.append_column(pa.field("n_selection", pa.int64(), nullable=False), counts)
    states = pa.array([b""] * len(table), pa.binary())
    return table.append_column(pa.field("state", pa.binary(), nullable=False), states)


def without_replaced(table: pa.Table) -> pa.Table:
    """Return the rows of a journal without those of stopped inputs that a later row replaces."""
    if "status" not in table.column_names:
        return table
    index, status = table["index"].to_pylist(), table["status"].to_pylist()
    last = {one: place for place, one in enumerate(index)}
    kept = [status[i] != "stopped" or last[one] == i for i, one in enumerate(index)]
    return table.filter(pa.array(kept, pa.bool_()))


def older_status(reason: str, predicted: int) -> Status:
    """Return the status of an input of an older file, from the words of its reason.

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
