"""Scores in several files, or in a folder of Parquet files, are one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

import smoothbound as sb
from smoothbound.cli._app import app
from smoothbound.errors import StoreError
from smoothbound.scores import _score_file, open_scores

SCORES = np.random.default_rng(0).beta(8, 1, (12, 400)).astype(np.float32)
OPTIONS = ("--sigma", "0.25", "--radii", "0,0.25", "--thresholds", "0.5")


def lists(scores: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(list(scores), pa.list_(pa.from_numpy_dtype(scores.dtype)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set as pyarrow writes it: parts in folders that state a value."""
    table = pa.table({"id": range(12), "split": ["a", "b", "b"] * 4, "scores": lists(SCORES)})
    kind = ds.partitioning(pa.schema([("split", pa.string())]), flavor="hive")
    ds.write_dataset(
        table,
        tmp_path / "set",
        format="parquet",
        partitioning=kind,
        max_rows_per_file=3,
        max_rows_per_group=3,
    )
    for name in ("_SUCCESS", "_metadata.parquet", ".hidden.parquet"):
        (tmp_path / "set" / name).write_bytes(b"")
    return tmp_path / "set"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    np.save(tmp_path / "one.npy", SCORES[:5])
    pq.write_table(
        pa.table({"id": range(5, 9), "scores": lists(SCORES[5:9])}), tmp_path / "two.parquet"
    )
    np.savez(tmp_path / "three.npz", scores=SCORES[9:].astype(np.float64))
    return [tmp_path / name for name in ("one.npy", "two.parquet", "three.npz")]


def bounds(*words: object) -> Result:
    return CliRunner().invoke(app, ["bounds", *map(str, words)])


def test_a_folder_is_the_table_of_its_files(folder: Path) -> None:
    file = open_scores(folder)
    assert (file.n_inputs, file.n_draws, file.dtype) == (12, 400, np.float32)
    assert file.ids.column_names == ["file", "split", "id"]
    index = file.ids["id"].to_numpy()
    np.testing.assert_array_equal(np.concatenate([*file.chunks]), SCORES[index])
    assert file.ids["split"].to_pylist() == ["a"] * 4 + ["b"] * 8
    assert [len(path) > 0 and Path(path).exists() for path in file.ids["file"].to_pylist()] == (
        [True] * 12
    )
    names = list(dict.fromkeys(file.ids["file"].to_pylist()))
    assert names == sorted(names)
    assert len(names) == 5


def test_files_of_several_kinds_are_one_table(files: list[Path]) -> None:
    file = open_scores(files)
    assert (file.n_inputs, file.n_draws, file.dtype) == (12, 400, np.float64)
    np.testing.assert_array_equal(np.concatenate([*file.chunks]), SCORES)
    assert file.ids["id"].to_pylist() == [None] * 5 + [5, 6, 7, 8] + [None] * 3
    assert file.parts == ((0, files[0]), (5, files[1]), (9, files[2]))


def test_a_list_of_one_file_is_that_file(files: list[Path]) -> None:
    assert open_scores(files[:1]).ids.column_names == []
    assert open_scores([files[1]]).ids.column_names == ["id"]


@pytest.mark.parametrize("rows_at_a_time", [1, 5, 100])
@pytest.mark.parametrize("bound", ["cdf", "tangent", "joint"])
def test_rows_are_numbered_through_all_files(
    files: list[Path], rows_at_a_time: int, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The permutation of a row is keyed by its number, so that files do not repeat it."""
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", rows_at_a_time * SCORES[0].nbytes * 2)
    out = files[0].with_name("out.parquet")
    done = bounds(*files, *OPTIONS, "--bound", bound, "--out", out)
    assert done.exit_code == 0, done.output
    assert "3 places (3 files): 12 inputs x 400 draws of float64" in done.stderr
    expected = sb.certify_scores(SCORES, sigma=0.25, radii=[0, 0.25], thresholds=[0.5], bound=bound)
    written = pq.read_table(out)
    np.testing.assert_array_equal(written["lower"].to_pylist(), expected.lower)
    assert written.schema.field("file").type == pa.string()
    assert written["file"].to_pylist() == [str(files[0])] * 5 + [str(files[1])] * 4 + (
        [str(files[2])] * 3
    )


def test_a_folder_is_certified_and_written_as_csv(folder: Path) -> None:
    out = folder.with_name("out.csv")
    done = bounds(folder, *OPTIONS, "--out", out)
    assert done.exit_code == 0, done.output
    assert f"{folder} (5 files): 12 inputs" in done.stderr
    header, *rows = out.read_text().splitlines()
    assert header.startswith('"file","split","id","lower@0"')
    assert len(rows) == 12
    assert rows[-1].split(",")[1] == '"b"'


def test_a_bad_score_is_named_with_its_file(files: list[Path]) -> None:
    bad = SCORES[9:].astype(np.float64)
    bad[1, 7] = 1.5
    np.savez(files[2], scores=bad)
    done = bounds(*files, *OPTIONS, "--out", files[0].with_name("out.parquet"))
    assert done.exit_code == 2
    assert "in the rows of 3 places counted from 0" in done.stderr
    assert f"(row 0 of {files[0]} to {files[2]})" in done.stderr
    assert "1.5" in done.stderr
    assert not files[0].with_name("out.parquet").exists()


def test_files_that_do_not_fit_together_are_refused(files: list[Path], folder: Path) -> None:
    other = files[0].with_name("other.npy")
    np.save(other, SCORES[:, :100])
    with pytest.raises(StoreError, match=r"same number of draws .*other.npy has 100 and .*one.npy"):
        open_scores([*files, other])
    with pytest.raises(StoreError, match=r"one.npy is named twice"):
        open_scores([*files, files[0].parent / "." / "one.npy"])
    files[0].with_name("link.npy").symlink_to(files[0])
    with pytest.raises(StoreError, match=r"link.npy is named twice"):
        open_scores([*files, files[0].with_name("link.npy")])
    pq.write_table(
        pa.table({"id": ["x"], "scores": lists(SCORES[:1])}), files[0].with_name("text.parquet")
    )
    with pytest.raises(StoreError, match="columns beside the scores do not match"):
        open_scores([files[1], files[0].with_name("text.parquet")])
    pq.write_table(
        pa.table({"file": ["x"], "scores": lists(SCORES[:1])}), files[0].with_name("own.parquet")
    )
    with pytest.raises(StoreError, match=r"own.parquet has a column 'file'.* rename it"):
        open_scores([files[1], files[0].with_name("own.parquet")])
    with pytest.raises(StoreError, match="there is no file"):
        open_scores([*files, files[0].with_name("none.npy")])
    with pytest.raises(StoreError, match="must name at least one file"):
        open_scores([])
    (folder / "split=a" / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"bad.parquet cannot be read"):
        open_scores(folder)
    empty = folder.with_name("empty")
    empty.mkdir()
    with pytest.raises(StoreError, match=r"empty holds no file that ends in \.parquet"):
        open_scores(empty)
