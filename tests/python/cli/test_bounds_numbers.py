"""`smoothbound bounds` writes the numbers of `certify_scores`, or refuses and writes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from command_line import SCORES, fails, smoothbound

import smoothbound as sb
from smoothbound.cli._options import default_radii
from smoothbound.scores import _score_file


@pytest.mark.parametrize("rows_at_a_time", [3, 1000])
@pytest.mark.parametrize("sides", ["lower", "upper", "both"])
def test_bounds_writes_what_python_computes(
    scores: Path, sides: str, rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", rows_at_a_time * SCORES[0].nbytes)
    out = scores.with_name("bounds.parquet")
    options = ("--radii", "0,0.25 0.5", "--thresholds", "0.7", "--n-bins", 50, "--sides", sides)
    result = smoothbound("bounds", scores, "--sigma", 0.25, "--out", out, *options)
    assert result.exit_code == 0, result.output
    assert "20 inputs, 500 draws each" in result.output
    expected = sb.certify_scores(
        SCORES, sigma=0.25, radii=[0, 0.25, 0.5], thresholds=[0.7], n_bins=50, sides=sides
    )
    table = pq.ParquetFile(out).read()
    assert len(table) == 20
    assert (
        set(table.column_names)
        == {
            "lower": {"lower", "radius"},
            "upper": {"upper"},
            "both": {"lower", "upper", "radius"},
        }[sides]
    )
    for name in table.column_names:
        read = np.array(table.column(name).to_pylist())
        np.testing.assert_array_equal(read, getattr(expected, name))
    assert json.loads(table.schema.metadata[b"smoothbound"]) == json.loads(
        expected.settings.to_json()
    )


def test_bounds_has_defaults_that_tell_something(scores: Path) -> None:
    out = scores.with_name("bounds.parquet")
    range_of_margin = ("--score-range", -1, 1)
    assert (
        smoothbound("bounds", scores, "--sigma", 0.5, "--out", out, *range_of_margin).exit_code == 0
    )
    settings = json.loads(pq.read_schema(out).metadata[b"smoothbound"])
    assert settings["radii"] == default_radii(0.5)
    assert settings["thresholds"] == [0.0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sigma", 0], "sigma must be positive"),
        (["--sigma", "nan"], "sigma must be positive"),
        (["--alpha", 1], "alpha must lie strictly between 0 and 1"),
        (["--radii", "0,-1"], "radii must be finite and >= 0"),
        (["--radii", "0,nan"], "radii must be finite"),
        (["--radii", "0;1"], "--radii must be numbers separated by commas"),
        (["--radii", ""], "--radii must not be empty"),
        (["--thresholds", "1.5"], "thresholds must lie strictly inside"),
        (["--thresholds", "0.99"], "at least n = 1113 are needed"),
        (["--bound", "cfd"], "bound must be one of"),
        (["--band", "elll"], "band must be one of"),
        (["--n-bins", 0], "--n-bins must be at least 1"),
        (["--sides", "left"], "sides must be one of"),
        (["--backend", "fortran"], "backend must be one of"),
        (["--score-range", 1, 0], "--score-range must be finite with a < b"),
        (["--score-range", 0, 0.5], "within --score-range [0.0, 0.5], got scores[0, 0]"),
        (["--key", "a"], "leave out the key 'a'"),
    ],
)
def test_bounds_refuses_and_writes_nothing(scores: Path, options: list[Any], said: str) -> None:
    out = scores.with_name("bounds.parquet")
    assert said in fails("bounds", scores, "--sigma", 0.25, "--out", out, *options)
    assert list(scores.parent.iterdir()) == [scores]


def test_bounds_names_the_row_of_a_bad_score(scores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", 3 * SCORES[0].nbytes)
    bad = SCORES.copy()
    bad[13, 7] = np.nan
    np.save(scores, bad)
    said = fails("bounds", scores, "--sigma", 0.25, "--out", scores.with_name("b.parquet"))
    assert "counted from 12" in said
    assert "scores[1, 7] = nan" in said
    assert list(scores.parent.iterdir()) == [scores]


def test_bounds_overwrites_nothing(scores: Path) -> None:
    out = scores.with_name("precious")
    out.write_text("precious")
    assert "exists" in fails("bounds", scores, "--sigma", 0.25, "--out", out)
    assert out.read_text() == "precious"
    assert "no file" in fails("bounds", "typo.npy", "--sigma", 0.25, "--out", "b.parquet")
    below = out / "bounds.parquet"
    assert "cannot write" in fails("bounds", scores, "--sigma", 0.25, "--out", below)
