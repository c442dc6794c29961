"""A journal is whole, was cut by a kill, or is damaged; only a person drops what is damaged."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored import INDICES, SETTINGS, contents, frame_ends, row, write

from smoothbound import store
from smoothbound._files import sealed
from smoothbound.errors import StoreError
from smoothbound.store import _writer
from smoothbound.store._table import journal as _journal
from smoothbound.store._table.journal import Journal

FEW = dataclasses.replace(SETTINGS, max_inputs=3, n_inputs=3)
MORE = dataclasses.replace(SETTINGS, max_inputs=5, n_inputs=5)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    write(tmp_path / "run", INDICES[:3])
    return tmp_path / "run" / "journal.bin"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- damage ----------------------------------------------------------------------------------


def test_a_flipped_bit_in_any_byte_is_an_error_that_names_the_byte(journal: Path) -> None:
    """Each byte has one bit flipped, all eight in heads; a CRC-32 sees every single bit alike."""
    whole = journal.read_bytes()
    ends = [8, (frame_ends(whole)[0] + 8) // 2, *frame_ends(whole)]
    heads = {start + k for start in (0, *ends) for k in range(-1, 12)}
    flips = [(i, bit) for i in range(len(whole)) for bit in (range(8) if i in heads else [i % 8])]
    for i, bit in flips:
        data = bytearray(whole)
        data[i] ^= 1 << bit
        at = max([end for end in ends if end <= i], default=0)
        with pytest.raises(StoreError, match=rf"damaged at byte {at}\b"):
            Journal.parse(journal, bytes(data))


def test_a_damaged_journal_is_left_as_it_is_by_everything(journal: Path) -> None:
    whole = journal.read_bytes()
    settings_frame, last = 100, len(whole) - 100
    for at in (settings_frame, frame_ends(whole)[0] + 100, last):
        journal.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        before = files(journal.parent)
        for act in (
            store.load,
            lambda folder: store.Writer(folder, SETTINGS),
            lambda folder: store.Writer(folder, SETTINGS, resume=True),
        ):
            with pytest.raises(StoreError, match=r"Nothing was changed.*--resume --salvage"):
                act(journal.parent)
        assert files(journal.parent) == before


@pytest.mark.parametrize("place", ["magic", "settings", "first input", "last input"])
def test_what_is_whole_can_be_salvaged(journal: Path, place: str) -> None:
    whole = journal.read_bytes()
    ends = frame_ends(whole)
    at, kept = {
        "magic": (3, {0, 2, 4}),
        "settings": (100, {0, 2, 4}),
        "first input": (ends[0] + 100, {2, 4}),
        "last input": (ends[3] - 3, {0, 2}),
    }[place]
    damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    journal.write_bytes(damaged)
    results = store.load(journal.parent, salvage=True)
    assert set(results.array("index").tolist()) == kept
    assert (results.settings, results.complete) == (SETTINGS, False)
    assert journal.read_bytes() == damaged
    with store.Writer(journal.parent, SETTINGS, resume=True, salvage=True) as writer:
        assert writer.done == kept
        with pytest.raises(StoreError, match="another run is writing"):
            store.Writer(journal.parent, SETTINGS, resume=True)
        for index in set(INDICES) - kept:
            writer.append(row(index))
        writer.finish()
    assert store.load(journal.parent).array("index").tolist() == INDICES
    assert (journal.parent / "journal.damaged").read_bytes() == damaged


def test_nothing_can_be_salvaged_without_settings_or_with_others(journal: Path) -> None:
    whole = journal.read_bytes()
    other = dataclasses.replace(SETTINGS, seed=4)
    damaged = whole[:-3] + b"abc"
    journal.write_bytes(damaged)
    with pytest.raises(StoreError, match="seed: was 3, now 4"):
        store.Writer(journal.parent, other, resume=True, salvage=True)
    assert files(journal.parent) == {"journal.bin": damaged}
    lost = whole[:8] + b"x" * (frame_ends(whole)[0] - 8) + whole[frame_ends(whole)[0] :]
    journal.write_bytes(lost)
    with pytest.raises(StoreError, match="both copies of its settings"):
        store.Writer(journal.parent, SETTINGS, resume=True, salvage=True)
    assert journal.read_bytes() == lost


def test_salvage_of_a_sound_journal_changes_nothing(journal: Path) -> None:
    before = files(journal.parent)
    with store.Writer(journal.parent, SETTINGS, resume=True, salvage=True) as writer:
        assert writer.done == {0, 2, 4}
    assert files(journal.parent) == before


@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_bytes_that_a_power_failure_left_unwritten_are_no_damage(
    journal: Path, byte: bytes
) -> None:
    whole = journal.read_bytes()
    *_, last, end = frame_ends(whole)
    for cut in (last, last + 5, last + 12, last + 700):
        journal.write_bytes(whole[:cut] + byte * (end - cut))
        assert len(store.load(journal.parent).table) == 2
    journal.write_bytes(whole + byte * 1_000_000)  # more than one input lacks
    with pytest.raises(StoreError, match=f"damaged at byte {len(whole)}"):
        store.load(journal.parent)


# --- more inputs -----------------------------------------------------------------------------


def finished_three(folder: Path) -> Path:
    with store.Writer(folder, FEW) as writer:
        for index in INDICES[:3]:
            writer.append(row(index))
        writer.finish()
    return folder


@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_a_run_goes_on_with_more_inputs(tmp_path: Path, state: str) -> None:
    if state == "finished":
        finished_three(tmp_path)
    else:
        with store.Writer(tmp_path, FEW) as writer:
            writer.append(row(0))
    with store.Writer(tmp_path, MORE, resume=True) as writer:
        for index in set(INDICES) - writer.done:
            writer.append(row(index))
            if state == "finished":  # what was finished stays so until all is
                assert store.load(tmp_path).settings == FEW
            else:
                assert store.load(tmp_path).settings == MORE
        writer.finish()
    results = store.load(tmp_path)
    assert results.settings == MORE
    assert results.array("index").tolist() == INDICES
    assert results.table["sketch"][3].as_py() == row(6)["sketch"]
    assert list(files(tmp_path)) == ["results.parquet"]


def test_more_inputs_stopped_and_taken_up_and_left_again(tmp_path: Path) -> None:
    finished_three(tmp_path)
    with store.Writer(tmp_path, MORE, resume=True) as writer:
        assert writer.done == {0, 2, 4}
        writer.append(row(6))
    left = files(tmp_path)
    with store.Writer(tmp_path, FEW, resume=True) as writer:  # asks for no more than it has
        writer.finish()
    assert files(tmp_path) == left
    with store.Writer(tmp_path, MORE, resume=True) as writer:
        assert writer.done == {0, 2, 4, 6}
        assert writer.spent == (4000, 2.0)
        writer.append(row(8))
        writer.finish()
        writer.finish()
    assert store.load(tmp_path).array("index").tolist() == INDICES


def test_a_kill_after_more_inputs_have_finished_is_tidied_up(tmp_path: Path) -> None:
    finished_three(tmp_path)
    with store.Writer(tmp_path, MORE, resume=True) as writer:
        writer.append(row(6))
        writer.append(row(8))
        journal = (tmp_path / "journal.bin").read_bytes()
        writer.finish()
    (tmp_path / "journal.bin").write_bytes(journal)
    with store.Writer(tmp_path, MORE, resume=True) as writer:
        assert writer.done == set(INDICES)
    assert list(files(tmp_path)) == ["results.parquet"]
    (tmp_path / "journal.bin").write_bytes(journal)
    most = dataclasses.replace(SETTINGS, max_inputs=6, n_inputs=6)
    with store.Writer(tmp_path, most, resume=True) as writer:
        assert writer.done == set(INDICES)
        assert writer.spent == (5000, 2.5)
        writer.append(row(7))
        writer.finish()
    assert store.load(tmp_path).array("index").tolist() == [0, 2, 4, 6, 7, 8]


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (MORE, FEW, "max_inputs: was 5, now 3"),
        (dataclasses.replace(SETTINGS, max_inputs=None), FEW, "max_inputs: was None, now 3"),
        (FEW, dataclasses.replace(MORE, seed=4), "seed: was 3, now 4"),
        (FEW, dataclasses.replace(FEW, n_inputs=5), "n_inputs: was 3, now 5"),
    ],
)
def test_other_inputs_are_not_more_inputs(
    tmp_path: Path, before: store.RunSettings, now: store.RunSettings, said: str
) -> None:
    with store.Writer(tmp_path, before) as writer:
        writer.append(row(0))
    with pytest.raises(StoreError, match=said):
        store.Writer(tmp_path, now, resume=True)


# --- what else lies in the folder ------------------------------------------------------------


def test_the_journal_of_another_run_beside_a_finished_one_is_kept(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    finished_three(one)
    other = dataclasses.replace(SETTINGS, seed=4)
    with store.Writer(two, other) as writer:
        writer.append(row(0))
    (one / "journal.bin").write_bytes((two / "journal.bin").read_bytes())
    before = files(one)
    for wanted, resume, said in (
        (FEW, True, "holds two runs: journal.bin is not of the run.*seed: was 3, now 4"),
        (FEW, False, "finished run"),
        (MORE, True, "holds two runs"),
        (other, True, "cannot resume .*seed: was 3, now 4"),
    ):
        with pytest.raises(StoreError, match=said):
            store.Writer(one, wanted, resume=resume)
        assert files(one) == before
    assert store.load(one).settings == FEW


def test_a_new_run_does_not_mix_with_other_files(tmp_path: Path) -> None:
    (tmp_path / ".hidden").touch()
    (tmp_path / "report.html").write_text("older")
    before = files(tmp_path)
    for resume in (False, True):
        with pytest.raises(StoreError, match=r"must be empty or missing .* holds report\.html; ch"):
            store.Writer(tmp_path, SETTINGS, resume=resume)
    assert files(tmp_path) == before


# --- older formats ---------------------------------------------------------------------------


WHY = {  # reasons of older formats, by the status that they stand for
    "failed": "failed: the model returned NaN or infinity",
    "budget": "the certified score of class 2 at R = 0 is 0, not above 0.5; budget spent after 5 d",
    "certified": "certified after 400 draws",
    "abstained": "the certified score of class 0 at R = 0 is 0.4, not above the cut-off 0.5",
}


def older(version: int) -> tuple[store.RunSettings, pa.Table]:
    """Settings and table as older versions wrote them, without `n_selection` and `state`.

    Before format 5 the class and the reason were all that told the status, and format 3 had no
    `digest` either.
    """
    settings = dataclasses.replace(SETTINGS, format=version)
    kinds = {
        "index": pa.int64(), "label": pa.int64(), "selected": pa.int64(), "predicted": pa.int64(),
        "reason": pa.string(), "class_radius": pa.float64(), "n_draws": pa.int64(),
        "top_count": pa.int64(), "mean_score": pa.float64(), "sketch": pa.binary(),
        "seconds": pa.float64(), "digest": pa.binary(), "status": pa.string(),
        "lower_mean": pa.list_(pa.float64(), 3), "radius_mean": pa.list_(pa.float64(), 2),
        "lower_cdf_dkw": pa.list_(pa.float64(), 3), "radius_cdf_dkw": pa.list_(pa.float64(), 2),
    }  # fmt: skip
    if version < 4:
        del kinds["digest"]
    if version < 5:
        del kinds["status"]
    rows = []
    for index, (status, why) in zip(INDICES, [*WHY.items(), ("abstained", "")], strict=True):
        predicted = index % 3 if status == "certified" else -1
        made = row(index, reason=why, predicted=predicted, status=status)
        rows.append({name: made[name] for name in kinds})
    fields = [pa.field(name, kind, nullable=False) for name, kind in kinds.items()]
    metadata = {b"smoothbound": settings.to_json().encode()}
    return settings, pa.Table.from_pylist(rows, schema=pa.schema(fields, metadata=metadata))


@pytest.mark.parametrize("version", [3, 4, 5])
def test_finished_runs_of_the_older_formats_open(tmp_path: Path, version: int) -> None:
    settings, table = older(version)
    path = tmp_path / "results.parquet"
    if version < 4:
        pq.write_table(table, path, write_page_checksum=True)
    else:
        sealed.write_table(table, path)
    results = store.load(tmp_path)
    assert results.settings == settings
    assert results.array("index").tolist() == INDICES
    assert results.array("status").tolist() == [*WHY, "abstained"]
    assert results.array("reason").tolist() == [*WHY.values(), ""]
    assert (results.failed, results.stopped_by_budget) == (1, 1)
    assert results.sketch().index.tolist() == INDICES
    for now in (SETTINGS, settings):
        with pytest.raises(StoreError, match=rf"format: was {version}, now 6|must have format 6"):
            store.Writer(tmp_path, now, resume=True)
    # A file of this format that lacks its checksum is no older file.
    table = store.load(finished_three(tmp_path / "new")).table
    pq.write_table(table, tmp_path / "new" / "results.parquet")
    with pytest.raises(StoreError, match="its checksum is gone"):
        store.load(tmp_path / "new")


def test_the_old_name_of_the_count_of_inputs_that_a_budget_ended_works(tmp_path: Path) -> None:
    sealed.write_table(older(4)[1], tmp_path / "results.parquet")
    with pytest.warns(DeprecationWarning, match="unpaid is now called stopped_by_budget"):
        assert store.load(tmp_path).unpaid == 1


def test_journals_of_the_older_format_open(tmp_path: Path) -> None:
    settings, table = older(3)

    def old_frame(payload: bytes) -> bytes:
        return struct.pack("<II", len(payload), zlib.crc32(payload)) + payload

    batches = [batch for i in range(5) for batch in table[i : i + 1].to_batches()]
    frames = [old_frame(table.schema.serialize().to_pybytes())]
    frames += [old_frame(batch.serialize().to_pybytes()) for batch in batches]
    whole = b"SMBOUND1" + b"".join(frames)
    path = tmp_path / "journal.bin"
    path.write_bytes(whole)
    assert contents(tmp_path)[0] == settings
    assert store.load(tmp_path).array("index").tolist() == INDICES
    assert store.load(tmp_path).array("status").tolist() == [*WHY, "abstained"]
    path.write_bytes(whole[:-30])
    assert store.load(tmp_path).array("index").tolist() == INDICES[:-1]
    for at in (8, 10, 100, 8 + len(frames[0]), 8 + len(frames[0]) + 2, len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StoreError, match="damaged at byte"):
            store.load(tmp_path)


def test_a_writer_that_adds_no_input_leaves_no_trace(journal: Path, tmp_path: Path) -> None:
    new = tmp_path / "some" / "new"
    with pytest.raises(ZeroDivisionError), store.Writer(new, SETTINGS):
        raise ZeroDivisionError
    assert not new.parent.exists()
    new.mkdir(parents=True)
    with store.Writer(new, SETTINGS) as writer:
        assert (new / "journal.bin").exists()
        writer.close()
    assert list(new.iterdir()) == []

    fewer = dataclasses.replace(SETTINGS, max_inputs=5)
    folder = tmp_path / "fewer"
    with store.Writer(folder, fewer) as writer:
        writer.append(row(0))
    before = files(folder)
    more = dataclasses.replace(SETTINGS, max_inputs=7, n_inputs=7)
    with store.Writer(folder, more, resume=True) as writer:
        assert files(folder) != before  # it holds the settings of more inputs
    assert files(folder) == before
    with store.Writer(folder, fewer, resume=True) as writer:
        assert writer.done == {0}


def test_a_run_goes_on_without_being_loaded_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.Writer(tmp_path / "whole", MORE) as writer:
        for index in INDICES:
            writer.append(row(index))
        writer.finish()
    expected = contents(tmp_path / "whole")
    for module, name in ((Journal, "table"), (sealed, "read_table"), (_writer, "read_plain")):
        monkeypatch.setattr(module, name, Mock(side_effect=AssertionError(name)))
    monkeypatch.setattr(_journal, "_AT_A_TIME", 1)
    for settings, parts in ((FEW, [[0], [2, 4], []]), (MORE, [[6], [8], []])):
        for indices in parts:
            with store.Writer(tmp_path / "run", settings, resume=True) as writer:
                for index in indices:
                    writer.append(row(index))
                if not indices:
                    writer.finish()
    assert [*writer.done] == INDICES
    monkeypatch.undo()
    assert contents(tmp_path / "run") == expected
