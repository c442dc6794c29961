"""Sketches on disk: one Parquet file, one row an input; edges and measure in its metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from smoothbound.certificate import METADATA_KEY
from smoothbound.errors import StoreError
from smoothbound.replacing import replacing

__all__ = ["FORMAT", "SketchContent", "read", "write"]

FORMAT = 1


@dataclass(frozen=True)
class SketchContent:
    """What a file holds of a sketch; the names are those of `ScoreSketch`."""

    inputs: NDArray[np.int64]
    predicted: NDArray[np.int64]
    draws: NDArray[np.int64]
    counts: NDArray[np.uint32]
    edges: NDArray[np.float64]
    measure: str
    sigma: float | None


def _schema(n_edges: int) -> pa.Schema:
    item = pa.field("item", pa.int64())
    columns: list[tuple[str, Any]] = [
        ("input", pa.int64()),
        ("predicted", pa.int64()),
        ("first_draw", pa.list_(item)),
        ("after_last_draw", pa.list_(item)),
        ("counts", pa.list_(pa.uint32(), 2 * n_edges - 1)),
    ]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


def write(path: str | Path, content: SketchContent) -> None:
    """Write a sketch; the file takes the place of `path` once it is complete and on the disk.

    Raises
    ------
    StoreError
        If it cannot be written; `path` is then as it was.
    """
    ends = np.searchsorted(content.draws[:, 0], content.inputs, side="right")
    intervals = [content.draws[i:j] for i, j in pairwise([0, *ends.tolist()])]
    first: list[Any] = [part[:, 1].tolist() for part in intervals]
    after: list[Any] = [part[:, 2].tolist() for part in intervals]
    counts = list(content.counts)
    about = {
        "format": FORMAT,
        "edges": content.edges.tolist(),
        "measure": content.measure,
        "sigma": content.sigma,
    }
    schema = _schema(content.edges.size).with_metadata({METADATA_KEY: json.dumps(about).encode()})
    columns: list[Any] = [content.inputs, content.predicted, first, after, counts]
    table = pa.table(
        [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema
    )
    with replacing(Path(path)) as file:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)


def read(path: str | Path) -> SketchContent:
    """Read a sketch; that its parts fit together is left to `ScoreSketch`.

    Raises
    ------
    StoreError
        If there is no such file, it is not a sketch, or it is damaged.
    """
    try:
        # Not read_table: it takes a parent folder such as sigma=0.25 for a column.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            about = _about(path, file.schema_arrow)
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} is missing, cut short or damaged: {error}") from error
    first, after = table.column("first_draw"), table.column("after_last_draw")
    lengths = np.asarray(pc.list_value_length(first))
    if not np.array_equal(lengths, np.asarray(pc.list_value_length(after))):
        raise StoreError(f"{path} is damaged: its draws begin more or less often than they end")
    inputs = np.asarray(table.column("input"))
    columns = (np.repeat(inputs, lengths), pc.list_flatten(first), pc.list_flatten(after))
    counts = np.asarray(pc.list_flatten(table.column("counts")))
    return SketchContent(
        inputs=inputs,
        predicted=np.asarray(table.column("predicted")),
        draws=np.column_stack([np.asarray(column, np.int64) for column in columns]),
        counts=counts.reshape(len(table), 2 * len(about["edges"]) - 1),
        edges=about["edges"],
        measure=about["measure"],
        sigma=about["sigma"],
    )


def _about(path: str | Path, schema: pa.Schema) -> dict[str, Any]:
    """Return what a file says of itself, if it is a sketch."""
    try:
        about = json.loads((schema.metadata or {})[METADATA_KEY])
        version, n_edges = about["format"], len(about["edges"])
        edges = np.array(about["edges"], dtype=np.float64)
        about = {"edges": edges, "measure": about["measure"], "sigma": about["sigma"]}
    except (KeyError, TypeError, ValueError):
        raise StoreError(f"{path} is not a sketch: its metadata does not describe one") from None
    if version != FORMAT:
        raise StoreError(f"{path} has format {version}; this version reads format {FORMAT}")
    if edges.ndim != 1 or not schema.remove_metadata().equals(_schema(n_edges)):
        raise StoreError(f"{path} does not have the columns of a sketch with {n_edges} edges")
    return about
