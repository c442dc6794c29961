"""A sealed Parquet file is what was written, or an error."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smoothbound._files import plain as plain_files
from smoothbound._files import sealed
from smoothbound.errors import StoreError

TABLE = pa.table({"n": [1, 2], "why": ["a", "grüße"]}, metadata={b"smoothbound": b'{"alpha": 0.1}'})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    sealed.write_table(TABLE, tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


def test_what_is_written_is_read_and_any_other_program_can_read_it(path: Path) -> None:
    table, is_sealed = sealed.read_table(path)
    assert is_sealed
    for one in (table, pq.read_table(path)):
        assert one.equals(TABLE)
        assert one.schema.metadata[b"smoothbound"] == b'{"alpha": 0.1}'


def test_every_flipped_bit_is_an_error_or_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = path.read_bytes()
    refused = 0
    for bit in range(8 * len(whole)):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        monkeypatch.setattr(sealed, "read_plain", lambda path, data=bytes(data): data)
        try:
            table, is_sealed = sealed.read_table(path)
        except StoreError:
            refused += 1
            continue
        assert not is_sealed  # the bit was in what tells that there is a seal
        assert table.equals(TABLE, check_metadata=True)
    assert refused >= 8 * (len(whole) - 8)


def test_every_cut_is_an_error(path: Path) -> None:
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(StoreError, match=r"a\.parquet"):
            sealed.read_table(path)


def test_a_file_without_a_seal_is_read_and_said_to_have_none(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "old.parquet")
    table, is_sealed = sealed.read_table(tmp_path / "old.parquet")
    assert table.equals(TABLE)
    assert not is_sealed
    with pytest.raises(StoreError, match="its checksum is gone"):
        sealed.require(tmp_path / "old.parquet", is_sealed)


def test_a_file_that_is_written_piece_by_piece_can_be_sealed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with path.open("w+b") as file:
        with pq.ParquetWriter(file, TABLE.schema) as writer:
            writer.write_table(TABLE[:1])
            writer.write_table(TABLE[1:])
        sealed.seal(file)
    assert sealed.read_table(path)[0].equals(TABLE)


def test_a_small_file_cannot_fill_the_memory(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = tmp_path / "bomb.parquet"
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), ["x" * 100_000])
    pq.write_table(pa.table({"why": words.cast(pa.string())}), bomb)
    assert bomb.stat().st_size < 200_000
    monkeypatch.setattr(plain_files, "memory_limit", lambda: 7_000_000)
    monkeypatch.setattr(sealed, "memory_limit", lambda: 7_000_000)
    with pytest.raises(StoreError, match="more than memory holds"):
        sealed.read_table(bomb)
    rows = tmp_path / "rows.parquet"
    pairs = pa.FixedSizeListArray.from_arrays(pa.array([7.0] * 2_000_000), 2)
    pq.write_table(pa.table({"n": pairs}), rows)
    assert rows.stat().st_size < 200_000
    with pytest.raises(StoreError, match="claims 1000000 rows"):
        sealed.read_table(rows)
    wide = tmp_path / "wide.parquet"
    row = pa.FixedSizeListArray.from_arrays(pa.array([7.0] * 1_000_000), 1_000_000)
    pq.write_table(pa.table({"n": row}), wide)
    with pytest.raises(StoreError, match="claims 1 rows of 8000000 bytes"):
        sealed.read_table(wide)
    monkeypatch.setattr(plain_files, "memory_limit", lambda: 100)
    with pytest.raises(StoreError, match="more than memory holds"):
        sealed.read_table(path)


def test_rows_that_are_all_alike_are_read_although_the_file_is_small(tmp_path: Path) -> None:
    table = pa.table({"n": pa.array([7.0] * 1_000_000)})
    sealed.write_table(table, tmp_path / "a.parquet", compression="lz4")
    assert (tmp_path / "a.parquet").stat().st_size < 100_000
    assert sealed.read_table(tmp_path / "a.parquet")[0].equals(table)


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, kind in (("pipe", "a named pipe"), ("folder", "a folder")):
        for act in (sealed.read_table, lambda path: sealed.write_table(TABLE, path)):
            with pytest.raises(StoreError, match=f"{name} must be a plain file, and is {kind}"):
                act(tmp_path / name)
    with pytest.raises(StoreError, match=r"cannot read .*: No such file"):
        sealed.read_table(tmp_path / "typo")
    for act in (sealed.read_table, lambda path: sealed.write_table(TABLE, path)):
        with pytest.raises(StoreError, match="null"):
            act(tmp_path / "a\0b")


def test_names_that_are_no_text_are_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.parquet")
    sealed.write_table(TABLE, path)
    assert sealed.read_table(path)[0].equals(TABLE)
    assert isinstance(plain_files.read_plain(path), bytes)
