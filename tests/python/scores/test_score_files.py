"""Scores are read a few rows at a time from files of every kind, and bad files are told."""

from __future__ import annotations

import os
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from smoothbound.data import _loading as data
from smoothbound.errors import DataError, StoreError
from smoothbound.scores import _arrow_files as arrow_files
from smoothbound.scores import _files as score_files
from smoothbound.scores import _numpy_files as numpy_files
from smoothbound.scores import _score_file
from smoothbound.scores._files import open_scores

SCORES = np.random.default_rng(0).random((7, 5))


def lists(array: np.ndarray[Any, Any], kind: Callable[..., pa.DataType] = pa.list_) -> pa.Array:
    return pa.array(array.tolist(), kind(pa.from_numpy_dtype(array.dtype)))


def write(path: Path, array: np.ndarray[Any, Any]) -> Path:
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, scores=array)
    else:
        table = pa.table({"name": ["x"] * len(array), "scores": lists(array)})
        write_table(path, table)
    return path


def write_table(path: Path, table: pa.Table, rows_a_batch: int = 3) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=rows_a_batch)
        return
    kind = pa.ipc.new_stream if path.suffix == ".arrows" else pa.ipc.new_file
    with kind(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows_a_batch)


ARRAYS = [".npy", ".npz"]
TABLES = [".parquet", ".arrow", ".arrows"]


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


def test_every_layout_of_an_array_is_read(tmp_path: Path) -> None:
    for array in (np.asfortranarray(SCORES), SCORES.astype(">f4"), SCORES[::2, ::-1]):
        (chunk,) = open_scores(write(tmp_path / "scores.npy", array)).chunks
        assert chunk.dtype.isnative
        assert chunk.flags.c_contiguous
        assert (chunk == array).all()


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, lambda type: pa.list_(type, 5)])
@pytest.mark.parametrize("suffix", TABLES)
def test_every_kind_of_list_is_read(
    tmp_path: Path, suffix: str, kind: Callable[..., pa.DataType]
) -> None:
    path = tmp_path / f"scores{suffix}"
    write_table(path, pa.table({"scores": lists(SCORES, kind)}))
    (chunk,) = open_scores(path).chunks
    assert (chunk == SCORES).all()


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_feather_files_are_read(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "scores.feather"
    pyarrow.feather.write_feather(
        pa.table({"scores": lists(SCORES)}), path, compression=compression
    )
    (chunk,) = open_scores(path).chunks
    assert (chunk == SCORES).all()


def test_damaged_lists_of_an_arrow_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "scores.arrow"
    write_table(path, pa.table({"scores": lists(SCORES)}), rows_a_batch=7)
    content = bytearray(path.read_bytes())
    offsets = np.arange(0, 40, 5, dtype=np.int32).tobytes()
    at = content.index(offsets)
    content[at : at + len(offsets)] = np.arange(0, 40000, 5000, dtype=np.int32).tobytes()
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"cannot be read|row 0 has"):
        list(open_scores(path).chunks)


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


