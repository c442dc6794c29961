"""Results become files for other programs, which hold the same numbers and are whole or missing."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reported import SETTINGS, make_run
from scipy.stats import binomtest
from typer.testing import CliRunner

from smoothbound import store
from smoothbound._files import sealed
from smoothbound.analysis.logs import read_log, with_class_radius
from smoothbound.analysis.reading import evaluate, read
from smoothbound.bounds._method import Method
from smoothbound.cli._app import app
from smoothbound.errors import StoreError
from smoothbound.export import FORMATS, write_export

LOGS = Path(__file__).parents[1] / "support" / "logs"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", failed=[3])


def lines(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file, "excel-tab" if path.suffix == ".tsv" else "excel"))


# --- the numbers ------------------------------------------------------------------------------


def test_csv_has_every_number_with_all_its_digits(run: Path, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    write_export(run, tmp_path / "run.csv", "csv")
    found = pandas.read_csv(tmp_path / "run.csv", keep_default_na=False, na_values={"": ""})
    expected = store.load(run).to_pandas()
    assert list(found.columns) == list(expected.columns)
    for name in expected.columns:
        if expected[name].dtype.kind in "if":
            numbers = pandas.to_numeric(found[name])
            np.testing.assert_array_equal(numbers.to_numpy(float), expected[name].to_numpy(float))
        else:
            assert found[name].fillna("").tolist() == expected[name].tolist()
    settings = json.loads((tmp_path / "run.csv.json").read_text())
    assert settings == json.loads(store.load(run).settings.to_json())


def test_csv_has_no_word_for_a_missing_number(run: Path, tmp_path: Path) -> None:
    write_export(run, tmp_path / "run.csv", "csv")
    header, *rows = lines(tmp_path / "run.csv")
    assert rows[3][header.index("lower_mean@0.25")] == ""
    assert not {"nan", "NaN", "None"} & {cell for row in rows for cell in row}


def test_a_text_that_a_spreadsheet_would_compute_is_harmless(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, n_inputs=1)
    run = tmp_path / "one"
    with store.Writer(run, settings) as writer:
        (first,) = make_rows(tmp_path, 1)
        writer.append(first | {"reason": '=HYPERLINK("http://x")', "status": "certified"})
        writer.finish()
    write_export(run, tmp_path / "one.csv", "csv")
    header, row = lines(tmp_path / "one.csv")
    assert row[header.index("reason")].startswith("'=HYPERLINK")
    write_export(run, tmp_path / "one.jsonl", "jsonl")
    assert json.loads((tmp_path / "one.jsonl").read_text())["reason"].startswith("=HYPERLINK")


def make_rows(tmp_path: Path, count: int) -> list[dict[str, Any]]:
    settings = dataclasses.replace(SETTINGS, n_inputs=count)
    folder = make_run(tmp_path / "rows", settings, finished=count, means=(0.9, 0.95))
    found: list[dict[str, Any]] = store.load(folder).table.to_pylist()
    return found


def test_jsonl_has_the_names_and_lists_of_the_table(run: Path, tmp_path: Path) -> None:
    write_export(run, tmp_path / "run.jsonl", "jsonl")
    found = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    table = store.load(run).table.drop_columns(["sketch", "digest", "state"])

    def without_nan(value: Any) -> Any:
        if isinstance(value, list):
            return [without_nan(one) for one in value]
        return None if isinstance(value, float) and math.isnan(value) else value

    assert found == [
        {name: without_nan(value) for name, value in row.items()} for row in table.to_pylist()
    ]
    assert found[3]["lower_mean"] == [None] * 4


def test_tsv_is_read_as_a_log_of_both_papers(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "run_sigma0.50.tsv"
    write_export(run, path, "tsv")
    log = with_class_radius(read_log(path), path)
    whole = evaluate(store.load(run), "run")
    assert log.sigma == whole.sigma == 0.5
    assert log.measure == "score"
    assert log.notes == ("Read from a log that prints bounds with all their digits.",)
    for name in ("radii", "index", "label", "predicted"):
        np.testing.assert_array_equal(getattr(log, name), getattr(whole, name))
    there = whole.predicted >= 0
    assert 0 < there.sum() < 12
    for mine, theirs in zip(log.bounds, whole.bounds, strict=True):
        np.testing.assert_array_equal(mine.lower[there], theirs.lower[there])
        assert (mine.lower[~there] == 0.0).all()
        assert (log.counts(mine, [0.5, 0.7]) == whole.counts(theirs, [0.5, 0.7])).all()
    assert log.class_radius is not None
    assert whole.class_radius is not None
    np.testing.assert_array_equal(log.class_radius[there], whole.class_radius[there])
    assert np.isnan(log.class_radius[1])
    (again,) = read([path], [path])
    assert again.bounds[-1].lower.tolist() == log.bounds[-1].lower.tolist()


def test_tsv_has_the_columns_of_the_published_logs(run: Path, tmp_path: Path) -> None:
    write_export(run, tmp_path / "run.tsv", "tsv")
    header, *rows = lines(tmp_path / "run.tsv")
    kumar, cohen = (lines(LOGS / f"{name}_excerpt.tsv")[0] for name in ("kumar2020", "cohen2019"))
    assert [name for name in header if name in kumar or name in cohen] == [
        *("idx", "label", "predict"),
        *("exp_cdf_00", "exp_cdf_25", "exp_cdf_50", "exp_cdf_100"),
        *("exp_00", "exp_25", "exp_50", "exp_100"),
        *("radius", "correct", "time"),
    ]
    assert set(header) <= set(kumar) | set(cohen)
    assert {row[header.index("time")] for row in rows} == {"0:00:00.100000"}
    correct = [row[header.index("correct")] == "1" for row in rows]
    assert correct == [row[1] == row[2] for row in rows]


def test_tsv_leaves_out_radii_that_it_cannot_name(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, radii=(0.0, 0.0625, 0.29, 0.57, 1.155))
    run = make_run(tmp_path / "run", settings)
    write_export(run, tmp_path / "run.tsv", "tsv")
    assert read_log(tmp_path / "run.tsv").radii.tolist() == [0.0, 0.29, 0.57]
    run = make_run(tmp_path / "other", dataclasses.replace(SETTINGS, radii=(0.125,)))
    with pytest.raises(ValueError, match=r"none of the radii 0.125 is whole hundredths"):
        write_export(run, tmp_path / "other.tsv", "tsv")


def test_tsv_of_a_margin_and_of_a_chosen_method(tmp_path: Path) -> None:
    settings = dataclasses.replace(
        SETTINGS,
        measure="margin",
        score_range=(-1.0, 1.0),
        thresholds=(0.0,),
        methods=(Method("cdf", "dkw"), Method("cdf", "ell"), Method("tangent")),
    )
    run = make_run(tmp_path / "run", settings)
    whole = evaluate(store.load(run), "run")
    for chosen, place in ((None, 1), ("cdf_dkw", 0), ("tangent_betting", 2)):
        if chosen is not None and chosen not in {one.name for one in settings.methods}:
            chosen = settings.methods[place].name
        path = tmp_path / "margin" / f"{place}.tsv"
        write_export(run, path, "tsv", method=chosen)
        log = read_log(path)
        assert (log.measure, log.score_range) == ("margin", (-1.0, 1.0))
        assert len(log.bounds) == 1
        there = whole.predicted >= 0
        np.testing.assert_array_equal(log.bounds[0].lower[there], whole.bounds[place].lower[there])


def test_latex_has_the_certified_accuracy_rounded_down(run: Path, tmp_path: Path) -> None:
    write_export(run, tmp_path / "run.tex", "latex", thresholds=[0.5, 0.9])
    assert not (tmp_path / "run.tex.json").exists()
    text = (tmp_path / "run.tex").read_text()
    table = [line for line in text.splitlines() if not line.startswith("%")]
    assert table[0] == r"\begin{tabular}{lrrrr}"
    assert table[2] == r" & \multicolumn{2}{c}{$c = 0.5$} & \multicolumn{2}{c}{$c = 0.9$} \\"
    assert table[3] == r"\cmidrule(lr){2-3}\cmidrule(lr){4-5}"
    assert table[4] == r"$R$ & Theorem 1 & Theorem 2 (dkw) & Theorem 1 & Theorem 2 (dkw) \\"
    assert table[-1] == r"\end{tabular}"
    whole = evaluate(store.load(run), "run")
    for i, line in enumerate(table[6:-2]):
        radius, *cells = line.removesuffix(r" \\").split(" & ")
        assert float(radius) == whole.radii[i]
        counts = [whole.counts(one, [c])[i, 0] for c in (0.5, 0.9) for one in whole.bounds]
        shares = [f"{math.floor(1000 * count / 12) / 10:.1f}" for count in counts]
        assert [cell.split(" ")[0] for cell in cells] == shares
        for cell, count in zip(cells, counts, strict=True):
            low, high = map(float, cell.split(" ")[1].strip("()").split("--"))
            exact = binomtest(int(count), 12).proportion_ci(0.95, "exact")
            assert 0 <= 100 * exact.low - low < 0.1 + 1e-9
            assert 0 <= high - 100 * exact.high < 0.1 + 1e-9
    comments = [line for line in text.splitlines() if line.startswith("%")]
    assert any("smoothbound certify" in line for line in comments)


def test_latex_obeys_no_name(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, checkpoint="a%\n\\input{x}.pt", data="d\r\\def")
    run = make_run(tmp_path / "run", settings)
    write_export(run, tmp_path / "run.tex", "latex")
    lines_of = (tmp_path / "run.tex").read_text().split("\n")
    assert all(line.startswith("%") for line in lines_of if "input{x}" in line or "def" in line)


def test_rows_are_written_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "_MOST_ROWS", 5)
    run = make_run(tmp_path / "run")
    for format in ("csv", "jsonl", "tsv"):
        sizes: list[int] = []
        write_export(run, tmp_path / f"some.{format}", format, advance=sizes.append)  # type: ignore[arg-type]
        assert sizes == [5, 5, 2]
        monkeypatch.setattr(sealed, "_MOST_ROWS", 100)
        write_export(run, tmp_path / f"all.{format}", format)  # type: ignore[arg-type]
        monkeypatch.setattr(sealed, "_MOST_ROWS", 5)
        some, whole = ((tmp_path / f"{name}.{format}").read_bytes() for name in ("some", "all"))
        assert some == whole


# --- what is refused, and what is left --------------------------------------------------------


def test_wrong_arguments_are_named(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for options, said in (
        ({"format": "xml"}, "format must be one of"),
        ({"format": "csv", "method": "mean"}, "method is for format 'tsv'"),
        ({"format": "csv", "thresholds": [0.5]}, "thresholds are for format 'latex'"),
        ({"format": "latex", "thresholds": [1.5]}, "thresholds"),
        ({"format": "tsv", "method": "cdf"}, "method must be one of mean, cdf_dkw, got 'cdf'"),
    ):
        with pytest.raises(ValueError, match=said):
            write_export(run, out, **options)  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_run_without_theorem_2_says_what_to_choose(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, methods=(Method("mean"),))
    run = make_run(tmp_path / "run", settings)
    with pytest.raises(ValueError, match=r"no bounds by Theorem 2 .* method='mean'"):
        write_export(run, tmp_path / "run.tsv", "tsv")
    write_export(run, tmp_path / "run.tsv", "tsv", method="mean")
    assert len(read_log(tmp_path / "run.tsv").bounds) == 2


def test_a_file_is_never_overwritten(run: Path, tmp_path: Path) -> None:
    for name in ("run.csv", "run.csv.json"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(StoreError, match=rf"{name} exists; delete it"):
            write_export(run, tmp_path / "run.csv", "csv")
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()


def test_folders_that_hold_nothing_to_write(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    with store.Writer(empty, SETTINGS):
        for folder, said in (
            (tmp_path / "none", "there is no results folder"),
            (tmp_path, "holds no results"),
            (empty, "has no finished input yet"),
        ):
            with pytest.raises(StoreError, match=said):
                write_export(folder, tmp_path / "out.csv", "csv")
    damaged = make_run(tmp_path / "damaged") / "results.parquet"
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(StoreError, match="is damaged"):
        write_export(damaged.parent, tmp_path / "out.csv", "csv")
    assert not list(tmp_path.glob("*out.csv*"))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_room_on_the_disk_leaves_nothing(run: Path, tmp_path: Path) -> None:
    for format in FORMATS:
        out = tmp_path / f"run.{format}"
        with (
            pytest.raises(StoreError, match=rf"cannot write .*run.{format}"),
            files_of_at_most(100),
        ):
            write_export(run, out, format)
        assert not list(tmp_path.glob("*run.*"))
        assert not list(tmp_path.glob(".run.*"))


def test_a_kill_leaves_no_half_file(run: Path, tmp_path: Path) -> None:
    code = """
        import sys, time
        from smoothbound._files import sealed
        from smoothbound.export import write_export

        sealed._MOST_ROWS = 2

        def wait(count):
            print(count, flush=True)
            time.sleep(60)

        write_export(sys.argv[1], sys.argv[2], "csv", advance=wait)
    """
    out = tmp_path / "run.csv"
    command = [sys.executable, "-c", textwrap.dedent(code), str(run), str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"2\n"
        drafts = sorted(path.name for path in tmp_path.glob(".run.csv*"))
        process.send_signal(signal.SIGKILL)
    assert len(drafts) == 2
    assert not out.exists()
    write_export(run, out, "csv")
    assert len(lines(out)) == 13
    assert not list(tmp_path.glob(".run.csv*"))


# --- the command ------------------------------------------------------------------------------


def test_the_command_says_what_a_reader_of_the_file_cannot_know(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", dataclasses.replace(SETTINGS, radii=(0.0, 0.125)), finished=7)
    words = ["export", str(run), "--format", "tsv", "--out", str(tmp_path / "a.tsv")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert f"{tmp_path / 'a.tsv'}: 7 inputs" in done.stdout
    for said in ("7 of 12 inputs", "left out are the bounds at 0.125", "_sigma0.5.tsv"):
        assert said in done.stderr
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "exists; delete it" in done.stderr
    words = ["export", str(run), "--format", "csv", "--method", "mean", "--out", "b.csv"]
    assert "--method is for format" in CliRunner().invoke(app, words).stderr
