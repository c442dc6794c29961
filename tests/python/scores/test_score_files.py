"""Scores are read a few rows at a time from files of every kind, and damage is an error."""

from __future__ import annotations

import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pytest
from score_files import ARRAYS, SCORES, TABLES, lists, write, write_table

from smoothbound.errors import StoreError
from smoothbound.scores import _arrow_files as arrow_files
from smoothbound.scores import _files as score_files
from smoothbound.scores import _numpy_files as numpy_files
from smoothbound.scores import _score_file
from smoothbound.scores._files import open_scores


@pytest.mark.parametrize("suffix", [*ARRAYS, *TABLES])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("rows_at_a_time", [1, 2, 100])
def test_rows_come_out_as_they_went_in(
    tmp_path: Path,
    suffix: str,
    dtype: str,
    rows_at_a_time: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = SCORES.astype(dtype)
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", rows_at_a_time * 5 * scores.itemsize)
    file = open_scores(write(tmp_path / f"scores{suffix}", scores))
    assert (file.n_inputs, file.n_draws) == (7, 5)
    chunks = list(file.chunks)
    assert max(map(len, chunks)) == min(rows_at_a_time, 7)
    read = np.concatenate(chunks)
    assert read.dtype == dtype
    assert (read == scores).all()


@pytest.mark.parametrize("suffix", TABLES)
def test_columns_beside_the_scores_are_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scores{suffix}"
    beside = {"id": list(range(7)), "name": ["x\u00e9"] * 7, "label": [True] * 7}
    images = pa.array([b"image"] * 7)  # no name of an input
    write_table(path, pa.table(beside | {"scores": lists(SCORES), "image": images}))
    file = open_scores(path)
    assert file.ids.to_pydict() == beside
    assert file.left_out == ("image",)
    (chunk,) = file.chunks
    assert (chunk == SCORES).all()


def test_arrays_beside_the_scores_are_kept(tmp_path: Path) -> None:
    beside = {"ids": np.arange(7, dtype=">i4"), "name": np.array(["x\u00e9"] * 7)}
    others = {"images": np.zeros((7, 2, 2)), "three": np.arange(3), "o": np.array([None] * 7)}
    for key in (None, "scores"):
        np.savez_compressed(tmp_path / "a.npz", **beside, scores=SCORES, **others)
        file = open_scores(tmp_path / "a.npz", key)
        assert file.ids.to_pydict() == {"ids": list(range(7)), "name": ["x\u00e9"] * 7}
        assert file.left_out == ("images", "three", "o")
        (chunk,) = file.chunks
        assert (chunk == SCORES).all()


@pytest.mark.parametrize("suffix", [".npz", *TABLES])
def test_columns_that_memory_does_not_hold_are_refused_before_they_are_read(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, n = tmp_path / f"scores{suffix}", 100_000
    if suffix == ".npz":
        names = np.zeros(n, "U250")  # 100 MB
        np.savez_compressed(path, scores=np.zeros((n, 1), np.float32), name=names)
    else:
        text = pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), ["x" * 1000])
        table = {"scores": lists(np.zeros((n, 1), np.float32)), "name": text}
        write_table(path, pa.table(table), rows_a_batch=n)
    assert path.stat().st_size < 2_000_000
    for module in (score_files, numpy_files, arrow_files):
        monkeypatch.setattr(module, "memory_limit", lambda: 1 << 23)
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(StoreError, match=r"beside the scores, name, .* more than memory holds"):
            open_scores(path)
    finally:
        pa.set_memory_pool(usual)
    assert pool.max_memory() < 40 << 20


def test_one_of_several_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=SCORES, b=SCORES + 1)
    for suffix in TABLES:
        table = pa.table({"a": lists(SCORES), "b": lists(SCORES + 1)})
        write_table(tmp_path / f"two{suffix}", table)
    for name in ["two.npz", *(f"two{suffix}" for suffix in TABLES)]:
        (chunk,) = open_scores(tmp_path / name, key="b").chunks
        assert (chunk == SCORES + 1).all()
        with pytest.raises(StoreError, match="name one with --key; it has 'a', 'b'"):
            open_scores(tmp_path / name)
        with pytest.raises(StoreError, match=r"no 'c' among its .*it has 'a', 'b'"):
            open_scores(tmp_path / name, key="c")
    with pytest.raises(StoreError, match="without a name"):
        open_scores(write(tmp_path / "one.npy", SCORES), key="a")


