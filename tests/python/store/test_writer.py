"""A run keeps every finished input, whether it is stopped, killed or out of room."""

from __future__ import annotations

import dataclasses
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stored
from hypothesis import given, settings
from hypothesis import strategies as st
from stored import INDICES, SETTINGS, contents, frame_ends, row, write

from smoothbound import store
from smoothbound._files import atomic
from smoothbound.errors import StoreError
from smoothbound.store import _folder, _writer


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"colour": 1}, "colour"),
        ({"lower_mean": [0.1]}, "expected 3"),
        ({"label": None}, "label"),
        ({"label": "cat"}, "cat"),
        ({"index": 0}, "not done yet, got 0"),
        ({"index": "1"}, "not done yet, got '1'"),
    ],
)
def test_a_wrong_row_is_refused_and_not_written(
    tmp_path: Path, wrong: dict[str, object], said: str
) -> None:
    with store.Writer(tmp_path, SETTINGS) as writer:
        writer.append(row(0))
        before = (tmp_path / "journal.bin").read_bytes()
        with pytest.raises((ValueError, TypeError), match=said):
            writer.append(row(2) | wrong)
        assert (tmp_path / "journal.bin").read_bytes() == before
        lacking = row(2)
        del lacking["seconds"]
        with pytest.raises(ValueError, match="seconds"):
            writer.append(lacking)
        writer.append(row(2))
    assert store.load(tmp_path).array("index").tolist() == [0, 2]


