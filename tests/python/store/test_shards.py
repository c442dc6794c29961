"""Runs in shards: who owns which input, what the shards agree on, and what a reader finds."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import forks
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sharded import RECORD, SHARDS, WHOLE, certify, contents, joined, made, whole, write_own_record
from stored import SETTINGS

from smoothbound import store
from smoothbound._files import atomic
from smoothbound.errors import StoreError
from smoothbound.store import Shard
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards import in_order, parts
from smoothbound.store._shards.environment import shard_of_environment
from smoothbound.store._shards.parts import join
from smoothbound.store._shards.record import RunRecord, read_record, write_record
from smoothbound.store._table import memory

SLURM = "SLURM_ARRAY_TASK_"


# --- which input belongs to which shard --------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 7), st.booleans())
def test_each_input_belongs_to_one_shard(count: int, n: int, skip: int, listed: bool) -> None:
    indices = tuple(range(5, 5 + 3 * n * skip, 3)) if listed else None
    settings = replace(SETTINGS, skip=skip, indices=indices, n_inputs=n)
    inputs = list(settings.inputs)
    assert inputs == [*(indices or range(n * skip))][::skip][:n]
    record = RunRecord(count, "", settings)
    shards = [Shard(i, count) for i in range(count) if i < n]
    owned = [list(record.of(shard).inputs) for shard in shards]
    assert sorted(one for own in owned for one in own) == inputs
    assert [record.of(shard).n_inputs for shard in shards] == [*map(len, owned)]
    assert max(map(len, owned)) - min(map(len, owned)) <= 1
    for shard, own in zip(shards, owned, strict=True):
        assert own == inputs[shard.index :: count]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "such as 0/8, or auto; got ''"), ("3", "such as 0/8"), ("3/", "such as 0/8"),
        ("/8", "such as 0/8"), ("a/8", "such as 0/8"), ("-1/8", "such as 0/8"),
        ("3/8/2", "such as 0/8"), ("3 / 8", "such as 0/8"), ("1.0/2", "such as 0/8"),
        ("²/8", "such as 0/8"), ("8/8", "from 0 to 7, got 8/8"), ("0/0", "n at least 1"),
        ("Auto", "such as 0/8"), ("1" * 5000 + "/8", "such as 0/8"),
    ],
)  # fmt: skip
def test_words_that_are_no_shard_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=rf"^shard must be i/n .*{said}"):
        Shard.parse(text)


@pytest.mark.parametrize(
    ("variables", "shard"),
    [
        ({SLURM + "ID": "0", SLURM + "COUNT": "4"}, Shard(0, 4)),
        ({SLURM + "ID": "4", SLURM + "MIN": "1", SLURM + "MAX": "8"}, Shard(3, 8)),
        (
            {SLURM + "ID": "5", SLURM + "MIN": "1", SLURM + "MAX": "7"}
            | {SLURM + "COUNT": "4", SLURM + "STEP": "2"},
            Shard(2, 4),
        ),
        ({"JOB_COMPLETION_INDEX": "7", "JOB_COMPLETION_COUNT": "8"}, Shard(7, 8)),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, Shard(1, 2)),
        (
            {SLURM + "ID": "1", SLURM + "COUNT": "2", "RANK": "1", "WORLD_SIZE": "2"},
            Shard(1, 2),
        ),
    ],
)  # fmt: skip
def test_a_scheduler_names_the_shard(variables: dict[str, str], shard: Shard) -> None:
    assert shard_of_environment(variables) == shard


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "none is set: SLURM_ARRAY_TASK_ID with .*; JOB_COMPLETION_INDEX .*; RANK with"),
        ({SLURM + "ID": "3"}, r"TASK_ID = 3, but not SLURM_ARRAY_TASK_COUNT \(or both"),
        ({SLURM + "ID": "3", SLURM + "MIN": "0"}, "TASK_MIN = 0, but not SLURM_ARRAY_TASK_COUNT"),
        ({SLURM + "COUNT": "3"}, "TASK_COUNT = 3, but not SLURM_ARRAY_TASK_ID"),
        ({SLURM + "ID": "", SLURM + "COUNT": "4"}, "TASK_ID = '', which must be a whole number"),
        ({SLURM + "ID": "-1", SLURM + "COUNT": "4"}, "TASK_ID = '-1', which must be a whole"),
        ({SLURM + "ID": "4", SLURM + "COUNT": "4"}, "TASK_ID = 4 and .*_COUNT = 4: .* 0 to 3"),
        (
            {SLURM + "ID": "5", SLURM + "COUNT": "2", SLURM + "MIN": "3", SLURM + "MAX": "5"},
            r"ID = 5, .*COUNT = 2, .*MIN = 3, .*MAX = 5, which .*--shard \$SLURM_ARRAY_TASK_ID/8",
        ),
        ({SLURM + "ID": "9", SLURM + "MIN": "0", SLURM + "MAX": "7"}, "ID = 9, .*MAX = 7, which"),
        ({"JOB_COMPLETION_INDEX": "3"}, "not JOB_COMPLETION_COUNT: add it to the manifest"),
        ({"JOB_COMPLETION_COUNT": "3"}, "but not JOB_COMPLETION_INDEX"),
        ({"RANK": "0"}, "RANK = 0, but not WORLD_SIZE"),
        ({"RANK": "0", "WORLD_SIZE": ""}, "WORLD_SIZE = '', which must be a whole number"),
        ({"RANK": "0", "WORLD_SIZE": "0"}, "WORLD_SIZE = 0: the first must"),
        ({"RANK": "two", "WORLD_SIZE": "4"}, "RANK = 'two', which must be a whole number"),
        (
            {"RANK": "0", "WORLD_SIZE": "1", SLURM + "ID": "0", SLURM + "COUNT": "4"},
            "contradict each other: SLURM_ARRAY_TASK_ID .* say 0/4; RANK .* say 0/1",
        ),
    ],
)
def test_variables_that_name_no_shard_are_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=f"shard auto .*{said}"):
        shard_of_environment(variables)


# --- what the shards agree on ------------------------------------------------------------------


def test_the_first_shard_writes_the_record_and_all_others_keep_it(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    assert write_record(tmp_path, RECORD) == RECORD
    other = replace(RECORD, settings=replace(WHOLE, batch_size=7))
    assert write_record(tmp_path, other) == RECORD
    assert read_record(tmp_path) == RECORD
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["settings.json"]


def test_of_many_processes_that_begin_at_once_one_writes_the_record(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        processes = [pool.submit(forks.run, write_own_record, tmp_path, k) for k in range(1, 5)]
        said = {one.result().stdout for one in processes}
    record = read_record(tmp_path)
    assert record is not None
    assert said == {f"{record.settings.batch_size}\n"}


CHANGES: dict[str, Any] = {
    "sigma": 0.5, "alpha": 0.01, "checkpoint_sha256": "1" * 64, "data": "cifar10", "n_inputs": 9,
    "batch_size": 7, "channels_last": True, "threads": 2, "precision": "bfloat16", "device": "cuda",
    "skip": 2, "seed": 4, "versions": {"smoothbound": "0.1.0", "torch": "2.5"},
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_another_setting_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    certify(tmp_path, 0)
    before = contents(tmp_path)
    other = replace(RECORD, settings=replace(WHOLE, **{name: CHANGES[name]}))
    named = "version of torch" if name == "versions" else name
    with pytest.raises(StoreError, match=f"a run in shards with other settings: .*{named}: was"):
        joined(tmp_path, 1, other)
    assert contents(tmp_path) == before


def test_another_number_of_shards_is_refused(tmp_path: Path) -> None:
    certify(tmp_path, 0)
    with pytest.raises(StoreError, match="other settings: number of shards: was 3, now 4"):
        joined(tmp_path, 1, replace(RECORD, shards=4))


def test_other_data_of_the_same_name_are_refused(tmp_path: Path) -> None:
    certify(tmp_path, 0)
    with pytest.raises(StoreError, match="other settings: data: its labels or its first image"):
        joined(tmp_path, 1, replace(RECORD, data="1" * 32))


def test_the_number_of_a_device_is_no_difference(tmp_path: Path) -> None:
    first = replace(RECORD, settings=replace(WHOLE, device="cuda:0"))
    joined(tmp_path, 0, first)
    _, settings = joined(tmp_path, 1, replace(RECORD, settings=replace(WHOLE, device="cuda:3")))
    assert settings.device == "cuda:0"


def test_more_shards_than_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shard must be one of at most 10, because 10 inputs"):
        joined(tmp_path, 0, replace(RECORD, shards=11))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("position", [0, 5, 40, -30])
def test_a_damaged_record_is_refused(tmp_path: Path, position: int) -> None:
    certify(tmp_path, 0)
    path = tmp_path / "shards" / "settings.json"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    for act in (store.load, store.status, lambda folder: joined(folder, 1)):
        with pytest.raises(StoreError, match=r"settings\.json is damaged"):
            act(tmp_path)


def test_a_record_with_one_number_changed_is_refused(tmp_path: Path) -> None:
    certify(tmp_path, 0)
    path = tmp_path / "shards" / "settings.json"
    content = json.loads(path.read_text())
    content["settings"]["sigma"] = 0.26
    path.write_text(json.dumps(content))
    with pytest.raises(StoreError, match=r"settings\.json is damaged .*checksum"):
        store.load(tmp_path)


def test_a_record_that_is_lost_is_written_by_the_next_shard(tmp_path: Path) -> None:
    certify(tmp_path, 0)
    (tmp_path / "shards" / "settings.json").unlink()
    for act in (store.load, store.status):
        with pytest.raises(StoreError, match=r"settings\.json is missing"):
            act(tmp_path)
    certify(tmp_path, 1)
    assert len(store.load(tmp_path)) == 7


def test_shards_and_other_runs_keep_out_of_each_others_folders(tmp_path: Path) -> None:
    whole(tmp_path / "whole")
    with pytest.raises(StoreError, match=r"empty or missing for a new run, and holds results"):
        joined(tmp_path / "whole", 0)
    certify(tmp_path / "shards", 0)
    for resume in (False, True):
        with pytest.raises(StoreError, match="holds a run in shards: state --shard i/n"):
            store.Writer(tmp_path / "shards", WHOLE, resume=resume)


# --- a shard that goes on, and one that runs twice ----------------------------------------------


def on(machine: str, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(parts, "machine", lambda: machine)


def test_the_name_of_a_machine_is_a_name_of_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parts.machine() == parts.machine()
    monkeypatch.setattr("platform.node", lambda: "nöde.7/../x y")
    assert parts.machine().startswith("n-de-7-x-y-")
    monkeypatch.setattr(parts, "_BOOT", Path("/nowhere"))
    monkeypatch.setattr("platform.node", lambda: "")
    assert parts.machine().startswith("host-")


def test_a_shard_goes_on_where_it_was(tmp_path: Path) -> None:
    part = certify(tmp_path, 1, at_most=2)
    assert certify(tmp_path, 1, at_most=0) == part
    assert store.load(tmp_path).array("index").tolist() == [1, 4]
    certify(tmp_path, 1)
    assert store.load(part).complete
    assert certify(tmp_path, 1) == part


def test_a_shard_goes_on_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("one", monkeypatch)
    first = certify(tmp_path, 1, at_most=1, seconds=0.25)
    on("two", monkeypatch)
    second = certify(tmp_path, 1, at_most=1, seconds=0.5)
    assert second != first
    assert store.load(tmp_path).array("index").tolist() == [1, 4]
    on("one", monkeypatch)
    assert certify(tmp_path, 1, seconds=1.0) == first
    results = store.load(first)
    assert results.complete
    assert results.array("seconds").tolist() == [0.25, 0.5, 1.0]
    on("three", monkeypatch)
    assert certify(tmp_path, 1) == first  # it is finished


def test_what_a_stopped_input_has_drawn_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(machine: str, n_draws: int) -> Path:
        on(machine, monkeypatch)
        part, settings = joined(tmp_path, 1)
        with store.Writer(part, settings, resume=True) as writer:
            writer.append(made(1, status="stopped", n_draws=n_draws))
        return part

    stopped("one", 40)
    stopped("two", 90)
    on("three", monkeypatch)
    part, settings = joined(tmp_path, 1)
    with store.Writer(part, settings, resume=True) as writer:
        assert {i: row["n_draws"] for i, row in writer.stopped.items()} == {1: 90}
        assert not writer.done
        writer.append(made(1))
    table = store.load(tmp_path).table
    assert (table["status"].to_pylist(), table["n_draws"].to_pylist()) == (["abstained"], [1000])


def test_a_shard_that_runs_is_refused_on_its_own_machine_and_on_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, settings = joined(tmp_path, 1)
    with store.Writer(part, settings, resume=True) as writer:
        with pytest.raises(StoreError, match="another run is writing to"):
            certify(tmp_path, 1)
        on("another", monkeypatch)
        with pytest.raises(StoreError, match=r"another process certifies shard 1/3 of .*1-of-3"):
            certify(tmp_path, 1)
        certify(tmp_path, 2)
        writer.append(made(1))
    certify(tmp_path, 1)


def test_a_shard_that_runs_twice_is_harmless_where_locks_do_not_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a shared file system whose locks are those of each machine alone."""
    monkeypatch.setattr(parts, "is_locked", lambda path: False)
    for index in (0, 2):
        certify(tmp_path, index)
    writers = []
    for name in ("one", "two"):
        on(name, monkeypatch)
        part, settings = joined(tmp_path, 1)
        writers.append(store.Writer(part, settings, resume=True))
    for index in (1, 4, 7):
        for seconds, writer in enumerate(writers):
            writer.append(made(index, seconds=float(seconds)))
        assert len(store.load(tmp_path)) == 7 + (index + 2) // 3
    for writer in writers:
        writer.finish()
        assert contents(tmp_path) == contents(whole(tmp_path.with_name(f"w{id(writer)}")))


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(atomic.fcntl, "flock", refuse)
    with pytest.raises(StoreError, match=r"cannot lock .*Function not implemented.*flock"):
        certify(tmp_path, 1)