@pytest.mark.parametrize("suffix", [".npz", *TABLES])
def test_no_file_is_loaded_whole(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where one row group or batch holds all of it."""
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", 1 << 20)
    scores = np.random.default_rng(0).random((60_000, 100), dtype=np.float32)  # 24 MB
    path = tmp_path / f"scores{suffix}"
    if suffix == ".npz":
        np.savez(path, scores=scores)
    else:
        column = pa.FixedSizeListArray.from_arrays(scores.reshape(-1), 100)
        write_table(path, pa.table({"scores": column}), rows_a_batch=len(scores))
    open_scores(path)  # imports what it needs
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes()
    read = most = 0
    for chunk in open_scores(path).chunks:
        assert (chunk == scores[read : read + len(chunk)]).all()
        read += len(chunk)
        most = max(most, tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes())
    tracemalloc.stop()
    assert read == len(scores)
    assert most - before < 8 << 20


@pytest.mark.parametrize("suffix", [*ARRAYS, *TABLES])
@pytest.mark.parametrize("size", [0, 7, 100, -20])
def test_a_truncated_file_is_told(tmp_path: Path, suffix: str, size: int) -> None:
    path = write(tmp_path / f"scores{suffix}", SCORES)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StoreError, match="cannot be read"):
        list(open_scores(path).chunks)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros(5), r"must have shape \(n_inputs, n_draws\) .* got shape \(5,\)"),
        (np.zeros((2, 3, 4)), r"got shape \(2, 3, 4\); .* class k .* save scores\[:, :, k\]"),
        (np.zeros((0, 5)), r"got shape \(0, 5\)"),
        (np.zeros((5, 0)), r"got shape \(5, 0\)"),
        (np.zeros((2, 3), int), "must hold float16, float32 or float64 scores, got int64; conv"),
        (np.array([["a", "b"]]), "got <U1"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_that_are_no_scores(
    tmp_path: Path, suffix: str, array: np.ndarray[Any, Any], said: str
) -> None:
    with pytest.raises(StoreError, match=said):
        open_scores(write(tmp_path / f"scores{suffix}", array))


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([[0.1, 0.2], [0.3]]), "row 1 has 1, row 0 has 2"),
        (pa.array([[0.1, 0.2], [0.2, 0.3], None]), "row 2 has 0, row 0 has 2"),
        (pa.array([[], []], pa.list_(pa.float64())), "at least one: row 0 has 0"),
        (pa.array([[0.1, 0.2], [0.3, None]]), "empty score in row 1"),
        (pa.array([], pa.list_(pa.float64())), "has no rows"),
        (pa.array([[1, 2]]), "must hold float16, float32 or float64 scores, got int64"),
        (pa.array([["a"]]), "must hold float16, float32 or float64 scores, got object"),
        (pa.array([0.1, 0.2]), "no column of lists: the scores of each input must be one list"),
    ],
)
@pytest.mark.parametrize("suffix", TABLES)
def test_columns_that_are_no_scores(
    tmp_path: Path, suffix: str, column: pa.Array, said: str
) -> None:
    path = tmp_path / f"scores{suffix}"
    write_table(path, pa.table({"scores": column}))
    with pytest.raises(StoreError, match=said):
        list(open_scores(path).chunks)


def test_files_that_are_something_else(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no file"):
        open_scores(tmp_path / "typo.npy")
    with pytest.raises(StoreError, match="no file"):
        open_scores(write_folder(tmp_path / "folder.npy"))
    with pytest.raises(StoreError, match=r"ending in \.npy, \.npz, .*; got .*scores\.txt"):
        open_scores(tmp_path / "scores.txt")
    write(tmp_path / "a.npz", SCORES).rename(tmp_path / "a.npy")
    with pytest.raises(StoreError, match="cannot be read"):
        open_scores(tmp_path / "a.npy")
    write(tmp_path / "b.npy", SCORES).rename(tmp_path / "b.npz")
    with pytest.raises(StoreError, match=r"not an \.npz file"):
        open_scores(tmp_path / "b.npz")
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("note.txt", "hello")
    with pytest.raises(StoreError, match=r"note.txt of .*is not an array"):
        open_scores(tmp_path / "c.npz")


@pytest.mark.parametrize("suffix", [*ARRAYS, *TABLES, ".csv"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scores{suffix}"
    os.mkfifo(path)
    with pytest.raises(StoreError, match="must be a plain file, and is a named pipe"):
        open_scores(path)


@pytest.mark.parametrize("name", ["a\0b.npy", "x" * 300 + ".npy", "file.npy/scores.npy"])
def test_names_that_no_file_has(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.npy").touch()
    with pytest.raises(StoreError, match=r"there is no file|cannot be read: .*too long"):
        open_scores(tmp_path / name)


@pytest.mark.parametrize("suffix", [*ARRAYS, *TABLES])
def test_a_row_that_memory_does_not_hold_is_refused_before_it_is_read(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros compress to a thousandth, so that a small file could fill the memory."""
    path = write(tmp_path / f"scores{suffix}", SCORES)
    monkeypatch.setattr(score_files, "memory_limit", lambda: 39)
    with pytest.raises(StoreError, match="claims 5 draws in a row, more than memory holds"):
        open_scores(path)


@pytest.mark.parametrize("suffix", [*ARRAYS, *TABLES])
@pytest.mark.parametrize("seed", range(40))
def test_any_damage_is_an_error_that_names_the_file(tmp_path: Path, suffix: str, seed: int) -> None:
    path = write(tmp_path / f"scores{suffix}", SCORES)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, len(content), 1 + seed % 5):
        content[at] ^= 1 << rng.integers(8)
    path.write_bytes(content)
    said = error_of(path)
    assert said is None or str(path) in said


def error_of(path: Path) -> str | None:
    try:
        list(open_scores(path).chunks)
    except StoreError as error:
        return str(error)
    return None


def write_folder(path: Path) -> Path:
    path.mkdir()
    return path
