"""Results are read as they were written, finished or not, with the sketches of their inputs."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored import INDICES, SETTINGS, contents, counts, row, write

from smoothbound import store
from smoothbound.errors import StoreError
from smoothbound.sketch import _content
from smoothbound.store._table.schema import schema


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
