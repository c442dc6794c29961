"""Tables of Arrow and Parquet: every kind of list is read, and damaged ones are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from score_files import SCORES, TABLES, lists, write_table

from smoothbound.errors import StoreError
from smoothbound.scores._files import open_scores


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
def test_categories_are_kept_as_what_they_stand_for(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scores{suffix}"
    names = ["cat", "dog", "cat", None, "dog", "dog", "cat"]
    write_table(path, pa.table({"c": pa.array(names).dictionary_encode(), "s": lists(SCORES)}))
    file = open_scores(path)
    assert file.ids.schema.field("c").type == pa.string()
    assert file.ids.to_pydict() == {"c": names}


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
