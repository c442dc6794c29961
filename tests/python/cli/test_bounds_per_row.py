"""`smoothbound bounds` with a noise level for each row, and the ball on which it is constant."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import smoothbound as sb
from smoothbound.cli._app import app
from smoothbound.cli._commands._per_row import one_or_each
from smoothbound.scores import _score_file

SCORES = np.random.default_rng(0).beta(8, 1, (6, 400))
SIGMA = [0.5, 0.25, 0.5, 1.0, 0.25, 0.75]
REACH = [0.0, 0.1, 0.2, np.inf, 0.05, 0.3]
ASKED = {"radii": [0, 0.1, 0.3], "thresholds": [0.5]}
WORDS = ("--radii", "0,0.1,0.3", "--thresholds", "0.5")


def bounds(*args: object) -> Result:
    return CliRunner().invoke(app, ["bounds", *map(str, args)])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    np.save(tmp_path / "scores.npy", SCORES)
    return tmp_path / "scores.npy"


def stated(values: list[float], how: str, name: str, folder: Path) -> str:
    """State the numbers of all rows in one of the ways of the command."""
    words = ",".join(map(str, values))
    if how == "words":
        return words
    path = folder / f"{name}{how}"
    if how == ".npy":
        np.save(path, np.array(values))
    elif how == ".csv":
        path.write_text(f"{name}\n" + words.replace(",", "\n") + "\n")
    else:
        path.write_text(words.replace(",", " "))
    return str(path)


@pytest.mark.parametrize("rows_at_a_time", [2, 100])
@pytest.mark.parametrize("how", ["words", ".npy", ".txt", ".csv"])
def test_is_what_certify_scores_returns(
    table: Path, how: str, rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", rows_at_a_time * SCORES[0].nbytes)
    sigma = stated(SIGMA, how, "sigma", table.parent)
    reach = stated(REACH, how, "constant_within", table.parent)
    out = table.with_name("out.parquet")
    made = bounds(table, "--sigma", sigma, "--constant-within", reach, *WORDS, "--out", out)
    assert made.exit_code == 0, made.output
    expected = sb.certify_scores(SCORES, sigma=SIGMA, constant_within=REACH, **ASKED)
    assert sb.Certificate.load(out) == expected
    assert sb.Certificate.load(out).settings.sigma == 0.25


def test_one_ball_for_all_rows_of_one_level(table: Path) -> None:
    out = table.with_name("out.csv")
    made = bounds(table, "--sigma", 0.5, "--constant-within", 0.2, *WORDS, "--out", out)
    assert made.exit_code == 0, made.output
    expected = sb.certify_scores(SCORES, sigma=0.5, constant_within=0.2, **ASKED)
    with out.open(newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["constant_within", "lower@0", "lower@0.1", "lower@0.3", "radius@0.5"]
    numbers = np.array(lines[1:], float)
    np.testing.assert_array_equal(numbers[:, 1:4], expected.lower)
    np.testing.assert_array_equal(numbers[:, 4:], expected.radius)
    assert json.loads(out.with_name("out.csv.json").read_text())["sigma"] == 0.5


def test_levels_of_probabilities_and_permuted_rows(table: Path) -> None:
    asked = ("--sigma", ",".join(map(str, SIGMA)), "--radii", "0,0.1")
    out = table.with_name("p.parquet")
    words = ("--statistic", "probability", "--levels", "0.9", "--thresholds", "0.5")
    assert bounds(table, *asked, *words, "--out", out).exit_code == 0
    assert sb.LevelCertificate.load(out) == sb.certify_scores(
        SCORES,
        sigma=SIGMA,
        radii=[0, 0.1],
        statistic="probability",
        levels=[0.9],
        thresholds=[0.5],
    )
    out = table.with_name("t.parquet")
    words = ("--bound", "tangent", "--seed", "7", "--thresholds", "0.5")
    assert bounds(table, *asked, *words, "--out", out).exit_code == 0
    assert sb.Certificate.load(out) == sb.certify_scores(
        SCORES, sigma=SIGMA, radii=[0, 0.1], bound="tangent", seed=7, thresholds=[0.5]
    )


def test_shards_are_of_one_run_only_with_the_same_levels(table: Path) -> None:
    folder = table.with_name("shards")
    sigma = ",".join(map(str, SIGMA))
    for shard in ("0/2", "1/2"):
        made = bounds(table, "--sigma", sigma, *WORDS, "--out", folder, "--shard", shard)
        assert made.exit_code == 0, made.output
    expected = sb.certify_scores(SCORES, sigma=SIGMA, **ASKED)
    assert sb.Certificate.load(folder) == expected
    (folder / "1-of-2.parquet").unlink()
    others = ",".join(map(str, [*SIGMA[:-1], 0.8]))  # with the same least level
    made = bounds(table, "--sigma", others, *WORDS, "--out", folder, "--shard", "1/2")
    assert made.exit_code != 0
    assert "digest of sigma" in made.output


def test_default_radii_reach_as_far_as_the_largest_level_does(table: Path) -> None:
    out = table.with_name("out.parquet")
    assert bounds(table, "--sigma", ",".join(map(str, SIGMA)), "--out", out).exit_code == 0
    assert max(sb.Certificate.load(out).settings.radii) == 4.0


@pytest.mark.parametrize(
    ("words", "need"),
    [
        (("--sigma", "0.5,0.25"), "--sigma must have one number for each of the 6 inputs, got 2"),
        (("--sigma", "0.5,0.5,0.5,0,1,1"), "--sigma must be positive and finite, got --sigma[3]"),
        (("--sigma", "0.5,0.5,nan,1,1,1"), "--sigma must be positive and finite, got --sigma[2]"),
        (("--sigma", "wide"), "--sigma must be a number, numbers separated by commas, one for"),
        (("--sigma", ","), "--sigma must be a number, numbers separated by commas, one for"),
        (("--sigma", "absent.npy"), "cannot read absent.npy"),
        (("--sigma", "-0.5"), "--sigma must be positive and finite"),
        (("--sigma", "0.5", "--constant-within", "-1"), "--constant-within must be at least 0"),
        (("--sigma", "0.5", "--constant-within", "1,2"), "--constant-within must have one number"),
        (("--constant-within", "1"), "--sigma must be given"),
    ],
)
def test_refuses(table: Path, words: tuple[str, ...], need: str) -> None:
    out = table.with_name("out.parquet")
    made = bounds(table, *words, "--out", out)
    assert made.exit_code != 0
    assert need in " ".join(made.output.split())
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "need"),
    [
        (b"0.5\nwide\n", "must hold numbers separated by commas"),
        (b"", "must hold numbers separated by commas"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_refuses_a_file_of_something_else(table: Path, content: bytes, need: str) -> None:
    path = table.with_name("sigma.txt")
    path.write_bytes(content)
    made = bounds(table, "--sigma", path, "--out", table.with_name("out.parquet"))
    assert made.exit_code != 0
    assert need in " ".join(made.output.split())


def test_refuses_arrays_of_another_shape_and_pickles(tmp_path: Path, table: Path) -> None:
    for values, need in (
        (np.ones((6, 1)), "--sigma must be numbers in one dimension"),
        (np.array(["a"] * 6), "--sigma must be numbers in one dimension"),
        (np.array([{}], object), "cannot be read"),
    ):
        np.save(tmp_path / "sigma.npy", values, allow_pickle=True)
        made = bounds(table, "--sigma", tmp_path / "sigma.npy", "--out", tmp_path / "o.parquet")
        assert made.exit_code != 0
        assert need in " ".join(made.output.split())


def test_a_file_of_one_number_is_of_one_row(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("0.5")
    found = one_or_each("--sigma", str(tmp_path / "one.txt"))
    assert found.shape == (1,)


def test_a_csv_file_of_a_spreadsheet_may_begin_with_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "sigma.csv"
    path.write_bytes("\ufeffsigma\r\n0.5\r\n0.25\r\n".encode())
    np.testing.assert_array_equal(one_or_each("--sigma", str(path)), [0.5, 0.25])
