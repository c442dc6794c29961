"""A results folder is read a few rows at a time, and gives what it gives when it is read whole."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored import INDICES, SETTINGS, row

from smoothbound import store
from smoothbound._files import sealed
from smoothbound.errors import StoreError
from smoothbound.store._table import journal
from smoothbound.store._table.schema import schema

MANY = list(range(0, 200, 2))


def made(index: int) -> dict[str, object]:
    lower = [0.1, 1 / 3, index / 1000]
    return row(index) | {"mean_score": 0.5, "lower_mean": lower}


def table_of(indices: list[int]) -> pa.Table:
    settings = dataclasses.replace(SETTINGS, n_inputs=len(indices))
    return pa.Table.from_pylist([made(index) for index in indices], schema=schema(settings))


@pytest.fixture(params=["finished", "unfinished"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "finished":
        tmp_path.joinpath("results").mkdir()
        table = table_of(MANY)
        with sealed.writing(tmp_path / "results/results.parquet", table.schema) as write:
            for start in range(0, len(table), 7):
                write(table.slice(start, 7))
        return tmp_path / "results"
    settings = dataclasses.replace(SETTINGS, n_inputs=len(MANY) + 1)
    with store.Writer(tmp_path / "results", settings) as writer:
        for index in reversed(MANY):
            writer.append(made(index))
    return tmp_path / "results"


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "_ROW_GROUP", 16)
    monkeypatch.setattr(sealed, "_MOST_ROWS", 5)
    monkeypatch.setattr(journal, "_AT_A_TIME", 5)


def test_the_rows_are_those_of_the_table_in_memory(folder: Path) -> None:
    whole = store.load(folder)
    with store.open_folder(folder) as stored:
        assert (len(stored), stored.complete) == (len(whole), whole.complete)
        assert stored.settings == whole.settings
        assert stored.column_names == whole.table.column_names
        parts = list(stored.batches())
        assert len(parts) > 10
        assert repr(pa.concat_tables(parts).to_pylist()) == repr(whole.table.to_pylist())
        loaded = stored.load().table.schema
        assert loaded.equals(whole.table.schema)
        assert loaded.metadata == whole.table.schema.metadata
        assert repr(stored) == f"Stored{whole!r}"


def test_columns_and_rows_are_chosen(folder: Path) -> None:
    with store.open_folder(folder) as stored:
        found = pa.concat_tables(
            stored.batches(["lower_mean", "index"], [("index", ">", 90), ("index", "<", 100)])
        )
        assert found.column_names == ["lower_mean", "index"]
        assert found["index"].to_pylist() == [92, 94, 96, 98]
        assert found["lower_mean"].to_pylist() == [[0.1, 1 / 3, i / 1000] for i in (92, 94, 96, 98)]
        nobody = stored.batches(["index"], [[("status", "=", "certified")], [("index", "<", 0)]])
        assert list(nobody) == []
        for wrong in (["colour"], ["index", "lower_tangent"]):
            with pytest.raises(ValueError, match="must be one of"):
                next(stored.batches(wrong))
        with pytest.raises(ValueError, match="must be one of"):
            next(stored.batches(["index"], [("colour", "=", 1)]))


def test_sketches_come_a_few_at_a_time(folder: Path) -> None:
    with store.open_folder(folder) as stored:
        found = list(stored.sketches(at_a_time=3))
        assert max(len(one.index) for one in found) == 3
        assert np.concatenate([one.index for one in found]).tolist() == MANY
        whole = store.load(folder).sketch()
        assert (np.concatenate([one.counts for one in found]) == whole.counts).all()
        index = np.concatenate([one.index for one in stored.sketches([198, 2])])
        assert index.tolist() == [2, 198]
        for missing in ([1], [2, 400]):
            with pytest.raises(StoreError, match=f"input {missing[-1]} has no sketch"):
                list(stored.sketches(missing))


def test_inputs_that_failed_have_no_sketch(tmp_path: Path) -> None:
    nan = float("nan")
    failed = {
        "status": "failed",
        "selected": -1,
        "predicted": -1,
        "n_draws": 0,
        "sketch": b"",
        "lower_mean": [nan] * 3,
    }
    settings = dataclasses.replace(SETTINGS, n_inputs=3)
    with store.Writer(tmp_path, settings) as writer:
        for index in range(3):
            writer.append(row(index) | (failed if index == 1 else {}))
        writer.finish()
    with store.open_folder(tmp_path) as stored:
        assert [one.index.tolist() for one in stored.sketches()] == [[0, 2]]
        with pytest.raises(StoreError, match="input 1 has no sketch"):
            list(stored.sketches([0, 1]))


def test_a_number_that_cannot_be_is_found_where_it_stands(tmp_path: Path) -> None:
    for name, wrong in (("n_draws", 5000), ("status", "good"), ("class_radius", -1.0)):
        rows = [made(index) for index in MANY]
        rows[70][name] = wrong
        settings = dataclasses.replace(SETTINGS, n_inputs=len(MANY))
        table = pa.Table.from_pylist(rows, schema=schema(settings))
        sealed.write_table(table, tmp_path / "results.parquet")
        with store.open_folder(tmp_path) as stored:
            assert len(list(stored.batches(["index"]))) == 20
            with pytest.raises(StoreError, match=rf"results.parquet: {name} of input 140 must be"):
                list(stored.batches([name]))


@pytest.mark.parametrize("order", [[0, 2, 2, 4, 6], [8, 6, 4, 2, 0], [0, 2, 4, 8, 6]])
def test_rows_that_are_not_in_order_are_refused(tmp_path: Path, order: list[int]) -> None:
    sealed.write_table(table_of(order), tmp_path / "results.parquet")
    with (
        store.open_folder(tmp_path) as stored,
        pytest.raises(StoreError, match=r"index of input \d must be at least 0, and once"),
    ):
        list(stored.batches(["seconds"]))


def test_damage_is_found_when_the_folder_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    sealed.write_table(table_of(INDICES), path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 97):
        damaged = bytearray(whole)
        damaged[at] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(StoreError):
            store.open_folder(tmp_path)
    for size in (0, 3, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(StoreError, match="cut short, damaged or not Parquet"):
            store.open_folder(tmp_path)


def test_a_file_without_its_seal_is_refused(tmp_path: Path) -> None:
    pq.write_table(table_of(INDICES), tmp_path / "results.parquet")
    with pytest.raises(StoreError, match="its checksum is gone"):
        store.open_folder(tmp_path)


def test_folders_that_hold_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no results folder"):
        store.open_folder(tmp_path / "none")
    with pytest.raises(StoreError, match="holds no results"):
        store.open_folder(tmp_path)
    sealed.write_table(pa.table({"index": [1]}), tmp_path / "results.parquet")
    with pytest.raises(StoreError, match="not written by smoothbound certify"):
        store.open_folder(tmp_path)
    sealed.write_table(table_of(INDICES[:3]).slice(1), tmp_path / "results.parquet")
    with pytest.raises(StoreError, match="holds 2 inputs, its settings say 3"):
        store.open_folder(tmp_path)


def test_a_folder_that_is_replaced_while_it_is_read_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    sealed.write_table(table_of(MANY), path)
    with store.open_folder(tmp_path) as stored:
        parts = stored.batches(["index"])
        found = [next(parts)]
        sealed.write_table(table_of(INDICES), path)
        found += parts
    assert pa.concat_tables(found)["index"].to_pylist() == MANY


@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, state: str) -> None:
    """Twenty times as many rows with counted scores take no more memory."""
    code = """
        import dataclasses, sys
        import pyarrow as pa
        import stored as made
        from smoothbound import store
        from smoothbound._files import sealed
        from smoothbound.store._table.journal import beginning, frame
        from smoothbound.store._table.schema import schema

        n, path, state = int(sys.argv[1]), sys.argv[2], sys.argv[3]
        settings = dataclasses.replace(made.SETTINGS, n_inputs=n)
        one = made.row(0) | {"sketch": bytes(range(256)) * 40}
        tables = (
            pa.Table.from_pylist(
                [one | {"index": start + i} for i in range(1000)], schema=schema(settings)
            )
            for start in range(0, n, 1000)
        )
        if state == "finished":
            with sealed.writing(path + "/results.parquet", schema(settings), compression="none",
                                use_dictionary=False) as write:
                for table in tables:
                    write(table)
        else:
            with open(path + "/journal.bin", "wb") as file:
                file.write(beginning(schema(settings)))
                for table in tables:
                    for row in table.to_batches(max_chunksize=1):
                        file.write(frame(row.serialize().to_pybytes()))
    """
    read = """
        import resource, sys
        from smoothbound import store

        with store.open_folder(sys.argv[2]) as stored:
            assert sum(len(part) for part in stored.batches()) == int(sys.argv[1])
            assert sum(len(part) for part in stored.batches(["index"])) == int(sys.argv[1])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    peaks = []
    for n in (2_000, 40_000):
        folder = tmp_path / str(n)
        folder.mkdir()
        words = [str(n), str(folder), state]
        _run(code, *words)
        peaks.append(int(_run(read, *words)) / 1024)
    assert sum(path.stat().st_size for path in folder.iterdir()) > 400e6
    assert peaks[1] < peaks[0] + 100


def _run(code: str, *words: str) -> str:
    places = [str(Path(__file__).parents[1] / "support"), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    command = [sys.executable, "-c", textwrap.dedent(code), *words]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout
