"""The file of a finished run, as pandas, polars and DuckDB read it, without smoothbound."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from scored import DECIDE, FIXED, Scores, make, scores_of

from smoothbound import store
from smoothbound.store._settings import RunSettings


def some_fail(rng: np.random.Generator, index: int, n: int) -> Scores:
    return scores_of(rng, index, n if index != 3 else 0)


@pytest.fixture(params=["fixed", "adaptive"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "fixed":
        return make(tmp_path / "sigma=0.25", FIXED, some_fail) / "results.parquet"
    return make(tmp_path / "sigma=0.25", DECIDE) / "results.parquet"


def plain(value: Any) -> Any:
    """Return a value of any reader as Python has it; NaN as a word, because it equals nothing."""
    if isinstance(value, np.ndarray | list | tuple | pl.Series):
        return [plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return "nan" if math.isnan(value) else float(value)
    if isinstance(value, np.integer):
        return int(value)
    return bytes(value) if isinstance(value, bytearray | memoryview) else value


def expected(path: Path) -> list[dict[str, Any]]:
    rows = store.load(path.parent).table.to_pylist()
    return [{name: plain(value) for name, value in row.items()} for row in rows]


def test_pandas_reads_every_column(path: Path) -> None:
    frame = pd.read_parquet(path, partitioning=None)
    rows = [{name: plain(value) for name, value in row.items()} for row in frame.to_dict("records")]
    assert rows == expected(path)
    assert [str(frame[name].dtype) for name in ("index", "n_draws")] == ["int64", "int64"]
    assert frame["class_radius"].dtype == np.float64


def test_polars_reads_every_column(path: Path) -> None:
    frame = pl.read_parquet(path, hive_partitioning=False)
    rows = [{name: plain(value) for name, value in row.items()} for row in frame.to_dicts()]
    assert rows == expected(path)
    settings = store.load(path.parent).settings
    method = settings.methods[-1].name
    assert frame.schema[f"lower_{method}"] == pl.Array(pl.Float64, len(settings.radii))
    lazy = pl.scan_parquet(path).filter(pl.col("status") == "certified").select("index").collect()
    certified = [row["index"] for row in expected(path) if row["status"] == "certified"]
    assert lazy["index"].to_list() == certified


def test_duckdb_reads_every_column(path: Path) -> None:
    relation = duckdb.sql(f"select * from read_parquet('{path}', hive_partitioning = false)")
    names = relation.columns
    rows = [
        {name: plain(value) for name, value in zip(names, row, strict=True)}
        for row in relation.fetchall()
    ]
    assert rows == expected(path)
    method = store.load(path.parent).settings.methods[-1].name
    first = duckdb.sql(f"select lower_{method}[1] from '{path}' where status = 'certified'")
    kept = [row for row in expected(path) if row["status"] == "certified"]
    assert [plain(row[0]) for row in first.fetchall()] == [
        row[f"lower_{method}"][0] for row in kept
    ]


def test_pyarrow_datasets_read_every_column(path: Path) -> None:
    table = ds.dataset(path).to_table()
    assert [
        {name: plain(value) for name, value in row.items()} for row in table.to_pylist()
    ] == expected(path)


def test_the_columns_are_those_of_the_document(path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "results.md").read_text(encoding="utf-8")
    table = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    documented = {
        name.strip(" `"): kind.strip() for _, names, kind, *_ in table for name in names.split(",")
    }
    schema = pq.read_schema(path)
    if "first_draw" not in schema.names:  # which only questions that follow a run have
        documented.pop("first_draw")
    documented.pop("class_counts")  # which only runs with --classes have
    for field in schema:
        kind, _, _ = field.name.partition("_")
        name = f"{kind}_<method>" if kind in ("lower", "radius") else field.name
        shown = "fixed_size_list of double" if "<" in name else str(field.type)
        assert documented.pop(name, shown) == shown, field
        assert not field.nullable
    assert {name for name, kind in documented.items() if kind in ("int64", "double", "binary")} == (
        set()
    )


def test_the_settings_are_plain_json(path: Path) -> None:
    found = json.loads(pq.read_schema(path).metadata[b"smoothbound"])
    assert found["format"] == 6
    assert RunSettings.from_json(json.dumps(found)) == store.load(path.parent).settings
    assert found["radii"] == list(store.load(path.parent).settings.radii)
