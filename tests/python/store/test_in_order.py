"""Rows come in the order of their index, from memory or from a temporary file."""

from __future__ import annotations

import errno
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothbound.errors import StoreError
from smoothbound.store._shards import in_order as module
from smoothbound.store._shards.in_order import in_order


def table(index: list[int], first: int = 0) -> pa.Table:
    places = range(first, first + len(index))
    return pa.table(
        {
            "index": pa.array(index, pa.int64()),
            "place": pa.array(places, pa.int64()),
            "words": pa.array([f"{place}" * (place % 5) for place in places], pa.string()),
            "pair": pa.array([[k, -k] for k in places], pa.list_(pa.float64(), 2)),
        }
    )


def tables(*parts: list[int]) -> Iterator[pa.Table]:
    first = 0
    for index in parts:
        yield table(index, first)
        first += len(index)


@given(
    st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=8),
    st.sampled_from([1, 300, 1 << 24]),
    st.sampled_from([2, 3, 64]),
)
def test_rows_are_sorted_and_those_of_an_input_keep_their_order(
    parts: list[list[int]], held: int, most: int
) -> None:
    inputs = np.arange(0, 31)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_HELD", held)
        patch.setattr(module, "_MOST", most)
        found = list(in_order(tables(*parts), inputs))
    flat = [index for part in parts for index in part]
    everything = table(flat)
    expected = everything.take(np.argsort(np.array(flat, np.int64), kind="stable"))
    joined = pa.concat_tables(found) if found else everything.slice(0, 0)
    assert joined.to_pylist() == expected.to_pylist()
    groups = [set(one["index"].to_pylist()) for one in found]
    assert sum(map(len, groups)) == len(set(flat))  # no input is in two tables


def test_sources_are_read_once_and_memory_holds_a_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    rows, parts = 2000, 40

    def sources() -> Iterator[pa.Table]:
        for k in range(parts):
            asked.append(k)
            yield table(list(range(k, rows, parts)))

    monkeypatch.setattr(module, "_HELD", 1 << 12)
    sizes = [len(one) for one in in_order(sources(), np.arange(rows))]
    assert asked == list(range(parts))
    assert sum(sizes) == rows
    assert max(sizes) * table([0]).nbytes <= 2 * (1 << 12)


def test_more_rows_of_one_input_than_memory_should_hold_come_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_HELD", 1)
    found = list(in_order(tables([7, 3], [7], [7]), np.array([3, 7])))
    assert [one["index"].to_pylist() for one in found] == [[3], [7, 7, 7]]


@pytest.mark.parametrize("moment", ["open", "write"])
def test_a_full_disk_is_named(tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    class Full(io.BytesIO):
        write = full

    monkeypatch.setattr(module, "_HELD", 1)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", lambda **_: full() if moment == "open" else Full())
        with pytest.raises(StoreError, match=f"temporary file in {tmp_path}: No space left on dev"):
            list(in_order(tables([1, 2], [0]), np.arange(3), tmp_path))


def test_an_iteration_that_ends_early_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HELD", 1)
    rows = in_order(tables([1, 2], [0]), np.arange(3), tmp_path)
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []
