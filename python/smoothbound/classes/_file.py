"""Sketches of classes on disk: a Parquet file with a row of packed counts for each input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smoothbound._files import sealed
from smoothbound._utils import checks
from smoothbound.errors import StoreError
from smoothbound.sketch._draws.draw_numbers import Draws

__all__ = ["ABOUT", "FORMAT", "read", "write"]

FORMAT = 2
_READABLE = (1, 2)  # before format 2 there was no constant_within, and one sigma
_KIND = "class sketch"
ABOUT = ("classes", "edges", "sigma", "constant_within", "displacement", "noise")
_SCHEMA = pa.schema(
    [
        pa.field("index", pa.int64(), nullable=False),
        pa.field("first_draw", pa.list_(pa.int64()), nullable=False),
        pa.field("after_last_draw", pa.list_(pa.int64()), nullable=False),
        pa.field("counts", pa.binary(), nullable=False),
    ]
)


def write(
    path: Path, index: NDArray[np.int64], draws: Draws, packed: list[bytes], about: dict[str, Any]
) -> None:
    """Write a sketch to a file, which replaces `path` once it is complete on the disk.

    Parameters
    ----------
    path : Path
    index : ndarray of int64, shape (n_inputs,)
    draws : ndarray of int64, shape (n, 3)
    packed : list of bytes
        The counts of each input.
    about : dict
        The other attributes of a `ClassSketch`.
    """
    plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in about.items()}
    head = json.dumps({"kind": _KIND, "format": FORMAT} | plain).encode()
    of_input = [draws[draws[:, 0] == i] for i in index]
    columns: list[Any] = [
        index,
        [own[:, 1].tolist() for own in of_input],
        [own[:, 2].tolist() for own in of_input],
        packed,
    ]
    schema = _SCHEMA.with_metadata({sealed.METADATA_KEY: head})
    made = [pa.array(one, field.type) for one, field in zip(columns, schema, strict=True)]
    sealed.write_table(pa.table(made, schema=schema), path, compression="none")


def read(path: Path) -> tuple[list[bytes], dict[str, Any]]:
    """Return the packed counts of each input, and the other arguments of a `ClassSketch`.

    Raises
    ------
    StoreError
        If the file does not exist, is not a sketch of classes, or is damaged.
    """
    table, is_sealed = sealed.read_table(path)
    about = _about(path, table.schema)
    sealed.require(path, is_sealed)
    if any(column.null_count for column in table.columns):
        raise StoreError(f"{path} is damaged: numbers are missing")
    columns: dict[str, list[Any]] = {name: table[name].to_pylist() for name in table.column_names}
    ends = list(zip(columns["first_draw"], columns["after_last_draw"], strict=True))
    if any(len(first) != len(after) or None in (*first, *after) for first, after in ends):
        raise StoreError(f"{path} is damaged: its draws begin more or less often than they end")
    draws = [
        (i, *each)
        for i, (first, after) in zip(columns["index"], ends, strict=True)
        for each in zip(first, after, strict=True)
    ]
    about |= {"index": columns["index"], "draws": np.array(draws, np.int64).reshape(-1, 3)}
    return columns["counts"], about


def _about(path: Path, schema: pa.Schema) -> dict[str, Any]:
    """Return the metadata of a sketch of classes."""
    try:
        about: dict[str, Any] = dict(json.loads((schema.metadata or {})[sealed.METADATA_KEY]))
        kind, version = about["kind"], checks.count("format", about["format"])
        if version == 1:
            about["constant_within"] = None
        values = {name: about[name] for name in ABOUT}
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path} is not a sketch of classes: its metadata does not describe one ({error})"
        ) from error
    if kind != _KIND or version not in _READABLE:
        raise StoreError(
            f"{path} is a {kind!r} of format {version!r}; this version reads {_KIND!r} {_READABLE}"
        )
    if not schema.remove_metadata().equals(_SCHEMA):
        raise StoreError(f"{path} does not have the columns of a sketch of classes")
    return values