@pytest.fixture(params=["before the file is opened", "before it is locked"])
def finish_in_between(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call it with a writer, which then finishes while the next one is being opened."""

    def prepare(other: store.Writer) -> None:
        name = "lock" if request.param == "before the file is opened" else "require_plain"
        module = _writer if name == "lock" else atomic
        real = getattr(module, name)

        def late(*args: Any) -> Any:
            monkeypatch.setattr(module, name, real)
            other.finish()
            return real(*args)

        monkeypatch.setattr(module, name, late)

    return prepare


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("alpha", [SETTINGS.alpha, 0.5])
def test_a_run_that_finishes_while_another_begins_is_kept(
    tmp_path: Path, finished: Path, finish_in_between: Any, resume: bool, alpha: float
) -> None:
    folder = tmp_path / "one"
    with store.Writer(folder, SETTINGS) as first:
        for index in INDICES:
            first.append(row(index))
        finish_in_between(first)
        changed = dataclasses.replace(SETTINGS, alpha=alpha)
        with pytest.raises(StoreError, match="another run has just finished in"):
            store.Writer(folder, changed, resume=resume)
    assert contents(folder) == contents(finished)
    assert [path.name for path in folder.iterdir()] == ["results.parquet"]


def test_a_run_that_finishes_while_it_is_read_is_read(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "one"
    with store.Writer(folder, SETTINGS) as writer:
        for index in INDICES:
            writer.append(row(index))
        read = _folder.read_plain

        def late(path: Path) -> bytes:
            monkeypatch.setattr(_folder, "read_plain", read)
            writer.finish()
            return read(path)

        monkeypatch.setattr(_folder, "read_plain", late)
        results = store.load(folder)
    assert results.complete
    assert repr(results.table.to_pylist()) == repr(store.load(finished).table.to_pylist())


def test_resume_goes_on_where_the_run_stopped(tmp_path: Path, finished: Path) -> None:
    folder = tmp_path / "stopped"
    write(folder, INDICES[:2])
    with store.Writer(folder, SETTINGS, resume=True) as writer:
        assert writer.done == {0, 2}
        for index in INDICES[2:]:
            writer.append(row(index))
        writer.finish()
    assert contents(folder) == contents(finished)


def test_resume_of_a_finished_run_has_nothing_to_do(finished: Path) -> None:
    before = (finished / "results.parquet").read_bytes()
    with store.Writer(finished, SETTINGS, resume=True) as writer:
        assert writer.done == set(INDICES)
        writer.finish()
    assert (finished / "results.parquet").read_bytes() == before
    assert len(list(finished.iterdir())) == 1


def test_resume_with_nothing_there_starts_a_run(tmp_path: Path) -> None:
    assert write(tmp_path / "new", INDICES[:1], resume=True).done == {0}


def test_results_are_never_overwritten_unasked(tmp_path: Path, finished: Path) -> None:
    with pytest.raises(StoreError, match=r"finished run \(5 of 5 inputs\).*--resume"):
        store.Writer(finished, SETTINGS)
    assert store.load(finished).complete
    assert len(list(finished.iterdir())) == 1
    write(tmp_path / "b", INDICES[:2])
    with pytest.raises(StoreError, match=r"that was stopped \(2 of 5 inputs\).*--resume"):
        store.Writer(tmp_path / "b", SETTINGS)
    assert len(store.load(tmp_path / "b").table) == 2


def test_a_run_stopped_before_its_first_input_does_not_stand_in_the_way(tmp_path: Path) -> None:
    write(tmp_path, [])
    other = dataclasses.replace(SETTINGS, sigma=0.5)
    with store.Writer(tmp_path, other) as writer:
        writer.append(row(0))
    assert store.load(tmp_path).settings.sigma == 0.5


def test_only_one_run_writes_to_a_folder(tmp_path: Path) -> None:
    with store.Writer(tmp_path, SETTINGS) as writer:
        with pytest.raises(StoreError, match="another run is writing"):
            store.Writer(tmp_path, SETTINGS, resume=True)
        writer.append(row(0))
    assert write(tmp_path, INDICES[1:2], resume=True).done == {0, 2}


def store_has_settings(journal: bytes, cut: int) -> bool:
    return cut >= 8 + 12 + int.from_bytes(journal[8:12], "little") + 1


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_journal_cut_anywhere_loses_the_unfinished_input_only(
    journal: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    ends = frame_ends(journal)
    assert len(ends) == 6
    cut = data.draw(st.sampled_from(ends) | st.integers(0, len(journal)))
    tail = data.draw(st.sampled_from([b"", bytes(300), b"\xff" * 50]))
    folder = tmp_path_factory.mktemp("cut")
    path = folder / "journal.bin"
    path.write_bytes(journal[:cut] + (tail if cut >= 8 else b""))
    finished = INDICES[: max(sum(end <= cut for end in ends) - 1, 0)]
    if store_has_settings(journal, cut):
        assert store.load(folder).array("index").tolist() == finished
    else:
        with pytest.raises(StoreError, match="no results yet"):
            store.load(folder)
    with store.Writer(folder, SETTINGS, resume=True) as writer:
        assert writer.done == set(finished)
        for index in INDICES[len(finished) :]:
            writer.append(row(index))
        assert path.read_bytes() == journal
        writer.finish()
    assert store.load(folder).array("index").tolist() == INDICES


def test_a_kill_between_the_last_two_steps_is_tidied_up(finished: Path, journal: bytes) -> None:
    (finished / "journal.bin").write_bytes(journal)
    (finished / ".results.parquet.123.tmp").write_bytes(b"half of it")
    assert store.load(finished).complete
    with store.Writer(finished, SETTINGS, resume=True) as writer:
        assert writer.done == set(INDICES)
    assert [path.name for path in finished.iterdir()] == ["results.parquet"]


def test_a_killed_process_leaves_every_finished_input(tmp_path: Path) -> None:
    script = f"""
        import sys
        sys.path.insert(0, {str(Path(stored.__file__).parent)!r})
        from stored import SETTINGS, row, store
        writer = store.Writer({str(tmp_path)!r}, SETTINGS)
        for index in (0, 2, 4):
            writer.append(row(index))
            print(index, flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(3)] == ["0", "2", "4"]
        process.send_signal(signal.SIGKILL)
    assert store.load(tmp_path).array("index").tolist() == [0, 2, 4]
    assert write(tmp_path, INDICES[3:], resume=True).done == set(INDICES)


@pytest.fixture
def limit_file_size() -> Iterator[Any]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_room_for_an_input_keeps_those_before_it(
    tmp_path: Path, journal: bytes, limit_file_size: Any
) -> None:
    room = frame_ends(journal)[2] + 40  # two inputs and a little of the third
    with store.Writer(tmp_path, SETTINGS) as writer:
        writer.append(row(0))
        writer.append(row(2))
        limit_file_size(room)
        try:
            with pytest.raises(StoreError, match=r"cannot write .*: .*The 2 finished .*--resume"):
                writer.append(row(4))
        finally:
            limit_file_size(resource.RLIM_INFINITY)
        assert (tmp_path / "journal.bin").stat().st_size == frame_ends(journal)[2]
        writer.append(row(4))  # room was made meanwhile
    assert store.load(tmp_path).array("index").tolist() == [0, 2, 4]
    assert write(tmp_path, INDICES[3:], resume=True).done == set(INDICES)


def test_no_room_to_finish_keeps_the_journal(tmp_path: Path, limit_file_size: Any) -> None:
    write(tmp_path, INDICES)
    with store.Writer(tmp_path, SETTINGS, resume=True) as writer:
        limit_file_size(1000)
        try:
            with pytest.raises(StoreError, match=r"results\.parquet: .*The 5 finished inputs"):
                writer.finish()
        finally:
            limit_file_size(resource.RLIM_INFINITY)
        assert [path.name for path in tmp_path.iterdir()] == ["journal.bin"]
        writer.finish()
    assert store.load(tmp_path).complete


def test_no_room_to_begin(tmp_path: Path, limit_file_size: Any) -> None:
    limit_file_size(100)
    try:
        with pytest.raises(StoreError, match="The 0 finished inputs of 5"):
            store.Writer(tmp_path, SETTINGS)
    finally:
        limit_file_size(resource.RLIM_INFINITY)
    assert write(tmp_path, INDICES[:1]).done == {0}


def test_a_run_is_not_finished_while_an_input_is_stopped(tmp_path: Path) -> None:
    with store.Writer(tmp_path, SETTINGS) as writer:
        for index in INDICES[:-1]:
            writer.append(row(index))
        writer.append(row(INDICES[-1], status="stopped"))
        with pytest.raises(StoreError, match="holds 4 of 5 inputs"):
            writer.finish()
