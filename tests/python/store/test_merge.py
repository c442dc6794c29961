"""Results folders that are joined: what belongs together; kills, and two merges at once."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO
from unittest.mock import Mock

import forks
import pyarrow as pa
import pytest
from sharded import RECORD, WHOLE, certify, contents, made, merge, merge_and_die, whole

from smoothbound import store
from smoothbound._files import atomic, sealed
from smoothbound.anytime._record import AdaptiveRecord, BudgetRecord
from smoothbound.bounds._method import Method
from smoothbound.errors import StoreError
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards import in_order
from smoothbound.store._shards.record import RunRecord
from smoothbound.store._table.finished import FinishedFile
from smoothbound.store._table.schema import schema


def run(folder: Path, settings: RunSettings, at_most: int = 100, **changes: object) -> Path:
    """Write a run, finished unless it has more inputs than `at_most`."""
    with store.Writer(folder, settings) as writer:
        for index in settings.inputs[:at_most]:
            writer.append(made(index, **changes))
        if settings.n_inputs <= at_most:
            writer.finish()
    return folder


def chosen(*indices: int) -> RunSettings:
    return replace(WHOLE, indices=indices, n_inputs=len(indices))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- what belongs together ---------------------------------------------------------------------


@pytest.mark.parametrize("held", [1 << 24, 1])
def test_shards_of_one_folder_become_the_single_run(
    tmp_path: Path, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_order, "_HELD", held)
    for index in range(3):
        certify(tmp_path / "a", index)
    counted: list[int] = []
    path = store.merge([tmp_path / "a"], tmp_path / "c", advance=counted.append)
    assert path == tmp_path / "c" / "results.parquet"
    assert contents(tmp_path / "c") == contents(whole(tmp_path / "whole"))
    assert sum(counted) == 10
    assert names(tmp_path / "c") == ["results.parquet"]


def test_shards_of_folders_that_know_nothing_of_each_other_are_joined(tmp_path: Path) -> None:
    for index, folder in ((0, "a"), (1, "b"), (2, "b")):
        certify(tmp_path / folder, index)
    for alone, missing in (
        ("a", "6 of 10 .* of the shards 1, 2 of 3: inputs 1, 2, 4 and 3 more"),
        ("b", "4 of 10 .* of the shards 0 of 3: inputs 0, 3, 6 and 1 more"),
    ):
        with pytest.raises(StoreError, match=f"{missing}. Finish the run first"):
            store.merge([tmp_path / alone], tmp_path / "c")
        assert not (tmp_path / "c").exists()
    store.merge([tmp_path / "b", tmp_path / "a"], tmp_path / "c")
    assert contents(tmp_path / "c") == contents(whole(tmp_path / "whole"))


def test_parts_that_were_copied_out_of_their_folder_are_joined(tmp_path: Path) -> None:
    parts = [certify(tmp_path / "a", index) for index in range(3)]
    store.merge(parts, tmp_path / "c")
    settings = replace(WHOLE, max_inputs=10)
    assert contents(tmp_path / "c") == contents(whole(tmp_path / "whole", settings))


def test_unfinished_journals_count_as_far_as_they_are(tmp_path: Path) -> None:
    for index in range(3):
        certify(tmp_path / "a", index, at_most=2)
        certify(tmp_path / "b", index)
    certify(tmp_path / "a", 0, at_most=1)
    with pytest.raises(StoreError, match="3 of 10 inputs are not finished"):
        store.merge([tmp_path / "a"], tmp_path / "c")
    store.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert contents(tmp_path / "c") == contents(whole(tmp_path / "whole"))


def test_runs_on_other_inputs_are_joined(tmp_path: Path) -> None:
    first = run(tmp_path / "a", replace(WHOLE, max_inputs=4, n_inputs=4))
    second = run(tmp_path / "b", chosen(4, 5, 6, 7, 8, 9))
    store.merge([second, first], tmp_path / "c")
    settings, rows = contents(tmp_path / "c")
    assert (settings.skip, settings.max_inputs, settings.indices) == (1, 10, None)
    assert rows == contents(whole(tmp_path / "whole"))[1]
    third = run(tmp_path / "d", chosen(20, 31))
    store.merge([third, tmp_path / "c"], tmp_path / "e")
    settings, _ = contents(tmp_path / "e")
    assert settings.indices == (*range(10), 20, 31)
    assert store.load(tmp_path / "e").array("index").tolist() == [*range(10), 20, 31]


def test_an_input_in_both_must_have_the_same_numbers(tmp_path: Path) -> None:
    first = run(tmp_path / "a", chosen(1, 2, 3), seconds=1.0)
    same = run(tmp_path / "b", chosen(3, 4), seconds=2.0)
    other = run(tmp_path / "d", chosen(2, 5), mean_score=0.25)
    store.merge([first, same], tmp_path / "c")
    results = store.load(tmp_path / "c")
    assert results.array("index").tolist() == [1, 2, 3, 4]
    assert results.array("seconds").tolist() == [1.0, 1.0, 1.0, 2.0]
    with pytest.raises(StoreError, match="input 2 was certified twice, and mean_score differs"):
        store.merge([first, other], tmp_path / "e")
    assert not [*(tmp_path / "e").iterdir()]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sigma": 0.5}, "sigma: was 0.25, now 0.5"),
        ({"checkpoint_sha256": "1" * 64}, "checkpoint_sha256: was"),
        ({"data": "cifar10"}, "data: was 'digits', now 'cifar10'"),
        ({"batch_size": 7}, "batch_size: was 1000, now 7"),
        ({"seed": 5}, "seed: was 3, now 5"),
        ({"methods": (Method("mean"),)}, "methods: was"),
        ({"versions": {"smoothbound": "0.1.0", "torch": "3"}}, "version of torch: was '2.4', now"),
    ],
)
def test_other_settings_do_not_belong_together(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    first = run(tmp_path / "a", chosen(1, 2))
    settings = replace(chosen(3), **change)
    with store.Writer(tmp_path / "b", settings) as writer:
        columns = {f"{a}_{m.name}" for m in settings.methods for a in ("lower", "radius")}
        row = made(3)
        of_methods = {name for name in row if name.startswith(("lower_", "radius_"))}
        writer.append({k: v for k, v in row.items() if k not in of_methods - columns})
        writer.finish()
    with pytest.raises(StoreError, match=f"b does not belong together with .*a: .*{said}"):
        store.merge([first, tmp_path / "b"], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_shards_of_other_data_do_not_belong_together(tmp_path: Path) -> None:
    certify(tmp_path / "a", 0)
    certify(tmp_path / "b", 1, record=replace(RECORD, data="1" * 32))
    with pytest.raises(StoreError, match="data: its labels or its first image are others"):
        store.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")


def test_an_unfinished_run_on_other_inputs_is_refused(tmp_path: Path) -> None:
    first = run(tmp_path / "a", chosen(1, 2))
    second = run(tmp_path / "b", chosen(5, 6, 7), at_most=1)
    with pytest.raises(StoreError, match=r"2 of 3 inputs are not finished in .*b: inputs 6, 7"):
        store.merge([first, second], tmp_path / "c")


def test_runs_with_a_budget_are_not_joined(tmp_path: Path) -> None:
    rules = AdaptiveRecord(asked="Decide", budget=BudgetRecord(draws=9000))
    settings = replace(WHOLE, methods=(Method("anytime"),), adaptive=rules)
    row = {"lower_anytime": [0.1] * 3, "radius_anytime": [0.1] * 2}
    for name, index in (("a", 1), ("b", 2)):
        own = replace(settings, indices=(index,), n_inputs=1)
        with store.Writer(tmp_path / name, own) as writer:
            kept = {k: v for k, v in made(index).items() if not k.startswith(("lower", "radius"))}
            writer.append(kept | row)
            writer.finish()
    with pytest.raises(StoreError, match="has a budget for all its inputs together"):
        store.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    store.merge([tmp_path / "a"], tmp_path / "c")
    assert contents(tmp_path / "c") == contents(tmp_path / "a")


def test_older_formats_are_not_joined(tmp_path: Path) -> None:
    first = run(tmp_path / "a", chosen(1))
    table, _ = sealed.read_table(first / "results.parquet")
    older = replace(chosen(1), format=5)
    kept = table.select(schema(older).names).cast(schema(older))
    sealed.write_table(kept, tmp_path / "b" / "results.parquet")
    with pytest.raises(StoreError, match="b has format 5, which this version reads but does not"):
        store.merge([first, tmp_path / "b"], tmp_path / "c")


def test_arguments_that_name_no_folders(tmp_path: Path) -> None:
    first = run(tmp_path / "a", chosen(1))
    with pytest.raises(ValueError, match="folders must name at least one"):
        store.merge([], tmp_path / "c")
    with pytest.raises(ValueError, match="out must be another folder"):
        store.merge([first], tmp_path / "b" / ".." / "a")
    with pytest.raises(StoreError, match="there is no results folder"):
        store.merge([first, tmp_path / "b"], tmp_path / "c")


# --- again, at once, and killed ----------------------------------------------------------------


def test_the_same_merge_again_changes_nothing(tmp_path: Path) -> None:
    first = run(tmp_path / "a", chosen(1, 2), seconds=1.0)
    second = run(tmp_path / "b", chosen(2, 3), seconds=2.0)
    path = store.merge([first, second], tmp_path / "c")
    before = path.stat()
    assert store.merge([second, first], tmp_path / "c") == path
    after = path.stat()  # reading may change the time of access
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns, after.st_size) == (
        before.st_ino, before.st_mtime_ns, before.st_ctime_ns, before.st_size,
    )  # fmt: skip


def test_a_folder_that_holds_something_else_is_kept(tmp_path: Path) -> None:
    first = run(tmp_path / "a", chosen(1, 2))
    other = run(tmp_path / "b", chosen(1, 2), mean_score=0.25)
    more = run(tmp_path / "d", chosen(1, 2, 3))
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "notes.txt").write_text("mine")
    before = contents(first)
    for source, out, said in (
        (other, first, r"a holds other results \(.*input 1 was certified twice, and mean_score"),
        (more, first, r"a holds other results \(indices: was \(1, 2\), now \(1, 2, 3\)"),
        (first, tmp_path / "e", r"empty or missing for a new run, and holds notes\.txt"),
    ):
        with pytest.raises(StoreError, match=said):
            store.merge([source], out)
    assert contents(first) == before
    certify(tmp_path / "f", 0)
    with pytest.raises(StoreError, match="holds a run in shards"):
        store.merge([first], tmp_path / "f")


def test_of_two_merges_at_once_the_second_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = run(tmp_path / "a", chosen(1, 2)), run(tmp_path / "b", chosen(3))
    others = [run(tmp_path / "d", chosen(1, 2)), run(tmp_path / "e", chosen(1, 3))]
    seal = sealed.seal

    def while_another_merges(out: Path, *folders: Path) -> Any:
        def sealing(file: Any) -> None:
            monkeypatch.setattr(sealed, "seal", seal)
            store.merge(folders, out)
            seal(file)

        return sealing

    for k, folders in enumerate(([first, second], [second, *others])):
        out = tmp_path / f"out{k}"
        monkeypatch.setattr(sealed, "seal", while_another_merges(out, first, second))
        store.merge(folders, out)
        assert names(out) == ["results.parquet"]
    monkeypatch.setattr(sealed, "seal", while_another_merges(tmp_path / "x", first, second))
    with pytest.raises(StoreError, match="x holds other results"):
        store.merge([first], tmp_path / "x")
    assert store.load(tmp_path / "x").array("index").tolist() == [1, 2, 3]


def test_of_many_merges_at_once_one_writes(tmp_path: Path) -> None:
    for index in range(3):
        certify(tmp_path / "a", index)
    for trial in range(3):
        out = tmp_path / f"out{trial}"
        with ThreadPoolExecutor(4) as pool:
            every = [pool.submit(forks.run, merge, [tmp_path / "a"], out) for _ in range(4)]
            assert [one.result().returncode for one in every] == [0] * 4
        assert names(out) == ["results.parquet"]
        assert contents(out) == contents(tmp_path / "a")


@pytest.mark.parametrize("moment", ["seal", "sync_folder"])
def test_a_merge_that_is_killed_leaves_no_half(tmp_path: Path, moment: str) -> None:
    folders = [run(tmp_path / "a", chosen(1, 2)), run(tmp_path / "b", chosen(3))]
    out = tmp_path / "c"
    done = forks.run(merge_and_die, moment, folders, out)
    assert done.returncode == -signal.SIGKILL
    shown = [name for name in names(out) if not name.startswith(".")]
    assert shown == (["results.parquet"] if moment == "sync_folder" else [])
    assert len(names(out)) == len(shown) + 1  # its draft
    store.merge(folders, out)
    assert names(out) == ["results.parquet"]
    assert store.load(out).array("index").tolist() == [1, 2, 3]


def test_no_room_on_the_disk_leaves_nothing(tmp_path: Path) -> None:
    folders = [run(tmp_path / "a", chosen(1, 2)), run(tmp_path / "b", chosen(3))]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StoreError, match=r"cannot write .*results\.parquet: File too large"):
            store.merge(folders, tmp_path / "c")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path / "c") == []
    store.merge(folders, tmp_path / "c")


class FullDisk:
    """A file on a disk that has room for some more bytes."""

    def __init__(self, file: BinaryIO, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: Any) -> int:
        self._room -= len(memoryview(data).cast("B"))
        if self._room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._file.write(data)

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("held", [1 << 24, 1])
def test_a_full_disk_at_any_moment_leaves_nothing_half(
    tmp_path: Path, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_order, "_HELD", held)
    for index in range(3):
        certify(tmp_path / "a", index)
    before = contents(tmp_path / "a")
    size = store.merge([tmp_path / "a"], tmp_path / "whole").stat().st_size
    out, draft = tmp_path / "c", atomic._open_draft

    def with_room(room: int) -> Callable[[Path], tuple[Path, Any]]:
        def opened(path: Path) -> tuple[Path, Any]:
            name, file = draft(path)
            return name, FullDisk(file, room)

        return opened

    for room in (0, 4, size // 2, size - 24, size - 1):
        with monkeypatch.context() as patch:
            patch.setattr(atomic, "_open_draft", with_room(room))
            with pytest.raises(StoreError, match=r"cannot write .*results\.parquet: No space left"):
                store.merge([tmp_path / "a"], out)
        assert names(out) == []
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for function in ("fsync", "link"):
        with monkeypatch.context() as patch:
            patch.setattr(atomic.os, function, Mock(side_effect=full))
            with pytest.raises(StoreError, match=r"cannot write .*results\.parquet: No space left"):
                store.merge([tmp_path / "a"], out)
        assert names(out) == []
    store.merge([tmp_path / "a"], out)
    assert contents(out) == contents(tmp_path / "a") == before


@pytest.mark.parametrize("held", [1 << 24, 1])
def test_each_part_is_read_once_whatever_its_rows_take(
    tmp_path: Path, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_order, "_HELD", held)
    for index in range(3):
        certify(tmp_path / "a", index)
    read, seen = FinishedFile.read, list[tuple[str, bool]]()

    def counted(file: FinishedFile, columns: set[str], index: Any = None) -> Any:
        seen.append((file.path.parent.name[0], "sketch" in columns))
        return read(file, columns, index)

    monkeypatch.setattr(FinishedFile, "read", counted)
    store.merge([tmp_path / "a"], tmp_path / "c")
    # The first look is at index and status alone.
    assert seen == [(shard, whole) for whole in (False, True) for shard in "012"]


def test_a_row_of_no_input_of_the_run_is_named(tmp_path: Path) -> None:
    parts = [certify(tmp_path / "a", index) for index in range(3)]
    path = parts[1] / "results.parquet"
    table, _ = sealed.read_table(path)
    moved = pa.array([1, 4, 77], pa.int64())
    sealed.write_table(table.set_column(0, table.schema.field(0), moved), path)
    with pytest.raises(StoreError, match=r"1-of-3.* holds input 77, which is none of the run of"):
        store.load(tmp_path / "a")
    whole(tmp_path / "b")
    with pytest.raises(StoreError, match=r"1-of-3.* holds input 77, which is none of the run of"):
        store.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert names(tmp_path / "c") == []


def test_many_shards_take_few_open_files(tmp_path: Path) -> None:
    settings = replace(WHOLE, n_inputs=100)
    record = RunRecord(100, "", settings)
    for index in range(100):
        certify(tmp_path / "a", index, record=record)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(free := os.open(tmp_path, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 10, hard))
    try:
        store.merge([tmp_path / "a"], tmp_path / "c")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert contents(tmp_path / "c") == contents(whole(tmp_path / "whole", settings))
