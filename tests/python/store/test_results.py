"""A results folder keeps every finished input, whatever happens to the run that writes it."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stored
from hypothesis import given, settings
from hypothesis import strategies as st
from stored import INDICES, SETTINGS, contents, counts, frame_ends, row, write

from smoothbound import store
from smoothbound._files import atomic, sealed
from smoothbound.anytime._record import AdaptiveRecord, BudgetRecord
from smoothbound.bounds._method import Method
from smoothbound.errors import StoreError
from smoothbound.sketch import _content
from smoothbound.store import _results, _writer
from smoothbound.store._commands import certify_command
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.shard import Shard
from smoothbound.store._table import packed_counts
from smoothbound.store._table.schema import schema


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    with store.Writer(folder, SETTINGS) as writer:
        for index in INDICES:
            writer.append(row(index))
        writer.finish()
    return folder


# --- what goes in comes out ------------------------------------------------------------------


def test_a_finished_run_is_one_parquet_file_with_its_settings(finished: Path) -> None:
    assert [path.name for path in finished.iterdir()] == ["results.parquet"]
    results = store.load(finished)
    assert results.complete
    assert results.settings == SETTINGS
    assert results.array("index").tolist() == INDICES
    assert results.array("reason")[1] == "grüße 2"
    assert results.array("lower_mean").tolist() == [[0.1, 1 / 3, index / 9] for index in INDICES]
    assert np.isnan(results.array("class_radius")).all()
    assert np.isnan(results.array("radius_mean")[:, 0]).all()
    assert (results.array("radius_mean")[:, 1] == 0.25).all()


def test_results_show_what_they_are_in_a_line(finished: Path) -> None:
    results = store.load(finished)
    assert len(results) == len(INDICES)
    assert repr(results) == (
        "Results of 5 inputs (complete): score of digits_cnn on digits, mean, cdf_dkw, n = 1000, "
        "sigma = 0.25, alpha = 0.001"
    )


def test_results_become_a_data_frame_of_one_number_a_column(finished: Path) -> None:
    pytest.importorskip("pandas")
    frame = store.load(finished).to_pandas()
    assert frame["index"].tolist() == INDICES
    assert frame["reason"].tolist() == [row(index)["reason"] for index in INDICES]
    assert not {"sketch", "digest"} & set(frame.columns)
    assert frame["lower_mean@0.25"].tolist() == [index / 9 for index in INDICES]
    assert frame["radius_cdf_dkw@0.5"].tolist() == [0.1] * len(INDICES)
    assert [name for name in frame.columns if name.startswith("radius_mean")] == [
        "radius_mean@0.5",
        "radius_mean@0.7",
    ]


def test_the_parquet_file_tells_its_settings_to_any_reader(finished: Path) -> None:
    metadata = pq.read_schema(finished / "results.parquet").metadata
    read = json.loads(metadata[b"smoothbound"])
    assert read["sigma"] == 0.25
    assert read["methods"] == [
        {"bound": "mean", "band": None, "n_bins": None, "mean": "hoeffding"},
        {"bound": "cdf", "band": "dkw", "n_bins": 100, "mean": None},
    ]


def test_an_unfinished_run_is_read_while_it_is_written(tmp_path: Path) -> None:
    with store.Writer(tmp_path, SETTINGS) as writer:
        with pytest.raises(StoreError, match="holds 0 of 5"):
            writer.finish()
        assert len(store.load(tmp_path).table) == 0
        for count, index in enumerate(INDICES, 1):
            writer.append(row(index))
            results = store.load(tmp_path)
            assert not results.complete
            assert results.array("index").tolist() == INDICES[:count]
            assert results.array("lower_mean").shape == (count, 3)


def test_rows_come_in_the_order_of_their_index(tmp_path: Path) -> None:
    write(tmp_path, INDICES[::-1])
    assert store.load(tmp_path).array("index").tolist() == INDICES
    with store.Writer(tmp_path, SETTINGS, resume=True) as writer:
        writer.finish()
    assert store.load(tmp_path).array("index").tolist() == INDICES


def test_a_parent_folder_named_like_a_column_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "sigma=0.25" / "seed=3"
    write(folder, INDICES)
    with store.Writer(folder, SETTINGS, resume=True) as writer:
        writer.finish()
    assert store.load(folder).settings == SETTINGS


@settings(max_examples=30, deadline=None)
@given(
    sigma=st.floats(1e-300, 1e300),
    radii=st.lists(st.floats(0, 1e300), min_size=1),
    cutoff=st.floats(-1, 1),
    name=st.text(),
)
def test_settings_survive_json_to_the_last_bit(
    sigma: float, radii: list[float], cutoff: float, name: str
) -> None:
    made = dataclasses.replace(
        SETTINGS, sigma=sigma, radii=tuple(radii), cutoff=cutoff, checkpoint=name
    )
    assert RunSettings.from_json(made.to_json()) == made
    assert made.differences(RunSettings.from_json(made.to_json())) == []


def test_a_plan_that_is_no_object_is_refused() -> None:
    text = SETTINGS.to_json().replace('"adaptive": null', '"adaptive": [1]')
    with pytest.raises(StoreError, match="adaptive must be an object"):
        RunSettings.from_json(text)


def test_rules_of_adaptive_draws_come_back_as_they_were() -> None:
    rules = AdaptiveRecord(
        asked="FindRadius",
        precision=0.1,
        strictness=0.5,
        correct_only=True,
        budget=BudgetRecord(draws=7, seconds=2.5),
    )
    made = dataclasses.replace(SETTINGS, adaptive=rules)
    assert RunSettings.from_json(made.to_json()) == made
    assert "--radius-precision=0.1" in certify_command(made, "out")
    assert "--budget-draws=7" in certify_command(made, "out")
    other = dataclasses.replace(made, adaptive=dataclasses.replace(rules, correct_only=False))
    assert made.differences(other) == ["adaptive correct_only: was True, now False"]
    finer = dataclasses.replace(made, adaptive=dataclasses.replace(rules, precision=0.05))
    assert made.differences(finer) == ["adaptive precision: was 0.1, now 0.05"]
    assert not made.goes_on_as(finer)


@pytest.mark.parametrize("version", [3, 4, 5])
def test_rules_of_draws_in_stages_are_read_and_kept(version: int) -> None:
    stages = {
        "asked": "FindRadius",
        "question": {"threshold": 0.5, "precision": 0.05},
        "sigma": 0.25,
        "stages": [{"n": 100, "alpha": 0.0005}, {"n": 1000, "alpha": 0.0005}],
        "budget": {"draws": 500, "seconds": None},
    }
    plain = json.loads(SETTINGS.to_json()) | {"format": version, "adaptive": stages}
    made = RunSettings.from_json(json.dumps(plain))
    assert made.adaptive is not None
    assert (made.adaptive.asked, made.adaptive.precision) == ("FindRadius", 0.05)
    assert made.adaptive.budget == BudgetRecord(draws=500)
    assert json.loads(made.to_json())["adaptive"] == stages
    command = certify_command(made, "out")
    assert "--radii" not in command
    assert "--adaptive --out out" in command


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"asked": "Guess"}, {"asked": "Decide", "strictness": -1}, {"asked": "Decide", "x": 1},
        {"asked": "Decide", "budget": {"hours": 1}}, {"asked": "Decide", "stages": {}},
        {"asked": "Decide", "budget": {"draws": 0}}, {"asked": "Decide", "correct_only": 1},
        {"asked": "FindRadius", "precision": 0.0},
    ],
)  # fmt: skip
def test_rules_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    plain = json.loads(SETTINGS.to_json()) | {"adaptive": {"test": "anytime", **wrong}}
    with pytest.raises(StoreError, match="adaptive"):
        RunSettings.from_json(json.dumps(plain))


@pytest.mark.parametrize("name", ["methods", "radii", "thresholds"])
def test_settings_need_a_method_a_radius_and_a_threshold(name: str) -> None:
    changed: dict[str, Any] = {name: ()}
    with pytest.raises(ValueError, match=f"{name} must not be empty"):
        dataclasses.replace(SETTINGS, **changed)


# --- a row is checked before it is written ---------------------------------------------------


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


# --- two processes in one folder -------------------------------------------------------------


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
        read = _results.read_plain

        def late(path: Path) -> bytes:
            monkeypatch.setattr(_results, "read_plain", read)
            writer.finish()
            return read(path)

        monkeypatch.setattr(_results, "read_plain", late)
        results = store.load(folder)
    assert results.complete
    assert repr(results.table.to_pylist()) == repr(store.load(finished).table.to_pylist())


# --- stopped and taken up again --------------------------------------------------------------


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


@pytest.mark.parametrize("complete", [True, False])
def test_resume_with_other_settings_is_refused_naming_each(tmp_path: Path, complete: bool) -> None:
    write(tmp_path, INDICES)
    if complete:
        with store.Writer(tmp_path, SETTINGS, resume=True) as writer:
            writer.finish()
    other = dataclasses.replace(
        SETTINGS, sigma=0.5, methods=(Method("mean"),), versions={"smoothbound": "0.1.0"}
    )
    with pytest.raises(StoreError) as caught:
        store.Writer(tmp_path, other, resume=True)
    said = str(caught.value)
    assert "sigma: was 0.25, now 0.5" in said
    assert "methods: was (" in said
    assert "version of torch: was '2.4', now None" in said
    assert "seed" not in said
    assert store.load(tmp_path).settings == SETTINGS


OTHERS = {
    "score_range": (-1.0, 1.0),
    "alpha": 0.002,
    "indices": (3, 4),
    "channels_last": True,
    "from_counts": True,
    "compile": "default",
    "outputs": "raw",
    "precision": "tf32",
    "select": "score",
    "classes": "all",
}


def test_each_setting_counts() -> None:
    for field in dataclasses.fields(RunSettings):
        value = getattr(SETTINGS, field.name)
        changed: Any
        if field.name in OTHERS:
            changed = OTHERS[field.name]
        elif field.name == "versions":
            changed = value | {"torch": "2.5"}
        elif field.name == "noise":
            changed = dataclasses.replace(value, grid=255)
        elif field.name == "adaptive":
            changed = {"asked": "Decide"}
        elif field.name == "shard":
            changed = Shard(0, 2)
        elif isinstance(value, tuple):
            changed = value[::-1]
        elif isinstance(value, bool):
            changed = not value
        elif isinstance(value, str):
            changed = value + "x"
        else:
            changed = (value or 0) + 1
        other = dataclasses.replace(SETTINGS, **{field.name: changed})
        (said,) = SETTINGS.differences(other)
        assert field.name in said or "version of torch" in said


def test_only_one_run_writes_to_a_folder(tmp_path: Path) -> None:
    with store.Writer(tmp_path, SETTINGS) as writer:
        with pytest.raises(StoreError, match="another run is writing"):
            store.Writer(tmp_path, SETTINGS, resume=True)
        writer.append(row(0))
    assert write(tmp_path, INDICES[1:2], resume=True).done == {0, 2}


# --- killed ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("journal")
    write(folder, INDICES)
    return (folder / "journal.bin").read_bytes()


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


# --- damaged, foreign, unreadable -------------------------------------------------------------


def test_damage_in_the_middle_is_told_not_cut_off(tmp_path: Path, journal: bytes) -> None:
    at = frame_ends(journal)[1] + 100  # in the second of five inputs
    path = tmp_path / "journal.bin"
    damaged = journal[:at] + bytes([journal[at] ^ 1]) + journal[at + 1 :]
    path.write_bytes(damaged)
    for act in (store.load, lambda folder: store.Writer(folder, SETTINGS, resume=True)):
        with pytest.raises(StoreError, match=r"damaged at byte \d+ of \d+, after 1 whole inputs"):
            act(tmp_path)
    assert path.read_bytes() == damaged


def test_a_long_row_cut_anywhere_after_short_ones_is_no_damage(tmp_path: Path) -> None:
    """Rows differ by the length of their packed scores: those of a sure input are a few bytes."""
    sure, broad = counts(0) * 0, counts(0) * 0
    sure[-1] = 1000
    rng = np.random.default_rng(1)
    broad[:] = np.bincount(rng.integers(0, broad.size, 1000), minlength=broad.size)
    with store.Writer(tmp_path, SETTINGS) as writer:
        for index, cells in zip((0, 2, 4), (sure, sure, broad), strict=True):
            writer.append(row(index, sketch=packed_counts.pack(cells)))
    path = tmp_path / "journal.bin"
    whole = path.read_bytes()
    *_, last, end = frame_ends(whole)
    assert end - last > 1000 + last - frame_ends(whole)[-3]
    for size in range(last, end, 7):
        path.write_bytes(whole[:size])
        assert store.load(tmp_path).array("index").tolist() == [0, 2]


@pytest.mark.parametrize("size", [0, 3, 100, -1])
def test_a_truncated_parquet_file_is_told(finished: Path, size: int) -> None:
    path = finished / "results.parquet"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StoreError, match=r"results\.parquet is cut short, damaged"):
        store.load(finished)
    with pytest.raises(StoreError, match=r"results\.parquet is cut short, damaged"):
        store.Writer(finished, SETTINGS, resume=True)


def test_what_is_not_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no results folder"):
        store.load(tmp_path / "typo")
    with pytest.raises(StoreError, match=r"neither results\.parquet nor journal\.bin"):
        store.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="no results folder"):
        store.load(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot write to"):
        store.Writer(tmp_path / "file", SETTINGS)
    (tmp_path / "journal.bin").write_text("dear diary")
    for act in (store.load, lambda folder: store.Writer(folder, SETTINGS, resume=True)):
        with pytest.raises(StoreError, match=r"journal\.bin was not written by smoothbound"):
            act(tmp_path)
    assert (tmp_path / "journal.bin").read_text() == "dear diary"


def tampered() -> Iterator[tuple[str, bytes | None, str]]:
    def changed(**values: object) -> bytes:
        return json.dumps(json.loads(SETTINGS.to_json()) | values).encode()

    yield "no settings", None, "no settings"
    yield "not JSON", b"{", "cannot be read"
    yield "not an object", b"[]", "cannot be read"
    yield "later format", changed(format=99), "format 99"
    yield "unknown setting", changed(colour="red"), "colour"
    yield "unknown method", changed(methods=[{"bound": "magic"}]), "magic"
    yield "other columns", changed(radii=[0.0]), "does not have the columns"
    yield "other count", changed(n_inputs=7), "holds 5 inputs, its settings say 7"


@pytest.mark.parametrize(
    ("metadata", "said"), [pytest.param(*case[1:], id=case[0]) for case in tampered()]
)
def test_a_parquet_file_with_other_metadata_is_refused(
    finished: Path, metadata: bytes | None, said: str
) -> None:
    path = finished / "results.parquet"
    table = pq.ParquetFile(path).read()
    pq.write_table(
        table.replace_schema_metadata({b"smoothbound": metadata} if metadata else None), path
    )
    with pytest.raises(StoreError, match=said):
        store.load(finished)


# --- no room on the disk ---------------------------------------------------------------------


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


def test_the_scores_of_every_input_can_be_certified_anew(finished: Path) -> None:
    sketch = store.load(finished).sketch()
    assert sketch.index.tolist() == INDICES
    assert sketch.n_draws.tolist() == [1000] * 5
    assert sketch.selected.tolist() == [0, 2, 1, 0, 2]  # though all were abstained from
    assert (sketch.sigma, sketch.measure, sketch.score_range) == (0.25, "score", (0.0, 1.0))
    assert sketch.noise == "lattice"
    for i, index in enumerate(INDICES):
        np.testing.assert_array_equal(sketch.counts[i], counts(index))


def test_the_old_name_of_the_index_works_and_warns(finished: Path) -> None:
    results = store.load(finished)
    with pytest.warns(DeprecationWarning, match="inputs is now called index"):
        former = results.sketch(inputs=[4])  # type: ignore[call-arg]
    assert former == results.sketch(index=[4])


def test_inputs_that_failed_have_no_sketch(tmp_path: Path) -> None:
    with store.Writer(tmp_path, SETTINGS) as writer:
        writer.append(row(0, n_draws=0, sketch=b""))
        with pytest.raises(StoreError, match="no input has a sketch"):
            store.load(tmp_path).sketch()
        writer.append(row(2))
        assert store.load(tmp_path).sketch().index.tolist() == [2]


def test_damaged_sketches_are_refused(tmp_path: Path) -> None:
    good = packed_counts.pack(counts(0))
    bomb = zlib.compress(bytes(10_000_000))
    missing = packed_counts.pack(counts(0) // 2)  # not the draws that the row has
    for i, bad in enumerate((b"", b"not deflated", good[:-9], good + b"x", bomb, missing)):
        with store.Writer(tmp_path / str(i), SETTINGS) as writer:
            writer.append(row(0, sketch=bad))
        with pytest.raises(StoreError, match="sketches of the results are damaged"):
            store.load(tmp_path / str(i)).sketch()


def test_adaptive_draws_leave_no_sketch(tmp_path: Path) -> None:
    adaptive = dataclasses.replace(SETTINGS, adaptive={"asked": "Decide"})
    with store.Writer(tmp_path, adaptive) as writer:
        writer.append(row(0, sketch=b""))
    with pytest.raises(StoreError, match="certify without --adaptive"):
        store.load(tmp_path).sketch()


def test_the_columns_are_those_of_the_methods() -> None:
    made = schema(SETTINGS)
    assert made.field("lower_cdf_dkw").type == pa.list_(pa.float64(), 3)
    assert made.field("radius_mean").type == pa.list_(pa.float64(), 2)
    assert made.names[-4:] == ["lower_mean", "radius_mean", "lower_cdf_dkw", "radius_cdf_dkw"]


def test_a_flipped_bit_in_any_byte_of_a_finished_run_is_an_error(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte has one bit flipped, all eight near the seal; a digest sees every bit alike."""
    path = finished / "results.parquet"
    whole = path.read_bytes()
    monkeypatch.setattr(sealed, "read_plain", lambda path: bytes(data))
    seal = whole.index(b"SBSEAL01")
    special = {*range(seal, seal + 24), *range(len(whole) - 8, len(whole))}
    flips = [(i, bit) for i in range(len(whole)) for bit in (range(8) if i in special else [i % 8])]
    for i, bit in flips:
        data = bytearray(whole)
        data[i] ^= 1 << bit
        with pytest.raises(StoreError, match="results"):
            store.load(finished)


