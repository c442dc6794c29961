"""An evaluation on the disk has the statistics of one in memory, and the same report."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import scored
from reported import SETTINGS, make_run

from smoothbound import store
from smoothbound._files import sealed
from smoothbound.analysis._sources import results as folders
from smoothbound.analysis._sources import stored as on_disk
from smoothbound.analysis._sources.stored import StoredEvaluation
from smoothbound.analysis.comparison import on_common_inputs
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.analysis.reading import evaluate
from smoothbound.errors import StoreError
from smoothbound.report import write_report

RADII = [0.0, 0.1, 0.25, 0.3, 0.75, 1.0, 1.5]


@pytest.fixture(params=["fixed", "unfinished", "decide", "find"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    kind = request.param
    if kind in ("decide", "find"):
        settings = scored.DECIDE if kind == "decide" else scored.FIND
        return scored.make(tmp_path / "run", dataclasses.replace(settings, n_inputs=14))
    settings = dataclasses.replace(SETTINGS, max_inputs=40, n_inputs=40)
    finished = 40 if kind == "fixed" else 33
    return make_run(tmp_path / "run", settings, finished, failed=[3], means=(0.3, 0.99))


def stored(run: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluation:
    monkeypatch.setattr(folders, "MOST_IN_MEMORY", 10)
    monkeypatch.setattr(on_disk, "MOST_IN_MEMORY", 10)
    monkeypatch.setattr(sealed, "_MOST_ROWS", 7)
    made = evaluate(store.open_folder(run), "run")
    assert isinstance(made, StoredEvaluation)
    return made


def same(one: Any, two: Any) -> bool:
    if isinstance(one, tuple):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, two, equal_nan=one.dtype.kind == "f"))
    return bool(one == two)


def test_every_statistic_is_that_of_the_evaluation_in_memory(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = evaluate(store.load(run), "run")
    theirs = stored(run, monkeypatch)
    for name in (
        *(
            "n_inputs",
            "n_correct",
            "n_abstained",
            "correct",
            "abstained",
            "paired",
            "name",
            "title",
        ),
        *("index", "label", "predicted", "class_radius", "radii", "thresholds", "notes", "origin"),
    ):
        assert same(getattr(mine, name), getattr(theirs, name)), name
    assert mine.typical() == theirs.typical()
    assert repr(theirs) == f"Stored{mine!r}"
    thresholds = [*np.linspace(0.05, 0.95, 9).tolist(), *mine.thresholds.tolist()]
    for one, two in zip(mine.bounds, theirs.bounds, strict=True):
        assert one.method == two.method
        assert one.has_radius == two.has_radius
        assert same(one.lower, two.lower)
        assert same(one.radius, two.radius) or (one.radius is None and two.radius is None)
        assert same(mine.counts(one, thresholds), theirs.counts(two, thresholds))
        for c in thresholds:
            assert same(mine.counts_at(one, c, RADII), theirs.counts_at(two, c, RADII))
            assert same(mine.by_radius(one, c), theirs.by_radius(two, c))
            assert same(mine.reach(one, c), theirs.reach(two, c)) or mine.reach(one, c) is None
        for radius in mine.radii.tolist():
            assert same(mine.by_threshold(one, radius), theirs.by_threshold(two, radius))


def test_a_statistic_is_computed_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stored(run, monkeypatch)
    last, c = made.bounds[-1], float(made.thresholds[0])
    ask = (
        lambda: made.by_radius(last, c),
        lambda: made.counts_at(last, c, RADII),
        lambda: made.counts(last, [c]),
    )
    first = [one() for one in ask]
    expected = copy.deepcopy(first)
    first[0][1][:], first[1][:] = -1, -1  # answers are the caller's own
    monkeypatch.setattr(on_disk._Inputs, "rows", Mock(side_effect=AssertionError("read again")))
    assert all(same(one(), answer) for one, answer in zip(ask, expected, strict=True))


def test_some_inputs_of_it_are_in_memory_or_not(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = evaluate(store.load(run), "run")
    theirs = stored(run, monkeypatch)
    few, many = mine.index[2:8:3], mine.index[1:13]
    for index in (few, many):
        one, two = mine.select(index), theirs.select(index)
        assert isinstance(two, StoredEvaluation) == (len(index) > 10)
        assert two.n_inputs == len(index)
        assert same(one.index, two.index)
        assert same(one.bounds[-1].lower, two.bounds[-1].lower)
        assert same(one.counts(one.bounds[0], [0.5]), two.counts(two.bounds[0], [0.5]))
        assert two.typical() == one.typical()
        assert two.changed(name="other").name == "other"
        again = two.select(index[1:2])
        assert again.index.tolist() == index[1:2].tolist()
        with pytest.raises(ValueError, match="has no input 0"):
            two.select(np.array([0]))
    for wrong in (few[::-1], np.array([2, 2])):
        with pytest.raises(ValueError, match="index must ascend"):
            theirs.select(wrong)
    with pytest.raises(ValueError, match="has no input 4000; it has"):
        theirs.select(np.array([1, 4000]))
    theirs.require(4)
    with pytest.raises(ValueError, match="has no input 4000; it has"):
        theirs.require(4000)
    common = on_common_inputs([theirs, theirs.select(many)])
    assert [one.n_inputs for one in common] == [12, 12]


def test_a_sample_is_spread_evenly(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "_SAMPLE", 6)
    theirs = stored(run, monkeypatch)
    every = -(-theirs.n_inputs // 6)
    assert theirs.sample.index.tolist() == theirs.index[::every].tolist()
    assert theirs.sample is theirs.sample
    part = theirs.select(theirs.index[1:13])
    assert part.sample.index.tolist() == theirs.index[1:13:2].tolist()
    kept = theirs.with_scores.tolist()
    adaptive = theirs.adaptive
    assert kept == ([] if adaptive else [i for i in theirs.sample.index.tolist() if i != 3])
    for sketch in theirs.sketches(np.array(kept[:3])):
        assert set(sketch.index) <= set(kept[:3])


def test_the_report_is_that_of_an_evaluation_in_memory(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report([run], tmp_path / "memory")
    theirs = stored(run, monkeypatch)
    monkeypatch.setattr("smoothbound.report._sections.scores.MOST_IN_MEMORY", theirs.n_inputs)
    write_report([run], tmp_path / "disk")
    names = sorted(path.name for path in (tmp_path / "memory").iterdir())
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == names
    for name in names:
        one, two = ((tmp_path / kind / name).read_bytes() for kind in ("memory", "disk"))
        assert one == two, name


def test_results_without_an_input_are_refused(tmp_path: Path) -> None:
    with (
        store.Writer(tmp_path / "empty", SETTINGS),
        pytest.raises(StoreError, match="has no finished input yet"),
    ):
        evaluate(store.open_folder(tmp_path / "empty"), "empty")
