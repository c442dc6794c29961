"""`smoothbound bounds`: what it reads, what it says before it computes, what it writes."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

import smoothbound as sb
from smoothbound._files import sealed
from smoothbound.cli._app import app
from smoothbound.errors import StoreError
from smoothbound.scores import _score_file

SCORES = np.random.default_rng(0).beta(8, 1, (5, 400))
OPTIONS = ("--sigma", 0.25, "--radii", "0,0.030864197530864196", "--thresholds", 0.5)
EXPECTED = sb.certify_scores(SCORES, sigma=0.25, radii=[0, 0.030864197530864196], thresholds=[0.5])


def bounds(*args: object) -> Result:
    return CliRunner().invoke(app, ["bounds", *map(str, args)])


def lists(scores: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(scores.tolist(), pa.list_(pa.float64()))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Scores with the columns that data sets have beside them."""
    path = tmp_path / "scores.parquet"
    ids = {"id": [4, 8, 15, 16, 23], "name": ["=1+1", "a,b", 'c"d', "é", "\x1b[2J"]}
    pq.write_table(pa.table(ids | {"scores": lists(SCORES)}), path)
    return path


@pytest.mark.parametrize("rows_at_a_time", [2, 100])
def test_columns_beside_the_scores_are_kept(
    table: Path, rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", rows_at_a_time * SCORES[0].nbytes)
    out = table.with_name("b.parquet")
    result = bounds(table, *OPTIONS, "--out", out)
    assert result.exit_code == 0, result.output
    written, has_seal = sealed.read_table(out)
    assert has_seal
    assert written.column_names == ["id", "name", "lower", "radius"]
    assert written["id"].to_pylist() == [4, 8, 15, 16, 23]
    np.testing.assert_array_equal(written["lower"].to_pylist(), EXPECTED.lower)


@pytest.mark.parametrize("rows_at_a_time", [2, 100])
def test_the_ending_csv_gives_a_csv_file_with_every_digit(
    table: Path, rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", rows_at_a_time * SCORES[0].nbytes)
    out = table.with_name("b.csv")
    result = bounds(table, *OPTIONS, "--out", out)
    assert result.exit_code == 0, result.output
    with out.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "name", "lower@0", "lower@0.030864197530864196", "radius@0.5"]
    assert [row[1] for row in rows] == ["'=1+1", "a,b", 'c"d', "é", "\\x1b[2J"]
    numbers = np.array([row[2:] for row in rows], dtype=float)
    np.testing.assert_array_equal(numbers, np.hstack([EXPECTED.lower, EXPECTED.radius]))
    settings = json.loads(out.with_name("b.csv.json").read_text())
    made = EXPECTED.settings
    for name in ("sigma", "alpha", "n", "order"):
        assert settings[name] == getattr(made, name)
    assert settings["method"]["bound"] == made.method.bound
    assert tuple(settings["radii"]) == made.radii
    out.unlink()
    again = bounds(table, *OPTIONS, "--out", out)
    assert again.exit_code == 2
    assert "b.csv.json exists" in again.output


@pytest.mark.parametrize("name", ["b.txt", "b", "b.parquet.gz", "b.xlsx"])
def test_another_ending_is_refused_before_the_work(table: Path, name: str) -> None:
    result = bounds("typo.npy", *OPTIONS, "--out", table.with_name(name))
    assert result.exit_code == 2
    assert result.output.startswith("error: --out must end in .parquet or .csv")


def test_an_option_out_of_its_range_is_refused_before_the_scores_are_opened(tmp_path: Path) -> None:
    for option, value in (("--sigma", 0), ("--band", "wide")):
        result = bounds(
            tmp_path / "missing.npy", *OPTIONS, option, value, "--out", tmp_path / "o.csv"
        )
        assert result.exit_code == 2
        assert option in result.output
        assert "missing.npy" not in result.output


def test_a_column_with_the_name_of_a_result_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    pq.write_table(pa.table({"lower": [1] * 5, "scores": lists(SCORES)}), path)
    result = bounds(path, *OPTIONS, "--out", tmp_path / "b.parquet")
    assert result.exit_code == 2
    assert "has a column 'lower', which is the name of a result" in result.output
    assert list(tmp_path.iterdir()) == [path]


def test_a_kept_column_without_a_name_is_told(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"  # as DataFrame.to_csv writes its index
    path.write_text(",0,1\na,0.5,0.25\nb,0.75,0.5\n")
    result = bounds(path, *OPTIONS, "--out", tmp_path / "b.csv")
    assert "; kept: a column without a name\n" in result.output


def test_scores_from_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    np.savetxt(path, SCORES, delimiter=",", header="id," + ",".join(map(str, range(400))))
    lines = path.read_text().replace("# ", "").splitlines()
    lines[1:] = [f"{row}," + line for row, line in enumerate(lines[1:])]
    path.write_text("\n".join(lines))
    out = tmp_path / "b.parquet"
    result = bounds(path, *OPTIONS, "--out", out)
    assert result.exit_code == 0, result.output
    assert f"{path}: 5 inputs x 400 draws of float64" in result.output
    assert "; kept: id" in result.output
    written = pq.ParquetFile(out).read()
    assert written["id"].to_pylist() == ["0", "1", "2", "3", "4"]
    np.testing.assert_array_equal(written["lower"].to_pylist(), EXPECTED.lower)


def test_an_alpha_that_looks_like_a_confidence_is_noted(tmp_path: Path) -> None:
    np.save(tmp_path / "scores.npy", SCORES)
    options = (tmp_path / "scores.npy", "--sigma", 0.25, "--radii", 0, "--thresholds", 0.5)
    result = bounds(*options, "--out", tmp_path / "a.parquet", "--alpha", 0.95)
    assert result.exit_code == 0
    assert result.output.count("alpha is the probability that a certificate is false") == 1
    assert "note: alpha=0.95: " in result.output
    usual = bounds(*options, "--out", tmp_path / "b.parquet", "--alpha", 0.05)
    assert "note:" not in usual.output


def test_it_says_what_it_understood_before_it_computes(tmp_path: Path) -> None:
    path = tmp_path / "scores.npy"
    np.save(path, np.full((2, 30), 0.123456789, np.float32))
    result = bounds(path, "--sigma", 0.25, "--out", tmp_path / "b.parquet", "--alpha", 1e-30)
    assert result.exit_code == 2
    said, error = result.output.splitlines()
    assert said == f"{path}: 2 inputs x 30 draws of float32, all in [0.1234, 0.1235]"
    assert error.startswith("error: n = 30 draws are too few")


def program(folder: Path, *args: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from smoothbound.cli import main; main()", "bounds", *args]
    kept = {"PATH", "PYTHONPATH", "OMP_NUM_THREADS"}
    bare = {name: value for name, value in os.environ.items() if name in kept}
    return subprocess.run(
        [os.fsencode(str(word)) for word in command],
        cwd=folder,
        capture_output=True,
        env=bare | environment,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_terminal_without_the_letters_of_a_name(tmp_path: Path, encoding: str) -> None:
    np.save(tmp_path / "σ→.npy", SCORES)
    done = program(
        tmp_path, "σ→.npy", *OPTIONS, "--out", "β.csv",
        PYTHONIOENCODING=encoding, PYTHONUTF8="0", LC_ALL="C.UTF-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "β.csv").is_file()
    assert "5 inputs" in done.stdout.decode(encoding)


def test_a_name_that_is_not_utf_8_and_a_machine_without_home(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff.npy"
    with open(raw, "wb") as file:  # noqa: PTH123
        np.save(file, SCORES)
    done = program(tmp_path, os.fsdecode(raw), *OPTIONS, "--out", os.fsdecode(b"\xfe.csv"))
    assert done.returncode == 0, done.stderr
    assert b"\\xff.npy: 5 inputs" in done.stderr
    assert b"\xfe.csv" in {os.fsencode(path.name) for path in tmp_path.iterdir()}
    done = program(tmp_path, os.fsdecode(b"\xfe.npy"), *OPTIONS, "--out", "b.csv")
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: there is no file \\xfe.npy")


def test_a_user_without_a_name_and_home(tmp_path: Path) -> None:
    np.save(tmp_path / "scores.npy", SCORES)
    site = tmp_path / "site"
    site.mkdir()
    nobody = "import pwd\ndef nobody(*_): raise KeyError('uid not found')\npwd.getpwuid = nobody\n"
    (site / "sitecustomize.py").write_text(nobody)
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    for backend in ("cpp", "numba"):
        words = ("scores.npy", *OPTIONS, "--out", f"{backend}.csv", "--backend", backend)
        if backend == "numba" or sb.build_info()["extension"]:
            done = program(tmp_path, *words, PYTHONPATH=path)
            assert done.returncode == 0, done.stderr


def test_the_settings_stand_in_the_metadata(table: Path) -> None:
    out = table.with_name("b.parquet")
    bounds(table, *OPTIONS, "--out", out)
    settings = json.loads(pq.read_schema(out).metadata[b"smoothbound"])
    assert settings == json.loads(EXPECTED.settings.to_json())


@pytest.mark.parametrize("options", [{"order": "drawn"}, {"seed": 7}, {}])
def test_rows_are_permuted_by_their_numbers_in_the_whole_file(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", 2 * SCORES[0].nbytes)
    np.save(tmp_path / "scores.npy", np.sort(SCORES, axis=1))
    out = tmp_path / "b.parquet"
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    result = bounds(tmp_path / "scores.npy", *OPTIONS, "--bound", "tangent", *words, "--out", out)
    assert result.exit_code == 0, result.output
    expected = sb.certify_scores(
        np.sort(SCORES, axis=1),
        sigma=0.25,
        radii=[0, 0.030864197530864196],
        thresholds=[0.5],
        bound="tangent",
        **options,
    )
    assert sb.Certificate.load(out) == expected


@pytest.mark.parametrize("command", ["bounds", "certify", "recommend"])
def test_help_says_what_has_to_be_fixed_before_a_look(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    words = " ".join(shown.replace("│", " ").split())
    assert "are fixed before any result is seen" in words
    assert "docs/choices.md" in words


@pytest.fixture
def shards(table: Path, tmp_path: Path) -> Path:
    """A folder with all shards of a run, made in no particular order."""
    folder = tmp_path / "shards"
    for shard in ("2/3", "0/3", "1/3"):
        result = bounds(table, *OPTIONS, "--out", folder, "--shard", shard)
        assert result.exit_code == 0, result.output
    return folder


@pytest.mark.parametrize("options", [(), ("--bound", "tangent", "--seed", 5)])
@pytest.mark.parametrize("rows_at_a_time", [1, 2, 100])
def test_the_shards_of_a_table_are_the_table(
    table: Path,
    tmp_path: Path,
    rows_at_a_time: int,
    options: tuple[object, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert bounds(table, *OPTIONS, *options, "--out", tmp_path / "whole.parquet").exit_code == 0
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", rows_at_a_time * SCORES[0].nbytes)
    folder = tmp_path / "shards"
    for i in range(3):
        result = bounds(table, *OPTIONS, *options, "--out", folder, "--shard", f"{i}/3")
        assert result.exit_code == 0, result.output
    assert [path.name for path in sorted(folder.iterdir())] == [
        f"{i}-of-3.parquet" for i in range(3)
    ]
    whole = pq.read_table(tmp_path / "whole.parquet")
    assert pa.concat_tables(map(pq.read_table, sorted(folder.iterdir()))).equals(whole)
    one, joined = (sb.Certificate.load(tmp_path / name) for name in ("whole.parquet", "shards"))
    np.testing.assert_array_equal(joined.lower, one.lower)
    assert joined.settings == one.settings


def test_a_shard_that_is_finished_is_left_as_it_is(table: Path, shards: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in shards.iterdir()}
    result = bounds(table, *OPTIONS, "--out", shards, "--shard", "1/3")
    assert result.exit_code == 0, result.output
    assert "finished earlier" in result.output
    assert {path: path.stat().st_mtime_ns for path in shards.iterdir()} == before


def test_shards_are_those_of_the_scheduler(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    result = bounds(table, *OPTIONS, "--out", tmp_path / "shards", "--shard", "auto")
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["1-of-4.parquet"]


@pytest.mark.parametrize(
    ("shard", "options", "words"),
    [
        ("1/4", (), "number of shards: was 3, now 4"),
        ("1/3", ("--alpha", 0.01), "alpha: was 0.001, now 0.01"),
        ("3/3", (), "shard must be i/n with i from 0 to 2"),
        ("0/9", (), "--shard 0/9 is of more shards than the 5 rows of the scores"),
    ],
)
def test_shards_that_do_not_fit_are_refused(
    table: Path, shards: Path, shard: str, options: tuple[object, ...], words: str
) -> None:
    before = sorted(shards.iterdir())
    result = bounds(table, *OPTIONS, *options, "--out", shards, "--shard", shard)
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
    assert sorted(shards.iterdir()) == before


def test_a_folder_of_shards_says_what_is_wrong_with_it(
    table: Path, shards: Path, tmp_path: Path
) -> None:
    file = bounds(table, *OPTIONS, "--out", tmp_path / "b.parquet", "--shard", "0/3")
    assert "--out must be a folder with --shard" in " ".join(file.output.split())
    first, second, _ = sorted(shards.iterdir())
    kept = first.read_bytes()
    first.unlink()
    with pytest.raises(StoreError, match="lacks 1 of 3 shards: 0"):
        sb.Certificate.load(shards)
    first.write_bytes(second.read_bytes()[:-9])
    again = bounds(table, *OPTIONS, "--out", shards, "--shard", "0/3")
    assert "is not a valid shard" in " ".join(again.output.split())
    first.unlink()
    others = tmp_path / "others.npy"
    np.save(others, SCORES[::-1])
    refused = bounds(others, *OPTIONS, "--out", shards, "--shard", "0/3")
    assert "digest of the first row: was" in " ".join(refused.output.split())
    others_shard = tmp_path / "others"
    assert bounds(others, *OPTIONS, "--out", others_shard, "--shard", "0/3").exit_code == 0
    first.write_bytes((others_shard / first.name).read_bytes())
    with pytest.raises(StoreError, match="have different settings or scores"):
        sb.Certificate.load(shards)
    first.write_bytes(kept)
    (shards / "0-of-2.parquet").write_bytes(kept)
    with pytest.raises(StoreError, match="shards of several runs: of 2 and 3"):
        sb.Certificate.load(shards)
    with pytest.raises(StoreError, match="holds no certificate"):
        sb.Certificate.load(tmp_path)


def test_a_file_is_only_the_shard_as_which_it_was_made(table: Path, shards: Path) -> None:
    first, second, _ = sorted(shards.iterdir())
    kept = second.read_bytes()
    second.write_bytes(first.read_bytes())
    with pytest.raises(StoreError, match=r"1-of-3\.parquet was made as 0-of-3; delete it"):
        sb.Certificate.load(shards)
    again = bounds(table, *OPTIONS, "--out", shards, "--shard", "1/3")
    assert "was made as 0-of-3; delete it" in " ".join(again.output.split())
    second.write_bytes(kept[:200] + bytes([kept[200] ^ 1]) + kept[201:])
    again = bounds(table, *OPTIONS, "--out", shards, "--shard", "1/3")
    assert again.exit_code == 2
    assert "its bytes are not those that were written" in " ".join(again.output.split())


@pytest.mark.parametrize("name", ["00-of-3", "3-of-3", "0-of-0", "0000000001-of-9999999999"])
def test_files_that_no_shard_writes_are_not_read(shards: Path, name: str) -> None:
    before = sb.Certificate.load(shards)
    (shards / f"{name}.parquet").write_bytes((shards / "0-of-3.parquet").read_bytes())
    if name.endswith("9"):  # this is the name of a shard
        with pytest.raises(StoreError, match="shards of several runs: of 3 and 9999999999"):
            sb.Certificate.load(shards)
        for i in range(3):
            (shards / f"{i}-of-3.parquet").unlink()
        with pytest.raises(StoreError, match="lacks 9999999998 of 9999999999 shards: 0, 2, 3, 4"):
            sb.Certificate.load(shards)
    else:
        assert sb.Certificate.load(shards) == before


def test_a_pipe_among_the_shards_is_refused(table: Path, shards: Path) -> None:
    (shards / "0-of-3.parquet").unlink()
    os.mkfifo(shards / "0-of-3.parquet")
    result = bounds(table, *OPTIONS, "--out", shards, "--shard", "1/3")
    assert result.exit_code == 2
    assert "must be a plain file, and is a named pipe" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"id": list("abcde"), "s": list(SCORES)},
            "'name': 'string'}, now {'id': 'string'}",
        ),
        ({"s": list(SCORES[:, :-1])}, "n_draws: was 400, now 399"),
    ],
)
def test_the_columns_and_draws_of_all_shards_are_the_same(
    table: Path, shards: Path, columns: dict[str, Any], words: str
) -> None:
    others = table.with_name("others.parquet")
    pq.write_table(pa.table(columns), others)
    result = bounds(others, *OPTIONS, "--out", shards, "--shard", "1/3")
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())


def test_a_report_takes_the_shards_of_bounds(shards: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(shards), "--out", str(tmp_path / "report")])
    assert result.exit_code == 0, result.output
    assert "5 inputs" in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.parametrize(
    ("statistic", "levels"), [("probability", [0.5, 0.9]), ("quantile", [0.1, 0.5])]
)
def test_levels_are_certified(tmp_path: Path, statistic: Any, levels: list[float]) -> None:
    np.save(tmp_path / "scores.npy", 100 * SCORES)
    asked = ("--sigma", 0.25, "--radii", "0,0.1", "--statistic", statistic, "--sides", "both")
    text = ",".join(
        str(100 * level) if statistic == "probability" else str(level) for level in levels
    )
    for ending in (".parquet", ".csv"):
        out = tmp_path / f"out{ending}"
        result = bounds(tmp_path / "scores.npy", *asked, "--levels", text, "--out", out)
        assert result.exit_code == 0, result.output
    made = sb.LevelCertificate.load(tmp_path / "out.parquet")
    scale = 100 if statistic == "probability" else 1
    expected = sb.certify_scores(
        100 * SCORES,
        sigma=0.25,
        radii=[0, 0.1],
        statistic=statistic,
        levels=[scale * level for level in levels],
        sides="both",
    )
    assert made == expected
    with (tmp_path / "out.csv").open() as file:
        assert next(csv.reader(file)) == list(expected.to_pandas())


def test_levels_need_a_statistic_and_the_other_way_round(tmp_path: Path) -> None:
    np.save(tmp_path / "scores.npy", SCORES)
    out = ("--out", tmp_path / "out.parquet", "--sigma", 0.25)
    result = bounds(tmp_path / "scores.npy", *out, "--levels", "0.5")
    assert "levels must be empty" in " ".join(result.output.split())
    result = bounds(tmp_path / "scores.npy", *out, "--statistic", "quantile")
    assert "levels must hold at least one level" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--sigma", 0.25, "--curve", "l1-laplace"], {"sigma": 0.25, "curve": "l1-laplace"}),
        (["--curve", "ablation-3-of-50"], {"curve": "ablation-3-of-50"}),
        (
            ["--curve", "ablation-3-of-50", "--statistic", "probability", "--levels", 0.7],
            {"curve": "ablation-3-of-50", "statistic": "probability", "levels": [0.7]},
        ),
    ],
)
def test_another_noise(table: Path, words: list[object], options: dict[str, Any]) -> None:
    out = table.with_name("b.parquet")
    result = bounds(table, *words, "--radii", "0,1", "--thresholds", 0.5, "--out", out)
    assert result.exit_code == 0, result.output
    assert sb.Certificate.load(out) == sb.certify_scores(
        SCORES, radii=[0, 1], thresholds=[0.5], **options
    )


@pytest.mark.parametrize("name", ["curve.json", "curve.npz"])
def test_a_curve_from_a_file(table: Path, name: str) -> None:
    grid = np.linspace(0, 1, 101)
    curve = sb.curves.Tabulated([0.5, 1.0], grid, [np.maximum(grid - r, 0) for r in (0.1, 0.2)])
    curve.save(file := table.with_name(name))
    out = table.with_name("b.parquet")
    result = bounds(table, "--curve", file, "--thresholds", 0.5, "--out", out)
    assert result.exit_code == 0, result.output
    assert sb.Certificate.load(out) == sb.certify_scores(
        SCORES, radii=[0, 0.5, 1], thresholds=[0.5], curve=curve
    )
    assert sb.Certificate.load(out).settings.curve == curve


@pytest.mark.parametrize(
    ("text", "need"),
    [
        ('{"radii": [1, NaN], "p": [1], "values": [1]}', "radii must be .* got radii[1] = nan"),
        ('{"radii": [1, true], "p": [1], "values": [1]}', "radii must be .* got radii[1] = True"),
        ('{"radii": [2, 1], "p": [1], "values": [1]}', "radii must ascend, got radii[0] = 2.0"),
    ],
)
def test_an_error_in_the_file_of_a_curve_names_no_option(table: Path, text: str, need: str) -> None:
    curve = table.with_name("curve.json")
    curve.write_text(text)
    result = bounds(table, "--curve", curve, "--radii", 0, "--out", table.with_name("b.parquet"))
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert re.search(
        f"error: {re.escape(str(curve))} must be JSON.*: {need.replace('[', '.')}", said
    )
    assert "--" not in said


@pytest.mark.parametrize(
    ("name", "words", "need"),
    [
        ("curve.json", [], r"must be JSON of the form {\"radii\": \[...\]"),
        ("none.json", [], "cannot read"),
        ("curve.csv", [], "--curve must be a name, a .json file or an .npz file, got"),
        ("none.npz", [], "cannot read"),
        ("good.json", ["--sigma", 1], "sigma must be left out: --curve table has no scale"),
        ("good.json", ["--radii", "0,2"], "must be at most 1.0, the largest radius of the curve"),
    ],
)
def test_a_file_that_is_no_curve(table: Path, name: str, words: list[object], need: str) -> None:
    table.with_name("curve.json").write_text("values")
    sb.curves.Tabulated([1.0], [0.5, 1.0], [0.1, 0.5]).save(table.with_name("good.json"))
    out = table.with_name("b.parquet")
    result = bounds(table, "--curve", table.with_name(name), *words, "--out", out)
    assert result.exit_code != 0
    assert re.search(need, " ".join(result.output.split())), result.output
    assert not out.exists()


def test_without_sigma_it_says_what_it_is(table: Path) -> None:
    result = bounds(table, "--out", table.with_name("b.parquet"))
    assert result.exit_code == 2
    assert "sigma must be given" in result.output