@pytest.mark.parametrize("suffix", TABLES)
def test_categories_are_kept_as_what_they_stand_for(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scores{suffix}"
    names = ["cat", "dog", "cat", None, "dog", "dog", "cat"]
    write_table(path, pa.table({"c": pa.array(names).dictionary_encode(), "s": lists(SCORES)}))
    file = open_scores(path)
    assert file.ids.schema.field("c").type == pa.string()
    assert file.ids.to_pydict() == {"c": names}


# --- CSV --------------------------------------------------------------------------------------


def csv_file(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_csv_file_needs_no_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", 3 * SCORES[0].nbytes)
    path = tmp_path / "scores.CSV"
    np.savetxt(path, SCORES, delimiter=",")
    file = open_scores(path)
    assert (file.n_inputs, file.n_draws, file.ids.num_columns) == (7, 5, 0)
    chunks = list(file.chunks)
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]
    assert (np.concatenate(chunks) == SCORES).all()


@pytest.mark.parametrize(
    ("header", "before", "ids"),
    [
        ("s0,s1", "", {}),
        ("id,draw 1,draw 2,label", "7,", {"id": ["7", "7"], "label": ["1", "1"]}),
        (",0,1", "0,", {"": ["0", "0"]}),  # as pandas writes an index
        ('"a, b",V1,V2', '"x, y",', {"a, b": ["x, y", "x, y"]}),
        ("\ufeffid,s7,s9", "=1+1,", {"id": ["=1+1", "=1+1"]}),
        ("top1,s0,s1", "3,", {"top1": ["3", "3"]}),
    ],
)
def test_the_header_of_a_csv_file_says_what_is_a_score(
    tmp_path: Path, header: str, before: str, ids: dict[str, list[str]]
) -> None:
    after = ",1" if header.endswith("label") else ""
    lines = [f"{before}0.5,1{after}", "", f"{before}0,1e-3{after}"]
    file = open_scores(csv_file(tmp_path / "scores.csv", header, *lines))
    (chunk,) = file.chunks
    assert chunk.tolist() == [[0.5, 1.0], [0.0, 0.001]]
    assert file.ids.to_pydict() == ids


def test_a_header_that_counts_is_no_row_of_scores(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "scores.csv"
    pandas.DataFrame(SCORES).to_csv(path, index=False)
    (chunk,) = open_scores(path).chunks
    assert (chunk == SCORES).all()


@pytest.mark.parametrize(
    ("lines", "key", "said"),
    [
        ([], None, "has no rows"),
        (["s0,s1"], None, "has no rows after its header"),
        (["0.5,0.5", "0.5"], None, "line 2 has 1, the first has 2"),
        (["s0,s1", "0.5,"], None, "line 2 has '' in column 2"),
        (["s0,s1", "0.5,high"], None, "line 2 has 'high' in column 2"),
        (["3,0.5,0.25", "1,0.5,1"], None, "its column 1 holds whole numbers alone"),
        (["0.5,0.5"], "s", "no header with names; leave out the key 's'"),
        (["a,b", "0.5,0.5"], None, "such as s0, s1, s2: its header has 'a', 'b'. .*each input"),
        (["a,b,c,d,e,f", "0,0,0,0,0,0"], None, "'e', .... It must have one line for each input"),
        (["0.5;0.25", "0.5;0.5"], None, "commas between .* first line has ';'; .*sep=';', header"),
        (["0,5;0,25;0,5", "0,5;0,5;0,5"], None, "first line has ';'; .*sep=';', decimal=',', he"),
        (["0.5\t0.25", "0.5\t0.5"], None, r"its first line has '.t'"),
        (["0.5 0.25" * 1000], None, r"its header has '[0-9. ]{27}\.\.\.'. .{0,150}$"),
        (["50%,50%"], None, "two columns of the same name in its header, '50%'; .*numbers alone$"),
        (["a0,a1,b0,b1", "0,0,1,1"], None, "name one with --key; it has 'a', 'b'"),
        (["s0,s1,s1", "0,0,1"], None, "two columns of the same name"),
        (["0.5,0.25,", "0.5,0.25,"], None, "first line .* holds '0.5' beside text; add a header"),
        (["1,0,", "0,1,"], None, "first line .* holds '' beside text; add a header"),
        (["cat,0.5,0.25", "dog,0.5,0.25"], None, "holds '0.5' beside text; add a header"),
        (["cat,0,-1", "dog,1,1"], None, "holds '-1' beside text; add a header"),
        (["cat,0,1,1", "dog,1,1,1"], None, "two columns of the same name"),
        (["cat,1,0", "dog,1,1"], None, "numbers .* do not ascend"),
        (['s0,s1', '"0.5,0.5'], None, "cannot be read: unexpected end of data"),
        (["s0,s1", "x" * 200_000], None, "cannot be read: field larger than"),
    ],
)  # fmt: skip
def test_a_csv_file_that_could_be_misread_is_refused(
    tmp_path: Path, lines: list[str], key: str | None, said: str
) -> None:
    with pytest.raises(StoreError, match=f"scores.csv.*{said}"):
        list(open_scores(csv_file(tmp_path / "scores.csv", *lines), key).chunks)


def test_a_csv_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_bytes("s0,s1\n0.5,0.5\n".encode("utf-16"))
    with pytest.raises(StoreError, match=r"scores.csv cannot be read: .*utf-8"):
        open_scores(tmp_path / "scores.csv")


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


def test_a_npy_file_is_mapped_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(1 << 16, 1 << 12))
    del array  # 1 GB, none of it written
    file = open_scores(path)
    chunk = next(file.chunks)
    assert file.n_inputs == 1 << 16
    assert chunk.nbytes == _score_file.CHUNK_BYTES
    assert isinstance(chunk.base, np.memmap)


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


# --- bad files --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [*ARRAYS, *TABLES])
@pytest.mark.parametrize("size", [0, 7, 100, -20])
def test_a_truncated_file_is_told(tmp_path: Path, suffix: str, size: int) -> None:
    path = write(tmp_path / f"scores{suffix}", SCORES)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StoreError, match="cannot be read"):
        list(open_scores(path).chunks)


