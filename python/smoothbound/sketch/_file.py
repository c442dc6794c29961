"""Sketches on disk: a Parquet file with a row for each input, and metadata such as the edges."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smoothbound._files import sealed
from smoothbound._utils import checks
from smoothbound.errors import StoreError
from smoothbound.sketch._content import SketchContent, n_cells
from smoothbound.sketch._draws.repeats import Seen

__all__ = ["FORMAT", "read", "write"]

FORMAT = 4
# Older files have "stretches" instead of "sample". Their keys have another form and are ignored.
# Format 1 has no checksum. Before format 3 the index was called input, before format 4 the selected
# class was called predicted.
_READABLE = (1, 2, 3, 4)


def _schema(n_edges: int, version: int = FORMAT) -> pa.Schema:
    item = pa.field("item", pa.int64())
    columns: list[tuple[str, Any]] = [
        ("index" if version > 2 else "input", pa.int64()),
        ("selected" if version > 3 else "predicted", pa.int64()),
        ("first_draw", pa.list_(item)),
        ("after_last_draw", pa.list_(item)),
        ("counts", pa.list_(pa.uint32(), n_cells(n_edges))),
    ]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


def write(path: str | Path, content: SketchContent) -> None:
    """Write a sketch to a file, which replaces `path` once it is complete on the disk.

    Raises
    ------
    StoreError
        If the file cannot be written. `path` then keeps its old content.
    """
    ends = np.searchsorted(content.draws[:, 0], content.index, side="right")
    intervals = [content.draws[i:j] for i, j in pairwise([0, *ends.tolist()])]
    first: list[Any] = [part[:, 1].tolist() for part in intervals]
    after: list[Any] = [part[:, 2].tolist() for part in intervals]
    counts = list(content.counts)
    about = {
        "format": FORMAT,
        "edges": content.edges.tolist(),
        "measure": content.measure,
        "sigma": content.sigma,
        "displacement": content.displacement,
        "noise": content.noise,
        "seen": [mark.hex() for mark in content.seen.beginnings],
        "sample": b64encode(content.seen.stretches.astype("<u8").tobytes()).decode(),
    }
    schema = _schema(content.edges.size).with_metadata(
        {sealed.METADATA_KEY: json.dumps(about).encode()}
    )
    columns: list[Any] = [content.index, content.selected, first, after, counts]
    table = pa.table(
        [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema
    )
    sealed.write_table(table, path, compression="zstd")


def read(path: str | Path) -> SketchContent:
    """Read the data of a sketch. `ScoreSketch` checks its consistency.

    Raises
    ------
    StoreError
        If the file does not exist, is not a sketch, or is damaged.
    """
    table, is_sealed = sealed.read_table(path)
    about = _about(path, table.schema)
    if about["format"] > 1:
        sealed.require(path, is_sealed)
    if empty := [name for name in table.column_names if _has_nulls(table.column(name))]:
        raise StoreError(f"{path} is damaged: numbers are missing in {empty}")
    first, after = table.column("first_draw"), table.column("after_last_draw")
    lengths = np.asarray(pc.list_value_length(first))
    if not np.array_equal(lengths, np.asarray(pc.list_value_length(after))):
        raise StoreError(f"{path} is damaged: its draws begin more or less often than they end")
    index = np.asarray(table.column(0))
    columns = (np.repeat(index, lengths), pc.list_flatten(first), pc.list_flatten(after))
    counts = np.asarray(pc.list_flatten(table.column("counts")))
    return SketchContent(
        index=index,
        selected=np.asarray(table.column(1)),
        draws=np.column_stack([np.asarray(column, np.int64) for column in columns]),
        counts=counts.reshape(len(table), n_cells(len(about["edges"]))),
        edges=about["edges"],
        measure=about["measure"],
        sigma=about["sigma"],
        displacement=about["displacement"],
        noise=about["noise"],
        seen=about["seen"],
    )


def _about(path: str | Path, schema: pa.Schema) -> dict[str, Any]:
    """Return the metadata of a sketch, such as edges and measure."""
    try:
        about: dict[str, Any] = dict(json.loads((schema.metadata or {})[sealed.METADATA_KEY]))
        version = checks.count("format", about["format"])
        edges = checks.vector("edges", about["edges"])
        about["edges"] = edges
        beginnings = [bytes.fromhex(mark) for mark in about.get("seen", ())]
        stretches = np.frombuffer(b64decode(about.get("sample", ""), validate=True), "<u8")
        about["seen"] = Seen(beginnings, stretches.astype(np.uint64))
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path} is not a sketch: its metadata does not describe one ({error})"
        ) from error
    if version not in _READABLE:
        raise StoreError(f"{path} has format {version!r}; this version reads {_READABLE}")
    if missing := {"measure", "sigma"} - about.keys():
        raise StoreError(f"{path} is not a sketch: it lacks {sorted(missing)}")
    expected = _schema(edges.size, version)
    if edges.ndim != 1 or not schema.remove_metadata().equals(expected):
        raise StoreError(f"{path} does not have the columns of a sketch with {edges.size} edges")
    return {"displacement": 0.0, "noise": None} | about  # older files lack these


def _has_nulls(column: pa.ChunkedArray[Any]) -> bool:
    items = pc.list_flatten(column) if pa.types.is_nested(column.type) else column
    return bool(column.null_count or items.null_count)
