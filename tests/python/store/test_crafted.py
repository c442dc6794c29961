"""Results that were made up, with right checksums: what is read is checked like an argument."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from stored import INDICES, SETTINGS, row
from typer.testing import CliRunner

from smoothbound import store
from smoothbound._files import sealed
from smoothbound.analysis.reading import evaluate
from smoothbound.cli._app import app
from smoothbound.errors import SmoothboundError, StoreError
from smoothbound.store._table.journal import Journal
from smoothbound.store._table.schema import schema

ODD: list[Any] = [
    None, True, -1, 0, 2.5, 1e308, 10**400, 2**63, "", "x", "1", [], [None], [-1], [2], [10**400],
    ["x"], [[0.1]], {}, {"x": 1}, {"kind": 3}, [{}], [0.5, 0.5, 0.5], [True], "\x1b[31m", [1e308],
]  # fmt: skip
PLAIN = json.loads(SETTINGS.to_json())
DEEP = "[" * 100_000 + "]" * 100_000


def crafted(folder: Path, settings: str, **columns: list[Any]) -> Path:
    """Write a finished run with these settings and values."""
    rows = [row(index) for index in INDICES]
    for name, values in columns.items():
        for one, value in zip(rows, values, strict=True):
            one[name] = value
    table = pa.Table.from_pylist(rows, schema=schema(SETTINGS))
    metadata = {b"smoothbound": settings.encode()}
    folder.mkdir(exist_ok=True)
    sealed.write_table(table.replace_schema_metadata(metadata), folder / "results.parquet")
    return folder


def refused(folder: Path) -> str | None:
    """Do with results what a report and a recommendation do; return why they are refused."""
    try:
        results = store.load(folder)
        results.sketch().certify(thresholds=[0.5])
        evaluate(results, "name")
    except SmoothboundError as error:
        return str(error)
    return None


@pytest.mark.parametrize("key", PLAIN)
def test_a_setting_that_cannot_be_is_refused_by_its_name(tmp_path: Path, key: str) -> None:
    for odd in [*ODD, float("nan"), float("inf"), "missing"]:
        values = PLAIN | {key: odd}
        if odd == "missing":
            del values[key]
        said = refused(crafted(tmp_path, json.dumps(values)))
        if said is not None:
            assert "results.parquet" in said or "name" in said
            assert key in said or "columns of its settings" in said, odd
            assert len(said) < 4000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("alpha", -1), ("alpha", 1.0), ("sigma", 0.0), ("radii", [0.0, 0.1, -0.25]), ("n", "1000"),
        ("radii", [0.0, True, 2.0]), ("thresholds", [0.5, True]), ("indices", [0, True]),
        ("thresholds", [0.5, 7.0]), ("score_range", [1.0, 0.0]), ("n_inputs", -5), ("n", 2**70),
        ("indices", [-1]), ("noise", {"kind": "lattice", "displacement": -0.1}), ("noise", {}),
        ("adaptive", {"asked": 3}), ("adaptive", {"asked": "Decide", "budget": {"draws": "many"}}),
        ("versions", {"torch": 2}), ("methods", [{"bound": "mean"}, {"bound": "mean"}]),
        ("channels_last", 1), ("cutoff", 10**400), ("seed", -1), ("compile", 1),
        ("outputs", "scores"), ("precision", "float8"), ("select", "luck"), ("compile", "slow"),
    ],
)  # fmt: skip
def test_these_settings_are_refused(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(StoreError, match=rf"results\.parquet: .*{key}"):
        store.load(crafted(tmp_path, json.dumps(PLAIN | {key: value})))


def test_an_error_in_a_file_names_no_option_of_a_command(tmp_path: Path) -> None:
    folder = crafted(tmp_path / "run", json.dumps(PLAIN | {"radii": [0.0, True, 2.0]}))
    result = CliRunner().invoke(app, ["report", str(folder), "--out", str(tmp_path / "report")])
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert "results.parquet: the settings" in said
    assert ": radii must be numbers, got radii[1] = True" in said


@pytest.mark.parametrize("text", [DEEP, '{"format": 5, "sigma": ' + "9" * 5000 + "}", "{", "7", ""])
def test_text_that_is_no_settings_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(StoreError, match=r"results\.parquet"):
        store.load(crafted(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("index", -1), ("index", 0), ("selected", -2), ("predicted", 2), ("predicted", 0),
        ("status", "done"), ("n_selection", -1), ("n_selection", 11), ("n_draws", -1),
        ("n_draws", 1001), ("top_count", 1001), ("seconds", -1.0), ("seconds", np.inf),
        ("mean_score", 1.1), ("mean_score", -np.inf), ("class_radius", -0.1),
        ("class_radius", np.inf), ("lower_mean", [7.0, 0.1, 0.1]), ("lower_mean", [0.1, 0.1, -1.0]),
        ("radius_cdf_dkw", [0.1, -0.1]), ("radius_cdf_dkw", [np.inf, 0.1]),
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_is_refused_by_its_column_and_input(
    tmp_path: Path, name: str, wrong: object
) -> None:
    values = [row(index)[name] for index in INDICES]
    values[3] = wrong
    folder = crafted(tmp_path, SETTINGS.to_json(), **{name: values})
    with pytest.raises(StoreError, match=rf"results\.parquet: {name} of input (6|-1|0) must be"):
        store.load(folder)


def test_a_journal_of_made_up_rows_is_refused(tmp_path: Path) -> None:
    rows = pa.Table.from_pylist([row(0, lower_mean=[7.0, 0.1, 0.1])], schema=schema(SETTINGS))
    messages = [one.serialize().to_pybytes() for one in rows.to_batches()]
    made = Journal(rows.schema, messages, 0).to_bytes()
    (tmp_path / "journal.bin").write_bytes(made)
    for act in (store.load, lambda folder: store.Writer(folder, SETTINGS, resume=True)):
        with pytest.raises(StoreError, match=r"journal\.bin: lower_mean of input 0 must be in"):
            act(tmp_path)
    assert (tmp_path / "journal.bin").read_bytes() == made