def test_damage_inside_a_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    scores = np.random.default_rng(0).random((2000, 50))
    table = pa.table({"scores": lists(scores)})
    pq.write_table(table, path, row_group_size=500, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 5000] = bytes(5000)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="cannot be read"):
        list(open_scores(path).chunks)


def test_damage_inside_an_npz_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    np.savez(path, scores=SCORES)
    content = bytearray(path.read_bytes())
    at = content.index(SCORES.tobytes())
    content[at + 50] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"cannot be read: Bad CRC-32"):
        list(open_scores(path).chunks)


def test_an_npz_file_that_holds_less_than_its_shape_says(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    np.save(tmp_path / "scores.npy", SCORES)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scores.npy", (tmp_path / "scores.npy").read_bytes()[:-8])
    with pytest.raises(StoreError, match=r"holds 272 bytes, not \(7, 5\) of float64"):
        open_scores(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("(-1, 50)", "at least one of each"),
        ("(True, 50)", "cannot be read"),
        (f"({10**400}, 50)", "bytes, not"),
        (f"({2**62}, 4)", "bytes, not"),
        (f"{'(' * 3000}3{')' * 3000}", "header is damaged"),
        ("(3, 50)" + " " * 100_000, "header is damaged"),
    ],
    ids=["negative", "true", "huge", "overflow", "deep", "long"],
)
def test_a_header_of_an_array_is_not_trusted(
    tmp_path: Path, suffix: str, shape: str, said: str
) -> None:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    data = b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text + bytes(1200)
    path = tmp_path / f"scores{suffix}"
    path.write_bytes(data)
    if suffix == ".npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("scores.npy", data)
    with pytest.raises(StoreError, match=said) as refused:
        list(open_scores(path).chunks)
    assert "allow_pickle" not in str(refused.value)


def test_the_length_of_a_header_is_not_read_before_it_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scores.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(1 << 26))
    tracemalloc.start()
    with pytest.raises(StoreError, match="header is damaged"):
        open_scores(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 24


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    np.savez(path, scores=np.full((2, 3), 0.5))
    with zipfile.ZipFile(path) as archive:
        first = archive.read("scores.npy")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("scores.npy", first.replace(b"(2, 3)", b"(3, 2)"))
    with pytest.raises(StoreError, match="two arrays of the same name"):
        open_scores(path)
    with pytest.raises(DataError, match="two arrays of the same name"):
        data.load(f"npz:{path}")


def test_a_line_of_many_draws_is_read_in_time(tmp_path: Path) -> None:
    # 100 000 draws, a usual number, took minutes as long as each column was looked up in all.
    path = tmp_path / "scores.csv"
    path.write_text("id," + ",".join(f"s{j}" for j in range(50_000)) + "\na" + ",0.5" * 50_000)
    start = time.process_time()
    file = open_scores(path)
    assert time.process_time() - start < 10
    assert (file.n_inputs, file.n_draws, file.ids.column_names) == (1, 50_000, ["id"])


def test_an_npz_file_stored_by_columns_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "scores.npz", scores=np.asfortranarray(SCORES))
    with pytest.raises(StoreError, match=r"column by column .* save np\.ascontiguousarray"):
        open_scores(tmp_path / "scores.npz")


@pytest.mark.parametrize("suffix", ARRAYS)
def test_pickled_objects_are_never_loaded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"objects{suffix}"
    objects = np.array([[{"a": 1}, 2]], dtype=object)
    if suffix == ".npy":
        np.save(path, objects, allow_pickle=True)
    else:
        np.savez(path, scores=objects)
    with pytest.raises(StoreError, match=r"cannot be read|got object"):
        open_scores(path)


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


def test_an_encrypted_npz_file_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "scores.npz", SCORES)
    content = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + at] |= 1  # the flag that says encrypted
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"scores.npz cannot be read: .*encrypted"):
        open_scores(path)


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