def test_the_look_of_another_program_at_a_lock_does_not_stop_a_run(tmp_path: Path) -> None:
    path = tmp_path / "journal.bin"
    path.touch()
    assert not atomic.is_locked(path)
    assert not atomic.is_locked(tmp_path / "missing")
    fd = os.open(path, os.O_RDONLY)
    atomic.fcntl.flock(fd, atomic.fcntl.LOCK_SH)
    calls = []

    def pause(seconds: float) -> None:
        calls.append(seconds)
        os.close(fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.time, "sleep", pause)
        held = atomic.lock(path)
    assert len(calls) == 1
    assert atomic.is_locked(path)
    os.close(held)


# --- reading -----------------------------------------------------------------------------------


@pytest.fixture(params=[1 << 24, 1], ids=["in memory", "in a temporary file"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_order, "_HELD", request.param)
    monkeypatch.setattr(memory, "_ROWS", 2)


@pytest.mark.usefixtures("held")
def test_finished_shards_read_as_the_single_run(tmp_path: Path) -> None:
    for index in (2, 0, 1):
        certify(tmp_path / "shards", index)
    assert contents(tmp_path / "shards") == contents(whole(tmp_path / "whole"))
    with store.open_folder(tmp_path / "shards") as a, store.open_folder(tmp_path / "whole") as b:
        assert a.complete
        assert len(a) == len(b) == 10
        assert a.schema == b.schema
        for columns, filters in ((["index", "lower_mean"], None), (["label"], [("label", ">", 1)])):
            some, others = (pa.concat_tables(list(one.batches(columns, filters))) for one in (a, b))
            assert some.to_pylist() == others.to_pylist()
        for wanted in (None, [3, 8]):
            counts = [
                np.concatenate([one.counts for one in stored.sketches(wanted)]) for stored in (a, b)
            ]
            np.testing.assert_array_equal(*counts)
        with pytest.raises(StoreError, match="input 12 has no sketch"):
            next(a.sketches([12]))


@pytest.mark.usefixtures("held")
def test_unfinished_shards_read_as_what_there_is(tmp_path: Path) -> None:
    certify(tmp_path, 2)
    certify(tmp_path, 0, at_most=2)
    with store.open_folder(tmp_path) as stored:
        assert not stored.complete
        assert len(stored) == 5
        (*_, last) = stored.batches(["index"])
        assert last["index"].to_pylist()[-1] == 8
    results = store.load(tmp_path)
    assert results.array("index").tolist() == [0, 2, 3, 5, 8]
    assert not results.complete
    assert "5 inputs (of 10, not complete)" in repr(results)


def test_a_shard_reads_as_a_run_of_its_own(tmp_path: Path) -> None:
    part = certify(tmp_path, 1)
    results = store.load(part)
    assert results.complete
    assert results.array("index").tolist() == [1, 4, 7]
    assert results.settings.shard == Shard(1, 3)


def test_a_lost_shard_is_missing_and_nothing_else(tmp_path: Path) -> None:
    found = [certify(tmp_path, index) for index in range(3)]
    (found[1] / "results.parquet").unlink()
    found[1].rmdir()
    assert not store.load(tmp_path).complete
    assert store.status(tmp_path).shards[1].state == "not started"
    certify(tmp_path, 1)
    assert store.load(tmp_path).complete


@pytest.mark.parametrize("finished", [True, False])
def test_a_truncated_shard_is_an_error_or_lacks_its_end(tmp_path: Path, finished: bool) -> None:
    certify(tmp_path, 0)
    part = certify(tmp_path, 1, at_most=10 if finished else 2)
    path = part / ("results.parquet" if finished else "journal.bin")
    path.write_bytes(path.read_bytes()[:-100])
    if finished:
        with pytest.raises(StoreError, match=r"1-of-3.*results\.parquet is cut short"):
            store.load(tmp_path)
        status = store.status(tmp_path).shards[1]
        assert status.state == "damaged"
        assert "is cut short" in status.reason
    else:
        assert store.load(tmp_path).array("index").tolist() == [0, 1, 3, 6, 9]


def test_a_damaged_journal_is_an_error_until_it_is_salvaged(tmp_path: Path) -> None:
    part = certify(tmp_path, 1, at_most=2)
    path = part / "journal.bin"
    data = bytearray(path.read_bytes())
    data[-300] ^= 1
    path.write_bytes(data)
    for act in (store.load, lambda folder: certify(folder, 1)):
        with pytest.raises(StoreError, match="is damaged at byte"):
            act(tmp_path)
    assert store.status(tmp_path).shards[1].state == "damaged"


def test_what_is_whole_of_a_damaged_part_of_another_machine_is_salvaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = certify(tmp_path, 1, at_most=2)
    path = part / "journal.bin"
    data = bytearray(path.read_bytes())
    data[-300] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr(parts, "machine", lambda: "other")
    with pytest.raises(StoreError, match="is damaged at byte"):
        join(tmp_path, RECORD, Shard(1, 3))
    own = join(tmp_path, RECORD, Shard(1, 3), salvage=True)
    assert own != part
    assert store.load(own).array("index").tolist() == [1]
    assert path.read_bytes() == data


def test_a_part_of_another_run_is_refused(tmp_path: Path) -> None:
    certify(tmp_path / "a", 0)
    other = replace(RECORD, settings=replace(WHOLE, seed=4))
    part = certify(tmp_path / "b", 1, record=other)
    part.rename(tmp_path / "a" / "shards" / part.name)
    with pytest.raises(StoreError, match=r"1-of-3.* does not belong to the run .*seed: was 3, now"):
        store.load(tmp_path / "a")
    assert store.status(tmp_path / "a").shards[1].state == "damaged"


def test_a_part_under_the_name_of_another_shard_is_refused(tmp_path: Path) -> None:
    part = certify(tmp_path, 0)
    part.rename(part.with_name("1-of-3.x"))
    with pytest.raises(StoreError, match=r"1-of-3\.x does not belong .*its files are of 0/3"):
        store.load(tmp_path)


def test_a_file_that_is_replaced_after_its_check_is_noticed(tmp_path: Path) -> None:
    for index in range(SHARDS):
        part = certify(tmp_path, index)
    with store.open_folder(tmp_path) as stored:
        path = part / "results.parquet"
        (part / "copy").write_bytes(path.read_bytes())
        (part / "copy").replace(path)
        with pytest.raises(StoreError, match="was replaced while it was read"):
            list(stored.batches(["index"]))


def test_other_files_among_the_shards_are_left_alone(tmp_path: Path) -> None:
    certify(tmp_path, 0)
    (tmp_path / "shards" / "log.txt").write_text("hello")
    (tmp_path / "shards" / "1-of-3.gone").mkdir()
    (tmp_path / "slurm-7.out").write_text("hello")
    assert len(store.load(tmp_path)) == 4
    certify(tmp_path, 1)


# --- status ------------------------------------------------------------------------------------


def test_the_status_of_every_kind_of_shard(tmp_path: Path) -> None:
    settings = replace(WHOLE, n_inputs=12)
    record = RunRecord(4, "", settings)
    certify(tmp_path, 0, record=record, seconds=2.0)
    certify(tmp_path, 1, at_most=2, record=record, seconds=4.0)
    part, own = joined(tmp_path, 2, record)
    with store.Writer(part, own, resume=True) as writer:
        writer.append(made(2, seconds=8.0))
        failed = {"status": "failed", "selected": -1, "n_draws": 0, "n_selection": 0}
        writer.append(made(6, seconds=0.0, top_count=0, **failed))
        run = store.status(tmp_path)
    assert run.settings == settings
    states = [one.state for one in run.shards]
    assert states == ["finished", "stopped", "running", "not started"]
    assert [one.done for one in run.shards] == [3, 2, 2, 0]
    assert [one.failed for one in run.shards] == [0, 0, 1, 0]
    assert [one.n_draws for one in run.shards] == [3030, 2020, 1010, 0]
    assert [one.rate for one in run.shards] == [505.0, 252.5, 126.25, None]
    assert [one.seconds_left for one in run.shards] == [0.0, 4.0, 4.0, None]
    assert (run.rate, run.seconds_left) == (126.25, 4.0)
    assert not run.complete
    assert run.count("running") == 1
    assert [run.total(name) for name in ("done", "failed", "n_draws")] == [7, 1, 6060]


def test_the_status_of_a_run_without_shards(tmp_path: Path) -> None:
    with store.Writer(tmp_path, WHOLE) as writer:
        writer.append(made(0))
        (one,) = store.status(tmp_path).shards
        assert (one.shard, one.state, one.done, one.n_inputs) == (None, "running", 1, 10)
    assert store.status(tmp_path).shards[0].state == "stopped"
    with store.Writer(tmp_path, WHOLE, resume=True) as writer:
        for index in range(1, 10):
            writer.append(made(index))
        writer.finish()
    assert store.status(tmp_path).complete


def test_inputs_of_several_machines_are_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for machine in ("one", "two"):
        on(machine, monkeypatch)
        certify(tmp_path, 1, at_most=1)
    one = store.status(tmp_path).shards[1]
    assert (one.done, one.n_draws, one.state) == (2, 2020, "stopped")


def test_the_settings_of_a_shard_come_back_from_json() -> None:
    settings = RECORD.of(Shard(1, 3))
    assert RunSettings.from_json(settings.to_json()) == settings
    with pytest.raises(StoreError, match="shard must have an index and a count"):
        RunSettings.from_json(json.dumps(json.loads(settings.to_json()) | {"shard": [1, 3]}))