# --- surroundings ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["results.parquet", "journal.bin"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "broken link"])
def test_what_stands_in_place_of_a_file_is_refused_at_once(
    tmp_path: Path, name: str, kind: str
) -> None:
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else tmp_path / "nowhere")
    acts = [store.load, lambda folder: store.Writer(folder, SETTINGS, resume=True)]
    for act in acts[: 1 if (name, kind) == ("journal.bin", "broken link") else 2]:
        with pytest.raises(StoreError, match=name.replace(".", r"\.")):
            act(tmp_path)


def test_a_folder_whose_name_is_no_text_holds_a_run(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff\xfe caf\xe9")
    write(folder, INDICES)
    with store.Writer(folder, SETTINGS, resume=True) as writer:
        writer.finish()
    assert store.load(folder).complete


def test_sketches_that_memory_does_not_hold_are_refused(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = store.load(finished)
    monkeypatch.setattr(_content, "memory_limit", lambda: 50_000)
    assert results.sketch([0, 4]).index.tolist() == [0, 4]
    with pytest.raises(StoreError, match="name fewer inputs"):
        results.sketch()


@pytest.mark.parametrize("odd", [None, 3, b"folder", ["folder"], object()])
def test_a_folder_that_is_no_path_is_named(odd: Any) -> None:
    for act in (store.load, lambda folder: store.Writer(folder, SETTINGS)):
        with pytest.raises(TypeError, match="folder must be a str or a Path"):
            act(odd)


@pytest.mark.parametrize("folder", ["a\0b", "x" * 5000])
def test_a_folder_that_cannot_be_is_told(folder: str) -> None:
    for act in (store.load, lambda folder: store.Writer(folder, SETTINGS)):
        with pytest.raises(StoreError, match=r"no results folder|cannot (read|write)"):
            act(folder)


def test_a_stopped_input_is_read_until_a_later_row_replaces_it(tmp_path: Path) -> None:
    state = {"status": "stopped", "state": b"as it was"}
    with store.Writer(tmp_path, SETTINGS) as writer:
        writer.append(row(0, **state, n_draws=100))
        writer.append(row(0, **state, n_draws=200))
        writer.append(row(2))
        assert writer.done == {2}
    unfinished = store.load(tmp_path)
    assert unfinished.array("n_draws").tolist() == [200, 1000]
    assert unfinished.stopped == 1
    with store.Writer(tmp_path, SETTINGS, resume=True) as writer:
        assert writer.done == {2}
        assert writer.stopped[0]["state"] == b"as it was"
        assert writer.spent[0] == 1200
        for index in (0, 4, 6, 8):
            writer.append(row(index))
        assert not writer.stopped
        writer.finish()
    assert contents(tmp_path)[1].count("stopped") == 0
    assert store.load(tmp_path).array("n_draws").tolist() == [1000] * 5


def test_a_run_is_not_finished_while_an_input_is_stopped(tmp_path: Path) -> None:
    with store.Writer(tmp_path, SETTINGS) as writer:
        for index in INDICES[:-1]:
            writer.append(row(index))
        writer.append(row(INDICES[-1], status="stopped"))
        with pytest.raises(StoreError, match="holds 4 of 5 inputs"):
            writer.finish()
